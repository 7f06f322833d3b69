"""The output folder of a run, read for its report: what is there, and what is missing and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from genoattn.errors import InputError
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import InteractionTable, load_interactions

RunKind = Literal["fit", "scan", "export"]
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OSError)
# Tables of a fit, and the columns that the report needs of each.
_TABLES: dict[str, tuple[str, ...]] = {
    "variance_components": ("order", "variance", "share_of_model"),
    "signals": ("site_1", "site_2", "p_value", "q_value", "n_pairs", "n_credible", "credible", "flag"),
    "ranking": ("site_1", "site_2", "probability"),
    "orders": ("order", "link", "start", "score", "lower", "upper", "chosen"),
    "link": ("latent", "predicted"),
    "predictions": ("IID", "part", "observed", "predicted"),
}
_NAMES = (
    "site",
    "chrom",
    "state",
    "ref",
    "tested",
    "credible",
    "flag",
    "IID",
    "FID",
    "part",
    "link",
    "start",
)


@dataclass(frozen=True, eq=False)
class RunFolder:
    """What the folder of ``genoattn fit`` or ``scan`` holds, without the model.

    Parameters
    ----------
    folder
        Where it is.
    kind
        ``fit``, ``scan``, or ``export``: a table with its manifest and no model.
    table
        Rows and manifest.
    metrics, scan
        Contents of ``metrics.json`` and ``scan.json``; empty where there are none.
    tables
        Other tables by the name of their file without its ending, such as ``signals`` or ``predictions``.
        Chromosomes, names of sites and samples are text.
    warnings
        What is missing, changed or of an older version, a sentence each.
    """

    folder: Path
    kind: RunKind
    table: InteractionTable
    metrics: dict[str, Any] = field(default_factory=dict)
    scan: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def manifest(self) -> Manifest:
        """Description of the table."""
        return self.table.manifest

    @property
    def is_landscape(self) -> bool:
        """Whether the data are aligned sequences or variants of one, not genotypes."""
        return self.manifest.vocabulary.encoding == "sequence"

    def get(self, name: str) -> pd.DataFrame | None:
        """A table by name, None where the folder has none."""
        return self.tables.get(name)


def load_run(folder: str | Path) -> RunFolder:
    """Read the folder of a run, without the model and without torch.

    Parameters
    ----------
    folder
        That of ``genoattn fit`` or ``genoattn scan``, of this version or an earlier one.

    Raises
    ------
    InputError
        Where the folder is none of a run, of a later schema, or its table of interactions cannot be read.
        Other files that are missing or damaged become warnings.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.report.run_folder import load_run
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=100, n_sites=8, linkage="none", n_terms=1, seed=1).cohort
    >>> genoattn.scan_pairs(cohort).save("scan", force=True)
    >>> load_run("scan").kind
    'scan'
    """
    folder = Path(folder)
    _check_folder(folder)
    table, warnings = _interactions(folder)
    warnings += _of_version(table.manifest)
    scan, metrics = _record(folder / "scan.json", warnings), _record(folder / "metrics.json", warnings)
    is_fit = (folder / "model.ckpt").is_file()
    kind: RunKind = "scan" if "scan" in table.manifest.model else "fit" if is_fit or metrics else "export"
    if kind == "scan" and not scan:
        scan = table.manifest.model["scan"]
    tables = {name: _table(folder / f"{name}.tsv", columns, warnings) for name, columns in _TABLES.items()}
    if kind == "fit":
        warnings += _missing_of_fit(folder, {*tables} - {n for n, t in tables.items() if t is None})
    present = {name: frame for name, frame in tables.items() if frame is not None}
    return RunFolder(folder, kind, table, metrics, scan, present, tuple(warnings))


def trait_folders(folder: str | Path) -> list[Path]:
    """Folders of the traits of a scan of several, by name; none where the folder is of one run."""
    folder = Path(folder)
    if not (folder / "traits.tsv").is_file():
        return []
    return [path.parent for path in sorted(folder.glob("*/manifest.json"))]


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; give the output folder of genoattn fit or scan")
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; give the output folder of genoattn fit or scan")
    if (folder / "traits.tsv").is_file():
        names = ", ".join(path.name for path in trait_folders(folder)) or "none"
        raise InputError(f"{folder}: a scan of several traits, a folder each ({names}); give one of them")
    if any((folder / name).is_file() for name in ("interactions.parquet", "interactions.tsv")):
        return
    if (folder / "truth.tsv").is_file():
        raise InputError(
            f"{folder}: a simulated cohort, which has no results yet; give the folder of a fit or scan of it"
        )
    if (folder / "marginal.tsv").is_file():
        raise InputError(f"{folder}: a test of marginal epistasis, which has no pairs; read its marginal.tsv")
    found = "no interactions.tsv there" if any(folder.iterdir()) else "the folder is empty"
    raise InputError(f"{folder}: {found}; give the output folder of genoattn fit or scan")


def _interactions(folder: Path) -> tuple[InteractionTable, list[str]]:
    """The table of Parquet, or else of TSV; and whether the two differ."""
    parquet, text = folder / "interactions.parquet", folder / "interactions.tsv"
    if not parquet.is_file():
        return load_interactions(text), ["interactions.parquet is missing; the rows are of interactions.tsv."]
    table = load_interactions(parquet)
    if not text.is_file():
        return table, []
    try:
        other = load_interactions(text)
    except InputError as error:
        reason = str(error).removeprefix(f"{text}: ").split(";")[0]
        return table, [f"interactions.tsv cannot be read ({reason}); the rows are of interactions.parquet."]
    if len(other) != len(table):
        count = f"has {len(other):,} rows and interactions.parquet {len(table):,}"
    elif not _same(table.frame, other.frame):
        count = "differs from interactions.parquet"
    else:
        return table, []
    return table, [f"interactions.tsv {count}: it was edited after the run; the report is of the latter."]


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables have the same terms, and the same numbers but for rounding as text."""
    for name in one.columns:
        a, b = one[name], other[name]
        if pd.api.types.is_numeric_dtype(a):
            x, y = a.to_numpy("float64", na_value=np.nan), b.to_numpy("float64", na_value=np.nan)
            if not np.allclose(x, y, rtol=1e-9, atol=0, equal_nan=True):
                return False
        elif not (a.fillna("").astype(str) == b.fillna("").astype(str)).all():
            return False
    return True


