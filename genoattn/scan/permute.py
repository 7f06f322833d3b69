"""Genome-wide thresholds: the largest |t|, or |z|, of a scan of traits made under the null hypothesis.

Quantitative traits: what the fixed effects leave of the trait is permuted among the samples (Freedman and
Lane 1983), and residualised again; it is taken to be exchangeable, that is, of one variance. Binary traits:
without covariates the case labels are permuted; with covariates case status is drawn anew from the
probabilities of the logistic regression on the covariates, because residuals whose variance depends on the
covariates are not exchangeable (Epstein et al. 2012 draw the same, with the number of cases held). Each
draw is scored at the weights of that regression, after one step of its refit. Either way the pairs are
tested as in the scan, but with missing calls at the mean; what the genotypes contribute is worked out once,
and a permutation costs one product a pair in single precision, good to four digits of t.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from genoattn.errors import InputError
from genoattn.scan.design import Design
from genoattn.scan.regression.dense import Block, column_r2, genotype_part, strips, trait_products
from genoattn.scan.regression.elimination import PairWeights, largest_share
from genoattn.scan.scope import Scope
from genoattn.scan.screening.products import Float32, one_thread_each

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
        permutation and sample, beside a few blocks of columns.
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
    with one_thread_each(Float32()), ThreadPoolExecutor(threads) as pool:
        tiles = pool.map(lambda tile: _tile_maxima(design, scope, traits, squares, *tile), scope.tiles(_TILE))
        for maxima, n_pairs in tiles:
            best = np.maximum(best, maxima)
            advance(n_pairs)
    if design.binary:
        return np.sqrt(best)
    df = design.n_samples - design.n_fixed - 3
    return np.sqrt(max(df, 0) * best / np.maximum(1 - best, 1e-12))


def null_traits(design: Design, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Traits under the null hypothesis, as operands of products.

    Returns
    -------
    Shape (n, n_samples), float32: residual traits times the weights of the inner product, scaled so that
    squared scores are shares of the squared length (quantitative) or z2 (binary); and (n,), that length.
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
    n_pairs = int(keep.sum())
    if scope.max_r2 is not None:
        keep &= column_r2(design, rows, cols) <= scope.max_r2 * (1 + 1e-12)
    out = np.zeros(len(traits))
    if design.n_samples - design.n_fixed - 3 <= 0:
        return out, n_pairs
    weight = design.weight if design.binary else None
    for a, b, left, right in strips(design, rows, cols, keep):
        weights, _ = genotype_part(left, right, design.basis, weight)
        single, room = _single(weights, keep[a, b], design.binary)
        left, right = _rounded(left), _rounded(right)
        for k, trait in enumerate(trait_products(left, right, traits, squares)):
            out[k] = max(out[k], largest_share(single, trait, room))
    return out, n_pairs


def _single(weights: PairWeights, keep: np.ndarray, binary: bool) -> tuple[PairWeights, np.ndarray]:
    """Weights in single precision, and 1 / ``left``; 0 for pairs that do not count.

    Where the variance of the trait is known, main effects take nothing of it: ``inverse`` is 0.
    """
    keep = keep & np.isfinite(weights.left)

    def counted(x: np.ndarray) -> np.ndarray:
        return np.where(keep, x, 0).astype(np.float32)

    square_a, square_b = (np.nan_to_num(x).astype(np.float32) for x in (weights.square_a, weights.square_b))
    room = counted(1 / np.where(keep, weights.left, 1.0))
    inverse = np.zeros_like(room) if binary else counted(weights.inverse)
    arrays = (counted(weights.on_a), counted(weights.on_b), room, counted(weights.residual), inverse)
    return PairWeights(*arrays, square_a, square_b), room


def _rounded(block: Block) -> Block:
    return Block(block.values.astype(np.float32), block.square, block.on_fixed)
