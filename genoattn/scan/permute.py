"""Genome-wide thresholds: the largest |t| of a scan when the trait is permuted.

What the fixed effects leave of the trait is permuted among the samples (Freedman and Lane 1983), which keeps
the covariates' effects, and every pair is tested again; the inner products of genotypes are shared by all
permutations, so that each costs one product a pair.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from genoattn.errors import InputError
from genoattn.scan.dense import column_r2, tile_products
from genoattn.scan.design import Design
from genoattn.scan.exact import SINGULAR
from genoattn.scan.products import Float32, one_thread_each
from genoattn.scan.scope import Scope

_TILE = 256  # pairs of a tile stay in the cache while the permutations pass


def permuted_maxima(
    design: Design,
    scope: Scope,
    n_permutations: int,
    rng: np.random.Generator,
    threads: int = 1,
    advance: Callable[[int], object] = lambda n: None,
) -> np.ndarray:
    """Largest |t| over the pairs of a scope in each permutation.

    Parameters
    ----------
    design
        Columns, trait and fixed effects; missing calls count as the mean.
    scope
        The pairs, of columns that vary.
    n_permutations
        How many; 1,000 give a 5 % threshold to about 0.3 %.
    rng
        Draws the permutations.
    threads
        Tiles at a time.
    advance
        Called with the number of pairs just done.

    Returns
    -------
    Shape (n_permutations,).

    Raises
    ------
    InputError
        For a binary trait.
    """
    if design.binary:
        raise InputError("permutation thresholds are for quantitative traits; leave the permutations out")
    if not n_permutations >= 1:
        raise InputError(f"permutations is {n_permutations}; it must be 1 or more")
    order = rng.permuted(np.tile(np.arange(design.n_samples), (n_permutations, 1)), axis=1)
    traits = design.residual(design.trait[order])  # (permutation, sample)
    tiles = list(scope.tiles(_TILE))
    best = np.zeros(n_permutations)
    with one_thread_each(Float32()), ThreadPoolExecutor(threads) as pool:
        for maxima, n_pairs in pool.map(lambda tile: _tile_maxima(design, scope, traits, *tile), tiles):
            best = np.maximum(best, maxima)
            advance(n_pairs)
    return best


def _tile_maxima(
    design: Design, scope: Scope, traits: np.ndarray, i: slice, j: slice
) -> tuple[np.ndarray, int]:
    """Largest |t| of a tile in each permutation, and its number of pairs."""
    rows, cols = scope.rows[i], scope.cols[j]
    keep = scope.allowed(rows, cols)
    n_pairs = int(keep.sum())
    if scope.max_r2 is not None:
        keep &= column_r2(design, rows, cols) <= scope.max_r2
    (aa, bb, ab, pa, pb), _, length, whole, _ = tile_products(design, rows, cols)
    determinant = aa * bb - ab**2
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / determinant
        wa, wb = (pa * bb - pb * ab) * inverse, (pb * aa - pa * ab) * inverse
        left = length - wa * pa - wb * pb
    keep &= (determinant > SINGULAR * aa * bb) & (left > SINGULAR * whole) & (whole > 0)
    out = np.zeros(len(traits))
    if not keep.any():
        return out, n_pairs
    single = [np.where(keep, x, 0).astype(np.float32) for x in (wa, wb, 1 / np.where(keep, left, 1.0))]
    a, b = design.values(rows), design.values(cols)
    at, bt = design.residual(a), design.residual(b)
    to_a, to_b = at @ traits.T, bt @ traits.T  # (row, permutation), (column, permutation)
    a, b = a.astype(np.float32), b.astype(np.float32)
    df = design.n_samples - design.n_fixed - 3
    aa, bb, ab, inverse = (np.where(keep, x, 0).astype(np.float32) for x in (aa, bb, ab, inverse))
    for k, trait in enumerate(traits.astype(np.float32)):
        ay, by = to_a[:, k, None].astype(np.float32), to_b[:, k].astype(np.float32)
        cross = (a * trait) @ b.T - single[0] * ay - single[1] * by
        gain = cross**2 * single[2]
        yy = np.float32(traits[k] @ traits[k])
        rest = yy - (ay**2 * bb - 2 * ay * by * ab + by**2 * aa) * inverse
        share = np.where(keep, gain / rest, 0).max()
        out[k] = np.sqrt(df * share / max(1 - share, 1e-12))
    return out, n_pairs
