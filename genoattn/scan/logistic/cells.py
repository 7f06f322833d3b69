"""The likelihood ratio of a pair by the counts of its nine cells, whatever the fixed effects: compiled.

Most pairs that a screen leaves are far from passing, with fixed effects or without. Samples and cases by the
two genotypes are counted from planes of bits, and ``1, a, b, ab`` are fitted to them: a few hundred numbers
instead of one for each sample. Where this cannot tell (no maximum, predictors nearly dependent) it says so
by NaN.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.logistic.coarse import LARGEST, ROUNDS, SETTLED, newton_step
from genoattn.scan.logistic.vector_exp import vector_exp, vector_log1p
from genoattn.scan.screening.alike import GROUP
from genoattn.scan.screening.bits import set_bits
from genoattn.scan.screening.words import pack_words

_N = 4  # predictors
_WORD = 64  # samples
_CELLS = 16  # of which nine are used: whole vectors
_SAMPLES, _CASES, _WEIGHT, _RESIDUAL, _A, _B = range(0, 6 * _CELLS, _CELLS)
_LOOSE = {"reassoc", "contract", "nsz", "arcp"}


class CellPlanes(NamedTuple):
    """Columns of codes 0, 1, 2 without missing calls as bits, group of samples by group.

    Parameters
    ----------
    one, two
        Shape (n_columns, n_words), uint64: which samples have a code of 1 or more, of 2.
    case
        Shape (n_words,), uint64, which samples are cases.
    first
        Shape (n_groups + 1,), the first word of each group, and their number.
    totals
        Shape (n_columns, n_groups + 1, 4), int64: samples in ``one`` and in ``two``, then cases among them,
        of each group and of all.
    size
        Shape (n_groups + 1, 2), samples, and cases among them, of each group and of all.
    """

    one: np.ndarray
    two: np.ndarray
    case: np.ndarray
    first: np.ndarray
    totals: np.ndarray
    size: np.ndarray


def make_planes(codes: np.ndarray, case: np.ndarray, group: np.ndarray) -> CellPlanes | None:
    """Bits of columns; None where calls are missing, or codes exceed 2.

    Parameters
    ----------
    codes
        Shape (n_columns, n_samples), int8.
    case
        Shape (n_samples,), 0 or 1.
    group
        Shape (n_samples,), whole numbers from 0 on.
    """
    if codes.size == 0 or codes.min() < 0 or codes.max() > 2:
        return None
    n = np.bincount(group)
    n_words = -(-n // _WORD)
    first = np.concatenate([[0], np.cumsum(n_words)])
    order = np.argsort(group, kind="stable")
    place = first[group[order]] * _WORD + np.arange(len(order)) - np.repeat(np.cumsum(n) - n, n)
    samples = np.full(first[-1] * _WORD, -1)
    samples[place] = order
    words = pack_words(codes, samples.reshape(-1, GROUP))
    one, two = (np.ascontiguousarray(words[:, :, k]).view(np.uint64) for k in range(2))
    of_case = pack_words(case[None].astype(np.int8), samples.reshape(-1, GROUP))
    bits = np.ascontiguousarray(of_case[0, :, 0]).view(np.uint64)
    size = np.stack([n, np.bincount(group, case).astype(np.int64)], axis=1)
    size = np.concatenate([size, size.sum(axis=0, keepdims=True)])
    return CellPlanes(one, two, bits, first, _totals(one, two, bits, first), size)


@njit(nogil=True, cache=True)
def _totals(one, two, case, first):  # type: ignore[no-untyped-def]
    """Set bits of each column's planes, then those of cases, by group."""
    n_groups = len(first) - 1
    out = np.zeros((len(one), n_groups + 1, 4), dtype=np.int64)
    for i in range(len(one)):
        for g in range(n_groups):
            for w in range(first[g], first[g + 1]):
                a, b, c = one[i, w], two[i, w], case[w]
                out[i, g, 0] += set_bits(a)
                out[i, g, 1] += set_bits(b)
                out[i, g, 2] += set_bits(a & c)
                out[i, g, 3] += set_bits(b & c)
            out[i, n_groups] += out[i, g]
    return out


def no_planes() -> CellPlanes:
    """Bits of no columns."""
    none, whole = np.zeros((0, 0), dtype=np.uint64), np.zeros((0, 2), dtype=np.int64)
    totals = np.zeros((0, 0, 4), dtype=np.int64)
    return CellPlanes(none, none, np.zeros(0, dtype=np.uint64), np.zeros(1, dtype=np.int64), totals, whole)


