"""Samples matched with their phenotypes and covariates by ID, never by order; no genotypes are needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from genoattn.cohort import Cohort, Covariates, FlowStep, Phenotype
from genoattn.errors import InputError
from genoattn.io.covariates import (
    CovariateColumns,
    check_covariates,
    check_table_column,
    expand_covariates,
    missing_rows,
    only_planned,
    plan_covariates,
)
from genoattn.io.environments import (
    Environment,
    add_environments,
    check_environments,
    plan_environments,
)
from genoattn.io.measurements import MeasurementColumns, Measurements, read_measurements
from genoattn.io.phenotypes import TraitType, Transform, build_phenotype, with_variance
from genoattn.io.sample_ids import match_rows
from genoattn.io.sentinels import code_lines
from genoattn.io.tables import SampleTable


@dataclass(frozen=True, eq=False)
class SampleTables:
    """Tables of a cohort's samples, and what is asked of them."""

    phenotype: SampleTable | None = None
    covariates: SampleTable | None = None
    columns: MeasurementColumns = field(default_factory=MeasurementColumns)
    transform: Transform = "none"
    trait_type: TraitType = "auto"
    like: Covariates | None = None  # of a fitted model, to expand new ones as they were
    # columns of the covariates that are environments; or those of a fitted model
    environments: tuple[str | Environment, ...] = ()

    @property
    def environment_names(self) -> tuple[str, ...]:
        """Their columns."""
        return tuple(e if isinstance(e, str) else e.name for e in self.environments)


@dataclass(frozen=True, eq=False)
class SampleMatch:
    """The samples with everything asked for.

    Parameters
    ----------
    keep
        Shape (n_samples,), bool.
    phenotype, covariates
        Of the samples kept, in their order; None where none were given.
    environments, calls
        The environments, and their calls in the samples kept, (n_kept, n_added).
    log
        What was matched, kept and dropped, one line each.
    flow
        The same as counts; empty where there were no tables.
    """

    keep: np.ndarray
    phenotype: Phenotype | None
    covariates: Covariates | None
    log: tuple[str, ...]
    flow: tuple[FlowStep, ...] = ()
    environments: tuple[Environment, ...] = ()
    calls: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int8))

    def complete(self, cohort: Cohort) -> Cohort:
        """The cohort of the samples kept with their environments."""
        return add_environments(cohort, self.environments, self.calls)


