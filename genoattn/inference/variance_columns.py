"""Standardised genotypes of a cohort in blocks of sites, with the stretches whose pairs count as close."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genoattn.closed_form.pair_columns import chromosome_numbers
from genoattn.cohort import MISSING, Cohort

_BLOCK = 4096  # sites held as float32 at once
_FLAT = 1e-6  # variance, in units of a standardised column's square, that a dominance column must have


@dataclass(frozen=True, eq=False)
class SiteWindows:
    """Sites that vary, by chromosome and position, cut into windows.

    Two sites are close if they lie in one window, or in neighbouring windows of a chromosome. Windows are as
    wide as the distance asked for: all pairs that are closer are among these, and some up to twice as far.
    """

    site: np.ndarray  # (n_sites,), index into the cohort's sites, by chromosome and position
    chromosome: np.ndarray  # (n_sites,), from 0, ascending
    first: np.ndarray  # (n_windows + 1,), where windows begin among these sites, and the end
    follows: np.ndarray  # (n_windows,), whether a window is the neighbour of the one before it

    @classmethod
    def of(cls, cohort: Cohort, varies: np.ndarray, min_distance: int) -> SiteWindows:
        """Windows of the sites where ``varies`` (n_sites,) of a cohort."""
        number = chromosome_numbers(cohort.sites)
        site = np.lexsort((cohort.sites.pos, number))
        site = site[varies[site]]
        chromosome, position = number[site], cohort.sites.pos[site]
        # Without a distance every site is a window of its own, that has no neighbour.
        window = position // min_distance if min_distance else np.arange(len(site)) * 2
        begins = np.ones(len(site), dtype=bool)
        same = chromosome[1:] == chromosome[:-1]
        begins[1:] = ~same | (window[1:] != window[:-1])
        first = np.flatnonzero(begins)
        next_door = np.zeros(len(site), dtype=bool)
        next_door[1:] = same & (window[1:] == window[:-1] + 1)
        kept = np.unique(chromosome, return_inverse=True)[1].astype(np.int64)
        return cls(site, kept, np.append(first, len(site)), next_door[first])

    @property
    def n_chromosomes(self) -> int:
        return int(self.chromosome[-1]) + 1 if len(self.chromosome) else 0

    @property
    def sizes(self) -> np.ndarray:
        """Sites of each window: shape (n_windows,)."""
        return np.diff(self.first)

    @property
    def window_chromosome(self) -> np.ndarray:
        """Chromosome of each window: shape (n_windows,)."""
        return self.chromosome[self.first[:-1]]

    def sites_of(self) -> np.ndarray:
        """Sites of each chromosome: shape (n_chromosomes,)."""
        return np.bincount(self.chromosome, minlength=self.n_chromosomes)

    def n_close(self) -> np.ndarray:
        """Ordered pairs of close sites of each chromosome, each site with itself: shape (n_chromosomes,)."""
        sizes = self.sizes
        own = sizes**2
        own[1:] += 2 * sizes[1:] * sizes[:-1] * self.follows[1:]
        return np.bincount(self.window_chromosome, own, self.n_chromosomes).astype(np.int64)

    def n_pairs(self) -> np.ndarray:
        """Pairs of sites that are not close, by pair of chromosomes: (n_chromosomes, n_chromosomes)."""
        sites = self.sites_of()
        pairs = np.outer(sites, sites)
        np.fill_diagonal(pairs, (sites**2 - self.n_close()) // 2)
        return pairs

    def is_lone(self, window: int) -> bool:
        """Whether a window has one site and no neighbour: nothing is close to it."""
        follows, n = self.follows, len(self.follows)
        next_door = window + 1 < n and follows[window + 1]
        return bool(self.sizes[window] == 1 and not follows[window] and not next_door)

    def groups(self, by_chromosome: bool) -> Iterator[list[int]]:
        """Windows one after the other, some thousand sites together, of one chromosome each if so asked."""
        start, chromosome = 0, self.window_chromosome
        for stop in range(1, len(self.sizes) + 1):
            if (
                stop == len(self.sizes)
                or (by_chromosome and chromosome[stop] != chromosome[start])
                or self.first[stop + 1] - self.first[start] > _BLOCK
            ):
                yield list(range(start, stop))
                start = stop


class StandardColumns:
    """Standardised dosages of samples, and their dominance deviations.

    The dominance column is the residual of the squared dosage on the dosage, standardised: with three
    genotypes the only column orthogonal to the additive one under the genotype frequencies at hand, in
    Hardy-Weinberg proportions or not (Alvarez-Castro & Carlborg 2007, Genetics 176:1151; Vitezica et al.
    2013, Genetics 195:1223). Mean and variance are those of the samples that are called; missing calls are 0.

    Parameters
    ----------
    calls
        Shape (n_samples, n_sites), copies of the effect allele, -1 where missing.
    """

    def __init__(self, calls: np.ndarray) -> None:
        moments = np.zeros(
            (4, calls.shape[1])
        )  # mean, variance, third and fourth moment of standardised calls
        for start in range(0, calls.shape[1], _BLOCK):
            block = calls[:, start : start + _BLOCK]
            known = block != MISSING
            count = np.maximum(known.sum(axis=0), 1)
            mean = np.einsum("ns,ns->s", block, known, dtype=np.float64) / count
            x = np.where(known, block - mean.astype(np.float32), np.float32(0))
            square = x * x
            variance = np.einsum("ns->s", square, dtype=np.float64) / count
            scale = np.sqrt(np.maximum(variance, _FLAT))
            third = np.einsum("ns,ns->s", square, x, dtype=np.float64) / count / scale**3
            fourth = np.einsum("ns,ns->s", square, square, dtype=np.float64) / count / scale**4
            moments[:, start : start + _BLOCK] = mean, variance, third, fourth
        self.calls = calls
        self.varies = moments[1] > _FLAT
        spread = np.sqrt(np.maximum(moments[3] - moments[2] ** 2 - 1, 0.0))
        self.has_dominance = self.varies & (spread**2 > _FLAT)
        self._mean, self._third = moments[0].astype(np.float32), moments[2].astype(np.float32)
        self._scale = np.sqrt(np.where(self.varies, moments[1], 1.0)).astype(np.float32)
        self._spread = np.where(self.has_dominance, spread, 1.0).astype(np.float32)

    def of(self, sites: np.ndarray, samples: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Additive columns (n_samples, n_sites) of sites, and dominance columns of those with three
        genotypes.

        Both float32; of the ``samples`` at these indices only, where given.
        """
        calls = self.calls[:, sites] if samples is None else self.calls[np.ix_(samples, sites)]
        missing = calls == MISSING
        x = np.where(missing, np.float32(0), (calls - self._mean[sites]) / self._scale[sites])
        kept = self.has_dominance[sites]
        own = sites[kept]
        d = (x[:, kept] ** 2 - self._third[own] * x[:, kept] - 1) / self._spread[own]
        d[missing[:, kept]] = 0
        return x, d
