"""Factors of pairs: what they are worth by definition, what hides them, and which of them are believed."""

from math import log

import numpy as np
import pytest
from inference_cohorts import columns_of, linked_dosages, sites_on, standardised, unlinked_dosages
from scipy import sparse

from genoattn.closed_form.pair_columns import PairColumns, visible_segments
from genoattn.closed_form.pair_factors import (
    Seeds,
    _pair_scores,
    _Strengths,
    find_seeds,
    pair_factors,
)
from genoattn.closed_form.pair_growth import (
    gain,
    gain_one_by_one,
    grow,
    net_gain,
    price,
)
from genoattn.closed_form.ridge import RidgeRegression, Spectrum
from genoattn.inference.background import SiteMap
from genoattn.inference.pair_selection import (
    PairProblem,
    believed_factors,
    found_factors,
    without_linked,
)
from genoattn.scan.scores import score_matrix


def seeds_of(pairs, y, n_tests=None):
    none = np.zeros((len(y), 0))
    return find_seeds(score_matrix(pairs.columns, y[:, None], none, pairs.site), n_tests)


def one_per_segment(columns):
    segment = np.arange(columns.shape[1])
    return PairColumns(columns, segment, segment, visible_segments(segment))


def hub(seed=0, n_samples=1500, effect=0.14, noise=1.0):
    """Forty unlinked columns, the fourth of which interacts with twelve."""
    rng = np.random.default_rng(seed)
    columns = standardised(unlinked_dosages(rng, n_samples, 40))
    y = noise * rng.normal(size=n_samples)
    for j in range(10, 22):
        y += effect * columns[:, 3] * columns[:, j]
    return columns, y - y.mean()


def test_gain_is_the_squared_z_of_the_product():
    columns, y = hub(1, 400)
    factor = np.zeros((2, 40))
    factor[0, 3], factor[1, 10:14] = 2.0, [1.0, 0.5, 1.0, -1.0]
    product = columns[:, 3] * (columns[:, 10:14] @ [1.0, 0.5, 1.0, -1.0])
    r = np.corrcoef(product, y)[0, 1]
    pairs = one_per_segment(columns)
    assert gain(pairs, y, factor) == pytest.approx(400 * r**2, rel=1e-9)
    assert price(pairs) == pytest.approx(2 * log(40))
    assert net_gain(pairs, y, factor) == pytest.approx(400 * r**2 - 3 * 2 * log(40), rel=1e-9)


def test_gain_one_by_one_is_that_of_stepwise_pairs():
    columns, y = hub(2, 500, effect=0.3)
    factor = np.zeros((2, 40))
    factor[0, 3], factor[1, 10:16] = 1.0, 1.0
    needed, residual, expected = 12.0, y, 0.0
    products = {j: columns[:, 3] * columns[:, j] for j in range(10, 16)}
    products = {j: p - p.mean() for j, p in products.items()}
    while products:
        z2 = {j: (p @ residual) ** 2 / (p @ p) / y.var() for j, p in products.items()}
        best = max(z2, key=z2.get)
        if z2[best] < needed:
            break
        expected += z2[best] - needed
        p = products[best]
        residual = residual - p * (p @ residual) / (p @ p)
    assert expected > 0
    assert gain_one_by_one(one_per_segment(columns), y, factor, needed) == pytest.approx(expected, rel=1e-9)


def test_hub_grows_from_one_of_its_pairs():
    columns, y = hub(3)
    seed = np.zeros((2, 40))
    seed[0, 3] = seed[1, 12] = 1.0
    factor = grow(one_per_segment(columns), y, seed)
    assert np.flatnonzero(factor[0]).tolist() == [3]
    partners = np.flatnonzero(factor[1])
    assert len(partners) >= 8
    assert set(partners) <= set(range(10, 22))


def test_seeds_are_the_scores_above_noise_strongest_first():
    score = sparse.csr_array(np.array([[0, 3.0, -2.4], [3.0, 0, -5.0], [-2.4, -5.0, 0]]))
    seeds = find_seeds(score)
    np.testing.assert_array_equal(seeds.pair, [[1, 2], [0, 1]])
    np.testing.assert_array_equal(seeds.strength, [5.0, 3.0])
    assert seeds.n_tests == 3
    assert find_seeds(score, 17).n_tests == 17


