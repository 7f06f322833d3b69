"""How well a model predicts, by part of the samples and by order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from genoattn.model.split import Split


@dataclass(frozen=True)
class Metrics:
    """Quality of prediction.

    Parameters
    ----------
    name
        ``r2`` (coefficient of determination, 1 - RSS / TSS) or ``auc``.
    n_samples
        Samples of each part: ``training``, ``validation``, ``test``.
    by_order
        For each part the metric of the model truncated at order 0 (covariates only), 1, 2, ...
    """

    name: str
    n_samples: dict[str, int]
    by_order: dict[str, list[float]]

    @property
    def test(self) -> float:
        """The whole model on the test samples."""
        return self.by_order["test"][-1]

    def summary(self) -> str:
        label = {"r2": "R2", "auc": "AUC"}[self.name]
        rows = []
        for part, values in self.by_order.items():
            figures = "  ".join(f"order {k} {v:.3f}" for k, v in enumerate(values) if k)
            rows.append(f"{label} {part:<10} ({self.n_samples[part]:>6,} samples)  {figures}")
        return "\n".join([f"{label} of the model cut at each order:", *rows])

    def record(self) -> dict:
        """For ``metrics.json``; NaN becomes null."""
        parts = {
            part: {
                "n_samples": self.n_samples[part],
                self.name: _json_number(values[-1]),
                "by_order": {str(k): _json_number(v) for k, v in enumerate(values)},
            }
            for part, values in self.by_order.items()
        }
        return {"metric": self.name, **parts}


def _json_number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def evaluate(by_order: np.ndarray, phenotype: np.ndarray, split: Split, binary: bool) -> Metrics:
    """Metrics of predictions given by order, (n_samples, 1 + n_orders), cumulated from order 0 up."""
    cumulated = np.cumsum(by_order, axis=1)
    score = auc if binary else r2
    parts = {"training": split.training, "validation": split.validation, "test": split.test}
    parts = {name: index for name, index in parts.items() if len(index)}
    values = {name: [score(phenotype[i], c) for c in cumulated[i].T] for name, i in parts.items()}
    return Metrics("auc" if binary else "r2", {name: len(i) for name, i in parts.items()}, values)


def r2(observed: np.ndarray, predicted: np.ndarray) -> float:
    """Coefficient of determination; NaN for a constant observed."""
    total = float(((observed - observed.mean()) ** 2).sum())
    return 1 - float(((observed - predicted) ** 2).sum()) / total if total > 0 else float("nan")


def auc(observed: np.ndarray, predicted: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a case scores above a control, ties counted half."""
    cases, controls = predicted[observed == 1], predicted[observed == 0]
    if not len(cases) or not len(controls):
        return float("nan")
    return float(stats.mannwhitneyu(cases, controls).statistic / (len(cases) * len(controls)))
