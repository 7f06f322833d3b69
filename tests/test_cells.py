"""Statistics from counts of joint states are those of one regression a term."""

from dataclasses import fields

import numpy as np
import oracles
import pytest
from genoattn.interactions.cells import cell_statistics, fits_in_cells
from genoattn.interactions.regression import TermStatistics, term_statistics
from hypothesis import given, settings
from hypothesis import strategies as st

from genoattn.tokens import build_vocabulary

N_STATES = (3, 2, 4, 3)


def data(seed, n_samples, missing=0.0):
    rng = np.random.default_rng(seed)
    calls = oracles.random_calls(rng, n_samples, N_STATES, missing)
    v = build_vocabulary(oracles.make_cohort(calls, N_STATES, "sequence"), "sequence")
    return rng, calls, v, rng.normal(size=n_samples) + calls[:, 0] * (calls[:, 2] == 1) + 7


def all_terms(rng, v, order):
    columns = rng.integers(0, v.n_columns, (400, order))
    distinct = np.array([len(set(s)) == order for s in v.site[columns].tolist()])
    return columns[distinct]  # tokens in any order, terms more than once


@pytest.mark.parametrize("weighted", [False, True])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), order=st.integers(1, 4), n_samples=st.sampled_from([12, 60, 300]))
def test_cells_equal_regressions(weighted, seed, order, n_samples):
    rng, calls, v, y = data(seed, n_samples)
    terms = all_terms(rng, v, order)
    weights = rng.uniform(0.2, 5, n_samples) if weighted else None
    found = cell_statistics(v, calls, y, terms, weights)
    expected = term_statistics(v, calls, y, np.zeros((n_samples, 0)), terms, weights=weights)
    for name in (f.name for f in fields(TermStatistics)):
        one, two = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9, err_msg=name)


def test_pair_by_hand():
    # Means of the four cells 0, 1, 2 and 7, two samples each, 1 apart: 7 - 1 - 2 + 0 = 4, RSS 4 * 0.5 = 2
    # on 8 - 4 degrees of freedom, so se = sqrt(0.5 * 4 / 2) = 1 and t = 4.
    calls = np.array([[0, 0], [0, 0], [0, 1], [0, 1], [1, 0], [1, 0], [1, 1], [1, 1]], dtype=np.int8)
    y = np.array([-0.5, 0.5, 0.5, 1.5, 1.5, 2.5, 6.5, 7.5])
    v = build_vocabulary(oracles.make_cohort(calls, (2, 2), "sequence"), "sequence")
    found = cell_statistics(v, calls, y, np.array([[1, 3]]))
    assert found.se[0] == pytest.approx(1)
    assert found.statistic[0] == pytest.approx(4)
    assert found.frequency[0] == 0.25
    assert found.r2_ld[0] == pytest.approx(0)
    assert found.rare[0]


def test_what_cells_cannot_hold():
    rng, calls, v, _ = data(0, 50)
    terms, none = all_terms(rng, v, 2), np.zeros((50, 0))
    assert fits_in_cells(v, calls, none, terms)
    assert not fits_in_cells(v, calls, np.ones((50, 1)), terms)
    assert not fits_in_cells(v, calls, none, terms[:, :0])
    _, holes, w, _ = data(0, 50, missing=0.2)
    assert not fits_in_cells(w, holes, none, terms)
    dosage = build_vocabulary(oracles.make_cohort(calls, N_STATES, "genotype"), "dosage")
    assert not fits_in_cells(dosage, calls, none, np.array([[0, 1]]))
