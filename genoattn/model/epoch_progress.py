"""A progress bar of epochs on stderr."""

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class EpochProgress(pl.Callback):
    """One line a training: epochs done out of the largest number possible, and the validation loss.

    Parameters
    ----------
    what
        What is being trained, in a word or two.
    """

    def __init__(self, what: str) -> None:
        self._progress = Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs{task.fields[loss]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._task = self._progress.add_task("", total=trainer.max_epochs, loss="")
        self._progress.start()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = trainer.callback_metrics.get("val_loss")
        text = "" if loss is None else f", validation loss {float(loss):.4g}"
        self._progress.update(self._task, advance=1, loss=text)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Where training stopped early, what was done is all there was to do.
        self._progress.update(self._task, total=trainer.current_epoch)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._progress.stop()
