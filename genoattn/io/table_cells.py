"""Cells of a table as text, by column: from a text file, a Parquet file or a DataFrame."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from genoattn.errors import InputError
from genoattn.io.frames import frame_columns, is_parquet, parquet_columns
from genoattn.io.text import check_file, read_lines

if TYPE_CHECKING:
    import pandas as pd

TableSource: TypeAlias = "str | PathLike[str] | pd.DataFrame"
# Lines before the header, as MaveDB writes them; "#IID" and "# IID" are headers.
_COMMENT = re.compile(r"##|# (?!\s*(?:FID|IID|sample)\b)")
CheckHeader = Callable[[Path, list[str]], None]


@dataclass(frozen=True)
class TableCells:
    """A table as it was written."""

    path: Path  # a DataFrame has none: what messages call it
    columns: dict[str, tuple[str, ...]]  # the text of each cell, in file order
    log: tuple[str, ...] = ()  # what was left out


def read_cells(
    source: TableSource,
    check_header: CheckHeader,
    unit: str,
    role: str,
    keys: Sequence[str],
) -> TableCells:
    """The cells of a table, a row of which is a ``unit`` (sample, site, variant).

    Parameters
    ----------
    source
        Text with a header line, whose columns are separated by tabs if that has one, else by commas or
        semicolons, whichever are more, else by spaces; or Parquet, or a DataFrame.
    check_header
        Raises InputError where columns are absent.
    role
        Name of a DataFrame in messages.
    keys
        Names that the index of a DataFrame (also one in a Parquet file) may have to be a column.
    """
    if not isinstance(source, str | PathLike):
        cells = TableCells(Path(role), frame_columns(Path(role), source, keys))
    else:
        path = Path(source)
        check_file(path)
        if is_parquet(path):
            cells = TableCells(path, parquet_columns(path, keys))
        else:
            return _text_cells(path, check_header, unit)
    check_header(cells.path, list(cells.columns))
    if not len(next(iter(cells.columns.values()))):
        raise InputError(f"{cells.path}: no rows; add one for each {unit}")
    return cells


def _text_cells(path: Path, check_header: CheckHeader, unit: str) -> TableCells:
    records = _records(path)
    _, header = next(records, (1, []))
    if not header:
        raise InputError(f"{path}: no line with text; write or copy it again")
    header[:1] = [name.removeprefix("#").strip() for name in header[:1]]
    names = [name for name in header if name]
    check_header(path, names)
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: two columns are named '{name}'; rename one of them")
    width = len(header)
    while width and not header[width - 1]:  # blank columns at the right end, as Excel leaves them
        width -= 1
    rows, n_blank_rows = [], 0
    for number, cells in records:
        if not any(cells):
            n_blank_rows += len(cells) > 1  # an empty line is no row
            continue
        if len(cells) < width or any(cells[width:]):
            raise _wrong_width(path, number, header, cells, width)
        rows.append(cells[:width])
    if not rows:
        raise InputError(f"{path}: no rows below the header; add one for each {unit}")
    columns = list(zip(*rows, strict=True))
    lines = _left_out(path, header[:width], columns, len(header) - width, n_blank_rows)
    return TableCells(
        path, {name: column for name, column in zip(header, columns, strict=False) if name}, lines
    )


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each record; a quoted cell may hold the separator and line ends."""
    lines = enumerate(read_lines(path), start=1)
    if path.suffix == ".fam":
        yield from _fam_records(path, lines)
        return
    number, line = next(((n, t) for n, t in lines if t.strip() and not _COMMENT.match(t)), (1, ""))
    if line.startswith("sep=") and len(line) == 5:  # Excel's way to say it
        separator: str | None = line[4]
    else:
        separator = _separator(line)
        yield number, _cells(path, number, line, separator, lines)
    for number, line in lines:
        yield number, _cells(path, number, line, separator, lines)


def _fam_records(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """IDs and phenotype of a .fam of PLINK, which has no header and six columns."""
    yield 0, ["FID", "IID", "phenotype"]
    for number, line in lines:
        cells = line.split()
        if cells and len(cells) != 6:
            raise InputError(
                f"{path}, line {number}: {len(cells)} columns, a .fam has 6; make it again with plink2"
            )
        if cells:
            yield number, [cells[0], cells[1], cells[5]]


def _separator(header: str) -> str | None:
    if "\t" in header:
        return "\t"
    return max(",;", key=header.count) if "," in header or ";" in header else None


def _cells(
    path: Path, number: int, line: str, separator: str | None, lines: Iterator[tuple[int, str]]
) -> list[str]:
    """Cells of one record; ``lines`` go on where a quoted cell does."""
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    rest = (f"{text}\n" for _, text in lines)
    first = line if separator else line.strip()
    reader = csv.reader(
        chain([f"{first}\n"], rest), delimiter=separator or " ", skipinitialspace=True, strict=True
    )
    try:
        return [cell.strip() for cell in next(reader)]
    except csv.Error as error:
        raise InputError(
            f"{path}, line {number}: quotes that do not enclose a cell ({error}); "
            'write "" for a quote inside a cell'
        ) from error


def _wrong_width(path: Path, number: int, header: list[str], cells: list[str], width: int) -> InputError:
    extra = next((i for i in range(width, len(cells)) if cells[i]), None)
    if extra is not None and extra < len(header):
        return _unnamed(path, extra, cells[extra])
    cure = "write NA for an empty cell"
    if len(cells) == width + 1:
        cure += ", and a table of R with row.names=FALSE"
    return InputError(f"{path}, line {number}: {len(cells)} columns, the header has {width}; {cure}")


def _unnamed(path: Path, index: int, value: str) -> InputError:
    return InputError(
        f"{path}: column {index + 1} has no name, but the value '{value}'; name it or remove it"
    )


def _left_out(
    path: Path, header: list[str], columns: list[tuple[str, ...]], n_blank: int, n_blank_rows: int
) -> tuple[str, ...]:
    """Lines on what is not used: blank columns and rows, numbers of rows."""
    lines = []
    for i, (name, column) in enumerate(zip(header, columns, strict=True)):
        if name:
            continue
        if not any(column):
            n_blank += 1
        elif i == 0 and _counts_rows(column):
            lines.append(f"the first column of {path} numbers the rows and is left out")
        else:
            raise _unnamed(path, i, next(filter(None, column)))
    counts = ((n_blank, "columns"), (n_blank_rows, "rows"))
    blank = " and ".join(f"{n} blank {what}" for n, what in counts if n)
    return (*lines, f"{blank} of {path} left out") if blank else tuple(lines)


def _counts_rows(column: Sequence[str]) -> bool:
    """Whether a column is 1, 2, .. or 0, 1, .., as R and pandas number rows."""
    return any(all(cell == str(i) for i, cell in enumerate(column, start=first)) for first in (0, 1))
