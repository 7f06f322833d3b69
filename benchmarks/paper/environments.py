"""The worlds of the experiments: a vocabulary, how samples are drawn, the exact target of every entity."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DTYPE = torch.float64


@dataclass(frozen=True)
class World:
    """Tokens, their interaction and how samples are drawn.

    Attributes
    ----------
    name
        Shown in the tables.
    f, w
        Shapes (token, token) and (token, channel): the target of entity i is sum_j f(i, j) w_j.
    draw
        (n_samples, n_entities, shifted, generator) -> token of each entity, shape (sample, entity).
        `shifted` draws from another distribution over the tokens than the one trained on.
    distinct
        Whether an entity acts on itself in the target (False: it does, as in the paper).
    """

    name: str
    f: Tensor
    w: Tensor
    draw: Callable[[int, int, bool, torch.Generator], Tensor]
    distinct: bool

    @property
    def n_tokens(self) -> int:
        return len(self.f)

    def target(self, tokens: Tensor) -> Tensor:
        """Outputs of each entity, (sample, entity, channel), straight from the definition."""
        pair = self.f[tokens.unsqueeze(2), tokens.unsqueeze(1)]  # (sample, entity, entity)
        if self.distinct:
            pair = pair * (1 - torch.eye(tokens.shape[1], dtype=pair.dtype))
        return pair @ self.w[tokens]


def one_hot(n_tokens: int) -> Tensor:
    """One embedding dimension for each token."""
    return torch.eye(n_tokens, dtype=DTYPE)


def sinusoidal(n_tokens: int) -> Tensor:
    """The orthonormal Fourier basis: row n holds cos and sin of 2 pi k n / n_tokens."""
    n = torch.arange(n_tokens, dtype=DTYPE)
    columns = [torch.ones_like(n) / 2**0.5]
    for k in range(1, (n_tokens - 1) // 2 + 1):
        angle = 2 * torch.pi * k * n / n_tokens
        columns += [angle.cos(), angle.sin()]
    if n_tokens % 2 == 0:
        columns.append((-1.0) ** n / 2**0.5)
    return torch.stack(columns, dim=1) * (2 / n_tokens) ** 0.5


def colliding_agents(n_positions: int, radius: int) -> World:
    """Agents on a ring; an agent loses 1 for every agent within the radius (the paper's environment,
    section 3).

    Trained on agents that stand anywhere; the shifted ones crowd in one half of the ring.
    """
    position = torch.arange(n_positions)
    apart = (position[:, None] - position[None, :]).abs()
    within = torch.minimum(apart, n_positions - apart) <= radius
    crowded = torch.where(position < n_positions // 2, 4.0, 1.0)

    def draw(n_samples: int, n_entities: int, shifted: bool, generator: torch.Generator) -> Tensor:
        weights = crowded if shifted else torch.ones(n_positions)
        flat = torch.multinomial(weights, n_samples * n_entities, replacement=True, generator=generator)
        return flat.reshape(n_samples, n_entities)

    w = -torch.ones(n_positions, 1, dtype=DTYPE)
    return World("colliding agents", within.to(DTYPE), w, draw, distinct=False)


def interacting_alleles(n_sites: int, generator: torch.Generator) -> World:
    """Two alleles at each site of two haplotypes; every ordered pair of alleles interacts with its own
    strength.

    A sample is read at low coverage: each entity is the allele of one site on one haplotype, and which of the
    2 * n_sites are seen is random. The shifted population has other allele frequencies. Token 2 l + a is
    allele a of site l.
    """
    n_tokens = 2 * n_sites
    f = torch.randn(n_tokens, n_tokens, generator=generator, dtype=DTYPE)
    w = 0.5 + torch.rand(n_tokens, 1, generator=generator, dtype=DTYPE)
    frequency = 0.2 + 0.6 * torch.rand(n_sites, generator=generator)
    other_frequency = 0.05 + 0.9 * torch.rand(n_sites, generator=generator)

    def draw(n_samples: int, n_entities: int, shifted: bool, generator: torch.Generator) -> Tensor:
        seen = torch.rand(n_samples, 2 * n_sites, generator=generator).argsort(dim=1)[:, :n_entities]
        site = seen // 2
        p = (other_frequency if shifted else frequency)[site]
        return 2 * site + (torch.rand(p.shape, generator=generator) < p)

    return World("interacting alleles", f, w, draw, distinct=True)


@dataclass(frozen=True)
class CoupledWorld:
    """Tokens with two features whose interactions multiply: f = f_1(a, a') f_2(b, b'), w = w_1(a') w_2(b').

    Token a * sizes[1] + b has features a and b. `unseen` tokens are not drawn in training.
    """

    sizes: tuple[int, int]
    f: tuple[Tensor, Tensor]
    w: tuple[Tensor, Tensor]
    unseen: Tensor

    @property
    def n_tokens(self) -> int:
        return self.sizes[0] * self.sizes[1]

    def features(self, tokens: Tensor) -> list[Tensor]:
        """One-hot embedding of each feature."""
        a, b = tokens // self.sizes[1], tokens % self.sizes[1]
        return [one_hot(self.sizes[0])[a], one_hot(self.sizes[1])[b]]

    def draw(self, n_samples: int, n_entities: int, with_unseen: bool, generator: torch.Generator) -> Tensor:
        weights = torch.ones(self.n_tokens)
        if not with_unseen:
            weights[self.unseen] = 0
        flat = torch.multinomial(weights, n_samples * n_entities, replacement=True, generator=generator)
        return flat.reshape(n_samples, n_entities)

    def target(self, tokens: Tensor) -> Tensor:
        """Outputs of each entity, (sample, entity, channel), straight from the definition."""
        feature = (tokens // self.sizes[1], tokens % self.sizes[1])
        pair, value = torch.ones((), dtype=DTYPE), torch.ones((), dtype=DTYPE)
        for index, f, w in zip(feature, self.f, self.w, strict=True):
            pair = pair * f[index.unsqueeze(2), index.unsqueeze(1)]
            value = value * w[index]
        return pair @ value


def coupled_features(sizes: tuple[int, int], n_channels: int, generator: torch.Generator) -> CoupledWorld:
    """Random interactions of two features, coupled; four tokens are kept out of training."""
    f = tuple(torch.randn(n, n, generator=generator, dtype=DTYPE) for n in sizes)
    w = tuple(0.5 + torch.rand(n, n_channels, generator=generator, dtype=DTYPE) for n in sizes)
    # One unseen token in each of the first rows: each feature value still occurs with others.
    unseen = torch.tensor([a * sizes[1] + (2 * a + 1) % sizes[1] for a in range(min(4, sizes[0]))])
    return CoupledWorld(sizes, (f[0], f[1]), (w[0], w[1]), unseen)


@dataclass(frozen=True)
class TrigramWorld:
    """Sites with two alleles where an allele responds only if two certain others are both present.

    Attributes
    ----------
    trigrams
        Shape (trigram, 3), tokens (responding, first, second) at three sites; token 2 l + a is allele a of
        site l.
    effect
        Shape (trigram,).
    """

    n_sites: int
    trigrams: Tensor
    effect: Tensor

    @property
    def n_tokens(self) -> int:
        return 2 * self.n_sites

    def features(self, tokens: Tensor) -> list[Tensor]:
        """One-hot site and one-hot allele."""
        return [one_hot(self.n_sites)[tokens // 2], one_hot(2)[tokens % 2]]

    def draw(self, n_samples: int, n_entities: int, generator: torch.Generator) -> Tensor:
        site = torch.rand(n_samples, self.n_sites, generator=generator).argsort(dim=1)[:, :n_entities]
        return 2 * site + torch.randint(2, site.shape, generator=generator)

    def target(self, tokens: Tensor) -> Tensor:
        """Shape (sample, entity, 1)."""
        total = torch.zeros(tokens.shape, dtype=DTYPE)
        for (own, first, second), effect in zip(self.trigrams.tolist(), self.effect, strict=True):
            both = (tokens == first).any(dim=1) & (tokens == second).any(dim=1)
            total += effect * (tokens == own) * both.unsqueeze(1)
        return total.unsqueeze(-1)


def skip_trigrams(n_sites: int, n_trigrams: int, generator: torch.Generator) -> TrigramWorld:
    """Trigrams of random alleles at three different sites, with random effects."""
    site = torch.stack([torch.randperm(n_sites, generator=generator)[:3] for _ in range(n_trigrams)])
    tokens = 2 * site + torch.randint(2, site.shape, generator=generator)
    return TrigramWorld(n_sites, tokens, 1 + torch.rand(n_trigrams, generator=generator, dtype=DTYPE))
