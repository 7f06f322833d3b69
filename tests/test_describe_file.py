"""``genoattn.describe_file``: counts by hand for every format, and the same sites as ``genoattn.read``."""

from __future__ import annotations

import dataclasses
import gzip
import os
import re
import threading
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pysam.bcftools
import pytest
from bed_reader import to_bed
from test_dosages import probabilities, write_dosages
from vcf_files import record, vcf_text, write_text, write_vcf

import genoattn
from genoattn import describe_file, read
from genoattn.describe import genotype_summary
from genoattn.describe.summaries import (
    AlignmentSummary,
    CallLayout,
    ChromosomeSummary,
    GenotypeSummary,
    KeptSummary,
    SampleSummary,
)
from genoattn.errors import InputError
from genoattn.scan.traits import save_traits
from genoattn.simulate import simulate_cohort

SAMPLES = [f"s{i}" for i in range(6)]
RECORDS = [
    record(["0/0"] * 5 + ["0/1"], pos=0),  # unplaced, 1 of 12
    record(["0/0", "0/1", "1/1", "0/0", "0/1", "1/1"], pos=1, name="rs1"),  # 6 of 12 copies
    record(["0/0", "0/1", "1/1", "0/0", "0/1", "1/1"], pos=1, name="rs1"),  # the same again
    record(["1|2", "0/0", "0/1", "0/0", "1/1", "0/1"], pos=2, alt="C,G"),  # 5 of 12, 1 of 12
    record(["0/0", "./.", "./.", "1/1", "0/1", "0/1"], pos=3),  # 4 of 8, two missing
    record(["0/0"] * 5 + ["0/1"], pos=4),  # 1 of 12
    record(["0/0"] * 6, pos=5, alt="."),  # monomorphic
    record(["0/0:3"] * 5 + ["0/1:4"], pos=6, alt="A[2:9[", form="GT:DP"),  # 1 of 12
    record(["0"] * 3 + ["0/1"] * 3, chrom="2", pos=4000),  # haploid calls count 0: 3 of 12
    record(["3"] * 3 + ["4"] * 3, chrom="2", pos=4001, form="DP"),  # left out
]
PHENO = "IID\tT\tsex\tage\n" + "".join(f"s{i}\t{i}.5\t{i % 2 + 1}\t{30 + i}\n" for i in range(5))


def vcf(folder, name="g.vcf"):
    return write_vcf(folder / name, SAMPLES, RECORDS)


def classes(path, **options):
    """Sites at frequency 0, and in each class above it."""
    found = describe_file(path, **options).genotypes
    assert [(c.low, c.high) for c in found.frequencies] == [
        (0, 0), (0, 0.01), (0.01, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.5),
    ]  # fmt: skip
    return [c.n_sites for c in found.frequencies]


@pytest.mark.parametrize("name", ["g.vcf", "g.vcf.gz", "g.bcf"])
def test_counts_of_a_vcf_by_hand(tmp_path, name):
    found = describe_file(vcf(tmp_path, name))
    assert found.kind == "genotypes"
    assert found.format == ("BCF" if name == "g.bcf" else "VCF")
    assert found.compression == ("none" if name == "g.vcf" else "bgzip")
    assert found.index == {"g.vcf": None, "g.vcf.gz": "g.vcf.gz.tbi", "g.bcf": "g.bcf.csi"}[name]
    assert found.mismatch is None
    assert found.samples == SampleSummary(6, ("s0", "s1", "s2"), None)
    assert found.genotypes == GenotypeSummary(
        complete=True,
        n_records=10,
        n_sites=10,
        n_samples=6,
        n_biallelic=6,
        n_multiallelic=1,
        n_symbolic=1,
        n_without_alternate=1,
        n_unplaced=1,
        n_repeated=1,
        n_shared_ids=2,
        chromosomes=(ChromosomeSummary("1", 7, 1, 6), ChromosomeSummary("2", 1, 4000, 4000)),
        ploidy={"2": 10},
        dosages=False,
        layout=CallLayout(("GT", "DP"), "some", 10),
        n_missing=2,
        missing_fraction=2 / 60,
        n_samples_over=0,
        worst_sample="s1",
        worst_fraction=0.1,
        frequencies=found.genotypes.frequencies,
        n_uncalled=0,
    )
    # G of 1/12, two of 1/12 at positions 4 and 6, the unplaced one; 0.5, 0.5, 5/12, 0.5, 3/12.
    assert classes(tmp_path / name) == [1, 0, 0, 4, 0, 5]
    # The monomorphic site; two of six calls missing; the record that is there again.
    assert found.kept == KeptSummary(6, 6, (), 0.01, 0.1, 10, 7, 1, 1, 0, 1)
    assert "3 haploid calls among diploid ones at 1 records of 2 count 0 or 2 copies" in found.notes[0]
    assert found.notes[1].startswith("1 records left out, without GT")


