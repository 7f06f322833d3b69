"""What letters mean: alphabets asked for, named by a suffix, and guessed aloud; IUPAC codes; symbols."""

from __future__ import annotations

import gzip
import logging
import re
from pathlib import Path

import pytest
from vcf_files import write_text

from genoattn.errors import InputError
from genoattn.io import read

CASE = Path(__file__).parent / "cases" / "alphabet-guessed"
LIBRARY = {"trait": "fitness", "sequence_column": "sequence"}
ALIGNED = "{} alignment, reference r1"


def fasta(path, *sequences):
    text = "".join(f">r{i}\n{sequence}\n" for i, sequence in enumerate(sequences, start=1))
    if path.suffix != ".gz":
        return write_text(path, text)
    path.write_bytes(gzip.compress(text.encode()))
    return path


def aligned(path, *sequences, **options):
    return read(fasta(path, *sequences), filters=False, **options)


# --- guesses


def test_a_library_of_letters_that_nucleotides_have_too(caplog):
    guessed = read(CASE / "library.csv", **LIBRARY)
    told = (
        "all letters are codes of nucleotides, and 32 N count as missing; "
        "if this is a protein (N is asparagine) give --alphabet protein"
    )
    assert caplog.messages == [f"{CASE / 'library.csv'}: read as dna: {told}"]
    assert f"alphabet guessed: {told}" in guessed.log
    caplog.clear()
    protein = read(CASE / "library.csv", alphabet="protein", **LIBRARY)
    assert caplog.messages == []
    assert protein.sites.states == (("A", "G"), ("N", "T"), ("G", "A"), ("T", "N"), ("C", "A"))


def test_nucleotides_with_codes_of_heterozygotes(caplog):
    cohort = read(CASE / "snps.fa", CASE / "y.tsv")
    assert cohort.log[0] == "dna alignment, reference S000"
    assert (
        "3 IUPAC codes (1 M, 1 R, 1 Y) are missing; with alphabet diploid those of two bases are states"
        in cohort.log
    )
    assert {state for states in cohort.sites.states for state in states} <= set("ACGT")
    assert "6 N, 1 M, 1 R, 1 Y count as missing" in caplog.text
    # Column 3 has the M of S006, column 6 the R of S007.
    assert cohort.calls[cohort.samples.tolist().index("S006"), 2] == -1
    diploid = read(CASE / "snps.fa", CASE / "y.tsv", alphabet="diploid")
    assert "M" in diploid.sites.states[2]
    assert diploid.calls[diploid.samples.tolist().index("S006"), 2] == diploid.sites.states[2].index("M")


@pytest.mark.parametrize(
    ("sequences", "alphabet", "warning"),
    [
        (("ACGT", "ACGA"), "dna", None),
        (("ACG-", "AC.A"), "dna", None),
        (("acgu", "acga"), "dna", None),
        (("ACGN", "ACGA"), "dna", r"read as dna: .* and 1 N count as missing; .* give --alphabet protein"),
        (("ACGTACGTR", "ACGTACGTA"), "dna", r"1 R count as missing"),
        (("NNGT", "ANGT"), "dna", r"3 N count as missing"),
        (("MKV", "MRV"), "protein", None),
        (("MKVLE", "MRVLE"), "protein", None),
        (("ACRRG", "AYRCG"), "protein", r"read as protein: many letters are none of .* \(3 R, 1 Y\)"),
        (("ACD", "ACA"), "protein", None),
        (
            ("ACGTACGTNACGTACGT", "ACGTACGTEACGTACGT"),
            "protein",
            r"nearly all .* nucleotides, but 1 E are not, so that N",
        ),
    ],
)
def test_guesses_are_told_where_they_matter(tmp_path, caplog, sequences, alphabet, warning):
    cohort = aligned(tmp_path / "x.fa", *sequences)
    assert cohort.log[0] == ALIGNED.format(alphabet)
    if warning is None:
        assert caplog.messages == []
        assert len(cohort.log) == 2
    else:
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert re.search(warning, record.getMessage())
        assert record.getMessage().split(": ", 2)[2] in cohort.log[-2]


