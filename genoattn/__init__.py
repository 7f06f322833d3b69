"""genoattn: which alleles act together, as an exact table of interaction coefficients."""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

# Names are resolved on first use, so that `import genoattn` and `genoattn --help` do not import torch.
_HOME = {
    "Cohort": "genoattn.cohort",
    "describe_file": "genoattn.describe.describe_file",
    "InputError": "genoattn.errors",
    "OutputError": "genoattn.errors",
    "read": "genoattn.io",
    "scan_marginal": "genoattn.inference.marginal_scan",
    "scan_pairs": "genoattn.scan.pair_scan",
    "scan_traits": "genoattn.scan.traits",
    "scan_triples": "genoattn.scan.triples.triple_api",
    "fit": "genoattn.fitting.fit",
    "discover": "genoattn.inference.discovery",
    "phantom_check": "genoattn.inference.phantom",
    "suggest": "genoattn.design.suggest",
    "CohortData": "genoattn.model.data",
    "EpistasisModule": "genoattn.fitting.epistasis_module",
    "FitConfig": "genoattn.fitting.fit_settings",
    "FitResult": "genoattn.fitting.fit_result",
    "HyperAttentionClassifier": "genoattn.estimators",
    "HyperAttentionRegressor": "genoattn.estimators",
    "InteractionTable": "genoattn.interactions.table",
    "load_model": "genoattn.fitting.store",
    "with_environments": "genoattn.io",
    "load_interactions": "genoattn.interactions.table",
    "variance_components": "genoattn.inference.variance_components",
    "VarianceComponents": "genoattn.inference.variance_components",
    "write_report": "genoattn.report.write",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name == "plot":  # figures: a module, whose functions import matplotlib when first used
        return import_module("genoattn.plot")
    raise AttributeError(f"module 'genoattn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, "plot"])
