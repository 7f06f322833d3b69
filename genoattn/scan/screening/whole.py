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

from genoattn.scan.screening.bound import COLUMNS, KEEP, ON_BOTH, SHARE, full_bound, load_columns
from genoattn.scan.screening.grouped import Groups, grouped_sums
from genoattn.scan.screening.pair_sums import LINE, Near
from genoattn.scan.screening.tiles import SIDE, WIDTH, begin_tiles, end_tiles, lined, multiply, room_for_rows
from genoattn.scan.screening.whole_pairs import (
    END,
    F00,
    F01,
    F10,
    F11,
    FIELDS,
    M00,
    M01,
    M02,
    M10,
    M11,
    M20,
    M21,
    MB,
    MEAN,
    N_FIELDS,
    SQUARE,
    SQUARE_B,
    T00,
    T01,
    T10,
    T11,
    TOTAL,
    TOTAL_B,
    TRAIT_B,
    TRAIT_SUM,
    add_errors,
    add_trait_error,
    any_kept,
    assemble,
    lose,
    quick,
    sharpen,
    weigh,
)

_F, _U = np.float32, np.uint64
_N = _U(COLUMNS)
_ZERO, _ONE = _F(0), _F(1)


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
    grouped
        :class:`~genoattn.scan.screening.grouped.Grouped`, of no columns where none are counted.
    codes
        Shape (n_block, n_samples), int8.
    """

    operands: Any
    fields: np.ndarray
    effects: np.ndarray
    on_fixed: np.ndarray
    grouped: Any
    codes: np.ndarray


class Plan(NamedTuple):
    """The products of a tile.

    Parameters
    ----------
    products
        Shape (n_products, 3), which operand of the rows with which of the columns is which of the sums.
    place
        Shape (n_sums,) uint64, place in the scratch of what each sum is a part of, see :func:`place_of`;
        those of the fixed effects that are not counted in groups come last, as many for each.
    step
        Shape (n_sums,) float32, what one means.
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
    first
        The first of the sums that are counted in groups of samples: of genotypes, then of the trait; their
        number where none are.
    groups
        :class:`~genoattn.scan.screening.grouped.Groups` of the counted ones.
    near
        :class:`~genoattn.scan.screening.pair_sums.Near`, from which a pair of counted sums that still may
        pass is worked out once more.
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
    first: int
    groups: Groups
    near: Near


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
        _fill(scratch, _U(M00), _U(13 * COLUMNS), _ZERO)
    else:
        _fill(scratch, _U(M10), _N, fields[TOTAL, i])
        _fill(scratch, _U(M20), _N, fields[SQUARE, i])
        _fill(scratch, _U(T10), _N, fields[TRAIT_SUM, i])
        _fill(scratch, _U(M11), _U(2 * COLUMNS), _ZERO)
        _fill(scratch, _U(M21), _U(2 * COLUMNS), _ZERO)
        _fill(scratch, _U(T11), _N, _ZERO)
    for p in range(n_common):
        _add(scratch, place[p], step[p], sums, p, r, begin)


@njit(nogil=True, cache=True, error_model="numpy")
def _copy(scratch, place, shares, which, r, begin):  # type: ignore[no-untyped-def]
    for c in range(_N):
        scratch[place + c] = shares[which, r, begin + c]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _add_share(scratch, step, sums, p, r, begin, effects, k, ma, less):  # type: ignore[no-untyped-def]
    """Add the square of what a fixed effect has of the products, no call being missing."""
    for c in range(_N):
        x = step * _F(sums[p, r, begin + c]) - ma * effects[k, c] - scratch[_U(MB) + c] * less
        scratch[_U(SHARE) + c] += x * x


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _add_share_called(scratch, ma):  # type: ignore[no-untyped-def]
    """The same from the sums over the samples called."""
    for c in range(COLUMNS):
        less = scratch[F10 + c] - ma * scratch[F00 + c]
        x = scratch[F11 + c] - ma * scratch[F01 + c] - scratch[MB + c] * less
        scratch[SHARE + c] += x * x


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _add_both(scratch, of_row, on_fixed, k):  # type: ignore[no-untyped-def]
    for c in range(_N):
        scratch[_U(ON_BOTH) + c] += of_row * on_fixed[k, c]


@njit(nogil=True, cache=True, error_model="numpy")
def _shares(  # type: ignore[no-untyped-def]
    scratch, of_row, on_row, i, ma, effects, on_fixed, sums, r, begin, gaps, place, step, totals, n_common,
    shares, n_grouped
):  # fmt: skip
    """What the fixed effects have of the products of row i, and of both columns, as sums over them."""
    if n_grouped:
        _copy(scratch, _U(SHARE), shares, _U(0), r, begin)
        _copy(scratch, _U(ON_BOTH), shares, _U(1), r, begin)
    else:
        _fill(scratch, _U(SHARE), _N, _ZERO)
        _fill(scratch, _U(ON_BOTH), _N, _ZERO)
    for k in range(n_grouped, len(effects)):
        if gaps:
            _fill(scratch, _U(F00), _U(4 * COLUMNS), _ZERO)
            for p in range(n_common + 4 * k, n_common + 4 * k + 4):
                _add(scratch, place[p], step[p], sums, p, r, begin)
            _add_share_called(scratch, ma)
        else:
            p = n_common + k - n_grouped
            less = of_row[k, i] - ma * totals[2 + k]
            _add_share(scratch, step[p], sums, p, r, begin, effects, k, ma, less)
        _add_both(scratch, on_row[k, i], on_fixed, k)


