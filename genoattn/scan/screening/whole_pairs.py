"""The numbers of a row of pairs from their sums, and the bound on each: see bound.py for the letters.

All are made in float32, sixteen pairs at a time, from sums of codes less a whole number near their mean, so
that nothing much cancels: their rounding, of the order of 1e-6, is among the errors. What the sums are known
with an error for may be large, where samples are counted in groups: what it is known to be at most is added
to lengths, not to their squares, and pairs that still may pass are worked out once more, each on its own.
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
from genoattn.scan.screening.pair_sums import pair_sums

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


@njit(inline="always")
def _combine(scratch, c, of_a, of_b, with_weights, with_trait, root):  # type: ignore[no-untyped-def]
    """Inner products of the pair at place c, from its sums: as many as two powers of both columns give."""
    ma, sa, fa = of_a
    mb, sb, fb = of_b
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = with_weights
    t00, t01, t10, t11 = with_trait
    # Sums of products of the centred columns A = a - ma, B = b - mb.
    b_of_a, b_of_1 = m11 - mb * m10, m01 - mb * m00
    b_of_aa = m21 - mb * m20
    bb_of_a = m12 - mb * (m11 + b_of_a)
    bb_of_1 = m02 - mb * (m01 + b_of_1)
    bb_of_aa = m22 - mb * (m21 + b_of_aa)
    cross = (b_of_a - ma * b_of_1) * (sa * sb)
    unit = sa * sb * root
    scratch[PA + c] = (b_of_aa - ma * (_TWO * b_of_a - ma * b_of_1)) * (unit * sa * fa)
    scratch[PB + c] = (bb_of_a - ma * bb_of_1) * (unit * sb * fb)
    scratch[LENGTH + c] = (bb_of_aa - ma * (_TWO * bb_of_a - ma * bb_of_1)) * (unit * unit)
    scratch[R + c] = (cross - scratch[ON_BOTH + c]) * (fa * fb)
    scratch[SCORE + c] = (t11 - mb * t10 - ma * (t01 - mb * t00)) * unit
    scratch[SHARE + c] = scratch[SHARE + c] * (unit * unit)
    scratch[ON_BOTH + c] = cross * cross


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def assemble(scratch, fields, i, root):  # type: ignore[no-untyped-def]
    """Inner products of row i with the block's columns."""
    of_a = fields[MEAN, i], fields[SCALE, i], fields[STRETCH, i]
    for c in range(COLUMNS):
        of_b = scratch[MB + c], scratch[SB + c], scratch[FB + c]
        with_weights = (
            scratch[M00 + c],
            scratch[M01 + c],
            scratch[M02 + c],
            scratch[M10 + c],
            scratch[M11 + c],
            scratch[M12 + c],
            scratch[M20 + c],
            scratch[M21 + c],
            scratch[M22 + c],
        )
        with_trait = scratch[T00 + c], scratch[T01 + c], scratch[T10 + c], scratch[T11 + c]
        _combine(scratch, c, of_a, of_b, with_weights, with_trait, root)


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


@njit(nogil=True, cache=True, error_model="numpy")
def _by_steps(steps, sums, first):  # type: ignore[no-untyped-def]
    """A sum by a vector from those by its digits."""
    total = 0.0
    for k in range(len(steps)):
        total += steps[k] * sums[first + k]
    return total


@njit(inline="always")
def _of_pair(scratch, c, fields, i):  # type: ignore[no-untyped-def]
    """Mean, scale and stretch of both columns of a pair."""
    of_a = np.float64(fields[MEAN, i]), np.float64(fields[SCALE, i]), np.float64(fields[STRETCH, i])
    return of_a, (np.float64(scratch[MB + c]), np.float64(scratch[SB + c]), np.float64(scratch[FB + c]))


@njit(inline="always")
def _spread(scratch, c, fields, i, error):  # type: ignore[no-untyped-def]
    """How far <P, at> and <P, bt> together may be from <P, a> and <P, b>, by what P has of the effects."""
    reach = np.float64(fields[REACH, i] + scratch[REACH_B + c])
    return np.sqrt(reach) * (np.sqrt(np.float64(scratch[SHARE + c])) + error) + _ROUNDING


