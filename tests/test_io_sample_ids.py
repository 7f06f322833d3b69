"""Samples of a cohort and rows of a table: by family and IID, by IID alone, by FID_IID; refused in doubt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from bed_reader import to_bed
from read_files import expect
from small_cohorts import short_fit
from vcf_files import read_genotypes, record, write_text, write_vcf

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io import read
from genoattn.io.matching import SampleTables, match_samples
from genoattn.io.sample_ids import iids_of, match_rows, name_samples
from genoattn.io.tables import read_table

# Two families with the IIDs 1, 2 and one sample without a family.
FAMILIES = ["A", "A", "B", "B", "0", "B"]
IIDS = ["1", "2", "1", "2", "x", "3"]
NAMES = ["A:1", "A:2", "B:1", "B:2", "x", "3"]


def fileset(tmp_path, families=FAMILIES, iids=IIDS, calls=None):
    """A PLINK fileset of three sites."""
    if calls is None:
        calls = np.array([[(i * (1 + j)) % 3 for j in range(1, 4)] for i in range(len(iids))], dtype=np.int8)
    properties = {
        "fid": families,
        "iid": iids,
        "chromosome": ["1"] * 3,
        "sid": ["a", "b", "c"],
        "bp_position": [1, 2, 3],
        "allele_1": ["C"] * 3,
        "allele_2": ["A"] * 3,
    }
    to_bed(tmp_path / "x.bed", calls, properties=properties, count_A1=True)
    return tmp_path / "x.bed"


def table(tmp_path, header, rows, name="p.tsv"):
    return write_text(tmp_path / name, "\n".join("\t".join(row) for row in [header, *rows]) + "\n")


def vcf(tmp_path, samples):
    genotypes = ["0/0", "0/1", "1/1", "0/1", "0/0", "1/1", "0/1"][: len(samples)]
    return write_vcf(tmp_path / "g.vcf", samples, [record(genotypes, pos=1), record(genotypes[::-1], pos=2)])


def test_iids_unique_only_within_families(tmp_path):
    cohort, _ = read_genotypes(fileset(tmp_path))
    assert cohort.samples.tolist() == NAMES
    assert cohort.families.tolist() == FAMILIES
    assert "4 samples share their IID with another family, named FID:IID instead" in cohort.log
    assert iids_of(cohort.samples, cohort.families) == IIDS
    chosen = cohort.select_samples(np.array([3, 0]))
    assert (chosen.samples.tolist(), chosen.families.tolist()) == (["B:2", "A:1"], ["B", "A"])
    with pytest.raises(ValueError, match=r"Cohort.families has 2 entries for 6 samples"):
        Cohort(cohort.samples, cohort.sites, cohort.calls, families=chosen.families)


def test_a_name_that_is_an_iid_too(tmp_path):
    expect(
        r"x.fam: 'A:1' is both an IID and FID:IID of another sample; make IIDs unique",
        fileset(tmp_path, ["A", "B", "C"], ["1", "1", "A:1"]),
    )


def test_family_and_iid_are_matched(tmp_path):
    rows = [(f, i, f"{k}.5") for k, (f, i) in enumerate(zip(FAMILIES, IIDS, strict=True))]
    path = table(tmp_path, ("#FID", "IID", "T"), [*rows[::-1], ("C", "1", "9")])
    cohort = read(fileset(tmp_path), path, filters=False)
    assert cohort.samples.tolist() == NAMES
    assert cohort.phenotype.values.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    # x has no family: it is matched by its IID.
    assert f"5 samples matched with {path} by FID and IID" in cohort.log
    assert f"1 rows of {path} have no genotypes" in cohort.log


def test_tables_with_iid_alone(tmp_path):
    bed = fileset(tmp_path)
    unique = table(tmp_path, ("IID", "T"), [("x", "1"), ("3", "2"), ("9", "3")])
    assert read(bed, unique, filters=False).samples.tolist() == ["x", "3"]
    named = table(tmp_path, ("IID", "T"), [(name, str(i)) for i, name in enumerate(NAMES)])
    assert read(bed, named, filters=False).phenotype.values.tolist() == [0, 1, 2, 3, 4, 5]
    doubtful = table(tmp_path, ("IID", "T"), [("x", "1"), ("2", "2"), ("3", "4")])
    expect(
        r"p.tsv: two samples of the genotypes, A:2 and B:2, have the sample ID '2'; give the table their "
        r"families in a column FID$",
        bed,
        doubtful,
    )


def test_rows_of_one_iid_for_a_vcf(tmp_path):
    path = table(tmp_path, ("FID", "IID", "T"), [("A", "1", "1"), ("B", "1", "2"), ("A", "2", "4")])
    expect(
        r"p.tsv: sample ID '1' has 2 rows, of families A, B, and the genotypes do not say which",
        vcf(tmp_path, ["1", "2"]),
        path,
    )
    # Nobody asks for the one in doubt.
    assert match_rows(["2", "3"], None, read_table(path))[0].tolist() == [2, -1]


@pytest.mark.parametrize("fid", ["0", "NA", ""])
def test_no_family_on_one_side_is_matched_by_iid(tmp_path, fid):
    bed = fileset(tmp_path, ["A", "B", "C"], ["1", "2", "3"])
    path = table(tmp_path, ("FID", "IID", "T"), [(fid, "3", "1"), (fid, "1", "2"), ("B", "2", "4")])
    assert read(bed, path, filters=False).phenotype.values.tolist() == [2, 4, 1]


def test_another_family_is_another_sample(tmp_path):
    bed = fileset(tmp_path, ["A", "B", "C"], ["1", "2", "3"])
    path = table(tmp_path, ("FID", "IID", "T"), [("A", "1", "1"), ("B", "2", "2"), ("Z", "3", "4")])
    cohort = read(bed, path, filters=False)
    assert cohort.samples.tolist() == ["1", "2"]
    assert f"1 samples have a row in {path} with their IID but another FID; not matched" in cohort.log
    other = table(tmp_path, ("FID", "IID", "T"), [("Z", "1", "1"), ("Z", "2", "2"), ("Z", "3", "4")])
    expect(r"3 IIDs agree, but not their families \(leave out the column FID\); make them alike$", bed, other)


# --- FID_IID, as PLINK writes it to a VCF ---


def test_joined_ids_of_a_vcf(tmp_path):
    rows = [("A", "1", "1"), ("A", "2", "2"), ("0", "3", "4"), ("B", "1", "5")]
    path = table(tmp_path, ("FID", "IID", "T"), rows)
    cohort = read(vcf(tmp_path, ["A_1", "B_1", "0_3", "A_2"]), path, filters=False)
    assert cohort.phenotype.values.tolist() == [1, 5, 4, 2]
    assert f"4 samples matched with {path} by FID_IID, 0 by IID" in cohort.log


def test_whichever_matches_more(tmp_path):
    rows = [("A", "1", "1"), ("A", "A_1", "2"), ("B", "2", "4"), ("B", "4", "7")]
    path = table(tmp_path, ("FID", "IID", "T"), rows)
    # A_1 is an IID, and also family A, sample 1.
    assert read(vcf(tmp_path, ["A_1", "B_2"]), path, filters=False).phenotype.values.tolist() == [1, 4]
    assert read(vcf(tmp_path, ["A_1", "2", "4"]), path, filters=False).phenotype.values.tolist() == [2, 4, 7]
    expect(
        r"p.tsv: 1 samples of the genotypes match an IID and as many FID_IID; leave out the column FID",
        vcf(tmp_path, ["A_1", "Z"]),
        path,
    )


def test_two_rows_that_spell_one_name(tmp_path):
    path = table(tmp_path, ("FID", "IID", "T"), [("A_B", "C", "1"), ("A", "B_C", "2"), ("D", "E", "3")])
    found, _ = match_rows(["A_B_C", "D_E"], None, read_table(path))
    assert found.tolist() == [-1, 2]


# --- nothing in common ---


@pytest.mark.parametrize(
    ("ours", "theirs", "cause"),
    [
        (["007", "012"], ["7", "12"], "leading zeros are missing, as spreadsheets drop them"),
        (["7", "12"], ["007", "012"], "leading zeros are missing"),
        (["ab1", "ab2"], ["AB1", "AB2"], "they differ in upper and lower case"),
        (["F1_I1", "F1_I2"], ["I1", "I2"], "some are FID_IID, as PLINK writes them"),
        (["I1", "I2"], ["F1_I1", "F1_I2"], "some are FID_IID"),
        (["1001", "x"], ["1001.0", "y"], "some are numbers with decimals"),
        (["Zo\u00eb", "Jos\u00e9"], ["Zoe\u0308", "Jose\u0301"], "their accents are written in two ways"),
    ],
)
def test_likely_causes(tmp_path, ours, theirs, cause):
    path = table(tmp_path, ("IID", "T"), [(name, str(k)) for k, name in enumerate(theirs)])
    expect(
        rf"p.tsv: no sample in common with the genotypes; IDs there: {', '.join(theirs)}; "
        rf"IDs of the genotypes: {', '.join(ours)}; {cause}.*; make them alike$",
        vcf(tmp_path, ours),
        path,
    )


def test_no_cause_is_made_up(tmp_path):
    path = table(tmp_path, ("IID", "T"), [("x_1", "1"), ("y_2", "2")])
    expect(r"IDs of the genotypes: a_1, b_2; make them alike$", vcf(tmp_path, ["a_1", "b_2"]), path)


# --- without genotypes ---


def test_samples_are_matched_without_genotypes():
    pheno = pd.DataFrame({"IID": ["a", "b", "c", "d"], "T": [1.5, np.nan, 3, 5]})
    covar = pd.DataFrame({"IID": ["d", "c", "a"], "age": [50, 40, 30]})
    tables = SampleTables(read_table(pheno, "phenotype table"), read_table(covar, "covariate table"))
    match = match_samples(["d", "c", "b", "a", "e"], None, tables)
    assert match.keep.tolist() == [True, True, False, True, False]
    assert match.phenotype.values.tolist() == [5, 3, 1.5]
    assert match.covariates.values.tolist() == [[50], [40], [30]]
    assert match.log[0] == (
        "5 samples with genotypes, kept 3 (1 without a row in phenotype table, 1 without a value of T, "
        "0 without a row in covariate table, 0 with a missing covariate)"
    )


def test_name_samples_by_hand():
    assert name_samples(["A", "B", "A"], ["1", "1", "2"]) == ["A:1", "B:1", "2"]


def test_a_row_twice_in_one_family(tmp_path):
    path = table(tmp_path, ("FID", "IID", "T"), [("A", "1", "1"), ("B", "1", "2"), ("A", "1", "3")])
    with pytest.raises(InputError, match=r"p.tsv: sample ID '1' of family A has two rows; keep one of them"):
        read_table(path)


def test_predictions_name_family_and_iid(tmp_path):
    rng = np.random.default_rng(1)
    families = [f"F{i % 3}" for i in range(60)]
    iids = [str(i // 3) for i in range(60)]
    bed = fileset(tmp_path, families, iids, rng.integers(0, 3, (60, 3)).astype(np.int8))
    rows = [(f, i, f"{x:.3f}") for f, i, x in zip(families, iids, rng.normal(size=60), strict=True)]
    cohort = read(bed, table(tmp_path, ("FID", "IID", "T"), rows))
    predicted = short_fit(cohort, max_epochs=2).model.prediction_table(cohort)
    assert predicted.columns.tolist()[:3] == ["FID", "IID", "prediction"]
    assert (predicted["FID"].tolist(), predicted["IID"].tolist()) == (families, iids)
    again = read(bed, predicted[["FID", "IID", "prediction"]])
    np.testing.assert_array_equal(again.phenotype.values, predicted["prediction"])


def test_ids_that_are_numbers_with_decimals(tmp_path):
    """As pandas writes them, once a column of numbers had a missing value."""
    families, iids = [str(i) for i in range(1, 7)], ["1"] * 6
    bed = fileset(tmp_path, families, iids)
    rows = "".join(
        f"{float(f)} {float(i)} {k / 2}\n" for k, (f, i) in enumerate(zip(families, iids, strict=True))
    )
    cohort = read(bed, write_text(tmp_path / "p.txt", "FID IID y\n" + rows), filters=False)
    assert cohort.phenotype.values.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert any("such as 1.0 read as 1" in line for line in cohort.log)


def test_families_agree_and_iids_do_not(tmp_path):
    families, iids = [str(i) for i in range(1, 7)], ["1"] * 6
    path = write_text(tmp_path / "p.txt", "FID IID y\n" + "".join(f"{f} {f}0 {f}.5\n" for f in families))
    message = r"0 of 6 samples match by FID and IID, 6 by FID alone \(FID 1 has IID 10 there, 1 in the"
    expect(message, fileset(tmp_path, families, iids), path)


def test_the_phenotype_of_a_fam(tmp_path):
    bed = fileset(tmp_path)
    fam = bed.with_suffix(".fam")
    values = ["1", "2", "-9", "0", "2", "1"]
    lines = [
        " ".join([*line.split()[:5], v]) for line, v in zip(fam.read_text().splitlines(), values, strict=True)
    ]
    fam.write_text("\n".join(lines) + "\n")
    cohort = read(bed, fam, filters=False)
    assert cohort.samples.tolist() == ["A:1", "A:2", "x", "3"]
    assert (cohort.phenotype.name, cohort.phenotype.binary) == ("phenotype", True)
    assert cohort.phenotype.values.tolist() == [0, 1, 1, 0]
    fam.write_text("A 1 0 0 0\n")
    with pytest.raises(InputError, match=r"x.fam, line 1: 5 columns, a .fam has 6"):
        read_table(fam)
