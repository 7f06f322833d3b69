"""Estimates from the means of cells against loops over them."""

import numpy as np
import oracles
import pytest
from oracles_estimates import cell_estimate

from genoattn.interactions.cell_means import cell_estimates
from genoattn.interactions.terms import is_listed
from genoattn.model.working_response import WorkingResponse
from genoattn.tokens import build_vocabulary
from genoattn.tokens.gauge_centre import GAUGES, gauge_centre


def test_cell_means_by_hand():
    # Four cells of 3 samples, residuals 1, 0, 0, 0 on average (all alike within a cell): the contrast of
    # (1, 1) at frequencies of one half is (1 - 0 - 0 + 0) / 4. Its variance: sum of 1/16 v_c / 3 with v =
    # (10 s2 + 3 r_c^2) / 13 and s2 = 3 / 12.
    calls = np.repeat(oracles.all_calls((2, 2)), 3, axis=0)
    v = build_vocabulary(oracles.make_cohort(calls, (2, 2), "sequence"), "sequence")
    y = np.where((calls == 1).all(axis=1), 1.0, 0.0)
    working = WorkingResponse(y, np.ones(12))
    found = cell_estimates(
        v, calls, working, np.zeros(12), np.array([[1, 3]]), np.array([0.5]), "frequency", 1.0
    )
    assert found.effect[0] == pytest.approx(0.75)
    spread = [(10 * 0.25 + 3 * r) / 13 / 3 for r in (0, 0, 0, 1)]
    assert found.se[0] == pytest.approx(np.sqrt(sum(spread) / 16))
    doubled = cell_estimates(
        v, calls, working, np.zeros(12), np.array([[1, 3]]), np.array([0.5]), "frequency", 2.0
    )
    assert doubled.effect[0] == pytest.approx(1.0)


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_cell_means_equal_a_loop_over_cells(order, gauge):
    rng = np.random.default_rng(order)
    n_states = (3, 2, 4, 3)
    calls = oracles.random_calls(rng, 120, n_states, missing=0.05)
    v = build_vocabulary(oracles.make_cohort(calls, n_states, "sequence"), "sequence")
    working = WorkingResponse(rng.normal(size=120), rng.uniform(0.5, 2, size=120))
    latent = 0.3 * rng.normal(size=120)
    everything = oracles.all_terms(v, order)
    everything = everything[is_listed(v, everything, gauge)]
    terms = everything[rng.permutation(len(everything))[:25]]
    coefficient = 2.0 * rng.normal(size=len(terms))
    found = cell_estimates(v, calls, working, latent, terms, coefficient, gauge, 1.3)
    same = (v.site[terms][:, None] == v.site[terms][None]).all(axis=2)
    of_unseen = same @ coefficient**2 / same.sum(axis=1)
    expected = [
        cell_estimate(v, calls, working.values - latent, working.weight, t, c, u, gauge_centre(v, gauge), 1.3)
        for t, c, u in zip(terms, coefficient, of_unseen, strict=True)
    ]
    effect, se = np.array(expected).T
    np.testing.assert_allclose(found.effect, np.where(np.isnan(se), np.nan, effect), rtol=1e-10)
    np.testing.assert_allclose(found.se, se, rtol=1e-10)
    assert np.isfinite(se).any()
    assert order < 3 or np.isnan(se).any()


def test_a_state_never_seen_has_no_cell_mean():
    calls = np.array([[0, 0], [0, 1], [1, 0]] * 20, dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (2, 2), "sequence"), "sequence")
    y = np.random.default_rng(0).normal(size=60)
    found = cell_estimates(
        v,
        calls,
        WorkingResponse(y, np.ones(60)),
        0 * y,
        np.array([[1, 3]]),
        np.array([0.5]),
        "reference",
        1.0,
    )
    assert np.isnan(found.effect[0])
    assert np.isnan(found.p_value[0])
