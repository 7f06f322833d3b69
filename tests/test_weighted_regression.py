"""Regressions of terms with weights, against statsmodels' WLS."""

import numpy as np
import oracles
import pytest
import statsmodels.api as sm
from genoattn.interactions.regression import term_statistics

from genoattn.tokens import build_vocabulary


@pytest.mark.parametrize("order", [1, 2])
def test_weighted_least_squares_equal_statsmodels(order):
    rng = np.random.default_rng(order)
    calls = oracles.random_calls(rng, 120, (3, 3, 3), missing=0.1)
    v = build_vocabulary(oracles.make_cohort(calls, (3,) * 3, "genotype"), "dosage")
    y, z = rng.normal(size=120), rng.normal(size=(120, 1))
    weights = rng.uniform(0.1, 10, 120)
    terms = np.array([[0, 2][:order]])
    found = term_statistics(v, calls, y, z, terms, weights=weights)
    kept = (calls[:, terms[0]] >= 0).all(axis=1)
    columns = [calls[kept, t].astype(float) for t in terms[0]]
    if order == 2:
        columns.append(columns[0] * columns[1])
    x = sm.add_constant(np.column_stack([z[kept], *columns]))
    full = sm.WLS(y[kept], x, weights[kept]).fit()
    reduced = sm.WLS(y[kept], x[:, :-1], weights[kept]).fit()
    assert found.se[0] == pytest.approx(full.bse[-1], rel=1e-9)
    assert found.statistic[0] == pytest.approx(full.tvalues[-1], rel=1e-9)
    assert found.p_value[0] == pytest.approx(full.pvalues[-1], rel=1e-9)
    assert found.variance_explained[0] == pytest.approx(full.rsquared - reduced.rsquared, rel=1e-8)


def test_weights_have_no_unit():
    rng = np.random.default_rng(3)
    calls = oracles.random_calls(rng, 60, (3, 3))
    v = build_vocabulary(oracles.make_cohort(calls, (3,) * 2, "genotype"), "dosage")
    y, weights = rng.normal(size=60), rng.uniform(0.1, 10, 60)
    one, two = (
        term_statistics(v, calls, y, np.zeros((60, 0)), np.array([[0, 1]]), weights=k * weights)
        for k in (1.0, 1e6)
    )
    assert one.statistic[0] == pytest.approx(two.statistic[0], rel=1e-9)
