"""PLINK 1 files: the counted allele, missing calls, regions and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bed_reader import to_bed
from vcf_files import read_genotypes

from genoattn.errors import InputError
from genoattn.io import read

CALLS = np.array([[0, 1, 2, 0, 1], [2, 2, -127, 1, 0], [1, 0, 1, 1, 1]], dtype=np.int8)


def write_plink(path: Path, calls: np.ndarray = CALLS) -> Path:
    """A .bed, .bim and .fam; ``calls`` count A1, -127 is missing."""
    properties = {
        "fid": ["f"] * len(calls),
        "iid": [f"s{i}" for i in range(len(calls))],
        "chromosome": ["1", "1", "1", "2", "X"],
        "sid": ["rs1", ".", "dup", "dup", "rs5"],
        "bp_position": [10, 20, 30, 10, 5],
        "allele_1": ["C", "G", "T", "C", "A"],
        "allele_2": ["A", "A", "A", "G", "AT"],
    }
    to_bed(path, calls, properties=properties, count_A1=True)
    return path


def expect(path: Path, message: str, region: str | None = None) -> None:
    """Reading fails with the message on one line."""
    with pytest.raises(InputError, match=message) as caught:
        read_genotypes(path, region)
    assert "\n" not in str(caught.value)


def test_copies_of_a1(tmp_path: Path) -> None:
    cohort, what = read_genotypes(write_plink(tmp_path / "x.bed"))
    assert what == "5 records (5 sites)"
    np.testing.assert_array_equal(cohort.calls, np.where(CALLS == -127, -1, CALLS))
    assert cohort.samples.tolist() == ["s0", "s1", "s2"]
    assert cohort.sites.ids.tolist() == ["rs1", "1:20:A:G", "1:30:A:T", "2:10:G:C", "rs5"]
    assert cohort.sites.alt.tolist() == ["C", "G", "T", "C", "A"]
    assert cohort.sites.ref.tolist() == ["A", "A", "A", "G", "AT"]
    assert cohort.sites.states[4] == ("AT/AT", "AT/A", "A/A")
    assert cohort.log[0] == "effect allele: A1 of the .bim"


def test_bits_by_hand(tmp_path: Path) -> None:
    """The .bed format: two bits a sample from the low end; 00 is A1/A1, 10 A1/A2, 11 A2/A2, 01 missing."""
    path = tmp_path / "x.bed"
    # Samples s0..s3 are A1/A1 (00), A1/A2 (10), A2/A2 (11), missing (01): 0b01_11_10_00.
    path.write_bytes(b"\x6c\x1b\x01" + bytes([0b01111000]))
    (tmp_path / "x.bim").write_text("1\trs1\t0\t10\tC\tA\n")
    (tmp_path / "x.fam").write_text("".join(f"f s{i} 0 0 0 -9\n" for i in range(4)))
    assert read_genotypes(path)[0].calls[:, 0].tolist() == [2, 1, 0, -1]


def test_prefix_with_a_dot(tmp_path: Path) -> None:
    write_plink(tmp_path / "chr1.qc.bed")
    assert read(tmp_path / "chr1.qc", filters=False).n_sites == 5
    assert read(tmp_path / "chr1.qc.bed", filters=False).n_sites == 5


@pytest.mark.parametrize(
    ("region", "ids"), [("1:15-30", ["1:20:A:G", "dup"]), ("2", ["dup"]), ("X:5-", ["rs5"])]
)
def test_region(tmp_path: Path, region: str, ids: list[str]) -> None:
    path = write_plink(tmp_path / "x.bed")
    cohort, _ = read_genotypes(path, region)
    assert cohort.sites.ids.tolist() == ids
    complete = read_genotypes(path)[0]
    inside = [
        i
        for i in range(5)
        if (complete.sites.chrom[i], complete.sites.pos[i])
        in set(zip(cohort.sites.chrom, cohort.sites.pos, strict=True))
    ]
    np.testing.assert_array_equal(cohort.calls, complete.calls[:, inside])


def test_region_errors(tmp_path: Path) -> None:
    path = write_plink(tmp_path / "x.bed")
    expect(path, r"x.bed: no contig 'chr1' for region chr1:1-5; the file has 1, 2, X$", "chr1:1-5")
    expect(path, r"x.bed: no records in region 1:500-600; choose another region", "1:500-600")


def test_damaged_files(tmp_path: Path) -> None:
    path = write_plink(tmp_path / "x.bed")
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    expect(
        path,
        r"x.bed: 7 bytes, but 3 samples and 5 variants need 8; the file is cut short or its .bim or .fam",
    )
    path.write_bytes(b"chr1\t1\t2\n")
    expect(path, r"x.bed: not a PLINK 1 .bed file; make one with: plink2 --make-bed")
    path.unlink()
    expect(path, r"x.bed: no such file")
    path.write_bytes(content)
    (tmp_path / "x.bim").unlink()
    expect(path, r"x.bim: no such file")


@pytest.mark.parametrize(
    ("suffix", "line", "replacement", "message"),
    [
        (
            "fam",
            1,
            "f s0 0 0 0 -9",
            r"x.fam: sample ID 's0' of family f occurs twice; make IIDs unique",
        ),
        ("fam", 1, "f s1 0 0", r"x.fam, line 2: 4 columns, 6 are needed; make it again with plink2"),
        ("bim", 2, "1 rs3 0 x A C", r"x.bim, line 3: position 'x' is not a position; correct it"),
    ],
)
def test_damaged_tables(tmp_path: Path, suffix: str, line: int, replacement: str, message: str) -> None:
    path = write_plink(tmp_path / "x.bed")
    table = path.with_suffix(f".{suffix}")
    lines = table.read_text().splitlines()
    lines[line] = replacement
    table.write_text("\n".join(lines) + "\n")
    expect(path, message)
