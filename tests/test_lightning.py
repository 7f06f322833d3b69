"""Modules and data in a user's own Trainer: checkpoints, resumes, several processes, mistakes."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger

import genoattn
from genoattn.errors import InputError
from genoattn.simulate import simulate_cohort

QUIET = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


@pytest.fixture(scope="module")
def cohort():
    made = simulate_cohort(
        n_samples=601, n_sites=8, linkage="none", n_terms=1, interaction_variance=0.5, seed=1
    ).cohort
    phenotype = replace(made.phenotype, values=1e4 + 30 * made.phenotype.values)
    return replace(made, phenotype=phenotype)


def module_of(data, **options):
    return genoattn.EpistasisModule.for_data(data, order=2, rank=4, seed=3, **options)


def weights(module):
    return torch.cat([p.detach().double().reshape(-1) for p in module.readout.parameters()]).numpy()


def test_a_users_trainer_with_logger_checkpoints_and_early_stopping(cohort, tmp_path):
    data = genoattn.CohortData(cohort, batch_size=64, seed=1)
    module = module_of(data)
    best = ModelCheckpoint(dirpath=tmp_path / "best", monitor="val_loss")
    stop = EarlyStopping("val_loss", patience=3)
    settings = QUIET | {"logger": CSVLogger(tmp_path), "enable_checkpointing": True}
    trainer = pl.Trainer(max_epochs=40, callbacks=[best, stop], log_every_n_steps=1, **settings)
    trainer.fit(module, data)
    (tested,) = trainer.test(module, data, verbose=False)
    assert tested["test_r2"] > 0.4
    log = (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text()
    assert {"train_loss", "val_loss", "val_r2"} <= set(log.splitlines()[0].split(","))
    predicted = torch.cat(trainer.predict(module, data)).numpy()
    calls = torch.as_tensor(cohort.calls)
    covariates = torch.as_tensor(data.arrays.covariates)
    np.testing.assert_allclose(module.cpu()(calls, covariates).detach().numpy(), predicted, rtol=1e-6)
    finest = genoattn.EpistasisModule.load_from_checkpoint(best.best_model_path)
    (validated,) = pl.Trainer(**QUIET).validate(finest, data, verbose=False)
    assert validated["val_loss"] == pytest.approx(float(best.best_model_score), rel=1e-5)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    again = genoattn.EpistasisModule.load_from_checkpoint(tmp_path / "end.ckpt")
    np.testing.assert_array_equal(weights(again), weights(module))
    assert again.hparams == module.hparams
    for gauge in ("frequency", "zero-sum", "reference"):
        table = again.interaction_table(gauge, cohort)
        assert table.manifest.trait == cohort.phenotype.name
        assert table.frame["p_value"].isna().all()
        # Single precision of values about 1e4.
        np.testing.assert_allclose(table.predict(cohort), predicted, rtol=1e-6)
    assert set(again.interaction_table().frame["n_samples"]) == {0}


def test_a_resumed_training_ends_as_an_uninterrupted_one(cohort, tmp_path):
    stopped_at = int(np.random.default_rng(5).integers(1, 6))
    ends = []
    for n_epochs in ((7,), (stopped_at, 7)):
        file = None
        for last in n_epochs:
            data = genoattn.CohortData(cohort, batch_size=50, seed=2)
            module = module_of(data, schedule=None)
            trainer = pl.Trainer(max_epochs=last, **QUIET)
            trainer.fit(module, data, ckpt_path=file)
            file = tmp_path / f"{len(n_epochs)}_{last}.ckpt"
            trainer.save_checkpoint(file)
        ends.append(weights(module))
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.abs(ends[0] - weights(module_of(data))).max() > 0.01


DDP = """
import sys
import numpy as np
import pytorch_lightning as pl
import genoattn
from genoattn.simulate import simulate_cohort

