"""A table to Covariates: numeric columns as they are, categorical ones as dummies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from genoattn.cohort import Covariates
from genoattn.errors import InputError
from genoattn.io.tables import (
    MISSING_TEXT,
    SampleTable,
    check_decimal,
    list_names,
    numeric_column,
    to_number,
)

# Norm of the residual of a standardised column after regression on the others, over its own.
_RANK_TOLERANCE = 1e-8


@dataclass(frozen=True)
class CovariateColumns:
    """Covariates made of the columns of a table."""

    numeric: tuple[str, ...]  # names of the numeric columns
    levels: dict[str, tuple[str, ...]]  # of each categorical column, the first being the baseline
    names: tuple[str, ...]  # of the covariates in order: a numeric column's, or ``column=level``

    @classmethod
    def of(cls, names: Sequence[str], levels: Mapping[str, Sequence[str]]) -> CovariateColumns:
        """The plan behind the names and levels a model has stored."""
        dummies = {f"{column}={level}" for column, values in levels.items() for level in values[1:]}
        numeric = tuple(name for name in names if name not in dummies)
        return cls(numeric, {column: tuple(values) for column, values in levels.items()}, tuple(names))


def plan_covariates(table: SampleTable, rows: np.ndarray) -> CovariateColumns:
    """Decide on all rows which columns are numeric; levels of the others are those of ``rows``, sorted."""
    if not table.columns:
        raise InputError(
            f"{table.path}: no covariates, only the ID column; add columns or leave the table out"
        )
    numeric, names = [], []
    levels: dict[str, tuple[str, ...]] = {}
    for column, texts in table.columns.items():
        if is_numeric(table, column):
            numeric.append(column)
            names.append(column)
            continue
        levels[column] = tuple(sorted({texts[i] for i in rows} - MISSING_TEXT))
        if len(levels[column]) < 2:
            raise _constant(table, column, *(levels[column] or ("nothing",)))
        names += [f"{column}={level}" for level in levels[column][1:]]
    return CovariateColumns(tuple(numeric), levels, tuple(names))


def is_numeric(table: SampleTable, column: str, what: str = "covariate") -> bool:
    """Whether every value is a number; a slip of the pen among numbers must not make a category of each."""
    texts = table.columns[column]
    distinct = {text: to_number(text) for text in texts if text not in MISSING_TEXT}
    words = [text for text, value in distinct.items() if value is None]
    for word in words:
        check_decimal(table.path, what, column, table.ids[texts.index(word)], word)
    if words and 2 * len(words) < len(distinct):
        sample = table.ids[texts.index(words[0])]
        raise InputError(
            f"{table.path}: {what} '{column}' of sample {sample} is '{words[0]}' among numbers; "
            "correct it, write NA, or put a letter before every value to make it categorical"
        )
    return not words


def missing_rows(table: SampleTable) -> np.ndarray:
    """Whether a row lacks any of the table's values, shape (n_rows,)."""
    columns = table.columns.values()
    return np.array([any(c[i] in MISSING_TEXT for c in columns) for i in range(len(table.ids))])


def check_columns(table: SampleTable, plan: CovariateColumns) -> None:
    """Raise InputError if the table lacks a column of the plan."""
    absent = [name for name in (*plan.numeric, *plan.levels) if name not in table.columns]
    if absent:
        raise InputError(
            f"{table.path}: no covariate {list_names(absent)}, which the model has; "
            f"there are: {list_names(table.columns) or 'none'}"
        )


def only_planned(table: SampleTable, plan: CovariateColumns) -> SampleTable:
    """The table without the columns a model does not know."""
    check_columns(table, plan)
    columns = {name: table.columns[name] for name in (*plan.numeric, *plan.levels)}
    return replace(table, columns=columns)


def expand_covariates(
    table: SampleTable, rows: np.ndarray, names: Sequence[str], levels: Mapping[str, Sequence[str]]
) -> Covariates:
    """Covariates, with given names and levels, of rows (n_used,) without missing values."""
    plan = CovariateColumns.of(names, levels)
    check_columns(table, plan)
    columns: dict[str, np.ndarray] = {}
    for column in plan.numeric:
        values = numeric_column(table, column, "covariate")[rows]
        if not np.isfinite(values).all():
            sample = table.ids[rows[np.argmin(np.isfinite(values))]]
            raise InputError(
                f"{table.path}: covariate '{column}' of sample {sample} is not a finite number; "
                "correct it or write NA"
            )
        columns[column] = values
    for column, known in plan.levels.items():
        texts = np.array([table.columns[column][i] for i in rows], dtype=object)
        for i, text in zip(rows, texts, strict=True):
            if text not in known:
                raise InputError(
                    f"{table.path}: covariate '{column}' of sample {table.ids[i]} has the level '{text}', "
                    f"unseen when the model was fitted ({list_names(known)}); correct it or write NA"
                )
        for level in known[1:]:
            columns[f"{column}={level}"] = (texts == level).astype(np.float64)
    values = np.column_stack([np.zeros((len(rows), 0)), *(columns[name] for name in plan.names)])
    return Covariates(plan.names, values, plan.levels)


def check_covariates(table: SampleTable, covariates: Covariates) -> None:
    """Raise InputError if a column is constant, or dependent on the ones before it and the intercept."""
    values = covariates.values
    for column, name in zip(values.T, covariates.names, strict=True):
        if (column == column[0]).all():
            raise _constant(table, name, f"{column[0]:g}")
    if len(values) <= len(covariates.names):
        raise InputError(
            f"{table.path}: {len(covariates.names)} covariates for {len(values)} samples in use; use fewer"
        )
    residual_norm = residual_shares(values)
    if (residual_norm < _RANK_TOLERANCE).any():
        name = covariates.names[int(np.argmax(residual_norm < _RANK_TOLERANCE))]
        raise InputError(
            f"{table.path}: covariate '{name}' is a linear combination of the other covariates "
            "and the intercept; remove it"
        )


def residual_shares(values: np.ndarray) -> np.ndarray:
    """Norm of each column's residual after regression on those before it and the intercept, over its own.

    Columns (n_samples, n_columns) that vary; shape (n_columns,).
    """
    standardised = values - values.mean(axis=0)
    standardised /= np.linalg.norm(standardised, axis=0)
    # A zero on the diagonal of R: the column lies in the span of those before it.
    return np.abs(np.diag(np.linalg.qr(standardised, mode="r")))


def check_table_column(table: SampleTable, name: str, what: str) -> None:
    """Raise InputError if the table lacks a column."""
    if name not in table.columns:
        raise InputError(
            f"{table.path}: no column '{name}' for the {what}; there are: "
            f"{list_names(table.columns) or 'none'}"
        )


def _constant(table: SampleTable, name: str, found: str) -> InputError:
    return InputError(
        f"{table.path}: covariate '{name}' is constant ({found}) in the samples in use; remove it"
    )
