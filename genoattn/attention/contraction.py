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

import torch
from torch import Tensor

from genoattn.attention.partitions import Block, distinct_sums, subsets


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
    arguments = tuple(range(len(keys)))
    if not distinct:
        state = keys[0].mT @ values[0]  # (.., rank, channel)
        for key, value in zip(keys[1:], values[1:], strict=True):
            state = state * (key.mT @ value)
        return query @ state
    k_products, v_products = _subset_products(keys), _subset_products(values)
    sums = distinct_sums(lambda block: k_products[block].mT @ v_products[block], len(keys))
    out = query @ sums[arguments]  # the empty A, (.., entity, channel)
    for subset in subsets(len(keys))[1:]:
        weight = (-1) ** len(subset) * factorial(len(subset))
        left = tuple(m for m in arguments if m not in subset)
        scores = query * k_products[subset]  # (.., entity, rank)
        read = scores @ sums[left] if left else scores.sum(dim=-1, keepdim=True)
        out = torch.addcmul(out, v_products[subset], read, value=weight)
    return out


def _subset_products(factors: Sequence[Tensor]) -> dict[Block, Tensor]:
    """The product of the factors in each non-empty set of arguments, each made from a smaller one."""
    products: dict[Block, Tensor] = {}
    for subset in subsets(len(factors))[1:]:
        last = factors[subset[-1]]
        products[subset] = products[subset[:-1]] * last if subset[:-1] else last
    return products
