"""Adjustment of a trait before pairs are tested; and which pairs are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_cohorts import linked_dosages, sites_on, standardised, unlinked_dosages
from oracles_inference import count_far, is_far
from scipy.stats import norm

from genoattn.closed_form.ridge import RidgeRegression, Spectrum
from genoattn.cohort import Sites
from genoattn.inference.background import (
    AdditiveGenome,
    SiteMap,
    linkage_margin,
    principal_components,
    unlinked_columns,
)
from genoattn.io.phenotypes import rank_normal


def test_rank_normal_by_hand():
    # Ranks 3, 1, 2 of three: quantiles at (rank - 3/8) / (3 + 1/4).
    expected = norm.ppf(np.array([2.625, 0.625, 1.625]) / 3.25)
    np.testing.assert_allclose(rank_normal(np.array([10.0, -5.0, 0.0])), expected)


def test_rank_normal_see_ranks_alone():
    y = np.random.default_rng(0).normal(size=40)
    np.testing.assert_array_equal(rank_normal(np.exp(3 * y)), rank_normal(y))
    ties = rank_normal(np.array([1.0, 1.0, 2.0, 0.0]))
    assert ties[0] == ties[1]
    np.testing.assert_allclose(rank_normal(-y), -rank_normal(y), atol=1e-12)


def r2(columns, a, b):
    return np.corrcoef(columns[:, a], columns[:, b])[0, 1] ** 2


def test_unlinked_columns_are_those_that_no_kept_one_stands_for():
    columns = standardised(linked_dosages(np.random.default_rng(1), 300, 3, 20, 0.8))
    chromosome = np.repeat(np.arange(3), 20)
    kept = unlinked_columns(columns, chromosome)
    expected = []
    for j in range(60):
        if all(chromosome[k] != chromosome[j] or r2(columns, k, j) < 0.2 for k in expected):
            expected.append(j)
    np.testing.assert_array_equal(kept, expected)
    assert 3 < len(kept) < 60


def span_projection(columns):
    q = np.linalg.qr(columns)[0]
    return q @ q.T


@pytest.mark.parametrize("shape", [(80, 30), (30, 80)])
def test_principal_components_span_the_leading_singular_vectors(shape):
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(shape[0], 3)) @ rng.normal(size=(3, shape[1]))
    columns = standardised(rng.normal(size=shape) + shared)
    found = principal_components(columns, np.arange(shape[1]), 3)  # one column a chromosome: nothing pruned
    vectors = np.linalg.svd(columns, full_matrices=False)[0][:, :3]
    np.testing.assert_allclose(span_projection(found), span_projection(vectors), atol=1e-8)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(found.std(axis=0), 1, rtol=1e-10)


def test_principal_components_are_of_unlinked_columns():
    rng = np.random.default_rng(3)
    columns = standardised(unlinked_dosages(rng, 200, 8))
    repeated = np.column_stack([columns, *[columns[:, -1]] * 30])
    chromosome = np.r_[np.arange(8), np.full(30, 7)]
    np.testing.assert_allclose(
        span_projection(principal_components(repeated, chromosome, 2)),
        span_projection(principal_components(columns, np.arange(8), 2)),
        atol=1e-8,
    )


def two_populations(rng, n, n_sites, drift=0.15):
    home = np.arange(n) < n // 2
    base = rng.uniform(0.3, 0.7, n_sites)
    shift = drift * rng.choice([-1, 1], n_sites)
    frequency = np.where(home[:, None], base + shift, base - shift)
    return home, rng.binomial(2, frequency)


def test_components_separate_two_populations():
    home, dosage = two_populations(np.random.default_rng(4), 300, 60)
    every = principal_components(standardised(dosage), np.arange(60), 4)
    explained = span_projection(every) @ standardised(home[:, None])
    assert (explained**2).mean() > 0.9


def test_fewer_columns_than_components():
    columns = standardised(unlinked_dosages(np.random.default_rng(5), 50, 3))
    assert principal_components(columns, np.arange(3), 4).shape == (50, 2)
    assert principal_components(columns[:, :1], np.arange(1), 4).shape == (50, 0)


@pytest.mark.parametrize("binary", [False, True])
def test_background_is_ridge_with_covariates_and_components(binary):
    rng = np.random.default_rng(6)
    columns = standardised(unlinked_dosages(rng, 200, 30))
    covariates = rng.normal(size=(200, 2))
    y = np.exp(columns[:, 0] + covariates[:, 0] + rng.normal(size=200))
    y = (y > np.median(y)).astype(float) if binary else y
    chromosome = np.arange(30) // 3
    background = AdditiveGenome(columns, covariates, chromosome).take_out(y, binary)
    np.testing.assert_array_equal(background.covariates[:, :2], covariates)
    components = principal_components(columns, chromosome, 4)
    np.testing.assert_allclose(background.covariates[:, 2:], components)
    ridge = RidgeRegression(
        Spectrum.of_columns(columns), np.column_stack([np.ones(200), covariates, components])
    )
    versions = [y] if binary else [y, rank_normal(y)]
    assert background.residuals.shape == (200, len(versions))
    for k, version in enumerate(versions):
        np.testing.assert_allclose(background.residuals[:, k], ridge.fit(version)[2])
    own = np.column_stack([np.ones(200), covariates])
    np.testing.assert_allclose(own.T @ background.phenotype, 0, atol=1e-8)
    change = background.phenotype - y
    np.testing.assert_allclose(change, own @ np.linalg.lstsq(own, change)[0])
    np.testing.assert_array_equal(background.fixed, np.column_stack([np.ones(200), background.covariates]))
    np.testing.assert_allclose(background.fitted + background.residuals[:, 0], y)


def test_residuals_are_orthogonal_to_covariates_and_components():
    rng = np.random.default_rng(7)
    home, dosage = two_populations(rng, 300, 40)
    y = 5.0 * home + rng.normal(size=300)
    background = AdditiveGenome(standardised(dosage), np.zeros((300, 0)), np.arange(40)).take_out(y, False)
    np.testing.assert_allclose(background.fixed.T @ background.residuals, 0, atol=1e-6)
    assert abs(np.corrcoef(background.residuals[:, 0], home)[0, 1]) < 0.3 < np.corrcoef(y, home)[0, 1]


positions = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 8)), min_size=1, max_size=25)


@given(positions)
@settings(max_examples=60, deadline=None)
def test_pairs_that_are_far(places):
    # Positions in steps of 250 kb, give or take one base pair, so that the limit itself is met.
    chrom = [str(c) for c, _ in places]
    pos = [250_000 * p + (k % 3 - 1) + 1 for k, (_, p) in enumerate(places)]
    n = len(places)
    sites = Sites([f"s{k}" for k in range(n)], chrom, pos, ["A"] * n, ["G"] * n, (("a", "b"),) * n)
    where = SiteMap.of(sites, np.arange(n))
    assert where.n_far() == count_far(chrom, pos)
    first, second = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    expected = [[is_far(chrom[a], pos[a], chrom[b], pos[b]) for b in range(n)] for a in range(n)]
    np.testing.assert_array_equal(where.are_far(first, second), expected)
    assert where.n_chromosomes == len(set(chrom))


def test_map_of_columns_of_chosen_sites():
    where = SiteMap.of(sites_on(2, 3, 10), np.array([0, 4, 4]))
    np.testing.assert_array_equal(where.chromosome, [0, 1, 1])
    np.testing.assert_array_equal(where.position, [1, 11, 11])
    assert where.n_far() == 2


def margin_of(dosage, chromosome, position):
    return linkage_margin(standardised(dosage), np.asarray(chromosome), np.asarray(position))


def test_independent_sites_have_no_margin():
    for seed in range(5):
        rng = np.random.default_rng(20 + seed)
        dosage = unlinked_dosages(rng, 1000, 100)
        assert margin_of(dosage, np.repeat([0, 1], 50), np.tile(np.arange(50) * 1000, 2)) == 1


def test_margin_ends_where_linkage_does():
    # Neighbours, 20 kb apart, agree as a chain does: r2 is 0.7 to the power of twice their distance in steps.
    dosage = linked_dosages(np.random.default_rng(30), 2000, 4, 60, 0.7)
    position = np.tile(np.arange(60) * 20_000, 4)
    margin = margin_of(dosage, np.repeat(np.arange(4), 60), position)
    steps = np.log(0.002) / (2 * np.log(0.7))  # about 9
    assert 0.8 * steps * 20_000 <= margin <= 2.5 * steps * 20_000


def test_margin_is_a_megabase_where_linkage_goes_on_or_pairs_are_few():
    dosage = linked_dosages(np.random.default_rng(31), 500, 1, 60, 0.97)
    assert margin_of(dosage, np.zeros(60, int), np.arange(60) * 50_000) > 900_000
    few = unlinked_dosages(np.random.default_rng(32), 200, 3)
    assert margin_of(few, np.zeros(3, int), np.array([5, 400_000, 999_000])) > 900_000
    # Sites that are all far from each other say nothing.
    assert margin_of(few, np.zeros(3, int), np.array([5, 4_000_000, 9_000_000])) == 1_000_000
