"""Starting values: ridge regression by definition, and planted factors found in the scores."""

import numpy as np
import pytest

from genoattn.closed_form.additive_start import additive_start, fit_scale
from genoattn.closed_form.isolated_terms import isolated_factors
from genoattn.closed_form.pair_columns import PairColumns, visible_segments
from genoattn.closed_form.ridge import Spectrum
from genoattn.inference.pair_selection import PairProblem, found_factors


def standardised_dosages(rng, n_samples, n_columns):
    dosage = rng.binomial(2, rng.uniform(0.2, 0.5, n_columns), (n_samples, n_columns)).astype(float)
    return (dosage - dosage.mean(axis=0)) / dosage.std(axis=0)


def ridge_coefficients(columns, y, covariates, penalty):
    """argmin |y - [1 Z x] b|^2 / 2n + penalty |b_x|^2 / 2 from the normal equations."""
    n = len(y)
    design = np.column_stack([np.ones(n), covariates, columns])
    free = 1 + covariates.shape[1]
    penalties = np.r_[np.zeros(free), np.full(columns.shape[1], penalty)]
    return np.linalg.solve(design.T @ design / n + np.diag(penalties), design.T @ y / n), design, penalties


def generalised_cross_validation(columns, y, covariates, penalty):
    """Residual sum of squares over the squared residual degrees of freedom, n - trace of the hat matrix."""
    beta, design, penalties = ridge_coefficients(columns, y, covariates, penalty)
    n = len(y)
    hat = design @ np.linalg.solve(design.T @ design / n + np.diag(penalties), design.T) / n
    return ((y - design @ beta) ** 2).sum() / (n - np.trace(hat)) ** 2


