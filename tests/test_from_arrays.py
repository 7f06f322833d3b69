"""Cohorts from numpy, pandas and a data set of sgkit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from vcf_files import record, write_vcf

import genoattn
from genoattn import Cohort

CALLS = np.array([[0, 1, 2], [2, -1, 1], [1, 0, 0], [1, 2, 1]])
NAMES = ["a", "b", "c", "d"]


def test_arrays_alone() -> None:
    cohort = Cohort.from_arrays(CALLS)
    assert cohort.samples.tolist() == ["sample1", "sample2", "sample3", "sample4"]
    assert cohort.sites.ids.tolist() == ["site1", "site2", "site3"]
    assert cohort.calls.tolist() == CALLS.tolist()
    assert not cohort.has_dosages
    # Of no known place: each on a chromosome of its own.
    assert len(set(cohort.sites.chrom)) == 3


def test_dosages_and_missing_values() -> None:
    values = CALLS.astype(float)
    values[0, 0], values[1, 1] = 0.25, np.nan
    cohort = Cohort.from_arrays(values)
    assert cohort.has_dosages
    assert cohort.calls[:2].tolist() == [[0.25, 1, 2], [2, -1, 1]]


def test_frames_are_matched_by_name() -> None:
    frame = pd.DataFrame(CALLS, index=NAMES, columns=["r1", "r2", "r3"])
    pheno = pd.Series([4.0, np.nan, 2.0, 1.0, 9.0], index=["d", "c", "b", "a", "z"], name="height")
    covar = pd.DataFrame({"age": [30, 40, 50, 60]}, index=["d", "c", "b", "a"])
    cohort = Cohort.from_arrays(frame, phenotype=pheno, covariates=covar)
    assert cohort.samples.tolist() == ["a", "b", "d"]
    assert (cohort.phenotype.name, cohort.phenotype.values.tolist()) == ("height", [1.0, 2.0, 4.0])
    assert cohort.covariates.values[:, 0].tolist() == [60, 50, 30]
    assert cohort.calls.tolist() == CALLS[[0, 1, 3]].tolist()
    assert cohort.log == ("4 samples with genotypes, kept 3",)
    binary = Cohort.from_arrays(frame, phenotype=np.array([0, 1, 1, 0]))
    assert binary.phenotype.binary


def test_lists_and_masked_arrays() -> None:
    assert Cohort.from_arrays(CALLS.tolist()).calls.tolist() == CALLS.tolist()
    masked = np.ma.masked_array(CALLS, mask=np.eye(4, 3, dtype=bool))
    assert Cohort.from_arrays(masked).calls.diagonal().tolist() == [-1, -1, -1]


def test_sites_of_a_frame() -> None:
    sites = pd.DataFrame({"chrom": ["1", "1", "2"], "pos": [5, 9, 7], "ref": list("AAC"), "alt": list("GTG")})
    cohort = Cohort.from_arrays(CALLS, sites)
    assert cohort.sites.ids.tolist() == ["1:5:A:G", "1:9:A:T", "2:7:C:G"]
    assert cohort.sites.states[0] == ("A/A", "A/G", "G/G")
    assert cohort.sites.pos.tolist() == [5, 9, 7]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"genotypes": CALLS[0]}, r"genotypes have shape \(3,\), needed are \(n_samples, n_sites\)"),
        ({"sites": ["x"]}, r"1 sites for 3 columns of genotypes"),
        ({"genotypes": CALLS + 1}, r"genotypes of sample sample1 at site 3 are 3, needed are 0 to 2 copies"),
        ({"genotypes": CALLS - 1}, r"genotypes of sample sample2 at site 2 are -2, needed are 0 to 2 copies"),
        ({"genotypes": CALLS + 255.0}, r"are 255, needed"),
        ({"genotypes": np.where(CALLS == 2, np.inf, CALLS)}, r"are inf, needed"),
        ({"genotypes": np.where(CALLS == 2, -0.5, CALLS)}, r"are -0.5, needed"),
        (
            {"sites": pd.DataFrame({"id": list("abc"), "pos": [1, 5.5, 7]})},
            r"position 5.5 is not a whole number",
        ),
        ({"sites": pd.DataFrame({"id": list("abc"), "pos": [1, np.nan, 7]})}, r"position nan is not a whole"),
        (
            {"covariates": pd.DataFrame({"sex": list("mfmf")}, index=[f"sample{i}" for i in range(1, 5)])},
            r"covariate sex is not of numbers",
        ),
        ({"samples": ["a", "a", "b", "c"]}, r"samples are not unique"),
        ({"phenotype": np.zeros(3)}, r"phenotype has shape \(3,\), needed is \(4,\)"),
        (
            {"phenotype": pd.Series([1.0], index=["sample1"])},
            r"phenotype: no row for sample sample2 \(3 of 4",
        ),
    ],
)
def test_mistakes_in_arrays(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cohort.from_arrays(**{"genotypes": CALLS, **options})


def test_a_model_of_arrays() -> None:
    rng = np.random.default_rng(0)
    calls = rng.integers(0, 3, (300, 8))
    x = calls - calls.mean(axis=0)
    cohort = Cohort.from_arrays(calls, phenotype=2 * x[:, 1] * x[:, 4] + rng.normal(size=300))
    top = genoattn.fit(cohort, seed=0).table.frame.query("order == 2").iloc[0]
    assert {top.site_1, top.site_2} == {"site2", "site5"}


def test_a_data_set_in_memory_is_the_file(tmp_path) -> None:
    xr = pytest.importorskip("xarray", reason="xarray is not installed")
    calls = np.array([[[0, 1], [1, 1], [-1, -1]], [[0, 2], [1, 2], [0, 0]], [[0, -2], [0, 1], [1, -2]]])
    data = xr.Dataset(
        {
            "call_genotype": (("variants", "samples", "ploidy"), calls.astype(np.int8)),
            "variant_position": ("variants", [5, 9, 12]),
            "variant_contig": ("variants", [0, 0, 1]),
            "variant_allele": (
                ("variants", "alleles"),
                np.array([["A", "C", ""], ["A", "C", "G"], ["T", "G", ""]]),
            ),
            "contig_id": ("contigs", np.array(["1", "2"])),
            "sample_id": ("samples", np.array(["a", "b", "c"])),
        }
    )
    rows = [
        record(["0/1", "1/1", "./."], pos=5),
        record(["0/2", "1/2", "0/0"], pos=9, alt="C,G"),
        record(["0", "0/1", "1"], pos=12, chrom="2", ref="T", alt="G"),
    ]
    expected = genoattn.read(write_vcf(tmp_path / "x.vcf", ["a", "b", "c"], rows), filters=False)
    pheno = pd.DataFrame({"IID": ["c", "a"], "y": [1.0, 2.0]})
    found = genoattn.read(data, filters=False)
    assert found.calls.tolist() == expected.calls.tolist()
    assert found.sites.ids.tolist() == expected.sites.ids.tolist()
    assert genoattn.read(data, pheno, filters=False).samples.tolist() == ["a", "c"]
    with pytest.raises(genoattn.InputError, match="data set of genotypes: no call_genotype in the store"):
        genoattn.read(data.drop_vars("call_genotype"))
