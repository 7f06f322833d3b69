"""Columns of a table, one by one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from genoattn.describe.summaries import ColumnKind, TableColumn, TableSummary
from genoattn.errors import InputError
from genoattn.io.mutations import MutationError, parse_variant
from genoattn.io.sentinels import find_codes
from genoattn.io.table_cells import read_cells
from genoattn.io.tables import (
    ID_NAMES,
    MISSING_TEXT,
    check_ids,
    find_id_column,
    to_number,
    without_minus_nine,
)

_EXAMPLES = 5
_BINARY = ({0.0, 1.0}, {1.0, 2.0})
_SEQUENCE = re.compile(r"[A-Za-z*-]{5,}")
_LOOKED_AT = 50  # cells of a column, to tell whether it holds variants

Columns = Mapping[str, Sequence[str]]


def describe_table(path: Path) -> tuple[TableSummary, list[str]]:
    """What each column of a table has; and lines on how it was read, and what it may be.

    A table that cannot be read as one of samples (no column of IDs, an ID twice) is described as it is, with
    the reason.
    """
    header: list[str] = []
    try:
        cells = read_cells(path, lambda _, names: header.extend(names), "sample", "table", ID_NAMES)
    except InputError as error:
        if any(name.lower() in {own.lower() for own in ID_NAMES} for name in header):
            raise
        reason = str(error).removeprefix(f"{path}").lstrip(":, ")
        raise InputError(
            f"{path}: no file that genoattn reads: neither genotypes, sequences nor Parquet by its first "
            f"bytes, and as a table: {reason}"
        ) from None
    columns, lines = dict(cells.columns), list(cells.log)
    if len(columns) < 2:
        raise InputError(
            f"{path}: no file that genoattn reads: text of one column, '{next(iter(columns))[:40]}'; "
            "columns of a table are separated by tabs, commas, semicolons or spaces"
        )
    id_column, family, problem = _id_columns(path, columns)
    if family is not None and id_column is not None and id_column.upper() == "IID":
        columns, n = without_minus_nine(columns)
        lines += [f"{n} values of -9 are missing (columns FID and IID, a table of PLINK)"] if n else []
    n_rows = len(next(iter(columns.values())))
    found = tuple(_column(name, texts, id_column, family) for name, texts in columns.items())
    return TableSummary(n_rows, id_column, found, problem), [*lines, *_hints(columns)]


def _id_columns(path: Path, columns: Columns) -> tuple[str | None, str | None, str | None]:
    """The columns of sample and family IDs, and why the table cannot be read as one of samples."""
    family = next((name for name in columns if name.upper() == "FID"), None)
    try:
        name = find_id_column(path, list(columns))
    except InputError as error:
        return None, family, str(error).removeprefix(f"{path}: ")
    try:
        check_ids(path, columns[name], None if family is None else columns[family])
    except InputError as error:
        return name, family, str(error).removeprefix(f"{path}: ")
    return name, family, None


def _column(name: str, texts: Sequence[str], id_column: str | None, family: str | None) -> TableColumn:
    present = Counter(text for text in texts if text not in MISSING_TEXT)
    n_missing = len(texts) - present.total()
    numbers = {text: to_number(text) for text in present}
    words = [text for text, number in numbers.items() if number is None]
    common = tuple(text for text, _ in present.most_common(_EXAMPLES))
    if name in (id_column, family):
        first = tuple(dict.fromkeys(texts))[:_EXAMPLES]
        return TableColumn(
            name, "id" if name == id_column else "family", "words", n_missing, len(present), first
        )
    if words or not present:
        # A slip among numbers, which no model would take, not a category.
        kind: ColumnKind = "empty" if not present else "mixed" if 2 * len(words) < len(present) else "words"
        shown = tuple(words[:_EXAMPLES]) if kind == "mixed" else common
        kind = "constant" if kind == "words" and len(present) == 1 else kind
        return TableColumn(name, "value", kind, n_missing, len(present), shown)
    values = np.array([numbers[text] for text in texts if text in numbers], dtype=np.float64)
    distinct = set(np.unique(values).tolist())
    kind = "constant" if len(distinct) == 1 else "binary" if distinct in _BINARY else "number"
    finite = values[np.isfinite(values)]
    low, high, mean = (
        (float(finite.min()), float(finite.max()), float(finite.mean())) if len(finite) else (None,) * 3
    )
    codes = {f"{found.code:g}": found.n for found in find_codes(values)}
    return TableColumn(name, "value", kind, n_missing, len(distinct), common, low, high, mean, codes)


def _hints(columns: Columns) -> list[str]:
    """Columns that hold variants of a sequence, and with which option they are described."""
    lines = []
    for name, texts in columns.items():
        some = [text for text in texts[:_LOOKED_AT] if text not in MISSING_TEXT]
        if some and all(map(_is_mutation, some)) and any(any(map(str.isdigit, text)) for text in some):
            lines.append(f"column {name} looks like mutations: --mutation-column {name} --reference FASTA")
        elif len(set(some)) > 1 and len(set(map(len, some))) == 1 and all(map(_SEQUENCE.fullmatch, some)):
            lines.append(f"column {name} looks like sequences: --sequence-column {name}")
    return lines


def _is_mutation(text: str) -> bool:
    try:
        parse_variant(text)
    except MutationError:
        return False
    return True
