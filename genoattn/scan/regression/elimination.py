"""Regressions of all pairs of a tile: what a and b leave of their product, then of any number of traits.

For the residuals at, bt of two columns on the fixed effects, and their product P, a 2 x 2 system gives
the weights w with which P depends on them; ``left = <P,P> - w' p`` and, for a trait y orthogonal to the
fixed effects, ``cross = <P,y> - w' g`` with ``p = (<P,at>, <P,bt>)`` and ``g = (<at,y>, <bt,y>)``. Then
``t^2 = df cross^2 / (left (<y,y> - g' G^-1 g) - cross^2)``. The weights belong to the genotypes alone, so
that a further trait, or permutation of one, costs one product and one pass.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.regression.exact import SINGULAR
from genoattn.scan.regression.genotype_sums import GenotypeSums


class PairWeights(NamedTuple):
    """What the genotypes of a tile contribute to its regressions, (n_rows, n_cols) each.

    Parameters
    ----------
    on_a, on_b
        Weights of the product on the two residual columns.
    left
        What they leave of <P,P>; NaN where the product cannot be tested.
    residual
        <at,bt>.
    inverse
        1 / (<at,at> <bt,bt> - <at,bt>^2).
    square_a, square_b
        Shapes (n_rows,) and (n_cols,), <at,at> and <bt,bt>; NaN where the fixed effects leave nothing.
    """

    on_a: np.ndarray
    on_b: np.ndarray
    left: np.ndarray
    residual: np.ndarray
    inverse: np.ndarray
    square_a: np.ndarray
    square_b: np.ndarray


class TraitProducts(NamedTuple):
    """What a trait contributes: <P,y> of shape (n_rows, n_cols), <at,y>, <bt,y>, and <y,y>."""

    product: np.ndarray
    with_a: np.ndarray
    with_b: np.ndarray
    square: float


# Loops over few arrays: a compiler that cannot prove many of them apart makes no vectors of a longer one.
@njit(nogil=True, cache=True, error_model="numpy")
def _length(whole, ab, total, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = whole[j] - ab[j] * ab[j] / total


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _take(first, second, value, target):  # type: ignore[no-untyped-def]
    for j in range(len(target)):
        target[j] -= value * first[j] * second[j]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _take_scaled(value, first, target):  # type: ignore[no-untyped-def]
    for j in range(len(target)):
        target[j] -= value * first[j]


@njit(nogil=True, cache=True, error_model="numpy")
def lengths(sums, total):  # type: ignore[no-untyped-def]
    """<P,P> without the intercept's share: (n_rows, n_cols)."""
    out = np.empty_like(sums.ab)
    for i in range(len(out)):
        _length(sums.aabb[i], sums.ab[i], total, out[i])
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def take_fixed(product, on_a, on_b, residual, with_a, with_b, length):  # type: ignore[no-untyped-def]
    """Take the share of one fixed effect q out of <a,b>, <P,a>, <P,b> and <P,P>, in place.

    Parameters
    ----------
    product
        <P,q>, shape (n_rows, n_cols).
    on_a, on_b
        <a,q> and <b,q>.
    residual, with_a, with_b, length
        Shape (n_rows, n_cols).
    """
    for i in range(len(product)):
        _take_scaled(on_a[i], on_b, residual[i])
        _take_scaled(on_a[i], product[i], with_a[i])
        _take(product[i], on_b, 1.0, with_b[i])
        _take(product[i], product[i], 1.0, length[i])


