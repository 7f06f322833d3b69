"""States of the trainings of a fit in a folder, from which a stopped fit goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from genoattn import __version__
from genoattn.cohort import AlignmentFrame, Cohort
from genoattn.errors import InputError
from genoattn.writing import atomic_directory, atomic_file, check_output

_EVERY_SECONDS = 30.0
_MARK = "identity"  # file with the checksum of the data and settings that the states are of


class TrainingStates:
    """A folder with the state of every training of a fit.

    The trainings of a fit follow each other in the same order each time: the n-th has the file ``n.ckpt``, if
    the fit lasts longer than half a minute. As a context the folder is removed when the fit is complete, and
    stays when it is stopped.

    Parameters
    ----------
    folder
        Made when the first state is saved.
    identity
        Of data and settings (:func:`fit_identity`): states of others are refused.
    resume
        Whether to go on from the states that are there, else there must be none.
    """

    def __init__(self, folder: str | Path, identity: str, resume: bool) -> None:
        self.folder, self.identity, self.resume = Path(folder), identity, resume
        self._n_trainings, self._begun = 0, time.monotonic()
        check_states(self.folder, resume)
        check_output(self.folder, force=True)  # that it can be made
        if resume and (self.folder / _MARK).read_text(encoding="utf-8") != identity:
            raise InputError(
                f"{self.folder}: left by a fit of other data, settings or versions; "
                "repeat that fit to finish it, or remove the folder"
            )

    def next_training(self) -> SaveState:
        """A callback that saves the state of the next training."""
        self._n_trainings += 1
        return SaveState(self.folder / f"{self._n_trainings}.ckpt", self.identity, self._begun)

    def __enter__(self) -> TrainingStates:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A mistake in the input would only be met again.
        useless = kind is not None and issubclass(kind, InputError) and not self.resume
        if kind is None or useless or not any(self.folder.glob("*.ckpt")):
            remove_states(self.folder)
        elif kind is KeyboardInterrupt and (self.folder / _MARK).exists():
            raise KeyboardInterrupt(f"the training so far is in {self.folder}, and resume goes on from it")


class SaveState(pl.Callback):
    """Saves the state of a training every half a minute, after an epoch, and at its end.

    ``begun`` is when the fit began: within its first half minute nothing is saved.
    """

    def __init__(self, path: Path, identity: str, begun: float) -> None:
        self.path, self.identity, self.begun = path, identity, begun
        self._saved = time.monotonic()

    def found(self) -> Path | None:
        """The state to go on from, None where the training has none yet.

        Raises
        ------
        InputError
            Where the file cannot be read.
        """
        if not self.path.exists():
            return None
        try:
            torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # what torch raises on files that are none of its own has no common class
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:80]
            raise InputError(
                f"{self.path}: not the state of a training ({reason}); remove the folder and fit again"
            ) from None
        return self.path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer, self._saved)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer, self.begun)

    def _save(self, trainer: pl.Trainer, since: float) -> None:
        # Saving takes all processes: the first decides for the others.
        if not trainer.strategy.broadcast(time.monotonic() - since > _EVERY_SECONDS):
            return
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.path)  # takes part, and writes nothing
            return
        if not self.path.parent.exists():
            with atomic_directory(self.path.parent) as made:
                (made / _MARK).write_text(self.identity, encoding="utf-8")
        with atomic_file(self.path) as work:
            trainer.save_checkpoint(work)
        self._saved = time.monotonic()


def check_states(folder: Path, resume: bool) -> None:
    """Refuse to resume from nothing, and to start on top of the states of a stopped fit."""
    if resume and not (folder / _MARK).is_file():
        raise InputError(f"{folder}: no stopped fit to resume there; start it without resume")
    if not resume and folder.exists():
        raise InputError(f"{folder}: left by a stopped fit; resume it, or remove the folder to start again")


def remove_states(folder: Path) -> None:
    """Remove the folder of a stopped or complete fit, and no other."""
    if (folder / _MARK).is_file():
        shutil.rmtree(folder, ignore_errors=True)


def open_states(
    folder: str | Path | None, resume: bool, cohort: Cohort, settings: Mapping[str, Any]
) -> TrainingStates | None:
    """The states of a fit in a folder; None where none are to be kept."""
    if folder is not None:
        return TrainingStates(folder, fit_identity(cohort, settings), resume)
    if resume:
        raise InputError("resume needs the folder of the stopped fit; give it as checkpoint=FOLDER")
    return None


def fit_identity(cohort: Cohort, settings: Mapping[str, Any]) -> str:
    """Checksum of all that a training depends on, but for the number of threads."""
    digest = hashlib.sha256()
    for part in _parts(cohort):
        if isinstance(part, np.ndarray) and part.dtype != object:
            digest.update(repr((part.shape, part.dtype)).encode())
            for start in range(0, len(part), 1024):  # a cohort is not held twice
                digest.update(np.ascontiguousarray(part[start : start + 1024]).data)
        else:
            digest.update(json.dumps(part, default=_plain).encode())
    said = {**settings, "genoattn": __version__, "torch": torch.__version__}
    digest.update(json.dumps(said, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _parts(cohort: Cohort) -> Iterator[Any]:
    p, c = cohort.phenotype, cohort.covariates
    yield from (cohort.samples, cohort.kind, cohort.calls, *vars(cohort.sites).values())
    if p is not None:
        yield from vars(p).values()
    if c is not None:
        yield from (c.names, c.values, c.levels)


def _plain(value: Any) -> Any:
    if isinstance(value, AlignmentFrame):
        return asdict(value)
    return value.tolist() if hasattr(value, "tolist") else dict(value)
