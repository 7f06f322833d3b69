"""The one place that decides which estimator fits a cohort, and why."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from genoattn.closed_form.gaussian_process import MOST_PRODUCTS, count_products
from genoattn.closed_form.kernel_system import MOST_CELLS
from genoattn.errors import InputError
from genoattn.model.phenotype_likelihood import LikelihoodKind
from genoattn.model.train_config import ATTENTIONS, EstimatorKind, TrainConfig
from genoattn.tokens import Vocabulary

Estimator = Literal[
    "product process",
    "gaussian process",
    "full attention",
    "ridge regression",
    "dense factors",
    "feature factors",
    "sparse factors",
    "genome-wide modifier",
]
_NAMES: dict[Estimator, EstimatorKind] = {
    "product process": "posterior",
    "gaussian process": "posterior",
    "full attention": "attention",
    "ridge regression": "ridge",
    "dense factors": "attention",
    "feature factors": "attention",
    "sparse factors": "sparse",
    "genome-wide modifier": "sparse",
}
CLOSED_FORMS: tuple[Estimator, ...] = ("product process", "gaussian process")
_LEAST_PRODUCT, _MOST_PRODUCT = 200, 50_000  # samples of a product process, the kernel between them in memory
KERNEL_SAMPLES = 5000  # training samples up to which ridge regression of all pairs is solved
_FULL_COLUMNS = 4000
_MOST_WORK = 5e11  # samples x products^2 that an automatic choice may cost: some ten seconds
_PER_GENOTYPE_PAIR = 20  # samples for each pair, at which dense factors find the weak effects of genotypes
_PER_PARAMETER = 2  # samples for each parameter, or pair, of a landscape, which is measured precisely


@dataclass(frozen=True)
class EstimatorChoice:
    """Estimator of a model, and the reason for it."""

    # ``product process``: all orders of a landscape at once, in closed form with a decay for each allele.
    # ``gaussian process``: all products of a landscape of few sites, in closed form with a variance for each
    # order. ``full attention``: a coefficient for every pair, trained; ``ridge regression``: the same in
    # closed form. ``dense factors``: tied random factors, trained. ``feature factors``: products over the
    # features of tokens, trained. ``sparse factors``: factors read off the scores of pairs and triples and
    # cross-validated, then trained unless there are none. ``genome-wide modifier``: these, one of which also
    # modifies the effects of all sites, in closed form; taken where it predicts the validation samples better
    estimator: Estimator
    reason: str  # why, in words, with the numbers that decided

    def among(self, losses: dict[Estimator, float]) -> "EstimatorChoice":
        """The estimator of the smallest loss on the validation samples, among those compared."""
        if len(losses) < 2:
            return self
        best = min(losses, key=lambda name: losses[name])
        told = ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items())
        return EstimatorChoice(best, f"{self.reason}; validation loss of {told}")

    def record(self) -> dict[str, str]:
        """For a manifest: the name that asks for it, its form, and the reason."""
        return {"estimator": _NAMES[self.estimator], "form": self.estimator, "reason": self.reason}


def choose_estimator(
    vocabulary: Vocabulary, config: TrainConfig, likelihood: LikelihoodKind, n_samples: int
) -> EstimatorChoice:
    """The estimator of a model: as the settings say, or by the numbers of samples and parameters.

    The likelihood is that of the phenotype, not ``auto``; ``n_samples`` counts training samples.
    """
    _check_config(vocabulary, config)
    if config.attention == "product":
        return EstimatorChoice("product process", _product_process(vocabulary, config, likelihood, n_samples))
    process = _gaussian_process(vocabulary, config, likelihood, n_samples)
    if process is not None:
        return EstimatorChoice("gaussian process", process)
    if config.estimator == "ridge":
        return EstimatorChoice("ridge regression", _ridge(vocabulary, config, likelihood, n_samples))
    if config.attention == "linear":
        return EstimatorChoice("full attention", "attention linear")
    is_dense, reason = _is_dense(vocabulary, config, n_samples)
    if config.attention == "feature" and (not vocabulary.is_dosage or is_dense):
        return EstimatorChoice("feature factors", "attention feature")
    return EstimatorChoice("dense factors" if is_dense else "sparse factors", reason)


def _check_config(vocabulary: Vocabulary, config: TrainConfig) -> None:
    """Refuse settings that no model of these sites can have."""
    if not 1 <= config.order <= vocabulary.n_sites:
        raise InputError(
            f"order {config.order}, but there are {vocabulary.n_sites} sites; "
            f"ask for an order from 1 to {vocabulary.n_sites}"
        )
    if config.attention not in ATTENTIONS:
        raise InputError(f"attention {config.attention!r} is unknown; choose one of {', '.join(ATTENTIONS)}")
    if config.attention != "linear" and config.estimator != "ridge":
        return
    if config.order > 2:
        raise InputError(f"linear attention is of order 2, not {config.order}; choose hyper attention")
    if vocabulary.n_columns > _FULL_COLUMNS:
        gib = 6 * 8 * vocabulary.n_columns**2 / 2**30
        raise InputError(
            f"linear attention has a coefficient for every pair of {vocabulary.n_columns} columns "
            f"and needs {gib:.1f} GiB; choose hyper attention, or at most {_FULL_COLUMNS} columns"
        )


def all_at_once(
    vocabulary: Vocabulary, config: TrainConfig, likelihood: LikelihoodKind, n_samples: int
) -> bool:
    """Whether the process of all orders is worth a trial: a landscape, not too large for the memory."""
    plain = config.attention == "hyper" and config.estimator == "auto" and likelihood == "gaussian"
    cells = float(np.prod(vocabulary.n_states.astype(np.float64)))
    return (
        vocabulary.encoding == "sequence"
        and plain
        and vocabulary.n_sites > 1
        and n_samples >= _LEAST_PRODUCT
        and (n_samples <= _MOST_PRODUCT or cells <= MOST_CELLS)
    )


def _product_process(
    vocabulary: Vocabulary, config: TrainConfig, likelihood: LikelihoodKind, n_samples: int
) -> str:
    """Why all orders are fitted at once; refused where they cannot be."""
    if vocabulary.is_dosage:
        raise InputError("order all is for states, not dosages; use encoding genotype, or an order")
    if likelihood != "gaussian" or config.link != "none" or config.estimator not in ("auto", "posterior"):
        raise InputError(
            "order all is a closed form without a link for a gaussian likelihood; leave these options out, "
            "or give an order"
        )
    return f"all orders of {vocabulary.n_sites} sites at once, from {n_samples:,} samples"


def _ridge(vocabulary: Vocabulary, config: TrainConfig, likelihood: LikelihoodKind, n_samples: int) -> str:
    """Why every pair is fitted by ridge regression; refused where that is no closed form."""
    if config.order > 2 or config.link != "none" or likelihood != "gaussian" or config.attention == "feature":
        raise InputError(
            "estimator ridge is a closed form of orders 1 and 2, without a link, for a gaussian likelihood; "
            "use estimator attention"
        )
    if config.order == 2 and not n_samples <= KERNEL_SAMPLES:
        raise InputError(
            f"estimator ridge solves for every pair of up to {KERNEL_SAMPLES:,} training samples, here "
            f"{n_samples:,}; use attention linear"
        )
    return "estimator ridge"


def _gaussian_process(
    vocabulary: Vocabulary, config: TrainConfig, likelihood: LikelihoodKind, n_samples: int
) -> str | None:
    """Why the closed form of a landscape is used; None where it is not."""
    if config.estimator not in ("posterior", "auto"):
        return None
    number = count_products(vocabulary, config.order)
    plain = config.attention == "hyper" and likelihood == "gaussian"
    rounds = 1 if config.link == "none" else 10
    if config.estimator == "auto":
        small = number <= MOST_PRODUCTS and rounds * n_samples * float(number) ** 2 <= _MOST_WORK
        if not (vocabulary.encoding == "sequence" and plain and small):
            return None
        return f"{number:,} products up to order {config.order}, few enough for {n_samples:,} samples"
    if not plain:
        raise InputError(
            "estimator posterior is for hyper attention and a gaussian likelihood; use attention"
        )
    if number > MOST_PRODUCTS:
        raise InputError(
            f"estimator posterior with {number:,} products up to order {config.order}, more than "
            f"{MOST_PRODUCTS:,}; lower the order, ask for order all, or use estimator attention"
        )
    return "estimator posterior"


def _is_dense(vocabulary: Vocabulary, config: TrainConfig, n_samples: int) -> tuple[bool, str]:
    """Whether the samples can train dense factors, and why.

    A landscape is measured precisely: two samples a free parameter, or two a pair, are enough. The effects of
    genotypes are weak, and dense factors find them only where the samples would do for every pair by itself,
    twenty for each.
    """
    if config.estimator != "auto":
        return config.estimator == "attention", f"estimator {config.estimator}"
    number, each, what = vocabulary.n_free_pairs, _PER_GENOTYPE_PAIR, "pairs of columns"
    if vocabulary.encoding == "sequence":
        n_parameters = config.most_factors * float((vocabulary.n_states - 1).sum())
        each = _PER_PARAMETER
        if n_parameters < number:
            number, what = n_parameters, "parameters of dense factors"
    enough = n_samples >= each * number
    compared = "at least" if enough else "fewer than"
    return enough, f"{n_samples:,} samples, {compared} {each} for each of {number:,.0f} {what}"
