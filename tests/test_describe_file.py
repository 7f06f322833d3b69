"""``genoattn.describe_file``: counts by hand for every format, and the same sites as ``genoattn.read``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pysam.bcftools
import pytest
from bed_reader import to_bed
from test_dosages import probabilities, write_dosages
from vcf_files import record, vcf_text, write_text, write_vcf

from genoattn import describe_file, read
from genoattn.describe import genotype_summary
from genoattn.describe.summaries import (
    CallLayout,
    ChromosomeSummary,
    GenotypeSummary,
    KeptSummary,
    SampleSummary,
)
from genoattn.errors import InputError

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
