"""Permutation thresholds against scans of permuted traits, and their level under the null hypothesis."""

from itertools import combinations

import numpy as np
import pytest
from oracles import make_cohort
from oracles_scan import scan_cohort_data

import genoattn
from genoattn.scan.design import binary_design, make_design
from genoattn.scan.exact import regress_pairs
from genoattn.scan.permute import null_traits, permuted_maxima
from genoattn.scan.scope import make_scope


def scope_of(design, max_r2=None):
    n = design.n_columns
    sites = make_cohort(np.zeros((2, n), dtype=np.int8), [3] * n, "genotype").sites
    return make_scope(sites, np.arange(n), None, None, 0, max_r2).restrict(design.columns.varies)


def score_z(design, trait):
    """z of the product of every pair in the weighted regression of a trait on all else, by definition."""
    out = []
    root = np.sqrt(design.weight)
    columns = np.maximum(design.codes, 0).astype(float)
    for a, b in combinations(range(design.n_columns), 2):
        lower = np.column_stack([design.basis.T, columns[a], columns[b]]) * root[:, None]
        product = columns[a] * columns[b] * root
        left = product - lower @ np.linalg.lstsq(lower, product, rcond=None)[0]
        usable = left @ left > 1e-8 * (product @ product)
        out.append(left @ (trait * root) / np.sqrt(left @ left) if usable else 0.0)
    return np.array(out)


def test_permuted_maxima_are_those_of_scans_of_permuted_residuals():
    rng = np.random.default_rng(7)
    calls, covariates = scan_cohort_data(rng, 80, 10, 0.0, 0.4, 2)
    trait = rng.normal(size=80) + covariates[:, 0]
    design = make_design(np.ascontiguousarray(calls.T), trait, covariates)
    maxima = permuted_maxima(design, scope_of(design), 4, np.random.default_rng(11), threads=2)
    same = np.random.default_rng(11)
    for k in range(4):
        permuted = make_cohort(calls, [3] * 10, "genotype", same.permutation(design.trait), False, covariates)
        largest = genoattn.scan_pairs(permuted, threshold=1.0).frame["statistic"].abs().max()
        assert maxima[k] == pytest.approx(largest, rel=1e-4)
    cohort = make_cohort(calls, [3] * 10, "genotype", trait, False, covariates)
    everything = genoattn.scan_pairs(cohort, threshold=1.0, permutations=4, seed=11)
    assert everything.counts["permutation_t"] == pytest.approx(maxima.max())
    assert "pass the 5 % threshold of 4 permutations" in everything.summary()


@pytest.mark.parametrize("n_covariates", [0, 2])
def test_binary_maxima_are_those_of_score_tests(n_covariates):
    rng = np.random.default_rng(8)
    calls, covariates = scan_cohort_data(rng, 150, 9, 0.0, 0.3, n_covariates)
    case = (rng.random(150) < 1 / (1 + np.exp(1 - covariates.sum(axis=1) / 2))).astype(float)
    design = binary_design(np.ascontiguousarray(calls.T), case, covariates)
    maxima = permuted_maxima(design, scope_of(design), 3, np.random.default_rng(12))
    traits, squares = null_traits(design, 3, np.random.default_rng(12))
    np.testing.assert_array_equal(squares, 1)
    for k in range(3):
        expected = np.abs(score_z(design, traits[k] / design.weight)).max()
        assert maxima[k] == pytest.approx(expected, rel=1e-4)


