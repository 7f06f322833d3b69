"""Weights of hypotheses, from structure that was seen in other pairs of stretches of the genome."""

from __future__ import annotations

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
_MOST_SEGMENTS = 24
_SPAN = 2  # margins that a segment is long, at least
_BLOCKS = 6  # of a cohort without linkage
_UNLINKED = 0.005  # mean r2 beyond chance of parts of a chromosome
_LOOKED_AT = 30  # columns of a part


@dataclass(frozen=True, eq=False)
class Segments:
    """Stretches of the genome, and the pairs of them whose sites are far from each other.

    Chromosomes, cut into parts of two margins or more where they are few and linkage ends within a part;
    parts of one chromosome are visible to each other unless they touch. Where no sites are linked the genome
    is cut into six parts, all of them visible, to themselves too; so is a genome of one part. Environments
    are a part that does not see itself.
    """

    segment: np.ndarray  # (n_columns,), from 0
    visible: np.ndarray  # (n_segments, n_segments), symmetric, bool

    @classmethod
    def of(cls, where: SiteMap, columns: np.ndarray) -> Segments:
        """Segments of standardised columns (n_samples, n_columns)."""
        segment = np.zeros(len(where.chromosome), dtype=np.int64)
        genome = np.arange(len(segment)) if where.outside is None else np.flatnonzero(~where.outside)
        if where.margin == 1:
            number = min(_BLOCKS, len(genome))
            order = genome[np.lexsort((where.position[genome], where.chromosome[genome]))]
            segment[order] = np.arange(len(genome)) * number // len(genome)
            return cls._with_outside(segment, np.ones((number, number), dtype=bool), where.outside)
        chromosomes = np.unique(where.chromosome[genome])
        each = max(_MOST_SEGMENTS // len(chromosomes), 1)
        owner: list[int] = []
        for c in chromosomes.tolist():
            own = np.flatnonzero(where.chromosome == c)
            number, part = _cut(where, columns, own, each)
            segment[own] = len(owner) + part
            owner += [c] * number
        owner_of, place = np.array(owner), np.arange(len(owner))
        visible = (owner_of[:, None] != owner_of) | (np.abs(place[:, None] - place) >= 2)
        visible |= len(owner) == 1
        return cls._with_outside(segment, visible, where.outside)

    @classmethod
    def _with_outside(cls, segment: np.ndarray, visible: np.ndarray, outside: np.ndarray | None) -> Segments:
        """The segments of a genome and one more, of environments, that sees all of them but not itself."""
        if outside is None:
            return cls(segment, visible)
        segment[outside] = len(visible)
        more = np.pad(visible, (0, 1), constant_values=True)
        more[-1, -1] = False
        return cls(segment, more)


def _cut(where: SiteMap, columns: np.ndarray, own: np.ndarray, most: int) -> tuple[int, np.ndarray]:
    """Parts of a chromosome with columns ``own``: how many, ``most`` at most, and that of each column."""
    position = where.position[own].astype(np.float64)
    span = float(np.ptp(position)) + 1
    number = int(np.clip(span // (_SPAN * where.margin), 1, most))
    while number >= 3:
        part = ((position - position.min()) * number // span).astype(np.int64)
        if _are_unlinked(columns, own, part):
            return number, part
        number //= 2
    return 1, np.zeros(len(own), dtype=np.int64)


def _are_unlinked(columns: np.ndarray, own: np.ndarray, part: np.ndarray) -> bool:
    """Whether the parts of a chromosome that do not touch are as good as unlinked, by some of their pairs."""
    n = len(columns)
    for k in range(int(part.max()) - 1):
        first, second = own[part == k], own[part == k + 2]
        if len(first) and len(second):
            first, second = first[:: len(first) // _LOOKED_AT + 1], second[:: len(second) // _LOOKED_AT + 1]
            r2 = (columns[:, first].T @ columns[:, second] / n) ** 2
            if r2.mean() - 1 / (n - 1) > _UNLINKED:
                return False
    return True


@dataclass(frozen=True, eq=False)
class HypothesisWeights:
    """Weights of mean one over the pairs of columns that are tested."""

    fold: np.ndarray  # (n_segments, n_segments): the fold of a pair of segments, -1 if they are hidden
    segment: np.ndarray  # (n_columns,)
    # for each fold the pairs in the support of its factors, and those that share a hub with them, bool
    # (n_columns, n_columns); None where the fold has no structure
    inside: list[np.ndarray | None]
    around: list[np.ndarray | None]
    values: np.ndarray  # (n_folds, 3): the weight of a pair elsewhere, inside and around
    # for each fold (n_samples, n_factors): products of its factors, over pairs of other folds alone
    products: list[np.ndarray]

    def folds(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The fold of pairs of columns, -1 for pairs of none: shape of the indices."""
        out: np.ndarray = self.fold[self.segment[first], self.segment[second]]
        return out

    def at(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The weights of pairs of columns: shape of the indices."""
        fold = self.folds(first, second)
        out = np.ones(len(first))
        for k, (elsewhere, inside, around) in enumerate(self.values):
            own = np.flatnonzero(fold == k)
            out[own] = elsewhere
            for mask, value in ((self.around[k], around), (self.inside[k], inside)):
                if mask is not None:
                    out[own[mask[first[own], second[own]]]] = elsewhere + value
        return out


def cross_fitted_weights(
    pairs: PairColumns, seeds: Seeds, residual: np.ndarray, max_rank: int, seed: int
) -> HypothesisWeights:
    """Weights for pairs of segments from factors that never saw a product of these segments.

    The visible pairs of segments are dealt into five folds. For each fold factors are grown from the products
    of all others; a quarter of the fold's weight goes to the pairs in their support, a quarter to the pairs
    that share a hub with them, so that a pair that fits a pattern seen elsewhere has a lower bar. What the
    factors explain, a test of a pair of the fold may adjust for: the pair is no part of it.

    The p-value of a pair, given the genotypes, depends on the noise along its product. Products of columns of
    different pairs of segments are uncorrelated under linkage equilibrium between segments, so that under the
    null a weight is independent of the p-value it is used for (Genovese, Roeder & Wasserman 2006; Ignatiadis
    et al. 2016). With fewer than three visible pairs of segments all weights are one.
    """
    n = len(pairs.visible)
    blocks = np.argwhere(np.triu(pairs.visible))
    fold = np.full((n, n), -1)
    n_folds = min(_FOLDS, len(blocks)) if len(blocks) >= 3 else 0
    for k, index in enumerate(np.random.default_rng(seed).permutation(len(blocks))):
        if n_folds:
            a, b = blocks[index]
            fold[a, b] = fold[b, a] = k % n_folds
    inside: list[np.ndarray | None] = []
    around: list[np.ndarray | None] = []
    products: list[np.ndarray] = []
    values = np.ones((n_folds, 3))
    # Pairs in no fold share noise with those of their segments.
    known = fold[pairs.segment[seeds.pair[:, 0]], pairs.segment[seeds.pair[:, 1]]] >= 0
    seeds = replace(seeds, pair=seeds.pair[known], strength=seeds.strength[known])
    size = np.bincount(pairs.segment, minlength=n).astype(np.float64)
    for k in range(n_folds):
        seen = pairs.seen_as((fold != k) & (fold >= 0))
        factors, _ = pair_factors(seen, seeds, residual, max_rank)
        products.append(np.stack([seen.product(f) for f in factors], axis=1) if len(factors) else _none(seen))
        held = fold == k
        own, hubs = _support(seen, factors, held)
        # Pairs of columns of the fold.
        total = float(size @ np.triu(held, 1) @ size) + float((size * (size - 1) / 2)[np.diag(held)].sum())
        given = []
        for mask in (own, hubs):
            number = int(mask.sum()) // 2 if mask is not None else 0
            given.append((min(_SHARE * total / number, _LARGEST), number) if number else (0.0, 0))
        used = sum(value * number for value, number in given)
        values[k] = 1 - used / total, given[0][0], given[1][0]
        inside.append(own if given[0][1] else None)
        around.append(hubs if given[1][1] else None)
    return HypothesisWeights(fold, pairs.segment, inside, around, values, products)


def _none(pairs: PairColumns) -> np.ndarray:
    return np.zeros((pairs.n_samples, 0))


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
    # Segment by segment: a third mask of all pairs of columns would double the memory.
    for a in range(len(held)):
        for b in range(len(held)):
            if not held[a, b]:
                block = np.ix_(pairs.segment == a, pairs.segment == b)
                inside[block] = around[block] = False
    np.fill_diagonal(inside, False)
    np.fill_diagonal(around, False)
    around &= ~inside
    return inside, around


def _twins(pairs: PairColumns, slot: np.ndarray) -> np.ndarray:
    """Columns whose r2 with a column of a slot is above 0.8: shape (n_columns,), bool."""
    index = np.flatnonzero(slot)
    r2 = (pairs.columns[:, index].T @ pairs.columns / pairs.n_samples) ** 2
    out: np.ndarray = (r2 > _TWIN).any(axis=0)
    out[index] = True
    return out
