"""Rows of an interaction table as arrays and as text, without pandas, which loads slower than a scan runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genoattn.cohort import ENVIRONMENT

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

METADATA = b"genoattn"  # key of the manifest in the metadata of a Parquet file


@dataclass(frozen=True, eq=False)
class TermColumns:
    """Terms of one order, one a row.

    By name, in the order of the table, arrays of shape (n_terms,): object for text, int64, or float64 (NaN
    where a term could not be tested).
    """

    values: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]

    def select(self, index: np.ndarray | slice) -> TermColumns:
        """The rows at ``index``, in that order."""
        return TermColumns({name: column[index] for name, column in self.values.items()})

    def to_frame(self) -> pd.DataFrame:
        """The same rows in pandas, with the types of :class:`genoattn.InteractionTable`."""
        import pandas as pd

        nullable = [name for name in self.values if name.startswith("pos_") or name == "n_samples"]
        return pd.DataFrame(dict(self.values)).astype(dict.fromkeys(nullable, "Int64"))

    def to_tsv(self, style: str = "%.12g") -> bytes:
        """Tab-separated text, floats in ``style``; untestable cells are empty."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        writer.writerow(self.values)
        writer.writerows(zip(*(_cells(column, style) for column in self.values.values()), strict=True))
        return text.getvalue().encode()

    def to_parquet(self, manifest: str) -> bytes:
        """Apache Parquet, with the manifest in its schema metadata under ``genoattn``."""
        import pyarrow as pa

        arrays = [_arrow_array(column) for column in self.values.values()]
        return parquet_bytes(pa.Table.from_arrays(arrays, names=list(self.values)), manifest)


def parquet_bytes(table: pa.Table, manifest: str) -> bytes:
    """A table as Apache Parquet, with the manifest in its schema metadata under ``genoattn``."""
    import pyarrow.parquet as pq

    metadata = (table.schema.metadata or {}) | {METADATA: manifest.encode()}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


def _cells(column: np.ndarray, style: str) -> list[Any]:
    if column.dtype.kind != "f":
        return column.tolist()
    return ["" if value != value else style % value for value in column.tolist()]  # NaN is not itself


def _arrow_array(column: np.ndarray) -> pa.Array:
    """A column in Arrow's layout; ``pa.array`` would do it too, but imports pandas."""
    import pyarrow as pa

    if column.dtype != object:
        kind = {"i": pa.int64(), "f": pa.float64()}[column.dtype.kind]
        return pa.Array.from_buffers(kind, len(column), [None, pa.py_buffer(np.ascontiguousarray(column))])
    texts = [text.encode() for text in column]
    ends = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(pa.large_string(), len(column), buffers)


def format_terms(rows: Mapping[str, Sequence[Any]] | Any, order: int) -> str:
    """Terms of one order as lines of aligned text below a header.

    ``coefficient`` and ``effect`` have their 95 % intervals in brackets, where there are any; where the
    coefficient is the effect itself, as in a scan, the p-value stands in its place.
    ``rows`` are the columns of an interaction table by name: a DataFrame, or arrays.
    """
    cells = term_cells(rows, order)
    columns = [[name, *texts] for name, texts in cells.items()]
    widths = [max(map(len, column)) for column in columns]
    lines = (
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    )
    return "\n".join(lines)


def term_cells(
    rows: Mapping[str, Sequence[Any]] | Any, order: int, isolate: Callable[[str], str] = str
) -> dict[str, list[str]]:
    """Cells of :func:`format_terms` by column; ``isolate`` is done to each name from the files."""
    coefficient, effect = list(rows["coefficient"]), list(rows["effect"])
    cells: dict[str, list[str]] = {"term": _term_names(rows, order, isolate)}
    if coefficient != effect:
        cells["coefficient"] = [
            _with_interval(c, sd) for c, sd in zip(coefficient, rows["coefficient_sd"], strict=True)
        ]
    cells["effect (95 %)"] = [_with_interval(e, se) for e, se in zip(effect, rows["se"], strict=True)]
    if coefficient == effect:
        cells["p_value"] = ["" if p != p else f"{p:.2g}" for p in rows["p_value"]]
    cells["q_value"] = ["" if q != q else f"{q:.2g}" for q in rows["q_value"]]  # NaN is not itself
    cells["flag"] = list(rows["flag"])
    return cells


def _with_interval(value: float, deviation: float) -> str:
    """``+0.985 (+0.781 to +1.19)``; without a deviation the value alone; empty for NaN."""
    if value != value:
        return ""
    if deviation != deviation:
        return f"{value:+.3g}"
    reach = 1.96 * deviation  # on either side, to hold 95 %
    return f"{value:+.3g} ({value - reach:+.3g} to {value + reach:+.3g})"


def _term_names(rows: Any, order: int, isolate: Callable[[str], str]) -> list[str]:
    """``GA1[C] (4:890000) x GH.117C[C] (5:3500000)``; residues have their column in their name."""
    parts = []
    for k in range(1, order + 1):
        columns = (rows[f"{name}_{k}"] for name in ("site", "chrom", "pos", "state"))
        names = []
        for site, chrom, pos, state in zip(*columns, strict=True):
            said = chrom in ("", ENVIRONMENT) or site.startswith(f"{chrom}:{pos}")
            name = f"{isolate(site)}[{isolate(state)}]"
            names.append(name if said else f"{name} ({isolate(chrom)}:{pos})")
        parts.append(names)
    return [" x ".join(tokens) for tokens in zip(*parts, strict=True)]


def q_values(p_values: np.ndarray, n_tests: int) -> np.ndarray:
    """Benjamini-Hochberg q-values over ``n_tests`` tests; those not given count as p = 1.

    ``p_values``: (n_terms,), NaN where a term could not be tested.
    """
    out = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(np.isfinite(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    # p n / rank, made monotone from the largest p down; the tests at p = 1 only add to their number.
    stepped = p_values[order] * n_tests / np.arange(1, len(order) + 1)
    out[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return out
