"""The genotype string parser against its grammar and against htslib's reading of the same file."""

from __future__ import annotations

import numpy as np
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vcf_files import read_genotypes, record, write_vcf

from genoattn.io.genotype_codes import GenotypeCodes, MalformedGenotypeError, parse_genotype

ALLELES = ["0", "1", "2", "3", "."]


@pytest.mark.parametrize(
    ("text", "alleles"),
    [
        ("0", (0,)),
        (".", (-1,)),
        ("0/1", (0, 1)),
        ("1|0", (1, 0)),
        ("./1", (-1, 1)),
        ("0/1|2/12", (0, 1, 2, 12)),
        ("|0|1", (0, 1)),
        ("/1", (1,)),
    ],
)
def test_parse_genotype(text: str, alleles: tuple[int, ...]) -> None:
    assert parse_genotype(text) == alleles


@pytest.mark.parametrize(
    "text", ["", "0/", "0//1", "a", "-1", "0/x", "0\\1", "0 1", "1.0", "/".join("0" * 128)]
)
def test_what_is_no_genotype_is_refused(text: str) -> None:
    with pytest.raises(MalformedGenotypeError):
        parse_genotype(text)


def test_codes_by_hand() -> None:
    codes = GenotypeCodes()
    met = codes.encode(["0/1", "1/1", "./1", "./.", "0/1", "2/1"])
    # Copies of allele 1 in 0/1, 1/1, half-missing, missing, 0/1 and 2/1; of allele 2 only the last has one.
    assert codes.copies(1)[met].tolist() == [1, 2, -1, -1, 1, 1]
    assert codes.copies(2)[met].tolist() == [0, 0, -1, -1, 0, 1]
    assert codes.largest_allele[met].tolist() == [1, 1, 1, -1, 1, 2]
    assert codes.ploidy[met].max() == 2
    assert codes.half_missing[met].sum() == 1
    # A string met later must not leave the tables behind.
    later = codes.encode(["3", "1"])
    assert codes.copies(1)[later].tolist() == [0, 1]
    assert codes.copies(3)[later].tolist() == [1, 0]
    assert codes.ploidy[later].max() == 1
    missing = codes.encode(["./.", "./1", "."])
    assert codes.ploidy[missing].max() == 0


@st.composite
def genotype(draw: st.DrawFn) -> str:
    """Haploid or diploid, phased or not, in part missing or not."""
    return draw(genotype_of(draw(st.integers(1, 2))))


@st.composite
def genotype_of(draw: st.DrawFn, ploidy: int) -> str:
    alleles = draw(st.lists(st.sampled_from(ALLELES), min_size=ploidy, max_size=ploidy))
    text = alleles[0]
    for allele in alleles[1:]:
        text += draw(st.sampled_from("/|")) + allele
    return text


@st.composite
def polyploid_row(draw: st.DrawFn) -> list[str]:
    """Three samples of one ploidy, 3 or 4."""
    ploidy = draw(st.integers(3, 4))
    return [draw(genotype_of(ploidy)) for _ in range(3)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(genotype(), min_size=3, max_size=3) | polyploid_row(), min_size=1, max_size=4))
def test_copies_equal_those_of_htslib(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    """Oracle: htslib's allele indices, sample by sample, counted one at a time."""
    records = [record(row, pos=i + 1, alt="C,G,T") for i, row in enumerate(rows)]
    path = write_vcf(tmp_path_factory.mktemp("vcf") / "a.vcf", ["a", "b", "c"], records)
    expected = []
    with pysam.VariantFile(str(path)) as file:
        for line in file:
            indices = [line.samples[s].allele_indices for s in ("a", "b", "c")]
            expected += [[-1 if None in g else g.count(alt) for g in indices] for alt in (1, 2, 3)]
    cohort, _ = read_genotypes(path, haploid="as-is")
    np.testing.assert_array_equal(cohort.calls, np.array(expected).T)
