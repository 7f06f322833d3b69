"""The readout of a phenotype: additive effects plus HyperAttention pooled over distinct sites.

``phi(x) = b + Z g + sum_l w_l(x_l) + sum over orders n, ranks r of lambda_nr D_n(f_nr1, .., f_nrn)(x)``

where ``D_n = sum over unordered distinct sites of the symmetrised product of the factors``. With *tied*
factors (``f_nrm = f_nr``) D_n is the elementary symmetric polynomial e_n of the entity values, by Newton's
identities from power sums; with *free* factors it is the pooled order-n HyperAttention of Ustaomeroglu & Qu
2025 (section 5) restricted to distinct entities, by inclusion-exclusion over set partitions. Either way
the cost is linear in the number of sites: each block sum is one product of the sample-by-column design
with a factor matrix.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn

from genoattn.attention.partitions import distinct_sum
from genoattn.attention.pooled import newton
from genoattn.cohort import MISSING, Cohort, Sites
from genoattn.errors import InputError
from genoattn.model.factors import FeatureEffects, FeatureFactors, PairFactors, TokenFactors
from genoattn.model.link import LinkKind, make_link
from genoattn.tokens import Vocabulary
from genoattn.tokens.token_features import TokenFeatures, token_features


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
            slots = 1 if tied else order
            if full:
                self.factors[str(order)] = PairFactors(n_columns)
            elif features is not None:
                self.factors[str(order)] = FeatureFactors(ranks[order], slots, features)
            else:
                self.factors[str(order)] = TokenFactors(ranks[order], slots, n_columns)
            # The scale of a free rank is in its factors; a tied one needs a sign of its own.
            self.weights[str(order)] = nn.Parameter(torch.ones(ranks[order]), requires_grad=tied)
            if not ranks[order]:
                for p in (self.weights[str(order)], *self.factors[str(order)].parameters()):
                    p.requires_grad_(False)
        self.link_kind = link
        self.link = make_link(link)
        self.to(dtype)

    @property
    def ranks(self) -> dict[int, int]:
        """Number of ranks of each order of 2 and above."""
        return {order: len(self.weights[str(order)]) for order in self.orders}

    def additive_values(self) -> Tensor:
        """Additive effect of each column before centring: (column,)."""
        if self.additive_features is None:
            return self.additive
        return self.additive + self.additive_features()

    def factor_module(self, order: int) -> TokenFactors | FeatureFactors | PairFactors:
        """The module that makes the factors of an order."""
        module = self.factors[str(order)]
        assert isinstance(module, TokenFactors | FeatureFactors | PairFactors)
        return module

    def factor_values(self, order: int) -> Tensor:
        """Factors of an order before centring: (rank, slot, column)."""
        return self.factor_module(order)()

    def design(self, calls: Tensor) -> Tensor:
        """Columns of a batch: standardised dosages or state indicators, 0 where missing; (sample, column)."""
        state = calls[:, self.site]
        if not self.is_dosage:
            return (state == self.state).to(self.mean.dtype)
        centred = (state.to(self.mean.dtype) - self.mean) / self.scale
        return centred.masked_fill(state == MISSING, 0.0)

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
        Shape (n_samples, 1 + n_orders): orders 0 (intercept and covariates), 1, then ``self.orders``.
        """
        design = self.design(calls)  # (sample, column)
        parts = [self.bias + covariates @ self.covariate, design @ self.centred(self.additive_values())]
        parts += [self._interaction(order, design) for order in self.orders]
        return torch.stack(parts, dim=-1)

    def respond(self, latent: Tensor) -> Tensor:
        """Linear predictor of the phenotype at a latent phenotype, the sum of the orders; any shape."""
        return latent if self.link is None else self.link(latent)

    def _interaction(self, order: int, design: Tensor) -> Tensor:
        if self.full:
            return self._all_pairs(design)
        factor = self.centred(self.factor_values(order))  # (rank, slot, column)
        weight = self.weights[str(order)]
        if factor.shape[0] == 0:
            return design.new_zeros(len(design))
        powers = [design**m if self.is_dosage else design for m in range(1, order + 1)]
        if self.tied:
            sums = torch.stack(
                [powers[m - 1] @ factor[:, 0].T ** m for m in range(1, order + 1)]
            )  # (m, sample, rank)
            return newton(sums) @ weight
        blocks = {
            block: powers[len(block) - 1] @ factor[:, list(block)].prod(dim=1).T
            for size in range(1, order + 1)
            for block in combinations(range(order), size)
        }
        return distinct_sum(blocks, order) @ weight

    def _all_pairs(self, design: Tensor) -> Tensor:
        """Full pairwise attention: sum over columns at distinct sites of x_k C_km x_m."""
        pair = self.centred(self.centred(self.factor_values(2)[:, 1]).T).T  # (column, column)
        same_site = self.site[:, None] == self.site[None, :]
        pair = pair.masked_fill(same_site, 0.0) * self.weights["2"][:, None]
        return ((design @ pair) * design).sum(dim=1)


def set_random_factors(readout: Readout, n_sites: int, seed: int) -> None:
    """Small random factors: the entity values of a sample sum to about unit variance."""
    generator = torch.Generator().manual_seed(seed)
    for order in readout.orders:
        module = readout.factor_module(order)
        assert isinstance(module, TokenFactors | FeatureFactors)
        module.set_random(1 / sqrt(n_sites), generator)
        if not readout.tied:  # the scale of a free rank is in its factors
            continue
        with torch.no_grad():
            weight = readout.weights[str(order)]
            weight.fill_(0.1)
            weight[1::2] = -0.1


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
