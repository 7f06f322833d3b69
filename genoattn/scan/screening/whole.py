"""The screen of a tile whose products are of whole numbers, exact but for how the vectors were rounded.

Codes are whole numbers as they are. The weights, the trait and the fixed effects, one vector each, are
rounded to bytes once (whole_vectors.py); what that leaves of a vector v is a vector e known beforehand, so
that ``|<P, e>| <= |P| |e|`` bounds what it takes from a product. Where calls are missing, sums over the
samples called at both sites are products too, of the indicators of a call.

The numbers of a pair are made in float32, from sums of codes less a whole number near their mean, so that
nothing much cancels: their rounding, of the order of 1e-6, is among the errors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.screening.bits import genotype_sums
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
    full_bound,
    load_columns,
)
from genoattn.scan.screening.tiles import SIDE, WIDTH, begin_tiles, end_tiles, lined, multiply, room_for_rows

# Places in the scratch of sums over the samples called at both: of a^i b^j with the weights (three by three),
# then of a^i b^j, i, j < 2, with the trait, then with one of the fixed effects.
N_SUMS = 17
_M00, _M01, _M02, _M10, _M11, _M12, _M20, _M21, _M22 = range(FREE, FREE + 9 * COLUMNS, COLUMNS)
_T00, _T01, _T10, _T11 = range(FREE + 9 * COLUMNS, FREE + 13 * COLUMNS, COLUMNS)
_F00, _F01, _F10, _F11 = range(FREE + 13 * COLUMNS, FREE + 17 * COLUMNS, COLUMNS)
# What is known of a column, and its places in the scratch.
N_FIELDS = 10
MEAN, SCALE, STRETCH, REACH, TOTAL, SQUARE, TRAIT_SUM, LEVERAGE, LOOSE, LOOSE_LENGTH = range(N_FIELDS)
_FIELDS = FREE + N_SUMS * COLUMNS
_MB, _SB, _FB, _REACH_B, _TOTAL_B, _SQUARE_B, _TRAIT_B, _LEVERAGE_B, _LOOSE_B, _LOOSE_LENGTH_B = range(
    _FIELDS, _FIELDS + N_FIELDS * COLUMNS, COLUMNS
)
_END = _FIELDS + N_FIELDS * COLUMNS

_F, _U = np.float32, np.uint64
_N = _U(COLUMNS)
_ZERO, _HALF, _ONE, _TWO = _F(0), _F(0.5), _F(1), _F(2)
_ROUNDING = _F(1e-5)  # of the numbers of a pair, in float32
_ALIKE = _F(1e-5)  # 1 - |r| below which two columns may be one
# (x + e)^2 <= (1 + s) x^2 + (1 + 1/s) e^2, with s of 1/50 and of 1/100, the latter shared by four errors.
_TAKEN, _TAKEN_ERROR, _TOP, _TOP_ERROR = _F(1.02), _F(51), _F(1.01), _F(404)


def place_of(kind: int, power: int, other: int) -> int:
    """Place of the sum of ``a^power b^other`` with the weights (kind 0), the trait (1) or a fixed effect."""
    first, powers = ((_M00, 3), (_T00, 2), (_F00, 2))[min(kind, 2)]
    return first + (powers * power + other) * COLUMNS


class Columns(NamedTuple):
    """A block of columns, as the rows or as the columns of a tile.

    Parameters
    ----------
    operands
        Of the columns of a tile, see tiles.py; of its rows :class:`~genoattn.scan.screening.tiles.Rows`.
    fields
        Shape (10, n_block) float32, what is known of each column: mean of the codes as multiplied, 1 / length
        of the centred column, its length over that of what the fixed effects leave of it, squared length of
        the unit residual's part in the fixed effects; weighted sum of the codes and of their squares, and sum
        of the trait times the codes, all of the rounded vectors; leverage of the missing samples; length in
        what rounding took of the weights, of the unit residual column and of the square of the unit column.
    effects
        Shape (n_fixed - 1, n_block) float32, sum of each rounded fixed effect times the codes.
    on_fixed
        Shape (n_fixed - 1, n_block) float32, the unit column's products with the fixed effects.
    bits
        :class:`~genoattn.scan.screening.bits.Bits`, of no columns where none are counted.
    """

    operands: Any
    fields: np.ndarray
    effects: np.ndarray
    on_fixed: np.ndarray
    bits: Any


class Plan(NamedTuple):
    """The products of a tile.

    Parameters
    ----------
    products
        Shape (n_products, 2), which operand of the rows with which of the columns.
    place
        Shape (n_products,) uint64, place in the scratch of the sum it is a part of, see :func:`place_of`;
        those of the fixed effects come last, as many for each.
    step
        Shape (n_products,) float32, what one means.
    totals
        Sums of the rounded weights, of the trait, and of each fixed effect over all samples, float32.
    root
        Length of the vector of ones.
    trait_error, fixed_error
        Lengths of what rounding left of the trait, and at most of all fixed effects together.
    gaps
        Whether sums over the samples called are among the products.
    impute
        Whether missing calls count as the mean, so that no sample is lost.
    n_counted
        How many of the products, the first ones, are counted from bits: those of genotypes alone, or none.
    """

    products: np.ndarray
    place: np.ndarray
    step: np.ndarray
    totals: np.ndarray
    root: np.float32
    trait_error: np.float32
    fixed_error: np.float32
    gaps: bool
    impute: bool
    n_counted: int


# Places and columns are counted without a sign, and arrays handed on whole: where an index might be negative,
# or a slice is taken of an array, the loops below take several times as long.
@njit(nogil=True, cache=True, error_model="numpy")
def _fill(scratch, place, n, value):  # type: ignore[no-untyped-def]
    for c in range(n):
        scratch[place + c] = value


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _add(scratch, place, step, sums, p, r, begin):  # type: ignore[no-untyped-def]
    """Add a product of a row to a sum."""
    for c in range(_N):
        scratch[place + c] += step * _F(sums[p, r, begin + c])


@njit(nogil=True, cache=True, error_model="numpy")
def _collect(scratch, fields, i, sums, r, begin, gaps, place, step, n_common):  # type: ignore[no-untyped-def]
    """Sums of the genotypes and the trait of row i with a block's columns."""
    if gaps:
        _fill(scratch, _U(_M00), _U(13 * COLUMNS), _ZERO)
    else:
        _fill(scratch, _U(_M10), _N, fields[TOTAL, i])
        _fill(scratch, _U(_M20), _N, fields[SQUARE, i])
        _fill(scratch, _U(_T10), _N, fields[TRAIT_SUM, i])
        _fill(scratch, _U(_M11), _U(2 * COLUMNS), _ZERO)
        _fill(scratch, _U(_M21), _U(2 * COLUMNS), _ZERO)
        _fill(scratch, _U(_T11), _N, _ZERO)
    for p in range(n_common):
        _add(scratch, place[p], step[p], sums, p, r, begin)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _add_share(scratch, step, sums, p, r, begin, effects, k, ma, less):  # type: ignore[no-untyped-def]
    """Add the square of what a fixed effect has of the products, no call being missing."""
    for c in range(_N):
        x = step * _F(sums[p, r, begin + c]) - ma * effects[k, c] - scratch[_U(_MB) + c] * less
        scratch[_U(SHARE) + c] += x * x


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _add_share_called(scratch, ma):  # type: ignore[no-untyped-def]
    """The same from the sums over the samples called."""
    for c in range(COLUMNS):
        less = scratch[_F10 + c] - ma * scratch[_F00 + c]
        x = scratch[_F11 + c] - ma * scratch[_F01 + c] - scratch[_MB + c] * less
        scratch[SHARE + c] += x * x


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _add_both(scratch, of_row, on_fixed, k):  # type: ignore[no-untyped-def]
    for c in range(_N):
        scratch[_U(ON_BOTH) + c] += of_row * on_fixed[k, c]


