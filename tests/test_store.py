"""What a fit leaves on disk: whole or not at all, and the same model when read back."""

import errno
import json
import os
import pickle
import stat
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_cohorts import planted, short_fit

from genoattn import writing
from genoattn.errors import InputError, OutputError
from genoattn.interactions.table import load_interactions
from genoattn.store import load_model, save_table
from genoattn.writing import check_output, whole_directory, whole_file, write_output

FILES = {
    "interactions.tsv",
    "interactions.parquet",
    "variance_components.tsv",
    "metrics.json",
    "model.ckpt",
    "manifest.json",
}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def full_disk(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def write_half_a_folder(path, error):
    with whole_directory(path, force=True) as work:
        (work / "half").write_text("new")
        raise error


def write_half_a_file(path, error):
    with whole_file(path) as work:
        work.write_text("half")
        raise error


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


# --- files and folders written whole or not at all


def test_whole_directory_appears_when_the_block_ends(tmp_path, umask):
    out = tmp_path / "out"
    with whole_directory(out) as work:
        (work / "a").write_text("a")
        assert not out.exists()
        assert work.parent == tmp_path  # the same file system, so that moving it is atomic
    assert names(tmp_path) == ["out"]
    assert (out / "a").read_text() == "a"
    assert stat.S_IMODE(out.stat().st_mode) == 0o777 & ~umask


def test_whole_file_appears_when_the_block_ends(tmp_path, umask):
    out = tmp_path / "out.tsv"
    with whole_file(out) as work:
        work.write_text("a")
        assert not out.exists()
    assert names(tmp_path) == ["out.tsv"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [False, True])
def test_failure_in_a_directory_leaves_the_old_one(tmp_path, error, old):
    out = tmp_path / "out"
    if old:
        out.mkdir()
        (out / "manifest.json").write_text("old")
    with pytest.raises(error):
        write_half_a_folder(out, error)
    assert names(tmp_path) == (["out"] if old else [])
    assert not old or names(out) == ["manifest.json"]


@pytest.mark.parametrize("old", [False, True])
def test_failure_in_a_file_leaves_the_old_one(tmp_path, old):
    out = tmp_path / "out.tsv"
    if old:
        out.write_text("old")
    with pytest.raises(RuntimeError):
        write_half_a_file(out, RuntimeError)
    assert names(tmp_path) == (["out.tsv"] if old else [])
    assert not old or out.read_text() == "old"


def test_force_replaces_a_folder_with_all_that_was_in_it(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "stale").write_text("old")
    (out / "manifest.json").write_text("old")
    with pytest.raises(InputError, match=r"out: already exists; give another output, or --force to replace"):
        whole_directory(out).__enter__()
    with whole_directory(out, force=True) as work:
        (work / "new").write_text("new")
        assert names(out) == ["manifest.json", "stale"]
    assert names(out) == ["new"]
    assert names(tmp_path) == ["out"]


def test_force_leaves_alone_what_genoattn_did_not_write(tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter").write_text("precious")
    for refuse in (partial(check_output, out, True, folder=True), partial(save_nothing, out)):
        with pytest.raises(InputError, match=r"thesis: holds no output of genoattn, so --force leaves"):
            refuse()
    assert names(out) == ["chapter"]
    (out / "chapter").unlink()
    save_nothing(out)  # an empty folder is nobody's
    assert names(tmp_path) == ["thesis"]


def save_nothing(out):
    with whole_directory(out, force=True):
        pass


def test_old_folder_comes_back_where_the_new_one_cannot_move_in(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text("old")
    replace = os.replace

    def refuse_new(source, target):
        if target == out and Path(source).name != "old":
            full_disk()
        replace(source, target)

    monkeypatch.setattr(writing.os, "replace", refuse_new)
    with pytest.raises(OutputError, match="No space left"), whole_directory(out, force=True):
        pass
    assert names(tmp_path) == ["out"]
    assert (out / "manifest.json").read_text() == "old"


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "free some space or choose another place"),
        (errno.EDQUOT, "free some space or choose another place"),
        (errno.EFBIG, "raise the file size limit or choose another place"),
        (errno.EACCES, "choose a folder you may write to"),
        (errno.EROFS, "choose a folder you may write to"),
    ],
)
@pytest.mark.parametrize("whole", [whole_directory, whole_file])
def test_errors_of_writing_say_what_to_do(tmp_path, whole, number, cure):
    message = f"out: {os.strerror(number)} while writing; {cure}; nothing was written"
    with pytest.raises(OutputError, match=message), whole(tmp_path / "out"):
        raise OSError(number, "raw")
    assert names(tmp_path) == []


