"""The proximal optimiser against coordinate descent; splits, batches, early stopping and metrics."""

from dataclasses import replace

import numpy as np
import oracles
import pytest
import torch
from small_cohorts import sequence_sites, short_fit
from torch import nn

from genoattn.cohort import Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.fitting.metrics import auc, evaluate, r2
from genoattn.fitting.train_model import train_readout
from genoattn.model.data import BatchIndices
from genoattn.model.module import PhenotypeModule
from genoattn.model.optimiser import OptimizerSettings, Penalties, ProximalAdam
from genoattn.model.phenotype_likelihood import Likelihood
from genoattn.model.readout import Readout
from genoattn.model.split import split_samples
from genoattn.model.standardise import Standardisation
from genoattn.model.train_config import Split, TrainConfig, TrainingData
from genoattn.tokens import build_vocabulary


def lasso_data(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, 8)) * np.array([1, 2, 0.5, 1, 1, 3, 1, 1])
    y = x @ np.array([1.0, -0.5, 0, 0, 0.8, 0, 0, 0]) + rng.normal(size=200)
    return x, y


def minimise(x, y, l1, start, steps, lr, **group):
    beta = nn.Parameter(torch.tensor(start))
    x, y = torch.tensor(x), torch.tensor(y)
    optimiser = ProximalAdam([{"params": [beta], "l1": l1, **group}], lr=lr)
    for step in range(steps):
        for g in optimiser.param_groups:
            g["lr"] = lr * 0.995**step
        optimiser.zero_grad()
        (0.5 * ((y - x @ beta) ** 2).mean()).backward()
        optimiser.step()
    return beta.detach().numpy()


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_proximal_adam_reaches_the_lasso(start):
    x, y = lasso_data()
    expected = oracles.lasso(x, y, 0.1)
    found = minimise(x, y, 0.1, np.full(8, start), steps=2500, lr=0.03)
    assert 2 <= (expected == 0).sum() <= 6
    np.testing.assert_array_equal(found == 0, expected == 0)  # exact zeros, the same ones
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_penalty_weights_multiply_the_penalty():
    x, y = lasso_data()
    weights = np.array([1.0, 0, 1, 1, 5, 1, 1, 1])
    found = minimise(x, y, 0.1, np.zeros(8), 2500, 0.03, l1_weights=[torch.tensor(weights)])
    # Dividing a column by its weight turns one penalty into many; weight 0 is close to none at all.
    weights = np.maximum(weights, 1e-6)
    expected = oracles.lasso(x / weights, y, 0.1) / weights
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_l2_is_ridge():
    x, y = lasso_data()
    found = minimise(x, y, 0.0, np.zeros(8), 2500, 0.03, l2=0.5)
    expected = np.linalg.solve(x.T @ x / 200 + 0.5 * np.eye(8), x.T @ y / 200)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_start_at_the_optimum_is_not_wiped_out():
    # The gradient vanishes there; shrinkage by lr * penalty / sqrt(v) alone would clear it in one step.
    x, y = lasso_data()
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    after_one = minimise(x, y, 0.01, best, steps=1, lr=0.01)
    assert (np.abs(after_one - best) <= 0.01 + 1e-12).all()
    settled = minimise(x, y, 0.01, best, steps=2500, lr=0.01)
    np.testing.assert_allclose(settled, oracles.lasso(x, y, 0.01), atol=1e-4)


def test_zero_with_small_gradient_stays_zero():
    beta = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimiser = ProximalAdam([{"params": [beta], "l1": 0.3}], lr=0.1)
    for _ in range(20):
        beta.grad = torch.tensor([0.29, 0.31], dtype=torch.float64)
        optimiser.step()
        assert beta[0] == 0
    assert beta[1] < 0


def test_learning_rate_must_not_be_negative():
    for lr in (-0.1, float("nan")):
        with pytest.raises(ValueError, match=f"lr: got {lr}, needs 0 or a positive number"):
            ProximalAdam([nn.Parameter(torch.zeros(1))], lr=lr)


def test_loss_by_hand():
    calls = np.array([[0], [2]], dtype=np.int8)
    v = build_vocabulary(oracles.make_cohort(calls, (3,), "genotype"), "dosage")
    readout = Readout(v, {})
    with torch.no_grad():
        readout.bias.fill_(1.0)
        readout.additive.fill_(2.0)  # mean 1, sd 1: phi = 1 - 2 and 1 + 2
    batch = {
        "calls": torch.tensor(calls),
        "covariates": torch.zeros(2, 0),
        "phenotype": torch.tensor([0.0, 1]),
    }
    rest = Penalties(), Standardisation.of_record(None, 0), OptimizerSettings()
    gaussian = PhenotypeModule(readout, Likelihood("gaussian"), *rest).loss(batch)
    assert gaussian.item() == pytest.approx(0.5 * ((-1) ** 2 + 2**2) / 2)
    binary = PhenotypeModule(readout, Likelihood("bernoulli"), *rest).loss(batch)
    assert binary.item() == pytest.approx((np.log1p(np.exp(-1)) + np.log1p(np.exp(-3))) / 2)


