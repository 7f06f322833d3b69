"""Unshrunken estimates of coefficients, with their tests: one row, one quantity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from scipy.special import stdtr

from genoattn.interactions.descriptions import Descriptions
from genoattn.interactions.expansion import Expansion
from genoattn.interactions.terms import count_terms
from genoattn.tokens.gauge_centre import Gauge


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates of the coefficients of one order in one gauge; every array has shape (n_terms,).

    ``variance_explained`` is the share of the phenotype's variance (under a link or another likelihood: of
    the weighted variance of the working response) by which the residual grows without the term.
    """

    effect: np.ndarray  # unshrunken, in units of the coefficient; NaN where the data do not determine it
    se: np.ndarray
    p_value: np.ndarray  # two-sided, of effect / se: Student's t, or normal where the dispersion is known
    variance_explained: np.ndarray
    coefficient_sd: np.ndarray  # of the model's, posterior or over an ensemble; NaN without either

    @staticmethod
    def of(effect: np.ndarray, se: np.ndarray, df: float, noise: float | np.ndarray) -> Estimates:
        """Estimates from effects and standard errors; NaN where one is not finite, or ``df`` not positive.

        ``noise``: residual variance as a share of the total sum of squares, for all terms or (n_terms,).
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


@dataclass(frozen=True, eq=False)
class Claims:
    """Claims of inference about the terms of an order, (n_terms,), in place of their own p-values."""

    q_value: np.ndarray  # of the signal in whose credible set a term is; 1 where it is in none
    phantom: np.ndarray  # that signal vanishes when adjusted for the additive variation around its sites
    place: np.ndarray  # in the ranking of all pairs, from 0; infinite beyond its end


@dataclass(frozen=True, eq=False)
class TestedTerms:
    """Terms of a model by order, with their estimates in every gauge.

    ``proxies`` are, for orders of 2 and above, the terms that only share the interaction of a linked lead:
    (n_terms,), bool.
    """

    terms: Mapping[int, np.ndarray]  # (n_terms, order), column indices
    descriptions: Mapping[int, Descriptions]
    estimates: Mapping[Gauge, Mapping[int, Estimates]]
    method: str
    reason: str  # for the method
    untested: Mapping[Gauge, str] = field(default_factory=dict)  # why some rows have no test
    proxies: Mapping[int, np.ndarray] = field(default_factory=dict)
    claims: Mapping[int, Claims] = field(default_factory=dict)  # for orders that inference has looked at
    signals: str = ""  # why inference has not looked at pairs of genotypes, which then have no q-values

    def n_tests(self, expansion: Expansion) -> dict[int, int]:
        """For each order the number of terms that could have been reported in the gauge."""
        return {order: count_terms(expansion.vocabulary, order, expansion.gauge) for order in self.terms}
