"""Training, validation and test samples: a partition, stratified, and the same for a seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoattn.errors import InputError
from genoattn.model.split import split_samples


def parts(split):
    return split.training, split.validation, split.test


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(20, 300),
    validation=st.floats(0.01, 0.45),
    test=st.floats(0, 0.45),
    seed=st.integers(0, 2**31),
)
def test_a_partition_of_the_samples(n, validation, test, seed):
    split = split_samples(np.zeros(n), False, validation, test, seed)
    assert sorted(np.concatenate(parts(split)).tolist()) == list(range(n))
    assert all((np.diff(part) > 0).all() for part in parts(split))
    assert len(split.validation) == max(1, round(validation * n))
    assert len(split.test) == (max(1, round(test * n)) if test else 0)
    assert len(split.training) > 0


@settings(max_examples=60, deadline=None)
@given(
    n_cases=st.integers(3, 60),
    n_controls=st.integers(17, 200),
    share=st.floats(0.05, 0.3),
    seed=st.integers(0, 99),
)
def test_cases_and_controls_in_every_part(n_cases, n_controls, share, seed):
    phenotype = np.random.default_rng(seed).permutation(np.repeat([1.0, 0.0], [n_cases, n_controls]))
    split = split_samples(phenotype, True, share, share, seed)
    assert sorted(np.concatenate(parts(split)).tolist()) == list(range(n_cases + n_controls))
    for part in parts(split):
        assert set(phenotype[part]) == {0.0, 1.0}
    for part in (split.validation, split.test):
        assert phenotype[part].sum() == max(1, round(share * n_cases))
        assert (phenotype[part] == 0).sum() == max(1, round(share * n_controls))


def test_quantitative_split_does_not_look_at_the_values():
    a = split_samples(np.arange(50.0), False, 0.2, 0.2, seed=3)
    b = split_samples(np.zeros(50), False, 0.2, 0.2, seed=3)
    for one, other in zip(parts(a), parts(b), strict=True):
        np.testing.assert_array_equal(one, other)


def test_seeds_differ_and_global_state_is_untouched():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    splits = [split_samples(np.zeros(40), False, 0.2, 0.2, seed).test.tolist() for seed in range(5)]
    assert len({tuple(s) for s in splits}) == 5
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    ("validation", "test"), [(0, 0.2), (1, 0), (0.2, -0.1), (0.6, 0.4), (0.2, float("nan")), (-0.1, 0.2)]
)
def test_shares_that_leave_no_training_set(validation, test):
    message = f"validation share {validation} and test share {test} must be positive and leave a training set"
    with pytest.raises(InputError, match=message):
        split_samples(np.zeros(30), False, validation, test, seed=0)


def test_without_shares_all_samples_train_however_few():
    assert [part.tolist() for part in parts(split_samples(np.zeros(3), False, 0, 0, seed=0))] == [
        [0, 1, 2],
        [],
        [],
    ]


def test_too_few_samples_or_classes():
    assert len(split_samples(np.zeros(20), False, 0.1, 0.1, 0).training) == 16
    with pytest.raises(InputError, match="19 samples with genotypes and phenotype; a fit needs at least 20"):
        split_samples(np.zeros(19), False, 0.1, 0.1, 0)
    for n_cases, message in ((2, "2 cases among 30 samples"), (28, "2 controls among 30 samples")):
        with pytest.raises(InputError, match=f"{message}; a fit needs at least 3 of each"):
            split_samples(np.repeat([1.0, 0.0], [n_cases, 30 - n_cases]), True, 0.1, 0.1, 0)


@pytest.mark.parametrize(
    ("binary", "shares", "n"), [(False, (0.49, 0.5), 20), (True, (0.6, 0.39), 17), (True, (0.5, 0.49), 3)]
)
def test_shares_too_large_for_so_few(binary, shares, n):
    phenotype = np.repeat([1.0, 0.0], [3, 17])
    message = f"validation share {shares[0]} and test share {shares[1]} leave none of {n} samples"
    with pytest.raises(
        InputError, match=rf"{message} \(of one class, for a binary trait\) for training; lower"
    ):
        split_samples(phenotype, binary, *shares, seed=0)
