"""Sizes, colours and text of figures, and how they are saved."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure

from genoattn.errors import InputError
from genoattn.writing import write_output

# Okabe & Ito (2008), Color Universal Design, in the order in which they are used.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
BLUE, VERMILLION, GREEN = PALETTE[:3]
GREY, PALE = "#666666", "#BBBBBB"
DIVERGING = LinearSegmentedColormap.from_list("genoattn", [BLUE, "#FFFFFF", VERMILLION])
WIDTH = {1: 89.0, 2: 183.0}  # mm, of one and two columns of a journal
_FONTS = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")
_FORMATS = (".pdf", ".svg", ".png", ".eps", ".tiff")


@contextmanager
def style() -> Iterator[None]:
    """Settings of matplotlib for figures of papers, until the block ends: global ones stay as they are.

    Text is 7 points, and stays text in PDF and SVG (``pdf.fonttype`` 42, ``svg.fonttype`` none).

    Examples
    --------
    >>> import matplotlib
    >>> from genoattn import plot
    >>> with plot.style():
    ...     matplotlib.rcParams["font.size"]
    7.0
    """
    installed = set(font_manager.fontManager.get_font_names())
    with rc_context(
        {
            "font.family": [name for name in _FONTS if name in installed],
            "font.size": 7,
            "axes.titlesize": 7,
            "axes.labelsize": 7,
            "xtick.labelsize": 6,
            "ytick.labelsize": 6,
            "legend.fontsize": 6,
            "legend.title_fontsize": 6,
            "legend.frameon": False,
            "axes.linewidth": 0.6,
            "lines.linewidth": 1,
            "lines.markersize": 3.5,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "xtick.major.size": 2.5,
            "ytick.major.size": 2.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "pdf.fonttype": 42,
            "ps.fonttype": 42,
            "svg.fonttype": "none",
            "savefig.dpi": 300,
        }
    ):
        yield


def figure(columns: int = 1, height: float | None = None) -> Figure:
    """An empty figure as wide as one (89 mm) or two (183 mm) columns of a journal.

    Parameters
    ----------
    columns
        1 or 2.
    height
        Millimetres; two thirds of the width of a column by default.

    Raises
    ------
    InputError
        For another number of columns, or a height that is not above 0.

    Examples
    --------
    >>> from genoattn import plot
    >>> figure = plot.figure(columns=2, height=60)
    >>> (figure.get_size_inches() * 25.4).round(1).tolist()
    [183.0, 60.0]
    """
    if columns not in WIDTH:
        raise InputError(f"columns is {columns!r}; choose 1 or 2")
    tall = WIDTH[1] * 2 / 3 if height is None else float(height)
    if not tall > 0:
        raise InputError(f"height is {height!r}; give millimetres, above 0")
    # One of no list of pyplot, where figures stay in memory until they are closed.
    with style():
        return Figure(figsize=(WIDTH[columns] / 25.4, tall / 25.4), layout="constrained", dpi=150)


def drawing(height: float | None = None) -> Callable:
    """Decorator of functions that draw: without ``ax`` they get one of a new figure, in the style."""

    def decorate(draw: Callable[..., Axes]) -> Callable[..., Axes]:
        @wraps(draw)
        def drawn(*args: Any, ax: Axes | None = None, **options: Any) -> Axes:
            if ax is not None:
                return draw(*args, ax=ax, **options)
            with style():
                return draw(*args, ax=figure(1, height).add_subplot(), **options)

        return drawn

    return decorate


def save(drawn: Axes | Figure, path: str | Path, force: bool = True) -> None:
    """Write the figure of some Axes: ``.pdf``, ``.svg``, ``.eps``, ``.png`` or ``.tiff``, by the ending.

    In PDF and SVG text stays text, in the fonts of the figure, to be found and edited; images have 300 dots
    an inch.

    Raises
    ------
    InputError
        For another ending, or where the file exists and is not to be replaced.

    Examples
    --------
    >>> from genoattn import plot
    >>> figure = plot.figure()
    >>> figure.add_subplot().set_xlabel("copies of C")
    Text(0.5, 0, 'copies of C')
    >>> plot.save(figure, "figure.svg")
    >>> "copies of C" in open("figure.svg").read()
    True
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        found = path.suffix or "none"
        raise InputError(f"{path}: unknown ending {found}; name it {', '.join(_FORMATS)}")
    content = io.BytesIO()
    with style():
        figure_of(drawn).savefig(content, format=path.suffix.lower()[1:])
    write_output(content.getvalue(), path, force)


def figure_of(drawn: Axes | Figure) -> Figure:
    """The figure that Axes are part of."""
    found: Any = drawn if isinstance(drawn, Figure) else drawn.figure
    while isinstance(found, SubFigure):
        found = found.figure
    return found


def plain(text: object) -> str:
    """Text as it is: dollars are no formulas, control characters are spaces."""
    shown = "".join(" " if unicodedata.category(c) == "Cc" else c for c in str(text))
    return shown.replace("$", r"\$")


def shorten(name: object, length: int = 24) -> str:
    """A name of at most ``length`` characters, with an ellipsis in its middle where it is cut."""
    text = str(name)
    if len(text) <= length:
        return plain(text)
    tail = (length - 1) // 2
    return plain(f"{text[: length - 1 - tail]}…{text[-tail:]}")


def short_names(names: Sequence[object], length: int = 24) -> list[str]:
    """Names shortened so that different ones stay different: those that would not are longer."""
    longest = max((len(str(name)) for name in names), default=0)
    out = {str(name): shorten(name, length) for name in names}
    while length < longest and len(set(out.values())) < len(out):
        length += 8
        shown = list(out.values())
        out = {name: shorten(name, length) if shown.count(s) > 1 else s for name, s in out.items()}
    return [out[str(name)] for name in names]


def remark(ax: Axes, text: str) -> None:
    """A remark above the Axes on the right, such as how much is left out."""
    ax.set_title(text, loc="right", fontsize="small", color=GREY)
