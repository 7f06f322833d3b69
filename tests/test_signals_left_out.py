"""Pairs of genotypes whose signals cannot be tested: it is said why, and they have no q-values."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_cohorts import planted, short_fit

import genoattn
from genoattn.errors import InputError

CASE = Path(__file__).parent / "cases" / "uncorrected-q"
NEAR = "all 25 sites are on one chromosome within 1 Mb of each other"


def case(name):
    return genoattn.read(CASE / f"{name}.vcf", CASE / "y.tsv")


def pairs(table):
    return table.frame[table.frame["order"] == 2]


def test_sites_of_a_short_genome(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "genoattn"):
        result = short_fit(case("near"), estimator="auto")
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
    with pytest.raises(InputError, match=f"or 1 Mb apart, but {NEAR}; fit an alignment"):
        genoattn.discover(case("near"))


def test_the_same_calls_far_apart_have_q_values():
    result = short_fit(case("far"), estimator="auto")
    assert result.discovery is not None
    assert "signals" not in result.manifest.tests
    assert (pairs(result.table)["q_value"] == 1).all()


def placed(cohort, chrom, pos):
    return replace(
        cohort, sites=replace(cohort.sites, chrom=np.array(chrom, dtype=object), pos=np.array(pos))
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"encoding": "genotype"}, "signals are pairs of dosages, and the encoding is genotype"),
        ({"attention": "linear"}, "the estimator is full attention (attention linear)"),
        ({"estimator": "ridge"}, "the estimator is ridge regression (estimator ridge)"),
        ({"estimator": "attention"}, "the estimator is dense factors (estimator attention)"),
        ({"order": 1, "estimator": "auto"}, "order 1 has no pairs"),
        ({"attention": "feature", "estimator": "attention"}, "the estimator is feature factors"),
    ],
)
def test_fits_that_do_not_look_for_signals(options, reason, caplog):
    with caplog.at_level(logging.INFO, "genoattn"):
        result = short_fit(planted(), **options)
    assert any(m.startswith("signals are not tested") and reason in m for m in caplog.messages)
    assert reason in result.manifest.tests["signals"]
    assert pairs(result.table)["q_value"].isna().all()
    assert (result.table.frame["order"] == 1).any()
    assert result.table.frame["q_value"][result.table.frame["order"] == 1].notna().any()


def test_few_sites_and_many_samples():
    result = short_fit(planted(1200, 8), estimator="auto", max_epochs=2)
    reason = "the estimator is dense factors (840 samples, at least 20 for each of 28 pairs of columns)"
    assert reason in result.manifest.tests["signals"]
    assert pairs(result.table)["q_value"].isna().all()


@pytest.mark.parametrize(
    ("chrom", "pos", "is_near"),
    [
        (["1"] * 8, [1, *range(1000, 7000, 1000), 1_000_000], True),  # 999,999 bp
        (["1"] * 8, [1, *range(1000, 7000, 1000), 1_000_001], False),
        ([*["1"] * 7, "2"], range(8), False),
    ],
)
def test_where_pairs_begin_to_be_far_enough_apart(chrom, pos, is_near):
    result = short_fit(placed(planted(), chrom, pos), estimator="sparse")
    assert (result.discovery is None) == is_near == ("signals" in result.manifest.tests)
    assert pairs(result.table)["q_value"].isna().all() == is_near


def test_landscapes_have_q_values_of_their_own():
    result = short_fit(planted(kind="sequence"), order=2, estimator="posterior")
    assert "signals" not in result.manifest.tests
    assert pairs(result.table)["q_value"].notna().any()
