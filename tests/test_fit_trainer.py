"""A fit in a user's own Trainer, in several processes and precisions, and one that is stopped and resumed."""

import logging
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from cli_files import run_in_process
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from small_cohorts import planted, short_fit

import genoattn
from genoattn.errors import InputError
from genoattn.model import training_states
from genoattn.model.module import PhenotypeModule

DENSE = {"estimator": "attention", "rank": 3}


def make_trainer(**options):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return pl.Trainer(**{"accelerator": "cpu", "enable_model_summary": False, **quiet, **options})


class Losses(pl.Callback):
    """A user's callback: the validation loss of every epoch."""

    def __init__(self):
        self.values = []

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.values.append(float(trainer.callback_metrics["val_loss"]))


@pytest.fixture(scope="module")
def landscape():
    return planted(200, 6, kind="sequence", seed=3)


@pytest.fixture
def stop_after(monkeypatch):
    """Interrupts the training after some steps; with None it only counts them."""

    step = PhenotypeModule.training_step

    def stop(n):
        taken = []

        def counted(*arguments):
            if len(taken) == n:
                raise KeyboardInterrupt
            taken.append(1)
            return step(*arguments)

        patch.setattr(PhenotypeModule, "training_step", counted)
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(training_states, "_EVERY_SECONDS", -1.0)
        yield stop


# --- a Trainer


def test_a_users_trainer_with_its_logger_callbacks_and_precision(landscape, tmp_path):
    losses, saved = Losses(), ModelCheckpoint(tmp_path / "best", monitor="val_loss")
    callbacks = [losses, EarlyStopping("val_loss", patience=3, min_delta=0.003), saved]
    trainer = make_trainer(
        max_epochs=40, callbacks=callbacks, logger=CSVLogger(tmp_path), log_every_n_steps=1,
        enable_checkpointing=True, precision="64-true", accumulate_grad_batches=2,
    )  # fmt: skip
    before = list(trainer.callbacks)
    result = short_fit(landscape, trainer=trainer, likelihood="student", **DENSE)
    assert 4 <= len(losses.values) < 40, "EarlyStopping did not act"
    said = result.manifest.model
    assert said["validation_loss"] == min(losses.values) == pytest.approx(float(saved.best_model_score))
    assert said["best_epoch"] == np.argmin(losses.values) + 1
    assert (said["precision"], said["max_epochs"]) == (64, 40)
    assert result.model.readout.bias.dtype == torch.float64
    assert trainer.global_step == 2 * len(losses.values)  # three batches of 140 samples, in two steps
    log = (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text()
    assert {"train_loss", "val_loss", "val_r2"} <= set(log.splitlines()[0].split(","))
    # The Trainer is as it was, and holds the model with its best weights.
    assert trainer.callbacks == before
    (again,) = trainer.validate(trainer.lightning_module, trainer.datamodule, verbose=False)
    assert again["val_loss"] == pytest.approx(min(losses.values), rel=1e-12)
    predicted = torch.cat(trainer.predict(trainer.lightning_module, trainer.datamodule))
    np.testing.assert_allclose(result.predict(landscape), predicted.numpy(), rtol=1e-9)


def test_the_same_settings_in_a_users_trainer_make_the_same_model(landscape):
    ours = short_fit(landscape, max_epochs=6, refit=False, **DENSE).table.to_tsv()
    number_given = short_fit(landscape, trainer=make_trainer(max_epochs=6), max_epochs=3, **DENSE)
    assert number_given.table.to_tsv() == ours
    trainer = make_trainer()
    assert short_fit(landscape, trainer=trainer, max_epochs=6, **DENSE).table.to_tsv() == ours
    assert trainer.current_epoch == 6
    # A check of the validation before the training is none of its epochs.
    spoilt = {**DENSE, "max_epochs": 2, "refit": False, "lr": 3.0}
    checked = short_fit(landscape, trainer=make_trainer(max_epochs=2), **spoilt).table.to_tsv()
    assert checked == short_fit(landscape, **spoilt).table.to_tsv()
    again = short_fit(landscape, trainer=make_trainer(max_epochs=6), refit=True, **DENSE).table.to_tsv()
    assert again == short_fit(landscape, max_epochs=6, refit=True, **DENSE).table.to_tsv() != ours


def test_a_start_that_steps_spoil_stays_in_a_users_trainer():
    cohort = planted(300, 6, seed=2)
    trainer = make_trainer(max_epochs=3)
    spoilt = short_fit(cohort, trainer=trainer, estimator="sparse", lr=0.5)
    assert spoilt.manifest.model["best_epoch"] == 0
    assert trainer.current_epoch == 3
    assert (
        spoilt.table.to_tsv()
        == short_fit(cohort, estimator="sparse", lr=0.5, max_epochs=3, refit=False).table.to_tsv()
    )


def test_a_trainer_where_nothing_is_trained(landscape, caplog):
    with pytest.raises(
        InputError,
        match=r"a Trainer was given, but the estimator is a closed form \(\d+ products up to order 2, .*\); "
        "leave the Trainer out, or train with estimator='attention'",
    ):
        genoattn.fit(landscape, order=2, trainer=make_trainer(max_epochs=2))
    caplog.set_level(logging.WARNING, "genoattn")
    trainer = make_trainer(max_epochs=2)
    short_fit(planted(120, 6, effect=0.0), estimator="sparse", trainer=trainer)
    assert "closed form: the Trainer given has nothing to train" in caplog.text
    assert trainer.global_step == 0


class Foreign:
    """A Trainer of another package."""


Foreign.__module__, Foreign.__name__ = "lightning.pytorch.trainer.trainer", "Trainer"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit_val_batches": 0}, "does not validate, .* without limit_val_batches=0 and barebones"),
        ({"barebones": True}, "does not validate, .* without limit_val_batches=0 and barebones"),
        ({"strategy": "ddp_spawn"}, 'trains in spawned processes, .*; make one with strategy="ddp"'),
        (
            {"precision": "bf16-true"},
            "precision bf16-true of the Trainer .*; choose one of 32, 64, 16-mixed, bf16-mixed",
        ),
        (
            {"check_val_every_n_epoch": 9},
            "ended without a validation, after 2 epochs; let it validate every epoch",
        ),
    ],
)
def test_trainers_that_cannot_train_a_fit(landscape, options, message):
    if "barebones" in options:
        trainer = pl.Trainer(accelerator="cpu", max_epochs=2, **options)
    else:
        trainer = make_trainer(max_epochs=2, **options)
    with pytest.raises(InputError, match=f"the Trainer {message}" if "prec" not in message else message):
        short_fit(landscape, trainer=trainer, **DENSE)


