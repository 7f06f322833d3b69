"""Alignments: alphabets, states with the reference first, and what is wrong with a file."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vcf_files import write_text

from genoattn.errors import InputError
from genoattn.io.alignment_files import read_alignment


def fasta(path: Path, *sequences: str) -> Path:
    """Records r1, r2, .. with a description that is no part of the name."""
    return write_text(path, "".join(f">r{i} from a test\n{s}\n" for i, s in enumerate(sequences, start=1)))


def expect(path: Path, message: str, **options: str) -> None:
    """Reading fails with the message, on one line that begins with the file."""
    with pytest.raises(InputError, match=message) as caught:
        read_alignment(path, **options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_protein_by_hand(tmp_path: Path) -> None:
    cohort, read = read_alignment(fasta(tmp_path / "x.fa", "MGV", "MA.", "MX-", "mwa"))
    assert read == "4 sequences (3 sites)"
    assert cohort.samples.tolist() == ["r1", "r2", "r3", "r4"]
    assert cohort.kind == "sequence"
    # The reference residue first, the rest sorted; X is missing, "-" and "." are one state, case is ignored.
    assert cohort.sites.states == (("M",), ("G", "A", "W"), ("V", "-", "A"))
    assert cohort.calls.tolist() == [[0, 0, 0], [0, 1, 1], [0, -1, 1], [0, 2, 2]]
    assert cohort.sites.ids.tolist() == ["M1", "G2", "V3"]
    assert cohort.sites.pos.tolist() == [1, 2, 3]
    assert cohort.sites.ref.tolist() == ["M", "G", "V"]
    assert set(cohort.sites.chrom) == set(cohort.sites.alt) == {""}
    assert cohort.log == ("protein alignment, reference r1",)


def test_nucleotides_are_told_by_their_letters(tmp_path: Path) -> None:
    path = fasta(tmp_path / "x.fa", "ACGN", "ACTU")
    cohort, _ = read_alignment(path)
    assert cohort.calls.tolist() == [[0, 0, 0, -1], [0, 0, 1, 0]]
    assert cohort.log[0] == "dna alignment, reference r1"
    # The same letters as amino acids: N is asparagine, not missing.
    forced, _ = read_alignment(path, alphabet="protein")
    assert forced.sites.states[3] == ("N", "U")


def test_reference_by_name_and_where_it_is_missing(tmp_path: Path) -> None:
    path = fasta(tmp_path / "x.fa", "AAAN", "CCCN", "CNNN", "CTGN", "CTGN")
    cohort, _ = read_alignment(path, reference="r3")
    # Column 2: T twice, A and C once; column 3: G twice; column 4: nobody knows.
    assert cohort.sites.ids.tolist() == ["C1", "T2", "G3", "N4"]
    assert cohort.sites.states == (("C", "A"), ("T", "A", "C"), ("G", "A", "C"), ("N",))
    assert cohort.calls[:, 3].tolist() == [-1] * 5


def test_lines_compression_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.fasta.gz"
    path.write_bytes(gzip.compress(b"\n>a\nAC\nGT\n\n>b\nACG\nA\n"))
    cohort, _ = read_alignment(path)
    assert cohort.samples.tolist() == ["a", "b"]
    assert cohort.calls.tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the file is empty"),
        ("\n\n", r"not a FASTA: no line begins with '>'"),
        ("ACGT\n>a\nACGT\n", r", line 1: not a FASTA: 'ACGT' comes before any '>' header"),
        (">\nACGT\n", r", line 1: a record without a name; write one after '>'"),
        (">a\n>b\nAC\n", r"record 1 \(a\) has no sequence; add it or remove the record"),
        (
            ">a\nACGT\n>b\nACG\n",
            r"record 2 \(b\) has 3 residues, record 1 \(a\) has 4; align the sequences to one length",
        ),
        (
            ">a\nAC\n>b\nAC\n>a x\nAG\n",
            r"records 1 and 3 are both named a; rename one \(a name ends at a space\)",
        ),
        (
            ">a\nMWLV\n>b\nMWJV\n",
            r"record 2 \(b\), column 3: 'J' is not a letter of the protein alphabet; write X if unknown",
        ),
        (">a\nMW\n>b\nMé\n", r"record 2 \(b\), column 2: 'é' is not a letter of the protein alphabet"),
    ],
)
def test_errors(tmp_path: Path, text: str, message: str) -> None:
    expect(write_text(tmp_path / "x.fa", text), message)


def test_errors_of_options(tmp_path: Path) -> None:
    path = fasta(tmp_path / "x.fa", "ACE", "ACG")
    expect(path, r"no record named wt for the reference; the first are r1, r2$", reference="wt")
    expect(
        path, r"record 1 \(r1\), column 3: 'E' is not a letter of the dna alphabet; write N", alphabet="dna"
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(st.text("ACWX-", min_size=n, max_size=n), min_size=1, max_size=6)
    )
)
def test_states_give_the_residues_back(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[str]
) -> None:
    """Oracle: the definition, one cell at a time."""
    path = fasta(tmp_path_factory.mktemp("fasta") / "x.fa", *sequences)
    cohort, _ = read_alignment(path, alphabet="protein")
    for column, states in enumerate(cohort.sites.states):
        residues = [s[column] for s in sequences]
        known = Counter(r for r in residues if r != "X")
        if not known:
            assert states == ("X",)
            continue
        commonest = min(r for r in known if known[r] == max(known.values()))
        first = residues[0] if residues[0] != "X" else commonest
        assert states == (first, *sorted(set(known) - {first}))
        decoded = ["X" if call < 0 else states[call] for call in cohort.calls[:, column]]
        assert decoded == residues
