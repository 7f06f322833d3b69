"""Unshrunken estimates of coefficients against regressions in the gauge's own coding."""

import numpy as np
import oracles
import pytest
import statsmodels.api as sm
import torch
from oracles_estimates import coded_columns, generalised_least_squares, hierarchical_regression
from scipy import special, stats

from genoattn.closed_form.posterior import Posterior
from genoattn.closed_form.product_basis import ProductBasis, indicator_basis
from genoattn.interactions.estimates import Estimates
from genoattn.interactions.expansion import Factors
from genoattn.interactions.joint import fit_jointly
from genoattn.interactions.mixed import MixedModel
from genoattn.interactions.testing import FittedTerms, estimate_terms
from genoattn.model.working_response import ResponseModel, WorkingResponse
from genoattn.tokens import build_vocabulary
from genoattn.tokens.gauge_centre import GAUGES, gauge_centre

N_STATES = {"dosage": (3, 3, 2, 3), "genotype": (3, 2, 3, 2), "sequence": (2, 3, 4, 2)}


def sample_data(encoding, kind="gaussian", seed=0, n_samples=900, missing=0.03):
    """Vocabulary, calls, two covariates and a phenotype with interactions."""
    rng = np.random.default_rng(seed)
    calls = oracles.random_calls(rng, n_samples, N_STATES[encoding], missing)
    v = build_vocabulary(oracles.make_cohort(calls, N_STATES[encoding], oracles.KIND[encoding]), encoding)
    covariates = np.column_stack([rng.normal(50, 10, n_samples), rng.integers(0, 2, n_samples)])
    eta = 0.4 * calls[:, 0] * calls[:, 1] - 0.3 * calls[:, 2] + 0.03 * (covariates[:, 0] - 50)
    y = {
        "gaussian": lambda: eta + rng.normal(size=n_samples),
        "bernoulli": lambda: (rng.random(n_samples) < special.expit(eta)).astype(float),
        "poisson": lambda: rng.poisson(np.exp(eta)).astype(float),
    }[kind]()
    return v, calls, covariates, y


def plain_model(v, y, kind="gaussian", noise=None, variance=None):
    """A response without a link."""
    readout = oracles.random_readout(np.random.default_rng(0), v, {})
    with torch.no_grad():
        for parameter in readout.parameters():
            parameter.zero_()
    return ResponseModel(readout, kind, noise or {}, y, variance)


