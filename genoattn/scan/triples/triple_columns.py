"""What the screen of triples is made of: columns as bits, inner products of pairs, the rows of a tile."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.counts import count_with_sets

CHUNK = 64  # columns at a time: their scratch stays in the cache


class TripleColumns(NamedTuple):
    """All columns of a scan, ``n`` of them after padding to chunks.

    Parameters
    ----------
    planes
        Shape (n, 3, n_words) uint64, bit planes; see :mod:`genoattn.scan.counts`.
    total, square, with_trait, size
        Shape (n,) float64: sum, sum of squares, inner product with the trait, root of ``square``.
    on_fixed
        Shape (n_fixed - 1, n), inner products with the fixed effects but the intercept.
    """

    planes: np.ndarray
    total: np.ndarray
    square: np.ndarray
    with_trait: np.ndarray
    size: np.ndarray
    on_fixed: np.ndarray


class PairTable(NamedTuple):
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


class TripleRows(NamedTuple):
    """TripleRows of a tile, shape (n_rows,) each: pairs (a, b) whose triples with every later c are screened.

    Parameters
    ----------
    a, b
        TripleColumns.
    in_table_a, in_table_b
        Their places in the tables.
    after
        Triples have c above this column.
    skip_from
        Shape (n_rows + 1,): the columns ``skip[skip_from[r] : skip_from[r + 1]]`` are left out of row r.
    skip
        TripleColumns.
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
    counts = np.empty((4, len(columns.total)))
    for r in range(len(chosen)):
        count_with_sets(columns.planes[chosen[r], :2], columns.planes, counts)
        for c in range(counts.shape[1]):
            n11, n21, n12, n22 = counts[0, c], counts[1, c], counts[2, c], counts[3, c]
            out[r, 0, c] = n11 + 2 * (n21 + n12) + 4 * n22
            out[r, 1, c] = n11 + 4 * n21 + 2 * n12 + 8 * n22
            out[r, 2, c] = n11 + 2 * n21 + 4 * n12 + 8 * n22
            out[r, 3, c] = n11 + 4 * (n21 + n12) + 16 * n22
