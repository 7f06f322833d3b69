"""The exact test of binary traits, and the stages before it, against statsmodels and against definitions."""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
import pytest
import statsmodels.api as sm
from oracles import make_cohort
from oracles_logistic import firth_ratio, likelihood_ratio, weighted_score
from oracles_scan import design_matrix, scan_cohort_data, term_regression
from scan_tools import candidates
from scipy.special import ndtri

import genoattn
from genoattn.scan.binary import LogisticTests, logistic_pairs, score_margin
from genoattn.scan.design import binary_design
from genoattn.scan.screen import CellScreen
from genoattn.simulate import simulate_cohort


def pairs_of(frame):
    return set(map(tuple, frame[["site_1", "site_2"]].to_numpy()))


def all_pairs(n):
    return np.array(list(combinations(range(n), 2)))


def cases_of(rng, log_odds):
    return (rng.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))).astype(float)


def covariates_of(rng, n_samples, kind):
    """None, four groups of samples, or numbers."""
    if kind == "none":
        return np.zeros((n_samples, 0))
    values = rng.normal(size=(n_samples, 2 if kind == "few" else 5))
    return (values > 0.3).astype(float) if kind == "few" else values


def test_binary_pairs_equal_statsmodels():
    rng = np.random.default_rng(1)
    calls, covariates = scan_cohort_data(rng, 400, 9, 0.02, 0.2, 2)
    case = (rng.random(400) < 1 / (1 + np.exp(1 - covariates[:, 1] + 0.0))).astype(float)
    cohort = make_cohort(calls, [3] * 9, "genotype", case, True, covariates)
    result = genoattn.scan_pairs(cohort, threshold=1.0)
    frame = result.frame.assign(wald_se=result.tests.se).set_index(["site_1", "site_2"])
    n_compared = 0
    for i, j in combinations(range(9), 2):
        expected = term_regression(calls, [i, j], case, covariates, binary=True)
        row = frame.loc[(f"s{i}", f"s{j}")]
        if expected is None or row["wald_se"] > 5:
            continue
        n_compared += 1
        assert row["coefficient"] == pytest.approx(expected[0], rel=1e-6)
        assert row["wald_se"] == pytest.approx(expected[1], rel=1e-6)
        # One row, one quantity: the standard error is that of the likelihood-ratio test.
        assert row["effect"] == row["coefficient"]
        assert row["effect"] / row["se"] == pytest.approx(row["statistic"], rel=1e-12)
        assert row["p_value"] == pytest.approx(expected[3], rel=1e-5)
    assert n_compared > 25


@pytest.mark.parametrize("kind", ["none", "few", "many"])
@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_kernel_equals_statsmodels(kind, missing):
    rng = np.random.default_rng(8)
    calls, _ = scan_cohort_data(rng, 500, 8, missing, 0.3)
    calls[:, 5:] = np.where(calls[:, 5:] < 0, -1, calls[:, 5:] > 0)  # haploid
    covariates = covariates_of(rng, 500, kind)
    case = cases_of(rng, covariates.sum(axis=1) * 0.5 - 0.5 + 0.4 * np.maximum(calls[:, 2], 0))
    design = binary_design(np.ascontiguousarray(calls.T), case, covariates)
    tests = logistic_pairs(design, case, all_pairs(8))
    n_compared = 0
    for k, (i, j) in enumerate(all_pairs(8)):
        expected = likelihood_ratio(calls, [i, j], case, covariates)
        if expected is None or np.abs(expected[-1]).max() > 10:
            continue
        n_compared += 1
        ours = [tests.coefficient[k], tests.se[k], tests.statistic[k], tests.explained[k], tests.r2[k]]
        np.testing.assert_allclose(ours, expected[:-1], rtol=1e-6, atol=1e-12)
        assert tests.n_samples[k] == (calls[:, [i, j]] >= 0).all(axis=1).sum()
    assert n_compared > 18


