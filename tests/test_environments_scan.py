"""Pairs and triples with an environment against one regression each."""

from dataclasses import replace

import numpy as np
import pytest
from environment_files import environment_cohort
from oracles_scan import term_regression

import genoattn
from genoattn.errors import InputError


def rows_with(frame, order, name="medium"):
    sites = frame[[f"site_{k}" for k in range(1, order + 1)]]
    return frame[sites.apply(lambda column: column.str.startswith(name)).any(axis=1)]


def places(cohort, row, order):
    ids = cohort.sites.ids.tolist()
    return [ids.index(row[f"site_{k}"]) for k in range(1, order + 1)]


def expected(cohort, sites):
    """The regression of a term, adjusted for covariates and the environments that are not in it."""
    fixed = cohort.fixed_effects
    others = [name not in cohort.sites.ids[sites] for name in fixed.names]
    return term_regression(
        cohort.calls, sites, cohort.phenotype.values, fixed.values[:, others], cohort.phenotype.binary
    )


@pytest.mark.parametrize("kind", ["two", "three", "number"])
@pytest.mark.parametrize("order", [2, 3])
def test_every_term_is_the_regression_with_all_environments(kind, order):
    cohort, _, _ = environment_cohort(kind, n=150, n_sites=6)
    scan = genoattn.scan_pairs if order == 2 else genoattn.scan_triples
    result = scan(cohort, 1.0)
    n_environments = int(cohort.sites.is_environment.sum())
    n_terms = {2: 15 + 6 * n_environments, 3: 20 + 15 * n_environments}[order]
    assert len(result) == result.counts["n_tests"] == n_terms
    assert result.counts["n_untestable"] == 0
    for _, row in result.frame.iterrows():
        effect, se, t, p, n = expected(cohort, places(cohort, row, order))
        np.testing.assert_allclose([row["coefficient"], row["statistic"]], [effect, t], rtol=1e-6)
        np.testing.assert_allclose([row["se"], row["p_value"], row["n_samples"]], [se, p, n], rtol=1e-6)


@pytest.mark.parametrize("kind", ["two", "number"])
def test_screens_lose_nothing(kind):
    cohort, _, _ = environment_cohort(kind, n=400, n_sites=25, seed=3, effect=0.2)
    every = genoattn.scan_pairs(cohort, 1.0).frame
    some = genoattn.scan_pairs(cohort, 0.019).frame
    assert len(some) == (every["p_value"] <= 0.019).sum() > 0
    np.testing.assert_allclose(some["statistic"], every["statistic"].head(len(some)), rtol=1e-9)


def test_a_binary_trait():
    cohort, _, _ = environment_cohort("two", n=300, n_sites=5, binary=True)
    for _, row in rows_with(genoattn.scan_pairs(cohort, 1.0).frame, 2).iterrows():
        effect, _, _, p, _ = expected(cohort, places(cohort, row, 2))
        np.testing.assert_allclose([row["coefficient"], row["p_value"]], [effect, p], rtol=1e-4)


def test_missing_genotypes_are_complete_cases():
    cohort, _, _ = environment_cohort("number", n=200, n_sites=5)
    calls = cohort.calls.copy()
    calls[:20, 0] = -1
    cohort = replace(cohort, calls=calls)
    for _, row in rows_with(genoattn.scan_pairs(cohort, 1.0).frame, 2).iterrows():
        sites = places(cohort, row, 2)
        called = cohort.select_samples((calls[:, sites] >= 0).all(axis=1))
        effect, _, t, _, n = expected(called, sites)
        np.testing.assert_allclose([row["coefficient"], row["statistic"]], [effect, t], rtol=1e-6)
        assert row["n_samples"] == n