def test_other_errors_are_not_dressed_up(tmp_path):
    with pytest.raises(FileNotFoundError), whole_directory(tmp_path / "out") as work:
        (work / "no" / "such").write_text("")
    assert names(tmp_path) == []


def test_outputs_that_cannot_be(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"gone: no such folder to write out\.tsv in; make it first"):
        check_output(tmp_path / "gone" / "out.tsv", force=True)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder: is a folder, which a file cannot replace; name a file"):
        write_output(b"x", tmp_path / "folder", force=True)
    monkeypatch.chdir(tmp_path)
    check_output("out", force=False)  # a bare name lies in the working folder
    write_output(b"x", "here.tsv", force=False)
    with pytest.raises(InputError, match=r"here\.tsv: already exists"):
        write_output(b"y", "here.tsv", force=False)
    assert (tmp_path / "here.tsv").read_bytes() == b"x"


def test_stdout(capfdbinary, monkeypatch):
    write_output(b"a\tb\n", None)
    assert capfdbinary.readouterr().out == b"a\tb\n"
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(OutputError, match="standard output: No space left on device while writing; free"):
            write_output(b"a\tb\n", None)
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space"):
            full.close()


# --- a fit and its folder


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
    assert {p.name for p in (tmp_path / "out").iterdir()} == FILES
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
    result = short_fit(cohort, start="random", precision=64, rank=4, order=3)
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
    assert variance["order"].tolist() == [1, 2, 3]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["schema_version"] == 1
    assert (manifest["order"], manifest["gauge"]) == (3, "frequency")
    assert [c["name"] for c in manifest["covariates"]] == ["age", "batch=b", "batch=c"]


def test_save_twice(fitted, tmp_path):
    _, result = fitted
    result.save(tmp_path / "out")
    with pytest.raises(InputError, match="out: already exists"):
        result.save(tmp_path / "out")
    (tmp_path / "out" / "stale").touch()
    result.save(tmp_path / "out", force=True)
    assert {p.name for p in (tmp_path / "out").iterdir()} == FILES


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


@pytest.mark.parametrize("lost", ["model.ckpt", "manifest.json"])
def test_folder_without_a_file(small, tmp_path, lost):
    small[1].save(tmp_path / "out")
    (tmp_path / "out" / lost).unlink()
    with pytest.raises(InputError, match=f"out: no {lost} there; give the output folder of genoattn fit"):
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
        ({"schema_version": 2}, "schema version 2; this version of genoattn reads 1"),
        ({"schema_version": None}, "schema version None; this version of genoattn reads 1"),
        ({"sites": None}, "TypeError"),
        ({"sites": []}, "IndexError|TypeError"),
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


def test_tsv_has_its_manifest_beside_it(small, tmp_path):
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


def test_an_input_is_never_an_output(tmp_path):
    table = tmp_path / "pheno.tsv"
    table.write_text("IID")
    link = tmp_path / "link.tsv"
    link.symlink_to(table)
    for output in (table, link, tmp_path / "x" / ".." / "pheno.tsv"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(InputError, match="is an input of this command; give another output"):
            check_output(output, force=True, inputs=(None, table))
    with pytest.raises(InputError, match=r"pheno\.tsv: is a file, which a folder cannot replace"):
        check_output(table, force=True, folder=True)
    assert table.read_text() == "IID"


def test_links_and_streams_stay_what_they_are(tmp_path):
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    write_output(b"new", link)
    assert link.is_symlink()
    assert target.read_text() == "new"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_output(b"through", pipe, force=False)
    assert os.read(reader, 20) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    write_output(b"away", "/dev/null", force=False)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_htslib_errors_without_a_number_are_errors_of_writing(tmp_path):
    with (
        pytest.raises(OutputError, match=r"out: could not be written \(index failed\); check the space left"),
        whole_directory(tmp_path / "out"),
    ):
        raise OSError("index failed")
    assert names(tmp_path) == []
