"""Sparse factors of pairs, grown from the score matrix: isolated pairs, hubs, coupled pathways."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, log

import numpy as np
from scipy import sparse

from genoattn.closed_form.pair_columns import PairColumns
from genoattn.closed_form.pair_growth import SOFT, gain_one_by_one, grow, net_gain

_CREDIBLE = 0.02  # smallest posterior with which a column has a share
_OF_LARGEST = 0.5  # share of the largest that is enough where that is small too
_SEEDS = 20_000
_LOOKED_AT = 256  # seeds whose strength is updated at a time
_FAILURES = 5  # seeds in a row from which nothing grew


@dataclass(frozen=True, eq=False)
class Seeds:
    """Pairs of columns whose score stands out, the strongest first."""

    pair: np.ndarray  # (n_pairs, 2), ascending column indices
    strength: np.ndarray  # (n_pairs,), |t|
    n_tests: int  # pairs among which they were found

    def strongest(self, kept: np.ndarray) -> Seeds:
        """At most 20,000 of the pairs marked in ``kept``, shape (n_pairs,), bool."""
        index = np.flatnonzero(kept)[:_SEEDS]
        return Seeds(self.pair[index], self.strength[index], self.n_tests)


def find_seeds(score: sparse.csr_array, n_tests: int | None = None) -> Seeds:
    """The pairs of a symmetric score matrix whose |t| is above that of noise.

    The matrix is that of :func:`genoattn.scan.scores.score_matrix`; they were found among ``n_tests`` pairs,
    all pairs of columns if None.
    """
    upper = sparse.triu(score, 1).tocoo()
    strength = np.abs(upper.data)
    order = np.argsort(-strength, kind="stable")
    order = order[strength[order] > SOFT]
    pair = np.stack([c[order] for c in upper.coords], axis=1).astype(np.int64)
    return Seeds(pair, strength[order], n_tests or comb(score.shape[0], 2))


def pair_factors(
    pairs: PairColumns, seeds: Seeds, residual: np.ndarray, max_rank: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sparse factors ``(sum_k u_k x_k)(sum_k v_k x_k)`` whose gain stands out from that of noise.

    From the strongest remaining pair a factor grows, one slot at a time, by forward selection on the data, so
    that a column linked to one already chosen adds nothing. It pays 2 log(pairs), the largest squared z of
    any pair by chance, and 2 log(columns), that of a column, for every entry beyond the first two; and it
    must gain the price of two columns more than its pairs would one by one, each paying 2 log(pairs). A pair
    from which nothing grows is taken as isolated if its own squared z pays. The residual is updated after
    each factor. Seeds in hidden pairs of segments are passed over, save where both columns lie in one
    segment: such pairs can only be isolated.

    Returns
    -------
    Factors, shape (n_ranks, 2, n_columns), the larger entry of each slot 1, to be scaled with
    :func:`genoattn.closed_form.additive_start.fit_scale`; and by how much the squared z of each exceeds its
    price, shape (n_ranks,).
    """
    first, second = pairs.segment[seeds.pair[:, 0]], pairs.segment[seeds.pair[:, 1]]
    usable = pairs.visible[first, second]
    inside = (first == second) & ~usable
    seeds = seeds.strongest(usable | inside)
    inside = pairs.segment[seeds.pair[:, 0]] == pairs.segment[seeds.pair[:, 1]]
    inside &= ~pairs.visible.diagonal()[pairs.segment[seeds.pair[:, 0]]]
    rest = residual - residual.mean()
    strengths = _Strengths(pairs.columns, seeds, rest)
    found: list[np.ndarray] = []
    surplus: list[float] = []
    needed, failures = 2 * log(max(seeds.n_tests, 2)), 0
    while len(found) < max_rank and len(seeds.pair) and failures < _FAILURES:
        best, strength = strengths.largest()
        factor = None if inside[best] else _grown(pairs, rest, seeds.pair[best], needed)
        if factor is None and strength**2 >= needed:
            factor = _credible(pairs, seeds.pair, strengths, best)
        strengths.take(best)  # a seed serves once
        if factor is None:
            failures += 1
            continue
        failures = 0
        surplus.append(max(net_gain(pairs, rest, factor), strength**2) - needed)
        found.append(factor / np.abs(factor).max(axis=1, keepdims=True))
        product = pairs.product(factor)
        rest = rest - product * (product @ rest) / max(float(product @ product), 1e-300)
        strengths.explain(rest)
    return np.stack(found) if found else np.zeros((0, 2, pairs.n_columns)), np.array(surplus)


def _grown(pairs: PairColumns, rest: np.ndarray, seed: np.ndarray, needed: float) -> np.ndarray | None:
    """The factor (2, n_columns) that grows from a pair, if it is worth enough more than its pairs one by one.

    Enough is the price of two columns: by chance the best column added to a strong pair pays its own price in
    every other cohort, and an isolated pair would come out with a third column.
    """
    start = np.zeros((2, pairs.n_columns))
    start[[0, 1], seed] = 1.0
    factor = grow(pairs, rest, start)
    surplus = net_gain(pairs, rest, factor) - needed
    if np.count_nonzero(factor) <= 2 or surplus < 0:
        return None
    one_by_one = gain_one_by_one(pairs, rest, factor, needed)
    return factor if surplus > one_by_one + 4 * log(pairs.n_columns) else None


