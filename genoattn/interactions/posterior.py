"""Posterior deviation of coefficients in any gauge, from the posterior of the products of a landscape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoattn.interactions.expansion import gauge_centre
from genoattn.tokens import Vocabulary

_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Posterior:
    """A Gaussian over the weights of products of contrasts.

    Parameters
    ----------
    vocabulary
        The columns, whose training means centre the contrasts.
    contrasts
        Shape (n_columns, n_contrasts), before centring; for dosages per unit of dosage.
    members
        For each order from 1 up shape (n_products, order), indices of contrasts.
    mean, covariance
        Shapes (n_products,) and (n_products, n_products), the orders one after another; phenotype units.
    """

    vocabulary: Vocabulary
    contrasts: np.ndarray
    members: tuple[np.ndarray, ...]
    mean: np.ndarray
    covariance: np.ndarray

    def moments(self, columns: np.ndarray, gauge: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the coefficient of each term.

        A coefficient is linear in the weights: a product counts if it has a contrast at each site of the
        term, with the deviations of the term's states from the gauge's mean at those sites, and the gauge's
        means at its other sites.

        Parameters
        ----------
        columns
            Shape (n_terms, order), order 1 or more.
        gauge
            ``reference``, ``zero-sum`` or ``frequency``.

        Returns
        -------
        Two arrays, each (n_terms,).
        """
        deviation, level = self._split(gauge)
        mean, spread = np.zeros(len(columns)), np.zeros(len(columns))
        for start in range(0, len(columns), _BLOCK):
            rows = self._rows(columns[start : start + _BLOCK], deviation, level)
            mean[start : start + _BLOCK] = rows @ self.mean
            variance = ((rows @ self.covariance) * rows).sum(axis=1)
            spread[start : start + _BLOCK] = np.sqrt(np.maximum(variance, 0.0))
        return mean, spread

    def prediction_deviation(self, calls: np.ndarray) -> np.ndarray:
        """Standard deviation of the latent phenotype of samples: that of a sum of products known so far.

        The intercept and the effects of covariates are taken as known: they are estimated from all samples.

        Parameters
        ----------
        calls
            Shape (n_samples, n_sites), int8, -1 where missing.

        Returns
        -------
        Shape (n_samples,), in units of the latent phenotype; measurement noise is not in it.
        """
        v = self.vocabulary
        spread = np.zeros(len(calls))
        for start in range(0, len(calls), _BLOCK):
            columns = np.where(v.variance > 0, v.columns(calls[start : start + _BLOCK]), 0.0)
            entity = columns @ self.contrasts  # (sample, contrast)
            rows = np.concatenate([entity[:, members].prod(axis=2) for members in self.members], axis=1)
            variance = ((rows @ self.covariance) * rows).sum(axis=1)
            spread[start : start + _BLOCK] = np.sqrt(np.maximum(variance, 0.0))
        return spread

    def _split(self, gauge: str) -> tuple[np.ndarray, np.ndarray]:
        """Deviation of each contrast at each column (n_columns, n_contrasts), and its mean (n_contrasts,)."""
        v = self.vocabulary
        centre = gauge_centre(v, gauge)  # type: ignore[arg-type]
        if v.is_dosage:
            return self.contrasts, (centre - v.mean) @ self.contrasts
        level = (centre - v.mean) @ self.contrasts
        at_site = self._site_of_contrast()[None, :] == v.site[:, None]
        return np.where(at_site, self.contrasts - centre @ self.contrasts, 0.0), level

    def _site_of_contrast(self) -> np.ndarray:
        return self.vocabulary.site[np.abs(self.contrasts).argmax(axis=0)]

    def _rows(self, columns: np.ndarray, deviation: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Weight of each product in the coefficient of each term: (n_terms, n_products)."""
        site = self._site_of_contrast()
        own = (site[None, None, :] == self.vocabulary.site[columns][:, :, None]).any(
            axis=1
        )  # (term, contrast)
        value = np.where(own, deviation[columns].sum(axis=1), level)
        parts = []
        for members in self.members:
            product = value[:, members].prod(axis=2)
            covered = own[:, members].sum(axis=2) == columns.shape[1]
            parts.append(np.where(covered, product, 0.0))
        return np.concatenate(parts, axis=1)