def test_what_is_no_trainer_or_has_trained(landscape, tmp_path):
    message = (
        r"trainer is a lightning.pytorch.trainer.trainer.Trainer; give a pytorch_lightning.Trainer, which"
    )
    with pytest.raises(InputError, match=message):
        short_fit(landscape, trainer=Foreign())
    trainer = make_trainer(max_epochs=2)
    short_fit(landscape, trainer=trainer, **DENSE)
    with pytest.raises(InputError, match="the Trainer has trained 2 epochs already; make a new one"):
        short_fit(landscape, trainer=trainer, **DENSE)
    message = "checkpoint keeps the state of our own training, not of a Trainer given: leave one of them out"
    with pytest.raises(InputError, match=message):
        short_fit(landscape, trainer=make_trainer(max_epochs=2), checkpoint=tmp_path / "states")


# --- precision and processes


def test_mixed_precision(landscape):
    single, same, double, mixed = (
        short_fit(landscape, precision=p, **DENSE) for p in (32, "32-true", "64-true", "bf16-mixed")
    )
    assert same.table.to_tsv() == single.table.to_tsv() != double.table.to_tsv()
    assert [fit.manifest.model["precision"] for fit in (same, double, mixed)] == [32, 64, "bf16-mixed"]
    predicted = single.predict(landscape)
    assert 1e-5 < np.abs(mixed.predict(landscape) - predicted).max() < 0.1 * predicted.std()


@pytest.mark.skipif(os.cpu_count() == 1, reason="needs two processors")
def test_two_processes_of_the_command_write_what_one_does(tmp_path):
    def run(options):
        command = [sys.executable, "-m", "genoattn_cli.main", *options.split()]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=200
        )  # fmt: skip

    run("simulate -o sim --samples 301 --sites 12 --linkage none --quiet")
    fit = (
        "fit sim/cohort.vcf.gz --pheno sim/pheno.tsv --estimator attention --rank 3 --epochs 8 --precision 64"
    )
    said = {
        n: run(f"{fit} --device cpu --devices {n} --threads 1 -o out{n}") for n in ("1", "2")
    }  # fmt: skip
    assert said["2"].stdout.replace("out2", "out1") == said["1"].stdout
    assert said["2"].stderr.count("estimator:") == said["1"].stderr.count("estimator:") == 1
    assert "istributed" not in said["2"].stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out1", "out2", "sim"]
    one, two = (genoattn.load_interactions(tmp_path / f"out{n}").frame["coefficient"] for n in "12")
    np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-9)
    assert not two.equals(one), "the gradients were not summed over two processes"


# --- stopped and resumed


@pytest.mark.parametrize(
    ("options", "n_trainings", "n_batches"),
    [
        ({**DENSE, "ensemble": 2, "max_epochs": 7}, 4, 4),
        ({"estimator": "sparse", "patience": 2, "max_epochs": 30}, 7, 1),  # five of the metrics
    ],
    ids=["dense", "sparse"],
)
def test_a_stopped_fit_ends_as_an_uninterrupted_one(
    landscape, tmp_path, stop_after, options, n_trainings, n_batches
):
    cohort = landscape if "rank" in options else planted(300, 6, seed=2)
    states = tmp_path / "states"
    everything = stop_after(None)
    whole = short_fit(cohort, **options)
    n_steps = len(everything)
    for stopped_at in np.random.default_rng(4).integers(2, n_steps, 3).tolist():
        stop_after(stopped_at)
        with pytest.raises(KeyboardInterrupt, match=r"states, and resume goes on from it"):
            short_fit(cohort, checkpoint=states, **options)
        assert {p.name for p in states.iterdir()} <= {
            "identity",
            *(f"{k + 1}.ckpt" for k in range(n_trainings)),
        }
        taken = stop_after(None)
        resumed = short_fit(cohort, checkpoint=states, resume=True, **options)
        # Only the steps of an epoch that was not complete are repeated.
        assert n_steps - stopped_at <= len(taken) < n_steps - stopped_at + n_batches
        assert resumed.table.to_tsv() == whole.table.to_tsv()
        assert resumed.manifest.model == whole.manifest.model
        assert resumed.metrics == whole.metrics
        assert not states.exists()


