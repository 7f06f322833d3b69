"""Small cohorts in environments, in memory and as files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

import genoattn
from genoattn.cohort import Covariates, Phenotype
from genoattn.simulate import simulate_cohort, write_simulation

LEVELS = ("glucose", "glycerol", "maltose")


def environment_table(samples, kind, seed=0):
    """A frame with the column medium: a category of two or three levels, or a number."""
    rng = np.random.default_rng([seed, 7])
    if kind == "number":
        medium = rng.normal(25, 4, len(samples)).round(3)
    else:
        medium = rng.choice(LEVELS[: 2 if kind == "two" else 3], len(samples))
    return pd.DataFrame({"medium": medium}, index=pd.Index(samples, name="IID"))


def indicator(table):
    """What the medium adds one of: glycerol, or a standard deviation of the number. Mean 0, variance 1."""
    column = table["medium"]
    z = column.to_numpy(float) if column.dtype.kind == "f" else (column == "glycerol").to_numpy(float)
    return (z - z.mean()) / z.std()


def environment_cohort(
    kind, seed=1, n=800, n_sites=20, effect=0.5, pair=0.0, covariate=True, binary=False, noise=1.0
):
    """A cohort, its table, and indices of the sites that interact with the medium: one, and a pair."""
    plain = simulate_cohort(n_samples=n, n_sites=n_sites, linkage="none", n_terms=1, seed=seed).cohort
    table = environment_table(plain.samples, kind, seed)
    rng = np.random.default_rng([seed, 8])
    g = plain.calls - plain.calls.mean(axis=0)
    g = g / g.std(axis=0)
    z = indicator(table)
    one, a, b = rng.choice(n_sites, 3, replace=False)
    shift = 0.3 if binary else 2.0  # else the medium would all but separate cases from controls
    y = 0.15 * g @ rng.normal(size=n_sites) + shift * z + rng.normal(size=n) * np.where(z > 0, noise, 1.0)
    y = y + effect * g[:, one] * z + pair * g[:, a] * g[:, b] * z
    if binary:
        y = (y > np.median(y)).astype(float)
    covariates = Covariates(("age",), rng.normal(size=(n, 1))) if covariate else None
    cohort = replace(plain, phenotype=Phenotype("growth", y, binary), covariates=covariates)
    return genoattn.with_environments(cohort, table, "medium"), table, (int(one), int(a), int(b))


def write_environment_files(folder, kind="two", seed=1, **options):
    """A VCF, a phenotype and a covariate table: their paths, and the cohort they are of."""
    cohort, table, chosen = environment_cohort(kind, seed, **options)
    genome = cohort.select_sites(~cohort.sites.is_environment)
    size = {"n_samples": cohort.n_samples, "n_sites": genome.n_sites}
    simulated = simulate_cohort(**size, linkage="none", n_terms=1, seed=seed)
    write_simulation(replace(simulated, cohort=replace(genome, calls=simulated.cohort.calls)), folder)
    pheno, covar = folder / "growth.tsv", folder / "covar.tsv"
    pd.DataFrame({"IID": cohort.samples, "growth": cohort.phenotype.values}).to_csv(
        pheno, sep="\t", index=False
    )
    table.assign(age=cohort.covariates.values[:, 0]).to_csv(covar, sep="\t")
    return folder / "cohort.vcf.gz", pheno, covar, cohort, chosen
