r"""HyperAttention: n-way attention over distinct entities, linear in their number.

.. math:: out_{ic} = \sum_{j_1..j_{n-1}} A_{i j_1 .. j_{n-1}} \prod_m v^m_c(j_m), \qquad
          A_{i j_1 ..} = \sum_r q_r(i) \prod_m k^m_r(j_m)

Ustaomeroglu & Qu (arXiv 2506.06179), section 5.2, with their score tensor as a sum of `rank` products, so
that every function of n entities is reached at a high enough rank and no table over tuples is ever made.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genoattn.attention.checks import (
    check_dtype,
    check_entities,
    check_kernel,
    check_mask,
    check_order,
    check_size,
    check_table,
    present_outputs,
    present_values,
)
from genoattn.attention.contraction import contract, project
from genoattn.attention.factored import FactoredTable
from genoattn.attention.softmax import check_dense_memory, softmax_attention, tuple_scores


class HyperAttention(nn.Module):
    """Attention of order n, (batch, entity, d_in) -> (batch, entity, d_out), in O(entity) time and memory.

    Parameters
    ----------
    d_in, d_out
        Width of the embedding of an entity and of the output.
    order
        Number of entities in an interaction, 2 or more; the cost doubles with each step.
    rank
        Number of products in the score tensor of a head.
    n_heads
        Heads are summed; each has its own values.
    distinct
        Sum over entities that differ from i and from each other, as an interaction between sites is meant.
        False sums over all, as the paper does.
    kernel
        `linear`, or `softmax`: the scores normalised over the tuples, dense over them.
    max_gib
        The softmax kernel refuses input that would take more memory than this.
    generator
        Source of the starting values; torch's own by default.

    Notes
    -----
    The sum over distinct entities is a difference of larger sums. Where one entity is some ten times larger
    than all others, they cancel from order 4 on beyond the digits of float32; use float64 then, or scale the
    entities.

    Attributes
    ----------
    query
        Shape (head, d_in, rank). Zero at the start: no interaction.
    keys
        Shape (argument, head, d_in, rank), order - 1 arguments.
    values
        Shape (argument, head, d_in, d_out).
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        order: int = 3,
        rank: int = 8,
        n_heads: int = 1,
        distinct: bool = True,
        *,
        kernel: str = "linear",
        max_gib: float = 4.0,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.d_in, self.d_out = check_size("d_in", d_in), check_size("d_out", d_out)
        self.order, self.rank = check_size("order", order, 2), check_size("rank", rank)
        self.n_heads = check_size("n_heads", n_heads)
        self.distinct, self.kernel, self.max_gib = distinct, check_kernel(kernel), max_gib
        self.query = nn.Parameter(torch.empty(n_heads, d_in, rank, device=device, dtype=dtype))
        self.keys = nn.Parameter(torch.empty(order - 1, n_heads, d_in, rank, device=device, dtype=dtype))
        self.values = nn.Parameter(torch.empty(order - 1, n_heads, d_in, d_out, device=device, dtype=dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """No interaction, random keys and values."""
        nn.init.zeros_(self.query)
        for parameter in (self.keys, self.values):
            nn.init.uniform_(parameter, -(self.d_in**-0.5), self.d_in**-0.5, generator=generator)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention of every entity to the tuples of the others.

        Parameters
        ----------
        x
            Shape (batch, entity, d_in).
        mask
            Shape (batch, entity), True where the entity is present. An absent entity is in no tuple and its
            own output is zero; what x holds there, NaN included, is not read. A sample with fewer present
            entities than the order, though at least one, has no tuple with distinct=True and gives zeros.

        Returns
        -------
        Shape (batch, entity, d_out).
        """
        x, mask = check_entities("x", x, self.d_in), check_mask(mask, x)
        check_dtype("x", x, self.query)
        check_order(self.order, x.shape[1], self.distinct)
        x = present_values("x", x, mask)
        query = project(x, self.query)  # (head, batch, entity, rank)
        keys = [project(x, key) for key in self.keys]
        values = [project(x, value) for value in self.values]  # (head, batch, entity, d_out)
        if self.kernel == "linear":
            out = contract(query, keys, values, distinct=self.distinct)
        else:
            shape = (*query.shape[:2], *[x.shape[1]] * self.order)
            check_dense_memory("x", shape, x.dtype, self.max_gib)
            out = softmax_attention(tuple_scores(query, keys), values, mask, distinct=self.distinct)
        return present_outputs(out.sum(dim=0), mask, self.order, self.distinct)  # (batch, entity, d_out)

    @torch.no_grad()
    def interaction_table(self, tokens: Tensor, site: Sequence[int] | None = None) -> FactoredTable:
        """T[mu, nu1, .., c] over a vocabulary, in factored form.

        Parameters
        ----------
        tokens
            Shape (token, d_in), the embedding of each token.
        site
            The site of each token, if tokens belong to sites (see `FactoredTable`).
        """
        check_table(self.kernel, tokens, self.d_in, self.query)
        keys, values = [tokens @ key for key in self.keys], [tokens @ value for value in self.values]
        return FactoredTable.from_heads(tokens @ self.query, keys, values, site=site, distinct=self.distinct)

    def extra_repr(self) -> str:
        return (
            f"{self.d_in}, {self.d_out}, order={self.order}, rank={self.rank}, n_heads={self.n_heads}, "
            f"distinct={self.distinct}, kernel={self.kernel!r}"
        )