class _Tally:
    """Samples in use, and counts of the others by the first reason to drop them."""

    def __init__(self, n_samples: int) -> None:
        self.keep = np.ones(n_samples, dtype=bool)
        self._counts: list[tuple[int, str]] = []

    def drop(self, out: np.ndarray, reason: str) -> None:
        self._counts.append((int((out & self.keep).sum()), reason))
        self.keep &= ~out

    def line(self) -> str:
        """What is kept; an error where that is nothing."""
        n = len(self.keep)
        reasons = ", ".join(f"{count} {reason}" for count, reason in self._counts)
        if not self.keep.any():
            raise InputError(f"no sample is left of {n}: {reasons}; check the tables")
        return f"{n} samples with genotypes, kept {int(self.keep.sum())} ({reasons})"

    def step(self) -> FlowStep:
        """The counts; tables are named without their folders."""
        left_out = {re.sub(r"(?<= in ).*/", "", reason): count for count, reason in self._counts if count}
        return FlowStep("samples", len(self.keep), int(self.keep.sum()), left_out)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of one table that belong to the samples."""

    table: SampleTable
    rows: np.ndarray  # (n_samples,), -1 for a sample without one
    log: tuple[str, ...]


def match_samples(
    samples: Sequence[str] | np.ndarray, families: Sequence[str] | np.ndarray | None, tables: SampleTables
) -> SampleMatch:
    """The samples with a phenotype and all covariates, where these are given.

    Parameters
    ----------
    samples
        Names, as in :class:`genoattn.cohort.Cohort`: IIDs, or ``FID:IID`` where the IID is not unique.
    families
        Their FIDs; None where the genotypes have none.
    tables
        What they are matched with.
    """
    tally = _Tally(len(samples))
    measured, phenotypes, covariates = None, None, None
    if tables.phenotype is not None:
        measured = read_measurements(tables.phenotype, tables.columns, tables.trait_type)
        phenotypes = _find(samples, families, tables.phenotype, tally)
        _drop_unmeasured(measured, phenotypes, tally)
    if tables.covariates is not None:
        covariates = _find(samples, families, _covariate_table(tables, measured), tally)
        missing = np.append(missing_rows(covariates.table), False)[covariates.rows]
        tally.drop(missing, "with a missing covariate")
    log = [tally.line()] if phenotypes or covariates else []
    flow = (tally.step(),) if log else ()
    phenotype = found = None
    match = SampleMatch(tally.keep, None, None, (), flow)
    if phenotypes is not None and measured is not None:
        log += [*phenotypes.log, *measured.log]
        phenotype, lines = _phenotype(np.asarray(samples)[tally.keep], tables, measured, phenotypes, tally)
        log += lines
    if covariates is not None:
        found, lines = _covariates(covariates, tally.keep, tables)
        log += [*covariates.log, *lines]
        match = _with_environments(match, covariates, found, tables)
        found = found if found.names else None
    return replace(match, phenotype=phenotype, covariates=found, log=tuple(log))


def _find(
    samples: Sequence[str] | np.ndarray,
    families: Sequence[str] | np.ndarray | None,
    table: SampleTable,
    tally: _Tally,
) -> _Rows:
    rows, lines = match_rows(samples, families, table)
    tally.drop(rows < 0, f"without a row in {table.path}")
    return _Rows(table, rows, (*table.log, *lines))


def _drop_unmeasured(measured: Measurements, found: _Rows, tally: _Tally) -> None:
    tally.drop(
        np.isnan(np.append(measured.values, np.nan)[found.rows]), f"without a value of {measured.name}"
    )
    if measured.variance is not None:
        variance = np.append(measured.variance, np.nan)[found.rows]
        tally.drop(np.isnan(variance), "without a variance of the measurement")


def _covariate_table(tables: SampleTables, measured: Measurements | None) -> SampleTable:
    """The table of covariates with the columns in use; the trait must not be one of them."""
    table, like = tables.covariates, tables.like
    assert table is not None
    if measured is not None and measured.name in table.columns:
        raise InputError(
            f"{table.path}: covariate '{measured.name}' is the trait itself; give a table without that column"
        )
    for name in tables.environment_names:
        check_table_column(table, name, "environment")
    if like is None:
        return table
    own = {name: table.columns[name] for name in tables.environment_names}
    kept = only_planned(table, CovariateColumns.of(like.names, like.levels))
    return replace(kept, columns={**kept.columns, **own})


def _phenotype(
    samples: np.ndarray, tables: SampleTables, measured: Measurements, found: _Rows, tally: _Tally
) -> tuple[Phenotype, list[str]]:
    """The phenotype of the samples kept, and what was found in words."""
    path, rows = found.table.path, found.rows[tally.keep]
    values = measured.values[rows]
    phenotype, lines = build_phenotype(
        path, measured.name, samples, values, tables.trait_type, tables.transform
    )
    if measured.variance is not None:
        phenotype, line = with_variance(path, phenotype, values, measured.variance[rows])
        lines.append(line)
    unused = len(found.table.ids) - int((found.rows >= 0).sum())
    if unused:
        lines.append(f"{unused} rows of {path} have no genotypes")
    return phenotype, lines


def _with_environments(
    match: SampleMatch, found: _Rows, covariates: Covariates, tables: SampleTables
) -> SampleMatch:
    """The match with the environments of the samples kept."""
    if not tables.environments:
        return match
    table, rows = found.table, found.rows[match.keep]
    known = {e.name: e for e in tables.environments if isinstance(e, Environment)}
    new = [name for name in tables.environment_names if name not in known]
    known |= {e.name: e for e in plan_environments(table, new, rows)}
    environments = tuple(known[name] for name in tables.environment_names)
    parts = [e.calls(table, rows) for e in environments]
    calls = np.concatenate(parts, axis=1, dtype=np.result_type(*parts))
    if new:
        check_environments(table, environments, calls, covariates)
    return replace(match, environments=environments, calls=calls)


def _covariates(found: _Rows, keep: np.ndarray, tables: SampleTables) -> tuple[Covariates, list[str]]:
    """Covariates of the samples kept: expanded like those of a fitted model, or on their own."""
    table, rows, like = found.table, found.rows[keep], tables.like
    others = {k: texts for k, texts in table.columns.items() if k not in tables.environment_names}
    if tables.environments:
        table = replace(table, columns=others)
    if tables.environments and not others and like is None:
        return Covariates((), np.zeros((len(rows), 0))), []
    if like is not None:
        return expand_covariates(table, rows, like.names, like.levels), []
    plan = plan_covariates(table, rows)
    covariates = expand_covariates(table, rows, plan.names, plan.levels)
    check_covariates(table, covariates)
    lines = [
        f"covariate {column}: categorical, {len(levels)} levels, baseline {levels[0]}"
        for column, levels in plan.levels.items()
    ]
    for name in plan.numeric:
        values = covariates.values[:, plan.names.index(name)]
        lines += code_lines(f"{table.path}: covariate '{name}'", f"covariate {name}", values)
    return covariates, lines
