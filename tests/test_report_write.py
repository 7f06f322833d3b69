"""Reports as files: complete, alike every time, without data, of many terms, of many traits."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_runs import cross, small_scan
from small_cohorts import planted

import genoattn
from genoattn.errors import InputError
from genoattn.report.write import build_report, write_report
from genoattn.scan.traits import save_traits


def keys(report):
    return [figure.key for section in report.sections for figure in section.figures]


@pytest.fixture(scope="module")
def butenyl(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cross") / "fit"
    cohort, fit = cross()
    fit.save(folder)
    return cohort, folder


def test_a_report_of_the_cross_has_all_its_pictures(butenyl):
    cohort, folder = butenyl
    assert keys(build_report(folder, cohort)) == [
        "finding-0", "flow", "trait", "region-0", "arcs", "manhattan", "quantiles", "orders", "observed",
        "calibration", "variance",
    ]  # fmt: skip


def test_equal_runs_give_equal_bytes(butenyl, tmp_path):
    cohort, folder = butenyl
    first = write_report(folder, cohort, output=tmp_path / "a.html").read_bytes()
    second = write_report(folder, cohort, output=tmp_path / "b.html").read_bytes()
    assert first == second
    assert b"lines that carry both have 3.9 log units more" in first
    assert len(first) < 2_500_000


def test_without_data_the_report_says_what_is_left_out_and_how_to_get_it(butenyl):
    _, folder = butenyl
    report = build_report(folder, why_no_data="arabidopsis_ril.vcf.gz has changed since the run.")
    assert report.warnings == [
        "The data of the run are not at hand (arabidopsis_ril.vcf.gz has changed since the run): pictures of "
        "measured samples and plain regressions are left out. With the unchanged files where they were, "
        "genoattn report on this folder adds them."
    ]
    assert keys(report) == [
        "flow", "region-0", "arcs", "manhattan", "orders", "observed", "calibration", "variance",
    ]  # fmt: skip
    terms = next(s for s in report.sections if s.key == "terms").tables[0]
    assert all(detail.figure is None for detail in terms.details.values())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: replace(c, phenotype=None), "they have no trait"),
        (
            lambda c: replace(c, phenotype=replace(c.phenotype, name="oil")),
            "their trait is oil and that",
        ),
        (
            lambda c: replace(c, phenotype=replace(c.phenotype, transform="none")),
            "their transform is none and",
        ),
        (
            lambda c: c.select_sites(np.array([0])),
            "run: arabidopsis_ril.vcf.gz: 116 of the model's 117 sites are not",
        ),
    ],
)
def test_data_of_another_run_are_not_used(butenyl, change, reason):
    cohort, folder = butenyl
    warning = build_report(folder, change(cohort)).warnings[-1]
    assert "(the data given are not those of the run: " in warning
    assert reason in warning


def test_a_file_that_exists_stays_without_force(tmp_path):
    cohort, scan = small_scan()
    scan.save(tmp_path / "scan")
    path = genoattn.write_report(tmp_path / "scan", cohort)
    assert path == tmp_path / "scan" / "report.html"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"report\.html: already exists; give another output, or --force"):
        write_report(tmp_path / "scan", cohort, force=False)
    assert path.read_text() == "mine"
    with pytest.raises(InputError, match=r"no such folder to write x\.html in"):
        write_report(tmp_path / "scan", cohort, output=tmp_path / "absent" / "x.html")


def test_ten_thousand_terms_stay_below_five_megabytes(tmp_path):
    cohort = planted(n_samples=100, n_sites=145)
    scan = genoattn.scan_pairs(cohort, threshold=1.0)
    assert len(scan) == 10_440
    scan.save(tmp_path / "scan")
    path = write_report(tmp_path / "scan", cohort)
    assert path.stat().st_size < 5_000_000
    table = next(s for s in build_report(tmp_path / "scan", cohort).sections if s.key == "terms").tables[0]
    assert len(table.rows) == 10_000
    assert len(table.details) == 50
    assert table.note.startswith("The first 10,000 of 10,440 rows; the others are in interactions.tsv.")


def test_each_of_several_traits_gets_its_report_and_an_index(tmp_path):
    cohort = planted()
    traits = pd.DataFrame({"oil": cohort.phenotype.values, "yield": -cohort.phenotype.values[::-1]})
    found = genoattn.scan_traits(cohort, traits.set_index(cohort.samples), threshold=0.05)
    save_traits(found, tmp_path / "many")
    own = replace(cohort, phenotype=replace(cohort.phenotype, name="oil"))
    index = write_report(tmp_path / "many", own).read_text()
    assert "2 traits: scans of interactions" in index
    assert '<a href="oil/report.html">oil</a>' in index
    assert "oil: rs1[G] (1:100) x rs2[G] (2:200): each copy of one" in index
    pages = {name: (tmp_path / "many" / name / "report.html").read_text() for name in ("oil", "yield")}
    assert "finding-0" in pages["oil"]
    assert "The data of the run are not at hand" in pages["yield"]


def test_quantiles_and_arcs_of_a_scan(tmp_path):
    cohort, scan = small_scan()
    scan.save(tmp_path / "scan")
    report = build_report(tmp_path / "scan", cohort)
    assert keys(report) == ["finding-0", "trait", "arcs", "manhattan", "quantiles"]
    section = next(s for s in report.sections if s.key == "genome")
    figures = {figure.key: figure for figure in section.figures}
    claimed = next(t for t in figures["arcs"].data if t["name"] == "q of 0.05 or less")
    n = int((scan.frame["q_value"] <= 0.05).sum())
    assert claimed["x"].count(None) == n
    points = next(t for t in figures["quantiles"].data if t["name"] == "tests")
    assert points["y"][0] == pytest.approx(-np.log10(scan.frame["p_value"].iloc[0]), rel=1e-4)
    assert len(points["y"]) == 66


_TABLE = "IID\tpart\tobserved\tpredicted\torder_x\na\ttest\t1\t2\t3\n"


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("metrics.json", '{"metric": "r2", "test": {"by_order": {"1": 0.2}}}', "How sure the findings are"),
        (
            "predictions.tsv",
            "IID\tpart\tobserved\tpredicted\torder_x\na\ttest\t1\t2\t3\n",
            "The quality by order",
        ),
        ("signals.tsv", None, "Signals"),
    ],
)
def test_a_file_edited_by_hand_costs_its_part_alone(butenyl, tmp_path, name, content, part):
    cohort, folder = butenyl
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / name
    if content is None:
        frame = pd.read_csv(path, sep="\t", dtype=str)
        frame.loc[0, "site_1"] = "absent"
        frame.to_csv(path, sep="\t", index=False)
    else:
        path.write_text(content)
    report = build_report(tmp_path / "run", cohort)
    said = [
        w for w in report.warnings if w.startswith(f"{part} is left out: a file of the folder is damaged")
    ]
    assert len(said) == 1
    assert "arcs" in keys(report)


def test_the_quantiles_count_what_lies_below_the_median(butenyl):
    cohort, folder = butenyl
    (figure,) = [f for s in build_report(folder, cohort).sections for f in s.figures if f.key == "quantiles"]
    count = int(figure.description.split(" of ")[0].replace(",", ""))
    assert count == 3393  # half of 6,785


def test_names_with_semicolons_keep_their_probability(butenyl, tmp_path):
    _, folder = butenyl
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / "signals.tsv"
    path.write_text(path.read_text().replace("GA1", "GA1;rs7"))
    report = build_report(tmp_path / "run")
    assert any("GA1;rs7 x GH.117C (probability 0.90" in text for text in report.sure)


def test_reports_of_several_traits_are_written_all_or_none(tmp_path):
    _, scan = small_scan()
    save_traits({"a": scan, "b": scan}, tmp_path / "scans")
    (tmp_path / "scans" / "b" / "report.html").write_text("mine")
    with pytest.raises(InputError, match=r"b/report\.html: already exists"):
        write_report(tmp_path / "scans", force=False)
    assert not (tmp_path / "scans" / "a" / "report.html").exists()