def assert_equal_to_regression(joint, v, gauge, expected, rel=1e-8):
    for order in (0, 1, 2):
        chosen = [t for t in expected if len(t) == order]
        terms = np.array(chosen, dtype=np.int64).reshape(len(chosen), order)
        found = joint.estimates(terms, gauge)
        wanted = np.array([expected[tuple(t)] for t in terms.tolist()])
        scale = np.abs(wanted[:, 0]).max()
        np.testing.assert_allclose(found.effect, wanted[:, 0], rtol=rel, atol=rel * scale)
        np.testing.assert_allclose(found.se, wanted[:, 1], rtol=rel)
        np.testing.assert_allclose(found.statistic, found.effect / found.se, rtol=1e-12)
        np.testing.assert_allclose(found.p_value, wanted[:, 2], rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
def test_least_squares_equal_statsmodels_in_the_gauges_coding(encoding, gauge):
    v, calls, covariates, y = sample_data(encoding)
    joint = fit_jointly(indicator_basis(v, 2), calls, covariates, plain_model(v, y), np.zeros(len(y)))
    expected = hierarchical_regression(v, calls, y, covariates, gauge, 2)
    assert_equal_to_regression(joint, v, gauge, expected)


@pytest.mark.parametrize("gauge", GAUGES)
def test_known_variances_are_weights(gauge):
    v, calls, covariates, y = sample_data("sequence", missing=0.0)
    variance = np.random.default_rng(1).uniform(0.2, 3.0, len(y))
    noise = {"variance_scale": 0.7, "unexplained_sd": 0.5}
    model = plain_model(v, y, noise=noise, variance=variance)
    joint = fit_jointly(indicator_basis(v, 2), calls, covariates, model, np.zeros(len(y)))
    expected = hierarchical_regression(v, calls, y, covariates, gauge, 2, weights=1 / (0.7 * variance + 0.25))
    assert_equal_to_regression(joint, v, gauge, expected)


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("kind", ["bernoulli", "poisson"])
@pytest.mark.parametrize("encoding", ["dosage", "sequence"])
def test_other_likelihoods_are_maximised(encoding, kind, gauge):
    v, calls, covariates, y = sample_data(encoding, kind, n_samples=3000)
    start = np.full(len(y), 0.1)  # far from the maximum
    joint = fit_jointly(indicator_basis(v, 2), calls, covariates, plain_model(v, y, kind), start)
    family = {"bernoulli": sm.families.Binomial, "poisson": sm.families.Poisson}[kind]()
    expected = hierarchical_regression(v, calls, y, covariates, gauge, 2, family)
    assert_equal_to_regression(joint, v, gauge, expected, rel=1e-6)


def test_sparse_products_give_the_same_as_dense_ones(monkeypatch):
    rng = np.random.default_rng(3)
    calls = oracles.random_calls(rng, 2500, (6,) * 5)
    v = build_vocabulary(oracles.make_cohort(calls, (6,) * 5, "sequence"), "sequence")
    y = rng.normal(size=2500)
    found = {}
    for share in (0.0, 1e9):  # always sparse, never
        monkeypatch.setattr("genoattn.interactions.design_moments._SPARSE", share)
        joint = fit_jointly(indicator_basis(v, 2), calls, np.zeros((2500, 0)), plain_model(v, y), 0 * y)
        found[share] = joint.estimates(oracles.all_terms(v, 2)[:200], "zero-sum")
    np.testing.assert_allclose(found[0.0].effect, found[1e9].effect, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found[0.0].se, found[1e9].se, rtol=1e-9)


@pytest.mark.parametrize("gauge", GAUGES)
def test_combinations_never_seen(gauge):
    # A pair of rare states never occurs together: its own row has no estimate, and in the gauge of its
    # absence (reference) all others are those of a regression without it.
    rng = np.random.default_rng(4)
    calls = oracles.random_calls(rng, 1200, (3, 3, 2))
    calls[(calls[:, 0] == 2) & (calls[:, 1] == 2), 1] = 0
    v = build_vocabulary(oracles.make_cohort(calls, (3, 3, 2), "sequence"), "sequence")
    y = rng.normal(size=1200) + (calls[:, 0] == 1) * (calls[:, 1] == 1)
    joint = fit_jointly(indicator_basis(v, 2), calls, np.zeros((1200, 0)), plain_model(v, y), 0 * y)
    assert joint.null.shape[1] == 1
    terms = oracles.all_terms(v, 2)
    found = joint.estimates(terms, gauge)
    unseen = (terms == [2, 5]).all(axis=1)
    if gauge == "reference":
        assert np.isnan(found.effect[unseen]).all()
        from oracles_estimates import gauge_design

        names, design = gauge_design(v, calls, gauge, 2)
        kept = [k for k, t in enumerate(names) if t != (2, 5)]
        fit = sm.OLS(y, design[:, kept]).fit()
        expected = dict(zip([names[k] for k in kept], fit.params, strict=True))
        listed = ~unseen & ~(v.state[terms] == v.reference[v.site[terms]]).any(axis=1)
        np.testing.assert_allclose(
            found.effect[listed], [expected[tuple(t)] for t in terms[listed].tolist()], rtol=1e-7
        )
    others = ~np.isin(v.site[terms], (0, 1)).all(axis=1)
    assert np.isfinite(found.effect[others & (found.se > 0)]).all()


def test_separated_cases_have_no_estimate():
    rng = np.random.default_rng(5)
    calls = oracles.random_calls(rng, 600, (3, 3), 0.0)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 3), "genotype"), "dosage")
    y = np.where(calls[:, 0] > 0, 1.0, rng.random(600) < 0.5)  # every carrier at the first site is a case
    joint = fit_jointly(
        indicator_basis(v, 1), calls, np.zeros((600, 0)), plain_model(v, y, "bernoulli"), 0 * y
    )
    found = joint.estimates(np.array([[0], [1]]), "frequency")
    assert np.isnan(found.effect[0])
    assert np.isfinite(found.effect[1])


