"""Relatives: who they are, and that no split parts them."""

from __future__ import annotations

import numpy as np
import pytest
from inference_cohorts import linked_dosages, unlinked_dosages

from genoattn.model.relatives import find_relatives, relative_folds
from genoattn.model.split import split_samples


def cohort_with_siblings(seed, n_sibships, n_strangers, n_sites=2000, children=3):
    """Dosages of full siblings, ``children`` of each pair of parents, then of strangers."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.1, 0.5, n_sites)
    rows = []
    for _ in range(n_sibships):
        parents = rng.random((2, 2, n_sites)) < frequency
        for _ in range(children):
            pick = rng.integers(0, 2, (2, n_sites))
            rows.append(sum(np.where(pick[k], parents[k, 1], parents[k, 0]).astype(int) for k in range(2)))
    rows += list(rng.binomial(2, frequency, (n_strangers, n_sites)))
    return np.array(rows, dtype=np.int8)


def test_siblings_are_relatives_and_strangers_are_not():
    calls = cohort_with_siblings(1, 20, 140)
    calls[np.random.default_rng(2).random(calls.shape) < 0.03] = -1
    found = find_relatives(calls)
    assert found[:60].reshape(20, 3).std(axis=1).max() == 0
    assert len(np.unique(found)) == 160


def test_order_of_samples_changes_no_group():
    calls = cohort_with_siblings(3, 10, 60)
    order = np.random.default_rng(4).permutation(len(calls))
    one, other = find_relatives(calls), find_relatives(calls[order])
    np.testing.assert_array_equal(one[order][:, None] == one[order], other[:, None] == other)


@pytest.mark.parametrize("n_sites", [60, 2000])
def test_nobody_is_related_among_strangers_or_with_few_sites(n_sites):
    calls = unlinked_dosages(np.random.default_rng(5), 200, n_sites).astype(np.int8)
    assert find_relatives(calls) is None


def test_cross_has_no_relatives():
    calls = linked_dosages(np.random.default_rng(6), 300, 5, 100, 0.98).astype(np.int8)
    assert find_relatives(calls) is None


def test_constant_sites_are_no_evidence():
    assert find_relatives(np.ones((30, 50), dtype=np.int8)) is None


@pytest.mark.parametrize("binary", [False, True])
def test_no_split_parts_relatives(binary):
    relatives = np.repeat(np.arange(80), 5)
    y = np.random.default_rng(7).normal(size=400)
    y = (y > 0).astype(float) if binary else y
    split = split_samples(y, binary, 0.15, 0.15, 1, relatives)
    parts = split.training, split.validation, split.test
    assert sorted(np.concatenate(parts)) == list(range(400))
    for part, expected in zip(parts, (280, 60, 60), strict=True):
        assert len(part) == pytest.approx(expected, rel=0.2)
        assert len(np.unique(relatives[part])) * 5 == len(part)


def test_folds_keep_relatives_together_and_are_even():
    relatives = np.repeat(np.arange(100), np.arange(100) % 7 + 1)
    fold = relative_folds(relatives, len(relatives), 5, 3)
    for f in range(100):
        assert np.ptp(fold[relatives == f]) == 0
    assert np.bincount(fold).min() > 0.8 * len(relatives) / 5
    np.testing.assert_array_equal(np.sort(relative_folds(None, 10, 5, 3)), np.repeat(np.arange(5), 2))