def test_imputed_calls_count_as_the_mean():
    rng = np.random.default_rng(9)
    calls, covariates = scan_cohort_data(rng, 300, 4, 0.1, 0.0, 2)
    case = cases_of(rng, covariates[:, 0])
    design = binary_design(np.ascontiguousarray(calls.T), case, covariates, (), True)
    tests = logistic_pairs(design, case, np.array([[0, 2]]))
    a, b = design.values(np.array([0, 2]))  # centred, 0 where missing
    x = np.column_stack([np.ones(300), covariates, a, b, a * b])
    fit = sm.Logit(case, x).fit(disp=False, tol=1e-14)
    np.testing.assert_allclose([tests.coefficient[0], tests.se[0]], [fit.params[-1], fit.bse[-1]], rtol=1e-6)
    assert tests.n_samples[0] == 300


@pytest.mark.parametrize("kind", ["none", "few", "many"])
def test_separated_pairs_get_firths_estimate(kind):
    rng = np.random.default_rng(10)
    calls = rng.binomial(1, 0.4, (260, 4)).astype(np.int8)
    covariates = covariates_of(rng, 260, kind)
    case = cases_of(rng, covariates.sum(axis=1) - 0.5)
    case[(calls[:, 0] == 1) & (calls[:, 1] == 1)] = 1  # every joint carrier is a case
    case[(calls[:, 0] == 0) & (calls[:, 2] == 1)] = 0
    design = binary_design(np.ascontiguousarray(calls.T), case, covariates)
    tests = logistic_pairs(design, case, np.array([[0, 1], [2, 0]]))
    for k, sites in enumerate(([0, 1], [2, 0])):
        x = design_matrix([calls[:, s].astype(float) for s in sites], covariates, np.ones(260, dtype=bool))
        coefficient, ratio = firth_ratio(x, case)
        assert 0.5 < abs(coefficient) < 10
        assert tests.coefficient[k] == pytest.approx(coefficient, rel=1e-5)
        assert tests.statistic[k] == pytest.approx(np.sign(coefficient) * np.sqrt(ratio), rel=1e-5)


@pytest.mark.parametrize("n_covariates", [0, 2])
def test_pairs_that_one_sample_decides_get_firths_estimate(n_covariates):
    """A single carrier, the information being half of the penalised likelihood's curvature for it."""
    rng = np.random.default_rng(11)
    calls = rng.binomial(1, 0.2, (300, 2)).astype(np.int8)
    calls[(calls == 1).all(axis=1), 1] = 0
    calls[7] = 1
    covariates = rng.normal(size=(300, n_covariates))
    for value in (0, 1):
        case = cases_of(rng, 0.5 * covariates.sum(axis=1) - 0.8)
        case[7] = value
        design = binary_design(np.ascontiguousarray(calls.T), case, covariates)
        tests = logistic_pairs(design, case, np.array([[0, 1]]))
        x = design_matrix([calls[:, s].astype(float) for s in (0, 1)], covariates, np.ones(300, dtype=bool))
        coefficient, ratio = firth_ratio(x, case)
        assert tests.coefficient[0] == pytest.approx(coefficient, rel=1e-4)
        assert tests.statistic[0] == pytest.approx(np.sign(coefficient) * np.sqrt(ratio), rel=1e-4)


def test_separated_pair_gets_a_finite_estimate():
    rng = np.random.default_rng(3)
    calls = rng.binomial(1, 0.5, (120, 3)).astype(np.int8)
    case = rng.integers(0, 2, 120).astype(float)
    case[(calls[:, 0] == 1) & (calls[:, 1] == 1)] = 1  # every joint carrier is a case
    frame = genoattn.scan_pairs(make_cohort(calls, [2] * 3, "genotype", case, True), threshold=1.0).frame
    row = frame.set_index(["site_1", "site_2"]).loc[("s0", "s1")]
    assert 1 < row["coefficient"] < 10
    assert row["p_value"] < 3e-3


