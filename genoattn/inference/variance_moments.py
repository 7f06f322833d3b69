"""Variance components by the method of moments, with the normal theory of their quadratic forms.

Residuals of the phenotype ``e = M y``, M the projection off intercept and covariates, have the covariance
``M V M``, ``V = sum_k s_k K_k + s_e``. Products of *different* samples identify the components without the
diagonal of the kernels, and so without assumptions on the variance or the kurtosis of the noise (Haseman &
Elston 1972, Behav Genet 2:3; Golan, Lander & Rosset 2014, PNAS 111:E5272; for products of sites MQS, Crawford
et al. 2017, PLoS Genet 13:e1006869). With ``F_k`` the kernel less its diagonal, projected, less the multiple
of M that makes its trace zero, ``e' F_i e`` has the expectation ``sum_k s_k tr(F_i K_k)``, in which s_e has
dropped out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from genoattn.inference.variance_matrices import KernelMoments

_LEVEL, _POWER = 0.05, 0.8


@dataclass(frozen=True, eq=False)
class ComponentTest:
    """Estimate of one component.

    Parameters
    ----------
    estimate, se
        Share of the variance of the residuals, and its standard error.
    p_value
        One-sided, of a share of zero.
    detectable
        Smallest share that would be significant at 5 % with a probability of 80 %.
    """

    estimate: float
    se: float
    p_value: float
    detectable: float


@dataclass(frozen=True, eq=False)
class MomentFit:
    """Components of one phenotype.

    Parameters
    ----------
    moments
        Of the kernels.
    forms
        Shape (K,), ``e' F_k e``.
    variance
        Of the residuals, ``e'e / df``.
    fourth
        Mean fourth power of the residuals.
    noise
        Shape (K,), variance of the forms that is of random vectors; 0 where they are exact.
    """

    moments: KernelMoments
    forms: np.ndarray
    variance: float
    fourth: float
    noise: np.ndarray | float = 0.0

    @classmethod
    def of(
        cls,
        moments: KernelMoments,
        forms: np.ndarray,
        residual: np.ndarray,
        noise: np.ndarray | float = 0.0,
    ) -> MomentFit:
        """Of the forms of residuals (n_samples,) after regression on intercept and covariates."""
        variance = float(residual @ residual) / moments.df
        return cls(moments, forms, variance, float((residual**4).mean()), noise)

    def shares(self) -> np.ndarray:
        """Shares of the variance, as they are: shape (K,)."""
        return self._weights() @ self.forms / self.variance

    def covariance(self) -> np.ndarray:
        """Of the shares, with the estimates plugged in, see :meth:`components`: shape (K, K)."""
        return self._covariance(self.components())

    def components(self, without: int | None = None) -> np.ndarray:
        """The s_k for V, shrunk by their own noise, that of ``without`` as 0: shape (K,).

        Positive-part shrinkage by ``1 - (noise / estimate)^2``: an estimate that is noise, as of products of
        many sites, must not stand for the variance of a trait.
        """
        use = np.ones(len(self.forms), dtype=bool)
        if without is not None:
            use[without] = False
        out = np.zeros(len(use))
        if use.any():
            part = np.ix_(use, use)
            inverse = np.linalg.inv(self.moments.expected[part])
            found = inverse @ self.forms[use]
            noise = 2 * self.variance**2 * np.diag(inverse @ self.moments.two[part] @ inverse.T)
            out[use] = np.where(found > 0, found - noise / np.maximum(found, 1e-300), 0.0).clip(0.0)
        total = float(out @ self.moments.mean)
        return out * min(1.0, self.variance / total) if total > 0 else out

    def test(self, index: int) -> ComponentTest:
        """Estimate, standard error, test and power of one component."""
        estimate = float(self.shares()[index])
        se = float(np.sqrt(self.covariance()[index, index]))
        null = self.components(without=index)
        spread, skewness = self._null(index, null)
        p_value = tail(estimate / spread, skewness)
        return ComponentTest(estimate, se, p_value, self._detectable(index, null, spread, skewness))

    def _weights(self) -> np.ndarray:
        """Shape (K, K): shares are these times the forms, over the variance."""
        return self.moments.mean[:, None] * np.linalg.inv(self.moments.expected)

    def _form_covariance(self, components: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Covariance of the forms (K, K), theirs with ``e'e / df`` (K,), and the variance of that.

        ``2 tr(F_i V F_j V)`` for a normal phenotype, V being the total variance times M plus ``sum s_k F_k``.
        The forms have no squares of a sample, so that the kurtosis of independent noise enters ``e'e`` alone.
        """
        m, d, s = self.moments, self.variance, components
        forms = 2 * (
            d * d * m.two
            + 2 * d * np.einsum("ijk,k->ij", m.three, s)
            + np.einsum("ikjl,k,l->ij", m.four, s, s)
        )
        mixed = 2 * (2 * d * m.two @ s + np.einsum("ijk,j,k->i", m.three, s, s)) / m.df
        forms += np.diag(np.broadcast_to(self.noise, len(s)))
        total = (max(self.fourth - d * d, 0.0) / m.df) + 2 * s @ m.two @ s / m.df**2
        return forms, mixed, total

    def _covariance(self, components: np.ndarray) -> np.ndarray:
        """Of the shares when these are the s_k: ratios of forms to a variance that is estimated too."""
        forms, mixed, total = self._form_covariance(components)
        w = self._weights() / self.variance
        share = components * self.moments.mean / self.variance
        cross = np.outer(w @ mixed / self.variance, share)
        out: np.ndarray = (
            w @ forms @ w.T - cross - cross.T + np.outer(share, share) * total / self.variance**2
        )
        return out

    def _null(self, index: int, components: np.ndarray) -> tuple[float, float]:
        """Standard deviation and skewness of the share of a component whose s_k is 0.

        The third cumulant of ``e'Ge`` is ``8 tr((G V)^3)``, of which powers of the s_k above the first are
        left out.
        """
        m, d = self.moments, self.variance
        g = self._weights()[index] / d
        spread = float(np.sqrt(self._covariance(components)[index, index]))
        third = 8 * d**3 * np.einsum("ijk,i,j,k", m.three, g, g, g)
        third += 24 * d**2 * np.einsum("ijkl,i,j,k,l", m.four, g, g, g, components)
        return spread, float(third / spread**3)

    def _detectable(self, index: int, null: np.ndarray, spread: float, skewness: float) -> float:
        """Smallest share found at 5 % with 80 % power: the variance of the estimate grows with it."""
        critical = critical_value(_LEVEL, skewness) * spread
        quantile = float(stats.norm.ppf(_POWER))
        share = critical + quantile * spread
        for _ in range(20):
            components = null.copy()
            components[index] = share * self.variance / self.moments.mean[index]
            before = share
            share = critical + quantile * float(np.sqrt(self._covariance(components)[index, index]))
            if not share < 10:
                return float("inf")
            if abs(share - before) < 1e-4 * share:
                break
        return share


def tail(statistic: float, skewness: float) -> float:
    """Upper tail of a standardised quadratic form, by a chi-square variable as skewed (Pearson 1959)."""
    if abs(skewness) < 1e-4:
        return float(stats.norm.sf(statistic))
    return float(stats.pearson3.sf(statistic, skewness))


def critical_value(level: float, skewness: float) -> float:
    """The value that a standardised quadratic form exceeds with probability ``level``."""
    return float(stats.pearson3.isf(level, skewness if abs(skewness) >= 1e-4 else 0.0))
