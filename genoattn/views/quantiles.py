"""Quantiles of p-values against those of the null hypothesis, where only small ones were kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

MAX_POINTS = 2000


@dataclass(frozen=True, eq=False)
class QuantilePlot:
    """Observed against expected -log10 p-values.

    Parameters
    ----------
    frame
        The smallest p-value first: ``rank`` (from 1), ``expected`` and ``observed`` -log10 p, ``lower`` and
        ``upper``, the 95 % band of the null hypothesis for independent tests.
    inflation
        Genomic inflation: observed over expected chi-squared at ``inflation_p``; NaN where nothing was kept.
    inflation_p
        The p-value it is taken at: the median, or the largest that was kept.
    n_tests, n_kept
        Tests made, and p-values known.
    """

    frame: pd.DataFrame
    inflation: float
    inflation_p: float
    n_tests: int
    n_kept: int


def quantile_plot(
    p_values: np.ndarray,
    n_tests: int | None = None,
    threshold: float | None = None,
    max_points: int = MAX_POINTS,
) -> QuantilePlot:
    """Points of a QQ plot.

    Parameters
    ----------
    p_values
        Shape (n_kept,): all p-values at or below the threshold; NaN are left out.
    n_tests
        Number of tests made; that of the p-values by default.
    threshold
        Largest p-value that was kept; 1 where all were.
    max_points
        Of more points the smallest p-values and an even choice of the rest (on the -log10 scale) are kept.

    Raises
    ------
    ValueError
        Where there are more p-values than tests.
    """
    from scipy import stats

    p = np.sort(np.asarray(p_values, dtype=np.float64))
    p = p[np.isfinite(p)]
    n = len(p) if n_tests is None else int(n_tests)
    if len(p) > n:
        raise ValueError(f"{len(p):,} p-values of {n:,} tests")
    inflation, at = _inflation(p, n, threshold)
    rank = _thin(np.arange(1, len(p) + 1), n, max_points)
    expected = -np.log10((rank - 0.5) / n) if n else np.zeros(0)
    band = [-np.log10(stats.beta.ppf(q, rank, n - rank + 1)) for q in (0.975, 0.025)]
    observed = -np.log10(np.maximum(p[rank - 1], 1e-300))
    columns = {"rank": rank, "expected": expected, "observed": observed, "lower": band[0], "upper": band[1]}
    return QuantilePlot(pd.DataFrame(columns), inflation, at, n, len(p))


def _inflation(p: np.ndarray, n: int, threshold: float | None) -> tuple[float, float]:
    from scipy import stats

    if not len(p):
        return float("nan"), float("nan")
    if len(p) == n:
        at = float(np.median(p))
        return float(stats.chi2.isf(at, 1) / stats.chi2.isf(0.5, 1)), at
    # The share of tests that passed the threshold is expected to be the threshold itself.
    at = float(p[-1] if threshold is None else threshold)
    return float(stats.chi2.isf(at, 1) / stats.chi2.isf(len(p) / n, 1)), at


def _thin(rank: np.ndarray, n: int, max_points: int) -> np.ndarray:
    """Ranks to draw: evenly spaced by the logarithm of the rank, the smallest all there."""
    if len(rank) <= max_points:
        return rank
    # Logarithmic spacing repeats small ranks; what that saves goes to the large ones.
    head = np.arange(1, max_points // 2 + 1)
    tail = np.geomspace(max_points // 2 + 1, len(rank), max_points - len(head))
    return np.unique(np.concatenate([head, np.rint(tail).astype(np.int64)]))
