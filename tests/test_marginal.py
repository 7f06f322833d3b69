"""Marginal epistasis: the statistic and its null distribution against definitions, calibration, power."""

from dataclasses import replace

import numpy as np
import oracles_marginal as oracle
import pytest
from scipy.stats import chi2

import genoattn
from genoattn.cohort import Cohort, Covariates, Phenotype, Sites
from genoattn.inference.chi_squared_mixture import ChiSquaredMixture
from genoattn.inference.marginal_design import make_marginal_design, standardised_columns
from genoattn.inference.marginal_null import MarginalDesign, marginal_scores

NO_DRAWS = np.zeros((2, 0, 0))


def cohort_of(calls, trait, chrom=None, pos=None, binary=False, covariates=None):
    n = calls.shape[1]
    chrom = np.arange(n).astype(str) if chrom is None else chrom
    pos = np.arange(n) + 1 if pos is None else pos
    states = (("A/A", "A/G", "G/G"),) * n
    sites = Sites([f"s{k}" for k in range(n)], chrom, pos, ["A"] * n, ["G"] * n, states)
    samples = np.array([f"i{k}" for k in range(len(calls))], dtype=object)
    return Cohort(
        samples,
        sites,
        calls.astype(np.int8),
        phenotype=Phenotype("trait", trait, binary),
        covariates=covariates,
    )


def independent_calls(rng, n, n_sites):
    return rng.binomial(2, rng.uniform(0.1, 0.5, n_sites), (n, n_sites)).astype(np.int8)


def standardised(calls):
    return standardised_columns(calls)[0].astype(float).T


def hub_cohort(seed, n=1500, n_sites=120, n_partners=60, share=0.1, **more):
    """A site with weak interactions with many, effects normal and of a known expected variance."""
    rng = np.random.default_rng(seed)
    calls = independent_calls(rng, n, n_sites)
    x = standardised(calls)
    effects = rng.normal(0, np.sqrt(share / n_partners), n_partners)
    trait = x[:, 0] * (x[:, 1 : 1 + n_partners] @ effects) + 0.3 * x[:, 100] - 0.3 * x[:, 0]
    return cohort_of(calls, trait + np.sqrt(0.9 - share) * rng.standard_normal(n), **more)


@pytest.fixture(scope="module")
def small():
    """A cohort of linked sites on three chromosomes, with missing calls and two alleles of one record."""
    rng = np.random.default_rng(3)
    base = independent_calls(rng, 40, 13)
    calls = np.where(rng.random(base.shape) < 0.6, base, np.roll(base, 1, axis=1))
    calls[rng.random(calls.shape) < 0.05] = -1
    chrom = np.repeat(["1", "2", "3"], [6, 4, 3])
    pos = np.array([1, 2, 3, 9, 20, 21, 5, 5, 30, 31, 1, 50, 51]) * 100_000
    cohort = cohort_of(calls, rng.standard_normal(40), chrom, pos)
    states = cohort.sites.states[:6] + (("*/*", "*/G", "G/G"),) * 2 + cohort.sites.states[8:]
    alt = np.where(np.arange(13) == 7, "T", cohort.sites.alt)
    return replace(cohort, sites=replace(cohort.sites, states=states, alt=alt))


def test_a_case_by_hand():
    x = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=np.float32)
    r = np.array([1.0, -1, 1, -1])
    all_of, place = np.ones(3, dtype=bool), np.arange(3)
    design = MarginalDesign(x, r, all_of, all_of, place, place, place, 0)
    scores = marginal_scores(design, NO_DRAWS, 0)
    # Site 0: w = (1, -1, -1, 1), its scores are 0 with site 1 and 4 with site 2, and the samples' own
    # squares are 4 in each: ((0 - 4) + (16 - 4)) / 2 = 4. Site 1 has the residual as its own effect: w = 0.
    np.testing.assert_allclose(scores.statistic[:2], [4, 0], atol=1e-6)
    np.testing.assert_allclose(scores.scale[:2], [4, 0], atol=1e-6)


