"""Genotypes on chromosomes, with and without linkage, and traits with planted pairs."""

from __future__ import annotations

import numpy as np

from genoattn.closed_form.pair_columns import PairColumns, visible_segments
from genoattn.cohort import Cohort, Covariates, Phenotype, Sites
from genoattn.inference.background import AdditiveGenome, SiteMap
from genoattn.inference.signals import Candidates, SignalSearch
from genoattn.scan.scores import score_matrix


def standardised(dosage):
    dosage = np.asarray(dosage, dtype=float)
    return (dosage - dosage.mean(axis=0)) / dosage.std(axis=0)


def unlinked_dosages(rng, n_samples, n_sites):
    return rng.binomial(2, rng.uniform(0.3, 0.5, n_sites), (n_samples, n_sites))


def linked_dosages(rng, n_samples, n_chromosomes, per_chromosome, correlation):
    """Dosages of two haplotypes, on which neighbours of a chromosome agree as a Markov chain does."""
    out = []
    for _ in range(n_chromosomes):
        both = 0
        for _ in range(2):
            state = rng.random(n_samples) < 0.5
            columns = [state]
            for _ in range(per_chromosome - 1):
                state = np.where(rng.random(n_samples) < correlation, state, rng.random(n_samples) < 0.5)
                columns.append(state)
            both = both + np.stack(columns, axis=1).astype(int)
        out.append(both)
    return np.concatenate(out, axis=1)


def sites_on(n_chromosomes, per_chromosome, spacing):
    """Sites of chromosomes 1, 2, .., ``spacing`` base pairs apart."""
    n = n_chromosomes * per_chromosome
    chrom = np.repeat(np.arange(1, n_chromosomes + 1), per_chromosome).astype(str)
    pos = np.tile(1 + spacing * np.arange(per_chromosome), n_chromosomes)
    states = (("A/A", "A/G", "G/G"),) * n
    return Sites([f"s{k}" for k in range(n)], chrom, pos, ["A"] * n, ["G"] * n, states)


def cohort_of(sites, dosage, values, binary=False, covariates=None):
    n = len(dosage)
    fixed = None
    if covariates is not None:
        fixed = Covariates(tuple(f"c{k}" for k in range(covariates.shape[1])), covariates)
    phenotype = None if values is None else Phenotype("trait", np.asarray(values, dtype=float), binary)
    samples = [f"i{k}" for k in range(n)]
    return Cohort(samples, sites, np.asarray(dosage, dtype=np.int8), "genotype", phenotype, fixed)


def columns_of(columns, sites, visible=None):
    site = np.arange(columns.shape[1])
    segment = SiteMap.of(sites, site).chromosome
    return PairColumns(columns, site, segment, visible_segments(segment) if visible is None else visible)


def scene(dosage, values, sites, covariates=None):
    """Background, candidates and map of a cohort, as discovery prepares them, linked pairs included."""
    columns, n = standardised(dosage), len(values)
    where = SiteMap.of(sites, np.arange(columns.shape[1]))
    fixed = np.zeros((n, 0)) if covariates is None else covariates
    genome = AdditiveGenome(columns, fixed, where.chromosome)
    background = genome.take_out(np.asarray(values, dtype=float), False)
    site = np.arange(columns.shape[1])
    score = score_matrix(columns, background.residuals, background.covariates, site, 2.0).tocoo()
    first, second = (c.astype(int) for c in score.coords)
    keep = (first < second) & where.are_far(first, second)
    pair = np.stack([first[keep], second[keep]], axis=1)
    search = SignalSearch(where, None, where.n_far(), background.fixed)
    return background, Candidates(pair, score.data[keep]), search
