"""Robust tests of products against statsmodels."""

import numpy as np
import pytest
from inference_cohorts import standardised, unlinked_dosages
from oracles_inference import least_squares, pair_fit
from scipy.stats import t as t_distribution

from genoattn.inference.robust import orthonormal_basis, pair_t, robust_pairs, robust_test


def uneven(seed=0, n=150, effect=0.0):
    """A predictor, other predictors, and a trait whose spread grows with the predictor."""
    rng = np.random.default_rng(seed)
    others = np.column_stack([np.ones(n), rng.normal(size=(n, 3))])
    predictor = rng.normal(size=n) + 0.5 * others[:, 1]
    y = effect * predictor + others @ [1, 2, -1, 0.5] + rng.normal(size=n) * (0.5 + predictor**2)
    return predictor, others, y


def p_of(statistic, df):
    return 2 * t_distribution.sf(abs(statistic), df)


def test_robust_p_value_is_the_larger_of_least_squares_and_hc3():
    larger = set()
    for seed in range(12):
        predictor, others, y = uneven(seed, effect=0.3)
        if seed % 2:  # spread that falls with the predictor: least squares is the larger
            y = others @ [1, 2, -1, 0.5] + np.random.default_rng(seed).normal(size=150) / (1 + predictor**2)
        fit = least_squares(y, predictor, others)
        plain, sandwich = fit.bse[0], fit.get_robustcov_results("HC3").bse[0]
        larger.add(bool(sandwich > plain))
        expected = p_of(fit.params[0] / max(plain, sandwich), fit.df_resid)
        assert robust_test(predictor, others, y[:, None]).p_value == pytest.approx(expected, rel=1e-9, abs=0)
    assert larger == {True, False}


def test_largest_over_versions_of_the_trait():
    predictor, others, y = uneven(1, effect=1.0)
    other = np.sign(y) * np.abs(y) ** 0.5
    each = [robust_test(predictor, others, v[:, None]).p_value for v in (y, other)]
    assert each[0] != pytest.approx(each[1], rel=0.1, abs=0)
    assert robust_test(predictor, others, np.column_stack([y, other])).p_value == pytest.approx(
        max(each), abs=0
    )


def test_versions_that_disagree_in_sign_are_no_evidence():
    predictor, others, y = uneven(2, effect=5.0)
    assert robust_test(predictor, others, y[:, None]).p_value < 1e-6
    assert robust_test(predictor, others, np.column_stack([y, -y])).p_value == 1.0


def test_redundant_columns_change_nothing():
    predictor, others, y = uneven(3, effect=1.0)
    more = np.column_stack([others, others[:, 1] - 3 * others[:, 2], others[:, 0] * 7, np.zeros(len(y))])
    expected = robust_test(predictor, others, y[:, None]).p_value
    assert robust_test(predictor, more, y[:, None]).p_value == pytest.approx(expected, rel=1e-7, abs=0)


def test_units_of_columns_and_trait_change_nothing():
    predictor, others, y = uneven(4, effect=1.0)
    expected = robust_test(predictor, others, y[:, None]).p_value
    scaled = robust_test(-1e-5 * predictor, others * [1, 1e4, 1e-4, 1], 1e3 * y[:, None]).p_value
    assert scaled == pytest.approx(expected, rel=1e-7, abs=0)


def test_predictor_in_the_span_of_the_others_adds_nothing():
    _, others, y = uneven(5)
    assert robust_test(others[:, 1] + 2 * others[:, 3], others, y[:, None]).p_value == 1.0
    assert robust_test(np.zeros(len(y)), others, y[:, None]).p_value == 1.0


def test_too_few_samples_are_no_evidence():
    rng = np.random.default_rng(6)
    others = np.column_stack([np.ones(4), rng.normal(size=(4, 2))])
    assert robust_test(rng.normal(size=4), others, rng.normal(size=(4, 1))).p_value == 1.0


def test_sample_of_full_leverage_does_not_make_a_signal():
    # One carrier: HC3 divides a residual of 0 by a leverage of 0.
    rng = np.random.default_rng(7)
    predictor = np.zeros(50)
    predictor[3] = 1.0
    y = rng.normal(size=(50, 1))
    assert 0.0 < robust_test(predictor, np.ones((50, 1)), y).p_value <= 1.0


