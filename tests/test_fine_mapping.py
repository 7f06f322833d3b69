"""A strong isolated factor is placed on the likeliest linked pairs."""

from __future__ import annotations

import numpy as np
import pytest
from inference_cohorts import linked_dosages, standardised

from genoattn.closed_form.strong_pairs import fine_mapped


def factor(p, first, second):
    shape = np.zeros((1, 2, p))
    shape[0, 0, first], shape[0, 1, second] = 0.7, 0.7
    return shape


def scene(strength, seed=1):
    rng = np.random.default_rng(seed)
    x = standardised(linked_dosages(rng, 600, 2, 15, 0.93))
    y = 0.5 * x[:, 6] + strength * x[:, 6] * x[:, 22] + 0.6 * rng.normal(size=600)
    return x, y


def posterior(x, y, first, second):
    """Of each pair by its residual sum of squares, and the marginals of the columns."""

    def rss(i, j):
        design = np.column_stack([np.ones(len(x)), x[:, i], x[:, j], x[:, i] * x[:, j]])
        return np.square(y - design @ np.linalg.lstsq(design, y)[0]).sum()

    log = -0.5 * len(y) * np.log([[rss(i, j) for j in second] for i in first])
    weight = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
    return weight.sum(axis=1), weight.sum(axis=0)


@pytest.mark.parametrize("strength", [0.6, 0.2])
@pytest.mark.parametrize("turned", [(), (7, 21)])  # columns coded the other way round
def test_neighbours_give_way_to_the_likeliest_pairs(strength, turned):
    x, y = scene(strength)
    y += (0.6 - strength) * x[:, 22]
    x[:, turned] *= -1
    shape = factor(30, [5, 7], [21])
    shape[:, :, turned] *= -1
    found = fine_mapped(x, y, shape, np.array([1.0]))
    r2 = np.corrcoef(x, rowvar=False) ** 2
    clusters = [np.flatnonzero(r2[k] >= 0.5) for k in (5, 21)]
    for slot, index, share in zip(found[0], clusters, posterior(x, y, *clusters), strict=True):
        best = index[np.argmax(share)]
        expected = np.where(share >= 0.02, share, 0.0) / share.max() * np.sign(x[:, index].T @ x[:, best])
        np.testing.assert_allclose(slot[index], expected, atol=1e-6)
        assert np.count_nonzero(slot) == np.count_nonzero(expected)
    if strength == 0.6:
        assert tuple(np.argmax(np.abs(found[0]), axis=1)) == (6, 22)


def test_weak_factors_and_wide_ones_stay():
    x, y = scene(0.6)
    shape = factor(30, [5], [21])
    np.testing.assert_array_equal(fine_mapped(x, y, shape, np.array([0.1])), shape)
    wide = factor(30, [0, 14], [21])
    np.testing.assert_array_equal(fine_mapped(x, y, wide, np.array([1.0])), wide)
