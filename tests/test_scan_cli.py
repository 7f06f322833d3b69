"""genoattn scan: what it writes, prints and refuses."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_files import run_in_process, write_cohort

import genoattn

GOLDEN = Path(__file__).parent / "golden" / "scan_plink"


@pytest.fixture
def cli(capsys):
    return lambda *arguments: run_in_process(arguments, capsys)


def test_writes_a_table_that_reads_back(cli, tmp_path):
    vcf, pheno = write_cohort(tmp_path)
    out = tmp_path / "out"
    outcome = cli("scan", vcf, "--pheno", pheno, "--threshold", "1", "-o", out, "--threads", "1")
    assert outcome.status == 0
    assert "Scan of y: 15 pairs tested" in outcome.out
    assert f"written to {out}" in outcome.out
    assert "kept 6" in outcome.err
    names = ["interactions.parquet", "interactions.tsv", "manifest.json", "scan.json"]
    assert sorted(p.name for p in out.iterdir()) == names
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cohort.vcf", "out", "pheno.tsv"]
    record = json.loads((out / "scan.json").read_text())
    assert (record["n_tests"], record["n_untestable"], record["n_reported"]) == (15, 0, 15)
    assert record["bonferroni"] == pytest.approx(0.05 / 15)
    table = genoattn.load_interactions(out)
    expected = genoattn.scan_pairs(genoattn.read(vcf, pheno), threshold=1.0).frame
    pd.testing.assert_frame_equal(table.frame, expected, check_dtype=False)
    pd.testing.assert_frame_equal(genoattn.load_interactions(out / "interactions.tsv").frame, table.frame)
    assert table.frame["p_value"].is_monotonic_increasing


def test_plink_columns(cli, tmp_path):
    arguments = ["--pheno", GOLDEN / "traits.txt", "--threshold", "1", "--format", "plink", "--quiet"]
    for trait, ending in (("quantity", "epi.qt"), ("disease", "epi.cc")):
        out = tmp_path / trait
        outcome = cli("scan", GOLDEN / "missing.vcf", *arguments, "--trait", trait, "-o", out)
        assert (outcome.status, outcome.err) == (0, "")
        ours = pd.read_csv(out / f"interactions.{ending}", sep="\t")
        plink = pd.read_csv(GOLDEN / f"missing.{trait}.{ending}", sep=r"\s+")
        assert list(ours.columns) == list(plink.columns)
        merged = ours.merge(plink, on=["SNP1", "SNP2"], suffixes=("", "_plink"))
        assert len(merged) == len(ours) > 40
        for name in (ours.columns[4], "STAT", "P"):
            # PLINK prints P with four digits.
            rtol = 2e-3 if name == "P" else 1e-4
            np.testing.assert_allclose(merged[name], merged[f"{name}_plink"], rtol=rtol)


def test_triples(cli, tmp_path):
    vcf, pheno = write_cohort(tmp_path)
    outcome = cli("scan", vcf, "--pheno", pheno, "--order", "3", "--threshold", "1", "-o", tmp_path / "out")
    assert outcome.status == 0
    assert "20 triples tested" in outcome.out
    assert len(genoattn.load_interactions(tmp_path / "out").frame) == 20


def test_refusals_leave_nothing(cli, tmp_path):
    vcf, pheno = write_cohort(tmp_path)
    out = tmp_path / "out"
    for options, message in (
        (["--sites", "rs99"], "site set 'rs99': no site with this ID"),
        (["--threshold", "2"], "threshold is 2.0; give a p-value"),
        (["--order", "3", "--format", "plink"], "PLINK has no format for triples; leave --format out"),
        (["--trait", "z"], "no trait 'z'; there are: y"),
    ):
        outcome = cli("scan", vcf, "--pheno", pheno, "-o", out, "--quiet", *options)
        assert outcome.status == 2
        assert len(outcome.err.splitlines()) == 1
        assert outcome.err.startswith("genoattn scan: error: ")
        assert message in outcome.err
        assert not out.exists()
    out.mkdir()
    outcome = cli("scan", vcf, "--pheno", pheno, "-o", out, "--quiet")
    assert "already exists; give another output" in outcome.err
