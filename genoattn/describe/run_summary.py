"""Output folders of genoattn: what was fitted or scanned, on what, and whether the inputs have changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from genoattn.describe.summaries import InputCheck, InputState, RunSummary
from genoattn.errors import InputError
from genoattn.interactions.schema import Manifest, manifest_from_json
from genoattn.provenance import sha256 as checksum

_MANIFEST, _SCAN, _MODEL, _METRICS = "manifest.json", "scan.json", "model.ckpt", "metrics.json"
_TRAITS = "traits.tsv"
_MARGINAL = "marginal.json"
# Settings of a fit that say most.
_SETTINGS = ("attention", "estimator", "form", "reason", "link", "likelihood", "penalty", "rank", "alpha")
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError)


def describe_run(folder: Path) -> RunSummary:
    """What the manifest and the files of an output folder say."""
    every = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    files = {p.relative_to(folder).as_posix(): p.stat().st_size for p in every}
    if (folder / _TRAITS).is_file():
        return _of_traits(folder, files)
    if not (folder / _MANIFEST).is_file():
        title = "simulated cohort: genotypes, phenotypes and the true interactions"
        return RunSummary("genoattn simulate", title, "trait", 0, 0, (), {}, {}, "unknown", 0, (), files)
    try:
        manifest = manifest_from_json((folder / _MANIFEST).read_text(encoding="utf-8"))
        marginal = manifest.model.get("marginal")
        is_scan = (folder / _SCAN).is_file() or marginal is not None
        recorded = _SCAN if marginal is None else _MARGINAL
        results = _read_json(folder / (recorded if is_scan else _METRICS))
    except InputError as error:  # of a later schema
        raise InputError(f"{folder}: {error}") from None
    except (*_UNREADABLE, OSError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        raise InputError(f"{folder}: its {_MANIFEST} cannot be read ({reason}); run it again") from None
    command = "scan" if is_scan else "fit" if (folder / _MODEL).is_file() else "export"
    return RunSummary(
        command=f"genoattn {command}",
        title=manifest.describe() if marginal is None else f"marginal epistasis of {manifest.trait}",
        trait=manifest.trait,
        order=manifest.order,
        n_sites=len(manifest.sites) if marginal is None else marginal["n_sites"],
        covariates=manifest.covariate_names,
        settings=_settings(manifest, results),
        results=results,
        version=manifest.versions.get("genoattn", "unknown"),
        seed=manifest.seed,
        inputs=tuple(check_input(folder, role, **record) for role, record in manifest.inputs.items()),
        files=files,
    )


def _of_traits(folder: Path, files: dict[str, int]) -> RunSummary:
    """A scan of several traits, a folder each."""
    runs = [describe_run(path.parent) for path in sorted(folder.glob(f"*/{_MANIFEST}"))]
    if not runs:
        raise InputError(f"{folder}: {_TRAITS} but no folder of a trait; run the scan again")
    traits = ", ".join(run.trait for run in runs)
    results: dict[str, object] = {run.trait: run.results for run in runs}
    title = f"{len(runs)} traits, a folder each: {traits}"
    return replace(
        runs[0], title=title, trait=traits, n_sites=max(run.n_sites for run in runs), results=results,
        inputs=tuple(check_input(folder, check.role, check.file, check.sha256) for check in runs[0].inputs),
        files=files,
    )  # fmt: skip


def _settings(manifest: Manifest, results: dict[str, Any]) -> dict[str, Any]:
    """Settings of a scan, or those of a fit that say most."""
    settings = manifest.model.get("scan", manifest.model.get("marginal"))
    if settings is None:
        settings = {k: manifest.model[k] for k in _SETTINGS if k in manifest.model}
    return {k: v for k, v in settings.items() if v is not None and k not in results}


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def check_input(folder: Path, role: str, file: str, sha256: str, *first: Path) -> InputCheck:
    """An input looked for in ``first``, beside the folder, in it, and in the current folder.

    The manifest names no folders, only files; ``first`` are folders known from elsewhere.
    """
    if not sha256:
        return InputCheck(role, file, "", "no checksum", None)
    places = dict.fromkeys(p.resolve() for p in (*first, folder.parent, folder, Path.cwd()))
    found = [place / file for place in places if (place / file).is_file()]
    for path in found:
        if checksum(path) == sha256:
            return InputCheck(role, file, sha256, "unchanged", str(path))
    state: InputState = "changed" if found else "not found"
    return InputCheck(role, file, sha256, state, str(found[0]) if found else None)
