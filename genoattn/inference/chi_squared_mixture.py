"""Tail of a centred mixture of chi-squared variables, by its saddlepoint approximation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

_STEPS = 100  # halvings of the interval of the saddlepoint
_SKEWED = 1e-3  # cubes over squares^1.5 of the other eigenvalues below which they make a normal variable
_CENTRE = 1e-4  # saddlepoint, in standard deviations, within which the limit at the mean is used


@dataclass(frozen=True, eq=False)
class ChiSquaredMixture:
    """The variable ``sum_k weights_k (chi2_k - 1) + rest``, of mean 0.

    The ``weights`` are the large eigenvalues of a quadratic form, above 0; ``rest`` are its others, of which
    the sums of squares and of cubes are known: ``a (chi2_nu - nu)`` with both alike, or a normal variable
    where the cubes add up to next to nothing, or less.

    Examples
    --------
    >>> from genoattn.inference.chi_squared_mixture import ChiSquaredMixture
    >>> one = ChiSquaredMixture(np.array([1.0]), 0.0, 0.0)
    >>> one.upper_tail(np.array([2.84])).round(2)  # chi2_1 above 3.84
    array([0.05])
    """

    weights: np.ndarray  # (n_weights,)
    rest_square: float  # sum of squares of the other eigenvalues
    rest_cube: float  # and of cubes

    @property
    def deviation(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(2 * ((self.weights**2).sum() + self.rest_square)))

    @property
    def skewness(self) -> float:
        """Third standardised cumulant."""
        return float(8 * ((self.weights**3).sum() + self.rest_cube) / self.deviation**3)

    def upper_tail(self, value: np.ndarray) -> np.ndarray:
        """Probability of more than each value (n_values,).

        Barndorff-Nielsen's form of the Lugannani-Rice approximation (Kuonen 1999, Biometrika 86:929).
        """
        weight, number, normal = self._terms()
        scale = self.deviation
        weight, normal, z = weight / scale, normal / scale**2, np.asarray(value, np.float64) / scale
        floor = -np.inf if normal > 0 else -float(weight @ number)
        inside = z > floor + 1e-9
        at = np.where(inside, z, 0.0)
        s = _saddlepoint(weight, number, normal, at)
        step = 2 * s[:, None] * weight
        factor = 1 - step
        cumulant = -0.5 * (np.log1p(-step) + step) @ number + normal * s**2
        curvature = 2 * (weight**2 / factor**2) @ number + 2 * normal
        w = np.sign(s) * np.sqrt(np.maximum(2 * (s * at - cumulant), 0.0))
        u = s * np.sqrt(curvature)
        centre = np.abs(s) < _CENTRE
        w, u = np.where(centre, 1.0, w), np.where(centre, 1.0, u)
        # At the mean w and u vanish together; log(u / w) / w tends to a sixth of the skewness.
        root = np.where(centre, z - self.skewness * (z**2 - 1) / 6, w + np.log(u / w) / w)
        return np.where(inside, norm.sf(root), 1.0)

    def _terms(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Weights, how many chi-squared variables each has, and the variance / 2 of a normal variable."""
        one = np.ones(len(self.weights))
        square, cube = max(self.rest_square, 0.0), self.rest_cube
        if not square > 1e-12 * (self.weights**2).sum():
            return self.weights, one, 0.0
        if not cube > _SKEWED * square**1.5:
            return self.weights, one, square
        return np.append(self.weights, cube / square), np.append(one, square**3 / cube**2), 0.0


def _saddlepoint(weight: np.ndarray, number: np.ndarray, normal: float, z: np.ndarray) -> np.ndarray:
    """Where the derivative of the cumulant generating function is ``z``: shape of z."""
    low = np.full(len(z), -1e6)
    high = np.full(len(z), 0.5 / weight.max() * (1 - 1e-12) if len(weight) else 1e6)
    for _ in range(_STEPS):
        s = (low + high) / 2
        slope = (2 * s[:, None] * weight**2 / (1 - 2 * s[:, None] * weight)) @ number + 2 * normal * s
        above = slope > z
        high, low = np.where(above, s, high), np.where(above, low, s)
    return np.asarray((low + high) / 2)