def test_binary_labels_are_permuted_without_covariates_and_drawn_with_them():
    rng = np.random.default_rng(9)
    covariates = np.linspace(-2, 2, 300)[:, None]
    case = (rng.random(300) < 1 / (1 + np.exp(1.5 - 1.5 * covariates[:, 0]))).astype(float)
    codes = rng.integers(0, 3, (2, 300)).astype(np.int8)
    plain = binary_design(codes, case, np.zeros((300, 0)))
    traits, _ = null_traits(plain, 400, rng)
    assert ((traits > 0).sum(axis=1) == case.sum()).all()
    assert np.abs((traits > 0).mean(axis=0) - case.mean()).max() < 0.12
    design = binary_design(codes, case, covariates)
    traits, _ = null_traits(design, 400, rng)
    mu = case - design.trait * design.weight  # y - mu is the weighted working residual
    drawn = (traits > 0).mean(axis=0)
    assert np.abs(drawn - mu).max() < 0.14
    assert np.corrcoef(drawn, mu)[0, 1] > 0.99
    np.testing.assert_allclose(traits @ design.basis.T, 0, atol=1e-3)


def test_pairs_out_of_the_scope_do_not_count():
    rng = np.random.default_rng(10)
    calls, covariates = scan_cohort_data(rng, 120, 12, 0.0, 0.8, 1)
    calls[:, 5] = 1
    trait = rng.normal(size=120)
    design = make_design(np.ascontiguousarray(calls.T), trait, covariates)
    r2 = np.corrcoef(np.delete(calls, 5, axis=1).T) ** 2
    limit = float(np.quantile(r2[np.triu_indices(11, 1)], 0.5))
    done = []
    maxima = permuted_maxima(
        design, scope_of(design, limit), 12, np.random.default_rng(3), advance=done.append
    )
    assert sum(done) == 55
    kept = np.delete(np.arange(12), 5)
    i, j = np.nonzero(np.triu(r2 <= limit, 1))
    same = np.random.default_rng(3)
    for k in range(12):
        permuted = same.permutation(design.trait)
        scanned = make_design(design.codes, permuted, covariates)
        tests = regress_pairs(scanned, permuted, np.stack([kept[i], kept[j]], axis=1))
        assert maxima[k] == pytest.approx(np.nanmax(np.abs(tests.statistic)), rel=1e-4)
    complete = permuted_maxima(design, scope_of(design), 12, np.random.default_rng(3))
    assert (complete >= maxima).all()
    assert (complete > maxima).any()


def test_permutations_out_of_range():
    design = make_design(np.zeros((2, 9), dtype=np.int8), np.arange(9.0), np.zeros((9, 0)))
    with pytest.raises(genoattn.InputError, match="permutations is 0; it must be 1 or more"):
        permuted_maxima(design, scope_of(design), 0, np.random.default_rng(0))


def test_without_degrees_of_freedom_nothing_is_large():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 3, (4, 6)).astype(np.int8)
    design = make_design(codes, rng.normal(size=6), rng.normal(size=(6, 2)))
    assert (permuted_maxima(design, scope_of(design), 2, rng) == 0).all()


@pytest.mark.parametrize("binary", [False, True])
def test_family_wise_error_of_the_5_percent_threshold(binary):
    rng = np.random.default_rng(20 + binary)
    n_samples, n_sites, n_rejected = 250, 25, 0
    for _ in range(200):
        codes = rng.binomial(2, rng.uniform(0.1, 0.5, n_sites)[:, None], (n_sites, n_samples))
        covariates = rng.normal(size=(n_samples, 2)) + 0.5 * codes[:2].T
        trait = rng.normal(size=n_samples) + covariates.sum(axis=1)
        if binary:  # one case to five controls
            log_odds = 0.6 * covariates[:, 0] + rng.logistic(size=n_samples)
            trait = (log_odds > np.quantile(log_odds, 5 / 6)).astype(float)
        make = binary_design if binary else make_design
        design = make(codes.astype(np.int8), trait, covariates)
        maxima = permuted_maxima(design, scope_of(design), 100, rng)
        if binary:
            observed = np.abs(score_z(design, design.trait)).max()
        else:
            pairs = np.array(list(combinations(range(n_sites), 2)))
            observed = np.nanmax(np.abs(regress_pairs(design, trait, pairs).statistic))
        n_rejected += observed > np.quantile(maxima, 0.95, method="higher")
    assert 0.02 <= n_rejected / 200 <= 0.08
