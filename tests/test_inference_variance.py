"""Variance components of a cohort: kernels, estimates and their moments against dense definitions."""

import numpy as np
import oracles_variance as slow
import pytest
from scipy import stats
from variance_cohorts import linked_calls, linked_cohort, variance_cohort

import genoattn
from genoattn.inference import variance_columns, variance_kernels, variance_matrices, variance_stream
from genoattn.inference.variance_columns import SiteWindows, StandardColumns
from genoattn.inference.variance_kernels import CohortKernels
from genoattn.inference.variance_matrices import KernelMatrices
from genoattn.inference.variance_moments import MomentFit, critical_value, tail
from genoattn.inference.variance_stream import streamed_forms

NAMES = ["additive", "dominance", "additive x additive"]


def kernels_of(cohort, min_distance=1_000_000, order=2):
    columns = StandardColumns(cohort.calls)
    windows = SiteWindows.of(cohort, columns.varies, min_distance)
    return columns, windows, CohortKernels.of(columns, windows, np.arange(cohort.n_samples), order)


def fixed_of(cohort):
    given = [] if cohort.covariates is None else [cohort.covariates.values]
    return np.column_stack([np.ones(cohort.n_samples), *given])


def fit_of(cohort, **how):
    """A MomentFit, the kernels in float64, the fixed effects and the phenotype of a cohort."""
    _, _, found = kernels_of(cohort, **how)
    dense = [kernel.astype(np.float64) for kernel in found.kernels.values()]
    basis = np.linalg.qr(fixed_of(cohort))[0]
    matrices = KernelMatrices.of(found.kernels, basis)
    y = cohort.phenotype.values
    residual = y - basis @ (basis.T @ y)
    return MomentFit.of(matrices.moments, matrices.forms(residual), residual), dense, matrices


# --- columns and kernels


def test_dominance_by_hand():
    # Frequencies 1/4, 1/2, 1/4: dosages -1, 0, 1 over sqrt(1/2).
    columns = StandardColumns(np.array([[0], [1], [1], [2]], dtype=np.int8))
    x, d = columns.of(np.array([0]))
    np.testing.assert_allclose(x[:, 0], np.array([-1, 0, 0, 1]) * 2**0.5, rtol=1e-6)
    np.testing.assert_allclose(d[:, 0], [1, -1, -1, 1], rtol=1e-6)


def test_columns_are_those_of_the_genotype_frequencies():
    calls, _, _ = linked_calls(np.random.default_rng(1), 80, 12, missing=0.1)
    calls[:, 3] = np.where(calls[:, 3] == 1, 2, calls[:, 3])  # two genotypes: no dominance
    columns = StandardColumns(calls)
    additive, dominance = slow.standardised(calls)
    x, d = columns.of(np.flatnonzero(columns.varies))
    np.testing.assert_allclose(x, additive, atol=1e-5)
    np.testing.assert_allclose(np.abs(d), np.abs(dominance), atol=1e-4)
    assert not columns.has_dominance[3]


@pytest.mark.parametrize("min_distance", [0, 1_000_000, 3_000_000])
@pytest.mark.parametrize("block", [5, 4096])
def test_kernels_equal_sums_over_pairs(min_distance, block, monkeypatch):
    monkeypatch.setattr(variance_columns, "_BLOCK", block)
    monkeypatch.setattr(variance_kernels, "_ROWS", 16)
    cohort = linked_cohort(n=50, n_sites=30)
    _, windows, found = kernels_of(cohort, min_distance, order=3)
    x, d = slow.standardised(cohort.calls)
    chrom, pos = cohort.sites.chrom, cohort.sites.pos
    pairs, n_pairs = slow.pair_kernel(x, chrom, pos, min_distance)
    triples, n_triples = slow.triple_kernel(x, chrom)
    expected = {
        "additive": x @ x.T / x.shape[1],
        "dominance": d @ d.T / d.shape[1],
        "additive x additive": pairs,
        "additive x additive x additive": triples,
    }
    assert list(found.kernels) == list(expected)
    for name, kernel in expected.items():
        np.testing.assert_allclose(found.kernels[name], kernel, atol=2e-4, err_msg=name)
    assert found.n_terms["additive x additive"] == n_pairs
    assert found.n_terms["additive x additive x additive"] == n_triples
    assert windows.n_chromosomes == 3


