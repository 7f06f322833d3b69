"""The likelihood ratio of a pair by the counts of its nine cells, against samples one by one."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from genoattn.scan.logistic.cells import count_cells, fill_grid, make_planes, make_table, root_of_cells
from genoattn.scan.logistic.coarse import coarse_root, make_grid
from genoattn.scan.logistic.null import binary_design
from genoattn.scan.logistic.stages import LogisticTests, coarse_subjects, logistic_pairs, subjects_of
from genoattn.scan.regression.tails import normal_critical


def _cohort(seed: int, n_samples: int = 1201, strength: float = 0.0, n_covariates: int = 2):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    codes = rng.binomial(2, rng.uniform(0.05, 0.5, (12, 1)), (12, n_samples)).astype(np.int8)
    covariates = rng.normal(size=(n_samples, n_covariates))
    log_odds = -0.5 + strength * covariates.sum(axis=1) + 0.6 * (codes[2] - 0.5) * (codes[3] - 0.5)
    case = (rng.random(n_samples) < 1 / (1 + np.exp(-log_odds))).astype(float)
    pairs = np.stack(np.triu_indices(12, 1), axis=1)
    return codes, case, covariates, pairs


@njit
def _counts(planes, i, j, samples, cases):  # type: ignore[no-untyped-def]
    counts, table = np.zeros((len(planes.first), 8), np.int64), make_table()
    count_cells(planes, i, j, counts, table.lanes)
    fill_grid(planes, i, j, counts, samples, cases)
    return table.lanes[:32].copy()


@njit
def _roots(planes, pairs, out):  # type: ignore[no-untyped-def]
    counts, table = np.zeros((len(planes.first), 8), np.int64), make_table()
    for k in range(len(pairs)):
        count_cells(planes, pairs[k, 0], pairs[k, 1], counts, table.lanes)
        out[k] = root_of_cells(planes, table)


def test_cells_are_counted() -> None:
    codes, case, _, pairs = _cohort(1)
    group = np.random.default_rng(2).integers(0, 5, codes.shape[1])
    group[group == 2] = 3  # a group without samples
    planes = make_planes(codes, case, group)
    assert planes is not None
    for i, j in pairs[::7]:
        samples, cases = np.zeros((2, 9, 5))
        of_all = _counts(planes, i, j, samples, cases)
        cell = 3 * codes[i].astype(int) + codes[j]
        for weights, found, whole in (
            (np.ones(len(case)), samples, of_all[:9]),
            (case, cases, of_all[16:25]),
        ):
            expected = np.bincount(9 * group + cell, weights, 45).reshape(5, 9).T
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(whole, expected.sum(axis=1))


def test_root_of_cells_is_that_without_covariates() -> None:
    codes, case, _, pairs = _cohort(3)
    design = binary_design(codes, case, np.zeros((len(case), 0)))
    exact = logistic_pairs(design, case, pairs)
    planes, out = make_planes(codes, case, np.zeros(len(case), int)), np.zeros((len(pairs), 2))
    _roots(planes, pairs, out)
    np.testing.assert_allclose(out[:, 0], np.abs(exact.statistic), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(out[:, 1], exact.se, rtol=1e-2)


def test_counts_serve_the_coarse_root() -> None:
    codes, case, covariates, pairs = _cohort(4, strength=0.7)
    design = binary_design(codes, case, covariates)
    coarse = coarse_subjects(design, case, subjects_of(design, case))
    planes, grid, other = make_planes(codes, case, coarse.group), make_grid(coarse), make_grid(coarse)
    for i, j in pairs:
        _counts(planes, i, j, grid.samples, grid.cases)
        assert coarse_root(coarse, i, j, grid, True) == pytest.approx(
            coarse_root(coarse, i, j, other), rel=1e-9
        )
        assert grid.used[0] == other.used[0]
        np.testing.assert_array_equal(grid.cell[: grid.used[0]], other.cell[: grid.used[0]])


def test_cells_without_calls_or_of_more_states_are_not_counted() -> None:
    codes, case, _, _ = _cohort(5)
    group = np.zeros(len(case), int)
    for value in (-1, 3):
        other = codes.copy()
        other[3, 7] = value
        assert make_planes(other, case, group) is None


@pytest.mark.parametrize(("strength", "n_covariates"), [(0.0, 0), (0.0, 3), (0.1, 3), (1.0, 2)])
@pytest.mark.parametrize("threshold", [0.05, 2e-3])
def test_what_passes_is_exact(strength: float, n_covariates: int, threshold: float) -> None:
    for seed in range(6, 10):
        codes, case, covariates, pairs = _cohort(seed, 1500, strength, n_covariates)
        design = binary_design(codes, case, covariates)
        exact, tests = logistic_pairs(design, case, pairs), LogisticTests(design, case, threshold)
        staged, passes = tests(pairs), np.abs(exact.statistic) >= normal_critical(threshold)
        np.testing.assert_array_equal(staged.p_value <= threshold, passes)
        np.testing.assert_allclose(staged.statistic[passes], exact.statistic[passes], rtol=1e-7)
        # Those that are far from passing have been told from their cells: no r2 was asked for.
        if strength == 0.0:
            assert np.isnan(staged.r2[np.abs(exact.statistic) < 0.7 * normal_critical(threshold)]).all()
