"""Quality of predictions, by part of the samples and by order."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

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
    """

    name: str
    n_samples: dict[str, int]
    by_order: dict[str, list[float]]
    ceiling: float | None = None
    orders: tuple[str, ...] | None = None

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
        return {"metric": self.name, **parts, **ceiling}


def _json_number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def evaluate(
    by_order: np.ndarray,
    phenotype: np.ndarray,
    split: Split,
    binary: bool,
    response: Callable[[np.ndarray], np.ndarray] | None = None,
    counts: bool = False,
    variance: np.ndarray | None = None,
) -> Metrics:
    """Metrics of predictions given by order, cumulated from order 0 up.

    Parameters
    ----------
    by_order
        Shape (n_samples, 1 + n_orders), what each order adds.
    phenotype, split
        Shape (n_samples,), and the samples of each part.
    binary, counts
        Kind of the phenotype: AUC, deviance, or R2.
    response
        From the sum of the orders to the mean (of a binary trait: anything increasing); the identity by
        default.
    variance
        Shape (n_samples,), known variances of the phenotype.
    """
    cumulated = np.cumsum(by_order, axis=1)
    if response is not None:
        cumulated = response(cumulated)
    name, score = ("auc", auc) if binary else ("d2", d2) if counts else ("r2", r2)
    parts = {"training": split.training, "validation": split.validation, "test": split.test}
    parts = {name: index for name, index in parts.items() if len(index)}
    values = {name: [score(phenotype[i], c) for c in cumulated[i].T] for name, i in parts.items()}
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
