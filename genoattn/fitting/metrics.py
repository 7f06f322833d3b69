"""Quality of predictions, by part of the samples and by order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special, stats

if TYPE_CHECKING:  # these scores are also used where torch must not be imported
    from genoattn.model.train_config import Split


@dataclass(frozen=True)
class Metrics:
    """Quality of prediction.

    Parameters
    ----------
    name
        ``r2`` (coefficient of determination, 1 - RSS / TSS), ``auc``, or for counts ``d2`` (1 - Poisson
        deviance / that of the mean).
    n_samples
        Samples of each part: ``training``, ``validation``, ``test``.
    by_order
        For each part the metric of the model truncated at order 0 (covariates only), 1, 2, ...
    ceiling
        Where the variances of the measurements are known: 1 - their mean / the variance of the phenotype,
        over the test samples. No model can be expected to have a larger R2.
    orders
        Names of the orders; 0, 1, .. by default.
    n_folds
        Number of folds, where ``test`` is all samples, each predicted by a model trained without its fold.
    """

    name: str
    n_samples: dict[str, int]
    by_order: dict[str, list[float]]
    ceiling: float | None = None
    orders: tuple[str, ...] | None = None
    n_folds: int | None = None

    def with_folds(self, test: Metrics, n_folds: int) -> Metrics:
        """The parts of two, the second measured in folds."""
        n_samples = {**self.n_samples, **test.n_samples}
        by_order = {**self.by_order, **test.by_order}
        return replace(self, n_samples=n_samples, by_order=by_order, ceiling=test.ceiling, n_folds=n_folds)

    @property
    def test(self) -> float:
        """The complete model on the test samples."""
        return self.by_order["test"][-1]

    def summary(self) -> str:
        label = {"r2": "R2", "auc": "AUC", "d2": "D2"}[self.name]
        rows = []
        for part, values in self.by_order.items():
            named = list(zip(self._names(values), values, strict=True))
            figures = "  ".join(f"order {k} {v:.3f}" for k, v in named[1:])
            rows.append(f"{label} {part:<10} ({self.n_samples[part]:>6,} samples)  {figures}")
        if self.n_folds is not None:
            rows.append(f"test: every sample by a model of the others, in {self.n_folds} folds")
        if self.ceiling is not None:
            rows.append(
                f"{label} noise ceiling of the test samples, from their variances: {self.ceiling:.3f}"
            )
        return "\n".join([f"{label} of the model cut at each order:", *rows])

    def _names(self, values: list[float]) -> tuple[str, ...]:
        return self.orders or tuple(map(str, range(len(values))))

    def record(self) -> dict:
        """For ``metrics.json``; NaN becomes null."""
        parts = {
            part: {
                "n_samples": self.n_samples[part],
                self.name: _json_number(values[-1]),
                "by_order": dict(zip(self._names(values), map(_json_number, values), strict=True)),
            }
            for part, values in self.by_order.items()
        }
        ceiling = {} if self.ceiling is None else {"noise_ceiling": _json_number(self.ceiling)}
        folds = {} if self.n_folds is None else {"test_folds": self.n_folds}
        return {"metric": self.name, **parts, **ceiling, **folds}


def _json_number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def evaluate(
    means: np.ndarray,
    phenotype: np.ndarray,
    split: Split,
    binary: bool,
    counts: bool = False,
    variance: np.ndarray | None = None,
) -> Metrics:
    """Metrics of the predictions of a model cut at each order.

    Parameters
    ----------
    means
        Shape (n_samples, 1 + n_orders), predicted phenotype (of a binary trait: anything increasing with it)
        by order 0, by orders 0 and 1, and so on.
    phenotype, split
        Shape (n_samples,), and the samples of each part.
    binary, counts
        Kind of the phenotype: AUC, deviance, or R2.
    variance
        Shape (n_samples,), known variances of the phenotype.
    """
    name, score = ("auc", auc) if binary else ("d2", d2) if counts else ("r2", r2)
    parts = {"training": split.training, "validation": split.validation, "test": split.test}
    parts = {name: index for name, index in parts.items() if len(index)}
    values = {name: [score(phenotype[i], c) for c in means[i].T] for name, i in parts.items()}
    ceiling = None
    if variance is not None and len(split.test) > 1:
        ceiling = 1 - float(variance[split.test].mean() / phenotype[split.test].var())
    return Metrics(name, {part: len(i) for part, i in parts.items()}, values, ceiling)


def r2(observed: np.ndarray, predicted: np.ndarray) -> float:
    """Coefficient of determination; NaN for a constant observed."""
    total = float(((observed - observed.mean()) ** 2).sum())
    return 1 - float(((observed - predicted) ** 2).sum()) / total if total > 0 else float("nan")


def d2(observed: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the Poisson deviance explained by positive means; NaN for a constant observed."""

    def deviance(mean: np.ndarray) -> float:
        return float(2 * (special.xlogy(observed, observed / mean) - observed + mean).sum())

    total = deviance(np.full(len(observed), observed.mean())) if observed.any() else 0.0
    return 1 - deviance(predicted) / total if total > 0 else float("nan")


def auc(observed: np.ndarray, predicted: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a case scores above a control, ties counted half."""
    cases, controls = predicted[observed == 1], predicted[observed == 0]
    if not len(cases) or not len(controls):
        return float("nan")
    return float(stats.mannwhitneyu(cases, controls).statistic / (len(cases) * len(controls)))
