"""Tables of samples (phenotypes, covariates): columns of text, keyed by sample ID."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genoattn.errors import InputError
from genoattn.io.table_cells import CheckHeader, TableSource, read_cells

_log = logging.getLogger(__name__)

# What stands for a missing value, in every table: empty, VCF's ".", and how R, pandas, Excel, SQL, C and
# Python write one. -9 is not here, as it may be a measurement; nor is "none", which may be a level.
MISSING_TEXT = frozenset(
    ("", *". NA na N/A n/a #N/A #NA <NA> NaN nan NAN -nan -NaN NULL null Null None".split())  # noqa: SIM905
)
# Names of the column of sample IDs: the first two as they stand, the others where these are absent, in any
# case.
ID_NAMES = ("IID", "sample", "sample_id", "sampleid", "id")
_PLINK_MISSING = re.compile(r"-9(\.0*)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class SampleTable:
    """A table of samples."""

    path: Path  # where it is from; of a DataFrame what messages call it
    ids: tuple[str, ...]  # of the sample of each row, case as written; unique, or so with their families
    columns: dict[str, tuple[str, ...]]  # the others as text, in file order
    families: tuple[str, ...] | None = None  # PLINK's FID of each row; None without that column
    plink: bool = False  # columns FID and IID: PLINK's rules for missing values hold
    log: tuple[str, ...] = ()


def read_table(source: TableSource, role: str = "table") -> SampleTable:
    """Read a table with a header and a column of sample IDs: ``IID`` or ``sample``.

    Text, Parquet or a DataFrame, as of :func:`genoattn.io.table_cells.read_cells`. PLINK's ``#FID IID`` is
    understood, and there -9 is a missing value, as are the words of ``MISSING_TEXT`` everywhere. ``role`` is
    what a DataFrame is called in messages.
    """
    cells = read_cells(source, _check_header, "sample", role, ID_NAMES)
    path, columns, log = cells.path, dict(cells.columns), list(cells.log)
    id_column = find_id_column(path, list(columns))
    ids = columns.pop(id_column)
    if id_column not in ID_NAMES[:2]:
        log.append(f"column {id_column} of {path} read as the sample IDs")
    families = columns.pop(next((name for name in columns if name.upper() == "FID"), ""), None)
    check_ids(path, ids, families)
    plink = families is not None and id_column.upper() == "IID"
    if plink:
        columns, n = without_minus_nine(columns)
        if n:
            log.append(f"{n} values of -9 in {path} read as missing (columns FID and IID, a table of PLINK)")
    return SampleTable(path, ids, columns, families, plink, tuple(log))


def read_columns(path: Path, check_header: CheckHeader, unit: str) -> dict[str, tuple[str, ...]]:
    """The cells of a table as text, by column, in file order; a row is a ``unit`` (variant)."""
    cells = read_cells(path, check_header, unit, "table", ID_NAMES)
    for line in cells.log:
        _log.info("%s", line)
    return cells.columns


def find_id_column(path: Path, header: Sequence[str]) -> str:
    """The column of sample IDs: ``IID``, ``sample``, or the only one with such a name in any case."""
    for name in ID_NAMES[:2]:
        if name in header:
            return name
    like = [name for name in header if name.lower().replace(" ", "_") in {n.lower() for n in ID_NAMES}]
    if len(like) == 1:
        return like[0]
    found = f"{list_names(like)} could each be it" if like else list_names(header)
    cure = "name the ID column IID"
    if any(to_number(name) is not None for name in header):  # PLINK reads tables without a header
        cure = "add a header line, with the ID column named IID"
    raise InputError(f"{path}: no IID or sample column in the header ({found}); {cure}")


def _check_header(path: Path, header: list[str]) -> None:
    find_id_column(path, header)


def check_ids(path: Path, ids: Sequence[str], families: Sequence[str] | None = None) -> None:
    """Raise InputError if a sample ID is missing, or occurs twice (in one family, where these are known)."""
    seen: set[tuple[str, str]] = set()
    for i, sample in enumerate(ids):
        if sample in MISSING_TEXT:
            raise InputError(f"{path}: row {i + 1} has no sample ID; fill it in or remove the row")
        family = "" if families is None else known_family(families[i])
        if (family, sample) in seen:
            of = f" of family {family}" if family else ""
            raise InputError(f"{path}: sample ID '{sample}'{of} has two rows; keep one of them")
        seen.add((family, sample))


def known_family(fid: str) -> str:
    """PLINK's FID, empty where there is none: ``0`` or a missing value."""
    return "" if fid == "0" or fid in MISSING_TEXT else fid


def without_minus_nine(
    columns: dict[str, tuple[str, ...]],
) -> tuple[dict[str, tuple[str, ...]], int]:
    """Columns with PLINK's missing value -9 as ``NA``, and how many there were."""
    n = 0
    out = {}
    for name, cells in columns.items():
        coded = [cell.startswith("-9") and _PLINK_MISSING.fullmatch(cell) is not None for cell in cells]
        n += sum(coded)
        out[name] = tuple("NA" if c else cell for c, cell in zip(coded, cells, strict=True))
    return out, n


def list_names(names: Iterable[str], most: int = 20) -> str:
    """Names for a message, the first ``most`` of them."""
    names = list(names)
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")


def to_number(text: str) -> float | None:
    """The number a cell holds, NaN where it is missing, None where it is not a number."""
    if text in MISSING_TEXT:
        return np.nan
    try:
        value = float(text)
    except ValueError:
        return None
    # float() also takes 1_000 and any case of nan, which no table means as numbers.
    return None if "_" in text or np.isnan(value) else value


def check_decimal(path: Path, what: str, name: str, sample: str, text: str) -> None:
    """Raise InputError for a number with a decimal comma."""
    if _DECIMAL_COMMA.fullmatch(text):
        raise InputError(
            f"{path}: {what} '{name}' of sample {sample} is '{text}', with a comma in the number; "
            "write the table with decimal points"
        )


def numeric_column(table: SampleTable, name: str, what: str) -> np.ndarray:
    """A column as float64, shape (n_rows,); NaN where missing, infinite where written so."""
    values = np.empty(len(table.ids))
    for i, (sample, text) in enumerate(zip(table.ids, table.columns[name], strict=True)):
        value = to_number(text)
        if value is None:
            check_decimal(table.path, what, name, sample, text)
            raise InputError(
                f"{table.path}: {what} '{name}' of sample {sample} is '{text}', not a number; "
                "correct it or write NA if it is missing"
            )
        values[i] = value
    return values
