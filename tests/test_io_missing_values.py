"""What counts as missing: words everywhere, PLINK's -9 and 0 in its tables; codes that are only named."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from read_files import SAMPLES, expect, genotypes, pheno
from vcf_files import write_text

import genoattn
from genoattn.io import read
from genoattn.io.sentinels import code_lines
from genoattn.io.tables import MISSING_TEXT

PLINK = ("FID", "IID")


def table(tmp_path, values, ids=("IID",), name="p.tsv", column="T"):
    rows = ["\t".join((*ids, column))]
    rows += ["\t".join([*("F", s)[-len(ids) :], str(v)]) for s, v in zip(SAMPLES, values, strict=True)]
    return write_text(tmp_path / name, "\n".join(rows) + "\n")


@pytest.mark.parametrize("word", sorted(MISSING_TEXT))
def test_one_list_for_traits_covariates_and_features(tmp_path, word):
    path = genotypes(tmp_path)
    covar = table(tmp_path, [1, 3, word, 5, 4, 1], name="c.tsv", column="age")
    words = table(tmp_path, ["u", "w", "u", word, "u", "w"], name="w.tsv", column="group")
    features = write_text(tmp_path / "f.tsv", f"site\tgene\n1:1\tg\n1:2\t{word}\n")
    cohort = read(path, table(tmp_path, [word, 1, 2, 3, 4, 5]), covar=covar, features=features)
    assert cohort.samples.tolist() == ["s1", "s3", "s4", "s5"]
    assert set(cohort.sites.features["gene"]) <= {"g", ""}
    assert read(path, pheno(tmp_path), covar=words).covariates.names == ("group=w",)


# --- -9 ---


@pytest.mark.parametrize("ids", [PLINK, ("#FID", "IID")])
@pytest.mark.parametrize("code", ["-9", "-9.0", "-9.000"])
def test_minus_nine_in_a_table_of_plink(tmp_path, ids, code):
    path = table(tmp_path, [1.5, code, 2, -9.5, 3, code], ids)
    cohort = read(genotypes(tmp_path), path)
    assert cohort.phenotype.values.tolist() == [1.5, 2, -9.5, 3]
    assert f"2 values of -9 in {path} read as missing (columns FID and IID, a table of PLINK)" in cohort.log


def test_minus_nine_among_cases_and_controls_of_plink(tmp_path):
    cohort = read(genotypes(tmp_path), table(tmp_path, [1, 2, -9, 2, 1, 2], PLINK))
    assert cohort.phenotype.binary
    assert cohort.phenotype.values.tolist() == [0, 1, 1, 0, 1]


def test_minus_nine_elsewhere_is_a_number(tmp_path):
    covar = table(tmp_path, [-9, 3, 2, 5, 4, 1], name="c.tsv", column="age")
    cohort = read(genotypes(tmp_path), table(tmp_path, [-9, 1, 2, 3, 4, 5]), covar=covar)
    assert cohort.phenotype.values[0] == cohort.covariates.values[0, 0] == -9
    for what in ("trait T", "covariate age"):
        assert f"{what}: 1 values of -9 read as numbers, not as missing" in cohort.log
    in_plink = table(tmp_path, [-9, 3, 2, 5, 4, 1], PLINK, "c.tsv", "age")
    assert read(genotypes(tmp_path), pheno(tmp_path), covar=in_plink).n_samples == 5


# --- 0, 1 and 2 ---


@pytest.mark.parametrize("trait_type", ["auto", "binary"])
def test_zero_is_missing_where_plink_has_cases(tmp_path, trait_type, caplog):
    path = table(tmp_path, [1, 2, 0, 2, 1, 0], PLINK)
    cohort = read(genotypes(tmp_path), path, trait_type=trait_type)
    assert cohort.phenotype.binary
    assert cohort.samples.tolist() == ["s0", "s1", "s3", "s4"]
    assert cohort.phenotype.values.tolist() == [0, 1, 1, 0]
    assert "trait T: 2 values of 0 read as missing, as PLINK does" in cohort.log
    warned = (
        f"{path}: trait 'T' is 0, 1 and 2 in a table of PLINK (columns FID and IID): 0 is read as missing"
    )
    assert any(r.levelno == logging.WARNING and warned in r.getMessage() for r in caplog.records)


def test_zero_one_two_as_numbers(tmp_path):
    values = [1, 2, 0, 2, 1, 0]
    as_numbers = read(genotypes(tmp_path), table(tmp_path, values, PLINK), trait_type="quantitative")
    assert as_numbers.phenotype.values.tolist() == values
    elsewhere = read(genotypes(tmp_path), table(tmp_path, values))
    assert elsewhere.phenotype.values.tolist() == values
    assert any(line.startswith("trait T: values 0, 1 and 2 read as numbers;") for line in elsewhere.log)
    expect(
        r"p.tsv: trait 'T' is 0, 1 and 2, where a binary trait has two values; write NA for the one that "
        r"stands for missing \(0 in files of PLINK\), or use trait_type quantitative$",
        genotypes(tmp_path),
        table(tmp_path, values),
        trait_type="binary",
    )


@pytest.mark.parametrize("values", [[0, 1, 0, 1, 1, 0], [0, 1, 2, 3, 1, 0], [0, 2, 0, 2, 2, 0]])
def test_other_numbers_of_a_table_of_plink(tmp_path, values):
    assert read(genotypes(tmp_path), table(tmp_path, values, PLINK)).phenotype.values.tolist() == values


def test_several_traits_of_a_table_of_plink(tmp_path):
    rows = [f"F\ts{i}\t{i % 3}\t{v}" for i, v in enumerate([1, -9, 3, 2, 7, 5])]
    path = write_text(tmp_path / "p.tsv", "FID\tIID\tcase\theight\n" + "\n".join(rows) + "\n")
    cohort = read(genotypes(tmp_path), max_missing=1)
    found = genoattn.scan_traits(cohort, path, threshold=1, names=["height"])
    assert found["height"].counts["n_samples"] == 5


# --- codes far from the rest ---


@pytest.mark.parametrize("code", [-9, -99, -999, -9999, 99, 999, 9999, 99999])
def test_codes_far_from_the_rest_are_named(code, caplog):
    values = np.array([18.5, code, 25, 40, code])
    line = f"trait T: 2 values of {code} read as numbers, not as missing"
    assert code_lines("p.tsv: trait 'T'", "trait T", values) == [line]
    assert [r.getMessage() for r in caplog.records] == [
        f"p.tsv: trait 'T' is {code} in 2 samples, elsewhere 18.5 to 40; "
        "write NA if it stands for a missing value"
    ]


@pytest.mark.parametrize(
    "values", [[-99, -50, 40], [999, 400, 1200], [99, 98, 97, 3], [1, 2, 3], [-999, -999], [9999.5, 1, 2]]
)
def test_codes_among_their_like_are_numbers(values, caplog):
    assert code_lines("p.tsv: trait 'T'", "trait T", np.array(values, dtype=float)) == []
    assert not caplog.records


def test_codes_stay_in_traits_and_covariates(tmp_path, caplog):
    covar = table(tmp_path, [30, 999, 50, 60, 999, 20], name="c.tsv", column="age")
    cohort = read(genotypes(tmp_path), table(tmp_path, [-999, 1.5, 2, 3, 4, 5]), covar=covar)
    assert (cohort.n_samples, cohort.phenotype.values[0]) == (6, -999)
    assert "trait T: 1 values of -999 read as numbers, not as missing" in cohort.log
    assert "covariate age: 2 values of 999 read as numbers, not as missing" in cohort.log
    assert f"{covar}: covariate 'age' is 999 in 2 samples, elsewhere 20 to 60" in caplog.text
