"""Regression of a trait on two columns and their product, from inner products: one elimination for all.

The functions are plain arithmetic, so that the same lines run compiled, on numpy arrays, and on tensors of a
graphics processor.

With a, b the two columns, P = ab their product and y the trait, all less their means over the samples of the
pair, the residual of P after regression on a and b has squared norm
``residual = <P,P> - f <P,a> - g <P,b>`` with ``(f, g) = G^-1 (<P,a>, <P,b>)``, G the Gram matrix of a and b.
Its inner product with y is ``cross = <P,y> - f <a,y> - g <b,y>``, and the residual of y after regression on
a and b has squared norm ``rest``. Then ``beta = cross / residual`` and
``t^2 = df cross^2 / (residual rest - cross^2)``.
"""

from typing import Any, NamedTuple

from numba import njit
from numba.extending import register_jitable

# Squared norm of a residual, relative to that of the predictor, below which this is a combination of others.
SINGULAR = 1e-9
ROUNDING = 1e-9  # of float64 sums, eliminations and thresholds, relative


class PairMoments(NamedTuple):
    """Sums over the samples of a pair, of columns a and b less numbers close to their means, and of P = ab.

    Each is a number, or an array of shape (n_rows, n_cols).
    """

    n: Any  # sum of the weights
    a: Any  # from here to pp sums of a, b, a^2, b^2, ab, a^2 b, a b^2 and a^2 b^2
    b: Any
    aa: Any
    bb: Any
    p: Any
    pa: Any
    pb: Any
    pp: Any
    y: Any  # from here on sums of y, y a, y b, y ab and y^2
    ya: Any
    yb: Any
    yp: Any
    yy: Any


class Partial(NamedTuple):
    """Elimination of the intercept and of both columns."""

    aa: Any  # aa, bb and unadjusted: squared norms of a, b and P about their means
    bb: Any
    unadjusted: Any
    share: Any  # G's determinant over the product of its diagonal: 1 - r^2 of a and b
    on_a: Any  # on_a and on_b: coefficients of P on a and b
    on_b: Any
    residual: Any  # residual, cross and rest: as in the module's formulas
    cross: Any
    rest: Any
    trait_a: Any  # trait_a and trait_b: coefficients of the trait on a and b
    trait_b: Any


@register_jitable(inline="always")
def eliminate(m):  # type: ignore[no-untyped-def]
    """Take intercept and main effects out of the product and the trait, given :class:`PairMoments`."""
    r = 1.0 / m.n
    return eliminate_columns(
        m.aa - m.a * m.a * r, m.bb - m.b * m.b * r, m.p - m.a * m.b * r,
        m.pa - m.a * m.p * r, m.pb - m.b * m.p * r, m.pp - m.p * m.p * r,
        m.ya - m.a * m.y * r, m.yb - m.b * m.y * r, m.yp - m.p * m.y * r, m.yy - m.y * m.y * r,
    )  # fmt: skip


@register_jitable(inline="always")
def eliminate_columns(aa, bb, ab, pa, pb, pp, ya, yb, yp, yy):  # type: ignore[no-untyped-def]
    """Take a and b out of their product and the trait, given inner products of residuals."""
    determinant = aa * bb - ab * ab
    d = 1.0 / determinant
    on_a, on_b = (bb * pa - ab * pb) * d, (aa * pb - ab * pa) * d
    trait_a, trait_b = (bb * ya - ab * yb) * d, (aa * yb - ab * ya) * d
    residual, cross = pp - on_a * pa - on_b * pb, yp - on_a * ya - on_b * yb
    rest = yy - trait_a * ya - trait_b * yb
    return Partial(aa, bb, pp, determinant / (aa * bb), on_a, on_b, residual, cross, rest, trait_a, trait_b)


