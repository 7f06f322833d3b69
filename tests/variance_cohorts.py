"""Cohorts for tests of variance components: linked sites of a few chromosomes, with missing calls."""

from __future__ import annotations

import numpy as np

from genoattn.cohort import Cohort, Covariates, Phenotype, Sites


def linked_calls(rng, n, n_sites, n_chromosomes=3, missing=0.0, founders=6):
    """Calls of samples whose haplotypes are mosaics of founders, and chromosome and position of the sites."""
    chrom = np.sort(np.arange(n_sites) % n_chromosomes)
    calls = np.zeros((n, n_sites), np.int8)
    for c in range(n_chromosomes):
        part = np.flatnonzero(chrom == c)
        pool = (rng.random((founders, len(part))) < rng.uniform(0.2, 0.8, len(part))).astype(np.int8)
        pool[0], pool[1] = 0, 1  # every site varies
        for _ in range(2):
            who = rng.integers(0, founders, (n, 1)) + np.zeros(len(part), int)
            switch = np.cumsum(rng.random((n, len(part))) < 3 / len(part), axis=1)
            founder = (who + switch * rng.integers(1, founders, (n, 1))) % founders
            calls[:, part] += pool[founder, np.arange(len(part))]
    place = np.arange(n_sites) - np.searchsorted(chrom, chrom)
    calls[rng.random(calls.shape) < missing] = -1
    return calls, chrom.astype(str), 1 + place * 400_000


def variance_cohort(calls, chrom, pos, y=None, covariates=None, binary=False):
    n, n_sites = calls.shape
    ids = [f"{c}:{p}:{k}" for k, (c, p) in enumerate(zip(chrom, pos, strict=True))]
    sites = Sites(ids, chrom, pos, ["A"] * n_sites, ["G"] * n_sites, (("A/A", "A/G", "G/G"),) * n_sites)
    names = None if covariates is None else tuple(f"c{k}" for k in range(covariates.shape[1]))
    return Cohort(
        [f"s{k}" for k in range(n)],
        sites,
        calls,
        phenotype=None if y is None else Phenotype("y", y, binary),
        covariates=None if names is None else Covariates(names, covariates),
    )


def linked_cohort(seed=0, n=200, n_sites=40, missing=0.03, n_covariates=2, **how):
    """A cohort with an additive trait."""
    rng = np.random.default_rng(seed)
    calls, chrom, pos = linked_calls(rng, n, n_sites, missing=missing, **how)
    covariates = rng.normal(size=(n, n_covariates)) if n_covariates else None
    y = calls @ rng.normal(size=n_sites) / n_sites**0.5 + rng.normal(size=n)
    if n_covariates:
        y = y + covariates.sum(axis=1)
    return variance_cohort(calls, chrom, pos, y, covariates)