def test_highest_order_has_one_p_value_in_all_gauges():
    v, calls, covariates, y = sample_data("dosage")
    joint = fit_jointly(indicator_basis(v, 2), calls, covariates, plain_model(v, y), 0 * y)
    terms = oracles.all_terms(v, 2)
    one, *others = (joint.estimates(terms, gauge) for gauge in GAUGES)
    for other in others:
        np.testing.assert_allclose(other.p_value, one.p_value, rtol=1e-9)
        np.testing.assert_allclose(other.effect, one.effect, rtol=1e-9)
    two_states = oracles.random_calls(np.random.default_rng(0), 400, (2,) * 5)
    v = build_vocabulary(oracles.make_cohort(two_states, (2,) * 5, "sequence"), "sequence")
    y = np.random.default_rng(1).normal(size=400) + two_states[:, 0] * two_states[:, 1]
    joint = fit_jointly(indicator_basis(v, 3), two_states, np.zeros((400, 0)), plain_model(v, y), 0 * y)
    terms = oracles.all_terms(v, 3)
    terms = terms[(v.state[terms] == 1).all(axis=1)]
    p_values = [joint.estimates(terms, gauge).p_value for gauge in GAUGES]
    np.testing.assert_allclose(p_values[1], p_values[0], rtol=1e-9)
    np.testing.assert_allclose(p_values[2], p_values[0], rtol=1e-9)


