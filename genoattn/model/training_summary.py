"""Summary of a finished training."""

from dataclasses import asdict, dataclass, field
from typing import Any

from genoattn.model.phenotype_likelihood import LikelihoodKind


@dataclass(frozen=True)
class TrainingSummary:
    """Start, length and outcome of a training.

    Parameters
    ----------
    start, ranks
        Kind of start, and ranks by order.
    best_epoch, validation_loss
        Epoch (counted from 1) of the least validation loss, and that loss.
    likelihood, noise
        Kind of likelihood, and its learned parameters by name.
    """

    start: str
    ranks: dict[int, int]
    best_epoch: int
    validation_loss: float
    likelihood: LikelihoodKind = "gaussian"
    noise: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """All fields by name, for a manifest."""
        return asdict(self)
