"""The screen of a strip of pairs: an upper bound of each pair's statistic, and which pairs it lets pass.

Without covariates all that the regression of a pair needs is exact, but for the product with the trait, a
sum in single precision whose rounding is bounded; see :func:`genoattn.scan.elimination.summing_error`.

With covariates, orthonormal rows Q over all samples, let y' and P' be the residuals of the trait and the
product after regression on 1, a and b over the samples of the pair, and Z the span of such residuals of the
rows of Q. With S and E no less than the norms of the projections of P' and y' on Z,

``|cross| <= |<P', y'>| + S E,  residual >= |P'|^2 - S^2,  rest >= |y'|^2 - E^2``

bound the regression that has them. The trait is a residual after regression on Q over all samples, so that E
holds only what missing calls and main effects bring. S needs no product for each covariate: with sets of
samples B, rows of 0 and 1, and ``Q = T B + R``, R the residual of least squares,

``|Q P| <= |T B P| + sqrt(lambda) |P|``

where lambda is the largest eigenvalue of R R', and B P is counted from bit planes. Where that is not
enough, Q P is computed.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.counts import count_row, sum_over_both_missing, sum_over_missing, sum_over_sets
from genoattn.scan.elimination import (
    ROUNDING,
    SINGULAR,
    PairMoments,
    centre_counts,
    eliminate,
    fails_adjusted,
)

_STRIP = 32  # rows whose sums over missing calls are made together

_SURE = 1e-5  # share of the determinant from which a singular product is one beyond the rounding of sums


# Numbers of a column, a row each of a table (n_columns, 14): what the column has subtracted; weights of
# called samples, and of those with code 1 and 2; sum of y times the column; sums of y and y^2 over samples
# without a call; squared norm about the mean, missing calls at it; norms of the single-precision column and
# of its product with the trait; the share of the critical value by which a score may lie below it. With
# covariates the norm of its inner products with Q, and the largest eigenvalues of Q_L Q_L' and of T B_L (T
# B_L)' over the samples L without a call.
MEAN, CALLED, ONE, TWO, TRAIT, MISSED, MISSED_SQUARE, SQUARE, NORM, WEIGHTED, MARGIN = range(11)
ON_FIXED, UNCALLED, UNCALLED_SETS, N_NUMBERS = range(11, 15)


class Limits(NamedTuple):
    """What a bound is compared with."""

    n: float  # sum of the weights
    yy: float  # of the squared trait, over all samples
    n_fixed: int  # fixed effects, with the intercept
    t2: float  # critical value of t^2; of z^2 for a score test
    score: bool  # whether the variance of the trait is known: 1 in units of the weights divided by scale
    scale: float  # weights are integers, scale for 1
    rounding: float  # bound on the rounding of a product with the trait, as a share of the norms' product
    max_r2: float  # pairs of columns with a larger squared correlation are not tested; infinite for no limit
    impute: bool  # whether missing calls count as the mean


class Sets(NamedTuple):
    """Sets of samples that stand for covariates, ``Q = T B + R``."""

    planes: np.ndarray  # B, (n_sets, n_words), uint64
    weights: np.ndarray  # T, (n_fixed - 1, n_sets), float32
    size: np.ndarray  # (n_sets,), samples of each
    rest: float  # largest eigenvalue of R R'
    largest: float  # largest |q_s| |y_s| of a sample
    # Q, (n_fixed - 1 or more, n_samples), float32, with rows of zeros to a multiple of four
    basis: np.ndarray
    rounding: float  # bound on the rounding of |Q P| in single precision, as a share of |P|


@njit(inline="always", error_model="numpy")
def _root(x):  # type: ignore[no-untyped-def]
    return math.sqrt(x) if x > 0.0 else 0.0


@njit(nogil=True, cache=True, fastmath=True)
def products_on_fixed(a, columns, chosen, basis, rounding, product, out):  # type: ignore[no-untyped-def]
    """Norms of Q times the products of one column a (n_samples,) with chosen others, rounded up: ``out``.

    ``columns`` (n_cols, n_samples) and ``product``, memory (n_samples,), are float32; ``chosen`` and ``out``
    (n_cols,), bool and float64; ``basis`` and ``rounding`` those of :class:`Sets`.
    """
    for j in range(len(columns)):
        if not chosen[j]:
            continue
        b, size, square = columns[j], np.float32(0.0), np.float32(0.0)
        for s in range(len(product)):
            product[s] = a[s] * b[s]
            size += product[s] * product[s]
        for q in range(0, len(basis), 4):  # four at a time, which read the product once
            c0 = c1 = c2 = c3 = np.float32(0.0)
            q0, q1, q2, q3 = basis[q], basis[q + 1], basis[q + 2], basis[q + 3]
            for s in range(len(product)):
                p = product[s]
                c0 += q0[s] * p
                c1 += q1[s] * p
                c2 += q2[s] * p
                c3 += q3[s] * p
            square += c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3
        out[j] = (math.sqrt(square) + rounding * math.sqrt(size)) * (1.0 + 2.0 * rounding)


@njit(inline="always", error_model="numpy")
def _passes_adjusted(on_product, e, m, slack, of_uncalled, uncalled, of_a, of_b, limits):  # type: ignore[no-untyped-def]
    """Whether a pair may pass adjusted for the covariates, given a bound on ``|Q P|``."""
    n_missing, df = limits.n - m.n, m.n - limits.n_fixed - 3.0
    gaps = _root(uncalled * n_missing)
    return not fails_adjusted(
        e, m, n_missing, df, limits.t2, on_product, slack, of_uncalled, uncalled, gaps, of_a, of_b
    )


@njit(inline="always", error_model="numpy")
def _passes(e, n, slack, margin, limits):  # type: ignore[no-untyped-def]
    """Whether a pair may pass without covariates, or by its score."""
    top = abs(e.cross) + slack
    if limits.score:
        critical = limits.t2 * max(1.0 - margin, 0.0) ** 2
        return not top * top * limits.scale < critical * e.residual * (1.0 - ROUNDING)
    df = n - limits.n_fixed - 3.0
    if not df > 0.0:  # the exact test says that there is none
        return True
    return not top * top * (df + limits.t2) < limits.t2 * e.residual * e.rest * (1.0 - ROUNDING)


# The functions above take numbers alone: numba counts references to arrays at every call, which for each pair
# costs more than the bound.
@njit(nogil=True, cache=True, error_model="numpy")
def _screen_row(  # type: ignore[no-untyped-def]
    a, columns, wanted, counts, product, of_a, of_b, both, on_sets, on_product, limits, missing, sets, found
):
    """Mark the wanted pairs of a row that may pass; pairs left out as linked, and untestable ones."""
    n_linked, n_untestable, ma = 0, 0, a[MEAN]
    for j in range(len(wanted)):
        if not wanted[j]:
            continue
        b, c = columns[j], counts[j]
        mb, n, a1, a2, b1, b2 = b[MEAN], limits.n, a[ONE], a[TWO], b[ONE], b[TWO]
        if missing is not None:
            a1, a2, b1, b2, n = c[4], c[5], c[6], c[7], np.float64(c[8])
        n, sa, sb, saa, sbb, sp, spa, spb, spp = centre_counts(
            n, a1, a2, b1, b2, c[0], c[1], c[2], c[3], ma, mb
        )
        gap_a, gap_b = max(a[SQUARE] - saa, 0.0), max(b[SQUARE] - sbb, 0.0)
        y, yy, ya, yb = 0.0, limits.yy, a[TRAIT], b[TRAIT]
        if missing is not None and limits.impute:
            n, sa, sb, saa, sbb = limits.n, 0.0, 0.0, a[SQUARE], b[SQUARE]
        elif missing is not None:
            y, yy = both[j] - a[MISSED] - b[MISSED], yy - a[MISSED_SQUARE] - b[MISSED_SQUARE]
            ya += ma * (b[MISSED] - both[j]) - of_a[j]
            yb += mb * (a[MISSED] - both[j]) - of_b[j]
        m = PairMoments(n, sa, sb, saa, sbb, sp, spa, spb, spp, y, ya, yb, np.float64(product[j]), yy)
        found[j] = False
        if sp * sp > limits.max_r2 * a[SQUARE] * b[SQUARE]:
            n_linked += 1
            continue
        e = eliminate(m)
        if c[0] + c[1] + c[2] + c[3] == 0 and (missing is None or not limits.impute):  # ab is 0 throughout
            n_untestable += 1
        elif not e.share > _SURE or not e.residual > 1e-6 * e.unadjusted:
            found[j] = not (e.share > _SURE and e.residual < 0.01 * SINGULAR * e.unadjusted)
            n_untestable += 0 if found[j] else 1
        elif sets is None:
            found[j] = _passes(e, n, limits.rounding * a[WEIGHTED] * b[NORM], a[MARGIN] + b[MARGIN], limits)
        else:
            n_both = limits.n - a[CALLED] - b[CALLED] + c[8] if missing is not None else 0.0
            # The products over sets have missing calls as codes of 0, where P is to be 0.
            apart = mb * mb * gap_a + ma * ma * gap_b + ma * ma * mb * mb * n_both
            bound = on_product[j]
            if math.isnan(bound):
                bound = on_sets[0, j] + _root(sets.rest * spp) * (1.0 + 1e-5)
                bound += _root((a[UNCALLED_SETS] + b[UNCALLED_SETS]) * apart)
            uncalled_a, uncalled_b, of_uncalled = 0.0, 0.0, 0.0
            if missing is not None and not limits.impute:
                uncalled_a, uncalled_b, of_uncalled = (
                    a[UNCALLED],
                    b[UNCALLED],
                    on_sets[1, j] + n_both * sets.largest,
                )
            nu_a, nu_b = a[ON_FIXED] + _root(uncalled_b * gap_a), b[ON_FIXED] + _root(uncalled_a * gap_b)
            slack = limits.rounding * a[WEIGHTED] * b[NORM]
            found[j] = _passes_adjusted(
                bound, e, m, slack, of_uncalled, uncalled_a + uncalled_b, nu_a, nu_b, limits
            )
    return n_linked, n_untestable


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _row_on_sets(i, left, right, sets, n_samples, memory):  # type: ignore[no-untyped-def]
    """Norms of ``T B P`` of a row with every column, and of both ``Q_L y_L`` summed: ``memory.on_sets``."""
    counts, sums, mean, out = memory.counts, memory.of_planes, memory.mean, memory.on_sets
    sum_over_sets(left.planes[i], right.planes, sets.planes, memory.words, sums)
    of_a, of_b, ma, of_all = left.of_sets, right.of_sets, left.own[i, MEAN], len(sums)
    for j in range(len(mean)):
        raw, mb = counts[j, 0] + 2 * (counts[j, 1] + counts[j, 2]) + 4 * counts[j, 3], right.own[j, MEAN]
        mean[j] = (raw - ma * of_b[of_all, j] - mb * of_a[of_all, i]) / n_samples  # of P, but for ma mb
        out[0, j] = out[1, j] = 0.0
    for k in range(len(sums)):
        for j in range(len(mean)):
            sums[k, j] -= ma * of_b[k, j] + right.own[j, MEAN] * of_a[k, i] + mean[j] * sets.size[k]
    for k in range(len(sets.weights)):
        weights, fitted = sets.weights[k], memory.fitted
        for j in range(len(mean)):
            fitted[j] = 0.0
        for h in range(len(sums)):
            for j in range(len(mean)):
                fitted[j] += weights[h] * sums[h, j]
        uncalled, with_uncalled = left.with_uncalled[k, i], right.with_uncalled[k]
        for j in range(len(mean)):
            out[0, j] += np.float64(fitted[j] * fitted[j])
            out[1, j] += (uncalled + with_uncalled[j]) * (uncalled + with_uncalled[j])
    for j in range(len(mean)):
        out[0, j], out[1, j] = math.sqrt(out[0, j]) * (1.0 + 1e-5), math.sqrt(out[1, j]) * (1.0 + 1e-9)


class Memory(NamedTuple):
    """What a tile is computed in. Arrays made in compiled code would add a second to its compilation."""

    counts: np.ndarray  # (n_cols, 9) int64
    of_a: np.ndarray  # (n_cols, _STRIP) float64
    of_b: np.ndarray  # (1, n_cols)
    both: np.ndarray  # (n_cols,)
    on_sets: np.ndarray  # (2, n_cols)
    on_product: np.ndarray  # (n_cols,)
    of_samples: np.ndarray  # (n_samples,) float32
    words: np.ndarray  # (3, n_words) uint64
    of_planes: np.ndarray  # (n_sets, n_cols) float32
    mean: np.ndarray  # (n_cols,)
    fitted: np.ndarray  # (n_cols,) float32
    again: np.ndarray  # (n_cols,) bool

    @classmethod
    def of(cls, n_cols: int, n_samples: int, n_words: int, n_sets: int) -> "Memory":
        return cls(
            np.zeros((n_cols, 9), np.int64), np.zeros((n_cols, _STRIP)), np.zeros((1, n_cols)),
            np.zeros(n_cols), np.zeros((2, n_cols)), np.zeros(n_cols), np.zeros(n_samples, np.float32),
            np.zeros((3, n_words), np.uint64), np.zeros((n_sets, n_cols), np.float32),
            np.zeros(n_cols), np.zeros(n_cols, np.float32), np.zeros(n_cols, np.bool_),
        )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def screen_tile(left, right, product, trait, weight, keep, limits, missing, sets, memory, found):  # type: ignore[no-untyped-def]
    """Mark the pairs of a tile that may pass: ``found`` (n_rows, n_cols) bool, all False before.

    ``left`` and ``right`` are blocks, :class:`genoattn.scan.screen.Block`; ``product`` (n_rows, n_cols)
    float32 are the sums of y ab; ``trait`` is (n_samples,), ``weight`` (n_words,) the weights of words, None
    for 1; ``keep`` (n_rows, n_cols) says which pairs to test. ``missing`` is None where no call of either
    block is missing, ``sets`` None without covariates. Returns how many pairs were left out for their
    correlation, and how many cannot be tested.
    """
    (n_rows, n_cols), n_linked, n_untestable = found.shape, 0, 0
    complete, m = missing is None or limits.impute, memory
    for i in range(n_rows):
        s, wanted = i % _STRIP, 0
        if s == 0 and not complete:
            sum_over_missing(right.start, right.samples, left.by_sample[:, i : i + _STRIP], trait, m.of_a)
        for j in range(n_cols):
            wanted += keep[i, j]
        if wanted == 0:
            continue
        count_row(left.planes[i], right.planes, weight, missing, m.counts)
        if not complete:
            start, mine = left.start[i : i + 2], left.samples[left.start[i] : left.start[i + 1]]
            sum_over_missing(start, left.samples, right.by_sample[:, 0:], trait, m.of_b)
            sum_over_both_missing(mine, right, trait, m.both)
        if sets is not None:
            _row_on_sets(i, left, right, sets, len(trait), m)
            for j in range(n_cols):
                m.on_product[j] = np.nan
        sums = m.counts, product[i], m.of_a[:, s], m.of_b[0], m.both, m.on_sets, m.on_product
        linked, untestable = _screen_row(
            left.own[i], right.own, keep[i], *sums, limits, missing, sets, found[i]
        )
        n_linked, n_untestable = n_linked + linked, n_untestable + untestable
        if sets is not None:  # what may pass is asked again, with the product's share of the covariates
            for j in range(n_cols):
                m.again[j] = found[i, j]
            a, columns = left.values[i], right.values
            products_on_fixed(a, columns, m.again, sets.basis, sets.rounding, m.of_samples, m.on_product)
            _screen_row(left.own[i], right.own, m.again, *sums, limits, missing, sets, found[i])
    return n_linked, n_untestable
