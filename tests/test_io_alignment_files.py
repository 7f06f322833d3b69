"""Clustal, Stockholm and A2M: the same alignment in every format, insertions, and what is wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from vcf_files import write_text

from genoattn.errors import InputError
from genoattn.io import read
from genoattn.io.formats import alignment_format

FASTA = ">wt the wild type\nMKV-\n>a\nMRVL\n>b\nMKXL\n"
CLUSTAL = """CLUSTAL W (1.83) multiple sequence alignment


wt      MK
a       MR
b       MK
        *:

wt      V-
a       VL
b       XL
"""
STOCKHOLM = """# STOCKHOLM 1.0
#=GF ID example
#=GS wt DE the wild type
wt   MK
a    MR
b    MK
#=GC SS_cons HH

wt   V.
a    vL
b    XL
#=GC SS_cons HH
//
"""
A2M = ">wt\nMK.V.-\n>a\nMRgV.L\n>b\nMK.XaL\n"
SEQUENCE_FILES = {"x.aln": CLUSTAL, "x.sto": STOCKHOLM, "x.a2m": A2M, "x.fa": FASTA, "x.stockholm": STOCKHOLM}


def expect(path: Path, message: str) -> None:
    """Reading fails with the message, on one line that begins with the file."""
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", SEQUENCE_FILES)
def test_one_alignment_in_every_format(tmp_path: Path, name: str, compressed: bool) -> None:
    path = write_text(tmp_path / name, SEQUENCE_FILES[name])
    if compressed:
        path = tmp_path / f"{name}.gz"
        path.write_bytes(gzip.compress(SEQUENCE_FILES[name].encode()))
    cohort = read(path, filters=False)
    assert cohort.samples.tolist() == ["wt", "a", "b"]
    # "-" of the wild type at column 4 is its state; X of b at column 3 is missing.
    assert cohort.sites.states == (("M",), ("K", "R"), ("V",), ("-", "L"))
    assert cohort.calls.tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, -1, 1]]


def test_content_tells_the_format_whatever_the_suffix(tmp_path: Path) -> None:
    assert alignment_format(write_text(tmp_path / "x.fasta", f"\n{CLUSTAL}")) == "clustal"
    assert alignment_format(write_text(tmp_path / "y.aln", STOCKHOLM)) == "stockholm"
    assert alignment_format(write_text(tmp_path / "z.aln", FASTA)) == "fasta"
    assert alignment_format(write_text(tmp_path / "Z.A2M", A2M)) == "a2m"
    assert read(write_text(tmp_path / "w.fasta", CLUSTAL), filters=False).n_samples == 3


def test_insertions_of_an_a2m_are_dropped_and_counted(tmp_path: Path) -> None:
    cohort = read(write_text(tmp_path / "x.a2m", A2M), filters=False)
    # Columns 3 (g of a) and 5 (a of b) are insertions.
    assert "dropped 2 columns of insertions (lower-case letters and dots): 2 residues" in cohort.log
    assert cohort.sites.pos.tolist() == [1, 2, 3, 4]
    # Without dots, as in an A3M, an insertion is written only where it is.
    ragged = read(write_text(tmp_path / "x.a3m", ">wt\nMKV-\n>a\nMRgVL\n>b\nMKXacL\n"), filters=False)
    assert "dropped insertions (lower-case letters): 3 residues" in ragged.log
    assert ragged.calls.tolist() == cohort.calls.tolist()
    assert not any(
        "dropped" in line for line in read(write_text(tmp_path / "y.a2m", FASTA), filters=False).log
    )
    # In a FASTA case has no meaning and "." is a gap.
    assert read(write_text(tmp_path / "x.fasta", A2M), filters=False).n_sites == 6


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "x.aln",
            CLUSTAL.replace("a       VL", "c       VL"),
            r"not a Clustal alignment: Identifiers out of ord",
        ),
        ("x.aln", CLUSTAL.replace("a       MR", "a       M"), r"not a Clustal alignment: .*; write it again"),
        (
            "x.aln",
            "CLUSTAL W\n\n\nwt MKV extra words here\n",
            r"not a Clustal alignment: Could not parse line",
        ),
        ("x.aln", "CLUSTAL W\n\n\nwt  MKV\nwt  MRV\n", r"records 1 and 2 are both named wt; rename one"),
        ("x.sto", "# STOCKHOLM 1.0\nwt\n//\n", r"not a Stockholm alignment: Could not split line"),
        (
            "x.sto",
            "# STOCKHOLM 1.0\nwt MKV\na MK\n//\n",
            r"not a Stockholm alignment: Sequences have different",
        ),
        ("x.sto", STOCKHOLM + STOCKHOLM, r"2 Stockholm alignments with sequences; keep one in the file"),
        ("x.sto", "# STOCKHOLM 1.0\n//\n", r"0 Stockholm alignments with sequences; keep one in the file"),
        (
            "x.sto",
            "# STOCKHOLM 1.0\nwt MJV\na MKV\n//\n",
            r"record 1 \(wt\), column 2: 'J' is not a letter of the protein alphabet; write X if unknown",
        ),
        (
            "x.a2m",
            ">wt\nMK.V\n>a\nMrGV\n",
            r"record 2 \(a\), column 2: 'r' where record 1 \(wt\) has 'K'; an A2M column .* or in none",
        ),
        ("x.a2m", ">wt\nMK.V\n>a\nMKgVV\n", r"record 2 \(a\) has 5 residues, record 1 \(wt\) has 4"),
        ("x.a2m", ">wt\nMKV\n>a\nMKgVV\n", r"record 2 \(a\) has 4 residues, record 1 \(wt\) has 3"),
        ("x.a2m", "MKV\n", r"line 1: not a FASTA: 'MKV' comes before any '>' header"),
        ("x.a2m", ">wt\nacg\n>a\nacg\n", r"record 1 \(wt\) has no sequence"),
        ("x.aln", "", r"the file is empty"),
        ("x.sto", "\n", r"not a FASTA: no line begins with '>'"),
    ],
)
def test_errors(tmp_path: Path, name: str, text: str, message: str) -> None:
    expect(write_text(tmp_path / name, text), message)
