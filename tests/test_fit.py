"""fit: the laws of the public API on small planted cohorts."""

import logging
import random
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from small_cohorts import genotype_sites, planted, short_fit

import genoattn
from genoattn.cohort import Cohort, Covariates, Phenotype
from genoattn.errors import InputError
from genoattn.fitting.metrics import r2


def rows(result):
    """The rows by the set of their tokens, whatever the order in which a term names its sites."""
    out = {}
    for row in result.table.frame.to_dict("records"):
        sites = [(row[f"site_{k}"], row[f"state_{k}"]) for k in range(1, row["order"] + 1)]
        out[frozenset(sites)] = row
    return out


def with_values(cohort, values):
    return replace(cohort, phenotype=replace(cohort.phenotype, values=values))


# --- the two laws


@pytest.mark.parametrize("estimator", ["sparse", "attention"])
@pytest.mark.parametrize(
    ("kind", "encoding"), [("genotype", "dosage"), ("genotype", "genotype"), ("sequence", "sequence")]
)
@pytest.mark.parametrize("binary", [False, True])
def test_the_table_is_the_model_in_every_gauge(estimator, kind, encoding, binary):
    cohort = planted(60, 5, kind=kind, binary=binary, missing=0.1, covariates="mixed", seed=1)
    result = short_fit(cohort, encoding=encoding, order=3, estimator=estimator, precision=64, rank=3)
    expected = result.predict(cohort)
    assert result.manifest.complete
    for gauge in ("frequency", "zero-sum", "reference"):
        found = result.export(gauge).predict(cohort)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_single_precision_law():
    cohort = planted(60, 5, seed=1)
    result = short_fit(cohort, order=3)
    expected = result.predict(cohort)
    np.testing.assert_allclose(
        result.table.predict(cohort), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


@pytest.mark.parametrize("estimator", ["sparse", "attention"])
def test_same_seed_same_bits_other_seed_other_model(estimator):
    cohort = planted(80, 6, seed=2)
    one, two, other = (short_fit(cohort, estimator=estimator, seed=seed, rank=3) for seed in (7, 7, 8))
    assert one.table.to_tsv() == two.table.to_tsv()
    pd.testing.assert_frame_equal(one.table.frame, two.table.frame, check_exact=True)
    assert one.manifest.to_json() == two.manifest.to_json()
    assert one.metrics == two.metrics
    np.testing.assert_array_equal(one.predict(cohort), two.predict(cohort))
    assert one.table.to_tsv() != other.table.to_tsv()


# --- what it finds


def test_planted_pair_and_its_metrics():
    cohort = planted(300, 10, seed=3)
    result = short_fit(cohort, estimator="sparse", max_epochs=100)
    first = result.table.top(1).to_dict("records")[0]
    assert {first["site_1"], first["site_2"]} == {"rs1", "rs2"}
    assert first["p_value"] < 1e-20
    assert first["q_value"] < 1e-18
    assert first["coefficient"] == pytest.approx(1.0, abs=0.15)  # planted: 1 per product of centred dosages
    assert first["statistic"] * first["se"] == pytest.approx(1.0, abs=0.15)
    names = {frozenset(k): row for k, row in rows(result).items()}
    assert names[frozenset({("rs3", "G")})]["coefficient"] == pytest.approx(0.5, abs=0.15)
    test = result.metrics.by_order["test"]
    x = cohort.calls - cohort.calls.mean(axis=0)
    y = cohort.phenotype.values
    truth = r2(y, x[:, 0] * x[:, 1] + 0.5 * x[:, 2])
    assert result.metrics.test == pytest.approx(truth, abs=0.1)
    assert result.metrics.test < truth
    assert test[0] <= test[1] < test[2] - 0.2  # the pair predicts beyond additive effects
    assert result.metrics.n_samples == {"training": 300, "test": 300}  # each by a model of the others
    held_out = short_fit(cohort, estimator="sparse", max_epochs=100, refit=False)
    assert held_out.metrics.n_samples == {"training": 210, "validation": 45, "test": 45}
    share = result.variance.set_index("order")["share_of_phenotype"]
    assert share[2] == pytest.approx((x[:, 0] * x[:, 1]).var() / y.var(), abs=0.12)
    assert result.variance["share_of_model"].sum() == pytest.approx(1)


def test_planted_pair_of_a_binary_trait():
    cohort = planted(400, 8, binary=True, effect=2.0, seed=4)
    result = short_fit(cohort, estimator="sparse", max_epochs=80)
    first = result.table.top(1).to_dict("records")[0]
    assert {first["site_1"], first["site_2"]} == {"rs1", "rs2"}
    assert first["coefficient"] > 0
    assert result.metrics.name == "auc"
    by_order = result.metrics.by_order["test"]
    assert by_order[2] > max(0.75, by_order[1] + 0.1)
    assert result.manifest.units == "log-odds"
    log_odds = result.predict(cohort)
    assert ((log_odds > 0) == (cohort.phenotype.values == 1)).mean() > 0.75


def test_nothing_planted_nothing_found():
    rng = np.random.default_rng(5)
    cohort = with_values(planted(200, 10, seed=5), rng.normal(size=200))
    result = short_fit(cohort, max_epochs=100)
    assert (result.table.frame.loc[result.table.frame["order"] > 0, "q_value"].dropna() > 0.01).all()
    assert result.metrics.test < 0.1


def test_a_covariate_that_drives_the_trait_is_no_interaction():
    cohort = planted(250, 8, effect=0.0, seed=6)
    rng = np.random.default_rng(6)
    x = cohort.calls - cohort.calls.mean(axis=0)
    driver = x[:, [3]] * x[:, [4]] + 0.05 * rng.normal(size=(250, 1))  # looks like a pair of sites
    confounded = with_values(cohort, cohort.phenotype.values + 3 * driver[:, 0])
    pair = frozenset({("rs4", "G"), ("rs5", "G")})
    without = rows(short_fit(confounded, max_epochs=60))
    assert without[pair]["p_value"] < 1e-30
    adjusted = replace(confounded, covariates=Covariates(("driver",), driver))
    result = short_fit(adjusted, max_epochs=60)
    found = rows(result)
    assert pair not in found or (found[pair]["p_value"] > 1e-4 and abs(found[pair]["coefficient"]) < 0.3)
    assert result.manifest.covariate_coefficients[0] == pytest.approx(3, abs=0.3)


# --- what must not matter


@pytest.mark.parametrize("binary", [False, True])
def test_units_of_a_covariate_do_not_matter(binary):
    cohort = planted(100, 6, binary=binary, covariates="mixed", seed=7)
    covariates = cohort.covariates
    rescaled = replace(covariates, values=covariates.values * [1e3, 1, 1] + [1e4, 0, 0])
    one = short_fit(cohort, precision=64)
    two = short_fit(replace(cohort, covariates=rescaled), precision=64)
    for key, row in rows(one).items():
        if key:  # the intercept takes up the shift
            assert rows(two)[key]["p_value"] == pytest.approx(row["p_value"], rel=1e-5)
            assert rows(two)[key]["coefficient"] == pytest.approx(row["coefficient"], rel=1e-5, abs=1e-8)
    np.testing.assert_allclose(
        two.manifest.covariate_coefficients * [1e3, 1, 1], one.manifest.covariate_coefficients, rtol=1e-5
    )


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("estimator", ["sparse", "attention"])
def test_units_of_the_trait_scale_the_coefficients_and_nothing_else(scale, estimator):
    cohort = planted(100, 6, missing=0.05, seed=8)
    options = {"precision": 64, "estimator": estimator, "rank": 3, "order": 3}
    one = short_fit(cohort, **options)
    two = short_fit(with_values(cohort, cohort.phenotype.values * scale), **options)
    assert set(rows(one)) == set(rows(two))
    size = max(abs(row["coefficient"]) for row in rows(one).values())
    for key, row in rows(one).items():
        other = rows(two)[key]
        # Adam's first steps follow the sign of gradients that are rounding errors.
        assert other["coefficient"] / scale == pytest.approx(row["coefficient"], rel=1e-4, abs=1e-8 * size)
        assert other["se"] / scale == pytest.approx(row["se"], rel=1e-8, nan_ok=True)
        for name in ("statistic", "p_value", "q_value", "variance_explained", "r2_ld"):
            assert other[name] == pytest.approx(row[name], rel=1e-6, abs=1e-300, nan_ok=True)
        assert other["flag"] == row["flag"]
    np.testing.assert_allclose(two.metrics.by_order["test"], one.metrics.by_order["test"], rtol=1e-6)


@pytest.mark.parametrize("binary", [False, True])
def test_order_of_the_sites_does_not_matter(binary):
    cohort = planted(100, 7, binary=binary, missing=0.05, seed=9)
    permuted = cohort.select_sites(np.random.default_rng(0).permutation(7))
    one, two = (rows(short_fit(c, precision=64, estimator="sparse")) for c in (cohort, permuted))
    shared = [key for key in one if key in two]
    assert {k for k in one if len(k) < 2} <= set(two)
    assert frozenset({("rs1", "G"), ("rs2", "G")}) in shared
    for key in shared:
        for name in ("se", "statistic", "p_value", "variance_explained", "n_samples", "frequency"):
            assert two[key][name] == pytest.approx(one[key][name], rel=1e-7, nan_ok=True)


def test_order_of_the_samples_changes_no_test_of_a_term():
    cohort = planted(100, 6, seed=10)
    turned = cohort.select_samples(np.arange(100)[::-1])
    one, two = rows(short_fit(cohort)), rows(short_fit(turned))
    # Lower orders are meant at the frequencies of the training samples, which are others.
    shared = [key for key in one if key in two and len(key) == 2]
    assert len(shared) == 15
    for key in shared:
        assert two[key]["p_value"] == pytest.approx(one[key]["p_value"], rel=1e-9, nan_ok=True)


def snapshot():
    filters = list(warnings.filters)
    levels = {name: logging.getLogger(name).level for name in ("", "genoattn", "pytorch_lightning")}
    handlers = {name: list(logging.getLogger(name).handlers) for name in levels}
    return {
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "python": random.getstate(),
        "errors": np.geterr(),
        "filters": filters,
        "levels": levels,
        "handlers": handlers,
        "print": np.get_printoptions(),
    }


@pytest.mark.parametrize(
    "options", [{"precision": 64, "estimator": "attention"}, {"estimator": "sparse", "order": 3}]
)
def test_global_state_is_left_alone(options, caplog):
    caplog.set_level(logging.INFO, "pytorch_lightning")  # not the level that a fit sets for itself
    cohort = planted(60, 5)
    short_fit(cohort)  # first imports may set filters of their own
    before = snapshot()
    values = cohort.phenotype.values.copy()
    genoattn.fit(cohort, max_epochs=3, **options)
    after = snapshot()
    for name, value in before.items():
        assert after[name] == value, name
    np.testing.assert_array_equal(cohort.phenotype.values, values)


def test_global_state_is_left_alone_by_a_fit_that_fails(caplog):
    caplog.set_level(logging.INFO, "pytorch_lightning")
    cohort = planted(60, 5)
    before = snapshot()
    with pytest.raises(InputError, match="training diverged"):
        genoattn.fit(cohort, estimator="attention", order=3, lr=1e300, precision=64, max_epochs=3)
    assert snapshot() == before


# --- sizes


@pytest.mark.parametrize("estimator", ["sparse", "attention"])
def test_order_one_is_an_additive_model(estimator):
    cohort = planted(80, 5, seed=11)
    result = short_fit(cohort, order=1, estimator=estimator, precision=64)
    assert sorted(result.table.frame["order"].unique()) == [0, 1]
    assert len(result.table) == 6
    assert "site_2" not in result.table.frame
    np.testing.assert_allclose(result.table.predict(cohort), result.predict(cohort), rtol=1e-9, atol=1e-9)
    assert "Top terms of order 1" in result.summary()


@pytest.mark.parametrize("estimator", ["sparse", "attention"])
def test_order_four_with_as_many_sites(estimator):
    cohort = planted(60, 4, seed=12)
    result = short_fit(cohort, order=4, estimator=estimator, precision=64, rank=3)
    assert result.manifest.n_tests == {0: 1, 1: 4, 2: 6, 3: 4, 4: 1}
    np.testing.assert_allclose(result.table.predict(cohort), result.predict(cohort), rtol=1e-9, atol=1e-9)
    with pytest.raises(InputError, match="order 5, but there are 4 sites; ask for an order from 1 to 4"):
        short_fit(cohort, order=5)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("order", [2, 3])
def test_twenty_five_samples(binary, order):
    cohort = planted(25, 8, binary=binary, missing=0.05, seed=13)
    result = short_fit(cohort, order=order)
    assert np.isfinite(result.predict(cohort)).all()
    assert np.isfinite(result.table.frame["coefficient"]).all()
    p = result.table.frame["p_value"].dropna()
    assert ((p >= 0) & (p <= 1)).all()
    assert len(result.table.frame[result.table.frame["order"] == 1]) == 8


def test_too_few_samples_or_no_phenotype():
    with pytest.raises(InputError, match="19 samples with genotypes and phenotype; a fit needs at least 20"):
        short_fit(planted(19, 5))
    with pytest.raises(InputError, match="the cohort has no phenotype; read it with pheno=TABLE"):
        short_fit(replace(planted(30, 5), phenotype=None))


def test_haploid_and_one_site_cohorts():
    rng = np.random.default_rng(14)
    calls = rng.integers(0, 2, size=(60, 5)).astype(np.int8)
    values = calls[:, 0] * calls[:, 1] + 0.3 * rng.normal(size=60)
    cohort = Cohort([f"i{k}" for k in range(60)], genotype_sites(5, ploidy=1), calls,
                    phenotype=Phenotype("t", values))  # fmt: skip
    result = short_fit(cohort, max_epochs=60)
    assert set(result.table.top(1)[["site_1", "site_2"]].to_numpy()[0]) == {"rs1", "rs2"}
    single = short_fit(cohort.select_sites(np.array([0])), order=1)
    assert len(single.table) == 2
    with pytest.raises(InputError, match="order 2, but there are 1 sites"):
        short_fit(cohort.select_sites(np.array([0])))


def test_the_limit_of_terms_is_said():
    cohort = planted(80, 8, seed=15)
    result = short_fit(cohort, estimator="attention", rank=3, max_terms=5)
    assert (result.table.frame["order"] == 2).sum() == 5
    assert result.manifest.left_out == {2: 28 - 5}
    assert not result.manifest.complete
    assert result.manifest.n_tests[2] == 28  # q-values are over all pairs still