@pytest.mark.parametrize("encoding", ["dosage", "genotype"])
def test_sets_of_sites(encoding):
    cohort, _, _ = environment_cohort("two", n=200, n_sites=6)
    sites = cohort.sites.ids[:2].tolist()
    how = {"encoding": encoding}
    every = rows_with(genoattn.scan_pairs(cohort, 1.0, **how).frame, 2)
    alone = genoattn.scan_pairs(cohort, 1.0, sites="medium", **how).frame
    assert len(alone) == len(every)
    assert len(rows_with(alone, 2)) == len(alone)
    some = genoattn.scan_pairs(cohort, 1.0, sites=sites, with_sites="environment", **how).frame
    assert set(some["site_1"]) == set(sites)
    assert set(some["site_2"]) == {"medium"}


def test_triples_that_hold_sites_or_pairs():
    cohort, _, _ = environment_cohort("two", n=200, n_sites=8)
    a, b, c, d = cohort.sites.ids[:4].tolist()
    every = genoattn.scan_triples(cohort, 1.0).frame
    names = [frozenset(t) for t in every[["site_1", "site_2", "site_3"]].to_numpy().tolist()]
    value = dict(zip(names, every["statistic"], strict=True))
    for held, options in (
        ([{"medium"}], {"sites": "medium"}),
        ([{a}], {"sites": a}),
        ([{a, b}], {"pairs": [(a, b)]}),
        ([{a, "medium"}], {"pairs": [(a, "medium")]}),
        ([{a, "medium"}, {a, b}, {c, d}], {"pairs": [(a, "medium"), (a, b), (c, d)]}),
        ([{a}, {b, c}], {"sites": a, "pairs": [(b, c)]}),
    ):
        found = genoattn.scan_triples(cohort, 1.0, **options)
        sets = [frozenset(t) for t in found.frame[["site_1", "site_2", "site_3"]].to_numpy().tolist()]
        wanted = {name for name in names if any(part <= name for part in held)}
        assert len(sets) == len(set(sets)) == found.counts["n_tests"]
        assert set(sets) == wanted
        np.testing.assert_allclose(found.frame["statistic"], [value[name] for name in sets], rtol=1e-9)


def test_two_environments_are_not_paired_and_stay_in_each_others_tests():
    cohort, table, _ = environment_cohort("two", n=200, n_sites=5)
    heat = table.assign(heat=np.random.default_rng(1).normal(size=200))
    genome = cohort.select_sites(~cohort.sites.is_environment)
    both = genoattn.with_environments(genome, heat, ["medium", "heat"])
    frame = genoattn.scan_pairs(both, 1.0).frame
    assert len(frame) == 10 + 2 * 5
    for _, row in frame.iterrows():
        effect, _, t, _, _ = expected(both, places(both, row, 2))
        np.testing.assert_allclose([row["coefficient"], row["statistic"]], [effect, t], rtol=1e-6)


def test_permutations_take_all_parts():
    cohort, _, _ = environment_cohort("two", n=200, n_sites=10, effect=0.0)
    found = genoattn.scan_pairs(cohort, 1e-3, permutations=50, seed=1).counts["permutation_t"]
    alone = genoattn.scan_pairs(cohort, 1e-3, permutations=50, seed=1, sites="medium").counts["permutation_t"]
    assert 2 < alone < found < 6
    binary, _, _ = environment_cohort("two", n=200, n_sites=10, binary=True)
    with pytest.raises(InputError, match="permutations of a binary trait know no environments"):
        genoattn.scan_pairs(binary, permutations=2)


def test_a_number_has_no_states():
    cohort, _, _ = environment_cohort("number", n=100, n_sites=5)
    with pytest.raises(InputError, match="needs hard calls, and an environment is a number; use dosage"):
        genoattn.scan_pairs(cohort, encoding="genotype")


@pytest.mark.parametrize(("kind", "noise"), [("two", 1.0), ("number", 1.0), ("two", 1.5)])
def test_p_values_are_uniform_without_interactions(kind, noise):
    p_values = []
    for seed in range(1, 16):
        cohort, _, _ = environment_cohort(kind, seed, n=300, n_sites=20, effect=0.0, noise=noise)
        p_values += genoattn.scan_pairs(cohort, 1.0, sites="medium").frame["p_value"].tolist()
    share = np.mean(np.array(p_values) < 0.05)
    assert abs(share - 0.05) < 4 * np.sqrt(0.05 * 0.95 / len(p_values))