def test_uniform_under_the_null_with_uneven_spread():
    p = []
    for seed in range(300):
        rng = np.random.default_rng(1000 + seed)
        predictor = rng.normal(size=120)
        y = rng.normal(size=120) * (0.3 + predictor**2)
        p.append(robust_test(predictor, np.ones((120, 1)), y[:, None]).p_value)
    # Least squares alone rejects more than a fifth of these.
    assert (np.array(p) < 0.05).mean() <= 0.08


def test_orthonormal_basis_spans_the_columns():
    rng = np.random.default_rng(8)
    columns = rng.normal(size=(30, 4)) * [1, 1e-6, 1e6, 1]
    basis = orthonormal_basis(np.column_stack([columns, columns[:, 0] + columns[:, 3], np.zeros(30)]))
    assert basis.shape == (30, 4)
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-10)
    np.testing.assert_allclose(basis @ (basis.T @ columns), columns, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("n_samples", [12, 200])
def test_pair_t_is_that_of_statsmodels(n_samples):
    rng = np.random.default_rng(9)
    columns = standardised(unlinked_dosages(rng, n_samples, 6)) + 0.3  # need not be centred
    y = rng.normal(5, 2, n_samples) + columns[:, 0] * columns[:, 1]
    pairs = np.array([(i, j) for i in range(6) for j in range(i + 1, 6)])
    expected = [pair_fit(columns, p, y).tvalues[0] for p in pairs]
    np.testing.assert_allclose(pair_t(columns, pairs, y), expected, rtol=1e-8, atol=1e-10)


def test_pair_t_of_more_pairs_than_a_block():
    rng = np.random.default_rng(10)
    columns, y = standardised(unlinked_dosages(rng, 60, 60)), rng.normal(size=60)
    pairs = np.stack(np.triu_indices(60, 1), axis=1)
    t = pair_t(columns, pairs, y)
    for k in (0, 1023, 1024, len(pairs) - 1):
        assert t[k] == pytest.approx(pair_fit(columns, pairs[k], y).tvalues[0], rel=1e-8)


def test_pair_t_is_zero_where_the_product_is_one_of_its_columns():
    rng = np.random.default_rng(11)
    a, b = rng.choice([-1.0, 1.0], (2, 80))
    columns = np.column_stack([a, a, b])
    t = pair_t(columns, np.array([[0, 1], [0, 2]]), rng.normal(size=80) + a * b)
    assert t[0] == 0.0
    assert t[1] > 3


def test_pairs_at_once_are_pairs_one_by_one():
    rng = np.random.default_rng(40)
    columns = rng.binomial(2, 0.3, (200, 12)).astype(float)
    columns[:, 11] = columns[:, 10]  # a pair whose product is a sum of its columns and their squares
    y = np.column_stack([rng.normal(size=200) * (1 + columns[:, 0])] * 2)
    y[:, 1] += rng.normal(size=200)
    basis = orthonormal_basis(np.column_stack([np.ones(200), rng.normal(size=(200, 2)), columns[:, 5]]))
    pairs = np.array([(i, j) for i in range(12) for j in range(i + 1, 12)])
    tests = robust_pairs(columns, pairs, basis, y)
    for (i, j), test in zip(pairs, tests, strict=True):
        others = np.column_stack([basis, columns[:, i], columns[:, j]])
        one = robust_test(columns[:, i] * columns[:, j], others, y)
        assert test.statistic == pytest.approx(one.statistic, rel=1e-8, abs=1e-12)
        assert test.df == one.df


def test_too_few_samples_for_pairs():
    columns = np.random.default_rng(41).normal(size=(5, 3))
    tests = robust_pairs(columns, np.array([[0, 1]]), np.full((5, 1), 5**-0.5), columns[:, 2:])
    assert 0 < tests[0].p_value < 1
    assert (
        robust_pairs(columns[:3], np.array([[0, 1]]), np.full((3, 1), 3**-0.5), columns[:3, 2:])[0].p_value
        == 1.0
    )
