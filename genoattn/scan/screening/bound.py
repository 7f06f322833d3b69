"""The bound of the screen: that no pair it discards can pass the threshold.

Write P for the product of two centred columns a and b, scaled to unit length in expectation; at, bt, yt for
what the fixed effects q_k leave of the columns and the trait, at unit length. With ``r = <at, bt>``,
``p = (<P, at>, <P, bt>)``, ``g = (<at, yt>, <bt, yt>)`` and ``G = [[1, r], [r, 1]]`` the regression gives

``t^2 / (df + t^2) = (<P, yt> - p' G^-1 g)^2 / ((|P|^2 - sum_k <P, q_k>^2 - p' G^-1 p) (1 - g' G^-1 g))``.

Each inner product is exact or known with an error. The numerator is rounded up and the denominator down by
what follows from the errors, so that the ratio is an upper bound; where it reaches the threshold the pair is
a candidate for the exact test.

Missing calls count as the mean. P is then 0 for a sample that lacks either call, but the regression on
complete cases differs in the samples that lack one: they are taken out by per-column bounds on what those
samples can change (gaps.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_ALIKE = 1e-5  # 1 - |r| below which two columns may be one
COLUMNS = 64  # columns of a tile at a time, whose bits and numbers stay in the cache

# Rows of a block's scratch, COLUMNS numbers each: one array, so that the compiler may use vectors.
MAIN, TRAIT, FIXED, SCALE, LOST = range(0, 5 * COLUMNS, COLUMNS)  # of the block's columns
SCORE, SHARE, ON_BOTH = range(5 * COLUMNS, 8 * COLUMNS, COLUMNS)  # <P, yt>, sum <P, q_k>^2, part of r
R, PA, PB, LENGTH = range(8 * COLUMNS, 12 * COLUMNS, COLUMNS)
R_ERROR, P_ERROR2, FIXED_ERROR, DELTA = range(12 * COLUMNS, 16 * COLUMNS, COLUMNS)
MARGIN, KEEP, FREE = range(16 * COLUMNS, 19 * COLUMNS, COLUMNS)


class Limits(NamedTuple):
    """What a bound is compared with.

    Parameters
    ----------
    square
        Square of the critical score, for a product of unit length.
    unit
        Score of a correlation of 1.
    relative
        Rounding of a score relative to itself.
    binary
        Whether the variance of the trait is known, so that main effects take nothing of it.
    """

    square: float
    unit: float
    relative: float
    binary: bool


class Bounds(NamedTuple):
    """Of the columns of a block, shape (n_block,) float64 each: what the bound needs beside the products.

    Parameters
    ----------
    main
        Correlation with the trait, in units of the score.
    trait, fixed
        Factors of the error of ``<P, yt>``, and of the length of all ``<P, q_k>``: error = row x column.
    scale
        What an entry of ``<P, yt>`` or ``<P, q_k>`` is to be multiplied by, where the block is the columns.
    leverage, lost
        What missing calls can change: leverage, and share of the squared trait; 0 without any.
    margin
        Share by which the score of a pair may lie below the critical one, the sum of two columns'; 0 where
        the score is the statistic itself.
    """

    main: np.ndarray
    trait: np.ndarray
    fixed: np.ndarray
    scale: np.ndarray
    leverage: np.ndarray
    lost: np.ndarray
    margin: np.ndarray


@intrinsic
def as_number(typing_context, entry):  # type: ignore[no-untyped-def]
    """An entry of a product as float64: a float32, or the upper half of one as uint16 (bfloat16)."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        value = arguments[0]
        if entry == types.uint16:
            word = builder.shl(builder.zext(value, ir.IntType(32)), ir.Constant(ir.IntType(32), 16))
            value = builder.bitcast(word, ir.FloatType())
        return builder.fpext(value, ir.DoubleType())

    return types.float64(entry), generate


@njit(inline="always")
def _larger(x, y):  # type: ignore[no-untyped-def]
    """max(x, y) as the processor's vectors have it."""
    return x if x > y else y


@njit(inline="always")
def load_columns(scratch, right, start, stop):  # type: ignore[no-untyped-def]
    """What the bound needs of the columns of a block."""
    for j in range(start, stop):
        c = j - start
        scratch[MAIN + c], scratch[TRAIT + c], scratch[FIXED + c] = (
            right.main[j],
            right.trait[j],
            right.fixed[j],
        )
        scratch[SCALE + c], scratch[LOST + c] = right.scale[j], right.lost[j]
        scratch[MARGIN + c] = right.margin[j]


@njit(inline="always")
def load_products(scratch, score, fixed, i, start, first, stop):  # type: ignore[no-untyped-def]
    """Scores of row i, and the share of the fixed effects beside the intercept."""
    for j in range(first, stop):
        scratch[SCORE + j - start] = as_number(score[0, i, j]) * scratch[SCALE + j - start]
        scratch[SHARE + j - start] = 0.0
    for k in range(1, score.shape[0]):
        for j in range(first, stop):
            scratch[SCORE + j - start] += as_number(score[k, i, j]) * scratch[SCALE + j - start]
    for k in range(fixed.shape[0]):
        for j in range(first, stop):
            x = as_number(fixed[k, i, j]) * scratch[SCALE + j - start]
            scratch[SHARE + j - start] += x * x


