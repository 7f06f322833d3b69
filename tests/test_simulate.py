"""Simulated cohorts: what was asked for is what is there."""

import math
import shutil
import subprocess
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
import statsmodels.api as sm

from genoattn.simulate import (
    ARCHITECTURES,
    Simulation,
    SimulationConfig,
    genotypes,
    simulate_cohort,
    write_simulation,
)
from genoattn.simulate.architecture import largest_r2
from genoattn.simulate.effects import term_product


@pytest.fixture(scope="module")
def simulations() -> dict[str, Simulation]:
    """One of each architecture on the same genotypes."""
    return {name: simulate_cohort(architecture=name, seed=3) for name in ARCHITECTURES}


def terms_of(simulation: Simulation, order: int) -> list[tuple[tuple[int, ...], float]]:
    """Site indices and coefficient of the truth's rows of an order."""
    index = {site: i for i, site in enumerate(simulation.cohort.sites.ids)}
    rows = simulation.truth[simulation.truth["order"] == order]
    sites = [tuple(index[row[f"site_{k}"]] for k in range(1, order + 1)) for _, row in rows.iterrows()]
    return list(zip(sites, rows["coefficient"], strict=True))


def product_oracle(simulation: Simulation, sites: tuple[int, ...]) -> np.ndarray:
    """Product of dosage less mean, sample by sample, from the definition."""
    calls = simulation.cohort.calls
    mean = {s: sum(calls[:, s].tolist()) / len(calls) for s in sites}
    return np.array([math.prod(float(row[s]) - mean[s] for s in sites) for row in calls])


def lower_terms(simulation: Simulation, sites: tuple[int, ...]) -> np.ndarray:
    """Columns: the intercept and every product of fewer of the sites."""
    subsets = [s for size in range(1, len(sites)) for s in combinations(sites, size)]
    return sm.add_constant(np.stack([product_oracle(simulation, s) for s in subsets], axis=1))


def test_product_by_hand() -> None:
    # Means 1 and 0.5: (0-1)(0-.5) = .5, (1-1)(..) = 0, (2-1)(2-.5) = 1.5, (1-1)(..) = 0.
    dosage = np.array([[0, 0], [1, 0], [2, 2], [1, 0]], dtype=np.int8)
    np.testing.assert_allclose(term_product(dosage, (0, 1)), [0.5, 0.0, 1.5, 0.0])
    np.testing.assert_array_equal(term_product(dosage, ()), np.ones(4))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_truth_adds_up_to_the_genetic_value(name: str, simulations: dict[str, Simulation]) -> None:
    simulation = simulations[name]
    value = np.zeros(simulation.cohort.n_samples)
    for order in range(simulation.truth["order"].max() + 1):
        for sites, coefficient in terms_of(simulation, order):
            value += coefficient * (product_oracle(simulation, sites) if sites else 1.0)
    np.testing.assert_allclose(simulation.genetic_value, value, atol=1e-12)
    assert (value.std() > 0) == (name != "null")
    assert simulation.cohort.phenotype is not None
    assert simulation.cohort.phenotype.values.var() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "order", "share"), [("pairs", 2, 0.04), ("hub", 2, 0.01), ("triple", 3, 0.2 / 3)]
)
def test_each_term_explains_its_share(
    name: str, order: int, share: float, simulations: dict[str, Simulation]
) -> None:
    terms = terms_of(simulations[name], order)
    assert len(terms) == round(0.2 / share)
    for sites, coefficient in terms:
        pure = (
            sm.OLS(product_oracle(simulations[name], sites), lower_terms(simulations[name], sites))
            .fit()
            .resid
        )
        assert (coefficient * pure).var() == pytest.approx(share, rel=1e-9)
    stated = simulations[name].truth.query("order == @order")["variance_explained"]
    np.testing.assert_allclose(stated, share, rtol=1e-9)