class Table(NamedTuple):
    """Work space: the cells of a pair, and Newton's method.

    Parameters
    ----------
    lanes
        Shape (96,), of 16 cells each: samples, cases among them, sum of variances, sum of residuals, a, b.
        One array, so that the compiler may use vectors.
    information, factor
        Shape (4, 4), lower triangles.
    beta, gradient, step
        Shape (4,).
    """

    lanes: np.ndarray
    information: np.ndarray
    factor: np.ndarray
    beta: np.ndarray
    gradient: np.ndarray
    step: np.ndarray


@njit(nogil=True, cache=True, error_model="numpy")
def make_table() -> Table:
    """Work space."""
    beta, gradient, step = np.zeros((3, _N))
    information, factor = np.zeros((2, _N, _N))
    lanes = np.zeros(6 * _CELLS)
    for c in range(9):
        lanes[_A + c], lanes[_B + c] = c // 3, c % 3
    return Table(lanes, information, factor, beta, gradient, step)


@njit(inline="always")
def _spread(n, a1, a2, b1, b2, both, out):  # type: ignore[no-untyped-def]
    """Counts of nine cells from those of planes: of all, of each column's two, and of both columns'."""
    p, q, r, s = both
    out[0] = n - a1 - b1 + p
    out[1], out[2] = b1 - b2 - p + q, b2 - q
    out[3], out[6] = a1 - a2 - p + r, a2 - r
    out[4], out[5], out[7], out[8] = p - q - r + s, q - s, r - s, s


@njit(inline="always")
def _fill(planes, i, j, g, counts, out):  # type: ignore[no-untyped-def]
    """Samples of the nine cells, then cases, from those in both columns' planes."""
    totals, size = planes.totals, planes.size
    n, a1, a2, b1, b2 = size[g, 0], totals[i, g, 0], totals[i, g, 1], totals[j, g, 0], totals[j, g, 1]
    _spread(n, a1, a2, b1, b2, counts[:4], out[:9])
    n, a1, a2, b1, b2 = size[g, 1], totals[i, g, 2], totals[i, g, 3], totals[j, g, 2], totals[j, g, 3]
    _spread(n, a1, a2, b1, b2, counts[4:], out[_CELLS:])


@njit(nogil=True, cache=True, error_model="numpy")
def count_cells(planes, i, j, counts, out):  # type: ignore[no-untyped-def]
    """Count a pair's samples and cases by group, and by cell over all groups.

    Parameters
    ----------
    planes
        :class:`CellPlanes`.
    i, j
        The pair.
    counts
        Shape (at least n_groups + 1, 8) int64, filled: samples in both columns' planes (of one and one, one
        and two, two and one, two and two), then cases among them, of each group and of all.
    out
        Shape (32,), of which samples and, 16 further on, cases of all groups are filled by cell, ``3 a + b``.
    """
    one, two, case, first = planes.one, planes.two, planes.case, planes.first
    last = len(first) - 1
    counts[last] = 0
    for g in range(last):
        p = q = r = s = cp = cq = cr = cs = np.uint64(0)
        for w in range(first[g], first[g + 1]):
            a1, a2, b1, b2, c = one[i, w], two[i, w], one[j, w], two[j, w], case[w]
            p += set_bits(a1 & b1)
            q += set_bits(a1 & b2)
            r += set_bits(a2 & b1)
            s += set_bits(a2 & b2)
            a1, a2 = a1 & c, a2 & c
            cp += set_bits(a1 & b1)
            cq += set_bits(a1 & b2)
            cr += set_bits(a2 & b1)
            cs += set_bits(a2 & b2)
        counts[g, 0], counts[g, 1], counts[g, 2], counts[g, 3] = p, q, r, s
        counts[g, 4], counts[g, 5], counts[g, 6], counts[g, 7] = cp, cq, cr, cs
        for k in range(8):
            counts[last, k] += counts[g, k]
    _fill(planes, i, j, last, counts[last], out)


