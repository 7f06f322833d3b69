r"""One-step estimates for cohorts: each term as a fixed effect, the rest of the genome as random effects.

With z the working response less the interactions that the model holds elsewhere, X the columns of all
sites, C the contrasts of a term with all of its lower-order terms, and F intercept and covariates,

.. math::
    z = F \gamma + C \beta + X u + e, \qquad u \sim N(0, \sigma^2 / \lambda), \quad e \sim N(0, \sigma^2 / w),

is a linear mixed model whose fixed effects are estimated by generalised least squares (Kang et al. 2008,
Genetics 178:1709). For the additive effects it undoes the shrinkage of ridge regression: the estimate is
the ridge coefficient over its reliability.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from genoattn.closed_form.product_basis import SiteSet, by_site_set
from genoattn.closed_form.ridge import RidgeRegression, Spectrum
from genoattn.interactions.estimates import Estimates
from genoattn.interactions.expansion import Expansion, Factors
from genoattn.interactions.proxies import Slot, factor_slots, isolated_factors
from genoattn.model.working_response import WorkingResponse
from genoattn.tokens import Vocabulary
from genoattn.tokens.gauge_centre import Gauge, gauge_centre

_BATCH_BYTES = 128e6
_SINGULAR = 1e-9


class MixedModel:
    """Generalised least-squares estimates of the terms of one cohort.

    An interaction that the model shares among linked sites is estimated for its lead alone, as if the
    proxies had none of it: samples that cannot tell them apart have no estimate of each. ``leads`` are sets
    of sites that stand for an interaction before any others of its factor. All terms are adjusted for the
    main effects of ``environments``, which are sites.

    From calls (n_samples, n_sites), int8, -1 where missing, covariates (n_samples, n_covariates), the working
    response at the fit, and ``interactions`` (n_samples,), the sum of the model's orders of 2 and above.
    """

    def __init__(
        self,
        factors: Factors,
        calls: np.ndarray,
        covariates: np.ndarray,
        working: WorkingResponse,
        interactions: np.ndarray,
        leads: Collection[SiteSet] = (),
        environments: Collection[int] = (),
    ) -> None:
        v = self._vocabulary = factors.vocabulary
        self._free = [_free_columns(v, site) for site in range(v.n_sites)]
        self._spread = np.sqrt(np.maximum(v.variance, 1e-12))
        self._columns = v.columns(calls) / self._spread
        mean_weight = float(working.weight.mean())
        self._root = np.sqrt(working.weight / mean_weight)
        self._total = working.total / mean_weight
        self._noise = None if working.dispersion is None else working.dispersion / mean_weight
        self._fixed = np.column_stack([np.ones(len(calls)), covariates])
        self._spectrum = Spectrum.of_columns(self._columns, self._root)
        self._response = (working.values - interactions) * self._root
        main = [Slot(frozenset([e]), e, self._columns[:, self._free[e][-1]]) for e in environments]
        self._slots = [*main, *factor_slots(factors, self._columns)]
        self._adjustments: dict[tuple[str, ...], _Adjustment] = {}
        self.penalty = self._regression([slot.value for slot in self._slots]).fit(self._response)[0]
        self._isolated = list(isolated_factors(factors, self._columns, leads))

    def estimates(self, terms: np.ndarray, coefficient: np.ndarray, gauge: Gauge) -> Estimates:
        """Effects of terms (n_terms, order) of one order, 1 or more; see :class:`Estimates`.

        ``coefficient`` (n_terms,) is the model's in the gauge: any for its highest order, ``frequency`` for
        lower ones.
        """
        effect, se = np.full(len(terms), np.nan), np.full(len(terms), np.nan)
        noise = np.full(len(terms), np.nan)
        centre = gauge_centre(self._vocabulary, gauge)
        base = coefficient if terms.shape[1] > 1 else np.zeros(len(terms))  # z holds all additive effects
        df = len(self._root)
        for sites, chosen, block in self._blocks(np.sort(terms, axis=1)):
            own = [iso for iso in self._isolated if sites in iso.sets]
            fitted = self._least_squares(block, [iso.value for iso in own])
            if fitted is None:
                continue
            beta, inverse, residual = fitted
            weights = self._weights(np.sort(terms[chosen], axis=1), sites, centre)
            width = weights.shape[1]
            shared = base[chosen]
            for iso in own:
                shared = shared - Expansion(iso.alone, gauge).coefficients(terms[chosen])
            effect[chosen] = shared + weights @ beta[-width:]
            noise[chosen] = residual if self._noise is None else self._noise
            own_inverse = inverse[-width:, -width:]
            if len(sites) == 1:
                own_inverse = own_inverse - self._as_random(sites[0]) / self.penalty
            variance = ((weights @ own_inverse) * weights).sum(axis=1) * noise[chosen]
            se[chosen] = np.sqrt(np.maximum(variance, 0.0))
            df = min(df, block.adjustment.df - len(beta))
        return Estimates.of(effect, se, df if self._noise is None else np.inf, noise / self._total)

    def proxies(self, terms: np.ndarray) -> np.ndarray:
        """Mask of the terms (n_terms, order) that share an interaction with a linked lead."""
        out = np.zeros(len(terms), dtype=bool)
        for sites, chosen in by_site_set(self._vocabulary.site[np.sort(terms, axis=1)]):
            out[chosen] = self._is_proxy(sites)
        return out

    def _is_proxy(self, sites: SiteSet) -> bool:
        leads = [iso.lead for iso in self._isolated if sites in iso.sets]
        return bool(leads) and sites not in leads

    def _blocks(self, terms: np.ndarray) -> Iterator[tuple[SiteSet, np.ndarray, _Block]]:
        """Each set of sites but proxies, with its terms and the contrasts of all its subsets, itself last."""
        groups = [g for g in by_site_set(self._vocabulary.site[terms]) if not self._is_proxy(g[0])]
        by_adjustment: dict[int, tuple[_Adjustment, list[tuple[SiteSet, np.ndarray]]]] = {}
        for group in groups:
            adjustment = self._adjustment(group[0])
            by_adjustment.setdefault(id(adjustment), (adjustment, []))[1].append(group)
        # Terms with the same adjustment are projected together, as many as the memory of a batch allows.
        widths = [int(np.prod([1 + len(self._free[s]) for s in sites])) for sites, _ in groups]
        each = max(1, int(_BATCH_BYTES / (8 * len(self._root) * max(widths, default=1))))
        for adjustment, alike in by_adjustment.values():
            for start in range(0, len(alike), each):
                batch = alike[start : start + each]
                contrasts = [self._contrasts(sites) for sites, _ in batch]
                parts = adjustment.ridge.project(np.concatenate(contrasts, axis=1), self.penalty)
                own = np.split(parts, np.cumsum([values.shape[1] for values in contrasts])[:-1], axis=1)
                for (sites, chosen), values, part in zip(batch, contrasts, own, strict=True):
                    yield sites, chosen, _Block(values, part, adjustment)

    def _adjustment(self, sites: SiteSet) -> _Adjustment:
        """Fixed effects for terms of some sites: intercept, covariates, and the slots of factors.

        The model has no penalty on additive effects along its factors. A term whose site is in a slot is
        adjusted for the slot's lead alone, and that of the lead itself not for the slot.
        """
        kept = tuple(slot.adjusts(sites) for slot in self._slots)
        if kept not in self._adjustments:
            slots = [
                slot.value if how == "slot" else self._columns[:, self._free[slot.lead]]
                for slot, how in zip(self._slots, kept, strict=True)
                if how
            ]
            ridge = self._regression(slots)
            projection = ridge.project(self._response[:, None], self.penalty)[:, 0]
            self._adjustments[kept] = _Adjustment(ridge, projection, len(self._root) - ridge.n_fixed)
        return self._adjustments[kept]

    def _regression(self, slots: list[np.ndarray]) -> RidgeRegression:
        fixed = np.column_stack([self._fixed, *slots]) * self._root[:, None]
        return RidgeRegression(self._spectrum, fixed)

    def _contrasts(self, sites: SiteSet) -> np.ndarray:
        """Products of the columns of every subset of sites, (n_samples, n_contrasts), weighted."""
        parts = []
        for size in range(1, len(sites) + 1):
            for subset in combinations(sites, size):
                for chosen in product(*(self._free[s].tolist() for s in subset)):
                    parts.append(self._columns[:, list(chosen)].prod(axis=1) * self._root)
        return np.stack(parts, axis=1) if parts else np.zeros((len(self._root), 0))

    def _weights(self, columns: np.ndarray, sites: SiteSet, centre: np.ndarray) -> np.ndarray:
        """Weight of each product of all sites in the coefficients of terms (n_terms, order)."""
        out = np.ones((len(columns), 1))
        for k, site in enumerate(sites):
            free = self._free[site]
            if self._vocabulary.is_dosage:
                part = np.ones((len(columns), len(free)))
            else:
                part = (columns[:, k, None] == free) - centre[free]
            out = (out[:, :, None] * (part / self._spread[free])[:, None, :]).reshape(len(columns), -1)
        return out

    def _as_random(self, site: int) -> np.ndarray:
        """Covariance, at unit penalty, of a site's own random effects in its contrasts, where it is fixed.

        A fixed effect that is random too is estimated as if it were only fixed, but varies by this much more.
        """
        free = self._free[site]
        effects = np.eye(len(free))
        if not self._vocabulary.is_dosage:  # the commonest state's column is less the sum of the others
            own = np.flatnonzero(self._vocabulary.site == site)
            commonest = own[np.argmax(self._vocabulary.mean[own])]
            effects = np.column_stack([effects, -self._spread[free] / self._spread[commonest]])
        return effects @ effects.T

    def _least_squares(
        self, block: _Block, added: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, float] | None:
        """Coefficients of a block, the inverse of its information at unit noise, and the noise."""
        y, projection = self._response, block.adjustment.projection
        if added:
            y = y + self._root * sum(added)
            projection = block.adjustment.ridge.project(y[:, None], self.penalty)[:, 0]
        information = block.values.T @ block.values - block.parts.T @ block.parts
        inner = block.values.T @ y - block.parts.T @ projection
        size = np.sqrt(np.maximum(information.diagonal(), 0.0))
        if not len(size) or not (size > 1e-6 * np.linalg.norm(block.values, axis=0)).all():
            return None
        correlation = information / size / size[:, None]
        if np.linalg.eigvalsh(correlation)[0] < _SINGULAR:
            return None
        inverse = np.linalg.inv(correlation) / size / size[:, None]
        beta = inverse @ inner
        residual = float(y @ y - projection @ projection - beta @ inner)
        return beta, inverse, max(residual, 0.0) / max(block.adjustment.df - len(beta), 1)


@dataclass(frozen=True, eq=False)
class _Adjustment:
    """Fixed effects that terms are adjusted for, and the projection of the response on all effects."""

    ridge: RidgeRegression
    projection: np.ndarray
    df: int


@dataclass(frozen=True, eq=False)
class _Block:
    """Contrasts (n_samples, n_contrasts), and their projection on fixed and random effects."""

    values: np.ndarray
    parts: np.ndarray
    adjustment: _Adjustment


def _free_columns(vocabulary: Vocabulary, site: int) -> np.ndarray:
    """Columns of a site that are estimated: its dosage, or all states that were seen but the commonest."""
    v = vocabulary
    own = np.arange(*np.searchsorted(v.site, (site, site + 1)))
    if not v.is_dosage:
        own = np.delete(own, np.argmax(v.mean[own]))
    return own[v.variance[own] > 0]
