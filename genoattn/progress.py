"""What a phase of work is doing, on stderr: a bar on a terminal, else a line now and then."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

EVERY_SECONDS = 10.0  # between two lines, where no bar can be drawn


def can_draw() -> bool:
    """Whether stderr is a terminal on which a line can be drawn again."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


class ProgressLines:
    """Lines about a phase, for a file or a pipe: one every ten seconds at most, without control characters.

    Parameters
    ----------
    what
        Name of the phase.
    """

    def __init__(self, what: str) -> None:
        self.what, self.began = what, time.monotonic()
        self._said = self.began

    def say(self, state: str = "", share: float | None = None, now: bool = False) -> None:
        """Say how far it is, where the last line is long enough ago.

        Parameters
        ----------
        state
            Words on what is done.
        share
            Part of the work since the phase began that is done, 0 to 1; tells the time left.
        now
            Say it in any case.
        """
        time_now = time.monotonic()
        if not now and time_now - self._said < EVERY_SECONDS:
            return
        self._said, gone = time_now, time_now - self.began
        parts = [part for part in (state, f"{_clock(gone)} so far") if part]
        if share and share < 1:
            parts.append(f"about {_clock(gone * (1 - share) / share)} left")
        print(f"{self.what}: {', '.join(parts)}", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


@contextmanager
def progress_bar(
    show: bool, what: str, total: float, done: float = 0, unit: str = ""
) -> Iterator[Callable[[float], None]]:
    """A function to call with the work just done, of a total; says millions of a named unit a second.

    Examples
    --------
    >>> from genoattn.progress import progress_bar
    >>> with progress_bar(False, "adding", total=3) as advance:
    ...     for _ in range(3):
    ...         advance(1)
    """
    if not show:
        yield lambda work: None
        return
    if not can_draw():
        yield _advance_lines(ProgressLines(what), total, done, unit)
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.percentage:.0f}%{task.fields[rate]}")
    with _drawn(TextColumn(what), BarColumn(), text, TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=total, completed=done, rate="")

        def advance(work: float) -> None:
            bar.advance(task, work)
            speed = bar.tasks[task].speed
            if unit and speed:
                bar.update(task, rate=f" {speed / 1e6:.2f} M {unit}/s")

        yield advance


def _advance_lines(lines: ProgressLines, total: float, done: float, unit: str) -> Callable[[float], None]:
    state, already = [float(done)], float(done)

    def advance(work: float) -> None:
        state[0] += work
        share = state[0] / total if total else 1.0
        of_rest = (state[0] - already) / (total - already) if total > already else 1.0
        gone = max(time.monotonic() - lines.began, 1e-9)
        rate = f" ({(state[0] - already) / gone / 1e6:.2f} M {unit}/s)" if unit else ""
        lines.say(f"{100 * min(share, 1.0):.0f} %{rate}", of_rest)

    return advance


@contextmanager
def phase(show: bool, what: str) -> Iterator[None]:
    """Say that a phase of unknown length goes on, and for how long it has.

    Examples
    --------
    >>> from genoattn.progress import phase
    >>> with phase(False, "reading"):
    ...     content = "read"
    """
    if not show:
        yield
    elif can_draw():
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = SpinnerColumn(), TextColumn(what), TimeElapsedColumn()
        with _drawn(*columns, transient=True) as bar:
            bar.add_task("", total=None)
            yield
    else:
        with _ticking(ProgressLines(what)):
            yield


@contextmanager
def _ticking(lines: ProgressLines) -> Iterator[None]:
    """A line every ten seconds, from a thread of its own."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(EVERY_SECONDS):
            lines.say(now=True)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _drawn(*columns: Any, transient: bool = False) -> Iterator[Any]:
    """A bar of rich on stderr, which is not drawn where another one is: old versions draw one at a time."""
    from rich.console import Console
    from rich.errors import LiveError
    from rich.progress import Progress

    bar = Progress(*columns, console=Console(stderr=True), transient=transient)
    try:
        bar.start()
    except LiveError:
        yield Progress(disable=True)
        return
    try:
        yield bar
    finally:
        bar.stop()
