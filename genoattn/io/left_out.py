"""Rows of a table of variants that cannot be used: left out, counted by reason, and refused where many."""

import logging
from pathlib import Path

from genoattn.cohort import FlowStep
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

    def check(self) -> None:
        """Raise InputError where no row is left, or too many are doubtful.

        These are rows that contradict the reference or the alphabet, or are no mutations at all; more than
        one in twenty of the rows that could be used but for that are too many.
        """
        n_out, n_doubtful = sum(self._counts.values()), len(self._doubtful)
        if n_doubtful > _MOST_DOUBTFUL * (self._n_rows - n_out + n_doubtful):
            raise InputError(f"{self._doubtful[0]} ({n_doubtful} such rows of {self._n_rows})")
        if n_out == self._n_rows:
            raise InputError(
                f"{self._path}: no variant is left of {n_out}: {self._reasons()}; check the column"
            )

    def report(self) -> tuple[str, ...]:
        """The line of the log on what was left out, if anything; a warning, too, where that is doubtful."""
        if not self._counts:
            return ()
        line = f"left out {sum(self._counts.values())} of {self._n_rows} rows: {self._reasons()}"
        if self._doubtful:
            _log.warning("%s: %s", self._path, line)
        return (line,)

    def flow(self) -> tuple[FlowStep, ...]:
        """The counts, where there are any."""
        n_out = sum(self._counts.values())
        step = FlowStep("sequences", self._n_rows, self._n_rows - n_out, dict(self._counts))
        return (step,) if n_out else ()

    def _reasons(self) -> str:
        return ", ".join(f"{n} {one} (first: {self._examples[one]})" for one, n in self._counts.items())
