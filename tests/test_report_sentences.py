"""What a report says first: asked, found, how sure. Sentences are pinned as a reader meets them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from inference_cohorts import cohort_of, linked_dosages, sites_on
from report_runs import cross, landscape, null_cohort, small_scan
from scipy import stats
from small_cohorts import planted

import genoattn
from genoattn.report.certainty import smallest_found
from genoattn.report.wording import ends, fold, interval, number, p_text, percent
from genoattn.report.write import build_report


@pytest.fixture(scope="module")
def butenyl(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cross") / "fit"
    cohort, fit = cross()
    fit.save(folder)
    return build_report(folder, cohort)


def test_the_cross_says_what_biologists_say(butenyl):
    assert butenyl.title == "3.Butenyl: model of epistasis"
    assert butenyl.asked == [
        "Which alleles act together on 3.Butenyl (natural logarithm)?",
        "158 samples, 117 sites; 6,786 possible pairs.",
    ]
    assert butenyl.found == [
        "GA1[C] (4:902,700) x GH.117C[C] (5:3,535,600): lines that carry both have 3.9 log units more than "
        "the two alone add up to (95 % interval 3.1 to 4.7; a factor of 49). One claim in 6,786 possible "
        "pairs, at a false discovery rate of 5 % (q = 0.0031)."
    ]
    assert butenyl.warnings == []


def test_the_cross_says_how_sure_that_is(butenyl):
    claims, markers, prediction, pairs, caution = butenyl.sure
    assert claims == (
        "At most about 5 % of such claims are expected to be false, additive effects of all sites allowed "
        "for. Sizes are adjusted for all sites of the model: raw groups can differ."
    )
    assert markers == (
        "The likeliest markers are GA1 x GH.117C (probability 0.90; 2 pairs of linked markers hold 95 % of "
        "it); 98 % of the signal remains when adjusted for all markers within 1 Mb."
    )
    # The last digit depends on the processor.
    said = r"Prediction: R² 0\.69\d in 158 samples that the model had not seen, 0\.65\d without"
    assert re.match(said, prediction)
    assert prediction.endswith(
        ": perhaps none). Interactions are 12 % of the variance that the model explains."
    )
    assert pairs.startswith("All pairs of sites together, additive x additive: ")
    assert "not mechanism" in caution


def test_the_flow_of_samples_is_told(butenyl):
    data = {section.key: section for section in butenyl.sections}["data"]
    assert data.paragraphs == [
        "Samples: 162 read, 158 kept; left out: 4 without a value of 3.Butenyl.",
        "Sites: 117 read, 117 kept.",
    ]


def test_a_scan_reminds_of_its_limits(tmp_path):
    cohort, scan = small_scan()
    scan.save(tmp_path / "scan")
    report = build_report(tmp_path / "scan", cohort)
    assert report.asked[1] == "Every pair that could be tested was: 66 tests in 120 samples."
    assert report.found[0].startswith(
        "rs1[G] (1:100) x rs2[G] (2:200): each copy of one with each copy of the other gives 1.2 units of "
        "trait more than the two alone add up to (95 % interval "
    )
    assert "; homozygotes for both have 4.8 more. 1 of 66 pairs passes a false" in report.found[0]
    assert report.sure[0].endswith("can make its rows; genoattn fit tests its claims against these.")
    assert report.sure[1].startswith("With 120 samples an interaction that explains 13 % of the variance")


def test_an_empty_scan_says_that_nothing_was_found(tmp_path):
    cohort = null_cohort()
    genoattn.scan_pairs(cohort, threshold=1e-9).save(tmp_path / "scan")
    report = build_report(tmp_path / "scan", cohort)
    assert report.found == [
        "No pair of 190 has a p-value of 1e-09 or less. That is below Bonferroni's threshold (2.6e-04): a "
        "scan with a larger one may find some that pass it."
    ]
    assert [s.paragraphs for s in report.sections if s.key == "terms"] == [["The table has no term."]]


def test_a_scan_without_a_discovery_names_the_strongest(tmp_path):
    cohort = null_cohort()
    scan = genoattn.scan_pairs(cohort, threshold=0.5)
    scan.save(tmp_path / "scan")
    report = build_report(tmp_path / "scan", cohort)
    q = scan.frame["q_value"].iloc[0]
    assert report.found[1].startswith("The strongest is no claim. ")
    assert report.found[1].endswith(f"; q = {p_text(q)}.")


def test_a_binary_trait_speaks_of_odds(tmp_path):
    cohort = planted(n_samples=300, binary=True)
    scan = genoattn.scan_pairs(cohort, threshold=1.0)
    scan.save(tmp_path / "scan")
    report = build_report(tmp_path / "scan", cohort)
    times = number(float(np.exp(scan.frame["effect"].iloc[0])))
    assert f"each copy of the other multiplies the odds of being a case by {times} (" in report.found[0]
    assert ", on top of what the two alone give." in report.found[0]
    assert not any("explains" in text for text in report.sure)  # power is worked out for least squares alone


def test_a_landscape_names_mutations(tmp_path):
    cohort, fit = landscape(tmp_path, order=3, link="none")
    fit.save(tmp_path / "fit")
    report = build_report(tmp_path / "fit", cohort)
    assert report.asked == [
        "Which mutations act together on fitness?",
        "64 variants, 6 sites; 15 possible pairs and 20 possible triples.",
    ]
    triple = next(text for text in report.found if text.startswith("A3C x A4C x A5C"))
    assert (
        "carriers of all have 3.2 units of fitness less than the single mutations and pairs add up to"
        in triple
    )
    pair = next(text for text in report.found if text.startswith("A1C x A2C"))
    assert "carriers of both have 2.2 units of fitness more than the two alone add up to (95 %" in pair


def test_a_link_speaks_of_latent_units(tmp_path):
    cohort, fit = landscape(tmp_path, curve=True, link="monotone")
    fit.save(tmp_path / "fit")
    report = build_report(tmp_path / "fit", cohort)
    assert report.sure[-1].startswith("Latent units are those of fitness before the curve")
    landscape_section = next(s for s in report.sections if s.key == "landscape")
    assert [figure.key for figure in landscape_section.figures] == ["heat-map", "mutations", "link"]


def test_main_effects_alone(tmp_path):
    cohort, fit = landscape(tmp_path, order=1, link="none")
    fit.save(tmp_path / "fit")
    found = build_report(tmp_path / "fit", cohort).found
    assert found == ["The model has main effects alone: interactions were not asked for."]


def test_signals_that_cannot_be_tested_say_why(tmp_path):
    rng = np.random.default_rng(1)
    dosage = linked_dosages(rng, 200, 1, 4, 0.9)
    cohort = cohort_of(sites_on(1, 4, 1000), dosage, dosage[:, 0] * dosage[:, 3] + rng.normal(size=200))
    genoattn.fit(cohort).save(tmp_path / "fit")
    found = build_report(tmp_path / "fit", cohort).found
    assert found[0].startswith(
        "No claim can be made about pairs: all 4 sites are on one chromosome within 1 Mb"
    )
    assert found[1].startswith("The strongest row is no claim. ")


def test_a_model_of_features_is_reported_like_any_other(tmp_path):
    cohort = planted()
    genoattn.fit(cohort, attention="feature", max_epochs=3).save(tmp_path / "fit")
    found = build_report(tmp_path / "fit", cohort).found
    assert found[0].startswith(
        "rs1[G] (1:100) x rs2[G] (2:200): each copy of one with each copy of the other"
    )
    assert " One claim in 28 possible pairs, at a false discovery rate of 5 % (q = " in found[0]


def test_phantoms_are_told_and_not_claimed(tmp_path):
    cohort, fit = cross()
    signals = fit.discovery.signals.assign(flag=["phantom", ""])
    replace(fit, discovery=replace(fit.discovery, signals=signals)).save(tmp_path / "fit")
    found = build_report(tmp_path / "fit", cohort).found
    assert found[0] == "No interaction passes a false discovery rate of 5 %."
    assert found[-1] == (
        "GA1 x GH.117C (q = 0.0031) is not claimed: a single untyped variant near these sites could explain "
        "it (phantom)."
    )


def test_power_is_that_of_simulated_regressions():
    n, tests = 150, 40
    share = smallest_found(n, tests)
    rng = np.random.default_rng(0)
    bound = stats.t.isf(0.05 / tests / 2, n - 4)
    passing = []
    for _ in range(600):
        x = rng.standard_normal((n, 3))
        y = np.sqrt(share) * x[:, 2] + np.sqrt(1 - share) * rng.standard_normal(n)
        design = np.column_stack([np.ones(n), x])
        beta, residual = np.linalg.lstsq(design, y, rcond=None)[:2]
        se = np.sqrt(residual[0] / (n - 4) * np.linalg.inv(design.T @ design)[-1, -1])
        passing.append(abs(beta[-1] / se) > bound)
    assert abs(np.mean(passing) - 0.8) < 0.06
    assert smallest_found(9, tests) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(0.4567), "0.46"),
        (number(1234.5, 3), "1,230"),
        (number(-2.04, 2, sign=True), "-2.0"),
        (number(3e-9), "3.0e-09"),
        (number(0), "0"),
        (number(float("nan")), ""),
        (interval(0.972, 0.101), "0.97 (0.77 to 1.17)"),
        (interval(0.01, 0.1, 1), "0.01 (-0.19 to 0.21)"),
        (p_text(0.0412), "0.041"),
        (p_text(4.14e-17), "4.1e-17"),
        (percent(0.05), "5 %"),
        (percent(0.0862), "8.6 %"),
        (percent(0.4321), "43 %"),
        (percent(0.0002), "under 0.1 %"),
    ],
)
def test_numbers_as_people_write_them(text, expected):
    assert text == expected


def test_effects_of_any_size_have_a_number():
    assert ends(8e-10, 1.1e-9, 9.7e-10) == "8.0e-10 to 1.1e-09"
    assert ends(0.77, 1.17, 0.97) == "0.77 to 1.17"
    assert ends(8331.2, 13921.0, 11126.0) == "8,000 to 14,000"
    assert ends(-0.0001, 0.4, 0.2) == "0.00 to 0.40"
    binary = replace(planted_manifest(), binary=True)
    assert fold(12.8, 1.0, binary) == "more than 100,000"
    assert fold(-12.8, 1.0, binary) == "less than 1 in 100,000"
    assert fold(1.0, 0.1, binary) == "2.7 (2.2 to 3.3)"


def planted_manifest():
    return small_scan()[1].manifest


def test_power_of_few_samples_and_very_many_tests():
    # With 6 degrees of freedom t must pass 88 at 1e12 tests: far above the normal quantile and 5 more.
    share = smallest_found(10, 10**12)
    assert 0.99 < share < 1


def test_a_scan_below_bonferroni_says_that_others_may_pass(tmp_path):
    cohort, _ = small_scan()
    scan = genoattn.scan_pairs(cohort, threshold=1e-5)
    scan.save(tmp_path / "scan")
    assert "the threshold 1e-05 may hide others that pass" in scan.summary()
    assert (
        "lists only p-values of 1e-05 or less: others may pass too."
        in build_report(tmp_path / "scan").found[0]
    )
