"""Where training starts: additive effects by ridge regression, factors from the score of every pair and triple.

The gradient of the loss at zero of full-rank linear self-attention is, pair by pair, the score of that
pair, and of order-3 HyperAttention that of the triple. A thousand samples cannot train dense factors over
hundreds of sites, but sparse ones read off the scores are already near the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb, log

import numpy as np
from scipy import sparse

from genoattn.scan.pairs import score_matrix

_SOFT = 2.5  # z below which an entry of the score matrix counts as noise
_LINKED = 0.2  # r2 above which two sites in one factor are taken for the same signal
_TRIPLE_SITES = 300
_CANDIDATES = 2000


@dataclass(frozen=True, eq=False)
class Start:
    """Starting values, per standardised column.

    Parameters
    ----------
    intercept
        Mean phenotype at average columns and covariates 0.
    covariates
        Shape (n_covariates,).
    additive
        Shape (n_columns,).
    ridge
        Penalty on the squared additive effects: half of it times their sum is added to the mean loss.
    noise
        Residual standard deviation after the additive part.
    factors
        For each order of 2 and above, shape (n_ranks, order, n_columns).
    """

    intercept: float
    covariates: np.ndarray
    additive: np.ndarray
    ridge: float
    noise: float
    factors: dict[int, np.ndarray]


def additive_start(
    columns: np.ndarray, phenotype: np.ndarray, covariates: np.ndarray
) -> tuple[Start, np.ndarray]:
    """Ridge regression on all columns, its penalty by generalised cross-validation; covariates unpenalised.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), standardised.
    phenotype
        Shape (n_samples,).
    covariates
        Shape (n_samples, n_covariates).

    Returns
    -------
    A start without factors, and the residuals, shape (n_samples,).
    """
    n = len(phenotype)
    fixed = np.column_stack([np.ones(n), covariates])
    q, _ = np.linalg.qr(fixed)
    y = phenotype - q @ (q.T @ phenotype)
    a = columns - q @ (q.T @ columns)
    value, vector = np.linalg.eigh(a @ a.T if a.shape[1] > n else a.T @ a)
    keep = value > 1e-9 * max(value[-1], 1e-300)
    value, vector = value[keep], vector[:, keep]
    left = vector if a.shape[1] > n else a @ (vector / np.sqrt(value))
    projected = left.T @ y
    outside = float(y @ y - projected @ projected)
    penalties = np.geomspace(1e-3, 1e3, 61) * n
    shrink = penalties[:, None] / (value + penalties[:, None])
    gcv = ((shrink * projected) ** 2).sum(axis=1) + max(outside, 0.0)
    freedom = n - q.shape[1] - (1 - shrink).sum(axis=1)
    penalty = penalties[np.argmin(gcv / freedom**2)]
    additive = a.T @ (left @ (projected / (value + penalty))) if len(value) else np.zeros(a.shape[1])
    residual = y - a @ additive
    fixed_effect = np.linalg.lstsq(fixed, phenotype - columns @ additive, rcond=None)[0]
    degrees = max(n - q.shape[1] - float((value / (value + penalty)).sum()), 1.0)
    noise = float(np.sqrt(residual @ residual / degrees))
    return Start(float(fixed_effect[0]), fixed_effect[1:], additive, float(penalty / n), noise, {}), residual


def pair_factors(
    columns: np.ndarray,
    phenotype: np.ndarray,
    residual: np.ndarray,
    covariates: np.ndarray,
    site: np.ndarray,
    max_rank: int,
) -> np.ndarray:
    """Sparse rank-one factors of the score matrix, by alternating thresholded power iterations.

    The score of a pair is its t against the phenotype or against the residual of the additive model,
    whichever is nearer to zero: the first alone sees interactions in additive effects of linked sites, the
    second alone misplaces an interaction whose main effects the ridge has smeared over neighbours.

    A factor pair ``u v^T + v u^T`` grows from the largest score; within u and within v only the strongest
    of a group of linked sites stays. It is accepted if its gain in squared z exceeds the largest expected
    among all pairs, 2 log(pairs), and 1.5 log(columns) for every non-zero entry beyond the first two;
    otherwise the pair it grew from is tried alone. The score that it explains at linked pairs is taken
    out, and the search goes on.

    Returns
    -------
    Shape (n_ranks, 2, n_columns), on the scale of the residual.
    """
    score = score_matrix(columns, np.column_stack([phenotype, residual]), covariates, site, _SOFT)
    unit = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    n_columns = columns.shape[1]
    found: list[np.ndarray] = []
    while len(found) < max_rank and score.nnz:
        seed = _largest_pair(score)
        factor = max(_grow(score, unit, seed), seed, key=lambda f: _net_gain(score, f))
        if _net_gain(score, factor) < 2 * log(comb(n_columns, 2)):
            break
        found.append(factor)
        score = _deflate(score, columns, factor)
    return _fit_scale(columns, residual, found, 2)


def _largest_pair(score: sparse.csr_array) -> np.ndarray:
    """The pair with the largest |score| as two unit vectors: (2, n_columns)."""
    entries = score.tocoo()
    best = int(np.argmax(np.abs(entries.data)))
    factor = np.zeros((2, score.shape[0]))
    factor[[0, 1], [entries.coords[0][best], entries.coords[1][best]]] = 1.0
    return factor


def _net_gain(score: sparse.csr_array, factor: np.ndarray) -> float:
    """Squared z that a factor pair of unit vectors explains, less the price of its entries beyond the first two."""
    u, v = factor
    return float(u @ (score @ v)) ** 2 - 1.5 * log(score.shape[0]) * (np.count_nonzero(factor) - 2)


def _grow(score: sparse.csr_array, unit: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Alternate ``u <- score v``, ``v <- score u``, thresholded, until they settle."""
    u, v = seed
    for _ in range(8):
        u_new = _sparsify(score @ v, unit, v)
        v_new = _sparsify(score @ u_new, unit, u_new)
        if not u_new.any() or not v_new.any():
            return seed
        done = np.allclose(u, u_new, atol=1e-6) and np.allclose(v, v_new, atol=1e-6)
        u, v = u_new, v_new
        if done:
            break
    return np.stack([u, v])


