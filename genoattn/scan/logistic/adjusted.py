"""The coarse likelihood ratio of a pair, amended for the fixed effects themselves: compiled.

The grid of coarse.py has one log-odds a group for all fixed effects. At each of its two maxima the
log-likelihood is amended to first order for the samples' own log-odds, and to second order for the
coefficients: a step of Newton's method in ``(1, a, b, ab, f_1, ..., f_K)`` gains g, so that the ratio is
``2 (l1 - l0) + g1 - g0``. The f_k are orthogonal under the null weights, so that their own block of the
information is a multiple of the identity and is eliminated first.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.logistic.coarse import GROUPS, Grid
from genoattn.scan.logistic.rows import Subjects
from genoattn.scan.logistic.vector_exp import vector_exp

_LANES = 4
_LEAST = 1e-4  # pivot of the information in correlation form
_LOOSE = {"reassoc", "contract", "nsz", "arcp"}


class Adjuster(NamedTuple):
    """Work space: sums of the fixed effects by cell and key, and the step in the predictors of a pair.

    Parameters
    ----------
    width
        Fixed effects, with zeros to a multiple of 4.
    fixed
        Shape (n_samples * width,) float32, of each sample.
    start
        Shape (width + 1,), coefficients of the fixed effects in the regression on them, the intercept last.
    table
        Shape (n_cells * 32 * width,) float32, their sums by cell and key, see :class:`~coarse.Grid`.
    weight, mean
        Shape (16,), of one sample of a cell: variance and probability by group.
    with_fixed
        Shape (4, width), information of the predictors with the fixed effects.
    gradient
        Shape (4 + width,), of the predictors and of the fixed effects.
    information, factor
        Shape (4, 4), lower triangles.
    step
        Shape (4,).
    """

    width: int
    fixed: np.ndarray
    start: np.ndarray
    table: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    with_fixed: np.ndarray
    gradient: np.ndarray
    information: np.ndarray
    factor: np.ndarray
    step: np.ndarray


@njit(nogil=True, cache=True, error_model="numpy")
def make_adjuster(subjects: Subjects) -> Adjuster:
    """Work space for subjects of whom each has fixed effects of its own."""
    n_fixed, n_samples = subjects.fixed.shape
    width = -(-n_fixed // _LANES) * _LANES
    fixed = np.zeros((n_samples, width), dtype=np.float32)
    for k in range(n_fixed):
        fixed[:, k] = subjects.fixed[k]
    start = np.zeros(width + 1)
    start[:n_fixed], start[width] = subjects.start[:n_fixed], subjects.start[n_fixed]
    return Adjuster(
        width,
        fixed.reshape(-1),
        start,
        np.zeros(subjects.n_states**2 * 2 * GROUPS * width, dtype=np.float32),
        np.zeros(GROUPS),
        np.zeros(GROUPS),
        np.zeros((4, width)),
        np.zeros(4 + width),
        np.zeros((4, 4)),
        np.zeros((4, 4)),
        np.zeros(4),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _sum_fixed(subjects: Subjects, i: int, j: int, key: np.ndarray, adjuster: Adjuster) -> None:
    """Sums of the fixed effects over the samples of each cell and key."""
    fixed, table, n_states = adjuster.fixed, adjuster.table, subjects.n_states
    width, lanes = np.uint64(adjuster.width), np.uint64(_LANES)
    last, impute = n_states - 1, subjects.impute
    a, b = subjects.codes[i], subjects.codes[j]
    table[:] = 0
    source = np.uint64(0)
    for s in range(len(key)):
        x, y = np.int64(a[s]), np.int64(b[s])
        if (x >= 0 and y >= 0) or impute:
            cell = (last if x < 0 else x) * n_states + (last if y < 0 else y)
            place = np.uint64(cell * 2 * GROUPS + key[s]) * width
            q = np.uint64(0)
            while q < width:  # four at a time, read before any is written: vectors
                at, of = place + q, source + q
                one, two = table[at] + fixed[of], table[at + np.uint64(1)] + fixed[of + np.uint64(1)]
                three = table[at + np.uint64(2)] + fixed[of + np.uint64(2)]
                four = table[at + np.uint64(3)] + fixed[of + np.uint64(3)]
                table[at], table[at + np.uint64(1)] = one, two
                table[at + np.uint64(2)], table[at + np.uint64(3)] = three, four
                q += lanes
        source += width


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def _probabilities(eta, slope, level, weight, mean):  # type: ignore[no-untyped-def]
    """Probability and variance of a case in each group of a cell."""
    for g in range(GROUPS):
        x = eta + slope * level[g]
        e = vector_exp(-min(abs(x), 600.0))
        d = 1.0 / (1.0 + e)
        mean[g] = d if x >= 0.0 else e * d
        weight[g] = e * d * d


@njit(nogil=True, cache=True, error_model="numpy")
def _accumulate(grid: Grid, n_cells: int, beta: np.ndarray, adjuster: Adjuster) -> tuple[float, float]:
    """Gradient and information at a point; the sum of the weights, and to first order what the
    log-likelihood gains where each sample has its own log-odds by the fixed effects.
    """
    weight, mean, table, width = adjuster.weight, adjuster.mean, adjuster.table, adjuster.width
    information, gradient, with_fixed = adjuster.information, adjuster.gradient, adjuster.with_fixed
    information[:] = 0.0
    gradient[:] = 0.0
    with_fixed[:] = 0.0
    share, start, total, linear = np.zeros(width), adjuster.start, 0.0, 0.0
    for c in range(n_cells):
        value = grid.value[c]
        eta = beta[1] + beta[2] * value[1] + beta[3] * value[2] + beta[4] * value[3]
        _probabilities(eta, beta[0], grid.level, weight, mean)
        share[:] = 0.0
        here = residual = 0.0
        for g in range(GROUPS):
            n = grid.samples[c, g]
            if n == 0.0:
                continue
            here += n * weight[g]
            place = (grid.cell[c] * 2 * GROUPS + 2 * g) * width
            # How far the samples' own log-odds are from their group's, summed over cases and over all.
            above = start[width] - grid.level[g]
            of_cases, of_all = above * grid.cases[c, g], above * n
            for k in range(width):
                case = table[place + width + k]
                both = table[place + k] + case
                share[k] += weight[g] * both
                gradient[4 + k] += case - mean[g] * both
                of_cases += start[k] * case
                of_all += start[k] * both
            residual += grid.cases[c, g] - n * mean[g] - beta[0] * weight[g] * of_all
            linear += beta[0] * (of_cases - mean[g] * of_all)
        total += here
        for t in range(4):
            gradient[t] += residual * value[t]
            for u in range(t + 1):
                information[t, u] += here * value[t] * value[u]
            for k in range(width):
                with_fixed[t, k] += value[t] * share[k]
    return total, linear


@njit(nogil=True, cache=True, error_model="numpy")
def _gain(grid: Grid, n_cells: int, beta: np.ndarray, n_free: int, adjuster: Adjuster) -> tuple[float, float]:
    """Twice what the log-likelihood exceeds the grid's by, after a step in the first predictors and all fixed
    effects, and the last pivot; or NaN.
    """
    total, linear = _accumulate(grid, n_cells, beta, adjuster)
    information, gradient, with_fixed = adjuster.information, adjuster.gradient, adjuster.with_fixed
    factor, step, gain = adjuster.factor, adjuster.step, 2.0 * linear
    for k in range(adjuster.width):
        gain += gradient[4 + k] ** 2 / total
    for j in range(n_free):
        left = gradient[j]
        for k in range(adjuster.width):
            left -= with_fixed[j, k] * gradient[4 + k] / total
        for k in range(j + 1):
            entry = information[j, k]
            for q in range(adjuster.width):
                entry -= with_fixed[j, q] * with_fixed[k, q] / total
            for i in range(k):
                entry -= factor[j, i] * factor[k, i]
            if j > k:
                factor[j, k] = entry / factor[k, k]
            elif entry > _LEAST * information[j, j]:
                factor[j, j] = math.sqrt(entry)
            else:
                return np.nan, np.nan
        for i in range(j):
            left -= factor[j, i] * step[i]
        step[j] = left / factor[j, j]
        gain += step[j] * step[j]
    return gain, factor[n_free - 1, n_free - 1]


@njit(nogil=True, cache=True, error_model="numpy")
def adjusted_root(subjects: Subjects, i: int, j: int, grid: Grid, adjuster: Adjuster) -> tuple[float, float]:
    """Root of twice the gain in log-likelihood by the product beside all fixed effects, and its standard
    error; or NaN.

    Parameters
    ----------
    subjects
        The samples.
    i, j
        The pair that the grid has been fitted to.
    grid, adjuster
        Work space.
    """
    _sum_fixed(subjects, i, j, grid.key, adjuster)
    without, _ = _gain(grid, grid.used[0], grid.beta_null, 3, adjuster)
    whole, pivot = _gain(grid, grid.used[0], grid.beta, 4, adjuster)
    return math.sqrt(max(grid.ratio[0] + whole - without, 0.0)), 1.0 / pivot
