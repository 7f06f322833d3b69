"""A LightningModule around the readout: loss, steps, optimiser, checkpoints."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from genoattn import __version__
from genoattn.cohort import Cohort, Sites
from genoattn.errors import InputError
from genoattn.model.data import Batch, CohortData
from genoattn.model.link import LinkKind
from genoattn.model.optimiser import Penalties, ProximalAdam, annealing, penalty_weights
from genoattn.model.phenotype_likelihood import Likelihood, LikelihoodKind, chosen_likelihood
from genoattn.model.readout import Readout, rescale_latent, set_random_factors
from genoattn.model.standardise import Standardisation
from genoattn.tokens import Encoding, Vocabulary, build_vocabulary, default_encoding
from genoattn.tokens.site_records import from_site_records, site_records
from genoattn.tokens.token_features import token_features

_NOISE_FREE = 0.02  # residual variance of a standardised phenotype
_PARTS = ("calls", "covariates", "phenotype")
_SHOWN = 5  # names of samples in a message
Made = str | Callable[..., Any] | None


@dataclass(frozen=True)
class Described:
    """What a model's table says of its phenotype and covariates."""

    trait: str = "phenotype"
    binary: bool = False
    transform: str = "none"
    covariate_names: tuple[str, ...] = ()
    covariate_levels: Mapping[str, tuple[str, ...]] | None = None

    @staticmethod
    def of(cohort: Cohort | None, binary: bool) -> "Described":
        """Of a cohort; with plain names where only arrays are known."""
        if cohort is None or cohort.phenotype is None:
            return Described(binary=binary)
        p, c = cohort.phenotype, cohort.covariates
        names, levels = ((), {}) if c is None else (tuple(c.names), dict(c.levels))
        return Described(p.name, binary, p.transform, names, levels)


