"""fit: settings, records, and inputs that are refused."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohorts import planted, short_fit
from statsmodels.stats.multitest import multipletests

import genoattn
from genoattn.cohort import Covariates
from genoattn.errors import InputError
from genoattn.fitting.fit_settings import FitConfig
from genoattn.model.train_config import TrainConfig


def test_settings_by_name_or_as_a_config():
    cohort = planted(60, 5)
    config = FitConfig(TrainConfig(order=3, max_epochs=4, device="cpu", seed=3), gauge="reference", test=0.2)
    by_name = genoattn.fit(cohort, order=3, max_epochs=4, device="cpu", seed=3, gauge="reference", test=0.2)
    assert genoattn.fit(cohort, config).table.to_tsv() == by_name.table.to_tsv()
    mixed = genoattn.fit(cohort, config, gauge="zero-sum", seed=4)
    assert (mixed.manifest.gauge, mixed.manifest.seed, mixed.manifest.order) == ("zero-sum", 4, 3)
    assert (config.gauge, config.training.seed) == ("reference", 3)
    said = mixed.manifest.model
    assert (said["order"], said["test"], said["max_epochs"]) == (3, 0.2, 4)
    assert 1 <= said["best_epoch"] <= 4


def test_without_test_samples_or_with_a_refit():
    cohort = planted(80, 6, seed=16)
    assert list(short_fit(cohort, test=0.0).metrics.n_samples) == ["training", "validation"]
    options = {"estimator": "attention", "rank": 2, "max_epochs": 10}
    once, twice = short_fit(cohort, refit=False, **options), short_fit(cohort, refit=True, **options)
    assert once.metrics == twice.metrics  # those of the model that never saw the test samples
    assert np.abs(once.predict(cohort) - twice.predict(cohort)).max() > 1e-4
    assert once.manifest.vocabulary.mean[0] != twice.manifest.vocabulary.mean[0]


def test_landscapes_are_trained_again_on_all_samples_unless_told():
    cohort = planted(80, 6, kind="sequence", seed=16)
    options = {"estimator": "attention", "rank": 2, "max_epochs": 10}
    by_default, told = short_fit(cohort, **options), short_fit(cohort, refit=True, **options)
    assert by_default.table.to_tsv() == told.table.to_tsv()
    assert by_default.table.to_tsv() != short_fit(cohort, refit=False, **options).table.to_tsv()
    of_genotypes = planted(80, 6, seed=16)
    kept = short_fit(of_genotypes, **options).table.to_tsv()
    assert kept == short_fit(of_genotypes, refit=False, **options).table.to_tsv()


def test_all_samples_train_once_where_no_share_is_set_aside():
    cohort = planted(80, 6, seed=16)
    options = {"estimator": "attention", "rank": 2, "max_epochs": 3, "validation": 0, "test": 0}
    result = short_fit(cohort, refit=True, **options)
    assert result.metrics.n_samples == {"training": 80}
    assert result.manifest.model["validation_loss"] is None
    assert result.table.to_tsv() == short_fit(cohort, refit=False, **options).table.to_tsv()


def test_without_assessment_there_are_no_folds_and_no_signals():
    cohort = planted(80, 6, seed=16)
    options = {"estimator": "sparse", "max_epochs": 3}
    plain, full = short_fit(cohort, assess=False, **options), short_fit(cohort, **options)
    assert (plain.metrics.n_folds, full.metrics.n_folds) == (None, 5)
    assert plain.manifest.tests["signals"] == "assess is off" != full.manifest.tests.get("signals")
    np.testing.assert_array_equal(plain.predict(cohort), full.predict(cohort))


def test_unknown_setting():
    with pytest.raises(
        TypeError, match=r"fit\(\) got an unknown setting 'ordre'; known are alpha, assess, attention, "
    ):
        genoattn.fit(planted(30, 5), ordre=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gauge": "hadamard"}, "gauge 'hadamard' is unknown; choose one of reference, zero-sum, frequency"),
        (
            {"estimator": "warm"},
            "estimator 'warm' is unknown; choose one of auto, attention, posterior, sparse",
        ),
        ({"precision": 16}, "precision 16 is unknown; choose one of 32, 64, 16-mixed, bf16-mixed"),
        (
            {"precision": "16-mixed"},
            "precision 16-mixed is not available on cpu; use one of 32, 64, bf16-mixed",
        ),
        ({"devices": 999}, r"devices is 999, but of cpu there are \d+; give 1 to \d+"),
        ({"devices": 0}, r"devices is 0, but of cpu there are \d+; give 1 to \d+"),
        ({"device": "cuda:1"}, "device 'cuda:1' is unknown; choose one of auto, cpu, cuda, mps"),
        ({"rank": 0}, "rank is 0; it must be 1 or more, and finite"),
        ({"max_epochs": 0}, "max_epochs is 0; it must be 1 or more, and finite"),
        ({"patience": -1}, "patience is -1; it must be 0 or more, and finite"),
        ({"penalty": -0.5}, "penalty is -0.5; it must be 0 or more, and finite"),
        ({"penalty": float("nan")}, "penalty is nan; it must be 0 or more, and finite"),
        ({"max_terms": 0}, "max_terms is 0; it must be 1 or more, and finite"),
        ({"order": 0}, "order 0, but there are 5 sites; ask for an order from 1 to 5"),
        ({"order": 6}, "order 6, but there are 5 sites; ask for an order from 1 to 5"),
        (
            {"validation": 0},
            "validation share 0 and test share 0.15 must be positive and leave a training set",
        ),
        ({"test": 0.9}, "validation share 0.15 and test share 0.9 must be positive and leave a training set"),
        ({"encoding": "onehot"}, "encoding 'onehot' is unknown; choose one of dosage, genotype, sequence"),
        ({"encoding": "sequence"}, "encoding 'sequence' does not fit genotype data; use dosage or genotype"),
    ],
)
def test_settings_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        short_fit(planted(30, 5), **options)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_device_that_is_not_there(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"device '{device}' is not available here; use cpu or auto"):
        short_fit(planted(30, 5), device=device)


def test_more_gpus_than_there_are_or_a_precision_they_lack(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(InputError, match="devices is 3, but of cuda there are 2; give 1 to 2"):
        short_fit(planted(30, 5), device="cuda", devices=3)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "ps1", ">>> ", raising=False)
        with pytest.raises(InputError, match=r"devices is 2, .* and a notebook or a prompt has none; use a"):
            short_fit(planted(30, 5), device="cuda", devices=2)
    for device in ("mps", "auto"):
        with pytest.raises(
            InputError, match="precision 64 is not available on mps; use one of 32, 16-mixed, "
        ):
            short_fit(planted(30, 5), device=device, precision=64)


def test_what_was_fitted_is_on_record():
    cohort = replace(planted(40, 5), phenotype=replace(planted(40, 5).phenotype, transform="log"))
    manifest = short_fit(cohort, seed=5).manifest
    assert (manifest.trait, manifest.units, manifest.seed) == ("trait", "units of trait, natural log", 5)
    assert manifest.describe().startswith("log of trait, frequency gauge, dosage encoding, order 2, 5 sites")
    assert {"python", "torch", "genoattn"} <= set(manifest.versions)


def test_traits_and_covariates_that_cannot_be_fitted():
    cohort = planted(60, 5, seed=3)
    phenotype = cohort.phenotype
    for factor in (1e200, 1e-200):
        extreme = replace(cohort, phenotype=replace(phenotype, values=phenotype.values * factor))
        with pytest.raises(
            InputError, match=r"its standard deviation is .*too far from 1; give it in other units"
        ):
            short_fit(extreme)
    names = tuple(f"id={k}" for k in range(1, 60))
    everyone = Covariates(names, np.eye(60)[:, 1:], {"id": tuple(str(k) for k in range(60))})
    with pytest.raises(InputError, match=r"59 columns for 60 samples .* id alone has 60 levels; remove"):
        short_fit(replace(cohort, covariates=everyone))
    with pytest.raises(TypeError, match=r"fit\(\) needs a Cohort, as genoattn.read returns, got str"):
        genoattn.fit("cohort.vcf")
    with pytest.raises(InputError, match="seed is 4294967296; it must be from 0 to 4294967295"):
        short_fit(cohort, seed=2**32)


def test_tests_of_the_reference_gauge_are_without_reference_states():
    result = short_fit(planted(60, 4, kind="sequence", seed=5))
    free = result.export("reference")
    assert free.manifest.n_tests[2] == 6 * 2 * 2  # six pairs of sites, each of two states but the reference
    assert result.export("zero-sum").manifest.n_tests[2] == 6 * 3 * 3
    rows = free.frame[free.frame["order"] == 2]
    assert len(rows) == 24
    expected = multipletests(rows["p_value"], method="fdr_bh")[1]
    np.testing.assert_allclose(rows["q_value"], expected, rtol=1e-12)


def test_an_interruption_stays_one(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("genoattn.model.module.PhenotypeModule.training_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        short_fit(planted(60, 4, seed=6))
