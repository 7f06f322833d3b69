"""Coefficients of attention factors in any gauge, and their variance components, in closed form.

Write the factor of slot m at site l as ``u = mbar + c``, with ``mbar`` its mean under the gauge's
distribution of states and ``c`` the rest. Expanding the product over distinct sites, the coefficient of a
term T is

``sum_r lambda_r sum over assignments s of T's tokens to slots of prod_t c_(r s(t))(t) * D(mbar of the
other slots, sites not in T)``

with D the sum over ordered distinct sites, by inclusion-exclusion over set partitions from block sums from
which T's own sites are taken away. With tied factors this is ``lambda_r prod_t c_tr e_(n-|T|)(mbar_lr : l
not in T)``. No table over all states is ever built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np

from genoattn.attention.partitions import distinct_sum
from genoattn.attention.symmetric_terms import SymmetricTerms
from genoattn.tokens import Vocabulary
from genoattn.tokens.gauge_centre import Gauge, gauge_centre

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Factors:
    """Parameters of a fitted readout, in float64 and in phenotype units.

    ``known`` (n_columns,), bool, are the columns that have parameters, by default those that vary in
    training; the others count as the mean of their site.
    """

    vocabulary: Vocabulary
    intercept: float  # order 0 in the frequency gauge
    additive: np.ndarray  # (n_columns,), per unit of dosage, or per state up to a constant within a site
    factors: Mapping[int, np.ndarray]  # of orders 2 and above (n_ranks, n_slots, n_columns); 1 slot if tied
    weights: Mapping[int, np.ndarray]  # (n_ranks,)
    known: np.ndarray | None = None

    @property
    def order(self) -> int:
        """The largest order."""
        return max(self.factors, default=1)


class Expansion:
    """Coefficients of a model in one gauge."""

    def __init__(self, factors: Factors, gauge: Gauge) -> None:
        self.model, self.gauge = factors, gauge
        self.vocabulary = factors.vocabulary
        self.centre = gauge_centre(self.vocabulary, gauge)
        self._additive = self._split(factors.additive)
        self._parts = {order: self._split(values) for order, values in factors.factors.items()}

    def _split(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Deviations c (..., column) and gauge means mbar (..., site) of factors centred in training."""
        v = self.vocabulary
        if v.is_dosage:
            return values, values * (self.centre - v.mean)
        # As in the readout, a state that no training sample has counts as the mean of its site.
        known = v.variance > 0 if self.model.known is None else self.model.known
        centred = np.where(known, values - v.site_mean(values, v.mean)[..., v.site], 0.0)
        if self.gauge == "frequency":
            return centred, np.zeros((*values.shape[:-1], v.n_sites))
        mean = v.site_mean(centred, self.centre)
        return centred - mean[..., v.site], mean

    def active_sites(self, order: int) -> np.ndarray:
        """Whether each slot of each rank is non-zero at each site: shape (n_ranks, n_slots, n_sites)."""
        deviation, _ = self._parts[order]
        v = self.vocabulary
        return np.add.reduceat(deviation != 0, v.first, axis=-1) > 0

    def products(self, order: int) -> list[np.ndarray]:
        """One array (column, rank) for each column of a term: products that add up to its coefficient.

        Of the terms of the order in the ranks of the same order, whatever the gauge.
        """
        deviation, _ = self._parts[order]
        slots = [slot.T[:, :, None] for slot in deviation.swapaxes(0, 1)]  # (column, rank, 1)
        weighted = [slots[0] * self.model.weights[order][:, None], *slots[1:]]
        if len(slots) == 1:
            return [part[:, :, 0] for part in weighted + slots * (order - 1)]
        return SymmetricTerms(tuple(weighted), self.vocabulary.site, self.vocabulary.mean).axes()

    def coefficients(self, columns: np.ndarray) -> np.ndarray:
        """Coefficient of each term: shape (n_terms,), in phenotype units (log-odds for a binary trait).

        ``columns``: (n_terms, order), indices at distinct sites; order 0 is the intercept.
        """
        n_terms, size = columns.shape
        out = np.zeros(n_terms)
        for start in range(0, n_terms, _BLOCK):
            block = columns[start : start + _BLOCK]
            total = np.zeros(len(block))
            if size == 0:
                total += self.model.intercept + self._additive[1].sum()
            elif size == 1:
                total += self._additive[0][block[:, 0]]
            for order in self.model.factors:
                if order >= size:
                    total += self._component(order, block)
            out[start : start + _BLOCK] = total
        return out

    def _component(self, order: int, columns: np.ndarray) -> np.ndarray:
        """Contribution of the ranks of one order to the coefficients of a block of terms."""
        deviation, mean = self._parts[order]
        weight = self.model.weights[order]
        size = columns.shape[1]
        # Factors centred at the frequencies have gauge means of zero: a higher order adds nothing.
        if self.gauge == "frequency" and size < order:
            return np.zeros(len(columns))
        sites = self.vocabulary.site[columns]
        if deviation.shape[1] == 1 and order > 1:
            product = deviation[:, 0][:, columns].prod(axis=-1)  # (rank, term)
            rest = self._rest(mean, (0,) * (order - size), sites)
            return weight @ (product * rest) / factorial(order - size)
        total = np.zeros((len(weight), len(columns)))
        for slots in combinations(range(order), size):
            others = tuple(s for s in range(order) if s not in slots)
            assigned = sum(
                np.prod([deviation[:, s][:, columns[:, k]] for k, s in enumerate(chosen)], axis=0)
                for chosen in permutations(slots)
            )
            total += assigned * self._rest(mean, others, sites)
        return weight @ total

    @staticmethod
    def _rest(mean: np.ndarray, slots: tuple[int, ...], sites: np.ndarray) -> np.ndarray:
        """Sum over distinct sites outside each term of the product of gauge means: (rank, term)."""
        if not slots:
            return np.ones((mean.shape[0], len(sites)))
        blocks = {}
        for size in range(1, len(slots) + 1):
            for block in combinations(range(len(slots)), size):
                product = np.prod([mean[:, slots[k]] for k in block], axis=0)  # (rank, site)
                blocks[block] = product.sum(axis=-1)[:, None] - product[:, sites].sum(axis=-1)
        return distinct_sum(blocks, len(slots))


