"""The readout of a phenotype: additive effects plus HyperAttention pooled over distinct sites.

``phi(x) = b + Z g + sum_l w_l(x_l) + sum over orders n, ranks r of lambda_nr D_n(f_nr1, .., f_nrn)(x)``

where ``D_n = sum over unordered distinct sites of the symmetrised product of the factors``: the modules of
:mod:`genoattn.attention.pooled_attention`, with *tied* factors (``f_nrm = f_nr``) or *free* ones, in time
linear in the number of sites.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn

from genoattn.attention import (
    PooledFeatureAttention,
    PooledHyperAttention,
    PooledLinearAttention,
    ProductAttention,
)
from genoattn.cohort import MISSING, Cohort, Sites
from genoattn.errors import InputError
from genoattn.model.feature_effects import FeatureEffects
from genoattn.model.link import LinkKind, make_link
from genoattn.tokens import Vocabulary
from genoattn.tokens.token_features import TokenFeatures, token_features

Attention = PooledHyperAttention | PooledFeatureAttention | PooledLinearAttention


class Readout(nn.Module):
    """phi(x) by order, from int8 calls and covariates.

    Parameters
    ----------
    vocabulary
        The columns; their training means centre every factor, so that orders are orthogonal under linkage
        equilibrium.
    ranks
        For each order of 2 and above, the number of terms of the sum over r.
    n_covariates
        Width of the covariates, which enter as fixed effects.
    tied
        Whether the factors of one rank are the same (e_n) or free (sparse isolated terms, hubs, pathways).
    features
        Of the columns: factors are then products of feature embeddings (HyperFeatureAttention).
    full
        A coefficient for every pair (linear self-attention with one-hot embeddings); order 2 only, with as
        many ranks as columns.
    link
        The curve from the sum of the orders to the linear predictor of the phenotype.
    dtype
        Of parameters and buffers; torch's default if None.
    product
        Attention of all orders at once, in place of ranks and additive effects.
    """

    mean: Tensor
    scale: Tensor
    site: Tensor
    state: Tensor
    segment: Tensor

    def __init__(
        self,
        vocabulary: Vocabulary,
        ranks: Mapping[int, int],
        n_covariates: int = 0,
        tied: bool = False,
        features: TokenFeatures | None = None,
        full: bool = False,
        link: LinkKind = "none",
        dtype: torch.dtype | None = None,
        product: ProductAttention | None = None,
    ) -> None:
        super().__init__()
        dtype = dtype or torch.get_default_dtype()
        self.is_dosage, self.tied, self.full = vocabulary.is_dosage, tied, full
        self.features = features
        self.orders = tuple(sorted(ranks))
        n_columns = vocabulary.n_columns
        # Dosage parameters are per standard deviation, so that one penalty suits every allele frequency.
        # What does not vary in training has no parameter: over an infinite scale it is 0, as if missing.
        scale = vocabulary.variance**0.5 if vocabulary.is_dosage else np.ones(vocabulary.n_columns)
        # A state known by its features needs no training sample; a dosage needs one for its scale.
        by_feature = features is not None and not vocabulary.is_dosage
        scale = np.where((vocabulary.variance > 0) | by_feature, scale, np.inf)
        self.register_buffer("mean", torch.tensor(vocabulary.mean, dtype=dtype))
        self.register_buffer("scale", torch.tensor(scale, dtype=dtype))
        self.register_buffer("site", torch.tensor(vocabulary.site))
        self.register_buffer("state", torch.tensor(vocabulary.state))
        self.register_buffer("segment", torch.tensor(vocabulary.first))
        self.bias = nn.Parameter(torch.zeros(()))
        self.covariate = nn.Parameter(torch.zeros(n_covariates))
        self.additive = nn.Parameter(torch.zeros(n_columns))
        self.additive_features = None if features is None else FeatureEffects(features)
        self.factors = nn.ModuleDict()
        self.weights = nn.ParameterDict()
        for order in self.orders:
            self.factors[str(order)] = self._attention(n_columns, order, ranks[order])
            # The scale of a free rank is in its factors; a tied one needs a sign of its own.
            self.weights[str(order)] = nn.Parameter(torch.ones(ranks[order]), requires_grad=tied)
            if not ranks[order]:
                for p in (self.weights[str(order)], *self.factors[str(order)].parameters()):
                    p.requires_grad_(False)
        self.link_kind = link
        self.link = make_link(link)
        self.product = product
        self.to(dtype)

    def _attention(self, n_columns: int, order: int, rank: int) -> Attention:
        """The attention of one order."""
        if self.full:
            return PooledLinearAttention(n_columns)
        indicators = not self.is_dosage
        if self.features is None:
            return PooledHyperAttention(n_columns, order, rank, tied=self.tied, indicators=indicators)
        index, sizes = self.features.index, self.features.sizes
        return PooledFeatureAttention(index, sizes, order, rank, tied=self.tied, indicators=indicators)

    @property
    def ranks(self) -> dict[int, int]:
        """Number of ranks of each order of 2 and above."""
        return {order: len(self.weights[str(order)]) for order in self.orders}

    def additive_values(self) -> Tensor:
        """Additive effect of each column before centring: (column,)."""
        if self.additive_features is None:
            return self.additive
        return self.additive + self.additive_features()

    def attention(self, order: int) -> Attention:
        """The attention of an order."""
        module = self.factors[str(order)]
        assert isinstance(module, Attention)
        return module

    def factor_values(self, order: int) -> Tensor:
        """Factors of an order before centring: (rank, slot, column)."""
        return self.attention(order).factors()

    def design(self, calls: Tensor) -> Tensor:
        """Columns of a batch: standardised dosages or state indicators, 0 where missing; (sample, column)."""
        if not self.is_dosage:
            return (calls[:, self.site] == self.state).to(self.mean.dtype)
        # In place, without a copy in the order of the columns, which is that of the sites.
        centred = (calls.to(self.mean.dtype) - self.mean).div_(self.scale)
        missing = calls == MISSING
        return centred.masked_fill_(missing, 0.0) if missing.any() else centred

    def centred(self, values: Tensor) -> Tensor:
        """Subtract from state values their training mean at each site; dosage columns are centred already."""
        if self.is_dosage:
            return values
        site_mean = values.new_zeros(*values.shape[:-1], len(self.segment))
        site_mean = site_mean.index_add(-1, self.site, values * self.mean)
        return (values - site_mean[..., self.site]) / self.scale

    def forward(self, calls: Tensor, covariates: Tensor) -> Tensor:
        """Contribution of each order to the phenotype.

        Parameters
        ----------
        calls
            Shape (n_samples, n_sites), int8, -1 where missing.
        covariates
            Shape (n_samples, n_covariates).

        Returns
        -------
        Shape (n_samples, 1 + n_orders): orders 0 (intercept and covariates), 1, then ``self.orders``. Of a
        product of all orders their sum is the second.
        """
        if self.product is not None:
            return torch.stack([self.bias + covariates @ self.covariate, self.product(calls)], dim=-1)
        design = self.design(calls)  # (sample, column)
        parts = [self.bias + covariates @ self.covariate, design @ self.centred(self.additive_values())]
        for order in self.orders:
            parts.append(self.attention(order)(design, self.centred) @ self.weights[str(order)])
        return torch.stack(parts, dim=-1)

    def respond(self, latent: Tensor) -> Tensor:
        """Linear predictor of the phenotype at a latent phenotype, the sum of the orders; any shape."""
        return latent if self.link is None else self.link(latent)


def set_random_factors(readout: Readout, n_sites: int, seed: int) -> None:
    """Small random factors: the entity values of a sample sum to about unit variance."""
    generator = torch.Generator().manual_seed(seed)
    for order in readout.orders:
        module = readout.attention(order)
        assert not isinstance(module, PooledLinearAttention)
        module.set_random(1 / sqrt(n_sites), generator)
        if not readout.tied:  # the scale of a free rank is in its factors
            continue
        with torch.no_grad():
            weight = readout.weights[str(order)]
            weight.fill_(0.1)
            weight[1::2] = -0.1


def move_main_effects(readout: Readout, sites: Sequence[int]) -> None:
    """Make the last covariates, the calls at ``sites``, main effects of these sites: predictions stay.

    Of a site of two states it is the effect of the second.
    """
    last = torch.searchsorted(readout.site, torch.tensor(sites, device=readout.site.device), right=True) - 1
    with torch.no_grad():
        effect = readout.covariate[len(readout.covariate) - len(sites) :]
        scale = readout.scale[last]
        readout.bias.add_(effect @ readout.mean[last])
        readout.additive[last] += torch.where(torch.isfinite(scale), effect * scale, 0.0)
        readout.covariate = nn.Parameter(readout.covariate[: len(readout.covariate) - len(sites)].clone())


def rescale_latent(readout: Readout, shift: float, scale: float) -> None:
    """Make the sum of the orders ``shift + scale`` times what it is."""
    with torch.no_grad():
        readout.bias.mul_(scale).add_(shift)
        readout.covariate.mul_(scale)
        readout.additive.mul_(scale)
        if readout.additive_features is not None:
            for effect in readout.additive_features.parameters():
                effect.mul_(scale)
        for weight in readout.weights.values():
            weight.mul_(scale)
        if readout.product is not None:
            readout.product.weights.mul_(scale)


def unseen_states(cohort: Cohort, sites: Sites) -> Sites:
    """The sites of a model with the states of an alignment added; genotypes always have the same ones."""
    if cohort.kind != "sequence":
        return sites
    column = {int(p): k for k, p in enumerate(cohort.sites.pos)}
    states = []
    for k, known in enumerate(sites.states):
        own = column.get(int(sites.pos[k]))
        new: list[str] = []
        if own is not None:
            calls = cohort.calls[:, own]
            found = [cohort.sites.states[own][a] for a in np.unique(calls[calls != MISSING])]
            new = sorted(set(found) - set(known))
        states.append((*known, *new))
    return replace(sites, states=tuple(states))


def extend_readout(readout: Readout, vocabulary: Vocabulary, sites: Sites) -> tuple[Readout, Vocabulary]:
    """The readout for the states of ``sites``, those of the vocabulary and new ones of frequency 0."""
    assert readout.features is not None
    n_states = sites.n_states
    site = np.repeat(np.arange(len(sites)), n_states)
    state = np.concatenate([np.arange(k) for k in n_states])
    # Columns of a site keep their order and new ones follow, so this is the new place of each old column.
    place = np.searchsorted(site, vocabulary.site) + vocabulary.state
    mean, variance = np.zeros(len(site)), np.zeros(len(site))
    mean[place], variance[place] = vocabulary.mean, vocabulary.variance
    wide = replace(vocabulary, site=site, state=state, n_states=n_states, mean=mean, variance=variance)
    features = token_features(sites, wide, readout.features.levels)
    unknown = np.flatnonzero(features.index[list(features.levels).index("state")] < 0)
    if len(unknown):
        k = unknown[0]
        raise InputError(
            f"{sites.states[site[k]][state[k]]} at column {sites.pos[site[k]]}: "
            "no training sample had it anywhere; write X where it should count as missing"
        )
    dtype, link = readout.bias.dtype, readout.link_kind
    n_covariates = len(readout.covariate)
    out = Readout(wide, readout.ranks, n_covariates, readout.tied, features, link=link, dtype=dtype)
    old = readout.state_dict()
    kept = {name: value for name, value in out.state_dict().items() if name in dict(out.named_buffers())}
    additive = torch.zeros_like(out.additive)
    additive[torch.as_tensor(place)] = old["additive"]
    out.load_state_dict({**old, **kept, "additive": additive})
    return out.eval(), wide
