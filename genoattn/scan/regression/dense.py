"""Every pair of a tile tested in float64, for one trait or many, where most pairs are wanted.

Products of genotypes are counted from bits where that is possible, so that each trait and each covariate
costs one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.regression.elimination import (
    PairWeights,
    TraitProducts,
    lengths,
    pair_weights,
    passing,
    take_fixed,
)
from genoattn.scan.regression.exact import PairTests, pair_tests
from genoattn.scan.regression.genotype_sums import (
    CodedBlock,
    centred_columns,
    code_block,
    countable,
    counted_sums,
    genotype_sums,
    multiplied_sums,
)
from genoattn.scan.regression.tails import t_critical

_ROWS = 256  # of a tile at a time, whose arrays stay in the cache
_OPERAND_BYTES = 96e6  # of the columns of a tile at a time


@dataclass(frozen=True, eq=False)
class Block:
    """Columns of one side of a tile.

    Parameters
    ----------
    values
        Shape (n_block, n_samples), centred columns, missing calls 0.
    square
        Shape (n_block,), squared length of what the fixed effects leave; NaN where that is nothing.
    on_fixed
        Shape (n_fixed - 1, n_block), inner products with the fixed effects beyond the intercept.
    coded
        The columns as bits, where their products can be counted.
    """

    values: np.ndarray
    square: np.ndarray
    on_fixed: np.ndarray
    coded: CodedBlock | None = None

    def __len__(self) -> int:
        return len(self.values)

    def part(self, chosen: slice) -> Block:
        """Some of its columns."""
        coded = None if self.coded is None else self.coded.part(chosen)
        on_fixed = np.ascontiguousarray(self.on_fixed[:, chosen])
        return Block(self.values[chosen], self.square[chosen], on_fixed, coded)


class Traits(NamedTuple):
    """Several traits of the same samples.

    Parameters
    ----------
    residual
        Shape (n_traits, n_samples), what the fixed effects leave of them.
    square
        Shape (n_traits,), its squared length.
    total
        Shape (n_traits,), sum of squares about the mean of the traits as measured.
    """

    residual: np.ndarray
    square: np.ndarray
    total: np.ndarray


class Found(NamedTuple):
    """Pairs of a tile that pass for one trait: rows and columns within the tile, and their tests."""

    i: np.ndarray
    j: np.ndarray
    tests: PairTests


def make_traits(design: Design, values: np.ndarray) -> Traits:
    """Traits of shape (n_traits, n_samples), as measured, for :func:`multi_trait_tile`."""
    residual = design.residual(values)
    total = ((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return Traits(residual, (residual**2).sum(axis=1), total)


def multi_trait_tile(
    design: Design, traits: Traits, rows: np.ndarray, cols: np.ndarray, keep: np.ndarray, threshold: float
) -> tuple[list[Found], int]:
    """Pairs of a tile that pass a threshold for each trait, exactly; genotype products are shared.

    Parameters
    ----------
    design
        Columns and fixed effects, weight 1; missing calls count as the mean.
    traits
        From :func:`make_traits`.
    rows, cols
        Indices of the columns of the two blocks.
    keep
        Shape (n_rows, n_cols), which pairs to test.
    threshold
        Largest p-value returned; 1 for every pair that can be tested.

    Returns
    -------
    What passes for each trait, and how many of the pairs cannot be tested, whatever the trait.
    """
    df = design.n_samples - design.n_fixed - 3
    found: list[list[Found]] = [[_none()] for _ in traits.square]
    if df <= 0:
        return [parts[0] for parts in found], int(keep.sum())
    share, n_untestable = _share(threshold, df), 0
    for i, j, left, right in strips(design, rows, cols, keep):
        wanted = keep[i, j]
        weights, raw = genotype_part(left, right, design.basis)
        n_untestable += int((np.isnan(weights.left) & wanted).sum())
        norm = (design.columns.norm[rows[i]], design.columns.norm[cols[j]])
        for parts, trait, total in zip(
            found, trait_products(left, right, traits.residual, traits.square), traits.total, strict=True
        ):
            passed = np.empty(wanted.shape, dtype=np.bool_)
            passing(weights, trait, share, passed)
            a, b = np.nonzero(passed & wanted)
            if len(a):
                r2 = (raw[a, b] / norm[0][a] / norm[1][b]) ** 2
                tests = _tests(design, weights, trait, a, b, r2, total)
                kept = np.flatnonzero(tests.p_value <= threshold)
                parts.append(Found(a[kept] + i.start, b[kept] + j.start, tests.select(kept)))
    return [_join(parts) for parts in found], n_untestable


def genotype_part(
    left: Block, right: Block, basis: np.ndarray, weight: np.ndarray | None = None
) -> tuple[PairWeights, np.ndarray]:
    """What the genotypes contribute to the regressions of all pairs of two blocks, and <a,b>.

    Parameters
    ----------
    left, right
        The blocks.
    basis
        Shape (n_fixed, n_samples), orthonormal fixed effects, the intercept first.
    weight
        Shape (n_samples,), of the inner product; None for 1.
    """
    if left.coded is not None and right.coded is not None and weight is None:
        sums = counted_sums(left.coded, right.coded)
    else:
        sums = multiplied_sums(left.values, right.values, weight)
    length = lengths(sums, float(basis.shape[1] if weight is None else weight.sum()))
    residual = sums.ab if len(basis) == 1 else sums.ab.copy()
    for fixed, on_a, on_b in zip(basis[1:], left.on_fixed, right.on_fixed, strict=True):
        product = (left.values * (fixed if weight is None else fixed * weight)) @ right.values.T
        take_fixed(product, on_a, on_b, residual, sums.aab, sums.abb, length)
    return pair_weights(sums, length, residual, left.square, right.square), sums.ab


def trait_products(
    left: Block, right: Block, traits: np.ndarray, squares: np.ndarray
) -> Iterator[TraitProducts]:
    """Products of all pairs of two blocks with traits (n_traits, n_samples), one trait at a time.

    The traits are orthogonal to the fixed effects, and hold the weight of the inner product.
    """
    with_a, with_b = traits @ left.values.T, traits @ right.values.T
    operand = np.empty_like(left.values)
    for k, trait in enumerate(traits):
        np.multiply(left.values, trait, out=operand)
        yield TraitProducts(operand @ right.values.T, with_a[k], with_b[k], squares[k])


def strips(
    design: Design, rows: np.ndarray, cols: np.ndarray, keep: np.ndarray
) -> Iterator[tuple[slice, slice, Block, Block]]:
    """Parts of a tile that hold pairs to keep: rows and columns within the tile, and their blocks."""
    if not keep.any():
        return
    most = int(max(64, _OPERAND_BYTES / (8 * design.n_samples)))
    width = -(-len(cols) // -(-len(cols) // most))  # parts of one size
    height = min(_ROWS, width)
    for start in range(0, len(cols), width):
        stop = min(start + width, len(cols))
        right = None
        for first in range(0, len(rows), height):
            i = slice(first, min(first + height, len(rows)))
            wanted = np.flatnonzero(keep[i, start:stop].any(axis=0))
            if not len(wanted):
                continue
            if right is None:
                right = design_block(design, cols[start:stop])
            # The columns that a row of a triangle lacks lie to one side.
            part = slice(int(wanted[0]), int(wanted[-1]) + 1)
            whole = part.stop - part.start == len(right)
            j = slice(start + part.start, start + part.stop)
            yield i, j, design_block(design, rows[i]), right if whole else right.part(part)


def design_block(design: Design, chosen: np.ndarray) -> Block:
    """The columns of a design as a block."""
    coded = code_block(design, chosen) if countable(design, chosen) else None
    columns = design.columns
    square = np.where(columns.varies[chosen], columns.residual_norm[chosen] ** 2, np.nan)
    on_fixed = np.ascontiguousarray(columns.on_fixed[chosen, 1:].T)
    return Block(centred_columns(design, chosen), square, on_fixed, coded)


def column_r2(design: Design, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Squared correlation of columns over all samples, missing calls at the mean: (n_rows, n_cols)."""
    columns = design.columns
    product = genotype_sums(design, rows, cols).ab
    return (product / columns.norm[rows][:, None] / columns.norm[cols]) ** 2