def test_batches_hold_every_sample_once():
    indices = BatchIndices(10, 4, seed=0)
    batches = list(indices)
    assert [len(b) for b in batches] == [4, 3, 3]
    assert len(indices) == 3
    assert sorted(torch.cat(batches).tolist()) == list(range(10))
    assert torch.cat(batches).tolist() != list(range(10))
    assert [b.tolist() for b in indices] == [b.tolist() for b in batches]
    indices.set_epoch(1)
    assert [b.tolist() for b in indices] != [b.tolist() for b in batches]
    assert list(BatchIndices(10, 10)) == [slice(None)]
    assert [b.tolist() for b in BatchIndices(5, 100, None, 2, 1)] == [[1, 3]]


def test_split_holds_every_sample_once():
    split = split_samples(np.zeros(103), False, 0.15, 0.2, seed=1)
    parts = (split.training, split.validation, split.test)
    assert [len(p) for p in parts] == [67, 15, 21]
    assert sorted(np.concatenate(parts).tolist()) == list(range(103))
    assert all((np.diff(p) > 0).all() for p in parts)
    again = split_samples(np.zeros(103), False, 0.15, 0.2, seed=1)
    np.testing.assert_array_equal(again.test, split.test)
    assert (split_samples(np.zeros(103), False, 0.15, 0.2, seed=2).test != split.test).any()


def test_split_keeps_the_share_of_cases():
    y = np.zeros(200)
    y[:40] = 1
    split = split_samples(y, True, 0.25, 0.25, seed=0)
    assert [y[p].sum() for p in (split.training, split.validation, split.test)] == [20, 10, 10]
    assert len(split_samples(y, True, 0.25, 0.0, seed=0).test) == 0


@pytest.mark.parametrize(
    ("y", "binary", "shares", "message"),
    [
        (np.zeros(30), False, (0, 0.2), "validation share 0 and test share 0.2 must be positive and leave"),
        (np.zeros(30), False, (0.5, 0.5), "validation share 0.5 and test share 0.5 must be positive"),
        (np.zeros(30), False, (float("nan"), 0.1), "validation share nan"),
        (np.zeros(19), False, (0.1, 0.1), "19 samples with genotypes and phenotype; a fit needs at least 20"),
        (np.eye(30)[0], True, (0.1, 0.1), "1 cases among 30 samples; a fit needs at least 3 of each"),
        (1 - np.eye(30)[0], True, (0.1, 0.1), "1 controls among 30 samples; a fit needs at least 3 of each"),
    ],
)
def test_split_that_cannot_be(y, binary, shares, message):
    with pytest.raises(InputError, match=message):
        split_samples(y, binary, *shares, seed=0)


def training_data(seed=0, n_samples=60):
    rng = np.random.default_rng(seed)
    calls = oracles.random_calls(rng, n_samples, (3, 3, 3))
    y = calls[:, 0] * 1.0 + rng.normal(size=n_samples)
    v = build_vocabulary(oracles.make_cohort(calls, (3,) * 3, "genotype"), "dosage")
    data = TrainingData(calls, np.zeros((n_samples, 0)), y, False)
    return v, data, split_samples(y, False, 0.2, 0.2, seed)


@pytest.mark.parametrize("order", [0, 4])
def test_order_beyond_the_sites(order):
    v, data, split = training_data()
    with pytest.raises(
        InputError, match=f"order {order}, but there are 3 sites; ask for an order from 1 to 3"
    ):
        train_readout(v, data, split, TrainConfig(order=order))


def test_divergence_is_an_error():
    v, data, split = training_data()
    config = TrainConfig(order=3, estimator="attention", lr=1e30, max_epochs=3)
    with pytest.raises(InputError, match="training diverged: the validation loss was never finite; lower"):
        train_readout(v, data, split, config)


