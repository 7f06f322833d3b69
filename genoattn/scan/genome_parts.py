"""Parts of the genome whose additive effects have a variance of their own in the background of a pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from genoattn.cohort import Sites

BackgroundWord = Literal["loco", "genome"]
_MOST = 40  # parts: beyond, small chromosomes share one
_ONE = "one chromosome: there are no others; the background is the chromosome itself, with one variance"
_TWO = "two chromosomes: the background of a pair with a site on each is both together"


@dataclass(frozen=True, eq=False)
class GenomeParts:
    """Chromosomes, small ones together where there are many; or the genome as one part."""

    part: np.ndarray  # (n_columns,), the part of each column, from 0
    names: tuple[str, ...]
    instead: str = ""  # what stands in for other chromosomes where there are none, in words

    def own(self, c: int, d: int) -> np.ndarray:
        """Columns of two parts: (n_columns,), bool."""
        return (self.part == c) | (self.part == d)


def make_parts(sites: Sites, site: np.ndarray, background: BackgroundWord) -> GenomeParts:
    """Parts of the columns whose sites are ``site`` (n_columns,).

    ``loco``: the chromosomes; of more than 40, neighbours in the order of their names share a part.
    ``genome``: a single part.
    """
    names, chromosome = np.unique(sites.chrom.astype(str)[site], return_inverse=True)
    if background == "genome":
        return GenomeParts(np.zeros(len(site), dtype=np.intp), ("genome",))
    part = np.arange(len(names))
    if len(names) > _MOST:
        count = np.bincount(chromosome)
        _, part = np.unique((np.cumsum(count) - count) * _MOST // count.sum(), return_inverse=True)
    together = [names[part == k] for k in range(int(part.max()) + 1)]
    called = tuple(str(of[0]) if len(of) == 1 else f"{of[0]}..{of[-1]}" for of in together)
    return GenomeParts(part[chromosome], called, {1: _ONE, 2: _TWO}.get(len(called), ""))