class _Strengths:
    """|t| of the seeds adjusted for the factors found, updated on demand.

    The part of a seed's score that the factors explain is subtracted from its |t|; and as the residual noise
    falls, the remainder is scaled up by the same ratio.
    """

    def __init__(self, columns: np.ndarray, seeds: Seeds, rest: np.ndarray) -> None:
        self._columns, self._pair, self._t = columns, seeds.pair, seeds.strength.copy()
        self._at_first = self._rest = rest
        self._score = np.full(len(self._t), np.nan)  # before any factor
        self._scale = 1.0  # noise at first over the present noise
        self._adjusted = self._t.copy()
        self._known = np.ones(len(self._t), dtype=bool)

    def largest(self) -> tuple[int, float]:
        """The strongest seed, and its strength."""
        while True:
            best = int(np.argmax(self._adjusted))
            if self._known[best]:
                return best, float(self._adjusted[best])
            # No update can raise a strength, so that only those above the largest known one are needed.
            self.at(np.argsort(-np.where(self._known, -1.0, self._adjusted), kind="stable")[:_LOOKED_AT])

    def at(self, index: np.ndarray) -> np.ndarray:
        """The strengths of some seeds."""
        new = index[~self._known[index]]
        first = new[np.isnan(self._score[new])]
        self._score[first] = _pair_scores(self._columns, self._pair[first], self._at_first)
        now = _pair_scores(self._columns, self._pair[new], self._rest)
        explained = self._scale * np.abs(self._score[new]) - np.sign(self._score[new]) * now
        self._adjusted[new] = np.clip(self._scale * self._t[new] - np.clip(explained, 0.0, None), 0.0, None)
        self._known[new] = True
        return self._adjusted[index]

    def take(self, index: int) -> None:
        """Make a seed's strength 0."""
        self._t[index] = self._adjusted[index] = 0.0

    def explain(self, rest: np.ndarray) -> None:
        """Continue with the residual after another factor."""
        self._rest = rest
        self._scale = float(np.std(self._at_first) / max(float(np.std(rest)), 1e-300))
        self._adjusted = self._scale * self._t
        self._known[:] = self._t == 0


def _credible(pairs: PairColumns, seeds: np.ndarray, strengths: _Strengths, best: int) -> np.ndarray:
    """An isolated pair spread over the linked pairs that are almost as likely: shape (2, n_columns).

    With a flat prior over the pairs linked to the lead at both sites, the posterior of each is proportional
    to exp(z2 / 2); a column enters its slot with its marginal posterior. The lead alone would hide the causal
    pair wherever chance favours another.
    """
    lead, columns = seeds[best], pairs.columns
    linked = [pairs.linked_to(np.bincount([k], minlength=pairs.n_columns)) for k in lead]
    straight, crossed = (linked[0][seeds[:, slot]] & linked[1][seeds[:, 1 - slot]] for slot in (0, 1))
    # The first slot is the one linked to the lead's first column, whichever way round the pair is stored.
    ordered = np.where((straight | ~crossed)[:, None], seeds, seeds[:, ::-1])
    weight = np.zeros(len(seeds))
    weight[straight | crossed] = np.exp(
        (strengths.at(np.flatnonzero(straight | crossed)) ** 2 - strengths.at(np.array([best])) ** 2) / 2
    )
    out = np.stack([np.bincount(ordered[:, slot], weight, pairs.n_columns) for slot in (0, 1)]) / weight.sum()
    return np.stack([credible_entries(columns, slot) for slot in out])


def _pair_scores(columns: np.ndarray, pairs: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """z of the product of each pair against the residual ``rest``: shape (n_pairs,)."""
    out = np.empty(len(pairs))
    for start in range(0, len(pairs), 1024):
        chosen = pairs[start : start + 1024]
        product = columns[:, chosen[:, 0]] * columns[:, chosen[:, 1]]
        product -= product.mean(axis=0)
        norm = np.maximum(np.linalg.norm(product, axis=0), 1e-300)
        out[start : start + 1024] = product.T @ rest / norm
    return out / max(float(np.std(rest)), 1e-300)


def credible_entries(columns: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """Entries of a slot (n_columns,) from the posterior of each column to be the causal one.

    In proportion to the posterior, the largest 1, and negative for columns coded the other way round. 0 below
    2 %; where so many are alike that the largest is less than 4 %, below half of it.
    """
    best = int(np.argmax(posterior))
    largest = float(posterior[best])
    out = np.where(posterior >= min(_CREDIBLE, _OF_LARGEST * largest), posterior / largest, 0.0)
    kept = np.flatnonzero(out)
    out[kept] *= np.where(columns[:, kept].T @ columns[:, best] < 0, -1.0, 1.0)
    return out
