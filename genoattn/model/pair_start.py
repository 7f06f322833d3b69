"""Sparse factors of pairs, grown from the score matrix: isolated pairs, hubs, coupled pathways."""

from __future__ import annotations

from math import comb, log

import numpy as np

from genoattn.model.start import fit_scale
from genoattn.scan.regression.pairs import score_matrix

_SOFT = 2.5  # |z| below which a score counts as noise
_LINKED = 0.2  # r2 above which a column is too close to the other factor to interact with it
_SEEDS = 20_000
_ENTRIES = 64
_ROUNDS = 6
_CREDIBLE = 0.02  # smallest posterior with which a linked column shares a pair
_FAILURES = 5  # seeds in a row from which nothing grew


def pair_factors(
    columns: np.ndarray,
    phenotype: np.ndarray,
    residual: np.ndarray,
    covariates: np.ndarray,
    site: np.ndarray,
    max_rank: int,
) -> np.ndarray:
    """Sparse factors ``(sum_k u_k x_k)(sum_k v_k x_k)`` whose gain stands out from that of noise.

    The score of a pair is its t against the phenotype or against the residual of the additive model,
    whichever is nearer to zero: the first alone sees interactions in additive effects of linked sites, the
    second alone misplaces an interaction whose main effects the ridge has smeared over neighbours.

    Isolated pairs come first: the strongest is accepted while its squared z exceeds the largest expected
    among all pairs by chance, 2 log(pairs), and taken out before the next is sought. From then on a factor
    grows from the strongest pair left, one side at a time, by forward selection on the data, so that a column
    linked to one already chosen adds nothing; beside 2 log(pairs) it pays 2 log(columns), the largest
    squared z of a column by chance, for every entry beyond the first two.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), standardised.
    phenotype, residual
        Shape (n_samples,), before and after the additive model is taken out.
    covariates
        Shape (n_samples, n_covariates).
    site
        Shape (n_columns,).
    max_rank
        Most factors.

    Returns
    -------
    Shape (n_ranks, 2, n_columns), on the scale of the residual.
    """
    score = score_matrix(columns, np.column_stack([phenotype, residual]), covariates, site, _SOFT).tocoo()
    upper = score.coords[0] < score.coords[1]
    pairs, t = np.stack(score.coords, axis=1)[upper], np.abs(score.data[upper])
    strongest = np.argsort(-t, kind="stable")[:_SEEDS]
    pairs, t = pairs[strongest], t[strongest]
    n_columns = columns.shape[1]
    rest = residual - residual.mean()
    found: list[np.ndarray] = []
    before = _pair_scores(columns, pairs, rest)
    needed, failures = 2 * log(comb(n_columns, 2)), 0
    while len(found) < max_rank and len(pairs) and failures < _FAILURES:
        # What earlier factors explained of a pair's score is gone from its t.
        strength = np.clip(t - np.abs(before - _pair_scores(columns, pairs, rest)), 0.0, None)
        best = int(np.argmax(strength))
        factor = np.zeros((2, n_columns))
        factor[[0, 1], pairs[best]] = 1.0
        isolated = strength[best] ** 2 >= needed
        if not isolated:
            factor = _grow(columns, rest, factor)
        if not isolated and _net_gain(columns, rest, factor) < needed:
            t[best] = 0.0
            failures += 1
            continue
        failures = 0
        if isolated:
            factor = _credible(columns, pairs, strength, best)
        t[best] = 0.0  # a seed serves once
        found.append(factor)
        product = _product(columns, factor)
        rest = rest - product * (product @ rest) / (product @ product)
    return fit_scale(columns, residual, found, 2)


def _credible(columns: np.ndarray, pairs: np.ndarray, strength: np.ndarray, best: int) -> np.ndarray:
    """An isolated pair spread over the linked pairs that the data can hardly tell from it.

    With a flat prior over the pairs linked to the lead at both sites, the posterior of each is
    proportional to exp(z2 / 2); a column enters its side with its marginal posterior if that is 2 % or
    more. Otherwise the pair that chance favours would hide the causal one.

    Returns
    -------
    Shape (2, n_columns), the larger entry of each side 1.
    """
    lead = pairs[best]
    linked = [_linked_to(columns, np.bincount([k], minlength=columns.shape[1])) for k in lead]
    near, far = (linked[0][pairs[:, side]] & linked[1][pairs[:, 1 - side]] for side in (0, 1))
    # The first side is the one linked to the lead's first column, whichever way round the pair is stored.
    ordered = np.where((near | ~far)[:, None], pairs, pairs[:, ::-1])
    weight = np.where(near | far, np.exp((strength**2 - strength[best] ** 2) / 2), 0.0)
    out = (
        np.stack([np.bincount(ordered[:, side], weight, columns.shape[1]) for side in (0, 1)]) / weight.sum()
    )
    out = np.where(out >= _CREDIBLE, out, 0.0)
    for side in (0, 1):  # linked columns may be coded the other way round
        out[side] *= np.sign(columns.T @ columns[:, lead[side]])
    return out / np.abs(out).max(axis=1, keepdims=True)


