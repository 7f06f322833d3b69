"""Triples against statsmodels, against exhaustive lists, and what they refuse."""

from itertools import combinations

import numpy as np
import pytest
from oracles import make_cohort
from oracles_scan import scan_cohort_data, term_regression

import genoattn


@pytest.mark.parametrize("missing", [0.0, 0.03])
def test_triples_equal_statsmodels(missing):
    rng = np.random.default_rng(4)
    calls, covariates = scan_cohort_data(rng, 200, 7, missing, 0.3, 2)
    trait = calls[:, 0] * calls[:, 3] * calls[:, 5] * 0.2 + rng.normal(size=200) + covariates[:, 0]
    cohort = make_cohort(calls, [3] * 7, "genotype", trait, False, covariates)
    result = genoattn.scan_triples(cohort, threshold=1.0)
    frame = result.frame.set_index(["site_1", "site_2", "site_3"])
    n_tests = 0
    for sites in combinations(range(7), 3):
        expected = term_regression(calls, list(sites), trait, covariates)
        if expected is None:
            continue
        n_tests += 1
        row = frame.loc[tuple(f"s{k}" for k in sites)]
        ours = row[["coefficient", "se", "statistic", "p_value", "n_samples"]].to_numpy(dtype=float)
        np.testing.assert_allclose(ours, expected, rtol=1e-6)
    assert n_tests == len(frame) == result.counts["n_tests"] > 20


def test_triples_that_hold_a_site_and_the_planted_one():
    rng = np.random.default_rng(5)
    calls = rng.binomial(2, 0.4, (500, 40)).astype(np.int8)
    x = calls - 0.8
    trait = x[:, 4] * x[:, 17] * x[:, 33] + rng.normal(size=500)
    cohort = make_cohort(calls, [3] * 40, "genotype", trait)
    whole = genoattn.scan_triples(cohort, threshold=1e-4)
    assert tuple(whole.frame[["site_1", "site_2", "site_3"]].iloc[0]) == ("s4", "s17", "s33")
    assert whole.counts["n_tests"] == 40 * 39 * 38 // 6
    part = genoattn.scan_triples(cohort, threshold=1e-4, sites="s17,s2", precision="bfloat16")
    held = whole.frame[["site_1", "site_2", "site_3"]].isin(["s17", "s2"]).any(axis=1)
    assert list(part.frame["p_value"]) == pytest.approx(list(whole.frame["p_value"][held]))
    assert part.counts["n_tests"] == 40 * 39 * 38 // 6 - 38 * 37 * 36 // 6
    assert not part.counts["exhaustive"]


def test_triples_refuse_what_they_cannot_do():
    rng = np.random.default_rng(6)
    calls = rng.binomial(2, 0.4, (60, 501)).astype(np.int8)
    y = rng.normal(size=60)
    large = make_cohort(calls, [3] * 501, "genotype", y)
    with pytest.raises(genoattn.InputError, match="501 columns make 20,833,250 triples; up to 500 are"):
        genoattn.scan_triples(large)
    with pytest.raises(genoattn.InputError, match="triples take no second set, distance"):
        genoattn.scan_triples(large, min_distance=3)
    case = make_cohort(calls[:, :5], [3] * 5, "genotype", (y > 0).astype(float), True)
    with pytest.raises(genoattn.InputError, match="trait is binary; triples are for quantitative traits"):
        genoattn.scan_triples(case)
    with pytest.raises(genoattn.InputError, match="no triple of sites is left"):
        genoattn.scan_triples(make_cohort(calls[:, :2], [3] * 2, "genotype", y))
