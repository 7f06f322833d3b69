"""The numbers of a row of pairs from their sums, and the bound on each: see bound.py for the letters.

All are made in float32, sixteen pairs at a time, from sums of codes less a whole number near their mean, so
that nothing much cancels: their rounding, of the order of 1e-6, is among the errors. What the sums are known
with an error for may be large, where samples are counted in groups: what it is known to be at most is added
to lengths, not to their squares, and pairs that still may pass are worked out once more, exactly.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from genoattn.scan.screening.bound import (
    COLUMNS,
    DELTA,
    FIXED_ERROR,
    FREE,
    KEEP,
    LENGTH,
    MAIN,
    MARGIN,
    ON_BOTH,
    P_ERROR2,
    PA,
    PB,
    R_ERROR,
    SCORE,
    SHARE,
    TRAIT,
    R,
)

# Places in the scratch of sums over the samples called at both: of a^i b^j with the weights (three by three),
# then of a^i b^j, i, j < 2, with the trait, then with one of the fixed effects.
N_SUMS = 17
M00, M01, M02, M10, M11, M12, M20, M21, M22 = range(FREE, FREE + 9 * COLUMNS, COLUMNS)
T00, T01, T10, T11 = range(FREE + 9 * COLUMNS, FREE + 13 * COLUMNS, COLUMNS)
F00, F01, F10, F11 = range(FREE + 13 * COLUMNS, FREE + 17 * COLUMNS, COLUMNS)
# What is known of a column, and its places in the scratch.
N_FIELDS = 10
MEAN, SCALE, STRETCH, REACH, TOTAL, SQUARE, TRAIT_SUM, LEVERAGE, LOOSE, LOOSE_LENGTH = range(N_FIELDS)
FIELDS = FREE + N_SUMS * COLUMNS
MB, SB, FB, REACH_B, TOTAL_B, SQUARE_B, TRAIT_B, LEVERAGE_B, LOOSE_B, LOOSE_LENGTH_B = range(
    FIELDS, FIELDS + N_FIELDS * COLUMNS, COLUMNS
)
END = FIELDS + N_FIELDS * COLUMNS

_F = np.float32
_ZERO, _HALF, _ONE, _TWO = _F(0), _F(0.5), _F(1), _F(2)
_ROUNDING = _F(1e-5)  # of the numbers of a pair, in float32
_ALIKE = _F(1e-5)  # 1 - |r| below which two columns may be one
_SLACK = _F(1.0001)  # for the rounding of a bound


def place_of(kind: int, power: int, other: int) -> int:
    """Place of the sum of ``a^power b^other`` with the weights (kind 0), the trait (1) or a fixed effect."""
    first, powers = ((M00, 3), (T00, 2), (F00, 2))[min(kind, 2)]
    return first + (powers * power + other) * COLUMNS


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def assemble(scratch, fields, i, root):  # type: ignore[no-untyped-def]
    """Inner products of row i with the block's columns."""
    ma, sa, fa = fields[MEAN, i], fields[SCALE, i], fields[STRETCH, i]
    for c in range(COLUMNS):
        mb, sb, fb = scratch[MB + c], scratch[SB + c], scratch[FB + c]
        m11, m10, m01, m00 = scratch[M11 + c], scratch[M10 + c], scratch[M01 + c], scratch[M00 + c]
        m12, m21, m20 = scratch[M12 + c], scratch[M21 + c], scratch[M20 + c]
        # Sums of products of the centred columns A = a - ma, B = b - mb.
        b_of_a, b_of_1 = m11 - mb * m10, m01 - mb * m00
        b_of_aa = m21 - mb * m20
        bb_of_a = m12 - mb * (m11 + b_of_a)
        bb_of_1 = scratch[M02 + c] - mb * (m01 + b_of_1)
        bb_of_aa = scratch[M22 + c] - mb * (m21 + b_of_aa)
        cross = (b_of_a - ma * b_of_1) * (sa * sb)
        unit = sa * sb * root
        scratch[PA + c] = (b_of_aa - ma * (_TWO * b_of_a - ma * b_of_1)) * (unit * sa * fa)
        scratch[PB + c] = (bb_of_a - ma * bb_of_1) * (unit * sb * fb)
        scratch[LENGTH + c] = (bb_of_aa - ma * (_TWO * bb_of_a - ma * bb_of_1)) * (unit * unit)
        scratch[R + c] = (cross - scratch[ON_BOTH + c]) * (fa * fb)
        t_of_b = scratch[T01 + c] - mb * scratch[T00 + c]
        scratch[SCORE + c] = (scratch[T11 + c] - mb * scratch[T10 + c] - ma * t_of_b) * unit
        scratch[SHARE + c] = scratch[SHARE + c] * (unit * unit)
        scratch[ON_BOTH + c] = cross * cross


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def add_errors(scratch, fields, i, trait_error, fixed_error):  # type: ignore[no-untyped-def]
    """Errors of the inner products; the intercept is added to the share."""
    reach, loose, loose_length = fields[REACH, i], fields[LOOSE, i], fields[LOOSE_LENGTH, i]
    for c in range(COLUMNS):
        # What rounding took of the weights, by Cauchy's inequality in the weights taken.
        gone, loose_b = loose_length * scratch[LOOSE_LENGTH_B + c], scratch[LOOSE_B + c]
        length, share = scratch[LENGTH + c], scratch[SHARE + c]
        most = np.sqrt((length if length > _ZERO else _ZERO) + gone + _ROUNDING)
        error, lost = fixed_error * most, loose * loose_b
        # <P, at> differs from <P, a> by what P and a share in the fixed effects: at most |a_Q| |P_Q|.
        spread = np.sqrt(reach + scratch[REACH_B + c]) * (np.sqrt(share) + error)
        spread += np.sqrt(gone * (loose * loose + loose_b * loose_b)) + _ROUNDING
        scratch[R_ERROR + c] = _HALF * _ROUNDING + lost
        scratch[TRAIT + c] = trait_error * most + _ROUNDING
        scratch[P_ERROR2 + c] = spread * spread
        scratch[FIXED_ERROR + c] = error + lost + _ROUNDING
        scratch[SHARE + c] = share + scratch[ON_BOTH + c]
        scratch[LENGTH + c] = length - _ROUNDING


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def add_trait_error(scratch, trait_error):  # type: ignore[no-untyped-def]
    """The same where all that rounding took is of the trait, and there are no fixed effects."""
    for c in range(COLUMNS):
        length = scratch[LENGTH + c]
        most = np.sqrt((length if length > _ZERO else _ZERO) + _ROUNDING)
        scratch[R_ERROR + c] = _HALF * _ROUNDING
        scratch[TRAIT + c] = trait_error * most + _ROUNDING
        scratch[P_ERROR2 + c] = _ROUNDING * _ROUNDING
        scratch[FIXED_ERROR + c] = _ROUNDING
        scratch[SHARE + c] += scratch[ON_BOTH + c]
        scratch[LENGTH + c] = length - _ROUNDING


