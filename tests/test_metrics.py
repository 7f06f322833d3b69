"""Metrics against their definitions."""

import itertools

import numpy as np
import pytest

from genoattn.fitting.metrics import (
    Metrics,
    auc,
    evaluate,
    r2,
)
from genoattn.model.train_config import Split


def auc_by_pairs(observed, predicted):
    """Over all pairs of a case and a control, how often the case scores higher, ties counted half."""
    cases, controls = predicted[observed == 1], predicted[observed == 0]
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(cases, controls)]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("seed", range(5))
def test_auc_with_ties_counts_pairs(seed):
    rng = np.random.default_rng(seed)
    observed = (rng.random(41) < 0.3).astype(float)
    predicted = rng.integers(0, 5, size=41).astype(float)  # many ties
    assert auc(observed, predicted) == pytest.approx(auc_by_pairs(observed, predicted), abs=1e-12)


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [([3.0, 2, 1, 0], 1.0), ([0.0, 1, 2, 3], 0.0), ([1.0, 1, 1, 1], 0.5), ([1.0, 0, 1, 0], 0.5)],
)
def test_auc_at_its_extremes(predicted, expected):
    assert auc(np.array([1.0, 1, 0, 0]), np.array(predicted)) == expected


def test_auc_knows_only_ranks():
    rng = np.random.default_rng(0)
    observed, score = (rng.random(30) < 0.5).astype(float), rng.normal(size=30)
    assert auc(observed, np.exp(3 * score)) == auc(observed, score)
    assert auc(observed, -score) == pytest.approx(1 - auc(observed, score))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_r2_by_hand_at_any_scale(scale):
    observed = np.array([1.0, 2, 3, 6]) * scale  # mean 3, TSS 4 + 1 + 0 + 9
    predicted = np.array([1.0, 3, 3, 4]) * scale  # RSS 0 + 1 + 0 + 4
    assert r2(observed, predicted) == pytest.approx(1 - 5 / 14)


def test_r2_of_the_mean_is_zero_and_can_be_negative():
    observed = np.array([0.0, 1, 2])
    assert r2(observed, np.ones(3)) == 0
    assert r2(observed, np.full(3, 3.0)) == pytest.approx(1 - 14 / 2)


def test_binary_metrics_by_part():
    y = np.array([0.0, 0, 1, 1, 0, 1])
    by_order = np.column_stack([np.zeros(6), [0.0, 1, 1, 2, 5, 4], [0, 0, 0, 0, -3, 0]])
    metrics = evaluate(by_order.cumsum(axis=1), y, Split(np.arange(4), np.arange(0), np.array([4, 5])), True)
    assert metrics.name == "auc"
    assert metrics.by_order["training"] == [0.5, 3.5 / 4, 3.5 / 4]
    assert metrics.by_order["test"] == [0.5, 0.0, 1.0]  # order 2 turns 5 against 4 into 2 against 4
    assert metrics.test == 1.0
    assert list(metrics.by_order) == ["training", "test"]  # no validation samples, no row


def test_record_is_what_metrics_json_says():
    metrics = Metrics("r2", {"training": 4, "test": 1}, {"training": [0.0, 0.25], "test": [np.nan, np.nan]})
    assert metrics.record() == {
        "metric": "r2",
        "training": {"n_samples": 4, "r2": 0.25, "by_order": {"0": 0.0, "1": 0.25}},
        "test": {"n_samples": 1, "r2": None, "by_order": {"0": None, "1": None}},
    }


def test_summary_leaves_out_order_zero():
    lines = Metrics("auc", {"test": 1234}, {"test": [0.5, 0.625, 0.75]}).summary().splitlines()
    assert lines == [
        "AUC of the model cut at each order:",
        "AUC test       ( 1,234 samples)  order 1 0.625  order 2 0.750",
    ]
