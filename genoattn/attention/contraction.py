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
    """Linear-kernel attention of order len(keys) + 1.

    Parameters
    ----------
    query
        Shape (.., entity, rank).
    keys, values
        One of each for every further argument; shapes (.., entity, rank) and (.., entity, channel). A masked
        entity has zeros here.
    distinct
        Sum over entities that differ from i and from each other; otherwise over all.

    Returns
    -------
    Shape (.., entity, channel).
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
    k_products, v_products = _subset_products(keys), _subset_products(values)
    sums = distinct_sums(lambda block: k_products[block].mT @ v_products[block], len(keys))
    out = query @ sums[tuple(range(len(keys)))]  # the empty A, (.., entity, channel)
    for subset, left, weight in _sets_left_out(len(keys)):
        scores = query * k_products[subset]  # (.., entity, rank)
        read = scores @ sums[left] if left else scores.sum(dim=-1, keepdim=True)
        out = torch.addcmul(out, v_products[subset], read, value=weight)
    return out


def _sets_left_out(n: int) -> list[tuple[Block, Block, int]]:
    """Each non-empty set A of the arguments, its complement and its weight (-1)^|A| |A|!."""
    return [
        (subset, tuple(m for m in range(n) if m not in subset), (-1) ** len(subset) * factorial(len(subset)))
        for subset in subsets(n)[1:]
    ]


def _subset_products(factors: Sequence[Tensor]) -> dict[Block, Tensor]:
    """The product of the factors in each non-empty set of arguments, each made from a smaller one."""
    products: dict[Block, Tensor] = {}
    for subset in subsets(len(factors))[1:]:
        last = factors[subset[-1]]
        products[subset] = products[subset[:-1]] * last if subset[:-1] else last
    return products


def _factor_gradients(gradients: dict[Block, Tensor], products: dict[Block, Tensor], n: int) -> list[Tensor]:
    """Gradients of the factors from those of their products, largest first; changes them in place."""
    for subset in reversed(subsets(n)[1:]):
        rest, last = subset[:-1], subset[-1:]
        if rest:
            gradients[rest].addcmul_(gradients[subset], products[last])
            gradients[last].addcmul_(gradients[subset], products[rest])
    return [gradients[(m,)] for m in range(n)]


class _DistinctContraction(torch.autograd.Function):
    """`_contract_distinct` that keeps its inputs only, nothing for each set of arguments."""

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
        query, *factors = ctx.saved_tensors
        n = len(factors) // 2
        keys, values = factors[:n], factors[n:]
        if torch.is_grad_enabled():  # a second derivative is wanted: let autograd write it
            out = _contract_distinct(query, keys, values)
            return torch.autograd.grad(out, (query, *factors), grad, create_graph=True)
        return _distinct_gradients(grad, query, keys, values)


def _distinct_gradients(
    grad: Tensor, query: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Gradients of the query, the keys and the values, from that of the output."""
    n = len(keys)
    everything = tuple(range(n))
    k_products, v_products = _subset_products(keys), _subset_products(values)
    with torch.enable_grad():  # the sums are small, (rank, channel): autograd takes their gradient
        blocks = {b: (k_products[b].mT @ v_products[b]).detach().requires_grad_() for b in k_products}
        sums = distinct_sums(blocks, n)
    fixed = {b: value.detach() for b, value in sums.items()}
    d_query = grad @ fixed[everything].mT
    d_sums = {everything: query.mT @ grad}
    d_keys, d_values = {}, {}
    for subset, left, weight in _sets_left_out(n):
        scores = query * k_products[subset]  # (.., entity, rank)
        d_read = (grad * v_products[subset]).mul_(weight)  # (.., entity, channel)
        if left:
            d_scores, read = d_read @ fixed[left].mT, scores @ fixed[left]
            d_sums[left] = scores.mT @ d_read
        else:
            d_scores, read = d_read.sum(dim=-1, keepdim=True), scores.sum(dim=-1, keepdim=True)
        d_query.addcmul_(d_scores.expand_as(query), k_products[subset])
        d_keys[subset], d_values[subset] = d_scores * query, (grad * read).mul_(weight)
    d_blocks = torch.autograd.grad(
        [sums[b] for b in blocks], list(blocks.values()), [d_sums[b] for b in blocks]
    )
    for block, d_block in zip(blocks, d_blocks, strict=True):
        d_keys[block] += v_products[block] @ d_block.mT
        d_values[block] += k_products[block] @ d_block
    return (d_query, *_factor_gradients(d_keys, k_products, n), *_factor_gradients(d_values, v_products, n))
