"""Cohorts from numpy arrays and pandas frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from genoattn.cohort import MISSING, Cohort, Covariates, FlowStep, Phenotype, Sites, copy_states

if TYPE_CHECKING:
    import pandas as pd


def cohort_of_arrays(
    genotypes: np.ndarray | pd.DataFrame,
    sites: pd.DataFrame | Sequence[str] | None,
    samples: Sequence[str] | None,
    phenotype: np.ndarray | pd.Series | Phenotype | None,
    covariates: pd.DataFrame | None,
    ploidy: int,
    trait: str,
) -> Cohort:
    """See :meth:`genoattn.cohort.Cohort.from_arrays`."""
    frame: Any = genotypes if hasattr(genotypes, "columns") else None
    names = frame.index if frame is not None and samples is None else samples
    values = np.asarray(np.ma.filled(np.ma.asarray(genotypes, dtype=np.float64), np.nan))
    if values.ndim != 2:
        raise ValueError(f"genotypes have shape {values.shape}, needed are (n_samples, n_sites)")
    names = [f"sample{i}" for i in range(1, len(values) + 1)] if names is None else names
    names = np.array([str(name) for name in names], dtype=object)
    values = np.where(np.isnan(values), MISSING, values)
    wrong = np.argwhere(((values < 0) & (values != MISSING)) | (values > ploidy))
    if len(wrong):
        sample, site = wrong[0]
        raise ValueError(
            f"genotypes of sample {names[sample] if sample < len(names) else sample} at site {site + 1} are "
            f"{values[sample, site]:g}, needed are 0 to {ploidy} copies, or -1 or NaN where missing"
        )
    is_hard = (values == np.rint(values)).all()
    if sites is None:
        sites = [f"site{k}" for k in range(1, values.shape[1] + 1)]
        sites = sites if frame is None else list(frame.columns)
    own = Cohort(
        names,
        _sites_of(sites, values.shape[1], ploidy),
        values.astype(np.int8 if is_hard else np.float32),
    )
    given = _phenotype_of(phenotype, names, trait)
    if covariates is not None:
        table = _in_order(covariates, names, "covariates")
        words = [name for name in table.columns if table[name].dtype.kind not in "iufb"]
        if words:
            raise ValueError(
                f"covariate {words[0]} is not of numbers; make a column of 0 and 1 for each level"
            )
        columns = Covariates(tuple(map(str, table.columns)), table.to_numpy(np.float64))
        own = replace(own, covariates=columns)
    if given is None:
        return own
    known = ~np.isnan(given.values)
    kept = own if known.all() else own.select_samples(known)
    n, n_known = len(names), int(known.sum())
    step = FlowStep(
        "samples", n, n_known, {} if n == n_known else {f"without a value of {given.name}": n - n_known}
    )
    line = f"{n} samples with genotypes, kept {n_known}"
    return replace(kept, phenotype=given.select(known), log=(line,), flow=(step,))


def _sites_of(sites: Any, n_sites: int, ploidy: int) -> Sites:
    """Sites of a frame, or of IDs alone."""
    columns = {name: list(sites[name]) for name in sites.columns} if hasattr(sites, "columns") else {}
    n = len(sites)
    if n != n_sites:
        raise ValueError(f"{n} sites for {n_sites} columns of genotypes")
    ref = [str(text) for text in columns.get("ref", ["ref"] * n)]
    alt = [str(text) for text in columns.get("alt", ["alt"] * n)]
    if "id" in columns or not columns:
        ids = [str(name) for name in columns.get("id", sites)]
    else:
        ids = [
            f"{c}:{p}:{r}:{a}" for c, p, r, a in zip(columns["chrom"], columns["pos"], ref, alt, strict=True)
        ]
    # Sites of unknown place are not on one chromosome, nor near each other.
    chrom = [str(name) for name in columns.get("chrom", ids)]
    pos = columns.get("pos", [1] * n)
    unsound = [p for p in pos if not (p == p and int(p) == p and p >= 0)]
    if unsound:
        raise ValueError(f"position {unsound[0]} is not a whole number of bases")
    states = tuple(copy_states(r, a, ploidy) for r, a in zip(ref, alt, strict=True))
    names, chromosomes, refs, alts = (np.array(column, dtype=object) for column in (ids, chrom, ref, alt))
    return Sites(names, chromosomes, np.array(pos), refs, alts, states)


def _in_order(table: Any, samples: np.ndarray, what: str) -> Any:
    """The rows of a pandas object that belong to the samples, in their order."""
    by_name = table.set_axis([str(name) for name in table.index], axis=0)
    absent = [name for name in samples if name not in by_name.index]
    if absent:
        raise ValueError(
            f"{what}: no row for sample {absent[0]} ({len(absent)} of {len(samples)} are absent)"
        )
    return by_name.loc[list(samples)]


def _phenotype_of(given: Any, samples: np.ndarray, trait: str) -> Phenotype | None:
    """A phenotype with NaN where missing; 0 and 1 alone are a binary trait."""
    if given is None or isinstance(given, Phenotype):
        return given
    if hasattr(given, "index") and hasattr(given, "loc"):
        trait = trait if given.name is None else str(given.name)
        given = _in_order(given, samples, "phenotype")
    values = np.asarray(given, dtype=np.float64)
    if values.shape != (len(samples),):
        raise ValueError(f"phenotype has shape {values.shape}, needed is ({len(samples)},)")
    known = values[~np.isnan(values)]
    return Phenotype(trait, values, binary=set(np.unique(known)) == {0.0, 1.0})
