"""The scale of a training: phenotype and covariates standardised by moments of the training samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genoattn.model.phenotype_likelihood import LikelihoodKind
from genoattn.model.train_config import TrainingData


@dataclass(frozen=True)
class Standardisation:
    """Moments of the training samples.

    The phenotype is ``(y - shift) / scale``; binary traits and counts keep their values.
    """

    shift: float
    scale: float
    covariate_mean: tuple[float, ...]  # (n_covariates,)
    covariate_scale: tuple[float, ...]

    @staticmethod
    def of(data: TrainingData, training: np.ndarray, kind: LikelihoodKind) -> "Standardisation":
        """Of the training samples of a cohort; what does not vary has the scale 1."""
        mean, deviation = data.covariates[training].mean(axis=0), data.covariates[training].std(axis=0)
        deviation = np.where(deviation > 0, deviation, 1.0)
        shift, scale = location(data.phenotype[training]) if kind in ("gaussian", "student") else (0.0, 1.0)
        return Standardisation(shift, scale, tuple(mean.tolist()), tuple(deviation.tolist()))

    @staticmethod
    def of_record(record: Mapping[str, Any] | None, n_covariates: int) -> "Standardisation":
        """From its fields by name; of None the one that changes nothing."""
        if record is None:
            return Standardisation(0.0, 1.0, (0.0,) * n_covariates, (1.0,) * n_covariates)
        return Standardisation(**record)

    def arrays(self, data: TrainingData, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardised covariates and phenotype of some samples."""
        covariates = (data.covariates[chosen] - np.array(self.covariate_mean)) / np.array(
            self.covariate_scale
        )
        return covariates, (data.phenotype[chosen] - self.shift) / self.scale

    def covariates(self, values: Tensor) -> Tensor:
        """Standardised covariates (n_samples, n_covariates)."""
        mean = torch.tensor(self.covariate_mean, dtype=values.dtype, device=values.device)
        scale = torch.tensor(self.covariate_scale, dtype=values.dtype, device=values.device)
        return (values - mean) / scale


def location(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation, 1 where nothing varies."""
    return float(values.mean()), float(values.std()) or 1.0
