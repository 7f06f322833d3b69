"""Genotypes as they come: files appended to each other, pipes, other encodings, misleading names."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pysam
import pysam.bcftools
import pytest
from genotype_files import described, write_rows
from oracles_genotypes import Row
from read_files import SAMPLES, expect, genotypes, pheno
from vcf_files import read_genotypes, record, vcf_text, write_text, write_vcf

import genoattn
from genoattn.errors import InputError
from genoattn.io import read

CASES = Path(__file__).parent / "cases"
PAIR = ["a", "b"]
ONE, OTHER = record(["0/1", "1/1"], pos=1), record(["0/0", "0/1"], pos=2)
OTHER_SAMPLES = r"a second #CHROM line after record {} names other samples or another order of them"


# --- files appended to each other ---


@pytest.mark.parametrize("name", ["cat.vcf", "cat_other_samples.vcf"])
def test_concatenated_files_of_other_samples(name):
    folder = CASES / "concatenated-vcf"
    expect(rf"{name}: {OTHER_SAMPLES.format(12)}; join files with: bcftools", folder / name, folder / "y.tsv")


def test_what_the_concatenated_files_mean():
    folder = CASES / "concatenated-vcf"
    right = read(folder / "right.vcf", folder / "y.tsv")
    found = genoattn.scan_pairs(right, 1e-3, progress=False).table.frame.iloc[0]
    assert {found["site_1"], found["site_2"]} == {"rs1_2", "rs3_2"}


def header(*samples):
    return vcf_text(samples, [])


@pytest.mark.parametrize(
    "between",
    [
        header(*PAIR),
        "##source=other\n##contig=<ID=3>\n",
        "##a comment\tof 1/1\tfields\n" * 3,
        header(*PAIR).replace("\n", "\r\n"),
        "\n",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\n",
        header(*PAIR) + header(*PAIR),
    ],
    ids=["header", "meta", "comment with tabs", "header with CRLF", "empty line", "columns only", "two"],
)
def test_headers_in_the_middle_and_at_the_end(tmp_path, between):
    text = header(*PAIR) + ONE + "\n" + between + OTHER + "\n" + between
    (tmp_path / "x.vcf").write_bytes(text.encode())
    cohort, what = read_genotypes(tmp_path / "x.vcf")
    assert what == "2 records (2 sites)"
    assert cohort.calls.tolist() == [[1, 0], [2, 1]]


@pytest.mark.parametrize(
    "samples", [("b", "a"), ("a",), ("a", "b", "c"), ("a", "B"), ("c", "d")], ids=lambda s: "".join(s)
)
@pytest.mark.parametrize("last", [ONE, ""])
def test_second_headers_of_other_samples(tmp_path, samples, last):
    """Also where no record follows: the file is not what it seems to be."""
    (tmp_path / "x.vcf").write_text(header(*PAIR) + ONE + "\n" + header(*samples) + last)
    with pytest.raises(InputError, match=OTHER_SAMPLES.format(1)):
        read_genotypes(tmp_path / "x.vcf")


@pytest.mark.parametrize("compress", [gzip.compress, "bgzip"])
def test_compressed_files_appended_to_each_other(tmp_path, compress):
    parts = [header(*PAIR) + ONE + "\n", OTHER + "\n", header(*PAIR) + record(["1/1", "0/0"], pos=3) + "\n"]
    if compress == "bgzip":
        for k, part in enumerate(parts):
            pysam.tabix_compress(str(write_text(tmp_path / "part.vcf", part)), str(tmp_path / f"{k}.gz"))
        pieces = [(tmp_path / f"{k}.gz").read_bytes() for k in range(3)]
    else:
        pieces = [compress(part.encode()) for part in parts]
    (tmp_path / "x.vcf.gz").write_bytes(b"".join(pieces))
    assert read_genotypes(tmp_path / "x.vcf.gz")[0].calls.tolist() == [[1, 0, 2], [2, 1, 0]]
    (tmp_path / "y.vcf.gz").write_bytes(gzip.compress(header("b", "a").encode()) + b"".join(pieces))
    with pytest.raises(InputError, match=OTHER_SAMPLES.format(0)):
        read_genotypes(tmp_path / "y.vcf.gz")


# --- pipes ---


def feed(path: Path, content: bytes) -> Path:
    """A named pipe into which a thread writes once."""
    os.mkfifo(path)
    threading.Thread(target=lambda: path.write_bytes(content), daemon=True).start()
    return path


@pytest.mark.parametrize("inside", ["x.vcf", "x.vcf.gz", "x.plain.vcf.gz", "x.bcf"])
@pytest.mark.parametrize("name", ["pipe", "pipe.vcf", "pipe.bcf", "pipe.bed", "63"])
def test_genotypes_through_a_pipe(tmp_path, inside, name):
    rows = [Row("1", k, ".", "A", ("C",), ("0/1", "1/1", "./.")) for k in range(1, 900)]
    file = write_rows(tmp_path / inside, ["a", "b", "c"], rows)
    cohort, _ = read_genotypes(feed(tmp_path / name, file.read_bytes()))
    assert described(cohort) == described(read_genotypes(file)[0])


def test_genotypes_and_phenotypes_through_pipes(tmp_path):
    vcf, table = genotypes(tmp_path), pheno(tmp_path)
    piped = read(feed(tmp_path / "g", vcf.read_bytes()), feed(tmp_path / "p", table.read_bytes()))
    expected = read(vcf, table)
    assert described(piped) == described(expected)
    assert piped.phenotype.values.tolist() == expected.phenotype.values.tolist()


def test_info_of_a_bcf_through_a_pipe(tmp_path):
    line = record(["0/1", "1/1"]).replace("PASS\t.", "PASS\tAC=3")
    text = vcf_text(PAIR, [line]).replace(
        "#CHROM", '##INFO=<ID=AC,Number=A,Type=Integer,Description="n">\n#CHROM'
    )
    plain = write_text(tmp_path / "x.vcf", text)
    pysam.bcftools.view("-Ob", "-o", str(tmp_path / "x.bcf"), str(plain), catch_stdout=False)
    pipe = feed(tmp_path / "pipe", (tmp_path / "x.bcf").read_bytes())
    assert read(pipe, info=["AC"], filters=False).sites.features["AC"].tolist() == ["3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x6c\x1b\x01\x00", "neither VCF nor BCF, by its first bytes; a pipe holds one file"),
        (b"\x6c\x1b\x10\x00", "a pipe holds one file, so that other formats are not read from it"),
        (b">a\nACGT\n", "write it to a file with its usual suffix"),
        (b"PK\x03\x04", "neither VCF nor BCF"),
        (gzip.compress(b"IID\ty\n"), "neither VCF nor BCF"),
        (b"", "the file is empty; write or copy it again"),
    ],
    ids=["bed", "pgen", "fasta", "zip", "table", "empty"],
)
def test_other_formats_through_a_pipe(tmp_path, content, message):
    with pytest.raises(InputError, match=rf"pipe: .*{message}"):
        read_genotypes(feed(tmp_path / "pipe", content))


def test_a_region_of_a_pipe(tmp_path):
    with pytest.raises(InputError, match="pipe: a pipe has no index, which a region needs; write it"):
        read_genotypes(feed(tmp_path / "pipe", vcf_text(PAIR, [ONE]).encode()), "1:1-5")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd")
def test_the_case_of_pipes(tmp_path):
    """From a program, from a file and by process substitution: the table is that of the file."""
    folder = CASES / "pipes"
    scan = f"{sys.executable} -m genoattn_cli.main scan"
    rest = f"--pheno {folder}/y.tsv --threshold 0.5 --quiet"
    script = (
        f"{scan} {folder}/g.vcf {rest} -o {tmp_path}/0 && "
        f"cat {folder}/g.vcf | {scan} /dev/stdin {rest} -o {tmp_path}/1 && "
        f"gzip -c {folder}/g.vcf | {scan} /dev/fd/0 {rest} -o {tmp_path}/2 && "
        f"{scan} /dev/stdin {rest} -o {tmp_path}/3 < {folder}/g.vcf && "
        f"{scan} <(cat {folder}/g.vcf) {rest} -o {tmp_path}/4"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, check=False, timeout=250
    )
    assert done.returncode == 0, done.stderr
    tables = {(tmp_path / str(k) / "interactions.tsv").read_bytes() for k in range(5)}
    assert len(tables) == 1
    assert not list(tmp_path.glob("genoattn-*"))


# --- encodings ---


def test_the_case_of_other_encodings():
    folder = CASES / "not-utf8"
    cohorts = [read(folder / name, folder / "y.tsv") for name in ("g.vcf", "g.bcf", "bcf_named.vcf.gz")]
    assert described(cohorts[0]) == described(cohorts[1]) == described(cohorts[2])
    assert cohorts[0].n_sites > 10


PLACES = {
    "an ID": ("\trs1\t", "\trs\u00e9\t"),
    "INFO": ("PASS\t.", "PASS\tGENE=\u00e9"),
    "a sample": ("\ta\t", "\t\u00e9\t"),
    "a description": ('"Depth"', '"\u00e9 of depth"'),
    "a comment": ("#CHROM", "##author=Jos\u00e9\n#CHROM"),
    "a filter": ("PASS", "\u00e9"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_other_letters_anywhere(tmp_path, place, encoding):
    text = vcf_text(PAIR, [record(["0/1", "1/1"], name="rs1", form="GT:DP").replace("0/1", "0/1:3"), OTHER])
    text = text.replace(*PLACES[place])
    (tmp_path / "x.vcf").write_bytes(text.encode(encoding))
    cohort, _ = read_genotypes(tmp_path / "x.vcf")
    assert cohort.calls.tolist() == [[1, 0], [2, 1]]
    assert cohort.sites.ids[0] == ("rs\u00e9" if place == "an ID" else "rs1")
    assert cohort.samples[0] == ("\u00e9" if place == "a sample" else "a")


def test_a_letter_that_looks_like_the_end_of_a_line(tmp_path):
    """Byte 0x85, three dots in Windows-1252, ends a line of Unicode; here in the header of a BCF."""
    text = vcf_text(PAIR, [ONE]).replace('"Genotype"', '"Genotype\u2026"').replace("\ta\t", "\ta\u2026\t")
    (tmp_path / "x.vcf").write_bytes(text.encode("cp1252"))
    pysam.bcftools.view("-Ob", "-o", str(tmp_path / "x.bcf"), str(tmp_path / "x.vcf"), catch_stdout=False)
    plain, binary = (read_genotypes(tmp_path / name)[0] for name in ("x.vcf", "x.bcf"))
    assert binary.samples.tolist() == plain.samples.tolist() == ["a\u2026", "b"]
    assert binary.calls.tolist() == plain.calls.tolist() == [[1], [2]]


def test_other_letters_under_a_region(tmp_path):
    text = vcf_text(
        PAIR, [ONE.replace("PASS\t.", "PASS\tGENE=\u00e9").replace("\t.\tA", "\trs\u00e9\tA"), OTHER]
    )
    (tmp_path / "x.vcf").write_bytes(text.encode("latin-1"))
    pysam.tabix_index(str(tmp_path / "x.vcf"), preset="vcf", force=True)
    cohort, _ = read_genotypes(tmp_path / "x.vcf.gz", "1:1-1")
    assert cohort.sites.ids.tolist() == ["rs\u00e9"]
    assert cohort.calls.tolist() == [[1], [2]]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_byte_order_mark(tmp_path, compress):
    text = "\ufeff" + vcf_text(PAIR, [ONE, OTHER])
    (tmp_path / "x.vcf").write_bytes(compress(text.encode()))
    assert read_genotypes(tmp_path / "x.vcf")[0].calls.tolist() == [[1, 0], [2, 1]]


def test_utf16_is_refused(tmp_path):
    (tmp_path / "x.vcf").write_bytes(vcf_text(PAIR, [ONE]).encode("utf-16"))
    with pytest.raises(InputError, match=r"x.vcf: not a VCF: its first line is"):
        read_genotypes(tmp_path / "x.vcf")


# --- names that say another thing than the contents ---


@pytest.mark.parametrize("inside", ["x.vcf", "x.plain.vcf.gz", "x.vcf.gz", "x.bcf"])
@pytest.mark.parametrize("name", ["y.vcf", "y.vcf.gz", "y.vcf.bgz", "y.bcf", "Y.VCF.GZ"])
def test_contents_tell_the_format(tmp_path, inside, name):
    rows = [Row("1", k, ".", "A", ("C",), ("0/1", "1/1", "./.")) for k in range(1, 50)]
    file = write_rows(tmp_path / inside, ["a", "b", "c"], rows)
    shutil.copy(file, tmp_path / name)
    assert described(read_genotypes(tmp_path / name)[0]) == described(read_genotypes(file)[0])


def test_an_uncompressed_bcf(tmp_path):
    path = write_vcf(tmp_path / "x.bcf", SAMPLES[:2], [ONE, OTHER])
    (tmp_path / "y.bcf").write_bytes(gzip.decompress(path.read_bytes()))
    np.testing.assert_array_equal(read_genotypes(tmp_path / "y.bcf")[0].calls, read_genotypes(path)[0].calls)
