"""The screen of a strip of pairs: an upper bound of each pair's statistic, and which pairs it lets pass.

Without covariates all that the regression of a pair needs is exact, but for the product with the trait, a
sum in single precision whose rounding is bounded; see :func:`genoattn.scan.elimination.summing_error`.

With covariates, orthonormal rows Q over all samples, let y' and P' be the residuals of the trait and the
product after regression on 1, a and b over the samples of the pair, and Z the span of such residuals of the
rows of Q. With S and E no less than the norms of the projections of P' and y' on Z,

``|cross| <= |<P', y'>| + S E,  left >= |P'|^2 - S^2,  rest >= |y'|^2 - E^2``

bound the regression that has them. The trait is a residual after regression on Q over all samples, so that E
holds only what missing calls and main effects bring. S needs no product for each covariate: with sets of
samples B, rows of 0 and 1, and ``Q = T B + R``, R the residual of least squares,

``|Q P| <= |T B P| + sqrt(lambda) |P|``

where lambda is the largest eigenvalue of R R', and B P is counted from bit planes. Where that is not
enough, Q P is computed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.elimination import SINGULAR, Moments, centre_counts, eliminate

_SURE = 1e-5  # share of the determinant from which a singular product is one beyond the rounding of sums
_ROUNDING = 1e-9  # of float64 sums, eliminations and thresholds, relative


class Own(NamedTuple):
    """Numbers of the columns of a block, shape (n_columns,) each.

    Parameters
    ----------
    mean
        What a column has subtracted.
    n, one, two
        Weights of called samples, and of those with code 1 and 2.
    with_trait, missed, missed_square
        Sum of y times the column less its mean; of y and y^2 over samples without a call.
    square
        Squared norm of the column about its mean, missing calls at it.
    norm, weighted_norm
        Norms of the single-precision column and of its product with the trait.
    margin
        Share of the critical value by which a score may lie below it.
    """

    mean: np.ndarray
    n: np.ndarray
    one: np.ndarray
    two: np.ndarray
    with_trait: np.ndarray
    missed: np.ndarray
    missed_square: np.ndarray
    square: np.ndarray
    norm: np.ndarray
    weighted_norm: np.ndarray
    margin: np.ndarray


class Limits(NamedTuple):
    """What a bound is compared with.

    Parameters
    ----------
    n, yy
        Sum of the weights, and of the squared trait, over all samples.
    n_fixed
        Number of fixed effects, with the intercept.
    t2
        Critical value of t^2; of z^2 for a score test.
    score
        Whether the variance of the trait is known: 1 in units of the weights divided by ``scale``.
    scale
        Weights are whole numbers, ``scale`` for 1.
    rounding
        Bound on the rounding of a product with the trait, as a share of the norms' product.
    max_r2
        Pairs of columns with a larger squared correlation are not tested; infinite for no limit.
    impute
        Whether missing calls count as the mean.
    """

    n: float
    yy: float
    n_fixed: int
    t2: float
    score: bool
    scale: float
    rounding: float
    max_r2: float
    impute: bool


class Reach(NamedTuple):
    """Covariates and a block's columns, shape (n_columns,) each.

    Parameters
    ----------
    on_fixed
        Norm of the inner products of the column with Q.
    lost, lost_sets
        Largest eigenvalues of ``Q_L Q_L'`` and of ``T B_L (T B_L)'`` over the samples L without a call.
    """

    on_fixed: np.ndarray
    lost: np.ndarray
    lost_sets: np.ndarray


@njit(inline="always", error_model="numpy")
def _root(x):  # type: ignore[no-untyped-def]
    return math.sqrt(x) if x > 0.0 else 0.0


@njit(nogil=True, cache=True, fastmath=True)
def products_on_fixed(left, right, i, j, basis, out):  # type: ignore[no-untyped-def]
    """Squared norms of products of rows i of one array and j of another, and of Q times them.

    Parameters
    ----------
    left, right
        Shape (n_columns, n_samples) float32.
    i, j
        Shape (n_pairs,).
    basis
        Shape (n_basis, n_samples) float32, Q, with rows of zeros to a multiple of four.
    out
        Shape (2, n_pairs), float64, written.
    """
    product = np.empty(left.shape[1], np.float32)
    for k in range(len(i)):
        a, b, size, square = left[i[k]], right[j[k]], np.float32(0.0), 0.0
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
        out[0, k], out[1, k] = size, square


@njit(inline="always", error_model="numpy")
def _passes_adjusted(on_product, e, m, slack, n_missing, of_lost, lost, of_a, of_b, limits):  # type: ignore[no-untyped-def]
    """Whether a pair may pass beside the covariates, given a bound on ``|Q P|``."""
    gaps = _root(lost * n_missing)
    nu_a = of_a + abs(m.a / m.n) * gaps
    nu_b = of_b + abs(m.b / m.n) * gaps
    r = _root(1.0 - e.share)
    taken = lost * (1.0 + n_missing / m.n) + (nu_a * nu_a / e.aa + nu_b * nu_b / e.bb) / max(1.0 - r, 1e-12)
    if not taken < 1.0:
        return True
    s = on_product + abs(m.p / m.n) * gaps + abs(e.on_a) * nu_a + abs(e.on_b) * nu_b
    t = of_lost + abs(m.y / m.n) * gaps
    t += abs(e.trait_a) * nu_a + abs(e.trait_b) * nu_b
    s2, t2 = s * s / (1.0 - taken), t * t / (1.0 - taken)
    if not (s2 < e.left and t2 < e.rest):
        return True
    top = abs(e.cross) + slack + math.sqrt(s2 * t2)
    df = m.n - limits.n_fixed - 3.0
    return not top * top * (df + limits.t2) < limits.t2 * (e.left - s2) * (e.rest - t2) * (1.0 - _ROUNDING)


@njit(nogil=True, cache=True, error_model="numpy")
def screen_strip(  # type: ignore[no-untyped-def]
    counts, product, of_a, of_b, both, left, right, keep, limits, missing, adjust, found
):
    """Mark the pairs of a strip that may pass.

    Parameters
    ----------
    counts
        Shape (9, n_rows, n_cols), of :func:`genoattn.scan.counts.count_pairs`.
    product
        Shape (n_rows, n_cols) float32, sums of y ab.
    of_a, of_b, both
        Shapes (n_cols, n_rows), (n_rows, n_cols) and (n_rows, n_cols): sums of y a over samples without a
        call at b, of y b over those without one at a, of y over those without either; None where none is
        missing.
    left, right
        :class:`Own` of the rows and of the columns.
    keep
        Shape (n_rows, n_cols), which pairs to test.
    limits
        :class:`Limits`.
    missing
        None where no call of either block is missing.
    adjust
        None without covariates, or ``(reach_left, reach_right, lambda, largest, on_sets, lost_fixed,
        on_product)``: the :class:`Reach` of both; lambda, and the largest ``|q_s| |y_s|`` of a sample; of
        each pair ``|T B P|``, ``|Q_L y_L|`` summed over the samples that lack a call at a, and at b, and
        ``|Q P|``, NaN where it is to be bounded.
    found
        Shape (n_rows, n_cols) bool, written.

    Returns
    -------
    Pairs left out for their correlation; pairs that cannot be tested.
    """
    n_linked, n_untestable = 0, 0
    for i in range(found.shape[0]):
        ma, n_a = left.mean[i], left.n[i]
        for j in range(found.shape[1]):
            found[i, j] = False
            if not keep[i, j]:
                continue
            mb, n_b = right.mean[j], right.n[j]
            c11, c12, c21, c22 = counts[0, i, j], counts[1, i, j], counts[2, i, j], counts[3, i, j]
            a1, a2, b1, b2, n = left.one[i], left.two[i], right.one[j], right.two[j], limits.n
            y, yy = 0.0, limits.yy
            ya, yb = left.with_trait[i], right.with_trait[j]
            if missing is not None:
                a1, a2, b1, b2 = counts[4, i, j], counts[5, i, j], counts[6, i, j], counts[7, i, j]
                n = np.float64(counts[8, i, j])
            c = centre_counts(n, a1, a2, b1, b2, c11, c12, c21, c22, ma, mb)
            n, sa, sb, saa, sbb, sp, spa, spb, spp = c
            if missing is not None:
                if limits.impute:
                    n, sa, sb, saa, sbb = limits.n, 0.0, 0.0, left.square[i], right.square[j]
                else:
                    y = both[i, j] - left.missed[i] - right.missed[j]
                    yy -= left.missed_square[i] + right.missed_square[j]
                    ya += ma * (right.missed[j] - both[i, j]) - of_a[j, i]
                    yb += mb * (left.missed[i] - both[i, j]) - of_b[i, j]
            yp = np.float64(product[i, j])
            m = Moments(n, sa, sb, saa, sbb, sp, spa, spb, spp, y, ya, yb, yp, yy)
            if sp * sp > limits.max_r2 * left.square[i] * right.square[j]:
                n_linked += 1
                continue
            e = eliminate(m)
            if c11 + c12 + c21 + c22 == 0 and (missing is None or not limits.impute):  # ab is 0 throughout
                n_untestable += 1
                continue
            if not e.share > _SURE or not e.left > 1e-6 * e.whole:
                if e.share > _SURE and e.left < 0.01 * SINGULAR * e.whole:
                    n_untestable += 1
                else:
                    found[i, j] = True
                continue
            slack = limits.rounding * left.weighted_norm[i] * right.norm[j]
            top = abs(e.cross) + slack
            if limits.score:
                critical = limits.t2 * max(1.0 - left.margin[i] - right.margin[j], 0.0) ** 2
                found[i, j] = not top * top * limits.scale < critical * e.left * (1.0 - _ROUNDING)
                continue
            df = n - limits.n_fixed - 3.0
            if adjust is None:
                found[i, j] = not top * top * (df + limits.t2) < limits.t2 * e.left * e.rest * (
                    1.0 - _ROUNDING
                )
                continue
            reach_a, reach_b, rest_of_fixed, largest, on_sets, lost_fixed, on_product = adjust
            lost, n_missing, apart, of_lost = 0.0, 0.0, 0.0, 0.0
            of_column_a, of_column_b = reach_a.on_fixed[i], reach_b.on_fixed[j]
            if missing is not None:
                n_both = limits.n - n_a - n_b + counts[8, i, j]
                gap_a, gap_b = max(left.square[i] - c[3], 0.0), max(right.square[j] - c[4], 0.0)
                # The products over sets have missing calls as codes of 0, where P is to be 0.
                apart = mb * mb * gap_a + ma * ma * gap_b + ma * ma * mb * mb * n_both
                if not limits.impute:
                    n_missing, lost = limits.n - n, reach_a.lost[i] + reach_b.lost[j]
                    of_lost = lost_fixed[i, j] + n_both * largest
                    of_column_a += _root(reach_b.lost[j] * gap_a)
                    of_column_b += _root(reach_a.lost[i] * gap_b)
            bound = on_product[i, j]
            if math.isnan(bound):
                bound = (on_sets[i, j] + _root(rest_of_fixed * spp)) * (1.0 + 1e-5)
                bound += _root((reach_a.lost_sets[i] + reach_b.lost_sets[j]) * apart)
            found[i, j] = _passes_adjusted(
                bound, e, m, slack, n_missing, of_lost, lost, of_column_a, of_column_b, limits
            )
    return n_linked, n_untestable