@njit(inline="always")
def _quick(scratch, left, i, limits):  # type: ignore[no-untyped-def]
    """A bound looser than :func:`full_bound` and quicker: (x + e)^2 <= (1 + s) x^2 + (1 + 1/s) e^2."""
    ga, trait, margin = left.main[i], left.trait[i], left.margin[i]
    for c in range(COLUMNS):
        r, pa, pb = scratch[R + c], scratch[PA + c], scratch[PB + c]
        gb = scratch[MAIN + c]
        room = 1.0 - abs(r)
        sure = _larger(room - scratch[R_ERROR + c], _ALIKE)
        inverse = 1.0 / (sure * (1.0 + abs(r)))
        spread = 2.0 * scratch[P_ERROR2 + c] * inverse
        explained = _larger(pa * pa + pb * pb - 2.0 * r * pa * pb, 0.0) * inverse
        fixed2 = scratch[FIXED_ERROR + c] * scratch[FIXED_ERROR + c]
        taken = 1.02 * (explained + scratch[SHARE + c]) + 51.0 * (spread + fixed2)
        main = _larger(ga * ga + gb * gb - 2.0 * r * ga * gb, 0.0) * inverse
        # The numerator by the weights p' G^-1 of the r at hand, whose own error is among the rounding.
        off = scratch[SCORE + c] - (pa * (ga - r * gb) + pb * (gb - r * ga)) * inverse * (sure / room)
        own, trait_error = limits.relative * scratch[SCORE + c], trait * scratch[TRAIT + c]
        turn = 2.0 * scratch[R_ERROR + c] * inverse
        rounding = main * (spread + explained * turn * turn) + trait_error * trait_error + own * own
        down = scratch[LENGTH + c] - taken
        down *= 1.0 if limits.binary else _larger(1.0 - main / limits.unit**2, 0.0)
        near = _larger(1.0 - margin - scratch[MARGIN + c], 0.0)
        square = limits.square * near * near
        possible = not (1.01 * off * off + 404.0 * rounding < square * _larger(down, 0.0))
        scratch[KEEP + c] = 1.0 if possible | (room < 1e-3) else 0.0


@njit(inline="always")
def full_bound(scratch, left, i, c, limits):  # type: ignore[no-untyped-def]
    """Whether the pair of row i and the block's column c may pass."""
    r, pa, pb, r_error = scratch[R + c], scratch[PA + c], scratch[PB + c], scratch[R_ERROR + c]
    ga, gb, score = left.main[i], scratch[MAIN + c], scratch[SCORE + c]
    room = 1.0 - abs(r)
    sure = _larger(room - r_error, _ALIKE)  # smallest eigenvalue of G
    wider = _larger(room, 0.0) / sure  # of G^-1, by the rounding of r
    inverse = 1.0 / _larger(room * (1.0 + abs(r)), _ALIKE)
    explained = _larger(pa * pa + pb * pb - 2.0 * r * pa * pb, 0.0) * inverse
    spread = scratch[P_ERROR2 + c] / sure
    most_fixed = np.sqrt(scratch[SHARE + c]) + scratch[FIXED_ERROR + c]
    most_explained = np.sqrt(explained * wider) + np.sqrt(spread)
    taken = most_explained * most_explained + most_fixed * most_fixed
    main = _larger(ga * ga + gb * gb - 2.0 * r * ga * gb, 0.0) * inverse * wider
    through = (pa * (ga - r * gb) + pb * (gb - r * ga)) * inverse
    top = abs(score - through) + left.trait[i] * scratch[TRAIT + c] + limits.relative * abs(score)
    top += np.sqrt(main) * (np.sqrt(spread) + np.sqrt(explained) * (r_error / sure))
    share = main / (limits.unit * limits.unit)
    delta = scratch[DELTA + c] / sure
    keep = _larger(1.0 - delta, 1e-6)  # no pair is discarded where nothing need be left
    gone = np.sqrt(left.lost[i] + scratch[LOST + c]) + np.sqrt((delta if delta < 1.0 else 1.0) * share)
    top += limits.unit * np.sqrt(taken * delta) * gone / keep
    down = _larger(scratch[LENGTH + c] - taken / keep, 0.0)
    down *= 1.0 if limits.binary else _larger(1.0 - share - gone * gone / keep, 0.0)
    near = _larger(1.0 - left.margin[i] - scratch[MARGIN + c], 0.0)
    # Negated, so that a NaN is a candidate.
    return (not (top * top < limits.square * near * near * down)) | (room < r_error + _ALIKE)


@njit(nogil=True, cache=True, error_model="numpy")
def decide(scratch, left, i, start, first, stop, gaps, limits, keep):  # type: ignore[no-untyped-def]
    """Set ``keep[i, j]`` for the columns of a block, from ``first`` on, whose pair with row i may pass."""
    if gaps:
        for c in range(COLUMNS):
            scratch[KEEP + c] = 1.0 if full_bound(scratch, left, i, c, limits) else 0.0
    else:
        _quick(scratch, left, i, limits)
    n_possible = 0.0
    for c in range(first - start, stop - start):
        n_possible += scratch[KEEP + c]
    if n_possible > 0.0:
        for j in range(first, stop):
            if scratch[KEEP + j - start] > 0.0:
                keep[i, j] = gaps or full_bound(scratch, left, i, j - start, limits)
