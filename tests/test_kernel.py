"""The closed form of small landscapes: least squares, Gaussian process, exact factors, intervals."""

from itertools import combinations

import numpy as np
import oracles
import pytest
import statsmodels.api as sm
import torch

from genoattn.closed_form.gaussian_process import (
    count_products,
    fit_products,
    make_products,
    tied_ranks,
)
from genoattn.errors import InputError
from genoattn.fitting.metrics import r2
from genoattn.fitting.train_model import train_readout
from genoattn.interactions.expansion import Expansion
from genoattn.interactions.extract import readout_factors
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.train_config import Split, TrainConfig, TrainingData
from genoattn.tokens import build_vocabulary
from genoattn.tokens.gauge_centre import GAUGES

NONE = np.zeros(0, dtype=np.int64)


def landscape(seed=0, n_samples=150, n_states=(2, 3, 2, 3), kind="sequence", missing=0.0):
    rng = np.random.default_rng(seed)
    calls = oracles.random_calls(rng, n_samples, n_states, missing)
    cohort = oracles.make_cohort(calls, n_states, kind)
    return rng, calls, build_vocabulary(cohort, "dosage" if kind == "genotype" else "sequence")


def entity_values(vocabulary, products, calls):
    return vocabulary.columns(calls) @ products.contrasts


def site_kernels(vocabulary, entity, products):
    """Inner product of two samples' contrasts at each site: (site, sample, sample)."""
    site = vocabulary.site[np.abs(products.contrasts).argmax(axis=0)]
    return [entity[:, site == s] @ entity[:, site == s].T for s in range(vocabulary.n_sites)]


def elementary(kernels, order):
    return sum(
        np.prod([kernels[s] for s in chosen], axis=0) for chosen in combinations(range(len(kernels)), order)
    )


def restricted_likelihood(y, covariance):
    """log of the marginal likelihood with a flat prior of the mean, up to a constant."""
    one = np.ones((len(y), 1))
    inverse = np.linalg.inv(covariance)
    by_one = float((one.T @ inverse @ one).item())
    projected = inverse - inverse @ one @ one.T @ inverse / by_one
    return -0.5 * (np.linalg.slogdet(covariance)[1] + np.log(by_one) + y @ projected @ y)


def test_number_of_products():
    _, _, v = landscape(n_states=(2, 3, 2, 3))
    # Contrasts 1, 2, 1, 2: e_1 = 6, e_2 = 2 + 1 + 2 + 2 + 4 + 2 = 13, e_3 = 2 + 4 + 2 + 4 = 12.
    assert count_products(v, 3) == 31
    assert [len(m) for m in make_products(v, 3).members] == [6, 13, 12]


