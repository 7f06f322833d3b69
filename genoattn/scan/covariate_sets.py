"""Covariates in the screen: sets of samples that stand for them, and what missing calls change."""

import numpy as np

from genoattn.scan.counts import WORD
from genoattn.scan.design import Design
from genoattn.scan.elimination import summing_error
from genoattn.scan.pair_bound import Sets

_ENOUGH = 0.45  # largest eigenvalue of the residuals below which no more sets are wanted


class CovariateSets:
    """Covariates as linear combinations of sets of samples, and the residuals: ``Q = T B + R``.

    The design has fixed effects beyond the intercept, and weights of 1.
    """

    def __init__(self, design: Design) -> None:
        self.trait, self.basis = design.trait, np.ascontiguousarray(design.basis[1:])
        self.members, weights, rest = sets_of_samples(self.basis)
        n, n_words = design.n_samples, -(-design.n_samples // WORD)
        padded = np.zeros((len(self.members), WORD * n_words), dtype=bool)
        padded[:, :n] = self.members
        single = np.zeros((-(-len(self.basis) // 4) * 4, n), dtype=np.float32)
        single[: len(self.basis)] = self.basis
        self._fitted = self.basis - rest  # T B less its mean
        self.sets = Sets(
            np.packbits(padded, axis=1).view(np.uint64),
            np.ascontiguousarray(weights, dtype=np.float32),
            self.members.sum(axis=1).astype(np.float64),
            _largest(rest) * (1 + 1e-9) + 1e-12,
            float((np.linalg.norm(self.basis, axis=0) * np.abs(design.trait)).max()),
            single,
            summing_error(n, n) * float(np.sqrt(len(self.basis))),
        )

    def reach(self, codes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Norms of ``Q a`` and largest eigenvalues of columns, ``Q_L y_L``, and sums over sets.

        ``codes`` (n_columns, n_samples) are -1 where missing; ``values`` are the same less their means,
        float32, 0 where missing. The shapes are (n_columns, 3), (n_fixed - 1, n_columns) and (n_sets + 1,
        n_columns); see :mod:`genoattn.scan.pair_bound` and :class:`genoattn.scan.screen.Block`.
        """
        on_fixed = np.linalg.norm(values.astype(np.float64) @ self.basis.T, axis=1) * (1 + 1e-6)
        uncalled, uncalled_sets = np.zeros(len(codes)), np.zeros(len(codes))
        with_trait = np.zeros((len(self.basis), len(codes)))
        for k in np.flatnonzero((codes < 0).any(axis=1)):
            gaps = codes[k] < 0
            uncalled[k], uncalled_sets[k] = _largest(self.basis[:, gaps]), _largest(self._fitted[:, gaps])
            with_trait[:, k] = self.basis[:, gaps] @ self.trait[gaps]
        filled = np.maximum(codes, 0).astype(np.float32)
        of_sets = np.vstack([self.members.astype(np.float32) @ filled.T, filled.sum(axis=1)])
        return np.column_stack([on_fixed, uncalled, uncalled_sets]), with_trait, of_sets.astype(np.float64)


def _largest(x: np.ndarray) -> float:
    """Largest eigenvalue of ``x x'``."""
    gram = x @ x.T if len(x) < x.shape[1] else x.T @ x
    return float(np.linalg.eigvalsh(gram)[-1]) if gram.size else 0.0


def sets_of_samples(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sets of samples whose indicators explain orthonormal vectors (n_basis, n_samples) of mean 0 well.

    Each vector is divided in two where that explains it best; then the direction that is explained worst,
    until it is explained well enough or there are twice as many sets as vectors.

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
