"""Sums over distinct entities and elementary symmetric polynomials, against the definition."""

from math import comb, prod

import oracles_attention as oracle
import pytest
import torch
from torch.autograd import gradcheck

from genoattn.attention.partitions import (
    block_weight,
    distinct_sum,
    distinct_sums,
    set_partitions,
    subsets,
)
from genoattn.attention.pooled import (
    CANCELLATION_LIMIT,
    elementary_symmetric,
    newton,
    newton_cancellation,
    newton_series,
    power_sums,
    product_tree,
)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_number_of_partitions_is_the_bell_number():
    assert [len(set_partitions(n)) for n in range(8)] == [1, 1, 2, 5, 15, 52, 203, 877]


def test_partitions_of_three_by_hand():
    expected = {
        ((0, 1, 2),): 2,
        ((0, 1), (2,)): -1,
        ((0, 2), (1,)): -1,
        ((0,), (1, 2)): -1,
        ((0,), (1,), (2,)): 1,
    }
    assert {p: prod(map(block_weight, p)) for p in set_partitions(3)} == expected


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_distinct_sum(n):
    f = draw(n, 6)
    sums = distinct_sums(lambda block: f[list(block)].prod(dim=0).sum(), n)
    assert set(sums) == set(subsets(n)[1:])
    for subset, value in sums.items():
        torch.testing.assert_close(value, oracle.distinct_sum(f[list(subset)]), rtol=1e-12, atol=1e-12)


def test_distinct_sum_equals_the_sum_over_partitions():
    f = draw(4, 7)
    blocks = {block: f[list(block)].prod(dim=0).sum() for block in subsets(4)[1:]}
    by_partition = sum(
        prod(map(block_weight, p)) * torch.stack([blocks[block] for block in p]).prod()
        for p in set_partitions(4)
    )
    torch.testing.assert_close(distinct_sum(blocks.__getitem__, 4), by_partition, rtol=1e-12, atol=1e-12)


def test_distinct_sum_needs_a_factor():
    with pytest.raises(ValueError, match="n: got 0, needs at least one factor"):
        distinct_sum({}.__getitem__, 0)
    with pytest.raises(ValueError, match="n: got -1, needs an integer number of elements, 0 or more"):
        set_partitions(-1)


@pytest.mark.parametrize("method", ["newton", "tree", "auto"])
@pytest.mark.parametrize("n_entities", [6, 7])
def test_elementary_symmetric(method, n_entities):
    u = draw(2, n_entities, 3)
    for order in range(1, 7):
        expected = oracle.elementary_symmetric(u, order)
        torch.testing.assert_close(
            elementary_symmetric(u, order, method=method), expected, rtol=1e-10, atol=1e-12
        )


def test_elementary_symmetric_by_hand():
    # e_2(1, 2, 3) = 2 + 3 + 6 = 11, e_3 = 6; power sums 6, 14, 36.
    sums = torch.tensor([6.0, 14.0, 36.0]).reshape(3, 1, 1)
    assert [e.item() for e in newton_series(sums)] == [1.0, 6.0, 11.0, 6.0]
    assert newton(sums).item() == 6.0


def test_mask_leaves_entities_out():
    u = draw(2, 6, 3)
    mask = torch.tensor([[True] * 6, [True, False, True, True, False, True]])
    expected = oracle.elementary_symmetric(u[1:, mask[1]], 3)
    u[1, 1] = float("nan")
    torch.testing.assert_close(elementary_symmetric(u, 3, mask=mask)[1:], expected)


@pytest.mark.parametrize("order", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("kind", ["positive", "signed", "few"])
def test_float32_at_ten_thousand_entities(order, kind):
    u = draw(8, 10_000, 4, seed=order)
    if kind == "positive":
        u = u.abs()
    elif kind == "few":
        # About 8 entities carry the sum: the case in which power sums cancel.
        u = u * (torch.rand(u.shape, generator=torch.Generator().manual_seed(1)) < 8e-4) + 1e-4 * u
    u = u.float()
    exact = product_tree(u.double(), order)[-1]
    # The size of e_n when signs are random, the scale on which a sum of float32 numbers can be exact.
    size = newton(power_sums(u.double().square(), order)).sqrt().maximum(exact.abs())
    error = ((elementary_symmetric(u, order) - exact).abs() / size).max()
    assert error < 2e-5


def test_newton_is_left_where_it_cancels():
    u = 1e-4 * draw(2, 10_000, 1, dtype=torch.float32)
    u[1, :3, 0] = 1.0  # three entities carry the sum: e_5 is made of what nearly cancels
    exact = product_tree(u.double(), 5)[-1].float()
    assert newton_cancellation(power_sums(u, 5))[1] > CANCELLATION_LIMIT
    assert not torch.allclose(elementary_symmetric(u, 5, method="newton")[1], exact[1], rtol=1e-3)
    torch.testing.assert_close(elementary_symmetric(u, 5)[1], exact[1], rtol=1e-4, atol=0)


@pytest.mark.parametrize("method", ["newton", "tree", "auto"])
def test_elementary_symmetric_gradient(method):
    u = draw(2, 5, 2).requires_grad_()
    assert gradcheck(lambda u: elementary_symmetric(u, 3, method=method), (u,))


def test_all_ones_count_the_subsets():
    assert elementary_symmetric(torch.ones(1, 30, 1, dtype=torch.float64), 5).item() == comb(30, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"values": torch.ones(3, 2), "order": 2},
            r"values: got 2 dimensions, needs 3: \(batch, entity, rank\)",
        ),
        (
            {"values": torch.ones(1, 3, 1), "order": 4},
            "order: got 4, needs 1 to the number of entities, here 3",
        ),
        ({"values": torch.ones(1, 3, 1), "order": 0}, "order: got 0, needs 1 to the number of entities"),
        (
            {"values": torch.ones(1, 3, 1), "order": 2, "method": "fast"},
            "method: got 'fast', needs 'auto', 'newton'",
        ),
    ],
)
def test_elementary_symmetric_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        elementary_symmetric(**arguments)
