"""Traits without interactions, and how many signals they have."""

import numpy as np
import pytest
from inference_cohorts import sites_on, standardised, unlinked_dosages

import genoattn
from genoattn.cohort import Cohort, Covariates, Phenotype
from genoattn.inference.background import AdditiveGenome
from genoattn.inference.resampling import Exchangeable, FalseSignals, resampled_backgrounds


@pytest.mark.parametrize(("ratio", "power"), [(1.0, 1.0), (0.4, 1.0), (2.0, 0.9)])
def test_expected_signals_are_those_that_were_counted(ratio, power):
    # Of m p-values a trait, the number up to p is m c p^power.
    rng, m, limit, n_resamples = np.random.default_rng(1), 10_000, 1e-2, 100
    found = []
    for _ in range(n_resamples):
        mean = m * ratio * limit
        found.append(limit * rng.random(rng.poisson(mean)) ** (1 / power))
    false = FalseSignals.counted(np.concatenate(found), m, limit, n_resamples)
    for p in (1e-2, 1e-3, 1e-4):
        truth = m * ratio * limit * (p / limit) ** power
        assert truth * 0.98 < false.expected(np.array(p)) < truth * 1.1
    assert false.n_counted == sum(map(len, found))


def test_few_counts_raise_the_expectation_and_none_leave_it():
    p = np.array([1e-3, 5e-3, 8e-3, 2e-3])
    false = FalseSignals.counted(p, 1000, 1e-2, 10)
    assert false.expected(np.array(1e-2)) > 0.4  # 4 of 10 traits
    assert FalseSignals.counted(p[:0], 1000, 1e-2, 10).expected(np.array(1e-2)) > 0


def test_residuals_are_permuted_within_strata():
    strata = np.array([0, 1, 0, 1, 2, 0, 1])
    residual = np.arange(7.0)
    rng, orders = np.random.default_rng(2), set()
    for _ in range(200):
        drawn = Exchangeable(strata).residuals(residual, rng)
        orders.add(tuple(drawn))
        for k in range(3):
            assert sorted(drawn[strata == k]) == sorted(residual[strata == k])
    assert len(orders) == 36  # 3! x 3! x 1
    assert len({tuple(Exchangeable().residuals(residual[:3], rng)) for _ in range(100)}) == 6


def test_families_change_sign_together():
    families = np.array([0, 0, 1, 2, 1])
    residual = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    rng, signs = np.random.default_rng(3), set()
    for _ in range(100):
        sign = Exchangeable(families=families).residuals(residual, rng) / residual
        assert sign[0] == sign[1]
        assert sign[2] == sign[4]
        signs.add(tuple(sign))
    assert len(signs) == 8


@pytest.mark.parametrize("binary", [False, True])
def test_resampled_traits_keep_additive_effects_and_lose_interactions(binary):
    rng = np.random.default_rng(4)
    x = standardised(unlinked_dosages(rng, 600, 30))
    y = x[:, 0] + x[:, 3] * x[:, 20] + rng.normal(size=600)
    y = (y > 0).astype(float) if binary else y
    genome = AdditiveGenome(x, np.zeros((600, 0)), np.arange(30))
    background = genome.take_out(y, binary)
    drawn = resampled_backgrounds(genome, background, binary, Exchangeable(), 30, rng)
    additive = [np.corrcoef(null.fitted + null.residuals[:, 0], x[:, 0])[0, 1] for null in drawn]
    product = [np.corrcoef(null.residuals[:, 0], x[:, 3] * x[:, 20])[0, 1] for null in drawn]
    assert np.mean(additive) > 0.6 * np.corrcoef(y, x[:, 0])[0, 1]
    assert abs(np.mean(product)) < 0.03
    assert np.corrcoef(background.residuals[:, 0], x[:, 3] * x[:, 20])[0, 1] > 0.3
    if binary:
        assert set(np.concatenate([null.fitted + null.residuals[:, 0] for null in drawn]).round(9)) == {
            0.0,
            1.0,
        }


def cohort_with(column, levels, seed=5):
    rng = np.random.default_rng(seed)
    dosage = unlinked_dosages(rng, 200, 30)
    names = tuple(f"batch={level}" for level in levels[1:]) if levels else ("batch",)
    values = np.stack([column == k for k in range(1, len(levels))], axis=1) if levels else column[:, None]
    covariates = Covariates(names, values.astype(float), {"batch": levels} if levels else {})
    noise = rng.normal(size=200) * np.where(column == 1, 5.0, 1.0)
    return Cohort(
        [f"i{k}" for k in range(200)], sites_on(3, 10, 50_000), dosage.astype(np.int8), "genotype",
        Phenotype("y", noise), covariates,
    )  # fmt: skip


def test_strata_are_groups_of_a_covariate():
    column = np.arange(200) % 3
    cohort = cohort_with(column, ("a", "b", "c"))
    assert cohort.covariates is not None
    groups = cohort.covariates.groups("batch")
    assert len(set(zip(groups.tolist(), column.tolist(), strict=True))) == 3
    number = cohort_with(column, ())
    assert number.covariates is not None
    np.testing.assert_array_equal(number.covariates.groups("batch"), column)
    found = genoattn.discover(cohort, strata="batch")
    assert found.false.n_resamples == 40
    other = genoattn.discover(cohort)
    assert found.false != other.false


def test_strata_that_are_of_no_use(caplog):
    cohort = cohort_with(np.arange(200) % 3, ("a", "b", "c"))
    with pytest.raises(genoattn.InputError, match="no covariate 'sex'; the covariates are: batch"):
        genoattn.discover(cohort, strata="sex")
    alone = cohort_with(np.arange(200), ())
    with pytest.raises(genoattn.InputError, match="200 of 200 samples are alone in their stratum of 'batch'"):
        genoattn.discover(alone, strata="batch")
    with caplog.at_level("WARNING", "genoattn"):
        genoattn.discover(cohort_with(np.minimum(np.arange(200), 3), ()), strata="batch")
    assert "strata of batch: 3 samples are alone in theirs, and keep their residual" in caplog.messages
    bare = Cohort(cohort.samples, cohort.sites, cohort.calls, "genotype", cohort.phenotype)
    with pytest.raises(genoattn.InputError, match="no covariates to have 'batch'; give a table"):
        genoattn.discover(bare, strata="batch")