def test_modules_explain_the_share_together(simulations: dict[str, Simulation]) -> None:
    terms = terms_of(simulations["modules"], 2)
    assert len(terms) == 100
    total = sum(c * product_oracle(simulations["modules"], sites) for sites, c in terms)
    involved = sorted({s for sites, _ in terms for s in sites})
    lower = sm.add_constant(simulations["modules"].cohort.calls[:, involved].astype(float))
    assert sm.OLS(total, lower).fit().resid.var() == pytest.approx(0.2, rel=1e-9)


def test_modules_are_two_complete_pathways_of_rank_one(simulations: dict[str, Simulation]) -> None:
    terms = dict(terms_of(simulations["modules"], 2))
    weights = np.zeros((200, 200))
    for (a, b), c in terms.items():
        weights[a, b] = weights[b, a] = c
    involved = np.flatnonzero(weights.any(axis=0))
    assert len(involved) == 20
    assert (np.count_nonzero(weights[involved], axis=1) == 10).all()
    singular = np.linalg.svd(weights, compute_uv=False)  # u v' + v u' has two equal singular values
    np.testing.assert_allclose(singular[1:4] / singular[0], [1, 0, 0], atol=1e-9)


def test_hub_is_in_every_term(simulations: dict[str, Simulation]) -> None:
    sites = [set(s) for s, _ in terms_of(simulations["hub"], 2)]
    assert len(set.intersection(*sites)) == 1
    assert len(set.union(*sites)) == 21
    third_order = simulate_cohort(architecture="hub", order=3, n_terms=4, seed=1)
    sites = [set(s) for s, _ in terms_of(third_order, 3)]
    assert len(set.intersection(*sites)) == 1
    assert len(set.union(*sites)) == 9


def test_additive_share_is_that_of_the_sum(simulations: dict[str, Simulation]) -> None:
    assert simulations["additive"].genetic_value.var() == pytest.approx(0.2, rel=1e-12)
    assert len(terms_of(simulations["additive"], 1)) == 20
    assert simulations["additive"].truth["order"].max() == 1


@pytest.mark.parametrize("name", ["pairs", "triple"])
def test_pure_terms_have_no_lower_order_effect_in_the_sample(name: str) -> None:
    simulation = simulate_cohort(architecture=name, n_terms=1, additive_variance=0, seed=5)
    ((sites, coefficient),) = terms_of(simulation, 2 if name == "pairs" else 3)
    lower = lower_terms(simulation, sites)
    covariance = lower.T @ simulation.genetic_value / len(lower)
    np.testing.assert_allclose(covariance, 0, atol=1e-12)
    # The bare product has one by chance, so the test would see it.
    bare = lower.T @ (coefficient * product_oracle(simulation, sites)) / len(lower)
    assert np.abs(bare).max() > 1e-4


@pytest.mark.parametrize("name", ["pairs", "triple", "hub"])
def test_least_squares_recovers_the_coefficients(name: str) -> None:
    simulation = simulate_cohort(
        architecture=name, n_samples=4000, n_terms=4, interaction_variance=0.3, seed=2
    )
    terms = [t for order in range(1, 4) for t in terms_of(simulation, order)]
    design = sm.add_constant(np.stack([term_product(simulation.cohort.calls, s) for s, _ in terms], axis=1))
    assert simulation.cohort.phenotype is not None
    fit = sm.OLS(simulation.cohort.phenotype.values, design).fit()
    z = (fit.params[1:] - [c for _, c in terms]) / fit.bse[1:]
    assert np.abs(z).max() < 4
    assert 0.5 < (z**2).mean() < 1.8  # the noise is there, and is as large as the fit says
    planted = np.array([len(s) for s, _ in terms]) == max(len(s) for s, _ in terms)
    assert planted.sum() == 4
    assert np.abs(fit.tvalues[1:][planted]).min() > 10


def test_term_variances_are_one_each() -> None:
    shares = (0.05, 0.05, 0.05, 0.02, 0.02)
    simulation = simulate_cohort(term_variances=shares, seed=4)
    np.testing.assert_allclose(
        np.sort(simulation.truth.query("order == 2")["variance_explained"]), sorted(shares)
    )


