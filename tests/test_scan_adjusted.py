"""The coarse likelihood ratio amended for the fixed effects, against the exact one."""

from __future__ import annotations

import numpy as np
import pytest

from genoattn.scan.logistic.adjusted import adjusted_root, make_adjuster
from genoattn.scan.logistic.coarse import coarse_root, make_grid
from genoattn.scan.logistic.null import binary_design
from genoattn.scan.logistic.stages import coarse_subjects, logistic_pairs, subjects_of
from genoattn.scan.regression.tails import normal_critical


def _cohort(seed: int, n_covariates: int, missing: float = 0.0):  # type: ignore[no-untyped-def]
    """Design, trait and pairs; covariates that follow sites and a product of two, and move the log-odds."""
    rng = np.random.default_rng(seed)
    n_samples, n_sites = 1500, 16
    ancestry = rng.random(n_samples) < 0.4
    frequency = np.where(ancestry, 0.35, 0.15) + rng.uniform(-0.1, 0.3, size=(n_sites, 1))
    codes = rng.binomial(2, frequency.clip(0.05, 0.6)).astype(np.int8)
    covariates = rng.normal(size=(n_samples, n_covariates))
    covariates[:, 0] += 2 * ancestry
    if n_covariates > 1:
        covariates[:, 1] += 1.5 * codes[0] * codes[1]
    log_odds = -1 + covariates @ rng.normal(size=n_covariates)
    log_odds += 0.5 * (codes[2] - 0.5) * (codes[3] - 0.5)
    trait = (rng.random(n_samples) < 1 / (1 + np.exp(-log_odds))).astype(float)
    codes[rng.random(codes.shape) < missing] = -1
    pairs = np.stack(np.triu_indices(n_sites, 1), axis=1)
    return binary_design(codes, trait, covariates), trait, pairs


def _roots(design, trait, pairs):  # type: ignore[no-untyped-def]
    """Root and standard error on coarse groups, and amended: (n_pairs, 4)."""
    subjects = subjects_of(design, trait)
    coarse = coarse_subjects(design, trait, subjects)
    grid, adjuster = make_grid(coarse), make_adjuster(subjects)
    return np.array(
        [(*coarse_root(coarse, i, j, grid), *adjusted_root(subjects, i, j, grid, adjuster)) for i, j in pairs]
    )


@pytest.mark.validation  # compiles for half a minute
@pytest.mark.parametrize(("seed", "n_covariates", "missing"), [(1, 1, 0.0), (2, 3, 0.0), (3, 6, 0.03)])
def test_amended_root_is_the_exact_one_to_second_order(seed: int, n_covariates: int, missing: float) -> None:
    design, trait, pairs = _cohort(seed, n_covariates, missing)
    exact = logistic_pairs(design, trait, pairs)
    coarse, _, amended, se = _roots(design, trait, pairs).T
    root = np.abs(exact.statistic)
    clear = (root > 1.5) & (exact.se < 0.5)
    assert clear.sum() > 15
    assert (np.abs(amended - root) < 0.03 * root)[clear].all()
    assert np.median(np.abs(amended - root)) < 0.7 * np.median(np.abs(coarse - root))
    np.testing.assert_allclose(se, exact.se, rtol=0.04)


def test_amended_root_is_nan_where_a_product_is_nearly_a_covariate() -> None:
    design, trait, _ = _cohort(4, 2)
    codes = design.codes
    product = (codes[4] * codes[5]).astype(float)
    again = binary_design(codes, trait, np.column_stack([design.basis[1:].T, product]))
    pairs = np.array([[4, 5], [4, 6]])
    amended = _roots(again, trait, pairs)[:, 2]
    assert np.isnan(amended[0])
    assert not np.isnan(amended[1])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.05, 1e-3])
def test_what_passes_in_stages_is_what_passes_exactly(seed: int, threshold: float) -> None:
    design, trait, pairs = _cohort(10 + seed, (1, 3, 5)[seed % 3], 0.02 * (seed % 2))
    exact = logistic_pairs(design, trait, pairs)
    staged = logistic_pairs(design, trait, pairs, threshold)
    passes = np.abs(exact.statistic) >= normal_critical(threshold)
    np.testing.assert_array_equal(staged.p_value <= threshold, passes)
    np.testing.assert_allclose(staged.statistic[passes], exact.statistic[passes], rtol=1e-7)
