"""Discovery as a user calls it: what it claims, what it flags, what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from inference_cohorts import cohort_of, linked_dosages, sites_on, unlinked_dosages
from scipy.stats import t as t_distribution

import genoattn
from genoattn.inference.resampling import FalseSignals
from genoattn.inference.signals import q_values


def planted(seed=1, n=600, strength=0.5, binary=False):
    """Five chromosomes of ten linked sites; s5 x s25 interact."""
    rng = np.random.default_rng(seed)
    dosage = linked_dosages(rng, n, 5, 10, 0.8)
    x = (dosage - dosage.mean(axis=0)) / dosage.std(axis=0)
    y = 0.4 * x[:, 5] + strength * x[:, 5] * x[:, 25] + rng.normal(size=n)
    y = (y > 0).astype(float) if binary else y
    return cohort_of(sites_on(5, 10, 50_000), dosage, y, binary)


@pytest.mark.parametrize("binary", [False, True])
def test_planted_pair_is_the_one_signal(binary):
    found = genoattn.discover(planted(binary=binary, strength=0.8))
    assert len(found.claimed) == 1
    signal = found.signals.iloc[0]
    # One row, one quantity: the p-value is that of the statistic.
    expected = 2 * t_distribution.sf(found.signals["statistic"].abs(), found.signals["df"])
    np.testing.assert_allclose(found.signals["p_value"], expected, rtol=1e-9)
    assert (signal["site_1"], signal["site_2"]) == ("s5", "s25")
    assert signal["q_value"] < 0.01
    assert signal["survival"] > 0.8
    assert signal["flag"] == ""
    assert "s5 x s25" in signal["credible"]
    assert found.ranking.iloc[0][["site_1", "site_2"]].tolist() == ["s5", "s25"]
    assert found.ranking["probability"].is_monotonic_decreasing


def test_order_of_samples_changes_nothing():
    cohort = planted(2)
    order = np.random.default_rng(3).permutation(cohort.n_samples)
    one, other = genoattn.discover(cohort), genoattn.discover(cohort.select_samples(order))
    pd.testing.assert_frame_equal(one.signals, other.signals, rtol=1e-6)


def test_noise_claims_nothing():
    claims = 0
    for seed in range(10):
        rng = np.random.default_rng(1000 + seed)
        cohort = cohort_of(sites_on(4, 8, 50_000), unlinked_dosages(rng, 200, 32), rng.normal(size=200))
        claims += len(genoattn.discover(cohort).claimed)
    assert claims == 0


def test_halves_tell_how_stable_a_pair_is():
    found = genoattn.discover(planted(4, strength=0.8), halves=4)
    first = found.files()["stability.tsv"].iloc[0]
    assert {first["site_1"], first["site_2"]} == {"s5", "s25"}
    assert first["selection_frequency"] == 1.0
    assert first["low_90"] < first["coefficient"] < first["high_90"]


def test_refusals():
    rng = np.random.default_rng(5)
    close = cohort_of(sites_on(1, 5, 100), unlinked_dosages(rng, 50, 5), rng.normal(size=50))
    with pytest.raises(genoattn.InputError, match="within 1 Mb of each other, and linked"):
        genoattn.discover(close)
    without = cohort_of(sites_on(2, 5, 100), unlinked_dosages(rng, 50, 10), None)
    with pytest.raises(genoattn.InputError, match="the cohort has no phenotype"):
        genoattn.discover(without)
    with pytest.raises(genoattn.InputError, match="the cohort has no phenotype"):
        genoattn.phantom_check(without, {"site_1": [], "site_2": []})


def test_q_values_are_expected_false_signals_over_claims():
    p = np.array([1e-7, 4e-6, 2e-5, 1e-3])
    false = FalseSignals(1000, limit=1e-3, ratio=0.5, slope=-0.1)
    expected = [1000 * v * 0.5 * (v / 1e-3) ** -0.1 for v in p]
    np.testing.assert_allclose(false.expected(p), expected)
    rate = [e / k * (1 + 1 / k) for k, e in enumerate(expected, 1)]
    np.testing.assert_allclose(q_values(p, false), [min([1.0, *rate[k:]]) for k in range(4)])
    assert q_values(p[:0], false).shape == (0,)


def hidden_variant(seed=6, n=1500):
    """Two chromosomes; an untyped additive variant that s2 and s6 tag together, and s4 by itself, better."""
    rng = np.random.default_rng(seed)
    a, b = rng.binomial(2, 0.4, n), rng.binomial(2, 0.4, n)
    hidden = ((a + b + (rng.random(n) < 0.3)) >= 3).astype(int)
    dosage = unlinked_dosages(rng, n, 16)
    dosage[:, 2], dosage[:, 6], dosage[:, 4] = a, b, hidden + (rng.random(n) < 0.03)
    return cohort_of(sites_on(2, 8, 400_000), dosage, 1.0 * hidden + rng.normal(size=n))


def test_phantoms_are_flagged_and_true_pairs_are_not():
    hidden = hidden_variant()
    checked = genoattn.phantom_check(hidden, {"site_1": ["s2"], "site_2": ["s6"]}).iloc[0]
    assert checked["flag"] == "phantom"
    assert checked["survival"] < 0.5
    true = genoattn.phantom_check(planted(strength=0.8), {"site_1": ["s5", "s5"], "site_2": ["s25", "s7"]})
    assert true["flag"].tolist() == ["", "phantom"]  # the second is within 1 Mb
    assert true["survival"][0] > 0.8
    with pytest.raises(genoattn.InputError, match="site s99: not among the cohort's sites that vary"):
        genoattn.phantom_check(planted(), {"site_1": ["s99"], "site_2": ["s1"]})
