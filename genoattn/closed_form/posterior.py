"""Posterior of the coefficients of a landscape in any gauge, from that of products of contrasts."""

from dataclasses import dataclass

import numpy as np

from genoattn.closed_form.product_basis import ProductBasis
from genoattn.tokens.gauge_centre import Gauge

_BLOCK = 1024
_NO_PRIOR = 1e200  # stands for an infinite variance, whose products with zero are none


@dataclass(frozen=True, eq=False)
class Posterior:
    """A Gaussian over the weights of products of contrasts."""

    basis: ProductBasis  # the products, their contrasts zero at the training means
    # (n_products,) and (n_products, n_products); phenotype units
    mean: np.ndarray
    covariance: np.ndarray
    # (order,), variance of the weights of each order before the data were seen; infinite without one
    prior: np.ndarray

    @property
    def degrees(self) -> float:
        """Effective degrees of freedom of the weights."""
        return float((1 - self.covariance.diagonal() / self.prior[self.basis.order_of - 1]).sum())

    @property
    def is_proper(self) -> bool:
        """Whether there was a prior, so that no coefficient is without an estimate."""
        return bool(np.isfinite(self.prior).all())

    def moments(self, columns: np.ndarray, gauge: Gauge) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation (n_terms,) of the coefficients of terms (n_terms, order), order 1 or more."""
        mean, variance, _ = self._moments(columns, gauge)
        return mean, np.sqrt(variance)

    def unshrunken(self, columns: np.ndarray, gauge: Gauge) -> tuple[np.ndarray, np.ndarray]:
        r"""Estimate (n_terms,) of each coefficient without its own prior, and its standard error.

        A coefficient with prior variance :math:`\tau^2` and a posterior of mean m and variance s² has the
        likelihood of one with estimate :math:`m / \rho` and variance :math:`s^2 / \rho`, where :math:`\rho =
        1 - s^2 / \tau^2` is its reliability: generalised least squares with all other coefficients as random
        effects. NaN where the data say nothing of a coefficient.
        """
        return without_prior(*self._moments(columns, gauge))

    def prediction_deviation(self, calls: np.ndarray) -> np.ndarray:
        """Posterior standard deviation (n_samples,) of the latent phenotype of calls (n_samples, n_sites).

        The intercept and the effects of covariates are taken as known: they are estimated from all samples.
        Measurement noise is not in it.
        """
        spread = np.zeros(len(calls))
        for start in range(0, len(calls), _BLOCK):
            rows = self.basis.values(self.basis.entity(calls[start : start + _BLOCK]))
            variance = ((rows @ self.covariance) * rows).sum(axis=1)
            spread[start : start + _BLOCK] = np.sqrt(np.maximum(variance, 0.0))
        return spread

    def _moments(self, columns: np.ndarray, gauge: Gauge) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance and prior variance of each coefficient."""
        mean, variance, prior = (np.zeros(len(columns)) for _ in range(3))
        before = np.minimum(self.prior, _NO_PRIOR)[self.basis.order_of - 1]
        for terms, products, rows in self.basis.coefficient_rows(columns, gauge):
            mean[terms] = rows @ self.mean[products]
            square = ((rows @ self.covariance[np.ix_(products, products)]) * rows).sum(axis=1)
            variance[terms] = np.maximum(square, 0.0)
            prior[terms] = rows**2 @ before[products]
        return mean, variance, prior


def without_prior(mean: np.ndarray, variance: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and standard errors of which posteriors are what they are under priors; all (n_terms,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        reliability = 1 - variance / prior
        known = reliability > 1e-6
        effect, se = mean / reliability, np.sqrt(variance / reliability)
    return np.where(known, effect, np.nan), np.where(known, se, np.nan)
