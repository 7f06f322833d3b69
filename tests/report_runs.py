"""Runs small enough to fit or scan in a moment, for tests of their reports."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from small_cohorts import planted

import genoattn
from genoattn.simulate import simulate_cohort

DATA = Path(__file__).parent.parent / "data"


@cache
def cross():
    """The Arabidopsis cross, and its fit."""
    cohort = genoattn.read(
        DATA / "arabidopsis_ril.vcf.gz",
        pheno=DATA / "arabidopsis_ril.pheno.tsv",
        trait="3.Butenyl",
        transform="log",
    )
    return cohort, genoattn.fit(cohort)


@cache
def small_scan(n_sites=12, threshold=1.0):
    """A scan of unlinked sites, the first two of which interact."""
    cohort = planted(n_sites=n_sites)
    return cohort, genoattn.scan_pairs(cohort, threshold=threshold)


def landscape(folder, order=2, curve=False, **options):
    """A landscape of six sites with one pair and one triple, and its fit."""
    rng = np.random.default_rng(1)
    rows = []
    for states in product("AC", repeat=6):
        c = np.array([s == "C" for s in states], dtype=float)
        value = c.sum() + 2 * c[0] * c[1] - 3 * c[2] * c[3] * c[4]
        value = 8 / (1 + np.exp(-value / 2)) if curve else value
        rows += [("".join(states), value + 0.1 * rng.standard_normal()) for _ in range(3 if curve else 1)]
    name = folder / "landscape.csv"
    table = pd.DataFrame(rows, columns=["variant", "fitness"]).drop_duplicates("variant")
    table.to_csv(name, index=False)
    cohort = genoattn.read(name, trait="fitness", sequence_column="variant")
    return cohort, genoattn.fit(cohort, order=order, gauge="reference", **options)


def null_cohort(n_samples=300, n_sites=20):
    """Genotypes and a trait of noise alone."""
    return simulate_cohort(n_samples=n_samples, n_sites=n_sites, architecture="null", seed=7).cohort
