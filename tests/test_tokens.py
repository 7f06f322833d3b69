"""States to columns: means, frequencies and centred values, by hand and by definition."""

import numpy as np
import oracles
import pytest

from genoattn.errors import InputError
from genoattn.tokens import build_vocabulary, default_encoding


def test_dosage_columns_by_hand():
    # Site 0: 0, 1, 2 in the called samples: mean 1, variance 2/3. Site 1: 0, 0, 1, 1: mean 1/2, variance 1/4.
    calls = np.array([[0, 0], [1, 0], [2, 1], [-1, 1]], dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 3), "genotype"), "dosage")
    np.testing.assert_allclose(v.mean, [1, 0.5])
    np.testing.assert_allclose(v.variance, [2 / 3, 0.25])
    np.testing.assert_allclose(v.columns(calls), [[-1, -0.5], [0, -0.5], [1, 0.5], [0, 0.5]])


def test_state_columns_by_hand():
    # Site 0 has states 0, 1, 2 with frequencies 1/3 each; site 1 states 0, 1 with 3/4, 1/4.
    calls = np.array([[0, 0], [1, 0], [2, 1], [-1, 0]], dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 2), "sequence"), "sequence")
    assert v.site.tolist() == [0, 0, 0, 1, 1]
    assert v.state.tolist() == [0, 1, 2, 0, 1]
    assert v.first.tolist() == [0, 3]
    third = 1 / 3
    np.testing.assert_allclose(v.mean, [third, third, third, 0.75, 0.25])
    np.testing.assert_allclose(v.variance, [2 / 9, 2 / 9, 2 / 9, 3 / 16, 3 / 16])
    np.testing.assert_allclose(v.columns(calls)[2], [-third, -third, 2 * third, -0.75, 0.75])
    np.testing.assert_allclose(v.columns(calls)[3], [0, 0, 0, 0.25, -0.25])  # missing at site 0


@pytest.mark.parametrize("encoding", ["dosage", "genotype"])
def test_moments_come_from_called_training_samples(encoding):
    # 700 sites of 3 states pass the width of the blocks, 1,024 columns, in which moments are computed.
    rng = np.random.default_rng(0)
    n_states = (3,) * 700
    calls = oracles.random_calls(rng, 30, n_states, missing=0.2)
    training = np.arange(5, 25)
    v = build_vocabulary(oracles.make_cohort(calls, n_states, "genotype"), encoding, training)
    for c in (0, 1, 699, v.n_columns - 1):
        called = [int(x) for x in calls[training, v.site[c]] if x >= 0]
        values = [x if encoding == "dosage" else float(x == v.state[c]) for x in called]
        mean = sum(values) / len(values)
        assert v.mean[c] == pytest.approx(mean)
        assert v.variance[c] == pytest.approx(sum((x - mean) ** 2 for x in values) / len(values))


def test_site_without_a_call_has_mean_0():
    calls = np.array([[-1, 0], [-1, 1]], dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 3), "genotype"), "dosage")
    np.testing.assert_array_equal(v.mean, [0, 0.5])


def test_site_mean_sums_each_site():
    calls = np.array([[0, 0], [2, 1]], dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3, 2), "sequence"), "sequence")
    values = np.array([[1.0, 2, 3, 10, 20]])
    np.testing.assert_allclose(v.site_mean(values, np.array([1.0, 1, 1, 0.5, 0.5])), [[6, 15]])


def test_default_encodings():
    calls = np.zeros((2, 1), dtype=np.int8)
    assert default_encoding(oracles.make_cohort(calls, (3,), "genotype")) == "dosage"
    assert default_encoding(oracles.make_cohort(calls, (3,), "sequence")) == "sequence"


@pytest.mark.parametrize(
    ("kind", "encoding", "message"),
    [
        ("genotype", "one-hot", "encoding 'one-hot' is unknown; choose one of dosage, genotype, sequence"),
        ("genotype", "sequence", "encoding 'sequence' does not fit genotype data; use dosage or genotype"),
        ("sequence", "dosage", "encoding 'dosage' does not fit sequence data; use sequence"),
    ],
)
def test_encoding_that_does_not_fit(kind, encoding, message):
    cohort = oracles.make_cohort(np.zeros((2, 1), dtype=np.int8), (3,), kind)
    with pytest.raises(InputError, match=message):
        build_vocabulary(cohort, encoding)