def test_a_start_that_steps_spoil_stays():
    v, data, split = training_data(n_samples=400)
    pair = (data.calls[:, 0] - 1.0) * (data.calls[:, 1] - 1.0)
    data = replace(data, phenotype=data.phenotype + 3 * pair)
    trained_kept = train_readout(v, data, split, TrainConfig(estimator="sparse", lr=0.5, max_epochs=3))
    kept, summary = trained_kept.readout, trained_kept.summary
    trained_start = train_readout(v, data, split, TrainConfig(estimator="sparse", max_epochs=0))
    start, none = trained_start.readout, trained_start.summary
    assert (summary.start, summary.best_epoch, none.best_epoch) == ("score", 0, 1)
    torch.testing.assert_close(kept.state_dict(), start.state_dict(), rtol=0, atol=0)
    assert summary.validation_loss == pytest.approx(none.validation_loss, rel=1e-6)


def test_a_larger_penalty_makes_smaller_dense_factors():
    v, data, split = training_data()

    def size(penalty):
        config = TrainConfig(order=3, estimator="attention", penalty=penalty, max_epochs=300, precision=64)
        readout = train_readout(v, data, split, config).readout
        return sum(float((readout.factor_values(order).detach() ** 2).sum()) for order in (2, 3))

    none, some, much = size(0), size(1), size(100)
    assert none > 1.05 * some
    assert some > 2 * much


def test_training_leaves_global_state_alone():
    v, data, split = training_data()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_readout(v, data, split, TrainConfig(estimator="attention", max_epochs=2, precision=64))
    assert torch.get_default_dtype() == torch.float32
    torch.testing.assert_close(torch.rand(3), expected)


def test_same_seed_same_model_and_best_weights_come_back():
    v, data, split = training_data()
    config = TrainConfig(estimator="attention", max_epochs=40, patience=5, precision=64, lr=0.05)
    trained_one = train_readout(v, data, split, config)
    one, summary = trained_one.readout, trained_one.summary
    two = train_readout(v, data, split, config).readout
    torch.testing.assert_close(one.state_dict(), two.state_dict(), rtol=0, atol=0)
    assert 1 <= summary.best_epoch < 40
    # The loss of the returned model on the validation samples is the best one seen, in standard units.
    scale = data.phenotype[split.training].std()
    with torch.no_grad():
        none = torch.zeros(len(split.validation), 0, dtype=torch.float64)
        phi = one(torch.tensor(data.calls[split.validation]), none).sum(dim=1).numpy()
    loss = 0.5 * (((phi - data.phenotype[split.validation]) / scale) ** 2).mean()
    assert loss == pytest.approx(summary.validation_loss, rel=1e-6)


def test_r2_and_auc_by_hand():
    observed, predicted = np.array([1.0, 2, 3]), np.array([1.0, 2, 4])
    assert r2(observed, predicted) == pytest.approx(0.5)  # RSS 1, TSS 2
    assert np.isnan(r2(np.ones(3), predicted))
    # Pairs (case, control): 3 > 1, 3 > 2, 2 > 1, 2 = 2: 3.5 of 4.
    assert auc(np.array([1, 1, 0, 0]), np.array([3.0, 2, 1, 2])) == pytest.approx(3.5 / 4)
    assert np.isnan(auc(np.ones(2), np.arange(2.0)))


def test_metrics_cumulate_orders():
    y = np.array([0.0, 1, 2, 3, 4, 5])
    means = np.cumsum([np.full(6, 2.5), (y - 2.5) / 2, (y - 2.5) / 2], axis=0).T
    metrics = evaluate(means, y, Split(np.arange(4), np.arange(0), np.arange(6)), False)
    assert metrics.n_samples == {"training": 4, "test": 6}
    np.testing.assert_allclose(metrics.by_order["test"], [0, 0.75, 1])  # residual y / 2: a quarter of TSS
    assert metrics.test == pytest.approx(1)
    assert "R2 test" in metrics.summary()
    assert metrics.record()["test"]["by_order"]["1"] == pytest.approx(0.75)
    single = evaluate(means, y, Split(np.arange(6), np.arange(0), np.arange(1)), False)
    assert single.record()["test"]["r2"] is None


@pytest.mark.parametrize(("n_samples", "rank"), [(4700, 32), (7000, 64)])
def test_more_dense_factors_where_samples_abound(n_samples, rank):
    # 64 factors of nine columns have 576 parameters. 70 % of the samples train the model of the metrics.
    rng = np.random.default_rng(0)
    calls = rng.integers(0, 3, (n_samples, 3)).astype(np.int8)
    phenotype = Phenotype("y", rng.normal(size=n_samples))
    cohort = Cohort([f"i{k}" for k in range(n_samples)], sequence_sites(3), calls, "sequence", phenotype)
    assert short_fit(cohort, max_epochs=1).manifest.model["ranks"] == {2: rank}
    assert short_fit(cohort, max_epochs=1, rank=5).manifest.model["ranks"] == {2: 5}
