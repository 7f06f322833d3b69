"""Variance components against enumeration of every combination of states under independent sites."""

import numpy as np
import oracles
import pytest
import torch

from genoattn.interactions.expansion import variance_components
from genoattn.interactions.extract import readout_factors
from genoattn.tokens import build_vocabulary


def state_frequencies(calls, n_states):
    """Frequency of each state among called samples, one vector a site."""
    columns = [c[c >= 0] for c in calls.T]
    return [np.bincount(c, minlength=k) / len(c) for c, k in zip(columns, n_states, strict=True)]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
def test_components_equal_enumeration(encoding, tied):
    rng = np.random.default_rng(5)
    n_states = (2, 3, 4, 3, 2) if encoding == "sequence" else (3, 2, 3, 3, 3)
    calls = oracles.random_calls(rng, 50, n_states, missing=0.1)
    v = build_vocabulary(oracles.make_cohort(calls, n_states, oracles.KIND[encoding]), encoding)
    module = oracles.random_readout(rng, v, {2: 3, 3: 2, 4: 2}, tied=tied)
    everyone = oracles.all_calls(n_states)
    frequencies = state_frequencies(calls, n_states)
    weight = np.prod([frequencies[s][everyone[:, s]] for s in range(5)], axis=0)
    none = torch.zeros(len(everyone), 0, dtype=torch.float64)
    with torch.no_grad():
        parts = module(torch.tensor(everyone), none).numpy()
    mean = weight @ parts
    found = variance_components(readout_factors(module, v))
    expected = weight @ (parts - mean) ** 2
    assert list(found) == [1, 2, 3, 4]
    np.testing.assert_allclose(list(found.values()), expected[1:], rtol=1e-10)
    total = parts.sum(axis=1)  # orders do not covary, so that the components add up
    assert sum(found.values()) == pytest.approx(weight @ (total - total @ weight) ** 2, rel=1e-10)


def test_one_dosage_pair_by_hand():
    # Dosages 0, 1, 2: variance 2/3. The term 3 (g1 - 1)(g2 - 1) has variance 9 (2/3)^2 = 4.
    calls = np.array([[0, 0], [1, 1], [2, 2]], dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 3), "genotype"), "dosage")
    module = oracles.random_readout(np.random.default_rng(0), v, {2: 1})
    sd = (2 / 3) ** 0.5
    with torch.no_grad():
        module.additive.zero_()
        module.factors["2"].value.copy_(torch.tensor([[[3 * sd, 0], [0, sd]]]))
        module.weights["2"].fill_(1.0)
    assert variance_components(readout_factors(module, v)) == pytest.approx({1: 0, 2: 4})
