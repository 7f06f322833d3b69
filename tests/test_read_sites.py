"""Sites as arrays have them (IDs of their own, repeats, no place), and records that cannot be used."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from cli_files import run_in_process, sample_ids, write_pheno
from genotype_files import write_rows
from oracles_genotypes import Row
from test_io_vcf import expect
from vcf_files import read_genotypes, record, vcf_text, write_vcf

import genoattn
from genoattn.io import read

N = 30
PAIR = ["a", "b"]


def calls(seed):
    """Genotypes of thirty samples, common at the site."""
    return tuple(np.array(["0/0", "0/1", "1/1"])[np.random.default_rng(seed).binomial(2, 0.45, N)])


# What an array has: probes of one site under two IDs, and probes that are not placed.
MICE = [
    Row("1", 3_000_100, "UNC6", "A", ("G",), calls(1)),
    Row("1", 3_000_100, "JAX00240606", "A", ("G",), calls(1)),
    Row("1", 3_500_000, "UNC010", "A", ("C",), calls(2)),
    Row("1", 3_500_000, "backupUNC010", "A", ("C",), calls(3)),
    Row("1", 3_500_000, "UNC010b", "A", ("T",), calls(4)),
    Row("0", 0, "UNC-un1", "A", ("C",), calls(5)),
    Row("0", 0, "UNC-un2", "A", ("C",), calls(6)),
    Row("0", 0, "UNC-un2", "A", ("C",), calls(6)),
    Row("2", 9_000, "JAX1", "T", ("C",), calls(7)),
]
KEPT = ["UNC6", "UNC010", "backupUNC010", "UNC010b", "UNC-un1", "UNC-un2", "JAX1"]


@pytest.mark.parametrize("name", ["x.vcf", "x.bcf", "x.bed", "x.pgen", "x.vcz"])
def test_an_array(tmp_path, name):
    path = write_rows(tmp_path / name, sample_ids(N), MICE)
    cohort, _ = read_genotypes(path)
    ids = [
        i.replace("0:0:A:C", "UNC-un2") for i in cohort.sites.ids
    ]  # named by its place: two records had it
    assert ids == KEPT
    assert [line for line in cohort.log if "repeat" in line or "share" in line] == [
        "2 sites repeat an earlier one with the same calls: each is kept once",
        "1 sites repeat an earlier one with other calls: kept under names of their own, "
        "never tested as a pair",
    ]


@pytest.mark.parametrize("name", ["x.vcf", "x.bed"])
def test_records_of_one_site_are_no_pair(tmp_path, name, capsys):
    path = write_rows(tmp_path / name, sample_ids(N), MICE)
    table = write_pheno(tmp_path / "p.tsv", N)
    out = run_in_process(
        ["scan", path, "--pheno", table, "--threshold", "1", "--maf", "0", "-o", tmp_path / "s"], capsys
    )
    assert out.status == 0, out.err
    assert "2 sites repeat an earlier one with the same calls: each is kept once" in out.err
    assert "1 sites repeat an earlier one with other calls" in out.err
    rows = genoattn.load_interactions(tmp_path / "s").frame
    rows = rows[rows["order"] == 2]
    pairs = {frozenset(pair) for pair in zip(rows["site_1"], rows["site_2"], strict=True)}
    assert frozenset(["UNC010", "backupUNC010"]) not in pairs
    # Other alleles of one place are sites of their own.
    assert frozenset(["UNC010", "UNC010b"]) in pairs
    assert len(pairs) == 7 * 6 // 2 - 1


@pytest.mark.parametrize("name", ["x.vcf", "x.bed"])
@pytest.mark.parametrize("command", ["fit", "scan"])
def test_duplicates_can_be_refused(tmp_path, name, command, capsys):
    path = write_rows(tmp_path / name, sample_ids(N), MICE)
    table = write_pheno(tmp_path / "p.tsv", N)
    out = run_in_process(
        [command, path, "--pheno", table, "--duplicates", "error", "-o", tmp_path / "s"], capsys
    )
    assert out.status == 2
    assert "records 1 and 2 are the same site 1:3000100:A:G; keep one of them, or leave duplicates" in out.err
    assert not (tmp_path / "s").exists()


def test_duplicates_can_be_refused_at_prediction(tmp_path, capsys):
    rows = [MICE[0], MICE[2], MICE[8]]
    path = write_rows(tmp_path / "x.vcf", sample_ids(N), rows)
    table = write_pheno(tmp_path / "p.tsv", N)
    fit = run_in_process(["fit", path, "--pheno", table, "--order", "1", "-o", tmp_path / "m"], capsys)
    assert fit.status == 0, fit.err
    again = write_rows(tmp_path / "y.vcf", sample_ids(N), [*rows, MICE[1]])
    assert run_in_process(["predict", tmp_path / "m", again], capsys).status == 0
    out = run_in_process(["predict", tmp_path / "m", again, "--duplicates", "error"], capsys)
    assert out.status == 2
    assert "records 1 and 4 are the same site" in out.err


# --- records that cannot be used ---

GOOD = [record(["0/1", "1/1"], pos=k) for k in range(1, 6)]
BAD = {
    "without GT": (record(["3", "4"], pos=50, form="DP"), r"no GT in FORMAT 'DP'"),
    "malformed genotypes": (record(["0/x", "0/0"], pos=50), r"sample a has the malformed genotype '0/x'"),
    "an allele that is not listed": (
        record(["0/1", "0/2"], pos=50),
        r"sample b has allele index 2 but the record has 2 alleles",
    ),
    "samples of several ploidies": (
        record(["0/1", "0/0/1"], pos=50),
        r"sample b has 3 alleles where others have fewer",
    ),
    "an empty allele": (record(["0/1", "0/0"], pos=50, alt=""), r"an allele is empty"),
}


@pytest.mark.parametrize("reason", BAD)
def test_one_bad_record_among_many(tmp_path, reason):
    line, found = BAD[reason]
    path = tmp_path / "x.vcf"
    path.write_text(vcf_text(PAIR, [*GOOD[:2], line, *GOOD[2:], line]))
    cohort, what = read_genotypes(path)
    assert what == "7 records (5 sites)"
    assert cohort.calls.tolist() == [[1] * 5, [2] * 5]
    (logged,) = (text for text in cohort.log if "left out" in text)
    assert logged.startswith(f"2 records left out, {reason} (the first: {path}, record 3 (1:50): ")
    assert found in logged
    expect(path, rf"record 3 \(1:50\): {found}; \w+", strict=True)


def test_reasons_are_counted_apart(tmp_path):
    path = tmp_path / "x.vcf"
    path.write_text(vcf_text(PAIR, [*GOOD, *(line for line, _ in BAD.values()), BAD["without GT"][0]]))
    log = [line.partition(" (")[0] for line in read_genotypes(path)[0].log if "left out" in line]
    assert sorted(log) == sorted(f"{1 + (r == 'without GT')} records left out, {r}" for r in BAD)


@pytest.mark.parametrize("reason", BAD)
def test_nothing_but_bad_records(tmp_path, reason):
    """The first mistake is the message, whatever the others are."""
    path = tmp_path / "x.vcf"
    others = [line for other, (line, _) in BAD.items() if other != reason]
    path.write_text(vcf_text(PAIR, [BAD[reason][0], *others]))
    expect(path, rf"^{path}, record 1 \(1:50\): {BAD[reason][1]}; \w+")


def test_a_bad_call_of_a_sample_that_is_not_used(tmp_path):
    """What is read depends on the samples in use alone."""
    samples = ["a", "b", "c"]
    lines = [record(["0/1", "1/1", bad], pos=k + 1) for k, bad in enumerate(["0/2", "0/x", "0/0/1", "0/0"])]
    (tmp_path / "x.vcf").write_text(vcf_text(samples, lines))
    (tmp_path / "p.tsv").write_text("IID\ty\nb\t1.5\na\t3\n")
    cohort = read(tmp_path / "x.vcf", tmp_path / "p.tsv", maf=0.0)
    assert cohort.calls.tolist() == [[1] * 4, [2] * 4]
    assert not any("left out" in line for line in cohort.log)


def test_strict_on_the_command_line(tmp_path, capsys):
    rows = [*MICE, MICE[0]._replace(pos=7, genotypes=("0/5", *MICE[0].genotypes[1:]))]
    path, table = write_rows(tmp_path / "x.vcf", sample_ids(N), rows), write_pheno(tmp_path / "p.tsv", N)
    for command in ("fit", "scan"):
        arguments = [command, path, "--pheno", table, "--strict", "-o", tmp_path / command]
        out = run_in_process(arguments, capsys)
        assert out.status == 2
        assert (
            "record 10 (1:7): sample S01 has allele index 5 but the record has 2 alleles; correct" in out.err
        )
    loose = run_in_process(["scan", path, "--pheno", table, "-o", tmp_path / "loose"], capsys)
    assert loose.status == 0
    assert "1 records left out, an allele that is not listed" in loose.err


# --- genotypes of a BCF that no text has ---


@pytest.mark.parametrize(
    ("at", "value", "size"), [(28, 1, 1), (28, 3, 1), (26, 200, 2), (8, 77, 4), (0, 2, 4), (32, 0xF7, 1)],
    ids=["one sample", "three samples", "alleles", "contig", "length", "ID"],
)  # fmt: skip
def test_a_record_that_contradicts_itself(tmp_path, at, value, size):
    path = write_vcf(tmp_path / "x.bcf", PAIR, [record(["0/1", "1/1"]), record(["0/1", "1/1"], pos=200)])
    data = gzip.decompress(path.read_bytes())
    start = data.rindex(struct.pack("<ii", 0, 199)) - 8 + at
    changed = data[:start] + value.to_bytes(size, "little") + data[start + size :]
    (tmp_path / "y.bcf").write_bytes(changed)
    expect(tmp_path / "y.bcf", r"(corrupt|truncated) after record \d; copy or download it again")


def test_an_allele_number_beyond_any_in_a_bcf(tmp_path):
    """Four bytes an allele, of 2 ** 30 - 2: ten digits, which the parser of text does not take."""
    path = write_vcf(tmp_path / "x.bcf", PAIR, [record(["0/1/0", "1/1/1"]), record(["0/1", "1/1"], pos=200)])
    data = gzip.decompress(path.read_bytes())
    # GT: three int8 a sample, (allele + 1) << 1.
    old = bytes([0x31, 2, 4, 2, 4, 4, 4])
    at = data.index(old)
    new = bytes([0x33]) + struct.pack("<6i", 2**31 - 2, 4, 2, 4, 4, 4)
    start = data.rindex(struct.pack("<ii", 0, 99), 0, at) - 8
    shared, individual = struct.unpack_from("<II", data, start)
    sizes = struct.pack("<II", shared, individual + len(new) - len(old))
    changed = data[:start] + sizes + data[start + 8 : at] + new + data[at + len(old) :]
    (tmp_path / "y.bcf").write_bytes(changed)
    cohort, _ = read_genotypes(tmp_path / "y.bcf")
    assert cohort.n_sites == 1
    assert "1 records left out, malformed genotypes" in "".join(cohort.log)
    expect(tmp_path / "y.bcf", "sample a has the malformed genotype '1073741822/1/0'", strict=True)


def test_an_allele_left_alone_by_a_filter_keeps_its_name(tmp_path):
    """rs2 has two alternates, one of which nobody has."""
    rows = [
        Row("1", 10, "rs1", "A", ("G",), ("0/1", "1/1", "0/0")),
        Row("1", 20, "rs2", "A", ("G", "T"), ("0/1", "1/1", "0/0")),
    ]
    path = write_rows(tmp_path / "x.vcf", ["a", "b", "c"], rows)
    assert read(path).sites.ids.tolist() == ["rs1", "rs2:G"]
