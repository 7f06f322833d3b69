"""Columns of a table to the values of a trait and the variances of their measurement."""

from dataclasses import dataclass, replace

import numpy as np

from genoattn.errors import InputError
from genoattn.io.phenotypes import TraitType, choose_trait, trait_values
from genoattn.io.tables import SampleTable, list_names, numeric_column


@dataclass(frozen=True)
class MeasurementColumns:
    """Columns of the phenotype table that hold the measurements."""

    trait: str | None = None  # the only column there is if None
    variance: str | None = None  # of each value's measurement
    se: str | None = None  # the standard error, instead of the variance
    replicates: tuple[str, ...] = ()  # whose mean is the trait, instead of the three others

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
                    f"{what} '{given}' with replicates, which give mean and variance; give one or the other"
                )
        if len(set(self.replicates)) < max(len(self.replicates), 2):
            raise InputError(
                f"replicate columns {', '.join(self.replicates)}; name two different ones or more"
            )


@dataclass(frozen=True, eq=False)
class Measurements:
    """A trait as its table has it."""

    name: str
    values: np.ndarray  # (n_rows,), NaN where missing
    variance: np.ndarray | None  # (n_rows,), of the measurement; None where the table does not tell
    log: tuple[str, ...] = ()


def read_measurements(
    table: SampleTable, columns: MeasurementColumns, trait_type: TraitType = "auto"
) -> Measurements:
    """The trait of a table with its measurement variances."""
    columns.check()
    used = [c for c in (columns.variance, columns.se, *columns.replicates) if c is not None]
    for name in used:
        if name not in table.columns:
            raise InputError(f"{table.path}: no column '{name}'; there are: {list_names(table.columns)}")
    if columns.replicates:
        return _replicates(table, columns.replicates)
    others = {k: v for k, v in table.columns.items() if k not in used}
    name = choose_trait(replace(table, columns=others), columns.trait)
    values, lines = trait_values(table, name, trait_type)
    variance = None
    if columns.variance is not None:
        variance = _positive(table, columns.variance, "variance")
    elif columns.se is not None:
        variance = _positive(table, columns.se, "standard error") ** 2
    return Measurements(name, values, variance, tuple(lines))


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


@dataclass(frozen=True, eq=False)
class ReplicateMeans:
    """Means of replicates, (n_samples,), and their variances; NaN where a sample has none."""

    mean: np.ndarray
    variance: np.ndarray
    prior_variance: float  # of a replicate, before a sample's own are seen
    prior_df: float  # degrees of freedom that this is worth; infinite where samples do not differ in variance


def replicate_means(values: np.ndarray) -> ReplicateMeans:
    """Mean of replicates, with its variance by empirical Bayes.

    Two or three replicates say little of a sample's own variance, and weights of 1 / s^2 would be wild (and
    infinite where replicates agree). As in limma (Smyth 2004, section 6.2), s^2 with d degrees of freedom is
    shrunk to ``(d0 s0^2 + d s^2) / (d0 + d)``, with d0 and s0^2 fitted to all samples; over the number of
    replicates that is the variance of the mean. A sample with one replicate has the variance s0^2.
    ``values``: (n_samples, n_replicates), NaN where missing.
    """
    called = ~np.isnan(values)
    n = called.sum(axis=1)
    mean = np.where(n > 0, np.where(called, values, 0.0).sum(axis=1) / np.maximum(n, 1), np.nan)
    squares = (np.where(called, values - mean[:, None], 0.0) ** 2).sum(axis=1)
    df = np.maximum(n - 1, 0)
    repeated = df > 0
    if repeated.sum() < 2:
        raise ValueError("fewer than two samples have two replicates")
    s2 = squares[repeated] / df[repeated]
    if not (s2 > 0).any():
        raise ValueError("the replicates of every sample are the same")
    prior_variance, prior_df = _prior(s2, df[repeated].astype(float))
    if np.isinf(prior_df):
        posterior = np.full(len(values), prior_variance)
    else:
        posterior = (prior_df * prior_variance + squares) / (prior_df + df)
    variance = np.where(n > 0, posterior / np.maximum(n, 1), np.nan)
    return ReplicateMeans(mean, variance, prior_variance, prior_df)


def _prior(s2: np.ndarray, df: np.ndarray) -> tuple[float, float]:
    """s0^2 and d0 by the moments of log s^2, whose law is Fisher's z (Smyth 2004, section 6.2)."""
    from scipy.optimize import brentq
    from scipy.special import digamma, polygamma

    # A variance of zero has no logarithm; limma's offset.
    s2 = np.maximum(s2, 1e-5 * np.median(s2[s2 > 0]))
    e = np.log(s2) - digamma(df / 2) + np.log(df / 2)
    excess = e.var(ddof=1) - polygamma(1, df / 2).mean()
    # Half a billion degrees of freedom are as good as infinitely many.
    if excess <= 4e-9:
        return float((s2 * df).sum() / df.sum()), np.inf
    half = np.exp(brentq(lambda u: polygamma(1, np.exp(u)) - excess, np.log(1e-8), np.log(1e9)))
    return float(np.exp(e.mean() + digamma(half) - np.log(half))), float(2 * half)
