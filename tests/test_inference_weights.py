"""Stretches of the genome, and weights from structure in other stretches."""

import numpy as np
import pytest
from inference_cohorts import linked_dosages, scene, sites_on, standardised, unlinked_dosages

from genoattn.closed_form.pair_columns import PairColumns
from genoattn.closed_form.pair_factors import find_seeds
from genoattn.inference.background import NEAR, SiteMap
from genoattn.inference.weights import Segments, cross_fitted_weights
from genoattn.scan.scores import score_matrix


def segments_of(columns, sites):
    where = SiteMap.of(sites, np.arange(columns.shape[1]), columns)
    return Segments.of(where, columns), where


def test_independent_sites_are_cut_into_parts_that_all_see_each_other():
    columns = standardised(unlinked_dosages(np.random.default_rng(1), 800, 120))
    found, where = segments_of(columns, sites_on(2, 60, 5_000))
    assert where.margin == 1
    assert np.bincount(found.segment).tolist() == [20] * 6
    assert found.visible.all()


def test_few_long_chromosomes_are_cut_and_touching_parts_are_hidden():
    columns = standardised(linked_dosages(np.random.default_rng(2), 800, 2, 100, 0.6))
    found, where = segments_of(columns, sites_on(2, 100, 500_000))
    assert 500_000 < where.margin <= NEAR
    n = len(found.visible)
    owner = np.array([where.chromosome[found.segment == k][0] for k in range(n)])
    assert n >= 12
    for a in range(n):
        for b in range(n):
            assert found.visible[a, b] == (owner[a] != owner[b] or abs(a - b) >= 2)
    for a in range(n):
        position = where.position[found.segment == a]
        assert np.ptp(position) <= 50_000_000 / 6
        assert len(np.unique(where.chromosome[found.segment == a])) == 1


def test_chromosomes_linked_throughout_stay_whole():
    columns = standardised(linked_dosages(np.random.default_rng(3), 800, 3, 100, 0.995))
    found, _ = segments_of(columns, sites_on(3, 100, 500_000))
    np.testing.assert_array_equal(found.segment, np.repeat([0, 1, 2], 100))
    np.testing.assert_array_equal(found.visible, ~np.eye(3, dtype=bool))


def weights_of(y, columns, sites, seed=0):
    found, _ = segments_of(columns, sites)
    site = np.arange(columns.shape[1])
    pairs = PairColumns(columns, site, found.segment, found.visible)
    y = y - y.mean()
    seeds = find_seeds(score_matrix(columns, y[:, None], np.zeros((len(y), 0)), site))
    return cross_fitted_weights(pairs, seeds, y, 8, seed), pairs


@pytest.mark.parametrize(("n_chromosomes", "spacing"), [(1, 1_000), (2, 1_000), (4, 1_000)])
def test_members_of_a_hub_weigh_more(n_chromosomes, spacing):
    rng = np.random.default_rng(4)
    columns = standardised(unlinked_dosages(rng, 1000, 80))
    partners = np.arange(3, 80, 6)
    y = columns[:, 0] * columns[:, partners].sum(axis=1) / 5 + rng.normal(size=1000)
    weights, _ = weights_of(y, columns, sites_on(n_chromosomes, 80 // n_chromosomes, spacing))
    own = weights.at(np.zeros(len(partners), int), partners)
    first, second = np.triu_indices(80, 1)
    every = weights.at(first, second)
    assert np.median(own) > 5
    assert every.mean() == pytest.approx(1.0)
    assert (every > 0).all()


def test_a_weight_does_not_see_the_noise_of_its_own_pair():
    rng = np.random.default_rng(5)
    columns = standardised(unlinked_dosages(rng, 600, 60))
    y = columns[:, 0] * columns[:, 5:25].sum(axis=1) / 5 + rng.normal(size=600)
    weights, pairs = weights_of(y, columns, sites_on(2, 30, 1_000))
    for k, products in enumerate(weights.products):
        # What a test of the fold adjusts for holds no product of the fold.
        held = weights.fold == k
        assert products.shape[0] == 600
        assert not (held & pairs.seen_as((weights.fold != k) & (weights.fold >= 0)).visible).any()


def test_three_visible_pairs_of_segments_are_needed():
    rng = np.random.default_rng(6)
    columns = standardised(linked_dosages(rng, 300, 2, 20, 0.995))
    y = columns[:, 0] * columns[:, 25] + rng.normal(size=300)
    weights, _ = weights_of(y, columns, sites_on(2, 20, 400_000))
    assert weights.at(np.array([0, 1]), np.array([25, 30])).tolist() == [1.0, 1.0]
    assert weights.products == []


def test_leads_of_a_strong_pair_and_its_echoes():
    rng = np.random.default_rng(7)
    dosage = linked_dosages(rng, 800, 2, 15, 0.9)
    x = standardised(dosage)
    background, candidates, search = scene(
        dosage, x[:, 4] * x[:, 20] + rng.normal(size=800), sites_on(2, 15, 50_000)
    )
    leads = search.leads(background, candidates, 1e-4)
    assert len(leads) == 1
    r2 = [np.corrcoef(x[:, a], x[:, b])[0, 1] ** 2 for a, b in zip(leads[0].pair, (4, 20), strict=True)]
    assert min(r2) > 0.5
