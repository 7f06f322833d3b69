"""Ridge regression by the eigenvectors of the samples' kernel, one decomposition for any fixed effects."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

_PENALTIES = np.geomspace(1e-3, 1e3, 61)  # on the mean loss
_FLAT = 1e-9  # eigenvalues, relative to the largest, that are rounding errors
_KEPT = 6000  # samples up to which a spectrum, of the square of their number in memory, is kept
# The latest spectrum by the checksum of its columns: the steps of a fit ask for that of all samples again.
_latest: dict[bytes, Spectrum] = {}


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvectors of the kernel ``A A'`` of centred columns A, the costly part of a ridge regression."""

    vectors: np.ndarray  # (n_samples, n_kept), orthonormal
    values: np.ndarray  # (n_kept,), above 0

    @classmethod
    def of_columns(cls, columns: np.ndarray, root: np.ndarray | None = None) -> Spectrum:
        """Spectrum of columns (n_samples, n_columns), centred, then each sample times ``root`` if given."""
        a = columns - columns.mean(axis=0)
        if root is not None and not (root == 1).all():
            a = root[:, None] * (columns - root**2 @ columns / (root @ root))
        # Whichever product is smaller: both have the same positive eigenvalues.
        if columns.shape[1] <= len(columns):
            values, vectors = _positive(a.T @ a)
            return cls(a @ (vectors / np.sqrt(values)), values)
        if len(columns) > _KEPT:
            return cls.of_kernel(a @ a.T)
        key = hashlib.sha256(np.ascontiguousarray(a).data).digest()
        if key not in _latest:
            _latest.clear()  # before the next one takes its memory
            _latest[key] = cls.of_kernel(a @ a.T)
        return _latest[key]

    @classmethod
    def of_kernel(cls, kernel: np.ndarray) -> Spectrum:
        """Spectrum of a kernel (n_samples, n_samples) of columns, centred or adjusted for an intercept."""
        return cls(*reversed(_positive(kernel)))


def centred_kernel(columns: np.ndarray) -> np.ndarray:
    """Inner products of samples, columns centred: (n_samples, n_samples)."""
    a = columns - columns.mean(axis=0)
    out: np.ndarray = a @ a.T
    return out


