r"""HyperAttention: n-way attention over distinct entities, linear in their number.

.. math:: out_{ic} = \sum_{j_1..j_{n-1}} A_{i j_1 .. j_{n-1}} \prod_m v^m_c(j_m), \qquad
          A_{i j_1 ..} = \sum_r q_r(i) \prod_m k^m_r(j_m)

Ustaomeroglu & Qu (arXiv 2506.06179), section 5.2, with their score tensor as a sum of `rank` products, so
that every function of n entities is reached at a high enough rank and no table over tuples is ever made.
"""

import torch
from torch import Tensor, nn

from genoattn.attention.checks import check_size
from genoattn.attention.contraction import project
from genoattn.attention.entity_attention import EntityAttention


class HyperAttention(EntityAttention):
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
        super().__init__(d_in, d_out, order, n_heads, distinct, kernel, max_gib)
        self.rank = check_size("rank", rank)
        self.query = nn.Parameter(torch.empty(n_heads, d_in, rank, device=device, dtype=dtype))
        self.keys = nn.Parameter(torch.empty(order - 1, n_heads, d_in, rank, device=device, dtype=dtype))
        self.values = nn.Parameter(torch.empty(order - 1, n_heads, d_in, d_out, device=device, dtype=dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """No interaction, random keys and values."""
        nn.init.zeros_(self.query)
        for parameter in (self.keys, self.values):
            nn.init.uniform_(parameter, -(self.d_in**-0.5), self.d_in**-0.5, generator=generator)

    def projections(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Query, and a key and a value for each further argument."""
        keys = [project(x, key) for key in self.keys]
        return project(x, self.query), keys, [project(x, value) for value in self.values]

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, rank={self.rank}"
