"""Samples matched with their phenotypes and covariates by ID, never by order."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from genoattn.cohort import Cohort, Covariates
from genoattn.errors import InputError
from genoattn.io.covariates import (
    CovariateColumns,
    check_covariates,
    expand_covariates,
    missing_rows,
    only_planned,
    plan_covariates,
)
from genoattn.io.filters import with_log
from genoattn.io.measurements import MeasurementColumns, read_measurements
from genoattn.io.phenotypes import TraitType, Transform, build_phenotype, with_variance
from genoattn.io.tables import SampleTable, read_table


class _Tally:
    """Samples in use, and counts of the others by the first reason to drop them."""

    def __init__(self, n_samples: int) -> None:
        self.keep = np.ones(n_samples, dtype=bool)
        self._counts: list[tuple[int, str]] = []

    def drop(self, out: np.ndarray, reason: str) -> None:
        self._counts.append((int((out & self.keep).sum()), reason))
        self.keep &= ~out

    def reasons(self) -> str:
        return ", ".join(f"{n} {reason}" for n, reason in self._counts)


def match_phenotype(
    cohort: Cohort,
    table: SampleTable,
    columns: MeasurementColumns,
    transform: Transform,
    trait_type: TraitType,
    covar: Path | None,
) -> Cohort:
    """The samples with a phenotype and all covariates, in the order of the genotype file."""
    measured = read_measurements(table, columns)
    name, path = measured.name, table.path
    rows = _rows(cohort, table)
    values = np.append(measured.values, np.nan)[rows]  # (sample,), NaN without a row
    tally = _Tally(cohort.n_samples)
    tally.drop(rows < 0, f"without a row in {path}")
    tally.drop(np.isnan(values), f"without a value of {name}")
    variance = None
    if measured.variance is not None:
        variance = np.append(measured.variance, np.nan)[rows]
        tally.drop(np.isnan(variance), "without a variance of the measurement")
    covariate_table = None if covar is None else read_table(covar)
    if covariate_table is not None:
        if name in covariate_table.columns:
            raise InputError(
                f"{covar}: covariate '{name}' is the trait itself; give a table without that column"
            )
        covariate_rows = _drop_without_covariates(cohort, covariate_table, tally)
    kept = _keep(cohort, tally)
    values = values[tally.keep]
    phenotype, lines = build_phenotype(path, name, kept.samples, values, trait_type, transform)
    if variance is not None:
        phenotype, line = with_variance(path, phenotype, values, variance[tally.keep])
        lines.append(line)
    unused = len(table.ids) - int((rows >= 0).sum())
    if unused:
        lines.append(f"{unused} rows of {path} have no genotypes")
    kept = with_log(replace(kept, phenotype=phenotype), *measured.log, *lines)
    if covariate_table is None:
        return kept
    return _with_new_covariates(kept, covariate_table, covariate_rows[tally.keep])


def match_covariates(cohort: Cohort, path: Path, like: Covariates | None) -> Cohort:
    """The samples with all covariates, expanded to the names and levels of a fitted model or on their own."""
    table = read_table(path)
    if like is not None:
        table = only_planned(table, CovariateColumns.of(like.names, like.levels))
    tally = _Tally(cohort.n_samples)
    rows = _drop_without_covariates(cohort, table, tally)
    kept = _keep(cohort, tally)
    rows = rows[tally.keep]
    if like is None:
        return _with_new_covariates(kept, table, rows)
    return replace(kept, covariates=expand_covariates(table, rows, like.names, like.levels))


def _rows(cohort: Cohort, table: SampleTable) -> np.ndarray:
    """The table's row for each sample, shape (n_samples,), -1 for none; an error if there is none at all."""
    rows = table.rows(cohort.samples)
    if (rows < 0).all():
        ours = ", ".join(str(sample) for sample in cohort.samples[:3])
        theirs = ", ".join(table.ids[:3])
        raise InputError(
            f"{table.path}: no sample in common with the genotypes; IDs there: {theirs}; "
            f"IDs of the genotypes: {ours}; make them alike"
        )
    return rows


def _drop_without_covariates(cohort: Cohort, table: SampleTable, tally: _Tally) -> np.ndarray:
    rows = _rows(cohort, table)
    tally.drop(rows < 0, f"without a row in {table.path}")
    tally.drop(np.append(missing_rows(table), False)[rows], "with a missing covariate")
    return rows


def _keep(cohort: Cohort, tally: _Tally) -> Cohort:
    reasons = tally.reasons()
    if not tally.keep.any():
        raise InputError(f"no sample is left of {cohort.n_samples}: {reasons}; check the tables")
    line = f"{cohort.n_samples} samples with genotypes, kept {int(tally.keep.sum())} ({reasons})"
    kept = cohort if tally.keep.all() else cohort.select_samples(tally.keep)
    return with_log(kept, line)


def _with_new_covariates(cohort: Cohort, table: SampleTable, rows: np.ndarray) -> Cohort:
    plan = plan_covariates(table, rows)
    covariates = expand_covariates(table, rows, plan.names, plan.levels)
    check_covariates(table, covariates)
    lines = [
        f"covariate {column}: categorical, {len(levels)} levels, baseline {levels[0]}"
        for column, levels in plan.levels.items()
    ]
    return with_log(replace(cohort, covariates=covariates), *lines)
