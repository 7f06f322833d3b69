"""Rows of a table of variants that cannot be used: left out, counted by reason, and refused where many."""

import logging
from pathlib import Path

from genoattn.errors import InputError
from genoattn.io.mutations import MutationError

# Share of the rows above which it is the reference, its numbering or the column that is wrong.
_MOST_DOUBTFUL = 0.05
_log = logging.getLogger(__name__)


class LeftOutRows:
    """Rows that cannot be used; ``strict`` refuses the first one."""

    def __init__(self, path: Path, n_rows: int, strict: bool) -> None:
        self._path, self._n_rows, self._strict = path, n_rows, strict
        self._counts: dict[str, int] = {}
        self._examples: dict[str, str] = {}
        self._doubtful: list[str] = []  # messages

    def add(self, number: int, name: str, error: MutationError) -> None:
        """Leave out row ``number`` (from 1), called ``name``."""
        message = f"{self._path}: row {number} ({name}): {error}"
        if self._strict:
            raise InputError(message)
        self._counts[error.reason] = self._counts.get(error.reason, 0) + 1
        self._examples.setdefault(error.reason, f"row {number}, {name}")
        if error.doubtful:
            self._doubtful.append(message)

    def report(self) -> tuple[str, ...]:
        """The line of the log on what was left out; none where nothing was.

        Raises
        ------
        InputError
            Where no row is left; or where rows that contradict the reference or the alphabet, or are no
            mutations at all, are more than one in twenty of those that could be used but for that.
        """
        if not self._counts:
            return ()
        n_out, n_doubtful = sum(self._counts.values()), len(self._doubtful)
        if n_doubtful > _MOST_DOUBTFUL * (self._n_rows - n_out + n_doubtful):
            raise InputError(f"{self._doubtful[0]} ({n_doubtful} such rows of {self._n_rows})")
        reasons = ", ".join(
            f"{n} {reason} (first: {self._examples[reason]})" for reason, n in self._counts.items()
        )
        if n_out == self._n_rows:
            raise InputError(f"{self._path}: no variant is left of {n_out}: {reasons}; check the column")
        line = f"left out {n_out} of {self._n_rows} rows: {reasons}"
        if n_doubtful:
            _log.warning("%s: %s", self._path, line)
        return (line,)
