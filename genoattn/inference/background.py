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
MIN_DISTANCE = 1_000_000  # base pairs within which two sites of a chromosome are not tested
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
        apart = np.abs(self.position[first] - self.position[second]) >= MIN_DISTANCE
        return (self.chromosome[first] != self.chromosome[second]) | apart

    def n_far(self) -> int:
        """Number of pairs of columns that are far: the tests of a cohort."""
        n = len(self.chromosome)
        within_margin = 0
        for c in range(self.n_chromosomes):
            position = np.sort(self.position[self.chromosome == c])
            within = np.searchsorted(position, position + MIN_DISTANCE) - np.arange(len(position)) - 1
            within_margin += int(within.sum())
        return n * (n - 1) // 2 - within_margin


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

    @property
    def basis(self) -> np.ndarray:
        """Orthonormal basis of intercept and covariates: shape (n_samples, 1 + n_covariates)."""
        return np.linalg.qr(np.column_stack([np.ones(len(self.columns)), self.covariates]))[0]


def cohort_background(cohort: Cohort) -> tuple[Background, SiteMap, np.ndarray, np.ndarray]:
    """Background of a cohort's dosages, their map, and the site and standard deviation of each column."""
    phenotype = cohort.phenotype
    if phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    vocabulary = build_vocabulary(cohort, "dosage")
    scale = np.sqrt(np.maximum(vocabulary.variance, 1e-12))
    columns = vocabulary.columns(cohort.calls) / scale
    covariates, genome = cohort.fixed_effects.values, ~cohort.sites.is_environment
    # Ranks are of values without the shift from one environment to another, which is none of the noise.
    shift = np.column_stack([np.ones(cohort.n_samples), columns[:, ~genome]])
    y = phenotype.values
    if not (phenotype.binary or genome.all()):
        y = y - shift @ np.linalg.lstsq(shift, y, rcond=None)[0]
    where = SiteMap.of(cohort.sites, vocabulary.site)
    background = remove_background(columns, y, covariates, where.chromosome, phenotype.binary, genome=genome)
    return background, where, vocabulary.site, scale


def remove_background(
    columns: np.ndarray,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    chromosome: np.ndarray,
    binary: bool,
    n_components: int = 4,
    genome: np.ndarray | None = None,
) -> Background:
    """Residuals of a phenotype after regression on principal components and the additive genome.

    Two populations whose means differ, or a trait measured on a curved scale, make thousands of products of
    sites significant in a plain scan. The components adjust for the first; against the second a pair has to
    be seen in the phenotype and in its normal scores as well, which undo any monotone curve. A ``binary``
    phenotype has no ranks. ``chromosome`` has shape (n_columns,); components are of the columns of the
    ``genome`` (n_columns,), bool, all by default.
    """
    own = np.ones(len(chromosome), dtype=bool) if genome is None else genome
    components = principal_components(columns[:, own], chromosome[own], n_components)
    fixed = np.column_stack([covariates, components])
    every = np.column_stack([np.ones(len(phenotype)), fixed])
    ridge = RidgeRegression(Spectrum.of_columns(columns), every)
    versions = [phenotype] if binary else [phenotype, rank_normal(phenotype)]
    plain = every[:, : 1 + covariates.shape[1]]
    adjusted = phenotype - plain @ np.linalg.lstsq(plain, phenotype, rcond=None)[0]
    return Background(columns, fixed, adjusted, np.column_stack([ridge.fit(y)[2] for y in versions]))


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
