"""Sites coupled by the sparse factors of a cohort, and the lead among linked ones."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from genoattn.closed_form.product_basis import SiteSet
from genoattn.interactions.expansion import Factors

LINKED_R2 = 0.1


@dataclass(frozen=True, eq=False)
class Isolated:
    """A factor of one site and its linked neighbours in every slot: one interaction, shared by proxies."""

    sets: frozenset[SiteSet]  # the sets of sites that it couples
    lead: SiteSet  # the one that stands for the interaction; the others are proxies
    alone: Factors  # the factor as a model of its own
    value: np.ndarray  # (n_samples,), what it adds to the phenotype


def _free_factors(factors: Factors) -> Iterator[tuple[int, np.ndarray]]:
    """Orders with factors (n_ranks, order, n_columns) of free slots, not tied, nor one for every pair."""
    for order, values in factors.factors.items():
        if values.shape[1] == order and len(values) != factors.vocabulary.n_columns:
            yield order, values


@dataclass(frozen=True, eq=False)
class Slot:
    """One slot of a free factor: its sites, the one of largest weight, and its values (n_samples,)."""

    sites: frozenset[int]
    lead: int
    value: np.ndarray

    def adjusts(self, sites: SiteSet) -> str:
        """Adjustment of terms of some sites: for the ``slot``, its ``lead``, or nothing."""
        if self.sites.isdisjoint(sites):
            return "slot"
        return "" if self.lead in sites else "lead"


def factor_slots(factors: Factors, columns: np.ndarray) -> list[Slot]:
    """All slots of the free factors."""
    v = factors.vocabulary
    out = []
    for _, values in _free_factors(factors):
        for slot in values.reshape(-1, v.n_columns) * np.sqrt(np.maximum(v.variance, 1e-12)):
            if slot.any():
                lead = int(v.site[np.argmax(np.abs(slot))])
                out.append(Slot(frozenset(v.site[slot != 0].tolist()), lead, columns @ slot))
    return out


def isolated_factors(factors: Factors, columns: np.ndarray, leads: Collection[SiteSet]) -> Iterator[Isolated]:
    """The free factors of single interactions whose slots are linked sites."""
    v = factors.vocabulary
    for order, values in _free_factors(factors):
        for k in range(len(values)):
            slots = [np.flatnonzero(slot) for slot in values[k]]
            linked = (_is_linked(columns, slot, s) for slot, s in zip(values[k], slots, strict=True))
            if not all(map(len, slots)) or not all(linked):
                continue
            sites = [tuple(np.unique(v.site[s]).tolist()) for s in slots]
            if len(set().union(*sites)) < sum(map(len, sites)):
                continue
            scaled = values[k] * np.sqrt(np.maximum(v.variance, 1e-12))  # per standardised column
            sums = [columns[:, s] @ slot[s] for slot, s in zip(scaled, slots, strict=True)]
            weight = factors.weights[order][k : k + 1]
            none, own = np.zeros(v.n_columns), {order: values[k : k + 1]}
            alone = Factors(v, 0.0, none, own, {order: weight}, factors.known)
            sets = frozenset(tuple(sorted(s)) for s in product(*sites))
            largest = tuple(sorted(int(v.site[np.argmax(np.abs(slot))]) for slot in scaled))
            lead = next((s for s in leads if s in sets), largest)
            yield Isolated(sets, lead, alone, float(weight[0]) * np.prod(sums, axis=0))


def _is_linked(columns: np.ndarray, slot: np.ndarray, support: np.ndarray) -> bool:
    """Whether all columns of a slot are linked to its largest."""
    lead = support[np.argmax(np.abs(slot[support]))]
    r2 = (columns[:, lead] @ columns[:, support] / len(columns)) ** 2
    return bool((r2 >= LINKED_R2).all())
