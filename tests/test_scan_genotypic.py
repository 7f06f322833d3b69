"""The genotypic test against nested statsmodels regressions on indicators of the joint genotypes."""

import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import make_cohort
from oracles_logistic import log_likelihood
from oracles_scan import scan_cohort_data
from scan_tools import genotypic_tile
from scipy.optimize import minimize
from scipy.stats import chi2, kstest
from statsmodels.stats.anova import anova_lm

import genoattn
from genoattn.errors import InputError
from genoattn.scan import genotypic
from genoattn.scan.design import binary_design, make_design
from genoattn.scan.exact import regress_pairs
from genoattn.scan.genotypic import check_genotypic, genotypic_pairs
from genoattn.scan.logistic import LogisticProblems, greatest_likelihood


def genotypic_definition(calls, sites, trait, covariates, binary=False):
    """Statistic, p, df and samples of the products of two sites' genotype indicators; None without df."""
    called = (calls[:, sites] >= 0).all(axis=1)
    a, b = (calls[called, s] for s in sites)
    ones = [x == k for x in (a, b) for k in (1, 2)]
    lower = np.column_stack([np.ones(called.sum()), covariates[called], *ones]).astype(float)
    products = [ones[x] & ones[2 + y] for x in (0, 1) for y in (0, 1)]
    full = np.column_stack([lower, *products]).astype(float)
    rank, rank_full = np.linalg.matrix_rank(lower), np.linalg.matrix_rank(full)
    df, y = rank_full - rank, trait[called]
    if df == 0:
        return None
    if binary:
        ratio = 2 * (log_likelihood(full, y) - log_likelihood(lower, y))
        return ratio, chi2.sf(ratio, df), df, called.sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = anova_lm(sm.OLS(y, lower).fit(), sm.OLS(y, full).fit())
    assert table["df_diff"].iloc[1] == df
    return table["F"].iloc[1], table["Pr(>F)"].iloc[1], df, called.sum()


def awkward_data(seed, n_samples=260, n_covariates=2, missing=0.0):
    """Sites with an absent class, in perfect linkage, constant; a trait with dominance epistasis."""
    rng = np.random.default_rng(seed)
    calls, covariates = scan_cohort_data(rng, n_samples, 12, missing, 0.3, n_covariates)
    calls[:, 3] = np.minimum(calls[:, 3], 1)
    calls[:, 5] = calls[:, 4]
    calls[calls[:, 6] == 1, 6] = 0
    calls[:, 7] = 1
    trait = rng.normal(size=n_samples) + covariates.sum(axis=1)
    trait += 1.0 * (calls[:, 8] == 1) * (calls[:, 10] == 1)
    return calls, covariates, trait


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.03])
@pytest.mark.parametrize("n_covariates", [0, 2])
def test_every_pair_equals_statsmodels(binary, missing, n_covariates, monkeypatch):
    monkeypatch.setattr(genotypic, "_STRIP", 5)
    calls, covariates, trait = awkward_data(1, n_covariates=n_covariates, missing=missing)
    trait = (trait > np.quantile(trait, 0.6)).astype(float) if binary else trait
    make = binary_design if binary else make_design
    design = make(np.ascontiguousarray(calls.T), trait, covariates)
    every = np.arange(12)
    found, n_untestable = genotypic_tile(design, trait, every, every, every[:, None] < every, 1.0)
    place = {pair: k for k, pair in enumerate(zip(found.i.tolist(), found.j.tolist(), strict=True))}
    dfs = []
    for pair in combinations(range(12), 2):
        expected = genotypic_definition(calls, list(pair), trait, covariates, binary)
        assert (pair in place) == (expected is not None)
        if expected is None:
            continue
        k, tests = place[pair], found.tests
        dfs.append(found.tests.df[k])
        ours = (tests.statistic[k], tests.p_value[k], found.tests.df[k], tests.n_samples[k])
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9 if binary else 0)
    assert n_untestable == 66 - len(dfs) >= 11  # those with the constant site
    assert {1, 2, 4} <= set(dfs)


def test_statistic_by_hand():
    # Cell means (n = 4 each, noise +-1): 0 but for 8 at genotypes (1, 1), so that SS(interaction) is
    # 4 * 64 * (2/3)^2 = 1024/9 on 4 df, and SS(residual) = 36 on 27 df: F = (1024/36) / (36/27) = 21 1/3.
    a, b, noise = (x.ravel() for x in np.meshgrid([0, 1, 2], [0, 1, 2], [1, 1, -1, -1], indexing="ij"))
    trait = noise + 8.0 * ((a == 1) & (b == 1))
    design = make_design(np.stack([a, b]).astype(np.int8), trait, np.zeros((36, 0)))
    tests = genotypic_pairs(design, trait, np.array([[0, 1]]))
    assert tests.statistic[0] == pytest.approx(64 / 3)
    assert tests.df[0] == 4
    assert tests.coefficient[0] == pytest.approx(0)  # additive x additive sees nothing of it
    assert tests.explained[0] == pytest.approx((1024 / 9) / (trait.var() * 36))


