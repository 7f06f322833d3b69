"""A bar on stderr for a phase of work: its name, the part done, and the time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    show: bool, what: str, total: float, done: int = 0, unit: str = ""
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
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        TextColumn("{task.percentage:.0f}%{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, completed=done, rate="")

        def advance(work: float) -> None:
            bar.advance(task, work)
            speed = bar.tasks[task].speed
            if unit and speed:
                bar.update(task, rate=f" {speed / 1e6:.2f} M {unit}/s")

        yield advance
