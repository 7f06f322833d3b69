"""Unshrunken estimates of coefficients, with their tests: one row, one quantity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np
from scipy.special import stdtr

from genoattn.interactions.descriptions import Descriptions
from genoattn.interactions.expansion import Expansion
from genoattn.interactions.terms import count_terms
from genoattn.tokens.gauge_centre import Gauge


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates of the coefficients of one order in one gauge; every array has shape (n_terms,).

    Parameters
    ----------
    effect
        Unshrunken estimate of the coefficient, in its units; NaN where the data do not determine it.
    p_value
        Two-sided, of ``effect / se``: Student's t, or normal where the dispersion is known.
    variance_explained
        Share of the phenotype's variance (under a link or another likelihood: of the weighted variance of the
        working response) by which the residual grows without the term.
    coefficient_sd
        Posterior standard deviation of the model's coefficient, or over an ensemble; NaN without either.
    """

    effect: np.ndarray
    se: np.ndarray
    p_value: np.ndarray
    variance_explained: np.ndarray
    coefficient_sd: np.ndarray

    @staticmethod
    def of(effect: np.ndarray, se: np.ndarray, df: float, noise: float | np.ndarray) -> Estimates:
        """Estimates from effects and standard errors; NaN where one is not finite, or ``df`` not positive.

        Parameters
        ----------
        effect, se
            Shape (n_terms,).
        noise
            Residual variance as a share of the total sum of squares: one for all terms, or shape (n_terms,).
        """
        usable = np.isfinite(effect) & np.isfinite(se) & (se > 0) & (df > 0)
        effect, se = np.where(usable, effect, np.nan), np.where(usable, se, np.nan)
        statistic = effect / se
        p_value = 2 * stdtr(min(max(df, 1.0), 1e12), -np.abs(statistic))
        explained = np.minimum(statistic**2 * noise, 1.0)
        return Estimates(effect, se, p_value, explained, np.full(len(effect), np.nan))

    @staticmethod
    def none(n_terms: int) -> Estimates:
        """No estimates."""
        return Estimates(*(np.full(n_terms, np.nan) for _ in fields(Estimates)))

    @property
    def statistic(self) -> np.ndarray:
        """``effect / se``."""
        return self.effect / self.se

    def select(self, index: np.ndarray) -> Estimates:
        """The rows of the terms at ``index`` (integers or a boolean mask)."""
        return Estimates(*(getattr(self, f.name)[index] for f in fields(Estimates)))

    def only(self, kept: np.ndarray) -> Estimates:
        """The same, untested where ``kept`` (n_terms,) is false."""
        values = {f.name: np.where(kept, getattr(self, f.name), np.nan) for f in fields(Estimates)}
        return Estimates(**(values | {"coefficient_sd": self.coefficient_sd}))

    def with_sd(self, deviation: np.ndarray) -> Estimates:
        """The same, with the standard deviation of the model's coefficients."""
        return replace(self, coefficient_sd=deviation)


@dataclass(frozen=True, eq=False)
class Claims:
    """Claims of inference about the terms of an order, in place of their own p-values.

    Parameters
    ----------
    q_value
        Shape (n_terms,), of the signal that a term belongs to; 1 where it belongs to none.
    phantom
        Shape (n_terms,), whether that signal vanishes when adjusted for the additive variation around its
        sites.
    """

    q_value: np.ndarray
    phantom: np.ndarray


@dataclass(frozen=True, eq=False)
class TestedTerms:
    """Terms of a model with their estimates in every gauge.

    Parameters
    ----------
    terms
        For each order shape (n_terms, order), column indices.
    descriptions
        For each order what no gauge changes: samples, frequency, linkage.
    method, reason
        How the estimates were made, and why so.
    untested
        For each gauge why rows of some orders have no test; empty where all have.
    proxies
        For orders of 2 and above, which terms only share the interaction of a linked lead: (n_terms,), bool.
    claims
        For the orders that inference has looked at.
    """

    terms: Mapping[int, np.ndarray]
    descriptions: Mapping[int, Descriptions]
    estimates: Mapping[Gauge, Mapping[int, Estimates]]
    method: str
    reason: str
    untested: Mapping[Gauge, str] = field(default_factory=dict)
    proxies: Mapping[int, np.ndarray] = field(default_factory=dict)
    claims: Mapping[int, Claims] = field(default_factory=dict)

    def n_tests(self, expansion: Expansion) -> dict[int, int]:
        """For each order the number of terms that could have been reported in the gauge."""
        return {order: count_terms(expansion.vocabulary, order, expansion.gauge) for order in self.terms}