@njit(nogil=True, cache=True, error_model="numpy")
def _shares(  # type: ignore[no-untyped-def]
    scratch, of_row, on_row, i, ma, effects, on_fixed, sums, r, begin, gaps, place, step, totals, n_common
):
    """What the fixed effects have of the products of row i, and of both columns, as sums over them."""
    _fill(scratch, _U(SHARE), _N, _ZERO)
    _fill(scratch, _U(ON_BOTH), _N, _ZERO)
    for k in range(len(effects)):
        if gaps:
            _fill(scratch, _U(_F00), _U(4 * COLUMNS), _ZERO)
            for p in range(n_common + 4 * k, n_common + 4 * k + 4):
                _add(scratch, place[p], step[p], sums, p, r, begin)
            _add_share_called(scratch, ma)
        else:
            p = n_common + k
            less = of_row[k, i] - ma * totals[2 + k]
            _add_share(scratch, step[p], sums, p, r, begin, effects, k, ma, less)
        _add_both(scratch, on_row[k, i], on_fixed, k)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _assemble(scratch, fields, i, root):  # type: ignore[no-untyped-def]
    """Inner products of row i with the block's columns."""
    ma, sa, fa = fields[MEAN, i], fields[SCALE, i], fields[STRETCH, i]
    for c in range(COLUMNS):
        mb, sb, fb = scratch[_MB + c], scratch[_SB + c], scratch[_FB + c]
        m11, m10, m01, m00 = scratch[_M11 + c], scratch[_M10 + c], scratch[_M01 + c], scratch[_M00 + c]
        m12, m21, m20 = scratch[_M12 + c], scratch[_M21 + c], scratch[_M20 + c]
        # Sums of products of the centred columns A = a - ma, B = b - mb.
        b_of_a, b_of_1 = m11 - mb * m10, m01 - mb * m00
        b_of_aa = m21 - mb * m20
        bb_of_a = m12 - mb * (m11 + b_of_a)
        bb_of_1 = scratch[_M02 + c] - mb * (m01 + b_of_1)
        bb_of_aa = scratch[_M22 + c] - mb * (m21 + b_of_aa)
        cross = (b_of_a - ma * b_of_1) * (sa * sb)
        unit = sa * sb * root
        scratch[PA + c] = (b_of_aa - ma * (_TWO * b_of_a - ma * b_of_1)) * (unit * sa * fa)
        scratch[PB + c] = (bb_of_a - ma * bb_of_1) * (unit * sb * fb)
        scratch[LENGTH + c] = (bb_of_aa - ma * (_TWO * bb_of_a - ma * bb_of_1)) * (unit * unit)
        scratch[R + c] = (cross - scratch[ON_BOTH + c]) * (fa * fb)
        t_of_b = scratch[_T01 + c] - mb * scratch[_T00 + c]
        scratch[SCORE + c] = (scratch[_T11 + c] - mb * scratch[_T10 + c] - ma * t_of_b) * unit
        scratch[SHARE + c] = scratch[SHARE + c] * (unit * unit)
        scratch[ON_BOTH + c] = cross * cross


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _add_errors(scratch, fields, i, trait_error, fixed_error):  # type: ignore[no-untyped-def]
    """Errors of the inner products; the intercept is added to the share."""
    reach, loose, loose_length = fields[REACH, i], fields[LOOSE, i], fields[LOOSE_LENGTH, i]
    for c in range(COLUMNS):
        # What rounding took of the weights, by Cauchy's inequality in the weights taken.
        gone, loose_b = loose_length * scratch[_LOOSE_LENGTH_B + c], scratch[_LOOSE_B + c]
        length = scratch[LENGTH + c]
        most = np.sqrt((length if length > _ZERO else _ZERO) + gone + _ROUNDING)
        error, lost = fixed_error * most, loose * loose_b
        # <P, at> differs from <P, a> by what P and a share in the fixed effects: at most |a_Q| |P_Q|.
        both = _TWO * (reach + scratch[_REACH_B + c])
        spread = both * (scratch[SHARE + c] + error * error)
        taken = gone * (loose * loose + loose_b * loose_b)
        scratch[R_ERROR + c] = _HALF * _ROUNDING + lost
        scratch[TRAIT + c] = trait_error * most + _ROUNDING
        scratch[P_ERROR2 + c] = _TWO * (spread + taken) + _ROUNDING * _ROUNDING
        scratch[FIXED_ERROR + c] = error + lost + _ROUNDING
        scratch[SHARE + c] += scratch[ON_BOTH + c]
        scratch[LENGTH + c] = length - _ROUNDING


