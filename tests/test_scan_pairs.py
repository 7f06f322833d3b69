"""The blocked scan against one statsmodels regression a pair."""

import subprocess
import sys
import warnings

import numpy as np
import oracles
import pytest

from genoattn.scan import scores as pairs
from genoattn.scan.scores import PairScores, agreed, count_scores, pair_tiles, score_matrix


def scan_data(seed=0, n_samples=120, n_columns=11):
    """Centred dosages, two traits, two covariates; column 7 is constant, column 9 a copy of column 2."""
    rng = np.random.default_rng(seed)
    columns = rng.binomial(2, rng.uniform(0.2, 0.5, n_columns), (n_samples, n_columns)).astype(float)
    columns[:, 7] = 1
    columns[:, 9] = columns[:, 2]
    columns -= columns.mean(axis=0)
    covariates = np.column_stack([rng.normal(30, 5, n_samples), columns[:, 0] + rng.normal(size=n_samples)])
    first = columns[:, 1] * columns[:, 4] + 0.1 * covariates[:, 0] + rng.normal(size=n_samples)
    return columns, np.column_stack([first, rng.normal(size=n_samples)]), covariates


def t_matrix(columns, phenotypes, covariates, block):
    """Tiles put together; the lower triangle stays 0 outside the diagonal blocks."""
    t = np.zeros((phenotypes.shape[1], columns.shape[1], columns.shape[1]))
    for rows, cols, tile in pair_tiles(columns, phenotypes, covariates, block):
        t[:, rows, cols] = tile
    return t


@pytest.mark.parametrize("block", [3, 4, 11, 1024])
def test_every_pair_equals_statsmodels(block):
    columns, phenotypes, covariates = scan_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        t = t_matrix(columns, phenotypes, covariates, block)
    for i in range(11):
        for j in range(i + 1, 11):
            if 7 in (i, j) or (i, j) == (2, 9):
                assert np.isnan(t[:, i, j]).all()
                continue
            for trait in range(2):
                expected = oracles.pair_t(columns[:, i], columns[:, j], phenotypes[:, trait], covariates)
                assert t[trait, i, j] == pytest.approx(expected, rel=1e-8)


def test_diagonal_blocks_are_symmetric_and_have_no_squares():
    t = t_matrix(*scan_data(), block=1024)
    np.testing.assert_allclose(t, t.transpose(0, 2, 1), rtol=1e-10)
    assert np.isnan(np.diagonal(t, axis1=1, axis2=2)).all()


def test_blocks_cover_the_upper_triangle_once():
    columns, phenotypes, covariates = scan_data()
    seen = np.zeros((11, 11), dtype=int)
    for rows, cols, tile in pair_tiles(columns, phenotypes, covariates, 4):
        assert tile.shape == (2, rows.stop - rows.start, cols.stop - cols.start)
        seen[rows, cols] += 1
    np.testing.assert_array_equal(seen[np.triu_indices(11)], 1)


def test_pair_that_never_meets_is_nan():
    # Raw dosages: no sample carries both, so that the product is a combination of the two main effects.
    a = np.repeat([1.0, 0, 0, 2], 10)
    b = np.repeat([0.0, 1, 2, 0], 10)
    columns = np.column_stack([a - a.mean(), b - b.mean()])
    y = np.random.default_rng(0).normal(size=(40, 1))
    assert np.isnan(t_matrix(columns, y, np.zeros((40, 0)), 8)[0, 0, 1])


@pytest.mark.parametrize("n_samples", [5, 6])
def test_too_few_samples_is_nan(n_samples):
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(n_samples, 3))
    covariates = rng.normal(size=(n_samples, 2))  # six parameters, no residual
    t = t_matrix(columns, rng.normal(size=(n_samples, 1)), covariates, 8)
    assert np.isnan(t).all()


