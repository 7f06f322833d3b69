"""Callbacks of a training: early stopping that puts the best weights back, interruptions, and progress."""

import copy
import signal
import threading
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from genoattn.model.module import PhenotypeModule
from genoattn.progress import ProgressLines, can_draw


class BestWeights(pl.Callback):
    """Early stopping on the validation loss; the best weights are put back, and nothing touches the disk.

    Training stops after ``patience`` epochs without improvement. With ``start`` the weights that training
    began with are among those to choose from: a start in closed form that steps make worse is then kept, and
    ``best_epoch`` is -1. A resumed training goes on with what it has.
    """

    def __init__(self, patience: float, min_delta: float = 1e-5, start: bool = False) -> None:
        self.patience, self.min_delta, self.start = patience, min_delta, start
        self.best, self.best_epoch, self.waited = float("inf"), -1, 0
        self._weights: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._weights or self.waited:
            trainer.should_stop = self.waited > self.patience
        elif self.start:
            source: Any = trainer.datamodule  # type: ignore[attr-defined]
            assert isinstance(pl_module, PhenotypeModule)
            self.best = pl_module.mean_loss(source.validation_batches())
            self._weights = copy.deepcopy(pl_module.state_dict())

    def state_dict(self) -> dict[str, Any]:
        own = {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}
        return {**own, "weights": self._weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch, self.waited, self._weights = state_dict.values()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or "val_loss" not in trainer.callback_metrics:
            return
        value = float(trainer.callback_metrics["val_loss"])
        if value < self.best:
            self.waited = 0 if value < self.best - self.min_delta else self.waited + 1
            self.best, self.best_epoch = value, trainer.current_epoch
            self._weights = copy.deepcopy(pl_module.state_dict())
        else:
            self.waited += 1
        if self.waited > self.patience:
            trainer.should_stop = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._weights:
            pl_module.load_state_dict(self._weights)


class StopTogether(pl.Callback):
    """A request to terminate is an interruption of several processes, which end together.

    Lightning's own answer is a message to the others from wherever each stands, in which they wait for ever.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)


class EpochProgress(pl.Callback):
    """What is trained, epochs done out of the most possible, and the validation loss: on stderr."""

    def __init__(self, what: str) -> None:
        self._lines = None if can_draw() else ProgressLines(what)
        self._progress = Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=self._lines is not None,
        )

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._task = self._progress.add_task("", total=trainer.max_epochs, loss="")
        self._progress.start()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = trainer.callback_metrics.get("val_loss")
        text = "" if loss is None else f", validation loss {float(loss):.4g}"
        self._progress.update(self._task, advance=1, loss=text)
        if self._lines is not None:
            done, most = trainer.current_epoch + 1, trainer.max_epochs or 0
            self._lines.say(f"{done}/{most} epochs{text}", done / most if most > 0 else None)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Where training stopped early, what was done is all there was to do.
        self._progress.update(self._task, total=trainer.current_epoch)
        if self._lines is not None:
            loss = self._progress.tasks[self._task].fields["loss"]
            self._lines.say(f"{trainer.current_epoch} epochs{loss}", now=True)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._progress.stop()
