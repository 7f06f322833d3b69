"""From a cohort's arrays to a trained readout in phenotype units."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

import numpy as np
import pytorch_lightning as pl
import torch

from genoattn.errors import InputError
from genoattn.model.isolated_start import isolated_factors
from genoattn.model.pair_start import pair_factors
from genoattn.model.readout import Readout
from genoattn.model.split import Split
from genoattn.model.start import additive_start
from genoattn.model.training import BestWeights, CohortData, Penalties, PhenotypeModule
from genoattn.tokens import Vocabulary

_log = logging.getLogger(__name__)
StartKind = Literal["auto", "score", "random"]


@dataclass(frozen=True)
class TrainConfig:
    """How a readout is trained.

    Parameters
    ----------
    order
        Largest order of interaction, 1 for an additive model.
    start
        ``score``: free sparse factors read off the scores of all pairs and triples, for more pairs than
        samples; ``random``: tied dense factors, for few sites and many samples; ``auto`` chooses by that.
    rank
        Dense factors an order; at most so many sparse ones.
    max_epochs, patience
        Longest training, and epochs without improvement of the validation loss before it stops.
    lr
        Learning rate; None for 0.003 with sparse and 0.01 with dense factors.
    batch_size
        Samples in a batch; None for all of them up to 2,048 (sparse), 512 (dense).
    penalty
        Multiple of the L1 penalty on sparse factors at which noise alone keeps them at zero.
    precision
        32 or 64 bits.
    device
        ``auto``, ``cpu``, ``cuda``, or ``mps``.
    seed
        Of starting values and batches.
    """

    order: int = 2
    start: StartKind = "auto"
    rank: int = 32
    max_epochs: int = 500
    patience: int = 40
    lr: float | None = None
    batch_size: int | None = None
    penalty: float = 1.0
    precision: int = 32
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Arrays of a cohort: calls (n_samples, n_sites), covariates (n_samples, n_covariates), phenotype."""

    calls: np.ndarray
    covariates: np.ndarray
    phenotype: np.ndarray
    binary: bool


@dataclass(frozen=True)
class TrainingAccount:
    """How a training went: start, ranks by order, best epoch (counted from 1) and validation loss there."""

    start: str
    ranks: dict[int, int]
    best_epoch: int
    validation_loss: float


def train_readout(
    vocabulary: Vocabulary, data: TrainingData, split: Split, config: TrainConfig, progress: bool = False
) -> tuple[Readout, TrainingAccount]:
    """Start, train, and return a readout in phenotype units, with what happened.

    With validation samples, training stops when their loss stops improving, and the best weights are put
    back; without any it goes on for ``config.max_epochs``.

    Raises
    ------
    InputError
        Where the order exceeds the number of sites.
    """
    if not 1 <= config.order <= vocabulary.n_sites:
        raise InputError(
            f"order {config.order}, but there are {vocabulary.n_sites} sites; "
            f"ask for an order from 1 to {vocabulary.n_sites}"
        )
    dense = _is_dense(vocabulary, len(split.training), config)
    with _settings(config):
        covariates, c_mean, c_scale = _standardise(data.covariates, split.training)
        shift, scale = (0.0, 1.0) if data.binary else _location(data.phenotype[split.training])
        y = (data.phenotype - shift) / scale
        readout, penalties = _start(vocabulary, data.calls, covariates, y, data.binary, split, config, dense)
        lr = config.lr or (0.01 if dense else 0.003)
        module = PhenotypeModule(readout, data.binary, penalties, lr)
        n_training = len(split.training)
        batch = config.batch_size or (512 if dense else 2048)
        source = CohortData(
            data.calls, covariates, y, split.training, split.validation, min(batch, n_training), config.seed
        )
        best = BestWeights(config.patience)
        _trainer(config, best, progress, bool(len(split.validation))).fit(module, datamodule=source)
        if len(split.validation) and best.best_epoch < 0:
            raise InputError(
                "training diverged: the validation loss was never finite; lower the learning rate"
            )
        _to_phenotype_units(readout, shift, scale, c_mean, c_scale)
    ranks = {order: len(readout.weights[str(order)]) for order in readout.orders}
    return readout.cpu().eval(), TrainingAccount(
        "random" if dense else "score", ranks, best.best_epoch + 1, best.best
    )


def _is_dense(vocabulary: Vocabulary, n_training: int, config: TrainConfig) -> bool:
    """Whether the samples can train dense factors: twice as many as there are free pair coefficients."""
    if config.start != "auto":
        return config.start == "random"
    free = vocabulary.n_states - 1.0 if not vocabulary.is_dosage else np.ones(vocabulary.n_sites)
    n_pairs = (free.sum() ** 2 - (free**2).sum()) / 2
    return bool(n_training >= 2 * n_pairs)


