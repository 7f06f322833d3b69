"""Genotypes that are cut short, do not fit together or are of another kind: one line that says so."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest
import zarr
from genotype_files import described, write_rows
from oracles_genotypes import Row
from test_io_vcf import expect
from vcf_files import read_genotypes, record, vcf_text, write_vcf

from genoattn.errors import InputError

SAMPLES = ["a", "b", "c"]
CALLS = [("0/1", "1/1", "0/0"), ("0/0", "./.", "0/1"), ("1/1", "1/1", "0/1"), ("0/1", "0/1", "0/1")]
ROWS = [Row("1", 10 * (k + 1), f"rs{k}", "A", ("C",), CALLS[k % 4]) for k in range(40)]


# --- PLINK 2 ---


@pytest.fixture
def pgen(tmp_path):
    return write_rows(tmp_path / "x.pgen", SAMPLES, ROWS)


@pytest.mark.parametrize("kept", [0, 2, 11, 12, 30, -1], ids="{} bytes".format)
def test_a_truncated_pgen(pgen, kept):
    pgen.write_bytes(pgen.read_bytes()[:kept])
    message = (
        "the file is empty" if not kept else "cannot be read: .*cut short or its .pvar or .psam belongs to"
    )
    expect(pgen, message)


@pytest.mark.parametrize(
    ("suffix", "change", "message"),
    [
        (".pvar", lambda text: text[: text.rindex("1\t")], "cannot be read: .*belongs to another one"),
        (".pvar", lambda text: text + "1\t900\trs\tA\tC\n", "cannot be read: .*belongs to another one"),
        (".pvar", lambda text: text.replace("POS", "P0S"), "cannot be read"),
        (".psam", lambda text: text + "d\tNA\n", "cannot be read: .*belongs to another one"),
        (
            ".psam",
            lambda text: text.replace("#IID", "#NAME"),
            r"x.psam: no IID column in the header; make it",
        ),
        (".psam", lambda text: text.replace("b\t", "a\t"), r"x.psam: sample ID 'a' occurs twice"),
        (".psam", lambda text: text[: text.index("a\t")], r"no samples, the file lists sites only"),
    ],
)
def test_other_files_of_a_pgen(pgen, suffix, change, message):
    other = pgen.with_suffix(suffix)
    other.write_text(change(other.read_text()))
    with pytest.raises(ValueError, match=message) as caught:
        read_genotypes(pgen)
    assert "\n" not in str(caught.value)


def test_files_that_a_pgen_lacks(pgen):
    pgen.with_suffix(".pvar").unlink()
    with pytest.raises(ValueError, match=r"x.pvar: no such file; it belongs to x.pgen"):
        read_genotypes(pgen)
    pgen.with_suffix(".psam").unlink()
    with pytest.raises(ValueError, match=r"x.psam: no such file"):
        read_genotypes(pgen)


def test_names_of_a_pvar_in_latin1(pgen):
    other = pgen.with_suffix(".pvar")
    other.write_bytes(other.read_text().replace("rs0\t", "rs\u00e9\t").encode("latin-1"))
    assert read_genotypes(pgen)[0].sites.ids[0] == "rs\u00e9"


# --- VCF Zarr ---


@pytest.fixture
def store(tmp_path):
    return write_rows(tmp_path / "x.vcz", SAMPLES, ROWS)


@pytest.mark.parametrize(
    "name",
    ["call_genotype", "variant_position", "variant_contig", "variant_allele", "contig_id", "sample_id"],
)
def test_an_array_that_is_not_there(store, name):
    shutil.rmtree(store / name)
    expect(
        store, rf"no {name} in the store, which a VCF Zarr with genotypes has; make it again with: vcf2zarr"
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"text\n", b"PK\x03\x04", vcf_text(["a"], [record(["0/1"])]).encode(), b"\x1f\x8b\x08\x00"],
    ids=["empty", "text", "zip cut short", "VCF", "gzip"],
)
@pytest.mark.parametrize("name", ["y.vcz", "y.vcz.zip"])
def test_a_file_that_is_no_store(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    expect(tmp_path / name, "not a Zarr store; make one with: vcf2zarr convert")


def test_folders_that_are_no_store(tmp_path):
    expect(tmp_path / "absent.vcz", r"absent.vcz: no such folder; check the path")
    (tmp_path / "y.vcz").mkdir()
    expect(tmp_path / "y.vcz", "not a Zarr store; make one with: vcf2zarr convert")
    (tmp_path / "y.vcz" / ".zgroup").write_text('{"zarr_format": 2}')
    expect(tmp_path / "y.vcz", "no call_genotype in the store")


def test_a_store_in_a_zip(tmp_path, store):
    with zipfile.ZipFile(tmp_path / "x.vcz.zip", "w") as target:
        for file in sorted(store.rglob("*")):
            target.write(file, file.relative_to(store))
    assert described(read_genotypes(tmp_path / "x.vcz.zip")[0]) == described(read_genotypes(store)[0])


def put(store, name, values, kind=None):
    array = zarr.open_group(store).create_array(
        name, shape=values.shape, dtype=kind or values.dtype, overwrite=True
    )
    array[...] = values


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "call_genotype",
            np.zeros((40, 3), np.int8),
            "call_genotype has 2 dimensions of int8, not 3 of integers",
        ),
        ("call_genotype", np.zeros((40, 3, 2), np.float32), "3 dimensions of float32, not 3 of integers"),
        ("call_genotype", np.zeros((40, 4, 2), np.int8), r"the shape \(40, 4, 2\), but there are 3 samples"),
        ("call_genotype", np.zeros((40, 3, 0), np.int8), r"the shape \(40, 3, 0\), but there are 3 samples"),
        (
            "variant_position",
            np.arange(39),
            r"variant_position has the shape \(39,\), but call_genotype has 40",
        ),
        ("variant_id", np.array(["a"] * 41), r"variant_id has the shape \(41,\), but call_genotype has 40"),
        (
            "variant_position",
            np.array(["1"] * 40),
            "variant_position has 1 dimensions of .*, not 1 of integers",
        ),
        ("variant_contig", np.full(40, 3), "variant_contig names contig 3, but contig_id has 1"),
        ("variant_contig", np.full(40, -1), "variant_contig names contig -1, but contig_id has 1"),
        ("variant_allele", np.zeros((40, 2)), "variant_allele has 2 dimensions of float64, not 2 of text"),
        ("sample_id", np.array(["a", "a", "b"]), "sample ID 'a' occurs twice in the header"),
    ],
)
def test_arrays_that_do_not_fit(store, name, values, message):
    put(store, name, values, str if values.dtype.kind == "U" else None)
    expect(store, message)


def test_a_chunk_that_cannot_be_decompressed(store):
    next((store / "call_genotype").glob("[0-9]*")).write_bytes(b"\x02\x01\x01\x01\x00")
    expect(store, r"call_genotype cannot be read \(\w+: .*\); copy the store again")


def test_calls_of_fill_values_are_missing(store):
    """A sample without a single allele, as where a record has no genotypes."""
    calls = zarr.open_group(store)["call_genotype"][...]
    calls[0, 0] = -2
    put(store, "call_genotype", calls)
    cohort, _ = read_genotypes(store)
    assert cohort.calls[:, 0].tolist() == [-1, 2, 0]
    assert cohort.sites.states[0] == ("A/A", "A/C", "C/C")


def test_an_empty_text_among_the_alleles(store):
    alleles = zarr.open_group(store)["variant_allele"][...]
    alleles = np.array([[*row, "G"] for row in alleles.tolist()], dtype=object)
    alleles[1, 1] = ""
    put(store, "variant_allele", alleles, str)
    cohort, _ = read_genotypes(store)
    assert cohort.sites.alt[:2].tolist() == ["C", "G"]
    assert 20 not in cohort.sites.pos
    assert "1 records left out, an empty allele" in "".join(cohort.log)


# --- PLINK 1 ---


@pytest.fixture
def bed(tmp_path):
    return write_rows(tmp_path / "x.bed", SAMPLES, ROWS)


@pytest.mark.parametrize("order", [0, 2, 16, 255])
def test_a_bed_in_another_order(bed, order):
    """Byte 3 is 1 where variant follows variant, 0 where sample follows sample."""
    data = bed.read_bytes()
    bed.write_bytes(data[:2] + bytes([order]) + data[3:])
    message = "sample-major" if order == 0 else "not a PLINK 1 .bed file"
    expect(bed, rf"{message}.*; make (one|it again) with: plink2? --make-bed")


@pytest.mark.parametrize(
    ("suffix", "columns"), [(".bim", 5), (".bim", 7), (".bim", 4), (".fam", 5), (".fam", 2), (".fam", 7)]
)
def test_other_numbers_of_columns(bed, suffix, columns):
    other = bed.with_suffix(suffix)
    lines = [line.split() for line in other.read_text().splitlines()]
    lines[1] = (lines[1] * 2)[:columns]
    other.write_text("".join("\t".join(line) + "\n" for line in lines))
    with pytest.raises(
        ValueError, match=rf"x{suffix}, line 2: {columns} columns, 6 are needed; make it again"
    ):
        read_genotypes(bed)


@pytest.mark.parametrize("pos", ["", "1e6", "-5", "9" * 30, "9" * 5000, "\u00bd"])
def test_what_is_no_position(tmp_path, bed, pos):
    other = bed.with_suffix(".bim")
    if pos:
        other.write_text(other.read_text().replace("\t20\t", f"\t{pos}\t"))
        with pytest.raises(ValueError, match=r"x.bim, line 2: position '.*' is not a position; correct it"):
            read_genotypes(bed)
    (tmp_path / "x.vcf").write_text(vcf_text(["a"], [record(["0/1"]), record(["0/1"]).replace("100", pos)]))
    expect(
        tmp_path / "x.vcf",
        r"record 2 \(1:.*\): position '.*' is (not a number|beyond any chromosome); correct it",
    )


def test_no_variants(tmp_path, bed):
    bed.with_suffix(".bim").write_text("\n")
    bed.write_bytes(bed.read_bytes()[:3])
    expect(bed, "no records; it has only a header")


def test_a_pvar_without_an_allele_that_calls_have(tmp_path):
    """pgenlib reads such files, and counts both alleles as one."""
    rows = [
        Row("1", 10, "r1", "A", ("G",), ("0/1", "1/1", "0/0")),
        Row("1", 20, "r2", "A", ("G", "T"), ("0/1", "1/1", "1/2")),
    ]
    path = write_rows(tmp_path / "x.pgen", ["a", "b", "c"], rows)
    pvar = path.with_suffix(".pvar")
    pvar.write_text(pvar.read_text().replace("\tG,T\n", "\tG\n"))
    message = r"x.pgen: record 2 \(r2\) has calls of several alternate alleles, and x.pvar lists one"
    with pytest.raises(InputError, match=message):
        read_genotypes(path)


@pytest.mark.parametrize("name", ["x.vcf.gz", "x.bcf"])
def test_a_region_begins_where_it_says(tmp_path, name):
    """An index finds a deletion that begins before the region and reaches into it."""
    rows = [record(["0/1", "0/0"], pos=90, ref="ACGTACGTACGTACGT"), record(["0/1", "1/1"], pos=101)]
    path = write_vcf(tmp_path / name, ["a", "b"], rows)
    assert read_genotypes(path, region="1:100-200")[0].sites.pos.tolist() == [101]


def test_haploid_chromosomes_of_plink_are_said(tmp_path):
    rows = [Row(c, 10, f"r{c}", "A", ("G",), ("0/0", "1/1", "0/0")) for c in ("1", "X")]
    path = write_rows(tmp_path / "x.bed", ["a", "b", "c"], rows)
    bim = path.with_suffix(".bim")
    bim.write_text(bim.read_text().replace("X\t", "Y\t").replace("X ", "Y "))
    log = read_genotypes(path)[0].log
    assert any(line.startswith("1 sites of chrY or mitochondria: PLINK files hold") for line in log)