@pytest.mark.parametrize("n_covariates", [0, 3])
def test_tile_finds_what_one_test_a_pair_does(n_covariates):
    rng = np.random.default_rng(5)
    calls, covariates = scan_cohort_data(rng, 300, 60, 0.0, 0.4, n_covariates)
    calls[rng.random(300) < 0.1, 11] = -1
    trait = rng.normal(size=300) + 2.0 * (calls[:, 8] == 1) * (calls[:, 40] == 1) + covariates.sum(axis=1)
    design = make_design(np.ascontiguousarray(calls.T), trait, covariates)
    rows, cols = np.arange(30), np.arange(20, 60)
    keep = (rows[:, None] < cols) & (rng.random((30, 40)) < 0.9)
    found, n_untestable = genotypic_tile(design, trait, rows, cols, keep, 0.01)
    i, j = np.nonzero(keep)
    pairs = np.stack([rows[i], cols[j]], axis=1)
    expected = genotypic_pairs(design, trait, pairs)
    passing = expected.p_value <= 0.01
    assert 5 < passing.sum() == len(found.i)
    ours = set(zip(rows[found.i].tolist(), cols[found.j].tolist(), strict=True))
    assert ours == set(map(tuple, pairs[passing].tolist()))
    assert n_untestable == (expected.df == 0).sum()
    additive = regress_pairs(design, trait, np.stack([rows[found.i], cols[found.j]], axis=1))
    np.testing.assert_allclose(found.tests.coefficient, additive.coefficient)
    np.testing.assert_allclose(found.tests.se, additive.se)


def test_binary_tile_keeps_what_lies_within_the_threshold():
    rng = np.random.default_rng(6)
    calls, covariates = scan_cohort_data(rng, 900, 50, 0.0, 0.3, 1)
    log_odds = -1.5 + 1.5 * (calls[:, 7] == 1) * (calls[:, 33] == 1) + 0.5 * covariates[:, 0]
    case = (rng.random(900) < 1 / (1 + np.exp(-log_odds))).astype(float)
    design = binary_design(np.ascontiguousarray(calls.T), case, covariates)
    every = np.arange(50)
    keep = every[:, None] < every
    found, _ = genotypic_tile(design, case, every, every, keep, 0.01)
    i, j = np.nonzero(keep)
    p_value = genotypic_pairs(design, case, np.stack([i, j], axis=1)).p_value
    ours = set(zip(found.i.tolist(), found.j.tolist(), strict=True))
    assert ours <= set(zip(i[p_value <= 0.01].tolist(), j[p_value <= 0.01].tolist(), strict=True))
    assert set(zip(i[p_value <= 1e-3].tolist(), j[p_value <= 1e-3].tolist(), strict=True)) <= ours
    assert (7, 33) in ours


def test_relabelling_alleles_changes_nothing_but_the_sign():
    calls, covariates, trait = awkward_data(2)
    pairs = np.array(list(combinations(range(12), 2)))
    one = genotypic_pairs(make_design(calls.T.copy(), trait, covariates), trait, pairs)
    calls[:, 8] = 2 - calls[:, 8]
    other = genotypic_pairs(make_design(calls.T.copy(), trait, covariates), trait, pairs)
    np.testing.assert_allclose(other.statistic, one.statistic, rtol=1e-8)
    sign = np.where((pairs == 8).any(axis=1), -1, 1)
    np.testing.assert_allclose(other.coefficient, sign * one.coefficient, rtol=1e-8)


def test_uniform_p_values_under_the_null():
    rng = np.random.default_rng(7)
    codes = rng.binomial(2, rng.uniform(0.2, 0.5, 240)[:, None], (240, 400)).astype(np.int8)
    trait = rng.normal(size=400)
    design = make_design(codes, trait, rng.normal(size=(400, 2)))
    first = np.arange(120)
    found, _ = genotypic_tile(design, trait, first, first + 120, np.ones((120, 120), dtype=bool), 1.0)
    p_value = found.tests.p_value
    assert len(p_value) == 120 * 120
    assert kstest(p_value, "uniform").statistic < 0.03  # pairs share sites
    assert 0.04 < np.mean(p_value < 0.05) < 0.06


def test_likelihood_is_climbed_where_a_full_step_overshoots():
    x = np.array([[1.0, 1.375], [1.0, -1.815], [1.0, 1.739]])
    cases, n = np.array([1177.0, 114.0, 414.0]), np.array([1185.0, 229.0, 414.0])

    def loss(beta):
        return n @ np.logaddexp(0, x @ beta) - cases @ (x @ beta)

    best = minimize(loss, [1.0, 1.0], method="Nelder-Mead", options={"fatol": 1e-10, "xatol": 1e-10})
    problem = LogisticProblems(x.T[None], n[None], cases[None], np.zeros((1, 3)))
    assert greatest_likelihood(problem)[0] == pytest.approx(-best.fun, rel=1e-9)


