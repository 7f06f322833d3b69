"""Every order at once: kernel, systems, learned decay, predictions and coefficients against definitions."""

import doctest
from dataclasses import replace

import numpy as np
import oracles_product_kernel as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoattn.closed_form import kernel_system as systems
from genoattn.closed_form import product_kernel_fit
from genoattn.closed_form.kernel_system import BlockSystem, CholeskySystem, GridSystem, kernel_system
from genoattn.closed_form.learned_kernel import (
    LearnedKernel,
)
from genoattn.closed_form.product_kernel import ProductKernel
from genoattn.closed_form.product_kernel_fit import fit_product_kernel, solve_product_kernel
from genoattn.errors import InputError

GAUGES = ("reference", "zero-sum", "frequency")
LANDSCAPES = ([2, 2, 2, 2, 2, 2], [3, 3, 3, 3], [2, 4, 3])


def by_site(values, n_states):
    return np.split(values, np.cumsum(n_states)[:-1])


def random_kernel(rng, n_states, variance=1.7):
    n_columns = sum(n_states)
    frequency = np.concatenate([rng.dirichlet(np.full(k, 3.0)) for k in n_states])
    plain = ProductKernel.of_decay(variance, rng.uniform(0.1, 1.2, n_columns), np.array(n_states), frequency)
    # States alike as points are that all sites share, as well.
    points, state = rng.normal(size=(max(n_states), 2)), np.arange(n_columns) - plain.first[plain.site]
    squares = ((points[state][:, None] - points[None]) ** 2).sum(axis=2)
    contrast = rng.uniform(0.2, 1.0, len(n_states))[plain.site]
    return replace(plain, correlation=plain.correlation * np.exp(-contrast[:, None] * squares))


def centre_of(gauge, kernel):
    if gauge == "frequency":
        return kernel.frequency
    if gauge == "zero-sum":
        return 1 / kernel.n_states[kernel.site]
    centre = np.zeros(len(kernel.site))
    centre[kernel.first[:-1]] = 1
    return centre


def random_states(rng, n_samples, n_states, missing=0.0):
    states = np.stack([rng.integers(0, k, n_samples) for k in n_states], axis=1)
    return np.where(rng.random(states.shape) < missing, -1, states).astype(np.int8)


def slow_kernel(kernel, left, right):
    parts = by_site(kernel.correlation, kernel.n_states), by_site(kernel.frequency, kernel.n_states)
    return oracle.kernel_matrix(kernel.variance, *parts, left, right)


def solved(rng, n_states, n_samples=40, missing=0.1):
    kernel = random_kernel(rng, n_states)
    states = random_states(rng, n_samples, n_states, missing)
    phenotype = rng.normal(3.0, 1.0, n_samples)
    variance = rng.uniform(0.01, 0.3, n_samples)
    learned = LearnedKernel(kernel, 0.05, 0.8, 1)
    model = solve_product_kernel(learned, states, phenotype, variance)
    return model, states, phenotype, 0.8 * variance + 0.05


def slow_posterior(model, states, phenotype, noise, new):
    kernel = model.kernel
    return oracle.posterior(
        slow_kernel(kernel, states, states),
        slow_kernel(kernel, new, states),
        slow_kernel(kernel, new, new),
        noise,
        phenotype,
    )


@given(seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.3]))
@settings(max_examples=20, deadline=None)
def test_kernel_is_its_definition(seed, missing):
    rng = np.random.default_rng(seed)
    n_states = rng.integers(2, 5, 4).tolist()
    kernel = random_kernel(rng, n_states)
    left, right = random_states(rng, 7, n_states, missing), random_states(rng, 5, n_states, missing)
    np.testing.assert_allclose(kernel.block(left, right), slow_kernel(kernel, left, right), rtol=1e-12)
    np.testing.assert_allclose(kernel.diagonal(left), slow_kernel(kernel, left, left).diagonal(), rtol=1e-12)
    assert np.linalg.eigvalsh(kernel.block(left, left)).min() > -1e-12


def test_kernel_by_hand():
    # Two sites; at the second the samples differ: 2 * 1 * w_0 w_1 = 2 * 0.5 * 0.8.
    decay = -np.log([0.3, 0.9, 0.5, 0.8])
    kernel = ProductKernel.of_decay(2.0, decay, np.array([2, 2]), np.array([0.5, 0.5, 0.25, 0.75]))
    left, right = np.array([[1, 0]], dtype=np.int8), np.array([[1, 1]], dtype=np.int8)
    np.testing.assert_allclose(kernel.block(left, right), [[0.8]])
    # Missing at the second: 2 * (0.25 * 1 + 0.75 * 0.4).
    np.testing.assert_allclose(kernel.block(left, np.array([[1, -1]], dtype=np.int8)), [[1.1]])


