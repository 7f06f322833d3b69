"""Ridge regression on explicit products of state indicators."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr

# Non-zero products of all samples together: 12 million take about a minute for all penalties.
MOST_PRODUCTS = 1.2e7
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class TooLargeError(ValueError):
    """The explicit products are too many; the message says how many."""


class Products:
    """Every product of at most ``order`` indicators (the first state left out) that a training sample has.

    Parameters
    ----------
    calls
        Shape (n_samples, n_sites), the training samples.
    n_states
        Shape (n_sites,).
    order
        Most sites in a product.
    """

    def __init__(self, calls: np.ndarray, n_states: np.ndarray, order: int) -> None:
        n_sites = calls.shape[1]
        self.n_states = n_states.astype(np.int64)
        self.sets = [s for k in range(1, order + 1) for s in combinations(range(n_sites), k)]
        number = len(calls) * sum(comb(n_sites, k) for k in range(1, order + 1))
        if number > MOST_PRODUCTS:
            raise TooLargeError(f"{number:.1g} products")
        self.kept = [np.unique(code[code >= 0]) for code in self._codes(calls)]
        self.first = np.concatenate([[0], np.cumsum([len(k) for k in self.kept])])

    def _codes(self, calls: np.ndarray):
        """For each set of sites the joint state of each sample; -1 where one is the first of its site."""
        for sites in self.sets:
            chosen = calls[:, list(sites)].astype(np.int64)
            code = np.ravel_multi_index(chosen.T, self.n_states[list(sites)])
            yield np.where((chosen == 0).any(axis=1), -1, code)

    def matrix(self, calls: np.ndarray) -> sparse.csr_matrix:
        """Samples by products, 0 or 1."""
        rows, columns = [], []
        for code, kept, first in zip(self._codes(calls), self.kept, self.first, strict=False):
            place = np.minimum(np.searchsorted(kept, code), max(len(kept) - 1, 0))
            found = np.flatnonzero((kept[place] == code) if len(kept) else np.zeros(len(code), bool))
            rows.append(found)
            columns.append(first + place[found])
        rows, columns = np.concatenate(rows), np.concatenate(columns)
        shape = (len(calls), int(self.first[-1]))
        return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


def ridge(train: np.ndarray, y: np.ndarray, test: np.ndarray, n_states: np.ndarray, order: int) -> np.ndarray:
    """Predictions for the test samples, the penalty chosen on 15 % of the training samples.

    Parameters
    ----------
    train, test
        Shape (n_samples, n_sites), states.
    y
        Shape (n_train,).
    n_states
        Shape (n_sites,).
    order
        Most sites in a product.
    """
    products = Products(train, n_states, order)
    x = products.matrix(train)
    held = np.random.default_rng(0).random(len(train)) < 0.15
    errors = {}
    for penalty in PENALTIES:
        predict = _solve(x[~held], y[~held], penalty)
        errors[penalty] = float(((y[held] - predict(x[held])) ** 2).sum())
    return _solve(x, y, min(errors, key=errors.__getitem__))(products.matrix(test))


def _solve(x: sparse.csr_matrix, y: np.ndarray, penalty: float):
    mean = y.mean()
    # An unpenalised intercept: a column so large that its coefficient costs nothing.
    wide = sparse.hstack([x, sparse.csr_matrix(np.full((x.shape[0], 1), 100.0))], format="csr")
    beta = lsqr(wide, y - mean, damp=np.sqrt(penalty), atol=1e-6, btol=1e-6, iter_lim=200)[0]
    return lambda new: new @ beta[:-1] + 100.0 * beta[-1] + mean