@njit(nogil=True, cache=True, error_model="numpy")
def _load(scratch, b, right, plan, begin, end, effects, on_fixed):  # type: ignore[no-untyped-def]
    """What is known of the columns of a block."""
    load_columns(scratch, right, begin, end)
    for f in range(N_FIELDS):
        place = FIELDS + f * COLUMNS
        scratch[place : place + end - begin] = b.fields[f, begin:end]
    for k in range(len(effects)):
        effects[k, : end - begin] = b.effects[k, begin:end]
        on_fixed[k, : end - begin] = b.on_fixed[k, begin:end]
    if not plan.gaps:
        _fill(scratch, _U(M00), _N, plan.totals[0])
        _fill(scratch, _U(T00), _N, plan.totals[1])
        scratch[M01 : M01 + COLUMNS] = scratch[TOTAL_B : TOTAL_B + COLUMNS]
        scratch[M02 : M02 + COLUMNS] = scratch[SQUARE_B : SQUARE_B + COLUMNS]
        scratch[T01 : T01 + COLUMNS] = scratch[TRAIT_B : TRAIT_B + COLUMNS]


@njit(nogil=True, cache=True, error_model="numpy")
def _screen_block(  # type: ignore[no-untyped-def]
    a, b, left, right, plan, limits, triangle, top, first, last, sums, shares, scratch, room, keep
):
    """The pairs of 32 rows from ``top`` with the columns from ``first`` to ``last``, whose sums are made."""
    n_effects, n_grouped = len(a.effects), len(plan.groups.step)
    n_common = len(plan.place) - (n_effects - n_grouped) * (4 if plan.gaps else 1)
    fields, of_row, on_row = a.fields, a.effects, a.on_fixed
    gaps, place, step, totals = plan.gaps, plan.place, plan.step, plan.totals
    loses = gaps and not plan.impute
    counted = plan.first < len(plan.place)
    loose = len(plan.groups.weight) > 0 or not counted
    square, relative = _F(limits.square), _F(limits.relative)
    per_unit = _ZERO if limits.binary else _F(1.0 / limits.unit**2)
    effects, on_fixed = np.zeros((2, n_effects, COLUMNS), dtype=np.float32)
    main, near, weighted = left.main, plan.near, len(plan.near.weight) > 0
    centre_a, centre_b = a.grouped.centre, b.grouped.centre
    code_a, code_b, n = a.codes.ctypes.data, b.codes.ctypes.data, a.codes.shape[1]
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
                step, totals, n_common, shares, n_grouped,
            )  # fmt: skip
            assemble(scratch, fields, i, plan.root)
            if n_effects or loose:
                add_errors(scratch, fields, i, plan.trait_error, plan.fixed_error)
            else:
                add_trait_error(scratch, plan.trait_error)
            quick(scratch, _F(left.main[i]), _F(left.margin[i]), square, per_unit, relative)
            if loses:
                lose(scratch, fields, i)
            if loses or any_kept(scratch):
                for j in range(wanted, end):
                    if loses or scratch[KEEP + j - begin] > 0:
                        c = j - begin
                        if counted:
                            pair = code_a + _U(i * n), code_b + _U(j * n), n, centre_a[i], centre_b[j]
                            sharpen(
                                scratch, c, fields, i, main[i], pair, near, on_row, on_fixed, plan.root, room
                            )
                            if weighted and full_bound(scratch, left, i, c, limits):
                                weigh(scratch, c, fields, i, pair, near, on_row, on_fixed, plan.root, room)
                        keep[i, j] = full_bound(scratch, left, i, c, limits)


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
    scratch = np.zeros(END, dtype=np.float32)
    n_sums, products = len(plan.place), plan.products
    sums = lined(4 * n_sums * SIDE * WIDTH).view(np.int32).reshape(n_sums, SIDE, WIDTH)
    room = room_for_rows(a.operands)
    shares = lined(8 * SIDE * WIDTH).view(np.float32).reshape(2, SIDE, WIDTH)
    of_groups = (
        lined(64 * plan.groups.vectors.shape[1]).view(np.int32).reshape(-1, 16),
        np.zeros((SIDE, len(plan.groups.step), 4), dtype=np.float32),
    )
    digits = plan.near.digits.digits
    near = lined(LINE * (len(digits) + 1)), np.empty(digits.shape[1], dtype=np.int32)
    begin_tiles(configuration.ctypes.data)
    for start in range(0, n_columns, WIDTH):
        stop = min(start + WIDTH, n_columns)
        whole = start + -(-(stop - start) // SIDE) * SIDE
        for top in range(0, n_rows, SIDE):
            first = max(start, (triangle + top) // COLUMNS * COLUMNS)
            if max(first, triangle + top) < stop:
                if len(products):
                    multiply(a.operands, b.operands, products, top, first, whole, room, sums)
                if plan.first < n_sums:
                    rest = sums[plan.first :]
                    grouped_sums(
                        a.grouped, b.grouped, plan.groups, top, first, whole, of_groups, rest, shares
                    )
                _screen_block(
                    a,
                    b,
                    left,
                    right,
                    plan,
                    limits,
                    triangle,
                    top,
                    first,
                    stop,
                    sums,
                    shares,
                    scratch,
                    near,
                    keep,
                )
    end_tiles()