def test_strengths_computed_where_asked_for_are_those_of_all():
    rng = np.random.default_rng(4)
    x = standardised(unlinked_dosages(rng, 300, 60))
    rest = rng.normal(size=300) + 0.4 * x[:, 2] * x[:, 30]
    seeds = seeds_of(one_per_segment(x), rest)
    order = rng.permutation(len(seeds.pair))
    seeds = Seeds(seeds.pair[order], seeds.strength[order], seeds.n_tests)
    strengths = _Strengths(x, seeds, rest)
    t, residual = seeds.strength.copy(), rest
    for _ in range(5):
        first, now = _pair_scores(x, seeds.pair, rest), _pair_scores(x, seeds.pair, residual)
        quieter = rest.std() / residual.std()
        explained = np.maximum(quieter * np.abs(first) - np.sign(first) * now, 0.0)
        expected = np.where(t > 0, np.clip(quieter * t - explained, 0.0, None), 0.0)
        best, value = strengths.largest()
        assert (best, value) == (np.argmax(expected), pytest.approx(expected.max()))
        some = rng.choice(len(t), 10, replace=False)
        np.testing.assert_allclose(strengths.at(some), expected[some], atol=1e-12)
        strengths.take(best)
        t[best] = 0.0
        product = x[:, seeds.pair[best, 0]] * x[:, seeds.pair[best, 1]]
        residual = residual - product * (product @ residual) / (product @ product)
        strengths.explain(residual)


def test_factors_of_planted_pairs_and_their_surplus():
    rng = np.random.default_rng(4)
    columns = standardised(unlinked_dosages(rng, 800, 20))
    y = 0.4 * columns[:, 1] * columns[:, 7] - 0.3 * columns[:, 12] * columns[:, 5] + rng.normal(size=800)
    pairs = one_per_segment(columns)
    factors, surplus = pair_factors(pairs, seeds_of(pairs, y), y, 10)
    found = [tuple(sorted(np.argmax(np.abs(f), axis=1).tolist())) for f in factors]
    assert found[:2] == [(1, 7), (5, 12)]
    np.testing.assert_allclose(np.abs(factors).max(axis=2), 1.0)
    assert surplus[0] > surplus[1] > 0
    assert len(pair_factors(pairs, seeds_of(pairs, y), y, 1)[0]) == 1


def test_pair_comes_out_of_the_noise_of_stronger_ones():
    rng = np.random.default_rng(8)
    columns = standardised(unlinked_dosages(rng, 600, 30))
    product = columns[:, [1, 4, 9]] * columns[:, [2, 5, 11]]
    product -= product.mean(axis=0)
    noise = rng.normal(size=600)
    noise -= product @ np.linalg.lstsq(product, noise, rcond=None)[0]
    y = product @ [1.0, 1.0, 0.17] + noise - noise.mean()
    pairs = one_per_segment(columns)
    z2 = gain(pairs, y, np.eye(30)[[9, 11]])
    factors, _ = pair_factors(pairs, seeds_of(pairs, y), y, 10)
    found = [tuple(sorted(np.argmax(np.abs(f), axis=1).tolist())) for f in factors]
    assert z2 < 2 * log(435)  # alone it would not pay
    assert found == [(1, 2), (4, 5), (9, 11)] or found == [(4, 5), (1, 2), (9, 11)]


def test_isolated_pairs_come_out_as_such():
    third = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        columns = standardised(unlinked_dosages(rng, 700, 100))
        y = 0.3 * columns[:, 3] * columns[:, 60] + rng.normal(size=700)
        pairs = one_per_segment(columns)
        factors, _ = pair_factors(pairs, seeds_of(pairs, y), y - y.mean(), 10)
        assert set(np.argmax(np.abs(factors[0]), axis=1).tolist()) == {3, 60}
        third += np.count_nonzero(factors[0]) > 2
    assert third <= 2


def test_isolated_pair_is_spread_over_the_pairs_that_cannot_be_told_from_it():
    rng = np.random.default_rng(5)
    columns = standardised(unlinked_dosages(rng, 600, 10))
    twin = columns[:, 2].copy()
    flipped = columns[:, [7]] * -1  # the same marker, its other allele counted
    columns = np.column_stack([columns, twin, flipped])
    segment = np.r_[np.arange(10), 2, 7]
    pairs = PairColumns(columns, np.arange(12), segment, visible_segments(segment))
    y = 0.4 * columns[:, 2] * columns[:, 7] + rng.normal(size=600)
    factors, _ = pair_factors(pairs, seeds_of(pairs, y), y, 1)
    left, right = factors[0] if factors[0, 0, 2] else factors[0, ::-1]
    np.testing.assert_allclose(left[[2, 10]], left[2])
    np.testing.assert_allclose(right[[7, 11]], right[7] * np.array([1, -1]))
    assert np.count_nonzero(left) == np.count_nonzero(right) == 2


