"""A random alignment written in every format is read back as it was; its order is that of the file."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from Bio.Align import MultipleSeqAlignment
from Bio.AlignIO import write as write_alignment
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from Bio.SeqUtils import seq3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genoattn.io import read

ALPHABETS = {
    "dna": "ACGT-N",
    "diploid": "ACGT-NRYSWKM",
    "protein": "ACDEFGHIKLMNPQRSTVWY-X",
    "symbols": "01aAbBNX-?",
}
MISSING = {"dna": "N", "diploid": "N", "protein": "X", "symbols": "?"}
CLUSTAL, STOCKHOLM = "clustal", "stockholm"
quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def alignments(draw, alphabet, missing=True):
    """Sequences of one length."""
    letters = ALPHABETS[alphabet] if missing else ALPHABETS[alphabet].replace(MISSING[alphabet], "")
    n = draw(st.integers(1, 12))
    return draw(st.lists(st.text(letters, min_size=n, max_size=n), min_size=1, max_size=6))


def sequences_of(cohort, alphabet):
    """The sequences of a cohort; N, X or ? where the call is missing."""
    unknown = MISSING[alphabet]
    rows = [
        [states[c] if c >= 0 else unknown for states, c in zip(cohort.sites.states, row, strict=True)]
        for row in cohort.calls
    ]
    return ["".join(row) for row in rows]


def fasta(sequences):
    return "".join(f">s{i}\n{sequence}\n" for i, sequence in enumerate(sequences)).encode()


def by_biopython(sequences, form):
    records = [SeqRecord(Seq(sequence), id=f"s{i}") for i, sequence in enumerate(sequences)]
    text = io.StringIO()
    write_alignment(MultipleSeqAlignment(records), text, form)
    return text.getvalue().encode()


def a2m(sequences):
    """With an insertion after the first column: of the first sequence alone."""
    return fasta([s[0] + ("g" if i == 0 else ".") + s[1:] for i, s in enumerate(sequences)])


def table(sequences, separator):
    rows = [f"s{i}{separator}{sequence}" for i, sequence in enumerate(sequences)]
    return "\n".join([f"IID{separator}seq", *rows, ""]).encode()


WRITERS = {
    "x.fa": fasta,
    "x.fna.gz": lambda s: gzip.compress(fasta(s)),
    "x.a2m": a2m,
    "x.a3m": fasta,
    "x.aln": lambda s: by_biopython(s, CLUSTAL),
    "x.aln.gz": lambda s: gzip.compress(by_biopython(s, CLUSTAL)),
    "x.sto": lambda s: by_biopython(s, STOCKHOLM),
    "x.csv": lambda s: table(s, ","),
    "x.tsv": lambda s: table(s, "\t"),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("alphabet", ["dna", "diploid", "protein"])
@quick
@given(data=st.data())
def test_what_is_written_is_read(tmp_path, data, alphabet, name):
    sequences = data.draw(alignments(alphabet))
    path = tmp_path / name
    path.write_bytes(WRITERS[name](sequences))
    columns = {"sequence_column": "seq"} if name in ("x.csv", "x.tsv") else {}
    cohort = read(path, alphabet=alphabet, filters=False, **columns)
    assert cohort.samples.tolist() == [f"s{i}" for i in range(len(sequences))]
    assert sequences_of(cohort, alphabet) == sequences
    # The same cohort as that of the FASTA, states included.
    (tmp_path / "plain.fa").write_bytes(fasta(sequences))
    plain = read(tmp_path / "plain.fa", alphabet=alphabet, filters=False)
    assert plain.sites.states == cohort.sites.states
    np.testing.assert_array_equal(plain.calls, cohort.calls)


@pytest.mark.parametrize("name", ["x.fa", "x.aln", "x.sto", "x.csv"])
@quick
@given(data=st.data())
def test_symbols_are_read_as_they_are_written(tmp_path, data, name):
    sequences = data.draw(alignments("symbols"))
    path = tmp_path / name
    path.write_bytes(WRITERS[name](sequences))
    columns = {"sequence_column": "seq"} if name == "x.csv" else {}
    cohort = read(path, alphabet="symbols", filters=False, **columns)
    assert sequences_of(cohort, "symbols") == sequences


def mutation_string(wild, sequence):
    changes = [f"{a}{i}{b}" for i, (a, b) in enumerate(zip(wild, sequence, strict=True), 1) if a != b]
    return ":".join(changes) or "WT"


@pytest.mark.parametrize("alphabet", ["dna", "protein", "symbols"])
@quick
@given(data=st.data())
def test_mutation_strings_give_the_sequences(tmp_path, data, alphabet):
    sequences = data.draw(alignments(alphabet, missing=False))
    wild = sequences[0]
    (tmp_path / "wt.fa").write_text(f">wt\n{wild}\n")
    rows = [f"s{i}\t{mutation_string(wild, sequence)}" for i, sequence in enumerate(sequences)]
    (tmp_path / "m.tsv").write_text("\n".join(["IID\tm", *rows, ""]))
    how = {"mutation_column": "m", "reference": tmp_path / "wt.fa", "alphabet": alphabet}
    cohort = read(tmp_path / "m.tsv", filters=False, **how)
    assert sequences_of(cohort, alphabet) == sequences


THREE = {one: seq3(one) for one in ALPHABETS["protein"] if one not in "-X"}


def of_protein(wild, position, mutant):
    residue = f"{THREE[wild]}{position}"
    return residue + ("del" if mutant == "-" else "=" if mutant == wild else THREE[mutant])


def of_nucleotides(wild, position, mutant):
    if mutant == wild:
        return f"{position}="
    return f"{position}del" if mutant == "-" else f"{position}{wild}>{mutant}"


@pytest.mark.parametrize(
    ("alphabet", "level", "change"), [("protein", "p", of_protein), ("dna", "c", of_nucleotides)]
)
@quick
@given(data=st.data())
def test_hgvs_gives_the_sequences(tmp_path, data, alphabet, level, change):
    sequences = [s.replace("-", "A") for s in data.draw(alignments(alphabet, missing=False))]
    wild, mutants = sequences[0], data.draw(alignments(alphabet, missing=False))
    mutants = [mutant for mutant in mutants if len(mutant) <= len(wild)] or [wild]
    (tmp_path / "wt.fa").write_text(f">target\n{wild}\n")
    lines, expected = ["IID,hgvs"], []
    for i, mutant in enumerate(mutants):
        changes = [change(a, k, b) for k, (a, b) in enumerate(zip(wild, mutant, strict=False), 1)]
        lines.append(f"s{i},target:{level}.[{';'.join(changes)}]")
        expected.append(mutant + wild[len(mutant) :])
    (tmp_path / "m.csv").write_text("\n".join([*lines, ""]))
    how = {"mutation_column": "hgvs", "reference": tmp_path / "wt.fa", "alphabet": alphabet}
    cohort = read(tmp_path / "m.csv", filters=False, strict=True, **how)
    assert sequences_of(cohort, alphabet) == expected


@quick
@given(data=st.data())
def test_the_order_of_samples_and_columns(tmp_path, data):
    sequences = data.draw(alignments("protein"))
    n, n_columns = len(sequences), len(sequences[0])
    rows = data.draw(st.permutations(range(n)))
    columns = data.draw(st.permutations(range(n_columns)))

    def cohort_of(order, places):
        text = "".join(f">s{i}\n{''.join(sequences[i][k] for k in places)}\n" for i in order)
        (tmp_path / "x.fa").write_text(text)
        return read(tmp_path / "x.fa", alphabet="protein", wild_type="s0", filters=False)

    before = cohort_of(range(n), range(n_columns))
    after = cohort_of(rows, columns)
    assert after.samples.tolist() == [f"s{i}" for i in rows]
    assert after.sites.states == tuple(before.sites.states[k] for k in columns)
    np.testing.assert_array_equal(after.calls, before.calls[rows][:, columns])
    assert after.sites.pos.tolist() == before.sites.pos.tolist()
    assert after.log == before.log
