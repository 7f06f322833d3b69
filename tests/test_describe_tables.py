"""``genoattn.describe_file`` of alignments, tables of variants and tables of samples: counts by hand."""

from __future__ import annotations

import gzip
import re

import pandas as pd
import pytest
from vcf_files import write_text

from genoattn import describe_file
from genoattn.describe.summaries import (
    AlignmentSummary,
    KeptSummary,
)

# --- alignments and tables of variants

ALIGNMENT = ">wild\nMKV-A\n>a\nMKVLA\n>b\nMRV-X\n>c\nMRV-X\n"


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("a.fasta", ALIGNMENT, "FASTA"),
        ("a.a2m", ALIGNMENT, "A2M"),
        (
            "a.aln",
            "CLUSTAL W\n\n\nwild      MKV-A\na         MKVLA\nb         MRV-X\nc         MRV-X\n",
            "Clustal",
        ),
        ("a.sto", "# STOCKHOLM 1.0\nwild MKV-A\na MKVLA\nb MRV-X\nc MRV-X\n//\n", "Stockholm"),
    ],
)
def test_alignments_by_hand(tmp_path, name, text, form):
    found = describe_file(write_text(tmp_path / name, text))
    assert (found.kind, found.format, found.mismatch) == ("alignment", form, None)
    # K/R and -/L vary; 3 gaps and 2 unknown among 20 letters.
    assert found.alignment == AlignmentSummary(
        4, 5, "protein", "from the letters", "wild", 2, 1, 3 / 20, 2 / 20, 1
    )
    assert found.kept == KeptSummary(4, 4, (), 0.0, 0.1, 5, 2, 3, 0, 0, 0)


def test_an_alignment_with_phenotypes_and_a_reference(tmp_path):
    path = write_text(tmp_path / "a.faa.gz", "")
    path.write_bytes(gzip.compress(ALIGNMENT.encode()))
    pheno = write_text(tmp_path / "p.tsv", "IID\ty\nwild\t1\nb\t2\nc\t4\n")
    found = describe_file(path, pheno, wild_type="a", maf=0.4)
    assert (found.alignment.alphabet_reason, found.alignment.reference) == ("from the suffix", "a")
    assert (found.kept.n_samples, found.kept.n_sites, found.kept.n_rare) == (3, 0, 1)  # K/R: 1 of 3
    assert describe_file(path, alphabet="protein").alignment.alphabet_reason == "asked for"


def test_tables_of_variants(tmp_path):
    fasta = write_text(tmp_path / "wt.fasta", ">target\nMKVL\n")
    table = write_text(tmp_path / "v.tsv", "mutant\tfitness\nWT\t0\nK2R\t1\nK2R:V3A\t2\nM1fs\t3\n")
    found = describe_file(table, mutation_column="mutant", reference=fasta, trait="fitness")
    assert (found.kind, found.alignment.reference) == ("variants", "target")
    assert found.alignment.n_variable == 2
    assert found.samples.n == 3
    assert any("left out 1 of 4 rows" in line for line in found.notes)
    assert [column.name for column in found.table.columns] == ["mutant", "fitness"]
    sequences = write_text(tmp_path / "s.csv", "variant,y\nMKVLA,1\nMRVLA,2\n")
    found = describe_file(sequences, sequence_column="variant")
    assert found.alignment.n_variable == 1
    assert found.kept.n_sites == 1


def test_hints_at_columns_of_variants(tmp_path):
    table = write_text(tmp_path / "v.tsv", "mutant\tseq\ty\nWT\tMKVLA\t0\nK2R\tMRVLA\t1\n")
    assert describe_file(table).notes == (
        "column mutant looks like mutations: --mutation-column mutant --reference FASTA",
        "column seq looks like sequences: --sequence-column seq",
    )


# --- tables of samples

TABLE = (
    "IID\tnumber\tbinary\tstatus\twords\tmixed\tconstant\tempty\tcoded\n"
    "a\t1.5\t0\t1\tred\t7\t4\tNA\t-9\n"
    "b\t2.5\t1\t2\tblue\t8\t4\t\t30\n"
    "c\tNA\t1\t2\tred\t9\t4\tNA\t31\n"
    "d\t4.5\t0\tNA\tred\t7,5\t4\tNA\t99\n"
)


def columns(path):
    table = describe_file(path).table
    return {c.name: (c.kind, c.n_missing, c.n_distinct, c.codes or {}) for c in table.columns}


EXPECTED = {
    "IID": ("words", 0, 4, {}),
    "number": ("number", 1, 3, {}),
    "binary": ("binary", 0, 2, {}),
    "status": ("binary", 1, 2, {}),
    "words": ("words", 0, 2, {}),
    "mixed": ("mixed", 0, 4, {}),
    "constant": ("constant", 0, 1, {}),
    "empty": ("empty", 4, 0, {}),
    "coded": ("number", 0, 4, {"-9": 1, "99": 1}),
}


def test_columns_by_hand(tmp_path):
    path = write_text(tmp_path / "t.tsv", TABLE)
    found = describe_file(path)
    assert (found.kind, found.format, found.mismatch) == ("table", "text", None)
    assert (found.table.n_rows, found.table.id_column, found.table.problem) == (4, "IID", None)
    assert columns(path) == EXPECTED
    number = found.table.columns[1]
    assert (number.lowest, number.highest, number.mean) == (1.5, 4.5, pytest.approx(8.5 / 3))
    assert found.table.columns[5].examples == ("7,5",)


def test_a_parquet_table_under_any_name(tmp_path):
    frame = pd.DataFrame({"IID": ["a", "b", "c"], "x": [1.0, None, 3.0], "y": ["u", "v", "u"]})
    for name in ("t.parquet", "t.tsv"):
        frame.to_parquet(tmp_path / name)
        assert describe_file(tmp_path / name).format == "Parquet"
        found = columns(tmp_path / name)
        assert found["x"] == ("number", 1, 2, {})
        assert found["y"] == ("words", 0, 2, {})


def test_a_table_of_plink(tmp_path):
    path = write_text(tmp_path / "p.txt", "#FID IID y\nf a 1.5\nf b -9\ng a 2.5\n")
    found = describe_file(path)
    assert found.table.problem is None
    assert [column.role for column in found.table.columns] == ["family", "id", "value"]
    assert columns(path)["y"] == ("number", 1, 2, {})
    assert found.notes == ("1 values of -9 are missing (columns FID and IID, a table of PLINK)",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\ty\na\t1\n", r"no IID or sample column in the header \(name, y\)"),
        ("IID\ty\na\t1\na\t2\n", r"sample ID 'a' has two rows"),
        ("IID\ty\n\t1\na\t2\n", r"row 1 has no sample ID"),
    ],
)
def test_a_table_that_is_not_one_of_samples_is_described(tmp_path, text, message):
    table = describe_file(write_text(tmp_path / "t.tsv", text)).table
    assert re.search(message, table.problem or "")
    assert table.columns[1].name == "y"