@pytest.mark.parametrize("mask_distance", [0, 150_000, 1_000_000])
@pytest.mark.parametrize("with_sites", [None, "s0,s1,s6,s7,s8,s11"])
def test_statistics_and_variances_are_those_of_the_definition(small, mask_distance, with_sites):
    design, trait = make_marginal_design(small, None, with_sites, mask_distance, 0, 0)
    scores = marginal_scores(design, trait.drawn, 0)
    r = design.residual
    for k in range(small.n_sites):
        allowed = oracle.partners(design, k)
        assert scores.n_partners[k] == len(allowed)
        if not allowed:
            continue
        value, scale = oracle.statistic(design, k)
        np.testing.assert_allclose(
            [scores.statistic[k], scores.scale[k]], [value, scale], rtol=1e-4, atol=1e-4
        )
        matrix = oracle.off_diagonal(design, k, r)
        np.testing.assert_allclose(scores.variance[k] * (r @ r) ** 2, 2 * (matrix**2).sum(), rtol=1e-3)


def test_columns_are_residuals_and_missing_calls_their_mean(small):
    columns, varies = standardised_columns(small.calls)
    for k, row in enumerate(columns):
        called = small.calls[:, k] >= 0
        dosage = np.where(called, small.calls[:, k], small.calls[called, k].mean())
        np.testing.assert_allclose(row, (dosage - dosage.mean()) / dosage.std(), atol=1e-5)
    assert varies.all()


@pytest.mark.parametrize("weights", [[3, 1, 1, 0.5, 0.5, 0.5], [1] * 30, np.geomspace(1, 0.01, 80)])
def test_the_tail_of_a_mixture_is_that_of_its_inversion(weights):
    weights = np.asarray(weights, dtype=float)
    deviation = np.sqrt(2 * (weights**2).sum())
    values = np.array([-1.0, 0, 1, 2, 4, 6]) * deviation
    exact = [oracle.mixture_tail(weights, value) for value in values]
    large, rest = weights[:10], weights[10:]
    whole = ChiSquaredMixture(weights, 0.0, 0.0).upper_tail(values)
    matched = ChiSquaredMixture(large, (rest**2).sum(), (rest**3).sum()).upper_tail(values)
    np.testing.assert_allclose(whole[1:], exact[1:], rtol=0.08)
    np.testing.assert_allclose(matched[1:], exact[1:], rtol=0.08)
    np.testing.assert_allclose(whole[0], exact[0], atol=0.03)


def test_a_normal_rest_has_the_tail_of_a_normal_variable():
    p = ChiSquaredMixture(np.zeros(0), 0.5, 0.0).upper_tail(np.array([-1.96, 0.0, 1.6449, 3.0902]))
    np.testing.assert_allclose(p, [0.975, 0.5, 0.05, 0.001], rtol=1e-3)


def test_p_values_are_those_of_the_exact_mixture():
    rng = np.random.default_rng(5)
    calls = np.repeat(independent_calls(rng, 120, 8), 3, axis=1)
    flips = rng.random(calls.shape) < 0.2
    calls[flips] = independent_calls(rng, 120, 24)[flips]
    cohort = cohort_of(calls, rng.standard_normal(120), np.repeat(np.arange(8), 3).astype(str))
    design, _ = make_marginal_design(cohort, None, None, 1_000_000, 0, 0)
    p = marginal_scores(design, NO_DRAWS, 0).p_value
    exact = np.array([oracle.exact_p_value(design, k) for k in range(24)])
    np.testing.assert_allclose(p, exact, atol=0.02)
    assert np.corrcoef(p, exact)[0, 1] > 0.999