# Part of the loop that it is called from: what it is handed would take longer than what it does.
@njit(inline="always")
def sharpen(scratch, c, fields, i, main, pair, near, on_row, on_column, root, room):  # type: ignore[no-untyped-def]
    """The score of one pair and what the fixed effects have of it, from its codes and precise bytes.

    Sums of one column alone are known exactly. Of what bytes leave of a vector v, the product has at most
    ``|a b| |v - bytes|``.

    Parameters
    ----------
    scratch, c
        Of the block, and the place of the pair's column.
    fields, i
        What is known of the rows, and the pair's row.
    main
        Correlation of the row with the trait, in units of the score.
    pair
        Addresses of the codes of both columns, int8, the number of samples, and what is taken off the codes.
    near
        :class:`~genoattn.scan.screening.pair_sums.Near`.
    on_row, on_column
        What the fixed effects have of each unit column: of rows, (n_effects, n_rows), and of the block's.
    root
        Length of the vector of ones.
    room
        Memory of the products and of the sums.
    """
    products, sums = room
    n_trait, n_effects = len(near.trait), len(near.effects)
    pair_sums(pair, near.digits, 0, 0, n_trait + n_effects, products, sums)
    (ma, sa, fa), (mb, sb, fb) = _of_pair(scratch, c, fields, i)
    long_a, long_b = 1.0 / sa, 1.0 / sb
    unit = sa * sb * np.float64(root)
    share, less_a, less_b = 0.0, ma * long_b, mb * long_a
    for k in range(n_effects):
        x = near.effects[k] * sums[n_trait + k] - less_a * on_column[k, c] - less_b * on_row[k, i]
        share += x * x
    less = mb * np.float64(main) * long_a / fa + ma * np.float64(scratch[MAIN + c]) * long_b / fb
    scratch[SCORE + c] = (_by_steps(near.trait, sums, 0) - less) * unit
    loose, loose_b = np.float64(fields[LOOSE, i]), np.float64(scratch[LOOSE_B + c])
    gone = np.float64(fields[LOOSE_LENGTH, i]) * np.float64(scratch[LOOSE_LENGTH_B + c])
    # |a b| <= |(a - ma)(b - mb)| + |ma b| + |mb a| + |ma mb|
    apart = np.float64(root) * (abs(ma) * sa + abs(mb) * sb + 2.0 * abs(ma * mb) * sa * sb * root)
    product = np.sqrt(max(np.float64(scratch[LENGTH + c]), 0.0) + gone + 2.0 * _ROUNDING) + apart
    error = near.fixed_error * product
    scratch[SHARE + c] = share * unit * unit
    spread = _spread(scratch, c, fields, i, error)
    spread += np.sqrt(gone * (loose * loose + loose_b * loose_b))
    scratch[P_ERROR2 + c] = spread * spread
    scratch[TRAIT + c] = near.trait_error * product + _ROUNDING
    scratch[FIXED_ERROR + c] = error + loose * loose_b + _ROUNDING
    scratch[SHARE + c] += scratch[ON_BOTH + c]


@njit(nogil=True, cache=True, error_model="numpy")
def weigh(scratch, c, fields, i, pair, near, on_row, on_column, root, room):  # type: ignore[no-untyped-def]
    """The products of a pair by the weights from their precise bytes, once the pair has been sharpened.

    What bytes leave of the weights is at most a share of a sum of what is not negative. Parameters as of
    :func:`sharpen`.
    """
    products, sums = room
    n_digits = len(near.digits.totals)
    first = n_digits - len(near.weight)
    pair_sums(pair, near.digits, 0, first, n_digits, products, sums)
    m11 = _by_steps(near.weight, sums, first)
    pair_sums(pair, near.digits, 1, first, n_digits, products, sums)
    m12 = _by_steps(near.weight, sums, first)
    pair_sums(pair, near.digits, 2, first, n_digits, products, sums)
    m21 = _by_steps(near.weight, sums, first)
    pair_sums(pair, near.digits, 3, first, n_digits, products, sums)
    m22 = _by_steps(near.weight, sums, first)
    of_a, of_b = _of_pair(scratch, c, fields, i)
    (ma, sa, fa), (mb, sb, fb) = of_a, of_b
    length, whole, lost = np.float64(root), np.float64(root) ** 2, np.float64(near.weight_error)
    square_a, square_b = 1.0 / (sa * sa) + whole * ma * ma, 1.0 / (sb * sb) + whole * mb * mb
    with_weights = whole, whole * mb, square_b, whole * ma, m11, m12, square_a, m21, m22
    score, share, on_both = scratch[SCORE + c], scratch[SHARE + c] - scratch[ON_BOTH + c], 0.0
    for k in range(len(near.effects)):
        on_both += np.float64(on_row[k, i]) * np.float64(on_column[k, c])
    scratch[ON_BOTH + c], scratch[SHARE + c] = on_both, _ZERO
    _combine(scratch, c, of_a, of_b, with_weights, (0.0, 0.0, 0.0, 0.0), length)
    scratch[SCORE + c], scratch[SHARE + c] = score, share if share > _ZERO else _ZERO
    # Lengths of the columns and of the product, all that is taken off them counted without a sign.
    long_a, long_b = np.sqrt(square_a) * sa, np.sqrt(square_b) * sb
    wide_a, wide_b = long_a + abs(ma) * length * sa, long_b + abs(mb) * length * sb
    product = np.sqrt(max(m22, 0.0)) * sa * sb * length
    wide = product + length * (abs(ma) * sa * long_b + abs(mb) * sb * wide_a)
    error = near.fixed_error * product * (1.0 + lost)
    spread = _spread(scratch, c, fields, i, error)
    spread += lost * wide * np.sqrt((fa * wide_a) ** 2 + (fb * wide_b) ** 2)
    scratch[P_ERROR2 + c] = spread * spread
    scratch[R_ERROR + c] = _HALF * _ROUNDING + lost * wide_a * wide_b * fa * fb
    scratch[FIXED_ERROR + c] = error + lost * wide_a * wide_b + _ROUNDING
    scratch[SHARE + c] += scratch[ON_BOTH + c]
    scratch[LENGTH + c] -= _ROUNDING + lost * wide * wide