def _record(path: Path, warnings: list[str]) -> dict[str, Any]:
    """A JSON object; empty where there is none, or none that can be read."""
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError(f"a {type(record).__name__}, not an object")
    except _UNREADABLE as error:
        warnings.append(f"{path.name} cannot be read ({_reason(error)}); what it says is left out.")
        return {}
    return record


def _table(path: Path, columns: Sequence[str], warnings: list[str]) -> pd.DataFrame | None:
    """A tab-separated table that has the columns; None where there is none."""
    if not path.is_file():
        return None
    try:
        names = pd.read_csv(path, sep="\t", nrows=0).columns
        text = [c for c in names if c.rpartition("_")[0] in _NAMES or c in _NAMES]
        frame = pd.read_csv(
            path, sep="\t", dtype=dict.fromkeys(text, str), keep_default_na=False,
            na_values={c: [""] for c in names if c not in text},
        )  # fmt: skip
        absent = [c for c in columns if c not in frame.columns]
        if absent:
            raise ValueError(f"no column {absent[0]}")
        words = [c for c in columns if c not in text and c not in ("order", "chosen")]
        frame[words] = frame[words].astype(np.float64)
    except _UNREADABLE as error:
        warnings.append(f"{path.name} cannot be read ({_reason(error)}); what it says is left out.")
        return None
    return frame


def _reason(error: BaseException) -> str:
    return f"{error}".splitlines()[0][:100] if str(error) else type(error).__name__


def _of_version(manifest: Manifest) -> list[str]:
    if manifest.tests.get("schema_version") != 1:
        return []
    return [
        "The run is of a version before 0.2: its effects, standard errors and p-values are of regressions of "
        "single pairs, not of the quantity that the column coefficient has. A new fit gives both alike."
    ]


def _missing_of_fit(folder: Path, present: set[str]) -> list[str]:
    """What a fit of this version writes and the folder lacks."""
    lacks = []
    if not (folder / "metrics.json").is_file():
        lacks.append("metrics.json is missing: how well the model predicts is left out.")
    if not (folder / "variance_components.tsv").is_file():
        lacks.append("variance_components.tsv is missing: variance by order is left out.")
    if "predictions" not in present and not (folder / "predictions.tsv").is_file():
        lacks.append(
            "The folder has no predictions.tsv, which older versions did not write: pictures of "
            "observed against predicted values are left out. Fit again to have them."
        )
    return lacks
