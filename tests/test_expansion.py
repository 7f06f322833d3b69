"""Coefficients in every gauge against projections of the landscape, by definition and by gaugefixer."""

import gaugefixer
import numpy as np
import oracles
import pandas as pd
import pytest
import torch

from genoattn.errors import InputError
from genoattn.interactions.expansion import Expansion
from genoattn.interactions.extract import readout_factors
from genoattn.tokens import build_vocabulary
from genoattn.tokens.gauge_centre import GAUGES, gauge_centre

STATES = {"dosage": (3, 2, 3, 3), "genotype": (3, 2, 3, 3), "sequence": (2, 3, 4, 2)}


def small_model(encoding, tied, seed=0):
    """Factors of a random model of orders 2 to 4, and its output for all combinations of states."""
    rng = np.random.default_rng(seed)
    n_states = STATES[encoding]
    calls = oracles.random_calls(rng, 40, n_states, missing=0.05)
    v = build_vocabulary(oracles.make_cohort(calls, n_states, oracles.KIND[encoding]), encoding)
    module = oracles.random_readout(rng, v, {2: 3, 3: 2, 4: 2}, tied=tied)
    everyone = oracles.all_calls(n_states)
    with torch.no_grad():
        values = (
            module(torch.tensor(everyone), torch.zeros(len(everyone), 0, dtype=torch.float64))
            .sum(dim=1)
            .numpy()
        )
    return readout_factors(module, v), everyone, values


def probabilities(vocabulary, gauge):
    """The gauge's distribution of states at each site."""
    columns = [oracles.site_columns(vocabulary, s) for s in range(vocabulary.n_sites)]
    if gauge == "reference":
        return [np.eye(len(c))[0] for c in columns]
    if gauge == "zero-sum":
        return [np.full(len(c), 1 / len(c)) for c in columns]
    return [vocabulary.mean[c] for c in columns]


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("encoding", ["genotype", "sequence"])
def test_states_equal_projection(encoding, tied, gauge):
    factors, _, values = small_model(encoding, tied)
    v = factors.vocabulary
    landscape = values.reshape(STATES[encoding])
    expansion = Expansion(factors, gauge)
    for order in range(5):
        terms = oracles.all_terms(v, order)
        expected = [
            oracles.project(landscape, probabilities(v, gauge), v.site[t].tolist(), v.state[t].tolist())
            for t in terms
        ]
        np.testing.assert_allclose(expansion.coefficients(terms), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("tied", [False, True])
def test_dosage_equals_polynomial(tied, gauge):
    factors, everyone, values = small_model("dosage", tied)
    v = factors.vocabulary
    centre = {"reference": np.zeros(4), "zero-sum": np.array([1, 0.5, 1, 1]), "frequency": v.mean}[gauge]
    expected = oracles.polynomial(values, everyone, centre)
    expansion = Expansion(factors, gauge)
    np.testing.assert_array_equal(expansion.centre, centre)
    for term, value in expected.items():
        found = expansion.coefficients(np.array([term], dtype=np.int64).reshape(1, len(term)))[0]
        assert found == pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("gauge", GAUGES)
def test_states_equal_gaugefixer(gauge):
    factors, _, values = small_model("sequence", tied=False)
    v = factors.vocabulary
    letters = ["ACDE"[:k] for k in STATES["sequence"]]
    model = gaugefixer.AllOrderModel(alphabet_list=[list(a) for a in letters])
    names = ["".join(letters[s][a] for s, a in enumerate(x)) for x in oracles.all_calls(STATES["sequence"])]
    model.set_landscape(pd.Series(values, index=names))
    options = {
        "reference": {"gauge": "wild-type", "wt_seq": "AAAA"},
        "zero-sum": {"gauge": "zero-sum"},
        "frequency": {"gauge": "hierarchical", "pi_lc": probabilities(v, "frequency")},
    }
    fixed = model.get_fixed_params(**options[gauge])
    expansion = Expansion(factors, gauge)
    n_compared = 0
    for (sites, states), value in fixed.items():
        columns = [v.first[s] + letters[s].index(a) for s, a in zip(sites, states, strict=True)]
        found = expansion.coefficients(np.array([columns], dtype=np.int64).reshape(1, len(columns)))[0]
        assert found == pytest.approx(value, rel=1e-10, abs=1e-10)
        n_compared += 1
    assert n_compared == 3 * 4 * 5 * 3  # (states + 1) at every site


def test_gauge_centres_by_hand():
    calls = np.array([[0, 1], [2, 1], [1, 0]], dtype=np.int8)  # second site haploid
    dosage = build_vocabulary(oracles.make_cohort(calls, (3, 2), "genotype"), "dosage")
    np.testing.assert_allclose(gauge_centre(dosage, "reference"), [0, 0])
    np.testing.assert_allclose(gauge_centre(dosage, "zero-sum"), [1, 0.5])
    np.testing.assert_allclose(gauge_centre(dosage, "frequency"), [1, 2 / 3])
    states = build_vocabulary(oracles.make_cohort(calls, (3, 2), "sequence"), "sequence")
    np.testing.assert_allclose(gauge_centre(states, "reference"), [1, 0, 0, 1, 0])
    np.testing.assert_allclose(gauge_centre(states, "zero-sum"), [1 / 3] * 3 + [1 / 2] * 2)
    np.testing.assert_allclose(gauge_centre(states, "frequency"), [1 / 3] * 3 + [1 / 3, 2 / 3])


def test_unknown_gauge():
    factors, _, _ = small_model("dosage", tied=True)
    with pytest.raises(
        InputError, match="gauge 'wild-type' is unknown; choose one of reference, zero-sum, frequency"
    ):
        Expansion(factors, "wild-type")


def test_permuting_sites_permutes_coefficients():
    rng = np.random.default_rng(4)
    n_states = (3,) * 5
    calls = oracles.random_calls(rng, 40, n_states)
    order = rng.permutation(5)
    place = np.argsort(order)  # column c of the first model is column place[c] of the second
    results = []
    for chosen, seed in ((np.arange(5), 7), (order, 7)):
        v = build_vocabulary(oracles.make_cohort(calls[:, chosen], n_states, "genotype"), "dosage")
        module = oracles.random_readout(np.random.default_rng(seed), v, {2: 2, 3: 2})
        with torch.no_grad():
            for p in (module.additive, *module.factors.parameters()):
                p.copy_(p[..., torch.tensor(chosen)])
        results.append(Expansion(readout_factors(module, v), "reference"))
    for term in ([[0]], [[1, 4]], [[0, 2, 3]]):
        columns = np.array(term)
        np.testing.assert_allclose(
            results[0].coefficients(columns), results[1].coefficients(place[columns]), rtol=1e-12
        )