def test_samples_with_a_phenotype(tmp_path):
    """Without s5 the alternates of 1 in 12 are not seen, and 3 of 12 copies are 2 of 10."""
    found = describe_file(vcf(tmp_path), write_text(tmp_path / "p.tsv", PHENO), "T")
    assert found.samples.n == 6
    assert classes(tmp_path / "g.vcf", pheno=tmp_path / "p.tsv", trait="T") == [4, 0, 0, 0, 1, 5]
    kept = found.kept
    assert (kept.n_samples, kept.n_sites, kept.n_monomorphic, kept.n_over_missing) == (5, 4, 4, 1)
    assert kept.samples[0].startswith("6 samples with genotypes, kept 5 (1 without a row in ")


OPTIONS = [
    {},
    {"maf": 0.1},
    {"maf": 0.0, "max_missing": 0.5},
    {"pheno": True, "trait": "T"},
    {"pheno": True, "trait": "T", "covar": True, "maf": 0.2},
    {"max_missing": 0.0, "maf": 0.05},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["g.vcf", "g.bcf", "g.bed", "g.pgen", "g.vcz"])
def test_the_same_counts_as_read(tmp_path, name, options):
    path = {"g.bed": plink1, "g.pgen": plink2, "g.vcz": vcf_zarr}.get(name, vcf)(tmp_path, name)
    options = dict(options)
    if options.get("pheno"):
        options["pheno"] = write_text(tmp_path / "p.tsv", PHENO)
    if options.get("covar"):
        text = "IID\tsex\nZ\t1\ns0\t1\ns1\t2\ns2\tNA\ns3\t2\ns4\t1\n"
        options["covar"] = write_text(tmp_path / "c.tsv", text)
    cohort, found = read(path, **options), describe_file(path, **options).kept
    assert (found.n_samples, found.n_sites) == (cohort.n_samples, cohort.n_sites)
    counts = re.findall(r"(\d+) (?:monomorphic|over|under)", cohort.log[-1])
    assert list(map(int, counts)) == [found.n_monomorphic, found.n_over_missing, found.n_rare]


# Copies of six samples at four sites; -1 is missing.
COPIES = np.array([[0, 1, 2, 0, 1, 2], [0, 0, 0, 0, 0, 1], [0, -1, -1, 2, 1, 1], [0, 0, 0, 0, 0, 0]])
CHROM, POS, ALT = ["1", "1", "2", "0"], [10, 20, 5, 0], ["C", "C", "G", "T"]


def plink1(folder, name="g.bed"):
    properties = {
        "fid": ["f1", "f1", "f2", "0", "f2", "f3"], "iid": SAMPLES, "chromosome": CHROM,
        "sid": ["a", "b", "c", "d"], "bp_position": POS, "allele_1": ALT, "allele_2": ["A"] * 4,
    }  # fmt: skip
    to_bed(folder / name, np.where(COPIES < 0, -127, COPIES).T.astype(np.int8), properties=properties)
    return folder / name


def plink2(folder, name="g.pgen"):
    import pgenlib

    path = folder / name
    with pgenlib.PgenWriter(str(path).encode(), 6, variant_ct=4, nonref_flags=False) as file:
        for row in COPIES:
            file.append_biallelic(np.where(row < 0, -9, row).astype(np.int8))
    rows = zip(CHROM, POS, "abcd", ALT, strict=True)
    lines = [f"{chrom}\t{pos}\t{name}\tA\t{alt}\n" for chrom, pos, name, alt in rows]
    write_text(path.with_suffix(".pvar"), "#CHROM\tPOS\tID\tREF\tALT\n" + "".join(lines))
    write_text(path.with_suffix(".psam"), "#IID\tSEX\n" + "".join(f"{s}\t1\n" for s in SAMPLES))
    return path


