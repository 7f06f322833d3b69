"""The readout against nested loops over distinct sites."""

import numpy as np
import oracles
import pytest
import torch

from genoattn.model.readout import Readout
from genoattn.tokens import build_vocabulary
from genoattn.tokens.token_features import token_features

NONE = torch.zeros(100, 0, dtype=torch.float64)  # covariates


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
def test_orders_equal_loops(encoding, tied):
    rng = np.random.default_rng(1)
    n_states = (3, 2, 4, 3, 2) if encoding == "sequence" else (3, 3, 2, 3, 3)
    calls = oracles.random_calls(rng, 12, n_states, missing=0.15)
    covariates = rng.normal(size=(12, 2))
    v = build_vocabulary(oracles.make_cohort(calls, n_states, oracles.KIND[encoding]), encoding)
    module = oracles.random_readout(rng, v, {2: 3, 3: 2, 4: 2}, 2, tied)
    with torch.no_grad():
        found = module(torch.tensor(calls), torch.tensor(covariates)).numpy()
    expected = oracles.readout(module, v, calls, covariates)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["linear", "feature"])
@pytest.mark.parametrize("encoding", ["dosage", "sequence"])
def test_other_attention_equals_loops(encoding, kind):
    rng = np.random.default_rng(7)
    n_states = (3, 2, 3, 3)
    calls = oracles.random_calls(rng, 12, n_states, missing=0.15)
    cohort = oracles.make_cohort(calls, n_states, oracles.KIND[encoding])
    v = build_vocabulary(cohort, encoding)
    if kind == "linear":
        module = oracles.random_readout(rng, v, {2: v.n_columns}, full=True)
        with torch.no_grad():
            module.weights["2"].fill_(1.3)  # of all columns alike: a change of units
    else:
        module = oracles.random_readout(rng, v, {2: 2, 3: 2}, features=token_features(cohort.sites, v))
    with torch.no_grad():
        found = module(torch.tensor(calls), NONE[:12]).numpy()
    expected = oracles.readout(module, v, calls, NONE[:12].numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def test_order_2_by_hand():
    # Dosages 0, 1, 2 at both sites: mean 1, sd s = sqrt(2/3). Factors (2, 0) and (0, 3) on the scale of sd:
    # at dosages (2, 0) the ordered sum is 2 (1/s) * 3 (-1/s) = -6 / (2/3) = -9; the other order is 0.
    calls = np.array([[0, 0], [1, 1], [2, 2]], dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 3), "genotype"), "dosage")
    module = oracles.random_readout(np.random.default_rng(0), v, {2: 1})
    with torch.no_grad():
        module.factors["2"].value.copy_(torch.tensor([[[2.0, 0.0], [0.0, 3.0]]]))
        module.weights["2"].fill_(1.0)
        out = module(torch.tensor([[2, 0]], dtype=torch.int8), NONE[:1])
    assert out[0, 2].item() == pytest.approx(-9)


@pytest.mark.parametrize("encoding", ["dosage", "sequence"])
def test_missing_entity_adds_nothing(encoding):
    rng = np.random.default_rng(2)
    calls = oracles.random_calls(rng, 20, (3, 3, 3, 3))
    v = build_vocabulary(oracles.make_cohort(calls, (3,) * 4, oracles.KIND[encoding]), encoding)
    module = oracles.random_readout(rng, v, {2: 2, 3: 2})
    nobody = torch.full((1, 4), -1, dtype=torch.int8)
    only_first = nobody.clone()
    only_first[0, 0] = 2
    with torch.no_grad():
        empty = module(nobody, NONE[:1])[0]
        single = module(only_first, NONE[:1])[0]
    np.testing.assert_allclose(empty[1:], 0, atol=1e-15)
    np.testing.assert_allclose(single[2:], 0, atol=1e-12)  # an interaction needs two entities
    expected = oracles.factor_value(module.additive.detach().numpy(), v, 0, 2)
    assert single[1].item() == pytest.approx(expected, rel=1e-12)


def test_orders_are_centred_under_independent_sites():
    # Over all combinations of states, weighted by the product of frequencies, every order has mean 0.
    rng = np.random.default_rng(3)
    n_states = (3, 2, 3)
    calls = oracles.random_calls(rng, 40, n_states)
    v = build_vocabulary(oracles.make_cohort(calls, n_states, "sequence"), "sequence")
    module = oracles.random_readout(rng, v, {2: 2, 3: 2}, tied=True)
    everyone = oracles.all_calls(n_states)
    weight = np.prod([v.mean[v.first[s] + everyone[:, s]] for s in range(3)], axis=0)
    with torch.no_grad():
        parts = module(torch.tensor(everyone), NONE[: len(everyone)]).numpy()
    np.testing.assert_allclose(weight @ parts[:, 1:], 0, atol=1e-12)


def test_no_ranks_is_no_interaction():
    calls = np.array([[0, 1], [2, 1], [1, 0]], dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 3), "genotype"), "dosage")
    out = Readout(v, {2: 0})(torch.tensor(calls), torch.zeros(3, 0))
    np.testing.assert_array_equal(out[:, 2].detach(), np.zeros(3))


@pytest.mark.parametrize("encoding", ["dosage", "sequence"])
def test_state_that_no_training_sample_has_counts_as_missing(encoding):
    rng = np.random.default_rng(4)
    n_states = (3, 3, 3)
    calls = oracles.random_calls(rng, 30, n_states)
    calls[:25, 0] = 1 if encoding == "dosage" else rng.integers(0, 2, 25)
    cohort = oracles.make_cohort(calls, n_states, oracles.KIND[encoding])
    v = build_vocabulary(cohort, encoding, np.arange(25))
    module = oracles.random_readout(rng, v, {2: 2, 3: 1})
    unseen = torch.tensor([[2, 0, 1]], dtype=torch.int8)
    missing = torch.tensor([[-1, 0, 1]], dtype=torch.int8)
    with torch.no_grad():
        np.testing.assert_array_equal(module(unseen, NONE[:1]), module(missing, NONE[:1]))