class PhenotypeModule(pl.LightningModule):
    r"""HyperAttention of a phenotype, for a Trainer.

    .. math:: \phi(x) = b + Z g + \sum_l w_l(x_l) + \sum_n \sum_r \lambda_{nr} D_n(f_{nr1}, .., f_{nrn})(x)

    with :math:`D_n` the sum over distinct sites of the product of the factors
    (:class:`genoattn.model.readout.Readout`); a link takes :math:`\phi` to the linear predictor of the
    phenotype. Parameters are on the scale of a standardised phenotype and standardised covariates; batches,
    predictions and tables are in the units of the cohort.

    Parameters
    ----------
    sites, encoding
        Records of the sites (:func:`genoattn.tokens.site_records.site_records`) and their encoding.
    ranks
        For each order of 2 and above the number of factors.
    n_covariates
        Fixed effects.
    tied, levels, full, link
        As of :class:`~genoattn.model.readout.Readout`; ``levels`` are the labels of its features.
    likelihood, known_variance
        As of :class:`~genoattn.model.phenotype_likelihood.Likelihood`.
    penalties
        Fields of :class:`~genoattn.model.optimiser.Penalties`, on the mean loss.
    lr
        Learning rate.
    optimizer, optimizer_options
        ``proximal-adam``, which keeps sparse factors sparse; or the name of a class in ``torch.optim``, or a
        function of the parameters that returns an optimiser: penalties are then part of the loss.
    schedule, schedule_options
        ``annealed``: the learning rate rises over the first tenth of the steps and falls to zero as a cosine,
        so that training ends at its best (Loshchilov & Hutter 2017). Or the name of a class in
        ``torch.optim.lr_scheduler``, a function of the optimiser, or None.
    standardisation, described
        Moments of the training samples, and the names for a table; :meth:`for_data` fills them in.
    seed
        Of the random factors that training starts from.
    version
        Of genoattn, for checkpoints.
    """

    def __init__(
        self,
        sites: Sequence[dict[str, Any]],
        encoding: Encoding,
        ranks: Mapping[int, int],
        n_covariates: int = 0,
        *,
        tied: bool = True,
        levels: Mapping[str, tuple[str, ...]] | None = None,
        full: bool = False,
        link: LinkKind = "none",
        likelihood: LikelihoodKind = "gaussian",
        known_variance: bool = False,
        penalties: Mapping[str, float] | None = None,
        lr: float = 0.02,
        optimizer: Made = "proximal-adam",
        optimizer_options: Mapping[str, Any] | None = None,
        schedule: Made = "annealed",
        schedule_options: Mapping[str, Any] | None = None,
        standardisation: Mapping[str, Any] | None = None,
        described: Mapping[str, Any] | None = None,
        seed: int = 0,
        version: str = __version__,
    ) -> None:
        super().__init__()
        kept = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        # A function is no part of a checkpoint: it could not be read back without running it.
        kept |= {k: "a function" for k in ("optimizer", "schedule") if callable(kept[k])}
        self.save_hyperparameters(kept, logger=False)
        self.sites, self.vocabulary = from_site_records(encoding, sites)
        features = None if levels is None else token_features(self.sites, self.vocabulary, levels)
        self.readout = Readout(self.vocabulary, ranks, n_covariates, tied, features, full, link)
        if not full:
            set_random_factors(self.readout, self.vocabulary.n_sites, seed)
        self.likelihood = Likelihood(likelihood, known_variance)
        self.penalties, self.lr = Penalties(**(penalties or {})), lr
        self.optimizer, self.optimizer_options = optimizer, dict(optimizer_options or {})
        self.schedule, self.schedule_options = schedule, dict(schedule_options or {})
        self.standardisation = Standardisation.of_record(standardisation, n_covariates)
        self.described = Described(**(described or {}))
        self._squares: list[Tensor] = []

    @classmethod
    def for_data(
        cls,
        data: CohortData,
        order: int = 2,
        rank: int = 16,
        *,
        encoding: Encoding | None = None,
        likelihood: LikelihoodKind = "auto",
        by_feature: bool = False,
        **options: Any,
    ) -> Self:
        """A module for the sites of a cohort, with moments of its training samples.

        Parameters
        ----------
        data
            Of a :class:`~genoattn.cohort.Cohort`.
        order, rank
            Largest order, and factors of each from 2 up.
        encoding
            ``dosage`` or ``genotype`` for genotypes, ``sequence`` for alignments; the usual one by default.
        likelihood
            As of a fit.
        by_feature
            HyperFeatureAttention: factors are products of embeddings of the features of tokens.
        options
            Others of the class.
        """
        cohort, arrays, training = data.cohort, data.arrays, data.split.training
        if cohort is None:
            raise InputError("CohortData of arrays has no sites; make it of a Cohort")
        if not 1 <= order <= cohort.n_sites:
            raise InputError(f"order {order}, but there are {cohort.n_sites} sites")
        vocabulary = build_vocabulary(cohort, encoding or default_encoding(cohort), training)
        kind = chosen_likelihood(likelihood, arrays.phenotype, arrays.binary)
        levels = dict(token_features(cohort.sites, vocabulary).levels) if by_feature else None
        default = {"factor_l2": 1 / len(training)}
        return cls(
            site_records(cohort.sites, vocabulary),
            vocabulary.encoding,
            dict.fromkeys(range(2, order + 1), rank),
            arrays.covariates.shape[1],
            levels=levels,
            likelihood=kind,
            known_variance=kind == "gaussian" and arrays.variance is not None,
            penalties=options.pop("penalties", default),
            standardisation=Standardisation.of(arrays, training, kind).record(),
            described=asdict(Described.of(cohort, arrays.binary)),
            **options,
        )

    @classmethod
    def around(cls, readout: Readout, vocabulary: Vocabulary, kind: LikelihoodKind, **options: Any) -> Self:
        """A module of a readout that has its starting values; sites are known by their numbers alone."""
        numbers = np.arange(1, vocabulary.n_sites + 1)
        names, none = numbers.astype(str).astype(object), np.full(len(numbers), "", dtype=object)
        states = tuple(tuple(map(str, range(k))) for k in vocabulary.n_states)
        made = cls(
            site_records(Sites(names, none, numbers, none, none, states), vocabulary),
            vocabulary.encoding,
            readout.ranks,
            len(readout.covariate),
            tied=readout.tied,
            link=readout.link_kind,
            likelihood=kind,
            **options,
        )
        made.readout = readout
        return made

    def forward(self, calls: Tensor, covariates: Tensor) -> Tensor:
        """Linear predictor, (n_samples,), in units of the phenotype.

        ``calls`` (n_samples, n_sites), int8, -1 where missing; ``covariates`` (n_samples, n_covariates) in
        the cohort's units.
        """
        s = self.standardisation
        eta = self._eta({"calls": calls, "covariates": s.covariates(covariates).to(self.readout.bias)})
        return s.shift + s.scale * eta

    def _eta(self, batch: Batch) -> Tensor:
        return self.readout.respond(self.readout(batch["calls"], batch["covariates"]).sum(dim=-1))

    def loss(self, batch: Batch) -> Tensor:
        """Mean negative log-likelihood of a standardised batch, up to a constant."""
        variance = () if not self.likelihood.known_variance else (batch["variance"],)
        value: Tensor = self.likelihood(self._eta(batch), batch["phenotype"], *variance)
        return value

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        """A batch of the cohort, standardised; samples whose values are no numbers are refused by name."""
        if not isinstance(batch, Mapping) or not all(part in batch for part in _PARTS):
            raise InputError(f"a batch must be a mapping with {', '.join(_PARTS)}, as CohortData makes them")
        self._refuse_nan(batch)
        s, dtype = self.standardisation, self.readout.bias.dtype
        out = {
            "calls": batch["calls"],
            "covariates": s.covariates(batch["covariates"]).to(dtype),
            "phenotype": ((batch["phenotype"] - s.shift) / s.scale).to(dtype),
        }
        if self.likelihood.known_variance:
            if "variance" not in batch:
                raise InputError("the model has known variances, and a batch has none")
            out["variance"] = (batch["variance"] / s.scale**2).to(dtype)
        return out

    def _refuse_nan(self, batch: Mapping[str, Tensor]) -> None:
        wrong = ~torch.isfinite(batch["phenotype"]) | ~torch.isfinite(batch["covariates"]).all(dim=1)
        if not wrong.any():
            return
        index = batch.get("sample", torch.arange(len(wrong)))[wrong.cpu()]
        source = getattr(self._trainer, "datamodule", None) if self._trainer is not None else None
        names = [str(k) for k in index.tolist()]
        if isinstance(source, CohortData):
            names = source.sample_names(index)
        shown = ", ".join(names[:_SHOWN])
        shown += f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise InputError(f"phenotype or covariates of samples {shown} are no numbers; remove these samples")

    def training_step(self, batch: Batch, _: int) -> Tensor:
        # Gradients are averaged over processes: each weighs by its samples, so that the sum is that of one.
        loss = self.loss(batch) * self._weight(len(batch["phenotype"]))
        if not isinstance(self._plain_optimizer(), ProximalAdam):
            loss = loss + self._penalty()
        elif self.penalties.factor_l2 and self._squared_error:
            # Without noise a prior would only bias: it fades with the residual variance below 2 %.
            fading = min(1.0, 2 * float(self._of_all(loss.detach()).mean()) / _NOISE_FREE)
            for group in self._plain_optimizer().param_groups:
                if group["prior"]:
                    group["l2"] = self.penalties.factor_l2 * fading
        n = len(batch["phenotype"])
        self.log("train_loss", loss.detach(), batch_size=n, on_step=False, on_epoch=True)
        return loss

    @property
    def _squared_error(self) -> bool:
        return self.likelihood.kind == "gaussian" and not self.likelihood.known_variance

    def _of_all(self, value: Tensor) -> Tensor:
        """A value of every process, the first axis where there are several."""
        if self.trainer.world_size == 1:
            return value
        gathered = self.all_gather(value)
        assert isinstance(gathered, Tensor)
        return gathered

    def _plain_optimizer(self) -> Any:
        return self.trainer.optimizers[0]

    def _weight(self, n: int) -> float:
        if self.trainer.world_size == 1:
            return 1.0
        total = self._of_all(torch.tensor(float(n), device=self.device)).sum()
        return n * self.trainer.world_size / float(total)

    def validation_step(self, batch: Batch, _: int) -> None:
        self._evaluate(batch, "val_loss")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, "test_loss")

    def predict_step(self, batch: Batch, _: int) -> Tensor:
        """Linear predictor, (n_samples,), in units of the phenotype."""
        s = self.standardisation
        return s.shift + s.scale * self._eta(batch)

    def _evaluate(self, batch: Batch, name: str) -> None:
        n = len(batch["phenotype"])
        self.log(name, self.loss(batch), prog_bar=True, batch_size=n, sync_dist=True)
        y, error = batch["phenotype"].double(), (batch["phenotype"] - self._eta(batch)).double()
        self._squares.append(torch.stack([torch.ones_like(y), y, y * y, error * error]).sum(dim=1))

    def on_validation_epoch_end(self) -> None:
        self._log_r2("val_r2")

    def on_test_epoch_end(self) -> None:
        self._log_r2("test_r2")

    def _log_r2(self, name: str) -> None:
        """Coefficient of determination over the samples of all processes, of a phenotype that has one."""
        squares, self._squares = self._squares, []
        if not squares or self.likelihood.kind not in ("gaussian", "student"):
            return
        n, y, y2, rss = self._of_all(torch.stack(squares).sum(dim=0)).reshape(-1, 4).sum(dim=0).tolist()
        total = y2 - y * y / max(n, 1)
        self.log(name, 1 - rss / total if total > 0 else float("nan"), prog_bar=True)

    def mean_loss(self, batches: Iterable[Any]) -> float:
        """Mean loss of the samples of some batches, in the units of the cohort."""
        total, n = 0.0, 0
        with torch.no_grad():
            for batch in batches:
                here = {k: t.to(self.device) for k, t in self.on_before_batch_transfer(batch, 0).items()}
                total, n = total + float(self.loss(here)) * len(here["calls"]), n + len(here["calls"])
        return total / max(n, 1)

    def configure_optimizers(self) -> Any:
        optimizer = self._make_optimizer()
        if self.schedule is None:
            return optimizer
        if callable(self.schedule):
            schedule = self.schedule(optimizer, **self.schedule_options)
        elif self.schedule == "annealed":
            n_steps = int(self.trainer.estimated_stepping_batches)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: annealing(step, n_steps))
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
        else:
            made = _named(torch.optim.lr_scheduler, self.schedule, "schedule", "annealed")
            schedule = made(optimizer, **self.schedule_options)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}

    def _make_optimizer(self) -> torch.optim.Optimizer:
        trained = [p for p in self.parameters() if p.requires_grad]
        if callable(self.optimizer):
            made: torch.optim.Optimizer = self.optimizer(trained, **self.optimizer_options)
            return made
        if self.optimizer == "proximal-adam":
            return ProximalAdam(self._groups(), lr=self.lr, **self.optimizer_options)
        kind = _named(torch.optim, str(self.optimizer), "optimizer", "proximal-adam")
        return kind(trained, **{"lr": self.lr, **self.optimizer_options})  # type: ignore[no-any-return]

    def _sparse(self) -> list[nn.Parameter]:
        if not self.penalties.factor > 0:
            return []
        modules = [self.readout.factor_module(order) for order in self.readout.orders]
        return [p for module in modules for p in module.sparse_parameters() if p.requires_grad]

    def _penalty(self) -> Tensor:
        """Penalties as a part of the loss, for optimisers that know none."""
        p, sparse = self.penalties, self._sparse()
        others = [f for f in self.readout.factors.parameters() if not any(f is q for q in sparse)]
        out = 0.5 * p.additive * (self.readout.additive**2).sum()
        out = out + sum(p.factor * (penalty_weights(f.detach(), 1.0) * f.abs()).sum() for f in sparse)
        return out + sum(0.5 * p.factor_l2 * (f**2).sum() for f in others)

    def _groups(self) -> list[dict[str, Any]]:
        """Parameters by their penalty."""
        r, sparse = self.readout, self._sparse()
        others = [p for p in r.factors.parameters() if not any(p is q for q in sparse)]
        feature_effects = [] if r.additive_features is None else list(r.additive_features.parameters())
        shapes = [] if r.link is None else list(r.link.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [r.bias, r.covariate, *feature_effects, *shapes, *self.likelihood.parameters()]},
            {"params": [r.additive], "l2": self.penalties.additive},
            {
                "params": sparse,
                "l1": self.penalties.factor,
                "l1_weights": [penalty_weights(p.detach(), self.penalties.support) for p in sparse],
            },
            {"params": others, "l2": self.penalties.factor_l2, "prior": True},
            {"params": list(r.weights.values())},
        ]
        trained = [{**g, "params": [p for p in g["params"] if p.requires_grad]} for g in groups]
        return [g for g in trained if g["params"]]

    def in_phenotype_units(self) -> Readout:
        """A copy of the readout whose parameters are in the units of the phenotype and the covariates."""
        s, readout = self.standardisation, _copied(self.readout, self.vocabulary)
        rescale_latent(readout, s.shift, s.scale)
        if readout.link is not None:
            readout.link.rescale(s.shift, s.scale)
        with torch.no_grad():
            readout.covariate.div_(torch.as_tensor(s.covariate_scale).to(readout.covariate))
            readout.bias.sub_(readout.covariate @ torch.as_tensor(s.covariate_mean).to(readout.covariate))
        return readout

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: str | Path, map_location: Any = "cpu", strict: bool = True, **options: Any
    ) -> Self:
        """Read a checkpoint of a Trainer; ``options`` take the place of its hyper-parameters.

        Nothing in the file is executed (``weights_only``).

        Raises
        ------
        InputError
            Where the file is no checkpoint of this class, or of another version.
        """
        where = Path(checkpoint_path)
        try:
            record = torch.load(where, map_location=map_location, weights_only=True)
            settings, state = {**record["hyper_parameters"], **options}, record["state_dict"]
        except FileNotFoundError:
            raise InputError(f"{where}: no such file") from None
        except Exception as error:  # what torch raises on files that are none of its own has no common class
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:80]
            raise InputError(f"{where}: not a checkpoint of a {cls.__name__} ({reason})") from None
        for name in ("optimizer", "schedule"):
            if settings.get(name) == "a function":
                raise InputError(f"{where}: its {name} was a function; give it again: {name}=...")
        written = settings.pop("version", "unknown")
        try:
            module = cls(**settings)
            module.load_state_dict(state, strict=strict)
        except (TypeError, KeyError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise InputError(
                f"{where}: written by genoattn {written}, and this is {__version__}: {reason}"
            ) from None
        return module.to(map_location)


def _copied(readout: Readout, vocabulary: Vocabulary) -> Readout:
    """A copy with its own parameters, on the same device."""
    r, n_covariates = readout, len(readout.covariate)
    out = Readout(vocabulary, r.ranks, n_covariates, r.tied, r.features, r.full, r.link_kind, r.bias.dtype)
    out.load_state_dict(r.state_dict())
    return out.to(r.bias.device)


def _named(module: Any, name: str, what: str, own: str) -> Any:
    """A class of a torch module by its name."""
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise InputError(f"{what} {name!r} is unknown; choose {own}, or a class of {module.__name__}")
    return found
