"""Combinations of mutations under a model, and the best: by enumeration, branch and bound, or a beam."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from genoattn.interactions.expansion import Expansion
from genoattn.interactions.extract import readout_factors
from genoattn.model.prediction import predict_orders
from genoattn.model.readout import Readout
from genoattn.tokens import Vocabulary
from genoattn.tokens.vocabulary import count_choices

_BLOCK = 65_536
# Nodes after which branch and bound gives up: some ten seconds.
_MOST_NODES = 200_000
# Most mutations for which a matrix of all pairs is held: 128 MiB.
_MOST_TOKENS = 4_000


@dataclass(frozen=True, eq=False)
class Landscape:
    """Every sequence of a model's states, seen from one of them.

    A combination is a row of ``sets`` (n_sets, n_mutations): indices into ``tokens`` at distinct sites.
    """

    readout: Readout
    vocabulary: Vocabulary
    base: np.ndarray  # (n_sites,), int8: the state of the starting sequence at each site
    sign: float = 1.0  # -1 to look for small values

    @cached_property
    def tokens(self) -> np.ndarray:
        """Shape (n_tokens,), columns of the single mutations: states seen in training, other than the base's.

        Ascending, so that the tokens of a site are neighbours.
        """
        v = self.vocabulary
        return np.flatnonzero((v.variance > 0) & (v.state != self.base[v.site]))

    @cached_property
    def sites(self) -> np.ndarray:
        """Shape (n_tokens,), the site of each token, ascending."""
        return self.vocabulary.site[self.tokens]

    def count(self, most: int) -> list[int]:
        """Number of combinations of exactly 0, 1, .. ``most`` mutations, in Python's integers."""
        return count_choices(np.unique(self.sites, return_counts=True)[1], most)

    def calls(self, sets: np.ndarray) -> np.ndarray:
        """Sequences of combinations: shape (n_sets, n_sites), int8."""
        out = np.tile(self.base, (len(sets), 1))
        rows = np.arange(len(sets))[:, None]
        out[rows, self.sites[sets]] = self.vocabulary.state[self.tokens][sets]
        return out

    def latent(self, sets: np.ndarray) -> np.ndarray:
        """Latent phenotype of combinations with covariates at 0, shape (n_sets,)."""
        covariates = np.zeros((len(sets), len(self.readout.covariate)))
        return predict_orders(self.readout, self.calls(sets), covariates).sum(axis=1)

    def score(self, sets: np.ndarray) -> np.ndarray:
        """Objective of the search: the latent phenotype, or its negative; shape (n_sets,)."""
        return self.sign * self.latent(sets)

    @cached_property
    def expansion(self) -> Expansion:
        """The model in the reference gauge of the base sequence: a coefficient for each set of mutations."""
        vocabulary = replace(self.vocabulary, reference=self.base.astype(np.int64))
        return Expansion(readout_factors(self.readout, vocabulary), "reference")

    def parts(self, sets: np.ndarray, order: int) -> np.ndarray:
        """Contributions of single mutations, pairs, .. of a combination to the latent phenotype of the base.

        Shape (n_sets, order); its rows sum to the latent phenotype less that of the base.
        """
        out = np.zeros((len(sets), order))
        for k in range(1, min(order, sets.shape[1]) + 1):
            for chosen in combinations(range(sets.shape[1]), k):
                terms = np.sort(self.tokens[sets[:, list(chosen)]], axis=1)
                out[:, k - 1] += self.expansion.coefficients(terms)
        return out


@dataclass(frozen=True, eq=False)
class FoundCombinations:
    """Combinations that a search has kept, the best first."""

    sets: list[tuple[int, ...]]  # of each the indices of its tokens, ascending
    method: str
    exact: bool  # no better combination exists


