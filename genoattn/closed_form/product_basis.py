r"""Products of contrasts of sites: the basis in which every model of few sites is linear.

A contrast is a function of one site; a product of contrasts at the sites of a set S is a function of S. With
:math:`\theta_S` the weight of a product, :math:`m_c` the mean of a contrast under the gauge's distribution of
states and :math:`d_c(a)` its value at state a less that mean, the coefficient of the term T with states a is

.. math:: \sum_{S \supseteq T} \theta_S \prod_{l \in T} d_{S_l}(a_l) \prod_{l \in S \setminus T} m_{S_l},

linear in the weights: so are its variance and whether the data determine it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

import numpy as np

from genoattn.tokens import Vocabulary
from genoattn.tokens.gauge_centre import Gauge, gauge_centre
from genoattn.tokens.vocabulary import count_choices

SiteSet = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ProductBasis:
    """All products of contrasts at distinct sites, up to an order.

    Notes
    -----
    Products are sorted by order, then by their set of sites, then by their contrasts, so that those of a set
    are neighbours.
    """

    vocabulary: Vocabulary
    # (n_columns, n_contrasts), value of each contrast at each column, non-zero at the columns of one site
    # only; for dosages per unit of dosage
    contrasts: np.ndarray
    origin: np.ndarray  # (n_columns,), dosages, or probabilities of states, at which every contrast is zero
    order: int  # largest number of sites in a product

    @cached_property
    def site(self) -> np.ndarray:
        """Shape (n_contrasts,), the site of each contrast."""
        return self.vocabulary.site[np.abs(self.contrasts).argmax(axis=0)]

    @cached_property
    def of_site(self) -> list[np.ndarray]:
        """For each site the indices of its contrasts."""
        return [np.flatnonzero(self.site == k) for k in range(self.vocabulary.n_sites)]

    @cached_property
    def sets(self) -> list[SiteSet]:
        """Sets of sites that have products, by order from 1 up, each ascending."""
        varying = [k for k, own in enumerate(self.of_site) if len(own)]
        return [s for size in range(1, self.order + 1) for s in combinations(varying, size)]

    @cached_property
    def start(self) -> dict[SiteSet, int]:
        """Index of the first product of each set."""
        sizes = [int(np.prod([len(self.of_site[k]) for k in s])) for s in self.sets]
        first = np.cumsum([0, *sizes[:-1]]).tolist() if sizes else []
        return dict(zip(self.sets, first, strict=True))

    @cached_property
    def members(self) -> tuple[np.ndarray, ...]:
        """For each order from 1 up shape (n_products, order), the contrasts of each product."""
        parts: list[list[tuple[int, ...]]] = [[] for _ in range(self.order)]
        for s in self.sets:
            parts[len(s) - 1] += product(*(self.of_site[k].tolist() for k in s))
        return tuple(np.array(p, dtype=np.int64).reshape(-1, k + 1) for k, p in enumerate(parts))

    @cached_property
    def order_of(self) -> np.ndarray:
        """Shape (n_products,), the order of each product."""
        return np.repeat(np.arange(1, self.order + 1), [len(m) for m in self.members])

    def entity(self, calls: np.ndarray) -> np.ndarray:
        """Contrasts of samples (n_samples, n_sites): (n_samples, n_contrasts).

        A missing call, and a state that no training sample has, counts as the mean of the site.
        """
        v = self.vocabulary
        columns = np.where(v.variance > 0, v.columns(calls), 0.0)
        return columns @ self.contrasts + (v.mean - self.origin) @ self.contrasts

    def values(self, entity: np.ndarray) -> np.ndarray:
        """Products of contrast values (n, n_contrasts): (n, n_products)."""
        parts = [np.zeros((len(entity), 0))]
        for members in self.members:
            value = entity[:, members[:, 0]]
            for k in range(1, members.shape[1]):
                value *= entity[:, members[:, k]]
            parts.append(value)
        return np.concatenate(parts, axis=1)

    def coefficient_rows(
        self, columns: np.ndarray, gauge: Gauge
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Weights of the products in the coefficients of terms, a set of sites at a time.

        Parameters
        ----------
        columns
            Shape (n_terms, order), columns of distinct sites; order 0 is the coefficient that is no product,
            without the intercept.

        Yields
        ------
        Indices of terms (n,), of products (p,), and weights (n, p); products of weight 0 are left out.
        """
        n_terms, size = columns.shape
        if not n_terms:
            return
        deviation, level = self._split(gauge)
        ordered = np.sort(columns, axis=1)  # columns ascend with their sites
        for sites, chosen in by_site_set(self.vocabulary.site[ordered]):
            own = [deviation[ordered[chosen, j]][:, self.of_site[s]] for j, s in enumerate(sites)]
            index, parts = [np.zeros(0, dtype=np.int64)], [np.zeros((len(chosen), 0))]
            for above in self._above(size).get(sites, ()):
                row = np.ones((len(chosen), 1))
                at = 0
                for s in above:
                    if at < size and sites[at] == s:
                        block, at = own[at], at + 1
                    else:
                        block = level[None, self.of_site[s]]
                    row = (row[:, :, None] * block[:, None, :]).reshape(len(chosen), -1)
                if row.any():
                    parts.append(row)
                    index.append(self.start[above] + np.arange(row.shape[1]))
            yield chosen, np.concatenate(index), np.concatenate(parts, axis=1)

    def _above(self, size: int) -> dict[SiteSet, list[SiteSet]]:
        """For every set of ``size`` sites the sets that hold it."""
        if size not in self._supersets:
            found: dict[SiteSet, list[SiteSet]] = {}
            for s in self.sets:
                for part in combinations(s, size):
                    found.setdefault(part, []).append(s)
            self._supersets[size] = found
        return self._supersets[size]

    @cached_property
    def _supersets(self) -> dict[int, dict[SiteSet, list[SiteSet]]]:
        return {}

    def _split(self, gauge: Gauge) -> tuple[np.ndarray, np.ndarray]:
        """Deviation of each contrast at each column from its gauge mean, and that mean (n_contrasts,)."""
        v = self.vocabulary
        centre = gauge_centre(v, gauge)
        level = (centre - self.origin) @ self.contrasts
        if v.is_dosage:
            return self.contrasts, level
        own = self.site[None, :] == v.site[:, None]
        return np.where(own, self.contrasts - centre @ self.contrasts, 0.0), level


