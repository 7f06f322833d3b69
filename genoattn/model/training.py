"""A thin LightningModule around the readout: loss, proximal optimiser, logging; and its data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from genoattn.model.likelihood import Likelihood
from genoattn.model.readout import Readout

_NOISE_FREE = 0.02  # residual variance of a standardised phenotype


class ProximalAdam(torch.optim.Optimizer):
    """Adam, then soft-thresholding in Adam's own metric, so that sparse parameters reach exact zeros.

    After the step of size lr * m / (sqrt(v) + p) a parameter with penalty p is shrunk towards zero by
    lr * p / (sqrt(v) + p): a zero stays zero while its smoothed gradient is below p (Yun et al. 2021,
    ProxGen). The penalty in the denominator bounds one step's shrinkage by lr; without it a parameter that
    starts at its optimum, where the gradient vanishes, would be wiped out by the first step.

    Parameters
    ----------
    params
        Parameter groups; ``l1`` of a group is a penalty (float), ``l1_weights`` a list of tensors that
        multiply it.
    lr
        Step size.
    """

    def __init__(self, params: Iterable[Any], lr: float, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        if not lr >= 0:
            raise ValueError(f"lr: got {lr}, needs 0 or a positive number")
        super().__init__(
            params,
            {"lr": lr, "betas": betas, "eps": 1e-8, "l1": 0.0, "l2": 0.0, "l1_weights": None, "prior": False},
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            weights = group["l1_weights"] or [1.0] * len(group["params"])
            for p, weight in zip(group["params"], weights, strict=True):
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(step=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                gradient = p.grad + group["l2"] * p
                state["step"] += 1
                state["m"].mul_(beta1).add_(gradient, alpha=1 - beta1)
                state["v"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
                m = state["m"] / (1 - beta1 ** state["step"])
                v = state["v"] / (1 - beta2 ** state["step"])
                penalty = group["l1"] * weight
                rate = group["lr"] / (v.sqrt() + penalty + group["eps"])
                p.sub_(rate * m)
                if group["l1"]:
                    p.copy_(p.sign() * (p.abs() - rate * penalty).clamp(min=0))
        return loss


@dataclass(frozen=True)
class Penalties:
    """Penalties on the mean loss.

    Parameters
    ----------
    additive
        L2 on additive effects.
    factor
        L1 on factor entries away from the start; entries in its support bear ``support`` times as much.
    support
        Relative L1 of the entries that the start made non-zero.
    factor_l2
        L2 on factor entries; less where less than 2 % of a Gaussian phenotype's variance is left.
    """

    additive: float = 0.0
    factor: float = 0.0
    support: float = 0.1
    factor_l2: float = 0.0


class PhenotypeModule(pl.LightningModule):
    """Loss, optimiser and logging of a :class:`Readout`.

    Parameters
    ----------
    readout
        The model.
    likelihood
        Of the phenotype.
    penalties
        See :class:`Penalties`.
    lr
        Learning rate.
    annealed
        Whether the learning rate rises over the first tenth of the steps and falls to zero as a cosine, so
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
            # A prior yields to data without noise: it fades with what is left of the variance below 2 %.
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
                "l1_weights": [_penalty_weights(p.detach(), self.penalties.support) for p in sparse],
            },
            {"params": others, "l2": self.penalties.factor_l2, "prior": True},
            {"params": [w for w in r.weights.values() if w.requires_grad]},
        ]
        return [g for g in groups if g["params"]]


def annealing(step: int, n_steps: int) -> float:
    """Share of the learning rate at a step: up in a straight line for a tenth, then down as half a cosine."""
    rise = min(1.0, (step + 1) / (0.1 * n_steps))
    return rise * 0.5 * (1 + cos(pi * min(step / n_steps, 1.0)))


def _penalty_weights(factor: Tensor, support: float) -> Tensor:
    """Relative L1 of each entry of factors (rank, slot, column).

    The gradient of an entry has the size of its partners, the other slots of its rank, and noise scales
    with it; entries that the start chose bear only ``support`` of the penalty that noise alone would need.
    """
    norm = factor.norm(dim=2, keepdim=True)  # (rank, slot, 1)
    partners = norm.prod(dim=1, keepdim=True) / norm.clamp(min=1e-12)
    return partners * torch.where(factor != 0, support, 1.0).to(factor)


class Batches:
    """Calls, covariates, phenotype and its variances in memory, served in batches, not copied one by one."""

    def __init__(
        self, tensors: tuple[Tensor, ...], batch_size: int, generator: torch.Generator | None = None
    ) -> None:
        self.tensors, self.batch_size, self.generator = tensors, batch_size, generator

    def __len__(self) -> int:
        return -(-len(self.tensors[0]) // self.batch_size)

    def __iter__(self) -> Any:
        n = len(self.tensors[0])
        if self.batch_size >= n:
            yield self.tensors
            return
        order = torch.arange(n) if self.generator is None else torch.randperm(n, generator=self.generator)
        for start in range(0, n, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield tuple(t[chosen] for t in self.tensors)


class CohortData(pl.LightningDataModule):
    """Training and validation batches of a cohort.

    Parameters
    ----------
    calls
        Shape (n_samples, n_sites), int8.
    covariates
        Shape (n_samples, n_covariates), float.
    phenotype
        Shape (n_samples,), float.
    training, validation
        Sample indices.
    batch_size
        Samples in a training batch.
    seed
        Of the order of the batches.
    variance
        Shape (n_samples,), known variances of the phenotype, if any.
    """

    def __init__(
        self,
        calls: np.ndarray,
        covariates: np.ndarray,
        phenotype: np.ndarray,
        training: np.ndarray,
        validation: np.ndarray,
        batch_size: int,
        seed: int,
        variance: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        dtype = torch.get_default_dtype()
        numbers = [covariates, phenotype] if variance is None else [covariates, phenotype, variance]
        self.tensors = (torch.tensor(calls), *(torch.tensor(a, dtype=dtype) for a in numbers))
        self.training, self.validation = torch.tensor(training), torch.tensor(validation)
        self.batch_size, self.seed = batch_size, seed

    def train_dataloader(self) -> Any:
        generator = torch.Generator().manual_seed(self.seed)
        return Batches(tuple(t[self.training] for t in self.tensors), self.batch_size, generator)

    def val_dataloader(self) -> Any:
        return Batches(tuple(t[self.validation] for t in self.tensors), max(self.batch_size, 4096))


class BestWeights(pl.Callback):
    """Early stopping on the validation loss; the best weights are put back, and nothing touches the disk.

    Parameters
    ----------
    patience
        Epochs without improvement before training stops.
    min_delta
        Smallest improvement.
    start
        Whether the weights that training began with are among those to choose from: a start in closed form
        that steps make worse is then kept, and ``best_epoch`` is -1.
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
