"""All orders at once: the attention over samples, its terms in every gauge, and fits with it."""

import numpy as np
import pandas as pd
import pytest
import torch
from oracles_product_kernel import all_sequences, all_terms, projection
from small_cohorts import sequence_sites
from test_product_kernel import by_site, centre_of, random_kernel, random_states

import genoattn
from genoattn.attention import ProductAttention, ProductTerms, top_products
from genoattn.cohort import Cohort, Covariates, Phenotype
from genoattn.errors import InputError
from genoattn.fitting import train_model

GAUGES = ("reference", "zero-sum", "frequency")


def random_attention(seed, n_states, rank=12, missing=0.1):
    rng = np.random.default_rng(seed)
    kernel = random_kernel(rng, n_states)
    samples = random_states(rng, rank, n_states, missing)
    weights = rng.normal(size=rank)
    attention = ProductAttention(samples, kernel.correlation, kernel.frequency, kernel.site, weights)
    return rng, kernel, samples, weights, attention


@pytest.mark.parametrize("n_states", [[2, 2, 2], [3, 2, 4]])
def test_attention_is_the_kernel_times_weights(n_states):
    rng, kernel, samples, weights, attention = random_attention(1, n_states)
    queries = random_states(rng, 30, n_states, 0.2)
    expected = kernel.block(queries, samples) @ weights / kernel.variance
    np.testing.assert_allclose(attention(torch.as_tensor(queries)).numpy(), expected, rtol=1e-12)
    tables = [table[own, :-1] for table, own in zip(kernel.tables, kernel.level(samples).T, strict=True)]
    np.testing.assert_allclose(attention.values().numpy(), np.concatenate(tables, axis=1), rtol=1e-12)


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("n_states", [[2, 2, 2, 2], [3, 2, 4]])
def test_terms_are_projections(n_states, gauge):
    _, kernel, _, weights, attention = random_attention(2, n_states)
    centre = centre_of(gauge, kernel)
    terms = ProductTerms(attention.values().numpy().T, weights, kernel.site, centre)
    values = attention(torch.as_tensor(all_sequences(n_states))).numpy()
    for order in range(len(n_states) + 1):
        chosen = list(all_terms(n_states, order))
        columns = np.array([[kernel.first[s] + a for s, a in zip(*term, strict=True)] for term in chosen])
        expected = [projection(n_states, by_site(centre, n_states), *term) @ values for term in chosen]
        found = terms.coefficients(columns.reshape(len(chosen), order).astype(int))
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_largest_terms_are_found(order):
    n_states = [2, 4, 3, 3]
    _, kernel, _, weights, attention = random_attention(4, n_states)
    terms = ProductTerms(attention.values().numpy().T, weights, kernel.site, kernel.frequency)
    chosen = all_terms(n_states, order)
    columns = np.array([[kernel.first[s] + a for s, a in zip(*t, strict=True)] for t in chosen])
    value = terms.coefficients(columns)
    best = np.argsort(-np.abs(value))[:7]
    found = top_products(terms.component(order).axes(), kernel.site, 7)
    np.testing.assert_array_equal(found.tokens, columns[best])
    np.testing.assert_allclose(found.coefficient, value[best], rtol=1e-9)


def test_variances_of_random_sequences_are_those_of_all():
    n_states = [3, 2, 4]
    _, kernel, _, weights, attention = random_attention(3, n_states)
    centre = kernel.frequency
    terms = ProductTerms(attention.values().numpy().T, weights, kernel.site, centre)
    expected = []
    for order in (1, 2, 3):
        total = 0.0
        for sites, states in all_terms(n_states, order):
            columns = np.array([[kernel.first[s] + a for s, a in zip(sites, states, strict=True)]])
            total += float(terms.coefficients(columns)[0] ** 2 * centre[columns].prod())
        expected.append(total)
    found = terms.variances(2, 200_000, seed=0)
    np.testing.assert_allclose(found, expected, rtol=0.03)


def landscape(n_samples=260, seed=0, covariates=False):
    rng = np.random.default_rng(seed)
    calls = rng.integers(0, 3, (n_samples, 3)).astype(np.int8)
    table = rng.normal(size=(3, 3, 3))
    y = table[tuple(calls.T)] + rng.normal(0, 0.1, n_samples)
    z = rng.normal(size=(n_samples, 1))
    given = Covariates(("age",), z, {}) if covariates else None
    y = y + (2 * z[:, 0] if covariates else 0)
    return Cohort(
        [f"i{k}" for k in range(n_samples)], sequence_sites(3), calls, "sequence", Phenotype("y", y), given
    )


@pytest.fixture(scope="module")
def fitted():
    cohort = landscape()
    return cohort, genoattn.fit(cohort, order="all", seed=1)


@pytest.mark.parametrize("gauge", GAUGES)
def test_the_table_is_the_model(fitted, gauge, tmp_path):
    cohort, result = fitted
    table = result.export(gauge)
    np.testing.assert_allclose(table.predict(cohort), result.predict(cohort), atol=1e-9)
    result.save(tmp_path / "out")
    model = genoattn.load_model(tmp_path / "out")
    np.testing.assert_array_equal(model.predict(cohort), result.predict(cohort))
    again = model.export(gauge).frame
    pd.testing.assert_frame_equal(again, table.frame, check_exact=False, rtol=1e-9)