def _pair_scores(columns: np.ndarray, pairs: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """z of the product of each pair against what is left of the phenotype: shape (n_pairs,)."""
    out = np.empty(len(pairs))
    for start in range(0, len(pairs), 1024):
        chosen = pairs[start : start + 1024]
        product = columns[:, chosen[:, 0]] * columns[:, chosen[:, 1]]
        product -= product.mean(axis=0)
        norm = np.maximum(np.linalg.norm(product, axis=0), 1e-300)
        out[start : start + 1024] = product.T @ rest / norm
    return out / max(float(np.std(rest)), 1e-300)


def _product(columns: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Centred product of the two sides of a factor: shape (n_samples,)."""
    product = (columns @ factor[0]) * (columns @ factor[1])
    return product - product.mean()


def _net_gain(columns: np.ndarray, rest: np.ndarray, factor: np.ndarray) -> float:
    """Squared z that a factor explains, less the price of its entries beyond two."""
    product = _product(columns, factor)
    gain = (product @ rest) ** 2 / max(float(product @ product) * float(rest.var()), 1e-300)
    return float(gain) - _price(columns) * (np.count_nonzero(factor) - 2)


def _price(columns: np.ndarray) -> float:
    """Squared z that one more entry must add."""
    return 2 * log(columns.shape[1])


def _grow(columns: np.ndarray, rest: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Re-select each side of a factor given the other until they settle, then keep what is worth it."""
    factor = seed
    for _ in range(_ROUNDS):
        before = factor != 0
        for side in (0, 1):
            factor = _replace_side(columns, rest, factor, side, _SOFT**2)
        if (before == (factor != 0)).all():
            break
    for side in (0, 1):
        factor = _replace_side(columns, rest, factor, side, _price(columns))
    return factor


def _replace_side(
    columns: np.ndarray, rest: np.ndarray, factor: np.ndarray, side: int, threshold: float
) -> np.ndarray:
    """The factor with one side selected anew; as it was if nothing passes the threshold."""
    other = factor[1 - side]
    near = _linked_to(columns, other)
    selected = _forward_selection(columns, columns @ other, rest, ~near, threshold)
    if not selected.any():
        return factor
    out = factor.copy()
    out[side] = selected / np.linalg.norm(selected)
    return out


def _linked_to(columns: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Columns whose r2 with a non-zero column of ``vector`` passes the limit: shape (n_columns,), bool."""
    chosen = columns[:, np.flatnonzero(vector)]
    chosen = chosen / np.maximum(np.linalg.norm(chosen, axis=0), 1e-300)
    norm2 = np.maximum((columns**2).sum(axis=0), 1e-300)
    return ((chosen.T @ columns) ** 2 / norm2).max(axis=0) > _LINKED


def _forward_selection(
    columns: np.ndarray, carrier: np.ndarray, target: np.ndarray, allowed: np.ndarray, threshold: float
) -> np.ndarray:
    """Least-squares weights of columns whose product with ``carrier`` explains ``target``, added in turn.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns).
    carrier, target
        Shape (n_samples,).
    allowed
        Shape (n_columns,), bool.
    threshold
        Squared z that a column must add to what the columns before it explain.

    Returns
    -------
    Shape (n_columns,), zero where a column was not selected.
    """
    norm2 = np.maximum((columns**2).T @ carrier**2, 1e-300)
    weights = np.zeros(columns.shape[1])
    chosen: list[int] = []
    left, solution = target, np.zeros(0)
    while len(chosen) < _ENTRIES:
        gain = np.where(allowed, (columns.T @ (carrier * left)) ** 2 / norm2 / max(left.var(), 1e-300), 0.0)
        gain[chosen] = 0.0
        best = int(np.argmax(gain))
        if gain[best] < threshold:
            break
        chosen.append(best)
        features = columns[:, chosen] * carrier[:, None]
        solution = np.linalg.lstsq(features, target, rcond=None)[0]
        left = target - features @ solution
    weights[chosen] = solution
    return weights
