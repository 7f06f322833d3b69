"""Pairs of sites that are tested: those too far apart for their product to tag a third marker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoattn.closed_form.pair_columns import chromosome_numbers
from genoattn.cohort import Sites

NEAR = 1_000_000  # base pairs within which two sites of a chromosome are not tested
LINKED_R2 = 0.1  # and the r2


@dataclass(frozen=True, eq=False)
class SiteMap:
    """Chromosome and position of the columns."""

    chromosome: np.ndarray  # (n_columns,), from 0
    position: np.ndarray  # (n_columns,), in base pairs

    @classmethod
    def of(cls, sites: Sites, site: np.ndarray) -> SiteMap:
        """The map of columns whose sites are ``site``, shape (n_columns,)."""
        return cls(chromosome_numbers(sites)[site], sites.pos[site])

    @property
    def n_chromosomes(self) -> int:
        return int(self.chromosome.max(initial=0)) + 1

    def are_far(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether pairs of columns lie on different chromosomes or 1 Mb apart: shape of the indices, bool."""
        apart = np.abs(self.position[first] - self.position[second]) >= NEAR
        return (self.chromosome[first] != self.chromosome[second]) | apart

    def n_far(self) -> int:
        """Number of pairs of columns that are far: the tests of a cohort."""
        n = len(self.chromosome)
        within_margin = 0
        for c in range(self.n_chromosomes):
            position = np.sort(self.position[self.chromosome == c])
            within = np.searchsorted(position, position + NEAR, side="left") - np.arange(len(position)) - 1
            within_margin += int(within.sum())
        return n * (n - 1) // 2 - within_margin