def test_untestable_pairs_are_nan():
    rng = np.random.default_rng(11)
    calls = rng.binomial(2, 0.4, (200, 6)).astype(np.int8)
    calls[:, 1] = calls[:, 0]
    calls[:, 3] = np.where(calls[:, 2] > 0, 0, calls[:, 3])  # never carried together
    covariates = np.column_stack([calls[:, 4] * calls[:, 5] + 0.0, rng.normal(size=200)])
    case = cases_of(rng, covariates[:, 1])
    design = binary_design(np.ascontiguousarray(calls.T), case, covariates)
    tests = logistic_pairs(design, case, all_pairs(6))
    untestable = {tuple(p) for p in all_pairs(6)[~tests.testable]}
    assert untestable == {(0, 1), (2, 3), (4, 5)}
    for name in ("coefficient", "se", "statistic", "explained"):
        assert (np.isnan(getattr(tests, name)) == ~tests.testable).all()


def test_swapping_alleles_changes_the_sign():
    rng = np.random.default_rng(12)
    calls, covariates = scan_cohort_data(rng, 300, 5, 0.03, 0.2, 2)
    case = cases_of(rng, covariates[:, 0] - 1)
    one, other = calls.T.copy(), calls.T.copy()
    other[2] = np.where(other[2] < 0, -1, 2 - other[2])
    a = logistic_pairs(binary_design(one, case, covariates), case, all_pairs(5))
    b = logistic_pairs(binary_design(other, case, covariates), case, all_pairs(5))
    sign = np.where((all_pairs(5) == 2).any(axis=1), -1, 1)
    np.testing.assert_allclose(b.statistic, sign * a.statistic, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(b.se, a.se, rtol=1e-6)


def test_threads_share_nothing():
    rng = np.random.default_rng(13)
    calls, covariates = scan_cohort_data(rng, 400, 24, 0.02, 0.2, 3)
    case = cases_of(rng, covariates[:, 0] - 1)
    design = binary_design(np.ascontiguousarray(calls.T), case, covariates)
    pairs = all_pairs(24)
    alone = logistic_pairs(design, case, pairs).statistic
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda part: logistic_pairs(design, case, part), np.array_split(pairs, 16)))
    np.testing.assert_array_equal(np.concatenate([part.statistic for part in parts]), alone)


def uneven_cohort(seed, n_samples, ratio, maf, main, heavy=False):
    """Linked sites, strong covariates, six main effects, two interactions, one case to ``ratio`` controls."""
    rng = np.random.default_rng(seed)
    simulation = simulate_cohort(
        n_samples=n_samples, n_sites=90, architecture="null", maf=maf, seed=seed, missing=0.005
    )
    calls = simulation.cohort.calls
    x, covariates = np.maximum(calls, 0), rng.normal(size=(n_samples, 3))
    if heavy:
        covariates[:, 0] = np.clip(rng.standard_t(3, n_samples), -7, 7)
    chosen = rng.choice(90, 10, replace=False)
    log_odds = 0.6 * covariates.sum(axis=1) + main * (x[:, chosen[:6]] @ rng.choice([-1, 1], 6))
    log_odds += 0.8 * (x[:, chosen[6]] * x[:, chosen[7]] - x[:, chosen[8]] * x[:, chosen[9]])
    level = np.quantile(log_odds + rng.logistic(size=n_samples), ratio / (1 + ratio))
    return np.ascontiguousarray(calls.T), cases_of(rng, log_odds - level), covariates


