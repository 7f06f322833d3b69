"""Covariates in the screen: sets of samples that stand for them, and what missing calls change."""

from __future__ import annotations

import numpy as np

from genoattn.scan.bound import Reach, products_on_fixed
from genoattn.scan.counts import WORD
from genoattn.scan.design import Design
from genoattn.scan.elimination import summing_error

_ENOUGH = 0.45  # largest eigenvalue of the residuals below which no more sets are wanted


class CovariateSets:
    """Covariates as linear combinations of sets of samples, and the residuals: ``Q = T B + R``.

    Parameters
    ----------
    design
        With fixed effects beyond the intercept, weight 1.
    """

    def __init__(self, design: Design) -> None:
        self.trait, self.basis = design.trait, np.ascontiguousarray(design.basis[1:])
        self.sets, self.weights, rest = sets_of_samples(self.basis)
        self.rest = float(max(np.linalg.eigvalsh(rest @ rest.T)[-1], 0.0)) * (1 + 1e-9) + 1e-12
        self.largest = float((np.linalg.norm(self.basis, axis=0) * np.abs(design.trait)).max())
        n_words = -(-design.n_samples // WORD)
        padded = np.zeros((len(self.sets), WORD * n_words), dtype=bool)
        padded[:, : design.n_samples] = self.sets
        self.planes = np.packbits(padded, axis=1).view(np.uint64)
        self._fitted = self.basis - rest  # T B less its mean, which is that of a constant
        self._single = np.zeros((-(-len(self.basis) // 4) * 4, design.n_samples), dtype=np.float32)
        self._single[: len(self.basis)] = self.basis

    def on_product(self, left: np.ndarray, right: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """``|Q P|`` of pairs of rows of single-precision columns, rounded up: (n_pairs,)."""
        n = left.shape[1]
        out, unit = np.empty((2, len(i))), summing_error(n, n) * np.sqrt(len(self.basis))
        products_on_fixed(left, right, i, j, self._single, out)
        norm, on_fixed = np.sqrt(out)
        return (on_fixed + unit * norm) * (1 + 2 * unit)  # type: ignore[no-any-return]

    def reach(self, codes: np.ndarray, values: np.ndarray) -> tuple[Reach, np.ndarray, np.ndarray]:
        """Numbers of columns; ``Q_L y_L`` of each, (n_columns, n_fixed - 1); sums over sets and over all,
        (n_columns, n_sets + 1).

        Parameters
        ----------
        codes
            Shape (n_columns, n_samples), -1 where missing.
        values
            The same less their means, float32, 0 where missing.
        """
        on_fixed = np.linalg.norm(values.astype(np.float64) @ self.basis.T, axis=1) * (1 + 1e-6)
        lost, lost_sets = np.zeros(len(codes)), np.zeros(len(codes))
        with_trait = np.zeros((len(codes), len(self.basis)))
        for k in np.flatnonzero((codes < 0).any(axis=1)):
            gone = codes[k] < 0
            lost[k], lost_sets[k] = _largest(self.basis[:, gone]), _largest(self._fitted[:, gone])
            with_trait[k] = self.basis[:, gone] @ self.trait[gone]
        called = np.maximum(codes, 0).astype(np.float32)
        of_sets = np.column_stack([called @ self.sets.T.astype(np.float32), called.sum(axis=1)])
        return Reach(on_fixed, lost, lost_sets), with_trait, of_sets.astype(np.float64)


def _largest(x: np.ndarray) -> float:
    """Largest eigenvalue of ``x x'``."""
    gram = x @ x.T if len(x) < x.shape[1] else x.T @ x
    return float(np.linalg.eigvalsh(gram)[-1]) if gram.size else 0.0


def sets_of_samples(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sets of samples whose indicators explain orthonormal vectors well.

    Each vector is divided in two where that explains it best; then the direction that is explained worst,
    until it is explained well enough or there are twice as many sets as vectors.

    Parameters
    ----------
    basis
        Shape (n_basis, n_samples), orthonormal, with means of 0.

    Returns
    -------
    Shape (n_sets, n_samples), bool; their weights T, (n_basis, n_sets), for sums of what has a mean of 0; and
    the residuals (n_basis, n_samples).
    """
    sets = np.stack([_divided(q) for q in basis])
    while True:
        centred = sets - sets.mean(axis=1, keepdims=True)
        weights = np.linalg.lstsq(centred.T, basis.T, rcond=None)[0].T
        rest = basis - weights @ centred
        value, vector = np.linalg.eigh(rest @ rest.T)
        if value[-1] < _ENOUGH or len(sets) >= 2 * len(basis):
            return sets, weights, rest
        sets = np.concatenate([sets, _divided(vector[:, -1] @ rest)[None]])


def _divided(x: np.ndarray) -> np.ndarray:
    """The samples above the cut of x, of mean 0, that leaves least variance within both parts."""
    order = np.argsort(x)[::-1]
    total, n = np.cumsum(x[order])[:-1], np.arange(1, len(x))
    above = np.zeros(len(x), dtype=bool)
    above[order[: int(np.argmax(total**2 * (1 / n + 1 / (len(x) - n)))) + 1]] = True
    return above