def _start(
    vocabulary: Vocabulary,
    calls: np.ndarray,
    covariates: np.ndarray,
    phenotype: np.ndarray,
    binary: bool,
    split: Split,
    config: TrainConfig,
    dense: bool,
) -> tuple[Readout, Penalties]:
    """Readout with starting values, and the penalties that go with them."""
    training = split.training
    columns = vocabulary.columns(calls[training])
    spread = np.sqrt(np.maximum(vocabulary.variance, 1e-12))
    columns /= spread
    y = phenotype[training]
    start, residual = additive_start(columns, y, covariates[training])
    # On the logit scale a unit moves the mean by p (1 - p).
    slope = float(y.mean() * (1 - y.mean())) if binary else 1.0
    factors: dict[int, np.ndarray] = {}
    if not dense:
        factors = _score_factors(columns, y, residual, covariates[training], vocabulary.site, config)
    ranks = {order: config.rank if dense else len(factors[order]) for order in range(2, config.order + 1)}
    readout = Readout(vocabulary, ranks, covariates.shape[1], tied=dense)
    # Readout parameters of states are per indicator, those of dosages per standard deviation.
    unit = 1.0 if vocabulary.is_dosage else spread
    with torch.no_grad():
        mean = float(y.mean())
        readout.bias.fill_(log(mean / (1 - mean)) if binary else start.intercept)
        readout.covariate.copy_(torch.as_tensor(start.covariates / slope))
        readout.additive.copy_(torch.as_tensor(start.additive / unit / slope))
        for order, values in factors.items():
            values = values / unit
            values[:, 0] /= slope
            readout.factors[str(order)].copy_(torch.as_tensor(values))
        if dense:
            _random_factors(readout, vocabulary, config)
    if dense:
        return readout, Penalties(additive=start.ridge * slope * 0.0, factor_l2=1e-5)
    universal = sqrt(2 * log(max(vocabulary.n_columns, 2)) / len(training))
    noise = sqrt(slope) if binary else start.noise
    return readout, Penalties(start.ridge * slope, config.penalty * noise * universal)


def _score_factors(
    columns: np.ndarray,
    phenotype: np.ndarray,
    residual: np.ndarray,
    covariates: np.ndarray,
    site: np.ndarray,
    config: TrainConfig,
) -> dict[int, np.ndarray]:
    """Sparse factors of every order from 2 up, read off the scores."""
    factors: dict[int, np.ndarray] = {}
    if config.order >= 2:
        factors[2] = pair_factors(columns, phenotype, residual, covariates, site, config.rank)
    for order in range(3, config.order + 1):
        factors[order], scored = isolated_factors(columns, residual, site, order, config.rank)
        if scored < len(site):
            _log.info(
                "order %d: scored the terms of the %d most promising of %d columns", order, scored, len(site)
            )
    return factors


def _random_factors(readout: Readout, vocabulary: Vocabulary, config: TrainConfig) -> None:
    """Small random factors: the entity values of a sample sum to about unit variance."""
    generator = torch.Generator().manual_seed(config.seed)
    for order in readout.orders:
        values = readout.factors[str(order)]
        values.copy_(
            torch.randn(values.shape, generator=generator, dtype=values.dtype) / sqrt(vocabulary.n_sites)
        )
        signs = torch.ones(values.shape[0])
        signs[1::2] = -1.0
        readout.weights[str(order)].copy_(0.1 * signs)


def _standardise(values: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean, scale = values[training].mean(axis=0), values[training].std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    return (values - mean) / scale, mean, scale


def _location(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std()) or 1.0


def _to_phenotype_units(
    readout: Readout, shift: float, scale: float, covariate_mean: np.ndarray, covariate_scale: np.ndarray
) -> None:
    """Fold the standardisation of phenotype and covariates into the parameters."""
    with torch.no_grad():
        readout.covariate.mul_(scale).div_(torch.as_tensor(covariate_scale).to(readout.covariate))
        offset = readout.covariate @ torch.as_tensor(covariate_mean).to(readout.covariate)
        readout.bias.mul_(scale).add_(shift - offset)
        readout.additive.mul_(scale)
        for weight in readout.weights.values():
            weight.mul_(scale)


def _trainer(config: TrainConfig, best: BestWeights, progress: bool, validate: bool) -> pl.Trainer:
    accelerator = "gpu" if config.device.startswith("cuda") else config.device
    return pl.Trainer(
        max_epochs=config.max_epochs,
        accelerator=accelerator,
        devices=1,
        callbacks=[best] if validate else [],
        limit_val_batches=1.0 if validate else 0,
        precision="64-true" if config.precision == 64 else "32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


@contextmanager
def _settings(config: TrainConfig) -> Iterator[None]:
    """Default dtype, torch seed and a quiet Lightning for the length of one training, put back afterwards."""
    dtype = torch.get_default_dtype()
    lightning = logging.getLogger("pytorch_lightning")
    level = lightning.level
    lightning.setLevel(logging.ERROR)
    torch.set_default_dtype(torch.float64 if config.precision == 64 else torch.float32)
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            torch.manual_seed(config.seed)
            yield
    finally:
        torch.set_default_dtype(dtype)
        lightning.setLevel(level)