def test_a_table_without_the_higher_orders_says_so(caplog, tmp_path):
    rng = np.random.default_rng(0)
    calls = rng.integers(0, 3, (120, 5)).astype(np.int8)
    cohort = Cohort(
        [f"i{k}" for k in range(120)],
        sequence_sites(5),
        calls,
        "sequence",
        Phenotype("y", rng.normal(size=120)),
    )
    result = genoattn.fit(cohort, order="all")
    result.save(tmp_path / "out")
    table = genoattn.load_interactions(tmp_path / "out" / "interactions.tsv")
    assert table.manifest.left_out == {4: 5 * 81, 5: 243}
    assert not table.manifest.complete
    table.predict(cohort)
    assert "the table leaves out all orders above 3: its predictions are not the model's" in caplog.text


def test_orders_are_compared_where_all_at_once_fails(monkeypatch):
    def fail(*_, **__):
        raise InputError("the noise is too small")

    monkeypatch.setattr(train_model, "product_readout", fail)
    result = genoattn.fit(landscape(400))
    assert result.manifest.model["form"] == "gaussian process"
    assert "not tried: order all with link none (the noise is too small)" in result.ladder.reason
    with pytest.raises(InputError, match="the noise is too small"):
        genoattn.fit(landscape(400), order="all")


def test_estimates_cover_the_truth(fitted):
    cohort, result = fitted
    assert result.metrics.record()["test"]["by_order"].keys() == {"0", "all"}
    assert result.manifest.model["form"] == "product process"
    rows = result.table.frame[result.table.frame["order"] == 3]
    rng = np.random.default_rng(0)
    rng.integers(0, 3, (260, 3))
    truth = rng.normal(size=(3, 3, 3)).ravel()
    centres = [np.bincount(own, minlength=3) / 260 for own in cohort.calls.T]
    z = []
    for row in rows.itertuples():
        sites = sorted(int(str(getattr(row, f"pos_{k}"))) - 1 for k in (1, 2, 3))
        states = {int(str(getattr(row, f"pos_{k}"))) - 1: getattr(row, f"state_{k}") for k in (1, 2, 3)}
        index = tuple(cohort.sites.states[s].index(states[s]) for s in sites)
        z.append((row.effect - projection([3, 3, 3], centres, sites, index) @ truth) / row.se)
    assert len(z) == 27
    assert np.mean(np.abs(z) < 2) > 0.8


def test_terms_that_are_not_there_have_uniform_p_values():
    """Additive effects and one pair at eight sites: of the other terms a twentieth has p < 0.05."""
    p_values = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        calls = rng.integers(0, 3, (300, 8)).astype(np.int8)
        y = rng.normal(size=(8, 3))[np.arange(8), calls].sum(axis=1)
        y = y + rng.normal(size=(3, 3))[calls[:, 0], calls[:, 1]] + rng.normal(0, 0.7, 300)
        samples = [f"i{k}" for k in range(300)]
        cohort = Cohort(samples, sequence_sites(8), calls, "sequence", Phenotype("y", y))
        frame = genoattn.fit(cohort, order="all", seed=seed).table.frame
        absent = (frame["order"] > 1) & ~((frame["site_1"] == "A1") & (frame["site_2"] == "A2"))
        p_values.append(frame.loc[absent, "p_value"])
    p = np.concatenate(p_values)
    assert len(p) > 6000
    assert 0.02 < (p < 0.05).mean() < 0.07
    assert (p < 0.001).mean() < 0.003


def test_covariates_are_fixed_effects():
    cohort = landscape(covariates=True)
    result = genoattn.fit(cohort, order="all")
    assert result.readout.covariate.item() == pytest.approx(2, abs=0.05)
    assert result.metrics.test > 0.9


def test_orders_compared_with_all_at_once():
    result = genoattn.fit(landscape(400))
    record = result.manifest.model
    assert {"order", "link", "start", "score", "seconds"} == record["tried"][0].keys()
    assert "all" in [tried["order"] for tried in record["tried"]]
    assert "not tried" not in record["chosen_because"]
    hasty = genoattn.fit(landscape(400), budget=0.001)
    assert [tried["order"] for tried in hasty.manifest.model["tried"]] == [1, 1]
    assert "not tried: order all with link none (for lack of time)" in hasty.manifest.model["chosen_because"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"link": "monotone"}, "order all is a closed form without a link"),
        ({"likelihood": "student"}, "order all is a closed form without a link for a gaussian likelihood"),
        ({"estimator": "attention"}, "leave these options out, or give an order"),
        ({"budget": 0}, "budget is 0; it must be more than 0 seconds"),
    ],
)
def test_what_all_orders_cannot_do(options, message):
    with pytest.raises(InputError, match=message):
        genoattn.fit(landscape(100), order="all", **options)


def test_dosages_have_no_product():
    from genoattn.simulate import simulate_cohort

    cohort = simulate_cohort(n_samples=50, n_sites=10, linkage="none", seed=1).cohort
    with pytest.raises(InputError, match="order all is for states, not dosages; use encoding genotype"):
        genoattn.fit(cohort, order="all")
