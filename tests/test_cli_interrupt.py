"""Ctrl-C and requests to stop: nothing half-written, no process, and a word on what was kept."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from cli_files import run_in_process, write_cohort
from folders import names
from genoattn_cli import steps
from vcf_files import write_text

from genoattn.scan import checkpoint

# Runs the command line in a process that says on stderr when it comes to a function, and waits there.
_PAUSED = """
import importlib, sys, time
module, name = sys.argv[1].rsplit(".", 1)
place = importlib.import_module(module)
def wait(*_args, **_options):
    print("HERE", file=sys.stderr, flush=True)
    for _ in range(600):  # in short steps, as work is done
        time.sleep(0.05)
setattr(place, name, wait)
sys.argv[1:2] = []
from genoattn_cli.main import main
main()
"""


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return write_cohort(folder)


def stopped_at(place, number, arguments, folder):
    """Exit status and last line of a command that gets a signal when it comes to a function."""
    temporary = folder / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", _PAUSED, place, *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )
    before = []
    while "HERE\n" not in before:
        before.append(process.stderr.readline())
        assert before[-1], "".join(before)  # else it has ended
    os.kill(process.pid, number)
    rest = process.communicate(timeout=30)[1].splitlines()
    with pytest.raises(ProcessLookupError):  # none of its group is left
        os.killpg(process.pid, 0)
    assert [name for name in names(temporary) if "torch" not in name] == []  # torch makes a cache of its own
    shutil.rmtree(temporary)
    return process.returncode, rest[-1]


@pytest.mark.parametrize(
    ("command", "place", "number"),
    [
        ("fit", "genoattn.fitting.fit.train_readout", signal.SIGINT),
        ("fit", "genoattn.writing._umask", signal.SIGTERM),  # the folder is written, and not yet in its place
        ("scan", "genoattn.io.open_genotypes", signal.SIGINT),
        ("scan", "genoattn.scan.result.input_records", signal.SIGTERM),
        ("scan", "genoattn.writing._umask", signal.SIGHUP),
    ],
)
def test_nothing_is_left_behind(data, tmp_path, command, place, number):
    vcf, pheno = data
    arguments = (command, vcf, "--pheno", pheno, "-o", "out", "--no-report")
    status, said = stopped_at(place, number, arguments, tmp_path)
    assert (status, said) == (130, f"genoattn {command}: interrupted; nothing was written")
    assert names(tmp_path) == ["data"]


def test_a_stream_s_copy_is_removed(data, tmp_path):
    vcf, pheno = data
    os.mkfifo(tmp_path / "pipe")
    writer = subprocess.Popen(["sh", "-c", f"cat {pheno} > {tmp_path / 'pipe'}"])
    arguments = ("scan", vcf, "--pheno", "pipe", "-o", "out")
    status, _ = stopped_at("genoattn.scan.pair_scan.prepare", signal.SIGINT, arguments, tmp_path)
    assert status == 130
    assert writer.wait(timeout=10) == 0
    assert names(tmp_path) == ["data", "pipe"]


def test_an_old_output_stays_where_the_new_one_is_stopped(data, tmp_path):
    vcf, pheno = data
    out = tmp_path / "out"
    out.mkdir()
    write_text(out / "manifest.json", "old")
    arguments = ("fit", vcf, "--pheno", pheno, "-o", "out", "--force", "--no-report", "--epochs", 2)
    assert stopped_at("genoattn.writing._replace", signal.SIGINT, arguments, tmp_path)[0] == 130
    assert names(tmp_path) == ["data", "out"]
    assert (out / "manifest.json").read_text() == "old"


def test_a_scan_says_how_to_go_on(data, tmp_path, monkeypatch, capsys):
    vcf, pheno = data
    arguments = ("scan", vcf, "--pheno", pheno, "-o", tmp_path / "out", "--quiet", "--no-report")
    save = checkpoint.Checkpoint.save_now_and_then

    def stop(state, tally):
        save(state, tally)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.Checkpoint, "save_now_and_then", stop)
    stopped = run_in_process(arguments, capsys)
    partial = tmp_path / "out.partial"
    assert stopped.status == 130
    kept = f"{partial} has what was scanned: the same command goes on from it"
    assert stopped.err == f"genoattn scan: interrupted; {kept}\n"
    assert names(tmp_path) == ["data", "out.partial"]
    monkeypatch.undo()
    assert run_in_process(arguments, capsys).status == 0
    assert names(tmp_path) == ["data", "out"]


# --- exit codes


def test_exit_codes(data, tmp_path, monkeypatch, capsys):
    vcf, pheno = data
    arguments = ["scan", vcf, "--pheno", pheno, "-o", tmp_path / "out", "--quiet", "--no-report"]
    assert run_in_process(arguments, capsys).status == 0
    assert run_in_process(arguments, capsys).status == 2  # the folder is there
    assert run_in_process([*arguments, "--order", "9"], capsys).status == 2

    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr(steps, "read_cohort", fail)
    error = KeyboardInterrupt()
    assert run_in_process([*arguments, "--force"], capsys).status == 130
    error = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):  # of which Python makes a traceback and status 1
        run_in_process([*arguments, "--force"], capsys)


def test_a_bug_is_status_1_with_a_traceback(data, tmp_path):
    vcf, pheno = data
    code = (
        "from genoattn_cli import main, steps\n"
        "def fail(*args, **options): raise RuntimeError('a bug')\n"
        "steps.read_cohort = fail\n"
        "main.main()\n"
    )
    command = [sys.executable, "-c", code, "scan", vcf, "--pheno", pheno, "-o", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "RuntimeError: a bug"
    assert names(tmp_path) == ["data"]