@njit(inline="always")
def _larger(x, y):  # type: ignore[no-untyped-def]
    return x if x > y else y


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _quick(scratch, ga, margin, square, per_unit, relative):  # type: ignore[no-untyped-def]
    """As :func:`~genoattn.scan.screening.bound.full_bound`, looser and quicker."""
    for c in range(COLUMNS):
        r, pa, pb, gb = scratch[R + c], scratch[PA + c], scratch[PB + c], scratch[MAIN + c]
        r_error, spread = scratch[R_ERROR + c], scratch[P_ERROR2 + c]
        room = _ONE - abs(r)
        sure = _larger(room - r_error, _ALIKE)
        inverse = _ONE / (sure * (_ONE + abs(r)))
        spread *= _TWO * inverse
        explained = _larger(pa * pa + pb * pb - _TWO * r * pa * pb, _ZERO) * inverse
        fixed2 = scratch[FIXED_ERROR + c] * scratch[FIXED_ERROR + c]
        taken = _TAKEN * (explained + scratch[SHARE + c]) + _TAKEN_ERROR * (spread + fixed2)
        main = _larger(ga * ga + gb * gb - _TWO * r * ga * gb, _ZERO) * inverse
        # The numerator by the weights p' G^-1 of the r at hand, whose own error is among the rounding.
        through = (pa * (ga - r * gb) + pb * (gb - r * ga)) * inverse * (sure / room)
        off, own, trait = scratch[SCORE + c] - through, relative * scratch[SCORE + c], scratch[TRAIT + c]
        turn = _TWO * r_error * inverse
        rounding = main * (spread + explained * turn * turn) + trait * trait + own * own
        down = scratch[LENGTH + c] - taken
        down *= _larger(_ONE - main * per_unit, _ZERO)
        near = _larger(_ONE - margin - scratch[MARGIN + c], _ZERO)
        possible = not (
            _TOP * off * off + _TOP_ERROR * rounding < square * near * near * _larger(down, _ZERO)
        )
        scratch[KEEP + c] = _ONE if possible | (room < _F(1e-3)) else _ZERO


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})
def _any_kept(scratch):  # type: ignore[no-untyped-def]
    total = _ZERO
    for c in range(COLUMNS):
        total += scratch[KEEP + c]
    return total > _ZERO


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _lose(scratch, fields, i):  # type: ignore[no-untyped-def]
    """What the fixed effects and the columns have in samples that a pair of row i lacks: see gaps.py."""
    ma, sa = fields[MEAN, i], fields[SCALE, i]
    stretch_a, reach_a, leverage_a = fields[STRETCH, i], fields[REACH, i], fields[LEVERAGE, i]
    for c in range(COLUMNS):
        mb, sb, stretch_b = scratch[_MB + c], scratch[_SB + c], scratch[_FB + c]
        m00 = scratch[_M00 + c]
        # Of each column what lies outside the samples called at both, its own missing calls being 0.
        own_a = scratch[_M20 + c] - ma * (_TWO * scratch[_M10 + c] - ma * m00)
        own_b = scratch[_M02 + c] - mb * (_TWO * scratch[_M01 + c] - mb * m00)
        lost_a, lost_b = _ONE + _ROUNDING - own_a * sa * sa, _ONE + _ROUNDING - own_b * sb * sb
        # A residual column is at most its column and its part in the fixed effects: (x + y)^2.
        lost_a = _F(1.5) * lost_a * stretch_a * stretch_a + _F(3) * reach_a * scratch[_LEVERAGE_B + c]
        lost_b = _F(1.5) * lost_b * stretch_b * stretch_b + _F(3) * scratch[_REACH_B + c] * leverage_a
        scratch[DELTA + c] = leverage_a + scratch[_LEVERAGE_B + c] + lost_a + lost_b + _ROUNDING