@njit(nogil=True, cache=True, error_model="numpy")
def _inverse(ab, aa, bb, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = 1.0 / (aa * bb[j] - ab[j] * ab[j])


@njit(nogil=True, cache=True, error_model="numpy")
def _on_a(pa, pb, ab, bb, inverse, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = (pa[j] * bb[j] - pb[j] * ab[j]) * inverse[j]


@njit(nogil=True, cache=True, error_model="numpy")
def _on_b(pa, pb, ab, aa, inverse, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = (pb[j] * aa - pa[j] * ab[j]) * inverse[j]


@njit(nogil=True, cache=True, error_model="numpy")
def _testable(whole, ab, aa, bb, left):  # type: ignore[no-untyped-def]
    for j in range(len(left)):
        room = aa * bb[j] - ab[j] * ab[j] > SINGULAR * aa * bb[j]
        ok = room & (left[j] > SINGULAR * whole[j]) & (whole[j] > 0)
        left[j] = left[j] if ok else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def _weights(pa, pb, whole, out):  # type: ignore[no-untyped-def]
    bb = out.square_b
    for i in range(len(pa)):
        aa, ab, inverse, left = out.square_a[i], out.residual[i], out.inverse[i], out.left[i]
        _inverse(ab, aa, bb, inverse)
        _on_a(pa[i], pb[i], ab, bb, inverse, out.on_a[i])
        _on_b(pa[i], pb[i], ab, aa, inverse, out.on_b[i])
        _take(out.on_a[i], pa[i], 1.0, left)
        _take(out.on_b[i], pb[i], 1.0, left)
        _testable(whole[i], ab, aa, bb, left)


def pair_weights(
    sums: GenotypeSums,
    length: np.ndarray,
    residual: np.ndarray,
    square_a: np.ndarray,
    square_b: np.ndarray,
) -> PairWeights:
    """Eliminate a and b from their product, pair by pair.

    Parameters
    ----------
    sums
        <P,at> and <P,bt> in ``aab`` and ``abb``, and the whole of <P,P> in ``aabb``, which testability is
        measured by.
    length, residual
        <P,P> and <at,bt> without what the fixed effects take; kept and changed.
    square_a, square_b
        <at,at> and <bt,bt>.
    """
    shape = residual.shape
    out = PairWeights(np.empty(shape), np.empty(shape), length, residual, np.empty(shape), square_a, square_b)
    _weights(sums.aab, sums.abb, sums.aabb, out)
    return out


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _cross(product, on_a, on_b, with_a, with_b, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = product[j] - on_a[j] * with_a - on_b[j] * with_b[j]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _main(with_b, ab, bb, aa, with_a, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = with_a * with_a * bb[j] + with_b[j] * (with_b[j] * aa - (with_a + with_a) * ab[j])


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _rest(square, main, inverse, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = square - main[j] * inverse[j]


@njit(nogil=True, cache=True, error_model="numpy")
def _row(weights, trait, i, cross, rest):  # type: ignore[no-untyped-def]
    """Of row i: the cross product, and what the main effects leave of the trait."""
    ga, gb = trait.with_a[i], trait.with_b
    _cross(trait.product[i], weights.on_a[i], weights.on_b[i], ga, gb, cross)
    _main(gb, weights.residual[i], weights.square_b, weights.square_a[i], ga, rest)
    _rest(trait.square, rest, weights.inverse[i], rest)


@njit(nogil=True, cache=True, error_model="numpy")
def _to_t(cross, rest, left, df, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        # Written so that an exact fit gives a large number, and NaN stays NaN.
        room = left[j] * rest[j] - cross[j] * cross[j]
        out[j] = cross[j] * np.sqrt(df / (1e-300 if room < 1e-300 else room))


@njit(nogil=True, cache=True, error_model="numpy")
def t_statistics(weights, trait, df, out):  # type: ignore[no-untyped-def]
    """t of every pair into ``out`` (n_rows, n_cols); NaN where the product cannot be tested."""
    rest = np.empty(out.shape[1])
    for i in range(len(out)):
        _row(weights, trait, i, out[i], rest)
        _to_t(out[i], rest, weights.left[i], df, out[i])


@njit(nogil=True, cache=True, error_model="numpy")
def _passes(cross, rest, left, share, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = cross[j] * cross[j] >= share * left[j] * rest[j]


@njit(nogil=True, cache=True, error_model="numpy")
def passing(weights, trait, share, out):  # type: ignore[no-untyped-def]
    """Whether the product explains at least a share of what the main effects leave of the trait.

    Parameters
    ----------
    weights, trait
        Of the tile.
    share
        Squared partial correlation, ``t^2 / (df + t^2)``.
    out
        Shape (n_rows, n_cols), bool; False where the product cannot be tested.
    """
    cross, rest = np.empty(out.shape[1]), np.empty(out.shape[1])
    for i in range(len(out)):
        _row(weights, trait, i, cross, rest)
        _passes(cross, rest, weights.left[i], share, out[i])


@njit(nogil=True, cache=True, error_model="numpy")
def _raise(cross, rest, room, best):  # type: ignore[no-untyped-def]
    for j in range(len(best)):
        value = cross[j] * cross[j] * room[j] / rest[j]
        best[j] = value if value > best[j] else best[j]


@njit(nogil=True, cache=True, error_model="numpy")
def largest_share(weights, trait, room):  # type: ignore[no-untyped-def]
    """Largest squared partial correlation of a tile.

    Parameters
    ----------
    weights, trait
        Of the tile; ``weights`` are 0 where a pair does not count.
    room
        Shape (n_rows, n_cols), 1 / ``left``; 0 where a pair does not count.
    """
    n = room.shape[1]
    cross, rest, best = np.empty(n, room.dtype), np.empty(n, room.dtype), np.zeros(n, room.dtype)
    for i in range(len(room)):
        _row(weights, trait, i, cross, rest)
        _raise(cross, rest, room[i], best)
    return best.max()


@njit(nogil=True, cache=True)
def agreed(t, threshold):  # type: ignore[no-untyped-def]
    """Of t (n_traits, n_rows, n_cols) the one nearest to zero; 0 where signs differ or it is small."""
    n_traits, n_rows, n_cols = t.shape
    out = np.zeros((n_rows, n_cols))
    for i in range(n_rows):
        for j in range(n_cols):
            nearest = t[0, i, j]
            for k in range(1, n_traits):
                value = t[k, i, j]
                if not value * nearest > 0:  # NaN is not
                    nearest = 0.0
                elif abs(value) < abs(nearest):
                    nearest = value
            if abs(nearest) >= threshold:
                out[i, j] = nearest
    return out
