"""Summaries as JSON: one object on stdout, the same numbers as in the files."""

import json
import sys
import types

import pandas as pd
import pytest
import typer
from cli_files import run_in_process, write_cohort, write_pheno
from folders import names
from genoattn_cli import steps

import genoattn

HEAD = ["schema_version", "command", "version", "output", "files"]


@pytest.fixture
def cli(capsys):
    return lambda *arguments: run_in_process(arguments, capsys)


@pytest.fixture
def with_reports(capsys):
    return lambda *arguments: run_in_process(arguments, capsys, reports=True)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return write_cohort(folder)


def only_object(outcome):
    assert outcome.status == 0, outcome.err
    record = json.loads(outcome.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(record)[: len(HEAD)] == HEAD
    assert list(record)[-1] == "warnings"
    assert (record["schema_version"], record["version"]) == (1, genoattn.__version__)
    return record


def test_fit_and_what_follows(cli, data, tmp_path):
    vcf, pheno = data
    out = tmp_path / "out"
    found = only_object(
        cli("fit", vcf, "--pheno", pheno, "-o", out, "--epochs", 2, "--top", 4, "--json", "--no-report")
    )
    assert (found["command"], found["output"], found["files"]) == ("fit", str(out), names(out))
    assert found["metrics"] == json.loads((out / "metrics.json").read_text())
    assert (found["trait"], found["order"], found["encoding"]) == ("y", 2, "dosage")
    table = genoattn.load_interactions(out)
    assert found["terms"]["1"]["rows"] == (table.frame["order"] == 1).sum() == 6
    assert found["terms"]["2"]["possible"] == 15
    assert [row["site_1"] for row in found["top"]["1"]] == table.top(4, 1)["site_1"].tolist()
    assert found["top"]["1"][0]["site_2"] == ""
    assert found["signals"] is None
    assert found["why_no_signals"] == table.manifest.tests["signals"] != ""
    assert [row["component"] for row in found["variance"]][:2] == ["additive", "dominance"]
    assert found["warnings"] == []

    predicted = only_object(cli("predict", out, vcf, "-o", tmp_path / "p.tsv", "--json"))
    assert (predicted["n_samples"], predicted["files"]) == (30, ["p.tsv"])
    assert predicted["columns"] == pd.read_csv(tmp_path / "p.tsv", sep="\t").columns.tolist()
    exported = only_object(cli("export", out, "-o", tmp_path / "t.tsv", "--json"))
    assert (exported["gauge"], exported["n_rows"]) == (
        "reference",
        len(pd.read_csv(tmp_path / "t.tsv", sep="\t")),
    )
    both = cli("export", out, "--json")
    assert (both.status, both.out) == (2, "")
    assert "--json writes to stdout, where the table would go; give the table a file with -o" in both.err


def test_scan(cli, data, tmp_path):
    vcf, pheno = data
    out = tmp_path / "out"
    arguments = ("--threshold", 1, "--top", 3, "--json", "--quiet", "--no-report")
    found = only_object(cli("scan", vcf, "--pheno", pheno, "-o", out, *arguments))
    assert (found["counts"]["n_tests"], found["counts"]["threshold"]) == (15, 1)
    frame = genoattn.load_interactions(out).frame
    assert [row["p_value"] for row in found["top"]] == pytest.approx(
        frame["p_value"].head(3).tolist(), rel=1e-5
    )
    assert found["counts"]["n_q_below_0.05"] == (frame["q_value"] < 0.05).sum()


def test_scan_of_several_traits(cli, data, tmp_path):
    pheno = write_pheno(tmp_path / "p.tsv", a=[k % 7 for k in range(30)], b=[k % 2 for k in range(30)])
    out = tmp_path / "out"
    traits = ("--trait", "a", "--trait", "b")
    found = only_object(cli("scan", data[0], "--pheno", pheno, "-o", out, *traits, "--json", "--no-report"))
    assert {name: one["binary"] for name, one in found["traits"].items()} == {"a": False, "b": True}
    assert {"a/interactions.tsv", "b/scan.json", "run.toml"} <= set(found["files"])


def test_warnings_and_mistakes(cli, data, tmp_path):
    vcf, pheno = data
    (tmp_path / "c.toml").write_text('version = "0.0.1"\n')
    arguments = ("scan", vcf, "--pheno", pheno, "-o", tmp_path / "out", "--json", "--no-report")
    found = only_object(cli(*arguments, "--config", tmp_path / "c.toml"))
    assert len(found["warnings"]) == 1
    assert "written by genoattn 0.0.1" in found["warnings"][0]
    again = cli(*arguments)
    assert (again.status, again.out) == (2, "")


@pytest.fixture
def reports(monkeypatch):
    """A writer of reports in place of the library's, and its calls."""
    calls = []

    def write_report(folder, cohort=None, why_no_data="", output=None, force=True):
        calls.append((folder.name, None if cohort is None else cohort.n_samples, why_no_data))
        file = folder / "report.html" if output is None else output
        file.write_text("<p>")
        return file

    module = types.ModuleType("genoattn.report.write")
    module.write_report = write_report
    monkeypatch.setitem(sys.modules, "genoattn.report.write", module)
    return calls


def test_reports(with_reports, data, tmp_path, reports):
    vcf, pheno = data
    out = tmp_path / "out"
    arguments = ("scan", vcf, "--pheno", pheno, "-o", out, "--quiet")
    assert with_reports(*arguments, "--no-report").status == 0
    assert reports == []
    found = only_object(with_reports(*arguments, "--json", "--force"))
    assert reports == [("out", 30, "")]
    assert "report.html" in found["files"]
    other = ("report", out, "-o", tmp_path / "r.html")
    assert with_reports(*other).out == f"written to {tmp_path / 'r.html'}\n"
    refused = with_reports(*other)
    assert refused.status == 2
    assert "r.html: already exists; give another output, or --force to replace it" in refused.err
    vcf.unlink()
    found = only_object(with_reports("report", out, "--json"))
    assert reports[1:] == [
        ("out", 30, ""),
        ("out", None, f"the genotypes are not at {vcf}, nor beside the folder"),
    ]
    assert found["reports"] == {str(out / "report.html"): reports[-1][-1]}
    assert "the report has no pictures of the data: the genotypes" in found["warnings"][0]
    nothing = with_reports("report", data[1].parent)
    assert nothing.status == 2
    assert "no manifest.json there; give the output folder of genoattn fit or scan" in nothing.err


def test_reports_of_several_traits(with_reports, data, tmp_path, reports):
    pheno = write_pheno(
        tmp_path / "p.tsv", a=[k % 7 for k in range(30)], b=[k % 5 for k in range(29)] + ["NA"]
    )
    out = tmp_path / "out"
    done = with_reports(
        "scan", data[0], "--pheno", pheno, "--trait", "a", "--trait", "b", "-o", out, "--quiet"
    )
    assert done.status == 0
    assert reports == [("out", None, ""), ("a", 30, ""), ("b", 29, "")]
    assert with_reports("report", out).out == "".join(f"written to {out / t / 'report.html'}\n" for t in "ab")
    assert reports[3:] == [("out", None, ""), ("a", 30, ""), ("b", 29, "")]
    assert "has a folder a trait; leave -o out" in with_reports("report", out, "-o", tmp_path / "r.html").err


@pytest.mark.parametrize("error", [RuntimeError("no ink"), KeyboardInterrupt()])
def test_a_report_that_fails_loses_no_result(with_reports, data, tmp_path, reports, monkeypatch, error):
    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr(sys.modules["genoattn.report.write"], "write_report", fail)
    out = tmp_path / "out"
    done = with_reports("scan", data[0], "--pheno", data[1], "-o", out, "--quiet")
    assert names(out) == [
        "interactions.parquet",
        "interactions.tsv",
        "manifest.json",
        "run.toml",
        "scan.json",
    ]
    assert len(done.err.splitlines()) == 1
    if isinstance(error, RuntimeError):
        assert done.status == 0
        assert f"no report (no ink); the results are in {out}; try: genoattn report {out}\n" in done.err
    else:
        assert done.status == 130
        assert f"interrupted; the results are in {out}; for the report: genoattn report {out}\n" in done.err


def test_a_report_is_no_table(with_reports, data, tmp_path, reports):
    out = tmp_path / "out"
    with_reports("scan", data[0], "--pheno", data[1], "-o", out, "--quiet", "--no-report")
    before = data[1].read_bytes()
    refused = with_reports("report", out, "-o", data[1], "--force")
    assert refused.status == 2
    assert "a report is an HTML file; name it .html" in refused.err
    assert data[1].read_bytes() == before
    absent = with_reports("report", tmp_path / "absent")
    assert "no such folder; give the output folder of genoattn fit or scan" in absent.err


def test_an_interruption_after_the_results_says_where_they_are(tmp_path):
    said = r"the results are in .*out; for the report: genoattn report"
    with pytest.raises(typer.Abort, match=said), steps.results_in(tmp_path / "out"):
        raise KeyboardInterrupt
