"""The bound on every triple of a tile: exact elimination of the six lower terms. Compiled.

Columns are minor-allele counts a, b, c of 0, 1, 2. All inner products among 1, a, b, ab, c, ac, bc, abc are
moments ``sum a^p b^q c^r`` with p, q, r up to 2. Those without all three columns belong to pairs; the other
eight follow from eight counts, of samples with codes 1 or 2 at each. They are integers, known exactly. With
the fixed effects q_k, orthonormal, the inner products of residuals are ``<x, y> - sum_k <x, q_k> <y,
q_k>``.

For a row (a, b) the terms 1, a, b, ab are eliminated once; for each c then c, ac, bc, abc in that order. With
``left`` and ``rest`` the squared norms of the residuals of abc and of y after regression on the lower terms,
and ``cross`` their inner product, ``t^2 / (df + t^2) = cross^2 / (left rest)`` in the regression. Only
<abc, y> is rounded, an entry of a float32 product that is off by at most ``error``. With it the ratio is
rounded up; where it reaches the threshold the triple is a candidate.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.counts import count_with_sets

# Share of a term's square, after elimination, below which it is a combination of the terms before it.
_DEPENDENT = 5e-11
_TRUSTED = 1e-4  # shares before it must be above this for that verdict to be rounding's and no more
_SURE = 1e-9  # product of shares above which the bound is accurate


class TripleColumns(NamedTuple):
    """All n columns of a scan, float64 but for their planes."""

    planes: np.ndarray  # (n, 3, n_words) uint64, bit planes; see genoattn.scan.counts
    total: np.ndarray  # (n,), sum
    square: np.ndarray  # (n,), sum of squares
    with_trait: np.ndarray  # (n,), inner product with the trait
    on_fixed: np.ndarray  # (n_fixed - 1, n), inner products with the fixed effects but the intercept


class PairTable(NamedTuple):
    """Inner products of chosen columns a with every column c."""

    moments: np.ndarray  # (n_chosen, 4, n): sums of ac, a^2 c, a c^2, a^2 c^2
    with_trait: np.ndarray  # (n_chosen, n): sum of a c y
    on_fixed: np.ndarray  # (n_chosen, n_fixed - 1, n): sums of a c q_k


class TripleRows(NamedTuple):
    """Rows of a tile: pairs (a, b) whose triples with every later c are screened."""

    a: np.ndarray  # (n_rows,), as b: their columns
    b: np.ndarray
    in_table_a: np.ndarray  # (n_rows,), as in_table_b: the places of these in the tables
    in_table_b: np.ndarray
    error: np.ndarray  # (n_rows,), rounding of <abc, y> per norm of c
    keep: np.ndarray  # (n_rows, n_products), which c make triples


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


@njit(nogil=True, cache=True)
def _begin_row(columns, table, a, in_table, b, n_samples, gram, on_trait, on_fixed, shares):  # type: ignore[no-untyped-def]
    """Cholesky factor of 1, a, b, ab: ``gram`` (4, 4), with reciprocals on its diagonal; what goes with it.

    ``on_trait`` (4,) are the trait's products with the orthonormal terms, ``on_fixed`` (4 or more,
    n_fixed - 1) those of the terms with fixed effects, ``shares`` (4,) the squares of the terms after
    elimination, as shares of those before.
    """
    m = table.moments[in_table, :, b]
    gram[0, 0], gram[1, 0], gram[2, 0], gram[3, 0] = n_samples, columns.total[a], columns.total[b], m[0]
    gram[1, 1], gram[2, 1], gram[3, 1] = columns.square[a], m[0], m[1]
    gram[2, 2], gram[3, 2], gram[3, 3] = columns.square[b], m[2], m[3]
    on_fixed[0] = 0.0
    on_fixed[1], on_fixed[2] = columns.on_fixed[:, a], columns.on_fixed[:, b]
    on_fixed[3] = table.on_fixed[in_table, :, b]
    on_trait[0], on_trait[1], on_trait[2] = 0.0, columns.with_trait[a], columns.with_trait[b]
    on_trait[3] = table.with_trait[in_table, b]
    for i in range(4):
        square = gram[i, i]
        for j in range(i + 1):
            value = gram[i, j]
            for k in range(on_fixed.shape[1]):
                value -= on_fixed[i, k] * on_fixed[j, k]
            for k in range(j):
                value -= gram[i, k] * gram[j, k]
            if j < i:
                gram[i, j] = value * gram[j, j]
                on_trait[i] -= gram[i, j] * on_trait[j]
        shares[i] = value / square if square > 0 else 0.0
        gram[i, i] = 1.0 / np.sqrt(value) if value > 0 else 0.0
        on_trait[i] *= gram[i, i]


@njit(inline="always")
def _forward(t, f):  # type: ignore[no-untyped-def]
    """Inner products of a term with the orthonormal 1, a, b, ab, from those with these; f is their factor."""
    x0 = t[0] * f[0]
    x1 = (t[1] - f[1] * x0) * f[2]
    x2 = (t[2] - f[3] * x0 - f[4] * x1) * f[5]
    return x0, x1, x2, (t[3] - f[6] * x0 - f[7] * x1 - f[8] * x2) * f[9]


@njit(inline="always")
def _less(value, x, y):  # type: ignore[no-untyped-def]
    return value - x[0] * y[0] - x[1] * y[1] - x[2] * y[2] - x[3] * y[3]


@njit(inline="always", error_model="numpy")
def _verdict(t, g, y, f, of_row, error, limit):  # type: ignore[no-untyped-def]
    """0 where a triple cannot pass, 1 where it may, 2 where it cannot be tested.

    ``t`` (4, 4) and ``g`` (10,) are inner products of c, ac, bc, abc with 1, a, b, ab and among themselves,
    row by row of the lower triangle, ``y`` (4,) those with the trait; ``f`` is the factor of 1, a, b, ab,
    ``of_row`` the trait's products with these, its residual square, and their smallest share.
    """
    on_trait, rest, least = of_row
    x0, x1, x2, x3 = _forward(t[0], f), _forward(t[1], f), _forward(t[2], f), _forward(t[3], f)
    r00, r10, r11 = _less(g[0], x0, x0), _less(g[1], x1, x0), _less(g[2], x1, x1)
    r20, r21, r22 = _less(g[3], x2, x0), _less(g[4], x2, x1), _less(g[5], x2, x2)
    r30, r31, r32, r33 = _less(g[6], x3, x0), _less(g[7], x3, x1), _less(g[8], x3, x2), _less(g[9], x3, x3)
    v0, v1 = _less(y[0], x0, on_trait), _less(y[1], x1, on_trait)
    v2, v3 = _less(y[2], x2, on_trait), _less(y[3], x3, on_trait)
    s0, d = r00 / g[0], 1.0 / r00
    l1, l2, l3 = r10 * d, r20 * d, r30 * d
    r11, r21, r31, r22 = r11 - l1 * r10, r21 - l2 * r10, r31 - l3 * r10, r22 - l2 * r20
    r32, r33, rest = r32 - l3 * r20, r33 - l3 * r30, rest - v0 * v0 * d
    v1, v2, v3 = v1 - l1 * v0, v2 - l2 * v0, v3 - l3 * v0
    s1, d = r11 / g[2], 1.0 / r11
    l2, l3 = r21 * d, r31 * d
    r22, r32, r33, rest = r22 - l2 * r21, r32 - l3 * r21, r33 - l3 * r31, rest - v1 * v1 * d
    v2, v3, s2 = v2 - l2 * v1, v3 - l3 * v1, r22 / g[5]
    l3 = r32 / r22
    left, rest, cross = r33 - l3 * r32, rest - v2 * v2 / r22, v3 - l3 * v2
    s3 = left / g[9]
    before = least
    for share in (s0, s1, s2, s3):
        if not share > _DEPENDENT:
            # A small pivot after small ones may be rounding error: the exact test decides then.
            return 2 if before > _TRUSTED else 1
        before = min(before, share)
    top = abs(cross) + error
    return 0 if min(least, s0, s1, s2) * s3 > _SURE and top * top < limit * left * rest else 1


@njit(inline="always")
def _with_c(counts, k, c, r, of_c, of_a, of_b):  # type: ignore[no-untyped-def]
    """Sums of a^p b^q c (r = 0) or a^p b^q c^2 (r = 1): p, q of (0, 0), (1, 0), (2, 0), (0, 1) to (2, 2)."""
    w = 2.0 + 2.0 * r
    n11, n12 = counts[0, k] + w * counts[4, k], counts[1, k] + w * counts[5, k]
    n21, n22 = counts[2, k] + w * counts[6, k], counts[3, k] + w * counts[7, k]
    m11, m22 = n11 + 2.0 * (n12 + n21) + 4.0 * n22, n11 + 4.0 * (n12 + n21) + 16.0 * n22
    m12, m21 = n11 + 2.0 * n21 + 4.0 * n12 + 8.0 * n22, n11 + 2.0 * n12 + 4.0 * n21 + 8.0 * n22
    p1, p2, q1, q2 = of_a[2 * r, c], of_a[2 * r + 1, c], of_b[2 * r, c], of_b[2 * r + 1, c]
    return of_c, p1, p2, q1, m11, m21, q2, m12, m22


@njit(inline="always")
def _outer_less(t, x, z):  # type: ignore[no-untyped-def]
    return t[0] - x * z[0], t[1] - x * z[1], t[2] - x * z[2], t[3] - x * z[3]


@njit(inline="always")
def _triangle_less(g, x):  # type: ignore[no-untyped-def]
    low = g[0] - x[0] * x[0], g[1] - x[1] * x[0], g[2] - x[1] * x[1], g[3] - x[2] * x[0], g[4] - x[2] * x[1]
    high = g[5] - x[2] * x[2], g[6] - x[3] * x[0], g[7] - x[3] * x[1], g[8] - x[3] * x[2], g[9] - x[3] * x[3]
    return low + high


@njit(nogil=True, cache=True, error_model="numpy")
def screen_rows(columns, table_a, table_b, rows, start, scores, fixed, n_samples, limit, found):  # type: ignore[no-untyped-def]
    """Screen the triples of a tile; their number, and that of those that cannot be tested.

    ``rows`` have their columns in ``table_a`` and ``table_b``, and products with the columns from ``start``
    on: ``scores`` (n_rows, n_products) float32 are <abc, y> of a trait of norm 1, ``fixed`` (n_fixed - 1,
    n_rows, n_products) float64 <abc, q_k>. ``limit`` is the square of the smallest correlation that must not
    be missed; ``found`` (n_rows, n_products) bool, written, marks the candidates.
    """
    sets, counts = np.empty((4, columns.planes.shape[2]), np.uint64), np.zeros((8, scores.shape[1]))
    gram, on_trait, shares, q = np.zeros((4, 4)), np.zeros(4), np.zeros(4), np.zeros((8, len(fixed)))
    n_triples, n_untestable = 0, 0
    for r in range(len(rows.a)):
        a, b, in_a, in_b = rows.a[r], rows.b[r], rows.in_table_a[r], rows.in_table_b[r]
        n_here = rows.keep[r].sum()
        n_triples += n_here
        _begin_row(columns, table_a, a, in_a, b, n_samples, gram, on_trait, q, shares)
        if not shares.min() > _DEPENDENT:
            n_untestable += n_here
            continue
        h = gram
        f = (h[0, 0], h[1, 0], h[1, 1], h[2, 0], h[2, 1], h[2, 2], h[3, 0], h[3, 1], h[3, 2], h[3, 3])
        of_row = (on_trait[0], on_trait[1], on_trait[2], on_trait[3]), 1.0 - (on_trait**2).sum(), shares.min()
        for k in range(4):
            sets[k] = columns.planes[a, k // 2] & columns.planes[b, k % 2]
        # Columns before the first third of this row need no counts.
        first = np.argmax(rows.keep[r])
        count_with_sets(sets, columns.planes[start + first : start + scores.shape[1]], counts)
        of_a, of_b = table_a.moments[in_a], table_b.moments[in_b]
        y_a, y_b = table_a.with_trait[in_a], table_b.with_trait[in_b]
        fixed_a, fixed_b = table_a.on_fixed[in_a], table_b.on_fixed[in_b]
        for k in range(first, scores.shape[1]):
            if not rows.keep[r, k]:
                continue
            c = start + k
            m = _with_c(counts, k - first, c, 0, columns.total[c], of_a, of_b)
            n = _with_c(counts, k - first, c, 1, columns.square[c], of_a, of_b)
            t = (
                (m[0], m[1], m[3], m[4]),
                (m[1], m[2], m[4], m[5]),
                (m[3], m[4], m[6], m[7]),
                (m[4], m[5], m[7], m[8]),
            )
            g = n[0], n[1], n[2], n[3], n[4], n[6], n[4], n[5], n[7], n[8]
            y = columns.with_trait[c], y_a[c], y_b[c], np.float64(scores[r, k])
            for j in range(len(fixed)):
                x = columns.on_fixed[j, c], fixed_a[j, c], fixed_b[j, c], fixed[j, r, k]
                z = q[0, j], q[1, j], q[2, j], q[3, j]
                t = (
                    _outer_less(t[0], x[0], z),
                    _outer_less(t[1], x[1], z),
                    _outer_less(t[2], x[2], z),
                    _outer_less(t[3], x[3], z),
                )
                g = _triangle_less(g, x)
            verdict = _verdict(t, g, y, f, of_row, rows.error[r] * np.sqrt(columns.square[c]), limit)
            n_untestable += verdict == 2
            found[r, k] = verdict == 1
    return n_triples, n_untestable