@pytest.mark.parametrize("name", ["pairs", "triple", "hub", "modules"])
def test_interacting_sites_are_common_unlinked_and_identifiable(
    name: str, simulations: dict[str, Simulation]
) -> None:
    simulation = simulations[name]
    cohort = simulation.cohort
    order = 3 if name == "triple" else 2
    r2 = np.corrcoef(cohort.calls, rowvar=False) ** 2
    np.fill_diagonal(r2, 0)
    frequency = cohort.calls.mean(axis=0) / 2
    terms = [sites for sites, _ in terms_of(simulation, order)]
    for sites in terms:
        assert len(set(cohort.sites.chrom[list(sites)])) == order
    causal = sorted({s for sites in terms for s in sites})
    assert np.minimum(frequency, 1 - frequency)[causal].min() >= 0.1
    assert r2[causal].max() < 0.9
    assert r2.max() > 0.9  # so that the limit excluded something
    assert len(cohort.log) == 1


def test_rarer_sites_are_taken_and_said_where_too_few_are_common() -> None:
    simulation = simulate_cohort(n_sites=10, n_additive=0, linkage="none", seed=1)
    frequency = simulation.cohort.calls.mean(axis=0) / 2
    assert np.minimum(frequency, 1 - frequency).min() < 0.1
    assert "drawn from minor allele frequency 0.05: too few at 0.1" in simulation.cohort.log[1]
    assert len(terms_of(simulation, 2)) == 5


def test_largest_r2_against_the_correlation_matrix() -> None:
    dosage = np.random.default_rng(0).integers(0, 3, size=(50, 1100)).astype(np.int8)
    dosage[:, 1090] = 2 - dosage[:, 7]
    r2 = np.corrcoef(dosage, rowvar=False) ** 2
    np.fill_diagonal(r2, 0)
    index = np.array([7, 3, 1050])
    np.testing.assert_allclose(largest_r2(dosage, index), r2[index].max(axis=1), atol=1e-5)
    assert largest_r2(dosage, index)[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("linkage", "low", "high"), [("msprime", 0.15, 0.8), ("none", 0.0, 0.005)])
def test_linkage_between_neighbours(linkage: str, low: float, high: float) -> None:
    cohort = simulate_cohort(architecture="null", linkage=linkage, seed=6).cohort
    r2 = np.corrcoef(cohort.calls, rowvar=False) ** 2
    same = cohort.sites.chrom[1:] == cohort.sites.chrom[:-1]
    across = cohort.sites.chrom[:, None] != cohort.sites.chrom
    assert low < np.diag(r2, 1)[same].mean() < high
    assert r2[across].mean() < 0.003


@pytest.mark.parametrize("linkage", ["msprime", "none"])
def test_genotypes(linkage: str) -> None:
    config = SimulationConfig(300, 123, "null", linkage=linkage, maf=0.2, seed=7)
    simulation = simulate_cohort(config)
    cohort = simulation.cohort
    assert (cohort.n_samples, cohort.n_sites) == (300, 123)
    frequency = cohort.calls.mean(axis=0) / 2
    assert np.minimum(frequency, 1 - frequency).min() >= 0.2
    assert sorted(set(cohort.sites.chrom)) == ["1", "2", "3", "4", "5"]
    for i, length in enumerate(simulation.contig_lengths, start=1):
        pos = cohort.sites.pos[cohort.sites.chrom == str(i)]
        assert (np.diff(pos) > 0).all()
        assert 1 <= pos[0] <= pos[-1] <= length
        assert length / len(pos) == 10_000
    assert set(cohort.sites.ref) | set(cohort.sites.alt) <= set("ACGT")
    assert (cohort.sites.ref != cohort.sites.alt).all()
    np.testing.assert_array_equal(simulation.centre, cohort.calls.mean(axis=0))
    heterozygous = (cohort.calls == 1).mean(axis=0)  # Hardy-Weinberg: 2 f (1 - f)
    assert heterozygous.mean() == pytest.approx((2 * frequency * (1 - frequency)).mean(), rel=0.03)