@njit(nogil=True, cache=True, error_model="numpy")
def _load(scratch, b, right, plan, begin, end, effects, on_fixed):  # type: ignore[no-untyped-def]
    """What is known of the columns of a block."""
    load_columns(scratch, right, begin, end)
    for f in range(N_FIELDS):
        place = _FIELDS + f * COLUMNS
        scratch[place : place + end - begin] = b.fields[f, begin:end]
    for k in range(len(effects)):
        effects[k, : end - begin] = b.effects[k, begin:end]
        on_fixed[k, : end - begin] = b.on_fixed[k, begin:end]
    if not plan.gaps:
        _fill(scratch, _U(_M00), _N, plan.totals[0])
        _fill(scratch, _U(_T00), _N, plan.totals[1])
        scratch[_M01 : _M01 + COLUMNS] = scratch[_TOTAL_B : _TOTAL_B + COLUMNS]
        scratch[_M02 : _M02 + COLUMNS] = scratch[_SQUARE_B : _SQUARE_B + COLUMNS]
        scratch[_T01 : _T01 + COLUMNS] = scratch[_TRAIT_B : _TRAIT_B + COLUMNS]


@njit(nogil=True, cache=True, error_model="numpy")
def _screen_block(a, b, left, right, plan, limits, triangle, top, first, last, sums, scratch, keep):  # type: ignore[no-untyped-def]
    """The pairs of 32 rows from ``top`` with the columns from ``first`` to ``last``, whose sums are made."""
    n_effects = len(a.effects)
    n_common = len(plan.products) - n_effects * (4 if plan.gaps else 1)
    fields, of_row, on_row = a.fields, a.effects, a.on_fixed
    gaps, place, step, totals = plan.gaps, plan.place, plan.step, plan.totals
    lose = gaps and not plan.impute
    square, relative = _F(limits.square), _F(limits.relative)
    per_unit = _ZERO if limits.binary else _F(1.0 / limits.unit**2)
    effects, on_fixed = np.zeros((2, n_effects, COLUMNS), dtype=np.float32)
    for begin in range(first, last, COLUMNS):
        end = min(begin + COLUMNS, last)
        _load(scratch, b, right, plan, begin, end, effects, on_fixed)
        for i in range(top, min(top + SIDE, len(keep))):
            wanted = max(begin, triangle + i)
            if wanted >= end:
                continue
            r, offset = _U(i - top), _U(begin - first)
            _collect(scratch, fields, i, sums, r, offset, gaps, place, step, n_common)
            _shares(
                scratch, of_row, on_row, i, fields[MEAN, i], effects, on_fixed, sums, r, offset, gaps, place,
                step, totals, n_common,
            )  # fmt: skip
            _assemble(scratch, fields, i, plan.root)
            _add_errors(scratch, fields, i, plan.trait_error, plan.fixed_error)
            _quick(scratch, _F(left.main[i]), _F(left.margin[i]), square, per_unit, relative)
            if lose:
                _lose(scratch, fields, i)
            if lose or _any_kept(scratch):
                for j in range(wanted, end):
                    if lose or scratch[KEEP + j - begin] > 0:
                        keep[i, j] = full_bound(scratch, left, i, j - begin, limits)


