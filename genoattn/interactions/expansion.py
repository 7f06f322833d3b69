"""Coefficients of attention factors in any gauge, in closed form.

Write the factor of slot m at site l as ``u = mbar + c``, with ``mbar`` its mean under the gauge's
distribution of states and ``c`` the rest. Expanding the product over distinct sites, the coefficient of a
term T is

``sum_r lambda_r sum over assignments s of T's tokens to slots of prod_t c_(r s(t))(t) * D(mbar of the
other slots, sites not in T)``

with D the sum over ordered distinct sites, by inclusion-exclusion over set partitions from block sums from
which T's own sites are taken away. With tied factors this is ``lambda_r prod_t c_tr e_(n-|T|)(mbar_lr : l
not in T)``. No table over all states is ever built.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from math import factorial

import numpy as np

from genoattn.attention.partitions import distinct_sum
from genoattn.tokens import Vocabulary
from genoattn.tokens.gauge_centre import Gauge, gauge_centre

_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Factors:
    """Parameters of a fitted readout, in float64 and in phenotype units.

    Parameters
    ----------
    intercept
        Order 0 in the frequency gauge.
    additive
        Shape (n_columns,). Per unit of dosage, or per state (any constant within a site is immaterial).
    factors
        For each order of 2 and above shape (n_ranks, n_slots, n_columns); one slot where factors are tied.
    weights
        For each order shape (n_ranks,).
    known
        Shape (n_columns,), bool: the columns that have parameters; the others count as the mean of their
        site. By default those that vary in training.
    """

    vocabulary: Vocabulary
    intercept: float
    additive: np.ndarray
    factors: Mapping[int, np.ndarray]
    weights: Mapping[int, np.ndarray]
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

    def coefficients(self, columns: np.ndarray) -> np.ndarray:
        """Coefficient of each term: shape (n_terms,), in phenotype units (log-odds for a binary trait).

        Parameters
        ----------
        columns
            Shape (n_terms, order), indices of columns at distinct sites; order 0 is the intercept.
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
