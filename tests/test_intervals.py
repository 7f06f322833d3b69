"""Intervals of coefficients: their arithmetic, what is written, and what they cover."""

from itertools import combinations

import numpy as np
import oracles
import pandas as pd
import pytest
from scipy import stats
from test_ladder import landscape

import genoattn
from genoattn.fitting.store import load_model
from genoattn.fitting.train_model import train_ensemble, train_readout
from genoattn.interactions.expansion import Expansion
from genoattn.interactions.extract import readout_factors
from genoattn.interactions.table import coefficient_intervals
from genoattn.model.train_config import Split, TrainConfig, TrainingData
from genoattn.tokens import build_vocabulary


def test_intervals_by_hand():
    frame = pd.DataFrame(
        {"order": [0, 1], "site_1": ["", "s0"], "state_1": ["", "C"], "coefficient": [0.0, 5.0],
         "coefficient_sd": [np.nan, 1.0], "effect": [0.1, 5.5]}
    )  # fmt: skip
    row = coefficient_intervals(frame, 3).iloc[0]
    assert (row["order"], row["site_1"], row["state_1"]) == (1, "s0", "C")
    assert row["upper"] - 5 == pytest.approx(stats.t.ppf(0.95, 2))
    assert 5 - row["lower"] == pytest.approx(2.919986)
    assert coefficient_intervals(frame).iloc[0]["upper"] - 5 == pytest.approx(1.644854)


@pytest.mark.parametrize("estimator", ["posterior", "attention"])
def test_fit_writes_an_interval_for_every_term(estimator, tmp_path):
    cohort = landscape(2, 250)
    result = genoattn.fit(
        cohort,
        order=2,
        estimator=estimator,
        rank=4,
        max_epochs=30,
        device="cpu",
        ensemble=2,
        gauge="zero-sum",
    )
    result.save(tmp_path / "out")
    written = pd.read_csv(tmp_path / "out" / "intervals.tsv", sep="\t", keep_default_na=False)
    rows = result.table.frame[result.table.frame["order"] >= 1]
    assert len(written) == len(rows)
    keys = ["site_1", "state_1", "site_2", "state_2"]
    both = written.merge(rows, on=keys, suffixes=("", "_table"))
    assert len(both) == len(rows)
    np.testing.assert_allclose(
        both["coefficient"].astype(float), both["coefficient_table"], rtol=1e-4, atol=1e-8
    )
    assert (written["lower"] < written["upper"]).all()


def test_deviation_of_a_prediction_from_the_definition():
    cohort = landscape(2, 120)
    posterior = genoattn.fit(cohort, order=3, estimator="posterior", device="cpu").model.posterior
    calls, v, basis = cohort.calls[:5], posterior.basis.vocabulary, posterior.basis
    expected = []
    for sample in calls:
        indicator = (sample[v.site] == v.state) - v.mean
        entity = [float(indicator @ basis.contrasts[:, c]) for c in range(basis.contrasts.shape[1])]
        row = np.array([np.prod([entity[c] for c in m]) for ms in basis.members for m in ms])
        expected.append(np.sqrt(row @ posterior.covariance @ row))
    np.testing.assert_allclose(posterior.prediction_deviation(calls), expected, rtol=1e-8)


@pytest.mark.parametrize("link", ["none", "monotone"])
def test_intervals_of_predictions_cover_unseen_variants(link, tmp_path):
    covered = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        calls = oracles.all_calls((2,) * 9)
        signs = 1.0 - 2 * calls
        pairs = np.array([signs[:, i] * signs[:, j] for i, j in combinations(range(9), 2)]).T
        latent = signs @ rng.normal(size=9) / 3 + pairs @ rng.normal(size=36) / 8
        truth = latent if link == "none" else np.tanh(latent)
        drawn = rng.permutation(512)[:300]
        y = truth + rng.normal(0, 0.15, 512)
        cohort = oracles.make_cohort(calls, (2,) * 9, "sequence", y)
        result = genoattn.fit(cohort.select_samples(drawn), order=2, link=link, device="cpu", test=0.0)
        rest = np.setdiff1d(np.arange(512), drawn)
        table = result.model.prediction_table(cohort.select_samples(rest))
        assert (table["lower"] < table["prediction"]).all()
        covered.append((table["lower"] <= truth[rest]) & (truth[rest] <= table["upper"]))
    # Behind a link the curve is taken for known, so that intervals are short where it is flat.
    assert (0.85 if link == "none" else 0.75) <= np.mean(covered) <= 0.95
    result.save(tmp_path / "out")
    again = load_model(tmp_path / "out").prediction_table(cohort.select_samples(rest))
    np.testing.assert_allclose(again["upper"], table["upper"], rtol=0, atol=1e-5)


def test_no_ensemble_no_intervals_for_dense_factors():
    result = genoattn.fit(landscape(1, 100), estimator="attention", rank=2, max_epochs=2, device="cpu")
    assert result.intervals is None
    assert list(result.model.prediction_table(landscape(1, 100)).columns) == ["IID", "prediction"]


def dense_landscape(seed, n_samples, noise):
    """Random effects of every order up to 3, four states at six sites."""
    rng = np.random.default_rng(seed)
    n_sites, states = 6, 4
    grid = np.zeros((states,) * n_sites)
    for order, share in ((1, 0.5), (2, 0.35), (3, 0.15)):
        sets = list(combinations(range(n_sites), order))
        for chosen in sets:
            effect = rng.normal(size=(states,) * order)
            for axis in range(order):
                effect = effect - effect.mean(axis=axis, keepdims=True)
            effect *= np.sqrt(share / len(sets)) / effect.std()
            grid = grid + effect.reshape([states if k in chosen else 1 for k in range(n_sites)])
    everyone = oracles.all_calls((states,) * n_sites)
    index = rng.permutation(len(everyone))[:n_samples]
    return rng, grid, everyone[index], grid.reshape(-1)[index] + rng.normal(0, np.sqrt(noise), n_samples)


@pytest.mark.validation
def test_ensemble_intervals_of_dense_factors_cover_the_truth():
    covered = []
    for seed in (0, 1):
        rng, grid, calls, y = dense_landscape(seed, 2000, 0.1)
        v = build_vocabulary(oracles.make_cohort(calls, (4,) * 6, "sequence"), "sequence")
        data = TrainingData(calls, np.zeros((len(y), 0)), y, False)
        split = Split(np.arange(250, 2000), np.arange(250), np.zeros(0, dtype=np.int64))
        config = TrainConfig(order=3, estimator="attention", device="cpu")
        main = readout_factors(train_readout(v, data, split, config).readout, v)
        members = [readout_factors(r, v) for r in train_ensemble(v, data, split, config, 6)]
        half = [np.full(4, 0.25)] * 6
        for order in (2, 3):
            columns = np.array(
                [c for c in combinations(range(24), order) if len(set(v.site[list(c)])) == order]
            )
            columns = columns[rng.permutation(len(columns))[:150]]
            coefficient = Expansion(main, "zero-sum").coefficients(columns)
            drawn = np.stack([Expansion(member, "zero-sum").coefficients(columns) for member in members])
            reach = stats.t.ppf(0.95, 5) * drawn.std(axis=0, ddof=1)
            truth = [oracles.project(grid, half, tuple(v.site[c]), tuple(v.state[c])) for c in columns]
            covered += (np.abs(coefficient - truth) < reach).tolist()
    assert 0.85 < np.mean(covered) < 0.95
