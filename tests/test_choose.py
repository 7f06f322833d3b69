"""Which estimator fits a cohort, with its reason: decided once, logged, and in the manifest."""

import json
import logging

import numpy as np
import oracles
import pytest
from small_cohorts import planted, short_fit

from genoattn.errors import InputError
from genoattn.fitting.choose import choose_estimator
from genoattn.fitting.store import load_model
from genoattn.model.train_config import TrainConfig
from genoattn.tokens import build_vocabulary


def vocabulary(kind, n_states, encoding=None):
    rng = np.random.default_rng(0)
    calls = np.stack([rng.integers(0, k, 60) for k in n_states], axis=1).astype(np.int8)
    return build_vocabulary(
        oracles.make_cohort(calls, n_states, kind), encoding or {"genotype": "dosage"}.get(kind, kind)
    )


LANDSCAPE = ("sequence", (2,) * 8)
PROTEIN = ("sequence", (10,) * 30)
COHORT = ("genotype", (3,) * 50)


@pytest.mark.parametrize(
    ("cohort", "n_samples", "options", "estimator", "reason"),
    [
        (LANDSCAPE, 200, {}, "gaussian process", "36 products up to order 2, few enough for 200 samples"),
        (LANDSCAPE, 200, {"estimator": "posterior"}, "gaussian process", "estimator posterior"),
        (COHORT, 900, {"estimator": "posterior", "order": 1}, "gaussian process", "estimator posterior"),
        (LANDSCAPE, 200, {"estimator": "attention"}, "dense factors", "estimator attention"),
        (LANDSCAPE, 200, {"estimator": "sparse"}, "sparse factors", "estimator sparse"),
        # 30 sites of 9 free states: 32 x 270 = 8,640 parameters, two samples each.
        (
            PROTEIN, 17_280, {}, "dense factors",
            "17,280 samples, at least 2 for each of 8,640 parameters of dense factors",
        ),
        (
            PROTEIN, 17_279, {}, "sparse factors",
            "17,279 samples, fewer than 2 for each of 8,640 parameters of dense factors",
        ),
        # 50 x 49 / 2 = 1,225 pairs of dosages, twenty samples each.
        (
            COHORT, 24_500, {}, "dense factors",
            "24,500 samples, at least 20 for each of 1,225 pairs of columns",
        ),
        (COHORT, 900, {}, "sparse factors", "900 samples, fewer than 20 for each of 1,225 pairs of columns"),
        (COHORT, 900, {"attention": "linear"}, "full attention", "attention linear"),
        (PROTEIN, 900, {"attention": "feature"}, "feature factors", "attention feature"),
        (
            COHORT, 900, {"attention": "feature"}, "sparse factors",
            "900 samples, fewer than 20 for each of 1,225 pairs of columns",
        ),
        (
            COHORT, 900, {"attention": "feature", "estimator": "attention"}, "feature factors",
            "attention feature",
        ),
    ],
)  # fmt: skip
def test_the_numbers_or_the_settings_decide(cohort, n_samples, options, estimator, reason):
    choice = choose_estimator(vocabulary(*cohort), TrainConfig(**options), "gaussian", n_samples)
    assert (choice.estimator, choice.reason) == (estimator, reason)


def test_no_closed_form_without_normal_noise():
    v = vocabulary(*LANDSCAPE)
    assert choose_estimator(v, TrainConfig(), "student", 400).estimator == "dense factors"
    with pytest.raises(
        InputError, match="estimator posterior is for hyper attention and a gaussian likelihood"
    ):
        choose_estimator(v, TrainConfig(estimator="posterior"), "student", 400)


def test_settings_without_a_model_are_refused_first():
    with pytest.raises(InputError, match="order 9, but there are 8 sites; ask for an order from 1 to 8"):
        choose_estimator(vocabulary(*LANDSCAPE), TrainConfig(order=9, estimator="posterior"), "student", 400)


@pytest.mark.parametrize(
    ("kind", "estimator"), [("genotype", "sparse factors"), ("sequence", "gaussian process")]
)
def test_the_choice_is_logged_once_and_kept(kind, estimator, caplog, tmp_path):
    with caplog.at_level(logging.INFO, logger="genoattn"):
        result = short_fit(planted(kind=kind), estimator="auto")
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("estimator: ")]
    model = result.manifest.model
    assert model["form"] == estimator
    assert len(lines) == 1
    assert lines[0].startswith(f"estimator: {estimator} (")
    result.save(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "manifest.json").read_text())["model"]
    assert (written["form"], written["reason"]) == (model["form"], model["reason"])
    assert load_model(tmp_path / "out").manifest.model["reason"] == model["reason"]
