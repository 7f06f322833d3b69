"""VCF and BCF: sites, states, regions, and every mistake a file can have."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pysam
import pytest
from vcf_files import read_genotypes, record, vcf_text, write_text, write_vcf

from genoattn.errors import InputError
from genoattn.io import read

PAIR = ["a", "b"]
MANY = [record(["0/1", "1/1"] if i % 3 else ["0/0", "./."], pos=i + 1) for i in range(20_000)]


def read_records(tmp_path: Path, *records: str, samples: list[str] = PAIR):
    """The cohort of a plain VCF of the records."""
    return read_genotypes(write_vcf(tmp_path / "x.vcf", samples, records))[0]


def expect(path: Path, message: str, region: str | None = None, **options: object) -> None:
    """Reading fails with the message, on one line that begins with the file."""
    with pytest.raises(InputError, match=message) as caught:
        read_genotypes(path, region, **options)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


# --- what is read ---


def test_diploid_biallelic(tmp_path: Path) -> None:
    cohort = read_records(
        tmp_path, record(["0/1", "1|1", "0/0", "./."], name="rs1"), samples=["d", "c", "b", "a"]
    )
    assert cohort.samples.tolist() == ["d", "c", "b", "a"]
    assert cohort.calls[:, 0].tolist() == [1, 2, 0, -1]
    assert cohort.sites.ids.tolist() == ["rs1"]
    assert cohort.sites.states == (("A/A", "A/C", "C/C"),)
    assert (cohort.sites.chrom[0], cohort.sites.pos[0], cohort.sites.ref[0], cohort.sites.alt[0]) == (
        "1",
        100,
        "A",
        "C",
    )
    assert cohort.kind == "genotype"


def test_haploid(tmp_path: Path) -> None:
    cohort = read_records(tmp_path, record(["0", "1"]), record([".", "./."], pos=7))
    assert cohort.calls.tolist() == [[0, -1], [1, -1]]
    # Nothing is called at the second site, so that it takes the ploidy of the first.
    assert cohort.sites.states == (("A", "C"), ("A", "C"))


def test_polyploid_and_mixed_ploidy(tmp_path: Path) -> None:
    cohort = read_records(tmp_path, record(["0/0/1/1", "1/1/1/1"]), record(["1", "0/1"], pos=101))
    assert cohort.calls.tolist() == [[2, 2], [4, 1]]
    assert cohort.sites.states[0] == ("A/A/A/A", "A/A/A/C", "A/A/C/C", "A/C/C/C", "C/C/C/C")
    assert cohort.sites.states[1] == ("A/A", "A/C", "C/C")


def test_missing_calls_do_not_set_the_ploidy(tmp_path: Path) -> None:
    assert read_records(tmp_path, record(["1", "./."])).sites.states == (("A", "C"),)


def test_multiallelic_has_a_site_for_each_of_five_alternates(tmp_path: Path) -> None:
    cohort = read_records(tmp_path, record(["0/5", "2/2"], name="rs1", alt="C,G,T,<DEL>,*"))
    assert cohort.calls.tolist() == [[0, 0, 0, 0, 1], [0, 2, 0, 0, 0]]
    assert cohort.sites.ids.tolist() == ["rs1:C", "rs1:G", "rs1:T", "rs1:<DEL>", "rs1:*"]
    assert cohort.sites.states[0] == ("*/*", "*/C", "C/C")
    # The allele "*" itself may not be confused with "any other".
    assert cohort.sites.states[4] == ("other/other", "other/*", "*/*")


def test_half_missing_is_missing_and_counted(tmp_path: Path) -> None:
    cohort = read_records(tmp_path, record(["./1", "0|."], alt="C,G"), record(["0/0", "./."], pos=101))
    assert cohort.calls.tolist() == [[-1, -1, 0], [-1, -1, -1]]
    assert cohort.log == ("2 half-missing genotypes (such as ./1) read as missing",)


def test_gt_anywhere_in_format_and_left_out(tmp_path: Path) -> None:
    cohort = read_records(
        tmp_path, record(["5:0/1", "7"], form="DP:GT"), record(["1/1:5", "0/1"], form="GT:DP", pos=101)
    )
    assert cohort.calls.tolist() == [[1, 2], [-1, 1]]


def test_record_without_alternate_is_a_site_of_reference_calls(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "x.vcf", PAIR, [record(["0/0", "./."], alt=".")])
    cohort, read = read_genotypes(path)
    assert read == "1 records (1 sites)"
    assert cohort.calls.tolist() == [[0], [-1]]
    assert cohort.sites.ids.tolist() == ["1:100:A:."]


def test_site_names(tmp_path: Path) -> None:
    cohort = read_records(
        tmp_path,
        record(["0/1", "0/0"], pos=1, name="rs1"),
        record(["0/1", "0/0"], pos=2, name="twice"),
        record(["0/1", "0/0"], pos=3, name="twice"),
        record(["0/1", "0/0"], pos=4),
        record(["0/1", "0/0"], pos=5, name="1:4:A:C"),
        record(["0/1", "0/2"], pos=6, name="rs6", alt="C,G"),
        record(["0/1", "0/0"], pos=7, name="rs6:C"),
        record(["0/1", "0/0"], pos=8, name="rs8"),
        record(["0/1", "0/0"], pos=9, name="1:8:A:C"),
        record(["0/1", "0/2"], pos=10, name="both", alt="C,G"),
        record(["0/1", "0/2"], pos=11, name="both", alt="T,<INS>"),
    )
    assert cohort.sites.ids.tolist() == [
        *("rs1", "1:2:A:C", "1:3:A:C", "1:4:A:C"),
        # An ID that is another site's position, or another record's ID:ALT, gives way.
        *("1:5:A:C", "1:6:A:C", "rs6:G", "1:7:A:C"),
        *("rs8", "1:9:A:C"),
        *("1:10:A:C", "1:10:A:G", "1:11:A:T", "1:11:A:<INS>"),
    ]
    assert cohort.log == ("4 records share their ID with another record, named chrom:pos:ref:alt instead",)


def test_windows_line_ends_and_no_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "x.vcf"
    path.write_bytes(vcf_text(PAIR, [record(["0/1", "1/1"])]).rstrip("\n").replace("\n", "\r\n").encode())
    assert read_genotypes(path)[0].calls.tolist() == [[1], [2]]


@pytest.mark.parametrize("name", ["x.vcf", "x.vcf.gz", "x.bcf"])
def test_formats_agree(tmp_path: Path, name: str) -> None:
    records = [record(["0/1", "2|2"], pos=10, alt="C,G"), record(["./1:3", ".:."], pos=20, form="GT:DP")]
    cohort, read = read_genotypes(write_vcf(tmp_path / name, PAIR, records))
    assert read == "2 records (3 sites)"
    assert cohort.calls.tolist() == [[1, 0, -1], [0, 2, -1]]
    assert cohort.sites.ids.tolist() == ["1:10:A:C", "1:10:A:G", "1:20:A:C"]


def test_plain_gzip_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.vcf.gz"
    path.write_bytes(gzip.compress(vcf_text(PAIR, [record(["0/1", "1/1"])]).encode()))
    assert read_genotypes(path)[0].calls.tolist() == [[1], [2]]


# --- regions ---

SPREAD = [record(["0/1", "0/0"], chrom=c, pos=p) for c in ("1", "2") for p in (100, 200, 300)]


@pytest.mark.parametrize("name", ["x.vcf.gz", "x.bcf"])
@pytest.mark.parametrize(
    ("region", "found"),
    [
        ("1:100-200", [("1", 100), ("1", 200)]),
        ("2:101-299", [("2", 200)]),
        ("2:200-", [("2", 200), ("2", 300)]),
        ("1:300", [("1", 300)]),
        ("1:1-1,000", [("1", 100), ("1", 200), ("1", 300)]),
        ("2", [("2", 100), ("2", 200), ("2", 300)]),
    ],
)
def test_region(tmp_path: Path, name: str, region: str, found: list[tuple[str, int]]) -> None:
    sites = read_genotypes(write_vcf(tmp_path / name, PAIR, SPREAD), region)[0].sites
    assert list(zip(sites.chrom, sites.pos.tolist(), strict=True)) == found


@pytest.mark.parametrize("name", ["x.vcf.gz", "x.bcf"])
def test_region_errors(tmp_path: Path, name: str) -> None:
    path = write_vcf(tmp_path / name, PAIR, SPREAD)
    expect(path, r"no contig 'chr1' for region chr1:1-5; the file has 1, 2$", "chr1:1-5")
    expect(path, r"no contig '7' for region 7; the file has 1, 2$", "7")
    expect(path, r"no records in region 1:500-600; choose another region", "1:500-600")
    with pytest.raises(InputError, match=r"^region 1:x-5 is not chr:from-to; write for example 1:1000-2000"):
        read_genotypes(path, "1:x-5")
    with pytest.raises(
        InputError, match=r"^region 1:9-5 is empty; positions start at 1 and must not decrease"
    ):
        read_genotypes(path, "1:9-5")
    with pytest.raises(InputError, match=r"^region 1:0-5 is empty"):
        read_genotypes(path, "1:0-5")


@pytest.mark.parametrize(("name", "command"), [("x.vcf.gz", "tabix -p vcf"), ("x.bcf", "bcftools index")])
def test_region_needs_an_index(tmp_path: Path, name: str, command: str) -> None:
    path = write_vcf(tmp_path / name, PAIR, SPREAD)
    for index in (*tmp_path.glob("*.csi"), *tmp_path.glob("*.tbi")):
        index.unlink()
    expect(path, rf"a region needs an index; make one with: {command} {path}$", "1:1-5")


def test_region_of_plain_text(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "x.vcf", PAIR, SPREAD)
    expect(path, r"a region needs a bgzip-compressed VCF with an index; compress it with bgzip", "1:1-5")


# --- files that are not what they should be ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the file is empty; write or copy it again"),
        ("hello\nworld\n", r"not a VCF: its first line is 'hello', not ##fileformat=VCF"),
        (
            "##fileformat=VCFv4.3\n",
            r"not a VCF: no header line that begins with #CHROM; the file may be cut short",
        ),
        (
            "##fileformat=VCFv4.3\n1\t5\t.\tA\n",
            r"not a VCF: no header line '#CHROM POS .* INFO' separated by tabs before '1\t5",
        ),
        (vcf_text(PAIR, []).replace("\t", " "), r"separated by tabs before '#CHROM POS"),
        (vcf_text([], [record([])]), r"no samples, the file lists sites only; give a file with genotypes"),
        (vcf_text(["a", "b", "a"], []), r"sample ID 'a' occurs twice in the header; rename one of them"),
        (vcf_text(PAIR, []), r"no records; it has only a header"),
    ],
)
def test_errors_of_a_file(tmp_path: Path, text: str, message: str) -> None:
    expect(write_text(tmp_path / "x.vcf", text), message)


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "x.vcf"
    path.write_bytes(b"##fileformat=VCFv4.3\n\xff\xfe\x00")
    expect(path, r"not a VCF: no header line '#CHROM POS")


def test_not_a_bcf(tmp_path: Path) -> None:
    expect(
        write_text(tmp_path / "x.bcf", "hello\n"),
        r"not a VCF: its first line is 'hello', not ##fileformat=VCF",
    )
    (tmp_path / "y.bcf").write_bytes(b"BCF\2\2\xff\0\0\0##file")
    expect(tmp_path / "y.bcf", r"not a BCF, or its header is damaged; check it with: bcftools")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    expect(tmp_path / "absent.vcf", r"no such file; check the path")
    expect(tmp_path, r"is a folder, not a file; give the file inside it")


# --- truncation ---


def cut(path: Path, keep: int, tail: bytes = b"") -> Path:
    """The first ``keep`` bytes of a file (from its end where negative), with ``tail`` behind them."""
    path.write_bytes(path.read_bytes()[:keep] + tail)
    return path


@pytest.mark.parametrize("name", ["x.vcf.gz", "x.bcf"])
@pytest.mark.parametrize("region", [None, "1:1-5"])
def test_truncated_bgzip(tmp_path: Path, name: str, region: str | None) -> None:
    path = write_vcf(tmp_path / name, PAIR, MANY)
    message = r"truncated: the bgzip end-of-file block is missing; copy or download it again"
    expect(cut(path, -28), message, region)
    expect(cut(path, path.stat().st_size // 2), message, region)


def test_data_missing_before_the_end_block(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "x.vcf.gz", PAIR, MANY)
    size, end = path.stat().st_size, path.read_bytes()[-28:]
    expect(
        cut(path, size // 2, end),
        r"(corrupt|truncated): the compressed data (cannot be read|end early); copy",
    )


def test_bcf_data_missing_before_the_end_block(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "x.bcf", PAIR, MANY)
    size, end = path.stat().st_size, path.read_bytes()[-28:]
    expect(cut(path, size // 2, end), r"(corrupt|truncated): the compressed data (cannot be read|end early)")


def test_damaged_block_under_a_region(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "x.vcf.gz", PAIR, MANY)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(content)
    expect(path, r"truncated or corrupt, or its index is; copy it again and index it anew", "1:1-20000")


def test_truncated_plain_gzip(tmp_path: Path) -> None:
    path = tmp_path / "x.vcf.gz"
    path.write_bytes(gzip.compress(vcf_text(PAIR, MANY).encode()))
    expect(
        cut(path, path.stat().st_size // 2),
        r"truncated: the compressed data end early; copy or download",
    )


def test_truncated_text(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "x.vcf", PAIR, [*MANY[:5], record(["0/1", "0/1"], pos=77)])
    message = (
        r"x.vcf, record 6 \(1:77\): 10 columns, the header has 11; the file may be cut short, copy it again"
    )
    expect(cut(path, -5), message)


# --- records ---


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            record(["9", "5"], form="DP"),
            r"no GT in FORMAT 'DP'; genotypes are needed; call them or remove the record$",
        ),
        (record([".", "."], form="."), r"no GT in FORMAT '\.'"),
        (
            record(["0/1", "0/4"], alt="C,G"),
            r"sample b has allele index 4 but the record has 3 alleles; correct the record or remove it",
        ),
        (record(["0/1", "0/0"], alt="."), r"sample a has allele index 1 but the record has 1 alleles"),
        (
            record(["0/0", "0/x"]),
            r"sample b has the malformed genotype '0/x'; write allele indices as in 0/1",
        ),
        (record(["", "0/0"]), r"sample a has the malformed genotype ''"),
        (record(["0/0", "0/0", "0/0"]), r"12 columns, the header has 11; check its tabs"),
        (record(["0/0", "0/0"]).replace("100", "1e2"), r"position '1e2' is not a number; correct it"),
    ],
)
def test_record_errors(tmp_path: Path, line: str, message: str) -> None:
    path = write_text(tmp_path / "x.vcf", vcf_text(PAIR, [record(["0/1", "0/0"], pos=1), line]))
    expect(path, rf"^{path}, record 2 \(1:1(00|e2)\): {message}", strict=True)


def test_allele_index_without_an_allele_in_bcf(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "x.bcf", PAIR, [record(["0/1", "0/3"])])
    expect(path, r"record 1 \(1:100\): sample b has allele index 3 but the record has 2 alleles", strict=True)


def test_same_site_twice(tmp_path: Path) -> None:
    line = record(["0/1", "0/0"])
    path = write_vcf(tmp_path / "x.vcf", PAIR, [record(["0/1", "0/0"], pos=1), line, line])
    with pytest.raises(InputError, match="records 2 and 3 are the same site 1:100:A:C; keep one of them"):
        read(path, duplicates="error")
    cohort = read(path, maf=0.0)
    assert cohort.sites.ids.tolist() == ["1:1:A:C", "1:100:A:C"]
    assert "1 sites repeat an earlier one with the same calls: each is kept once" in cohort.log
    path = write_vcf(tmp_path / "y.vcf", PAIR, [record(["0/1", "0/0"], alt="C,C")])
    with pytest.raises(InputError, match="record 1 lists 1:100:A:C twice; keep one of them"):
        read(path, duplicates="error", filters=False)


def test_htslib_verbosity_is_restored(tmp_path: Path) -> None:
    before = pysam.get_verbosity()
    read_genotypes(write_vcf(tmp_path / "x.bcf", PAIR, SPREAD))
    with pytest.raises(InputError):
        read_genotypes(write_vcf(tmp_path / "y.bcf", PAIR, [record(["0/1", "0/3"])]))
    assert pysam.get_verbosity() == before


def test_calls_are_int8_a_site_after_another(tmp_path: Path) -> None:
    calls = read_records(tmp_path, *SPREAD).calls
    assert calls.dtype == np.int8
    assert calls.T.flags.c_contiguous


def test_mixtures_of_ploidy(tmp_path: Path) -> None:
    path = write_vcf(
        tmp_path / "t.vcf", PAIR, [record(["0/1", "0/1"], pos=1), record(["0/1/1", "0/1"], pos=2)]
    )
    expect(
        path,
        r"record 2 \(1:2\): sample \w+ has 3 alleles where others have fewer; correct the genotype",
        strict=True,
    )


def test_region_by_csi_index(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "a.vcf.gz", PAIR, SPREAD)
    for index in (*tmp_path.glob("*.csi"), *tmp_path.glob("*.tbi")):
        index.unlink()
    pysam.tabix_index(str(path), preset="vcf", csi=True, force=True)
    assert [p.name for p in tmp_path.glob("*.gz.*")] == ["a.vcf.gz.csi"]
    everything = read_genotypes(path)[0].sites
    first = everything.chrom[0]
    found = read_genotypes(path, str(first))[0].sites
    assert found.pos.tolist() == everything.pos[everything.chrom == first].tolist()
    expect(path, r"no contig 'chr1' for region chr1:1-5; the file has 1, 2$", "chr1:1-5")
