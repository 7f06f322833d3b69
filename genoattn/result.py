"""What ``genoattn.fit`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genoattn.cohort import Cohort
from genoattn.fitted import FittedModel
from genoattn.interactions.expansion import Gauge
from genoattn.interactions.extract import TestedTerms
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import InteractionTable
from genoattn.metrics import Metrics
from genoattn.model.readout import Readout
from genoattn.store import save_fit


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted model, its interaction table, and how well it predicts.

    Parameters
    ----------
    model
        Predicts, and makes tables in other gauges.
    table
        The interactions, in the gauge asked for.
    metrics
        R2 or AUC by part of the samples and by order.
    variance
        Variance components by order.
    """

    model: FittedModel
    table: InteractionTable
    metrics: Metrics
    variance: pd.DataFrame

    @property
    def readout(self) -> Readout:
        """The network, in phenotype units."""
        return self.model.readout

    @property
    def tested(self) -> TestedTerms:
        """Terms and their statistics."""
        return self.model.tested

    @property
    def manifest(self) -> Manifest:
        """What describes the table."""
        return self.table.manifest

    def predict(self, cohort: Cohort) -> np.ndarray:
        """As :meth:`genoattn.fitted.FittedModel.predict`."""
        return self.model.predict(cohort)

    def export(self, gauge: Gauge, order: int | None = None) -> InteractionTable:
        """As :meth:`genoattn.fitted.FittedModel.export`."""
        return self.model.export(gauge, order)

    def summary(self, n: int = 10) -> str:
        """Metrics, and the first n rows of each order."""
        return "\n".join([self.metrics.summary(), "", self.table.summary(n)])

    def __repr__(self) -> str:
        return self.summary()

    def save(self, directory: str | Path, force: bool = False) -> None:
        """Write the output folder of ``genoattn fit``, whole or not at all."""
        save_fit(self.model, self.table, self.metrics, self.variance, directory, force)
