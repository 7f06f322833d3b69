"""What opens from a row: the interaction plot and why its p-value is what it is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from matplotlib.colors import to_hex
from report_runs import cross, landscape
from small_cohorts import planted

import genoattn
from genoattn.plot.figure_style import DIVERGING as OF_PLOT
from genoattn.report.joint_figure import joint_figure
from genoattn.report.plain_regression import plain_regression
from genoattn.report.run_folder import RunFolder, load_run
from genoattn.report.traces import DIVERGING
from genoattn.report.write import build_report
from genoattn.views.joint_states import joint_states


@pytest.fixture(scope="module")
def butenyl(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cross") / "fit"
    cohort, fit = cross()
    fit.save(folder)
    return cohort, folder


def terms(report):
    return next(s for s in report.sections if s.key == "terms").tables[0]


def claim(run):
    rows = run.table.frame
    return rows[(rows["site_1"] == "GA1") & (rows["site_2"] == "GH.117C")].iloc[0].to_dict()


def test_every_fact_of_the_claimed_pair(butenyl):
    cohort, folder = butenyl
    table = terms(build_report(folder, cohort))
    number = next(k for k, row in enumerate(table.rows) if row[1] == "GA1[C] x GH.117C[C]")
    detail = table.details[number]
    assert detail.sentence.startswith(
        "Each copy of GA1[C] with each copy of GH.117C[C]: +0.972 (+0.774 to +1.17)"
    )
    facts = dict(detail.facts)
    assert facts["Coding"] == (
        "GA1: copies of C (0 to 2), less 1.10; GH.117C: copies of C (0 to 2), less 0.828 (frequency gauge)"
    )
    assert facts["Main effects"].startswith(
        "GA1[C]: 2.1 (1.8 to 2.3), p = 3.9e-41; GH.117C[C]: 1.1 (0.9 to 1.3)"
    )
    assert facts["Linkage"] == "largest r² between two sites 0.0027"
    assert facts["Distance"] == "different chromosomes (4 and 5)"
    # The last digit of p depends on the processor.
    assert re.fullmatch(
        r"\+0\.972 / 0\.101 = 9\.6\d?, so that p = [12]\.\de-17", facts["Effect / standard error"]
    )
    assert re.fullmatch(
        r"6,786 possible pairs; p times that number is 1\.\de-13 \(Bonferroni\)", facts["Number of tests"]
    )
    assert "of its signal, a cluster of 73 linked pairs" in facts["q-value"]
    assert "from the pair ANL2 x HH.480C and the most cautious of its tests (p = 1.2e-06)" in facts["q-value"]
    plain = facts["Regression on both sites and their product alone"]
    assert plain == "+0.984, standard error 0.104, p = 4.4e-17 (157 samples)"
    assert "GA1 C/C with GH.117C C/C: 8.55 (n = 38)" in facts["Joint states"]


def test_the_plot_has_the_means_counts_and_intervals_of_the_samples(butenyl):
    cohort, folder = butenyl
    run = load_run(folder)
    row = claim(run)
    figure = joint_figure("k", "pair", joint_states(cohort, row, run.manifest), run)
    ids = cohort.sites.ids.tolist()
    calls = cohort.calls[:, [ids.index("GA1"), ids.index("GH.117C")]]
    for k, state in ((0, "A/A"), (2, "C/C")):
        line = next(t for t in figure.data if t["name"] == state)
        for at, copies in enumerate((0, 2)):
            values = cohort.phenotype.values[(calls == (copies, k)).all(axis=1)]
            assert line["text"][at] == f"n = {len(values)}"
            assert line["y"][at] == pytest.approx(values.mean(), rel=1e-4)
            half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
            assert line["error_y"]["array"][at] == pytest.approx(half, rel=0.06)
    dashed = [t for t in figure.data if t["name"].endswith("no interaction")]
    assert len(dashed) == 2
    assert all(t["line"]["dash"] == "dash" for t in dashed)
    assert figure.layout["legend"]["title"]["text"] == "GH.117C"
    assert "Left out: 1 without a call." in figure.note


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("with_covariates", [False, True])
def test_the_plain_regression_is_that_of_statsmodels(binary, with_covariates):
    cohort = planted(n_samples=250, missing=0.03, binary=binary, covariates="mixed", effect=0.3)
    result = genoattn.scan_pairs(cohort, threshold=1.0)
    row = result.frame.iloc[3].to_dict()
    found = plain_regression(cohort, row, result.manifest, with_covariates)
    ids = cohort.sites.ids.tolist()
    a, b = (cohort.calls[:, ids.index(row[f"site_{k}"])].astype(float) for k in (1, 2))
    kept = (a >= 0) & (b >= 0)
    parts = [np.ones(len(a)), a, b, a * b, *(cohort.covariates.values.T if with_covariates else ())]
    design, y = np.column_stack(parts)[kept], cohort.phenotype.values[kept]
    fit = sm.Logit(y, design).fit(disp=0) if binary else sm.OLS(y, design).fit()
    assert found.n == kept.sum()
    assert (found.effect, found.se, found.p_value) == pytest.approx(
        (fit.params[3], fit.bse[3], fit.pvalues[3]), rel=1e-5
    )


def test_the_plain_regression_of_residues_takes_carriers_of_reference_or_mutation():
    cohort = planted(n_samples=400, kind="sequence", n_sites=4)
    result = genoattn.scan_pairs(cohort, threshold=1.0)
    row = next(r for r in result.frame.to_dict("records") if r["state_1"] != "A" and r["state_2"] != "A")
    found = plain_regression(cohort, row, result.manifest)
    ids = cohort.sites.ids.tolist()
    at = [ids.index(row[f"site_{k}"]) for k in (1, 2)]
    own = ["ACD".index(row[f"state_{k}"]) for k in (1, 2)]
    means = {}
    for i in (0, 1):
        for j in (0, 1):
            cell = (cohort.calls[:, at[0]] == own[0] * i) & (cohort.calls[:, at[1]] == own[1] * j)
            means[i, j] = cohort.phenotype.values[cell].mean()
    assert found.effect == pytest.approx(means[1, 1] - means[1, 0] - means[0, 1] + means[0, 0], abs=1e-9)


def test_a_product_that_samples_do_not_determine_has_no_plain_test():
    cohort = planted(n_samples=60)
    calls = cohort.calls.copy()
    calls[:, 1] = calls[:, 0] > 0  # never seen apart
    twin = type(cohort)(cohort.samples, cohort.sites, calls, phenotype=cohort.phenotype)
    row = {"order": 2, "site_1": "rs1", "site_2": "rs2", "state_1": "G", "state_2": "G"}
    manifest = genoattn.scan_pairs(cohort, threshold=1.0).manifest
    assert plain_regression(twin, row, manifest) is None


def test_triples_open_too_and_no_more_rows_than_promised(tmp_path, monkeypatch):
    cohort, fit = landscape(tmp_path, order=3, link="none")
    fit.save(tmp_path / "fit")
    table = terms(build_report(tmp_path / "fit", cohort))
    orders = [row[0] for row in table.rows]
    triple = next(k for k in table.details if orders[k] == 3)
    assert len(table.details[triple].figure.layout["xaxis"]["ticktext"]) == 4
    monkeypatch.setattr("genoattn.report.sections_terms.MOST_DETAILS", 7)
    table = terms(build_report(tmp_path / "fit", cohort))
    assert list(table.details) == [k for k, order in enumerate(orders) if order >= 2][:7]
    assert table.note.startswith("A click on one of the first 7 interactions opens its picture and why")


def test_the_note_of_an_interaction_plot_fits_its_scale_and_order():
    notes = {}
    for name, options, order in (("binary", {"binary": True}, 2), ("pair", {}, 2), ("triple", {}, 3)):
        cohort = planted(200, 5, seed=1, **options)
        scan = genoattn.scan_pairs(cohort) if order == 2 else genoattn.scan_triples(cohort, 1.0)
        run = RunFolder(Path("scan"), "scan", scan.table)
        joint = joint_states(cohort, scan.table.frame.iloc[0].to_dict(), scan.manifest)
        notes[name] = joint_figure("k", "n", joint, run).note
    assert notes["pair"].startswith("Parallel lines: no interaction.")
    assert "on the scale of log-odds, so they need not be parallel" in notes["binary"]
    assert "The row is what remains beyond their pairs too." in notes["triple"]


def test_colours_of_the_map_are_those_of_the_figures_for_papers():
    for share, colour in (DIVERGING[0], DIVERGING[-1]):
        assert to_hex(OF_PLOT(share)).lower() == colour.lower()