@pytest.mark.parametrize(
    ("n_samples", "ratio", "maf", "main"),
    [
        (1000, 1, 0.05, 0.5),
        (1500, 1, 0.01, 1.0),
        (1500, 4, 0.05, 1.0),
        (2100, 20, 0.05, 0.5),
        (2100, 20, 0.01, 1.0),
    ],
)
def test_stages_miss_nothing_that_passes(n_samples, ratio, maf, main):
    codes, case, covariates = uneven_cohort(40 + ratio, n_samples, ratio, maf, main)
    design = binary_design(codes, case, covariates)
    pairs = all_pairs(len(codes))
    exhaustive = logistic_pairs(design, case, pairs)
    z = weighted_score(design, pairs)
    n_passing = [(exhaustive.p_value <= threshold).sum() for threshold in (1e-2, 1e-3)]
    assert n_passing[0] > 15
    assert n_passing[1] > 0
    for threshold in (1e-2, 1e-3):
        passing = exhaustive.p_value <= threshold
        margin = score_margin(design, threshold)[pairs].sum(axis=1)
        tested = ~(np.abs(z) < -ndtri(threshold / 2) * (1 - margin))
        assert tested[passing].all()
        assert tested.mean() < 0.5
        staged = logistic_pairs(design, case, pairs[tested], threshold)
        np.testing.assert_array_equal(staged.p_value <= threshold, passing[tested])
        chosen = passing[tested]
        for name in ("statistic", "coefficient", "se"):
            ours, every_pair = getattr(staged, name)[chosen], getattr(exhaustive, name)[tested][chosen]
            np.testing.assert_allclose(ours, every_pair, rtol=1e-7)


@pytest.mark.parametrize(("ratio", "maf", "heavy"), [(4, 0.05, False), (20, 0.02, True)])
def test_ratio_in_groups_is_close_to_the_exact_one(ratio, maf, heavy):
    codes, case, covariates = uneven_cohort(50, 2500, ratio, maf, 0.5, heavy)
    design = binary_design(codes, case, covariates)
    pairs = all_pairs(len(codes))
    tests = LogisticTests(design, case, 1e-3)
    doubt = tests.doubt
    assert len(tests.level) <= 16 < len(np.unique(covariates[:, 0]))
    out = tests.of_cells(pairs, np.zeros((2, len(pairs), 4)))
    rough, exact = np.sqrt(out[:, 2]), np.abs(logistic_pairs(design, case, pairs).statistic)
    strong = (exact > 2.5) & np.isfinite(rough)
    assert strong.sum() > 20
    assert (rough[strong] > 0.85 * exact[strong]).all()
    allowed = doubt[pairs].sum(axis=1) + 0.2 * np.minimum(out[:, 1] ** 2, 1)
    assert (rough[strong] > (exact * (1 - allowed))[strong]).all()


def test_cells_without_covariates_are_the_samples():
    """The nine cells hold all that the regression needs; so do samples one by one."""
    rng = np.random.default_rng(15)
    calls, _ = scan_cohort_data(rng, 400, 9, 0.05, 0.3)
    case = cases_of(rng, 0.5 * np.maximum(calls[:, 2], 0) - 1)
    design = binary_design(np.ascontiguousarray(calls.T), case, np.zeros((400, 0)))
    pairs = all_pairs(9)
    tests = LogisticTests(design, case)
    start = np.zeros((2, len(pairs), 4))
    of_cells, out = tests.of_cells(pairs, start.copy()), tests.of_samples(pairs, start)
    assert np.isfinite(out[:, 2]).sum() > 25
    np.testing.assert_allclose(of_cells, out, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.05])
@pytest.mark.parametrize("rare", [False, True])
def test_cell_screen_misses_nothing_and_passes_few(missing, rare):
    rng = np.random.default_rng(16)
    calls, _ = scan_cohort_data(rng, 1200, 60, missing, 0.3)
    if rare:
        calls = np.where(calls < 0, -1, rng.binomial(2, rng.uniform(0.01, 0.1, 60), calls.shape)).astype(
            np.int8
        )
    x = np.maximum(calls, 0)
    case = cases_of(rng, 0.8 * x[:, 3] * x[:, 9] - 1 + 0.6 * x[:, 5])
    design = binary_design(np.ascontiguousarray(calls.T), case, np.zeros((1200, 0)))
    tests = logistic_pairs(design, case, all_pairs(60))
    for threshold in (1e-2, 1e-4):
        screen = CellScreen(design, case, ndtri(threshold / 2) ** 2)
        left, found = candidates(screen, np.arange(60), np.arange(60))
        passing = all_pairs(60)[tests.p_value <= threshold]
        assert {tuple(p) for p in passing.tolist()} <= left
        untestable = {tuple(p) for p in all_pairs(60)[~tests.testable].tolist()}
        assert found.n_untestable == len(untestable - left)
        if not rare:
            assert len(left) < {1e-2: 0.6, 1e-4: 0.25}[threshold] * len(tests.p_value)