@njit(nogil=True, cache=True, error_model="numpy")
def fill_grid(planes, i, j, counts, samples, cases):  # type: ignore[no-untyped-def]
    """Samples and cases by cell and group, (at least 9, at least n_groups), from :func:`count_cells`."""
    out = np.zeros(2 * _CELLS)
    for g in range(len(planes.first) - 1):
        _fill(planes, i, j, g, counts[g], out)
        for c in range(9):
            samples[c, g], cases[c, g] = out[c], out[_CELLS + c]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def _log_likelihood(beta, lanes):  # type: ignore[no-untyped-def]
    """Log-likelihood; leaves the variances and the residuals of the cells."""
    total = 0.0
    b0, b1, b2, b3 = beta[0], beta[1], beta[2], beta[3]
    for c in range(_CELLS):
        a, b, n, cases = lanes[_A + c], lanes[_B + c], lanes[_SAMPLES + c], lanes[_CASES + c]
        x = b0 + b1 * a + (b2 + b3 * a) * b
        e = vector_exp(-min(abs(x), 600.0))
        d = 1.0 / (1.0 + e)
        total += (cases - 0.5 * n) * x - n * (0.5 * abs(x) + vector_log1p(e))
        lanes[_WEIGHT + c] = n * e * d * d
        lanes[_RESIDUAL + c] = cases - n * (d if x >= 0.0 else e * d)
    return total


@njit(inline="always")
def _by_genotype(x, c):  # type: ignore[no-untyped-def]
    """Sums of three cells from c on, by 1, b and b^2, b being 0, 1 and 2."""
    return x[c] + x[c + 1] + x[c + 2], x[c + 1] + 2.0 * x[c + 2], x[c + 1] + 4.0 * x[c + 2]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def _moments(lanes, information, gradient):  # type: ignore[no-untyped-def]
    """Information and gradient from the variances and the residuals of the cells."""
    n0, b0, bb0 = _by_genotype(lanes, _WEIGHT)
    n1, b1, bb1 = _by_genotype(lanes, _WEIGHT + 3)
    n2, b2, bb2 = _by_genotype(lanes, _WEIGHT + 6)
    ab, abb = b1 + 2.0 * b2, bb1 + 2.0 * bb2
    information[0, 0] = n0 + n1 + n2
    information[1, 0], information[1, 1] = n1 + 2.0 * n2, n1 + 4.0 * n2
    information[2, 0], information[2, 1], information[2, 2] = b0 + b1 + b2, ab, bb0 + bb1 + bb2
    information[3, 0], information[3, 1], information[3, 2] = ab, b1 + 4.0 * b2, abb
    information[3, 3] = bb1 + 4.0 * bb2
    n0, b0, bb0 = _by_genotype(lanes, _RESIDUAL)
    n1, b1, bb1 = _by_genotype(lanes, _RESIDUAL + 3)
    n2, b2, bb2 = _by_genotype(lanes, _RESIDUAL + 6)
    gradient[0], gradient[1] = n0 + n1 + n2, n1 + 2.0 * n2
    gradient[2], gradient[3] = b0 + b1 + b2, b1 + 2.0 * b2


@njit(nogil=True, cache=True, error_model="numpy")
def _evaluate(table):  # type: ignore[no-untyped-def]
    total = _log_likelihood(table.beta, table.lanes)
    _moments(table.lanes, table.information, table.gradient)
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _maximum(table, n_free, value):  # type: ignore[no-untyped-def]
    """The log-likelihood where this stops, and twice what is left to gain; NaN without a maximum."""
    for _ in range(ROUNDS):
        gain = newton_step(table, n_free)
        if not gain >= 0.0:
            break
        if gain < SETTLED:
            return value, gain
        for j in range(n_free):
            table.beta[j] += table.step[j]
            if not abs(table.beta[j]) < LARGEST:
                return np.nan, np.nan
        before, value = value, _evaluate(table)
        if not value >= before:
            break
    return np.nan, np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def root_of_cells(planes, table):  # type: ignore[no-untyped-def]
    """Root of twice the gain in log-likelihood by the product of a pair, and its standard error; or NaN.

    Parameters
    ----------
    planes
        :class:`CellPlanes`.
    table
        Work space, with the counts of :func:`count_cells`; the coefficients of 1, a, b and ab are left in its
        ``beta``.
    """
    n, n_cases = planes.size[-1, 0], planes.size[-1, 1]
    table.beta[:] = 0.0
    table.beta[0] = math.log(n_cases / (n - n_cases))
    without, left = _maximum(table, _N - 1, _evaluate(table))
    if not without <= 0.0:
        return np.nan, np.nan
    whole, more = _maximum(table, _N, without)
    return math.sqrt(max(2.0 * (whole - without) + more - left, 0.0)), 1.0 / table.factor[_N - 1, _N - 1]
