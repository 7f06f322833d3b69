"""Genome-wide thresholds: the largest |t|, or |z|, of a scan of traits made under the null hypothesis.

Quantitative traits: the residual of the trait after regression on the fixed effects is permuted among the
samples (Freedman and Lane 1983), and residualised again; it is taken to be exchangeable, that is, of one
variance. Binary traits:
without covariates the case labels are permuted; with covariates case status is drawn anew from the
probabilities of the logistic regression on the covariates, because residuals whose variance depends on the
covariates are not exchangeable (Epstein et al. 2012 draw the same, with the number of cases held). Each
draw is scored at the weights of that regression, after one step of its refit. Either way the pairs are
tested as in the scan, but with missing calls at the mean; the genotypes' part of the regressions is computed
once, and a permutation costs one product a pair in single precision, good to four digits of t.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from threadpoolctl import threadpool_limits

from genoattn.errors import InputError
from genoattn.scan.design import Design
from genoattn.scan.products import as_columns, pair_weights
from genoattn.scan.scope import Scope

_TILE = 512


def permuted_maxima(
    design: Design,
    scope: Scope,
    n_permutations: int,
    rng: np.random.Generator,
    threads: int = 1,
    advance: Callable[[int], object] = lambda n: None,
) -> np.ndarray:
    """Largest |t| (binary traits: |z| of the score test) over the pairs of a scope in each permutation.

    Parameters
    ----------
    design
        Columns, trait and fixed effects; missing calls count as the mean.
    scope
        The pairs, of columns that vary.
    n_permutations
        How many; 1,000 give a 5 % threshold whose true level is 5 % +- 0.7 %. Memory is four bytes a
        permutation and sample, and a few blocks of columns.
    rng
        Draws the permutations.
    threads
        Tiles at a time.
    advance
        Called with the number of pairs just done.

    Returns
    -------
    Shape (n_permutations,); 0 where no pair can be tested.

    Raises
    ------
    InputError
        Where there is nothing to permute.
    """
    if not n_permutations >= 1:
        raise InputError(f"permutations is {n_permutations}; it must be 1 or more")
    traits, squares = null_traits(design, n_permutations, rng)
    best = np.zeros(n_permutations)
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        tiles = pool.map(lambda tile: _tile_maxima(design, scope, traits, squares, *tile), scope.tiles(_TILE))
        for maxima, n_pairs in tiles:
            best = np.maximum(best, maxima)
            advance(n_pairs)
    if design.binary:
        return np.sqrt(best)
    # t grows with the share of squares, so that the largest share gives the largest t.
    df = design.n_samples - design.n_fixed - 3
    return np.sqrt(max(df, 0) * best / np.maximum(1 - best, 1e-12))


def null_traits(design: Design, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Traits under the null hypothesis, as operands of products.

    Returns
    -------
    Shape (n, n_samples), float32: residual traits times the weights of the inner product, scaled so that
    squared scores are shares of the squared norm (quantitative) or z2 (binary); and (n,), that norm.
    """
    traits = np.empty((n, design.n_samples), dtype=np.float32)
    squares = np.ones(n, dtype=np.float32)
    for k in range(n):
        if not design.binary:
            trait = design.residual(rng.permutation(design.trait)[None])[0]
            traits[k] = trait / np.sqrt(trait @ trait)
            continue
        working = _null_status(design, rng)
        traits[k] = design.residual(working[None])[0] * design.weight
    return traits, squares


def _null_status(design: Design, rng: np.random.Generator) -> np.ndarray:
    """Working residual (n_samples,) of case status under the null hypothesis."""
    if design.n_fixed == 1:
        return rng.permutation(design.trait)
    # Of the working residual (y - mu) / (mu (1 - mu)): 1 / mu of a case, -1 / (1 - mu) of a control.
    case = design.trait > 0
    mu = np.where(case, 1 / design.trait, 1 + 1 / design.trait)
    return np.where(rng.random(len(mu)) < mu, 1 / mu, -1 / (1 - mu))


def _tile_maxima(
    design: Design, scope: Scope, traits: np.ndarray, squares: np.ndarray, i: slice, j: slice
) -> tuple[np.ndarray, int]:
    """Largest squared statistic of a tile in each permutation, and its number of pairs."""
    rows, cols = scope.rows[i], scope.cols[j]
    keep = scope.allowed(rows, cols)
    n_pairs, out = int(keep.sum()), np.zeros(len(traits))
    if design.n_samples - design.n_fixed - 3 <= 0 or not n_pairs:
        return out, n_pairs
    left, right = (
        as_columns(design.values(chosen), design.basis, design.weight, design.columns.varies[chosen])
        for chosen in (rows, cols)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = pair_weights(left, right, design.basis, design.weight)
        partial = weights.regress(0.0, 0.0, 0.0, 1.0)
        keep &= weights.testable(partial)
        if scope.max_r2 is not None:
            keep &= weights.r2 <= scope.max_r2 * (1 + 1e-12)
        # In single precision; a pair that does not count has a room of 0.
        room = np.where(keep, 1 / partial.residual, 0).astype(np.float32)
        inverse = np.where(keep, 1 / (partial.share * weights.aa * weights.bb), 0).astype(np.float32)
    of = [np.where(keep, x, 0).astype(np.float32) for x in (partial.on_a, partial.on_b, weights.ab)]
    if design.binary:  # the variance is known: main effects take nothing of it
        inverse[:] = 0
    # The elimination, where squares cancel, was in float64; of each trait only products are needed: float32.
    aa, bb = (np.nan_to_num(x).astype(np.float32) for x in (left.residual_square, right.residual_square))
    a, b = left.values.astype(np.float32), right.values.astype(np.float32)
    with_a, with_b, operand = traits @ a.T, traits @ b.T, np.empty_like(a)
    for k, trait in enumerate(traits):
        np.multiply(a, trait, out=operand)
        out[k] = _largest_share(operand @ b.T, *of, room, inverse, aa, bb, with_a[k], with_b[k], squares[k])
    return out, n_pairs


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _largest_share(product, on_a, on_b, ab, room, inverse, aa, bb, with_a, with_b, square):  # type: ignore[no-untyped-def]
    """Largest ``cross^2 / (left rest)`` of a tile for one trait; see :mod:`genoattn.scan.elimination`."""
    best = np.float32(0.0)
    for i in range(len(product)):
        ya, a2 = with_a[i], aa[i]
        for j in range(product.shape[1]):
            yb = with_b[j]
            cross = product[i, j] - on_a[i, j] * ya - on_b[i, j] * yb
            main = ya * ya * bb[j] + yb * (yb * a2 - (ya + ya) * ab[i, j])
            share = cross * cross * room[i, j] / (square - main * inverse[i, j])
            best = share if share > best else best
    return best
