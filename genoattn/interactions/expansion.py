"""Coefficients of attention factors in any gauge, and their variance components, in closed form.

Every order of a model is an interaction table of attention (:class:`genoattn.attention.GaugedTable`) over its
columns: the sum over distinct sites of products of factors, of one factor where they are tied. What is added
here is the centre of each gauge, for states and for dosages, and the sum over orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING

import numpy as np

from genoattn.attention import GaugedTable, ProductTerms
from genoattn.attention.symmetric_terms import SymmetricTerms
from genoattn.tokens import Vocabulary
from genoattn.tokens.gauge_centre import Gauge, gauge_centre

if TYPE_CHECKING:
    import pandas as pd


_DRAWS = 4000  # random sequences, for shares of the variance to about a fiftieth


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
    product: ProductFactors | None = None  # in place of the others

    @property
    def order(self) -> int:
        """The largest order, of a product of all orders that of its table."""
        return max(self.factors, default=1) if self.product is None else self.product.order


@dataclass(frozen=True, eq=False)
class ProductFactors:
    """A sum over reference sequences of products over sites: all orders, of which a table lists the lower."""

    values: np.ndarray  # (n_columns, n_ranks), positive
    weights: np.ndarray  # (n_ranks,)
    order: int  # largest of a table


class Expansion:
    """Coefficients of a model in one gauge."""

    def __init__(self, factors: Factors, gauge: Gauge) -> None:
        self.model, self.gauge = factors, gauge
        self.vocabulary = factors.vocabulary
        self.centre = gauge_centre(self.vocabulary, gauge)
        self.additive, self._additive_mean = self._split(factors.additive)
        self.tables = {order: self._table(order) for order in factors.factors}
        self.product = None
        if factors.product is not None:
            values, weights = factors.product.values, factors.product.weights
            self.product = ProductTerms(values, weights, self.vocabulary.site, self.centre)

    @property
    def orders(self) -> tuple[int, ...]:
        """Orders of 2 and above that a table has, ascending."""
        return (
            tuple(range(2, self.model.order + 1)) if self.product is not None else tuple(sorted(self.tables))
        )

    def component(self, order: int) -> SymmetricTerms:
        """The interactions of an order that its own factors make: in the frequency gauge all of them."""
        source = self.tables[order] if self.product is None else self.product
        return source.component(order)

    def _table(self, order: int) -> GaugedTable:
        """The terms of the factors of one order."""
        v, values, weight = self.vocabulary, self.model.factors[order], self.model.weights[order]
        parts = []
        for slot in range(values.shape[1]):
            deviation, mean = self._split(values[:, slot])
            parts.append((mean.T[:, :, None].copy(), deviation.T[:, :, None].copy()))  # (.., rank, channel)
        if len(parts) == 1:  # a sum over sets of sites, where that of a table is over ordered ones
            parts, weight = parts * order, weight / factorial(order)
        means, deviations = zip(*parts, strict=True)
        moment = v.variance if v.is_dosage else v.mean
        return GaugedTable(self.gauge, means, deviations, v.site, moment, weight[:, None])

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
        if self.product is not None:
            return np.ones((1, 1, self.vocabulary.n_sites), dtype=bool)
        slots = self.tables[order].deviations[: self.model.factors[order].shape[1]]
        on = [np.add.reduceat(slot[:, :, 0] != 0, self.vocabulary.first, axis=0) for slot in slots]
        return np.stack(on).transpose(2, 0, 1)

    def coefficients(self, columns: np.ndarray) -> np.ndarray:
        """Coefficient of each term: shape (n_terms,), in phenotype units (log-odds for a binary trait).

        ``columns``: (n_terms, order), indices at distinct sites; order 0 is the intercept.
        """
        n_terms, size = columns.shape
        total = np.zeros(n_terms)
        if self.product is not None:
            return self.product.coefficients(columns) + (self.model.intercept if size == 0 else 0.0)
        if size == 0:
            total += self.model.intercept + self._additive_mean.sum()
        elif size == 1:
            total += self.additive[columns[:, 0]]
        for order, table in self.tables.items():
            # Factors centred at the frequencies have gauge means of zero: a higher order adds nothing.
            if order < size or (self.gauge == "frequency" and size < order):
                continue
            total += table.component(size).coefficients(columns)[:, 0] if size else table.intercept[0]
        return total


def variance_components(factors: Factors) -> dict[int | str, float]:
    """Variance that each order of the model contributes if sites are independent at the training frequencies.

    Returns
    -------
    Variance in squared phenotype units, by order from 1 up. Of a product of all orders over random sequences,
    those above its table's together as ``higher``.
    """
    v = factors.vocabulary
    expansion = Expansion(factors, "frequency")
    if expansion.product is not None:
        found = expansion.product.variances(factors.order, _DRAWS, seed=0)
        return {**dict(enumerate(found[:-1].tolist(), 1)), "higher": float(found[-1])}
    # Of a centred dosage column the second moment is its variance, of centred state values the frequency.
    moment = v.variance if v.is_dosage else v.mean
    components: dict[int | str, float] = {1: float((expansion.additive**2 * moment).sum())}
    for order, table in sorted(expansion.tables.items()):
        components[order] = float(table.component(order).variance()[0])
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
