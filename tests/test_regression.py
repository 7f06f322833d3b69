"""Statistics of terms against statsmodels, one regression at a time."""

import warnings

import numpy as np
import oracles
import pytest
from genoattn.interactions.regression import term_statistics
from scipy import special

from genoattn.interactions import regression
from genoattn.tokens import build_vocabulary


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def trait_data(encoding, binary, seed=0, n_samples=300):
    """Vocabulary, calls with missing ones, a trait that depends on them, and two covariates."""
    rng = np.random.default_rng(seed)
    n_states = (3, 2, 4, 3) if encoding == "sequence" else (3, 3, 2, 3)
    calls = oracles.random_calls(rng, n_samples, n_states, missing=0.05)
    v = build_vocabulary(oracles.make_cohort(calls, n_states, oracles.KIND[encoding]), encoding)
    covariates = np.column_stack([rng.normal(50, 10, n_samples), rng.integers(0, 2, n_samples)])
    eta = 0.4 * calls[:, 0] * calls[:, 1] - 0.3 * calls[:, 2] + 0.03 * (covariates[:, 0] - 50)
    y = eta + rng.normal(size=n_samples)
    if binary:
        y = (rng.random(n_samples) < special.expit(eta)).astype(float)
    return v, calls, y, covariates


def well_filled(v, calls, terms, least=12):
    """Terms of which every combination of presence and absence has samples: none is separated."""
    kept = []
    for t in terms:
        complete = (calls[:, v.site[t]] >= 0).all(axis=1)
        carried = oracles.term_columns(v, calls[complete], t) > 0
        cells = carried @ (1 << np.arange(len(t)))
        if np.bincount(cells, minlength=2 ** len(t)).min() >= least:
            kept.append(t)
    return np.array(kept)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
def test_equals_statsmodels(encoding, binary, order):
    v, calls, y, covariates = trait_data(encoding, binary, n_samples=800)
    terms = well_filled(v, calls, oracles.all_terms(v, order))[:25]
    assert len(terms) >= (2 if encoding == "dosage" else 8)
    found = term_statistics(v, calls, y, covariates, terms, binary)
    for k, term in enumerate(terms):
        full, reduced = oracles.term_regression(v, calls, y, covariates, term, binary)
        added = (full.llf - reduced.llf) / -full.llnull if binary else full.rsquared - reduced.rsquared
        assert found.n_samples[k] == full.nobs
        assert found.statistic[k] * found.se[k] == pytest.approx(full.params[-1], rel=1e-8)
        assert found.se[k] == pytest.approx(full.bse[-1], rel=1e-8)
        assert found.statistic[k] == pytest.approx(full.tvalues[-1], rel=1e-8)
        assert found.p_value[k] == pytest.approx(full.pvalues[-1], rel=1e-7)
        assert found.variance_explained[k] == pytest.approx(added, rel=1e-7, abs=1e-12)


def test_intercept():
    v, calls, y, _ = trait_data("dosage", False)
    found = term_statistics(v, calls, y, np.zeros((len(y), 0)), np.zeros((1, 0), dtype=np.int64))
    assert found.statistic[0] * found.se[0] == pytest.approx(y.mean())
    assert found.se[0] == pytest.approx(y.std(ddof=1) / len(y) ** 0.5)
    assert found.n_samples[0] == len(y)
    assert found.frequency[0] == 1
    assert np.isnan(found.r2_ld[0])