devices, file = int(sys.argv[1]), sys.argv[2]
cohort = simulate_cohort(n_samples=601, n_sites=8, linkage="none", n_terms=1, seed=1).cohort
data = genoattn.CohortData(cohort, batch_size=10_000, seed=1)
module = genoattn.EpistasisModule.for_data(data, order=2, rank=4, seed=3)
trainer = pl.Trainer(
    max_epochs=12, accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto",
    precision="64-true", logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(module, data)
(tested,) = trainer.test(module, data, verbose=False)
if trainer.is_global_zero:
    arrays = {name: p.detach().numpy() for name, p in module.readout.named_parameters()}
    np.savez(file, r2=tested["test_r2"], loss=tested["test_loss"], **arrays)
"""


def test_two_processes_end_as_one(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(DDP)
    for devices in (1, 2):
        subprocess.run(
            [sys.executable, str(script), str(devices), str(tmp_path / f"{devices}.npz")],
            check=True, capture_output=True, timeout=300,
        )  # fmt: skip
    one, two = np.load(tmp_path / "1.npz"), np.load(tmp_path / "2.npz")
    assert set(one) == set(two)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-6, atol=1e-9, err_msg=name)
    assert np.abs(one["factors.2.value"]).max() > 0.1


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "AdamW", "lr": 0.01, "optimizer_options": {"weight_decay": 0.0}},
        {"optimizer": "SGD", "lr": 0.01, "schedule": "StepLR", "schedule_options": {"step_size": 2}},
        {"optimizer": lambda p: torch.optim.Adam(p, lr=0.01), "schedule": None},
    ],
)
def test_other_optimisers(cohort, options, tmp_path):
    data = genoattn.CohortData(cohort, batch_size=50, seed=2)
    module = module_of(data, **options)
    start = weights(module)
    trainer = pl.Trainer(max_epochs=3, **QUIET)
    trainer.fit(module, data)
    assert np.abs(weights(module) - start).max() > 1e-4
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    if callable(options["optimizer"]):
        with pytest.raises(InputError, match="its optimizer was a function; give it again: optimizer="):
            genoattn.EpistasisModule.load_from_checkpoint(tmp_path / "model.ckpt")
        options = {"optimizer": options["optimizer"]}
    else:
        options = {}
    again = genoattn.EpistasisModule.load_from_checkpoint(tmp_path / "model.ckpt", **options)
    np.testing.assert_array_equal(weights(again), weights(module))


def test_mixed_precision_accumulated_gradients_and_workers(cohort):
    data = genoattn.CohortData(cohort, batch_size=50, seed=2, num_workers=1)
    module = module_of(data)
    trainer = pl.Trainer(max_epochs=2, precision="bf16-mixed", accumulate_grad_batches=2, **QUIET)
    trainer.fit(module, data)
    assert np.isfinite(weights(module)).all()
    assert trainer.global_step == 2 * -(-len(data.train_dataloader()) // 2)


class Trap:
    """A pickle that would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_checkpoints_that_are_none(cohort, tmp_path):
    load = genoattn.EpistasisModule.load_from_checkpoint
    with pytest.raises(InputError, match=r"missing.ckpt: no such file"):
        load(tmp_path / "missing.ckpt")
    trap, sprung = tmp_path / "trap.ckpt", tmp_path / "sprung"
    trap.write_bytes(pickle.dumps(Trap(sprung)))
    torch.save({"state_dict": {}, "hyper_parameters": Trap(sprung)}, tmp_path / "trap2.ckpt")
    for file in ("trap.ckpt", "trap2.ckpt"):
        with pytest.raises(InputError, match="not a checkpoint of a EpistasisModule"):
            load(tmp_path / file)
    assert not sprung.exists()
    data = genoattn.CohortData(cohort, batch_size=50, seed=2)
    module = module_of(data)
    trainer = pl.Trainer(max_epochs=1, **QUIET)
    trainer.fit(module, data)
    file = tmp_path / "model.ckpt"
    trainer.save_checkpoint(file)
    record = torch.load(file, weights_only=True)
    record["state_dict"].pop("readout.bias")
    record["hyper_parameters"]["version"] = "0.1.0"
    torch.save(record, file)
    with pytest.raises(InputError, match=r'written by genoattn 0.1.0.*Missing key.*"readout.bias"'):
        load(file)
    record["hyper_parameters"]["unheard"] = 1
    torch.save(record, file)
    with pytest.raises(InputError, match=r"written by genoattn 0.1.0.*unheard"):
        load(file)


def test_batches_with_mistakes(cohort):
    values = cohort.phenotype.values.copy()
    values[[4, 9]] = np.nan
    data = genoattn.CohortData(cohort, batch_size=1000, seed=2)
    module = module_of(data)
    wrong = genoattn.CohortData(cohort, data.split, batch_size=1000, seed=2)
    wrong.arrays = replace(wrong.arrays, phenotype=values)
    names = [cohort.samples[k] for k in (4, 9) if k in data.split.training]
    with pytest.raises(InputError, match=f"samples {', '.join(names)} are no numbers"):
        pl.Trainer(max_epochs=1, num_sanity_val_steps=0, **QUIET).fit(module, wrong)
    with pytest.raises(InputError, match="a batch must be a mapping with calls, covariates, phenotype"):
        module.on_before_batch_transfer((1, 2), 0)
    with pytest.raises(InputError, match="optimizer 'Adamm' is unknown; choose proximal-adam, or a class of"):
        pl.Trainer(max_epochs=1, **QUIET).fit(module_of(data, optimizer="Adamm"), data)
    with pytest.raises(
        InputError, match="over the epochs of the Trainer, which has no limit; give it max_ep"
    ):
        pl.Trainer(max_epochs=-1, **QUIET).fit(module_of(data), data)
    with pytest.raises(InputError, match="the cohort has no phenotype"):
        genoattn.CohortData(replace(cohort, phenotype=None))
    with pytest.raises(InputError, match="order 9, but there are 8 sites"):
        genoattn.EpistasisModule.for_data(data, order=9)


def test_the_table_of_a_link_adds_up_to_the_latent_phenotype(cohort):
    data = genoattn.CohortData(cohort, batch_size=64, seed=1)
    module = module_of(data, link="monotone")
    trainer = pl.Trainer(max_epochs=3, **QUIET)
    trainer.fit(module, data)
    with pytest.raises(InputError, match="a link's latent scale is that of samples: give the cohort"):
        module.interaction_table()
    predicted = torch.cat(trainer.predict(module, data)).double().numpy()
    latent = module.interaction_table("zero-sum", cohort).predict(cohort)
    np.testing.assert_allclose([latent.mean(), latent.std()], [predicted.mean(), predicted.std()], rtol=1e-4)
    order = np.argsort(latent)
    assert (np.diff(predicted[order]) > -1e-2).all()  # an increasing curve of it, in single precision at 1e4