@pytest.mark.parametrize("name", ["x.faa", "x.FAA", "x.faa.gz"])
def test_a_suffix_of_proteins(tmp_path, caplog, name):
    cohort = aligned(tmp_path / name, "ANGT", "ATGT")
    assert cohort.log[0] == ALIGNED.format("protein")
    assert cohort.sites.states[1] == ("N", "T")
    assert caplog.messages == []


@pytest.mark.parametrize("name", ["x.fna", "x.ffn", "x.fna.gz", "x.ffn.gz"])
def test_a_suffix_of_nucleotides(tmp_path, caplog, name):
    cohort = aligned(tmp_path / name, "ANRT", "ATGT")
    assert cohort.log[:2] == (
        ALIGNED.format("dna"),
        "1 IUPAC codes (1 R) are missing; with alphabet diploid those of two bases are states",
    )
    assert cohort.calls[0].tolist() == [0, -1, -1, 0]
    assert caplog.messages == []
    # What is asked for goes before what a suffix says.
    assert aligned(tmp_path / name, "ANRT", "ATGT", alphabet="protein").sites.states[1] == ("N", "T")


def test_a_suffix_that_the_letters_contradict(tmp_path):
    with pytest.raises(InputError, match=r"x.fna: record 2 \(r2\), column 2: 'E' is not a letter of the dna"):
        aligned(tmp_path / "x.fna", "ACGT", "AEGT")


@pytest.mark.parametrize("name", ["wt.faa", "wt.faa.gz"])
def test_the_suffix_of_a_reference_says_what_a_table_holds(tmp_path, caplog, name):
    wild = fasta(tmp_path / name, "ANGT")
    sequences = write_text(tmp_path / "s.csv", "s,y\nANGT,1\nATGN,2\n")
    mutations = write_text(tmp_path / "m.csv", "m,y\nWT,1\nN2T:T4N,2\n")
    for table, options in ((sequences, {"sequence_column": "s"}), (mutations, {"mutation_column": "m"})):
        cohort = read(table, trait="y", reference=wild, **options)
        assert cohort.sites.states == (("N", "T"), ("T", "N"))
    assert caplog.messages == []


def test_mutants_that_no_nucleotide_has(tmp_path, caplog):
    wild = fasta(tmp_path / "wt.fa", "ACGT")
    proteins = write_text(tmp_path / "p.csv", "m,y\nA1R,1\nC2W,2\nWT,3\nG3N,4\n")
    cohort = read(proteins, trait="y", mutation_column="m", reference=wild)
    assert cohort.sites.states == (("A", "R"), ("C", "W"), ("G", "N"))
    bases = write_text(tmp_path / "b.csv", "m,y\nA1G,1\nC2N,2\nWT,3\n")
    caplog.clear()
    cohort = read(bases, trait="y", mutation_column="m", reference=wild, max_missing=1)
    assert cohort.calls[1, 0] == 0
    assert "read as dna: all letters are codes of nucleotides, and 1 N count as missing" in caplog.text


# --- IUPAC codes and unknown letters


@pytest.mark.parametrize("code", "RYSWKMBDHV")
def test_codes_of_nucleotides(tmp_path, code):
    cohort = aligned(tmp_path / "x.fna", f"A{code}{code.lower()}T", "ACGT", "AGCT")
    assert cohort.calls[0].tolist() == [0, -1, -1, 0]
    assert cohort.sites.states == (("A",), ("C", "G"), ("C", "G"), ("T",))
    diploid = aligned(tmp_path / "x.fna", f"A{code}{code.lower()}T", "ACGT", "AGCT", alphabet="diploid")
    if code in "BDHV":
        assert diploid.calls.tolist() == cohort.calls.tolist()
        assert diploid.log[1] == f"2 IUPAC codes (2 {code}) are missing"
    else:
        assert diploid.sites.states == (("A",), (code, "C", "G"), (code, "C", "G"), ("T",))
        assert len(diploid.log) == 2


