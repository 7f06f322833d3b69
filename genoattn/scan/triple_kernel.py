"""The bound on every triple of a tile: exact elimination of the six lower terms, eight triples a vector.

Columns are minor-allele counts a, b, c of 0, 1, 2: bits ``a = A1 + A2``, ``a^2 = A1 + 3 A2``. All inner
products among 1, a, b, ab, c, ac, bc, abc are moments ``sum a^p b^q c^r`` with p, q, r up to 2. Those without
all three columns belong to pairs; the other eight follow from eight counts, of samples in A1 or A2, B1 or B2,
and C1 or C2. They are integers, known exactly. With the fixed effects q_k, orthonormal, the residual inner
products are ``<x, y> - sum_k <x, q_k> <y, q_k>``.

For a row (a, b) the terms 1, a, b, ab are eliminated once. For each c what they leave of c, ac, bc, abc is
eliminated in that order (Cholesky without roots), which leaves ``left`` of <abc, abc>, ``cross`` of
<abc, y> and ``rest`` of <y, y>: the regression's ``t^2 / (df + t^2) = cross^2 / (left rest)``. Only
<abc, y> and <abc, q_k> are rounded: they are entries of float32 products, off by at most ``score_error`` and
``fixed_error``. With those the ratio is rounded up; where it reaches the threshold the triple is a candidate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.triple_counts import LANES, make_counter

CHUNK = 64  # columns at a time: their scratch stays in the cache
# Share of a term's square, after elimination, below which it is a combination of the terms before it.
_SINGULAR = 5e-11
_TRUSTED = 1e-4  # shares before it must be above this for that verdict to be rounding's and no more
_SURE = 1e-9  # product of shares above which the bound is accurate
_SLACK = 1e-4

_count_pair = make_counter(2, 2)
_count_triple = make_counter(4, 2)


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
    score_error, fixed_error
        Rounding of <abc, y> and of the length of all <abc, q_k>, per length of c.
    skip_from
        Shape (n_rows + 1,): the columns ``skip[skip_from[r] : skip_from[r + 1]]`` are left out of row r.
    skip
        Columns.
    """

    a: np.ndarray
    b: np.ndarray
    in_table_a: np.ndarray
    in_table_b: np.ndarray
    after: np.ndarray
    score_error: np.ndarray
    fixed_error: np.ndarray
    skip_from: np.ndarray
    skip: np.ndarray


class Row(NamedTuple):
    """One row: elimination of 1, a, b, ab.

    Parameters
    ----------
    factor
        Shape (4, 4), rows of the Cholesky factor, below the diagonal; on it the reciprocals.
    trait
        Shape (4,), inner products of the trait with the orthonormal terms.
    on_fixed
        Shape (4, n_fixed - 1), of 1, a, b, ab.
    share
        Smallest share of its square that elimination leaves of a term.
    rest
        What they leave of <y, y> = 1.
    """

    factor: np.ndarray
    trait: np.ndarray
    on_fixed: np.ndarray
    share: float
    rest: float


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


@njit(nogil=True, cache=True)
def _eliminate_row(columns, table, a, in_table, b, n_samples):  # type: ignore[no-untyped-def]
    """Cholesky factor of 1, a, b, ab."""
    m = table.moments[in_table, :, b]
    n_fixed = columns.on_fixed.shape[0]
    gram = np.empty((4, 4))
    gram[0, 0], gram[1, 0], gram[2, 0], gram[3, 0] = n_samples, columns.total[a], columns.total[b], m[0]
    gram[1, 1], gram[2, 1], gram[3, 1] = columns.square[a], m[0], m[1]
    gram[2, 2], gram[3, 2], gram[3, 3] = columns.square[b], m[2], m[3]
    on_fixed = np.zeros((4, n_fixed))
    for k in range(n_fixed):
        on_fixed[1, k], on_fixed[2, k] = columns.on_fixed[k, a], columns.on_fixed[k, b]
        on_fixed[3, k] = table.on_fixed[in_table, k, b]
    trait = np.array([0.0, columns.with_trait[a], columns.with_trait[b], table.with_trait[in_table, b]])
    share, rest = 1.0, 1.0
    for i in range(4):
        whole = gram[i, i]
        for j in range(i + 1):
            value = gram[i, j]
            for k in range(n_fixed):
                value -= on_fixed[i, k] * on_fixed[j, k]
            for k in range(j):
                value -= gram[i, k] * gram[j, k]
            if j < i:
                gram[i, j] = value * gram[j, j]
                trait[i] -= gram[i, j] * trait[j]
        share = min(share, value / whole) if whole > 0 else 0.0
        gram[i, i] = 1.0 / np.sqrt(value) if value > 0 else 0.0
        trait[i] *= gram[i, i]
        rest -= trait[i] * trait[i]
    return Row(gram, trait, on_fixed, share, rest)


