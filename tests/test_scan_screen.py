"""The screened scan reports what the exhaustive one does, and both what statsmodels does."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import make_cohort
from oracles_scan import scan_cohort_data, term_regression
from scan_tools import candidates

import genoattn
from genoattn.scan.design import make_design
from genoattn.scan.engine import critical_square
from genoattn.scan.exact import regress_pairs
from genoattn.scan.products import ProductScreen
from genoattn.scan.screen import PlaneScreen

SCREENS = {
    "planes": PlaneScreen,
    "products": ProductScreen,
    "torch": lambda design, t2, max_r2=None: ProductScreen(design, t2, max_r2, device="cpu"),
}


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


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_samples=st.integers(40, 400),
    n_covariates=st.sampled_from([0, 0, 1, 3, 10, 25]),
    missing=st.sampled_from([0.0, 0.01, 0.1, 0.2]),
    linked=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
    main=st.sampled_from([0.0, 1.0, 10.0]),
    rare=st.booleans(),
    threshold=st.sampled_from([1e-2, 1e-3, 1e-4]),
    impute=st.booleans(),
    screen=st.sampled_from(sorted(SCREENS)),
)
def test_nothing_that_passes_is_discarded(
    seed, n_samples, n_covariates, missing, linked, main, rare, threshold, impute, screen
):
    rng = np.random.default_rng(seed)
    calls, covariates = scan_cohort_data(rng, n_samples, 40, missing, linked, n_covariates)
    if rare:
        carried = rng.binomial(2, rng.uniform(0.01, 0.1, 40), calls.shape)
        calls = np.where(calls < 0, -1, carried).astype(np.int8)
    product = np.prod(np.maximum(calls[:, rng.choice(40, 2, replace=False)], 0), axis=1)
    trait = main * calls[:, 5] + 0.5 * product + covariates.sum(axis=1) + rng.standard_t(3, n_samples)
    if n_covariates > 2 and n_samples > 100:  # a covariate that is a product of columns, but for noise
        covariates[:, 0] = product + rng.normal(0, 1e-3, n_samples)
    design = make_design(np.ascontiguousarray(calls.T), trait, covariates, impute=impute)
    usable = np.flatnonzero(design.columns.varies)
    left, found = candidates(SCREENS[screen](design, critical_square(design, threshold)), usable, usable)
    pairs = np.array(list(combinations(usable, 2)), dtype=np.intp).reshape(-1, 2)
    tests = regress_pairs(design, trait, pairs)
    assert {tuple(p) for p in pairs[tests.p_value <= threshold].tolist()} <= left
    untestable = {tuple(p) for p in pairs[~tests.testable].tolist()}
    assert len(untestable - left) == found.n_untestable


@pytest.mark.parametrize("screen", sorted(SCREENS))
@pytest.mark.parametrize("missing", [0.0, 0.01])
@pytest.mark.parametrize("n_covariates", [0, 10])
def test_screen_discards_nearly_all(screen, missing, n_covariates):
    rng = np.random.default_rng(0)
    calls = rng.binomial(2, rng.uniform(0.2, 0.5, 200), (1000, 200)).astype(np.int8)
    calls[rng.random(calls.shape) < missing] = -1
    covariates = rng.normal(size=(1000, n_covariates))
    design = make_design(np.ascontiguousarray(calls.T), rng.normal(size=1000), covariates)
    every = np.arange(200)
    left, _ = candidates(SCREENS[screen](design, critical_square(design, 1e-4)), every, every)
    assert len(left) < (20 if missing == 0 else 100)  # of 19,900


def test_rounding_of_products_is_allowed_for(monkeypatch):
    """A product with the trait that is off by nearly all that its bound allows misses no pair."""
    rng = np.random.default_rng(1)
    calls, covariates = scan_cohort_data(rng, 500, 40, 0.02, 0.3)
    trait = rng.normal(size=500)
    design = make_design(np.ascontiguousarray(calls.T), trait, covariates)
    every, pairs = np.arange(40), np.array(list(combinations(range(40), 2)))
    tests = regress_pairs(design, trait, pairs)
    real = PlaneScreen._products

    def rounded(self, left, right):
        out = real(self, left, right)
        norms = np.linalg.norm(left * self._trait, axis=1)[:, None] * np.linalg.norm(right, axis=1)
        return out - 0.98 * np.sign(out) * self._limits.rounding * norms.astype(np.float32)

    monkeypatch.setattr(PlaneScreen, "_products", rounded)
    for k in np.argsort(tests.p_value)[:12]:
        df = 500 - 4 - 0
        t2 = tests.statistic[k] ** 2 * (1 - 1e-7) * (df / (tests.n_samples[k] - 4))
        screen = PlaneScreen(design, min(t2, tests.statistic[k] ** 2 * (1 - 1e-7)))
        left, _ = candidates(screen, every, every)
        assert tuple(pairs[k]) in left


@pytest.mark.parametrize("missing", ["complete", "mean"])
def test_screened_list_equals_the_exhaustive_one(missing):
    rng = np.random.default_rng(1)
    calls, covariates = scan_cohort_data(rng, 300, 90, 0.01, 0.8, 2)
    trait = 0.6 * calls[:, 10] * calls[:, 60] + rng.normal(size=300)
    cohort = cohort_of(calls, trait, covariates)
    every_pair = genoattn.scan_pairs(cohort, threshold=1.0, missing=missing)
    few = genoattn.scan_pairs(cohort, threshold=1e-3, missing=missing, threads=2)
    expected = every_pair.frame[every_pair.frame["p_value"] <= 1e-3]
    assert 4 < len(few.frame) == len(expected)
    assert list(few.frame["site_1"]) == list(expected["site_1"])
    assert list(few.frame["site_2"]) == list(expected["site_2"])
    np.testing.assert_allclose(few.frame["statistic"], expected["statistic"], rtol=1e-9)
    np.testing.assert_allclose(few.frame["q_value"], np.minimum(expected["q_value"], 1), rtol=1e-6)
    assert few.counts["n_tests"] == every_pair.counts["n_tests"]
    assert few.counts["n_untestable"] == every_pair.counts["n_untestable"]


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


def test_what_runs_is_recorded(caplog):
    caplog.set_level("INFO", logger="genoattn")
    rng = np.random.default_rng(6)
    calls, covariates = scan_cohort_data(rng, 90, 8, 0.02, 0.2, 2)
    trait = rng.normal(size=90)
    cohorts = {
        ("planes", "quantitative trait with 2 covariates"): (cohort_of(calls, trait, covariates), {}),
        ("cells", "binary trait without covariates"): (
            cohort_of(calls, (trait > 0) * 1.0, covariates[:, :0], True), {},
        ),
        ("planes", "binary trait with 2 covariates"): (
            cohort_of(calls, (trait > 0) * 1.0, covariates, True), {},
        ),
        ("none", "every pair is tested exactly: many have p <= 0.5"): (
            cohort_of(calls, trait, covariates), {"threshold": 0.5},
        ),
        ("genotypic", "tables of both sites' genotypes"): (
            cohort_of(calls, trait, covariates), {"test": "genotypic"},
        ),
    }  # fmt: skip
    for (name, reason), (cohort, options) in cohorts.items():
        counts = genoattn.scan_pairs(cohort, **{"threshold": 1e-3, **options}).counts
        assert (counts["screen"], counts["screen_reason"]) == (name, reason)
        assert f"screen {name}: {reason}" in caplog.text


def test_torch_gives_the_same_table(monkeypatch):
    rng = np.random.default_rng(7)
    for binary in (False, True):
        calls, covariates = scan_cohort_data(rng, 300, 40, 0.02, 0.6, 2)
        trait = calls[:, 3] * calls[:, 30] + rng.normal(size=300)
        cohort = cohort_of(calls, (trait > 0.2) * 1.0 if binary else trait, covariates, binary)
        one = genoattn.scan_pairs(cohort, threshold=1e-2)
        monkeypatch.setattr("genoattn.scan.engine._CPU", "none")
        other = genoattn.scan_pairs(cohort, threshold=1e-2)
        monkeypatch.undo()
        assert other.counts["screen_reason"] == "device cpu"
        assert len(one) > 5
        assert one.frame.equals(other.frame)


def test_a_device_that_is_not_there_is_refused():
    calls, covariates = scan_cohort_data(np.random.default_rng(8), 60, 4)
    cohort = cohort_of(calls, np.arange(60.0), covariates)
    with pytest.raises(genoattn.InputError, match="device 'xpu9' is not available here; use cpu"):
        genoattn.scan_pairs(cohort, device="xpu9")
