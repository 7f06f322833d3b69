"""Attention over entities of one embedding: the part that modules of every order share."""

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
from genoattn.attention.contraction import contract
from genoattn.attention.factored import FactoredTable
from genoattn.attention.softmax import check_dense_memory, softmax_attention, tuple_scores


class EntityAttention(nn.Module):
    """Attention of order n, (batch, entity, d_in) -> (batch, entity, d_out); the parameters are a subclass's.

    Parameters
    ----------
    d_in, d_out, order, n_heads, distinct, kernel, max_gib
        See :class:`genoattn.attention.HyperAttention`.
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

        Parameters
        ----------
        x
            Embeddings of entities (batch, entity, d_in), or of tokens (token, d_in).
        """
        raise NotImplementedError

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