def test_decoded_sites_against_the_tree_sequence() -> None:
    ts = genotypes._ancestry_with_mutations(15, 20_000, np.random.default_rng(0))
    haplotypes = ts.genotype_matrix()  # (site, haplotype), individuals own neighbouring columns
    frequency = haplotypes.mean(axis=1)
    one_mutation = np.array([len(site.mutations) == 1 for site in ts.sites()])
    expected = np.flatnonzero(one_mutation & (frequency >= 0.1) & (frequency <= 0.9))
    assert 3 < len(expected) < ts.num_sites
    np.testing.assert_array_equal(genotypes._biallelic_sites(ts, 0.1), expected)
    dosage, pos, ref, alt = genotypes._decode(ts, expected)
    np.testing.assert_array_equal(dosage, haplotypes[expected].reshape(-1, 15, 2).sum(axis=2))
    np.testing.assert_array_equal(pos, ts.sites_position[expected] + 1)
    assert list(ref) == [ts.site(i).ancestral_state for i in expected]
    assert list(alt) == [ts.site(i).mutations[0].derived_state for i in expected]


def test_seeds() -> None:
    config = SimulationConfig(100, 50, "pairs", missing=0.1, seed=1)
    first, again, other = (
        simulate_cohort(config),
        simulate_cohort(config),
        simulate_cohort(replace(config, seed=2)),
    )
    assert first.cohort.phenotype is not None
    assert again.cohort.phenotype is not None
    np.testing.assert_array_equal(first.cohort.calls, again.cohort.calls)
    np.testing.assert_array_equal(first.cohort.phenotype.values, again.cohort.phenotype.values)
    pd.testing.assert_frame_equal(first.truth, again.truth)
    assert not np.array_equal(first.cohort.calls, other.cohort.calls)
    assert set(first.cohort.sites.ids) != set(other.cohort.sites.ids)


def test_architectures_share_the_genotypes_of_a_seed(simulations: dict[str, Simulation]) -> None:
    for simulation in simulations.values():
        np.testing.assert_array_equal(simulation.cohort.calls, simulations["null"].cohort.calls)
    assert not np.array_equal(simulations["hub"].genetic_value, simulations["pairs"].genetic_value)


def test_binary_trait_has_the_cases_of_highest_liability() -> None:
    quantitative = simulate_cohort(seed=8).cohort.phenotype
    binary = simulate_cohort(seed=8, prevalence=0.13).cohort.phenotype
    assert quantitative is not None
    assert binary is not None
    assert binary.binary
    assert binary.values.sum() == 130
    assert quantitative.values[binary.values == 1].min() > quantitative.values[binary.values == 0].max()


def test_missing_calls_leave_the_phenotype_alone() -> None:
    complete, holed = simulate_cohort(seed=9).cohort, simulate_cohort(seed=9, missing=0.1).cohort
    assert (holed.calls == -1).mean() == pytest.approx(0.1, abs=0.005)
    np.testing.assert_array_equal(holed.calls[holed.calls >= 0], complete.calls[holed.calls >= 0])
    assert holed.phenotype is not None
    assert complete.phenotype is not None
    np.testing.assert_array_equal(holed.phenotype.values, complete.phenotype.values)


def test_truth_schema(simulations: dict[str, Simulation]) -> None:
    truth = simulations["triple"].truth
    per_site = [f"{name}_{k}" for k in (1, 2, 3) for name in ("site", "chrom", "pos", "ref", "state")]
    estimated = ["coefficient_sd", "effect", "se", "statistic", "p_value", "q_value"]
    measures = ["n_samples", "frequency", "variance_explained", "r2_ld", "flag"]
    assert list(truth.columns) == ["order", *per_site, "coefficient", *estimated, *measures]
    assert truth[estimated].isna().all(axis=None)
    assert truth["order"].is_monotonic_increasing
    assert (truth["order"] == 0).sum() == 1
    assert (truth.loc[truth["order"] < 3, "site_3"] == "").all()
    assert truth.loc[truth["order"] < 3, "pos_3"].isna().all()
    assert len(simulations["null"].truth) == 1