def n_products(free: np.ndarray, order: int) -> int:
    """Number of products of 1 to ``order`` sites with ``free`` contrasts each, shape (n_sites,)."""
    return sum(count_choices(free, order)[1:])


def free_states(vocabulary: Vocabulary) -> np.ndarray:
    """Contrasts of each site in the data: 1 for a dosage that varies, else the states seen less one."""
    seen = np.bincount(vocabulary.site, vocabulary.variance > 0, vocabulary.n_sites).astype(np.int64)
    return seen if vocabulary.is_dosage else np.maximum(seen - 1, 0)


def by_site_set(sites: np.ndarray) -> list[tuple[SiteSet, np.ndarray]]:
    """The different rows of ``sites`` (n_terms, order), each with the indices of the terms that have it."""
    if not len(sites):
        return []
    if not sites.shape[1]:
        return [((), np.arange(len(sites)))]
    sets, which = np.unique(sites, axis=0, return_inverse=True)
    which = which.reshape(-1)  # NumPy 2.0 alone returns a second axis
    order = np.argsort(which, kind="stable")
    parts = np.split(order, np.searchsorted(which[order], np.arange(1, len(sets))))
    return list(zip(map(tuple, sets.tolist()), parts, strict=True))


def indicator_basis(vocabulary: Vocabulary, order: int) -> ProductBasis:
    """Products of dosages, or of indicators of all states of a site but the commonest.

    A state that no training sample has counts as the mean of its site, as in the model.
    """
    v = vocabulary
    if v.is_dosage:
        kept = np.flatnonzero(v.variance > 0)
        return ProductBasis(v, np.eye(v.n_columns)[:, kept], v.mean, order)
    commonest = v.first + np.array([int(np.argmax(part)) for part in np.split(v.mean, v.first[1:])])
    free = v.variance > 0
    free[commonest] = False
    kept = np.flatnonzero(free)
    contrasts = np.zeros((v.n_columns, len(kept)))
    contrasts[kept, np.arange(len(kept))] = 1.0
    for column in np.flatnonzero(v.variance == 0):
        same = v.site[kept] == v.site[column]
        contrasts[column, same] = v.mean[kept[same]]
    return ProductBasis(v, contrasts, np.zeros(v.n_columns), order)