def _share(threshold: float, df: int) -> float:
    """Smallest squared partial correlation that may have at most this p-value."""
    t2 = t_critical(threshold, df) ** 2
    return float(t2 / (df + t2)) * (1 - 1e-9)


def _tests(
    design: Design,
    weights: PairWeights,
    trait: TraitProducts,
    a: np.ndarray,
    b: np.ndarray,
    r2: np.ndarray,
    total: float,
) -> PairTests:
    """Tests of the pairs (a, b) of a strip."""
    left, inverse = weights.left[a, b], weights.inverse[a, b]
    ga, gb = trait.with_a[a], trait.with_b[b]
    cross = trait.product[a, b] - weights.on_a[a, b] * ga - weights.on_b[a, b] * gb
    main = ga**2 * weights.square_b[b] + gb * (gb * weights.square_a[a] - 2 * ga * weights.residual[a, b])
    rss = trait.square - main * inverse - cross**2 / left
    n = np.full(len(a), design.n_samples)
    testable = np.ones(len(a), dtype=bool)
    return pair_tests(left, cross, rss, testable, n, design.n_fixed, r2, np.full(len(a), total))


def _none() -> Found:
    return Found(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp), PairTests.none())


def _join(parts: list[Found]) -> Found:
    tests = PairTests.join([p.tests for p in parts])
    return Found(np.concatenate([p.i for p in parts]), np.concatenate([p.j for p in parts]), tests)
