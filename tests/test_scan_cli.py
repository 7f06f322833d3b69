"""genoattn scan: what it writes, prints and refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_files import random_genotypes, run_in_process, sample_ids, vcf_records, write_cohort, write_pheno
from vcf_files import write_vcf

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
    names = ["interactions.parquet", "interactions.tsv", "manifest.json", "run.toml", "scan.json"]
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


def test_triples_around_pairs(cli, tmp_path):
    vcf, pheno = write_cohort(tmp_path)
    arguments = ["scan", vcf, "--pheno", pheno, "--threshold", "1", "-o"]
    pairs = tmp_path / "pairs"
    assert cli(*arguments, pairs, "--sites", "rs1", "--with", "rs2").status == 0
    assert cli(*arguments, tmp_path / "some", "--order", "3", "--pairs", pairs).status == 0
    frame = genoattn.load_interactions(tmp_path / "some").frame
    assert len(frame) == 4  # rs1 and rs2 with each of the other four
    assert all({"rs1", "rs2"} < set(row) for row in frame[["site_1", "site_2", "site_3"]].to_numpy())


def test_refusals_leave_nothing(cli, tmp_path):
    vcf, pheno = write_cohort(tmp_path)
    out = tmp_path / "out"
    for options, message in (
        (["--sites", "rs99"], "site set 'rs99': no site with this ID"),
        (["--threshold", "2"], "threshold is 2.0; give a p-value"),
        (["--order", "3", "--format", "plink"], "PLINK has no format for triples; leave --format out"),
        (["--pairs", vcf], "--pairs names pairs that triples must hold; give --order 3 with it"),
        (["--order", "3", "--trait", "y", "--trait", "z"], "triples are scanned for one trait at a time"),
        (["--trait", "z"], "no trait 'z'; there are: y"),
        (["--trait", "y", "--trait", "z"], "no trait 'z'; there are: y"),
        (["--trait", "y", "--trait", "a/b"], "trait 'a/b' cannot name a folder; rename the column"),
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


def test_force_spares_what_is_not_ours(cli, tmp_path):
    vcf, pheno = write_cohort(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").write_text("kept")
    outcome = cli("scan", vcf, "--pheno", pheno, "-o", out, "--force")
    assert outcome.status == 2
    assert "holds no output of genoattn, so --force leaves it alone" in outcome.err
    assert "samples with genotypes" not in outcome.err  # said before the scan, not after
    assert (out / "precious").read_text() == "kept"
    outcome = cli("scan", vcf, "--pheno", pheno, "-o", pheno, "--force")
    assert outcome.status == 2
    assert pheno.read_text().startswith("IID")


def test_several_traits(cli, tmp_path):
    vcf, _ = write_cohort(tmp_path)
    rng = np.random.default_rng(4)
    high = rng.normal(size=30).round(6).astype(object)
    high[[2, 9]] = "NA"
    sick = rng.permutation([1, 2] * 15)
    pheno = write_pheno(tmp_path / "traits.tsv", high=high, sick=sick, other=rng.normal(size=30))
    out = tmp_path / "out"
    arguments = ["scan", vcf, "--pheno", pheno, "--threshold", "1", "--format", "plink", "-o"]
    chosen = ["--trait", "sick", "--trait", "high"]
    outcome = cli(*arguments, out, *chosen)
    assert outcome.status == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "high",
        "manifest.json",
        "run.toml",
        "sick",
        "traits.tsv",
    ]
    assert "Scan of sick: 15 pairs tested" in outcome.out
    assert "trait high: 2 samples without a value dropped" in outcome.err
    for name, ending in (("high", "qt"), ("sick", "cc")):
        alone = tmp_path / f"{name}_alone"
        assert cli(*arguments, alone, "--trait", name).status == 0
        for file in ("interactions.tsv", f"interactions.epi.{ending}"):
            assert (out / name / file).read_bytes() == (alone / file).read_bytes()
        both = [genoattn.load_interactions(folder).manifest.inputs for folder in (out / name, alone)]
        assert both[0] == both[1]
    table = pd.read_csv(out / "traits.tsv", sep="\t")
    assert table["trait"].tolist() == ["sick", "high"]
    assert table[["n_samples", "n_tests", "n_reported"]].to_numpy().tolist() == [[30, 15, 15], [28, 15, 15]]
    frame = genoattn.load_interactions(out / "high").frame
    assert table["smallest_p_value"][1] == pytest.approx(frame["p_value"].min())
    assert table["bonferroni"].tolist() == pytest.approx([0.05 / 15] * 2)
    assert table["n_bonferroni"][1] == (frame["p_value"] <= 0.05 / 15).sum()
    assert cli(*arguments, out, *chosen).status == 2
    assert cli(*arguments, out, *chosen, "--force").status == 0
    none = cli("scan", vcf, "--pheno", pheno, "--threshold", "1e-30", "-o", tmp_path / "none", *chosen)
    assert none.status == 0
    assert pd.read_csv(tmp_path / "none" / "traits.tsv", sep="\t")["smallest_p_value"].isna().all()


def test_haploid_calls(cli, tmp_path):
    genotypes = random_genotypes()
    genotypes[5, :10] = ["0", "1"] * 5
    vcf = write_vcf(tmp_path / "x.vcf", sample_ids(), vcf_records(genotypes))
    pheno = write_pheno(tmp_path / "pheno.tsv")
    tables = []
    for way, copies in (("double", "0 or 2"), ("as-is", "0 or 1")):
        out = tmp_path / way
        options = [] if way == "double" else ["--haploid", way]
        outcome = cli("scan", vcf, "--pheno", pheno, "--threshold", "1", "-o", out, *options)
        assert f"10 haploid calls among diploid ones at 1 records of 1 count {copies} copies" in outcome.err
        tables.append(genoattn.load_interactions(out).frame)
    assert not tables[0]["coefficient"].equals(tables[1]["coefficient"])


def test_loads_no_slow_library(tmp_path):
    """A scan of PLINK files needs neither torch nor pandas: they take longer than it does."""
    n = 24
    rng = np.random.default_rng(6)
    (tmp_path / "x.bed").write_bytes(
        b"\x6c\x1b\x01" + rng.choice([0, 2, 3], 5 * n).astype(np.uint8).tobytes()
    )
    (tmp_path / "x.bim").write_text("".join(f"1 rs{k} 0 {k} A G\n" for k in range(1, 21)))
    (tmp_path / "x.fam").write_text("".join(f"{s} {s} 0 0 0 -9\n" for s in sample_ids(n)))
    write_pheno(tmp_path / "p.tsv", n)
    code = (
        "import sys\nfrom genoattn_cli.main import run\n"
        "status = run(sys.argv[1:])\n"
        "slow = {'torch', 'pandas', 'scipy.stats', 'statsmodels', 'rich', 'matplotlib', 'pysam'}\n"
        "sys.exit(status or ', '.join(sorted(slow & set(sys.modules))) or 0)"
    )
    arguments = [
        "scan",
        "x",
        "--pheno",
        "p.tsv",
        "-o",
        "out",
        "--quiet",
        "--threshold",
        "0.05",
        "--no-report",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "interactions.parquet").exists()
