"""Genotypes of a sample of diploids: coalescent with recombination, or independent sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genoattn.cohort import Sites
from genoattn.errors import InputError
from genoattn.simulate.config import SimulationConfig

if TYPE_CHECKING:
    import tskit

RECOMBINATION_RATE = 1e-8
MUTATION_RATE = 1e-8
POPULATION_SIZE = 10_000
SPACING = 10_000  # base pairs a kept site
MAX_DOUBLINGS = 6
LETTERS = np.array(list("ACGT"), dtype=object)


@dataclass(frozen=True, eq=False)
class Genotypes:
    """Complete genotypes of simulated diploids."""

    dosage: np.ndarray  # (n_samples, n_sites), int8, copies of the effect allele, 0 to 2
    sites: Sites  # in order of chromosome and position
    contig_lengths: tuple[int, ...]  # base pairs of chromosomes ``1``, ``2``, ...


def simulate_genotypes(config: SimulationConfig, rng: np.random.Generator) -> Genotypes:
    """Genotypes of independent chromosomes, one site every 10 kb on average.

    Exactly ``n_sites`` biallelic sites of minor allele frequency ``maf`` or more in the sample.
    """
    one = _coalescent_chromosome if config.linkage == "msprime" else _independent_chromosome
    per_chromosome = np.diff(np.linspace(0, config.n_sites, config.n_chromosomes + 1).astype(int))
    parts = [one(config.n_samples, int(n), config.maf, rng) for n in per_chromosome]
    chrom = np.repeat([str(i + 1) for i in range(config.n_chromosomes)], per_chromosome)
    dosage, pos, ref, alt = (np.concatenate([part[k] for part in parts]) for k in range(4))
    # The IDs are those a reader gives to records that carry none, so writing and reading agree.
    ids = [f"{c}:{p}:{r}:{a}" for c, p, r, a in zip(chrom, pos, ref, alt, strict=True)]
    states = tuple((f"{r}/{r}", f"{r}/{a}", f"{a}/{a}") for r, a in zip(ref, alt, strict=True))
    sites = Sites(np.array(ids, dtype=object), chrom, pos, ref, alt, states)
    return Genotypes(np.ascontiguousarray(dosage.T), sites, tuple(part[4] for part in parts))


# Dosage (site, sample), pos, ref, alt, length.
_Chromosome = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]


def _coalescent_chromosome(n_samples: int, n_sites: int, maf: float, rng: np.random.Generator) -> _Chromosome:
    # Expected from the neutral frequency spectrum: theta times the integral of 1/x from maf to 1 - maf.
    theta = 4 * POPULATION_SIZE * MUTATION_RATE
    candidates_per_site = theta * SPACING * np.log((1 - maf) / maf)
    length = int(np.ceil(n_sites * SPACING * max(1.0, 2 / candidates_per_site)))
    for _ in range(MAX_DOUBLINGS):
        ts = _ancestry_with_mutations(n_samples, length, rng)
        candidates = _biallelic_sites(ts, maf)
        if len(candidates) >= n_sites:
            # One candidate at random from each of ``n_sites`` equal stretches of them, in order.
            edge = np.linspace(0, len(candidates), n_sites + 1).astype(int)
            return (*_decode(ts, candidates[rng.integers(edge[:-1], edge[1:])]), length)
        length *= 2
    raise InputError(
        f"simulate: only {len(candidates)} of {n_sites} sites with minor allele frequency {maf} or more in "
        f"{length // 2} base pairs; lower maf or raise n_samples"
    )


def _ancestry_with_mutations(n_samples: int, length: int, rng: np.random.Generator) -> tskit.TreeSequence:
    import msprime

    ancestry_seed, mutation_seed = rng.integers(1, 2**31, size=2)
    ts = msprime.sim_ancestry(
        n_samples,
        sequence_length=length,
        recombination_rate=RECOMBINATION_RATE,
        population_size=POPULATION_SIZE,
        random_seed=int(ancestry_seed),
    )
    return msprime.sim_mutations(ts, rate=MUTATION_RATE, random_seed=int(mutation_seed))


def _biallelic_sites(ts: tskit.TreeSequence, maf: float) -> np.ndarray:
    """IDs of the sites with one mutation (so two alleles) and minor allele frequency at least ``maf``."""
    keep = []
    for variant in ts.variants(copy=False):
        if variant.num_alleles == 2 and len(variant.site.mutations) == 1:
            frequency = np.count_nonzero(variant.genotypes) / ts.num_samples
            if min(frequency, 1 - frequency) >= maf:
                keep.append(variant.site.id)
    return np.array(keep, dtype=np.int64)


def _decode(
    ts: tskit.TreeSequence, site_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    import tskit

    variant = tskit.Variant(ts)
    dosage = np.empty((len(site_ids), ts.num_individuals), dtype=np.int8)
    pos = np.empty(len(site_ids), dtype=np.int64)
    alleles = np.empty((len(site_ids), 2), dtype=object)
    for row, site_id in enumerate(site_ids):
        variant.decode(int(site_id))
        dosage[row] = variant.genotypes[0::2] + variant.genotypes[1::2]
        pos[row] = int(variant.site.position) + 1  # tree sequences count from 0
        alleles[row] = variant.alleles
    return dosage, pos, alleles[:, 0], alleles[:, 1]


def _independent_chromosome(
    n_samples: int, n_sites: int, maf: float, rng: np.random.Generator
) -> _Chromosome:
    dosage = np.empty((n_sites, n_samples), dtype=np.int8)
    to_draw = np.arange(n_sites)
    while len(to_draw):  # a draw whose sample frequency falls below maf is drawn again
        frequency = rng.uniform(maf, 0.5, size=len(to_draw))
        dosage[to_draw] = rng.binomial(2, frequency[:, None], size=(len(to_draw), n_samples))
        sampled = dosage[to_draw].mean(axis=1) / 2
        to_draw = to_draw[np.minimum(sampled, 1 - sampled) < maf]
    pos = np.arange(n_sites) * SPACING + rng.integers(1, SPACING + 1, size=n_sites)
    ref = rng.integers(0, 4, size=n_sites)
    alt = (ref + rng.integers(1, 4, size=n_sites)) % 4
    return dosage, pos, LETTERS[ref], LETTERS[alt], n_sites * SPACING
