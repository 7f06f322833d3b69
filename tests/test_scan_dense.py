"""The exhaustive float64 test of a tile against one regression a pair, for one trait and for many."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles_scan import scan_cohort_data, term_regression

from genoattn.scan.design import make_design
from genoattn.scan.logistic.null import binary_design
from genoattn.scan.regression import dense
from genoattn.scan.regression.dense import column_r2, make_traits, multi_trait_tile
from genoattn.scan.regression.exact import regress_pairs
from genoattn.scan.regression.genotype_sums import code_rows, counted_sums, genotype_sums

FIELDS = ("coefficient", "se", "statistic", "p_value", "n_samples", "explained")


def several_traits(n_samples=130, n_sites=13, n_covariates=2, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    calls, covariates = scan_cohort_data(rng, n_samples, n_sites, missing, 0.3, n_covariates)
    traits = rng.normal(size=(3, n_samples)) + covariates.sum(axis=1)
    traits[1] += calls[:, 2] * calls[:, 9]
    design = make_design(np.ascontiguousarray(calls.T), traits[0], covariates, impute=True)
    return calls, covariates, traits, design


@pytest.mark.parametrize("n_covariates", [0, 2])
@pytest.mark.parametrize("rows_at_once", [4, 128])
def test_every_pair_of_every_trait_equals_statsmodels(n_covariates, rows_at_once, monkeypatch):
    monkeypatch.setattr(dense, "_ROWS", rows_at_once)
    calls, covariates, traits, design = several_traits(n_covariates=n_covariates)
    every = np.arange(13)
    keep = every[:, None] < every
    found, n_untestable = multi_trait_tile(design, make_traits(design, traits), every, every, keep, 1.0)
    n_tests = 0
    for trait, (i, j, tests) in zip(traits, found, strict=True):
        place = {pair: k for k, pair in enumerate(zip(i.tolist(), j.tolist(), strict=True))}
        for a, b in combinations(range(13), 2):
            expected = term_regression(calls, [a, b], trait, covariates)
            assert ((a, b) in place) == (expected is not None)
            if expected is not None:
                n_tests += 1
                ours = [getattr(tests, name)[place[a, b]] for name in FIELDS[:5]]
                np.testing.assert_allclose(ours, expected, rtol=1e-7)
    assert n_tests == 3 * (78 - n_untestable) > 200


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    missing=st.sampled_from([0.0, 0.05]),
    n_covariates=st.integers(0, 3),
    threshold=st.sampled_from([1.0, 0.3, 0.01]),
)
def test_threshold_keeps_what_one_regression_a_pair_does(seed, missing, n_covariates, threshold):
    *_, traits, design = several_traits(90, 13, n_covariates, missing, seed)
    rows, cols = np.arange(6), np.arange(4, 13)
    keep = np.random.default_rng(seed).random((6, 9)) < 0.7
    keep &= rows[:, None] != cols
    found, n_untestable = multi_trait_tile(design, make_traits(design, traits), rows, cols, keep, threshold)
    a, b = np.nonzero(keep)
    pairs = np.stack([rows[a], cols[b]], axis=1)
    for trait, (i, j, tests) in zip(traits, found, strict=True):
        expected = regress_pairs(
            make_design(design.codes, trait, design.basis[1:].T, impute=True), trait, pairs
        )
        assert n_untestable == (~expected.testable).sum()
        passing = np.flatnonzero(expected.p_value <= threshold)
        order = np.lexsort((j, i))
        np.testing.assert_array_equal(np.stack([i, j])[:, order], np.stack([a, b])[:, passing])
        for name in (*FIELDS, "r2"):
            ours, theirs = getattr(tests, name)[order], getattr(expected, name)[passing]
            np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-12)


def test_without_degrees_of_freedom_nothing_is_testable():
    *_, traits, design = several_traits(6, 13, 2)
    every = np.arange(13)
    keep = every[:, None] < every
    found, n_untestable = multi_trait_tile(design, make_traits(design, traits), every, every, keep, 1.0)
    assert n_untestable == 78
    assert [len(f.i) for f in found] == [0, 0, 0]


def test_no_pairs_and_wide_tiles(monkeypatch):
    *_, traits, design = several_traits()
    found, n_untestable = multi_trait_tile(
        design,
        make_traits(design, traits),
        np.arange(3),
        np.zeros(0, dtype=np.intp),
        np.zeros((3, 0), bool),
        1.0,
    )
    assert (n_untestable, [len(f.i) for f in found]) == (0, [0, 0, 0])
    rows, cols, rng = np.arange(6), np.arange(6, 13), np.random.default_rng(1)
    codes = np.repeat(design.codes[cols], 30, axis=0)  # 210 columns, in parts of 64 at most
    codes = rng.permuted(np.concatenate([design.codes[rows], codes]), axis=1)
    design = make_design(codes, traits[0], np.zeros((130, 0)), impute=True)
    cols, keep = np.arange(6, 216), np.ones((6, 210), dtype=bool)
    whole, _ = multi_trait_tile(design, make_traits(design, traits[:1]), rows, cols, keep, 0.05)
    monkeypatch.setattr(dense, "_OPERAND_BYTES", 1)
    parts, _ = multi_trait_tile(design, make_traits(design, traits[:1]), rows, cols, keep, 0.05)
    order = np.lexsort((parts[0].j, parts[0].i))
    np.testing.assert_array_equal(parts[0].j[order], whole[0].j)
    np.testing.assert_allclose(parts[0].tests.statistic[order], whole[0].tests.statistic, rtol=1e-9)
    assert len(order) > 20


@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize("highest", [1, 2, 3])
def test_genotype_sums_by_definition(missing, highest):
    rng = np.random.default_rng(3)
    codes = rng.binomial(highest, rng.uniform(0.02, 0.98, 40)[:, None], (40, 700)).astype(np.int8)
    codes[rng.random(codes.shape) < missing] = -1
    design = make_design(codes, rng.normal(size=700), np.zeros((700, 0)), impute=True)
    called = codes >= 0
    mean = np.where(called, codes, 0).sum(axis=1) / called.sum(axis=1)
    x = np.where(called, codes - mean[:, None], 0.0)
    rows, cols = np.arange(17), np.arange(5, 40)
    sums = genotype_sums(design, rows, cols)
    for ours, left, right in zip(sums, (1, 2, 1, 2), (1, 1, 2, 2), strict=True):
        expected = x[rows] ** left @ (x[cols] ** right).T
        np.testing.assert_allclose(ours, expected, atol=1e-9)
    r2 = np.corrcoef(x)[np.ix_(rows, cols)] ** 2
    np.testing.assert_allclose(column_r2(design, rows, cols), r2, atol=1e-12)


def test_common_alleles_lose_no_digits():
    # 2 is the rarer code of a and b here; products of the codes themselves would leave no digit of P.
    n = 200_000
    codes = np.full((2, n), 2, dtype=np.int8)
    codes[0, :3], codes[1, 1:4] = 0, 1
    sums = counted_sums(code_rows(codes[:1]), code_rows(codes[1:]))
    x = codes - codes.mean(axis=1, keepdims=True)
    assert sums.aabb[0, 0] == pytest.approx((x[0] ** 2) @ (x[1] ** 2), rel=1e-12)
    assert sums.ab[0, 0] == pytest.approx(x[0] @ x[1], rel=1e-12)


def test_weighted_sums_are_products():
    rng = np.random.default_rng(4)
    codes = rng.binomial(2, 0.4, (6, 90)).astype(np.int8)
    design = binary_design(codes, (rng.random(90) < 0.3).astype(float), rng.normal(size=(90, 1)))
    every = np.arange(6)
    x = codes - (codes @ design.weight / design.weight.sum())[:, None]
    sums = genotype_sums(design, every, every)
    np.testing.assert_allclose(sums.aab, (x**2 * design.weight) @ x.T, atol=1e-10)
    np.testing.assert_allclose(sums.abb, sums.aab.T, atol=1e-10)
