"""Result of ``genoattn.fit``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genoattn.cohort import Cohort
from genoattn.fitting.cohort_variance import with_cohort_rows
from genoattn.fitting.fit_html import fit_html
from genoattn.fitting.fitted_model import FittedModel
from genoattn.fitting.metrics import Metrics
from genoattn.fitting.order_ladder import Ladder
from genoattn.fitting.store import save_fit
from genoattn.inference.discovery import Discovery
from genoattn.inference.variance_components import VarianceComponents
from genoattn.interactions.estimates import TestedTerms
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import InteractionTable
from genoattn.model.readout import Readout
from genoattn.tokens.gauge_centre import Gauge
from genoattn.tokens.site_places import MatchBy


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
        Variance components of the model by order.
    predictions
        The samples with their predictions, those of the part named in each row:
        :func:`genoattn.fitting.predicted_samples.predicted_samples`.
    discovery
        Signals and ranked pairs of a cohort of genotypes; None for a landscape.
    intervals
        Of the coefficients of a landscape; see :func:`genoattn.interactions.table.coefficient_intervals`.
    ladder
        The models that ``order="auto"`` compared.
    cohort_variance
        Variance components of the cohort of genotypes, whatever the model found; see
        :func:`genoattn.variance_components`. None for a landscape, and where they cannot be estimated.

    Examples
    --------
    >>> import genoattn
    >>> import pandas as pd
    >>> from itertools import product
    >>> rows = [("".join(s), s.count("C") + 2 * (s[:2] == ("C", "C"))) for s in product("AC", repeat=6)]
    >>> pd.DataFrame(rows, columns=["variant", "fitness"]).to_csv("landscape.csv", index=False)
    >>> cohort = genoattn.read("landscape.csv", trait="fitness", sequence_column="variant")
    >>> result = genoattn.fit(cohort, order=2)
    >>> result.manifest.model["form"]
    'gaussian process'
    >>> result.predict(cohort).shape, result.export("reference").manifest.gauge
    ((64,), 'reference')
    """

    model: FittedModel
    table: InteractionTable
    metrics: Metrics
    variance: pd.DataFrame
    predictions: pd.DataFrame
    discovery: Discovery | None = None
    intervals: pd.DataFrame | None = None
    ladder: Ladder | None = None
    cohort_variance: VarianceComponents | None = None

    @property
    def readout(self) -> Readout:
        """The network, in phenotype units."""
        return self.model.readout

    @property
    def tested(self) -> TestedTerms:
        """Terms and their estimates."""
        return self.model.tested

    @property
    def manifest(self) -> Manifest:
        """Description of the table."""
        return self.table.manifest

    def predict(self, cohort: Cohort, match_by: MatchBy = "position") -> np.ndarray:
        """Predictions, as of :meth:`genoattn.fitting.fitted_model.FittedModel.predict`."""
        return self.model.predict(cohort, match_by)

    def export(self, gauge: Gauge, order: int | None = None) -> InteractionTable:
        """Table, as of :meth:`genoattn.fitting.fitted_model.FittedModel.export`."""
        return self.model.export(gauge, order)

    def summary(self, n: int = 10) -> str:
        """Metrics, and the first n rows of each order."""
        parts = [] if self.ladder is None else [self.ladder.summary(), ""]
        parts += [self.metrics.summary(), *self._noise(), "", self.table.summary(n)]
        if self.discovery is not None:
            parts += ["", self.discovery.summary(n)]
        if self.cohort_variance is not None:
            parts += ["", self.cohort_variance.summary()]
        return "\n".join(parts)

    def _noise(self) -> list[str]:
        """Use of the variances of the measurements, where there are any."""
        learned = self.manifest.model["noise"]
        if "variance_scale" not in learned:
            return []
        scale, rest = learned["variance_scale"], learned["unexplained_sd"] ** 2
        return [f"variance of a residual: {scale:.2g} times that of its measurement, plus {rest:.2g}"]

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return fit_html(self)

    def save(
        self, directory: str | Path, force: bool = False, extra_files: Mapping[str, bytes] | None = None
    ) -> None:
        """Write the output folder of ``genoattn fit``, completely or not at all.

        Parameters
        ----------
        directory
            The folder.
        force
            Replace one that exists.
        extra_files
            Contents of further files of the folder by their names.
        """
        extra: dict[str, pd.DataFrame | bytes] = {**(extra_files or {}), "predictions.tsv": self.predictions}
        extra |= {} if self.discovery is None else dict(self.discovery.files())
        if self.intervals is not None:
            extra["intervals.tsv"] = self.intervals
        if self.ladder is not None:
            extra["orders.tsv"] = self.ladder.frame
        variance = with_cohort_rows(self.variance, self.cohort_variance)
        save_fit(self.model, self.table, self.metrics, variance, directory, force, extra)
