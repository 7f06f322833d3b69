"""Modules of factors: a value a token, a product over its features, or all pairs."""

import torch
from torch import Tensor, nn

from genoattn.tokens.token_features import TokenFeatures


class TokenFactors(nn.Module):
    """One parameter for each rank, slot (one where the factors of a rank are tied) and column."""

    def __init__(self, rank: int, slots: int, n_columns: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(rank, slots, n_columns))

    def sparse_parameters(self) -> list[nn.Parameter]:
        """Parameters that a sparse penalty applies to, each (rank, slot, ..)."""
        return [self.value]

    def forward(self) -> Tensor:
        """Factors before centring: (rank, slot, column)."""
        return self.value

    @torch.no_grad()
    def set_random(self, scale: float, generator: torch.Generator) -> None:
        """Normal values of a standard deviation."""
        self.value.copy_(scale * torch.randn(self.value.shape, generator=generator, dtype=self.value.dtype))


class FeatureFactors(nn.Module):
    """HyperFeatureAttention: the factor of a token is the product of the embeddings of its features.

    ``u_r(token) = prod_a E_ar(feature a of the token)``: head r of the paper's HFA with every C_a and W_a of
    rank one (Ustaomeroglu & Qu 2025, section 5.1), so that the embeddings are as wide as the sum of the
    features' sizes, and a token that training never showed is known by its features. A label that training
    did not show (-1) has the embedding 1, that of no feature.
    """

    index: Tensor

    def __init__(self, rank: int, slots: int, features: TokenFeatures) -> None:
        super().__init__()
        self.register_buffer("index", torch.as_tensor(features.index), persistent=False)
        self.embeddings = nn.ParameterList(torch.ones(rank, slots, size) for size in features.sizes)

    def sparse_parameters(self) -> list[nn.Parameter]:
        """The embedding of the first feature, the site: a token without a site factor has no factor."""
        return [self.embeddings[0]]

    def forward(self) -> Tensor:
        """Factors before centring: (rank, slot, column)."""
        values = [_look_up(e, i) for e, i in zip(self.embeddings, self.index, strict=True)]
        return torch.stack(values).prod(dim=0)

    @torch.no_grad()
    def set_random(self, scale: float, generator: torch.Generator) -> None:
        """Products of about a standard deviation ``scale``, no feature of which is decided at the start."""
        share = scale ** (1 / len(self.embeddings))
        for embedding in self.embeddings:
            noise = torch.randn(embedding.shape, generator=generator, dtype=embedding.dtype)
            embedding.copy_(share * (0.7 * noise + 0.7))


class PairFactors(nn.Module):
    """Full linear self-attention with one-hot embeddings (d = |S|): a coefficient for every pair of columns.

    As factors it has a rank for each column, the column itself in the first slot and its row of C in the
    second. C starts at zero, where its gradient is the score of every pair; the loss is convex in it. Memory
    is of the order of the square of the vocabulary.
    """

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        self.pair = nn.Parameter(torch.zeros(n_columns, n_columns))

    def sparse_parameters(self) -> list[nn.Parameter]:
        """None: coefficients of all pairs bear a ridge penalty."""
        return []

    def forward(self) -> Tensor:
        """Factors before centring: (rank, slot, column)."""
        return torch.stack([torch.eye(len(self.pair)).to(self.pair), self.pair], dim=1)


def _look_up(embedding: Tensor, index: Tensor) -> Tensor:
    """Embedding (rank, slot, label) of each column's label; 1 where it has none."""
    # index_select, not brackets: its gradient is many times cheaper.
    found = embedding.index_select(-1, index.clamp(min=0))
    return torch.where(index >= 0, found, torch.ones((), dtype=found.dtype, device=found.device))


class FeatureEffects(nn.Module):
    """Additive effects of features, summed over the features of a token."""

    index: Tensor

    def __init__(self, features: TokenFeatures) -> None:
        super().__init__()
        self.register_buffer("index", torch.as_tensor(features.index), persistent=False)
        self.effects = nn.ParameterList(torch.zeros(size) for size in features.sizes)

    def forward(self) -> Tensor:
        """Effect of each column before centring: (column,)."""
        parts = [_look_up(e, i) * (i >= 0) for e, i in zip(self.effects, self.index, strict=True)]
        return torch.stack(parts).sum(dim=0)
