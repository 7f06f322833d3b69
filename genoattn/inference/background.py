"""Preparation of tests of pairs: which are far enough apart, and adjustment of the phenotype."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import svds

from genoattn.closed_form.pair_columns import chromosome_numbers
from genoattn.closed_form.ridge import RidgeRegression, Spectrum
from genoattn.cohort import Cohort, Sites
from genoattn.errors import InputError
from genoattn.io.phenotypes import rank_normal
from genoattn.tokens import build_vocabulary

_PRUNED = 0.2  # r2 within which one column of a window stands for the others in the components
_WINDOW = 50
NEAR = 1_000_000  # base pairs within which two sites may be linked, whatever the cohort says
LINKED_R2 = 0.1  # r2 from which two columns are linked
_BINS = 12  # of distances up to that, at most
_IN_BIN = 100  # pairs at least
_FEW = 30  # that say nothing
_NO_LINKAGE = 0.002  # mean r2 beyond chance that is as good as none
_PAIRS = 1500  # whose r2 is looked at in a bin of distances


@dataclass(frozen=True, eq=False)
class SiteMap:
    """Chromosome and position of the columns, and how far linkage reaches."""

    chromosome: np.ndarray  # (n_columns,), from 0
    position: np.ndarray  # (n_columns,), in base pairs
    margin: int = NEAR  # base pairs within which two sites of a chromosome are not tested
    # (n_columns,), bool: columns of environments, which make no pairs among themselves; None without any
    outside: np.ndarray | None = None

    @classmethod
    def of(cls, sites: Sites, site: np.ndarray, columns: np.ndarray | None = None) -> SiteMap:
        """The map of columns whose sites are ``site``, shape (n_columns,).

        The margin is 1 Mb, or less where linkage of the standardised ``columns`` (n_samples, n_columns) ends
        sooner: see :func:`linkage_margin`.
        """
        chromosome, outside = chromosome_numbers(sites)[site], sites.is_environment[site]
        position = np.where(outside, 0, sites.pos[site])
        genome, margin = ~outside, NEAR
        if columns is not None:
            seen = columns if genome.all() else columns[:, genome]
            margin = linkage_margin(seen, chromosome[genome], position[genome])
        return cls(chromosome, position, margin, outside if outside.any() else None)

    @property
    def n_chromosomes(self) -> int:
        return int(self.chromosome.max(initial=0)) + 1

    def are_far(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether pairs of columns lie on different chromosomes or beyond the margin: bool, as they are."""
        apart = np.abs(self.position[first] - self.position[second]) >= self.margin
        return (self.chromosome[first] != self.chromosome[second]) | apart

    def are_tested(self, first: np.ndarray, second: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Whether pairs of standardised columns are far and not linked: shape of the indices, bool."""
        keep = self.are_far(first, second)
        same = np.flatnonzero(keep & (self.chromosome[first] == self.chromosome[second]))
        for start in range(0, len(same), 4096):
            k = same[start : start + 4096]
            r2 = (np.einsum("sp,sp->p", columns[:, first[k]], columns[:, second[k]]) / len(columns)) ** 2
            keep[k] = r2 < LINKED_R2
        return keep

    def are_near(self, columns: np.ndarray, column: int) -> np.ndarray:
        """Whether columns lie within 1 Mb of one on its chromosome: shape of the indices, bool."""
        close = np.abs(self.position[columns] - self.position[column]) < NEAR
        near: np.ndarray = close & (self.chromosome[columns] == self.chromosome[column])
        return near

    def n_far(self) -> int:
        """Number of pairs of columns that are far: the tests of a cohort."""
        n = len(self.chromosome)
        within_margin = 0
        for c in range(self.n_chromosomes):
            position = np.sort(self.position[self.chromosome == c])
            within = np.searchsorted(position, position + self.margin) - np.arange(len(position)) - 1
            within_margin += int(within.sum())
        return n * (n - 1) // 2 - within_margin


def linkage_margin(columns: np.ndarray, chromosome: np.ndarray, position: np.ndarray) -> int:
    """Base pairs beyond which the sites of a chromosome are not linked, 1 Mb at most.

    Two sites that tag one untyped variant between them look as if they interacted (Wood et al. 2014, Nature
    514:E3). How far typed sites tag each other says how far they tag it: the margin is the shortest distance
    from which on their mean r2 is, with two standard errors, within 0.002 of that of independent sites,
    ``1 / (n - 1)``. Where no pairs, or too few, can say so, it is 1 Mb. Sites of independent markers have
    the margin 1: all are far from each other.

    Parameters
    ----------
    columns
        Standardised, shape (n_samples, n_columns).
    chromosome, position
        Shape (n_columns,).
    """
    n = len(columns)
    first, second = _near_pairs(chromosome, position)
    if not len(first):
        return NEAR
    distance = np.abs(position[first] - position[second])
    order = np.argsort(distance, kind="stable")
    margin = 1
    for part in np.array_split(order, min(_BINS, len(order) // _IN_BIN + 1))[::-1]:
        chosen = part[:: max(len(part) // _PAIRS, 1)]
        a, b = columns[:, first[chosen]], columns[:, second[chosen]]
        r2 = (np.einsum("sp,sp->p", a, b) / n) ** 2 - 1 / (n - 1)
        spread = r2.std() / np.sqrt(len(r2))
        if len(r2) < _FEW or r2.mean() + 2 * spread > _NO_LINKAGE:
            margin = min(int(distance[part[-1]]) + 1, NEAR)
            break
    return margin


def _near_pairs(chromosome: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of columns of a chromosome within 1 Mb; where they are many, those of some columns."""
    order = np.lexsort((position, chromosome))
    place = position[order].astype(np.int64) + chromosome[order].astype(np.int64) * (1 << 40)
    last = np.searchsorted(place, place + NEAR)
    count = last - np.arange(len(order)) - 1
    step = max(int(count.sum() // (4 * _BINS * _PAIRS)), 1)
    start = np.arange(0, len(order), step)
    start = start[count[start] > 0]
    left = np.repeat(start, count[start])
    ahead = np.arange(len(left)) - np.repeat(np.cumsum(count[start]) - count[start], count[start])
    return order[left], order[left + 1 + ahead]


@dataclass(frozen=True, eq=False)
class Background:
    """Residuals of a phenotype, and the fixed effects that tests adjust for."""

    columns: np.ndarray  # (n_samples, n_columns), standardised
    covariates: np.ndarray  # (n_samples, n_covariates): those of the cohort and its principal components
    # (n_samples,), residual after regression on the intercept and the cohort's covariates
    phenotype: np.ndarray
    # (n_samples, n_versions): residuals of the phenotype, and of its rank-normalised values, after ridge
    # regression on all columns. A pair must stand out in each
    residuals: np.ndarray
    # (n_samples,): what that regression fits to the phenotype
    fitted: np.ndarray

    @property
    def fixed(self) -> np.ndarray:
        """Intercept and covariates: shape (n_samples, 1 + n_covariates)."""
        return np.column_stack([np.ones(len(self.columns)), self.covariates])


class AdditiveGenome:
    """The fixed effects of a cohort, its components and a ridge regression on all columns.

    Two populations whose means differ, or a trait measured on a curved scale, make thousands of products of
    sites significant in a plain scan. The components adjust for the first; against the second a pair has to
    be seen in the phenotype and in its normal scores as well, which undo any monotone curve. A binary
    phenotype has no ranks.

    Parameters
    ----------
    columns
        Standardised, shape (n_samples, n_columns).
    covariates
        Shape (n_samples, n_covariates).
    chromosome
        Shape (n_columns,).
    outside
        Shape (n_columns,), bool: columns of environments, of which there are no components. None without any.
    """

    def __init__(
        self,
        columns: np.ndarray,
        covariates: np.ndarray,
        chromosome: np.ndarray,
        n_components: int = 4,
        outside: np.ndarray | None = None,
    ) -> None:
        self.columns = columns
        genome = slice(None) if outside is None else ~outside
        components = principal_components(columns[:, genome], chromosome[genome], n_components)
        self.fixed = np.column_stack([covariates, components])
        self._shift = None
        if outside is not None:
            self._shift = np.column_stack([np.ones(len(columns)), columns[:, outside]])
        every = np.column_stack([np.ones(len(columns)), self.fixed])
        self._own = every[:, : 1 + covariates.shape[1]]
        self._ridge = RidgeRegression(Spectrum.of_columns(columns), every)

    def take_out(self, phenotype: np.ndarray, binary: bool) -> Background:
        """Residuals of a phenotype (n_samples,) after regression on components and the additive genome."""
        versions = [phenotype] if binary else [phenotype, rank_normal(self._without_shift(phenotype))]
        adjusted = phenotype - self._own @ np.linalg.lstsq(self._own, phenotype, rcond=None)[0]
        residuals = np.column_stack([self._ridge.fit(y)[2] for y in versions])
        return Background(self.columns, self.fixed, adjusted, residuals, phenotype - residuals[:, 0])

    def _without_shift(self, phenotype: np.ndarray) -> np.ndarray:
        """A phenotype without its shift from one environment to another, which is none of the noise."""
        if self._shift is None:
            return phenotype
        out: np.ndarray = phenotype - self._shift @ np.linalg.lstsq(self._shift, phenotype, rcond=None)[0]
        return out


@dataclass(frozen=True, eq=False)
class CohortBackground:
    """The background of a cohort's dosages, with their map."""

    genome: AdditiveGenome
    background: Background
    where: SiteMap
    site: np.ndarray  # (n_columns,), of each column
    scale: np.ndarray  # (n_columns,), standard deviation of each column


def cohort_background(cohort: Cohort) -> CohortBackground:
    """Background of a cohort's dosages."""
    phenotype = cohort.phenotype
    if phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    vocabulary = build_vocabulary(cohort, "dosage")
    scale = np.sqrt(np.maximum(vocabulary.variance, 1e-12))
    columns = vocabulary.columns(cohort.calls) / scale
    where = SiteMap.of(cohort.sites, vocabulary.site, columns)
    genome = AdditiveGenome(columns, cohort.fixed_effects.values, where.chromosome, outside=where.outside)
    background = genome.take_out(phenotype.values, phenotype.binary)
    return CohortBackground(genome, background, where, vocabulary.site, scale)


def principal_components(columns: np.ndarray, chromosome: np.ndarray, n_components: int) -> np.ndarray:
    """Leading left singular vectors (n_samples, n_components) of columns pruned of linkage, of unit variance.

    Fewer where there are too few columns. ``chromosome`` has shape (n_columns,).
    """
    pruned = columns[:, unlinked_columns(columns, chromosome)]
    k = min(n_components, min(pruned.shape) - 1)
    if k < 1:
        return np.zeros((len(columns), 0))
    # A fixed starting vector: ARPACK's own is random, and with it the signs and last digits.
    start = np.ones(min(pruned.shape))
    components = svds(pruned, k=k, v0=start, return_singular_vectors="u")[0]
    components = components - components.mean(axis=0)
    return components / np.maximum(components.std(axis=0), 1e-300)


def unlinked_columns(columns: np.ndarray, chromosome: np.ndarray) -> np.ndarray:
    """Ascending indices of columns whose r2 with the 50 kept before them is below 0.2."""
    kept: list[int] = []
    for j in range(columns.shape[1]):
        same = [k for k in kept[-_WINDOW:] if chromosome[k] == chromosome[j]]
        r2 = (columns[:, same].T @ columns[:, j] / len(columns)) ** 2
        if not same or r2.max() < _PRUNED:
            kept.append(j)
    return np.array(kept, dtype=np.int64)
