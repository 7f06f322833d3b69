"""Summary of a finished training."""

from dataclasses import asdict, dataclass, field
from typing import Any

from genoattn.model.phenotype_likelihood import LikelihoodKind


@dataclass(frozen=True)
class TrainingSummary:
    """Start, length and outcome of a training."""

    # kind of start, and ranks by order
    start: str
    ranks: dict[int, int]
    # epoch (counted from 1) of the least validation loss, and that loss
    best_epoch: int
    validation_loss: float
    # kind of likelihood, and its learned parameters by name
    likelihood: LikelihoodKind = "gaussian"
    noise: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """All fields by name, for a manifest."""
        return asdict(self)
