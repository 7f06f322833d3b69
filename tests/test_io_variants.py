"""Tables of variants: the same cohort as the FASTA and table they could have been, and their mistakes."""

from __future__ import annotations

import numpy as np
import pytest
from vcf_files import write_text

from genoattn.errors import InputError
from genoattn.io import read

WILD = "MKV"
SEQUENCES = {"v0": "MKV", "v1": "MAV", "v2": "MAW", "v3": "MKW", "v4": "CKV", "v5": "CAW"}
MUTATIONS = {"v0": "WT", "v1": "K2A", "v2": "K2A:V3W", "v3": "p.Val3Trp", "v4": "M1C", "v5": "V3W;M1C;K2A"}
VALUES = {name: 0.5 * i + 0.1 for i, name in enumerate(SEQUENCES)}


def fasta(tmp_path, records=None, name="x.fa"):
    records = SEQUENCES if records is None else records
    return write_text(tmp_path / name, "".join(f">{k}\n{s}\n" for k, s in records.items()))


def table(tmp_path, text, name="t.tsv"):
    return write_text(tmp_path / name, text)


def variants(tmp_path, column, cells, ids=True):
    lines = [f"{'IID	' if ids else ''}{column}\ty"]
    lines += [f"{k + '	' if ids else ''}{cell}\t{VALUES[k]}" for k, cell in cells.items()]
    return table(tmp_path, "\n".join(lines) + "\n")


def wild_type(tmp_path, sequence=WILD, name="wt.fa"):
    return fasta(tmp_path, {"wild": sequence}, name)


def expect(message, *arguments, **options):
    """``read`` fails with the message on one line."""
    with pytest.raises(InputError, match=message) as caught:
        read(*arguments, **options)
    assert "\n" not in str(caught.value)


def same(a, b):
    """The same sites, states, calls and values."""
    assert a.sites.ids.tolist() == b.sites.ids.tolist()
    assert a.sites.states == b.sites.states
    assert a.sites.pos.tolist() == b.sites.pos.tolist()
    np.testing.assert_array_equal(a.calls, b.calls)
    np.testing.assert_array_equal(a.phenotype.values, b.phenotype.values)
    assert a.kind == b.kind == "sequence"


def test_three_ways_to_the_same_cohort(tmp_path):
    pheno = table(tmp_path, "IID\ty\n" + "".join(f"{k}\t{v}\n" for k, v in VALUES.items()), "p.tsv")
    aligned = read(fasta(tmp_path), pheno)
    path = variants(tmp_path, "protein", SEQUENCES)
    from_sequences = read(path, trait="y", sequence_column="protein")
    same(aligned, from_sequences)
    assert from_sequences.samples.tolist() == list(SEQUENCES)
    # The table as its own phenotypes, its only other column being the trait; and other phenotypes by ID.
    same(aligned, read(path, path, sequence_column="protein"))
    same(aligned, read(path, str(path), sequence_column="protein"))
    same(aligned, read(path, pheno, sequence_column="protein"))
    reference = wild_type(tmp_path)
    path = variants(tmp_path, "hgvs", MUTATIONS)
    from_mutations = read(path, trait="y", mutation_column="hgvs", reference=reference)
    same(aligned, from_mutations)
    assert from_mutations.source == {"genotypes": str(path), "reference": str(reference)}
    assert from_mutations.log[0] == "protein alignment, reference wild"


def test_without_phenotypes(tmp_path):
    path = variants(tmp_path, "protein", SEQUENCES)
    cohort = read(path, sequence_column="protein", filters=False)
    assert cohort.phenotype is None
    assert cohort.n_sites == 3
    assert cohort.log[-1] == "read 6 variants (3 sites), kept all (filters off)"


def test_ids_are_the_variants_where_there_are_no_others(tmp_path):
    path = variants(tmp_path, "hgvs", MUTATIONS, ids=False)
    cohort = read(path, trait="y", mutation_column="hgvs", reference=wild_type(tmp_path))
    assert cohort.samples.tolist() == list(MUTATIONS.values())
    twice = table(tmp_path, "s\ty\nMK\t1\nMA\t2\nMK\t4\nMK\t5\n")
    assert read(twice, sequence_column="s", filters=False).samples.tolist() == ["MK", "MA", "MK/2", "MK/3"]
    named = table(tmp_path, "s\tsample\ty\nMK\ta\t1\nMA\tb\t2\n")
    assert read(named, sequence_column="s", filters=False).samples.tolist() == ["a", "b"]


def test_na_is_a_sequence(tmp_path):
    path = table(tmp_path, "IID\ts\ty\na\tNA\t1\nb\tND\t2\n")
    assert read(path, trait="y", sequence_column="s").sites.states == (("A", "D"),)


def test_case_gaps_and_alphabets(tmp_path):
    path = table(tmp_path, "IID\ts\na\tac.t\nb\tAC-N\n")
    cohort = read(path, sequence_column="s", filters=False)
    assert cohort.calls.tolist() == [[0, 0, 0, 0], [0, 0, 0, -1]]
    assert read(path, sequence_column="s", alphabet="protein", filters=False).calls[1, 3] == 1
    path = table(tmp_path, "IID\tm\na\tWT\nb\tG3N\nc\tA1-\n")
    reference = wild_type(tmp_path, "ACG.")
    cohort = read(path, mutation_column="m", reference=reference, filters=False)
    assert cohort.calls.tolist() == [[0, 0, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]]
    # A mutation to a residue that no nucleotide has makes the alignment one of proteins: N is asparagine.
    path = table(tmp_path, "IID\tm\na\tWT\nb\tG3N\nc\tA1W\n")
    assert read(path, mutation_column="m", reference=reference, filters=False).calls[1, 2] == 1