def variance_components(factors: Factors) -> dict[int, float]:
    """Variance that each order of the model contributes if sites are independent at the training frequencies.

    For order n with centred factors f it is the sum over ranks r, s and permutations p of the slots of
    ``lambda_r lambda_s D(m -> sum_a freq(a) f_rm(a) f_sp(m)(a))``, D the sum over distinct sites; with
    tied factors ``sum_rs lambda_r lambda_s e_n(sum_a freq(a) u_r(a) u_s(a))``.

    Returns
    -------
    Variance in squared phenotype units, by order from 1 up.
    """
    v = factors.vocabulary
    expansion = Expansion(factors, "frequency")
    # Of a centred dosage column the second moment is its variance, of centred state values the frequency.
    moment = v.variance if v.is_dosage else v.mean
    components = {1: float((expansion._additive[0] ** 2 * moment).sum())}
    for order in sorted(factors.factors):
        centred = expansion._parts[order][0]
        weight = factors.weights[order]
        total = 0.0
        for r in range(len(weight)):  # one rank at a time bounds memory at ranks x slots^2 x sites
            total += weight[r] * float(weight @ _covariance(centred[r], centred, moment, expansion, order))
        components[order] = total
    return components


def variance_table(factors: Factors, of_phenotype: float | None) -> pd.DataFrame:
    """Table of variances by order: ``variance``, its share of the model's, and of the phenotype's.

    ``of_phenotype`` is None where the coefficients are in other units.
    """
    import pandas as pd

    components = variance_components(factors)
    frame = pd.DataFrame({"order": list(components), "variance": list(components.values())})
    frame["share_of_model"] = frame["variance"] / (sum(components.values()) or 1.0)
    if of_phenotype is not None:
        frame["share_of_phenotype"] = frame["variance"] / of_phenotype
    return frame


def _covariance(
    one: np.ndarray, many: np.ndarray, moment: np.ndarray, expansion: Expansion, order: int
) -> np.ndarray:
    """Covariance of one rank with every rank: shape (n_ranks,)."""
    v = expansion.vocabulary
    # Shape (n_ranks, slot of `one`, slot of `many`, n_sites).
    gram = v.site_mean(one[None, :, None, :] * many[:, None, :, :], moment)
    if one.shape[0] == 1:
        return distinct_sum(_blocks([gram[:, 0, 0]] * order), order) / factorial(order)
    total = np.zeros(len(many))
    for matching in permutations(range(order)):
        total += distinct_sum(_blocks([gram[:, m, k] for m, k in enumerate(matching)]), order)
    return total


def _blocks(values: list[np.ndarray]) -> dict[tuple[int, ...], np.ndarray]:
    """Sums over sites (last axis) of the product of every subset of some arrays, by the subset."""
    return {
        block: np.prod([values[k] for k in block], axis=0).sum(axis=-1)
        for size in range(1, len(values) + 1)
        for block in combinations(range(len(values)), size)
    }
