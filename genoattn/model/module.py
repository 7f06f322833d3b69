"""A thin LightningModule around the readout: loss, optimiser, logging; early stopping; progress."""

import copy
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn

from genoattn.model.optimiser import Penalties, ProximalAdam, annealing, penalty_weights
from genoattn.model.phenotype_likelihood import Likelihood
from genoattn.model.readout import Readout

_NOISE_FREE = 0.02  # residual variance of a standardised phenotype


class PhenotypeModule(pl.LightningModule):
    """Loss, optimiser and logging of a :class:`Readout`.

    ``annealed``: the learning rate rises over the first tenth of the steps and falls to zero as a cosine, so
    that training ends at its best (Loshchilov & Hutter 2017).
    """

    def __init__(
        self,
        readout: Readout,
        likelihood: Likelihood,
        penalties: Penalties,
        lr: float,
        annealed: bool = False,
    ) -> None:
        super().__init__()
        self.readout, self.likelihood, self.penalties = readout, likelihood, penalties
        self.lr, self.annealed = lr, annealed

    def forward(self, calls: Tensor, covariates: Tensor) -> Tensor:
        """Linear predictor, (sample,)."""
        return self.readout.respond(self.readout(calls, covariates).sum(dim=-1))

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        """Mean negative log-likelihood of (calls, covariates, phenotype[, variance]), up to a constant."""
        calls, covariates, phenotype, *variance = batch
        return self.likelihood(self(calls, covariates), phenotype, *variance)

    def training_step(self, batch: Any, _: int) -> Tensor:
        loss = self.loss(batch)
        if (
            self.penalties.factor_l2
            and self.likelihood.kind == "gaussian"
            and not self.likelihood.known_variance
        ):
            # Without noise a prior would only bias: it fades with the residual variance below 2 %.
            fading = min(1.0, 2 * float(loss.detach()) / _NOISE_FREE)
            for group in self.trainer.optimizers[0].param_groups:
                if group["prior"]:
                    group["l2"] = self.penalties.factor_l2 * fading
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        self.log("val_loss", self.loss(batch), prog_bar=True, batch_size=len(batch[0]))

    def configure_optimizers(self) -> Any:
        optimizer = ProximalAdam(self._groups(), lr=self.lr)
        if not self.annealed:
            return optimizer
        n_steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: annealing(step, n_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _groups(self) -> list[dict[str, Any]]:
        """Parameters by their penalty."""
        r = self.readout
        sparse: list[nn.Parameter] = []
        if self.penalties.factor > 0:
            sparse = [p for order in r.orders for p in r.factor_module(order).sparse_parameters()]
        others = [p for p in r.factors.parameters() if not any(p is q for q in sparse)]
        feature_effects = [] if r.additive_features is None else list(r.additive_features.parameters())
        shapes = [] if r.link is None else [p for p in r.link.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [r.bias, r.covariate, *feature_effects, *shapes, *self.likelihood.parameters()]},
            {"params": [r.additive], "l2": self.penalties.additive},
            {
                "params": sparse,
                "l1": self.penalties.factor,
                "l1_weights": [penalty_weights(p.detach(), self.penalties.support) for p in sparse],
            },
            {"params": others, "l2": self.penalties.factor_l2, "prior": True},
            {"params": [w for w in r.weights.values() if w.requires_grad]},
        ]
        return [g for g in groups if g["params"]]


class BestWeights(pl.Callback):
    """Early stopping on the validation loss; the best weights are put back, and nothing touches the disk.

    Training stops after ``patience`` epochs without improvement. With ``start`` the weights that training
    began with are among those to choose from: a start in closed form that steps make worse is then kept, and
    ``best_epoch`` is -1.
    """

    def __init__(self, patience: int, min_delta: float = 1e-5, start: bool = False) -> None:
        self.patience, self.min_delta, self.start = patience, min_delta, start
        self.best, self.best_epoch, self.waited = float("inf"), -1, 0
        self._weights: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self.start:
            return
        source: Any = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, PhenotypeModule)
        with torch.no_grad():
            batches = [tuple(t.to(pl_module.device) for t in batch) for batch in source.val_dataloader()]
            losses = [float(pl_module.loss(batch)) * len(batch[0]) for batch in batches]
        self.best = sum(losses) / sum(len(batch[0]) for batch in batches)
        self._weights = copy.deepcopy(pl_module.state_dict())

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
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


class EpochProgress(pl.Callback):
    """One line on stderr: what is trained, epochs done out of the most possible, and the validation loss."""

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