def _sparsify(values: np.ndarray, unit: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Entries worth their price, one of each group of linked columns and none linked to the other factor.

    Parameters
    ----------
    values
        Shape (n_columns,), z of each column against the other factor.
    unit
        Shape (n_samples, n_columns), columns of unit length.
    other
        Shape (n_columns,), the other factor.

    Returns
    -------
    Shape (n_columns,), unit length; zeros where nothing is worth its price.
    """
    size = np.abs(values)
    candidates = np.argsort(-size)[:_CANDIDATES]
    candidates = candidates[size[candidates] ** 2 > 1.5 * log(len(values))]
    blocked = list(np.flatnonzero(other))
    kept: list[int] = []
    for k in candidates:
        if np.max((unit[:, blocked + kept].T @ unit[:, k]) ** 2) < _LINKED:
            kept.append(int(k))
    out = np.zeros_like(values)
    out[kept] = values[kept]
    return out / max(float(np.linalg.norm(out)), 1e-300)


def _deflate(score: sparse.csr_array, columns: np.ndarray, factor: np.ndarray) -> sparse.csr_array:
    """Take from the score what the factor explains: at (c, d) its strength times the correlations r_cu r_dv."""
    n = len(columns)
    u, v = factor
    strength = float(u @ (score @ v))
    ru = columns.T @ (columns @ u) / n
    rv = columns.T @ (columns @ v) / n
    coordinates = score.tocoo()
    i, j = coordinates.coords
    value = coordinates.data - strength * (ru[i] * rv[j] + rv[i] * ru[j])
    value = np.where(np.abs(value) < np.abs(coordinates.data), value, coordinates.data)
    keep = np.abs(value) >= _SOFT
    return sparse.coo_array((value[keep], (i[keep], j[keep])), shape=score.shape).tocsr()


def triple_factors(columns: np.ndarray, residual: np.ndarray, site: np.ndarray, max_rank: int) -> np.ndarray:
    """Isolated triples by forward selection on their scores, after their main effects and pairs.

    All triples are scored up to 300 columns; beyond, those of the 300 columns with the largest summed
    squared pair scores on the squared scale. A triple is accepted if its z2 exceeds 2 log(triples).

    Returns
    -------
    Shape (n_ranks, 3, n_columns), on the scale of the residual.
    """
    pool = _triple_pool(columns, residual)
    terms, z = _triple_scores(columns[:, pool], residual, site[pool])
    n_triples = comb(columns.shape[1], 3)
    accepted: list[np.ndarray] = []
    features: list[np.ndarray] = []
    candidates = pool[terms]
    values = _pure_products(columns, candidates)
    y = residual - residual.mean()
    while len(accepted) < max_rank and len(candidates):
        norm = np.linalg.norm(values, axis=0)
        usable = norm > 1e-6 * np.sqrt(len(y))
        noise = max(float(np.std(y)), 1e-300)
        gain = np.where(usable, (values.T @ y / np.maximum(norm, 1e-300) / noise) ** 2, 0.0)
        best = int(np.argmax(gain))
        if gain[best] < 2 * log(max(n_triples, 2)):
            break
        accepted.append(_one_hot_slots(candidates[best], columns.shape[1]))
        direction = values[:, best] / norm[best]
        features.append(direction)
        y = y - direction * (direction @ y)
        values = values - direction[:, None] * (direction @ values)
    return _fit_scale(columns, residual, accepted, 3)


def _triple_pool(columns: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """The columns whose triples are scored."""
    if columns.shape[1] <= _TRIPLE_SITES:
        return np.arange(columns.shape[1])
    y = residual - residual.mean()
    strength = np.zeros(columns.shape[1])
    for start in range(0, columns.shape[1], 512):
        block = columns[:, start : start + 512]
        score = (block * y[:, None]).T @ columns
        strength[start : start + 512] = (score**4).sum(axis=1)
    return np.sort(np.argsort(-strength)[:_TRIPLE_SITES])


def _triple_scores(
    columns: np.ndarray, residual: np.ndarray, site: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The triples with the largest |score|: (n, 3) column indices and approximate z, at most 2,000."""
    y = residual - residual.mean()
    squares = columns**2
    n_columns = columns.shape[1]
    kept, score = np.zeros((0, 3), dtype=np.int64), np.zeros(0)
    for a in range(n_columns - 2):
        later = slice(a + 1, n_columns)
        left = columns[:, later] * columns[:, a : a + 1]
        value = (left * y[:, None]).T @ columns[:, later]
        spread = (squares[:, later] * squares[:, a : a + 1]).T @ squares[:, later]
        z = value / np.sqrt(np.maximum(spread, 1e-300)) / max(float(np.std(y)), 1e-300)
        b, c = np.nonzero(np.triu(np.abs(z) > _SOFT, 1))
        distinct = (
            (site[b + a + 1] != site[a]) & (site[c + a + 1] != site[a]) & (site[b + a + 1] != site[c + a + 1])
        )
        b, c = b[distinct], c[distinct]
        kept = np.concatenate([kept, np.column_stack([np.full(len(b), a), b + a + 1, c + a + 1])])
        score = np.concatenate([score, z[b, c]])
        if len(kept) > 50 * _CANDIDATES:
            top = np.argsort(-np.abs(score))[:_CANDIDATES]
            kept, score = kept[top], score[top]
    top = np.argsort(-np.abs(score), kind="stable")[:_CANDIDATES]
    return kept[top], score[top]


def _pure_products(columns: np.ndarray, triples: np.ndarray) -> np.ndarray:
    """Product of each triple less its projection on intercept, main effects and pairs: (sample, triple)."""
    out = np.empty((len(columns), len(triples)))
    for k, triple in enumerate(triples):
        x = columns[:, triple]
        lower = [np.ones(len(x)), *x.T, *(x[:, a] * x[:, b] for a, b in combinations(range(3), 2))]
        basis, _ = np.linalg.qr(np.column_stack(lower))
        product = x.prod(axis=1)
        out[:, k] = product - basis @ (basis.T @ product)
    return out


def _one_hot_slots(triple: np.ndarray, n_columns: int) -> np.ndarray:
    out = np.zeros((len(triple), n_columns))
    out[np.arange(len(triple)), triple] = 1.0
    return out


def _fit_scale(columns: np.ndarray, residual: np.ndarray, shapes: list[np.ndarray], order: int) -> np.ndarray:
    """Scale unit factors (order, n_columns) by ridge regression of the residual on their pooled products."""
    if not shapes:
        return np.zeros((0, order, columns.shape[1]))
    values = np.column_stack([np.prod([columns @ f for f in shape], axis=0) for shape in shapes])
    centred = values - values.mean(axis=0)
    y = residual - residual.mean()
    gram = centred.T @ centred
    strength = np.linalg.solve(gram + 1e-3 * np.trace(gram) / len(gram) * np.eye(len(gram)), centred.T @ y)
    out = np.stack(shapes)
    size = np.abs(strength) ** (1 / order)
    out *= size[:, None, None]
    out[:, 0] *= np.sign(strength)[:, None]
    return out
