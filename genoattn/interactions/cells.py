r"""The regression of a term of states, without covariates and missing calls, from counts of joint states.

The term, its lower-order terms and an intercept make :math:`2^n` predictors for the :math:`2^n` ways in which
a sample can or cannot have each of its n tokens: the regression is saturated. The coefficient of the product
is the alternating sum of the cells' means, its variance the residual variance times the sum of 1 / cell size,
and the residuals are those within cells. The same numbers as from the samples, at the cost of one count a set
of sites instead of one regression a term.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.special import stdtr

from genoattn.cohort import MISSING
from genoattn.interactions.regression import RARE_SAMPLES, TermStatistics
from genoattn.tokens import Vocabulary

_MOST_CELLS = 2_000_000


def fits_in_cells(
    vocabulary: Vocabulary, calls: np.ndarray, covariates: np.ndarray, terms: np.ndarray
) -> bool:
    """Whether :func:`cell_statistics` can test these terms (n_terms, order)."""
    if vocabulary.is_dosage or terms.shape[1] == 0 or not len(terms) or covariates.shape[1]:
        return False
    largest = vocabulary.n_states[vocabulary.site[terms]].astype(np.float64).prod(axis=1).max()
    return largest <= _MOST_CELLS and not (calls == MISSING).any()


def cell_statistics(
    vocabulary: Vocabulary,
    calls: np.ndarray,
    phenotype: np.ndarray,
    terms: np.ndarray,
    weights: np.ndarray | None = None,
) -> TermStatistics:
    """Statistics of terms of one order, as :func:`genoattn.interactions.regression.term_statistics`.

    Parameters
    ----------
    vocabulary
        The columns that ``terms`` index, states of sites.
    calls
        Shape (n_samples, n_sites), int8, none missing.
    phenotype
        Shape (n_samples,).
    terms
        Shape (n_terms, order), order 1 or more, column indices at distinct sites.
    weights
        Shape (n_samples,), positive, for weighted least squares.
    """
    n = len(phenotype)
    weight = np.ones(n) if weights is None else weights / weights.mean()
    y = phenotype - (weight @ phenotype) / weight.sum()
    total = float(weight @ y**2)
    # Sites ascending within a term, so that a set of sites is one key whatever the order of its tokens.
    ordered = np.take_along_axis(terms, np.argsort(vocabulary.site[terms], axis=1), axis=1)
    sets, which = np.unique(vocabulary.site[ordered], axis=0, return_inverse=True)
    which = which.reshape(-1)
    by_set = np.argsort(which, kind="stable")
    ends = np.searchsorted(which[by_set], np.arange(len(sets) + 1))
    columns = [np.zeros(len(terms)) for _ in range(7)]
    for k, sites in enumerate(sets):
        chosen = by_set[ends[k] : ends[k + 1]]
        states = vocabulary.state[ordered[chosen]]  # (term, slot)
        shape = tuple(vocabulary.n_states[sites].tolist())
        cell = np.ravel_multi_index(tuple(calls[:, sites].T.astype(np.int64)), shape)
        tables = [
            np.bincount(cell, values, minlength=int(np.prod(shape))).reshape(shape)
            for values in (np.ones(n), weight, weight * y)
        ]
        for out, values in zip(columns, _statistics(tables, states, total, n), strict=True):
            out[chosen] = values
    se, statistic, p_value, frequency, explained, r2, carriers = columns
    number = np.full(len(terms), n)
    return TermStatistics(se, statistic, p_value, number, frequency, explained, r2, carriers < RARE_SAMPLES)


def _statistics(tables: list[np.ndarray], states: np.ndarray, total: float, n: int) -> tuple[np.ndarray, ...]:
    """se, t, p, frequency, added R2, r2 and carriers of terms of one set of sites."""
    order = states.shape[1]
    carriers, size, summed = (_with_tokens(table, states) for table in tables)  # (subset, term)
    size, summed = _exactly(size, order), _exactly(summed, order)
    regular = (_exactly(carriers, order) > 0).all(axis=0)
    size = np.where(regular, np.maximum(size, 1e-300), 1.0)
    sign = np.array([(-1.0) ** (order - subset.bit_count()) for subset in range(2**order)])
    beta = sign @ (summed / size)
    spread = (1 / size).sum(axis=0)
    rss = np.maximum(total - (summed**2 / size).sum(axis=0), 0.0)
    df = n - 2**order
    regular &= (df > 0) & (total > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(rss / df * spread)
        statistic = beta / se
        explained = beta**2 / spread / total
    p_value = 2 * stdtr(max(df, 1), -np.abs(statistic))
    se, statistic, p_value, explained = (
        np.where(regular, a, np.nan) for a in (se, statistic, p_value, explained)
    )
    return se, statistic, p_value, carriers[-1] / n, explained, _r2(carriers, order), carriers[-1]


def _with_tokens(table: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Sum over the samples that have at least the tokens of each subset (bits by slot): (subset, term)."""
    order = states.shape[1]
    out = np.zeros((2**order, len(states)))
    for subset in range(2**order):
        slots = [k for k in range(order) if subset >> k & 1]
        marginal = table.sum(axis=tuple(k for k in range(order) if k not in slots))
        out[subset] = marginal[tuple(states[:, k] for k in slots)] if slots else marginal
    return out


def _exactly(sums: np.ndarray, order: int) -> np.ndarray:
    """From sums over samples with at least a subset's tokens to those with exactly these."""
    out = sums.copy()
    for k in range(order):
        without = [subset for subset in range(2**order) if not subset >> k & 1]
        out[without] -= out[[subset | 1 << k for subset in without]]
    return out


def _r2(carriers: np.ndarray, order: int) -> np.ndarray:
    """Largest r2 between the indicators of two tokens of each term; NaN below order 2."""
    largest = np.full(carriers.shape[1], np.nan)
    n = carriers[0]
    for a, b in combinations(range(order), 2):
        p, q, both = carriers[1 << a] / n, carriers[1 << b] / n, carriers[1 << a | 1 << b] / n
        with np.errstate(divide="ignore", invalid="ignore"):
            largest = np.fmax(largest, (both - p * q) ** 2 / (p * (1 - p) * q * (1 - q)))
    return largest