def test_blocks_of_terms_are_joined(monkeypatch):
    v, calls, y, covariates = trait_data("sequence", False)
    terms = oracles.all_terms(v, 2)
    whole = term_statistics(v, calls, y, covariates, terms)
    seen = []
    monkeypatch.setattr(regression, "_BLOCK_BYTES", 8 * len(y) * 7 * 5)  # five terms at a time
    blocked = term_statistics(v, calls, y, covariates, terms, progress=seen.append)
    assert seen == [5] * (len(terms) // 5) + ([len(terms) % 5] if len(terms) % 5 else [])
    np.testing.assert_allclose(blocked.statistic, whole.statistic, rtol=1e-12)
    np.testing.assert_array_equal(blocked.rare, whole.rare)


def test_no_terms():
    v, calls, y, covariates = trait_data("dosage", False)
    found = term_statistics(v, calls, y, covariates, np.zeros((0, 2), dtype=np.int64))
    assert len(found.se) == len(found.rare) == 0
    assert found.rare.dtype == bool


def test_shuffling_samples_changes_nothing():
    for binary in (False, True):
        v, calls, y, covariates = trait_data("dosage", binary)
        terms = oracles.all_terms(v, 2)
        order = np.random.default_rng(1).permutation(len(y))
        one = term_statistics(v, calls, y, covariates, terms, binary)
        other = term_statistics(v, calls[order], y[order], covariates[order], terms, binary)
        np.testing.assert_allclose(other.statistic, one.statistic, rtol=1e-9)
        np.testing.assert_allclose(other.p_value, one.p_value, rtol=1e-8)
        np.testing.assert_allclose(other.variance_explained, one.variance_explained, rtol=1e-8)


def test_swapping_alleles_changes_the_sign_only():
    v, calls, y, covariates = trait_data("dosage", False)
    swapped = calls.copy()
    swapped[:, 0] = np.where(calls[:, 0] < 0, -1, 2 - calls[:, 0])
    w = build_vocabulary(oracles.make_cohort(swapped, (3, 3, 2, 3), "genotype"), "dosage")
    terms = oracles.all_terms(v, 2)
    one, other = (term_statistics(x, c, y, covariates, terms) for x, c in ((v, calls), (w, swapped)))
    sign = np.where((terms == 0).any(axis=1), -1, 1)
    np.testing.assert_allclose(other.statistic, sign * one.statistic, rtol=1e-9)
    np.testing.assert_allclose(other.p_value, one.p_value, rtol=1e-8)
    np.testing.assert_allclose(other.r2_ld, one.r2_ld, rtol=1e-9)
    np.testing.assert_array_equal(other.rare, one.rare)


def untestable():
    """Sites: 0 ordinary, 1 constant, 2 a copy of site 0, 3 the mirror of site 0, 4 never with site 0."""
    rng = np.random.default_rng(2)
    a = rng.integers(0, 3, 60)
    calls = np.stack([a, np.ones(60), a, 2 - a, (a == 0) * rng.integers(0, 3, 60)], axis=1).astype(np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3,) * 5, "genotype"), "dosage")
    return v, calls, rng.normal(size=60)


@pytest.mark.parametrize("binary", [False, True])
def test_untestable_terms_are_nan(binary):
    v, calls, y = untestable()
    y = (y > 0).astype(float) if binary else y
    none = np.zeros((60, 0))
    single = term_statistics(v, calls, y, none, np.array([[0], [1]]), binary)
    # Copy: a, a and a^2 are collinear. Never together: the product of dosages is always 0.
    pairs = term_statistics(v, calls, y, none, np.array([[0, 1], [0, 2], [0, 3], [0, 4]]), binary)
    assert np.isfinite(single.p_value[0])
    for name in ("se", "statistic", "p_value", "variance_explained"):
        assert np.isnan(getattr(single, name)[1])
        assert np.isnan(getattr(pairs, name)).all()
    assert pairs.n_samples.tolist() == [60] * 4
    np.testing.assert_allclose(pairs.r2_ld[1:3], 1)
    assert np.isnan(pairs.r2_ld[0])


def test_too_few_samples_is_nan():
    v, calls, y = untestable()
    found = term_statistics(v, calls[:3], y[:3], np.zeros((3, 0)), np.array([[0, 4]]))
    assert np.isnan(found.p_value[0])


def test_no_complete_sample_is_nan():
    v, calls, y = untestable()
    calls = calls.copy()
    calls[:30, 0], calls[30:, 4] = -1, -1
    for binary in (False, True):
        outcome = (y > 0).astype(float) if binary else y
        found = term_statistics(v, calls, outcome, np.zeros((60, 0)), np.array([[0, 4]]), binary)
        assert found.n_samples[0] == 0
        assert np.isnan(found.p_value[0])
        assert np.isnan(found.variance_explained[0])


def test_constant_phenotype_is_nan():
    v, calls, _ = untestable()
    for binary in (False, True):
        found = term_statistics(v, calls, np.ones(60), np.zeros((60, 0)), np.array([[0]]), binary)
        assert np.isnan(found.p_value[0])