def test_permuted_sites_give_the_same_kernels():
    cohort = linked_cohort(n=40, n_sites=24)
    order = np.random.default_rng(0).permutation(24)
    for a, b in zip(
        kernels_of(cohort)[2].kernels.values(), kernels_of(cohort.select_sites(order))[2].kernels.values(),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(a, b, atol=1e-5)


# --- estimates


@pytest.mark.parametrize("min_distance", [0, 1_000_000])
def test_shares_equal_regression_on_pairs_of_samples(min_distance):
    cohort = linked_cohort(n=150)
    fit, dense, _ = fit_of(cohort, min_distance=min_distance)
    shares, _ = slow.haseman_elston(dense, fixed_of(cohort), cohort.phenotype.values)
    np.testing.assert_allclose(fit.shares(), shares, atol=2e-4)


def test_standard_error_and_skewness_equal_dense_traces():
    cohort = linked_cohort(n=150)
    fit, dense, matrices = fit_of(cohort)
    m = slow.projection(fixed_of(cohort))
    _, g = slow.haseman_elston(dense, fixed_of(cohort), cohort.phenotype.values)
    for index in range(3):
        normal = MomentFit(fit.moments, fit.forms, fit.variance, 3 * fit.variance**2)
        s = normal.components()
        v = fit.variance * m + sum(a * b for a, b in zip(s, matrices.matrices.values(), strict=True))
        share = s[index] * fit.moments.mean[index] / fit.variance
        sd, _ = slow.sampling_moments(g[index], share, v, m)
        assert normal.test(index).se == pytest.approx(sd, rel=0.02)
        null = normal.components(without=index)
        spread, skewness = normal._null(index, null)
        v = fit.variance * m + sum(a * b for a, b in zip(null, matrices.matrices.values(), strict=True))
        sd, third = slow.sampling_moments(g[index], 0.0, v, m)
        assert spread == pytest.approx(sd, rel=0.02)
        assert skewness == pytest.approx(third / sd**3, rel=0.15, abs=0.02)


def test_random_vectors_give_the_traces(monkeypatch):
    cohort = linked_cohort(n=240)
    exact = fit_of(cohort)[0].moments
    monkeypatch.setattr(variance_matrices, "_VECTORS", 200)
    by_vectors = fit_of(cohort)[0].moments
    np.testing.assert_array_equal(exact.two, by_vectors.two)
    k = np.arange(3)
    assert by_vectors.three[k, k, k] == pytest.approx(exact.three[k, k, k], rel=0.2)
    assert by_vectors.four[k, k, k, k] == pytest.approx(exact.four[k, k, k, k], rel=0.2)


def test_shares_agree_with_those_of_restricted_likelihood():
    rng = np.random.default_rng(5)
    calls, chrom, pos = linked_calls(rng, 200, 60)
    x, _ = slow.standardised(calls)
    difference = []
    for _ in range(12):
        y = x @ rng.normal(size=60) / 60**0.5 + rng.normal(size=200)
        cohort = variance_cohort(calls, chrom, pos, y)
        fit, dense, _ = fit_of(cohort)
        difference.append(fit.shares()[0] - slow.restricted_likelihood(dense[:1], fixed_of(cohort), y)[0])
    assert abs(np.mean(difference)) < 3 * np.std(difference) / 12**0.5
    assert np.std(difference) < 0.25


def test_units_and_shifts_change_nothing():
    cohort = linked_cohort(n=120)
    first = genoattn.variance_components(cohort)
    y = cohort.phenotype.values * 1e4 - 7e6
    own = variance_cohort(cohort.calls, cohort.sites.chrom, cohort.sites.pos, y, cohort.covariates.values)
    second = genoattn.variance_components(own)
    numbers = ["share", "se", "p_value", "detectable"]
    np.testing.assert_allclose(first.frame[numbers], second.frame[numbers], rtol=1e-3, atol=1e-5)


def test_the_tail_of_a_skewed_form():
    # A standardised chi-square of 8 degrees of freedom has skewness 1: sqrt(8 / 8).
    assert tail((20 - 8) / 4, 1.0) == pytest.approx(stats.chi2.sf(20, 8))
    assert tail(1.0, 0.0) == pytest.approx(stats.norm.sf(1.0))
    assert tail(critical_value(0.05, 0.4), 0.4) == pytest.approx(0.05)


# --- simulated traits


def value(rng, root):
    """A draw from the normal distribution whose covariance is the kernel of a root."""
    return root @ rng.normal(size=len(root))


def strong_additive(rng, roots):
    return 0.8**0.5 * value(rng, roots[0]) + 0.2**0.5 * rng.normal(size=len(roots[0]))


def every_component(rng, roots):
    shares = (0.3, 0.15, 0.2)
    genetic = sum(s**0.5 * value(rng, r) for s, r in zip(shares, roots, strict=True))
    return genetic + 0.35**0.5 * rng.normal(size=len(genetic))


def heavy_tails(rng, roots):
    return 0.4**0.5 * value(rng, roots[0]) + (0.6 / 3) ** 0.5 * rng.standard_t(3, len(roots[0]))


class Simulated:
    """A cohort without a trait, with roots of its kernels to draw traits from."""

    def __init__(self, min_distance=1_000_000, n=400):
        self.rng = np.random.default_rng(11)
        calls, chrom, pos = linked_calls(self.rng, n, 200, n_chromosomes=4)
        _, _, found = kernels_of(variance_cohort(calls, chrom, pos), min_distance)
        dense = [kernel.astype(np.float64) for kernel in found.kernels.values()]
        self.roots = [np.linalg.cholesky(kernel + 1e-4 * np.eye(n)) for kernel in dense]
        self.matrices = KernelMatrices.of(found.kernels, np.full((n, 1), n**-0.5))

    def fit(self, y):
        residual = y - y.mean()
        return MomentFit.of(self.matrices.moments, self.matrices.forms(residual), residual)


TRUTH = {strong_additive: (0.8, 0, 0), every_component: (0.3, 0.15, 0.2), heavy_tails: (0.4, 0, 0)}


@pytest.mark.parametrize("trait", [strong_additive, heavy_tails], ids=lambda t: t.__name__)
def test_means_and_errors_are_right(trait):
    check_means_and_errors(trait, 1_000_000, 150)


@pytest.mark.validation
@pytest.mark.parametrize("trait", TRUTH, ids=lambda t: t.__name__)
@pytest.mark.parametrize("min_distance", [0, 1_000_000])
def test_means_and_errors_of_many_cohorts_are_right(trait, min_distance):
    check_means_and_errors(trait, min_distance, 500)


def check_means_and_errors(trait, min_distance, n):
    simulated = Simulated(min_distance)
    fits = [simulated.fit(trait(simulated.rng, simulated.roots)) for _ in range(n)]
    for index, share in enumerate(TRUTH[trait]):
        tests = [fit.test(index) for fit in fits]
        estimates = np.array([test.estimate for test in tests])
        spread = estimates.std(ddof=1)
        assert abs(estimates.mean() - share) < 3.5 * spread / n**0.5
        assert np.mean([test.se for test in tests]) == pytest.approx(spread, rel=0.2 if n > 200 else 0.25)
        if share == 0:
            p_value = np.array([test.p_value for test in tests])
            assert stats.kstest(p_value, "uniform").pvalue > 1e-3
            assert stats.binomtest(int((p_value < 0.05).sum()), n, 0.05).pvalue > 1e-3


def test_power_at_the_smallest_share_to_be_seen():
    simulated = Simulated()
    rng, root = simulated.rng, simulated.roots[2]
    least = simulated.fit(rng.normal(size=400)).test(2).detectable
    assert 0 < least < 1
    seen = []
    for _ in range(200):
        y = least**0.5 * value(rng, root) + (1 - least) ** 0.5 * rng.normal(size=400)
        seen.append(simulated.fit(y).test(2).p_value < 0.05)
    assert np.mean(seen) == pytest.approx(0.8, abs=0.1)


# --- many samples


def test_moments_of_all_samples_are_themselves():
    _, _, matrices = fit_of(linked_cohort(n=100))
    same = matrices.moments_of(100, matrices.moments.df)
    for name in ("expected", "two", "three", "four"):
        np.testing.assert_allclose(getattr(same, name), getattr(matrices.moments, name), rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("min_distance", [0, 1_000_000])
def test_streamed_forms_equal_dense_ones(min_distance, monkeypatch):
    monkeypatch.setattr(variance_columns, "_BLOCK", 25)
    monkeypatch.setattr(variance_stream, "_ROUNDS", 20)
    cohort = linked_cohort(n=600, n_sites=60)
    columns, windows, found = kernels_of(cohort, min_distance)
    basis = np.linalg.qr(fixed_of(cohort))[0]
    matrices = KernelMatrices.of(found.kernels, basis)
    y = cohort.phenotype.values
    residual = y - basis @ (basis.T @ y)
    residual /= residual.std()
    exact = MomentFit.of(matrices.moments, matrices.forms(residual), residual)
    part = np.sort(np.random.default_rng(1).choice(600, 300, replace=False))
    few = KernelMatrices.of(
        CohortKernels.of(columns, windows, part).kernels, np.linalg.qr(fixed_of(cohort)[part])[0]
    )
    streamed = streamed_forms(columns, windows, basis, residual, few.moments_of(600, 597), seed=0)
    np.testing.assert_allclose(streamed.forms[:2], exact.forms[:2], rtol=1e-3, atol=0.05)
    assert abs(streamed.forms[2] - exact.forms[2]) < 4 * streamed.noise[2] ** 0.5
    np.testing.assert_allclose(streamed.moments.mean, exact.moments.mean, rtol=1e-2)
    diagonal = np.diag(exact.moments.expected)
    np.testing.assert_allclose(np.diag(streamed.moments.expected), diagonal, rtol=0.15)
    scale = np.sqrt(np.outer(diagonal, diagonal))
    np.testing.assert_allclose(streamed.moments.expected / scale, exact.moments.expected / scale, atol=0.15)
    approximate = MomentFit.of(streamed.moments, streamed.forms, residual, streamed.noise)
    for index in range(3):
        a, b = exact.test(index), approximate.test(index)
        assert b.estimate == pytest.approx(a.estimate, abs=a.se)
        assert b.se == pytest.approx(a.se, rel=0.3)


def test_many_samples_go_by_random_vectors(monkeypatch):
    from genoattn.inference import variance_components as module

    cohort = linked_cohort(n=400, n_sites=60)
    exact = genoattn.variance_components(cohort, by_chromosome=False)
    monkeypatch.setattr(module, "EXACT_SAMPLES", 300)
    monkeypatch.setattr(module, "_PART", 250)
    found = genoattn.variance_components(cohort, by_chromosome=False, order=3)
    assert exact.method.startswith("exact")
    assert found.method == "random vectors (400 samples are more than 300)"
    assert found.log == ("triples left out: they are estimated for at most 300 samples",)
    assert found.frame["component"].tolist() == NAMES
    assert np.abs(found.frame["share"] - exact.frame["share"]).lt(2 * exact.frame["se"]).all()


# --- pairs of chromosomes


def test_pairs_of_chromosomes_equal_regression_with_all_other_pairs():
    cohort = linked_cohort(n=140, n_sites=36)
    found = genoattn.variance_components(cohort)
    x, d = slow.standardised(cohort.calls)
    chrom, pos = cohort.sites.chrom, cohort.sites.pos
    assert len(found.pairs) == 6
    for row in found.pairs.to_dict("records"):
        names = {row["chrom_1"], row["chrom_2"]}

        def own(i, j, names=names):
            return {chrom[i], chrom[j]} == names

        kernel, n = slow.pair_kernel(x, chrom, pos, 1_000_000, own)
        rest, _ = slow.pair_kernel(x, chrom, pos, 1_000_000, lambda i, j, own=own: not own(i, j))
        kernels = [x @ x.T / x.shape[1], d @ d.T / d.shape[1], rest, kernel]
        shares, _ = slow.haseman_elston(kernels, fixed_of(cohort), cohort.phenotype.values)
        assert row["n_terms"] == n
        # Diagonals of kernels, which its equations leave out, are not quite even.
        assert row["share"] == pytest.approx(shares[-1], abs=0.1 * row["se"])
