"""A readout with starting values, and the penalties that go with them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import torch

from genoattn.errors import InputError
from genoattn.features import TokenFeatures
from genoattn.model.config import ATTENTIONS, TrainConfig, TrainingData
from genoattn.model.factors import FeatureFactors, TokenFactors
from genoattn.model.isolated_start import isolated_factors
from genoattn.model.pair_start import pair_factors
from genoattn.model.readout import Readout
from genoattn.model.start import Start, additive_start
from genoattn.model.training import Penalties
from genoattn.tokens import Vocabulary

_log = logging.getLogger(__name__)
_FULL_COLUMNS = 4000


@dataclass(frozen=True, eq=False)
class InitialReadout:
    """What training begins with.

    Parameters
    ----------
    readout
        On the scale of the standardised phenotype, or of log-odds.
    penalties
        On the mean loss.
    kind
        ``score``: sparse factors read off the scores; ``random``: dense ones; ``zero``: full attention at
        C = 0.
    lr, batch_size
        That suit this start.
    """

    readout: Readout
    penalties: Penalties
    kind: str
    lr: float
    batch_size: int


def check_config(vocabulary: Vocabulary, config: TrainConfig) -> None:
    """Refuse settings that no model of these sites can have."""
    if not 1 <= config.order <= vocabulary.n_sites:
        raise InputError(
            f"order {config.order}, but there are {vocabulary.n_sites} sites; "
            f"ask for an order from 1 to {vocabulary.n_sites}"
        )
    if config.attention not in ATTENTIONS:
        raise InputError(f"attention {config.attention!r} is unknown; choose one of {', '.join(ATTENTIONS)}")
    if config.attention != "linear":
        return
    if config.order > 2:
        raise InputError(f"linear attention is of order 2, not {config.order}; choose hyper attention")
    if vocabulary.n_columns > _FULL_COLUMNS:
        gib = 6 * 8 * vocabulary.n_columns**2 / 2**30
        raise InputError(
            f"linear attention has a coefficient for every pair of {vocabulary.n_columns} columns "
            f"and needs {gib:.1f} GiB; choose hyper attention, or at most {_FULL_COLUMNS} columns"
        )


def initial_readout(
    vocabulary: Vocabulary, data: TrainingData, config: TrainConfig, features: TokenFeatures | None = None
) -> InitialReadout:
    """Starting values for the training samples.

    Parameters
    ----------
    vocabulary
        The columns, with training means.
    data
        The training samples; phenotype and covariates standardised.
    config
        Order, attention, start, rank, penalty, seed.
    features
        Of the columns, for ``feature`` attention.
    """
    columns = vocabulary.columns(data.calls)
    spread = np.sqrt(np.maximum(vocabulary.variance, 1e-12))
    columns /= spread
    start, residual = additive_start(columns, data.phenotype, data.covariates)
    # On the logit scale a unit moves the mean by p (1 - p).
    slope = float(data.phenotype.var()) if data.binary else 1.0
    # Readout parameters of states are per indicator, those of dosages per standard deviation.
    unit = np.ones_like(spread) if vocabulary.is_dosage else spread
    if config.attention == "feature":
        assert features is not None
        made = _feature_readout(vocabulary, data, config, features, start, slope)
    elif config.attention == "linear":
        made = _full_readout(vocabulary, data, config, start, slope)
    elif _is_dense(vocabulary, len(data.phenotype), config):
        made = _dense_readout(vocabulary, data, config)
    else:
        made = _sparse_readout(vocabulary, data, config, start, slope, (columns, residual, unit))
    readout = made.readout
    with torch.no_grad():
        mean = float(data.phenotype.mean())
        readout.bias.fill_(log(mean / (1 - mean)) if data.binary else start.intercept)
        readout.covariate.copy_(torch.as_tensor(start.covariates / slope))
        if config.attention != "feature":  # there, features carry what they can of the additive effects
            readout.additive.copy_(torch.as_tensor(start.additive / unit / slope))
    return made


def _is_dense(vocabulary: Vocabulary, n_training: int, config: TrainConfig) -> bool:
    """Whether the samples can train dense factors.

    A landscape is measured precisely: two samples a free parameter are enough. The effects of genotypes
    are weak, and dense factors find them only where the samples would do for every pair by itself, twenty
    for each.
    """
    if config.start != "auto":
        return config.start == "random"
    if vocabulary.encoding != "sequence":
        return n_training >= 20 * _n_free_pairs(vocabulary)
    return n_training >= 2 * config.rank * int((vocabulary.n_states - 1).sum())


def _n_free_pairs(vocabulary: Vocabulary) -> float:
    """Number of pair coefficients that a gauge leaves free."""
    free = vocabulary.n_states - 1.0 if not vocabulary.is_dosage else np.ones(vocabulary.n_sites)
    return float(free.sum() ** 2 - (free**2).sum()) / 2


def _sparse_readout(
    vocabulary: Vocabulary,
    data: TrainingData,
    config: TrainConfig,
    start: Start,
    slope: float,
    scores: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> InitialReadout:
    """Free sparse factors, read off the scores of pairs and of longer terms."""
    columns, residual, unit = scores
    site = vocabulary.site
    factors: dict[int, np.ndarray] = {}
    if config.order >= 2:
        factors[2] = pair_factors(columns, data.phenotype, residual, data.covariates, site, config.rank)
    for order in range(3, config.order + 1):
        factors[order], scored = isolated_factors(columns, residual, site, order, config.rank)
        if scored < len(site):
            _log.info(
                "order %d: scored terms of the %d of %d columns with strong pairs", order, scored, len(site)
            )
    readout = Readout(vocabulary, {k: len(f) for k, f in factors.items()}, data.covariates.shape[1])
    with torch.no_grad():
        for order, values in factors.items():
            values = values / unit
            values[:, 0] /= slope
            module = readout.factors[str(order)]
            assert isinstance(module, TokenFactors)
            module.value.copy_(torch.as_tensor(values))
    universal = sqrt(2 * log(max(vocabulary.n_columns, 2)) / len(columns))
    noise = sqrt(slope) if data.binary else start.noise
    penalties = Penalties(start.ridge * slope, config.penalty * noise * universal)
    return InitialReadout(readout, penalties, "score", 0.003, 2048)


def _dense_readout(vocabulary: Vocabulary, data: TrainingData, config: TrainConfig) -> InitialReadout:
    """Tied random factors."""
    ranks = dict.fromkeys(range(2, config.order + 1), config.rank)
    readout = Readout(vocabulary, ranks, data.covariates.shape[1], tied=True)
    _set_random(readout, vocabulary, config.seed)
    return InitialReadout(readout, Penalties(factor_l2=1e-5), "random", 0.01, 512)


def _feature_readout(
    vocabulary: Vocabulary,
    data: TrainingData,
    config: TrainConfig,
    features: TokenFeatures,
    start: Start,
    slope: float,
) -> InitialReadout:
    """Tied factors that are products over features; effects of single tokens bear the ridge penalty."""
    ranks = dict.fromkeys(range(2, config.order + 1), config.rank)
    readout = Readout(vocabulary, ranks, data.covariates.shape[1], tied=True, features=features)
    _set_random(readout, vocabulary, config.seed)
    penalties = Penalties(additive=start.ridge * slope, factor_l2=1e-5)
    return InitialReadout(readout, penalties, "random", 0.01, 512)


def _full_readout(
    vocabulary: Vocabulary, data: TrainingData, config: TrainConfig, start: Start, slope: float
) -> InitialReadout:
    """Full attention at C = 0, with the ridge penalty that suits pairs that explain half of the residual."""
    ranks = {2: vocabulary.n_columns} if config.order == 2 else {}
    readout = Readout(vocabulary, ranks, data.covariates.shape[1], full=config.order == 2)
    spread = 1.0 if vocabulary.is_dosage else float(vocabulary.variance.mean())
    pair_ridge = _n_free_pairs(vocabulary) / len(data.phenotype) * spread**2 * slope
    penalties = Penalties(additive=start.ridge * slope, factor_l2=config.penalty * pair_ridge)
    return InitialReadout(readout, penalties, "zero", 0.01, 2048)


def _set_random(readout: Readout, vocabulary: Vocabulary, seed: int) -> None:
    """Small random factors: the entity values of a sample sum to about unit variance."""
    generator = torch.Generator().manual_seed(seed)
    for order in readout.orders:
        module = readout.factors[str(order)]
        assert isinstance(module, TokenFactors | FeatureFactors)
        module.set_random(1 / sqrt(vocabulary.n_sites), generator)
        with torch.no_grad():
            weight = readout.weights[str(order)]
            weight.fill_(0.1)
            weight[1::2] = -0.1
