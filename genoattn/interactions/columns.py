"""Rows of an interaction table as arrays, written without pandas, which loads slower than a scan runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

METADATA = b"genoattn"  # key of the manifest in the metadata of a Parquet file


@dataclass(frozen=True, eq=False)
class TermColumns:
    """Terms of one order, one a row.

    Parameters
    ----------
    values
        By name, in the order of the table, arrays of shape (n_terms,): object for text, int64, or float64
        (NaN where a term could not be tested).
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
        import pyarrow.parquet as pq

        arrays = [_arrow_array(column) for column in self.values.values()]
        table = pa.Table.from_arrays(arrays, names=list(self.values))
        buffer = io.BytesIO()
        pq.write_table(table.replace_schema_metadata({METADATA: manifest.encode()}), buffer)
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
