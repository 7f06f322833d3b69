"""Likelihoods against scipy's densities, working responses against statsmodels' generalised linear models."""

from types import SimpleNamespace

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from scipy import stats
from small_cohorts import sequence_sites

import genoattn
from genoattn.cohort import Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.model.link import MonotoneLink
from genoattn.model.phenotype_likelihood import (
    Likelihood,
    chosen_likelihood,
    fitted_noise,
    mean_response,
)
from genoattn.model.working_response import ResponseModel

DOUBLE = torch.zeros((), dtype=torch.float64)  # whose type a readout's parameters have
ETA = np.array([-1.5, 0.2, 1.1, 2.0])


def loss_of(module, eta, y, variance=None):
    args = [torch.tensor(a) for a in (eta, y)] + ([] if variance is None else [torch.tensor(variance)])
    with torch.no_grad():
        return float(module(*args))


def negative_log_density(kind, module, eta, y, variance):
    scale = float(module.log_scale.detach().exp())
    if kind == "student":
        freedom = module.record()["degrees_of_freedom"]
        return -stats.t.logpdf(y, freedom, eta, scale).mean()
    if kind == "bernoulli":
        return -stats.bernoulli.logpmf(y.astype(int), 1 / (1 + np.exp(-eta))).mean()
    if kind == "poisson":
        return -stats.poisson.logpmf(y, np.exp(eta)).mean()
    if kind == "negative-binomial":
        size = 1 / scale
        return -stats.nbinom.logpmf(y, size, size / (size + np.exp(eta))).mean()
    times = module.log_variance_scale.exp().item()
    spread = np.ones(4) if variance is None else np.sqrt(times * variance + scale**2)
    return -stats.norm.logpdf(y, eta, spread).mean()


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("gaussian", False),
        ("gaussian", True),
        ("student", False),
        ("bernoulli", False),
        ("poisson", False),
        ("negative-binomial", False),
    ],
)
def test_loss_is_the_density_up_to_a_constant(kind, known):
    rng = np.random.default_rng(0)
    y = {"bernoulli": [0.0, 1, 1, 0], "poisson": [0.0, 2, 3, 9]}.get(kind, [0.0, 1, 2, 8])
    y, variance = np.array(y), rng.uniform(0.1, 2, 4) if known else None
    differences = []
    for log_scale, shape, shift in [(-1.0, 3.0, 0.0), (0.5, 1.0, 0.7), (-2.0, -1.0, -0.4)]:
        module = Likelihood(kind, known).double()
        with torch.no_grad():
            module.log_scale.fill_(log_scale)
            module.shape.fill_(shape)
            module.log_variance_scale.fill_(shift)
        found = loss_of(module, ETA + shift, y, variance)
        differences.append(found - negative_log_density(kind, module, ETA + shift, y, variance))
    np.testing.assert_allclose(differences, differences[0], atol=1e-10)  # a constant of the data alone


def test_rescaling_follows_the_units():
    module = Likelihood("student").double()
    y = np.array([0.3, -1.0, 2.0, 0.1])
    before = loss_of(module, ETA, y)
    module.rescale(10.0)
    assert loss_of(module, 10 * ETA, 10 * y) == pytest.approx(before + np.log(10))


def response_model(kind, y, slope=None, **noise):
    """Of a phenotype behind a line of some slope, or no link."""
    link = None
    if slope is not None:
        link = MonotoneLink().double()
        with torch.no_grad():
            link.height.fill_(-50.0)
        link.rescale(0.0, 1.0)
        link.output_scale.mul_(slope)
    return ResponseModel(SimpleNamespace(link=link, bias=DOUBLE), kind, noise, y)


