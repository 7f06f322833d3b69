r"""Attention over entities of one embedding: linear self-attention and HyperAttention.

.. math:: SA(X) = \sum_h (X C_h X^\top)\, X W_h

Ustaomeroglu & Qu (arXiv 2506.06179), section 2; Theorem 3.1: with one embedding dimension for each token any
f(mu, nu) w_nu is represented exactly. What data identify is T[mu,nu,c] = (x_mu^T C x_nu)(x_nu^T W)_c
(their Corollary 4.9), not C and W.

.. math:: out_{ic} = \sum_{j_1..j_{n-1}} A_{i j_1 .. j_{n-1}} \prod_m v^m_c(j_m), \qquad
          A_{i j_1 ..} = \sum_r q_r(i) \prod_m k^m_r(j_m)

Section 5.2, with their score tensor as a sum of `rank` products, so that every function of n entities is
reached at a high enough rank and no table over tuples is ever made.
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


class EntityAttention(nn.Module):
    """Attention of order n, (batch, entity, d_in) -> (batch, entity, d_out); the parameters are a subclass's.

    See :class:`genoattn.attention.HyperAttention` for the settings.
    """

    def __init__(
        self, d_in: int, d_out: int, order: int, n_heads: int, distinct: bool, kernel: str, max_gib: float
    ) -> None:
        super().__init__()
        self.d_in, self.d_out = check_size("d_in", d_in), check_size("d_out", d_out)
        self.order, self.n_heads = check_size("order", order, 2), check_size("n_heads", n_heads)
        self.distinct, self.kernel, self.max_gib = distinct, check_kernel(kernel), max_gib

    def projections(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Query (head, .., rank), and a key and a value (head, .., d_out) for each further argument.

        x holds embeddings of entities (batch, entity, d_in), or of tokens (token, d_in). Each module has
        projections of its own.
        """
        raise NotImplementedError  # of every subclass

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention of every entity to the tuples of the others: shape (batch, entity, d_out).

        Parameters
        ----------
        x
            Shape (batch, entity, d_in).
        mask
            Shape (batch, entity), True where the entity is present. An absent entity is in no tuple and its
            own output is zero; what x holds there, NaN included, is not read. A sample with fewer present
            entities than the order, though at least one, has no tuple with distinct=True and gives zeros.
        """
        x, mask = check_entities("x", x, self.d_in), check_mask(mask, x)
        check_dtype("x", x, next(self.parameters()))
        check_order(self.order, x.shape[1], self.distinct)
        query, keys, values = self.projections(present_values("x", x, mask))
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
        check_table(self.kernel, tokens, self.d_in, next(self.parameters()))
        query, keys, values = self.projections(tokens)
        keys = [key.expand(self.n_heads, *key.shape[-2:]) for key in keys]
        return FactoredTable.from_heads(query, keys, values, site=site, distinct=self.distinct)

    def extra_repr(self) -> str:
        return (
            f"{self.d_in}, {self.d_out}, order={self.order}, n_heads={self.n_heads}, "
            f"distinct={self.distinct}, kernel={self.kernel!r}"
        )


class LinearSelfAttention(EntityAttention):
    """Pairwise attention, (batch, entity, d_in) -> (batch, entity, d_out), in O(entity) time and memory.

    Parameters
    ----------
    d_in, d_out, n_heads, kernel, max_gib, generator
        As of `HyperAttention`.
    distinct
        Leave the pair (i, i) out of the sum over j. The paper keeps it.

    Attributes
    ----------
    interaction
        C, shape (head, d_in, d_in). Zero at the start, as in the paper's convergence theorem (4.4).
    value
        W, shape (head, d_in, d_out). Uniform on +-1/sqrt(d_in) at the start.

    Examples
    --------
    >>> import torch
    >>> from genoattn.attention import LinearSelfAttention
    >>> f = torch.tensor([[0.0, 2.0], [1.0, 0.0]])  # token 1 acts on token 0 by 2, token 0 on token 1 by 1
    >>> module = LinearSelfAttention.from_interactions(f, w=torch.tensor([[1.0], [10.0]]))
    >>> module(torch.eye(2)[None]).squeeze().tolist()  # a sample with one entity of each token
    [20.0, 1.0]
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        n_heads: int = 1,
        *,
        distinct: bool = False,
        kernel: str = "linear",
        max_gib: float = 4.0,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(d_in, d_out, 2, n_heads, distinct, kernel, max_gib)
        self.interaction = nn.Parameter(torch.empty(n_heads, d_in, d_in, device=device, dtype=dtype))
        self.value = nn.Parameter(torch.empty(n_heads, d_in, d_out, device=device, dtype=dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """No interaction, random values."""
        nn.init.zeros_(self.interaction)
        nn.init.uniform_(self.value, -(self.d_in**-0.5), self.d_in**-0.5, generator=generator)

    @classmethod
    def from_interactions(
        cls, f: Tensor, w: Tensor, embedding: Tensor | None = None, *, rank: int | None = None
    ) -> "LinearSelfAttention":
        """The module that computes out_i = sum_j f(i, j) w_j exactly (Theorem 3.1).

        Parameters
        ----------
        f
            Shape (token, token), how strongly the second token acts on the first.
        w
            Shape (token, d_out), how the action of a token shows.
        embedding
            Shape (token, token), the embedding of each token in a row, invertible; one-hot by default.
        rank
            Keep only this many singular values of f. With an orthogonal embedding the scores are then off by
            sigma_(rank+1) in spectral norm and by the root of the sum of the squares of the singular values
            left out in Frobenius norm, and no C of that rank does better (Theorem B.2; Eckart & Young
            1936).
        """
        n_tokens = len(f)
        if f.dim() != 2 or f.shape != (n_tokens, n_tokens) or not torch.isfinite(f).all():
            raise ValueError(f"f: got shape {tuple(f.shape)}, needs finite values of shape (token, token)")
        if w.dim() != 2 or len(w) != n_tokens or not torch.isfinite(w).all():
            raise ValueError(
                f"w: got shape {tuple(w.shape)}, needs finite values of shape ({n_tokens}, d_out)"
            )
        if embedding is None:
            embedding = torch.eye(n_tokens, dtype=f.dtype, device=f.device)
        if embedding.shape != (n_tokens, n_tokens) or not torch.linalg.cond(embedding) < 1e8:
            raise ValueError(
                f"embedding: got shape {tuple(embedding.shape)}, needs an invertible "
                f"matrix ({n_tokens}, {n_tokens})"
            )
        if rank is not None:
            check_size("rank", rank)
            u, s, vh = torch.linalg.svd(f)
            f = u[:, :rank] * s[:rank] @ vh[:rank]
        module = cls(n_tokens, w.shape[1], device=f.device, dtype=f.dtype)
        with torch.no_grad():
            # x_mu^T C x_nu = f(mu, nu) for all tokens: X C X^T = f.
            module.interaction[0] = torch.linalg.solve(embedding, torch.linalg.solve(embedding, f.mT).mT)
            module.value[0] = torch.linalg.solve(embedding, w)
        return module

    def projections(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Query ``X C``, the key X itself, and the value ``X W``."""
        return project(x, self.interaction), [x], [project(x, self.value)]


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

    Examples
    --------
    >>> import torch
    >>> from genoattn.attention import HyperAttention
    >>> module = HyperAttention(d_in=4, d_out=1, order=3, rank=8)
    >>> x = torch.randn(2, 10, 4)  # (batch, entity, d_in)
    >>> module(x).shape
    torch.Size([2, 10, 1])
    >>> bool((module(x) == 0).all())  # no interaction before training
    True
    >>> module.interaction_table(torch.eye(4)).order
    3
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
