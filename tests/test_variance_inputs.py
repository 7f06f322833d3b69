"""Variance components of cohorts that are odd, of relatives, and of input that is refused."""

from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import planted
from variance_cohorts import linked_calls, linked_cohort, variance_cohort

import genoattn
from genoattn import InputError
from genoattn.cohort import Covariates, Phenotype


def with_trait(cohort, values, binary=False):
    return replace(cohort, phenotype=Phenotype("y", np.asarray(values, dtype=float), binary))


def test_columns_and_what_is_said():
    found = genoattn.variance_components(linked_cohort())
    assert found.frame.columns.tolist() == [
        "component", "order", "chrom_1", "chrom_2",
        "share", "se", "p_value", "q_value", "detectable", "n_terms",
    ]  # fmt: skip
    assert found.components["order"].tolist() == [1, 1, 2]
    assert found.components["q_value"].isna().all()
    assert found.pairs["q_value"].between(0, 1).all()
    assert found.pairs["p_value"].is_monotonic_increasing
    assert "additive x additive: " in found.summary()
    assert "pairs of chromosomes: 0 of 6 with q < 0.05" in found.summary()
    assert repr(found) == found.summary()
    assert "additive x additive" in found._repr_html_()


def test_rows_are_saved_as_they_are(tmp_path):
    import pandas as pd

    found = genoattn.variance_components(linked_cohort())
    found.save(tmp_path / "v.tsv")
    frame = pd.read_csv(tmp_path / "v.tsv", sep="\t", dtype={"chrom_1": str, "chrom_2": str})
    np.testing.assert_allclose(frame["share"], found.frame["share"], rtol=1e-5)
    assert frame["chrom_1"].isna().sum() == 3


def test_relatives_are_left_out_unless_asked_for(monkeypatch):
    from genoattn.inference import variance_components as module

    cohort = linked_cohort(n=100)
    groups = np.concatenate([np.arange(90), np.arange(10)])
    monkeypatch.setattr(module, "find_relatives", lambda calls: groups)
    found = genoattn.variance_components(cohort)
    assert found.n_samples == 90
    assert found.log[0] == "10 samples left out as relatives of others, 90 kept"
    same = genoattn.variance_components(cohort.select_samples(np.arange(90)), relatives=True)
    np.testing.assert_array_equal(found.frame["share"], same.frame["share"])
    assert genoattn.variance_components(cohort, relatives=True).n_samples == 100


def test_one_site_has_no_pairs():
    cohort = linked_cohort(n=80, n_sites=6, n_chromosomes=3).select_sites(np.array([0]))
    assert genoattn.variance_components(cohort).frame["component"].tolist() == ["additive", "dominance"]


def test_close_sites_alone_have_no_pairs():
    cohort = linked_cohort(n=80, n_sites=4, n_chromosomes=1)
    found = genoattn.variance_components(cohort)
    assert "additive x additive" not in set(found.frame["component"])
    assert found.log == ("no pairs of sites that are far enough apart: additive x additive is left out",)
    assert "additive x additive" in set(
        genoattn.variance_components(cohort, min_distance=0).frame["component"]
    )


def test_a_chromosome_of_one_site():
    rng = np.random.default_rng(3)
    calls, chrom, pos = linked_calls(rng, 90, 20, n_chromosomes=2)
    chrom = np.array([*chrom[:-1], "9"])
    found = genoattn.variance_components(variance_cohort(calls, chrom, pos, rng.normal(size=90)))
    pairs = {(a, b) for a, b in zip(found.pairs["chrom_1"], found.pairs["chrom_2"], strict=True)}
    assert ("9", "9") not in pairs
    assert ("0", "9") in pairs


def test_sites_without_places_are_pairs_of_all():
    rng = np.random.default_rng(3)
    calls = rng.binomial(2, 0.4, (80, 70))
    cohort = genoattn.Cohort.from_arrays(calls, phenotype=rng.normal(size=80))
    found = genoattn.variance_components(cohort)
    assert found.frame["n_terms"].tolist()[-1] == 70 * 69 // 2
    assert found.log == ("pairs of 70 chromosomes left out: at most 60 are compared",)


def test_two_genotypes_have_no_dominance():
    rng = np.random.default_rng(3)
    calls = 2 * rng.binomial(1, 0.4, (80, 30))
    cohort = genoattn.Cohort.from_arrays(calls, phenotype=rng.normal(size=80))
    assert genoattn.variance_components(cohort, by_chromosome=False).frame["component"].tolist() == [
        "additive",
        "additive x additive",
    ]


def test_dosages_and_binary_traits():
    rng = np.random.default_rng(3)
    calls = np.clip(rng.binomial(2, 0.4, (120, 30)) + rng.normal(0, 0.05, (120, 30)), 0, 2)
    cohort = genoattn.Cohort.from_arrays(calls, phenotype=(rng.random(120) < 0.3).astype(float))
    found = genoattn.variance_components(cohort)
    assert cohort.phenotype.binary
    assert found.components["component"].tolist() == ["additive", "dominance", "additive x additive"]
    assert np.isfinite(found.components[["share", "se", "p_value"]].to_numpy()).all()


def test_the_same_seed_gives_the_same_table():
    cohort = linked_cohort(n=300)
    first, second = (genoattn.variance_components(cohort, seed=4).frame for _ in range(2))
    assert first.equals(second)


def refused(cohort, **how):
    with pytest.raises(InputError) as caught:
        genoattn.variance_components(cohort, **how)
    return str(caught.value)


def test_what_is_refused():
    cohort = linked_cohort(n=60)
    assert refused(planted(kind="sequence")).startswith("variance components need genotypes of a population")
    assert "has no phenotype; read it with pheno=TABLE" in refused(replace(cohort, phenotype=None))
    assert refused(with_trait(cohort, np.full(60, 3.2))).startswith("trait y does not vary")
    own = replace(cohort, covariates=Covariates(("c",), cohort.phenotype.values[:, None]))
    assert "leave out the covariate that is the trait" in refused(own)
    many = replace(cohort, covariates=Covariates(tuple("abc"), np.eye(60)[:, :3]))
    few = many.select_samples(np.arange(22))
    assert "22 samples with 3 covariates leave 18 degrees of freedom" in refused(few)
    fixed = replace(cohort, calls=np.ones_like(cohort.calls))
    assert "no site of the cohort varies" in refused(fixed)
    assert "order 4: variance components are of order 2 or 3" in refused(cohort, order=4)
    assert "min_distance -1: is below 0; give base pairs" in refused(cohort, min_distance=-1)
    empty = cohort.select_sites(np.zeros(0, dtype=int))
    assert "no site of the cohort varies" in refused(empty)
