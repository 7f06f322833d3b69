"""DataFrames and Parquet files as columns of text, so that one set of rules holds for all tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genoattn.errors import InputError
from genoattn.streams import local_copy

if TYPE_CHECKING:
    import pandas as pd

_PARQUET = b"PAR1"


def is_parquet(path: Path) -> bool:
    """Whether a file begins and ends as Parquet does, whatever its name."""
    with local_copy(path).open("rb") as file:
        if file.read(4) != _PARQUET or file.seek(0, 2) < 8:
            return False
        file.seek(-4, 2)
        return file.read() == _PARQUET


def parquet_columns(path: Path, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The columns of a Parquet file as text, the index that pandas wrote among them."""
    import pandas as pd
    import pyarrow

    try:
        frame = pd.read_parquet(local_copy(path), engine="pyarrow")
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: damaged Parquet: {reason}; copy or write it again") from error
    return frame_columns(path, frame, keys)


def frame_columns(where: Path, frame: pd.DataFrame, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The columns of a DataFrame as text, ``NA`` where missing.

    An index with a name of ``keys`` or ``FID`` is a column. Where no column has such a name, an index that is
    not just the numbers of the rows is the column ``keys[0]``.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InputError(
            f"{where}: {type(frame).__name__}, not a path or a pandas DataFrame; give one of them"
        )
    known = {key.lower() for key in (*keys, "FID")}
    levels = [name for name in frame.index.names if name is not None and str(name).lower() in known]
    if levels:
        frame = frame.drop(columns=[name for name in levels if name in frame.columns]).reset_index(
            level=levels
        )
    elif not isinstance(frame.index, pd.RangeIndex) and known.isdisjoint(
        str(name).lower().removeprefix("#") for name in frame.columns
    ):
        frame = frame.rename_axis(index=keys[0]).reset_index()
    columns: dict[str, tuple[str, ...]] = {}
    for i, label in enumerate(frame.columns):
        name = str(label).strip() if i else str(label).strip().removeprefix("#")
        if name in columns:
            raise InputError(f"{where}: two columns are named '{name}'; rename one of them")
        columns[name] = tuple(map(_text, frame.iloc[:, i].astype(object)))
        if any("\0" in text for text in columns[name]):
            raise InputError(f"{where}: a NUL character in column '{name}', which no text has; remove it")
    return columns


def _text(value: object) -> str:
    """A cell as a text file would have it; a number is read back as the same number."""
    if isinstance(value, str):
        return value.strip()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return "NA"
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating):
        value = float(value)
        if np.isnan(value):
            return "NA"
        # Identifiers that pandas made floating-point numbers, as it does where one is missing.
        number = float(value)
        return str(int(number)) if abs(number) < 2**53 and number == int(number) else repr(number)
    return str(value)
