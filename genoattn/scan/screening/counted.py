"""The screen of a tile whose genotype products are counted: exact where the inner product has no weights.

``<P, yt>`` and ``<P, q_k>`` are entries of rounded matrix products, ``<a yt, b>`` and ``<a q_k, b>``; all
else in the bound follows from the numbers of samples with each pair of genotypes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.screening.bits import set_bits
from genoattn.scan.screening.bound import (
    COLUMNS,
    DELTA,
    FIXED,
    FIXED_ERROR,
    FREE,
    LENGTH,
    ON_BOTH,
    P_ERROR2,
    PA,
    PB,
    R_ERROR,
    SHARE,
    R,
    as_number,
    decide,
    load_columns,
    load_products,
)

_TINY = 1e-9  # rounding of r in float64
_MEAN, _TOTAL, _SQUARE, _SCALE, _STRETCH, _REACH, _LEVERAGE = range(FREE, FREE + 7 * COLUMNS, COLUMNS)
_N11, _N12, _N21, _N22 = range(FREE + 7 * COLUMNS, FREE + 11 * COLUMNS, COLUMNS)
_N00, _N10, _N20, _N01, _N02, _END = range(FREE + 11 * COLUMNS, FREE + 17 * COLUMNS, COLUMNS)


class Counted(NamedTuple):
    """Columns of a block as bits, with their moments.

    Parameters
    ----------
    one, two, called
        Shape (n_block, n_words), bit planes.
    mean, total, square, scale, stretch
        Shape (n_block,): mean of the codes, their sum and that of their squares, 1 / length of the centred
        column, and its length over that of what the fixed effects leave of it.
    reach
        Shape (n_block,), squared length of the unit residual column's part in the fixed effects.
    """

    one: np.ndarray
    two: np.ndarray
    called: np.ndarray
    mean: np.ndarray
    total: np.ndarray
    square: np.ndarray
    scale: np.ndarray
    stretch: np.ndarray
    reach: np.ndarray


@njit(inline="always")
def _load_moments(scratch, b, right, start, stop):  # type: ignore[no-untyped-def]
    """Moments of the block's columns."""
    for j in range(start, stop):
        c = j - start
        scratch[_MEAN + c], scratch[_TOTAL + c], scratch[_SQUARE + c] = b.mean[j], b.total[j], b.square[j]
        scratch[_SCALE + c], scratch[_STRETCH + c], scratch[_REACH + c] = b.scale[j], b.stretch[j], b.reach[j]
        scratch[_LEVERAGE + c] = right.leverage[j]


@njit(nogil=True, cache=True)
def _count(one, two, b_one, b_two, start, first, stop, scratch):  # type: ignore[no-untyped-def]
    """Samples with both codes 1 or more; a 1 or more and b 2; a 2 and b 1 or more; both 2."""
    for j in range(first, stop):
        n11, n12, n21, n22 = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
        for w in range(len(one)):
            x, y, u, v = one[w], two[w], b_one[j, w], b_two[j, w]
            n11 += set_bits(x & u)
            n12 += set_bits(x & v)
            n21 += set_bits(y & u)
            n22 += set_bits(y & v)
        c = j - start
        scratch[_N11 + c], scratch[_N12 + c] = np.float64(n11), np.float64(n12)
        scratch[_N21 + c], scratch[_N22 + c] = np.float64(n21), np.float64(n22)


@njit(nogil=True, cache=True)
def _count_called(one, two, called, b, start, first, stop, scratch):  # type: ignore[no-untyped-def]
    """Samples called at both; of them those with a code of 1 or more, and of 2, at either."""
    for j in range(first, stop):
        n00, n10, n20 = np.uint64(0), np.uint64(0), np.uint64(0)
        n01, n02 = np.uint64(0), np.uint64(0)
        for w in range(len(one)):
            known, here = called[w], b.called[j, w]
            n00 += set_bits(known & here)
            n10 += set_bits(one[w] & here)
            n20 += set_bits(two[w] & here)
            n01 += set_bits(known & b.one[j, w])
            n02 += set_bits(known & b.two[j, w])
        c = j - start
        scratch[_N00 + c] = np.float64(n00)
        scratch[_N10 + c], scratch[_N20 + c] = np.float64(n10), np.float64(n20)
        scratch[_N01 + c], scratch[_N02 + c] = np.float64(n01), np.float64(n02)


