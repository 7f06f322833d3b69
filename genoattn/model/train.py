"""From a cohort's arrays to a trained readout in phenotype units."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytorch_lightning as pl
import torch

from genoattn.errors import InputError
from genoattn.features import TokenFeatures
from genoattn.model.account import TrainingAccount
from genoattn.model.config import TrainConfig, TrainingData
from genoattn.model.initial import check_config, initial_readout
from genoattn.model.kernel import kernel_readout, takes_kernel
from genoattn.model.likelihood import COUNTS, Likelihood, chosen_likelihood
from genoattn.model.prediction import predict_orders
from genoattn.model.progress import EpochProgress
from genoattn.model.readout import Readout, rescale_latent
from genoattn.model.split import Split
from genoattn.model.training import BestWeights, CohortData, PhenotypeModule
from genoattn.tokens import Vocabulary

_ONE_THREAD = 2**20
_STEPS = 2500
_LEAST_EPOCHS = 30


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
    back, those of a ``score`` start included; without any it goes on for ``config.max_epochs``, 0 to leave
    that start as it is.
    Landscapes of few sites have a closed form (``kernel`` start), which is not trained.

    Raises
    ------
    InputError
        Where the order exceeds the number of sites, or the attention does not go with the order or the size.
    """
    check_config(vocabulary, config)
    kind = chosen_likelihood(config.likelihood, data.phenotype, data.binary)
    if takes_kernel(vocabulary, config, kind, len(split.training)):
        return kernel_readout(vocabulary, data, split, config)
    n_values = min(len(split.training), 2048) * vocabulary.n_columns
    with _settings(config, n_values):
        covariates, c_mean, c_scale = _standardise(data.covariates, split.training)
        training = split.training
        shift, scale = _location(data.phenotype[training]) if kind in ("gaussian", "student") else (0.0, 1.0)
        y = (data.phenotype - shift) / scale
        variance = None if data.variance is None or kind != "gaussian" else data.variance / scale**2
        on_eta = np.log(y + 0.5) if kind in COUNTS else y  # what the additive start regresses
        chosen = TrainingData(
            data.calls[training],
            covariates[training],
            on_eta[training],
            data.binary,
            chromosome=data.chromosome,
            families=None if data.families is None else data.families[training],
        )
        start = initial_readout(vocabulary, chosen, config, features)
        readout = start.readout
        if readout.link is not None and kind in COUNTS:
            readout.link.rescale(*_location(chosen.phenotype))
        likelihood = Likelihood(kind, variance is not None)
        # At an optimum steps would only follow the rounding errors of a gradient that is zero.
        solved = kind == "gaussian" and variance is None and start.solved
        stays = solved or config.max_epochs == 0
        lr = 0.0 if stays else config.lr or start.lr
        module = PhenotypeModule(readout, likelihood, start.penalties, lr, start.annealed)
        batch = min(config.batch_size or start.batch_size, len(training))
        source = CohortData(
            data.calls, covariates, y, training, split.validation, batch, config.seed, variance
        )
        patience = config.max_epochs if start.annealed else config.patience
        best = BestWeights(patience, start=start.kind == "score" and not stays)
        n_epochs = 1 if stays else _n_epochs(config, start.annealed, len(training), batch)
        _run(_trainer(config, best, progress, bool(len(split.validation)), n_epochs), module, source)
        if len(split.validation) and not np.isfinite(best.best):
            raise InputError(
                "training diverged: the validation loss was never finite; lower the learning rate"
            )
        _to_phenotype_units(readout, shift, scale, c_mean, c_scale)
        likelihood.rescale(scale)
    readout = readout.cpu().eval()
    if readout.link is not None:
        latent = predict_orders(readout, data.calls[training], data.covariates[training]).sum(axis=1)
        rescale_latent(readout, *readout.link.calibrate(torch.as_tensor(latent).to(readout.bias)))
    ranks = {order: len(readout.weights[str(order)]) for order in readout.orders}
    account = TrainingAccount(start.kind, ranks, best.best_epoch + 1, best.best, kind, likelihood.record())
    return readout, account


def _n_epochs(config: TrainConfig, annealed: bool, n_samples: int, batch_size: int) -> int:
    """Epochs of a training whose length is set beforehand: enough steps, and enough passes over the data."""
    if not annealed:
        return config.max_epochs
    steps = -(-n_samples // batch_size)
    return min(config.max_epochs, max(_LEAST_EPOCHS, -(-_STEPS // steps)))


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
    rescale_latent(readout, shift, scale)
    if readout.link is not None:
        readout.link.rescale(shift, scale)
    with torch.no_grad():
        readout.covariate.div_(torch.as_tensor(covariate_scale).to(readout.covariate))
        readout.bias.sub_(readout.covariate @ torch.as_tensor(covariate_mean).to(readout.covariate))


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
