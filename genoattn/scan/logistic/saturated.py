"""Likelihood-ratio tests of the joint genotypes of two sites in logistic regression."""

from __future__ import annotations

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.regression.exact import SINGULAR

_ROUNDS = 60
_SETTLED = 1e-9  # last gain of the log-likelihood
_FURTHEST = 30.0  # log-odds, beyond which a cell of cases or of controls alone adds nothing


def likelihood_ratios(
    design: Design, trait: np.ndarray, pairs: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Twice the gain in log-likelihood of the four products of two sites, pair by pair.

    Cells of cases or of controls alone are taken at the limit of their likelihood, which is finite.

    Parameters
    ----------
    design
        Columns and fixed effects.
    trait
        Shape (n_samples,), 0 and 1.
    pairs
        Shape (n_pairs, 2), indices of columns.

    Returns
    -------
    The ratio; the degrees of freedom, 0 where it cannot be tested; twice the log-likelihood, without its
    sign, of the intercept alone; and the samples called at both sites. Shape (n_pairs,) each.
    """
    ratio, df, null = np.full(len(pairs), np.nan), np.zeros(len(pairs)), np.ones(len(pairs))
    n_samples = np.zeros(len(pairs), dtype=np.int64)
    for p, (first, second) in enumerate(pairs):
        a, b = design.codes[first], design.codes[second]
        called = (a >= 0) & (b >= 0)
        a, b, y = a[called], b[called], trait[called]
        n_samples[p] = len(y)
        if not 0 < y.sum() < len(y):
            continue
        rate = y.mean()
        null[p] = -2 * len(y) * (rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
        terms = [a == 1, a == 2, b == 1, b == 2]
        products = [terms[x] & terms[2 + y] for x in range(2) for y in range(2)]
        x = np.column_stack([design.basis[:, called].T, *terms, *products])
        n_lower = design.n_fixed + 4
        basis, n_lower = _independent(x, n_lower)
        df[p] = basis.shape[1] - n_lower
        if df[p] == 0 or len(y) <= basis.shape[1]:
            df[p] = 0
            continue
        n = np.ones(len(y))
        if design.n_fixed == 1:
            basis, y, n = _gathered(basis, y, 3 * a + b)
        without = _maximum(basis[:, :n_lower], y, n)
        ratio[p] = max(2 * (_maximum(basis, y, n) - without), 0.0)
    return ratio, df, null, n_samples


def _independent(x: np.ndarray, n_lower: int) -> tuple[np.ndarray, int]:
    """The columns of x that those before them do not explain, and how many of the first n_lower they are."""
    gram = x.T @ x
    least = SINGULAR * np.diag(gram)
    kept = []
    for k in range(len(gram)):
        if gram[k, k] > least[k]:
            kept.append(k)
            gram = gram - np.outer(gram[:, k], gram[k]) / gram[k, k]
    return x[:, kept], int(np.searchsorted(kept, n_lower))


def _gathered(x: np.ndarray, y: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples of one cell as one row: predictors, cases and samples of each cell."""
    _, first, row = np.unique(cell, return_index=True, return_inverse=True)
    return x[first], np.bincount(row, y), np.bincount(row).astype(np.float64)


def _maximum(x: np.ndarray, cases: np.ndarray, n: np.ndarray) -> float:
    """Largest log-likelihood of a logistic regression, by Newton's method with halved steps."""
    rate = cases.sum() / n.sum()
    beta = np.linalg.lstsq(x, np.full(len(x), np.log(rate / (1 - rate))), rcond=None)[0]
    value = _log_likelihood(x @ beta, cases, n)
    for _ in range(_ROUNDS):
        mu = 1 / (1 + np.exp(-np.clip(x @ beta, -_FURTHEST, _FURTHEST)))
        information = (x.T * (n * mu * (1 - mu))) @ x
        step = np.linalg.lstsq(information, x.T @ (cases - n * mu), rcond=1e-14)[0]
        for _ in range(30):
            best = _log_likelihood(x @ (beta + step), cases, n)
            if best >= value - 1e-12 * abs(value):
                break
            step /= 2
        beta, gain, value = beta + step, best - value, max(best, value)
        if gain < _SETTLED:
            break
    return value


def _log_likelihood(eta: np.ndarray, cases: np.ndarray, n: np.ndarray) -> float:
    return float(cases @ eta - n @ np.logaddexp(0, eta))
