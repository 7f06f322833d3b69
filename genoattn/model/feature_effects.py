"""Additive effects of the features of tokens."""

import torch
from torch import Tensor, nn

from genoattn.attention.pooled_attention import look_up
from genoattn.tokens.token_features import TokenFeatures


class FeatureEffects(nn.Module):
    """Additive effects of features, summed over the features of a token."""

    index: Tensor

    def __init__(self, features: TokenFeatures) -> None:
        super().__init__()
        self.register_buffer("index", torch.as_tensor(features.index), persistent=False)
        self.effects = nn.ParameterList(torch.zeros(size) for size in features.sizes)

    def forward(self) -> Tensor:
        """Effect of each column before centring: (column,)."""
        parts = [look_up(e, i) * (i >= 0) for e, i in zip(self.effects, self.index, strict=True)]
        return torch.stack(parts).sum(dim=0)
