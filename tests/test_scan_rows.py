"""Columns of a scan's rows other than the test: frequency of the joint state, carriers, order of rows."""

import numpy as np
import pytest
from oracles import make_cohort

import genoattn
from genoattn.scan.pair_scan import column_codes
from genoattn.scan.rows import joint_frequency
from genoattn.tokens import build_vocabulary


def by_definition(codes, ploidy, mean, term, dosage):
    """Frequency and carriers of one term, sample by sample."""
    total = carriers = n = 0
    for sample in range(codes.shape[1]):
        state = [int(codes[c, sample]) for c in term]
        if -1 in state:
            continue
        n += 1
        if not dosage:
            total += all(s == 1 for s in state)
            carriers += all(s == 1 for s in state)
            continue
        total += np.prod([s / ploidy[c] for s, c in zip(state, term, strict=True)])
        minor = [ploidy[c] - s if mean[c] > ploidy[c] / 2 else s for s, c in zip(state, term, strict=True)]
        carriers += all(m > 0 for m in minor)
    return total / max(n, 1), carriers


@pytest.mark.parametrize("encoding", ["dosage", "genotype"])
@pytest.mark.parametrize("order", [2, 3])
def test_joint_frequency(encoding, order):
    rng = np.random.default_rng(order)
    n_states = [2, 3, 5, 3, 3, 128 if encoding == "dosage" else 3]
    frequencies = [0.7, 0.8, 0.6, 0.1, 0.4, 0.9]
    calls = [rng.binomial(k - 1, p, 70) for k, p in zip(n_states, frequencies, strict=True)]
    calls = np.stack(calls, axis=1)
    calls = np.where(rng.random(calls.shape) < 0.1, -1, calls).astype(np.int8)
    calls[:, 4] = -1  # nobody is called
    cohort = make_cohort(calls, n_states, "genotype")
    vocabulary = build_vocabulary(cohort, encoding)
    codes = column_codes(cohort, vocabulary)
    ploidy = [n_states[s] - 1 for s in vocabulary.site]
    terms = rng.choice(len(codes), (40, order))
    frequency, carriers = joint_frequency(vocabulary, codes, terms, block=16)
    expected = [by_definition(codes, ploidy, vocabulary.mean, t, encoding == "dosage") for t in terms]
    np.testing.assert_allclose(frequency, [e[0] for e in expected], rtol=1e-12)
    assert carriers.tolist() == [e[1] for e in expected]
    assert len(set(carriers)) > 2


def test_rows_are_sorted_and_the_rare_flagged():
    rng = np.random.default_rng(0)
    calls = rng.binomial(2, 0.4, (60, 6)).astype(np.int8)
    calls[:, 0] = np.arange(60) < 9  # too few carriers for a joint state of ten
    cohort = make_cohort(calls, [3] * 6, "genotype", rng.normal(size=60))
    found = genoattn.scan_pairs(cohort, 1.0)
    frame = found.frame
    assert frame["p_value"].is_monotonic_increasing
    of_rare = (frame["site_1"] == "s0") & (frame["flag"] != "linked")
    assert of_rare.sum() >= 3
    assert (frame.loc[of_rare, "flag"] == "rare").all()
    np.testing.assert_array_equal(found.tests.p_value, frame["p_value"])
