"""Columns of a table to the values of a trait and the variances of their measurement."""

from dataclasses import dataclass

import numpy as np

from genoattn.errors import InputError
from genoattn.io.phenotypes import choose_trait
from genoattn.io.replicates import replicate_means
from genoattn.io.tables import SampleTable, list_names, numeric_column


@dataclass(frozen=True)
class MeasurementColumns:
    """Columns of the phenotype table that hold the measurements.

    Parameters
    ----------
    trait
        The values; the only column there is if None.
    variance, se
        The variance of each value's measurement, or its standard error; one of the two at most.
    replicates
        Columns of replicate measurements, whose mean is the trait; instead of the three others.
    """

    trait: str | None = None
    variance: str | None = None
    se: str | None = None
    replicates: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether some column is named."""
        return bool(self.trait or self.variance or self.se or self.replicates)

    def check(self) -> None:
        """Raise InputError for columns that contradict each other."""
        if self.variance is not None and self.se is not None:
            raise InputError(
                f"variances in '{self.variance}' and standard errors in '{self.se}'; give one of the two"
            )
        if not self.replicates:
            return
        for given, what in ((self.trait, "trait"), (self.variance or self.se, "variance or standard error")):
            if given is not None:
                raise InputError(
                    f"{what} '{given}' beside replicates, which give mean and variance; give one or the other"
                )
        if len(set(self.replicates)) < max(len(self.replicates), 2):
            raise InputError(
                f"replicate columns {', '.join(self.replicates)}; name two different ones or more"
            )


@dataclass(frozen=True, eq=False)
class Measurements:
    """A trait as its table has it.

    Parameters
    ----------
    values
        Shape (n_rows,), NaN where missing.
    variance
        Shape (n_rows,), of the measurement, NaN where missing; None where the table does not tell.
    log
        What was done, in words.
    """

    name: str
    values: np.ndarray
    variance: np.ndarray | None
    log: tuple[str, ...] = ()


def read_measurements(table: SampleTable, columns: MeasurementColumns) -> Measurements:
    """The trait of a table with its measurement variances."""
    columns.check()
    used = [c for c in (columns.variance, columns.se, *columns.replicates) if c is not None]
    for name in used:
        if name not in table.columns:
            raise InputError(f"{table.path}: no column '{name}'; there are: {list_names(table.columns)}")
    if columns.replicates:
        return _replicates(table, columns.replicates)
    others = {k: v for k, v in table.columns.items() if k not in used}
    name = choose_trait(SampleTable(table.path, table.ids, others), columns.trait)
    values = numeric_column(table, name, "trait")
    if columns.variance is not None:
        return Measurements(name, values, _positive(table, columns.variance, "variance"))
    if columns.se is not None:
        return Measurements(name, values, _positive(table, columns.se, "standard error") ** 2)
    return Measurements(name, values, None)


def _positive(table: SampleTable, name: str, what: str) -> np.ndarray:
    """A column of numbers above zero, shape (n_rows,), NaN where missing."""
    values = numeric_column(table, name, what)
    wrong = ~(np.isnan(values) | ((values > 0) & np.isfinite(values)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{table.path}: {what} '{name}' of sample {table.ids[row]} is {values[row]:g} "
            f"({int(wrong.sum())} such rows); it must be finite and above zero, "
            "correct it, or write NA to leave the sample out"
        )
    return values


def _replicates(table: SampleTable, names: tuple[str, ...]) -> Measurements:
    values = np.column_stack([numeric_column(table, name, "replicate") for name in names])
    infinite = np.isinf(values)
    if infinite.any():
        row, k = np.argwhere(infinite)[0]
        raise InputError(
            f"{table.path}: replicate '{names[k]}' of sample {table.ids[row]} is infinite; "
            "correct it or write NA"
        )
    try:
        found = replicate_means(values)
    except ValueError as error:
        raise InputError(
            f"{table.path}: replicates {', '.join(names)}: {error}, which leaves no variance to estimate; "
            "give a variance column, or a trait alone"
        ) from None
    name = f"mean of {', '.join(names)}"
    worth = "infinitely many" if np.isinf(found.prior_df) else f"{found.prior_df:.1f}"
    line = (
        f"trait {name}: variance of a replicate {found.prior_variance:.4g} on average; each sample's own is "
        f"shrunk to it with {worth} degrees of freedom, and divided by its number of replicates"
    )
    return Measurements(name, found.mean, found.variance, (line,))