@register_jitable(inline="always")
def fails_adjusted(  # type: ignore[no-untyped-def]
    e, m, n_missing, df, t2, on_product, rounding, with_uncalled, uncalled, gaps, nu_a, nu_b
):
    """Whether a pair cannot pass adjusted for covariates Q, by the bounds S and E of the pair screen.

    ``e`` and ``m`` are those of :func:`eliminate`; ``n_missing`` samples lack a call, ``df`` are the degrees
    of freedom and ``t2`` is the critical value. ``on_product`` is no less than ``|Q P|``, ``with_uncalled``
    than ``|Q_L y_L|`` over the samples L without a call, ``uncalled`` than the largest eigenvalue of ``Q_L
    Q_L'``, ``gaps`` than the root of its product with ``n_missing``, ``nu_a`` and ``nu_b`` than ``|Q a|`` and
    ``|Q b|``; ``rounding`` bounds that of the product with the trait.
    """
    each = 1.0 / m.n
    nu_a, nu_b = nu_a + abs(m.a) * each * gaps, nu_b + abs(m.b) * each * gaps
    # 1 / (1 - r) = (1 + r) / (1 - r^2), with r no more than (1 + r^2) / 2
    shared = (nu_a * nu_a * e.bb + nu_b * nu_b * e.aa) * (2.0 - 0.5 * e.share) / (e.aa * e.bb * e.share)
    shared = shared + uncalled * (1.0 + n_missing * each)
    s = on_product + abs(m.p) * each * gaps + abs(e.on_a) * nu_a + abs(e.on_b) * nu_b
    t = with_uncalled + abs(m.y) * each * gaps + abs(e.trait_a) * nu_a + abs(e.trait_b) * nu_b
    more = 1.0 / (1.0 - shared)
    s_square, t_square = s * s * more, t * t * more
    top = abs(e.cross) + rounding + s * t * more
    limit = t2 * (e.residual - s_square) * (e.rest - t_square) * (1.0 - ROUNDING)
    possible = (shared < 1.0) & (s_square < e.residual) & (t_square < e.rest)
    # Without degrees of freedom the exact test says that there is none.
    return possible & (df > 0.0) & (top * top * (df + t2) < limit)


@register_jitable(inline="always")
def centre_counts(n, a1, a2, b1, b2, c11, c12, c21, c22, ma, mb):  # type: ignore[no-untyped-def]
    """The moments without a trait of columns less ``ma`` and ``mb``, from counts of codes 1 and 2."""
    a, aa, b, bb = a1 + 2.0 * a2, a1 + 4.0 * a2, b1 + 2.0 * b2, b1 + 4.0 * b2
    p, aab = c11 + 2.0 * (c12 + c21) + 4.0 * c22, c11 + 2.0 * c12 + 4.0 * c21 + 8.0 * c22
    abb, aabb = c11 + 4.0 * c12 + 2.0 * c21 + 8.0 * c22, c11 + 4.0 * (c12 + c21) + 16.0 * c22
    saa, sbb = aa - ma * (2.0 * a - ma * n), bb - mb * (2.0 * b - mb * n)
    p_a, p_b = aab - 2.0 * ma * p + ma * ma * b, abb - 2.0 * mb * p + mb * mb * a
    spp = aabb - 2.0 * mb * aab + mb * mb * aa - 2.0 * ma * p_b + ma * ma * (bb - 2.0 * mb * b + mb * mb * n)
    sp = p - ma * b - mb * a + ma * mb * n
    return n, a - ma * n, b - mb * n, saa, sbb, sp, p_a - mb * saa, p_b - ma * sbb, spp


@njit(nogil=True, cache=True, error_model="numpy")
def eliminate_in_order(gram, rhs, least, first, last):  # type: ignore[no-untyped-def]
    """Squares explained by the predictors from first to last beyond those before, and how many they are.

    The lower triangle of the Gram matrix and the inner products with the trait are changed in place: those of
    the residuals after last. A predictor enters if its pivot exceeds its entry of ``least``.
    """
    n, gain, rank = len(rhs), 0.0, 0
    for k in range(first, last):
        if not gram[k, k] > least[k]:
            continue
        rank += 1
        gain += rhs[k] * rhs[k] / gram[k, k]
        for i in range(k + 1, n):
            weight = gram[i, k] / gram[k, k]
            # Indicators of different codes are orthogonal, so that many weights of a table are 0.
            if weight != 0.0:
                rhs[i] -= weight * rhs[k]
                for j in range(k + 1, i + 1):
                    gram[i, j] -= weight * gram[j, k]
    return gain, rank


def summing_error(n: int, chunk: int, unit: float = 2.0**-24) -> float:
    """Bound on the rounding of an inner product of n terms, summed in chunks, as a share of the norms'
    product.

    Each product and each of the additions of a chunk rounds once, whatever their order (Higham 2002, Accuracy
    and Stability of Numerical Algorithms, section 3.1); operands were rounded before.
    """
    # 4 for the roundings of y, a, b and of the operand y a.
    terms = min(n, chunk) + -(-n // chunk) + 4
    return 1.01 * terms * unit / (1 - terms * unit)
