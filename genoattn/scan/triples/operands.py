"""What the screen of triples is made of: columns as bits, inner products of pairs, the rows of a tile."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.triples.counts import LANES, make_counter

CHUNK = 64  # columns at a time: their scratch stays in the cache
_count_pair = make_counter(2, 2)


class Columns(NamedTuple):
    """All columns of a scan, ``n`` of them after padding to whole vectors.

    Parameters
    ----------
    rows
        Shape (2, n, n_words) uint64: planes A1 and A2, column by column.
    one, two
        Shape (n / 8, n_words, 8) uint64: the same, word by word for eight columns.
    total, square, with_trait, size
        Shape (n,) float64: sum, sum of squares, inner product with the trait, root of ``square``.
    on_fixed
        Shape (n_fixed - 1, n), inner products with the fixed effects but the intercept.
    """

    rows: np.ndarray
    one: np.ndarray
    two: np.ndarray
    total: np.ndarray
    square: np.ndarray
    with_trait: np.ndarray
    size: np.ndarray
    on_fixed: np.ndarray


class Table(NamedTuple):
    """Inner products of chosen columns a with every column c.

    Parameters
    ----------
    moments
        Shape (n_chosen, 4, n): sums of ac, a^2 c, a c^2, a^2 c^2.
    with_trait
        Shape (n_chosen, n): sum of a c y.
    on_fixed
        Shape (n_chosen, n_fixed - 1, n): sums of a c q_k.
    """

    moments: np.ndarray
    with_trait: np.ndarray
    on_fixed: np.ndarray


class Rows(NamedTuple):
    """Rows of a tile, shape (n_rows,) each: pairs (a, b) whose triples with every later c are screened.

    Parameters
    ----------
    a, b
        Columns.
    in_table_a, in_table_b
        Their places in the tables.
    after
        Triples have c above this column.
    skip_from
        Shape (n_rows + 1,): the columns ``skip[skip_from[r] : skip_from[r + 1]]`` are left out of row r.
    skip
        Columns.
    error
        Rounding of <abc, y> per length of c.
    """

    a: np.ndarray
    b: np.ndarray
    in_table_a: np.ndarray
    in_table_b: np.ndarray
    after: np.ndarray
    skip_from: np.ndarray
    skip: np.ndarray
    error: np.ndarray


@njit(nogil=True, cache=True)
def count_moments(columns, chosen, out):  # type: ignore[no-untyped-def]
    """Sums of ac, a^2 c, a c^2 and a^2 c^2 for chosen columns a and every c: ``out`` (n_chosen, 4, n)."""
    n_words, n = columns.one.shape[1], len(columns.total)
    one_at, two_at = columns.one.ctypes.data, columns.two.ctypes.data
    planes = np.empty((2, n_words), dtype=np.uint64)
    counts = np.empty((4, LANES), dtype=np.uint64)
    for r in range(len(chosen)):
        planes[0], planes[1] = columns.rows[0, chosen[r]], columns.rows[1, chosen[r]]
        for c in range(0, n, LANES):
            right = (one_at + 8 * n_words * c, two_at + 8 * n_words * c)
            _count_pair(planes.ctypes.data, right, LANES, n_words, counts.ctypes.data, LANES)
            for j in range(LANES):
                n11, n21 = float(counts[0, j]), float(counts[1, j])
                n12, n22 = float(counts[2, j]), float(counts[3, j])
                out[r, 0, c + j] = n11 + n21 + n12 + n22
                out[r, 1, c + j] = n11 + 3 * n21 + n12 + 3 * n22
                out[r, 2, c + j] = n11 + n21 + 3 * n12 + 3 * n22
                out[r, 3, c + j] = n11 + 3 * n21 + 3 * n12 + 9 * n22
