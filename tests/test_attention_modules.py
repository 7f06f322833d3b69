"""The attention modules against the nested-loop definition, their symmetries and their gradients."""

import subprocess
import sys

import oracles_attention as oracle
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from genoattn.attention import HyperAttention, HyperFeatureAttention, LinearSelfAttention, contraction
from genoattn.attention.softmax import softmax_attention

N_ENTITIES = {2: 6, 3: 6, 4: 6, 5: 6}


def randomised(module, seed=0):
    """Every parameter drawn anew: a module starts with no interaction, which would test nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype) / p.shape[-2] ** 0.5)
    return module


def entities(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def a_mask(masked, n_entities):
    if not masked:
        return None
    mask = torch.ones(2, n_entities, dtype=torch.bool)
    mask[0, 2] = False
    mask[1, [0, 4]] = False
    return mask


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("n_heads", [1, 2])
def test_hyper_equals_definition(order, distinct, masked, n_heads):
    module = randomised(HyperAttention(3, 2, order, 2, n_heads, distinct, dtype=torch.float64))
    x, mask = entities(2, N_ENTITIES[order], 3), a_mask(masked, N_ENTITIES[order])
    expected = oracle.hyper_attention(module, x, mask)
    torch.testing.assert_close(
        module(x, mask), expected, rtol=1e-12, atol=1e-12 * expected.abs().max().item()
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("n_heads", [1, 2])
def test_linear_equals_definition(distinct, masked, n_heads):
    module = randomised(LinearSelfAttention(3, 2, n_heads, distinct=distinct, dtype=torch.float64))
    x, mask = entities(2, 6, 3), a_mask(masked, 6)
    torch.testing.assert_close(
        module(x, mask), oracle.linear_attention(module, x, mask), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("d_features", [(2,), (2, 3), (2, 2, 3)])
def test_feature_equals_definition(d_features, distinct, masked):
    # Six entities: the ranks 2 and 6 take the O(entity) way, 12 the way in blocks.
    module = randomised(HyperFeatureAttention(d_features, 2, 2, distinct=distinct, dtype=torch.float64))
    x, mask = [entities(2, 6, d, seed=d) for d in d_features], a_mask(masked, 6)
    torch.testing.assert_close(
        module(x, mask), oracle.feature_attention(module, x, mask), rtol=1e-12, atol=1e-12
    )


def test_feature_blocks_cross_their_border(monkeypatch):
    monkeypatch.setattr("genoattn.attention.feature.BLOCK", 2)
    module = randomised(HyperFeatureAttention((3, 4), 2, distinct=True, dtype=torch.float64))
    x = [entities(2, 5, 3), entities(2, 5, 4)]
    torch.testing.assert_close(module(x), oracle.feature_attention(module, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_softmax_equals_definition(distinct, masked):
    x, mask = entities(2, 5, 3), a_mask(masked, 5)
    features = [x[..., :1], x[..., 1:]]
    options = {"distinct": distinct, "kernel": "softmax", "dtype": torch.float64}
    linear = randomised(LinearSelfAttention(3, 2, 2, **options))
    feature = randomised(HyperFeatureAttention((1, 2), 2, 2, **options))
    hyper = randomised(HyperAttention(3, 2, 3, 2, 2, **options))
    pairs = [
        (linear(x, mask), oracle.linear_attention(linear, x, mask, softmax=True)),
        (feature(features, mask), oracle.feature_attention(feature, features, mask, softmax=True)),
        (hyper(x, mask), oracle.hyper_attention(hyper, x, mask, softmax=True)),
    ]
    for got, expected in pairs:
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_order_three_by_hand():
    # One channel, q = k1 = k2 = v1 = 1 and v2(x) = x, entities 1, 2, 5 (times the constant embedding 1).
    # out_i = sum over ordered pairs (j, k) of the two others of x_k = each other entity once:
    # out_1 = 2 + 5 = 7, out_2 = 1 + 5 = 6, out_5 = 1 + 2 = 3.
    module = HyperAttention(2, 1, 3, 1, dtype=torch.float64)
    one, own = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    with torch.no_grad():
        module.query[0, :, 0] = one
        module.keys[:, 0, :, 0] = one
        module.values[0, 0, :, 0] = one
        module.values[1, 0, :, 0] = own
    x = torch.tensor([[[1.0, 1.0], [1.0, 2.0], [1.0, 5.0]]], dtype=torch.float64)
    assert module(x).flatten().tolist() == [7.0, 6.0, 3.0]


def modules(distinct, **options):
    options = {"distinct": distinct, "dtype": torch.float64, **options}
    return [
        randomised(LinearSelfAttention(3, 2, **options)),
        randomised(HyperFeatureAttention((1, 2), 2, **options)),
        *[randomised(HyperAttention(3, 2, order, 2, **options)) for order in (2, 3, 4)],
    ]


def run(module, x, mask=None):
    split = isinstance(module, HyperFeatureAttention)
    return module([x[..., :1], x[..., 1:]] if split else x, mask)


@pytest.mark.parametrize("distinct", [False, True])
def test_gradients(distinct):
    x, mask = entities(2, 5, 3).requires_grad_(), a_mask(True, 5)
    for module in modules(distinct):
        names = [name for name, _ in module.named_parameters()]

        def call(x, *parameters, module=module, names=names):
            values = dict(zip(names, parameters, strict=True))
            inputs = [x[..., :1], x[..., 1:]] if isinstance(module, HyperFeatureAttention) else x
            return torch.func.functional_call(module, values, (inputs, mask))

        assert gradcheck(call, (x, *module.parameters()))


def test_gradient_of_blocked_features():
    module = randomised(HyperFeatureAttention((3, 3), 2, dtype=torch.float64))
    x = [entities(1, 4, 3).requires_grad_(), entities(1, 4, 3, seed=9).requires_grad_()]
    assert gradcheck(lambda a, b: module([a, b]), tuple(x))


@pytest.mark.parametrize("distinct", [False, True])
def test_permuting_entities_permutes_outputs(distinct):
    x, mask, order = entities(2, 6, 3), a_mask(True, 6), torch.tensor([3, 1, 5, 0, 2, 4])
    for module in modules(distinct) + modules(distinct, kernel="softmax"):
        torch.testing.assert_close(run(module, x, mask)[:, order], run(module, x[:, order], mask[:, order]))


def test_masked_entity_is_not_read():
    x, mask = entities(2, 6, 3), a_mask(True, 6)
    holed = x.clone()
    holed[~mask] = float("nan")
    for module in modules(True):
        out = run(module, x, mask)
        assert torch.equal(out, run(module, holed, mask))
        assert not out[~mask].any()


def test_masked_entity_is_as_if_left_out():
    x = entities(1, 6, 3)
    mask = torch.tensor([[True, True, False, True, True, True]])
    for module in modules(True):
        torch.testing.assert_close(run(module, x, mask)[:, mask[0]], run(module, x[:, mask[0]]))


def test_too_few_present_entities_give_zero():
    module = randomised(HyperAttention(3, 2, 3, dtype=torch.float64))
    mask = torch.tensor([[True, True, False, False]])
    assert not module(entities(1, 4, 3), mask).any()


def test_no_interaction_at_the_start():
    x = entities(2, 6, 3)
    for module in [LinearSelfAttention(3, 2), HyperFeatureAttention((1, 2), 2), HyperAttention(3, 2)]:
        out = run(module.double(), x)
        assert not out.any()
        (out - 1).square().sum().backward()
        assert any(p.grad.any() for p in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtype_is_kept(dtype):
    for module in modules(True):
        assert run(module.to(dtype), entities(2, 6, 3).to(dtype)).dtype == dtype


def test_starting_values_come_from_the_generator():
    first, second = (HyperAttention(3, 2, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first.keys, second.keys)


def test_imports_nothing_but_torch_and_numpy():
    code = (
        "import sys, torch, numpy; before = set(sys.modules); import genoattn.attention; "
        "new = {m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names);"
        "print(sorted(new))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(eval(out)) <= {"genoattn", "torch", "numpy"}


@pytest.mark.parametrize("order", [3, 4])
def test_second_derivatives_and_function_transforms(order):
    module = randomised(HyperAttention(2, 1, order, 2, dtype=torch.float64))
    x = entities(1, 4, 2).requires_grad_()
    assert gradgradcheck(module, (x,))
    by_function = torch.func.grad(lambda x: module(x).square().sum())(x.detach())
    (by_autograd,) = torch.autograd.grad(module(x).square().sum(), x)
    torch.testing.assert_close(by_function, by_autograd)


@pytest.mark.parametrize("order", [3, 4])
def test_memory_kept_for_the_gradient_does_not_grow_with_the_sets_of_arguments(order):
    module = HyperAttention(4, 4, order, 4)
    x = torch.randn(1, 500, 4, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        module(x)
    # x once for each projection, then query, keys and values: 2 (2 order - 1) tensors of 500 x 4.
    assert sum(kept) <= 2 * (2 * order - 1) * 500 * 4 + 1000


class LargestTensor(TorchDispatchMode):
    """Records the largest tensor any operation makes."""

    def __init__(self):
        super().__init__()
        self.n_numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.n_numbers = max(self.n_numbers, tensor.numel())
        return out


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_no_tensor_grows_with_pairs_of_entities(order, distinct):
    n_entities = 400
    made = [
        HyperAttention(3, 4, order, 4, distinct=distinct),
        LinearSelfAttention(3, 4, distinct=distinct),
        HyperFeatureAttention((1, 2), 4, distinct=distinct),
    ]
    for module in made:
        with LargestTensor() as largest:
            run(module, torch.randn(1, n_entities, 3, requires_grad=True)).sum().backward()
        assert largest.n_numbers <= 4 * n_entities


def test_softmax_over_no_tuple_is_zero():
    values = [torch.ones(1, 2, 1, requires_grad=True) for _ in range(2)]
    out = softmax_attention(torch.randn(1, 2, 2, 2), values, None, distinct=True)
    out.sum().backward()
    assert out.tolist() == [[[0.0], [0.0]]]
    assert torch.isfinite(values[0].grad).all()


@pytest.mark.parametrize("order", [2, 3, 4])
def test_samples_contracted_a_few_at_a_time_give_the_same(order, monkeypatch):
    module = HyperAttention(5, 3, order=order, rank=2, n_heads=2, dtype=torch.float64)
    torch.nn.init.normal_(module.query, generator=torch.Generator().manual_seed(1))
    x = torch.randn(
        7, 9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True
    )
    results = []
    for limit in (10**9, 100):  # all seven samples at once, then one or two
        monkeypatch.setattr(contraction, "CACHED_VALUES", limit)
        out = module(x)
        results.append((out, *torch.autograd.grad(out.square().sum(), (x, *module.parameters()))))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
