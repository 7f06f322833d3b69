"""Gradient training of a readout from its starting values."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment

from genoattn.errors import InputError
from genoattn.model.callbacks import BestWeights, EpochProgress, StopTogether
from genoattn.model.data import CohortData
from genoattn.model.module import PhenotypeModule
from genoattn.model.optimiser import OptimizerSettings, Penalties
from genoattn.model.own_trainer import on_loan
from genoattn.model.phenotype_likelihood import COUNTS, Likelihood, LikelihoodKind
from genoattn.model.readout import Readout
from genoattn.model.standardise import Standardisation, location
from genoattn.model.train_config import Split, TrainConfig, TrainingData, TrainingSummary
from genoattn.model.training_states import SaveState, TrainingStates

_log = logging.getLogger(__name__)
_LIGHTNING = ("pytorch_lightning", "lightning_fabric")
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
    patience: int = 40  # epochs without a smaller validation loss before training stops
    # whether the learning rate is to fall to zero over a number of epochs set beforehand
    annealed: bool = False
    # whether this is the optimum already: ridge regression without factors, or with fixed ones
    solved: bool = False


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """What carries out a training, shows it and keeps its state."""

    progress: bool = False
    trainer: pl.Trainer | None = None  # the user's, in place of ours
    states: TrainingStates | None = None


def on_linear_scale(phenotype: np.ndarray, kind: LikelihoodKind) -> np.ndarray:
    """Phenotype on the scale of the linear predictor, as least squares needs it: log(y + 1/2) of counts."""
    return np.log(phenotype + 0.5) if kind in COUNTS else phenotype


def train(
    start: InitialReadout,
    data: TrainingData,
    standardisation: Standardisation,
    split: Split,
    config: TrainConfig,
    kind: LikelihoodKind,
    run: TrainingRun = TrainingRun(),
) -> tuple[Readout, TrainingSummary]:
    """Train a readout, within :func:`training_settings`, and return it in phenotype units.

    With validation samples, training stops when their loss stops improving, and the best weights are put
    back, those of a ``score`` start included; without any it goes on for ``config.max_epochs``, 0 to leave
    that start as it is. A user's Trainer stops as it is told to by its own settings and callbacks.
    """
    readout, training = start.readout, split.training
    if readout.link is not None and kind in COUNTS:
        readout.link.rescale(*location(on_linear_scale(data.phenotype[training], kind)))
    known = kind == "gaussian" and data.variance is not None
    # At an optimum steps would only follow the rounding errors of a gradient that is zero.
    solved = kind == "gaussian" and not known and start.solved
    stays = solved or config.max_epochs == 0
    trainer = None if stays else run.trainer
    if stays and run.trainer is not None:
        _log.warning("the optimum is known in closed form: the Trainer given has nothing to train")
    lr, schedule = 0.0 if stays else config.lr or start.lr, "annealed" if start.annealed else None
    module = PhenotypeModule(
        readout,
        Likelihood(kind, known),
        start.penalties,
        standardisation,
        OptimizerSettings(lr, schedule=schedule),
    )
    batch = min(config.batch_size or start.batch_size, len(training))
    source = CohortData(data, split, batch_size=batch, seed=config.seed)
    # Annealed training ends at its best, so that stopping early would only cut the descent short.
    patience: float = start.patience if config.patience is None else config.patience
    if start.annealed or trainer is not None:
        patience = float("inf")
    best = BestWeights(patience, start=start.kind == "score" and not stays)
    n_epochs = 1 if stays else config.max_epochs
    if start.annealed and not stays:  # enough steps and enough passes, set beforehand
        n_epochs = min(n_epochs, max(_LEAST_EPOCHS, -(-_STEPS // -(-len(training) // batch))))
    saved = None if run.states is None else run.states.next_training()
    if trainer is not None:
        with on_loan(trainer, best, n_epochs):
            _fit(trainer, module, source)
    else:
        ours = _trainer(config, best, run.progress, bool(len(split.validation)), n_epochs, saved)
        _fit(ours, module, source, None if saved is None else saved.found())
    if len(split.validation) and not np.isfinite(best.best):
        raise InputError("training diverged: the validation loss was never finite; lower the learning rate")
    readout = module.in_phenotype_units().cpu().eval()
    likelihood = copy.deepcopy(module.likelihood)
    likelihood.rescale(standardisation.scale)
    return readout, TrainingSummary(
        start.kind, readout.ranks, best.best_epoch + 1, best.best, kind, likelihood.record()
    )


def _fit(trainer: pl.Trainer, module: PhenotypeModule, source: CohortData, state: Path | None = None) -> None:
    """Fit; an interruption stays one, where Lightning would shut down gracefully and carry on or exit."""
    try:
        trainer.fit(module, datamodule=source, ckpt_path=state)
    except SystemExit:
        raise KeyboardInterrupt from None
    if trainer.interrupted:
        raise KeyboardInterrupt


def _trainer(
    config: TrainConfig,
    best: BestWeights,
    progress: bool,
    validate: bool,
    n_epochs: int,
    saved: SaveState | None,
) -> pl.Trainer:
    callbacks: list[pl.Callback] = [best] if validate else []
    if saved is not None:
        callbacks.append(saved)
    if config.devices > 1:
        callbacks.append(StopTogether())
    if progress:
        callbacks.append(EpochProgress("training" if validate else "training again on all samples"))
    accelerator = "gpu" if config.device.startswith("cuda") else config.device
    # Our own processes on this machine, one a device, whatever a cluster's scheduler has set up.
    several: dict[str, Any] = {"strategy": "ddp", "plugins": [LightningEnvironment()]}
    return pl.Trainer(
        max_epochs=n_epochs,
        accelerator=accelerator,
        devices=config.devices,
        **(several if config.devices > 1 else {}),
        callbacks=callbacks,
        limit_val_batches=1.0 if validate else 0,
        precision=config.precision,
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
    lightning = [logging.getLogger(name) for name in _LIGHTNING]
    levels = [logger.level for logger in lightning]
    for logger in lightning:
        logger.setLevel(logging.ERROR)
    threads = torch.get_num_threads()
    if n_values < _ONE_THREAD:
        torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64 if config.precision == 64 else torch.float32)
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.filterwarnings("ignore", module="|".join(_LIGHTNING))
            torch.manual_seed(config.seed)
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
        for logger, level in zip(lightning, levels, strict=True):
            logger.setLevel(level)
