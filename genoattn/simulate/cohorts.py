"""A simulated cohort and the terms that made its phenotype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genoattn.cohort import MISSING, Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.simulate.architecture import place_terms
from genoattn.simulate.config import SimulationConfig
from genoattn.simulate.effects import draw_effects
from genoattn.simulate.genotypes import simulate_genotypes
from genoattn.simulate.truth import truth_table

if TYPE_CHECKING:
    import pandas as pd

TRAIT = "trait"


@dataclass(frozen=True, eq=False)
class Simulation:
    """A cohort, and what is true of it.

    Parameters
    ----------
    cohort
        Genotypes with the phenotype ``trait``.
    truth
        The planted terms, in the columns of the interaction table; see
        :func:`genoattn.simulate.truth.truth_table`. The interactions asked for are the rows of the highest
        order.
    config
        The settings it was made with.
    centre
        Shape (n_sites,), mean dosage of the complete genotypes; the products of the truth are centred on it.
    genetic_value
        Shape (n_samples,), what the truth adds up to for each sample; phenotype or liability less noise.
    contig_lengths
        Base pairs of chromosomes ``1``, ``2``, ...
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
    return Simulation(
        cohort=cohort,
        truth=truth_table(effects, genotypes),
        config=config,
        centre=genotypes.dosage.mean(axis=0),
        genetic_value=effects.value,
        contig_lengths=genotypes.contig_lengths,
    )


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
