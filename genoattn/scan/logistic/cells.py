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
from genoattn.scan.screening.bits import pack_planes, set_bits

_N = 4  # predictors
_CELLS = 16  # of which nine are used: whole vectors
_SAMPLES, _CASES, _WEIGHT, _RESIDUAL, _A, _B = range(0, 6 * _CELLS, _CELLS)
_LOOSE = {"reassoc", "contract", "nsz", "arcp"}


class CellPlanes(NamedTuple):
    """Columns of codes 0, 1, 2 without missing calls, as bits.

    Parameters
    ----------
    one, two
        Shape (n_columns, n_words), uint64: which samples have a code of 1 or more, of 2.
    case
        Shape (n_words,), uint64, which samples are cases.
    totals
        Shape (n_columns, 4), int64: samples in ``one`` and in ``two``, then cases among them.
    n_samples, n_cases
        How many there are.
    """

    one: np.ndarray
    two: np.ndarray
    case: np.ndarray
    totals: np.ndarray
    n_samples: int
    n_cases: int


def make_planes(codes: np.ndarray, case: np.ndarray) -> CellPlanes | None:
    """Bits of columns; None where calls are missing, or codes exceed 2.

    Parameters
    ----------
    codes
        Shape (n_columns, n_samples), int8.
    case
        Shape (n_samples,), 0 or 1.
    """
    if codes.size == 0 or codes.min() < 0 or codes.max() > 2:
        return None
    planes = pack_planes(codes)
    (bits,) = pack_planes(case[None].astype(np.int8)).one
    totals = _totals(planes.one, planes.two, bits)
    return CellPlanes(planes.one, planes.two, bits, totals, len(case), int(case.sum()))


@njit(nogil=True, cache=True)
def _totals(one, two, case):  # type: ignore[no-untyped-def]
    """Set bits of each column's planes, then those of cases."""
    out = np.zeros((len(one), 4), dtype=np.int64)
    for i in range(len(one)):
        for w in range(len(case)):
            a, b, c = one[i, w], two[i, w], case[w]
            out[i, 0] += set_bits(a)
            out[i, 1] += set_bits(b)
            out[i, 2] += set_bits(a & c)
            out[i, 3] += set_bits(b & c)
    return out


def no_planes() -> CellPlanes:
    """Bits of no columns."""
    none = np.zeros((0, 0), dtype=np.uint64)
    return CellPlanes(none, none, np.zeros(0, dtype=np.uint64), np.zeros((0, 4), dtype=np.int64), 0, 0)


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
def _spread(n, a, b, both, out, place):  # type: ignore[no-untyped-def]
    """Counts of nine cells from those of planes: of all, of each column's two, and of both columns'."""
    p, q, r, s = both
    out[place] = n - a[0] - b[0] + p
    out[place + 1], out[place + 2] = b[0] - b[1] - p + q, b[1] - q
    out[place + 3], out[place + 6] = a[0] - a[1] - p + r, a[1] - r
    out[place + 4], out[place + 5], out[place + 7], out[place + 8] = p - q - r + s, q - s, r - s, s


@njit(nogil=True, cache=True, error_model="numpy")
def _count(planes, i, j, table):  # type: ignore[no-untyped-def]
    """Fill the cells of a pair with samples and cases."""
    p = q = r = s = cp = cq = cr = cs = np.uint64(0)
    one, two, case = planes.one, planes.two, planes.case
    for w in range(len(case)):
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
    a, b = planes.totals[i], planes.totals[j]
    both = np.int64(p), np.int64(q), np.int64(r), np.int64(s)
    _spread(planes.n_samples, (a[0], a[1]), (b[0], b[1]), both, table.lanes, _SAMPLES)
    both = np.int64(cp), np.int64(cq), np.int64(cr), np.int64(cs)
    _spread(planes.n_cases, (a[2], a[3]), (b[2], b[3]), both, table.lanes, _CASES)


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
def root_of_cells(planes, i, j, table):  # type: ignore[no-untyped-def]
    """Root of twice the gain in log-likelihood by the product of a pair, and its standard error; or NaN.

    Parameters
    ----------
    planes
        :class:`CellPlanes`.
    i, j
        The pair, columns that vary.
    table
        Work space; the coefficients of 1, a, b and ab are left in its ``beta``.
    """
    _count(planes, i, j, table)
    table.beta[:] = 0.0
    table.beta[0] = math.log(planes.n_cases / (planes.n_samples - planes.n_cases))
    without, left = _maximum(table, _N - 1, _evaluate(table))
    if not without <= 0.0:
        return np.nan, np.nan
    whole, more = _maximum(table, _N, without)
    return math.sqrt(max(2.0 * (whole - without) + more - left, 0.0)), 1.0 / table.factor[_N - 1, _N - 1]