def vcf_zarr(folder, name="g.vcz"):
    import zarr

    group = zarr.open_group(folder / name, mode="w", zarr_format=2)
    calls = np.stack([np.minimum(COPIES, 1), np.maximum(COPIES - 1, 0)], axis=2)
    calls[COPIES < 0] = -1
    numbers = {
        "call_genotype": calls.astype(np.int8),
        "call_genotype_phased": np.ones(COPIES.shape, dtype=bool),
        "call_DP": np.ones(COPIES.shape, dtype=np.int8),
        "variant_position": np.array(POS, dtype=np.int32),
        "variant_contig": np.array([0, 0, 1, 2], dtype=np.int8),
    }
    for key, values in numbers.items():
        group.create_array(key, data=values)
    texts = {
        "variant_allele": [["A", alt] for alt in ALT],
        "contig_id": ["1", "2", "0"],
        "sample_id": SAMPLES,
    }
    for key, words in texts.items():
        values = np.array(words, dtype=object)
        group.create_array(key, shape=values.shape, dtype=str)[...] = values
    return folder / name


@pytest.mark.parametrize(
    ("write", "form", "families", "layout"),
    [
        (plink1, "PLINK 1", 3, CallLayout((), "none", 0)),
        (plink2, "PLINK 2", None, CallLayout((), "none", 0)),
        (vcf_zarr, "VCF Zarr", None, CallLayout(("DP", "GT"), "all", 4)),
    ],
)
def test_other_formats_by_hand(tmp_path, write, form, families, layout):
    found = describe_file(write(tmp_path))
    genotypes = found.genotypes
    assert (found.format, found.samples.n, found.samples.n_families) == (form, 6, families)
    assert genotypes.layout == layout
    assert (genotypes.n_records, genotypes.n_biallelic, genotypes.n_unplaced) == (4, 4, 1)
    assert genotypes.chromosomes == (ChromosomeSummary("1", 2, 10, 20), ChromosomeSummary("2", 1, 5, 5))
    assert (genotypes.n_missing, genotypes.worst_sample, genotypes.worst_fraction) == (2, "s1", 0.25)
    assert genotypes.n_samples_over == 2
    assert classes(found.path) == [1, 0, 0, 1, 0, 2]
    assert found.kept.n_sites == 2


def test_a_prefix_stands_for_its_bed(tmp_path):
    plink1(tmp_path)
    assert describe_file(tmp_path / "g").path == str(tmp_path / "g.bed")
    plink2(tmp_path)
    with pytest.raises(InputError, match=r"both .*g\.bed and .*g\.pgen are there; name one of them"):
        describe_file(tmp_path / "g")


def test_symbolic_alleles_and_uncalled_sites(tmp_path):
    """A record of many kinds counts once; sites without a call have no frequency and no ploidy."""
    calls = ["0/0", "0/1"]
    lines = [
        record(calls, pos=1, alt="<DEL>"),
        record(calls, pos=2, alt="C,<DUP>"),
        record(calls, pos=3, alt="C,<NON_REF>"),
        record(calls, pos=4, alt="<NON_REF>"),
        record(["./.", "./."], pos=5),
        record(["0|0", "0|1"], pos=6),
        record(["0", "1"], pos=7),
    ]
    lines[3] = lines[3].replace("0/1", "0/0")
    found = describe_file(write_vcf(tmp_path / "g.vcf", ["a", "b"], lines)).genotypes
    assert (found.n_records, found.n_sites) == (7, 8)
    kinds = found.n_symbolic, found.n_without_alternate, found.n_multiallelic, found.n_biallelic
    assert kinds == (2, 1, 1, 3)
    assert (found.n_uncalled, found.ploidy) == (1, {"0": 1, "1": 1, "2": 6})
    assert found.layout.phased == "some"


def test_a_region(tmp_path):
    found = describe_file(vcf(tmp_path, "g.vcf.gz"), region="1:2-4").genotypes
    assert (found.n_records, found.n_sites, found.chromosomes) == (3, 4, (ChromosomeSummary("1", 3, 2, 4),))


