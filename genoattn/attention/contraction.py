r"""The sum every module here computes, in time and memory linear in the entities.

.. math:: out_{ic} = \sum_{j_1..j_{n-1}} \sum_r q_r(i) \prod_m k^m_r(j_m)\, v^m_c(j_m)

over all j, or over j that differ from i and from each other. For the distinct sum write, for a set A of the
n - 1 arguments, K_A = prod_{m in A} k^m, V_A likewise, S_A = K_A^T V_A (rank x channel), and D_A the sum over
distinct entities of the factors in A (`partitions.distinct_sums` of the S_A). Entity i is left out by
dividing the generating function prod_l (1 + sum_m f_m(l) t_m), t_m^2 = 0, by i's own factor, whose inverse
is sum_A (-1)^|A| |A|! f_A(i) t_A. Hence

.. math:: out_{ic} = \sum_A (-1)^{|A|} |A|! \; V_A(i,c) \sum_r q_r(i)\, K_A(i,r)\, D_{A^c}(r,c),

2^(n-1) pairs of matrix products, nothing larger than (entity, rank) or (entity, channel).
"""

from collections.abc import Sequence
from math import factorial
from typing import Any

import torch
from torch import Tensor

from genoattn.attention.partitions import Block, distinct_sums, subsets

# Numbers in a tensor up to which the dozen tensors of a contraction stay in the cache: larger
# batches are contracted a few samples at a time.
CACHED_VALUES = 2**17


def project(x: Tensor, weight: Tensor) -> Tensor:
    """x @ weight of each head: (batch, entity, d_in), (head, d_in, width) -> (head, batch, entity, width).

    One matrix product over all samples and heads; broadcasting over heads would make one a sample.
    """
    n_heads, _, width = weight.shape
    flat = x @ weight.movedim(0, 1).flatten(1)  # (batch, entity, head * width)
    return flat.unflatten(-1, (n_heads, width)).movedim(-2, 0)


def contract(query: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor], *, distinct: bool) -> Tensor:
    """Linear-kernel attention of order len(keys) + 1: shape (.., entity, channel).

    The query is (.., entity, rank), a key (.., entity, rank) and a value (.., entity, channel) for every
    further argument; a masked entity has zeros there. ``distinct`` sums over entities that differ from i and
    from each other; otherwise the sum is over all.
    """
    assert len(keys) == len(values) >= 1
    samples = _samples_at_once(query, values[0])
    if samples:
        pieces = zip(*(t.split(samples, dim=-3) for t in (query, *keys, *values)), strict=True)
        n = len(keys)
        parts = [contract(q, kv[:n], kv[n:], distinct=distinct) for q, *kv in pieces]
        return torch.cat(parts, dim=-3)
    if not distinct:
        state = keys[0].mT @ values[0]  # (.., rank, channel)
        for key, value in zip(keys[1:], values[1:], strict=True):
            state = state * (key.mT @ value)
        return query @ state
    if len(keys) == 1:
        return _contract_distinct(query, keys, values)
    # Autograd would keep four tensors for each set of arguments; from order 3 on it pays to make them again.
    return _DistinctContraction.apply(query, *keys, *values)


def _samples_at_once(query: Tensor, value: Tensor) -> int:
    """Samples whose intermediate tensors stay in the cache, 0 where all of them do or there is one only."""
    if query.dim() < 3 or query.shape[-3] == 1:
        return 0
    n_samples = query.shape[-3]
    per_sample = max(query.numel(), value.numel()) // n_samples
    chosen = max(1, CACHED_VALUES // max(per_sample, 1))
    return chosen if chosen < n_samples else 0


def _contract_distinct(query: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
    """The sum over distinct entities, as the module's docstring writes it."""
    n = len(keys)
    k_products, v_products = _subset_products(keys), _subset_products(values)
    sums = distinct_sums(lambda block: k_products[block].mT @ v_products[block], n)
    out = query @ sums[tuple(range(n))]  # the empty A, (.., entity, channel)
    for subset in subsets(n)[1:]:
        others = tuple(m for m in range(n) if m not in subset)
        weight = (-1) ** len(subset) * factorial(len(subset))
        scores = query * k_products[subset]  # (.., entity, rank)
        read = scores @ sums[others] if others else scores.sum(dim=-1, keepdim=True)
        out = torch.addcmul(out, v_products[subset], read, value=weight)
    return out


def _subset_products(factors: Sequence[Tensor]) -> dict[Block, Tensor]:
    """The product of the factors in each non-empty set of arguments, each made from a smaller one."""
    products: dict[Block, Tensor] = {}
    for subset in subsets(len(factors))[1:]:
        last = factors[subset[-1]]
        products[subset] = products[subset[:-1]] * last if subset[:-1] else last
    return products


class _DistinctContraction(torch.autograd.Function):
    """`_contract_distinct` that keeps its inputs only, nothing for each set of arguments.

    The backward pass makes the intermediate products again: a sixth more time than gradients written by hand.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(query: Tensor, *factors: Tensor) -> Tensor:
        n = len(factors) // 2
        return _contract_distinct(query, factors[:n], factors[n:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        inputs, twice = ctx.saved_tensors, torch.is_grad_enabled()
        with torch.enable_grad():
            if not twice:
                inputs = tuple(t.detach().requires_grad_() for t in inputs)
            query, *factors = inputs
            n = len(factors) // 2
            out = _contract_distinct(query, factors[:n], factors[n:])
        return torch.autograd.grad(out, inputs, grad, create_graph=twice)
