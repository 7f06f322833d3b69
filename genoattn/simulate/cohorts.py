"""A simulated cohort and the terms that made its phenotype, in memory and as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import genoattn
from genoattn.cohort import MISSING, Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.io.indexed import quiet_htslib
from genoattn.simulate.architecture import place_terms
from genoattn.simulate.config import SimulationConfig
from genoattn.simulate.effects import draw_effects, truth_table
from genoattn.simulate.genotypes import simulate_genotypes

if TYPE_CHECKING:
    import pandas as pd

TRAIT = "trait"
# Indexed by the call, so that a missing one (-1) takes the last.
_GENOTYPES = np.array([b"\t0/0", b"\t0/1", b"\t1/1", b"\t./."])


@dataclass(frozen=True, eq=False)
class Simulation:
    """A cohort, and what is true of it.

    Parameters
    ----------
    cohort
        Genotypes with the phenotype ``trait``.
    truth
        The planted terms, in the columns of the interaction table; see
        :func:`genoattn.simulate.effects.truth_table`. The interactions asked for are the rows of the highest
        order.
    config
        The settings it was made with.
    centre
        Shape (n_sites,), mean dosage of the complete genotypes; the products of the truth are centred on it.
    genetic_value
        Shape (n_samples,), what the truth adds up to for each sample; phenotype or liability less noise.
    contig_lengths
        Base pairs of chromosomes ``1``, ``2``, ...

    Examples
    --------
    >>> from genoattn.simulate import simulate_cohort
    >>> simulation = simulate_cohort(n_samples=200, n_sites=20, n_terms=2, linkage="none", seed=1)
    >>> len(simulation.truth[simulation.truth["order"] == 2])
    2
    >>> simulation.genetic_value.shape
    (200,)
    """

    cohort: Cohort
    truth: pd.DataFrame
    config: SimulationConfig
    centre: np.ndarray
    genetic_value: np.ndarray
    contig_lengths: tuple[int, ...]


def simulate_cohort(config: SimulationConfig | None = None, **settings: Any) -> Simulation:
    """Simulate genotypes and a phenotype with known interactions.

    The phenotype is the genetic value plus Gaussian noise, the noise scaled so that the phenotype has
    variance 1 in the sample. A binary trait thresholds that sum, the liability: the coefficients of the truth
    are then in liability units.

    Parameters
    ----------
    config
        The settings; None to give them as keywords instead.
    settings
        Fields of :class:`SimulationConfig`.

    Raises
    ------
    InputError
        Where the settings contradict each other or the simulated genotypes cannot carry the terms.

    Examples
    --------
    >>> simulation = simulate_cohort(n_samples=500, n_sites=100, architecture="pairs", n_terms=2, seed=1)
    >>> simulation.cohort
    Cohort(500 samples x 100 sites, genotype, trait trait, 0 covariates)
    """
    if config is not None and settings:
        raise TypeError("give a SimulationConfig or keywords, not both")
    config = config if config is not None else SimulationConfig(**settings)
    # One stream a purpose: the same seed gives the same genotypes whatever the architecture.
    genotype_rng, architecture_rng, noise_rng, missing_rng = (
        np.random.default_rng(sequence) for sequence in np.random.SeedSequence(config.seed).spawn(4)
    )
    genotypes = simulate_genotypes(config, genotype_rng)
    layout = place_terms(config, genotypes, architecture_rng)
    effects = draw_effects(config, genotypes, layout, architecture_rng)
    liability = effects.value + _noise(effects.value, noise_rng)
    calls = genotypes.dosage.copy()
    calls[missing_rng.random(calls.shape, dtype=np.float32) < config.missing] = MISSING
    width = len(str(config.n_samples))
    cohort = Cohort(
        samples=np.array([f"S{i:0{width}d}" for i in range(1, config.n_samples + 1)], dtype=object),
        sites=genotypes.sites,
        calls=calls,
        phenotype=_phenotype(liability, config.prevalence),
        log=(
            f"simulated {config.n_samples} samples x {config.n_sites} sites, seed {config.seed}",
            *layout.log,
        ),
    )
    truth, centre = truth_table(effects, genotypes), genotypes.dosage.mean(axis=0)
    return Simulation(cohort, truth, config, centre, effects.value, genotypes.contig_lengths)


def _noise(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise e times s > 0 such that var(value + s e) = s^2 var(e) + 2 s cov + var(value) = 1."""
    noise = rng.standard_normal(len(value))
    if not value.var() < 1:
        raise InputError(
            f"simulate: the terms are correlated in this sample and explain {value.var():.3f} of a phenotype "
            "variance of 1, which leaves nothing for noise; lower additive_variance or interaction_variance"
        )
    covariance = ((value - value.mean()) * (noise - noise.mean())).mean()
    root = np.sqrt(covariance**2 + noise.var() * (1 - value.var()))
    return noise * (root - covariance) / noise.var()


def _phenotype(liability: np.ndarray, prevalence: float | None) -> Phenotype:
    if prevalence is None:
        return Phenotype(TRAIT, liability)
    status = np.zeros(len(liability))
    n_cases = round(prevalence * len(liability))
    status[np.argsort(liability)[len(liability) - n_cases :]] = 1
    return Phenotype(TRAIT, status, binary=True)


def write_simulation(simulation: Simulation, directory: str | Path) -> None:
    """Write ``cohort.vcf.gz`` with its ``.tbi`` index, ``pheno.tsv`` and ``truth.tsv``.

    Parameters
    ----------
    simulation
        What to write. Genotypes are unphased: a cohort holds dosages. Positions, alleles and every digit of
        the phenotype survive being read back.
    directory
        Made if absent; files of these names are replaced.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort, write_simulation
    >>> write_simulation(simulate_cohort(n_samples=50, n_sites=10, linkage="none", seed=1), "simulated")
    >>> genoattn.read("simulated/cohort.vcf.gz", "simulated/pheno.tsv")
    Cohort(50 samples x 10 sites, genotype, trait trait, 0 covariates)
    """
    import pandas as pd
    import pysam

    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    cohort, vcf = simulation.cohort, folder / "cohort.vcf.gz"
    with quiet_htslib():
        with pysam.BGZFile(str(vcf), "wb", None) as file:
            file.write(_header(cohort, simulation.contig_lengths).encode())
            for index in range(cohort.n_sites):
                file.write(_record(cohort, index))
        pysam.tabix_index(str(vcf), preset="vcf", force=True)
    assert cohort.phenotype is not None
    trait = cohort.phenotype.values.astype(np.int64 if cohort.phenotype.binary else np.float64)
    pheno = pd.DataFrame({"IID": cohort.samples, cohort.phenotype.name: trait})
    pheno.to_csv(folder / "pheno.tsv", sep="\t", index=False)
    simulation.truth.to_csv(folder / "truth.tsv", sep="\t", index=False)


def _header(cohort: Cohort, contig_lengths: tuple[int, ...]) -> str:
    lines = [
        "##fileformat=VCFv4.3",
        f"##source=genoattn {genoattn.__version__} simulate",
        *(f"##contig=<ID={i},length={length}>" for i, length in enumerate(contig_lengths, start=1)),
        '##FILTER=<ID=PASS,Description="All filters passed">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *cohort.samples]),
    ]
    return "\n".join(lines) + "\n"


def _record(cohort: Cohort, index: int) -> bytes:
    s = cohort.sites
    fixed = [s.chrom[index], str(s.pos[index]), ".", s.ref[index], s.alt[index], ".", "PASS", ".", "GT"]
    return "\t".join(fixed).encode() + _GENOTYPES[cohort.calls[:, index]].tobytes() + b"\n"
