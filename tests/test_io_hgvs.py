"""HGVS tables: the level goes with the reference, MaveDB's files, and rows that cannot be used."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from vcf_files import write_text

from genoattn.errors import InputError
from genoattn.io import read

CASE = Path(__file__).parent / "cases" / "hgvs-c-on-protein"
PROTEIN, GENE = "MKTAYIAKQR", "ATGAAAACCGCGTATATTGCGAAACAGCGT"


def read_table(tmp_path, cells, wild=PROTEIN, name="wt", **options):
    """A table of mutations ``m`` and values 0, 1, .. of a reference."""
    rows = "".join(f"{cell}\t{i}\n" for i, cell in enumerate(cells))
    table = write_text(tmp_path / "t.tsv", f"m\ty\n{rows}")
    reference = write_text(tmp_path / "wt.fa", f">{name}\n{wild}\n")
    how = {"trait": "y", "mutation_column": "m", "reference": reference, "filters": False}
    return read(table, **{**how, **options})


def letters(cohort):
    """The sequences of a cohort."""
    states = cohort.sites.states
    return [
        "".join(s[c] if c >= 0 else "?" for s, c in zip(states, row, strict=True)) for row in cohort.calls
    ]


# --- levels


def test_nucleotides_of_a_protein():
    message = (
        r"t.csv: row 1 \(c.4A>G\): c. counts nucleotides, but the reference wt of .*wt.fa is a protein; "
        "give the column of p. descriptions, or the nucleotide sequence as reference"
    )
    with pytest.raises(InputError, match=message):
        read(CASE / "t.csv", trait="score", mutation_column="hgvs_nt", reference=CASE / "wt.fa")


@pytest.mark.parametrize("level", "cgnmr")
@pytest.mark.parametrize("form", ["{}.4A>G", "{}.[4A>G;7T>A]", "X1:{}.4=", "{}.4_6del", "{}.="])
def test_every_level_of_nucleotides_on_a_protein(tmp_path, level, form):
    with pytest.raises(InputError, match=rf"row 2 .*: {level}\. counts nucleotides, but the reference wt of"):
        read_table(tmp_path, ["K2R", form.format(level)])


@pytest.mark.parametrize(
    "text", ["p.Met1Val", "p.(Met1Val)", "NP_1.1:p.Met1Val", "p.[Met1Val;Lys2Arg]", "Met1Val", "p.=", "_sy"]
)
def test_amino_acids_of_nucleotides(tmp_path, text):
    message = (
        r"row 2 .*: p\. counts amino acids, but the reference wt of .*wt.fa is dna; give the column of c\."
    )
    with pytest.raises(InputError, match=message):
        read_table(tmp_path, ["WT", text], wild=GENE)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path, ["WT", text], wild=GENE, strict=True)


def test_unlevelled_nucleotides_of_a_protein(tmp_path):
    with pytest.raises(InputError, match=r"row 1 \(4A>G\): n\. counts nucleotides"):
        read_table(tmp_path, ["4A>G"])


def test_a_protein_of_letters_that_nucleotides_have(tmp_path):
    with pytest.raises(InputError, match=r"is dna; .* \(--alphabet protein if that is what it is\)"):
        read_table(tmp_path, ["p.Ala1Gly", "_wt"], wild="ACGT")
    cohort = read_table(tmp_path, ["p.Ala1Gly", "_wt"], wild="ACGT", alphabet="protein")
    assert letters(cohort) == ["GCGT", "ACGT"]


@pytest.mark.parametrize("level", "cgnm")
def test_nucleotides_of_nucleotides(tmp_path, level):
    cells = [f"{level}.{text}" for text in ("=", "4A>G", "[4A>G;6A>T]", "4_6delinsTTC", "7_9del", "4=")]
    sequences = [GENE[:9], "ATGGAAACC", "ATGGATACC", "ATGTTCACC", "ATGAAA---"]
    assert letters(read_table(tmp_path, cells, wild=GENE[:9])) == sequences  # c.= and c.4= are one


def test_rna(tmp_path):
    assert letters(read_table(tmp_path, ["r.2u>a", "r.="], wild="ATG")) == ["AAG", "ATG"]


# --- MaveDB

MAVEDB = """accession,hgvs_nt,hgvs_splice,hgvs_pro,score,SE,count
urn:mavedb:00000001-a-1#1,c.4A>G,NA,p.Lys2Glu,0.5,0.1,12
urn:mavedb:00000001-a-1#2,c.[4A>G;5A>C],NA,p.Lys2Ala,-0.25,0.1,9
urn:mavedb:00000001-a-1#3,c.6A>G,NA,p.Lys2=,1.01,0.2,4
urn:mavedb:00000001-a-1#4,NA,NA,_wt,1,0.05,1000
urn:mavedb:00000001-a-1#5,NA,NA,_sy,0.99,0.05,100
urn:mavedb:00000001-a-1#6,c.1A>G,NA,p.Met1Val,0.02,0.1,5
urn:mavedb:00000001-a-1#7,c.4del,NA,p.Lys2fs,NA,NA,3
urn:mavedb:00000001-a-1#8,c.7A>T,NA,"p.[Thr3Ser;Ala4Gly]",0.7,0.1,8
urn:mavedb:00000001-a-1#9,c.4A>T,NA,p.Lys2Ter,0,0.1,8
urn:mavedb:00000001-a-1#10,c.4_5insA,NA,NA,0.1,0.1,2
"""
COMMENTS = """# Accession: urn:mavedb:00000001-a-1
# Downloaded (UTC): 2021-03-04 05:06:07
# Licence: CC BY 4.0 (Attribution)
# Licence URL: https://creativecommons.org/licenses/by/4.0/
"""


@pytest.mark.parametrize("comments", ["", COMMENTS])
@pytest.mark.parametrize("target", ["", "TARGET:", "NP_000001.2:"])
def test_a_score_set_as_downloaded(tmp_path, comments, target):
    text = comments + MAVEDB.replace("p.", f"{target}p.") + f"a#11,NA,NA,{target}p.Ala4dup,1,1,1\n"
    path = write_text(tmp_path / "scores.csv", text)
    wild = write_text(tmp_path / "wt.fa", f">wt\n{PROTEIN}\n")
    cohort = read(path, trait="score", mutation_column="hgvs_pro", reference=wild, filters=False)
    assert letters(cohort) == [
        PROTEIN.replace("MK", "ME"),
        PROTEIN.replace("MK", "MA"),
        PROTEIN,
        PROTEIN.replace("MK", "VK"),
        PROTEIN.replace("TA", "SG"),
        PROTEIN.replace("MK", "M*"),
    ]
    # The three rows of the wild type are one sequence, at its mean.
    assert cohort.phenotype.values[2] == pytest.approx((1.01 + 1 + 0.99) / 3)
    line = (
        "left out 3 of 11 rows: 1 without a mutation (first: row 10, NA), "
        f"1 a frameshift (first: row 7, {target}p.Lys2fs), 1 a duplication (first: row 11, {target}p.Ala4dup)"
    )
    assert line in cohort.log


def test_the_nucleotides_of_a_score_set(tmp_path):
    path = write_text(tmp_path / "scores.csv", COMMENTS + MAVEDB)
    wild = write_text(tmp_path / "wt.fna", f">gene\n{GENE}\n")
    cohort = read(path, trait="score", mutation_column="hgvs_nt", reference=wild, filters=False)
    assert cohort.n_samples == 6  # c.4del has no score
    assert any("2 without a mutation (first: row 4, NA), 1 an insertion" in line for line in cohort.log)
    assert letters(cohort)[1].startswith("ATGGCA")


def test_a_mistake_below_comments_is_at_its_line(tmp_path):
    path = write_text(tmp_path / "scores.csv", f"{COMMENTS}hgvs_pro,score\np.Lys2Glu,1\n_wt\n")
    wild = write_text(tmp_path / "wt.fa", f">wt\n{PROTEIN}\n")
    with pytest.raises(InputError, match=r"scores.csv, line 7: 1 columns, the header has 2"):
        read(path, trait="score", mutation_column="hgvs_pro", reference=wild)


def test_variants_of_several_sequences(tmp_path):
    cells = ["A:p.Lys2Glu", "B:p.Lys2Ala", "A:p.Thr3Ser", "_wt", "B:c.4A>G"]
    cohort = read_table(tmp_path, cells, name="A")
    assert letters(cohort) == [PROTEIN.replace("MK", "ME"), PROTEIN.replace("KT", "KS"), PROTEIN]
    assert (
        "left out 2 of 5 rows: 2 of another sequence than the reference (first: row 2, B:p.Lys2Ala)"
        in cohort.log
    )
    with pytest.raises(
        InputError, match=r"variants of A, B, none of which is the reference wt; give the FASTA"
    ):
        read_table(tmp_path, cells)


# --- rows that cannot be used

GOOD = ["WT", *(f"K2{residue}" for residue in "ACDEFGHILMNPQRSTVWY")] * 3


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("p.Lys2fs", "1 a frameshift"),
        ("NA", "1 without a mutation"),
        ("", "1 without a mutation"),
        ("p.?", "1 uncertain"),
        ("K2J", "1 outside the alphabet"),
        ("M2A", "1 of another residue than the reference's"),
        ("K99A", "1 outside the reference"),
        ("banana", "1 not a mutation"),
        ("K2A:K2C", "1 two mutations at one position"),
    ],
)
def test_one_row_does_not_refuse_a_table(tmp_path, caplog, cell, reason):
    cohort = read_table(tmp_path, [*GOOD, cell], trait_type="quantitative")
    line = f"left out 1 of 61 rows: {reason} (first: row 61, {cell})"
    assert line in cohort.log
    assert cohort.n_samples == 20
    # What may be a mistake of the reference is a warning, too.
    doubtful = cell in ("K2J", "M2A", "K99A", "banana", "K2A:K2C")
    assert caplog.messages == ([f"{tmp_path / 't.tsv'}: {line}"] if doubtful else [])
    with pytest.raises(InputError, match=rf"t.tsv: row 61 \({cell.replace('?', '.')}\): ") as caught:
        read_table(tmp_path, [*GOOD, cell], strict=True)
    assert "such rows" not in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("M2A", r"row 61 \(M2A\): M2A, but the reference has K at position 2; check the reference"),
        ("K99A", r"row 61 \(K99A\): K99A is outside the reference of 10 residues"),
        ("K2J", r"row 61 \(K2J\): K2J: 'J' is not a letter of the protein alphabet"),
        ("x", r"row 61 \(x\): 'x' is not a substitution"),
    ],
)
def test_many_doubtful_rows_refuse_a_table(tmp_path, cell, message):
    assert read_table(tmp_path, [*GOOD, *[cell] * 3]).n_samples == 20
    with pytest.raises(InputError, match=rf"{message}.* \(4 such rows of 64\)$"):
        read_table(tmp_path, [*GOOD, *[cell] * 4])
    # Frameshifts, however many, do not hide them.
    with pytest.raises(InputError, match=rf"{message}.* \(4 such rows of 364\)$"):
        read_table(tmp_path, [*GOOD, *[cell] * 4, *["p.Lys2fs"] * 300])


def test_many_frameshifts_do_not_refuse_a_table(tmp_path):
    cohort = read_table(tmp_path, [*["p.Lys2fs"] * 300, "WT", "K2A"])
    assert letters(cohort) == [PROTEIN, PROTEIN.replace("MK", "MA")]


def test_no_row_is_left(tmp_path):
    message = (
        r"no variant is left of 3: 1 without a mutation \(first: row 2, NA\), 2 a frameshift \(first: row 1"
    )
    with pytest.raises(InputError, match=message):
        read_table(tmp_path, ["p.Lys2fs", "NA", "p.Met1fs"])
    with pytest.raises(InputError, match=r"no variant is left of 2: 2 without a mutation"):
        read_table(tmp_path, ["NA", "NA"])


def test_sequences_that_cannot_be_used(tmp_path, caplog):
    rows = "".join(f"{a}{b}V\t0.5\n" for a in "MACDE" for b in "KACDE")
    path = write_text(tmp_path / "s.tsv", f"IID\ts\ty\nx\t\t1\nw\tMKX\t2.5\n{_with_ids(rows)}z\tMJV\t2\n")
    cohort = read(path, trait="y", sequence_column="s", filters=False)
    line = (
        "left out 2 of 28 rows: 1 without a sequence (first: row 1, x), "
        "1 outside the alphabet (first: row 28, z)"
    )
    assert line in cohort.log
    assert cohort.samples.tolist() == ["w", *(f"v{i}" for i in range(25))]
    assert not any("have no genotypes" in text for text in cohort.log)
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    with pytest.raises(InputError, match=r"row 1 \(x\): no sequence; remove the row"):
        read(path, trait="y", sequence_column="s", strict=True)


def _with_ids(rows):
    return "".join(f"v{i}\t{row}\n" for i, row in enumerate(rows.splitlines()))