@njit(inline="always")
def _larger(x, y):  # type: ignore[no-untyped-def]
    return x if x > y else y


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def quick(scratch, ga, margin, square, per_unit, relative):  # type: ignore[no-untyped-def]
    """As :func:`~genoattn.scan.screening.bound.full_bound`, in vectors, where no sample is lost."""
    for c in range(COLUMNS):
        r, pa, pb, gb = scratch[R + c], scratch[PA + c], scratch[PB + c], scratch[MAIN + c]
        r_error, score = scratch[R_ERROR + c], scratch[SCORE + c]
        room, wide = _ONE - abs(r), _ONE + abs(r)
        sure = _larger(room - r_error, _ALIKE)
        inverse = _ONE / (sure * wide)
        spread = np.sqrt(scratch[P_ERROR2 + c] * inverse * wide)
        explained = np.sqrt(_larger(pa * pa + pb * pb - _TWO * r * pa * pb, _ZERO) * inverse)
        on_fixed = np.sqrt(scratch[SHARE + c]) + scratch[FIXED_ERROR + c]
        on_main = explained + spread
        main = _larger(ga * ga + gb * gb - _TWO * r * ga * gb, _ZERO) * inverse
        # The numerator by the weights p' G^-1 of the r at hand, whose own error is among the rounding.
        through = (pa * (ga - r * gb) + pb * (gb - r * ga)) * inverse * (sure / room)
        top = abs(score - through) + scratch[TRAIT + c] + relative * abs(score)
        top += np.sqrt(main) * (spread + explained * (r_error * inverse * wide))
        down = scratch[LENGTH + c] - on_main * on_main - on_fixed * on_fixed
        down *= _larger(_ONE - main * per_unit, _ZERO)
        near = _larger(_ONE - margin - scratch[MARGIN + c], _ZERO)
        possible = not (_SLACK * top * top < square * near * near * _larger(down, _ZERO))
        scratch[KEEP + c] = _ONE if possible | (room < _F(1e-3)) else _ZERO


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})
def any_kept(scratch):  # type: ignore[no-untyped-def]
    total = _ZERO
    for c in range(COLUMNS):
        total += scratch[KEEP + c]
    return total > _ZERO


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def lose(scratch, fields, i):  # type: ignore[no-untyped-def]
    """What the fixed effects and the columns have in samples that a pair of row i lacks: see gaps.py."""
    ma, sa = fields[MEAN, i], fields[SCALE, i]
    stretch_a, reach_a, leverage_a = fields[STRETCH, i], fields[REACH, i], fields[LEVERAGE, i]
    for c in range(COLUMNS):
        mb, sb, stretch_b = scratch[MB + c], scratch[SB + c], scratch[FB + c]
        m00 = scratch[M00 + c]
        # Of each column what lies outside the samples called at both, its own missing calls being 0.
        own_a = scratch[M20 + c] - ma * (_TWO * scratch[M10 + c] - ma * m00)
        own_b = scratch[M02 + c] - mb * (_TWO * scratch[M01 + c] - mb * m00)
        lost_a, lost_b = _ONE + _ROUNDING - own_a * sa * sa, _ONE + _ROUNDING - own_b * sb * sb
        # A residual column is at most its column and its part in the fixed effects: (x + y)^2.
        lost_a = _F(1.5) * lost_a * stretch_a * stretch_a + _F(3) * reach_a * scratch[LEVERAGE_B + c]
        lost_b = _F(1.5) * lost_b * stretch_b * stretch_b + _F(3) * scratch[REACH_B + c] * leverage_a
        scratch[DELTA + c] = leverage_a + scratch[LEVERAGE_B + c] + lost_a + lost_b + _ROUNDING


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def refine(scratch, c, one, other, centres, weight, vectors, of_a, of_b, root, on_both):  # type: ignore[no-untyped-def]
    """The inner products of one pair from its codes, in float64, as if nothing had been rounded.

    Parameters
    ----------
    scratch, c
        Of the block, and the place of the pair's column.
    one, other
        Shape (n_samples,) int8, codes of the row and of the column.
    centres
        What is taken off the codes: their means, two float64.
    weight
        Shape (n_samples,) float64.
    vectors
        Shape (1 + n_effects, n_samples) float64: trait and fixed effects, times the weights.
    of_a, of_b
        Scale, stretch and reach of both columns.
    root
        Length of the vector of ones.
    on_both
        Inner product of what both columns have of the fixed effects.
    """
    ma, mb = centres
    cross = ofa = ofb = length = score = 0.0
    for s in range(len(one)):
        x, y = one[s] - ma, other[s] - mb
        v = weight[s] * x * y
        cross += v
        ofa += v * x
        ofb += v * y
        length += v * x * y
        score += vectors[0, s] * x * y
    share = 0.0
    if len(vectors) > 1:
        product = np.empty(len(one))
        for s in range(len(one)):
            product[s] = (one[s] - ma) * (other[s] - mb)
        for k in range(1, len(vectors)):
            total = 0.0
            for s in range(len(one)):
                total += vectors[k, s] * product[s]
            share += total * total
    (sa, fa, reach_a), (sb, fb, reach_b) = of_a, of_b
    unit = sa * sb * root
    cross *= sa * sb
    share *= unit * unit
    spread = np.sqrt((reach_a + reach_b) * share) + _ROUNDING
    scratch[PA + c], scratch[PB + c] = ofa * unit * sa * fa, ofb * unit * sb * fb
    scratch[LENGTH + c], scratch[SCORE + c] = length * unit * unit - _ROUNDING, score * unit
    scratch[R + c], scratch[SHARE + c] = (cross - on_both) * fa * fb, share + cross * cross
    scratch[R_ERROR + c], scratch[TRAIT + c], scratch[FIXED_ERROR + c] = (
        _HALF * _ROUNDING,
        _ROUNDING,
        _ROUNDING,
    )
    scratch[P_ERROR2 + c] = spread * spread