@pytest.mark.parametrize("gauge", GAUGES)
def test_a_complete_landscape_has_the_coefficients_of_its_projection(gauge):
    # Without noise effects are the definition: averages over the other sites, less those over a term's own.
    rng = np.random.default_rng(6)
    shape = (2, 3, 2)
    grid = rng.normal(size=shape)
    calls = oracles.all_calls(shape)
    v = build_vocabulary(oracles.make_cohort(calls, shape, "sequence"), "sequence")
    y = grid[tuple(calls.T)]
    joint = fit_jointly(
        indicator_basis(v, 2), np.repeat(calls, 9, axis=0), np.zeros((108, 0)),
        plain_model(v, np.repeat(y, 9)), np.zeros(108),
    )  # fmt: skip
    centre = np.split(gauge_centre(v, gauge), v.first[1:])
    order_2 = grid - sum(  # what no product of two sites can hold
        oracles.project(grid, [np.full(k, 1 / k) for k in shape], (0, 1, 2), states)
        * (calls == states).all(axis=1)
        for states in map(tuple, calls.tolist())
    ).reshape(shape)
    for order in (1, 2):
        terms = oracles.all_terms(v, order)
        expected = [
            oracles.project(order_2, centre, tuple(v.site[t]), tuple(v.state[t])) for t in terms.tolist()
        ]
        listed = gauge != "reference" or ~(v.state[terms] == 0).any(axis=1)
        found = joint.estimates(terms, gauge).effect
        np.testing.assert_allclose(found[listed], np.array(expected)[listed], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("gauge", GAUGES)
def test_posterior_estimates_are_generalised_least_squares(gauge):
    # With the others random under their prior: regress y on the mean that a coefficient gives the products,
    # with the covariance of their residuals after regression on it.
    rng = np.random.default_rng(7)
    calls = oracles.random_calls(rng, 60, (3, 2, 3))
    v = build_vocabulary(oracles.make_cohort(calls, (3, 2, 3), "sequence"), "sequence")
    basis = ProductBasis(v, indicator_basis(v, 2).contrasts, v.mean, 2)
    z, noise, prior = basis.values(basis.entity(calls)), 0.3, np.array([0.8, 0.4])
    before = np.diag(prior[basis.order_of - 1])
    y = rng.normal(size=60)
    covariance = np.linalg.inv(z.T @ z / noise + np.linalg.inv(before))
    posterior = Posterior(basis, covariance @ z.T @ y / noise, covariance, prior)
    for order in (1, 2):
        terms = oracles.all_terms(v, order)
        effect, se = posterior.unshrunken(terms, gauge)
        for k, term in enumerate(terms):
            ((_, products, weights),) = basis.coefficient_rows(term[None], gauge)
            row = np.zeros(z.shape[1])
            row[products] = weights[0]
            size = row @ before @ row
            if size == 0:
                continue
            mean = z @ before @ row / size
            left = before - np.outer(before @ row, row @ before) / size
            beta, spread, _ = generalised_least_squares(y, mean[:, None], z @ left @ z.T + noise * np.eye(60))
            assert effect[k] == pytest.approx(beta[0], rel=1e-6)
            assert se[k] == pytest.approx(np.sqrt(spread[0, 0]), rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("encoding", ["dosage", "genotype"])
def test_mixed_model_is_generalised_least_squares(encoding, weighted):
    rng = np.random.default_rng(8)
    n_states = (3, 3, 3, 2, 3, 3)
    calls = oracles.random_calls(rng, 150, n_states, 0.02)
    v = build_vocabulary(oracles.make_cohort(calls, n_states, "genotype"), encoding)
    covariates, y = rng.normal(size=(150, 1)), rng.normal(size=150) + calls[:, 0] * calls[:, 1]
    weight = rng.uniform(0.5, 2.0, 150) if weighted else np.ones(150)
    working = WorkingResponse(y, weight, 1.0 if weighted else None)
    factors = Factors(v, 0.0, np.zeros(v.n_columns), {2: np.zeros((0, 2, v.n_columns))}, {2: np.zeros(0)})
    model = MixedModel(factors, calls, covariates, working, np.zeros(150))
    x = v.columns(calls) / np.sqrt(v.variance)
    w = weight / weight.mean()
    for order in (1, 2):
        terms = oracles.all_terms(v, order)[:12]
        found = model.estimates(terms, np.zeros(len(terms)), "frequency")
        for k, term in enumerate(terms):
            coded = coded_columns(v, calls, "frequency")
            own = [[c for _, c in coded[s]] for s in v.site[term]]
            names = [[int(c) for c, _ in coded[s]] for s in v.site[term]]
            lower = [c for columns in own for c in columns] if order == 2 else []
            products = [a * b for a in own[0] for b in own[1]] if order == 2 else own[0]
            labels = [(a, b) for a in names[0] for b in names[1]] if order == 2 else [(a,) for a in names[0]]
            if tuple(term.tolist()) not in labels:
                continue  # of the state that the coding leaves out
            fixed = np.column_stack([np.ones(150), covariates, *lower, *products])
            others = x[:, ~np.isin(v.site, v.site[term])]
            covariance = others @ others.T / model.penalty + np.diag(1 / w)
            beta, spread, left = generalised_least_squares(y, fixed, covariance)
            at = fixed.shape[1] - len(products) + labels.index(tuple(term.tolist()))
            noise = 1 / weight.mean() if weighted else left / (150 - fixed.shape[1])
            assert found.effect[k] == pytest.approx(beta[at], rel=1e-7, abs=1e-9)
            assert found.se[k] == pytest.approx(np.sqrt(noise * spread[at, at]), rel=1e-6)


def test_a_ridge_coefficient_over_its_reliability_is_the_mixed_models():
    rng = np.random.default_rng(9)
    calls = oracles.random_calls(rng, 120, (3,) * 8)
    v = build_vocabulary(oracles.make_cohort(calls, (3,) * 8, "genotype"), "dosage")
    y = rng.normal(size=120) + calls[:, 0]
    model = MixedModel(
        Factors(v, 0.0, np.zeros(8), {}, {}),
        calls,
        np.zeros((120, 0)),
        WorkingResponse(y, np.ones(120)),
        0 * y,
    )
    x = v.columns(calls) / np.sqrt(v.variance)
    ridge = np.linalg.solve(x.T @ x + model.penalty * np.eye(8), x.T @ (y - y.mean()))
    effect = model.estimates(np.arange(8)[:, None], np.zeros(8), "frequency").effect * np.sqrt(v.variance)
    assert (np.sign(effect) == np.sign(ridge)).all()
    assert (np.abs(effect) >= np.abs(ridge)).all()


def test_the_lead_stands_for_an_interaction_shared_by_linked_sites():
    # The second site of each pair of neighbours is nearly the first: the model gives half to either.
    rng = np.random.default_rng(10)
    a, b = (rng.integers(0, 3, 800) for _ in range(2))
    linked_a, linked_b = (np.where(rng.random(800) < 0.02, rng.integers(0, 3, 800), s) for s in (a, b))
    calls = np.stack([a, linked_a, b, linked_b], axis=1).astype(np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3,) * 4, "genotype"), "dosage")
    y = (a - a.mean()) * (b - b.mean()) + 0.1 * rng.normal(size=800)
    factor = np.zeros((1, 2, 4))
    factor[0, 0, :2] = factor[0, 1, 2:] = 0.6, 0.4
    factors = Factors(v, 0.0, np.zeros(4), {2: factor}, {2: np.ones(1)})
    value = np.prod([v.columns(calls) @ slot for slot in factor[0]], axis=0)
    arguments = factors, calls, np.zeros((800, 0)), WorkingResponse(y, np.ones(800)), value
    model = MixedModel(*arguments)
    terms = np.array([[0, 2], [1, 3], [0, 3]])
    coefficient = np.array([0.36, 0.16, 0.24])
    found = model.estimates(terms, coefficient, "frequency")
    assert found.effect[0] == pytest.approx(1, abs=0.03)
    assert model.proxies(terms).tolist() == [False, True, True]
    assert np.isnan(found.effect[1:]).all()
    other = MixedModel(*arguments, leads=[(1, 3)])
    assert other.proxies(terms).tolist() == [True, False, True]
    assert other.estimates(terms, coefficient, "frequency").effect[1] == pytest.approx(0.95, abs=0.05)


