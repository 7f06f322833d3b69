"""A user's own Trainer in a fit: what it must be, and its loan to one training."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher

from genoattn.errors import InputError
from genoattn.model.callbacks import BestWeights
from genoattn.model.train_config import PRECISIONS, TrainConfig

# As Lightning names them, and as we do.
_SAME_PRECISION = {"32": 32, "32-true": 32, "64": 64, "64-true": 64}


def known_precision(precision: Any) -> Any:
    """Our name of a precision of Lightning's, else the precision itself."""
    return _SAME_PRECISION.get(precision, precision)


def settings_of_trainer(trainer: Any, config: TrainConfig) -> TrainConfig:
    """Settings with the precision and the number of epochs of a user's Trainer.

    Raises
    ------
    InputError
        Where it is no Trainer of ``pytorch_lightning``, or one that cannot train the model of a fit.
    """
    if not isinstance(trainer, pl.Trainer):
        kind = type(trainer)
        raise InputError(
            f"trainer is a {kind.__module__}.{kind.__name__}; give a pytorch_lightning.Trainer, "
            "which does not mix with classes of the package lightning"
        )
    if trainer.global_step or trainer.current_epoch:
        raise InputError(f"the Trainer has trained {trainer.current_epoch} epochs already; make a new one")
    if not trainer.limit_val_batches or trainer.barebones:
        raise InputError(
            "the Trainer does not validate, which the choice of the best weights needs; make one without "
            "limit_val_batches=0 and barebones"
        )
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise InputError(
            "the Trainer trains in spawned processes, from which the best weights do not come back; make one "
            'with strategy="ddp"'
        )
    precision = known_precision(trainer.precision)
    if precision not in PRECISIONS:
        raise InputError(
            f"precision {precision} of the Trainer is none of a fit; choose one of "
            f"{', '.join(map(str, PRECISIONS))}"
        )
    epochs = trainer.max_epochs
    return replace(
        config, precision=precision, max_epochs=epochs if epochs and epochs > 0 else config.max_epochs
    )


@contextmanager
def on_loan(trainer: pl.Trainer, best: BestWeights, n_epochs: int) -> Iterator[None]:
    """The Trainer with our callback ahead of its own, for ``n_epochs`` where it has no number itself."""
    lent: Any = trainer  # Lightning sets its callbacks where types are not read
    callbacks = lent.callbacks
    lent.callbacks = [best, *callbacks]
    if trainer.max_epochs is None:
        trainer.fit_loop.max_epochs = n_epochs
    try:
        yield
    finally:
        lent.callbacks = callbacks
    if not (best.waited or best.best_epoch >= 0):
        raise InputError(
            f"the Trainer ended without a validation, after {trainer.current_epoch} epochs; let it validate "
            "every epoch"
        )