def test_dosages(tmp_path):
    """Means 0.55, 1.0 and 0 of 2 copies; the entry GT of the same records is of other frequencies."""
    lines = [
        record(["0/0:0.1", "0/1:1.0", "0/0:."], pos=1, form="GT:DS"),
        record(["0/1:1.0", "0/1:0.5", "0/1:1.5"], pos=2, form="GT:DS"),
        record(["0/0:0.0"] * 3, pos=3, form="GT:DS"),
    ]
    path = write_vcf(tmp_path / "g.vcf", ["a", "b", "c"], lines)
    path.write_text(path.read_text().replace("##FORMAT=<ID=DP", "##FORMAT=<ID=DS"))
    hard, found = describe_file(path), describe_file(path, dosage_field="DS", max_missing=0.5)
    assert hard.notes == ("imputed dosages in DS: --dosage-field DS reads them",)
    assert (hard.genotypes.dosages, found.genotypes.dosages) == (False, True)
    assert classes(path, dosage_field="DS") == [1, 0, 0, 0, 0, 2]  # 0, 0.275 and 0.5
    assert classes(path) == [1, 0, 0, 0, 1, 1]  # 0, 1 of 6 and 3 of 6
    assert (found.genotypes.n_missing, found.kept.n_sites, found.kept.n_monomorphic) == (1, 2, 1)


def test_a_bgen(tmp_path):
    path = write_dosages(tmp_path / "g.bgen", probabilities())
    found, cohort = describe_file(path), read(path)
    assert (found.format, found.mismatch, found.genotypes.dosages) == ("BGEN", None, True)
    assert found.samples.n == cohort.n_samples
    assert found.kept.n_sites == cohort.n_sites
    other = path.rename(tmp_path / "g.pgen")
    assert describe_file(other).mismatch == "the name says PLINK 2, the contents are BGEN"


def test_haploid_calls_as_they_are(tmp_path):
    """Three males with the allele: 6 of 12 copies doubled, 3 of 12 as they are."""
    calls = ["1", "1", "1", "0/0", "0/0", "0/0"]
    path = write_vcf(tmp_path / "g.vcf", SAMPLES, [record(calls, chrom="X")])
    assert describe_file(path, maf=0.3).kept.n_sites == 1
    assert describe_file(path, maf=0.3, haploid="as-is").kept.n_sites == 0