def test_pair_of_many_equal_columns_is_shared_by_all():
    rng = np.random.default_rng(6)
    base = standardised(unlinked_dosages(rng, 600, 20))
    twins = np.repeat(base[:, :1], 60, axis=1) * rng.choice([-1.0, 1.0], 60)  # whichever way they are coded
    x = np.concatenate([twins, base[:, 1:]], axis=1)
    y = 0.5 * base[:, 0] * base[:, 16] + rng.normal(size=600)
    segment = np.r_[np.zeros(60, dtype=int), np.arange(1, 20)]
    pairs = PairColumns(x, np.arange(79), segment, visible_segments(segment))
    factors, _ = pair_factors(pairs, seeds_of(pairs, y), y - y.mean(), 8)
    assert len(factors) == 1
    np.testing.assert_array_equal(np.flatnonzero(factors[0, 0]), np.arange(60))
    np.testing.assert_allclose(np.abs(factors[0, 0, :60]), 1.0)
    np.testing.assert_array_equal(np.flatnonzero(factors[0, 1]), [75])
    product = pairs.product(factors[0])
    assert abs(np.corrcoef(product, base[:, 0] * base[:, 16])[0, 1]) > 0.999


def hidden_scene(seed):
    """Six segments of five columns, pair of segments (0, 1) hidden, with a hub that reaches across."""
    rng = np.random.default_rng(seed)
    columns = standardised(unlinked_dosages(rng, 900, 30))
    segment = np.repeat(np.arange(6), 5)
    visible = visible_segments(segment)
    visible[0, 1] = visible[1, 0] = False
    y = rng.normal(size=900)
    for j in (6, 7, 12, 13, 17, 18, 22, 27):
        y += 0.2 * columns[:, 2] * columns[:, j]
    y += 0.5 * columns[:, 0] * columns[:, 8] + 0.5 * columns[:, 11] * columns[:, 29]
    return PairColumns(columns, np.arange(30), segment, visible), y - y.mean()


def test_factors_know_nothing_of_hidden_pairs():
    pairs, y = hidden_scene(6)
    seeds = seeds_of(pairs, y)
    factors, surplus = pair_factors(pairs, seeds, y, 8)
    assert len(factors) >= 2
    # No factor may join the hidden pair of segments by itself.
    for factor in factors:
        segments = [set(pairs.segment[np.flatnonzero(slot)]) for slot in factor]
        assert not (segments[0] <= {0, 1} and segments[1] <= {0, 1})
    # Seeds of hidden pairs, invented or absent, change nothing.
    hidden = np.isin(pairs.segment[seeds.pair], (0, 1)).all(axis=1)
    assert hidden.any()
    known = Seeds(seeds.pair[~hidden], seeds.strength[~hidden], seeds.n_tests)
    every = np.array([(i, j) for i in range(5) for j in range(5, 10)])
    invented = Seeds(np.r_[every, known.pair], np.r_[np.full(25, 99.0), known.strength], seeds.n_tests)
    for other in (known, invented):
        again, again_surplus = pair_factors(pairs, other, y, 8)
        np.testing.assert_array_equal(again, factors)
        np.testing.assert_array_equal(again_surplus, surplus)


def test_products_of_hidden_segments_are_never_read():
    """The two hidden chromosomes are given new genotypes in the samples where no visible product can tell.

    A column times the carrier of its segment is all that growth sees. Where every other chromosome is zero,
    products with them are zero whatever the two hold; only the product of the two with each other changes.
    """
    pairs, y = hidden_scene(7)
    columns = pairs.columns.copy()
    blank = np.arange(0, 900, 3)
    columns[np.ix_(blank, np.arange(10, 30))] = 0.0
    changed = columns.copy()
    # The second segment turns its sign in the blank samples: x_i x_j of the hidden block turns with it,
    # while squares, and with them every product that is visible, stay as they were.
    changed[np.ix_(blank, np.arange(5, 10))] *= -1
    before = PairColumns(columns, pairs.site, pairs.segment, pairs.visible)
    after = PairColumns(changed, pairs.site, pairs.segment, pairs.visible)
    assert not np.allclose(columns[:, 0] * columns[:, 8] @ y, changed[:, 0] * changed[:, 8] @ y)
    seeds = seeds_of(before, y)
    hidden = np.isin(pairs.segment[seeds.pair], (0, 1)).all(axis=1)
    seeds = Seeds(seeds.pair[~hidden], seeds.strength[~hidden], seeds.n_tests)
    factors, surplus = pair_factors(before, seeds, y, 8)
    again, again_surplus = pair_factors(after, seeds, y, 8)
    assert max(np.count_nonzero(f) for f in factors) > 3  # one was grown
    np.testing.assert_allclose(again, factors, atol=1e-9)
    np.testing.assert_allclose(again_surplus, surplus, atol=1e-9)