# Places of a chunk's scratch, one flat array, so that the compiler may use vectors; CHUNK numbers each.
_SUMS = 0  # sum of a^p b^q c^r at 9 (r - 1) + 3 p + q
_TERMS = 18 * CHUNK  # of term i of (c, ac, bc, abc) with 1, a, b, ab: at 4 i
_AMONG = 34 * CHUNK  # of terms i, j <= i: at i (i + 1) / 2 + j
_SCORES = 44 * CHUNK  # with the trait
_SIZE = 48 * CHUNK
_SHARES = 49 * CHUNK  # what elimination leaves of each term's square
_EXCESS = 53 * CHUNK
_END = 54 * CHUNK
_C2, _A2C2, _B2C2, _A2B2C2 = 9 * CHUNK, 15 * CHUNK, 11 * CHUNK, 17 * CHUNK


def _power(i: int, j: int) -> int:
    """Which moment is the product of terms i of (c, ac, bc, abc) and j of (1, a, b, ab)."""
    return CHUNK * (3 * ((i & 1) + (j & 1)) + (i >> 1) + (j >> 1))


# Where the inner products are: among the moments themselves, or where fixed effects are taken out of them.
_MOMENTS_TERMS = tuple(tuple(_power(i, j) for j in range(4)) for i in range(4))
_MOMENTS_AMONG = tuple(9 * CHUNK + _power(i, j) for i in range(4) for j in range(i + 1))
_FIXED_TERMS = tuple(tuple(_TERMS + (4 * i + j) * CHUNK for j in range(4)) for i in range(4))
_FIXED_AMONG = tuple(_AMONG + k * CHUNK for k in range(10))


@njit(inline="always")
def _copy(work, place, values, start):  # type: ignore[no-untyped-def]
    for c in range(CHUNK):
        work[place + c] = values[start + c]


@njit(nogil=True, cache=True)
def _fill_pairs(work, columns, table_a, in_a, table_b, in_b, scores, start):  # type: ignore[no-untyped-def]
    """What does not hold all three columns, and the scores, of a chunk of columns c."""
    _copy(work, _SUMS, columns.total, start)
    _copy(work, _C2, columns.square, start)
    _copy(work, _SIZE, columns.size, start)
    for power in range(2):
        _copy(work, (3 + 3 * power) * CHUNK, table_a.moments[in_a, power], start)
        _copy(work, (12 + 3 * power) * CHUNK, table_a.moments[in_a, 2 + power], start)
        _copy(work, (1 + power) * CHUNK, table_b.moments[in_b, power], start)
        _copy(work, (10 + power) * CHUNK, table_b.moments[in_b, 2 + power], start)
    _copy(work, _SCORES, columns.with_trait, start)
    _copy(work, _SCORES + CHUNK, table_a.with_trait[in_a], start)
    _copy(work, _SCORES + 2 * CHUNK, table_b.with_trait[in_b], start)
    _copy(work, _SCORES + 3 * CHUNK, scores, 0)