@pytest.mark.parametrize("alphabet", ["dna", "diploid", "protein", "symbols"])
def test_a_question_mark_is_missing(tmp_path, alphabet):
    cohort = aligned(tmp_path / "x.fa", "A?C", "AC?", alphabet=alphabet)
    assert cohort.calls.tolist() == [[0, -1, 0], [0, 0, -1]]


def test_dna_and_rna_in_one_alignment(tmp_path, caplog):
    cohort = aligned(tmp_path / "x.fna", "ACGT", "ACGU", "ACGU")
    assert cohort.sites.states[3] == ("T", "U")
    assert "T and U are two states (2 U, 1 T)" in cohort.log
    assert caplog.messages == [
        f"{tmp_path / 'x.fna'}: T and U are two states here (2 U, 1 T); write one of them"
    ]


def test_no_letter_of_another_script(tmp_path):
    with pytest.raises(InputError, match=r"record 2 \(r2\), column 2: 'А' is not a letter of the protein"):
        aligned(tmp_path / "x.fa", "MA", "M\u0410")


# --- symbols


def test_symbols_of_genotypes(tmp_path, caplog):
    table = write_text(tmp_path / "t.csv", "g,y\n0010,1\n0110,2\n1?1.,3\n110-,4\n")
    cohort = read(table, trait="y", sequence_column="g", alphabet="symbols", max_missing=1)
    assert cohort.samples.tolist() == ["0010", "0110", "1?1.", "110-"]
    assert cohort.sites.states == (("0", "1"), ("0", "1"), ("1", "0"), ("0", "-"))
    assert cohort.calls.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [1, -1, 0, -1], [1, 1, 1, 1]]
    assert cohort.sites.ids.tolist() == ["column1", "column2", "column3", "column4"]
    assert cohort.log[:2] == ("symbols alignment, reference 0010", "symbols: -, 0, 1; ? and . are missing")
    assert caplog.messages == []


def test_symbols_keep_their_case_and_have_no_unknown_letter(tmp_path):
    cohort = aligned(tmp_path / "x.fa", "AbNX", "aBNx", alphabet="symbols")
    assert cohort.sites.states == (("A", "a"), ("b", "B"), ("N",), ("X", "x"))
    assert (cohort.calls >= 0).all()


def test_mutation_strings_of_symbols(tmp_path):
    wild = fasta(tmp_path / "wt.fa", "0" * 12)
    table = write_text(tmp_path / "t.csv", "m,y\nWT,1\n0121,2\n011:0121,3\n02?,4\n")
    cohort = read(table, trait="y", mutation_column="m", reference=wild, alphabet="symbols", filters=False)
    assert cohort.n_sites == 12
    assert cohort.calls[:, [0, 1, 11]].tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 1], [0, -1, 0]]


@pytest.mark.parametrize("alphabet", ["auto", "dna", "protein"])
def test_digits_name_the_alphabet_of_symbols(tmp_path, alphabet):
    with pytest.raises(InputError, match=r"column 1: '0' is not .* and 1 choose --alphabet symbols"):
        aligned(tmp_path / "x.fa", "0010", "0110", alphabet=alphabet)
    table = write_text(tmp_path / "t.csv", "g,y\n0010,1\n0110,2\n")
    with pytest.raises(
        InputError, match=r"row 1 \(0010\): column 1: '0' is not .* --alphabet symbols \(2 such"
    ):
        read(table, trait="y", sequence_column="g", alphabet=alphabet)


def test_what_is_no_symbol(tmp_path):
    with pytest.raises(
        InputError, match=r"column 2: '_' is not a letter of the symbols alphabet; write \? if"
    ):
        aligned(tmp_path / "x.fa", "0_10", alphabet="symbols")
