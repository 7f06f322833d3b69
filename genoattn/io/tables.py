"""Tables of samples (phenotypes, covariates): text in, columns of text out, keyed by sample ID."""

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genoattn.errors import InputError
from genoattn.io.text import read_lines

# What stands for a missing value. "." is VCF's and no number or sensible category; -9 is not here, as it
# may be a measurement.
MISSING_TEXT = frozenset({"", "NA", "NaN", "nan", "."})
# Lines before the header, as MaveDB writes them; "#IID" and "# IID" are headers.
_COMMENT = re.compile(r"##|# (?!\s*(?:FID|IID|sample)\b)")


@dataclass(frozen=True)
class SampleTable:
    """A table of samples."""

    path: Path
    ids: tuple[str, ...]  # of the sample of each row, unique, case as written
    columns: dict[str, tuple[str, ...]]  # the others as text, in file order; PLINK's FID is left out

    def rows(self, samples: Iterable[str]) -> np.ndarray:
        """The row of each sample, shape (n_samples,); -1 for a sample without one."""
        row = {sample: i for i, sample in enumerate(self.ids)}
        return np.array([row.get(sample, -1) for sample in samples], dtype=np.intp)


def read_table(path: Path) -> SampleTable:
    """Read a table with a header line and an ``IID`` or ``sample`` column.

    Columns are separated by tabs if the header line has one, else by commas, else by spaces. PLINK's
    ``#FID IID`` is understood. Empty cells, ``NA``, ``NaN``, ``nan`` and ``.`` are missing values.
    """
    columns = read_columns(path, _check_header, "sample")
    id_column = "IID" if "IID" in columns else "sample"
    ids = columns.pop(id_column)
    if id_column == "IID":
        columns.pop("FID", None)
    check_ids(path, ids)
    return SampleTable(path, ids, columns)


def read_columns(
    path: Path, check_header: Callable[[Path, list[str]], None], unit: str
) -> dict[str, tuple[str, ...]]:
    """The cells of a table as text, by column, in file order; a row is a ``unit`` (sample, site)."""
    lines = enumerate(read_lines(path), start=1)
    header_line = next((line for _, line in lines if not _COMMENT.match(line)), "")
    separator = next((c for c in "\t," if c in header_line), None)
    header = _cells(header_line.removeprefix("#"), separator)
    check_header(path, header)
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"{path}: two columns are named '{name}'; rename one of them")
    rows = []
    for number, line in lines:
        if not line.strip():
            continue
        cells = _cells(line, separator)
        if len(cells) != len(header):
            raise InputError(
                f"{path}, line {number}: {len(cells)} columns, the header has {len(header)}; "
                "write NA for an empty cell"
            )
        rows.append(cells)
    if not rows:
        raise InputError(f"{path}: no rows below the header; add one for each {unit}")
    return dict(zip(header, zip(*rows, strict=True), strict=True))


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    if '"' in line:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
    return [cell.strip() for cell in line.split(separator)]


def _check_header(path: Path, header: list[str]) -> None:
    if "IID" not in header and "sample" not in header:
        raise InputError(
            f"{path}: no IID or sample column in the header ({list_names(header)}); name the ID column IID"
        )


def check_ids(path: Path, ids: tuple[str, ...]) -> None:
    """Raise InputError if a sample ID is missing or occurs twice."""
    seen: set[str] = set()
    for i, sample in enumerate(ids, start=1):
        if sample in MISSING_TEXT:
            raise InputError(f"{path}: row {i} has no sample ID; fill it in or remove the row")
        if sample in seen:
            raise InputError(f"{path}: sample ID '{sample}' has two rows; keep one of them")
        seen.add(sample)


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


def numeric_column(table: SampleTable, name: str, what: str) -> np.ndarray:
    """A column as float64, shape (n_rows,); NaN where missing, infinite where written so."""
    values = np.empty(len(table.ids))
    for i, (sample, text) in enumerate(zip(table.ids, table.columns[name], strict=True)):
        value = to_number(text)
        if value is None:
            raise InputError(
                f"{table.path}: {what} '{name}' of sample {sample} is '{text}', not a number; "
                "correct it or write NA if it is missing"
            )
        values[i] = value
    return values
