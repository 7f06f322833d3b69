"""Pooled attention against loops over sets of sites, and against the attention of each entity, summed."""

from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from genoattn.attention import (
    HyperAttention,
    LinearSelfAttention,
    PooledFeatureAttention,
    PooledHyperAttention,
    PooledLinearAttention,
)

DOUBLE = torch.float64
N_STATES = (2, 3, 2, 4, 2)
SITE = np.repeat(np.arange(5), N_STATES)


def random_tokens(rng, n_samples=6):
    """Column of each sample at each site: (sample, site)."""
    first = np.cumsum((0, *N_STATES))[:-1]
    return first + np.stack([rng.integers(0, k, n_samples) for k in N_STATES], axis=1)


def indicators(tokens):
    return torch.nn.functional.one_hot(torch.as_tensor(tokens), len(SITE)).sum(dim=1).to(DOUBLE)


def sum_over_sites(entity, order):
    """From values (slot, site) of one sample: over sets of sites, or over ordered sites, a slot for each."""
    choose = combinations if len(entity) == 1 else permutations
    slots = range(order) if len(entity) > 1 else [0] * order
    return sum(np.prod(entity[list(slots), list(sites)]) for sites in choose(range(entity.shape[1]), order))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("kind", ["dosage", "states"])
def test_hyper_attention_equals_loops(kind, order, tied):
    rng = np.random.default_rng(order)
    if kind == "states":
        tokens = random_tokens(rng)
        design, site = indicators(tokens), SITE
    else:
        design, site = torch.as_tensor(rng.normal(size=(6, 5))), np.arange(5)
    module = PooledHyperAttention(len(site), order, 3, tied=tied, indicators=kind == "states").to(DOUBLE)
    module.set_random(1.0, torch.Generator().manual_seed(order))
    with torch.no_grad():
        found, factor = module(design), module.factors().numpy()
    for k, row in enumerate(design.numpy()):
        entity = np.add.reduceat(factor * row, np.flatnonzero(np.diff(site, prepend=-1)), axis=-1)
        expected = [sum_over_sites(values, order) for values in entity]
        np.testing.assert_allclose(found[k], expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("order", [2, 3])
def test_powers_of_few_columns_leave_the_gradients_of_all(order):
    rng = np.random.default_rng(order)
    design = torch.as_tensor(rng.normal(size=(7, 12)))
    module = PooledHyperAttention(12, order, 2).to(DOUBLE)
    with torch.no_grad():
        for rank, slot, column in ((0, 0, 3), (0, 1, 3), (0, 1, 8), (1, order - 1, 5), (1, 0, 0)):
            module.value[rank, slot, column] = 0.5 + column
    weight = torch.as_tensor(rng.normal(size=(7, 2)))
    (module(design) * weight).sum().backward()
    values = module.value.detach().clone().requires_grad_()
    entity = values[None] * design[:, None, None]  # (sample, rank, slot, site)
    total = 0.0
    for sites in permutations(range(12), order):
        total = total + torch.stack([entity[:, :, m, k] for m, k in enumerate(sites)]).prod(dim=0)
    (total * weight).sum().backward()
    np.testing.assert_allclose(module(design).detach(), total.detach(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(module.value.grad, values.grad, rtol=1e-9, atol=1e-9)
    assert np.count_nonzero(module.value.grad) > 12  # those of zeros among them


@pytest.mark.parametrize("order", [2, 3, 4])
def test_hyper_attention_is_that_of_entities_summed(order):
    tokens = random_tokens(np.random.default_rng(0))
    of_entities = HyperAttention(len(SITE), 1, order, rank=3, dtype=DOUBLE)
    torch.nn.init.normal_(of_entities.query)
    one_hot = torch.nn.functional.one_hot(torch.as_tensor(tokens), len(SITE)).to(DOUBLE)
    pooled = PooledHyperAttention(len(SITE), order, rank=3, indicators=True).to(DOUBLE)
    with torch.no_grad():
        others = of_entities.keys[:, 0] * of_entities.values[:, 0]  # (argument, token, rank)
        pooled.value.copy_(torch.cat([of_entities.query, others]).movedim(-1, 0))
        expected = of_entities(one_hot).sum(dim=(1, 2))
        torch.testing.assert_close(pooled(indicators(tokens)).sum(dim=1), expected, rtol=1e-11, atol=1e-11)


def test_linear_attention_is_that_of_entities_summed():
    tokens = random_tokens(np.random.default_rng(1))
    of_entities = LinearSelfAttention(len(SITE), 1, distinct=True, dtype=DOUBLE)
    torch.nn.init.normal_(of_entities.interaction)
    torch.nn.init.ones_(of_entities.value)
    one_hot = torch.nn.functional.one_hot(torch.as_tensor(tokens), len(SITE)).to(DOUBLE)
    pooled = PooledLinearAttention(len(SITE)).to(DOUBLE)
    with torch.no_grad():
        pooled.pair.copy_(of_entities.interaction[0])
        expected = of_entities(one_hot).sum(dim=(1, 2))
        torch.testing.assert_close(pooled(indicators(tokens)).sum(dim=1), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("tied", [False, True])
def test_feature_attention_is_hyper_attention_of_products(tied):
    rng = np.random.default_rng(2)
    index = np.stack([SITE, rng.integers(-1, 3, len(SITE))])
    module = PooledFeatureAttention(index, [5, 3], 3, 2, tied=tied, indicators=True).to(DOUBLE)
    module.set_random(1.0, torch.Generator().manual_seed(0))
    plain = PooledHyperAttention(len(SITE), 3, 2, tied=tied, indicators=True).to(DOUBLE)
    site, label = (embedding.detach().numpy() for embedding in module.embeddings)
    known = np.where(index[1] >= 0, label[..., index[1]], 1.0)  # a token without a label has the embedding 1
    with torch.no_grad():
        plain.value.copy_(torch.as_tensor(site[..., index[0]] * known))
        design = indicators(random_tokens(rng))
        torch.testing.assert_close(module(design), plain(design))


def test_factors_are_centred_first():
    module = PooledHyperAttention(2, order=2, rank=1, tied=True)
    torch.nn.init.constant_(module.value, 3.0)
    assert module(torch.ones(1, 2), lambda values: values - 1.0).tolist() == [[4.0]]


@pytest.mark.parametrize("tied", [False, True])
def test_gradients(tied):
    module = PooledHyperAttention(len(SITE), 3, 2, tied=tied).to(DOUBLE)
    module.set_random(1.0, torch.Generator().manual_seed(0))
    design = torch.randn(3, len(SITE), dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(
        lambda value, design: torch.func.functional_call(module, {"value": value}, (design,)),
        (module.value, design.requires_grad_()),
    )
