"""Progress of a scan on stderr: pairs done, pairs per second, time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def pair_progress(
    show: bool, total: int, done: int = 0, what: str = "pairs"
) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of pairs just done; the bar is removed when the block ends."""
    if not show:
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("scan"),
        BarColumn(),
        TextColumn("{task.percentage:.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, completed=done, rate="")

        def advance(n: int) -> None:
            bar.advance(task, n)
            speed = bar.tasks[task].speed
            if speed:
                bar.update(task, rate=f"{speed / 1e6:.2f} M {what}/s")

        yield advance
