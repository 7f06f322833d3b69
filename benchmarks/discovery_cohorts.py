"""Cohorts for ``discovery.py``: planted interactions, and all that looks like them and is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msprime
import numpy as np
import tskit

from genoattn.cohort import Cohort, Phenotype, Sites
from genoattn.simulate import simulate_cohort

N_CHROMOSOMES = 5
SPACING = 10_000  # base pairs a kept site, as in genoattn.simulate
POPULATION_SIZE = 10_000
RATE = 1e-8  # of recombination and of mutation, a base pair and generation
MAF = 0.05


@dataclass(frozen=True, eq=False)
class Trial:
    """A cohort, and the terms that were planted in it.

    Parameters
    ----------
    cohort
        Genotypes with a phenotype.
    terms
        Site indices of each planted interaction; empty where every claim is false.
    """

    cohort: Cohort
    terms: tuple[tuple[int, ...], ...] = ()

    @property
    def pairs(self) -> np.ndarray:
        """The planted pairs: shape (n_pairs, 2), ascending; none where terms are of another order."""
        pairs = [sorted(term) for term in self.terms if len(term) == 2]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def planted(n_samples: int, n_sites: int, seed: int, **settings: Any) -> Trial:
    """A cohort of :func:`genoattn.simulate.simulate_cohort`; interactions are its terms of highest order."""
    simulation = simulate_cohort(n_samples=n_samples, n_sites=n_sites, seed=seed, **settings)
    order = simulation.config.term_order
    rows = simulation.truth[simulation.truth["order"] == order] if simulation.config.shares else None
    if rows is None:
        return Trial(simulation.cohort)
    index = {site: k for k, site in enumerate(simulation.cohort.sites.ids)}
    names = [f"site_{k}" for k in range(1, order + 1)]
    return Trial(
        simulation.cohort, tuple(tuple(index[s] for s in row) for row in rows[names].itertuples(index=False))
    )


def hidden_causal(n_samples: int, n_sites: int, seed: int, n_causal: int) -> Trial:
    """An additive trait, 40 % of its variance, whose causal variants are common and were not typed."""
    rng = np.random.default_rng([seed, 1])
    typed, hidden = [], []
    for _ in range(N_CHROMOSOMES):
        dosage, position = _common_variants(_ancestry(n_samples, n_sites, rng))
        kept = _thin(len(position), n_sites // N_CHROMOSOMES, rng)
        left = np.setdiff1d(np.arange(len(position)), kept)
        hidden.append(dosage[:, rng.choice(left, n_causal // N_CHROMOSOMES, replace=False)])
        typed.append((dosage[:, kept], position[kept]))
    value = _additive_value(np.hstack(hidden), rng)
    noise = rng.standard_normal(n_samples)
    return Trial(_cohort(typed, np.sqrt(0.4) * value / value.std() + np.sqrt(0.6) * noise))


def two_populations(n_samples: int, n_sites: int, seed: int, share: float, generations: int) -> Trial:
    """Two populations one standard deviation apart; 20 % of the variance within is of 20 additive sites.

    Parameters
    ----------
    n_samples, n_sites, seed
        Of the cohort.
    share
        Of the samples that are of the first population.
    generations
        Since they split; F_ST is about that over 20,000.
    """
    rng = np.random.default_rng([seed, 2])
    n_first = round(share * n_samples)
    typed = []
    for _ in range(N_CHROMOSOMES):
        history = msprime.Demography()
        for name in ("first", "second", "ancestral"):
            history.add_population(name=name, initial_size=POPULATION_SIZE)
        history.add_population_split(time=generations, derived=["first", "second"], ancestral="ancestral")
        samples = {"first": n_first, "second": n_samples - n_first}
        ancestry = _ancestry(samples, n_sites, rng, demography=history)
        dosage, position = _common_variants(ancestry)
        kept = _thin(len(position), n_sites // N_CHROMOSOMES, rng)
        typed.append((dosage[:, kept], position[kept]))
    second = np.arange(n_samples) >= n_first
    every = np.hstack([dosage for dosage, _ in typed])
    value = _additive_value(every[:, rng.choice(every.shape[1], 20, replace=False)], rng)
    within = value - np.where(second, value[second].mean(), value[~second].mean())
    noise = rng.standard_normal(n_samples)
    return Trial(_cohort(typed, np.sqrt(0.2) * value / within.std() + np.sqrt(0.8) * noise + second))


def curved_scale(n_samples: int, n_sites: int, seed: int) -> Trial:
    """An additive trait, 40 % of its variance, seen through exp()."""
    cohort = planted(n_samples, n_sites, seed, architecture="additive", additive_variance=0.4).cohort
    assert cohort.phenotype is not None
    return Trial(replace(cohort, phenotype=Phenotype("trait", np.exp(cohort.phenotype.values))))


def short_genome(n_samples: int, n_sites: int, seed: int, kilobases: float, linkage: float) -> Trial:
    """Haploid genomes with an additive trait, 90 % of its variance on a log scale, seen through exp().

    On a genome of ``kilobases`` an allele is drawn with its neighbour's with probability ``linkage``.
    """
    rng = np.random.default_rng([seed, 4])
    frequency = rng.uniform(0.1, 0.5, n_sites)
    rank = rng.random((n_samples, n_sites))
    for k in range(1, n_sites):
        rank[:, k] = np.where(rng.random(n_samples) < linkage, rank[:, k - 1], rank[:, k])
    calls = (2 * (rank < frequency)).astype(np.int8)
    value = _additive_value(calls, rng)
    trait = np.exp(np.sqrt(0.9) * value / value.std() + np.sqrt(0.1) * rng.standard_normal(n_samples))
    position = np.linspace(1, kilobases * 1000, n_sites).astype(np.int64)
    return Trial(_cohort([(calls, position)], trait))


def independent(n_samples: int, n_sites: int, seed: int, kind: str, loadings: str, share: float) -> Trial:
    """Independent sites in Hardy-Weinberg proportions; additive effects of 20 sites are 20 % of the variance.

    Parameters
    ----------
    n_samples, n_sites, seed
        Of the cohort; frequencies are uniform from 0.05 to 0.5.
    kind
        ``pairs``: 20 isolated pairs. ``hub``: one site and its 20 partners; ``two hubs``: two of them.
        ``pathways``: each of 10 sites with each of 10 others; ``overlapping``: three such pairs of pathways,
        which share half of their sites with the next.
    loadings
        Of the sites of a slot: ``equal``, ``sign`` (equal, of random sign) or ``normal``.
    share
        Of the variance that is of interactions.
    """
    rng = np.random.default_rng([seed, 3])
    frequency = rng.uniform(MAF, 0.5, n_sites)
    calls = rng.binomial(2, frequency, (n_samples, n_sites)).astype(np.int8)
    columns = (calls - 2 * frequency) / np.sqrt(2 * frequency * (1 - frequency))
    site = rng.permutation(n_sites)
    slots = {
        "pairs": [(site[[k]], site[[20 + k]]) for k in range(20)],
        "hub": [(site[:1], site[1:21])],
        "two hubs": [(site[[k]], site[10 + 10 * k : 30 + 10 * k]) for k in range(2)],
        "pathways": [(site[:10], site[10:20])],
        "overlapping": [(site[5 * k : 5 * k + 10], site[40 + 5 * k : 50 + 5 * k]) for k in range(3)],
    }[kind]
    draw = {
        "equal": np.ones,
        "sign": lambda n: rng.choice([-1.0, 1.0], n),
        "normal": rng.standard_normal,
    }[loadings]
    products = [(columns[:, a] @ draw(len(a))) * (columns[:, b] @ draw(len(b))) for a, b in slots]
    interaction = sum(p / p.std() for p in products)
    additive = _additive_value(calls[:, rng.choice(n_sites, 20, replace=False)], rng)
    trait = np.sqrt(share) * interaction / interaction.std() + np.sqrt(0.2) * additive / additive.std()
    trait += np.sqrt(0.8 - share) * rng.standard_normal(n_samples)
    each = n_sites // N_CHROMOSOMES
    position = np.arange(1, each + 1) * SPACING
    chromosomes = [(calls[:, k * each : (k + 1) * each], position) for k in range(N_CHROMOSOMES)]
    terms = {tuple(sorted((int(i), int(j)))) for a, b in slots for i in a for j in b}
    return Trial(_cohort(chromosomes, trait), tuple(sorted(terms)))


Maker = Callable[[int, int, int], Trial]


def _planted(**settings: Any) -> Maker:
    return lambda n_samples, n_sites, seed: planted(n_samples, n_sites, seed, **settings)


def _unlinked(kind: str, loadings: str) -> Maker:
    return lambda n_samples, n_sites, seed: independent(n_samples, n_sites, seed, kind, loadings, 0.2)


# Unless it says otherwise: additive effects 20 % and interactions 20 % of the variance.
ARCHITECTURES: dict[str, Maker] = {
    "pairs": _planted(architecture="pairs"),
    "hub": _planted(architecture="hub"),
    "modules": _planted(architecture="modules"),
    "triple": _planted(architecture="triple"),
    "additive": _planted(architecture="additive", additive_variance=0.4),
    "null": _planted(architecture="null"),
    "hidden-20": lambda n, sites, seed: hidden_causal(n, sites, seed, 20),
    "hidden-5": lambda n, sites, seed: hidden_causal(n, sites, seed, 5),
    "populations": lambda n, sites, seed: two_populations(n, sites, seed, 0.5, 1000),
    "populations-uneven": lambda n, sites, seed: two_populations(n, sites, seed, 0.2, 2000),
    "exp": curved_scale,
}
# Independent sites; the same shares.
UNLINKED: dict[str, Maker] = {
    f"unlinked-{kind.replace(' ', '-')}-{loadings}": _unlinked(kind, loadings)
    for kind in ("pairs", "hub", "two hubs", "pathways", "overlapping")
    for loadings in ("normal", "equal", "sign")
}
# Without interactions: 400 genomes of 25 sites.
SHORT: dict[str, Maker] = {
    "short-unlinked": lambda n, sites, seed: short_genome(400, 25, seed, 30, 0.0),
    "short-linked": lambda n, sites, seed: short_genome(400, 25, seed, 30, 0.5),
    "long-unlinked": lambda n, sites, seed: short_genome(400, 25, seed, 50_000, 0.0),
    "long-linked": lambda n, sites, seed: short_genome(400, 25, seed, 50_000, 0.5),
}
# For prediction: interactions are 10 % of the variance.
WEAK: dict[str, Maker] = {
    "null": ARCHITECTURES["null"],
    "additive": ARCHITECTURES["additive"],
    **{name: _planted(architecture=name, interaction_variance=0.1) for name in ("pairs", "hub", "modules")},
}


def _ancestry(
    samples: int | dict[str, int],
    n_sites: int,
    rng: np.random.Generator,
    demography: msprime.Demography | None = None,
) -> tskit.TreeSequence:
    """One chromosome with mutations, as a tree sequence."""
    ancestry_seed, mutation_seed = (int(s) for s in rng.integers(1, 2**31, size=2))
    trees = msprime.sim_ancestry(
        samples,
        sequence_length=n_sites // N_CHROMOSOMES * SPACING,
        recombination_rate=RATE,
        population_size=None if demography else POPULATION_SIZE,
        demography=demography,
        random_seed=ancestry_seed,
    )
    return msprime.sim_mutations(trees, rate=RATE, random_seed=mutation_seed)


def _common_variants(trees: tskit.TreeSequence) -> tuple[np.ndarray, np.ndarray]:
    """Dosages (n_samples, n_variants) and positions of all biallelic variants of frequency 0.05 or more."""
    dosage, position = [], []
    for variant in trees.variants(copy=False):
        frequency = np.count_nonzero(variant.genotypes) / trees.num_samples
        if variant.num_alleles == 2 and len(variant.site.mutations) == 1 and MAF <= frequency <= 1 - MAF:
            dosage.append((variant.genotypes[0::2] + variant.genotypes[1::2]).astype(np.int8))
            position.append(int(variant.site.position) + 1)  # tree sequences count from 0
    return np.array(dosage).T, np.array(position)


def _thin(n_variants: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """One variant at random from each of ``n`` equal stretches of them."""
    edge = np.linspace(0, n_variants, n + 1).astype(int)
    return rng.integers(edge[:-1], edge[1:])


def _additive_value(dosage: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sum of sites of equal variance and random sign: shape (n_samples,), mean 0."""
    value = dosage @ (rng.choice([-1.0, 1.0], dosage.shape[1]) / dosage.std(axis=0))
    return value - value.mean()


def _cohort(chromosomes: list[tuple[np.ndarray, np.ndarray]], trait: np.ndarray) -> Cohort:
    """A cohort of chromosomes, each dosages (n_samples, n_sites) and positions."""
    calls = np.ascontiguousarray(np.hstack([dosage for dosage, _ in chromosomes]))
    position = np.concatenate([p for _, p in chromosomes])
    chrom = np.repeat([str(c + 1) for c in range(len(chromosomes))], [len(p) for _, p in chromosomes])
    ids = np.array([f"{c}:{p}:A:G" for c, p in zip(chrom, position, strict=True)], dtype=object)
    n = len(ids)
    sites = Sites(ids, chrom, position, np.full(n, "A"), np.full(n, "G"), (("A/A", "A/G", "G/G"),) * n)
    samples = np.array([f"S{i}" for i in range(len(trait))], dtype=object)
    return Cohort(samples, sites, calls, phenotype=Phenotype("trait", trait))
