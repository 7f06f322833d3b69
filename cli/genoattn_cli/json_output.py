"""Summaries of commands as one JSON object, for ``--json``; docs/commands/json.md describes its keys."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from genoattn.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from genoattn.fitting.fit_result import FitResult
    from genoattn.inference.marginal_result import MarginalResult
    from genoattn.interactions.table import InteractionTable
    from genoattn.scan.result import ScanResult

SCHEMA_VERSION = 1


class KeepWarnings(logging.Handler):
    """A handler that keeps the warnings of a command for its JSON object."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def need_output(as_json: bool, output: Path | None) -> None:
    """Refuse ``--json`` where the table goes to stdout."""
    if as_json and output is None:
        raise InputError("--json writes to stdout, where the table would go; give the table a file with -o")


def print_json(command: str, output: Path, **rest: Any) -> None:
    """Print the object of a command: what it wrote, what it found, and what it warned of.

    Parameters
    ----------
    command
        Its name.
    output
        The file or folder it wrote.
    rest
        Further keys.
    """
    from genoattn import __version__

    handlers = logging.getLogger("genoattn").handlers
    record = {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "version": __version__,
        "output": str(output),
        "files": _files(output),
        **rest,
        "warnings": [line for h in handlers if isinstance(h, KeepWarnings) for line in h.lines],
    }
    typer.echo(json.dumps(_plain(record), indent=1, ensure_ascii=False, allow_nan=False))


def _files(output: Path) -> list[str]:
    """Files of a folder, or the file itself, by their paths from the folder."""
    if not output.is_dir():
        return [output.name]
    return sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())


def _plain(value: Any) -> Any:
    """Numbers of numpy as those of Python, and what is no finite number as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rows_of(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Rows of a table as objects, missing cells as null."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def fit_record(result: FitResult, top: int) -> dict[str, Any]:
    """What a fit found: metrics by part and order, terms by order, signals, the first rows."""
    table = result.table
    model = table.manifest.model
    record: dict[str, Any] = {
        **description(table),
        **{key: model[key] for key in ("estimator", "link", "likelihood") if key in model},
        "metrics": result.metrics.record(),
        "terms": {order: _counts(table, order) for order in range(1, table.manifest.order + 1)},
        "signals": None,
        "why_no_signals": table.manifest.tests.get("signals", ""),
        "top": {order: rows_of(table.top(top, order)) for order in range(1, table.manifest.order + 1)},
    }
    own = result.cohort_variance
    record["variance"] = None if own is None else rows_of(own.components)
    if result.discovery is not None:
        signals, alpha = result.discovery.signals, result.discovery.alpha
        passing = signals[signals["q_value"] <= alpha]
        phantoms = int((passing["flag"] == "phantom").sum())
        record["signals"] = {
            "alpha": alpha,
            "n_tests": result.discovery.n_tests,
            "claimed": len(passing) - phantoms,
            "phantoms": phantoms,
            "top": rows_of(passing.head(top)),
        }
    return record


def description(table: InteractionTable) -> dict[str, Any]:
    """What a table is of, from its manifest."""
    m = table.manifest
    names = ("trait", "units", "binary", "transform", "gauge", "order", "seed", "inputs")
    more = {"encoding": m.vocabulary.encoding, "environments": m.model.get("environments", [])}
    return {name: getattr(m, name) for name in names} | more


def _counts(table: InteractionTable, order: int) -> dict[str, Any]:
    """How many terms of an order there are, and how many of different contrasts have a small q-value."""
    from genoattn.interactions.table import has_flag

    rows = table.frame[table.frame["order"] == order]
    different = rows[~has_flag(rows["flag"], "repeat") & ~has_flag(rows["flag"], "proxy")]
    below = int((different["q_value"] < 0.05).sum()) if different["q_value"].notna().any() else None
    return {
        "rows": len(rows),
        "contrasts": len(different),
        "possible": table.manifest.n_tests.get(order, len(rows)),
        "q_below_0.05": below,
    }


def scan_record(result: ScanResult, top: int) -> dict[str, Any]:
    """What a scan found: tests made, how many pairs pass what, the first rows."""
    table, p_value, q_value = result.table, result.rows["p_value"], result.rows["q_value"]
    passing = {
        "n_bonferroni": int((p_value <= result.bonferroni).sum()),
        "n_q_below_0.05": int((q_value < 0.05).sum()),
    }
    return {
        **description(table),
        "counts": {
            "threshold": result.threshold,
            "bonferroni": result.bonferroni,
            **result.counts,
            **passing,
        },
        "top": rows_of(table.frame.head(top)),
    }


def marginal_record(result: MarginalResult, top: int) -> dict[str, Any]:
    """What a test of marginal epistasis found: tests made, how many sites pass what, the first rows."""
    m, frame = result.manifest, result.frame
    passing = {
        "n_bonferroni": int((frame["p_value"] <= result.bonferroni).sum()),
        "n_q_below_0.05": int((frame["q_value"] < 0.05).sum()),
    }
    names = ("trait", "units", "binary", "transform", "seed", "inputs")
    return {
        **{name: getattr(m, name) for name in names},
        "marginal": True,
        "counts": {**result.record(), **passing},
        "top": rows_of(frame.head(top)),
    }
