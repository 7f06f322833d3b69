"""Likelihood, gradient and information of a logistic regression on two sites and their product: compiled.

The samples of a pair lie sorted by *cell*, the states they have at the two sites: a, b and their product are
constants of a cell, so that only the fixed effects cost arithmetic for every sample. The predictors are, in
this order, the fixed effects but the intercept, then 1, a, b, ab.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.logistic.vector_exp import vector_exp, vector_log1p

# Sums may be taken in any order, which lets samples go through several at once.
_LOOSE = {"reassoc", "contract", "nsz", "arcp"}
_PRODUCT = 512  # factors 1 + e, each at most 2, whose product is in range


class Rows(NamedTuple):
    """Samples that have both calls, sorted by cell; or groups of them with the same fixed effects.

    Parameters
    ----------
    fixed
        Shape (n_fixed - 1, n_rows), the number of rows made up to a multiple of three by 0.
    samples, cases
        Shape (n_rows,), float64: samples of a row, and cases among them.
    start
        Shape (n_cells + 1,), first row of each cell, and the end.
    value
        Shape (n_cells, 4): 1, a, b, ab.
    grouped
        Whether a row may stand for more than one sample.
    """

    fixed: np.ndarray
    samples: np.ndarray
    cases: np.ndarray
    start: np.ndarray
    value: np.ndarray
    grouped: bool


class Work(NamedTuple):
    """Memory of one thread.

    Parameters
    ----------
    eta, weight, residual, other
        Shape (n_rows,): log-odds, variance, what is left of the cases, and one more.
    information, factor, inverse
        Shape (n_predictors, n_predictors): lower triangles, of the information, of its Cholesky factor L in
        correlation form, and of 1 / L.
    scale, gradient, step
        Shape (n_predictors,).
    sums
        Shape (14,).
    """

    eta: np.ndarray
    weight: np.ndarray
    residual: np.ndarray
    other: np.ndarray
    information: np.ndarray
    factor: np.ndarray
    inverse: np.ndarray
    scale: np.ndarray
    gradient: np.ndarray
    step: np.ndarray
    sums: np.ndarray


@njit(nogil=True, cache=True, error_model="numpy")
def make_work(n_rows: int, n_predictors: int) -> Work:
    """Memory for regressions of a size."""
    rows = np.empty((4, n_rows))
    square = np.zeros((3, n_predictors, n_predictors))
    line = np.zeros((3, n_predictors))
    return Work(
        rows[0], rows[1], rows[2], rows[3],
        square[0], square[1], square[2], line[0], line[1], line[2], np.zeros(14),
    )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def total_of(x: np.ndarray) -> float:
    """Sum of an array."""
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def dot(x: np.ndarray, y: np.ndarray) -> float:
    """Inner product."""
    total = 0.0
    for i in range(len(x)):
        total += x[i] * y[i]
    return total


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def add_to(out: np.ndarray, factor: float, x: np.ndarray) -> None:
    """Add a multiple of x."""
    for i in range(len(out)):
        out[i] += factor * x[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def multiply(out: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Entry by entry."""
    for i in range(len(out)):
        out[i] = x[i] * y[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def _weigh(
    eta: np.ndarray, cases: np.ndarray, weight: np.ndarray, residual: np.ndarray
) -> tuple[float, float]:
    """Variance and residual of samples; the product and the sum that their log-likelihood is made of."""
    product, linear = 1.0, 0.0
    for i in range(len(eta)):
        x = eta[i]
        e = vector_exp(-min(abs(x), 600.0))
        d = 1.0 / (1.0 + e)
        weight[i] = e * d * d
        residual[i] = cases[i] - (d if x >= 0.0 else e * d)
        product *= 1.0 + e
        linear += (cases[i] - 0.5) * x - 0.5 * abs(x)
    return product, linear


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def _weigh_groups(
    eta: np.ndarray, samples: np.ndarray, cases: np.ndarray, weight: np.ndarray, residual: np.ndarray
) -> float:
    """Variance and residual of groups; their log-likelihood."""
    total = 0.0
    for i in range(len(eta)):
        x, n = eta[i], samples[i]
        e = vector_exp(-min(abs(x), 600.0))
        d = 1.0 / (1.0 + e)
        weight[i] = n * (e * d * d)
        residual[i] = cases[i] - n * (d if x >= 0.0 else e * d)
        total += (cases[i] - 0.5 * n) * x - n * (0.5 * abs(x) + vector_log1p(e))
    return total


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def _add_three(out: np.ndarray, f: np.ndarray, g: np.ndarray, h: np.ndarray, beta: np.ndarray) -> None:
    for i in range(len(out)):
        out[i] += beta[0] * f[i] + beta[1] * g[i] + beta[2] * h[i]


@njit(nogil=True, cache=True, error_model="numpy")
def _predict(rows: Rows, beta: np.ndarray, eta: np.ndarray) -> None:
    """The log-odds of each row."""
    n_smooth, fixed = len(beta) - 4, rows.fixed
    for c in range(len(rows.value)):
        level = 0.0
        for t in range(4):
            level += rows.value[c, t] * beta[n_smooth + t]
        eta[rows.start[c] : rows.start[c + 1]] = level
    three = np.zeros(3)
    for j in range(0, n_smooth, 3):
        for k in range(3):
            three[k] = beta[j + k] if j + k < n_smooth else 0.0
        _add_three(eta, fixed[j], fixed[j + 1], fixed[j + 2], three)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def _sums_of_three(
    w: np.ndarray, r: np.ndarray, fixed: np.ndarray, j: int, begin: int, end: int, out: np.ndarray
) -> None:
    """Of the weights, the residuals, three fixed effects by either, and their products by the weights."""
    sw = sr = wf = wg = wh = rf = rg = rh = ff = fg = fh = gg = gh = hh = 0.0
    for i in range(begin, end):
        f, g, h = fixed[j, i], fixed[j + 1, i], fixed[j + 2, i]
        a, b, c = w[i] * f, w[i] * g, w[i] * h
        sw += w[i]
        sr += r[i]
        wf += a
        wg += b
        wh += c
        rf += r[i] * f
        rg += r[i] * g
        rh += r[i] * h
        ff += a * f
        fg += a * g
        fh += a * h
        gg += b * g
        gh += b * h
        hh += c * h
    out[0], out[1] = sw, sr
    out[2], out[3], out[4] = wf, wg, wh
    out[5], out[6], out[7] = rf, rg, rh
    out[8], out[9], out[10], out[11], out[12], out[13] = ff, fg, gg, fh, gh, hh


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def _three_by_one(
    w: np.ndarray, x: np.ndarray, f: np.ndarray, g: np.ndarray, h: np.ndarray
) -> tuple[float, float, float]:
    """Products of a fixed effect with three others."""
    xf = xg = xh = 0.0
    for i in range(len(w)):
        a = w[i] * x[i]
        xf += a * f[i]
        xg += a * g[i]
        xh += a * h[i]
    return xf, xg, xh


@njit(nogil=True, cache=True, error_model="numpy")
def accumulate(rows: Rows, work: Work) -> None:
    """Information and gradient from the variance and the residual of each row."""
    information, gradient, fixed, sums = work.information, work.gradient, rows.fixed, work.sums
    n_smooth = len(gradient) - 4
    information[:] = 0.0
    gradient[:] = 0.0
    for c in range(len(rows.value)):
        begin, end, value = rows.start[c], rows.start[c + 1], rows.value[c]
        for j in range(0, n_smooth, 3):
            _sums_of_three(work.weight, work.residual, fixed, j, begin, end, sums)
            place = 8
            for k in range(min(3, n_smooth - j)):
                gradient[j + k] += sums[5 + k]
                for t in range(4):
                    information[n_smooth + t, j + k] += sums[2 + k] * value[t]
                for m in range(k + 1):
                    information[j + k, j + m] += sums[place + m]
                place += k + 1
        if n_smooth == 0:
            sums[0] = total_of(work.weight[begin:end])
            sums[1] = total_of(work.residual[begin:end])
        for t in range(4):
            gradient[n_smooth + t] += sums[1] * value[t]
            for u in range(t + 1):
                information[n_smooth + t, n_smooth + u] += sums[0] * value[t] * value[u]
    for j in range(3, n_smooth):
        for k in range(0, j - j % 3, 3):
            three = _three_by_one(work.weight, fixed[j], fixed[k], fixed[k + 1], fixed[k + 2])
            information[j, k], information[j, k + 1], information[j, k + 2] = three


@njit(nogil=True, cache=True, error_model="numpy")
def evaluate(rows: Rows, beta: np.ndarray, work: Work) -> float:
    """Log-likelihood; leaves information and gradient."""
    _predict(rows, beta, work.eta)
    total = 0.0
    if rows.grouped:
        total = _weigh_groups(work.eta, rows.samples, rows.cases, work.weight, work.residual)
    else:
        for begin in range(0, len(rows.cases), _PRODUCT):
            part = slice(begin, min(begin + _PRODUCT, len(rows.cases)))
            product, linear = _weigh(work.eta[part], rows.cases[part], work.weight[part], work.residual[part])
            total += linear - math.log(product)
    accumulate(rows, work)
    return total
