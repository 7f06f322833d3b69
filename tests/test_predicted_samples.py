"""predictions.tsv: the samples of a fit with predictions of models that have or have not seen them."""

from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import planted, short_fit

from genoattn.fitting.metrics import auc, r2

CASES = {
    "folds": ({"kind": "genotype"}, {"order": 2}),
    "split": ({"kind": "sequence"}, {"order": 3}),
    "binary": ({"kind": "genotype", "binary": True}, {"order": 2}),
    "counts": ({"kind": "sequence"}, {"order": 2, "likelihood": "student"}),
}


@pytest.mark.parametrize("name", CASES)
def test_they_reproduce_the_metrics(name):
    cohort_options, options = CASES[name]
    cohort = planted(120, 6, seed=1, **cohort_options)
    result = short_fit(cohort, **options)
    rows = result.predictions
    assert rows["IID"].tolist() == cohort.samples.tolist()
    np.testing.assert_array_equal(rows["observed"], cohort.phenotype.values)
    unseen = rows[rows["part"].str.startswith("fold") | (rows["part"] == "test")]
    score = auc if cohort.phenotype.binary else r2
    values = [*(unseen[f"order_{k}"] for k in range(options["order"])), unseen["predicted"]]
    found = [score(unseen["observed"].to_numpy(), v.to_numpy()) for v in values]
    np.testing.assert_allclose(found, result.metrics.by_order["test"], rtol=1e-9)


def test_probabilities_and_no_deviation_of_a_binary_trait():
    rows = short_fit(planted(120, 6, seed=1, binary=True), order=2).predictions
    assert rows["predicted"].between(0, 1).all()
    assert rows["sd"].isna().all()


def test_deviations_match_the_errors_of_unseen_samples():
    rows = short_fit(planted(900, 5, seed=2, kind="sequence"), order=2).predictions
    test = rows[rows["part"] == "test"]
    spread = float(((test["observed"] - test["predicted"]) / test["sd"]).std())
    assert 0.85 < spread < 1.15