@pytest.mark.parametrize("n_states", LANDSCAPES, ids=str)
def test_predictions_and_deviations_are_those_of_a_dense_solve(n_states):
    rng = np.random.default_rng(1)
    model, states, phenotype, noise = solved(rng, n_states)
    new = random_states(rng, 20, n_states, 0.2)
    mean, covariance = slow_posterior(model, states, phenotype, noise, new)
    np.testing.assert_allclose(model.predict(new), mean, rtol=1e-9)
    np.testing.assert_allclose(model.predict_deviation(new), np.sqrt(covariance.diagonal()), rtol=1e-9)


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("n_states", LANDSCAPES, ids=str)
def test_coefficients_and_deviations_are_projections_of_the_posterior(n_states, gauge):
    rng = np.random.default_rng(2)
    model, states, phenotype, noise = solved(rng, n_states)
    sequences = oracle.all_sequences(n_states)
    mean, covariance = slow_posterior(model, states, phenotype, noise, sequences)
    prior = slow_kernel(model.kernel, sequences, sequences)
    centre = centre_of(gauge, model.kernel)
    for order in range(4):
        terms = list(oracle.all_terms(n_states, order))
        terms = [terms[i] for i in rng.permutation(len(terms))[:15]]
        columns = np.array(
            [[model.kernel.first[s] + a for s, a in zip(*term, strict=True)] for term in terms], dtype=int
        ).reshape(len(terms), order)
        weights = np.stack([oracle.projection(n_states, by_site(centre, n_states), *term) for term in terms])
        np.testing.assert_allclose(model.coefficients(columns, centre), weights @ mean, atol=1e-9)
        for got, of in (
            (model.coefficient_deviations(columns, centre) ** 2, covariance),
            (model.kernel.coefficient_variance(columns, centre), prior),
        ):
            np.testing.assert_allclose(got, ((weights @ of) * weights).sum(axis=1), atol=1e-9)


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("n_states", LANDSCAPES[:2], ids=str)
def test_coefficients_of_all_orders_add_up_to_the_prediction(n_states, gauge):
    model, *_ = solved(np.random.default_rng(3), n_states)
    sequences = oracle.all_sequences(n_states)
    total = np.zeros(len(sequences))
    centre = centre_of(gauge, model.kernel)
    for order in range(len(n_states) + 1):
        terms = list(oracle.all_terms(n_states, order))
        columns = [[model.kernel.first[s] + a for s, a in zip(*term, strict=True)] for term in terms]
        found = model.coefficients(np.array(columns, dtype=int).reshape(len(terms), order), centre)
        for (sites, own), value in zip(terms, found, strict=True):
            total += value * (sequences[:, list(sites)] == own).all(axis=1)
    np.testing.assert_allclose(total, model.predict(sequences), rtol=1e-10)


@pytest.mark.parametrize("system", [GridSystem, BlockSystem])
def test_conjugate_gradients_agree_with_the_factor(system, monkeypatch):
    monkeypatch.setattr(systems, "_RANK", 100)
    rng = np.random.default_rng(5)
    n_states = [3, 4, 3, 5]
    kernel = random_kernel(rng, n_states)
    states = random_states(rng, 2200, n_states, 0.05)  # several tiles, repeated sequences
    noise = rng.uniform(0.02, 0.2, len(states))
    right = rng.standard_normal((len(states), 3))
    exact = CholeskySystem(kernel, states, noise)
    solution = exact.solve(right)
    dense = kernel.block(states, states) + np.diag(noise)
    np.testing.assert_allclose(dense @ solution, right, atol=1e-9)
    rough = system(kernel, states, noise)
    found = rough.solve(right)
    closer = 1e-6 if system is GridSystem else 1e-3  # of a kernel in float32
    assert np.linalg.norm(dense @ found - right) < closer * np.linalg.norm(right)
    np.testing.assert_allclose(found, solution, atol=closer * np.abs(solution).max())
    new = random_states(rng, 50, n_states, 0.1)
    np.testing.assert_allclose(
        rough.smooth(solution[:, 0], new), kernel.block(new, states) @ solution[:, 0], atol=1e-9
    )


