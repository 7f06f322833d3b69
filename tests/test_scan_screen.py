"""The screened scan reports what the exhaustive one does, and both what statsmodels does."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import make_cohort
from oracles_scan import scan_cohort_data, term_regression

import genoattn
from genoattn.scan.design import make_design
from genoattn.scan.engine import critical_value
from genoattn.scan.regression.exact import regress_pairs
from genoattn.scan.screening.products import BFloat16, Float32, has_byte_units
from genoattn.scan.screening.screen import Screen
from genoattn.scan.screening.whole_screen import WholeScreen

PRECISIONS = ["float32", "bfloat16"] + ["int8"] * has_byte_units()


def screen_of(precision, design, critical):
    if precision == "int8":
        return WholeScreen(design, critical)
    return Screen(design, Float32() if precision == "float32" else BFloat16(), critical)


def cohort_of(calls, trait, covariates, binary=False):
    return make_cohort(calls, [3] * calls.shape[1], "genotype", trait, binary, covariates)


def rows_of(frame):
    return {(r.site_1, r.site_2): r for r in frame.itertuples()}


@pytest.mark.parametrize("missing", [0.0, 0.03])
@pytest.mark.parametrize("n_covariates", [0, 3])
def test_every_pair_equals_statsmodels(missing, n_covariates):
    rng = np.random.default_rng(3)
    calls, covariates = scan_cohort_data(rng, 150, 14, missing, 0.5, n_covariates)
    trait = 0.4 * calls[:, 1] * calls[:, 8] + calls[:, 3] + covariates.sum(axis=1) + rng.normal(size=150)
    result = genoattn.scan_pairs(cohort_of(calls, trait, covariates), threshold=1.0)
    found = rows_of(result.frame)
    n_tests = 0
    for i, j in combinations(range(14), 2):
        expected = term_regression(calls, [i, j], trait, covariates)
        if expected is None:
            assert (f"s{i}", f"s{j}") not in found
            continue
        n_tests += 1
        row = found[f"s{i}", f"s{j}"]
        ours = (row.coefficient, row.se, row.statistic, row.p_value, row.n_samples)
        np.testing.assert_allclose(ours, expected, rtol=1e-6)
    assert result.counts["n_tests"] == n_tests == len(found)
    assert n_tests > 80


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_samples=st.integers(20, 400),
    n_covariates=st.integers(0, 10),
    missing=st.sampled_from([0.0, 0.0, 0.01, 0.1]),
    linked=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
    main=st.sampled_from([0.0, 1.0, 10.0]),
    threshold=st.sampled_from([1e-2, 1e-3, 1e-4]),
    precision=st.sampled_from(PRECISIONS),
)
def test_nothing_that_passes_is_discarded(
    seed, n_samples, n_covariates, missing, linked, main, threshold, precision
):
    rng = np.random.default_rng(seed)
    calls, covariates = scan_cohort_data(rng, n_samples, 40, missing, linked, n_covariates)
    product = np.prod(np.maximum(calls[:, rng.choice(40, 2, replace=False)], 0), axis=1)
    trait = main * calls[:, 5] + 0.5 * product + covariates.sum(axis=1) + rng.standard_t(3, n_samples)
    design = make_design(np.ascontiguousarray(calls.T), trait, covariates)
    usable = np.flatnonzero(design.columns.varies)
    screen = screen_of(precision, design, critical_value(design, threshold))
    a, b = screen.candidates(screen.left(usable), screen.right(usable))
    candidates = {(usable[i], usable[j]) for i, j in zip(a, b, strict=True)}
    pairs = np.array(list(combinations(usable, 2)), dtype=np.intp).reshape(-1, 2)
    tests = regress_pairs(design, trait, pairs)
    needed = {tuple(p) for p in pairs[~(tests.p_value > threshold)]}  # what passes or is untestable
    assert needed <= candidates
    assert {(j, i) for i, j in needed} <= candidates  # either way round


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("missing", [0.0, 0.005])
def test_screen_discards_nearly_all(precision, missing):
    rng = np.random.default_rng(0)
    calls = rng.binomial(2, rng.uniform(0.2, 0.5, 200), (1000, 200)).astype(np.int8)
    calls[rng.random(calls.shape) < missing] = -1
    trait = rng.normal(size=1000)
    design = make_design(np.ascontiguousarray(calls.T), trait, np.zeros((1000, 0)))
    screen = screen_of(precision, design, critical_value(design, 1e-4))
    every = np.arange(200)
    a, b = screen.candidates(screen.left(every), screen.right(every))
    assert (a != b).sum() < (40 if missing == 0 else 200)  # of 39,800


@pytest.mark.parametrize("missing", ["complete", "mean"])
def test_screened_list_equals_the_exhaustive_one(missing):
    rng = np.random.default_rng(1)
    calls, covariates = scan_cohort_data(rng, 300, 90, 0.01, 0.8, 2)
    trait = 0.6 * calls[:, 10] * calls[:, 60] + rng.normal(size=300)
    cohort = cohort_of(calls, trait, covariates)
    whole = genoattn.scan_pairs(cohort, threshold=1.0, missing=missing)
    few = genoattn.scan_pairs(cohort, threshold=1e-3, missing=missing, threads=2)
    expected = whole.frame[whole.frame["p_value"] <= 1e-3]
    assert 4 < len(few.frame) == len(expected)
    assert list(few.frame["site_1"]) == list(expected["site_1"])
    assert list(few.frame["site_2"]) == list(expected["site_2"])
    np.testing.assert_allclose(few.frame["statistic"], expected["statistic"], rtol=1e-9)
    np.testing.assert_allclose(few.frame["q_value"], np.minimum(expected["q_value"], 1), rtol=1e-6)
    assert few.counts["n_tests"] == whole.counts["n_tests"]
    assert few.counts["n_untestable"] == whole.counts["n_untestable"]


def test_order_of_samples_changes_nothing():
    rng = np.random.default_rng(2)
    calls, covariates = scan_cohort_data(rng, 200, 30, 0.02, 0.3, 2)
    cohort = cohort_of(calls, rng.normal(size=200), covariates)
    one = genoattn.scan_pairs(cohort, threshold=0.01)
    other = genoattn.scan_pairs(cohort.select_samples(rng.permutation(200)), threshold=0.01)
    assert len(one) > 2
    assert list(one.frame["site_1"]) == list(other.frame["site_1"])
    np.testing.assert_allclose(one.frame["p_value"], other.frame["p_value"], rtol=1e-9)


def test_untestable_pairs_are_counted_and_not_reported():
    rng = np.random.default_rng(4)
    calls = rng.binomial(1, 0.4, (80, 6)).astype(np.int8)
    calls[:, 1] = calls[:, 0]  # perfect linkage
    calls[:, 3] = 1  # no variance
    calls[:, 4] = np.where(calls[:, 2] == 1, 0, calls[:, 4])  # 2 and 4 never meet
    result = genoattn.scan_pairs(cohort_of(calls, rng.normal(size=80), np.zeros((80, 0))), threshold=1.0)
    assert result.counts["n_untestable"] == 1 + 5 + 1
    assert result.counts["n_tests"] == len(result.frame) == 15 - 7
    assert result.frame[["coefficient", "se", "statistic", "p_value", "q_value"]].notna().all(axis=None)