def test_pair_within_a_hidden_segment_can_only_be_isolated():
    rng = np.random.default_rng(8)
    columns = standardised(unlinked_dosages(rng, 700, 12))
    segment = np.repeat(np.arange(2), 6)
    pairs = PairColumns(columns, np.arange(12), segment, visible_segments(segment))
    y = rng.normal(size=700)
    for j in (1, 2, 3, 4):
        y += 0.5 * columns[:, 0] * columns[:, j]
    factors, _ = pair_factors(pairs, seeds_of(pairs, y), y, 10)
    supports = sorted(sorted(np.flatnonzero(f.any(axis=0)).tolist()) for f in factors)
    assert supports == [[0, j] for j in (1, 2, 3, 4)]


def test_seeds_in_linkage_within_a_segment_are_dropped():
    columns = standardised(linked_dosages(np.random.default_rng(9), 300, 2, 6, 0.5))
    pairs = columns_of(columns, sites_on(2, 6, 10_000))
    every = np.stack(np.triu_indices(12, 1), axis=1)
    kept = without_linked(Seeds(every, np.arange(66.0), 66), pairs)
    expected = [
        k
        for k, (i, j) in enumerate(every)
        if i // 6 != j // 6 or np.corrcoef(columns[:, i], columns[:, j])[0, 1] ** 2 < 0.1
    ]
    assert 36 < len(expected) < 66
    np.testing.assert_array_equal(kept.pair, every[expected])
    np.testing.assert_array_equal(kept.strength, expected)
    assert kept.n_tests == 66


def problem_of(columns, y, max_rank=8, covariates=None):
    covariates = np.zeros((len(y), 0)) if covariates is None else covariates
    penalty, _, residual = RidgeRegression(
        Spectrum.of_columns(columns), np.column_stack([np.ones(len(y)), covariates])
    ).fit(y)
    pairs = one_per_segment(columns)
    return PairProblem(pairs, y, covariates, penalty / len(y), max_rank), residual


def test_planted_pair_is_believed():
    rng = np.random.default_rng(10)
    columns = standardised(unlinked_dosages(rng, 600, 30))
    covariates = rng.normal(size=(600, 1))
    y = columns[:, 0] + 0.4 * columns[:, 4] * columns[:, 20] + covariates[:, 0] + rng.normal(size=600)
    factors, slope = believed_factors(*problem_of(columns, y, covariates=covariates), seed=0)
    assert np.argmax(np.abs(factors[0]), axis=1).tolist() in ([4, 20], [20, 4])
    assert 0.7 < slope <= 1.0


def test_noise_is_not_believed():
    kept = found = 0
    for seed in range(24):
        rng = np.random.default_rng(300 + seed)
        columns = standardised(unlinked_dosages(rng, 300, 40))
        problem, residual = problem_of(columns, columns[:, 0] + rng.normal(size=300))
        found += len(found_factors(problem, residual)[0])
        factors, slope = believed_factors(problem, residual, seed)
        kept += len(factors)
        assert (slope > 0) == (len(factors) > 0)
        assert factors.shape[1:] == (2, 40)
    assert found >= 1  # there was something to refuse
    assert kept == 0


def test_part_of_a_problem_is_of_its_samples():
    columns, y = hub(11, 60)
    problem, _ = problem_of(columns, y)
    index = np.arange(60) % 3 > 0
    part = problem.part(index)
    np.testing.assert_array_equal(part.pairs.columns, columns[index])
    np.testing.assert_array_equal(part.phenotype, y[index])
    assert (part.ridge, part.max_rank, part.covariates.shape) == (problem.ridge, 8, (40, 0))


def test_factors_grow_on_one_chromosome_too():
    columns, y = hub(12)
    segment = np.zeros(40, dtype=int)
    assert SiteMap.of(sites_on(1, 40, 2_000_000), np.arange(40)).n_chromosomes == 1
    pairs = PairColumns(columns, np.arange(40), segment, visible_segments(segment))
    factors, _ = pair_factors(pairs, seeds_of(pairs, y), y, 5)
    assert np.count_nonzero(factors[0]) >= 8
