r"""Elementary symmetric polynomials over entities: the pooled form of an interaction with shared factors.

.. math:: e_n(u_1, .., u_L) = \sum_{l_1 < .. < l_n} u_{l_1} \cdots u_{l_n}

`newton` gets e_n from the power sums p_m = sum_l u_l^m, n e_n = sum_m (-1)^(m-1) e_(n-m) p_m (Newton's
identities; Macdonald 1995, I.2.11'). For genotype matrices each p_m is one matrix product, so this is the
cheap form, but its terms cancel when few entities carry the sum. `product_tree` multiplies the truncated
polynomials 1 + u_l t in pairs, neighbours first: no power sums, so nothing of that kind to cancel.
`elementary_symmetric` chooses.
"""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

# Newton's terms may exceed |e_n| by this factor before the product tree takes over: beyond it float32
# has fewer than about 4 of its 7 digits left.
CANCELLATION_LIMIT = 1e3


def power_sums(values: Tensor, order: int) -> Tensor:
    """Sums over entities of the powers 1 .. order: (batch, entity, rank) -> (order, batch, rank)."""
    power = values
    sums = [power.sum(dim=1)]
    for _ in range(order - 1):
        power = power * values
        sums.append(power.sum(dim=1))
    return torch.stack(sums)  # (order, batch, rank)


def newton_series(sums: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """All of e_0 .. e_order from the power sums p_1 .. p_order: tensors of one shape, any.

    e_0 = 1 comes first. Differentiable any number of times.
    """
    series = [torch.ones_like(sums[0])]
    for n in range(1, len(sums) + 1):
        total = series[n - 1] * sums[0]
        for m in range(2, n + 1):
            total = torch.addcmul(total, series[n - m], sums[m - 1], value=(-1) ** (m - 1))
        series.append(total / n)
    return series


def newton(sums: Tensor | Sequence[Tensor]) -> Tensor:
    """e_order from the power sums p_1 .. p_order, each (batch, rank): shape (batch, rank).

    Examples
    --------
    >>> import torch
    >>> from genoattn.attention import newton
    >>> u = torch.tensor([1.0, 2.0, 3.0])
    >>> newton(torch.stack([u.sum(), (u**2).sum()]).reshape(2, 1, 1))  # 1 x 2 + 1 x 3 + 2 x 3
    tensor([[11.]])
    """
    return newton_series(sums)[-1]


def newton_cancellation(sums: Tensor) -> Tensor:
    """Cancellation in Newton's identities: sum of |terms| / |e_order|, shape (batch, rank).

    A relative error of eps in each power sum can become this times order * eps in e_order.
    """
    signs = torch.tensor([(-1.0) ** m for m in range(len(sums))], dtype=sums.dtype, device=sums.device)
    upper = newton(sums.abs() * signs.reshape(-1, *[1] * (sums.dim() - 1)))
    return upper / newton(sums).abs()


def product_tree(values: Tensor, order: int) -> Tensor:
    """All of e_0 .. e_order as the coefficients of prod_l (1 + u_l t), entities multiplied in pairs.

    (batch, entity, rank) -> (order + 1, batch, rank). Time O(entity * order^2), memory O(entity * order),
    log2(entity) steps.
    """
    # An entity of value 0 changes nothing: with those up to a power of two each has a neighbour.
    n_added = (1 << (values.shape[1] - 1).bit_length()) - values.shape[1]
    values = torch.nn.functional.pad(values, (0, 0, 0, n_added))
    level = [torch.ones_like(values), values]  # coefficients of t^0, t^1, each (batch, entity, rank)
    while level[0].shape[1] > 1:
        even, odd = [c[:, 0::2] for c in level], [c[:, 1::2] for c in level]
        pairs = range(len(level))
        level = [
            functools.reduce(torch.add, [even[a] * odd[n - a] for a in pairs if n - a in pairs])
            for n in range(min(order, 2 * (len(level) - 1)) + 1)
        ]
    level = level + [torch.zeros_like(level[0])] * (order + 1 - len(level))
    return torch.stack(level)[: order + 1, :, 0]  # (order + 1, batch, rank)


def elementary_symmetric(
    values: Tensor, order: int, *, mask: Tensor | None = None, method: str = "auto"
) -> Tensor:
    """e_order of the values of the entities: shape (batch, rank).

    Parameters
    ----------
    values
        Shape (batch, entity, rank), floating point.
    order
        1 or more, at most the number of entities.
    mask
        Shape (batch, entity), True where the entity counts; a masked one adds nothing.
    method
        `newton`, `tree`, or `auto`: Newton's identities, but the product tree for the samples where the terms
        of Newton's sum exceed its result by more than `CANCELLATION_LIMIT`.

    Examples
    --------
    >>> import torch
    >>> from genoattn.attention import elementary_symmetric
    >>> elementary_symmetric(torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1), order=2)
    tensor([[11.]])
    """
    if values.dim() != 3:
        raise ValueError(f"values: got {values.dim()} dimensions, needs 3: (batch, entity, rank)")
    if not 1 <= order <= values.shape[1]:
        raise ValueError(f"order: got {order}, needs 1 to the number of entities, here {values.shape[1]}")
    if method not in ("auto", "newton", "tree"):
        raise ValueError(f"method: got {method!r}, needs 'auto', 'newton' or 'tree'")
    if mask is not None:
        values = torch.where(
            mask.unsqueeze(-1), values, torch.zeros((), dtype=values.dtype, device=values.device)
        )
    if method == "tree":
        return product_tree(values, order)[-1]
    sums = power_sums(values, order)
    result = newton(sums)
    if method == "newton":
        return result
    unstable = ~(newton_cancellation(sums.detach()) < CANCELLATION_LIMIT).all(dim=-1)  # (batch,)
    if not unstable.any():
        return result
    return result.index_put((unstable,), product_tree(values[unstable], order)[-1])
