"""Cohorts with known terms: genotypes with real linkage, and phenotypes from a stated architecture."""

from genoattn.simulate.cohorts import Simulation, simulate_cohort
from genoattn.simulate.config import ARCHITECTURES, SimulationConfig
from genoattn.simulate.files import write_simulation

__all__ = ["ARCHITECTURES", "Simulation", "SimulationConfig", "simulate_cohort", "write_simulation"]