def test_too_few_samples_are_untestable():
    rng = np.random.default_rng(8)
    codes = rng.integers(0, 3, (2, 9)).astype(np.int8)
    trait = rng.normal(size=9)
    design = make_design(codes, trait, rng.normal(size=(9, 3)))
    tests = genotypic_pairs(design, trait, np.array([[0, 1]]))
    assert tests.df[0] == 0
    assert np.isnan([tests.statistic[0], tests.p_value[0]]).all()
    found, n_untestable = genotypic_tile(
        design, trait, np.array([0]), np.array([1]), np.ones((1, 1), bool), 1.0
    )
    assert (len(found.i), n_untestable) == (0, 1)


@pytest.mark.parametrize("highest", [1, 3])
def test_other_codes_are_refused(highest):
    codes = np.random.default_rng(9).integers(0, highest + 1, (3, 40)).astype(np.int8)
    design = make_design(codes, np.random.default_rng(0).normal(size=40), np.zeros((40, 0)))
    with pytest.raises(genoattn.InputError, match=f"for diploid dosages 0, 1 and 2.* code is {highest}; use"):
        check_genotypic(design)


@pytest.mark.parametrize("binary", [False, True])
def test_scan_reports_what_passes(binary):
    calls, covariates, trait = awkward_data(3, missing=0.02)
    trait = (trait > np.median(trait)) * 1.0 if binary else trait
    cohort = make_cohort(calls, [3] * calls.shape[1], "genotype", trait, binary, covariates)
    result = genoattn.scan_pairs(cohort, threshold=0.2, test="genotypic", threads=1)
    expected, untestable = {}, 0
    for pair in combinations(range(calls.shape[1]), 2):
        test = genotypic_definition(calls, list(pair), trait, covariates, binary)
        untestable += test is None
        if test is not None and test[1] <= 0.2:
            expected[f"s{pair[0]}", f"s{pair[1]}"] = test
    frame = result.frame
    found = dict(zip(zip(frame["site_1"], frame["site_2"], strict=True), range(len(frame)), strict=True))
    assert found.keys() == expected.keys()
    assert len(found) > 3
    assert result.counts["n_untestable"] == untestable > 0
    for pair, k in found.items():
        ours = (frame["statistic"][k], frame["p_value"][k], result.tests.df[k], frame["n_samples"][k])
        np.testing.assert_allclose(ours, expected[pair], rtol=1e-4 if binary else 1e-6)
    assert 4 in result.tests.df


def test_scan_writes_degrees_of_freedom(tmp_path):
    calls, covariates, trait = awkward_data(4)
    cohort = make_cohort(calls, [3] * calls.shape[1], "genotype", trait, False, covariates)
    result = genoattn.scan_pairs(cohort, threshold=1.0, test="genotypic")
    result.save(tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "genotypic.tsv", sep="\t")
    assert list(table.columns) == ["site_1", "site_2", "statistic", "p_value", "df"]
    assert list(table["df"]) == list(result.tests.df)
    assert {1, 2, 4} <= set(table["df"]) | {1}
    with pytest.raises(InputError, match="PLINK's columns are for the additive test"):
        result.save(tmp_path / "other", plink=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": "dominant"}, "test 'dominant' is unknown; choose one of additive, genotypic"),
        ({"test": "genotypic", "permutations": 5}, "complete cases and without permutations"),
        ({"test": "genotypic", "missing": "mean"}, "complete cases and without permutations"),
    ],
)
def test_settings_that_do_not_go_with_it(options, message):
    calls, covariates, trait = awkward_data(5)
    cohort = make_cohort(calls, [3] * calls.shape[1], "genotype", trait, False, covariates)
    with pytest.raises(InputError, match=message):
        genoattn.scan_pairs(cohort, **options)


def test_a_small_threshold_keeps_what_is_far_below_it():
    rng = np.random.default_rng(8)
    calls = rng.binomial(2, 0.4, (1500, 8)).astype(np.int8)
    trait = calls[:, 2] * calls[:, 5] + 0.5 * rng.normal(size=1500)
    cohort = make_cohort(calls, [3] * 8, "genotype", trait)
    for threshold in (1e-12, 1e-17, 1e-60):
        frame = genoattn.scan_pairs(cohort, threshold=threshold, test="genotypic", threads=1).frame
        assert frame[["site_1", "site_2"]].to_numpy().tolist() == [["s2", "s5"]]
        assert frame["p_value"][0] < threshold
