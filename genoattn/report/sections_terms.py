"""The table of terms, with what opens from a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import ENVIRONMENT, Cohort
from genoattn.report.claims import claimed_rows, interactions
from genoattn.report.document import Column, DataTable, Detail, Section
from genoattn.report.joint_figure import joint_figure
from genoattn.report.run_folder import RunFolder
from genoattn.report.term_details import term_detail
from genoattn.report.traces import plain
from genoattn.report.wording import place, plural, term_name, unit_words
from genoattn.views.joint_states import joint_states

MOST_ROWS = 10_000
MOST_DETAILS = 50
MOST_PICTURES = 3
_NUMBERS = {
    "effect": ("Effect", "number", "Estimate without shrinkage."),
    "se": ("SE", "number", "Standard error of the effect; effect ± 1.96 SE is its 95 % interval."),
    "p_value": ("p-value", "p", "Of this row alone. Claims are made by the q-value."),
    "q_value": ("q-value", "p", "False discovery rate at which the row would be claimed."),
    "coefficient": ("Weight", "number", "The model's weight, pulled towards zero: best for prediction."),
    "frequency": (
        "Frequency",
        "number",
        "Share with the joint state; for dosages the mean product.",
    ),
    "variance_explained": (
        "Variance",
        "number",
        "Share of the variance that the model loses without it.",
    ),
    "r2_ld": ("r²", "number", "Largest squared correlation between two of its sites."),
}


def pictures_section(run: RunFolder, cohort: Cohort | None, seed: int = 0) -> Section | None:
    """Interaction plots of the strongest findings, claimed or not."""
    rows = claimed_rows(run) if run.kind != "scan" else run.table.frame
    claimed = len(rows) > 0 and run.kind != "scan"
    if not len(rows):
        rows = interactions(run)
        rows = rows[rows["p_value"].notna()]
    if cohort is None or not len(rows):
        return None
    figures = []
    for k, row in enumerate(rows.head(MOST_PICTURES if claimed else 1).to_dict("records")):
        joint = joint_states(cohort, row, run.manifest, seed=seed)
        figures.append(joint_figure(f"finding-{k}", term_name(row, run.is_landscape), joint, run))
    said = [] if claimed or run.kind == "scan" else ["Nothing is claimed; this is the strongest row."]
    return Section("pictures", "The strongest in the data", said, figures)


def terms_section(run: RunFolder, cohort: Cohort | None, seed: int = 0) -> Section:
    """Rows by evidence; the first interactions open into a picture and why their p-value is what it is."""
    frame = run.table.frame[run.table.frame["order"] >= 1]
    if not len(frame):
        return Section("terms", "Terms", ["The table has no term."])
    single = (frame["order"] == 1).to_numpy()
    frame = frame.iloc[np.argsort(single, kind="stable")]  # what was asked for comes first
    listed = frame.head(MOST_ROWS)
    opened = np.flatnonzero((listed["order"] >= 2).to_numpy())[:MOST_DETAILS].tolist()
    records = listed.to_dict("records")
    details: dict[int, Detail] = {k: term_detail(run, f"joint-{k}", records[k], cohort, seed) for k in opened}
    columns, rows = _columns(run, listed), _rows(run, listed, records)
    title = "Interactions by evidence, then single sites" if single.any() else "Interactions by evidence"
    note = _note(run, len(frame), len(opened), cohort is not None)
    table = DataTable("terms", title, columns, rows, "terms.tsv", details, note)
    return Section("terms", "Terms", (), (), [table])


def _shown(run: RunFolder, frame: pd.DataFrame) -> list[str]:
    """Columns of numbers that say something in this table."""
    names = [n for n in _NUMBERS if frame[n].notna().any()]
    same = run.kind == "scan" or np.array_equal(frame["coefficient"], frame["effect"], equal_nan=True)
    return [n for n in names if not (n == "coefficient" and same)]


def _columns(run: RunFolder, frame: pd.DataFrame) -> list[Column]:
    unit = unit_words(run.manifest)
    columns = [Column("order", "Order", "number", "Number of sites of the term."), Column("term", "Term")]
    if _has_places(run):
        columns.append(Column("place", "Place", help="Chromosome and position of each site."))
    for name in _shown(run, frame):
        label, kind, text = _NUMBERS[name]
        text = f"{text} In {unit}." if name in ("effect", "coefficient") else text
        columns.append(Column(name, label, kind, text))  # type: ignore[arg-type]
    columns.append(Column("n_samples", "Samples", "number", "Called at every site of the term."))
    if (frame["flag"] != "").any():
        columns.append(Column("flag", "Flag", help="linked, rare, unseen, proxy, repeat or phantom: beware."))
    return columns


def _rows(run: RunFolder, frame: pd.DataFrame, records: list[dict[Any, Any]]) -> list[list[Any]]:
    names, places = _shown(run, frame), _has_places(run)
    numbers = {name: plain(frame[name], 4) for name in names}
    with_flag = bool((frame["flag"] != "").any())
    rows: list[list[Any]] = []
    for k, record in enumerate(records):
        row: list[Any] = [int(record["order"]), term_name(record, run.is_landscape)]
        row += [_places(record)] if places else []
        row += [numbers[name][k] for name in names]
        row.append(None if pd.isna(record["n_samples"]) else int(record["n_samples"]))
        rows.append([*row, record["flag"]] if with_flag else row)
    return rows


def _has_places(run: RunFolder) -> bool:
    ids, chrom, pos = run.manifest.sites.ids, run.manifest.sites.chrom, run.manifest.sites.pos
    return any(
        c not in ("", ENVIRONMENT) and not str(i).startswith(f"{c}:{p}")
        for i, c, p in zip(ids, chrom, pos, strict=True)
    )


def _places(row: Mapping[Any, Any]) -> str:
    return " x ".join(place(row, k) for k in range(1, int(row["order"]) + 1)).strip(" x")


def _note(run: RunFolder, n_rows: int, n_details: int, has_data: bool) -> str:
    said = []
    if n_rows > MOST_ROWS:
        said.append(f"The first {MOST_ROWS:,} of {n_rows:,} rows; the others are in interactions.tsv.")
    if n_details:
        what = (
            "its picture and why its p-value is what it is" if has_data else "why its p-value is what it is"
        )
        said.append(
            f"A click on one of the first {plural(n_details, 'interaction')} opens {what}."
            if n_details > 1
            else f"A click on the interaction opens {what}."
        )
    left = {k: n for k, n in run.manifest.left_out.items() if n}
    if left and run.kind != "scan":
        said.append(f"Of the model {sum(left.values()):,} smaller terms are not in the table.")
    return " ".join(said)