def test_swapping_alleles_changes_the_sign():
    columns, phenotypes, covariates = scan_data()
    one = t_matrix(columns, phenotypes, covariates, 1024)
    columns[:, 4] *= -1
    other = t_matrix(columns, phenotypes, covariates, 1024)
    sign = np.where((np.arange(11) == 4)[:, None] ^ (np.arange(11) == 4), -1, 1)
    np.testing.assert_allclose(other, sign * one, rtol=1e-8)


def test_score_matrix_keeps_what_passes_for_every_phenotype():
    columns, phenotypes, covariates = scan_data()
    phenotypes[:, 1] += phenotypes[:, 0]
    site = np.arange(11)
    site[5] = 4  # columns 4 and 5 are states of one site
    t = t_matrix(columns, phenotypes, covariates, 1024)
    found = score_matrix(columns, phenotypes, covariates, site, threshold=0.8).toarray()
    n_kept = 0
    for i in range(11):
        for j in range(11):
            size = np.abs(t[:, i, j])
            kept = site[i] != site[j] and (size >= 0.8).all() and np.sign(t[0, i, j]) == np.sign(t[1, i, j])
            expected = t[np.argmin(size), i, j] if kept else 0.0
            assert found[i, j] == pytest.approx(expected, rel=1e-5)
            n_kept += kept
    assert 10 < n_kept < 90
    site[4] = 1  # the strongest pair
    assert score_matrix(columns, phenotypes, covariates, site, threshold=0.8).toarray()[1, 4] == 0
    assert found[1, 4] == found[4, 1] > 2


def test_agreed_is_the_nearest_to_zero_of_one_sign():
    t = np.random.default_rng(0).normal(size=(3, 20, 30)) + 0.5
    t[1, 4, 5] = np.nan
    size = np.abs(t).min(axis=0)
    same = np.abs(np.sign(t).sum(axis=0)) == 3
    expected = np.where(same & (size >= 0.2), np.sign(t[0]) * size, 0.0)
    assert 50 < np.count_nonzero(expected) < 300
    np.testing.assert_array_equal(agreed(t, 0.2), expected)


def test_score_matrix_across_strips(monkeypatch):
    columns, phenotypes, covariates = scan_data()
    site = np.arange(11)
    untiled = score_matrix(columns, phenotypes[:, :1], covariates, site, threshold=1.0)
    monkeypatch.setattr(pairs, "_ROWS", 3)
    tiled = score_matrix(columns, phenotypes[:, :1], covariates, site, threshold=1.0)
    np.testing.assert_allclose(tiled.toarray(), untiled.toarray(), rtol=1e-5)
    assert untiled.nnz > 10


def linked_and_rare(seed=3, n_samples=700, n_columns=60):
    """Dosages of which many are rare and others almost copies, three covariates, two of them components."""
    rng = np.random.default_rng(seed)
    columns = rng.binomial(2, rng.choice([0.004, 0.02, 0.3], n_columns), (n_samples, n_columns)).astype(float)
    columns[:, 1::6] = columns[:, ::6]
    columns[:3, 1::6] = rng.integers(0, 3, (3, 10))
    columns[0] += 0.5  # no column is constant
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    covariates = np.column_stack([rng.normal(40, 9, n_samples), columns[:, :20] @ rng.normal(size=(20, 2))])
    phenotypes = columns[:, [2]] * columns[:, [8]] + rng.normal(size=(n_samples, 11))
    return columns, phenotypes + covariates[:, :1], covariates


