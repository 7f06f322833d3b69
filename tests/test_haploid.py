"""Haploid calls among diploid ones: chrX of males, from VCF, BCF and PLINK, and in a scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vcf_files import record, write_text, write_vcf

import genoattn
from genoattn.io import read

SAMPLES = ["m1", "f1", "m2", "f2"]
# Males are haploid on X outside its ends and on Y, females diploid on X and uncalled on Y.
ROWS = [
    record(["0/1", "1/1", "0/0", "0/1"], pos=1),
    record(["0", "0/1", "1", "1/1"], chrom="2", pos=5),
    record(["1", "0/1", ".", "./1"], chrom="2", pos=6),
    record(["1", "./.", "0", "./."], chrom="2", pos=7),
    record(["2", "0/1", "1", "1/2"], chrom="2", pos=8, alt="C,G"),
]


@pytest.mark.parametrize(("haploid", "counted"), [("double", "0 or 2"), ("as-is", "0 or 1")])
@pytest.mark.parametrize("name", ["x.vcf", "x.bcf"])
def test_each_way_of_counting(tmp_path: Path, haploid, counted, name) -> None:
    cohort = read(write_vcf(tmp_path / name, SAMPLES, ROWS), haploid=haploid, filters=False)
    double = haploid == "double"
    by_hand = {
        1: [1, 2, 0, 1],  # diploid in all: as it is
        5: [0, 1, 2 if double else 1, 2],
        6: [2 if double else 1, 1, -1, -1],  # a missing haploid call and half a diploid one stay missing
        7: [1, -1, 0, -1],  # haploid in all who are called: chrY
    }
    for pos, copies in by_hand.items():
        assert cohort.calls[:, cohort.sites.pos == pos][:, 0].tolist() == copies
    first, second = cohort.calls[:, cohort.sites.pos == 8].T.tolist()
    one = 2 if double else 1
    assert (first, second) == ([0, 1, one, 1], [one, 0, 0, 1])
    assert cohort.sites.n_states.tolist() == [3, 3, 3, 2, 3, 3]
    what = f"haploid calls among diploid ones at 3 records of 2 count {counted} copies"
    assert f"5 {what}; give sex as a covariate" in cohort.log


def test_the_default_is_that_of_plink_files(tmp_path: Path) -> None:
    """The same samples as PLINK writes them: two bits a call, haploid ones as homozygous."""
    vcf = write_vcf(tmp_path / "x.vcf", SAMPLES, [ROWS[1]])
    # m1 none (11), f1 one (10), m2 two copies (00), f2 two copies (00) of C: 0b00_00_10_11.
    (tmp_path / "x.bed").write_bytes(b"\x6c\x1b\x01" + bytes([0b00001011]))
    write_text(tmp_path / "x.bim", "X\trs1\t0\t5\tC\tA\n")
    write_text(tmp_path / "x.fam", "".join(f"0 {s} 0 0 {2 - (s[0] == 'm')} -9\n" for s in SAMPLES))
    plink = read(tmp_path / "x", filters=False)
    np.testing.assert_array_equal(plink.calls, read(vcf, filters=False).calls)
    line = "1 sites of chrX: PLINK files hold haploid calls as 0 or 2 copies; give sex as a covariate"
    assert line in plink.log
    message = r"x.bim: 1 sites of chrX, whose haploid calls PLINK files hold as 0 or 2 copies; haploid as-is"
    with pytest.raises(genoattn.InputError, match=message):
        read(tmp_path / "x", haploid="as-is")
    write_text(tmp_path / "x.bim", "1\trs1\t0\t5\tC\tA\n")
    autosome = read(tmp_path / "x", haploid="as-is", filters=False)
    assert autosome.calls[:, 0].tolist() == [0, 1, 2, 2]
    assert autosome.log[0] == "effect allele: A1 of the .bim"
    assert len(autosome.log) == 2


def test_unknown_way_of_counting(tmp_path: Path) -> None:
    with pytest.raises(genoattn.InputError, match="haploid is 'half'; choose one of as-is, double"):
        read(tmp_path / "x.vcf", haploid="half")


def test_a_scan_tests_what_was_counted(tmp_path: Path) -> None:
    """Coefficients of the scan are those of a regression on the copies as counted."""
    rng = np.random.default_rng(3)
    n = 60
    male = np.arange(n) % 2 == 0
    samples = [f"s{i}" for i in range(n)]
    x = np.where(male, rng.integers(0, 2, n), rng.binomial(2, 0.5, n))
    a = rng.binomial(2, 0.4, n)
    x_text = [str(c) if m else ("0/0", "0/1", "1/1")[c] for c, m in zip(x, male, strict=True)]
    rows = [record([("0/0", "0/1", "1/1")[c] for c in a], pos=1), record(x_text, chrom="2", pos=9)]
    vcf = write_vcf(tmp_path / "x.vcf", samples, rows)
    y = rng.normal(size=n) + a * x
    table = "IID\ty\n" + "".join(f"{s}\t{v:.9f}\n" for s, v in zip(samples, y, strict=True))
    pheno = write_text(tmp_path / "p.tsv", table)
    for haploid, copies in (("double", np.where(male, 2 * x, x)), ("as-is", x)):
        found = genoattn.scan_pairs(read(vcf, pheno, haploid=haploid), 1.0).frame
        predictors = np.column_stack([np.ones(n), a, copies, (a - a.mean()) * (copies - copies.mean())])
        beta = np.linalg.lstsq(predictors, y, rcond=None)[0][3]
        assert found["coefficient"][0] == pytest.approx(beta, rel=1e-6)
        assert found["frequency"][0] == pytest.approx((a / 2 * copies / 2).mean())
