"""Files and folders are written completely or not at all, and nothing else is touched."""

import errno
import os
import stat
from functools import partial
from pathlib import Path

import pytest
from folders import full_disk, names

from genoattn import writing
from genoattn.errors import InputError, OutputError
from genoattn.writing import atomic_directory, atomic_file, check_output, write_output


def write_half_a_folder(path, error):
    with atomic_directory(path, force=True) as work:
        (work / "half").write_text("new")
        raise error


def write_half_a_file(path, error):
    with atomic_file(path) as work:
        work.write_text("half")
        raise error


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def test_directory_appears_when_the_block_ends(tmp_path, umask):
    out = tmp_path / "out"
    with atomic_directory(out) as work:
        (work / "a").write_text("a")
        assert not out.exists()
        assert work.parent == tmp_path  # the same file system, so that moving it is atomic
    assert names(tmp_path) == ["out"]
    assert (out / "a").read_text() == "a"
    assert stat.S_IMODE(out.stat().st_mode) == 0o777 & ~umask


def test_file_appears_when_the_block_ends(tmp_path, umask):
    out = tmp_path / "out.tsv"
    with atomic_file(out) as work:
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
        atomic_directory(out).__enter__()
    with atomic_directory(out, force=True) as work:
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
    with atomic_directory(out, force=True):
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
    with pytest.raises(OutputError, match="No space left"), atomic_directory(out, force=True):
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
@pytest.mark.parametrize("atomic", [atomic_directory, atomic_file])
def test_errors_of_writing_say_what_to_do(tmp_path, atomic, number, cure):
    message = f"out: {os.strerror(number)} while writing; {cure}; nothing was written"
    with pytest.raises(OutputError, match=message), atomic(tmp_path / "out"):
        raise OSError(number, "raw")
    assert names(tmp_path) == []


def test_other_errors_are_not_dressed_up(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_directory(tmp_path / "out") as work:
        (work / "no" / "such").write_text("")
    assert names(tmp_path) == []


def test_outputs_that_cannot_be(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"missing: no such folder to write out\.tsv in; make it first"):
        check_output(tmp_path / "missing" / "out.tsv", force=True)
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
        atomic_directory(tmp_path / "out"),
    ):
        raise OSError("index failed")
    assert names(tmp_path) == []