def test_the_textbook_test_with_dense_matrices_agrees():
    cohort = hub_cohort(1, n=400, n_sites=110, share=0.35)
    columns = standardised_columns(cohort.calls)[0]
    trait = cohort.phenotype.values
    result = genoattn.scan_marginal(cohort, n_components=0).frame.set_index("site")
    sites = [0, 5, 20, 40, 60, 80, 105]
    every = np.arange(110)
    dense = [oracle.dense_mapit(columns, trait, k, every[every != k], 0.1 / 110, 0.9) for k in sites]
    ours = result.loc[[f"s{k}" for k in sites], "p_value"]
    assert dense[0] < 1e-3
    assert ours.iloc[0] < 1e-3
    assert np.corrcoef(np.log10(dense), np.log10(ours))[0, 1] > 0.9


def test_orders_and_alleles_do_not_matter(small):
    base = genoattn.scan_marginal(small, mask_distance=150_000, n_components=0)
    rng = np.random.default_rng(0)
    flipped = np.where(small.calls >= 0, 2 - small.calls, -1).astype(np.int8)
    sites, samples = rng.permutation(small.n_sites), rng.permutation(small.n_samples)
    others = [
        replace(small, calls=flipped),
        small.select_sites(sites),
        small.select_samples(samples),
    ]
    names = ["statistic", "variance_explained", "n_partners"]
    for other in others:
        found = genoattn.scan_marginal(other, mask_distance=150_000, n_components=0)
        shift = found.counts["relatives"] - base.counts["relatives"]
        a, b = (r.frame.set_index("site").sort_index()[names].astype(float) for r in (base, found))
        np.testing.assert_allclose(a["statistic"] - shift, b["statistic"], rtol=1e-3, atol=2e-3)
        assert (a["n_partners"] == b["n_partners"]).all()


