"""Isolated terms of order 3 and above, by forward selection on their scores."""

from itertools import combinations
from math import comb, log

import numpy as np

from genoattn.closed_form.additive_start import fit_scale

# Columns whose terms are all scored, by order: some 4e6 terms each, seconds at 2,000 samples.
_POOL = {3: 300, 4: 80, 5: 40}
_POOL_BEYOND = 20
_THRESHOLD = 2.5
_CANDIDATES = 2000


def isolated_factors(
    columns: np.ndarray, residual: np.ndarray, site: np.ndarray, order: int, max_rank: int
) -> tuple[np.ndarray, int]:
    """Terms of order 3 or more whose score, adjusted for lower orders, exceeds that expected by chance.

    A term is accepted if its squared z, given the terms accepted before, exceeds the largest expected among
    all terms by chance, 2 log(terms).

    Returns
    -------
    Factors, shape (n_ranks, order, n_columns), on the scale of the residual; and how many columns had all
    of their terms scored: where there are more, those with the largest pair scores.
    """
    pool = _pool(columns, residual, _POOL.get(order, _POOL_BEYOND))
    candidates = pool[_best_terms(columns[:, pool], residual, site[pool], order)]
    values = _pure_products(columns, candidates)
    norm = np.linalg.norm(values, axis=0)
    y = residual - residual.mean()
    price = 2 * log(max(comb(columns.shape[1], order), 2))
    accepted: list[np.ndarray] = []
    while len(accepted) < max_rank and len(candidates):
        size = np.linalg.norm(values, axis=0)
        usable = size > 1e-3 * np.maximum(norm, 1e-300)  # else it is a sum of accepted terms
        gain = np.where(usable, (values.T @ y / np.maximum(size, 1e-300)) ** 2, 0.0)
        gain /= max(float(y.var()), 1e-300)
        best = int(np.argmax(gain))
        if gain[best] < price:
            break
        slots = np.zeros((order, columns.shape[1]))
        slots[np.arange(order), candidates[best]] = 1.0
        accepted.append(slots)
        direction = values[:, best] / size[best]
        y = y - direction * (direction @ y)
        values = values - direction[:, None] * (direction @ values)
    return fit_scale(columns, residual, accepted, order), len(pool)


def _pool(columns: np.ndarray, residual: np.ndarray, size: int) -> np.ndarray:
    """Indices of the columns whose terms are scored, ascending."""
    if columns.shape[1] <= size:
        return np.arange(columns.shape[1])
    y = residual - residual.mean()
    strength = np.zeros(columns.shape[1])
    for start in range(0, columns.shape[1], 512):
        score = (columns[:, start : start + 512] * y[:, None]).T @ columns
        strength[start : start + 512] = (score**4).sum(axis=1)
    return np.sort(np.argsort(-strength)[:size])


def _best_terms(columns: np.ndarray, residual: np.ndarray, site: np.ndarray, order: int) -> np.ndarray:
    """The terms with the largest |score|, at most 2,000: (n_terms, order) ascending column indices."""
    y = (residual - residual.mean()) / max(float(np.std(residual)), 1e-300)
    squares = columns**2
    n_columns = columns.shape[1]
    kept, score = np.zeros((0, order), dtype=np.int64), np.zeros(0)
    for head in combinations(range(n_columns - 2), order - 2):
        later = slice(head[-1] + 1, n_columns)
        of_head = columns[:, list(head)].prod(axis=1)
        value = (columns[:, later] * (of_head * y)[:, None]).T @ columns[:, later]
        spread = (squares[:, later] * (of_head**2)[:, None]).T @ squares[:, later]
        z = value / np.sqrt(np.maximum(spread, 1e-300))
        tail = np.stack(np.nonzero(np.triu(np.abs(z) > _THRESHOLD, 1)), axis=1)
        terms = np.column_stack([np.tile(head, (len(tail), 1)), tail + later.start])
        distinct = (np.diff(site[terms], axis=1) > 0).all(axis=1)
        kept = np.concatenate([kept, terms[distinct]])
        score = np.concatenate([score, np.abs(z[tail[distinct, 0], tail[distinct, 1]])])
        if len(kept) > 50 * _CANDIDATES:
            top = np.argsort(-score)[:_CANDIDATES]
            kept, score = kept[top], score[top]
    return kept[np.argsort(-score, kind="stable")[:_CANDIDATES]]


def _pure_products(columns: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Product of each term less its projection on the intercept and all lower-order terms: (sample, term)."""
    order = terms.shape[1]
    lower = [slots for size in range(1, order) for slots in combinations(range(order), size)]
    out = np.empty((len(columns), len(terms)))
    for k, term in enumerate(terms):
        x = columns[:, term]
        basis, _ = np.linalg.qr(np.column_stack([np.ones(len(x)), *(x[:, s].prod(axis=1) for s in lower)]))
        product = x.prod(axis=1)
        pure = product - basis @ (basis.T @ product)
        # In the span of its lower-order terms (sites in perfect LD) a product is rounding errors.
        out[:, k] = pure if np.linalg.norm(pure) > 1e-6 * np.linalg.norm(product) else 0.0
    return out
