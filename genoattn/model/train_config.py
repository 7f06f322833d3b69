"""Settings of a training, the arrays it works on, and its summary."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from genoattn.model.link import LinkKind
from genoattn.model.phenotype_likelihood import LikelihoodKind

AttentionKind = Literal["hyper", "feature", "linear", "product"]
ATTENTIONS: tuple[AttentionKind, ...] = ("hyper", "feature", "linear", "product")
EstimatorKind = Literal["auto", "attention", "posterior", "sparse", "ridge"]
ESTIMATORS: tuple[EstimatorKind, ...] = ("auto", "attention", "posterior", "sparse", "ridge")
Precision = Literal[32, 64, "16-mixed", "bf16-mixed"]
PRECISIONS: tuple[Precision, ...] = (32, 64, "16-mixed", "bf16-mixed")
USUAL_RANK = 32


@dataclass(frozen=True)
class TrainConfig:
    """Settings of the training of a readout.

    Parameters
    ----------
    order
        Largest order of interaction, 1 for an additive model.
    attention
        ``hyper``: HyperAttention of every order. ``feature``: HyperFeatureAttention, factors that are
        products over the features of a token. ``linear``: full linear self-attention, a coefficient for
        every pair; order 2. ``product``: all orders at once (``order="all"``), a Gaussian process in closed
        form.
    estimator
        ``attention``: dense factors, or full attention, trained by gradient steps, for landscapes of more
        sites, states or samples. ``posterior``: all products of a landscape of few sites, or all orders at
        once, in closed form: the Gaussian process that is HyperAttention of full rank under a ridge prior.
        ``sparse``: free factors read off the scores of all pairs and triples, for weak effects among many
        sites, trained where that helps samples not seen. ``ridge``: every pair of columns, in closed form;
        full linear self-attention under a ridge prior. ``auto`` chooses by the numbers of samples and
        parameters.
    link
        ``none``: the orders add up to the phenotype itself. ``monotone``: to a latent phenotype, which an
        increasing curve takes to the measured one (global epistasis); ``bounded``: to one that levels off on
        both ends.
    likelihood
        ``auto`` is ``bernoulli`` for a binary trait, else ``gaussian``, with known variances where the
        phenotype has them; or ``student``, ``poisson``, ``negative-binomial``.
    rank
        Dense factors an order; at most so many sparse ones. None for 32, and for 64 dense ones where samples
        are eight times the parameters.
    max_epochs, patience
        Longest training, and epochs without improvement of the validation loss before it stops, None for 100
        with sparse factors, whose loss often falls late, and 40 elsewhere. Dense factors are trained for a
        number of epochs set beforehand, while the learning rate falls to zero: ``max_epochs`` is only its
        upper limit, and there is no need of patience.
    lr
        Learning rate; None for 0.006 with sparse and 0.02 with dense factors.
    batch_size
        Samples in a batch; None for all of them up to 2,048 (sparse), a 32nd from 64 to 1,024 (dense).
    penalty
        Multiple of the L1 penalty on sparse factors at which noise alone keeps them at zero; of the ridge
        penalties of a ``posterior``, where 0 is least squares; of the ridge penalty on dense factors.
    precision
        32 or 64 bits; or ``16-mixed`` or ``bf16-mixed``, where matrix products are of 16 bits and parameters
        of 32.
    device
        ``auto``, ``cpu``, ``cuda``, or ``mps``.
    devices
        Processes that share each batch, one a GPU. Each runs the script, or the command, from its beginning,
        and repeats all work but the steps of the training.
    seed
        Of starting values and batches.
    """

    order: int = 2
    attention: AttentionKind = "hyper"
    estimator: EstimatorKind = "auto"
    link: LinkKind = "none"
    likelihood: LikelihoodKind = "auto"
    rank: int | None = None
    max_epochs: int = 500
    patience: int | None = None
    lr: float | None = None
    batch_size: int | None = None
    penalty: float = 1.0
    precision: Precision = 32
    device: str = "auto"
    devices: int = 1
    seed: int = 0

    @property
    def most_factors(self) -> int:
        """Largest number of factors of an order: ``rank``, or 32."""
        return USUAL_RANK if self.rank is None else self.rank


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Arrays of a cohort.

    Parameters
    ----------
    calls, covariates, phenotype
        Shapes (n_samples, n_sites), (n_samples, n_covariates) and (n_samples,).
    binary
        Whether the phenotype is 0 or 1.
    variance
        Shape (n_samples,), the known variance of each value's measurement, in squared phenotype units.
    chromosome
        Shape (n_sites,), the number from 0 of each site's chromosome; None where there are none.
    relatives
        Shape (n_samples,), the number from 0 of each sample's group of relatives; None where there are none.
    state_names
        Of sequences, the number from 0 of the name of each state of each site, one site after the other: the
        same residue has the same number at all sites. None for genotypes.
    environments
        Indices of the sites that are environments, whose main effects bear no penalty: ascending, the last
        ones.
    """

    calls: np.ndarray
    covariates: np.ndarray
    phenotype: np.ndarray
    binary: bool
    variance: np.ndarray | None = None
    chromosome: np.ndarray | None = None
    relatives: np.ndarray | None = None
    state_names: np.ndarray | None = None
    environments: tuple[int, ...] = ()

    def with_main_effects(self) -> "TrainingData":
        """The same with the environments behind the covariates."""
        main = self.calls[:, list(self.environments)].astype(np.float64)
        return replace(self, covariates=np.column_stack([self.covariates, main]), environments=())


@dataclass(frozen=True, eq=False)
class Split:
    """Ascending sample indices of each part; together all samples, each once."""

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class TrainingSummary:
    """Start, epochs and outcome of a training."""

    # kind of start, and ranks by order
    start: str
    ranks: dict[int, int]
    # epoch (counted from 1) of the least validation loss, and that loss
    best_epoch: int
    validation_loss: float
    # kind of likelihood, and its learned parameters by name
    likelihood: LikelihoodKind = "gaussian"
    noise: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """All fields by name, for a manifest; the loss is None where there were no validation samples."""
        loss = self.validation_loss if np.isfinite(self.validation_loss) else None
        return asdict(self) | {"validation_loss": loss}
