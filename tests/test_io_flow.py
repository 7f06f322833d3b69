"""Counts of what reading kept, step by step, which go to the manifest of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from read_files import RECORDS, SAMPLES
from small_cohorts import planted, short_fit
from vcf_files import record, write_text, write_vcf

from genoattn import Cohort, load_interactions
from genoattn.cohort import FlowStep
from genoattn.interactions.schema import manifest_from_json
from genoattn.io import read


def test_samples_records_and_sites(tmp_path: Path) -> None:
    listed = [record(["0/1", "1/1", "0/0", "0/7", "0/1", "0/0"], pos=900)]
    path = write_vcf(tmp_path / "g.vcf", SAMPLES, [*RECORDS, RECORDS[0], *listed])
    rows = [f"{name}\t{k + 0.5}" for k, name in enumerate(SAMPLES[:5])] + [f"{SAMPLES[5]}\tNA"]
    table = write_text(tmp_path / "p.tsv", "\n".join(["IID\theight", *rows]))
    cohort = read(path, table, max_missing=0.5)
    samples, records, sites = cohort.flow
    assert samples == FlowStep("samples", 6, 5, {"without a value of height": 1})
    assert records == FlowStep("records", 7, 6, {"an allele that is not listed": 1})
    assert (sites.unit, sites.read, sites.kept) == ("sites", 7, cohort.n_sites)
    assert sites.left_out["that repeat an earlier one"] == 1
    assert sum(sites.left_out.values()) == sites.read - sites.kept


def test_tables_are_named_without_their_folder(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "g.vcf", SAMPLES, RECORDS)
    table = write_text(tmp_path / "p.tsv", f"IID\theight\n{SAMPLES[0]}\t1.5\n{SAMPLES[1]}\t2.5")
    assert read(path, table, max_missing=1).flow[0].left_out == {"without a row in p.tsv": 4}


def test_sequences_that_repeat(tmp_path: Path) -> None:
    text = "variant,fitness\nAC,1\nAC,2\nGC,3\nGT,4"
    cohort = read(
        write_text(tmp_path / "v.csv", text), trait="fitness", sequence_column="variant", alphabet="dna"
    )
    assert [(step.unit, step.read, step.kept) for step in cohort.flow if step.unit == "sequences"][-1] == (
        "sequences",
        4,
        3,
    )


def test_arrays() -> None:
    cohort = Cohort.from_arrays(np.array([[0, 1], [2, 0], [1, 2]]), phenotype=np.array([1.0, np.nan, 2.0]))
    assert cohort.flow == (FlowStep("samples", 3, 2, {"without a value of trait": 1}),)


def test_manifest_keeps_them_and_does_without(tmp_path: Path) -> None:
    steps = (FlowStep("samples", 70, 60, {"without a value of y": 10}),)
    result = short_fit(planted(60, 5, seed=1), order=2)
    manifest = result.manifest
    assert manifest.flow == ()
    object.__setattr__(manifest, "flow", steps)
    text = manifest.to_json()
    assert manifest_from_json(text).flow == steps
    without = text.replace('"flow"', '"another"')
    assert manifest_from_json(without).flow == ()
    result.save(tmp_path / "fit")
    assert load_interactions(tmp_path / "fit").manifest.flow == steps
    assert pd.read_csv(tmp_path / "fit" / "predictions.tsv", sep="\t").shape[0] == 60