def test_without_penalty_it_is_least_squares():
    rng, calls, v = landscape()
    z, y = rng.normal(size=(150, 1)), rng.normal(size=150)
    products = make_products(v, 2)
    entity = entity_values(v, products, calls)
    found = fit_products(products, entity, y, z, penalty=0)
    expected = sm.OLS(y, np.column_stack([np.ones(150), z, products.values(entity)])).fit()
    np.testing.assert_allclose(found.coefficients, expected.params[2:], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(np.r_[found.intercept, found.covariates], expected.params[:2], rtol=1e-8)
    np.testing.assert_allclose(found.covariance, expected.cov_params()[2:, 2:], rtol=1e-8, atol=1e-12)


def test_it_is_the_gaussian_process_with_its_variances():
    rng, calls, v = landscape(1)
    products = make_products(v, 3)
    entity = entity_values(v, products, calls)
    values = products.values(entity)
    y = 2 + values @ (rng.normal(size=values.shape[1]) * 0.3**products.order_of) + 0.1 * rng.normal(size=150)
    fit = fit_products(products, entity[:100], y[:100], np.zeros((100, 0)))
    kernels = site_kernels(v, entity, products)
    kernel = sum(s * elementary(kernels, k) for k, s in enumerate(fit.variances, start=1))
    covariance = kernel[:100, :100] + fit.noise * np.eye(100)
    weight = np.linalg.inv(covariance)
    mean = (weight @ y[:100]).sum() / weight.sum()
    expected = mean + kernel[100:, :100] @ weight @ (y[:100] - mean)
    found = fit.intercept + products.values(entity[100:]) @ fit.coefficients
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    # The variances are where the restricted likelihood is largest.
    best = restricted_likelihood(y[:100], covariance)
    for k in range(4):
        for factor in (0.6, 1.6):
            scale = np.ones(4)
            scale[k] = factor
            other = sum(scale[n] * s * elementary(kernels, n + 1) for n, s in enumerate(fit.variances))
            other = other[:100, :100] + scale[3] * fit.noise * np.eye(100)
            assert restricted_likelihood(y[:100], other) < best


@pytest.mark.parametrize("kind", ["sequence", "genotype"])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_ranks_are_the_products(order, kind):
    rng, _, v = landscape(kind=kind)
    products = make_products(v, 4)
    coefficients = rng.normal(size=len(products.order_of))
    factors, weights = tied_ranks(products, coefficients, order, rng)
    z = rng.normal(size=(5, v.n_columns))  # any numbers: the identity is one of polynomials
    expected = (
        products.values(z @ products.contrasts)[:, products.order_of == order]
        @ coefficients[products.order_of == order]
    )
    signs = factors @ np.linalg.pinv(products.contrasts).T
    site = v.site[np.abs(products.contrasts).argmax(axis=0)]
    entity = z @ products.contrasts
    at_site = np.stack([(signs[:, site == s]) @ entity[:, site == s].T for s in range(v.n_sites)])
    found = weights @ elementary(at_site, order)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def trained(order=3, seed=0, kind="sequence", missing=0.1, noise=0.1, penalty=1.0, n_samples=150):
    rng, calls, v = landscape(seed, n_samples, kind=kind, missing=missing)
    products = make_products(v, order)
    values = products.values(entity_values(v, products, calls))
    y = 3 + values @ (rng.normal(size=values.shape[1]) * 0.4**products.order_of)
    y = y + noise * rng.normal(size=len(y))
    data = TrainingData(calls, rng.normal(size=(len(y), 1)), y, False)
    split = Split(np.arange(100), np.arange(100, len(y)), NONE)
    config = TrainConfig(order=order, estimator="posterior", penalty=penalty)
    return v, data, train_readout(v, data, split, config), split


@pytest.mark.parametrize("kind", ["sequence", "genotype"])
def test_readout_is_the_closed_form(kind):
    v, data, model, split = trained(kind=kind)
    readout, summary = model.readout, model.summary
    y = data.phenotype[split.training]
    products = make_products(v, 3)
    entity = v.columns(data.calls) @ products.contrasts
    fit = fit_products(products, entity[:100], y, data.covariates[:100])
    expected = fit.intercept + data.covariates @ fit.covariates + products.values(entity) @ fit.coefficients
    found = predict_orders(readout, data.calls, data.covariates).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * y.std())  # standardised in between
    held = split.validation
    loss = 0.5 * (((found - data.phenotype)[held] / y.std()) ** 2).mean()
    assert summary.validation_loss == pytest.approx(loss, rel=1e-9)
    assert summary.start == "kernel"
    assert readout.bias.dtype == torch.float64


@pytest.mark.parametrize("kind", ["sequence", "genotype"])
@pytest.mark.parametrize("gauge", GAUGES)
def test_posterior_mean_is_the_table_in_every_gauge(gauge, kind):
    v, _, model, _ = trained(kind=kind)
    readout, posterior = model.readout, model.posterior
    expansion = Expansion(readout_factors(readout, v), gauge)
    for order in (1, 2, 3):
        columns = np.array(
            [c for c in combinations(range(v.n_columns), order) if len(set(v.site[list(c)])) == order]
        )
        mean, spread = posterior.moments(columns, gauge)
        expected = expansion.coefficients(columns)
        np.testing.assert_allclose(mean, expected, rtol=1e-7, atol=1e-8 * np.abs(expected).max())
        assert (spread >= 0).all()
        assert spread.max() > 0


def test_posterior_deviation_is_that_of_its_draws():
    posterior = trained()[2].posterior
    columns = np.array([[0, 3], [1, 5]])
    _, spread = posterior.moments(columns, "reference")
    draws = np.random.default_rng(0).multivariate_normal(posterior.mean, posterior.covariance, 4000)
    sampled = np.empty((4000, 2))
    for terms, products, weights in posterior.basis.coefficient_rows(columns, "reference"):
        sampled[:, terms] = draws[:, products] @ weights.T
    np.testing.assert_allclose(sampled.std(axis=0), spread, rtol=0.05)