def test_estimates_without_degrees_of_freedom():
    found = Estimates.of(np.ones(2), np.ones(2), 0.0, 1.0)
    assert np.isnan(found.p_value).all()
    known = Estimates.of(np.array([1.96]), np.ones(1), np.inf, 1.0)
    assert known.p_value[0] == pytest.approx(2 * stats.norm.sf(1.96), rel=1e-9)


def fitted_terms(n_samples, n_states, order, **options):
    rng = np.random.default_rng(0)
    calls = oracles.random_calls(rng, n_samples, n_states)
    v = build_vocabulary(oracles.make_cohort(calls, n_states, "sequence"), "sequence")
    y = rng.normal(size=n_samples)
    ranks = {k: 1 for k in range(2, order + 1)}
    factors = Factors(
        v, 0.0, np.zeros(v.n_columns), {k: np.zeros((1, 1, v.n_columns)) for k in ranks},
        {k: np.zeros(1) for k in ranks},
    )  # fmt: skip
    return FittedTerms(factors, calls, np.zeros((n_samples, 0)), plain_model(v, y), **options), v


@pytest.mark.parametrize(
    ("n_samples", "is_sequence", "method"),
    [(400, True, "least squares"), (50, True, "cell means"), (50, False, "mixed model")],
)
def test_the_method_follows_the_samples(n_samples, is_sequence, method):
    fitted, v = fitted_terms(n_samples, (2,) * 6, 2, is_sequence=is_sequence)
    terms = {k: oracles.all_terms(v, k) for k in (0, 1, 2)}
    tested = estimate_terms(fitted, terms)
    assert tested.method == method
    assert "21 products up to order 2" in tested.reason
    for gauge in ("reference", "zero-sum"):
        lower = np.isfinite(tested.estimates[gauge][1].effect)
        assert lower.any() == (
            method == "least squares"
        )  # else meant at a background that is not the average
        assert (gauge in tested.untested) != lower.any()
        assert np.isfinite(tested.estimates[gauge][2].effect).any()
    assert np.isfinite(tested.estimates["frequency"][1].effect).all()
