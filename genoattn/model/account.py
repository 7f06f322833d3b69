"""What is known of a training once it is over."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from genoattn.interactions.posterior import Posterior
from genoattn.model.likelihood import LikelihoodKind


@dataclass(frozen=True, eq=False)
class TrainingAccount:
    """How a training went.

    Parameters
    ----------
    start, ranks
        Kind of start, and ranks by order.
    best_epoch, validation_loss
        Epoch (counted from 1) of the least validation loss, and that loss.
    likelihood, noise
        Kind of likelihood, and what it learned beside the predictor, by name.
    posterior
        Of the coefficients, where they have one (``kernel`` start).
    """

    start: str
    ranks: dict[int, int]
    best_epoch: int
    validation_loss: float
    likelihood: LikelihoodKind = "gaussian"
    noise: dict[str, float] = field(default_factory=dict)
    posterior: Posterior | None = None

    def record(self) -> dict[str, Any]:
        """All but the posterior, for a manifest."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "posterior"}
