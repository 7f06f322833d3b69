"""Optimisers and learning rates: proximal Adam for sparse factors, its penalties, and those of torch."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

from genoattn.errors import InputError
from genoattn.model.phenotype_likelihood import Likelihood
from genoattn.model.readout import Readout

Made = str | Callable[..., Any] | None


class ProximalAdam(torch.optim.Optimizer):
    """Adam, then soft-thresholding in Adam's own metric, so that sparse parameters reach exact zeros.

    After the step of size lr * m / (sqrt(v) + p) a parameter with penalty p is shrunk towards zero by lr * p
    / (sqrt(v) + p): a zero stays zero while its smoothed gradient is below p (Yun et al. 2021, ProxGen). The
    penalty in the denominator bounds one step's shrinkage by lr; without it a parameter that starts at its
    optimum, where the gradient vanishes, would be wiped out by the first step. ``l1`` of a parameter group is
    a penalty, ``l1_weights`` a list of tensors that multiply it.
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
    """Penalties on the mean loss."""

    additive: float = 0.0  # L2 on additive effects
    # L1 on factor entries away from the start; entries in its support bear ``support`` times as much
    factor: float = 0.0
    support: float = 0.1  # relative L1 of the entries that the start made non-zero
    # L2 on factor entries; less where the residual variance of a Gaussian phenotype is below 2 %
    factor_l2: float = 0.0


def annealing(step: int, n_steps: int) -> float:
    """Share of the learning rate at a step: up in a straight line for a tenth, then down as half a cosine."""
    rise = min(1.0, (step + 1) / (0.1 * n_steps))
    return rise * 0.5 * (1 + cos(pi * min(step / n_steps, 1.0)))


def penalty_weights(factor: Tensor, support: float) -> Tensor:
    """Relative L1 of each entry of factors (rank, slot, column).

    The gradient of an entry has the size of its partners, the other slots of its rank, and noise scales
    with it; entries that the start chose bear only ``support`` of the penalty that noise alone would need.
    """
    norm = factor.norm(dim=2, keepdim=True)  # (rank, slot, 1)
    partners = norm.prod(dim=1, keepdim=True) / norm.clamp(min=1e-12)
    return partners * torch.where(factor != 0, support, 1.0).to(factor)


def _sparse(readout: Readout, penalties: Penalties) -> list[nn.Parameter]:
    if not penalties.factor > 0:
        return []
    modules = [readout.attention(order) for order in readout.orders]
    return [p for module in modules for p in module.sparse_parameters() if p.requires_grad]


def penalty(readout: Readout, penalties: Penalties) -> Tensor:
    """Penalties as a part of the loss, for optimisers that know none."""
    sparse = _sparse(readout, penalties)
    others = [p for p in readout.factors.parameters() if not any(p is q for q in sparse)]
    out = 0.5 * penalties.additive * (readout.additive**2).sum()
    out = out + sum(penalties.factor * (penalty_weights(p.detach(), 1.0) * p.abs()).sum() for p in sparse)
    return out + sum(0.5 * penalties.factor_l2 * (p**2).sum() for p in others)


def parameter_groups(readout: Readout, likelihood: Likelihood, penalties: Penalties) -> list[dict[str, Any]]:
    """Trained parameters by their penalty, for :class:`ProximalAdam`."""
    r, sparse = readout, _sparse(readout, penalties)
    others = [p for p in r.factors.parameters() if not any(p is q for q in sparse)]
    feature_effects = [] if r.additive_features is None else list(r.additive_features.parameters())
    shapes = [] if r.link is None else list(r.link.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [r.bias, r.covariate, *feature_effects, *shapes, *likelihood.parameters()]},
        {"params": [r.additive], "l2": penalties.additive},
        {
            "params": sparse,
            "l1": penalties.factor,
            "l1_weights": [penalty_weights(p.detach(), penalties.support) for p in sparse],
        },
        {"params": others, "l2": penalties.factor_l2, "prior": True},
        {"params": list(r.weights.values())},
    ]
    trained = [{**g, "params": [p for p in g["params"] if p.requires_grad]} for g in groups]
    return [g for g in trained if g["params"]]


@dataclass(frozen=True, eq=False)
class OptimizerSettings:
    """Optimiser and schedule, by name with options, or as functions.

    ``proximal-adam`` and ``annealed`` are our own; other names are classes of ``torch.optim`` and
    ``torch.optim.lr_scheduler``. A function makes the optimiser of the parameters, or the schedule of the
    optimiser.
    """

    lr: float = 0.02
    optimizer: Made = "proximal-adam"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    schedule: Made = None
    schedule_options: Mapping[str, Any] = field(default_factory=dict)

    def make_optimizer(
        self, readout: Readout, likelihood: Likelihood, penalties: Penalties
    ) -> torch.optim.Optimizer:
        """Of the trained parameters."""
        if self.optimizer == "proximal-adam":
            groups = parameter_groups(readout, likelihood, penalties)
            return ProximalAdam(groups, lr=self.lr, **self.optimizer_options)
        trained = [p for part in (readout, likelihood) for p in part.parameters() if p.requires_grad]
        if callable(self.optimizer):
            return self.optimizer(trained, **self.optimizer_options)  # type: ignore[no-any-return]
        kind = _named(torch.optim, str(self.optimizer), "optimizer", "proximal-adam")
        return kind(trained, **{"lr": self.lr, **self.optimizer_options})  # type: ignore[no-any-return]

    def make_schedule(self, optimizer: torch.optim.Optimizer, n_steps: int) -> dict[str, Any]:
        """For a Trainer: ``annealed`` is stepped every batch, up to ``n_steps``, all others every epoch."""
        if self.schedule == "annealed":
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: annealing(step, n_steps))
            return {"scheduler": schedule, "interval": "step"}
        kind = self.schedule
        if not callable(kind):
            kind = _named(torch.optim.lr_scheduler, str(kind), "schedule", "annealed")
        return {"scheduler": kind(optimizer, **self.schedule_options), "monitor": "val_loss"}


def _named(module: Any, name: str, what: str, own: str) -> Any:
    """A class of a torch module by its name."""
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise InputError(f"{what} {name!r} is unknown; choose {own}, or a class of {module.__name__}")
    return found