@pytest.mark.parametrize("kind", ["poisson", "bernoulli"])
def test_working_response_at_the_maximum_gives_back_the_glm(kind):
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(300), rng.normal(size=(300, 2))])
    eta = x @ np.array([0.5, 0.4, -0.3])
    if kind == "bernoulli":
        y, family = (rng.random(300) < 1 / (1 + np.exp(-eta))).astype(float), sm.families.Binomial()
    else:
        y, family = rng.poisson(np.exp(eta)).astype(float), sm.families.Poisson()
    fitted = sm.GLM(y, x, family).fit(tol=1e-12)
    working = response_model(kind, y).at(x @ fitted.params)
    gram = x.T @ (working.weight[:, None] * x)
    np.testing.assert_allclose(
        np.linalg.solve(gram, x.T @ (working.weight * working.values)), fitted.params, rtol=1e-9
    )
    np.testing.assert_allclose(np.sqrt(np.linalg.inv(gram).diagonal()), fitted.bse, rtol=1e-6)
    assert working.dispersion == 1


def test_working_response_behind_a_line_by_hand():
    # g(phi) = 3 phi, so y = 7 at phi = 2: 2 + (7 - 6) / 3, with weight 9.
    working = response_model("gaussian", np.array([7.0]), slope=3.0).at(np.array([2.0]))
    np.testing.assert_allclose(working.values, 2 + 1 / 3, rtol=1e-4)
    np.testing.assert_allclose(working.weight, 9, rtol=1e-4)
    assert working.dispersion is None


def test_student_residuals_fall_back_with_distance():
    # score over information: z (nu + 3) / (nu + z^2) at z = 0.1 and 10 scales of 2
    model = response_model("student", np.array([0.2, 20.0]), degrees_of_freedom=3.0, scale=2.0)
    np.testing.assert_allclose(model.at(np.zeros(2)).values, [0.2 * 6 / 3.01, 20 * 6 / 103])


def test_negative_binomial_weighs_by_its_variance():
    # mean 4 and dispersion 0.5: variance 4 + 8, so the information on the log scale is 16 / 12
    working = response_model("negative-binomial", np.array([7.0]), dispersion=0.5).at(np.log([4.0]))
    np.testing.assert_allclose(working.weight, 16 / 12)
    np.testing.assert_allclose(working.values, np.log(4) + 3 / 4)


def test_mean_response():
    np.testing.assert_allclose(mean_response("poisson", np.array([0.0, 1.0])), [1, np.e])
    np.testing.assert_allclose(mean_response("bernoulli", np.array([0.0])), [0.5])
    np.testing.assert_array_equal(mean_response("student", ETA), ETA)


def test_auto_follows_the_trait():
    assert chosen_likelihood("auto", np.array([0.0, 1]), True) == "bernoulli"
    assert chosen_likelihood("auto", np.array([0.0, 1]), False) == "gaussian"


@pytest.mark.parametrize(
    ("kind", "values", "binary", "message"),
    [
        ("cauchy", [1.0], False, "likelihood 'cauchy' is unknown; choose one of auto, gaussian"),
        ("poisson", [1.0, 2.5, -3], False, "but 2 values are none, the first 2.5; use gaussian"),
        ("gaussian", [0.0, 1.0], True, "likelihood gaussian, but the trait is binary; use bernoulli"),
        ("bernoulli", [0.0, 2.0], False, "likelihood bernoulli needs a binary trait"),
    ],
)  # fmt: skip
def test_likelihoods_that_cannot_be(kind, values, binary, message):
    with pytest.raises(InputError, match=message):
        chosen_likelihood(kind, np.array(values), binary)


def landscape(n_samples=1200, seed=0):
    rng = np.random.default_rng(seed)
    calls = rng.integers(0, 3, (n_samples, 5)).astype(np.int8)
    x = calls - 1.0
    return rng, calls, 0.8 * x[:, 0] - 0.5 * x[:, 1] + 0.6 * x[:, 2] * x[:, 3]


def cohort_of(calls, y, **how):
    samples = [f"i{k}" for k in range(len(y))]
    return Cohort(samples, sequence_sites(5), calls, "sequence", Phenotype("y", np.asarray(y, float), **how))


@pytest.mark.validation  # trains a model to the end
def test_counts_are_modelled_on_the_log_scale():
    rng, calls, latent = landscape()
    size = 5.0
    mean = np.exp(2 + latent)
    cohort = cohort_of(calls, rng.negative_binomial(size, size / (size + mean)))
    result = genoattn.fit(
        cohort, order=2, estimator="attention", rank=4, likelihood="negative-binomial", device="cpu"
    )
    assert np.corrcoef(result.predict(cohort), 2 + latent)[0, 1] > 0.98
    assert result.manifest.model["noise"]["dispersion"] == pytest.approx(0.2, abs=0.1)
    assert result.metrics.name == "d2"
    assert result.metrics.test > 0.6
    assert result.manifest.units == "natural log of the mean of y"
    frame = result.model.prediction_table(cohort)
    np.testing.assert_allclose(frame["mean"], np.exp(frame["prediction_log"]))