def _positive(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues above 0 and their vectors."""
    values, vectors = np.linalg.eigh(matrix)
    keep = values > _FLAT * max(values[-1], 1e-300)
    return values[keep], vectors[:, keep]


class RidgeRegression:
    """Ridge regression of any phenotype on the columns of a spectrum, fixed effects unpenalised.

    With a penalty p on the squared effects and ``V = A A' + p``, the residuals are ``p V^-1 (y - Q c)``, c
    the generalised least-squares effects of the fixed ones (Q their basis): sums over eigenvalues (Kang et
    al. 2008, Genetics 178:1709; Lippert et al. 2011, Nat Methods 8:833). The fixed effects (n_samples,
    n_fixed) include an intercept.
    """

    def __init__(self, spectrum: Spectrum, fixed: np.ndarray) -> None:
        basis, size, _ = np.linalg.svd(
            fixed / np.linalg.norm(fixed, axis=0).clip(1e-300), full_matrices=False
        )
        self._q = basis[:, size > 1e-7 * size[0]]  # without redundant effects
        self._spectrum = spectrum
        self._q_in = spectrum.vectors.T @ self._q

    @property
    def n_fixed(self) -> int:
        """Rank of the fixed effects."""
        return self._q.shape[1]

    def fit(
        self, phenotype: np.ndarray, penalty: float | None = None
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Penalty, dual coefficients (n_samples,) and residuals (n_samples,).

        The effects of the columns are ``columns.T @ dual``. The penalty is that of generalised
        cross-validation unless it is given.
        """
        y, y_in = self._without_fixed(phenotype)
        if penalty is None:
            penalties = _PENALTIES * len(y)
            gcv = [self._squared_error(y, y_in, p) / self._freedom(p) ** 2 for p in penalties]
            penalty = float(penalties[int(np.argmin(gcv))])
        _, fixed_effect = self._fixed_effect(y_in, penalty)
        adjusted = y - self._q @ fixed_effect
        adjusted_in = y_in - self._q_in @ fixed_effect
        values = self._spectrum.values
        residual = adjusted - self._spectrum.vectors @ (adjusted_in * (values / (values + penalty)))
        return penalty, residual / penalty, residual

    def likeliest_penalty(self, phenotype: np.ndarray) -> tuple[float, float]:
        """The penalty of greatest restricted likelihood, and minus twice its logarithm, up to a constant.

        The constant depends on the fixed effects alone (Patterson & Thompson 1971).
        """
        y, y_in = self._without_fixed(phenotype)
        freedom, values = len(y) - self.n_fixed, self._spectrum.values
        least, best = np.inf, 0.0
        # The deviance may have several minima, so that the grid is searched, not descended.
        for p in _PENALTIES * len(y):
            information, fixed_effect = self._fixed_effect(y_in, p)
            # p y' P y, P being V^-1 less its part along the fixed effects
            square = y @ y - (values / (values + p) * y_in) @ (y_in - self._q_in @ fixed_effect)
            spread = np.log1p(values / p).sum() + np.linalg.slogdet(p * information)[1]
            deviance = float(freedom * np.log(max(square, 1e-300) / freedom) + spread)
            if deviance < least:
                least, best = deviance, float(p)
        return best, least

    def project(self, block: np.ndarray, penalty: float) -> np.ndarray:
        """Projection T of a block (n_samples, n_columns) on all effects.

        ``B'C - T_B' T_C`` is ``penalty * B' P C``, where P is V^-1 less its part along the fixed effects:
        generalised least squares adjusted for them are least squares in this metric. T has the shape
        (n_kept + n_fixed, n_columns).
        """
        shrink = self._spectrum.values / (self._spectrum.values + penalty)
        inside = self._spectrum.vectors.T @ block
        information, _ = self._fixed_effect(np.zeros(len(shrink)), penalty)
        along = self._q.T @ block - (self._q_in.T * shrink) @ inside
        # P B = V^-1 B less its fixed part, whose square is a second set of rows to subtract.
        factor = np.linalg.cholesky(penalty * information)
        return np.concatenate([np.sqrt(shrink)[:, None] * inside, np.linalg.solve(factor, along)])

    def degrees(self, penalty: float) -> float:
        """Residual degrees of freedom, 1 at least."""
        return max(self._freedom(penalty), 1.0)

    def _freedom(self, penalty: float) -> float:
        """Trace of the matrix that turns a phenotype into residuals."""
        values, n = self._spectrum.values, len(self._q)
        shrink = penalty / (values + penalty)
        within = np.eye(self._q.shape[1]) - (self._q_in.T * (1 - shrink)) @ self._q_in  # p Q'V^-1 Q
        twice = np.eye(self._q.shape[1]) - (self._q_in.T * (1 - shrink**2)) @ self._q_in
        used = float(np.trace(np.linalg.solve(within, twice)))
        return float(shrink.sum()) + n - len(values) - used

    def _without_fixed(self, phenotype: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residual of a phenotype after regression on the fixed effects, and its eigenvector coordinates."""
        y = phenotype - self._q @ (self._q.T @ phenotype)
        return y, self._spectrum.vectors.T @ y

    def _fixed_effect(self, y_in: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """``Q' V^-1 Q``, and the generalised least-squares effects of the fixed basis on a phenotype."""
        values = self._spectrum.values
        weight = -values / (penalty * (values + penalty))  # of V^-1 beyond 1 / penalty
        information = np.eye(self._q.shape[1]) / penalty + (self._q_in.T * weight) @ self._q_in
        return information, np.linalg.solve(information, self._q_in.T @ (weight * y_in))

    def _squared_error(self, y: np.ndarray, y_in: np.ndarray, penalty: float) -> float:
        """Sum of squared residuals."""
        _, fixed_effect = self._fixed_effect(y_in, penalty)
        adjusted_in = y_in - self._q_in @ fixed_effect
        outside = y @ y + fixed_effect @ fixed_effect - adjusted_in @ adjusted_in
        values = self._spectrum.values
        return float(max(outside, 0.0) + ((penalty / (values + penalty) * adjusted_in) ** 2).sum())