@pytest.mark.validation  # compiles two screens
def test_binary_screen_finds_what_is_there():
    rng = np.random.default_rng(2)
    calls, covariates = scan_cohort_data(rng, 800, 60, 0.0, 0.5, 2)
    log_odds = -3 + 1.2 * (calls[:, 7] - 1) * (calls[:, 44] - 1) + 0.5 * covariates[:, 0]
    case = (rng.random(800) < 1 / (1 + np.exp(-log_odds))).astype(float)
    cohort = make_cohort(calls, [3] * 60, "genotype", case, True, covariates)
    every_pair = genoattn.scan_pairs(cohort, threshold=1.0).frame
    few = genoattn.scan_pairs(cohort, threshold=1e-2).frame
    expected = every_pair[every_pair["p_value"] <= 1e-2]
    assert len(expected) > 10
    assert pairs_of(few) == pairs_of(expected)


def test_null_p_values_of_one_case_in_twenty_are_uniform():
    n_samples, n_sites = 2100, 400
    cohort = simulate_cohort(n_samples=n_samples, n_sites=n_sites, architecture="null", seed=5).cohort
    rng = np.random.default_rng(6)
    case = (rng.permutation(n_samples) < n_samples / 21).astype(float)
    design = binary_design(np.ascontiguousarray(cohort.calls.T), case, np.zeros((n_samples, 0)))
    i, j = all_pairs(n_sites).T
    apart = (cohort.sites.chrom[i] != cohort.sites.chrom[j]) | (
        np.abs(cohort.sites.pos[i] - cohort.sites.pos[j]) > 1_000_000
    )
    chosen = rng.choice(np.flatnonzero(apart), 20_000, replace=False)
    p = logistic_pairs(design, case, all_pairs(n_sites)[chosen]).p_value
    p = p[np.isfinite(p)]
    assert len(p) > 19_000
    assert 0.043 < np.mean(p <= 0.05) < 0.057
    assert 0.95 < (ndtri(np.median(p) / 2) / ndtri(0.25)) ** 2 < 1.05
    assert np.mean(p <= 1e-3) < 2e-3


def test_covariates_that_separate_are_refused():
    rng = np.random.default_rng(14)
    codes, covariate = rng.integers(0, 3, (3, 60)).astype(np.int8), rng.normal(size=(60, 1))
    case = (covariate[:, 0] > 0).astype(float)
    with pytest.raises(
        genoattn.InputError, match="the covariates separate cases from controls; leave out covariate 0"
    ):
        binary_design(codes, case, covariate)
    three = np.column_stack(
        [rng.normal(size=60), covariate[:, 0] + 0.3 * rng.normal(size=60), 2 * case + covariate[:, 0]]
    )
    with pytest.raises(
        genoattn.InputError, match=r"the covariates separate cases from controls; leave out third$"
    ):
        binary_design(codes, case, three, ("first", "second", "third"))


def test_a_far_start_changes_nothing():
    """Where Newton's method fails from where groups end, it starts again before a penalty is taken."""
    codes, case, covariates = uneven_cohort(53, 1500, 4, 0.1, 0.4)
    design = binary_design(codes, case, covariates)
    tests = LogisticTests(design, case)
    pairs = np.array([[0, 1], [2, 5]])
    n_other = design.n_fixed - 1
    starts = [[0.0] * (n_other + 4), [0.0] * n_other + [9.0, -20.0, 20.0, 0.0]]
    found = [tests.of_samples(pairs, np.tile(start, (2, 2, 1))) for start in starts]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
