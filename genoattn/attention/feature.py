r"""HyperFeatureAttention: couples the features of entities with embeddings of the sum of their sizes.

.. math:: HFA(X) = \sum_h \Big(\prod_a X_a C_{ha} X_a^\top\Big) \Big(\prod_a X_a W_{ha}\Big),

Hadamard products over the features a (Ustaomeroglu & Qu, arXiv 2506.06179, section 5.1). An entity is known
by its features only (its state, its site, its gene), so a token never seen in training is predicted from
them.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

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
from genoattn.attention.softmax import check_dense_memory, softmax_attention

# Entities whose scores are in memory at once where scores are made in blocks.
BLOCK = 256


class HyperFeatureAttention(nn.Module):
    """Pairwise attention over coupled features, one (batch, entity, d_feature) tensor a feature.

    The product of the scores of the features is itself a score of rank prod(d_features), which gives
    O(entity) time and memory. Where that product is larger than the entities are many, the scores are made
    in blocks of entities instead, and made again for the gradient: O(entity) memory, and less time than the
    O(entity) way takes there.

    Parameters
    ----------
    d_features
        Width of the embedding of each feature.
    distinct
        Leave the pair (i, i) out of the sum over j. The paper keeps it.
    d_out, n_heads, kernel, max_gib, generator
        As of `HyperAttention`.

    Attributes
    ----------
    interaction
        C of each feature, shape (head, d_feature, d_feature). That of the first feature is zero at the
        start: no interaction, but a gradient; the others are the identity plus noise.
    value
        W of each feature, shape (head, d_feature, d_out).

    Examples
    --------
    >>> import torch
    >>> from genoattn.attention import HyperFeatureAttention
    >>> module = HyperFeatureAttention([3, 5], d_out=1)  # of each entity, say, its state and its gene
    >>> state, gene = torch.randn(2, 10, 3), torch.randn(2, 10, 5)
    >>> module([state, gene]).shape
    torch.Size([2, 10, 1])
    """

    def __init__(
        self,
        d_features: Sequence[int],
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
        super().__init__()
        if not len(d_features) >= 1:
            raise ValueError("d_features: got no feature, needs the width of at least one")
        self.d_features = tuple(check_size(f"d_features[{a}]", d) for a, d in enumerate(d_features))
        self.d_out, self.n_heads = check_size("d_out", d_out), check_size("n_heads", n_heads)
        self.distinct, self.kernel, self.max_gib = distinct, check_kernel(kernel), max_gib
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        self.interaction = nn.ParameterList(torch.empty(n_heads, d, d, **options) for d in self.d_features)
        self.value = nn.ParameterList(torch.empty(n_heads, d, d_out, **options) for d in self.d_features)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """No interaction, random values."""
        for a, (interaction, value) in enumerate(zip(self.interaction, self.value, strict=True)):
            bound = interaction.shape[-1] ** -0.5
            nn.init.zeros_(interaction)
            if a > 0:
                nn.init.uniform_(interaction, -bound, bound, generator=generator)
                with torch.no_grad():
                    interaction += torch.eye(interaction.shape[-1], device=interaction.device)
            nn.init.uniform_(value, -bound, bound, generator=generator)

    def forward(self, features: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """Attention of every entity to the others: shape (batch, entity, d_out).

        Parameters
        ----------
        features
            One tensor a feature, shape (batch, entity, d_feature).
        mask
            Shape (batch, entity), True where the entity is present. An absent entity acts on none, and its
            own output is zero; what the features hold there, NaN included, is not read.
        """
        x, mask = self._checked(features, mask)
        query = [project(f, c) for f, c in zip(x, self.interaction, strict=True)]
        # (head, batch, entity, d_out)
        value = reduce(torch.mul, [project(f, w) for f, w in zip(x, self.value, strict=True)])
        n_entities = x[0].shape[1]
        if self.kernel == "softmax":
            check_dense_memory("features", (*value.shape[:3], n_entities), value.dtype, self.max_gib)
            out = softmax_attention(_scores(query, x), [value], mask, distinct=self.distinct)
        elif prod(self.d_features) <= n_entities:
            out = contract(_kron(query), [_kron(x)], [value], distinct=self.distinct)
        else:
            out = _attend_in_blocks(query, x, value, distinct=self.distinct)
        return present_outputs(out.sum(dim=0), mask, 2, self.distinct)  # (batch, entity, d_out)

    def _check_number(self, name: str, x: Sequence[Tensor]) -> None:
        if isinstance(x, Tensor) or len(x) != len(self.d_features):
            found = "one tensor" if isinstance(x, Tensor) else f"{len(x)} tensors"
            raise ValueError(f"{name}: got {found}, needs a list of {len(self.d_features)}, one a feature")

    def _checked(self, features: Sequence[Tensor], mask: Tensor | None) -> tuple[list[Tensor], Tensor | None]:
        """The features, checked, absent entities set to zero; and the mask."""
        self._check_number("features", features)
        for a, (x, width) in enumerate(zip(features, self.d_features, strict=True)):
            check_entities(f"features[{a}]", x, width)
            check_dtype(f"features[{a}]", x, self.interaction[a])
            if x.shape[:2] != features[0].shape[:2]:
                raise ValueError(
                    f"features[{a}]: got shape {tuple(x.shape)}, needs the samples and entities of "
                    f"features[0], {tuple(features[0].shape[:2])}"
                )
        mask = check_mask(mask, features[0])
        check_order(2, features[0].shape[1], self.distinct)
        return [present_values(f"features[{a}]", x, mask) for a, x in enumerate(features)], mask

    @torch.no_grad()
    def interaction_table(self, tokens: Sequence[Tensor], site: Sequence[int] | None = None) -> FactoredTable:
        """T over a vocabulary, in factored form, of rank prod(d_features) a head.

        Parameters
        ----------
        tokens
            For each feature the embedding of it in each token, shape (token, d_feature). Tokens that no
            sample had in training are welcome.
        site
            The site of each token, if tokens belong to sites (see `FactoredTable`).
        """
        self._check_number("tokens", tokens)
        x = list(tokens)
        for a, (embedding, width) in enumerate(zip(x, self.d_features, strict=True)):
            check_table(self.kernel, embedding, width, self.interaction[a], f"tokens[{a}]")
        query = _kron([f @ c for f, c in zip(x, self.interaction, strict=True)])  # (head, token, rank)
        value = reduce(torch.mul, [f @ w for f, w in zip(x, self.value, strict=True)])
        key = _kron(x).expand(self.n_heads, -1, -1)
        return FactoredTable.from_heads(query, [key], [value], site=site, distinct=self.distinct)

    def extra_repr(self) -> str:
        return (
            f"{self.d_features}, {self.d_out}, n_heads={self.n_heads}, distinct={self.distinct}, "
            f"kernel={self.kernel!r}"
        )


def _kron(factors: Sequence[Tensor]) -> Tensor:
    """Row by row the Kronecker product, (.., entity, d_a) each -> (.., entity, prod d_a)."""
    return reduce(lambda left, right: (left.unsqueeze(-1) * right.unsqueeze(-2)).flatten(-2), factors)


def _scores(query: Sequence[Tensor], keys: Sequence[Tensor]) -> Tensor:
    """Product over the features of their scores, (.., entity, entity)."""
    return reduce(torch.mul, [q @ k.mT for q, k in zip(query, keys, strict=True)])


def _attend_in_blocks(
    query: Sequence[Tensor], keys: Sequence[Tensor], value: Tensor, *, distinct: bool
) -> Tensor:
    """The same output from the scores themselves, a block of entities at a time."""

    def attend(start: int, *rows: Tensor) -> Tensor:
        scores = _scores(rows, keys)  # (.., block, entity)
        if distinct:
            entity = torch.arange(scores.shape[-1], device=scores.device)
            scores = scores.masked_fill(entity == entity[start : start + BLOCK, None], 0.0)
        return scores @ value

    run: Callable[..., Tensor] = attend
    if torch.is_grad_enabled():
        run = lambda *a: checkpoint(attend, *a, use_reentrant=False)  # noqa: E731
    blocks = [
        run(start, *[q[..., start : start + BLOCK, :] for q in query])
        for start in range(0, value.shape[-2], BLOCK)
    ]
    return torch.cat(blocks, dim=-2)
