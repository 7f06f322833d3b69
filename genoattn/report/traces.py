"""Traces of figures as plain lists: points, lines, intervals, arcs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW)  # Okabe and Ito's, told apart by the colour-blind
GREY = "#888888"
# As in genoattn.plot: vermilion above 0, blue below.
DIVERGING = [[0.0, "#0072B2"], [0.25, "#80B9D9"], [0.5, "#F7F7F7"], [0.75, "#EAAE80"], [1.0, "#D55E00"]]

Trace = dict[str, Any]


def plain(values: Iterable[Any], digits: int = 5) -> list[float | None]:
    """Numbers with so many significant digits, which keep the page small; None where there is none."""
    out: list[float | None] = []
    for value in values:
        x = float("nan") if value is None else float(value)
        out.append(float(f"{x:.{digits}g}") if np.isfinite(x) else None)
    return out


def reach(value: Any, lower: Any, upper: Any) -> dict[str, Any]:
    """Error bars from the ends of intervals, arrays of shape (n_points,)."""
    middle, low, high = (np.asarray(v, dtype=np.float64) for v in (value, lower, upper))
    return {
        "type": "data",
        "symmetric": False,
        "array": plain(high - middle),
        "arrayminus": plain(middle - low),
    }


def markers(x: Any, y: Any, name: str, colour: str, size: float = 6, **more: Any) -> Trace:
    """Points."""
    style = {"color": colour, "size": size}
    return {"type": "scatter", "mode": "markers", "x": plain(x, 9), "y": plain(y), "name": name,
            "marker": style, **more}  # fmt: skip


def line(x: Any, y: Any, name: str, colour: str, dash: str = "solid", **more: Any) -> Trace:
    """A line."""
    style = {"color": colour, "width": 2, "dash": dash}
    return {"type": "scatter", "mode": "lines", "x": plain(x, 9), "y": plain(y), "name": name,
            "line": style, **more}  # fmt: skip


def level_line(y: float, first: float, last: float, name: str) -> Trace:
    """A dashed line across the figure."""
    return line([first, last], [y, y], name, GREY, "dash", hoverinfo="name")


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with its title."""
    return {"title": {"text": title}, **more}


def minus_log10(p_values: Any) -> np.ndarray:
    """-log10 of p-values, (n,); p of 0 counts as 1e-300."""
    return -np.log10(np.maximum(np.asarray(p_values, dtype=np.float64), 1e-300))


def arc(first: float, second: float, n_points: int = 33) -> tuple[list[float | None], list[float | None]]:
    """Half an ellipse from one place to another, as high as they are far apart, and a gap after it."""
    angle = np.linspace(np.pi, 0, n_points)
    x = (first + second) / 2 + (second - first) / 2 * np.cos(angle)
    return [*plain(x, 7), None], [*plain((second - first) / 2 * np.sin(angle), 4), None]


def arcs(pairs: Sequence[tuple[float, float, str]], name: str, colour: str, width: float) -> Trace:
    """Arcs from place to place, each with its text, in one trace."""
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for first, second, label in pairs:
        along, above = arc(first, second)
        x, y, text = x + along, y + above, text + [label] * len(along)
    return {
        "type": "scatter", "mode": "lines", "x": x, "y": y, "name": name, "text": text, "hoverinfo": "text",
        "line": {"color": colour, "width": width},
    }  # fmt: skip
