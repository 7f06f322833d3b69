"""Choice of the interacting sites: unlinked, common enough, and identifiable from the data."""

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from genoattn.errors import InputError
from genoattn.simulate.config import ISOLATED, MODULE_SIZE, SimulationConfig
from genoattn.simulate.genotypes import Genotypes

CAUSAL_MAF = 0.1
TAGGED_R2 = 0.9


@dataclass(frozen=True)
class Layout:
    """The sites of each planted interaction, ascending within a term.

    For ``modules`` term ``a * 10 + b`` couples site a of the first pathway with site b of the second.
    """

    terms: tuple[tuple[int, ...], ...]
    log: tuple[str, ...] = ()  # what had to be relaxed


def place_terms(config: SimulationConfig, genotypes: Genotypes, rng: np.random.Generator) -> Layout:
    """Choose the interacting sites.

    The sites of a term lie on different chromosomes. Each has a minor allele frequency of 0.1 or more, and
    no other kept site has r2 of 0.9 or more with it: two such sites could not be told apart by any method.
    Where too few sites are that common, all that pass ``maf`` are drawn from, and the log says so.
    """
    if not config.shares:
        return Layout(())
    frequency = genotypes.dosage.mean(axis=0) / 2
    minor = np.minimum(frequency, 1 - frequency)
    order = rng.permutation(len(minor))
    relaxed = f"interacting sites drawn from minor allele frequency {config.maf}: too few at {CAUSAL_MAF}"
    for least, log in ((CAUSAL_MAF, ()), (config.maf, (relaxed,))):
        terms = _place_among(config, genotypes, order[minor[order] >= least])
        if terms is not None:
            return Layout(tuple(tuple(sorted(term)) for term in terms), log)
    raise InputError(
        f"simulate: {config.n_sites} sites on {config.n_chromosomes} chromosomes do not hold "
        f"{config.n_causal} interacting sites unlinked and without another site at r2 >= {TAGGED_R2}; "
        "ask for more sites or fewer terms"
    )


def _place_among(
    config: SimulationConfig, genotypes: Genotypes, candidates: np.ndarray
) -> list[tuple[int, ...]] | None:
    # Growing the pool by halves keeps the r2 test to a few hundred sites however many there are.
    pool: list[int] = []
    tested, step = 0, max(64, 4 * config.n_causal)
    while tested < len(candidates):
        batch = candidates[tested : tested + step]
        pool += [int(s) for s in batch[largest_r2(genotypes.dosage, batch) < TAGGED_R2]]
        tested, step = tested + len(batch), 2 * step
        by_chrom: dict[str, list[int]] = {}
        for site in pool:
            by_chrom.setdefault(genotypes.sites.chrom[site], []).append(site)
        if config.architecture in ISOLATED:
            terms = _isolated(by_chrom, config.term_order, len(config.shares))
        elif config.architecture == "hub":
            terms = _hub(by_chrom, config.term_order, len(config.shares))
        else:
            terms = _modules(by_chrom)
        if terms is not None:
            return terms
    return None


def largest_r2(dosage: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Largest squared correlation of each site of ``index`` (k,) with any other site: (k,), 0 without one.

    ``dosage``: (n_samples, n_sites), complete, no site monomorphic.
    """

    def standard(columns: np.ndarray) -> np.ndarray:
        centred = columns.astype(np.float32) - columns.mean(axis=0, dtype=np.float64).astype(np.float32)
        return centred / np.linalg.norm(centred, axis=0)

    largest = np.zeros(len(index))
    tested = standard(dosage[:, index])
    for start in range(0, dosage.shape[1], 1024):
        block = np.arange(start, min(start + 1024, dosage.shape[1]))
        r2 = (tested.T @ standard(dosage[:, block])) ** 2
        r2[index[:, None] == block] = 0
        largest = np.maximum(largest, r2.max(axis=1))
    return largest


def _isolated(by_chrom: dict[str, list[int]], order: int, n_terms: int) -> list[tuple[int, ...]] | None:
    """Terms of sites of their own; taking from the fullest chromosomes first succeeds if anything does."""
    unused = {chrom: list(sites) for chrom, sites in by_chrom.items()}
    terms = []
    for _ in range(n_terms):
        fullest = sorted(unused, key=lambda chrom: -len(unused[chrom]))[:order]
        if len(fullest) < order or not all(unused[chrom] for chrom in fullest):
            return None
        terms.append(tuple(unused[chrom].pop() for chrom in fullest))
    return terms


def _hub(by_chrom: dict[str, list[int]], order: int, n_terms: int) -> list[tuple[int, ...]] | None:
    """One site with partners on other chromosomes; its own is the one with the fewest in the pool."""
    if not by_chrom:
        return None
    home = min(by_chrom, key=lambda chrom: len(by_chrom[chrom]))
    partners = {chrom: sites for chrom, sites in by_chrom.items() if chrom != home}
    terms = _isolated(partners, order - 1, n_terms)
    return None if terms is None else [(by_chrom[home][0], *term) for term in terms]


def _modules(by_chrom: dict[str, list[int]]) -> list[tuple[int, ...]] | None:
    """Two pathways on disjoint sets of chromosomes, every site of one with every site of the other."""
    halves: tuple[list[list[int]], list[list[int]]] = ([], [])
    for sites in sorted(by_chrom.values(), key=len, reverse=True):
        min(halves, key=lambda half: sum(map(len, half))).append(sites)
    # The first site of each chromosome, then the second of each, so that a pathway spans them.
    every = ([s for row in zip_longest(*half) for s in row if s is not None] for half in halves)
    first, second = (sites[:MODULE_SIZE] for sites in every)
    if len(first) < MODULE_SIZE or len(second) < MODULE_SIZE:
        return None
    return [(a, b) for a in first for b in second]