class Best:
    """The best distinct combinations so far."""

    def __init__(self, top: int) -> None:
        self.top = top
        self._score: dict[tuple[int, ...], float] = {}
        self.threshold = -np.inf

    def add(self, sets: np.ndarray, score: np.ndarray) -> None:
        """Offer combinations, (n_sets, n_mutations) and (n_sets,)."""
        worth = np.flatnonzero(score > self.threshold)
        if len(worth) > self.top:
            worth = worth[np.argpartition(-score[worth], self.top - 1)[: self.top]]
        if not len(worth):
            return
        for row in worth:
            self._score[tuple(sorted(sets[row].tolist()))] = float(score[row])
        if len(self._score) >= self.top:
            ranked = sorted(self._score.items(), key=lambda item: -item[1])[: self.top]
            self._score = dict(ranked)
            self.threshold = ranked[-1][1]

    def sets(self) -> list[tuple[int, ...]]:
        """The combinations, the best first; ties in the order of their tokens."""
        return sorted(self._score, key=lambda one: (-self._score[one], one))


def search(landscape: Landscape, most: int, top: int, limit: int, width: int) -> FoundCombinations:
    """The best combinations of 1 to ``most`` mutations.

    All are enumerated where they are at most ``limit``. Beyond, a model of order 1 or 2 is searched by branch
    and bound, which is exact unless it takes too long; anything else by a beam, of which ``width``
    combinations of each size are carried on.
    """
    if sum(landscape.count(most)) - 1 <= limit:
        best = Best(top)
        for sets in enumerate_sets(landscape, most):
            best.add(sets, landscape.score(sets))
        return FoundCombinations(best.sets(), "enumeration", True)
    best = beam(landscape, most, top, width)
    order = max(landscape.readout.orders, default=1)
    if order <= 2 and len(landscape.tokens) <= _MOST_TOKENS and branch_and_bound(landscape, most, best):
        return FoundCombinations(best.sets(), "branch and bound", True)
    return FoundCombinations(best.sets(), f"beam of {width}", False)


def enumerate_sets(landscape: Landscape, most: int) -> Iterator[np.ndarray]:
    """Every combination of 1 to ``most`` tokens at distinct sites, in blocks (n_sets, n_mutations)."""
    sites = landscape.sites
    after = np.searchsorted(sites, sites, side="right")  # the first token of a later site
    level = np.arange(len(sites), dtype=np.int32)[:, None]
    for size in range(1, most + 1):
        yield from (level[start : start + _BLOCK] for start in range(0, len(level), _BLOCK))
        if size < most:  # each combination with each token of a later site than its last
            start = after[level[:, -1]]
            number = len(sites) - start
            rows = np.repeat(np.arange(len(level)), number)
            offset = np.arange(len(rows)) - np.repeat(np.cumsum(number) - number, number)
            level = np.column_stack([level[rows], (start[rows] + offset).astype(np.int32)])


def beam(landscape: Landscape, most: int, top: int, width: int) -> Best:
    """The best combinations met when the ``width`` best of each size are extended by every mutation."""
    best, sites = Best(top), landscape.sites
    every = np.arange(len(sites), dtype=np.int32)
    level = every[:, None]
    score = landscape.score(level)
    best.add(level, score)
    for _ in range(1, most):
        level = level[np.argsort(-score, kind="stable")[:width]]
        pairs = np.array(np.meshgrid(np.arange(len(level)), every, indexing="ij")).reshape(2, -1)
        free = (sites[level][pairs[0]] != sites[pairs[1]][:, None]).all(axis=1)
        longer = np.column_stack([level[pairs[0, free]], every[pairs[1, free]]])
        if not len(longer):
            break
        level = np.unique(np.sort(longer, axis=1), axis=0)
        blocks = range(0, len(level), _BLOCK)
        score = np.concatenate([landscape.score(level[start : start + _BLOCK]) for start in blocks])
        best.add(level, score)
    return best


def branch_and_bound(landscape: Landscape, most: int, best: Best, most_nodes: int = _MOST_NODES) -> bool:
    """Improve ``best`` until no combination of a model of pairs can be better.

    With single effects c_a and pair coefficients c_ab from the base, a combination P extended by R gains
    ``sum_R g_a + sum over pairs of R c_ab``, g_a = c_a + sum_P c_ab. With r mutations to come no R can gain
    more than the r largest of ``h_a = g_a + (sum of the r - 1 largest positive c_ab over other sites) / 2``.
    False where ``most_nodes`` were not enough to come to an end.
    """
    tree = _Tree(landscape, most, best, most_nodes)
    return tree.explore((), 0.0, tree.single)


