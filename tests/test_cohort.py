"""Cohort: counts of states, and selections in either memory layout."""

from dataclasses import replace

import numpy as np
import pytest
from oracles import make_cohort

from genoattn.cohort import Phenotype, count_states


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_samples", [0, 1, 255, 256, 600])
def test_counts_of_states_one_by_one(order, n_samples):
    rng = np.random.default_rng(n_samples)
    calls = np.array(rng.integers(-1, 4, (n_samples, 7)), dtype=np.int8, order=order)
    calls[:, 2] = 3  # more than fit in one byte
    expected = [[sum(c == state for c in column) for column in calls.T.tolist()] for state in range(4)]
    counts = count_states(calls, 4)
    assert counts.shape == (4, 7)
    assert counts.tolist() == expected


@pytest.mark.parametrize("order", ["C", "F"])
def test_selections_keep_the_layout(order):
    rng = np.random.default_rng(1)
    calls = np.array(rng.integers(-1, 3, (9, 5)), dtype=np.int8, order=order)
    cohort = replace(make_cohort(calls, [3] * 5, "genotype", rng.normal(size=9)), calls=calls)
    for index in (np.array([4, 0, 8]), np.arange(9) % 2 == 0):
        chosen = cohort.select_samples(index)
        np.testing.assert_array_equal(chosen.calls, calls[index])
        assert chosen.calls.flags.c_contiguous == (order == "C")
        assert chosen.samples.tolist() == cohort.samples[index].tolist()
        np.testing.assert_array_equal(chosen.phenotype.values, cohort.phenotype.values[index])
    np.testing.assert_array_equal(cohort.select_sites(np.array([3, 1])).calls, calls[:, [3, 1]])


def test_measurement_variance_follows_the_samples():
    trait = Phenotype("y", np.array([1.0, 2.0, 3.0]), variance=np.array([0.1, 0.2, 0.3]))
    chosen = trait.select(np.array([2, 0]))
    assert (chosen.values.tolist(), chosen.variance.tolist()) == ([3.0, 1.0], [0.3, 0.1])
    assert Phenotype("y", np.array([1.0, 2.0])).select(np.array([True, False])).variance is None
    cohort = replace(make_cohort(np.zeros((3, 1), dtype=np.int8), [2], "sequence"), phenotype=trait)
    assert cohort.select_samples(np.array([1])).phenotype.variance.tolist() == [0.2]


@pytest.mark.parametrize(
    ("variance", "message"),
    [
        ([0.1], r"Phenotype.variance has shape \(1,\), the values \(2,\)"),
        ([0.1, 0.0], "Phenotype.variance must be finite and above zero"),
        ([0.1, np.nan], "Phenotype.variance must be finite and above zero"),
        ([np.inf, 0.1], "Phenotype.variance must be finite and above zero"),
    ],
)
def test_measurement_variance_is_checked(variance, message):
    with pytest.raises(ValueError, match=message):
        Phenotype("y", np.array([1.0, 2.0]), variance=np.array(variance))