def simulated(seed, n_sites=9, noise=0.05, variances=(0.5, 0.3, 0.15, 0.05)):
    """A complete two-state landscape, Gaussian with known variance of each order, and the Walsh values."""
    rng = np.random.default_rng(seed)
    calls = oracles.all_calls((2,) * n_sites)
    signs = 2.0 * calls - 1
    total = np.zeros(len(calls))
    for order, share in enumerate(variances, start=1):
        sets = list(combinations(range(n_sites), order))
        weight = rng.normal(0, np.sqrt(share / len(sets)), len(sets))
        total += sum(w * signs[:, s].prod(axis=1) for w, s in zip(weight, sets, strict=True))
    return calls, total, total + rng.normal(0, np.sqrt(noise), len(total))


@pytest.mark.parametrize("seed", [0, 1])
def test_random_landscape_is_predicted_as_well_as_by_the_process_that_knows_it(seed):
    noise, variances = 0.05, (0.5, 0.3, 0.15, 0.05)
    calls, _, y = simulated(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    train, test = order[:300], order[300:]
    v = build_vocabulary(oracles.make_cohort(calls, (2,) * 9, "sequence"), "sequence", train)
    data = TrainingData(calls, np.zeros((len(y), 0)), y, False)
    config = TrainConfig(order=4, estimator="posterior")
    readout = train_readout(v, data, Split(train, NONE, test), config).readout
    found = predict_orders(readout, calls, data.covariates).sum(axis=1)
    signs = 2.0 * calls - 1
    kernels = [np.outer(signs[:, s], signs[:, s]) for s in range(9)]
    number = [len(list(combinations(range(9), k))) for k in (1, 2, 3, 4)]
    kernel = sum(
        v_ / n * elementary(kernels, k)
        for k, (v_, n) in enumerate(zip(variances, number, strict=True), start=1)
    )
    alpha = np.linalg.solve(kernel[np.ix_(train, train)] + noise * np.eye(300), y[train])
    knows = kernel[np.ix_(test, train)] @ alpha
    assert r2(y[test], found[test]) > r2(y[test], knows) - 0.02


def test_intervals_cover_the_truth():
    covered, number = 0, 0
    for seed in range(6):
        calls, truth, y = simulated(seed, n_sites=8, noise=0.2, variances=(0.5, 0.3, 0.2))
        rng = np.random.default_rng(seed)
        train = np.sort(rng.permutation(len(y))[:200])
        v = build_vocabulary(oracles.make_cohort(calls, (2,) * 8, "sequence"), "sequence", np.arange(len(y)))
        data = TrainingData(calls, np.zeros((len(y), 0)), y, False)
        config = TrainConfig(order=3, estimator="posterior")
        posterior = train_readout(v, data, Split(train, NONE, NONE), config).posterior
        grid = truth.reshape((2,) * 8)
        half = [np.full(2, 0.5)] * 8
        for sites in list(combinations(range(8), 2)) + list(combinations(range(8), 3))[:20]:
            columns = np.array([[2 * s + 1 for s in sites]])
            mean, spread = posterior.moments(columns, "zero-sum")
            true = oracles.project(grid, half, sites, [1] * len(sites))
            covered += abs(mean[0] - true) < 1.645 * spread[0]
            number += 1
    assert 0.85 < covered / number < 0.95


def test_known_variances_weigh_the_samples():
    rng, calls, v = landscape(3, 400)
    products = make_products(v, 2)
    entity = entity_values(v, products, calls)
    values = products.values(entity)
    weights = rng.normal(size=values.shape[1])
    variance = np.where(rng.random(400) < 0.5, 25.0, 0.01)
    y = values @ weights + rng.normal(0, np.sqrt(variance))
    blind = fit_products(products, entity, y, np.zeros((400, 0)))
    known = fit_products(products, entity, y, np.zeros((400, 0)), variance)
    error = [np.abs(f.coefficients - weights).mean() for f in (blind, known)]
    assert error[1] < 0.5 * error[0]


def train_with(**options):
    rng, calls, v = landscape()
    data = TrainingData(calls, np.zeros((150, 0)), rng.normal(size=150), False)
    return train_readout(v, data, Split(np.arange(100), np.arange(100, 150), NONE), TrainConfig(**options))


def test_kernel_is_the_automatic_choice_for_a_small_landscape_only():
    assert train_with(max_epochs=2).summary.start == "kernel"
    assert train_with(max_epochs=2, link="monotone").summary.start == "kernel"
    assert train_with(max_epochs=2, likelihood="student").summary.start != "kernel"
    assert train_with(max_epochs=2, estimator="attention").summary.start == "random"


def test_kernel_refuses_what_has_no_closed_form():
    with pytest.raises(
        InputError, match="estimator posterior is for hyper attention and a gaussian likelihood; use"
    ):
        train_with(estimator="posterior", likelihood="student")
    rng, calls, v = landscape(n_states=(10,) * 5)
    data = TrainingData(calls, np.zeros((150, 0)), rng.normal(size=150), False)
    split = Split(np.arange(100), np.arange(100, 150), NONE)
    message = (
        "estimator posterior with 8,145 products up to order 3, more than 4,000; lower the order, ask for"
    )
    with pytest.raises(InputError, match=message):
        train_readout(v, data, split, TrainConfig(order=3, estimator="posterior"))
    with pytest.raises(
        InputError, match="penalty 0 with 856 coefficients for 100 samples leaves them undetermined"
    ):
        train_readout(v, data, split, TrainConfig(order=2, estimator="posterior", penalty=0))


def test_collinear_products_have_no_least_squares():
    rng, calls, _ = landscape(n_states=(2, 2, 2))
    calls = calls.copy()
    calls[:, 1] = calls[:, 0]
    v = build_vocabulary(oracles.make_cohort(calls, (2, 2, 2), "sequence"), "sequence")
    data = TrainingData(calls, np.zeros((150, 0)), rng.normal(size=150), False)
    with pytest.raises(InputError, match="the products of the sites are collinear in these samples; allow"):
        train_readout(
            v, data, Split(np.arange(150), NONE, NONE), TrainConfig(estimator="posterior", penalty=0)
        )


@pytest.mark.parametrize("link", ["monotone", "bounded"])
def test_closed_form_behind_a_curve(link):
    calls, truth, _ = simulated(2, variances=(0.6, 0.3))
    rng = np.random.default_rng(2)
    y = np.tanh(1.5 * truth / truth.std()) + rng.normal(0, 0.05, len(truth))
    train = np.sort(rng.permutation(len(y))[:350])
    test = np.setdiff1d(np.arange(len(y)), train)
    v = build_vocabulary(oracles.make_cohort(calls, (2,) * 9, "sequence"), "sequence", train)
    data = TrainingData(calls, np.zeros((len(y), 0)), y, False)
    score = {}
    for kind in ("none", link):
        config = TrainConfig(order=2, estimator="posterior", link=kind)
        trained_readout = train_readout(v, data, Split(train, test[:50], test[50:]), config)
        readout, summary = trained_readout.readout, trained_readout.summary
        latent = predict_orders(readout, calls, data.covariates).sum(axis=1)
        predicted = respond(readout, latent)
        score[kind] = r2(y[test], predicted[test])
    assert score[link] > 0.985
    assert score["none"] < 0.93
    assert np.corrcoef(latent, truth)[0, 1] > 0.99
    assert latent[train].mean() == pytest.approx(predicted[train].mean(), abs=1e-9)
    assert latent[train].std(ddof=1) == pytest.approx(predicted[train].std(ddof=1), rel=1e-9)
    held = ((predicted - y)[test[:50]] / y[train].std()) ** 2
    assert summary.validation_loss == pytest.approx(0.5 * held.mean())
    columns = np.array([[2 * s + 1, 2 * t + 1] for s, t in combinations(range(9), 2)])
    expected = Expansion(readout_factors(readout, v), "zero-sum").coefficients(columns)
    np.testing.assert_allclose(trained_readout.posterior.moments(columns, "zero-sum")[0], expected, atol=1e-9)


def test_a_straight_landscape_needs_no_curve():
    calls, _, y = simulated(3, noise=0.1, variances=(0.6, 0.3))
    v = build_vocabulary(oracles.make_cohort(calls, (2,) * 9, "sequence"), "sequence")
    data = TrainingData(calls, np.zeros((len(y), 0)), y, False)
    split = Split(np.arange(0, 512, 2), NONE, np.arange(1, 512, 2))
    config = TrainConfig(order=2, estimator="posterior", link="monotone")
    readout = train_readout(v, data, split, config).readout
    assert readout.link is not None
    _, _, slope = readout.link.curve(50)
    assert slope.min() > 0.5
    assert slope.max() < 1.6