@pytest.mark.parametrize(
    ("calls", "phased"),
    [
        (["0|1", "1|1"], "all"),
        (["0|1", "0/1"], "some"),
        (["0/1", "./."], "none"),
        (["0|1", ".|."], "all"),
        (["0", "1"], None),
        (["./.", "."], None),
        (["0|1|1", "0|0|1"], "all"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_phase_is_the_same_of_vcf_and_bcf(tmp_path, calls, phased):
    for name in ("g.vcf", "g.bcf"):
        found = describe_file(write_vcf(tmp_path / name, ["a", "b"], [record(calls)])).genotypes
        assert found.layout.phased == phased, name


def test_entries_of_every_type_in_a_bcf(tmp_path):
    """Vectors of 16 integers, floating-point numbers and words, before and after GT."""
    many = ",".join(map(str, range(1000, 1016)))
    cells = [f"{many}:0|1:ab:0.5,70000", f"{many}:1/1:a_long_word_of_20_let:.,."]
    path = write_vcf(tmp_path / "g.vcf", ["a", "b"], [record(cells, form="AD:GT:FT:XX")])
    header = "".join(
        f'##FORMAT=<ID={key},Number=.,Type={kind},Description="{key}">\n'
        for key, kind in (("AD", "Integer"), ("FT", "String"), ("XX", "Float"))
    )
    path.write_text(path.read_text().replace("#CHROM", f"{header}#CHROM"))
    (tmp_path / "g.bcf").write_bytes(pysam.bcftools.view("-Ob", str(path)))
    expected = CallLayout(("AD", "GT", "FT", "XX"), "some", 1)
    assert describe_file(tmp_path / "g.bcf").genotypes.layout == expected


@pytest.mark.parametrize("name", ["g.bcf", "bcf_named.vcf.gz", "g.vcf"])
def test_text_that_is_not_utf8(name):
    found = describe_file(Path(__file__).parent / "cases" / "not-utf8" / name)
    assert (found.genotypes.n_records, found.kept.n_samples) == (24, 200)


def test_a_header_without_records(tmp_path):
    found = describe_file(write_vcf(tmp_path / "g.vcf", SAMPLES, []))
    assert (found.genotypes.n_records, found.genotypes.chromosomes, found.kept.n_sites) == (0, (), 0)


def test_the_first_records_of_a_large_file(tmp_path, monkeypatch):
    path = plink1(tmp_path)
    monkeypatch.setattr("genoattn.io.plink.BLOCK_BYTES", 12)  # two records of six samples
    monkeypatch.setattr(genotype_summary, "MOST_CALLS", 12)
    first, every = describe_file(path).genotypes, describe_file(path, complete=True).genotypes
    assert (first.complete, first.n_records, first.chromosomes[0].n_records) == (False, 2, 2)
    assert (every.complete, every.n_records) == (True, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("g.txt", r"does not say VCF: call it \.vcf, else fit and scan refuse it"),
        ("g", r"does not say VCF"),
        ("g.bcf", r"the name says BCF, the contents are VCF, and it is read as that"),
        ("g.fasta", r"the name says FASTA, the contents are VCF"),
        ("g.bed", r"the name says PLINK 1, the contents are VCF"),
        ("g.vcf.gz", r"the name says compressed, the contents are not"),
    ],
)
def test_a_vcf_under_a_wrong_name(tmp_path, name, message):
    found = describe_file(write_text(tmp_path / name, vcf_text(SAMPLES, RECORDS)))
    assert found.format == "VCF"
    assert found.genotypes.n_records == 10
    assert re.match(message, found.mismatch)


def test_a_bcf_under_the_name_of_a_vcf(tmp_path):
    path = vcf(tmp_path, "g.bcf").rename(tmp_path / "h.vcf.gz")
    found = describe_file(path)
    assert (found.format, found.mismatch) == (
        "BCF",
        "the name says VCF, the contents are BCF, and it is read as that",
    )
    assert found.genotypes.n_records == 10


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


# --- output folders


def landscape(folder):
    rows = [("".join(s), s.count("C") + 2 * (s[:2] == ("C", "C"))) for s in product("AC", repeat=6)]
    pd.DataFrame(rows, columns=["variant", "fitness"]).to_csv(folder / "landscape.csv", index=False)
    return folder / "landscape.csv"


def test_the_folder_of_a_fit_and_its_model(tmp_path, monkeypatch):
    path = landscape(tmp_path)
    cohort = read(path, trait="fitness", sequence_column="variant")
    genoattn.fit(cohort, order=2, gauge="reference").save(tmp_path / "out")
    run = describe_file(tmp_path / "out").run
    assert (run.command, run.trait, run.order, run.n_sites) == ("genoattn fit", "fitness", 2, 6)
    assert "reference gauge" in run.title
    assert run.results["metric"] == "r2"
    assert run.settings["form"]
    assert run.files["model.ckpt"] == (tmp_path / "out" / "model.ckpt").stat().st_size
    states = {check.role: (check.file, check.state, check.found) for check in run.inputs}
    assert states["genotypes"] == ("landscape.csv", "unchanged", str(path))
    assert describe_file(tmp_path / "out" / "model.ckpt").run == run
    path.write_text(path.read_text().replace("AAAAAA,0", "AAAAAA,1"))
    assert describe_file(tmp_path / "out").run.inputs[0].state == "changed"
    path.unlink()
    monkeypatch.chdir(tmp_path / "out")
    assert describe_file(tmp_path / "out").run.inputs[0].state == "not found"


def test_the_folders_of_scans(tmp_path):
    from cli_files import write_cohort

    path, pheno = write_cohort(tmp_path)
    cohort = read(path, pheno)
    genoattn.scan_pairs(cohort, threshold=0.9).save(tmp_path / "scan")
    run = describe_file(tmp_path / "scan").run
    assert (run.command, run.trait, run.order) == ("genoattn scan", "y", 2)
    assert (run.results["n_tests"], run.settings["test"]) == (15, "additive")  # 6 sites
    assert "n_tests" not in run.settings
    assert [check.state for check in run.inputs] == ["unchanged", "unchanged"]


def test_a_scan_of_traits_and_a_simulation(tmp_path):
    cohort = simulate_cohort(n_samples=60, n_sites=5, linkage="none", n_terms=1, seed=1).cohort
    traits = pd.DataFrame({"IID": cohort.samples, "b": range(60), "a": np.arange(60) % 7})
    save_traits(genoattn.scan_traits(cohort, traits, threshold=0.9), tmp_path / "scans")
    run = describe_file(tmp_path / "scans").run
    assert (run.command, run.trait, run.title) == ("genoattn scan", "a, b", "2 traits, a folder each: a, b")
    assert run.results["a"]["n_tests"] == 10
    assert {"traits.tsv", "a/scan.json", "b/interactions.tsv"} <= set(run.files)
    other = tmp_path / "other"
    other.mkdir()
    write_text(other / "traits.tsv", "trait\n")
    with pytest.raises(InputError, match=r"traits\.tsv but no folder of a trait; run the scan again"):
        describe_file(other)
    (other / "traits.tsv").rename(other / "truth.tsv")
    assert describe_file(other).run.command == "genoattn simulate"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"its manifest\.json cannot be read \(JSONDecodeError"),
        ('{"schema_version": 99}', r"version 99"),
    ],
)
def test_a_damaged_manifest(tmp_path, text, message):
    write_text(tmp_path / "manifest.json", text)
    with pytest.raises(InputError, match=message):
        describe_file(tmp_path)


