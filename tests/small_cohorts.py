"""Small cohorts with one planted pair, and short fits, for tests of what happens around a fit."""

from __future__ import annotations

import numpy as np
import torch

import genoattn
from genoattn.cohort import Cohort, Covariates, Phenotype, Sites

RESIDUES = "ACD"


def genotype_sites(n_sites, ploidy=2, ids=None):
    states = tuple("/".join("A" * (ploidy - c) + "G" * c) for c in range(ploidy + 1))
    numbers = range(1, n_sites + 1)
    return Sites(
        ids=[f"rs{i}" for i in numbers] if ids is None else ids,
        chrom=[str(i) for i in numbers],
        pos=[100 * i for i in numbers],
        ref=["A"] * n_sites,
        alt=["G"] * n_sites,
        states=(states,) * n_sites,
    )


def sequence_sites(n_sites):
    return Sites(
        ids=[f"A{i}" for i in range(1, n_sites + 1)],
        chrom=[""] * n_sites,
        pos=np.arange(1, n_sites + 1),
        ref=["A"] * n_sites,
        alt=[""] * n_sites,
        states=(tuple(RESIDUES),) * n_sites,
    )


def levels_of(labels, levels):
    """Covariates of one categorical column called ``batch``, expanded from its levels."""
    names = tuple(f"batch={level}" for level in levels[1:])
    values = np.array([[float(label == level) for level in levels[1:]] for label in labels])
    return Covariates(names, values.reshape(len(labels), len(names)), {"batch": tuple(levels)})


def mixed_covariates(rng, n_samples, levels=("a", "b", "c")):
    """A numeric covariate ``age`` and a categorical one, ``batch``."""
    batch = levels_of(rng.choice(levels, n_samples), levels)
    age = rng.normal(50, 10, size=(n_samples, 1))
    return Covariates(("age", *batch.names), np.hstack([age, batch.values]), batch.levels)


def planted(
    n_samples=120,
    n_sites=8,
    *,
    seed=0,
    kind="genotype",
    binary=False,
    missing=0.0,
    covariates=None,
    effect=1.0,
):
    """A cohort whose first two sites interact, with an additive effect of the third and noise of sd 0.5."""
    rng = np.random.default_rng(seed)
    if kind == "sequence":
        calls, sites = rng.integers(0, 3, size=(n_samples, n_sites)), sequence_sites(n_sites)
    else:
        calls, sites = rng.binomial(2, 0.4, size=(n_samples, n_sites)), genotype_sites(n_sites)
    x = calls - calls.mean(axis=0)
    value = effect * x[:, 0] * x[:, 1] + 0.5 * x[:, min(2, n_sites - 1)] + rng.normal(0, 0.5, n_samples)
    if covariates == "mixed":
        covariates = mixed_covariates(rng, n_samples)
        value = value + 0.05 * covariates.values[:, 0] + covariates.values[:, 1]
    calls = np.where(rng.random(calls.shape) < missing, -1, calls).astype(np.int8)
    values = (value > np.median(value)).astype(float) if binary else value
    return Cohort(
        samples=[f"i{k}" for k in range(n_samples)],
        sites=sites,
        calls=calls,
        kind=kind,
        phenotype=Phenotype("trait", values, binary),
        covariates=covariates,
    )


def short_fit(cohort, **options):
    """A fit of a few epochs, on one thread: on a busy machine threads wait for each other.

    Dense factors, unless asked otherwise, so that every pair has a row.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return genoattn.fit(cohort, **{"max_epochs": 4, "device": "cpu", "estimator": "attention", **options})
    finally:
        torch.set_num_threads(threads)
