"""The exact test of binary traits against statsmodels and against definitions."""

from itertools import combinations

import numpy as np
import pytest
from oracles import make_cohort
from oracles_scan import scan_cohort_data, term_regression

import genoattn


def pairs_of(frame):
    return set(map(tuple, frame[["site_1", "site_2"]].to_numpy()))


def test_binary_pairs_equal_statsmodels():
    rng = np.random.default_rng(1)
    calls, covariates = scan_cohort_data(rng, 400, 9, 0.02, 0.2, 2)
    case = (rng.random(400) < 1 / (1 + np.exp(1 - covariates[:, 1] + 0.0))).astype(float)
    cohort = make_cohort(calls, [3] * 9, "genotype", case, True, covariates)
    frame = genoattn.scan_pairs(cohort, threshold=1.0).frame.set_index(["site_1", "site_2"])
    n_compared = 0
    for i, j in combinations(range(9), 2):
        expected = term_regression(calls, [i, j], case, covariates, binary=True)
        row = frame.loc[(f"s{i}", f"s{j}")]
        if expected is None or row["se"] > 5:
            continue
        n_compared += 1
        assert row["coefficient"] == pytest.approx(expected[0], rel=1e-6)
        assert row["se"] == pytest.approx(expected[1], rel=1e-5)
        assert row["p_value"] == pytest.approx(expected[3], rel=1e-5)
    assert n_compared > 25


def test_binary_screen_finds_what_is_there():
    rng = np.random.default_rng(2)
    calls, covariates = scan_cohort_data(rng, 800, 60, 0.0, 0.5, 2)
    log_odds = -3 + 1.2 * (calls[:, 7] - 1) * (calls[:, 44] - 1) + 0.5 * covariates[:, 0]
    case = (rng.random(800) < 1 / (1 + np.exp(-log_odds))).astype(float)
    cohort = make_cohort(calls, [3] * 60, "genotype", case, True, covariates)
    whole = genoattn.scan_pairs(cohort, threshold=1.0).frame
    few = genoattn.scan_pairs(cohort, threshold=1e-2).frame
    expected = whole[whole["p_value"] <= 1e-2]
    assert len(expected) > 10
    # The score is not the likelihood ratio: what lies well within the threshold is all there.
    strong = expected[expected["p_value"] <= 2e-3]
    assert pairs_of(strong) <= pairs_of(few) <= pairs_of(expected)


def test_separated_pair_gets_a_finite_estimate():
    rng = np.random.default_rng(3)
    calls = rng.binomial(1, 0.5, (120, 3)).astype(np.int8)
    case = rng.integers(0, 2, 120).astype(float)
    case[(calls[:, 0] == 1) & (calls[:, 1] == 1)] = 1  # every joint carrier is a case
    frame = genoattn.scan_pairs(make_cohort(calls, [2] * 3, "genotype", case, True), threshold=1.0).frame
    row = frame.set_index(["site_1", "site_2"]).loc[("s0", "s1")]
    assert 1 < row["coefficient"] < 10
    assert row["p_value"] < 3e-3
