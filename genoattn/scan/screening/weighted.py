"""The screen of a tile whose products are all matrix products: an inner product with weights.

An entry computed with rounding unit u is off by at most ``(2u + gamma) |left| |right|`` (Cauchy-Schwarz;
gamma bounds the sums).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.screening.bound import (
    COLUMNS,
    FIXED,
    FIXED_ERROR,
    FREE,
    LENGTH,
    P_ERROR2,
    PA,
    PB,
    R_ERROR,
    R,
    as_number,
    decide,
    load_columns,
    load_products,
)

_VALUE, _RESIDUAL, _MOMENT, _SQUARE, _END = range(FREE, FREE + 5 * COLUMNS, COLUMNS)


class Lengths(NamedTuple):
    """Lengths of the operands of a block's columns, shape (n_block,) each, which scale their rounding."""

    value: np.ndarray
    residual: np.ndarray
    moment: np.ndarray
    square: np.ndarray


@njit(inline="always")
def _assemble(scratch, a, left, i, error):  # type: ignore[no-untyped-def]
    """Errors of the products of row i with the block's columns."""
    value, residual, moment, square = a.value[i], a.residual[i], a.moment[i], a.square[i]
    fixed = left.fixed[i]
    for c in range(COLUMNS):
        scratch[R_ERROR + c] = error * residual * scratch[_RESIDUAL + c]
        to_a, to_b = error * moment * scratch[_VALUE + c], error * value * scratch[_MOMENT + c]
        scratch[P_ERROR2 + c] = to_a * to_a + to_b * to_b
        scratch[FIXED_ERROR + c] = fixed * scratch[FIXED + c]
        scratch[LENGTH + c] -= error * (square * scratch[_SQUARE + c] + 1.0)


@njit(nogil=True, cache=True, error_model="numpy")
def screen_weighted(a, b, left, right, tile, score, fixed, error, triangle, limits, keep):  # type: ignore[no-untyped-def]
    """Which pairs of a tile may pass, all products being rounded.

    Parameters
    ----------
    a, b
        :class:`Lengths` of the operands of the tile's rows and columns.
    left, right
        Their :class:`~genoattn.scan.screening.bound.Bounds`.
    tile
        Shape (4, n_rows, n_columns): ``<at, bt>``, ``<P, at>``, ``<P, bt>`` and ``|P|^2 - 1``.
    score
        Shape (n_parts, n_rows, n_columns), whose sum is ``<P, yt>``.
    fixed
        Shape (n_fixed, n_rows, n_columns), ``<P, q_k>``.
    error
        Rounding of an entry, in units of the lengths of its operands.
    triangle, limits, keep
        As in :func:`~genoattn.scan.screening.counted.screen_counted`.
    """
    n_rows, n_columns = keep.shape
    scratch = np.zeros(_END)
    for start in range(0, n_columns, COLUMNS):
        stop = min(start + COLUMNS, n_columns)
        load_columns(scratch, right, start, stop)
        for j in range(start, stop):
            c = j - start
            scratch[_VALUE + c], scratch[_RESIDUAL + c] = b.value[j], b.residual[j]
            scratch[_MOMENT + c], scratch[_SQUARE + c] = b.moment[j], b.square[j]
        for i in range(n_rows):
            first = max(start, triangle + i)
            if first >= stop:
                continue
            load_products(scratch, score, fixed, i, start, first, stop)
            for j in range(first, stop):
                c = j - start
                scratch[R + c], scratch[PA + c] = as_number(tile[0, i, j]), as_number(tile[1, i, j])
                scratch[PB + c], scratch[LENGTH + c] = (
                    as_number(tile[2, i, j]),
                    1.0 + as_number(tile[3, i, j]),
                )
            _assemble(scratch, a, left, i, error)
            decide(scratch, left, i, start, first, stop, False, limits, keep)
