"""The bound on every triple of a tile: exact elimination of the six lower terms, eight triples a vector.

TripleColumns are minor-allele counts a, b, c of 0, 1, 2. All inner products among 1, a, b, ab, c, ac, bc,
abc are moments ``sum a^p b^q c^r`` with p, q, r up to 2. Those without all three columns belong to pairs;
the other eight follow from eight counts, of samples with codes 1 or 2 at each. They are integers, known
exactly. With the fixed effects q_k, orthonormal, the residual inner products are ``<x, y> - sum_k <x, q_k>
<y, q_k>``.

For a row (a, b) the terms 1, a, b, ab are eliminated once. For each c what they leave of c, ac, bc, abc is
eliminated in that order (Cholesky without roots), which leaves ``left`` of <abc, abc>, ``cross`` of
<abc, y> and ``rest`` of <y, y>: the regression's ``t^2 / (df + t^2) = cross^2 / (left rest)``. Only
<abc, y> is rounded, an entry of a float32 product that is off by at most ``error``. With it the ratio is
rounded up; where it reaches the threshold the triple is a candidate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.triples.triple_columns import CHUNK

# Share of a term's square, after elimination, below which it is a combination of the terms before it.
SINGULAR = 5e-11
_TRUSTED = 1e-4  # shares before it must be above this for that verdict to be rounding's and no more
_SURE = 1e-9  # product of shares above which the bound is accurate


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
def eliminate_row(columns, table, a, in_table, b, n_samples):  # type: ignore[no-untyped-def]
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
EXCESS = 53 * CHUNK
SCRATCH = 54 * CHUNK
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
def fill_pairs(work, columns, table_a, in_a, table_b, in_b, scores, start):  # type: ignore[no-untyped-def]
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
    for c in range(len(scores)):
        work[_SCORES + 3 * CHUNK + c] = scores[c]


@njit(nogil=True, cache=True)
def fill_triples(work, counts):  # type: ignore[no-untyped-def]
    """The eight moments of all three columns from counts (8, CHUNK), those with code 1 at c first."""
    for r in range(2):  # c, then c^2
        weight, place = 2.0 + 2.0 * r, 9 * r * CHUNK
        for c in range(CHUNK):
            n11 = counts[0, c] + weight * counts[4, c]
            n12 = counts[1, c] + weight * counts[5, c]
            n21 = counts[2, c] + weight * counts[6, c]
            n22 = counts[3, c] + weight * counts[7, c]
            work[place + 4 * CHUNK + c] = n11 + 2.0 * (n12 + n21) + 4.0 * n22
            work[place + 5 * CHUNK + c] = n11 + 2.0 * n21 + 4.0 * n12 + 8.0 * n22
            work[place + 7 * CHUNK + c] = n11 + 2.0 * n12 + 4.0 * n21 + 8.0 * n22
            work[place + 8 * CHUNK + c] = n11 + 4.0 * (n12 + n21) + 16.0 * n22


@njit(nogil=True, cache=True)
def fill_terms(work):  # type: ignore[no-untyped-def]
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
def take_fixed(work, row, columns, table_a, in_a, table_b, in_b, fixed, start):  # type: ignore[no-untyped-def]
    """Take the fixed effects out of the terms; ``fixed`` (n_fixed - 1, n) are those of abc."""
    for k in range(len(fixed)):
        _copy(work, _SHARES, columns.on_fixed[k], start)
        _copy(work, _SHARES + CHUNK, table_a.on_fixed[in_a, k], start)
        _copy(work, _SHARES + 2 * CHUNK, table_b.on_fixed[in_b, k], start)
        for c in range(fixed.shape[1]):
            work[_SHARES + 3 * CHUNK + c] = fixed[k, c]
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
    def bound(work, row, error, limit):  # type: ignore[no-untyped-def]
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
            top = abs(v3) + error * work[_SIZE + c]
            excess = top * top - limit * (r33 if r33 > 0.0 else 0.0) * rest
            work[_SHARES + c], work[_SHARES + CHUNK + c] = s0, s1
            work[_SHARES + 2 * CHUNK + c], work[_SHARES + 3 * CHUNK + c] = s2, s3
            work[EXCESS + c] = excess if sure > _SURE else 1.0

    return bound


bound_moments = _make_bound(_MOMENTS_TERMS, _MOMENTS_AMONG)
bound_terms = _make_bound(_FIXED_TERMS, _FIXED_AMONG)


@njit(nogil=True, cache=True)
def untestable(work, c, share):  # type: ignore[no-untyped-def]
    """Whether a term is a combination of those before it, beyond the doubt of rounding."""
    before = share
    for i in range(4):
        if not work[_SHARES + i * CHUNK + c] > SINGULAR:
            return before > _TRUSTED
        before = min(before, work[_SHARES + i * CHUNK + c])
    return False
