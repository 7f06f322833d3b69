"""Completion in a shell, and help that says where each option belongs."""

import os
import subprocess
import sys

import pytest
from cli_files import run_in_process


def complete(line, position, folder):
    """What a bash offers at a word of a line."""
    variables = {"_GENOATTN_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(position)}
    command = [sys.executable, "-m", "genoattn_cli.main"]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, cwd=folder, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "position", "offered"),
    [
        ("genoattn s", 1, {"scan", "suggest", "simulate"}),
        ("genoattn fit --max", 2, {"--max-missing", "--max-terms"}),
        ("genoattn fit --gauge z", 3, {"zero-sum"}),
    ],
)
def test_what_is_offered(tmp_path, line, position, offered):
    assert set(complete(line, position, tmp_path)) == offered


def test_the_script_for_a_shell(capsys, monkeypatch):
    shown = run_in_process(["--show-completion", "bash"], capsys)
    assert "complete -o default -F _genoattn_completion genoattn" in shown.out  # default: names of files


@pytest.mark.parametrize("command", ["fit", "scan"])
def test_panels(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run_in_process([command, "--help"], capsys).out.splitlines()
    assert max(len(line) for line in lines) <= 80
    panels = [line.split()[1] for line in lines if line.startswith("╭─ ")]
    noise = ["Noise"] if command == "fit" else []
    assert panels == ["Arguments", "Options", "Input", "Filters", "Model", *noise, "Output", "Runtime"]
    alone = lines[lines.index(next(line for line in lines if line.startswith("╭─ Options"))) :]
    assert "--help" in alone[1]
    assert alone[2].startswith("╰─"), "every option but --help is in a panel"


@pytest.mark.parametrize(
    ("variables", "escapes"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, None)],
)
def test_colours_of_help(capsys, monkeypatch, variables, escapes):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    env = {**os.environ, **variables, "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "genoattn_cli.main", "export", "--help"]
    text = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    if escapes is None:  # bold is no colour
        assert not any(f"\x1b[{code}m" in text for code in ("1;36", "36", "1;33", "31"))
    else:
        assert ("\x1b[" in text) is escapes
