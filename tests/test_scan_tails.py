"""Tail probabilities of t and z against scipy, over all degrees of freedom a scan meets."""

import numpy as np
import pytest
from scipy.special import betainc, ndtri, stdtrit

from genoattn.scan import tails

DEGREES = [1, 2, 3, 10, 79.5, 81, 1994, 499_990]


@pytest.mark.parametrize("df", DEGREES)
def test_t_against_the_incomplete_beta_function(df):
    t = np.array([0.05, 0.1, 0.9, 1.7, 2.0, 4.0, 9.0, 35.0, 300.0])
    exact = betainc(df / 2, 0.5, df / (df + t**2))
    rtol = 1e-9 if df > 1e5 else 1e-12
    np.testing.assert_allclose(tails.t_p_value(-t, df), exact, rtol=rtol, atol=1e-300)


def test_what_is_no_ordinary_number():
    p = tails.t_p_value(np.array([np.nan, 0.0, np.inf, -np.inf, 1e200]), 10.0)
    np.testing.assert_array_equal(p[:4], [np.nan, 1.0, 0.0, 0.0])
    assert p[4] == 0.0
    assert np.isnan(tails.t_p_value(np.array([2.0]), np.nan)).all()
    assert tails.t_p_value(np.zeros((0, 3)), 5.0).shape == (0, 3)


@pytest.mark.parametrize("df", DEGREES)
@pytest.mark.parametrize("p_value", [0.999, 0.5, 1e-4, 1e-30])
def test_critical_values(df, p_value):
    assert tails.t_critical(p_value, df) == pytest.approx(-stdtrit(df, p_value / 2), rel=1e-9)
    assert tails.normal_critical(p_value) == pytest.approx(-ndtri(p_value / 2), rel=1e-13)


def test_every_t_passes_a_threshold_of_one():
    assert tails.t_critical(1.0, 20) == 0.0