@njit(nogil=True, cache=True, error_model="numpy")
def screen_whole(a, b, left, right, plan, limits, triangle, configuration, keep):  # type: ignore[no-untyped-def]
    """Which pairs of a tile may pass, by products of whole numbers.

    Parameters
    ----------
    a, b
        :class:`Columns` that are the rows and the columns of the tile.
    left, right
        Their :class:`~genoattn.scan.screening.bound.Bounds`.
    plan
        The products.
    limits
        :class:`~genoattn.scan.screening.bound.Limits`.
    triangle
        Row i is tested with columns from triangle + i on.
    configuration
        Of the matrix units.
    keep
        Shape (n_rows, n_columns), bool, set where a pair may pass.
    """
    n_rows, n_columns = keep.shape
    scratch = np.zeros(_END, dtype=np.float32)
    n_sums = len(plan.products) * SIDE * WIDTH
    sums = lined(4 * n_sums).view(np.int32).reshape(len(plan.products), SIDE, WIDTH)
    room = room_for_rows(a.operands)
    begin_tiles(configuration.ctypes.data)
    for start in range(0, n_columns, WIDTH):
        stop = min(start + WIDTH, n_columns)
        whole = start + -(-(stop - start) // SIDE) * SIDE
        for top in range(0, n_rows, SIDE):
            first = max(start, (triangle + top) // COLUMNS * COLUMNS)
            if max(first, triangle + top) < stop:
                if plan.n_counted:
                    genotype_sums(a.bits, b.bits, top, first, whole, sums)
                products, rest = plan.products[plan.n_counted :], sums[plan.n_counted :]
                multiply(a.operands, b.operands, products, top, first, whole, room, rest)
                _screen_block(
                    a, b, left, right, plan, limits, triangle, top, first, stop, sums, scratch, keep
                )
    end_tiles()