@njit(inline="always")
def _assemble(scratch, a, left, i, n_samples, gaps):  # type: ignore[no-untyped-def]
    """Inner products of row i with the block's columns, from counts."""
    ma, sa, fa = a.mean[i], a.scale[i], a.stretch[i]
    total, square, reach, fixed = a.total[i], a.square[i], a.reach[i], left.fixed[i]
    root = np.sqrt(n_samples)
    for c in range(COLUMNS):
        mb, sb, fb = scratch[_MEAN + c], scratch[_SCALE + c], scratch[_STRETCH + c]
        n11, n12, n21, n22 = scratch[_N11 + c], scratch[_N12 + c], scratch[_N21 + c], scratch[_N22 + c]
        n01, n02 = scratch[_N01 + c], scratch[_N02 + c]
        n00 = scratch[_N00 + c] if gaps else n_samples
        a1 = scratch[_N10 + c] + scratch[_N20 + c] if gaps else total
        a2 = a1 + 2.0 * scratch[_N20 + c] if gaps else square
        b1 = n01 + n02 if gaps else scratch[_TOTAL + c]
        b2 = b1 + 2.0 * n02 if gaps else scratch[_SQUARE + c]
        ab = n11 + n12 + n21 + n22
        aab, abb = ab + 2.0 * (n21 + n22), ab + 2.0 * (n12 + n22)
        aabb = ab + 2.0 * (n12 + n21) + 8.0 * n22
        # Sums of products of the centred columns A = a - ma, B = b - mb.
        b_of_a, b_of_1 = ab - mb * a1, b1 - mb * n00
        bb_of_a = abb - 2.0 * mb * ab + mb * mb * a1
        bb_of_1 = b2 - 2.0 * mb * b1 + mb * mb * n00
        bb_of_aa = aabb - 2.0 * mb * aab + mb * mb * a2
        unit = sa * sb * root
        cross = (b_of_a - ma * b_of_1) * sa * sb
        scratch[PA + c] = (aab - mb * a2 - 2.0 * ma * b_of_a + ma * ma * b_of_1) * unit * sa * fa
        scratch[PB + c] = (bb_of_a - ma * bb_of_1) * unit * sb * fb
        scratch[LENGTH + c] = (bb_of_aa - 2.0 * ma * bb_of_a + ma * ma * bb_of_1) * unit * unit
        scratch[R + c] = (cross - scratch[ON_BOTH + c]) * fa * fb
        scratch[R_ERROR + c] = _TINY + 1e-6 * abs(scratch[ON_BOTH + c])
        # <P, at> differs from <P, a> by what P and a share in the fixed effects: at most |a_Q| |P_Q|.
        error = fixed * scratch[FIXED + c]
        scratch[P_ERROR2 + c] = 2.0 * (reach + scratch[_REACH + c]) * (scratch[SHARE + c] + error * error)
        scratch[FIXED_ERROR + c] = error
        scratch[SHARE + c] += cross * cross


@njit(inline="always")
def _lose(scratch, a, left, i):  # type: ignore[no-untyped-def]
    """What the fixed effects and the columns have in samples that a pair of row i lacks: see gaps.py."""
    ma, stretch_a, reach_a, leverage_a = a.mean[i], a.stretch[i], a.reach[i], left.leverage[i]
    square_a = 1.0 / (a.scale[i] * a.scale[i])
    for c in range(COLUMNS):
        mb, sb, leverage_b = scratch[_MEAN + c], scratch[_SCALE + c], scratch[_LEVERAGE + c]
        stretch_b, reach_b = scratch[_STRETCH + c], scratch[_REACH + c]
        n00, n20, n02 = scratch[_N00 + c], scratch[_N20 + c], scratch[_N02 + c]
        a1, b1 = scratch[_N10 + c] + n20, scratch[_N01 + c] + n02
        # Of each column what lies outside the samples called at both, its own missing calls being 0.
        lost_a = 1.0 - (a1 + 2.0 * n20 - 2.0 * ma * a1 + ma * ma * n00) / square_a
        lost_b = 1.0 - (b1 + 2.0 * n02 - 2.0 * mb * b1 + mb * mb * n00) * sb * sb
        # A residual column is at most its column and its part in the fixed effects: (x + y)^2.
        lost_a = 1.5 * lost_a * stretch_a * stretch_a + 3.0 * reach_a * leverage_b
        lost_b = 1.5 * lost_b * stretch_b * stretch_b + 3.0 * reach_b * leverage_a
        scratch[DELTA + c] = leverage_a + leverage_b + lost_a + lost_b + 1e-12


@njit(nogil=True, cache=True, error_model="numpy")
def screen_counted(a, b, left, right, score, fixed, on_both, n_samples, gaps, impute, triangle, limits, keep):  # type: ignore[no-untyped-def]
    """Which pairs of a tile may pass, genotype products being counted.

    Parameters
    ----------
    a, b
        :class:`Counted` rows and columns of the tile.
    left, right
        Their :class:`Bounds`.
    score
        Shape (n_parts, n_rows, n_columns), whose sum is ``<P, yt>``: float32, or uint16 that hold bfloat16.
    fixed
        Shape (n_fixed - 1, n_rows, n_columns), ``<P, q_k>``; its first axis may be empty.
    on_both
        Shape (n_rows, n_columns) or (0, 0), what the columns, at unit length, share in the fixed effects.
    n_samples
        Samples, as a float.
    gaps
        Whether any call of the tile is missing.
    impute
        Whether missing calls count as the mean, so that no sample is lost.
    triangle
        Row i is tested with columns from triangle + i on.
    limits
        :class:`~genoattn.scan.screening.bound.Limits`.
    keep
        Shape (n_rows, n_columns), bool, set where a pair may pass.
    """
    n_rows, n_columns = keep.shape
    scratch = np.zeros(_END)
    for start in range(0, n_columns, COLUMNS):
        stop = min(start + COLUMNS, n_columns)
        load_columns(scratch, right, start, stop)
        _load_moments(scratch, b, right, start, stop)
        for i in range(n_rows):
            first = max(start, triangle + i)
            if first >= stop:
                continue
            _count(a.one[i], a.two[i], b.one, b.two, start, first, stop, scratch)
            if gaps:
                _count_called(a.one[i], a.two[i], a.called[i], b, start, first, stop, scratch)
            load_products(scratch, score, fixed, i, start, first, stop)
            if len(on_both):
                for j in range(first, stop):
                    scratch[ON_BOTH + j - start] = as_number(on_both[i, j])
            _assemble(scratch, a, left, i, n_samples, gaps)
            if gaps and not impute:
                _lose(scratch, a, left, i)
            decide(scratch, left, i, start, first, stop, gaps and not impute, limits, keep)
