"""The likelihood ratio of a pair with samples in a few groups: a grid of cells by groups, compiled.

Far from the threshold a pair needs no exact test. Here each group has one log-odds by the fixed effects,
whose coefficient is fitted beside 1, a, b and ab: five predictors, and as many numbers as cells times groups
instead of samples. Where this cannot tell (no maximum, predictors nearly dependent) it says so by NaN.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.logistic.rows import Subjects
from genoattn.scan.logistic.vector_exp import vector_exp, vector_log1p

GROUPS = 16
_N = 5  # predictors
ROUNDS = 12
SETTLED = 1e-2  # what is left to gain, of twice the log-likelihood
_LEAST = 1e-5  # pivot of the information in correlation form
LARGEST = 20.0  # log-odds
_LOOSE = {"reassoc", "contract", "nsz", "arcp"}


class Grid(NamedTuple):
    """Work space: samples and cases by cell and group, of what each cell is, and Newton's method.

    Parameters
    ----------
    key
        Shape (n_samples,), int64: twice the group of a sample, and 1 more for a case.
    level
        Shape (16,), log-odds of each group by the fixed effects.
    table
        Shape (2, n_cells, 32) int64, samples by cell and key, the odd samples and the even.
    samples, cases
        Shape (n_cells, 16).
    value
        Shape (n_cells, 4): 1, a, b, ab.
    sums
        Shape (n_cells, 5): of weights, by the level and by its square; of residuals, and by the level.
    information, factor
        Shape (5, 5), lower triangles.
    beta, gradient, step
        Shape (5,).
    beta_null
        Shape (5,), coefficients without the product.
    cell, used
        Shape (n_cells,) int64, which cells have samples, and (1,), how many do.
    ratio
        Shape (1,), twice the log-likelihood at ``beta`` less that at ``beta_null``.
    """

    key: np.ndarray
    level: np.ndarray
    table: np.ndarray
    samples: np.ndarray
    cases: np.ndarray
    value: np.ndarray
    sums: np.ndarray
    information: np.ndarray
    factor: np.ndarray
    beta: np.ndarray
    gradient: np.ndarray
    step: np.ndarray
    beta_null: np.ndarray
    cell: np.ndarray
    used: np.ndarray
    ratio: np.ndarray


@njit(nogil=True, cache=True, error_model="numpy")
def make_grid(subjects: Subjects) -> Grid:
    """Work space for subjects in at most 16 groups with one fixed effect."""
    n_cells = subjects.n_states**2
    level = np.zeros(GROUPS)
    level[: subjects.fixed.shape[1]] = subjects.fixed[0]
    return Grid(
        2 * subjects.group + subjects.case,
        level,
        np.zeros((2, n_cells, 2 * GROUPS), dtype=np.int64),
        np.zeros((n_cells, GROUPS)),
        np.zeros((n_cells, GROUPS)),
        np.zeros((n_cells, 4)),
        np.zeros((n_cells, 5)),
        np.zeros((_N, _N)),
        np.zeros((_N, _N)),
        np.zeros(_N),
        np.zeros(_N),
        np.zeros(_N),
        np.zeros(_N),
        np.zeros(n_cells, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
        np.zeros(1),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _count(subjects: Subjects, i: int, j: int, grid: Grid) -> int:
    """Fill the grid with a pair; how many cells have samples, which come first."""
    table, key, n_states = grid.table, grid.key, subjects.n_states
    last, impute = n_states - 1, subjects.impute
    a, b = subjects.codes[i], subjects.codes[j]
    table[:] = 0
    for s in range(len(key)):
        x, y = np.int64(a[s]), np.int64(b[s])
        if (x >= 0 and y >= 0) or impute:
            cell = (last if x < 0 else x) * n_states + (last if y < 0 else y)
            table[s & 1, cell, key[s]] += 1  # two in turn, lest one waits for the other
    used = 0
    grid.samples[:] = 0.0
    grid.cases[:] = 0.0
    for c in range(table.shape[1]):
        total = 0.0
        for g in range(GROUPS):
            cases = np.float64(table[0, c, 2 * g + 1] + table[1, c, 2 * g + 1])
            n = np.float64(table[0, c, 2 * g] + table[1, c, 2 * g]) + cases
            grid.samples[used, g], grid.cases[used, g] = n, cases
            total += n
        if total > 0.0:
            first, second = c // n_states, c % n_states
            grid.value[used, 0] = 1.0
            grid.value[used, 1] = first - subjects.mean[i] if first < last else 0.0
            grid.value[used, 2] = second - subjects.mean[j] if second < last else 0.0
            grid.value[used, 3] = grid.value[used, 1] * grid.value[used, 2]
            grid.cell[used] = c
            used += 1
    grid.used[0] = used
    return used


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def _sum_cell(c, eta, slope, level, samples, cases, sums):  # type: ignore[no-untyped-def]
    """Sums of a cell's variances and residuals; its log-likelihood."""
    total = sw = sl = sll = sr = srl = 0.0
    for g in range(GROUPS):
        f, n = level[g], samples[c, g]
        x = eta + slope * f
        e = vector_exp(-min(abs(x), 600.0))
        d = 1.0 / (1.0 + e)
        w = n * e * d * d
        r = cases[c, g] - n * (d if x >= 0.0 else e * d)
        total += (cases[c, g] - 0.5 * n) * x - n * (0.5 * abs(x) + vector_log1p(e))
        sw += w
        sl += w * f
        sll += w * f * f
        sr += r
        srl += r * f
    sums[c, 0], sums[c, 1], sums[c, 2], sums[c, 3], sums[c, 4] = sw, sl, sll, sr, srl
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _evaluate(grid: Grid, n_cells: int) -> float:
    """Log-likelihood; leaves information and gradient."""
    value, sums, beta = grid.value, grid.sums, grid.beta
    information, gradient = grid.information, grid.gradient
    information[:] = 0.0
    gradient[:] = 0.0
    total = 0.0
    for c in range(n_cells):
        eta = beta[1] + beta[2] * value[c, 1] + beta[3] * value[c, 2] + beta[4] * value[c, 3]
        total += _sum_cell(c, eta, beta[0], grid.level, grid.samples, grid.cases, sums)
        information[0, 0] += sums[c, 2]
        gradient[0] += sums[c, 4]
        for t in range(4):
            x = value[c, t]
            gradient[1 + t] += sums[c, 3] * x
            information[1 + t, 0] += sums[c, 1] * x
            for u in range(t + 1):
                information[1 + t, 1 + u] += sums[c, 0] * x * value[c, u]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def newton_step(grid, n_free):  # type: ignore[no-untyped-def]
    """Newton's step in the first predictors; its gain, or NaN where they are nearly dependent.

    Of a grid, or of whatever work space has ``information``, ``factor``, ``gradient`` and ``step``.
    """
    information, factor, step, gradient = grid.information, grid.factor, grid.step, grid.gradient
    gain = 0.0
    for j in range(n_free):
        total = gradient[j]
        for k in range(j + 1):
            entry = information[j, k]
            for i in range(k):
                entry -= factor[j, i] * factor[k, i]
            if j > k:
                factor[j, k] = entry / factor[k, k]
            elif entry > _LEAST * information[j, j]:
                factor[j, j] = math.sqrt(entry)
            else:
                return np.nan
        for i in range(j):
            total -= factor[j, i] * step[i]
        step[j] = total / factor[j, j]
        gain += step[j] * step[j]
    for j in range(n_free - 1, -1, -1):
        for i in range(j + 1, n_free):
            step[j] -= factor[i, j] * step[i]
        step[j] /= factor[j, j]
    return gain


