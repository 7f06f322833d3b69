"""Cohorts with known terms: genotypes with real linkage, and phenotypes from a stated architecture."""

from genoattn.simulate.cohorts import Simulation, simulate_cohort, write_simulation
from genoattn.simulate.config import ARCHITECTURES, SimulationConfig

__all__ = ["ARCHITECTURES", "Simulation", "SimulationConfig", "simulate_cohort", "write_simulation"]
