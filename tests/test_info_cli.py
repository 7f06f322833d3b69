"""``genoattn info`` from end to end: its text, its JSON, and what it must not import."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import pytest
from cli_files import run_in_process
from test_describe_file import PHENO, RECORDS, SAMPLES, plink1, vcf
from test_describe_runs import landscape
from test_describe_tables import ALIGNMENT, TABLE
from vcf_files import vcf_text, write_text, write_vcf

import genoattn


@pytest.fixture
def cli(capsys):
    return lambda *arguments: run_in_process(("info", *arguments), capsys)


def process(*arguments, **options):
    command = [sys.executable, "-m", "genoattn_cli.main", "info", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, **options)


GENOTYPES = """\
{path}
  format        VCF, no index (--region needs one)
  samples       6 (s0, s1, s2, ..)
  records       10: 6 biallelic, 1 multi-allelic, 1 without an alternate allele, 1 symbolic, 1 {left_out}
  sites         10, one for each alternate allele; 1 with the place and alleles of an earlier one
                2 records with an ID that another has
                1 record without a chromosome or position
  chromosomes   chromosome  records  first   last
                1                 7      1      6
                2                 1  4,000  4,000
  calls         diploid, partly phased, FORMAT GT:DP (first 10 records)
  missing       2 of 60 calls (3.33 %), in 6 samples
                most in s1, 10 % of its sites
  frequencies   minor allele frequency  sites
                0, monomorphic              1
                0 to 0.01                   0
                0.01 to 0.05                0
                0.05 to 0.1                 4
                0.1 to 0.2                  0
                0.2 to 0.5                  5
"""
KEPT = """\
  would be kept 6 of 6 samples
                7 of 10 sites
                  1 dropped, monomorphic
                  1 dropped, missing in more than 10 % (--max-missing)
                  1 dropped, with the calls of an earlier record of the site
"""


def test_the_text_of_genotypes(tmp_path, cli):
    path = vcf(tmp_path)
    done = cli(path)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(GENOTYPES.format(path=path, left_out="left out, see notes"))
    assert done.out.endswith(KEPT)


def test_the_text_of_a_table(tmp_path, cli):
    path = write_text(tmp_path / "t.tsv", TABLE)
    done = cli(path)
    codes = "1 of -9, 1 of 99: a code for missing? write NA"
    assert done.status == 0
    assert (
        done.out
        == f"""\
{path}
  format        table, text
  rows          4
  columns       column    kind      missing  distinct  values
                IID       ids             0         4  a, b, c, d
                number    number          1         3  1.5 to 4.5, mean 2.833
                binary    binary          0         2  0, 1
                status    binary          1         2  2, 1
                words     words           0         2  red, blue
                mixed     mixed           0         4  numbers, but also 7,5
                constant  constant        0         1  4
                empty     empty           4         0
                coded     number          0         4  -9 to 99, mean 37.75; {codes}
"""
    )


def test_the_text_of_an_alignment(tmp_path, cli):
    path = write_text(tmp_path / "a.fasta", ALIGNMENT)
    done = cli(path)
    assert (
        done.out
        == f"""\
{path}
  format        FASTA
  samples       4 (wild, a, b, ..)
  sequences     4 of 5 columns; 1 repeat an earlier one
  alphabet      protein, from the letters
  reference     wild
  columns       2 variable, 3 constant
  letters       15 % gaps, 10 % missing; 1 column with more than 10 % missing
  notes         protein alignment, reference wild
  would be kept 4 of 4 samples
                2 of 5 columns
                  3 dropped, monomorphic
