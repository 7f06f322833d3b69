"""Prediction of held-out samples: by order, calibration, variance."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import genoattn.views
from genoattn.errors import InputError
from genoattn.fitting.metrics import auc, r2
from genoattn.views.performance import (
    held_out,
    interval_calibration,
    observed_predicted,
    performance_by_order,
    read_predictions,
    reliability,
)
from genoattn.views.variance import variance_by_order


@pytest.fixture
def predictions():
    rng = np.random.default_rng(1)
    first, second, noise = rng.normal(size=(3, 500))
    part = np.repeat(["training", "validation", "test"], [100, 100, 300])
    columns = {"IID": [f"s{k}" for k in range(500)], "part": part, "observed": first + second + 0.5 * noise}
    return pd.DataFrame({**columns, "predicted": first + second, "order_1": first, "sd": 0.5})


def test_a_file_is_read_with_its_types(tmp_path, predictions):
    frame = predictions.assign(IID="NA", sd=np.nan)
    frame.to_csv(tmp_path / "predictions.tsv", sep="\t", index=False)
    found = read_predictions(tmp_path)
    assert (found["IID"] == "NA").all()
    assert found["sd"].isna().all()
    assert found["observed"].to_numpy() == pytest.approx(frame["observed"].to_numpy())


def test_folders_without_predictions_are_told(tmp_path, predictions):
    with pytest.raises(InputError, match=r"predictions\.tsv: no such file; older versions wrote none"):
        read_predictions(tmp_path)
    predictions.drop(columns="part").to_csv(tmp_path / "predictions.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match="no column part; fit again"):
        read_predictions(tmp_path)


def test_held_out_are_folds_or_test_or_validation(predictions):
    assert set(held_out(predictions)["part"]) == {"test"}
    assert set(held_out(predictions[predictions["part"] != "test"])["part"]) == {"validation"}
    assert len(held_out(predictions.assign(part=["fold 1", "fold 2"] * 250))) == 500
    assert len(held_out(predictions[predictions["part"] == "training"])) == 0


def test_performance_is_that_of_the_metric_and_intervals_hold_it(predictions):
    found = performance_by_order(predictions, seed=3)
    test = predictions[predictions["part"] == "test"]
    expected = [r2(test["observed"].to_numpy(), test[name].to_numpy()) for name in ("order_1", "predicted")]
    frame = found.frame
    assert frame["order"].tolist() == ["1", "2"]
    assert frame["value"].tolist() == pytest.approx(expected)
    assert frame["gain"][1] == pytest.approx(expected[1] - expected[0])
    assert (frame["lower"] < frame["value"]).all()
    assert (frame["value"] < frame["upper"]).all()
    assert frame["gain_lower"][1] < frame["gain"][1] < frame["gain_upper"][1]
    # Both orders are scored on the same resampled samples: the gain is surer than either.
    assert frame["gain_upper"][1] - frame["gain_lower"][1] < frame["upper"][0] - frame["lower"][0]
    assert (found.n_samples, found.part) == (300, "test")
    assert performance_by_order(predictions, seed=3).frame.equals(frame)


def test_intervals_have_the_width_of_theory():
    # Standard error of an AUC of two normal samples, by Hanley & McNeil's large-sample formula.
    rng = np.random.default_rng(2)
    y = np.repeat([0.0, 1.0], 400)
    frame = pd.DataFrame({"IID": "a", "part": "test", "observed": y, "predicted": y + rng.normal(size=800)})
    found = performance_by_order(frame, "auc").frame.iloc[0]
    a = auc(y, frame["predicted"].to_numpy())
    q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
    se = np.sqrt((a * (1 - a) + 399 * (q1 - a**2) + 399 * (q2 - a**2)) / 400**2)
    assert found["value"] == pytest.approx(a)
    assert found["upper"] - found["lower"] == pytest.approx(2 * 1.96 * se, rel=0.15)


def test_no_held_out_sample_is_told(predictions):
    with pytest.raises(InputError, match=r"no sample of predictions\.tsv is held out"):
        performance_by_order(predictions[predictions["part"] == "training"])


def test_calibration_counts_samples_inside(predictions):
    found = interval_calibration(predictions, (0.5, 0.9))
    test = predictions[predictions["part"] == "test"]
    away = np.abs(test["observed"] - test["predicted"]) / 0.5
    assert found["share"].tolist() == [(away <= 0.6744898).mean(), (away <= 1.6448536).mean()]
    assert ((found["lower"] < found["nominal"]) & (found["nominal"] < found["upper"])).all()
    with pytest.raises(InputError, match="no held-out prediction has a standard deviation"):
        interval_calibration(predictions.assign(sd=np.nan))


def test_reliability_by_hand():
    columns = {"IID": "a", "part": "fold 1", "observed": [0, 0, 1, 1], "predicted": [0.3, 0.1, 0.8, 0.4]}
    found = reliability(pd.DataFrame(columns), n_bins=2)
    assert found["predicted"].tolist() == pytest.approx([0.2, 0.6])
    assert found["share"].tolist() == [0, 1]
    assert found["n"].tolist() == [2, 2]


def test_points_are_capped_and_held_out(predictions):
    found = observed_predicted(predictions, max_points=50, seed=1)
    assert len(found) == 50
    assert set(found["IID"]) <= set(predictions["IID"][200:])


def test_variance_is_joined_with_gains(predictions):
    components = pd.DataFrame({"order": [1, 2], "variance": [3.0, 1.0], "share_of_phenotype": [0.6, 0.2]})
    performance = performance_by_order(predictions)
    found = variance_by_order(components, performance)
    frame = performance.frame
    assert found["gain"].tolist() == [frame["value"][0], frame["gain"][1]]
    assert variance_by_order(components)["gain"].isna().all()


def test_views_do_not_import_torch_or_matplotlib():
    names = [path.stem for path in Path(genoattn.views.__file__).parent.glob("[a-z]*.py")]
    assert "joint_states" in names
    lines = "".join(f"import genoattn.views.{name}\n" for name in names)
    check = "import sys\nprint([n for n in ('torch', 'matplotlib') if n in sys.modules])"
    out = subprocess.run([sys.executable, "-c", lines + check], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_constant_without_covariates_is_no_order(predictions):
    alone = performance_by_order(predictions).frame
    mean = predictions.assign(order_0=predictions["observed"].mean() + 1)
    pd.testing.assert_frame_equal(performance_by_order(mean).frame, alone)
    covariate = predictions.assign(order_0=predictions["observed"] * 0.1)
    assert performance_by_order(covariate).frame["order"].tolist() == ["0", *alone["order"]]
