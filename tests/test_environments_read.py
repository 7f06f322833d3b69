"""Columns of the covariate table as environments: what they become, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from environment_files import environment_cohort, environment_table, write_environment_files

import genoattn
from genoattn.cohort import ENVIRONMENT
from genoattn.errors import InputError
from genoattn.io.environments import Environment, environments_of, plan_environments
from genoattn.io.tables import SampleTable
from genoattn.simulate import simulate_cohort


@pytest.fixture(scope="module")
def plain():
    return simulate_cohort(n_samples=60, n_sites=5, linkage="none", n_terms=1, seed=1).cohort


def frame(plain, **columns):
    return pd.DataFrame(columns, index=plain.samples)


def test_a_category_of_two_levels_is_an_indicator_behind_the_genome(plain):
    table = environment_table(plain.samples, "two")
    cohort = genoattn.with_environments(plain, table, "medium")
    s = cohort.sites
    assert (s.ids[-1], s.chrom[-1], s.pos[-1]) == ("medium", ENVIRONMENT, 1)
    assert (s.ref[-1], s.alt[-1], s.states[-1]) == ("glucose", "glycerol", ("glucose", "glycerol"))
    assert cohort.calls.dtype == np.int8
    np.testing.assert_array_equal(cohort.calls[:, -1], table["medium"] == "glycerol")
    np.testing.assert_array_equal(cohort.calls[:, :-1], plain.calls)
    assert s.is_environment.tolist() == [False] * 5 + [True]
    assert "environment medium: glycerol compared with glucose" in cohort.log


def test_three_levels_are_two_indicators_of_one_place(plain):
    cohort = genoattn.with_environments(plain, environment_table(plain.samples, "three"), "medium")
    assert cohort.sites.ids[-2:].tolist() == ["medium=glycerol", "medium=maltose"]
    assert cohort.sites.pos[-2:].tolist() == [1, 1]
    assert cohort.sites.states[-1] == ("other", "maltose")
    assert environments_of(cohort.sites) == (Environment("medium", ("glucose", "glycerol", "maltose")),)


def test_a_number_stays_a_number_in_units_of_its_deviation(plain):
    table = environment_table(plain.samples, "number")
    cohort = genoattn.with_environments(plain, table, "medium")
    (e,) = environments_of(cohort.sites)
    value = table["medium"].to_numpy()
    assert e.unit == float(f"{value.std():.3g}")
    assert e.lowest <= value.min()
    assert e.highest >= value.max()
    assert abs(e.lowest - value.min()) < 0.01 * e.unit
    np.testing.assert_allclose(e.lowest + e.unit * cohort.calls[:, -1], value, atol=1e-4)
    assert cohort.sites.alt[-1] == f"+{e.unit:g}"
    assert float(cohort.sites.ref[-1]) == e.lowest
    assert cohort.calls.dtype == np.float32
    assert cohort.dosages is None


def test_a_number_of_two_values_is_a_category(plain):
    cohort = genoattn.with_environments(plain, frame(plain, dose=[10.0, 2.5] * 30), "dose")
    assert cohort.sites.states[-1] == ("2.5", "10")
    np.testing.assert_array_equal(cohort.calls[:, -1], [1, 0] * 30)


def test_several_environments_have_places_of_their_own(plain):
    table = environment_table(plain.samples, "two").assign(dose=[0, 1, 1] * 20, heat=np.arange(60.0))
    cohort = genoattn.with_environments(plain, table, ["medium", "dose", "heat"])
    assert cohort.sites.pos[-3:].tolist() == [1, 2, 3]
    assert [e.name for e in environments_of(cohort.sites)] == ["medium", "dose", "heat"]
    assert cohort.fixed_effects.names == ("medium", "dose", "heat")


def test_samples_without_it_are_left_out_and_counted(plain):
    table = environment_table(plain.samples, "two")
    table.loc[plain.samples[:4], "medium"] = None
    cohort = genoattn.with_environments(plain, table, "medium")
    assert cohort.n_samples == 56
    assert cohort.flow[-1].left_out == {"with a missing covariate": 4}


def test_files_give_the_cohort_in_memory(tmp_path):
    vcf, pheno, covar, cohort, _ = write_environment_files(tmp_path, "number", n=100, n_sites=6)
    found = genoattn.read(vcf, pheno, covar=covar, environment="medium", maf=0)
    np.testing.assert_array_equal(found.sites.ids, cohort.sites.ids)
    np.testing.assert_array_equal(found.calls, cohort.calls)
    np.testing.assert_allclose(found.covariates.values, cohort.covariates.values)
    assert found.covariates.names == ("age",)
    alone = pd.read_csv(covar, sep="\t")[["IID", "medium"]]
    assert genoattn.read(vcf, pheno, covar=alone, environment="medium", maf=0).covariates is None


REFUSED = [
    ({"medium": ["glucose"] * 60}, "medium", r"environment 'medium' has one level \(glucose\)"),
    ({"medium": [3.5] * 60}, "medium", r"environment 'medium' has one level \(3.5\)"),
    ({"medium": [f"m{k}" for k in range(60)]}, "medium", "has 60 levels, at most 50"),
    ({"medium": ["a", "b"] * 30}, "heat", "no column 'heat' for the environment; there are: medium"),
    (
        {"medium": ["a", "b"] * 30, "again": [1, 2] * 30},
        ["medium", "again"],
        "environment 'again' is a linear combination of medium; nothing tells them apart",
    ),
    ({"medium": [*range(59), np.inf]}, "medium", "is not a finite number"),
    ({"medium": ["1", "2", "3"] * 19 + ["4", "5", "x"]}, "medium", "is 'x' among numbers"),
]


@pytest.mark.parametrize(("columns", "names", "said"), REFUSED)
def test_what_is_no_environment_is_refused_in_a_line(plain, columns, names, said):
    with pytest.raises(InputError, match=said):
        genoattn.with_environments(plain, frame(plain, **columns), names)


def test_a_value_far_from_all_others_is_refused():
    texts = tuple(map(str, [0.0, 1.0] * 10_000 + [1e9]))
    table = SampleTable(Path("t.tsv"), tuple(f"s{k}" for k in range(20_001)), {"heat": texts})
    with pytest.raises(InputError, match=r"'heat' has values from 0 to 1e\+09 and .* correct what is so far"):
        plan_environments(table, ["heat"], np.arange(20_001))


def test_a_name_of_a_site_is_refused(plain):
    name = plain.sites.ids[0]
    with pytest.raises(InputError, match="has the name of a site of the genotypes; rename the column"):
        genoattn.with_environments(plain, frame(plain, **{name: ["a", "b"] * 30}), name)


def test_a_copy_of_a_covariate_is_refused(tmp_path):
    vcf, pheno, covar, *_ = write_environment_files(tmp_path, n=60, n_sites=5)
    table = pd.read_csv(covar, sep="\t").assign(batch=lambda t: (t["medium"] == "glycerol").astype(int))
    with pytest.raises(InputError, match="environment 'medium' is a linear combination of age, batch"):
        genoattn.read(vcf, pheno, covar=table, environment="medium")
    with pytest.raises(InputError, match="an environment is a column of the covariate table"):
        genoattn.read(vcf, pheno, environment="medium")


def test_sequences_are_refused_with_the_cure(tmp_path):
    fasta, table = tmp_path / "a.fasta", tmp_path / "t.tsv"
    fasta.write_text("".join(f">s{k}\n{'ACGT'[k % 4]}{'AC'[k % 2]}\n" for k in range(8)))
    table.write_text("IID\ty\tm\n" + "".join(f"s{k}\t{k}\t{'ab'[k % 2]}\n" for k in range(8)))
    with pytest.raises(InputError, match="one more letter of each sequence"):
        genoattn.read(fasta, table, "y", covar=table, environment="m")


def test_a_chromosome_of_that_name_is_refused(tmp_path):
    from vcf_files import record, write_vcf

    rows = [record(["0/0", "0/1", "1/1"], chrom=ENVIRONMENT, pos=10)]
    vcf = write_vcf(tmp_path / "a.vcf", ["a", "b", "c"], rows)
    with pytest.raises(InputError, match="a chromosome is called environment"):
        genoattn.read(vcf)


def test_fixed_effects_are_covariates_then_environments():
    cohort, _, _ = environment_cohort("three", n=100, n_sites=5)
    fixed = cohort.fixed_effects
    assert fixed.names == ("age", "medium=glycerol", "medium=maltose")
    np.testing.assert_array_equal(fixed.values[:, 1:], cohort.calls[:, -2:])
    half = cohort.select_samples(np.arange(50)).select_sites(np.array([0, 6]))
    assert half.fixed_effects.names == ("age", "medium=maltose")