# --- what is none of these

WRONG = [
    ("x.txt", b"hello world\nthis is prose of several words\n", r"as a table: line 2: 6 columns"),
    ("x.txt", b"hello\nworld\n", r"text of one column, 'hello'"),
    ("x.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"neither text nor a known format by its first bytes"),
    ("x.xlsx", b"PK\x03\x04\x14\0\0\0", r"a zip file, as Excel's \.xlsx is; save the sheet as CSV"),
    ("x.html", b"<!DOCTYPE html><html>", r"a web page \(HTML\)"),
    ("x.vcf", b"", r"the file is empty"),
    ("x.tsv", b"IID\ty\na\t1\t2\n", r"line 2: 3 columns, the header has 2"),
    ("x.vcf", b"##fileformat=VCFv4.3\n", r"no header line that begins with #CHROM"),
    ("x.bed", b"\x6c\x1b\x01\0", r"x\.fam: no such file"),
    ("x.gz", gzip.compress(b"IID\ty\na\t1\n")[:-9], r"truncated: the compressed data end"),
]


@pytest.mark.parametrize(
    ("name", "content", "message"), WRONG, ids=[f"{w[0]}-{i}" for i, w in enumerate(WRONG)]
)
def test_a_file_that_is_none_of_these(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        describe_file(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_folders_and_companions(tmp_path):
    with pytest.raises(InputError, match="a folder that is neither an output of genoattn nor a VCF Zarr"):
        describe_file(tmp_path)
    with pytest.raises(InputError, match="no such file; check the path"):
        describe_file(tmp_path / "absent")
    plink1(tmp_path)
    with pytest.raises(
        InputError, match=r"g\.fam: belongs to g\.bed, which has the genotypes; give that one"
    ):
        describe_file(tmp_path / "g.fam")
    vcf(tmp_path, "h.vcf.gz")
    with pytest.raises(InputError, match=r"h\.vcf\.gz\.tbi: the index of another file; give h\.vcf\.gz"):
        describe_file(tmp_path / "h.vcf.gz.tbi")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maf": 0.6}, r"maf is 0\.6; give a minor allele frequency"),
        ({"maf": float("nan")}, r"maf is nan"),
        ({"max_missing": 2.0}, r"max_missing is 2\.0; give a fraction"),
        ({"trait": "T"}, r"trait 'T' without a table; give the phenotypes too"),
    ],
)
def test_options_that_cannot_be(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        describe_file(vcf(tmp_path), **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "t.tsv",
            {"region": "1:1-2", "maf": 0.1},
            r"a table, which has no sites to count: leave out region, maf",
        ),
        ("t.tsv", {"alphabet": "dna"}, r"leave out alphabet; of a table of variants name the column of seq"),
        ("a.fasta", {"sequence_column": "s"}, r"an alignment: leave out sequence_column"),
        ("a.fasta", {"region": "1:1-2"}, r"an alignment has no regions; leave the region 1:1-2 out"),
        (
            "g.vcf",
            {"wild_type": "s0", "alphabet": "dna"},
            r"g\.vcf: genotypes: leave out wild_type, alphabet",
        ),
    ],
)
def test_options_that_mean_nothing_for_a_file(tmp_path, name, options, message):
    vcf(tmp_path)
    write_text(tmp_path / "t.tsv", TABLE)
    write_text(tmp_path / "a.fasta", ALIGNMENT)
    with pytest.raises(InputError, match=message):
        describe_file(tmp_path / name, **options)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(vcf_text(SAMPLES, RECORDS), "genotypes"), (ALIGNMENT, "alignment"), (TABLE, "table")],
)
def test_a_named_pipe(tmp_path, content, kind):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(content,), daemon=True)
    writer.start()
    found = describe_file(pipe)
    writer.join(10)
    assert (found.kind, found.path, found.mismatch) == (kind, str(pipe), None)


def test_descriptions_are_frozen(tmp_path):
    with pytest.raises(dataclasses.FrozenInstanceError):
        describe_file(vcf(tmp_path)).kind = "table"
