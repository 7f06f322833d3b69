"""Samples, frequency and linkage of terms, against loops over samples."""

import numpy as np
import oracles
import pytest

from genoattn.interactions.descriptions import describe_terms
from genoattn.tokens import build_vocabulary


def test_dosages_by_hand():
    # Called at both sites: (0, 0), (1, 1), (2, 1), (2, 2), (0, 2), six samples of each.
    # Joint frequency: mean of (g1/2)(g2/2) = (0 + 1/4 + 1/2 + 1 + 0) / 5 = 0.35.
    # Mean dosages 1 and 1.2: the minor allele of site 1 is alt (at one half), of site 2 the
    # reference. Minor alleles at both: (1, 1), (2, 1): 12 samples.
    rows = [(0, 0), (1, 1), (2, 1), (2, 2), (0, 2)]
    calls = np.array(rows * 6 + [(-1, 2), (1, -1)], dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 3), "genotype"), "dosage")
    found = describe_terms(v, calls, np.array([[0, 1]]))
    assert found.frequency[0] == pytest.approx(0.35)
    assert found.n_samples[0] == 30
    # Deviations -1 0 1 1 -1 and -1.2 -0.2 -0.2 0.8 0.8: covariance 1.2 - 0.2 + 0.8 - 0.8 = 1,
    # spreads 4 and 1.44 + 0.04 + 0.04 + 0.64 + 0.64 = 2.8: r2 = 1 / 11.2.
    assert found.r2_ld[0] == pytest.approx(1 / 11.2)
    assert found.carriers[0] == 12


def test_states_by_hand():
    # State 1 at both sites: 9 of 40 samples.
    calls = np.zeros((40, 2), dtype=np.int8)
    calls[:20, 0] = 1
    calls[11:31, 1] = 1
    v = build_vocabulary(oracles.make_cohort(calls, (2, 2), "sequence"), "sequence")
    found = describe_terms(v, calls, np.array([[1, 3], [1, 2]]))
    np.testing.assert_allclose(found.frequency, [9 / 40, 11 / 40])
    assert found.carriers.tolist() == [9, 11]
    # Half of the samples at each site: r = (9/40 - 1/4) / (1/4) = -0.1.
    np.testing.assert_allclose(found.r2_ld, 0.01)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
@pytest.mark.parametrize("n_samples", [20, 300])
def test_equals_loops(encoding, order, n_samples):
    n_states = (3, 2, 4, 3) if encoding == "sequence" else (3, 3, 2, 3)
    calls = oracles.random_calls(np.random.default_rng(1), n_samples, n_states, missing=0.1)
    v = build_vocabulary(oracles.make_cohort(calls, n_states, oracles.KIND[encoding]), encoding)
    terms = oracles.all_terms(v, order)[:40]
    found = describe_terms(v, calls, terms[:, ::-1])  # in any order of tokens
    for k, term in enumerate(terms):
        complete = calls[(calls[:, v.site[term]] >= 0).all(axis=1)]
        value = [
            complete[:, v.site[c]] / (n_states[v.site[c]] - 1)
            if v.is_dosage
            else complete[:, v.site[c]] == v.state[c]
            for c in term
        ]
        assert found.n_samples[k] == len(complete)
        assert found.frequency[k] == pytest.approx(np.mean(np.prod(value, axis=0)) if order else 1)
        if order == 3:
            with np.errstate(all="ignore"):
                r = np.corrcoef(np.array(value, dtype=float))[np.triu_indices(3, 1)]
            np.testing.assert_allclose(found.r2_ld[k], np.nanmax(r**2) if np.isfinite(r).any() else np.nan)
    assert np.isnan(found.r2_ld).all() == (order < 2)


def test_no_terms():
    calls = np.zeros((5, 2), dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (2, 2), "sequence"), "sequence")
    assert len(describe_terms(v, calls, np.zeros((0, 2), dtype=np.int64)).n_samples) == 0


def test_more_joint_states_than_a_table_holds(monkeypatch):
    calls = oracles.random_calls(np.random.default_rng(2), 200, (4,) * 4)
    v = build_vocabulary(oracles.make_cohort(calls, (4,) * 4, "sequence"), "sequence")
    terms = oracles.all_terms(v, 3)
    one = describe_terms(v, calls, terms)
    monkeypatch.setattr("genoattn.interactions.descriptions.MOST_CELLS", 10)
    other = describe_terms(v, calls, terms)
    assert one.carriers.sum() == 4 * 200
    np.testing.assert_array_equal(other.carriers, one.carriers)
    np.testing.assert_allclose(other.r2_ld, one.r2_ld)
