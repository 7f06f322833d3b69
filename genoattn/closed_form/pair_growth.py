"""A factor of pairs grown from one pair: entries chosen by forward selection, kept if worth their price."""

from math import log

import numpy as np

from genoattn.closed_form.pair_columns import PairColumns

SOFT = 2.5  # |z| below which a score counts as noise
_LOOSE = 0.74  # of the largest |z| of all columns by chance, which entries need at first: 2.5 of 300 columns
_ENTRIES = 64
_POOL = 400  # columns a selection looks at between two passes over all
_PASSES = 3
_ROUNDS = 6
_WEAKEST = 8  # entries of a slot that pruning tries


def price(pairs: PairColumns) -> float:
    """Squared z that one more entry must add: the largest of all columns by chance, 2 log(columns)."""
    return 2 * log(max(pairs.n_columns, 2))


def grow(pairs: PairColumns, rest: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Select each slot of a pair (2, n_columns) again, given the other, until both settle; then prune."""
    factor = seed
    # Higher while a factor grows, so that few of many columns pass it by chance.
    at_first = max(SOFT**2, _LOOSE**2 * price(pairs))
    for _ in range(_ROUNDS):
        before = factor != 0
        for slot in (0, 1):
            factor = _replace_slot(pairs, rest, factor, slot, at_first)
        if (before == (factor != 0)).all():
            break
    # Entries found at the lower threshold must now pay the full price.
    for slot in (0, 1):
        factor = _replace_slot(pairs, rest, factor, slot, price(pairs))
    return _prune(pairs, rest, factor)


def gain(pairs: PairColumns, rest: np.ndarray, factor: np.ndarray) -> float:
    """Squared z of a factor's product against ``rest``."""
    product = pairs.product(factor)
    return float((product @ rest) ** 2 / max(float(product @ product) * float(rest.var()), 1e-300))


def net_gain(pairs: PairColumns, rest: np.ndarray, factor: np.ndarray) -> float:
    """Squared z of a factor, less the price of its entries beyond two."""
    return gain(pairs, rest, factor) - price(pairs) * (np.count_nonzero(factor) - 2)


def gain_one_by_one(pairs: PairColumns, rest: np.ndarray, factor: np.ndarray, needed: float) -> float:
    """Gain of the pairs of a factor's support as isolated pairs, each at its own price, ``needed``."""
    first, second = np.flatnonzero(factor[0]), np.flatnonzero(factor[1])
    chosen = np.array(
        [(i, j) for i in first for j in second if pairs.visible[pairs.segment[i], pairs.segment[j]]]
    )
    products = pairs.columns[:, chosen[:, 0]] * pairs.columns[:, chosen[:, 1]]
    products -= products.mean(axis=0)
    products /= np.maximum(np.linalg.norm(products, axis=0), 1e-300)
    total, residual, variance = 0.0, rest, float(rest.var())
    for _ in range(products.shape[1]):
        z2 = (products.T @ residual) ** 2 / max(variance, 1e-300)
        best = int(np.argmax(z2))
        if z2[best] < needed:
            break
        total += float(z2[best]) - needed
        residual = residual - products[:, best] * (products[:, best] @ residual)
    return total


def _replace_slot(
    pairs: PairColumns, rest: np.ndarray, factor: np.ndarray, slot: int, threshold: float
) -> np.ndarray:
    """The factor with one slot selected anew; as it was if nothing passes the threshold."""
    selected = _select(pairs, rest, factor[1 - slot], threshold)
    if not selected.any():
        return factor
    out = factor.copy()
    out[slot] = selected / np.linalg.norm(selected)
    return out


def _select(pairs: PairColumns, rest: np.ndarray, other: np.ndarray, threshold: float) -> np.ndarray:
    """Least-squares weights of columns whose products with the other slot explain ``rest``, added in turn.

    Between passes over all columns the selection works on the inner products of a pool of the best, so that
    the cost of a step is that of the pool, not of the cohort.
    """
    carriers = pairs.carriers(other)
    allowed = ~pairs.linked_to(other) & pairs.mostly_visible(other)
    weights, norm2 = np.zeros(pairs.n_columns), pairs.squared_norms(carriers)
    pool, chosen, solution, residual = np.zeros(0, int), np.zeros(0, int), np.zeros(0), rest
    for _ in range(_PASSES):
        inner = pairs.inner_products(carriers, residual)
        z2 = inner**2 / np.maximum(norm2, 1e-9) / max(float(residual.var()), 1e-300)
        z2 = np.where(allowed & (norm2 > 1e-9), z2, 0.0)
        z2[pool] = 0.0  # they had their chance within the pool
        new = np.argsort(-z2, kind="stable")[:_POOL]
        new = new[z2[new] >= threshold]
        if not len(new):
            break
        pool = np.concatenate([pool, new])
        features = pairs.features(carriers, pool)
        picked, solution = _forward(features, rest, threshold)
        residual = rest - features[:, picked] @ solution
        chosen = pool[picked]
    weights[chosen] = solution
    return weights


def _forward(features: np.ndarray, target: np.ndarray, threshold: float) -> tuple[list[int], np.ndarray]:
    """Features added in turn while the next adds a squared z of ``threshold``, and their weights."""
    gram, by_target = features.T @ features, features.T @ target
    norm2 = np.maximum(np.diag(gram), 1e-9)
    total = float(target @ target)
    chosen: list[int] = []
    solution, inner, variance = np.zeros(0), by_target, total / len(target)
    while len(chosen) < min(_ENTRIES, features.shape[1]):
        z2 = inner**2 / norm2 / max(variance, 1e-300)
        z2[chosen] = 0.0
        best = int(np.argmax(z2))
        if z2[best] < threshold:
            break
        chosen.append(best)
        solution = np.linalg.lstsq(gram[np.ix_(chosen, chosen)], by_target[chosen], rcond=1e-8)[0]
        inner = by_target - gram[:, chosen] @ solution
        variance = max(total - float(by_target[chosen] @ solution), 1e-9) / len(target)
    return chosen, solution


def _prune(pairs: PairColumns, rest: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Drop entries while the gain without one, both slots refitted, falls by less than its price."""
    while np.count_nonzero(factor) > 2:
        full = gain(pairs, rest, factor)
        best: tuple[float, np.ndarray] | None = None
        for slot in (0, 1):
            own = np.flatnonzero(factor[slot])
            if len(own) < 2:
                continue
            for entry in own[np.argsort(np.abs(factor[slot, own]), kind="stable")[:_WEAKEST]]:
                trial = factor.copy()
                trial[slot, entry] = 0.0
                for refitted in (1 - slot, slot):
                    trial = _refit(pairs, rest, trial, refitted)
                loss = full - gain(pairs, rest, trial)
                if best is None or loss < best[0]:
                    best = (loss, trial)
        if best is None or best[0] >= price(pairs) or not best[1].any(axis=1).all():
            return factor
        factor = best[1]
    return factor


def _refit(pairs: PairColumns, rest: np.ndarray, factor: np.ndarray, slot: int) -> np.ndarray:
    """The entries of one slot by least squares, given the other slot."""
    index = np.flatnonzero(factor[slot])
    features = pairs.features(pairs.carriers(factor[1 - slot]), index)
    out = factor.copy()
    weights = np.linalg.lstsq(features.T @ features, features.T @ rest, rcond=1e-8)[0]
    out[slot, index] = weights / max(float(np.linalg.norm(weights)), 1e-300)
    return out