def test_truth_row_agrees_with_the_cohort(simulations: dict[str, Simulation]) -> None:
    sites, calls = simulations["pairs"].cohort.sites, simulations["pairs"].cohort.calls
    row = simulations["pairs"].truth.iloc[-1]
    a, b = (list(sites.ids).index(row[f"site_{k}"]) for k in (1, 2))
    assert (row["chrom_1"], row["pos_1"], row["ref_1"], row["state_1"]) == (
        sites.chrom[a],
        sites.pos[a],
        sites.ref[a],
        sites.alt[a],
    )
    assert row["frequency"] == pytest.approx((calls[:, a] / 2 * (calls[:, b] / 2)).mean())
    assert row["r2_ld"] == pytest.approx(np.corrcoef(calls[:, a], calls[:, b])[0, 1] ** 2)
    assert row["n_samples"] == 1000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulation, Path]:
    simulation = simulate_cohort(n_samples=60, n_sites=30, n_terms=2, missing=0.05, seed=10)
    folder = tmp_path_factory.mktemp("simulation") / "made" / "here"
    write_simulation(simulation, folder)
    return simulation, folder


def test_written_genotypes_read_back(written: tuple[Simulation, Path]) -> None:
    simulation, folder = written
    assert sorted(p.name for p in folder.iterdir()) == [
        "cohort.vcf.gz",
        "cohort.vcf.gz.tbi",
        "pheno.tsv",
        "truth.tsv",
    ]
    with pysam.VariantFile(str(folder / "cohort.vcf.gz")) as vcf:
        assert list(vcf.header.samples) == list(simulation.cohort.samples)
        assert [c.length for c in vcf.header.contigs.values()] == list(simulation.contig_lengths)
        assert "##source=genoattn" in str(vcf.header)
        records = list(vcf)
        chromosome_5 = list(vcf.fetch("5"))
    sites = simulation.cohort.sites
    assert [(r.chrom, r.pos, r.ref, *r.alts) for r in records] == list(
        zip(sites.chrom, sites.pos, sites.ref, sites.alt, strict=True)
    )
    assert len(chromosome_5) == (sites.chrom == "5").sum() > 0
    calls = [[-1 if None in s["GT"] else sum(s["GT"]) for s in r.samples.values()] for r in records]
    np.testing.assert_array_equal(np.array(calls).T, simulation.cohort.calls)
    assert (np.array(calls) == -1).any()


def test_written_tables_read_back(written: tuple[Simulation, Path]) -> None:
    simulation, folder = written
    pheno = pd.read_csv(folder / "pheno.tsv", sep="\t", dtype=str)
    assert list(pheno.columns) == ["IID", "trait"]
    assert simulation.cohort.phenotype is not None
    np.testing.assert_array_equal(pheno["trait"].astype(float), simulation.cohort.phenotype.values)
    np.testing.assert_array_equal(pheno["IID"], simulation.cohort.samples)
    truth = pd.read_csv(folder / "truth.tsv", sep="\t", dtype=str)
    assert list(truth.columns) == list(simulation.truth.columns)
    np.testing.assert_array_equal(truth["coefficient"].astype(float), simulation.truth["coefficient"])
    np.testing.assert_array_equal(truth["site_2"].fillna(""), simulation.truth["site_2"])


def test_written_binary_trait_is_0_and_1(tmp_path: Path) -> None:
    write_simulation(
        simulate_cohort(n_samples=40, n_sites=10, architecture="null", prevalence=0.25), tmp_path
    )
    lines = (tmp_path / "pheno.tsv").read_text().splitlines()[1:]
    assert sorted(line.split("\t")[1] for line in lines) == ["0"] * 30 + ["1"] * 10


@pytest.mark.skipif(shutil.which("bcftools") is None, reason="bcftools is not installed")
def test_bcftools_reads_the_vcf(written: tuple[Simulation, Path]) -> None:
    _, folder = written
    command = ["bcftools", "query", "-f", "%POS\n", str(folder / "cohort.vcf.gz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.split()) == 30
    assert done.stderr == ""
