"""Pairs of genotypes whose signals cannot be tested: it is said why, and they have no q-values."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from inference_cohorts import cohort_of, linked_dosages, sites_on
from small_cohorts import planted, short_fit

import genoattn
from genoattn.errors import InputError

CASE = Path(__file__).parent / "cases" / "uncorrected-q"
NEAR = "all 25 sites are on one chromosome within 1 Mb of each other, and linked"


def case(name):
    return genoattn.read(CASE / f"{name}.vcf", CASE / "y.tsv")


def linked(n=400):
    """25 linked sites of a short genome, with an additive trait seen through exp()."""
    rng = np.random.default_rng(1)
    dosage = linked_dosages(rng, n, 1, 25, 0.9)
    y = np.exp(0.5 * (dosage[:, 3] - dosage[:, 12] + dosage[:, 20]) + 0.3 * rng.normal(size=n))
    return cohort_of(sites_on(1, 25, 1200), dosage, y)


def pairs(table):
    return table.frame[table.frame["order"] == 2]


def test_linked_sites_of_a_short_genome(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "genoattn"):
        result = short_fit(linked(), estimator="ridge")
    assert f"signals are not tested, and pairs have no q-values: {NEAR}" in caplog.messages
    assert result.discovery is None
    rows = pairs(result.table)
    assert len(rows)
    assert rows["q_value"].isna().all()
    assert rows["p_value"].notna().any()
    assert f"Signals are not tested: {NEAR}." in result.summary()
    assert "contrasts, without q-values" in result.summary()
    result.save(tmp_path / "fit")
    assert json.loads((tmp_path / "fit" / "manifest.json").read_text())["tests"]["signals"] == NEAR
    exported = genoattn.load_model(tmp_path / "fit").export("reference")
    assert pairs(exported)["q_value"].isna().all()
    assert exported.manifest.tests["signals"] == NEAR
    with pytest.raises(InputError, match=f"reach of linkage, but {NEAR}; fit an alignment"):
        genoattn.discover(linked())


def clustered(chromosomes):
    rng = np.random.default_rng(2)
    cohort = planted()
    n = cohort.n_samples
    per = cohort.n_sites // chromosomes
    dosage = linked_dosages(rng, n, chromosomes, per, 0.9)
    sites = sites_on(chromosomes, per, 1000)
    return cohort_of(sites, dosage, rng.normal(size=n))


@pytest.mark.parametrize(("chromosomes", "is_near"), [(1, True), (2, False), (4, False)])
def test_linked_sites_of_several_chromosomes_have_signals(chromosomes, is_near):
    result = short_fit(clustered(chromosomes), estimator="ridge")
    assert (result.discovery is None) == is_near == ("signals" in result.manifest.tests)
    assert pairs(result.table)["q_value"].isna().all() == is_near


# The trait is additive on another scale: no pair is a signal, whatever fits the model.
@pytest.mark.parametrize("name", ["near", "far"])
@pytest.mark.parametrize("options", [{}, {"encoding": "genotype"}, {"attention": "linear"}])
def test_a_curved_scale_claims_nothing(name, options):
    result = short_fit(case(name), **({"estimator": "auto"} | options))
    assert result.discovery is not None
    assert "signals" not in result.manifest.tests
    assert (pairs(result.table)["q_value"] > 0.05).all()


def test_few_sites_and_many_samples_with_a_curved_scale():
    rng = np.random.default_rng(3)
    cohort = planted(3000, 8)
    x = cohort.calls - cohort.calls.mean(axis=0)
    y = np.exp(x @ rng.normal(0, 0.4, 8) + 0.3 * rng.normal(size=3000))
    assert cohort.phenotype is not None
    cohort = replace(cohort, phenotype=replace(cohort.phenotype, values=y))
    result = short_fit(cohort, estimator="auto", max_epochs=2)
    assert result.manifest.model["form"] == "dense factors"
    assert (pairs(result.table)["q_value"] > 0.05).all()


@pytest.mark.parametrize(
    "options",
    [
        {"encoding": "genotype"},
        {"attention": "linear"},
        {"estimator": "ridge"},
        {"estimator": "attention"},
        {"attention": "feature", "estimator": "attention"},
    ],
)
def test_whatever_fits_the_model_the_planted_pair_is_a_signal(options, tmp_path):
    result = short_fit(planted(400), **options)
    rows = pairs(result.table)
    claimed = rows[rows["q_value"] < 0.05]
    assert {tuple(row) for row in claimed[["site_1", "site_2"]].to_numpy()} == {("rs1", "rs2")}
    result.save(tmp_path / "fit")
    again = genoattn.load_model(tmp_path / "fit").export("frequency")
    np.testing.assert_array_equal(pairs(again)["q_value"], rows["q_value"])
    assert pairs(again)["site_1"].tolist() == rows["site_1"].tolist()


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"order": 1, "estimator": "auto"}, "order 1 has no pairs"), ({"assess": False}, "assess is off")],
)
def test_fits_that_do_not_look_for_signals(options, reason, caplog):
    with caplog.at_level(logging.INFO, "genoattn"):
        result = short_fit(planted(), **options)
    assert any(m.startswith("signals are not tested") and reason in m for m in caplog.messages)
    assert reason in result.manifest.tests["signals"]
    assert pairs(result.table)["q_value"].isna().all()
    assert result.table.frame["q_value"][result.table.frame["order"] == 1].notna().any()


def test_the_table_lists_signals_and_then_the_first_pairs_of_the_ranking():
    result = short_fit(planted(400, 30), estimator="sparse")
    assert result.discovery is not None
    claimed = result.discovery.claimed[["site_1", "site_2"]].to_numpy().tolist()
    ranking = result.discovery.ranking.head(20)[["site_1", "site_2"]].to_numpy().tolist()
    expected = [*claimed, *(pair for pair in ranking if pair not in claimed)]
    rows = pairs(result.table).head(20)
    assert claimed
    assert rows[["site_1", "site_2"]].to_numpy().tolist() == expected[:20]
    others = result.table.frame[result.table.frame["order"] == 1]
    assert others["p_value"].is_monotonic_increasing


def test_landscapes_have_q_values_of_their_own():
    result = short_fit(planted(kind="sequence"), order=2, estimator="posterior")
    assert "signals" not in result.manifest.tests
    assert pairs(result.table)["q_value"].notna().any()


def test_a_summary_shows_what_the_model_or_a_claim_says():
    result = short_fit(planted(400, 30), estimator="sparse")
    rows = pairs(result.table)
    shown = result.table.different(2)
    assert (rows["coefficient"] == 0).any()  # pairs of the ranking that the model leaves out
    assert ((shown["coefficient"] != 0) | (shown["q_value"] <= 0.05)).all()
    assert len(shown)
