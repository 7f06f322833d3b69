"""Gradient training of a readout from its starting values."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch

from genoattn.errors import InputError
from genoattn.model.data import CohortData
from genoattn.model.module import BestWeights, EpochProgress, PhenotypeModule
from genoattn.model.optimiser import Penalties
from genoattn.model.phenotype_likelihood import COUNTS, Likelihood, LikelihoodKind
from genoattn.model.readout import Readout, rescale_latent
from genoattn.model.train_config import Split, TrainConfig, TrainingData, TrainingSummary

_ONE_THREAD = 2**20
_STEPS = 2500
_LEAST_EPOCHS = 30


@dataclass(frozen=True, eq=False)
class InitialReadout:
    """A readout with starting values, and the settings that suit them."""

    readout: Readout  # on the scale of the standardised phenotype, or of log-odds
    penalties: Penalties
    # ``score``: sparse factors read off the scores; ``random``: dense ones; ``zero``: full attention at C = 0
    kind: str
    # that suit this start
    lr: float
    batch_size: int
    # whether the learning rate is to fall to zero over a number of epochs set beforehand
    annealed: bool = False
    # whether this is the optimum already: ridge regression without factors, or with fixed ones
    solved: bool = False


@dataclass(frozen=True, eq=False)
class Standardised:
    """Arrays of a cohort on the scale of the training, and the way back."""

    # (n_samples, n_covariates), mean 0 and standard deviation 1 over the training samples
    covariates: np.ndarray
    phenotype: np.ndarray  # (n_samples,), ``(y - shift) / scale``; binary traits and counts keep their values
    # (n_samples,), known variances of ``phenotype``; None where the likelihood has none
    variance: np.ndarray | None
    # (n_covariates,), what was subtracted, and divided by
    covariate_mean: np.ndarray
    covariate_scale: np.ndarray
    # of the phenotype
    shift: float
    scale: float


def standardise(data: TrainingData, training: np.ndarray, kind: LikelihoodKind) -> Standardised:
    """Phenotype and covariates standardised by the moments of the training samples."""
    mean, deviation = data.covariates[training].mean(axis=0), data.covariates[training].std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    shift, scale = _location(data.phenotype[training]) if kind in ("gaussian", "student") else (0.0, 1.0)
    variance = None if data.variance is None or kind != "gaussian" else data.variance / scale**2
    covariates = (data.covariates - mean) / deviation
    return Standardised(covariates, (data.phenotype - shift) / scale, variance, mean, deviation, shift, scale)


def on_linear_scale(phenotype: np.ndarray, kind: LikelihoodKind) -> np.ndarray:
    """Phenotype on the scale of the linear predictor, as least squares needs it: log(y + 1/2) of counts."""
    return np.log(phenotype + 0.5) if kind in COUNTS else phenotype


def train(
    start: InitialReadout,
    calls: np.ndarray,
    values: Standardised,
    split: Split,
    config: TrainConfig,
    kind: LikelihoodKind,
    progress: bool = False,
) -> tuple[Readout, TrainingSummary]:
    """Train a readout, within :func:`training_settings`, and return it in phenotype units.

    With validation samples, training stops when their loss stops improving, and the best weights are put
    back, those of a ``score`` start included; without any it goes on for ``config.max_epochs``, 0 to leave
    that start as it is. Calls are (n_samples, n_sites), int8, -1 where missing.
    """
    readout, training = start.readout, split.training
    if readout.link is not None and kind in COUNTS:
        readout.link.rescale(*_location(on_linear_scale(values.phenotype[training], kind)))
    likelihood = Likelihood(kind, values.variance is not None)
    # At an optimum steps would only follow the rounding errors of a gradient that is zero.
    solved = kind == "gaussian" and values.variance is None and start.solved
    stays = solved or config.max_epochs == 0
    lr = 0.0 if stays else config.lr or start.lr
    module = PhenotypeModule(readout, likelihood, start.penalties, lr, start.annealed)
    batch = min(config.batch_size or start.batch_size, len(training))
    arrays = calls, values.covariates, values.phenotype, values.variance
    source = CohortData(arrays, split, batch, config.seed)
    # Annealed training ends at its best, so that stopping early would only cut the descent short.
    patience = config.max_epochs if start.annealed else config.patience
    best = BestWeights(patience, start=start.kind == "score" and not stays)
    n_epochs = 1 if stays else config.max_epochs
    if start.annealed and not stays:  # enough steps and enough passes, set beforehand
        n_epochs = min(n_epochs, max(_LEAST_EPOCHS, -(-_STEPS // -(-len(training) // batch))))
    _run(_trainer(config, best, progress, bool(len(split.validation)), n_epochs), module, source)
    if len(split.validation) and not np.isfinite(best.best):
        raise InputError("training diverged: the validation loss was never finite; lower the learning rate")
    _to_phenotype_units(readout, values)
    likelihood.rescale(values.scale)
    readout = readout.cpu().eval()
    return readout, TrainingSummary(
        start.kind, readout.ranks, best.best_epoch + 1, best.best, kind, likelihood.record()
    )


def _location(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std()) or 1.0


def _to_phenotype_units(readout: Readout, values: Standardised) -> None:
    """Fold the standardisation of phenotype and covariates into the parameters."""
    rescale_latent(readout, values.shift, values.scale)
    if readout.link is not None:
        readout.link.rescale(values.shift, values.scale)
    with torch.no_grad():
        readout.covariate.div_(torch.as_tensor(values.covariate_scale).to(readout.covariate))
        readout.bias.sub_(readout.covariate @ torch.as_tensor(values.covariate_mean).to(readout.covariate))


def _run(trainer: pl.Trainer, module: PhenotypeModule, source: CohortData) -> None:
    """Fit; an interruption stays one, where Lightning would shut down gracefully and carry on or exit."""
    try:
        trainer.fit(module, datamodule=source)
    except SystemExit:
        raise KeyboardInterrupt from None
    if trainer.interrupted:
        raise KeyboardInterrupt


def _trainer(
    config: TrainConfig, best: BestWeights, progress: bool, validate: bool, n_epochs: int
) -> pl.Trainer:
    callbacks: list[pl.Callback] = [best] if validate else []
    if progress:
        callbacks.append(EpochProgress("training" if validate else "training again on all samples"))
    accelerator = "gpu" if config.device.startswith("cuda") else config.device
    return pl.Trainer(
        max_epochs=n_epochs,
        accelerator=accelerator,
        devices=1,
        callbacks=callbacks,
        limit_val_batches=1.0 if validate else 0,
        precision="64-true" if config.precision == 64 else "32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


@contextmanager
def training_settings(config: TrainConfig, n_values: int) -> Iterator[None]:
    """Default dtype, torch seed, threads and a quiet Lightning for one training, put back afterwards.

    With ``n_values`` numbers in a batch so few that threads would wait for each other, there is one thread.
    """
    dtype = torch.get_default_dtype()
    lightning = logging.getLogger("pytorch_lightning")
    level = lightning.level
    lightning.setLevel(logging.ERROR)
    threads = torch.get_num_threads()
    if n_values < _ONE_THREAD:
        torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64 if config.precision == 64 else torch.float32)
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            torch.manual_seed(config.seed)
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
        lightning.setLevel(level)
