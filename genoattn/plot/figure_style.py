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
from matplotlib.text import Text

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
    shown = "".join(" " if unicodedata.category(c) == "Cc" else c for c in str(text)).replace("$", r"\$")
    if any(unicodedata.bidirectional(c) in ("R", "AL") for c in shown):
        # Marks of direction keep what stands around a name written from right to left in its order.
        shown = f"\u200e{shown}\u200e"
    return shown


def shorten(name: object, length: int = 24) -> str:
    """A name of at most ``length`` characters, with an ellipsis in its middle where it is cut."""
    text = str(name)
    if len(text) <= length:
        return plain(text)
    tail = (length - 1) // 2
    return plain(f"{text[: length - 1 - tail]}…{text[-tail:]}")


def short_names(names: Sequence[object], length: int = 24) -> list[str]:
    """Names of at most ``length`` characters, different ones still different.

    Names that are the same when cut in their middle show where they differ: ``chr22…00037…this``.
    """
    full = list(dict.fromkeys(str(name) for name in names))
    cut = {name: shorten(name, length) for name in full}
    for shown in set(cut.values()):
        alike = [name for name in full if cut[name] == shown]
        if len(alike) > 1:
            cut |= _told_apart(alike, length)
    return [cut[str(name)] for name in names]


def _told_apart(names: list[str], length: int) -> dict[str, str]:
    """Short forms of names with the same beginning and end."""
    head = _n_alike(names)
    tail = _n_alike([name[head:][::-1] for name in names])
    out: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        core = name[head : len(name) - tail]
        room = (length - len(core) - 2) // 2
        shown = f"{name[:room]}…{core}…{name[-room:]}" if room > 0 else f"…{core[: length - 2]}…"
        if plain(shown) in out.values():
            shown = f"{name[: length - 1 - len(str(number))]}~{number}"
        out[name] = plain(shown)
    return out


def _n_alike(names: list[str]) -> int:
    """Letters that all names begin with."""
    columns = zip(*names, strict=False)
    return next((k for k, letters in enumerate(columns) if len(set(letters)) > 1), min(map(len, names)))


def units_label(units: str) -> str:
    """Units of effects, short enough for an axis."""
    return "latent units" if units.startswith("latent units") else shorten(units, 40)


def letter_size(text: Text) -> float:
    """Size of a text in points."""
    return float(text.get_fontsize())


def axes_size(ax: Axes) -> tuple[float, float]:
    """Width and height of the figure of some Axes in points, times the share of its grid they have."""
    width, height = figure_of(ax).get_size_inches() * 72
    place = ax.get_subplotspec()
    if place is None:
        box = ax.get_position()
        return width * box.width, height * box.height
    rows, columns = place.get_gridspec().get_geometry()
    return width * len(place.colspan) / columns, height * len(place.rowspan) / rows


def remark(ax: Axes, text: str) -> None:
    """A remark above the Axes on the right, such as how much is left out."""
    ax.set_title(text, loc="right", fontsize="small", color=GREY)
