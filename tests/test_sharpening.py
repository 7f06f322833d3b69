"""A strong isolated factor is placed on the likeliest of linked pairs."""

from __future__ import annotations

import numpy as np
from inference_cohorts import linked_dosages, standardised

from genoattn.model.sharpening import sharpened


def factor(p, first, second):
    shape = np.zeros((1, 2, p))
    shape[0, 0, first], shape[0, 1, second] = 0.7, 0.7
    return shape


def scene(strength, seed=1):
    rng = np.random.default_rng(seed)
    x = standardised(linked_dosages(rng, 600, 2, 15, 0.93))
    y = 0.5 * x[:, 6] + strength * x[:, 6] * x[:, 22] + 0.6 * rng.normal(size=600)
    return x, y


def oracle(x, y, first, second):
    def rss(i, j):
        design = np.column_stack([np.ones(len(x)), x[:, i], x[:, j], x[:, i] * x[:, j]])
        return np.square(y - design @ np.linalg.lstsq(design, y)[0]).sum()

    return min(((i, j) for i in first for j in second), key=lambda pair: rss(*pair))


def test_neighbours_give_way_to_the_likeliest_pair():
    x, y = scene(0.6)
    shape = factor(30, [5, 7], [21])
    found = sharpened(x, y, shape, np.array([1.0]))
    r2 = np.corrcoef(x, rowvar=False) ** 2
    expected = oracle(x, y, np.flatnonzero(r2[5] >= 0.5), np.flatnonzero(r2[21] >= 0.5))
    assert tuple(np.argmax(found[0], axis=1)) == expected == (6, 22)
    assert np.count_nonzero(found) == 2


def test_weak_factors_and_wide_ones_stay():
    x, y = scene(0.6)
    shape = factor(30, [5], [21])
    np.testing.assert_array_equal(sharpened(x, y, shape, np.array([0.1])), shape)
    wide = factor(30, [0, 14], [21])
    np.testing.assert_array_equal(sharpened(x, y, wide, np.array([1.0])), wide)