def test_what_cannot_be_resumed(landscape, tmp_path, stop_after):
    states = tmp_path / "states"
    with pytest.raises(InputError, match="states: no stopped fit to resume there; start it without resume"):
        short_fit(landscape, checkpoint=states, resume=True, **DENSE)
    with pytest.raises(
        InputError, match="resume needs the folder of the stopped fit; give it as checkpoint="
    ):
        short_fit(landscape, resume=True, **DENSE)
    with pytest.raises(InputError, match="missing: no such folder to write states in; make it first"):
        short_fit(landscape, checkpoint=tmp_path / "missing" / "states", **DENSE)
    stop_after(6)
    with pytest.raises(KeyboardInterrupt):
        short_fit(landscape, checkpoint=states, **DENSE)
    before = sorted(states.iterdir())
    with pytest.raises(
        InputError, match="states: left by a stopped fit; resume it, or remove the folder to start"
    ):
        short_fit(landscape, checkpoint=states, **DENSE)
    other = (
        "states: left by a fit of other data, settings or versions; repeat that fit to finish it, or remove"
    )
    fewer = landscape.select_samples(np.arange(1, 200))
    renamed = replace(landscape, sites=replace(landscape.sites, ids=[f"B{k}" for k in range(6)]))
    for cohort, options in (
        (landscape, {"seed": 1}),
        (landscape, {"gauge": "zero-sum"}),
        (fewer, {}),
        (renamed, {}),
    ):
        with pytest.raises(InputError, match=other):
            short_fit(cohort, checkpoint=states, resume=True, **{**DENSE, **options})
    assert sorted(states.iterdir()) == before
    (states / "1.ckpt").write_bytes(b"cut short")
    with pytest.raises(
        InputError, match=r"1.ckpt: not the state of a training \(.*\); remove the folder and fit"
    ):
        short_fit(landscape, checkpoint=states, resume=True, **DENSE)


def test_a_refused_fit_leaves_no_states(landscape, tmp_path, stop_after):
    stop_after(None)
    with pytest.raises(InputError, match="training diverged"):
        short_fit(landscape, checkpoint=tmp_path / "states", lr=1e30, **DENSE)
    assert list(tmp_path.iterdir()) == []


def test_the_command_resumes(tmp_path, stop_after, capsys):
    def run(*options):
        files = tmp_path / "sim" / "cohort.vcf.gz", "--pheno", tmp_path / "sim" / "pheno.tsv"
        settings = (
            "--estimator",
            "attention",
            "--rank",
            "3",
            "--epochs",
            "6",
            "--device",
            "cpu",
            "--threads",
            "1",
        )
        return run_in_process(["fit", *files, *settings, "--quiet", *options], capsys)

    threads = torch.get_num_threads()
    simulate = "--samples", "300", "--sites", "12", "--linkage", "none", "--quiet"
    run_in_process(["simulate", "-o", tmp_path / "sim", *simulate], capsys)
    out, states = tmp_path / "out", tmp_path / "out.checkpoint"
    assert run("-o", tmp_path / "whole").status == 0
    stop_after(0)
    stopped = run("-o", out)
    assert (stopped.status, stopped.err) == (130, "genoattn fit: interrupted; nothing was written\n")
    stop_after(10)
    stopped = run("-o", out)
    said = f"genoattn fit: interrupted; the training so far is in {states}, and resume goes on from it\n"
    assert (stopped.status, stopped.err) == (130, said)
    assert not out.exists()
    for options, message in (
        ((), "left by a stopped fit; resume it, or remove the folder to start again"),
        (("--resume", "--seed", "5"), "left by a fit of other data, settings or versions"),
    ):
        refused = run("-o", out, *options)
        assert (refused.status, len(refused.err.splitlines())) == (2, 1)
        assert f"genoattn fit: error: {states}: {message}" in refused.err
    taken = stop_after(None)
    assert run("-o", out, "--resume").status == 0
    assert 0 < len(taken) < 24
    for name in ("interactions.tsv", "metrics.json", "manifest.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    refused = run("-o", out, "--force", "--resume")
    assert (refused.status, refused.out) == (2, "")
    assert f"{states}: no stopped fit to resume there; start it without resume" in refused.err
    stop_after(10)
    assert run("-o", out, "--force").status == 130
    stop_after(None)
    assert run("-o", out, "--force").status == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "sim", "whole"]
    torch.set_num_threads(threads)