@pytest.mark.parametrize("n_columns", [15, 90])  # fewer and more than the samples
@pytest.mark.parametrize("effect", [0.0, 0.5])
def test_additive_start_is_ridge(n_columns, effect):
    rng = np.random.default_rng(1)
    columns = standardised_dosages(rng, 60, n_columns)
    covariates = np.column_stack([rng.normal(size=60), rng.normal(5, 2, 60)])
    y = 3 + covariates @ [0.5, -1] + effect * columns[:, :5].sum(axis=1) + rng.normal(size=60)
    start, residual = additive_start(columns, Spectrum.of_columns(columns), y, covariates)
    beta, design, _ = ridge_coefficients(columns, y, covariates, start.ridge)
    assert start.intercept == pytest.approx(beta[0], rel=1e-8)
    np.testing.assert_allclose(start.covariates, beta[1:3], rtol=1e-8)
    np.testing.assert_allclose(start.additive, beta[3:], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(residual, y - design @ beta, atol=1e-8)
    hat_trace = np.trace(
        columns.T
        @ (columns - design[:, :3] @ np.linalg.lstsq(design[:, :3], columns, rcond=None)[0])
        @ np.linalg.inv(_gram(columns, design[:, :3]) + 60 * start.ridge * np.eye(n_columns))
    )
    noise = np.sqrt(residual @ residual / (60 - 3 - hat_trace))
    assert start.noise == pytest.approx(noise, rel=1e-6)
    grid = np.geomspace(1e-3, 1e3, 61)
    scores = [generalised_cross_validation(columns, y, covariates, p) for p in grid]
    assert start.ridge == pytest.approx(grid[np.argmin(scores)])


def _gram(columns, fixed):
    residual = columns - fixed @ np.linalg.lstsq(fixed, columns, rcond=None)[0]
    return residual.T @ residual


def planted(seed, pairs, triples=(), n_samples=1500, n_columns=40):
    rng = np.random.default_rng(seed)
    columns = standardised_dosages(rng, n_samples, n_columns)
    y = rng.normal(size=n_samples) + 0.2 * columns[:, 0]
    for i, j, effect in pairs:
        y += effect * columns[:, i] * columns[:, j]
    for term in triples:
        y += 0.4 * columns[:, list(term)].prod(axis=1)
    return columns, y


def found_pairs(columns, y, max_rank=10):
    return scaled_factors(columns, y, np.arange(columns.shape[1]), max_rank)


def scaled_factors(columns, y, site, max_rank):
    start, residual = additive_start(columns, Spectrum.of_columns(columns), y, np.zeros((len(y), 0)))
    segment = np.zeros(columns.shape[1], dtype=int)
    pairs = PairColumns(columns, site, segment, visible_segments(segment))
    problem = PairProblem(pairs, y, np.zeros((len(y), 0)), start.ridge, max_rank)
    shapes, surplus = found_factors(problem, residual)
    assert (surplus >= 0).all()
    return fit_scale(columns, residual, list(shapes), 2)


def pooled(factors):
    """Coefficient of every pair of columns: symmetric, shape (n_columns, n_columns)."""
    out = np.einsum("ri,rj->ij", factors[:, 0], factors[:, 1])
    return out + out.T


def test_isolated_pair_is_found():
    columns, y = planted(0, [(5, 17, 0.4)])
    factors = found_pairs(columns, y)
    pair = pooled(factors)
    assert np.unravel_index(np.argmax(np.abs(pair)), pair.shape) == (5, 17)
    assert pair[5, 17] == pytest.approx(0.4, abs=0.1)
    assert len(factors) <= 2


def test_sign_of_an_isolated_pair():
    columns, y = planted(1, [(5, 17, -0.4)])
    assert pooled(found_pairs(columns, y))[5, 17] == pytest.approx(-0.4, abs=0.1)


def test_hub_is_found_as_one_factor():
    # |z| of a pair is about 3.4, below the 3.6 that an isolated pair needs: each helps to find the others.
    partners = list(range(10, 25))
    columns, y = planted(2, [(3, j, 0.08) for j in partners], n_samples=2000)
    factors = found_pairs(columns, y)
    pair = np.abs(pooled(factors))
    np.fill_diagonal(pair, 0)
    strongest = np.argsort(-pair[3])[:8]
    assert np.isin(strongest, partners).sum() >= 7
    assert max(np.count_nonzero(pooled(f[None])[3]) for f in factors) >= 5


def test_pairs_of_one_site_are_not_coupled():
    columns, y = planted(3, [(5, 17, 0.5)])
    site = np.arange(40)
    site[17] = 5
    site = np.sort(site)
    columns = columns[:, np.argsort(np.r_[np.arange(17), 5.5, np.arange(18, 40)], kind="stable")]
    factors = scaled_factors(columns, y, site, 10)
    assert pooled(factors)[5, 6] == 0


def test_null_gives_few_ranks():
    n_ranks = []
    for seed in range(6):
        rng = np.random.default_rng(100 + seed)
        columns = standardised_dosages(rng, 500, 60)
        y = columns[:, :5].sum(axis=1) * 0.3 + rng.normal(size=500)
        n_ranks.append(len(found_pairs(columns, y)))
    assert np.mean(n_ranks) <= 2


def test_constant_phenotype_gives_no_factors():
    columns, _ = planted(0, [])
    assert found_pairs(columns, np.ones(len(columns))).shape == (0, 2, 40)


def test_most_ranks_are_a_limit():
    columns, y = planted(4, [(1, 2, 0.5), (3, 4, 0.5), (5, 6, 0.5)])
    assert found_pairs(columns, y, max_rank=2).shape == (2, 2, 40)


def isolated(columns, y, order, site=None, max_rank=5):
    site = np.arange(columns.shape[1]) if site is None else site
    return isolated_factors(columns, y - y.mean(), site, order, max_rank)


def test_pure_triple_is_found():
    columns, y = planted(5, [], [(4, 11, 30), (7, 8, 9)])
    factors, n_scored = isolated(columns, y, 3)
    assert n_scored == 40
    terms = {tuple(np.sort(np.argmax(np.abs(f), axis=1)).tolist()) for f in factors}
    assert terms == {(4, 11, 30), (7, 8, 9)}
    np.testing.assert_array_equal(np.count_nonzero(factors, axis=2), 1)
    np.testing.assert_allclose(np.abs(factors).sum(axis=2).prod(axis=1), 0.4, atol=0.1)


def test_fourth_order_term_is_found():
    columns, y = planted(6, [], [(1, 6, 9, 14)], n_columns=16)
    factors, _ = isolated(columns, y, 4)
    assert [np.sort(np.argmax(np.abs(f), axis=1)).tolist() for f in factors] == [[1, 6, 9, 14]]


def test_large_pair_is_not_taken_for_a_triple():
    columns, y = planted(7, [(4, 11, 1.0)], n_samples=800)
    factors, _ = isolated(columns, y, 3)
    assert len(factors) <= 1


def test_null_gives_no_triples():
    counts = [len(isolated(*planted(s, [], n_samples=400, n_columns=25), 3)[0]) for s in range(20, 24)]
    assert sum(counts) <= 1


def test_triple_of_two_columns_of_one_site_is_not_tried():
    columns, y = planted(8, [], [(4, 5, 11)])
    site = np.arange(40)
    site[5] = 4
    factors, _ = isolated(columns, y, 3, site)
    assert not any({4, 5} <= set(np.argmax(np.abs(f), axis=1).tolist()) for f in factors)


def test_product_in_the_span_of_lower_terms_is_no_term():
    # Haploid sites in perfect linkage: every product of them is one of their main effects.
    rng = np.random.default_rng(9)
    a, b = rng.choice([-1.0, 1.0], (2, 300))
    columns = np.stack([a, a, a, b, b, a, -a, -b], axis=1)
    y = 2 * a + b + 3 * a * b + rng.normal(size=300)
    factors, _ = isolated(columns, y, 3)
    assert len(factors) == 0


def test_scale_is_least_squares_on_the_pooled_products():
    columns, y = planted(10, [(2, 3, 0.5)])
    shape = np.zeros((2, 40))
    shape[0, 2], shape[1, 3] = 1.0, 1.0
    product = columns[:, 2] * columns[:, 3]
    slope = np.polyfit(product, y, 1)[0] / 1.001  # the ridge of a thousandth
    factors = fit_scale(columns, y, [shape], 2)
    assert factors[0, 0, 2] * factors[0, 1, 3] == pytest.approx(slope, rel=1e-9)
    assert fit_scale(columns, y, [], 2).shape == (0, 2, 40)


def test_spectrum_is_kept_for_the_same_columns_alone():
    columns = standardised_dosages(np.random.default_rng(8), 30, 70)
    found = Spectrum.of_columns(columns)
    assert Spectrum.of_columns(columns.copy()) is found
    assert Spectrum.of_columns(columns, np.ones(30)) is found
    centred = columns - columns.mean(axis=0)
    rebuilt = (found.vectors * found.values) @ found.vectors.T
    np.testing.assert_allclose(rebuilt, centred @ centred.T, atol=1e-9)
    columns[0, 0] += 1e-9
    assert Spectrum.of_columns(columns) is not found
    weighted = Spectrum.of_columns(columns, np.linspace(0.5, 1.5, 30))
    assert not np.allclose(weighted.values, found.values)
