"""A pair of sites that changes the effects of all others."""

from __future__ import annotations

import numpy as np
import pytest
from inference_cohorts import standardised, unlinked_dosages

from genoattn.closed_form.additive_start import joint_start
from genoattn.closed_form.ridge import RidgeRegression, Spectrum
from genoattn.closed_form.strong_pairs import genome_wide_modifier


def scene(seed, changed, n=500, p=60):
    rng = np.random.default_rng(seed)
    x = standardised(unlinked_dosages(rng, n, p))
    shapes = np.zeros((1, 2, p))
    shapes[0, 0, 3] = shapes[0, 1, 40] = 1.0
    effects, other = rng.normal(0, 0.15, p), rng.normal(0, 0.15, p)
    z = 0.5 * x[:, 3] - 0.5 * x[:, 40] + 0.7 * x[:, 3] * x[:, 40]
    z /= z.std()
    y = 0.8 * z + x @ effects + changed * z * (x @ other) + rng.normal(0, 0.7, n)
    return x, y, shapes, effects, other


def test_restricted_likelihood_is_that_of_the_covariance():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 50)), rng.normal(size=30)
    fixed = np.column_stack([np.ones(30), rng.normal(size=30)])

    def deviance(penalty):
        v = np.eye(30) + x @ x.T / penalty
        inverse = np.linalg.inv(v)
        inner = fixed.T @ inverse @ fixed
        p = inverse - inverse @ fixed @ np.linalg.inv(inner) @ fixed.T @ inverse
        return 28 * np.log(y @ p @ y / 28) + np.linalg.slogdet(v)[1] + np.linalg.slogdet(inner)[1]

    grid = np.geomspace(1e-3, 1e3, 61) * 30
    expected = np.array([deviance(g) for g in grid])
    penalty, found = RidgeRegression(Spectrum.of_columns(x), fixed).likeliest_penalty(y)
    assert penalty == pytest.approx(grid[np.argmin(expected)])
    constant = np.linalg.slogdet(fixed.T @ fixed)[1]
    assert found == pytest.approx(expected.min() - constant, abs=1e-8)


def test_collinear_fixed_effects_change_nothing():
    rng = np.random.default_rng(2)
    x, y, fixed = rng.normal(size=(40, 5)), rng.normal(size=40), np.ones((40, 1))
    once, twice = (
        RidgeRegression(Spectrum.of_columns(x), np.repeat(fixed, k, axis=1)).fit(y)[1] for k in (1, 2)
    )
    np.testing.assert_allclose(once, twice, atol=1e-12)


def test_joint_start_is_least_squares_where_the_penalty_vanishes():
    x, y, shapes, _, _ = scene(3, 0.0, n=400, p=60)
    start, residual, strength = joint_start(x, Spectrum.of_columns(x), y, np.zeros((400, 0)), shapes, 1.0)
    product = x[:, 3] * x[:, 40]
    np.testing.assert_allclose(
        residual, y - start.intercept - x @ start.additive - strength * product, atol=1e-9
    )
    for column in (x[:, 3], x[:, 40], np.ones(400)):  # unpenalised
        assert abs(column @ residual) < 1e-8
    design = np.column_stack([np.ones(400), x, product])
    assert strength[0] == pytest.approx(np.linalg.lstsq(design, y)[0][-1], abs=0.08)


def test_change_of_all_effects_is_found():
    x, y, shapes, _, other = scene(4, 1.0)
    made = genome_wide_modifier(x, Spectrum.of_columns(x), y, np.zeros((500, 0)), shapes, np.array([0.5]), 3)
    assert made is not None
    first, second, changed = made.factors[3][0]
    assert np.flatnonzero(first).tolist() == [3]
    assert np.flatnonzero(second).tolist() == [40]
    assert np.corrcoef(changed, other)[0, 1] > 0.8
    assert np.flatnonzero(made.factors[2][0, 0]).tolist() == [3, 40]
    fitted = made.start.intercept + x @ made.start.additive + made.strength * x[:, 3] * x[:, 40]
    fitted += (x @ made.factors[2][0, 0]) * (x @ made.factors[2][0, 1]) + (x @ first) * (x @ second) * (
        x @ changed
    )
    np.testing.assert_allclose(y - fitted, made.residual, atol=1e-8)
    pairs_only = genome_wide_modifier(
        x, Spectrum.of_columns(x), y, np.zeros((500, 0)), shapes, np.array([0.5]), 2
    )
    assert pairs_only is None or list(pairs_only.factors) == [2]


def test_noise_changes_nothing():
    found = 0
    for seed in range(20):
        x, y, shapes, _, _ = scene(100 + seed, 0.0, n=200, p=50)
        found += (
            genome_wide_modifier(x, Spectrum.of_columns(x), y, np.zeros((200, 0)), shapes, np.array([0.5]), 3)
            is not None
        )
    assert found == 0


def test_weak_pair_is_not_asked():
    x, y, shapes, _, _ = scene(5, 1.0)
    assert (
        genome_wide_modifier(x, Spectrum.of_columns(x), y, np.zeros((500, 0)), shapes, np.array([0.05]), 3)
        is None
    )