class _Tree:
    """Depth-first search over ascending positions in ``order``, the most promising tokens first."""

    def __init__(self, landscape: Landscape, most: int, best: Best, most_nodes: int) -> None:
        self.most, self.best, self.nodes_to_go = most, best, most_nodes
        tokens, sign = landscape.tokens, landscape.sign
        n = len(tokens)
        single = sign * landscape.expansion.coefficients(tokens[:, None])
        pair = np.zeros((n, n))
        if landscape.readout.orders:
            a, b = np.triu_indices(n, 1)
            apart = landscape.sites[a] != landscape.sites[b]
            a, b = a[apart], b[apart]
            pair[a, b] = sign * landscape.expansion.coefficients(np.column_stack([tokens[a], tokens[b]]))
            pair += pair.T
        self.base = sign * float(landscape.expansion.coefficients(np.zeros((1, 0), dtype=np.int64))[0])
        spare = _largest_sums(np.maximum(pair, 0), landscape.sites, most)
        self.order = np.argsort(-(single + spare[most - 1] / 2), kind="stable")
        self.single, self.pair = single[self.order], pair[np.ix_(self.order, self.order)]
        self.spare = spare[:, self.order]  # (others, token)
        self.site = landscape.sites[self.order]

    def explore(self, chosen: tuple[int, ...], value: float, gain: np.ndarray) -> bool:
        """Extend ``chosen``, ascending positions, by tokens behind its last; False where the nodes ran out.

        ``value`` is that of the combination, less the base; ``gain`` (n_tokens,) what each token adds to it.
        """
        self.nodes_to_go -= 1
        if self.nodes_to_go < 0:
            return False
        later = np.arange(chosen[-1] + 1 if chosen else 0, len(self.order))
        later = later[~np.isin(self.site[later], self.site[list(chosen)])]
        if not len(later):
            return True
        remaining = self.most - len(chosen)
        own = value + gain[later]
        good = np.flatnonzero(self.base + own > self.best.threshold)
        if len(good):
            prefix = np.tile(self.order[np.array(chosen, dtype=np.int64)], (len(good), 1))
            sets = np.column_stack([prefix, self.order[later[good]]])
            self.best.add(sets, self.base + own[good])
        if remaining == 1:
            return True
        hope = gain[later] + self.spare[remaining - 1, later] / 2
        of_site = np.zeros(int(self.site.max()) + 1)
        np.maximum.at(of_site, self.site[later], hope)
        rest = float(-np.sort(-of_site)[: remaining - 1].sum())  # one a site
        bound = self.base + value + hope + rest
        # What rounds differently in the network and in its coefficients must not cut off a branch.
        margin = 1e-6 * (1 + abs(self.best.threshold)) if np.isfinite(self.best.threshold) else 0.0
        for k in np.argsort(-bound, kind="stable"):
            if bound[k] <= self.best.threshold - margin:
                break
            token = int(later[k])
            if not self.explore((*chosen, token), float(own[k]), gain + self.pair[token]):
                return False
        return True


def _largest_sums(positive: np.ndarray, site: np.ndarray, most: int) -> np.ndarray:
    """For each row the sum of its 0, 1, .. ``most - 1`` largest entries, one a site: (most, n_rows)."""
    first = np.flatnonzero(np.diff(site, prepend=-1))
    of_site = np.maximum.reduceat(positive, first, axis=1) if len(site) else positive
    ranked = -np.sort(-of_site, axis=1)[:, : most - 1]
    sums = np.zeros((most, len(positive)))
    sums[1 : 1 + ranked.shape[1]] = np.cumsum(ranked, axis=1).T
    sums[1 + ranked.shape[1] :] = sums[ranked.shape[1]]
    return sums
