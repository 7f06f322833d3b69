"""Estimators keep scikit-learn's contract: every check of its own."""

import warnings

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from genoattn import HyperAttentionClassifier, HyperAttentionRegressor

# Few epochs, as scikit-learn has them for its own iterative estimators: the checks fit a hundred times.
ESTIMATORS = [HyperAttentionRegressor(max_epochs=5), HyperAttentionClassifier(max_epochs=5)]
CASES = [
    pytest.param(estimator, check, id=f"{type(estimator).__name__}-{k}-{check.func.__name__}")
    for estimator in ESTIMATORS
    for k, (_, check) in enumerate(estimator_checks_generator(estimator))
]


@pytest.mark.parametrize(("estimator", "check"), CASES)
def test_scikit_learns_check(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # integers that are no copies
        assert check(estimator) is None  # what does not hold is an AssertionError of scikit-learn's own
