"""Variance components of the cohort that a fit is of, and their rows among those of the model."""

from __future__ import annotations

import logging

import pandas as pd

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.inference.variance_components import VarianceComponents, variance_components

_log = logging.getLogger(__name__)


def cohort_variance(cohort: Cohort, seed: int, progress: bool) -> VarianceComponents | None:
    """Components of a cohort of genotypes, without pairs of chromosomes; None, with a log line, where none
    can be.

    See :func:`genoattn.variance_components`.
    """
    if cohort.kind != "genotype":
        return None
    try:
        return variance_components(cohort, by_chromosome=False, seed=seed, progress=progress)
    except InputError as error:
        _log.info("no variance components of the cohort: %s", error)
        return None


def with_cohort_rows(model: pd.DataFrame, cohort: VarianceComponents | None) -> pd.DataFrame:
    """Rows of ``variance_components.tsv``: of the model, then of the cohort, as ``source`` says."""
    rows = model.assign(source="model")
    if cohort is None:
        return rows
    own = cohort.components.drop(columns=["chrom_1", "chrom_2", "q_value"]).assign(source="cohort")
    return pd.concat([rows, own], ignore_index=True)
