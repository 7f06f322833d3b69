"""Cohorts of relatives for ``mixed_model.py``: families of full sibs, and litters of an outbred stock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from discovery_cohorts import SPACING, Trial, planted, two_populations
from discovery_cohorts import _cohort as cohort_of

from genoattn.cohort import Covariates, Phenotype

Genome = list[np.ndarray]  # a chromosome each: (2, n_sites), int8

FAMILY, LITTER = 10, 8
FOUNDERS, BREEDERS, GENERATIONS = 8, 60, 30
HERITABILITY = 0.8


def full_sibs(n_samples: int, n_sites: int, seed: int, n_chromosomes: int = 5) -> Trial:
    """Families of ten full sibs of unrelated parents, sites in equilibrium; a polygenic trait."""
    rng = np.random.default_rng([seed, 4])
    frequency = np.array_split(rng.uniform(0.1, 0.5, n_sites), n_chromosomes)

    def parent() -> Genome:
        return [(rng.random((2, len(f))) < f).astype(np.int8) for f in frequency]

    families = [(parent(), parent()) for _ in range(-(-n_samples // FAMILY))]
    samples = [_child(*pair, rng) for pair in families for _ in range(FAMILY)][:n_samples]
    return Trial(_polygenic(samples, rng))


def outbred_mice(n_samples: int, n_sites: int, seed: int, n_chromosomes: int = 19) -> Trial:
    """Litters of eight of a stock that 60 breeders kept for 30 generations from 8 inbred founders."""
    rng = np.random.default_rng([seed, 5])
    frequency = rng.uniform(0.2, 0.8, n_sites)
    founder = (rng.random((FOUNDERS, n_sites)) < frequency).astype(np.int8)
    # Each site has both alleles among the founders.
    founder[0], founder[1] = 0, 1
    parts = np.array_split(np.arange(n_sites), n_chromosomes)
    stock = [[np.stack([founder[k % FOUNDERS, p]] * 2) for p in parts] for k in range(BREEDERS)]
    for _ in range(GENERATIONS):
        stock = [_child(*_mates(stock, rng), rng) for _ in range(BREEDERS)]
    litters = [_mates(stock, rng) for _ in range(-(-n_samples // LITTER))]
    samples = [_child(*pair, rng) for pair in litters for _ in range(LITTER)][:n_samples]
    return Trial(_polygenic(samples, rng))


def homogeneous(n_samples: int, n_sites: int, seed: int) -> Trial:
    """One population; additive effects of 20 sites are 40 % of the variance."""
    return planted(n_samples, n_sites, seed, architecture="additive", additive_variance=0.4)


def populations(n_samples: int, n_sites: int, seed: int) -> Trial:
    """Two populations, a fifth of the samples of the first."""
    return two_populations(n_samples, n_sites, seed, 0.2, 2000)


def with_covariates(trial: Trial, seed: int) -> Trial:
    """The trial with two covariates that shift the trait, one of which goes with the genotypes."""
    rng, cohort = np.random.default_rng([seed, 7]), trial.cohort
    assert cohort.phenotype is not None
    score = cohort.calls[:, ::10].sum(axis=1)
    values = np.column_stack(
        [rng.standard_normal(cohort.n_samples), score + 3 * rng.standard_normal(len(score))]
    )
    trait = cohort.phenotype.values + values @ [0.5, 0.1]
    covariates = Covariates(("age", "diet"), values)
    return Trial(replace(cohort, phenotype=Phenotype("trait", trait), covariates=covariates), trial.terms)


def plant(trial: Trial, n_pairs: int, share: float, seed: int) -> Trial:
    """The trial with pairs of sites of different chromosomes planted, a ``share`` of the variance each."""
    rng, cohort = np.random.default_rng([seed, 6]), trial.cohort
    assert cohort.phenotype is not None
    common = np.flatnonzero(np.abs(cohort.calls.mean(axis=0) - 1) < 0.6)
    trait, terms = cohort.phenotype.values.copy(), []
    spread = trait.std()
    while len(terms) < n_pairs:
        a, b = sorted(int(k) for k in rng.choice(common, 2, replace=False))
        if cohort.sites.chrom[a] == cohort.sites.chrom[b]:
            continue
        x = cohort.calls[:, [a, b]] - cohort.calls[:, [a, b]].mean(axis=0)
        product = x[:, 0] * x[:, 1]
        trait += np.sqrt(share) * spread * (product - product.mean()) / product.std()
        terms.append((a, b))
    return Trial(replace(cohort, phenotype=Phenotype("trait", trait)), tuple(terms))


def _mates(stock: list[Genome], rng: np.random.Generator) -> tuple[Genome, Genome]:
    i, j = rng.choice(len(stock), 2, replace=False)
    return stock[i], stock[j]


def _child(mother: Genome, father: Genome, rng: np.random.Generator) -> Genome:
    return [np.stack([_gamete(m, rng), _gamete(f, rng)]) for m, f in zip(mother, father, strict=True)]


def _gamete(pair: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A recombinant of two haplotypes of a chromosome of one Morgan."""
    n_sites = pair.shape[1]
    crossovers = np.sort(rng.integers(1, max(n_sites, 2), rng.poisson(1.0)))
    which = (rng.integers(2) + np.searchsorted(crossovers, np.arange(n_sites), side="right")) % 2
    return np.where(which == 0, pair[0], pair[1])


def _polygenic(samples: list[Genome], rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """The cohort with a trait to which every site contributes; sites that do not vary are left out."""
    chromosomes = [np.array([one[c].sum(axis=0) for one in samples]) for c in range(len(samples[0]))]
    chromosomes = [dosage[:, dosage.std(axis=0) > 0.2].astype(np.int8) for dosage in chromosomes]
    every = np.hstack(chromosomes)
    value = every @ (rng.standard_normal(every.shape[1]) / every.std(axis=0))
    noise = rng.standard_normal(len(samples))
    value = (value - value.mean()) / value.std()
    trait = np.sqrt(HERITABILITY) * value + np.sqrt(1 - HERITABILITY) * noise
    return cohort_of([(d, np.arange(1, d.shape[1] + 1) * SPACING) for d in chromosomes], trait)
