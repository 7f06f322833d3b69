"""Results of a scan as they come, and a file from which an interrupted scan goes on."""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import TracebackType

import numpy as np

from genoattn.errors import InputError
from genoattn.scan.design import Design
from genoattn.scan.engine import Settings, TileResult
from genoattn.scan.exact import PairTests
from genoattn.scan.scope import Scope

_EVERY_SECONDS = 30.0


class Tally:
    """Tiles done, pairs counted, pairs found."""

    def __init__(self, n_tiles: int) -> None:
        self.done = np.zeros(n_tiles, dtype=bool)
        self.n_pairs = self.n_linked = self.n_untestable = 0
        self._pairs: list[np.ndarray] = []
        self._tests: list[PairTests] = []
        self.notes: list[tuple[float, ...]] = []  # of tiles that have one

    @property
    def todo(self) -> list[int]:
        """Tiles not done yet."""
        return np.flatnonzero(~self.done).tolist()

    def add(self, number: int, result: TileResult) -> None:
        """Count a finished tile."""
        self.done[number] = True
        self.n_pairs += result.n_pairs
        self.n_linked += result.n_linked
        self.n_untestable += result.n_untestable
        if result.note:
            self.notes.append(result.note)
        if len(result.pairs):
            self._pairs.append(result.pairs)
            self._tests.append(result.tests)

    def merge(self, other: Tally) -> None:
        """Count what another scan has found, whose tiles are none of this one's."""
        self.n_pairs += other.n_pairs
        self.n_linked += other.n_linked
        self.n_untestable += other.n_untestable
        self._pairs += other._pairs
        self._tests += other._tests

    def found(self) -> tuple[np.ndarray, PairTests]:
        """Pairs found so far, in the order of the columns, with their tests."""
        if not self._pairs:
            return np.zeros((0, 2), dtype=np.intp), PairTests.none()
        pairs, tests = np.concatenate(self._pairs), PairTests.join(self._tests)
        order = np.lexsort(pairs.T[::-1])
        return pairs[order], tests.select(order)

    def record(self) -> dict[str, np.ndarray]:
        """All of it as arrays."""
        pairs, tests = self.found()
        counts = np.array([self.n_pairs, self.n_linked, self.n_untestable])
        return {
            "done": self.done,
            "counts": counts,
            "pairs": pairs,
            "notes": np.array(self.notes),
            **{f.name: getattr(tests, f.name) for f in fields(PairTests)},
        }

    @staticmethod
    def of_record(record: dict[str, np.ndarray]) -> Tally:
        """The tally that :meth:`record` wrote."""
        tally = Tally(len(record["done"]))
        tally.done = record["done"]
        tally.n_pairs, tally.n_linked, tally.n_untestable = (int(n) for n in record["counts"])
        tally.notes = [tuple(note) for note in record["notes"].tolist()]
        if len(record["pairs"]):
            tally._pairs = [record["pairs"]]
            tally._tests = [PairTests(*(record[f.name] for f in fields(PairTests)))]
        return tally


class Checkpoint:
    """A file of finished tiles, None to keep none; as a context it saves them when the scan is interrupted.

    Design, trait, scope and settings are what the scan computes: a file of another scan is refused.
    """

    def __init__(
        self,
        path: str | Path | None,
        design: Design,
        trait: np.ndarray,
        scope: Scope,
        settings: Settings,
    ) -> None:
        self.path = None if path is None else Path(path)
        self._inputs = (design, trait, scope, settings)
        self._identity = ""
        self._saved = time.monotonic()
        self._latest: Tally | None = None

    def load(self, n_tiles: int) -> Tally:
        """The tally to go on from: that of the file, or an empty one.

        Raises
        ------
        InputError
            Where the file belongs to another scan, or is no such file.
        """
        if self.path is None or not self.path.exists():
            return Tally(n_tiles)
        try:
            with np.load(self.path, allow_pickle=False) as file:
                record = dict(file)
            identity = str(record.pop("identity"))
            if identity == self.identity:
                return Tally.of_record(record)
        except (ValueError, LookupError, OSError, EOFError, TypeError, zipfile.BadZipFile):
            raise InputError(f"{self.path}: not the file of an interrupted scan; remove it") from None
        raise InputError(
            f"{self.path}: left by an interrupted scan of other data or settings; "
            "repeat that scan to finish it, or remove the file"
        )

    @property
    def identity(self) -> str:
        """Checksum of all that the result depends on."""
        if not self._identity:
            digest = hashlib.sha256()
            for part in self._parts():
                digest.update(part)
            self._identity = digest.hexdigest()
        return self._identity

    def _parts(self) -> Iterator[bytes]:
        design, trait, scope, settings = self._inputs
        for array in (design.codes, trait, design.basis, scope.rows, scope.cols):
            yield repr((array.shape, array.dtype)).encode()
            yield np.ascontiguousarray(array).tobytes()
        # The width numbers the tiles; threads, device and cached blocks change no result.
        yield repr((settings.threshold, settings.width, settings.genotypic, settings.background)).encode()
        yield repr((scope.min_distance, scope.max_r2)).encode()
        yield repr((design.binary, design.impute)).encode()

    def save_now_and_then(self, tally: Tally) -> None:
        """Save if the last time was half a minute ago."""
        self._latest = tally
        if self.path is not None and time.monotonic() - self._saved > _EVERY_SECONDS:
            self._save(tally)

    def _save(self, tally: Tally) -> None:
        assert self.path is not None
        # Written aside and moved: an interrupt here does not harm the last good file.
        work = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with work.open("wb") as handle:
            np.savez(handle, identity=self.identity, **tally.record())  # type: ignore[arg-type]
        os.replace(work, self.path)
        self._saved = time.monotonic()

    def remove(self) -> None:
        """The scan is complete."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.path is not None and self._latest is not None:
            self._save(self._latest)
            if kind is KeyboardInterrupt:
                raise KeyboardInterrupt(f"{self.path} has what was scanned: the same command goes on from it")