@pytest.mark.parametrize("column", [[0], [1]])
def test_separated_cases_are_nan(column):
    # Complete separation at site 0 (every carrier is a case), quasi-separation at site 1 (dosage 2 is).
    a = np.repeat([0, 1, 2], 40)
    b = np.tile([0, 1, 2, 1], 30)
    y = np.where(column == [0], a > 0, (b == 2) | ((b == 1) & (np.arange(120) % 3 == 0))).astype(float)
    calls = np.stack([a, b], axis=1).astype(np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 3), "genotype"), "dosage")
    found = term_statistics(v, calls, y, np.zeros((120, 0)), np.array([column]), True)
    assert np.isnan(found.p_value[0])
    assert np.isnan(found.se[0])


def test_strong_effect_is_no_separation():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 3, 2000)
    y = (rng.random(2000) < special.expit(5 * (a - 1))).astype(float)
    calls = a[:, None].astype(np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3,), "genotype"), "dosage")
    none = np.zeros((2000, 0))
    found = term_statistics(v, calls, y, none, np.array([[0]]), True)
    full, _ = oracles.term_regression(v, calls, y, none, np.array([0]), True)
    assert found.statistic[0] == pytest.approx(full.tvalues[-1], rel=1e-7)


def test_frequency_r2_and_rarity_of_dosages_by_hand():
    # Called at both sites: (0, 0), (1, 1), (2, 1), (2, 2), (0, 2), six samples of each.
    # Joint frequency: mean of (g1/2)(g2/2) = (0 + 1/4 + 1/2 + 1 + 0) / 5 = 0.35.
    # Mean dosages 1 and 1.2: the minor allele of site 1 is alt (at one half), of site 2 the
    # reference. Minor alleles at both: (1, 1), (2, 1): 12 samples, not rare.
    rows = [(0, 0), (1, 1), (2, 1), (2, 2), (0, 2)]
    calls = np.array(rows * 6 + [(-1, 2), (1, -1)], dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 3), "genotype"), "dosage")
    y = np.random.default_rng(0).normal(size=32)
    found = term_statistics(v, calls, y, np.zeros((32, 0)), np.array([[0, 1]]))
    assert found.frequency[0] == pytest.approx(0.35)
    assert found.n_samples[0] == 30
    # Deviations -1 0 1 1 -1 and -1.2 -0.2 -0.2 0.8 0.8: covariance 1.2 - 0.2 + 0.8 - 0.8 = 1,
    # spreads 4 and 1.44 + 0.04 + 0.04 + 0.64 + 0.64 = 2.8: r2 = 1 / 11.2.
    assert found.r2_ld[0] == pytest.approx(1 / 11.2)
    assert not found.rare[0]
    fewer = term_statistics(v, calls[:20], y[:20], np.zeros((20, 0)), np.array([[0, 1]]))
    assert fewer.rare[0]  # 8 samples


def test_frequency_and_rarity_of_states_by_hand():
    # State 1 at both sites: 9 of 40 samples, below ten.
    calls = np.zeros((40, 2), dtype=np.int8)
    calls[:20, 0] = 1
    calls[11:31, 1] = 1
    v = build_vocabulary(oracles.make_cohort(calls, (2, 2), "sequence"), "sequence")
    y = np.random.default_rng(0).normal(size=40)
    found = term_statistics(v, calls, y, np.zeros((40, 0)), np.array([[1, 3], [1, 2]]))
    np.testing.assert_allclose(found.frequency, [9 / 40, 11 / 40])
    assert found.rare.tolist() == [True, False]
    # Half of the samples at each site: r = (9/40 - 1/4) / (1/4) = -0.1.
    np.testing.assert_allclose(found.r2_ld, 0.01)


def test_largest_r2_of_a_triple():
    v, calls, y, covariates = trait_data("dosage", False)
    found = term_statistics(v, calls, y, covariates, np.array([[0, 1, 3]]))
    complete = (calls[:, [0, 1, 3]] >= 0).all(axis=1)
    r = np.corrcoef(calls[complete][:, [0, 1, 3]].T)
    assert found.r2_ld[0] == pytest.approx((r[np.triu_indices(3, 1)] ** 2).max())