def test_wild_type_by_name_is_state_0(tmp_path):
    expected = [("C", "M"), ("A", "K"), ("W", "V")]
    named = {"wild_type": "v5"}
    for cohort in (
        read(fasta(tmp_path), **named),
        read(variants(tmp_path, "s", SEQUENCES), sequence_column="s", **named),
        read(variants(tmp_path, "m", MUTATIONS), mutation_column="m", reference=wild_type(tmp_path), **named),
    ):
        assert list(cohort.sites.states) == expected
        assert cohort.calls[5].tolist() == [0, 0, 0]
        assert "protein alignment, reference v5" in cohort.log
    same_as_before = read(fasta(tmp_path), reference="v5")
    assert list(same_as_before.sites.states) == expected


def test_wild_type_with_a_table_of_sequences(tmp_path):
    few = {k: SEQUENCES[k] for k in ("v1", "v2", "v5")}
    path = variants(tmp_path, "s", few)
    cohort = read(path, trait="y", sequence_column="s", reference=wild_type(tmp_path))
    # K is in no sample; it is state 0 all the same, and said so.
    assert cohort.sites.states == (("M", "C"), ("V", "W"))
    cohort = read(path, sequence_column="s", reference=wild_type(tmp_path), filters=False)
    assert cohort.sites.states == (("M", "C"), ("K", "A"), ("V", "W"))
    few = {"v1": "MAV", "v2": "MGW"}
    cohort = read(variants(tmp_path, "s", few), sequence_column="s", reference=wild_type(tmp_path))
    assert cohort.sites.states == (("K", "A", "G"), ("V", "W"))
    assert cohort.log[-1].endswith(
        "no sample has the reference residue of 1 sites (K2): "
        "the reference gauge takes the mean of the site there"
    )


# --- mistakes


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "a\tMKV\nb\tMK\n",
            r"t.tsv: row 2 \(b\) has 2 residues, row 1 \(a\) has 3; align the sequences to one",
        ),
        (
            "a\tMKV\nb\tMJV\n",
            r"t.tsv: row 2 \(b\): column 2: 'J' is not a letter of the protein alphabet; write",
        ),
        ("a\tMKV\na\tMKW\n", r"t.tsv: sample ID 'a' has two rows; keep one of them"),
    ],
)
def test_mistakes_in_sequences(tmp_path, rows, message):
    expect(message, table(tmp_path, f"IID\ts\n{rows}"), sequence_column="s")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            "M2A",
            r"t.tsv: row 2 \(b\): M2A, but the reference has K at position 2; check the reference and where",
        ),
        ("K9A", r"t.tsv: row 2 \(b\): K9A is outside the reference of 3 residues; number positions from"),
        ("K2A:K2C", r"t.tsv: row 2 \(b\): K2A and K2C are at one position"),
        ("K2J", r"t.tsv: row 2 \(b\): K2J: 'J' is not a letter of the protein alphabet"),
        ("banana", r"t.tsv: row 2 \(b\): 'banana' is not a substitution; write A24G"),
    ],
)
def test_mistakes_in_mutations(tmp_path, cell, message):
    path = table(tmp_path, f"IID\tm\na\tWT\nb\t{cell}\n")
    expect(message, path, mutation_column="m", reference=wild_type(tmp_path))


def test_mistakes_in_options(tmp_path):
    path = variants(tmp_path, "s", SEQUENCES)
    expect(r"t.tsv: no column 'z'; there are: IID, s, y$", path, sequence_column="z")
    expect(
        r"t.tsv: sequences in 's' and mutations in 'y'; give one of the two columns",
        path,
        sequence_column="s",
        mutation_column="y",
    )
    expect(
        r"t.tsv: mutations in 's' without the sequence they are of; give its FASTA", path, mutation_column="s"
    )
    expect(r"t.tsv: a table, but not which of its columns holds the variants; give sequence_column", path)
    expect(r"t.tsv: a table of variants has no regions", path, sequence_column="s", region="1:1-2")
    expect(
        r"no row named w for the wild type; the first are v0, v1, v2$",
        path,
        sequence_column="s",
        wild_type="w",
    )
    expect(r"t.tsv: no trait 'q'; there are: y", path, sequence_column="s", trait="q")
    reference = wild_type(tmp_path, "MKVV")
    expect(
        r"wt.fa: the reference wild has 4 residues, the sequences of .*t.tsv have 3; align them",
        path,
        sequence_column="s",
        reference=reference,
    )
    expect(
        r"x.fa: 6 records, a reference is one; give a FASTA of the wild type alone",
        path,
        mutation_column="s",
        reference=fasta(tmp_path),
    )
    expect(
        r"wt.fa: record 1 \(wild\) has no sequence; add it",
        path,
        mutation_column="s",
        reference=wild_type(tmp_path, ""),
    )
    expect(r"x.fa: no record named w for the wild type; the first are v0", fasta(tmp_path), wild_type="w")
    expect(
        r"x.fa: reference v0 and wild type v1 are the same choice for an alignment; give one of the two",
        fasta(tmp_path),
        reference="v0",
        wild_type="v1",
    )
    vcf = write_text(tmp_path / "g.vcf", "x")
    expect(r"g.vcf: wild_type is for alignments; leave it out", vcf, wild_type="v0")
    expect(
        r"columns of measurements without a table; give the phenotypes too", fasta(tmp_path), se_column="s"
    )