@njit(nogil=True, cache=True, error_model="numpy")
def _maximum(grid: Grid, n_cells: int, n_free: int, value: float) -> tuple[float, float]:
    """The log-likelihood where this stops, from a point that is evaluated, and twice what is left to gain.

    NaN where there is no maximum in the first predictors.
    """
    for _ in range(ROUNDS):
        gain = newton_step(grid, n_free)
        if not gain >= 0.0:
            break
        if gain < SETTLED:
            return value, gain
        for j in range(n_free):
            grid.beta[j] += grid.step[j]
            if not abs(grid.beta[j]) < LARGEST:
                return np.nan, np.nan
        before, value = value, _evaluate(grid, n_cells)
        if not value >= before:
            break
    return np.nan, np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def use_counts(subjects: Subjects, i: int, j: int, grid: Grid) -> int:
    """Put the cells of a pair that have samples first, nine counts (codes up to 2, none missing) being in the
    grid; how many they are.
    """
    used, mean_a, mean_b = 0, subjects.mean[i], subjects.mean[j]
    for c in range(9):
        total = 0.0
        for g in range(GROUPS):
            total += grid.samples[c, g]
        if total > 0.0:
            if used < c:
                grid.samples[used], grid.cases[used] = grid.samples[c], grid.cases[c]
            a, b = c // 3 - mean_a, c % 3 - mean_b
            grid.value[used, 0], grid.value[used, 1], grid.value[used, 2] = 1.0, a, b
            grid.value[used, 3] = a * b
            grid.cell[used] = (c // 3) * subjects.n_states + c % 3
            used += 1
    grid.used[0] = used
    return used


@njit(nogil=True, cache=True, error_model="numpy")
def coarse_root(subjects: Subjects, i: int, j: int, grid: Grid, counted: bool = False) -> tuple[float, float]:
    """Root of twice the gain in log-likelihood by the product of a pair, and its standard error; or NaN.

    ``counted`` says that the grid has the counts of all cells already, see :func:`use_counts`.
    """
    n_cells = use_counts(subjects, i, j, grid) if counted else _count(subjects, i, j, grid)
    grid.beta[:] = 0.0
    grid.beta[0] = 1.0
    without, left = _maximum(grid, n_cells, _N - 1, _evaluate(grid, n_cells))
    if not without <= 0.0:
        return np.nan, np.nan
    grid.beta_null[:] = grid.beta
    whole, more = _maximum(grid, n_cells, _N, without)
    grid.ratio[0] = 2.0 * (whole - without)
    return math.sqrt(max(grid.ratio[0] + more - left, 0.0)), 1.0 / grid.factor[_N - 1, _N - 1]
