"""From a cohort's arrays to a trained readout in phenotype units."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch

from genoattn.errors import InputError
from genoattn.features import TokenFeatures
from genoattn.model.config import TrainConfig, TrainingData
from genoattn.model.initial import check_config, initial_readout
from genoattn.model.progress import EpochProgress
from genoattn.model.readout import Readout
from genoattn.model.split import Split
from genoattn.model.training import BestWeights, CohortData, PhenotypeModule
from genoattn.tokens import Vocabulary

_ONE_THREAD = 2**20


@dataclass(frozen=True)
class TrainingAccount:
    """How a training went: start, ranks by order, best epoch (counted from 1), validation loss there."""

    start: str
    ranks: dict[int, int]
    best_epoch: int
    validation_loss: float


def train_readout(
    vocabulary: Vocabulary,
    data: TrainingData,
    split: Split,
    config: TrainConfig,
    features: TokenFeatures | None = None,
    progress: bool = False,
) -> tuple[Readout, TrainingAccount]:
    """Start, train, and return a readout in phenotype units, with what happened.

    With validation samples, training stops when their loss stops improving, and the best weights are put
    back; without any it goes on for ``config.max_epochs``.

    Raises
    ------
    InputError
        Where the order exceeds the number of sites, or the attention does not go with the order or the size.
    """
    check_config(vocabulary, config)
    n_values = min(len(split.training), 2048) * vocabulary.n_columns
    with _settings(config, n_values):
        covariates, c_mean, c_scale = _standardise(data.covariates, split.training)
        shift, scale = (0.0, 1.0) if data.binary else _location(data.phenotype[split.training])
        y = (data.phenotype - shift) / scale
        training = split.training
        chosen = TrainingData(data.calls[training], covariates[training], y[training], data.binary)
        start = initial_readout(vocabulary, chosen, config, features)
        readout = start.readout
        module = PhenotypeModule(readout, data.binary, start.penalties, config.lr or start.lr)
        batch = min(config.batch_size or start.batch_size, len(training))
        source = CohortData(data.calls, covariates, y, training, split.validation, batch, config.seed)
        best = BestWeights(config.patience)
        _run(_trainer(config, best, progress, bool(len(split.validation))), module, source)
        if len(split.validation) and best.best_epoch < 0:
            raise InputError(
                "training diverged: the validation loss was never finite; lower the learning rate"
            )
        _to_phenotype_units(readout, shift, scale, c_mean, c_scale)
    ranks = {order: len(readout.weights[str(order)]) for order in readout.orders}
    return readout.cpu().eval(), TrainingAccount(start.kind, ranks, best.best_epoch + 1, best.best)


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
        if readout.additive_features is not None:
            for effect in readout.additive_features.parameters():
                effect.mul_(scale)
        for weight in readout.weights.values():
            weight.mul_(scale)


def _run(trainer: pl.Trainer, module: PhenotypeModule, source: CohortData) -> None:
    """Fit; an interruption stays one, where Lightning would shut down gracefully and carry on or exit."""
    try:
        trainer.fit(module, datamodule=source)
    except SystemExit:
        raise KeyboardInterrupt from None
    if trainer.interrupted:
        raise KeyboardInterrupt


def _trainer(config: TrainConfig, best: BestWeights, progress: bool, validate: bool) -> pl.Trainer:
    callbacks: list[pl.Callback] = [best] if validate else []
    if progress:
        callbacks.append(EpochProgress("training" if validate else "training again on all samples"))
    accelerator = "gpu" if config.device.startswith("cuda") else config.device
    return pl.Trainer(
        max_epochs=config.max_epochs,
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
def _settings(config: TrainConfig, n_values: int) -> Iterator[None]:
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
