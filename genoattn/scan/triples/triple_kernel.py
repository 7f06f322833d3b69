"""The screen of a tile of triples, compiled: counts, elimination, candidates."""

from __future__ import annotations

import numpy as np
from numba import njit

from genoattn.scan.counts import count_with_sets
from genoattn.scan.triples.triple_bound import (
    EXCESS,
    SCRATCH,
    SINGULAR,
    bound_moments,
    bound_terms,
    eliminate_row,
    fill_pairs,
    fill_terms,
    fill_triples,
    take_fixed,
    untestable,
)
from genoattn.scan.triples.triple_columns import CHUNK


@njit(nogil=True, cache=True)
def _join_planes(columns, a, b, planes):  # type: ignore[no-untyped-def]
    """Samples in A1 or A2 and in B1 or B2: ``planes`` (4, n_words)."""
    for w in range(planes.shape[1]):
        one, two = columns.planes[a, 0, w], columns.planes[a, 1, w]
        planes[0, w], planes[1, w] = one & columns.planes[b, 0, w], one & columns.planes[b, 1, w]
        planes[2, w], planes[3, w] = two & columns.planes[b, 0, w], two & columns.planes[b, 1, w]


@njit(nogil=True, cache=True)
def _any_left(work, n):  # type: ignore[no-untyped-def]
    """Whether any of the first triples of a chunk may pass."""
    total = 0
    for c in range(n):
        total += 0 if work[EXCESS + c] < 0 else 1
    return total > 0


@njit(nogil=True, cache=True)
def _mark(work, share, first, stop, left_out, found):  # type: ignore[no-untyped-def]
    """Mark the candidates of a chunk in ``found``; returns the number that cannot be tested."""
    n_untestable = 0
    for c in range(first, stop):
        if left_out[c] or work[EXCESS + c] < 0:
            continue
        if untestable(work, c, share):
            n_untestable += 1
        else:
            found[c] = True
    return n_untestable


@njit(nogil=True, cache=True)
def screen_rows(columns, table_a, table_b, rows, start, scores, fixed, n_samples, limit, found):  # type: ignore[no-untyped-def]
    """Screen the triples of a tile.

    Parameters
    ----------
    columns, table_a, table_b, rows
        The columns, the tables that hold the rows' columns, the rows.
    start
        The column that the products begin with.
    scores
        Shape (n_rows, n_products) float32, <abc, y>; the trait has unit length.
    fixed
        Shape (n_fixed - 1, n_rows, n_products) float64, <abc, q_k>.
    n_samples
        Samples.
    limit
        Square of the smallest correlation that must not be missed.
    found
        Shape (n_rows, n_products) bool, written: the candidates.

    Returns
    -------
    Number of triples, and of those that cannot be tested.
    """
    n_fixed, end = len(fixed), start + scores.shape[1]
    planes = np.empty((4, columns.planes.shape[2]), dtype=np.uint64)
    counts, work = np.zeros((8, CHUNK)), np.zeros(SCRATCH)
    left_out = np.zeros(len(columns.total), dtype=np.bool_)
    n_triples, n_untestable = 0, 0
    for r in range(len(rows.a)):
        a, b, in_a, in_b, after = rows.a[r], rows.b[r], rows.in_table_a[r], rows.in_table_b[r], rows.after[r]
        skipped = rows.skip[rows.skip_from[r] : rows.skip_from[r + 1]]
        row = eliminate_row(columns, table_a, a, in_a, b, n_samples)
        n_triples += end - (after + 1) - len(skipped)
        if not row.share > SINGULAR:
            n_untestable += end - (after + 1) - len(skipped)
            continue
        left_out[skipped] = True
        _join_planes(columns, a, b, planes)
        for place in range(max(after + 1, start), end, CHUNK):
            n, k = min(CHUNK, end - place), place - start
            count_with_sets(planes, columns.planes[place : place + n], counts)
            fill_pairs(work, columns, table_a, in_a, table_b, in_b, scores[r, k : k + n], place)
            fill_triples(work, counts)
            if n_fixed:
                fill_terms(work)
                mine = fixed[:, r, k : k + n]
                take_fixed(work, row, columns, table_a, in_a, table_b, in_b, mine, place)
                bound_terms(work, row, rows.error[r], limit)
            else:
                bound_moments(work, row, rows.error[r], limit)
            if _any_left(work, n):
                first, not_these = max(after + 1 - place, 0), left_out[place : place + n]
                n_untestable += _mark(work, row.share, first, n, not_these, found[r, k : k + n])
        left_out[skipped] = False
    return n_triples, n_untestable