@pytest.mark.parametrize("rows_at_once", [7, 128])
def test_scores_in_single_precision_are_right_or_absent(monkeypatch, rows_at_once):
    columns, phenotypes, covariates = linked_and_rare()
    exact = t_matrix(columns, phenotypes, covariates, 1024)
    monkeypatch.setattr(pairs, "_ROWS", rows_at_once)
    found = np.full_like(exact, np.nan)
    for own, rows, cols, t in PairScores.of(columns, phenotypes, covariates).strips(lambda *strip: strip, 16):
        assert t.dtype == np.float32
        assert np.isnan(found[own, rows, cols]).all()
        found[own, rows, cols] = t
    known = np.isfinite(found)
    np.testing.assert_allclose(found[known], exact[known], atol=1e-3, rtol=2e-3)
    upper = np.triu(np.ones(exact.shape[1:], dtype=bool), 1)
    assert known[:, upper].mean() > 0.5
    assert not known[:, ~upper].any()
    # What is absent are pairs whose product, or columns, are almost the same as lower terms.
    lost = np.isfinite(exact[0]) & ~known[0] & upper
    for i, j in np.argwhere(lost):
        basis = np.column_stack([np.ones(len(columns)), covariates])
        a, b = (columns[:, k] - basis @ np.linalg.lstsq(basis, columns[:, k])[0] for k in (i, j))
        others = np.column_stack([basis, columns[:, [i, j]]])
        product = (columns[:, i] - columns[:, i].mean()) * (columns[:, j] - columns[:, j].mean())
        rest = product - others @ np.linalg.lstsq(others, product)[0]
        share = 1 - (a @ b) ** 2 / (a @ a * (b @ b))
        assert share < 1.01e-3 or rest @ rest < 1.01e-3 * product.var() * len(product)


@pytest.mark.parametrize("segment", [None, np.repeat(np.arange(6), 10)])
def test_counts_of_scores_are_those_of_the_scores(segment):
    columns, phenotypes, covariates = linked_and_rare()
    scores = PairScores.of(columns, phenotypes, covariates)
    thresholds = np.array([1.0, 2.0, 3.5])
    found = count_scores(scores, thresholds, segment)
    apart = np.ones((60, 60), dtype=bool) if segment is None else segment[:, None] != segment
    expected = np.zeros((11, 3), dtype=int)
    for own, rows, cols, t in scores.strips(lambda *strip: strip):
        size = np.abs(np.where(apart[rows, cols], t, np.nan))
        expected[own] += np.stack([(size >= limit).sum(axis=(1, 2)) for limit in thresholds], axis=1)
    np.testing.assert_array_equal(found, expected)
    assert (found[:, 1] > 10).all()
    assert (found[:, 2] > 0).any()


def test_columns_that_are_no_codes_equal_statsmodels():
    columns, phenotypes, covariates = scan_data(3)
    columns[::7] += 0.1  # as where missing calls are imputed
    t = t_matrix(columns, phenotypes, covariates, 4)
    expected = oracles.pair_t(columns[:, 2], columns[:, 8], phenotypes[:, 1], covariates)
    assert t[1, 2, 8] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("rows_at_once", [2, 5])
def test_strips_and_threads_change_nothing(monkeypatch, rows_at_once):
    columns, phenotypes, covariates = scan_data()
    untiled = t_matrix(columns, phenotypes, covariates, 1024)
    monkeypatch.setattr(pairs, "_ROWS", rows_at_once)
    for threads in (1, 3):
        (_, _, t), *none = pair_tiles(columns, phenotypes, covariates, threads=threads)
        assert not none
        np.testing.assert_allclose(t, untiled, rtol=1e-10)


def test_column_that_the_covariates_explain_has_its_main_effect_among_them():
    columns, phenotypes, covariates = scan_data()
    columns[:, 5] = columns[:, 5] / 3 + covariates[:, 1] * 0.1
    t = t_matrix(columns, phenotypes, np.column_stack([covariates, columns[:, 5]]), 1024)
    without = t_matrix(columns, phenotypes, covariates, 1024)
    df = len(columns) - covariates.shape[1] - 1 - 3
    others = np.arange(len(t[0])) != 5
    np.testing.assert_allclose(t[:, 5, others], without[:, 5, others] * np.sqrt((df - 1) / df), rtol=1e-8)
    assert np.isfinite(t[:, 1, 4]).all()


def test_import_of_the_package_loads_no_compiler():
    code = "import sys, genoattn; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
