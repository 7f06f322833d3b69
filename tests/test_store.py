"""Output folders of a fit: written completely or not at all, and the same model when read back."""

import json
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from folders import full_disk, names
from small_cohorts import planted, short_fit

from genoattn import writing
from genoattn.errors import InputError, OutputError
from genoattn.fitting.store import load_model, save_table
from genoattn.interactions.table import load_interactions

FILES = {
    "interactions.tsv",
    "interactions.parquet",
    "variance_components.tsv",
    "metrics.json",
    "model.ckpt",
    "predictions.tsv",
    "manifest.json",
}
SIGNALS = {"signals.tsv", "ranking.tsv"}


def files_of(result):
    return FILES | (SIGNALS if result.discovery is not None else set())


@pytest.fixture(scope="module", params=["dosage", "genotype", "sequence", "binary"])
def fitted(request):
    kind = "sequence" if request.param == "sequence" else "genotype"
    cohort = planted(
        60, 6, kind=kind, binary=request.param == "binary", missing=0.05, covariates="mixed", seed=2
    )
    encoding = "dosage" if request.param == "binary" else request.param
    return cohort, short_fit(cohort, encoding=encoding, order=3)


def test_model_read_back_predicts_the_same_bits(fitted, tmp_path):
    cohort, result = fitted
    result.save(tmp_path / "out")
    model = load_model(tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == files_of(result)
    np.testing.assert_array_equal(model.predict(cohort), result.predict(cohort))
    for gauge in ("reference", "zero-sum", "frequency"):
        for order in (None, 1):
            one, other = model.export(gauge, order), result.export(gauge, order)
            pd.testing.assert_frame_equal(one.frame, other.frame, check_exact=True)
            assert one.manifest.to_json() == other.manifest.to_json()
    assert model.covariates.names == cohort.covariates.names
    assert model.covariates.levels == cohort.covariates.levels


def test_dense_double_precision_model_read_back(tmp_path):
    cohort = planted(80, 5)
    result = short_fit(cohort, estimator="attention", precision=64, rank=4, order=3)
    result.save(tmp_path / "out")
    model = load_model(tmp_path / "out")
    assert model.readout.bias.dtype == torch.float64
    assert model.readout.tied
    assert model.covariates is None
    np.testing.assert_array_equal(model.predict(cohort), result.predict(cohort))


def test_what_the_folder_says(fitted, tmp_path):
    cohort, result = fitted
    result.save(tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    name = "auc" if cohort.phenotype.binary else "r2"
    assert metrics["metric"] == name
    assert metrics["test"][name] == pytest.approx(result.metrics.test)
    variance = pd.read_csv(tmp_path / "out" / "variance_components.tsv", sep="\t")
    assert variance.loc[variance["source"] == "model", "order"].tolist() == [1, 2, 3]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["schema_version"] == 2
    assert manifest["tests"]["method"] in ("least squares", "posterior", "cell means", "mixed model")
    assert manifest["estimand"].startswith("coefficient: ")
    assert (manifest["order"], manifest["gauge"]) == (3, "frequency")
    assert [c["name"] for c in manifest["covariates"]] == ["age", "batch=b", "batch=c"]


def test_save_twice(fitted, tmp_path):
    _, result = fitted
    result.save(tmp_path / "out")
    with pytest.raises(InputError, match="out: already exists"):
        result.save(tmp_path / "out")
    (tmp_path / "out" / "stale").touch()
    result.save(tmp_path / "out", force=True)
    assert {p.name for p in (tmp_path / "out").iterdir()} == files_of(result)


@pytest.fixture(scope="module")
def small():
    cohort = planted(40, 4, seed=1)
    return cohort, short_fit(cohort)


@pytest.mark.parametrize("last", sorted(FILES))
def test_disk_full_at_any_file_leaves_nothing(small, tmp_path, monkeypatch, last):
    write = writing.Path.write_bytes

    def until(self, content):
        return full_disk() if self.name == last else write(self, content)

    monkeypatch.setattr(writing.Path, "write_bytes", until)
    with pytest.raises(
        OutputError, match=r"out: No space left on device while writing; .*nothing was written"
    ):
        small[1].save(tmp_path / "out")
    assert names(tmp_path) == []


@pytest.mark.parametrize("missing", ["model.ckpt", "manifest.json"])
def test_folder_without_a_file(small, tmp_path, missing):
    small[1].save(tmp_path / "out")
    (tmp_path / "out" / missing).unlink()
    with pytest.raises(InputError, match=f"out: no {missing} there; give the output folder of genoattn fit"):
        load_model(tmp_path / "out")
    with pytest.raises(InputError, match=r"nowhere: no model\.ckpt there"):
        load_model(tmp_path / "nowhere")


def damage(content, how):
    if how == "cut":
        return content[: len(content) // 2]
    if how == "text":
        return b"not a checkpoint\n"
    if how == "pickle":
        return pickle.dumps({"state_dict": os.system}, protocol=2)
    return b"" if how == "empty" else content[:200] + b"\0" * 400 + content[600:]


@pytest.mark.parametrize("how", ["cut", "text", "pickle", "empty", "zeros"])
def test_damaged_checkpoint(small, tmp_path, how):
    small[1].save(tmp_path / "out")
    path = tmp_path / "out" / "model.ckpt"
    path.write_bytes(damage(path.read_bytes(), how))
    with pytest.raises(InputError, match=r"out: its model cannot be read \(\w+: .*\); fit again") as caught:
        load_model(tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_checkpoint_of_another_model(small, tmp_path):
    small[1].save(tmp_path / "out")
    short_fit(planted(40, 5)).save(tmp_path / "other")
    (tmp_path / "other" / "model.ckpt").replace(tmp_path / "out" / "model.ckpt")
    with pytest.raises(InputError, match=r"its model cannot be read \(RuntimeError: .*fit again with this"):
        load_model(tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": None}, "schema version None"),
        ({"sites": None}, "TypeError"),
        ({"sites": []}, "RuntimeError|IndexError|TypeError"),
        ({"covariates": 3}, "TypeError"),
        ("[]", "AttributeError"),
        ("{", "JSONDecodeError"),
        ("", "JSONDecodeError"),
    ],
)
def test_manifest_of_another_version_or_none(small, tmp_path, change, message):
    small[1].save(tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    changed = change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change)
    path.write_text(changed)
    with pytest.raises(InputError, match=rf"out: its model cannot be read \(.*({message}).*\); fit again"):
        load_model(tmp_path / "out")


# --- tables by themselves


def test_tsv_has_its_manifest_next_to_it(small, tmp_path):
    save_table(small[1].export("zero-sum"), tmp_path / "table.v2.tsv")
    assert names(tmp_path) == ["table.v2.manifest.json", "table.v2.tsv"]
    assert load_interactions(tmp_path / "table.v2.tsv").manifest.gauge == "zero-sum"
    save_table(small[1].export("reference"), tmp_path / "one.parquet")
    assert load_interactions(tmp_path / "one.parquet").manifest.gauge == "reference"


@pytest.mark.parametrize("which", ["table", "manifest"])
def test_table_and_manifest_are_replaced_together(small, tmp_path, monkeypatch, which):
    path = tmp_path / "table.tsv"
    save_table(small[1].export("zero-sum"), path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    write = writing.Path.write_bytes

    def until(self, content):
        return full_disk() if ("manifest" in self.name) == (which == "manifest") else write(self, content)

    monkeypatch.setattr(writing.Path, "write_bytes", until)
    with pytest.raises(OutputError, match="No space left on device"):
        save_table(small[1].export("reference"), path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_tables_that_cannot_be_saved(small, tmp_path):
    table = small[1].table
    for name, ending in (("table.csv", ".csv"), ("table", "none"), ("table.tsv.gz", ".gz")):
        with pytest.raises(InputError, match=rf"{name}: unknown ending {ending}; name the table \.tsv or"):
            save_table(table, tmp_path / name)
    (tmp_path / "table.tsv").touch()
    with pytest.raises(InputError, match=r"table\.tsv: already exists"):
        save_table(table, tmp_path / "table.tsv", force=False)
    assert names(tmp_path) == ["table.tsv"]


def test_table_to_stdout(small, capfdbinary):
    save_table(small[1].table, None)
    assert capfdbinary.readouterr().out == small[1].table.to_tsv()
