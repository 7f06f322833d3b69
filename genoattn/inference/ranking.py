"""Pairs ranked by the probability that they interact, by their own evidence and by structure.

A scan ranks pairs by their own evidence. Where a factor has been found, its sites are evidence for each
other: the odds of a pair are those of its entries in the two slots of the factor.
"""

from math import log

import numpy as np
from scipy.special import log_expit, logsumexp

from genoattn.closed_form.pair_columns import PairColumns
from genoattn.inference.robust import pair_t

_EXPECTED = 5.0  # isolated pairs expected among all
_OCCAM = 0.5 * log(25.0)  # what an effect of unknown size, z about 5, costs in evidence
_LISTED = -14.0  # log-odds below which a pair of a factor is not worth listing
_NOT = -50.0
_CERTAIN = 1 - 1e-12


class PairOdds:
    """Log-odds of pairs of columns, filled in from isolated evidence and from factors."""

    def __init__(self) -> None:
        self._odds: dict[tuple[int, int], float] = {}

    def replace(self, first: np.ndarray, second: np.ndarray, odds: np.ndarray, capped: bool) -> None:
        """Add evidence to pairs: as another way to interact; or, ``capped``, in place of what they had."""
        for i, j, value in zip(first.tolist(), second.tolist(), odds.tolist(), strict=True):
            key = (i, j) if i < j else (j, i)
            old = self._odds.get(key, _NOT)
            self._odds[key] = float(np.logaddexp(min(old, value) if capped else old, value))

    def sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (n_pairs, 2) and their log-odds, the largest first."""
        pair = np.array(list(self._odds), dtype=np.int64).reshape(-1, 2)
        odds = np.array(list(self._odds.values()))
        order = np.lexsort((pair[:, 1], pair[:, 0], -odds))
        return pair[order], odds[order]


def rank_pairs(
    pairs: PairColumns,
    factors: np.ndarray,
    residual: np.ndarray,
    candidate: np.ndarray,
    strength: np.ndarray,
    n_tests: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs by the posterior log-odds that they interact.

    A pair by itself has the log-odds ``z^2 / 2 - log(tests)``, z adjusted for the factors. An isolated pair
    that was accepted shares its evidence with the pairs linked to it at both sites. An entry of a factor has
    the evidence ``z^2 / 2`` of its column times the other slot, prior odds ``k / (columns - k)`` for a slot
    with k entries, and shares it with linked columns; columns that were not chosen have theirs.

    Parameters
    ----------
    candidate, strength
        Shapes (n_pairs, 2), pairs with evidence of their own; and (n_pairs,), |t| not adjusted for factors.

    Returns
    -------
    Pairs (n_pairs, 2), ascending within a row, and log-odds (n_pairs,), sorted.
    """
    odds = PairOdds()
    products = [pairs.product(f) for f in factors]
    design = np.stack(products, axis=1) if products else np.zeros((pairs.n_samples, 0))
    weights = np.linalg.lstsq(design, residual, rcond=None)[0]
    rest = residual - design @ weights
    adjusted = np.minimum(strength, np.abs(pair_t(pairs.columns, candidate, rest)))
    odds.replace(candidate[:, 0], candidate[:, 1], adjusted**2 / 2 - log(n_tests), capped=False)
    known = {(int(i), int(j)): float(t) for (i, j), t in zip(candidate, strength, strict=True)}
    for factor, product, weight in zip(factors, products, weights, strict=True):
        target = rest + weight * product
        # Entries of isolated pairs are spread over linked columns; their count is that of linkage.
        if _is_isolated(pairs, factor):
            _add_isolated(odds, pairs, factor, target, rest, known, n_tests)
        else:
            _add_structure(odds, pairs, factor, target)
    return odds.sorted()


def _is_isolated(pairs: PairColumns, factor: np.ndarray) -> bool:
    """Whether each slot is one column and its linked neighbours."""
    return all(
        np.isin(np.flatnonzero(slot), pairs.linked_neighbours(int(np.argmax(np.abs(slot))))).all()
        for slot in factor
    )