@pytest.mark.validation  # trains two models to the end
def test_outliers_do_not_move_a_student_fit():
    rng, calls, latent = landscape()
    y = latent + rng.normal(0, 0.1, len(latent))
    y[rng.permutation(len(y))[:60]] += 50
    cohort = cohort_of(calls, y)
    error = {}
    for likelihood in ("gaussian", "student"):
        fitted = genoattn.fit(
            cohort, order=2, estimator="attention", rank=4, likelihood=likelihood, device="cpu"
        )
        predicted = fitted.predict(cohort)
        error[likelihood] = np.std(predicted - latent)
    assert error["student"] < 0.1
    assert error["gaussian"] > 5 * error["student"]


@pytest.mark.validation  # trains two models to the end
def test_known_variances_are_weights():
    rng, calls, latent = landscape()
    variance = np.where(rng.random(len(latent)) < 0.7, 9.0, 0.01)
    cohort = cohort_of(calls, latent + rng.normal(0, np.sqrt(variance)), variance=variance)
    known = genoattn.fit(cohort, order=2, estimator="attention", rank=4, device="cpu", seed=1)
    blind = genoattn.fit(cohort_of(calls, cohort.phenotype.values), order=2, estimator="attention", rank=4,
                         device="cpu", seed=1)  # fmt: skip
    errors = [np.std(r.predict(cohort) - latent) for r in (known, blind)]
    assert errors[0] < 0.5 * errors[1]
    assert known.metrics.ceiling == pytest.approx(0, abs=0.5)
    assert "noise ceiling of the test samples" in known.metrics.summary()
    assert blind.metrics.ceiling is None
    pair = known.table.top(1).iloc[0]
    assert pair["p_value"] < blind.table.top(1).iloc[0]["p_value"]


@pytest.mark.parametrize(("scale", "extra"), [(0.25, 0.3), (1.0, 2.0), (3.0, 0.5)])
def test_how_far_known_variances_are_right(scale, extra):
    rng = np.random.default_rng(3)
    variance = rng.exponential(1.0, 20_000)
    squares = rng.chisquare(1, 20_000) * (scale * variance + extra)
    for unit in (1.0, 1e-6):
        np.testing.assert_allclose(
            fitted_noise(unit * squares, unit * variance), (scale, unit * extra), rtol=0.08
        )


def test_variances_all_alike_are_taken_as_they_are():
    squares = 5 * np.random.default_rng(4).chisquare(1, 2000)
    scale, extra = fitted_noise(squares, np.full(2000, 2.0))
    assert scale == pytest.approx(1, abs=0.01)
    assert 2 * scale + extra == pytest.approx(squares.mean(), rel=1e-3)


@pytest.mark.parametrize("how", [{"estimator": "attention", "rank": 4}, {}, {"link": "monotone"}])
def test_variances_that_are_too_large_are_scaled_down(how):
    rng, calls, latent = landscape(4000)
    variance = rng.exponential(1.0, len(latent))
    cohort = cohort_of(calls, latent + rng.normal(0, np.sqrt(variance)), variance=8 * variance)
    fit = genoattn.fit(cohort, order=2, device="cpu", seed=1, refit=False, **how)
    assert fit.model.manifest.model["noise"]["variance_scale"] == pytest.approx(1 / 8, rel=0.2)
    assert "variance of a residual: 0.1" in fit.summary()


def test_one_enormous_variance_says_nothing_of_the_others():
    rng = np.random.default_rng(5)
    variance = rng.exponential(1.0, 3000)
    squares = rng.chisquare(1, 3000) * (variance + 0.2)
    variance[7] = 1e9
    np.testing.assert_allclose(fitted_noise(squares, variance), (1.0, 0.2), rtol=0.2)
