"""Progress on stderr: lines now and then in a pipe, a bar on a terminal."""

import io
import sys
import time

import pytest

from genoattn import progress
from genoattn.progress import ProgressLines, phase, progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_ten_seconds_at_most(clock, capsys):
    with progress_bar(True, "adding", total=100) as advance:
        for _ in range(100):
            clock[0] += 0.5
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "adding: 20 %, 0:10 so far, about 0:40 left",
        "adding: 40 %, 0:20 so far, about 0:30 left",
        "adding: 60 %, 0:30 so far, about 0:20 left",
        "adding: 80 %, 0:40 so far, about 0:10 left",
        "adding: 100 %, 0:50 so far",
    ]


def test_work_done_before_is_in_the_share_and_not_in_the_rate(clock, capsys):
    with progress_bar(True, "scan", total=4e6, done=1e6, unit="pairs") as advance:
        clock[0] += 10
        advance(1e6)
    # 1 of 3 million in 10 seconds leaves 2 million: 20 seconds.
    assert capsys.readouterr().err == "scan: 50 % (0.10 M pairs/s), 0:10 so far, about 0:20 left\n"


def test_a_short_phase_says_nothing_in_a_pipe(capsys):
    with progress_bar(True, "adding", total=2) as advance, phase(True, "reading"):
        advance(2)
    assert capsys.readouterr().err == ""


def test_hours(clock, capsys):
    lines = ProgressLines("reading")
    clock[0] += 3725
    lines.say(share=0.5)
    assert capsys.readouterr().err == "reading: 1:02:05 so far, about 1:02:05 left\n"


def test_a_phase_of_unknown_length_tells_its_time(monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.05)
    with phase(True, "reading"):
        time.sleep(0.3)
    first = capsys.readouterr().err.splitlines()
    assert first[0] == "reading: 0:00 so far"
    assert 2 <= len(first) <= 6
    time.sleep(0.15)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("term", "drawn"), [("xterm", True), ("dumb", False)])
def test_a_bar_on_a_terminal_that_can(monkeypatch, term, drawn):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar(True, "adding", total=2) as advance, phase(True, "reading"):
        advance(2)
    assert ("adding" in sys.stderr.getvalue()) is drawn
    assert ("\x1b" in sys.stderr.getvalue()) is drawn


def test_no_colour(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar(True, "adding", total=2) as advance:
        advance(1)
    text = sys.stderr.getvalue()
    assert "adding" in text
    assert not any(f"\x1b[{code}" in text for code in ("31", "32", "36", "38;", "91", "92"))


def test_nothing_where_it_is_not_asked_for(capsys):
    with progress_bar(False, "adding", total=2) as advance, phase(False, "reading"):
        advance(2)
    assert capsys.readouterr().err == ""