def _add_isolated(
    odds: PairOdds,
    pairs: PairColumns,
    factor: np.ndarray,
    target: np.ndarray,
    rest: np.ndarray,
    known: dict[tuple[int, int], float],
    n_tests: int,
) -> None:
    """Posterior of the pairs linked to an isolated one, in place of their own evidence, which is its echo."""
    first, second = (pairs.linked_neighbours(int(np.argmax(np.abs(slot)))) for slot in factor)
    a, b = pairs.columns[:, first], pairs.columns[:, second]
    evidence = (a.T @ (b * target[:, None])) ** 2 / ((a**2).T @ b**2 * rest.var()) / 2
    for u, i in enumerate(first.tolist()):
        for v, j in enumerate(second.tolist()):
            t = known.get((min(i, j), max(i, j)), 2.0)  # a pair not listed scored less
            evidence[u, v] = min(evidence[u, v], t**2 / 2)
    total = logsumexp(evidence)
    posterior = evidence - total + log_expit(total + log(_EXPECTED / n_tests) - _OCCAM)
    i, j = (m.ravel() for m in np.meshgrid(first, second, indexing="ij"))
    distinct = pairs.site[i] != pairs.site[j]
    odds.replace(i[distinct], j[distinct], _log_odds(posterior).ravel()[distinct], capped=True)


def _add_structure(odds: PairOdds, pairs: PairColumns, factor: np.ndarray, target: np.ndarray) -> None:
    """Odds of the pairs of a grown factor: one column of each slot."""
    slots = [_entry_log_probability(pairs, factor, slot, target) for slot in (0, 1)]
    first, second = (np.flatnonzero(s > _LISTED) for s in slots)
    joint = slots[0][first][:, None] + slots[1][second][None, :]
    usable = pairs.visible[pairs.segment[first][:, None], pairs.segment[second][None, :]]
    usable &= pairs.site[first][:, None] != pairs.site[second][None, :]
    u, v = np.nonzero(usable & (joint > _LISTED))
    i, j, value = first[u], second[v], joint[u, v]
    # A pair may be in the slots either way round: the likelier counts.
    order = np.argsort(-value, kind="stable")
    pair = np.sort(np.stack([i, j])[:, order], axis=0)
    pair, once = np.unique(pair, axis=1, return_index=True)
    odds.replace(pair[0], pair[1], _log_odds(value[order[once]]), capped=False)


def _entry_log_probability(
    pairs: PairColumns, factor: np.ndarray, slot: int, target: np.ndarray
) -> np.ndarray:
    """Log-probability of every column to be in one slot of a factor, given the other: (n_columns,)."""
    carriers = pairs.carriers(factor[1 - slot])
    own = np.flatnonzero(factor[slot])
    k = len(own)
    prior = log(k / max(pairs.n_columns - k, 1)) - _OCCAM
    full = pairs.features(carriers, own)
    residual = target - full @ np.linalg.lstsq(full, target, rcond=None)[0]
    variance = max(float(residual.var()), 1e-300)

    def evidence(y: np.ndarray) -> np.ndarray:
        inner, norm2 = pairs.scores(carriers, y)
        return np.where(norm2 > 0, inner**2 / np.maximum(norm2, 1e-9) / variance / 2, _NOT)

    # Columns that were not chosen, against the residual of the factor's own entries.
    out: np.ndarray = log_expit(evidence(residual) + prior)
    for entry, column in enumerate(own.tolist()):
        others = np.delete(full, entry, axis=1)
        basis = np.linalg.qr(others)[0]
        alone = target - basis @ (basis.T @ target)
        linked = pairs.linked_neighbours(column)
        features = pairs.features(carriers, linked)
        norm2 = np.maximum((features**2).sum(axis=0), 1e-9)
        own_evidence = (features.T @ alone) ** 2 / norm2 / variance / 2
        total = logsumexp(own_evidence)
        shared = own_evidence - total + log_expit(total + prior)
        out[linked] = np.maximum(out[linked], shared)
    out[pairs.linked_to(factor[1 - slot])] = _NOT
    return out


def _log_odds(log_probability: np.ndarray) -> np.ndarray:
    return log_probability - np.log1p(-np.minimum(np.exp(log_probability), _CERTAIN))
