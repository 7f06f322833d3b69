"""Output folders and files, written whole or not at all; models read back from them."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genoattn.cohort import Cohort
from genoattn.errors import InputError, OutputError
from genoattn.fitting import FitResult, export_table, predict_orders
from genoattn.interactions.expansion import Gauge
from genoattn.interactions.extract import TestedTerms
from genoattn.interactions.regression import TermStatistics
from genoattn.interactions.schema import Manifest, manifest_from_json
from genoattn.interactions.table import InteractionTable
from genoattn.model.readout import Readout

_MODEL, _MANIFEST = "model.ckpt", "manifest.json"


def check_output(path: str | Path, force: bool) -> None:
    """Refuse early what could not be written in the end.

    Raises
    ------
    InputError
        Where the output exists and ``force`` is not given, or its parent is no folder.
    """
    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path}: already exists; give another output, or --force to replace it")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path.absolute().parent}: no such folder to write {path.name} in; make it first")


@contextmanager
def whole_directory(path: str | Path, force: bool = False) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its place when the block succeeds, and vanishes when it fails."""
    path = Path(path).absolute()
    check_output(path, force)
    with _errors_of_writing(path):
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield work
            work.chmod(0o777 & ~_umask())
            _replace(work, path)
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def whole_file(path: str | Path, force: bool = True) -> Iterator[Path]:
    """Like :func:`whole_directory`, for one file."""
    path = Path(path).absolute()
    check_output(path, force)
    with _errors_of_writing(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        work = Path(name)
        try:
            yield work
            work.chmod(0o666 & ~_umask())
            os.replace(work, path)
        finally:
            work.unlink(missing_ok=True)


def _replace(work: Path, path: Path) -> None:
    """Move a finished folder into place; an old one is removed only once the new one stands there."""
    if not path.exists():
        os.replace(work, path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)) / "old"
    os.replace(path, old)
    try:
        os.replace(work, path)
    except OSError:
        os.replace(old, path)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _errors_of_writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cure = {
            errno.ENOSPC: "free some space or choose another place",
            errno.EDQUOT: "free some space or choose another place",
            errno.EFBIG: "raise the file size limit or choose another place",
            errno.EACCES: "choose a folder you may write to",
            errno.EROFS: "choose a folder you may write to",
        }.get(error.errno or 0)
        if cure is None:
            raise
        raise OutputError(f"{path}: {os.strerror(error.errno or 0)} while writing; {cure}; nothing was written") from error


def save_fit(result: FitResult, directory: str | Path, force: bool = False) -> None:
    """Write the folder of ``genoattn fit``: tables, metrics, manifest, model.

    Raises
    ------
    InputError
        Where the folder exists and ``force`` is not given.
    OutputError
        Where it could not be written, for want of space or permission.
    """
    # Serialised in memory first: what is left to fail is plain writing, whose errors say what they are.
    files = {
        "interactions.tsv": result.table.to_tsv(),
        "interactions.parquet": result.table.to_parquet(),
        "variance_components.tsv": result.variance.to_csv(sep="\t", index=False, float_format="%.6g").encode(),
        "metrics.json": (json.dumps(result.metrics.record(), indent=1) + "\n").encode(),
        _MANIFEST: result.manifest.to_json().encode(),
        _MODEL: _checkpoint(result.readout, result.tested, result.manifest),
    }
    with whole_directory(directory, force) as work:
        for name, content in files.items():
            (work / name).write_bytes(content)


def _checkpoint(readout: Readout, tested: TestedTerms, manifest: Manifest) -> bytes:
    """State of the network as Lightning lays it out, with the statistics that tables in other gauges need."""
    record = {
        "state_dict": {f"readout.{k}": v for k, v in readout.state_dict().items()},
        "hyper_parameters": {
            "ranks": {order: len(readout.weights[str(order)]) for order in readout.orders},
            "n_covariates": len(readout.covariate),
            "tied": readout.tied,
            "dtype": str(readout.bias.dtype).removeprefix("torch."),
        },
        "pytorch-lightning_version": manifest.versions.get("pytorch-lightning", ""),
        "terms": {order: torch.as_tensor(columns) for order, columns in tested.terms.items()},
        "statistics": {
            order: {f.name: torch.as_tensor(getattr(s, f.name)) for f in fields(TermStatistics)}
            for order, s in tested.statistics.items()
        },
        "n_tests": {order: str(n) for order, n in tested.n_tests.items()},
    }
    buffer = io.BytesIO()
    torch.save(record, buffer)
    return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A model read back from the output folder of a fit."""

    readout: Readout
    tested: TestedTerms
    manifest: Manifest

    def predict(self, cohort: Cohort) -> np.ndarray:
        """The network's prediction: shape (n_samples,), phenotype units, log-odds for a binary trait."""
        return predict_orders(self.readout, cohort, self.manifest).sum(axis=1)

    def export(self, gauge: Gauge, order: int | None = None) -> InteractionTable:
        """Its interaction table in a gauge, with orders up to ``order``."""
        return export_table(self.readout, self.tested, self.manifest, gauge, order)


def load_model(directory: str | Path) -> SavedModel:
    """Read the model of an output folder.

    Raises
    ------
    InputError
        Where the folder is not one that ``genoattn fit`` wrote.
    """
    directory = Path(directory)
    for name in (_MODEL, _MANIFEST):
        if not (directory / name).is_file():
            raise InputError(f"{directory}: no {name} there; give the output folder of genoattn fit")
    try:
        manifest = manifest_from_json((directory / _MANIFEST).read_text())
        record = torch.load(directory / _MODEL, map_location="cpu", weights_only=True)
        return SavedModel(_readout(record, manifest), _tested(record), manifest)
    except (ValueError, KeyError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0][:100]
        raise InputError(f"{directory}: its model cannot be read ({reason}); fit again with this version") from None


def _readout(record: dict[str, Any], manifest: Manifest) -> Readout:
    settings = record["hyper_parameters"]
    readout = Readout(manifest.vocabulary, settings["ranks"], settings["n_covariates"], settings["tied"])
    readout = readout.to(getattr(torch, settings["dtype"]))
    readout.load_state_dict({k.removeprefix("readout."): v for k, v in record["state_dict"].items()})
    return readout.eval()


def _tested(record: dict[str, Any]) -> TestedTerms:
    terms = {order: columns.numpy() for order, columns in record["terms"].items()}
    statistics = {
        order: TermStatistics(**{name: array.numpy() for name, array in arrays.items()})
        for order, arrays in record["statistics"].items()
    }
    return TestedTerms(terms, statistics, {order: int(n) for order, n in record["n_tests"].items()})
