"""genoattn scan --marginal: what it writes, prints and refuses, and what other commands say of it."""

import json

import numpy as np
import pandas as pd
import pytest
from cli_files import run_in_process, write_cohort, write_pheno

import genoattn
from genoattn.report.marginal_report import marginal_report
from genoattn.report.run_folder import load_run

COLUMNS = [
    "site", "chrom", "pos", "ref", "state", "statistic", "p_value", "q_value", "variance_explained", "se",
    "n_samples", "n_partners",
]  # fmt: skip


@pytest.fixture
def cli(capsys):
    return lambda *arguments, **how: run_in_process(arguments, capsys, **how)


@pytest.fixture
def run(cli, tmp_path):
    """A run on a small VCF: its inputs, folder and outcome."""
    vcf, pheno = write_cohort(tmp_path)
    out = tmp_path / "out"
    outcome = cli("scan", vcf, "--pheno", pheno, "--marginal", "--mask-distance", "0", "-o", out)
    assert outcome.status == 0, outcome.err
    return vcf, pheno, out, outcome


def test_writes_a_row_a_site(run):
    vcf, pheno, out, outcome = run
    assert "Marginal epistasis of y: 6 of 6 sites tested on 30 samples" in outcome.out
    assert f"written to {out}" in outcome.out
    names = ["manifest.json", "marginal.json", "marginal.tsv", "run.toml"]
    assert sorted(p.name for p in out.iterdir()) == names
    frame = pd.read_csv(out / "marginal.tsv", sep="\t")
    assert list(frame.columns) == COLUMNS
    assert frame["p_value"].is_monotonic_increasing
    assert (frame["n_partners"] == 5).all()
    assert (frame["n_samples"] == 30).all()
    expected = genoattn.scan_marginal(genoattn.read(vcf, pheno), mask_distance=0).frame
    np.testing.assert_allclose(frame["p_value"], expected["p_value"], rtol=1e-6)
    assert "mask-distance = 0" in (out / "run.toml").read_text()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["model"]["marginal"]["mask_distance"] == 0


def test_other_commands_know_the_folder(run, cli):
    *_, out, _ = run
    told = cli("info", out)
    assert told.status == 0
    assert "genoattn scan" in told.out
    assert "marginal epistasis of y" in told.out
    assert "n_tests: 6" in told.out
    assert cli("report", out).status == 0
    page = (out / "report.html").read_text()
    assert "Marginal epistasis along the genome" in page
    assert "Sites by evidence" in page
    with pytest.raises(genoattn.InputError, match="a test of marginal epistasis, which has no pairs"):
        load_run(out)
    (out / "marginal.json").write_text("{")
    with pytest.raises(genoattn.InputError, match=r"its marginal test cannot be read .*run it again"):
        marginal_report(out)


def test_json_and_partners(cli, tmp_path):
    vcf, pheno = write_cohort(tmp_path)
    arguments = ["scan", vcf, "--pheno", pheno, "--marginal", "--mask-distance", "0", "--quiet", "--json"]
    outcome = cli(*arguments, "--sites", "rs1", "--with", "rs2,rs3", "-o", tmp_path / "out", reports=True)
    record = json.loads(outcome.out)
    assert record["marginal"] is True
    assert record["trait"] == "y"
    assert (record["counts"]["n_tests"], record["counts"]["n_sites"]) == (1, 1)
    assert [row["site"] for row in record["top"]] == ["rs1"]
    assert record["top"][0]["n_partners"] == 2
    assert "report.html" in record["files"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--order", "3"],
            "--order 3 does not go with --marginal: it tests each site",
        ),
        (["--test", "genotypic"], "--test genotypic does not go with --marginal"),
        (["--permutations", "9"], "--permutations does not go with --marginal"),
        (["--background", "loco"], "--background does not go with --marginal: it adjusts"),
        (["--environment", "sex"], "--environment does not go with --marginal"),
        (["--threshold", "1"], "--threshold does not go with --marginal: every site has a row"),
        (["--format", "plink"], "--format plink does not go with --marginal"),
        (["--min-distance", "9"], "--min-distance does not go with --marginal: give --mask-distance"),
        (["--max-r2", "0.5"], "--max-r2 does not go with --marginal: give --mask-distance"),
        (["--device", "auto"], "--device does not go with --marginal"),
        (["--memory", "1"], "--memory does not go with --marginal"),
        (["--encoding", "genotype"], "--marginal is of dosages; leave --encoding out"),
        (["--trait", "y", "--trait", "z"], "--marginal tests one trait at a time; give one --trait"),
        ([], "no site has a partner: all are within 1,000,000 bases of it on its chromosome"),
    ],
)
def test_refusals_leave_nothing(cli, tmp_path, options, message):
    vcf, pheno = write_cohort(tmp_path)
    outcome = cli("scan", vcf, "--pheno", pheno, "--marginal", "-o", tmp_path / "out", "--quiet", *options)
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("genoattn scan: error: ")
    assert message in outcome.err
    assert not (tmp_path / "out").exists()


def test_the_distance_of_the_mask_is_of_marginal_alone(cli, tmp_path):
    vcf, pheno = write_cohort(tmp_path)
    outcome = cli("scan", vcf, "--pheno", pheno, "--mask-distance", "5", "-o", tmp_path / "out")
    assert outcome.status == 2
    assert "--mask-distance is of --marginal; for pairs give --min-distance" in outcome.err


def test_too_many_covariates(cli, tmp_path):
    vcf, pheno = write_cohort(tmp_path)
    rng = np.random.default_rng(0)
    covar = write_pheno(tmp_path / "covar.tsv", **{f"c{k}": rng.normal(size=30) for k in range(20)})
    arguments = ["scan", vcf, "--pheno", pheno, "--covar", covar, "--marginal", "-o", tmp_path / "out"]
    outcome = cli(*arguments, "--mask-distance", "0", "--quiet")
    assert outcome.status == 2
    assert "30 samples for 20 covariates and 4 components; the marginal test needs at least 35" in outcome.err
