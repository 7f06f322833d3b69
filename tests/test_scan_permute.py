"""Permutation thresholds against scans of permuted traits."""

import numpy as np
import pytest
from oracles import make_cohort
from oracles_scan import scan_cohort_data

import genoattn
from genoattn.scan.design import make_design
from genoattn.scan.permute import permuted_maxima
from genoattn.scan.scope import make_scope


def test_permuted_maxima_are_those_of_scans_of_permuted_residuals():
    rng = np.random.default_rng(7)
    calls, covariates = scan_cohort_data(rng, 80, 10, 0.0, 0.4, 2)
    trait = rng.normal(size=80) + covariates[:, 0]
    design = make_design(np.ascontiguousarray(calls.T), trait, covariates)
    cohort = make_cohort(calls, [3] * 10, "genotype", trait, False, covariates)
    everything = genoattn.scan_pairs(cohort, threshold=1.0, permutations=4, seed=11)
    scope = make_scope(cohort.sites, np.arange(10), None, None, 0, None).restrict(design.columns.varies)
    maxima = permuted_maxima(design, scope, 4, np.random.default_rng(11))
    order = np.random.default_rng(11).permuted(np.tile(np.arange(80), (4, 1)), axis=1)
    for k in range(4):
        permuted = make_cohort(calls, [3] * 10, "genotype", design.trait[order[k]], False, covariates)
        largest = genoattn.scan_pairs(permuted, threshold=1.0).frame["statistic"].abs().max()
        assert maxima[k] == pytest.approx(largest, rel=1e-4)
    assert everything.counts["permutation_t"] == pytest.approx(maxima.max())
    assert "pass the 5 % threshold of 4 permutations" in everything.summary()
