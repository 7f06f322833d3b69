"""Weights of hypotheses, from structure that was seen in other pairs of chromosomes."""

from dataclasses import dataclass, replace

import numpy as np

from genoattn.closed_form.pair_columns import PairColumns
from genoattn.closed_form.pair_factors import Seeds, pair_factors
from genoattn.inference.background import SiteMap

_FOLDS = 5
_SHARE = 0.25  # of a fold's weight that goes to the support of its factors, and as much to their hubs
_LARGEST = 1000.0
_TWIN = 0.8  # r2 from which a column stands for one of a factor's
_HUB = 3  # entries of one slot from which the other counts as a hub


@dataclass(frozen=True, eq=False)
class HypothesisWeights:
    """Weights of mean one over the pairs of columns that are tested."""

    fold: np.ndarray  # (n_chromosomes, n_chromosomes): the fold of a pair of chromosomes, -1 within one
    chromosome: np.ndarray  # (n_columns,)
    # for each fold the pairs in the support of its factors, and those that share a hub with them, bool
    # (n_columns, n_columns); None where the fold has no structure
    inside: list[np.ndarray | None]
    around: list[np.ndarray | None]
    values: np.ndarray  # (n_folds, 3): the weight of a pair elsewhere, inside and around

    def at(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The weights of pairs of columns: shape of the indices."""
        fold = self.fold[self.chromosome[first], self.chromosome[second]]
        out = np.ones(len(first))
        for k, (elsewhere, inside, around) in enumerate(self.values):
            own = np.flatnonzero(fold == k)
            out[own] = elsewhere
            for mask, value in ((self.around[k], around), (self.inside[k], inside)):
                if mask is not None:
                    out[own[mask[first[own], second[own]]]] = elsewhere + value
        return out


def cross_fitted_weights(
    pairs: PairColumns, seeds: Seeds, residual: np.ndarray, where: SiteMap, max_rank: int, seed: int
) -> HypothesisWeights:
    """Weights for pairs of chromosomes from factors that never saw a product of these chromosomes.

    The pairs of chromosomes are dealt into folds. For each fold factors are grown from the products of all
    others; a quarter of the fold's weight goes to the pairs in their support, a quarter to the pairs that
    share a hub with them, so that a pair that fits a pattern seen elsewhere has a lower bar.

    The p-value of a pair, given the genotypes, depends on the noise along its product. Products of columns of
    different pairs of chromosomes are uncorrelated under linkage equilibrium between chromosomes, so that
    under the null a weight is independent of the p-value it is used for (Genovese, Roeder & Wasserman 2006;
    Ignatiadis et al. 2016). With fewer than three chromosomes there is nothing to learn from: all are one.
    """
    n = where.n_chromosomes
    blocks = [(a, b) for a in range(n) for b in range(a + 1, n)]
    fold = np.full((n, n), -1)
    n_folds = min(_FOLDS, len(blocks)) if n >= 3 else 0
    for k, index in enumerate(np.random.default_rng(seed).permutation(len(blocks))):
        if n_folds:
            a, b = blocks[index]
            fold[a, b] = fold[b, a] = k % n_folds
    inside: list[np.ndarray | None] = []
    around: list[np.ndarray | None] = []
    values = np.ones((n_folds, 3))
    # Pairs within a chromosome are in no fold, and their products share its noise.
    crossing = np.diff(where.chromosome[seeds.pair], axis=1).ravel() != 0
    seeds = replace(seeds, pair=seeds.pair[crossing], strength=seeds.strength[crossing])
    for k in range(n_folds):
        seen = pairs.seen_as((fold != k) & (fold >= 0))
        factors, _ = pair_factors(seen, seeds, residual, max_rank)
        held = fold == k
        own, hubs = _support(seen, factors, held)
        size = np.bincount(where.chromosome, minlength=n).astype(np.float64)
        total = float(size @ np.triu(held, 1) @ size)  # pairs of columns of the fold
        given = []
        for mask in (own, hubs):
            number = int(mask.sum()) // 2 if mask is not None else 0
            given.append((min(_SHARE * total / number, _LARGEST), number) if number else (0.0, 0))
        used = sum(value * number for value, number in given)
        values[k] = 1 - used / total, given[0][0], given[1][0]
        inside.append(own if given[0][1] else None)
        around.append(hubs if given[1][1] else None)
    return HypothesisWeights(fold, where.chromosome, inside, around, values)


def _support(
    pairs: PairColumns, factors: np.ndarray, held: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Pairs of a fold within the support of factors, and those with one column in a hub: symmetric, bool."""
    if not len(factors):
        return None, None
    shape = (pairs.n_columns, pairs.n_columns)
    inside, around = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for factor in factors:
        twins = [_twins(pairs, slot) for slot in factor]
        if np.count_nonzero(factor) > 2:
            inside |= np.outer(twins[0], twins[1])
        for slot in (0, 1):
            if np.count_nonzero(factor[1 - slot]) >= _HUB:
                around[twins[slot]] = True
    inside |= inside.T
    around |= around.T
    # Chromosome by chromosome: a third mask of all pairs of columns would double the memory.
    for a in range(len(held)):
        for b in range(len(held)):
            if not held[a, b]:
                block = np.ix_(pairs.segment == a, pairs.segment == b)
                inside[block] = around[block] = False
    around &= ~inside
    return inside, around


def _twins(pairs: PairColumns, slot: np.ndarray) -> np.ndarray:
    """Columns whose r2 with a column of a slot is above 0.8: shape (n_columns,), bool."""
    index = np.flatnonzero(slot)
    r2 = (pairs.columns[:, index].T @ pairs.columns / pairs.n_samples) ** 2
    out: np.ndarray = (r2 > _TWIN).any(axis=0)
    out[index] = True
    return out
