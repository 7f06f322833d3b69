"""Folders of runs read for a report: what is refused, and what becomes a warning."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest
from report_runs import landscape, small_scan

from genoattn.errors import InputError
from genoattn.interactions.schema import SCHEMA_VERSION
from genoattn.report.run_folder import load_run, trait_folders
from genoattn.report.write import build_report, write_report


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("landscape")
    landscape(folder, link="none")[1].save(folder / "fit")
    return folder / "fit"


@pytest.fixture
def fit(fitted, tmp_path):
    """A copy of a fit, to damage."""
    copy = tmp_path / "fit"
    copy.mkdir()
    for path in fitted.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


@pytest.fixture
def scan(tmp_path):
    small_scan()[1].save(tmp_path / "scan")
    return tmp_path / "scan"


def test_kinds_of_runs(fit, scan):
    run = load_run(fit)
    assert (run.kind, run.is_landscape, run.warnings) == ("fit", True, ())
    assert {"variance_components", "predictions"} <= set(run.tables)
    assert run.metrics["metric"] == "r2"
    run = load_run(scan)
    assert (run.kind, run.is_landscape, run.warnings) == ("scan", False, ())
    assert run.scan["n_tests"] == 66


def test_reading_a_run_needs_no_torch(scan):
    code = (
        "import sys; from genoattn.report.run_folder import load_run; "
        f"load_run({str(scan)!r}); print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert out.stdout.strip() == "False", out.stderr


def test_folders_that_are_no_run(tmp_path):
    with pytest.raises(InputError, match="absent: no such folder; give the output folder of genoattn fit"):
        load_run(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file: is a file; give the output folder"):
        load_run(tmp_path / "file")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="empty: the folder is empty; give the output folder"):
        load_run(empty)
    (empty / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"empty: no interactions\.tsv there; give the output folder"):
        load_run(empty)
    (empty / "truth.tsv").write_text("x")
    with pytest.raises(InputError, match="empty: a simulated cohort, which has no results yet"):
        load_run(empty)


def test_a_scan_of_several_traits_is_named_and_its_traits_found(tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    (many / "traits.tsv").write_text("trait\tn_tests\n")
    for name in ("oil", "yield"):
        small_scan()[1].save(many / name)
    with pytest.raises(InputError, match=r"many: a scan of several traits, a folder each \(oil, yield\)"):
        load_run(many)
    assert [path.name for path in trait_folders(many)] == ["oil", "yield"]
    assert trait_folders(many / "oil") == []


def change_manifest(folder, **changes):
    """Rewrite the manifest of a run whose table is a TSV."""
    (folder / "interactions.parquet").unlink()
    record = json.loads((folder / "manifest.json").read_text()) | changes
    (folder / "manifest.json").write_text(json.dumps(record))


def test_a_later_schema_is_refused_with_the_cure(fit):
    change_manifest(fit, schema_version=SCHEMA_VERSION + 1, versions={"genoattn": "9.1"})
    with pytest.raises(InputError, match=r"schema version 3, .* install genoattn 9\.1 or newer"):
        load_run(fit)


def test_schema_1_is_read_and_the_report_says_so(fit):
    change_manifest(fit, schema_version=1)
    rows = pd.read_csv(fit / "interactions.tsv", sep="\t", dtype=str, keep_default_na=False)
    rows.drop(columns=["effect", "coefficient_sd"]).to_csv(fit / "interactions.tsv", sep="\t", index=False)
    warnings = build_report(fit).warnings
    assert any(line.startswith("The run is of a version before 0.2: its effects") for line in warnings)


def test_a_damaged_table_names_the_file(fit):
    (fit / "interactions.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(InputError, match=r"interactions\.parquet: not an interaction table of genoattn"):
        load_run(fit)


def test_a_tsv_without_a_column_names_it(fit):
    (fit / "interactions.parquet").unlink()
    rows = pd.read_csv(fit / "interactions.tsv", sep="\t", dtype=str, keep_default_na=False)
    rows.drop(columns="p_value").to_csv(fit / "interactions.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match=r"interactions\.tsv: .*no column p_value"):
        load_run(fit)


def test_the_parquet_alone_and_the_tsv_alone(fit):
    whole = load_run(fit)
    (fit / "interactions.parquet").rename(fit / "kept")
    assert load_run(fit).warnings == ("interactions.parquet is missing; the rows are of interactions.tsv.",)
    (fit / "kept").rename(fit / "interactions.parquet")
    (fit / "interactions.tsv").unlink()
    assert load_run(fit).warnings == ()
    pd.testing.assert_frame_equal(load_run(fit).table.frame, whole.table.frame)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda lines: lines[:-1], "interactions.tsv has 21 rows and interactions.parquet 22: it was edited"),
        (lambda lines: [*lines[:2], lines[2].replace("A", "B"), *lines[3:]], "interactions.tsv differs from"),
        (lambda lines: lines[1:], "interactions.tsv cannot be read (not an interaction table of genoattn"),
    ],
)
def test_a_tsv_edited_by_hand_is_told_and_not_believed(fit, edit, expected):
    whole = load_run(fit).table.frame
    lines = (fit / "interactions.tsv").read_text().splitlines()
    (fit / "interactions.tsv").write_text("\n".join(edit(lines)) + "\n")
    run = load_run(fit)
    assert len(run.warnings) == 1
    assert run.warnings[0].startswith(expected)
    pd.testing.assert_frame_equal(run.table.frame, whole)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("metrics.json", "{", "metrics.json cannot be read (Expecting property name"),
        (
            "metrics.json",
            "[1]",
            "metrics.json cannot be read (a list, not an object); what it says is left out.",
        ),
        ("metrics.json", None, "metrics.json is missing: how well the model predicts is left out."),
        ("variance_components.tsv", "order\tx\n1\t2\n", "variance_components.tsv cannot be read (no column"),
        (
            "variance_components.tsv",
            None,
            "variance_components.tsv is missing: variance by order is left out.",
        ),
        ("predictions.tsv", "IID\tpart\nx\ttest\n", "predictions.tsv cannot be read (no column observed)"),
        (
            "predictions.tsv",
            "IID\tpart\tobserved\tpredicted\nx\ttest\ta\t1\n",
            "predictions.tsv cannot be read",
        ),
        (
            "predictions.tsv",
            None,
            "The folder has no predictions.tsv, which older versions did not write",
        ),
    ],
)
def test_other_files_that_are_damaged_or_missing_leave_the_rest(fit, name, content, expected):
    if content is None:
        (fit / name).unlink()
    else:
        (fit / name).write_text(content)
    report = build_report(fit)
    assert any(line.startswith(expected) for line in report.warnings), report.warnings
    assert "terms" in [section.key for section in report.sections]


def test_nothing_is_written_for_a_folder_that_is_refused(fit):
    (fit / "interactions.parquet").write_bytes(b"")
    with pytest.raises(InputError):
        write_report(fit)
    assert not (fit / "report.html").exists()