def test_small_noise_is_solved_by_the_factor_and_refused_by_few_steps(monkeypatch):
    rng = np.random.default_rng(6)
    n_states = [4] * 5
    kernel = random_kernel(rng, n_states)
    states = random_states(rng, 600, n_states)
    noise = np.full(len(states), 1e-8)
    right = (kernel.block(states, states) + np.diag(noise)) @ np.ones((len(states), 1))
    np.testing.assert_allclose(CholeskySystem(kernel, states, noise).solve(right), 1.0, atol=1e-3)
    monkeypatch.setattr(systems, "_RANK", 5)
    monkeypatch.setattr(GridSystem, "most_steps", 10)
    with pytest.raises(
        InputError, match=r"residual .* the noise is too small for 600 samples; ask for an order"
    ):
        GridSystem(kernel, states, noise).solve(right)
    with pytest.raises(
        InputError, match="too small for 600 samples in float32; ask for an order instead of all"
    ):
        BlockSystem(kernel, states, noise)


def test_a_grid_without_missing_states_predicts_samples_that_have_some():
    rng = np.random.default_rng(8)
    n_states = [3, 2, 4]
    kernel = random_kernel(rng, n_states)
    states, weights = random_states(rng, 50, n_states), rng.normal(size=50)
    grid = GridSystem(kernel, states, np.ones(50))
    assert grid.shape == (3, 2, 4)
    for missing in (0.0, 0.4):
        new = random_states(rng, 20, n_states, missing)
        np.testing.assert_allclose(grid.smooth(weights, new), kernel.block(new, states) @ weights)


def test_the_solver_is_chosen_by_size(monkeypatch):
    rng = np.random.default_rng(7)
    monkeypatch.setattr(systems, "_FEW", 50)
    few, many = [3] * 4, [3] * 30
    for n_states, n, gib, name in [
        (few, 40, 8, "cholesky"),
        (few, 90, 8, "grid"),
        (many, 40, 1e-9, "blocks"),
        (many, 90, 8, "blocks"),
    ]:
        kernel = random_kernel(rng, n_states)
        states = random_states(rng, n, n_states)
        system = kernel_system(kernel, states, np.ones(n), gib)
        assert system.name == name
        if name == "blocks":
            assert (system.panels is None) == (gib < 1)


def test_missing_states_count_as_the_mean_over_alleles():
    rng = np.random.default_rng(10)
    n_states = [2, 3, 2]
    model, *_ = solved(rng, n_states, missing=0.0)
    p = by_site(model.kernel.frequency, n_states)
    known = np.array([[1, a, 0] for a in range(3)], dtype=np.int8)
    mixed = p[1] @ model.predict(known)
    np.testing.assert_allclose(model.predict(np.array([[1, -1, 0]], dtype=np.int8)), [mixed], rtol=1e-12)


def test_mistakes_are_named():
    states = np.zeros((4, 2), dtype=np.int8)
    n_states, y = np.array([2, 2]), np.arange(4.0)
    with pytest.raises(InputError, match="states: got int8 of shape"):
        fit_product_kernel(states[:, :1], n_states, y)
    with pytest.raises(InputError, match="states: 2 at site 1, which has 2 states"):
        fit_product_kernel(states + np.array([0, 2], dtype=np.int8), n_states, y)
    with pytest.raises(InputError, match="phenotype: needs 4 finite values"):
        fit_product_kernel(states, n_states, np.array([0, 1, np.nan, 2]))
    with pytest.raises(InputError, match="variance: needs a value of 0 or more"):
        fit_product_kernel(states, n_states, y, np.array([1, 1, np.nan, 1]))
    model, *_ = solved(np.random.default_rng(17), [2, 2])
    uniform = np.full(4, 0.5)
    with pytest.raises(InputError, match="columns of one site"):
        model.coefficients(np.array([[0, 1]]), uniform)
    with pytest.raises(InputError, match="needs \\(n_terms, order\\) of columns 0 to 3"):
        model.coefficients(np.array([[0, 4]]), uniform)
    with pytest.raises(InputError, match="4 probabilities that add up to 1"):
        model.coefficients(np.array([[0, 2]]), np.ones(4))


def test_the_example_runs():
    assert doctest.testmod(product_kernel_fit).failed == 0
    assert doctest.testmod(product_kernel_fit).attempted > 0
