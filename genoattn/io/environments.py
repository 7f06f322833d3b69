"""Columns of the covariate table as environments: sites of their own kind, behind those of the genome.

An environment is an entity like a site. A category is an indicator (0 or 1) of each level but the first; a
number counts units above its lowest value, a unit being its standard deviation, to three digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genoattn.cohort import ENVIRONMENT, Cohort, Covariates, Sites
from genoattn.errors import InputError
from genoattn.io.covariates import check_table_column, is_numeric, residual_shares
from genoattn.io.tables import SampleTable, list_names, numeric_column, to_number

_DEPENDENT = 1e-8  # norm of a residual after regression on the covariates, over its own
_MOST_LEVELS = 50
_MOST_UNITS = 100  # standard deviations between the lowest and the highest value


@dataclass(frozen=True)
class Environment:
    """One environment: a category by its levels, or a number by its range."""

    name: str
    levels: tuple[str, ...] = ()  # of a category, the reference first; empty for a number
    lowest: float = 0.0
    highest: float = 0.0
    unit: float = 1.0  # what an increase of 1 in the calls is

    @property
    def names(self) -> tuple[str, ...]:
        """IDs of its sites: the name, or ``name=level`` for each level but the first of three or more."""
        if len(self.levels) < 3:
            return (self.name,)
        return tuple(f"{self.name}={level}" for level in self.levels[1:])

    def sites(self, number: int) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
        """ID, reference, state counted and all states of each of its sites."""
        if not self.levels:
            n_units = int(np.ceil((self.highest - self.lowest) / self.unit + 1e-6))  # calls are rounded
            labels = [f"{self.lowest + k * self.unit:.6g}" for k in range(n_units)]
            yield self.name, _exact(self.lowest), f"+{self.unit:g}", (*labels, _exact(self.highest))
        for name, level in zip(self.names, self.levels[1:], strict=bool(self.levels)):
            reference = self.levels[0] if len(self.levels) == 2 else "other"
            yield name, self.levels[0], level, (reference, level)

    def calls(self, table: SampleTable, rows: np.ndarray) -> np.ndarray:
        """Calls of rows (n_used,) of a table at its sites, (n_used, n_sites): int8, of a number float32."""
        if not self.levels:
            values = _numbers(table, self.name, rows)
            outside = (values < self.lowest) | (values > self.highest)
            if outside.any():
                at = int(np.argmax(outside))
                raise InputError(
                    f"{table.path}: environment '{self.name}' of sample {table.ids[rows[at]]} is "
                    f"{values[at]:g}, outside of {self.lowest:g} to {self.highest:g}, the range of the fit; "
                    "the model says nothing there, leave the sample out"
                )
            return ((values - self.lowest) / self.unit).astype(np.float32)[:, None]
        texts = _labels(table, self.name, rows, all(to_number(level) is not None for level in self.levels))
        for row, text in zip(rows, texts, strict=True):
            if text not in self.levels:
                raise InputError(
                    f"{table.path}: environment '{self.name}' of sample {table.ids[row]} has the level "
                    f"'{text}', which the fit never saw ({list_names(self.levels)}); correct it or write NA"
                )
        return np.stack([texts == level for level in self.levels[1:]], axis=1).astype(np.int8)

    def record(self) -> dict[str, Any]:
        """What it is, for a manifest."""
        if self.levels:
            return {"name": self.name, "reference": self.levels[0], "levels": list(self.levels)}
        return {"name": self.name, "lowest": self.lowest, "highest": self.highest, "unit": self.unit}


def plan_environments(table: SampleTable, names: Sequence[str], rows: np.ndarray) -> tuple[Environment, ...]:
    """What the columns ``names`` of a table are among the rows (n_used,).

    Raises
    ------
    InputError
        Where a column is not there, has one value, or has too many levels.
    """
    return tuple(_plan(table, name, rows) for name in names)


def _plan(table: SampleTable, name: str, rows: np.ndarray) -> Environment:
    check_table_column(table, name, "environment")
    numeric = is_numeric(table, name, "environment")
    if numeric:
        values = _numbers(table, name, rows)
        distinct = np.unique(values)
        if len(distinct) > 2:
            unit = float(f"{values.std():.3g}")
            if distinct[-1] - distinct[0] > _MOST_UNITS * unit:
                raise InputError(
                    f"{table.path}: environment '{name}' has values from {distinct[0]:g} to {distinct[-1]:g} "
                    f"and a standard deviation of {unit:g}; correct what is so far from the others"
                )
            digits = 3 - int(np.floor(np.log10(unit)))  # a thousandth of a unit, to be read with ease
            ends = _outwards(distinct[0], digits, np.floor), _outwards(distinct[-1], digits, np.ceil)
            return Environment(name, (), *ends, unit)
        levels = [f"{value:.10g}" for value in distinct]
    else:
        levels = sorted(set(_labels(table, name, rows, False).tolist()))
    if len(levels) < 2:
        raise InputError(
            f"{table.path}: environment '{name}' has one level ({levels[0] if levels else 'none'}) in the "
            "samples in use; an interaction with it needs two"
        )
    if len(levels) > _MOST_LEVELS:
        raise InputError(
            f"{table.path}: environment '{name}' has {len(levels)} levels, at most {_MOST_LEVELS} can be "
            "modelled; group them, or write a number"
        )
    return Environment(name, tuple(levels))


def check_environments(
    table: SampleTable,
    environments: Sequence[Environment],
    calls: np.ndarray,
    covariates: Covariates | None,
) -> None:
    """Raise InputError where an environment is a combination of covariates and the environments before it."""
    n = len(calls)
    fixed = np.zeros((n, 0)) if covariates is None else covariates.values
    names = [name for e in environments for name in e.names]
    if n <= fixed.shape[1] + len(names) + 1:
        raise InputError(
            f"{table.path}: {fixed.shape[1] + len(names)} covariates and environments for {n} samples in "
            "use; use fewer"
        )
    shares = residual_shares(np.column_stack([fixed, calls.astype(np.float64)]))[fixed.shape[1] :]
    if (shares < _DEPENDENT).any():
        at = int(np.argmax(shares < _DEPENDENT))
        name = names[at]
        among = list_names([*(() if covariates is None else covariates.names), *names[:at]], 5)
        raise InputError(
            f"{table.path}: environment '{name}' is a linear combination of {among}; nothing tells them "
            "apart, keep one of them"
        )


def add_environments(cohort: Cohort, environments: Sequence[Environment], calls: np.ndarray) -> Cohort:
    """The cohort with sites for environments behind its own, given their calls (n_samples, n_added).

    Raises
    ------
    InputError
        Where the name of an environment is the ID of a site.
    """
    if not environments:
        return cohort
    old = cohort.sites
    added = [(k, *site) for k, e in enumerate(environments, 1) for site in e.sites(k)]
    pos, ids, ref, alt, states = zip(*added, strict=True)
    taken = set(ids) & set(old.ids)
    if taken:
        raise InputError(
            f"environment '{sorted(taken)[0]}' has the name of a site of the genotypes; rename the column"
        )
    blank = np.full(len(ids), "", dtype=object)
    sites = Sites(
        np.concatenate([old.ids, np.array(ids, dtype=object)]),
        np.concatenate([old.chrom, np.full(len(ids), ENVIRONMENT, dtype=object)]),
        np.concatenate([old.pos, pos]),
        np.concatenate([old.ref, np.array(ref, dtype=object)]),
        np.concatenate([old.alt, np.array(alt, dtype=object)]),
        (*old.states, *states),
        {name: np.concatenate([labels, blank]) for name, labels in old.features.items()},
    )
    # Sites by rows, as files are read: each column of the cohort then lies in one piece.
    joined = np.concatenate([cohort.calls.T, calls.T], dtype=np.result_type(cohort.calls, calls)).T
    single = cohort.is_haploid
    if single is not None:
        single = np.column_stack([single, np.zeros(calls.shape, dtype=bool)])
    lines = tuple(environment_line(e) for e in environments)
    return replace(cohort, sites=sites, calls=joined, is_haploid=single, log=(*cohort.log, *lines))


def environments_of(sites: Sites) -> tuple[Environment, ...]:
    """The environments among sites, as :func:`add_environments` has added them."""
    out = []
    at = np.flatnonzero(sites.is_environment)
    for number in dict.fromkeys(sites.pos[at].tolist()):
        own = [int(k) for k in at if sites.pos[k] == number]
        first = own[0]
        name, ref, alt, states = sites.ids[first], sites.ref[first], sites.alt[first], sites.states[first]
        if states[1] != alt:
            out.append(Environment(name, (), float(ref), float(states[-1]), float(alt)))
            continue
        name = name if states[0] != "other" or len(own) == 1 else name.removesuffix(f"={alt}")
        out.append(Environment(name, (ref, *(sites.alt[k] for k in own))))
    return tuple(out)


def environment_records(sites: Sites) -> dict[str, Any]:
    """The environments among sites, for the model of a manifest; nothing where there are none."""
    found = [e.record() for e in environments_of(sites)]
    return {"environments": found} if found else {}


def environment_line(environment: Environment) -> str:
    """What an environment is, in words."""
    if environment.levels:
        first, *others = environment.levels
        return f"environment {environment.name}: {', '.join(others)} compared with {first}"
    return (
        f"environment {environment.name}: {environment.lowest:g} to {environment.highest:g}, in units of "
        f"{environment.unit:g} (its standard deviation)"
    )


def _outwards(value: float, digits: int, towards: Callable[[float], float]) -> float:
    """A value rounded down or up to a number of digits behind the point; itself where it has no more."""
    rounded = round(float(value), digits)
    if rounded == value:
        return rounded
    return round(float(towards(float(value) * 10.0**digits)) / 10.0**digits, digits)


def _exact(value: float) -> str:
    """The shortest text that is read as the same number."""
    return repr(value).removesuffix(".0")


def _numbers(table: SampleTable, name: str, rows: np.ndarray) -> np.ndarray:
    values = numeric_column(table, name, "environment")[rows]
    if not np.isfinite(values).all():
        sample = table.ids[rows[np.argmin(np.isfinite(values))]]
        raise InputError(
            f"{table.path}: environment '{name}' of sample {sample} is not a finite number; correct it or "
            "write NA"
        )
    return values


def _labels(table: SampleTable, name: str, rows: np.ndarray, numbers: bool) -> np.ndarray:
    """Levels of rows as text, (n_used,); of numbers 1.0 is 1."""
    texts = [table.columns[name][i] for i in rows]
    if numbers:
        values = [to_number(text) for text in texts]
        texts = [t if v is None else f"{v:.10g}" for t, v in zip(texts, values, strict=True)]
    return np.array(texts, dtype=object)