"""
    )


def test_a_name_that_says_something_else_is_told(tmp_path, cli):
    path = write_text(tmp_path / "g.txt", vcf_text(SAMPLES, RECORDS))
    assert "\n  NAME          does not say VCF: call it .vcf, " in cli(path).out


def test_the_text_of_runs(tmp_path, cli):
    cohort = genoattn.read(landscape(tmp_path), trait="fitness", sequence_column="variant")
    genoattn.scan_pairs(cohort, threshold=0.9).save(tmp_path / "scan")
    (tmp_path / "landscape.csv").write_text("changed")
    out = cli(tmp_path / "scan").out
    assert "output of     genoattn scan" in out
    assert f"genotypes  landscape.csv  CHANGED since: {tmp_path / 'landscape.csv'}" in out
    assert " n_tests: 60\n" in out


def test_names_do_not_steer_the_terminal(tmp_path, cli):
    path = write_vcf(tmp_path / "g.vcf", ["a\x1b[31mred", "b"], [])
    out = cli(path).out
    assert "2 (a?[31mred, b)" in out
    assert "\x1b" not in out


TOP = (
    "schema_version path kind format compression index mismatch samples genotypes alignment kept table run "
    "notes"
)
PARTS = {
    "samples": "n first n_families",
    "genotypes": "complete n_records n_sites n_samples n_biallelic n_multiallelic n_symbolic "
    "n_without_alternate n_unplaced n_repeated n_shared_ids chromosomes ploidy dosages layout n_missing "
    "missing_fraction n_samples_over worst_sample worst_fraction frequencies n_uncalled",
    "alignment": "n_sequences n_columns alphabet alphabet_reason reference n_variable n_repeated "
    "gap_fraction missing_fraction n_columns_over",
    "kept": "n_samples_in_file n_samples samples maf max_missing n_sites_in_file n_sites n_monomorphic "
    "n_over_missing n_rare n_repeated",
    "table": "n_rows id_column columns problem",
    "run": "command title trait order n_sites covariates settings results version seed inputs files",
}
LISTS = {
    ("genotypes", "chromosomes"): "name n_records first last",
    ("genotypes", "frequencies"): "low high n_sites",
    ("table", "columns"): "name role kind n_missing n_distinct examples lowest highest mean codes",
    ("run", "inputs"): "role file sha256 state found",
}


@pytest.mark.parametrize("kind", ["genotypes", "alignment", "table", "run"])
def test_the_keys_of_the_json(tmp_path, cli, kind):
    """A key that goes or changes its name needs another schema version."""
    path = {
        "genotypes": lambda: vcf(tmp_path),
        "alignment": lambda: write_text(tmp_path / "a.fasta", ALIGNMENT),
        "table": lambda: write_text(tmp_path / "t.tsv", TABLE),
        "run": lambda: scan_folder(tmp_path),
    }[kind]()
    done = cli(path, "--json")
    record = json.loads(done.out)
    assert (done.status, record["schema_version"], record["kind"]) == (0, 1, kind)
    assert list(record) == TOP.split()
    for name, entries in PARTS.items():
        if record[name] is not None:
            assert list(record[name]) == entries.split(), name
    for (part, name), entries in LISTS.items():
        if record[part] is not None:
            assert list(record[part][name][0]) == entries.split(), name
    there = {name for name in PARTS if record[name] is not None}
    assert (
        there
        == {
            "genotypes": {"samples", "genotypes", "kept"},
            "alignment": {"samples", "alignment", "kept"},
            "table": {"table"},
            "run": {"run"},
        }[kind]
    )


def scan_folder(folder):
    cohort = genoattn.read(landscape(folder), trait="fitness", sequence_column="variant")
    genoattn.scan_pairs(cohort, threshold=0.9).save(folder / "scan")
    return folder / "scan"


def test_json_is_the_same_content(tmp_path, cli):
    record = json.loads(cli(vcf(tmp_path), "--json", "--maf", "0.1").out)
    assert record["kept"] == {
        "n_samples_in_file": 6, "n_samples": 6, "samples": [], "maf": 0.1, "max_missing": 0.1,
        "n_sites_in_file": 10, "n_sites": 3, "n_monomorphic": 1, "n_over_missing": 1, "n_rare": 4,
        "n_repeated": 1,
    }  # fmt: skip
    assert record["genotypes"]["layout"] == {"format_keys": ["GT", "DP"], "phased": "some", "n_records": 10}


def test_options_reach_the_library(tmp_path, cli):
    path, pheno = vcf(tmp_path, "g.vcf.gz"), write_text(tmp_path / "p.tsv", PHENO)
    covar = write_text(tmp_path / "c.tsv", "IID\tz\ns0\t1\ns1\t2\ns2\t4\ns3\t3\n")
    tables = ("--pheno", pheno, "--trait", "T", "--covar", covar)
    record = json.loads(cli(path, "--json", *tables, "--region", "1:2-9", "--max-missing", "0.6").out)
    assert record["genotypes"]["n_records"] == 5
    assert record["kept"]["n_samples"] == 4
    assert record["kept"]["max_missing"] == 0.6
    assert json.loads(cli(path, "--json", "--all").out)["genotypes"]["complete"] is True
    table = write_text(tmp_path / "v.csv", "m,y\nWT,0\nK2R,1\n")
    fasta = write_text(tmp_path / "wt.fa", ">t\nMKVL\n")
    record = json.loads(cli(table, "--mutation-column", "m", "--reference", fasta, "--json").out)
    assert (record["kind"], record["alignment"]["n_variable"], record["table"]["n_rows"]) == (
        "variants",
        1,
        2,
    )


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (vcf_text(SAMPLES, RECORDS).encode(), "genotypes"),
        (gzip.compress(vcf_text(SAMPLES, RECORDS).encode()), "genotypes"),
        (ALIGNMENT.encode(), "alignment"),
        (gzip.compress(TABLE.encode()), "table"),
    ],
)
def test_from_standard_input(content, kind):
    done = process("/dev/stdin", "--json", input=content)
    assert (done.returncode, done.stderr) == (0, b"")
    record = json.loads(done.stdout)
    assert (record["kind"], record["mismatch"], record["path"]) == (kind, None, "/dev/stdin")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.txt", b"hello world\nthis is prose of several words\n"),
        ("x.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        ("x.pdf", b"%PDF-1.4\n%\xe2\xe3\n"),
        ("x.vcf", b"##fileformat=VCFv4.3\n"),
        ("x.tsv", b""),
        ("x.xlsx", b"PK\x03\x04\x14\0\0\0"),
    ],
)
def test_one_line_for_a_file_that_is_none_of_these(tmp_path, cli, name, content):
    (tmp_path / name).write_bytes(content)
    done = cli(tmp_path / name)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"genoattn info: error: {tmp_path / name}")
    assert done.err.count("\n") == 1


def test_tables_that_do_not_match_are_an_error(tmp_path, cli):
    pheno = write_text(tmp_path / "p.tsv", "IID\ty\nz1\t1\nz2\t2\n")
    done = cli(vcf(tmp_path), "--pheno", pheno)
    assert done.status == 2
    assert "no sample in common with the genotypes" in done.err


def test_sites_that_are_all_dropped_are_told(tmp_path, cli):
    done = cli(write_vcf(tmp_path / "g.vcf", SAMPLES, RECORDS[6:7]))
    assert done.status == 0
    assert done.out.endswith(
        "0 of 1 site: fit and scan would refuse it\n                  1 dropped, monomorphic\n"
    )


@pytest.mark.parametrize("name", ["g.vcf", "g.vcf.gz", "g.bcf"])
def test_genotypes_need_no_torch_and_no_htslib(tmp_path, name):
    path = vcf(tmp_path, name)
    code = (
        "import sys; from genoattn_cli.main import run; "
        f"status = run(['info', {str(path)!r}]); "
        "print(status, [m for m in ('torch', 'pytorch_lightning', 'pandas', 'pysam') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr


def test_a_large_file_says_how_much_was_looked_at(tmp_path, cli, monkeypatch):
    path = plink1(tmp_path)
    monkeypatch.setattr("genoattn.io.plink.BLOCK_BYTES", 12)  # two records of six samples
    monkeypatch.setattr("genoattn.describe.genotype_summary.MOST_CALLS", 12)
    out = cli(path).out
    assert (
        "  records       the first 2: 2 biallelic\n                the file is large; --all looks at" in out
    )
    assert out.endswith("2 of the first 2 sites\n")
    assert "  records       4: 4 biallelic\n" in cli(path, "--all").out
