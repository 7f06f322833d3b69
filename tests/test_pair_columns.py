"""Products of factors over visible pairs of segments, against double loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_cohorts import linked_dosages, sites_on, standardised
from oracles_inference import carrier_values, visible_product

from genoattn.closed_form.pair_columns import PairColumns, chromosome_numbers, visible_segments
from genoattn.closed_form.pair_growth import _select

SEGMENT = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
SCATTERED = np.array([2, 0, 1, 1, 0, 2, 0, 2, 2])


def random_columns(seed=0, n_samples=40, segment=SEGMENT):
    return standardised(np.random.default_rng(seed).normal(size=(n_samples, len(segment))))


def pair_columns(columns, segment, visible):
    return PairColumns(columns, np.arange(len(segment)), segment, np.asarray(visible, dtype=bool))


def sparse_vector(rng, n, share=0.5):
    return np.where(rng.random(n) < share, rng.normal(size=n), 0.0)


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_products_and_carriers_with_hidden_segments(seed, scattered):
    rng = np.random.default_rng(seed)
    segment = SCATTERED if scattered else SEGMENT
    visible = rng.random((3, 3)) < 0.5
    visible |= visible.T
    columns = random_columns(seed, segment=segment)
    pairs = pair_columns(columns, segment, visible)
    left, right = sparse_vector(rng, 9), sparse_vector(rng, 9)
    np.testing.assert_allclose(
        pairs.carriers(left), carrier_values(columns, segment, visible, left), atol=1e-12
    )
    one_segment = np.ones((1, 1)) if pairs.is_inside_segment(np.stack([left, right])) else None
    expected = visible_product(columns, segment, visible, left, right)
    if one_segment is not None:  # a pair within one segment is its own product, visible or not
        expected = visible_product(columns, np.zeros(9, int), one_segment, left, right)
    np.testing.assert_allclose(pairs.product(np.stack([left, right])), expected, atol=1e-12)


def test_product_by_hand():
    # Segments {0}, {1, 2}; only different ones are visible: u0 v1 x0 x1 + u1 v0 x1 x0 and no x1 x2.
    columns = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 5.0]])
    pairs = pair_columns(columns, np.array([0, 1, 1]), [[0, 1], [1, 0]])
    factor = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 4.0]])
    # Sample 1: x0 x1 (1*1 + 2*3) + x0 x2 (1*4 + 0*3) = 2*7 + 3*4 = 26; sample 2: 0.
    np.testing.assert_allclose(pairs.product(factor), [13.0, -13.0])


@pytest.mark.parametrize("own", [False, True])
def test_pair_within_one_segment_is_its_own_product(own):
    columns = random_columns(1)
    visible = np.ones((3, 3), dtype=bool)
    visible[2, 2] = own
    pairs = pair_columns(columns, SEGMENT, visible)
    factor = np.zeros((2, 9))
    factor[0, 5], factor[1, 8] = 2.0, -1.0
    assert pairs.is_inside_segment(factor)
    product = -2 * columns[:, 5] * columns[:, 8]
    np.testing.assert_allclose(pairs.product(factor), product - product.mean(), atol=1e-12)
    factor[1, 0] = 1.0
    assert not pairs.is_inside_segment(factor)


def test_hidden_pairs_of_segments_leave_no_trace():
    # Columns of segments 0 and 1 that are hidden from each other: a product of them may be anything.
    visible = ~np.eye(3, dtype=bool)
    visible[0, 1] = visible[1, 0] = False
    pairs = pair_columns(random_columns(2), SEGMENT, visible)
    factor = np.zeros((2, 9))
    factor[0, [0, 5]], factor[1, [3, 6]] = 1.0, 1.0
    alone = factor.copy()
    alone[0, 0] = 0.0  # of x0 only x0 x6 was visible
    x = pairs.columns
    difference = x[:, 0] * x[:, 6]
    np.testing.assert_allclose(
        pairs.product(factor) - pairs.product(alone) - (pairs.product(_one(5, 6)) - 0),
        difference - difference.mean() - pairs.product(_one(5, 6)),
        atol=1e-12,
    )


def _one(i, j):
    factor = np.zeros((2, 9))
    factor[0, i] = factor[1, j] = 1.0
    return factor


@pytest.mark.parametrize("segment", [SEGMENT, SCATTERED])
def test_scores_and_features_are_those_of_columns_times_their_carrier(segment):
    columns = random_columns(3, segment=segment)
    pairs = pair_columns(columns, segment, ~np.eye(3, dtype=bool))
    rng = np.random.default_rng(4)
    carriers, target = rng.normal(size=(40, 3)), rng.normal(size=40)
    carriers[:, 1] = 0.0
    products = columns * carriers[:, segment]
    inner, norm2 = pairs.scores(carriers, target)
    np.testing.assert_allclose(inner, products.T @ target, atol=1e-4)
    np.testing.assert_allclose(norm2, (products**2).sum(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(np.stack([inner, norm2])[:, np.asarray(segment) == 1], 0)
    index = np.array([7, 0, 3])
    np.testing.assert_allclose(pairs.features(carriers, index), products[:, index])


def test_linked_columns():
    columns = standardised(linked_dosages(np.random.default_rng(5), 400, 3, 5, 0.85))
    segment, site = np.repeat(np.arange(3), 5), np.arange(15)
    site[14] = 3  # one more column of site 3
    pairs = PairColumns(columns, site, segment, visible_segments(segment))
    vector = np.zeros(15)
    vector[[3, 11]] = 1.0
    expected = [
        any(np.corrcoef(columns[:, j], columns[:, k])[0, 1] ** 2 > 0.2 or site[j] == site[k] for k in (3, 11))
        for j in range(15)
    ]
    assert 4 < sum(expected) < 12
    np.testing.assert_array_equal(pairs.linked_to(vector), expected)
    np.testing.assert_array_equal(pairs.linked_to(vector), expected)  # and again, from what was kept
    own = [j for j in range(5) if np.corrcoef(columns[:, j], columns[:, 3])[0, 1] ** 2 > 0.2]
    np.testing.assert_array_equal(pairs.linked_neighbours(3), own)
    assert not pairs.linked_to(np.zeros(15)).any()


def test_visible_segments_are_different_chromosomes():
    np.testing.assert_array_equal(visible_segments(np.array([0, 1, 2])), ~np.eye(3, dtype=bool))
    np.testing.assert_array_equal(visible_segments(np.array([0, 0])), [[True]])


def test_chromosome_numbers():
    np.testing.assert_array_equal(chromosome_numbers(sites_on(3, 2, 10)), [0, 0, 1, 1, 2, 2])
    order = np.array([5, 0, 3])
    np.testing.assert_array_equal(chromosome_numbers(sites_on(3, 2, 10).select(order)), [2, 0, 1])


def test_columns_that_see_little_of_a_slot_are_told_apart():
    # Two chromosomes: a hub on the first, and a weak second entry of its slot on the other.
    segment = np.array([0, 0, 0, 1, 1])
    pairs = PairColumns(np.zeros((4, 5)), np.arange(5), segment, visible_segments(segment))
    assert pairs.mostly_visible(np.array([1.0, 0, 0, 0.3, 0])).tolist() == [False] * 3 + [True] * 2
    assert pairs.mostly_visible(np.array([0, 0, 0, 0, 2.0])).tolist() == [True] * 3 + [False] * 2


def test_a_slot_gets_no_column_that_the_other_slot_hides():
    """A strong interaction with a minor entry of the other slot would multiply its major one as well."""
    rng = np.random.default_rng(5)
    columns = rng.normal(size=(2000, 6))
    segment = np.array([0, 0, 0, 1, 1, 1])
    pairs = PairColumns(columns, np.arange(6), segment, visible_segments(segment))
    hub, partner, other, minor = 0, 3, 1, 4
    rest = columns[:, hub] * columns[:, partner] + columns[:, other] * columns[:, minor]
    weights = _select(pairs, rest, np.array([1.0, 0, 0, 0, 0.2, 0]), 9.0)
    assert weights[partner] > 0.5
    assert not weights[:3].any()