@njit(nogil=True, cache=True)
def _fill_triples(work, counts):  # type: ignore[no-untyped-def]
    """The eight moments of all three columns from counts (8, CHUNK), those with C1 first."""
    for r in range(2):  # c = C1 + C2, then c^2 = C1 + 3 C2
        weight, place = np.int64(1 + 2 * r), 9 * r * CHUNK
        for c in range(CHUNK):
            n11 = np.int64(counts[c]) + weight * np.int64(counts[4 * CHUNK + c])
            n12 = np.int64(counts[CHUNK + c]) + weight * np.int64(counts[5 * CHUNK + c])
            n21 = np.int64(counts[2 * CHUNK + c]) + weight * np.int64(counts[6 * CHUNK + c])
            n22 = np.int64(counts[3 * CHUNK + c]) + weight * np.int64(counts[7 * CHUNK + c])
            work[place + 4 * CHUNK + c] = float(n11 + n12 + n21 + n22)
            work[place + 5 * CHUNK + c] = float(n11 + n21 + 3 * (n12 + n22))
            work[place + 7 * CHUNK + c] = float(n11 + n12 + 3 * (n21 + n22))
            work[place + 8 * CHUNK + c] = float(n11 + 3 * (n12 + n21) + 9 * n22)


@njit(nogil=True, cache=True)
def _fill_terms(work):  # type: ignore[no-untyped-def]
    """Inner products of c, ac, bc, abc with 1, a, b, ab and among themselves, out of the moments."""
    for i in range(4):
        for j in range(4):
            power = 3 * ((i & 1) + (j & 1)) + (i >> 1) + (j >> 1)
            target, source = _TERMS + (4 * i + j) * CHUNK, power * CHUNK
            for c in range(CHUNK):
                work[target + c] = work[source + c]
            if j <= i:
                target, source = _AMONG + (i * (i + 1) // 2 + j) * CHUNK, (9 + power) * CHUNK
                for c in range(CHUNK):
                    work[target + c] = work[source + c]


@njit(nogil=True, cache=True)
def _take_fixed(work, row, columns, table_a, in_a, table_b, in_b, fixed, start):  # type: ignore[no-untyped-def]
    """Take the fixed effects out of the terms; ``fixed`` (n_fixed - 1, CHUNK) are those of abc."""
    for k in range(len(fixed)):
        _copy(work, _SHARES, columns.on_fixed[k], start)
        _copy(work, _SHARES + CHUNK, table_a.on_fixed[in_a, k], start)
        _copy(work, _SHARES + 2 * CHUNK, table_b.on_fixed[in_b, k], start)
        _copy(work, _SHARES + 3 * CHUNK, fixed[k], 0)
        for i in range(4):
            mine = _SHARES + i * CHUNK
            for j in range(4):
                other, target = row.on_fixed[j, k], _TERMS + (4 * i + j) * CHUNK
                for c in range(CHUNK):
                    work[target + c] -= work[mine + c] * other
                if j <= i:
                    theirs, target = _SHARES + j * CHUNK, _AMONG + (i * (i + 1) // 2 + j) * CHUNK
                    for c in range(CHUNK):
                        work[target + c] -= work[mine + c] * work[theirs + c]


@njit(inline="always")
def _forward(work, c, place, f):  # type: ignore[no-untyped-def]
    """Inner products of a term with the orthonormal 1, a, b, ab; ``f`` is their factor, row by row."""
    x0 = work[place[0] + c] * f[0]
    x1 = (work[place[1] + c] - f[1] * x0) * f[2]
    x2 = (work[place[2] + c] - f[3] * x0 - f[4] * x1) * f[5]
    x3 = (work[place[3] + c] - f[6] * x0 - f[7] * x1 - f[8] * x2) * f[9]
    return x0, x1, x2, x3


@njit(inline="always")
def _dot(x, y):  # type: ignore[no-untyped-def]
    return x[0] * y[0] + x[1] * y[1] + x[2] * y[2] + x[3] * y[3]


@njit(inline="always")
def _smaller(x, y):  # type: ignore[no-untyped-def]
    """min(x, y) as the processor's vectors have it."""
    return x if x < y else y


def _make_bound(terms, among):  # type: ignore[no-untyped-def]
    """The bound, for inner products at these places of the scratch."""

    @njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
    def bound(work, row, score_error, fixed_error, limit):  # type: ignore[no-untyped-def]
        """Eliminate; writes the shares left, and what is negative where no triple can pass."""
        m, t = row.factor, row.trait
        f = (m[0, 0], m[1, 0], m[1, 1], m[2, 0], m[2, 1], m[2, 2], m[3, 0], m[3, 1], m[3, 2], m[3, 3])
        trait, row_rest, row_share = (t[0], t[1], t[2], t[3]), row.rest, row.share
        for c in range(CHUNK):
            x0, x1 = _forward(work, c, terms[0], f), _forward(work, c, terms[1], f)
            x2, x3 = _forward(work, c, terms[2], f), _forward(work, c, terms[3], f)
            r00, r10 = work[among[0] + c] - _dot(x0, x0), work[among[1] + c] - _dot(x1, x0)
            r11, r20 = work[among[2] + c] - _dot(x1, x1), work[among[3] + c] - _dot(x2, x0)
            r21, r22 = work[among[4] + c] - _dot(x2, x1), work[among[5] + c] - _dot(x2, x2)
            r30, r31 = work[among[6] + c] - _dot(x3, x0), work[among[7] + c] - _dot(x3, x1)
            r32, r33 = work[among[8] + c] - _dot(x3, x2), work[among[9] + c] - _dot(x3, x3)
            v0, v1 = work[_SCORES + c] - _dot(x0, trait), work[_SCORES + CHUNK + c] - _dot(x1, trait)
            v2 = work[_SCORES + 2 * CHUNK + c] - _dot(x2, trait)
            v3 = work[_SCORES + 3 * CHUNK + c] - _dot(x3, trait)
            inverse = 1.0 / r00
            s0, l1, l2, l3 = r00 / work[_C2 + c], r10 * inverse, r20 * inverse, r30 * inverse
            r11, r21, r31 = r11 - l1 * r10, r21 - l2 * r10, r31 - l3 * r10
            r22, r32, r33 = r22 - l2 * r20, r32 - l3 * r20, r33 - l3 * r30
            rest = row_rest - v0 * v0 * inverse
            v1, v2, v3 = v1 - l1 * v0, v2 - l2 * v0, v3 - l3 * v0
            inverse = 1.0 / r11
            s1, l2, l3 = r11 / work[_A2C2 + c], r21 * inverse, r31 * inverse
            r22, r32, r33 = r22 - l2 * r21, r32 - l3 * r21, r33 - l3 * r31
            rest, v2, v3 = rest - v1 * v1 * inverse, v2 - l2 * v1, v3 - l3 * v1
            inverse = 1.0 / r22
            s2, l3 = r22 / work[_B2C2 + c], r32 * inverse
            r33, rest, v3 = r33 - l3 * r32, rest - v2 * v2 * inverse, v3 - l3 * v2
            s3 = r33 / work[_A2B2C2 + c]
            least = _smaller(_smaller(_smaller(s0, s1), s2), row_share)
            sure = least * s3
            off, size = fixed_error * work[_SIZE + c], work[_SIZE + c]
            left = r33 - 2.0 * off * np.sqrt(work[_A2B2C2 + c]) - off * off
            share = (1.0 - rest) / (
                least if least > _SURE else _SURE
            )  # of fitted lower terms in the fixed effects
            top = abs(v3) + score_error * size + off * np.sqrt(abs(share))
            excess = top * top - limit * (left if left > 0.0 else 0.0) * rest
            work[_SHARES + c], work[_SHARES + CHUNK + c] = s0, s1
            work[_SHARES + 2 * CHUNK + c], work[_SHARES + 3 * CHUNK + c] = s2, s3
            work[_EXCESS + c] = excess if sure > _SURE else 1.0

    return bound


_bound = _make_bound(_MOMENTS_TERMS, _MOMENTS_AMONG)
_bound_fixed = _make_bound(_FIXED_TERMS, _FIXED_AMONG)


@njit(nogil=True, cache=True)
def _untestable(work, c, share):  # type: ignore[no-untyped-def]
    """Whether a term is a combination of those before it, beyond the doubt of rounding."""
    before = share
    for i in range(4):
        if not work[_SHARES + i * CHUNK + c] > _SINGULAR:
            return before > _TRUSTED
        before = min(before, work[_SHARES + i * CHUNK + c])
    return False


@njit(nogil=True, cache=True)
def _any_left(work):  # type: ignore[no-untyped-def]
    """Whether any triple of a chunk may pass."""
    total = 0
    for c in range(CHUNK):
        total += 0 if work[_EXCESS + c] < 0 else 1
    return total > 0


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
        Shape (n_fixed - 1, n_rows, n_products) float32, <abc, q_k>.
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
    n_words, n = columns.one.shape[1], len(columns.total)
    n_fixed, width = columns.on_fixed.shape[0], scores.shape[1]
    one_at, two_at = columns.one.ctypes.data, columns.two.ctypes.data
    planes = np.empty((4, n_words), dtype=np.uint64)
    counts = np.zeros(8 * CHUNK, dtype=np.uint64)
    counts_at = counts.ctypes.data
    work, score, on_fixed = np.zeros(_END), np.zeros(CHUNK), np.zeros((n_fixed, CHUNK))
    left_out = np.zeros(n, dtype=np.bool_)
    n_triples, n_untestable = 0, 0
    for r in range(len(rows.a)):
        a, b, in_a, in_b = rows.a[r], rows.b[r], rows.in_table_a[r], rows.in_table_b[r]
        after = rows.after[r]
        skipped = rows.skip[rows.skip_from[r] : rows.skip_from[r + 1]]
        left_out[skipped] = True
        row = _eliminate_row(columns, table_a, a, in_a, b, n_samples)
        n_row = start + width - max(after + 1, start) - len(skipped)
        n_triples += n_row
        if not row.share > _SINGULAR:
            n_untestable += n_row
            left_out[skipped] = False
            continue
        for w in range(n_words):
            one, two = columns.rows[0, a, w], columns.rows[1, a, w]
            planes[0, w], planes[1, w] = one & columns.rows[0, b, w], one & columns.rows[1, b, w]
            planes[2, w], planes[3, w] = two & columns.rows[0, b, w], two & columns.rows[1, b, w]
        first = start + max(after + 1 - start, 0) // LANES * LANES
        for place in range(first, start + width, CHUNK):
            stop = min(place + CHUNK, start + width)
            for c in range(0, stop - place, LANES):
                right = (one_at + 8 * n_words * (place + c), two_at + 8 * n_words * (place + c))
                _count_triple(planes.ctypes.data, right, LANES, n_words, counts_at + 8 * c, CHUNK)
            for c in range(stop - place):
                score[c] = scores[r, place - start + c]
                for f in range(n_fixed):
                    on_fixed[f, c] = fixed[f, r, place - start + c]
            _fill_pairs(work, columns, table_a, in_a, table_b, in_b, score, place)
            _fill_triples(work, counts)
            if n_fixed:
                _fill_terms(work)
                _take_fixed(work, row, columns, table_a, in_a, table_b, in_b, on_fixed, place)
                _bound_fixed(work, row, rows.score_error[r], rows.fixed_error[r], limit)
            else:
                _bound(work, row, rows.score_error[r], 0.0, limit)
            if _any_left(work):
                for c in range(max(after + 1 - place, 0), stop - place):
                    if left_out[place + c] or work[_EXCESS + c] < 0:
                        continue
                    if _untestable(work, c, row.share):
                        n_untestable += 1
                    else:
                        found[r, place - start + c] = True
        left_out[skipped] = False
    return n_triples, n_untestable
