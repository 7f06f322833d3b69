"""Orders compared: the smallest that will do, and curvature that is not sold as epistasis."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_cohorts import sequence_sites
from test_link import sigmoid_landscape

import genoattn
from genoattn.cohort import Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.fitting.order_ladder import _losses, _p_worse


def landscape(order, n_samples=700, noise=0.3, seed=0):
    """Three states at six sites; terms up to ``order``."""
    rng = np.random.default_rng(seed)
    calls = rng.integers(0, 3, (n_samples, 6)).astype(np.int8)
    x = calls - 1.0
    y = x[:, 0] - 0.7 * x[:, 1]
    if order > 1:
        y = y + x[:, 2] * x[:, 3] - 0.8 * x[:, 0] * x[:, 4]
    if order > 2:
        y = y + 0.9 * x[:, 1] * x[:, 3] * x[:, 5]
    y = y + rng.normal(0, noise, n_samples)
    samples = [f"i{k}" for k in range(n_samples)]
    return Cohort(samples, sequence_sites(6), calls, "sequence", Phenotype("y", y))


@pytest.fixture(scope="module", params=[1, 2, 3])
def chosen(request):
    cohort = landscape(request.param)
    return (
        request.param,
        cohort,
        genoattn.fit(cohort, order="auto", estimator="posterior", device="cpu", test=0.3),
    )


def test_the_order_that_made_the_data_is_chosen(chosen):
    order, _, result = chosen
    assert (result.ladder.order, result.ladder.link) == (order, "none")
    assert result.manifest.order == order
    frame = result.ladder.frame
    assert frame["chosen"].sum() == 1
    row = frame[frame["chosen"]].iloc[0]
    level = 0.05 / (len(frame) - 1)
    assert row["p_worse"] >= level
    assert (frame.loc[frame["order"] < order, "p_worse"] < level).all()
    assert (frame["lower"] <= frame["score"]).all()
    assert (frame["score"] <= frame["upper"]).all()
    assert frame["order"].max() == order + 1  # one order more was tried, and did not help
    np.testing.assert_allclose(row[[f"share_{k}" for k in range(1, order + 1)]].sum(), 1)


def test_chosen_row_is_the_fit(chosen):
    _, _, result = chosen
    row = result.ladder.frame[result.ladder.frame["chosen"]].iloc[0]
    # Of samples that the folds have not seen, where the test samples are others still.
    assert row["score"] == pytest.approx(result.metrics.test, abs=0.05)
    assert result.manifest.model["form"] == "gaussian process"
    tried = result.manifest.model["tried"]
    assert [t["score"] for t in tried] == result.ladder.frame["score"].round(4).tolist()


def test_written_and_printed(chosen, tmp_path):
    order, _, result = chosen
    result.save(tmp_path / "out")
    frame = pd.read_csv(tmp_path / "out" / "orders.tsv", sep="\t")
    assert len(frame) == len(result.ladder.frame)
    assert f"chosen: order {order}, link none, the smallest that is not clearly worse" in result.summary()


@pytest.mark.validation  # fits four models
def test_curvature_is_not_sold_as_epistasis():
    cohort, _ = sigmoid_landscape()
    result = genoattn.fit(
        cohort,
        order="auto",
        link="bounded",
        estimator="attention",
        rank=8,
        max_epochs=40,
        device="cpu",
        ensemble=2,
    )
    assert (result.ladder.order, result.ladder.link) == (1, "bounded")
    frame = result.ladder.frame
    straight = frame[frame["link"] == "none"].set_index("order")["score"]
    assert straight[2] > straight[1]  # pairs seem to help where there is no link
    assert frame.loc[frame["chosen"], "share_1_lower"].iloc[0] == 1  # all there is at order 1


def test_paired_test_by_scipy():
    rng = np.random.default_rng(0)
    best = rng.exponential(size=200)
    loss = best + rng.normal(0.05, 0.3, 200)
    expected = stats.ttest_rel(loss, best, alternative="greater").pvalue
    assert _p_worse(loss, best) == pytest.approx(expected)
    assert _p_worse(best, best) == 1


def test_losses_are_deviances():
    y, mean = np.array([0.0, 1, 4]), np.array([0.5, 0.25, 3])
    np.testing.assert_allclose(_losses("gaussian", y, mean), (y - mean) ** 2)
    half_deviance = [0.5, np.log(4) - 0.75, 4 * np.log(4 / 3) - 1]
    np.testing.assert_allclose(_losses("poisson", y, mean), half_deviance)
    binary = _losses("bernoulli", np.array([0.0, 1]), np.array([0.25, 0.25]))
    np.testing.assert_allclose(binary, [-np.log(0.75), -np.log(0.25)])


def test_no_validation_samples_no_ladder():
    with pytest.raises(
        InputError, match="order auto compares models on validation samples, but their share is 0"
    ):
        genoattn.fit(landscape(1, 100), order="auto", validation=0.0)
    with pytest.raises(InputError, match="ensemble is 1; it must be 0, or 2 and more"):
        genoattn.fit(landscape(1, 100), ensemble=1)