@pytest.mark.parametrize("kind", ["normal", "heavy", "binary", "covariates"])
def test_p_values_are_uniform_where_effects_are_additive(kind):
    """4,000 tests of 100 linked sites a trait; the standard error of the share below 0.05 is 0.4 %."""
    p = []
    for seed in range(40):
        rng = np.random.default_rng([seed, 11])
        base = independent_calls(rng, 300, 100)
        calls = np.where(rng.random(base.shape) < 0.7, base[:, np.arange(100) // 5 * 5], base)
        calls[rng.random(calls.shape) < 0.03] = -1
        x = standardised(calls)
        value = x[:, rng.choice(100, 10, replace=False)] @ rng.choice([-1, 1], 10) / np.sqrt(10)
        noise = rng.standard_t(3, 300) / 2 if kind == "heavy" else rng.standard_normal(300)
        trait, covariates = value + noise, None
        if kind == "covariates":
            values = np.column_stack([rng.standard_normal(300), calls[:, 3] + rng.standard_normal(300)])
            covariates = Covariates(("age", "dose"), values)
            trait = trait + values @ [1.0, 2.0]
        if kind == "binary":
            trait = (trait > 0.8).astype(float)
        chrom = (np.arange(100) // 5).astype(str)
        cohort = cohort_of(calls, trait, chrom, binary=kind == "binary", covariates=covariates)
        p.append(genoattn.scan_marginal(cohort).frame["p_value"].to_numpy())
    p = np.concatenate(p)
    assert 0.038 < (p < 0.05).mean() < 0.062
    assert (p < 0.01).mean() < 0.016
    assert abs(chi2.isf(np.median(p), 1) / chi2.ppf(0.5, 1) - 1) < 0.12


def test_a_hub_that_no_pair_shows_comes_first():
    shares = []
    for seed in range(6):
        cohort = hub_cohort(seed)
        result = genoattn.scan_marginal(cohort)
        first = result.frame.iloc[0]
        assert first["site"] == "s0"
        assert first["q_value"] < 0.01
        shares.append(first["variance_explained"])
    assert abs(np.mean(shares) - 0.1) < 0.025


def test_a_hub_of_a_binary_trait_comes_first():
    cohort = hub_cohort(2, n=2500, share=0.3)
    status = (cohort.phenotype.values > 0.8).astype(float)
    result = genoattn.scan_marginal(replace(cohort, phenotype=Phenotype("status", status, True)))
    assert result.frame.iloc[0]["site"] == "s0"
    assert result.frame.iloc[0]["q_value"] < 0.01
    assert result.manifest.binary
    assert "case status" in result.manifest.units


def test_partners_named_make_a_sharper_test():
    cohort = hub_cohort(4, share=0.04)
    named = ",".join(f"s{k}" for k in range(1, 61))
    every = genoattn.scan_marginal(cohort, sites="s0").frame.iloc[0]
    some = genoattn.scan_marginal(cohort, sites="s0", with_sites=named).frame.iloc[0]
    assert (every["n_partners"], some["n_partners"]) == (119, 60)
    assert some["p_value"] < every["p_value"]


def test_the_mean_that_siblings_cause_is_subtracted():
    means, p = [], []
    for seed in range(6):
        rng = np.random.default_rng([seed, 2])
        parents = independent_calls(rng, 600, 60).reshape(300, 2, 60)
        carried = rng.random((300, 2, 2, 60)) < parents[:, None] / 2  # of each child by each parent
        calls = carried.sum(axis=2).reshape(600, 60)
        identical = np.repeat(calls[::2], 2, axis=0)  # twins: as related as can be
        x = standardised(identical)
        trait = x @ rng.normal(0, 0.12, 60) + 0.5 * rng.standard_normal(600)
        result = genoattn.scan_marginal(cohort_of(identical, trait))
        means.append(result.counts["relatives"])
        p.append(result.frame["p_value"])
    assert max(means) < -0.1
    assert abs(np.concatenate([q < 0.5 for q in p]).mean() - 0.5) < 0.12
    assert "related" in result.summary()


def test_sites_that_cannot_be_tested_have_a_row_without_numbers(small):
    calls = small.calls.copy()
    calls[:, 2] = 1
    result = genoattn.scan_marginal(replace(small, calls=calls), n_components=0)
    last = result.frame.iloc[-1]
    assert last["site"] == "s2"
    assert np.isnan(last["p_value"])
    assert (result.counts["n_tests"], result.counts["n_untestable"], len(result)) == (12, 1, 13)
    assert "s2" not in result.summary(20)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"phenotype": None}, {}, "no phenotype; read it with pheno=TABLE"),
        ({}, {"mask_distance": -1}, "mask_distance is -1; give a number of bases"),
        ({}, {"n_components": -1}, "n_components is -1; it must be 0 or more"),
        ({}, {"threads": 0}, "threads is 0; it must be 1 or more"),
        ({}, {"sites": "s1", "with_sites": "s0"}, "no site has a partner.*lower --mask-distance"),
        ({}, {"sites": "s99"}, "site set 's99': no site with this ID"),
    ],
)
def test_mistakes_are_refused(small, change, options, message):
    with pytest.raises(genoattn.InputError, match=message):
        genoattn.scan_marginal(replace(small, **change), **options)


def test_too_few_samples_for_the_covariates_are_refused(small):
    names = tuple(f"c{k}" for k in range(28))
    values = np.random.default_rng(0).standard_normal((40, 28))
    with pytest.raises(
        genoattn.InputError, match=r"40 samples for 28 covariates and 4 components; .*at least 43"
    ):
        genoattn.scan_marginal(replace(small, covariates=Covariates(names, values)))


def test_sequences_are_refused():
    sites = Sites(["a", "b"], [""] * 2, [1, 2], ["A"] * 2, [""] * 2, (("A", "C"),) * 2)
    trait = Phenotype("y", np.arange(4.0))
    cohort = Cohort(list("wxyz"), sites, np.zeros((4, 2), dtype=np.int8), "sequence", trait)
    with pytest.raises(genoattn.InputError, match="aligned sequences; scan their pairs instead"):
        genoattn.scan_marginal(cohort)
