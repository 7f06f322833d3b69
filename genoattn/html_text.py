"""Small HTML of objects in notebooks: escaped text, facts, tables; no scripts, no colours of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

LONGEST = 60  # characters of a name or cell
# Notebooks style tables themselves, so that each cell says what it needs. Colours are inherited.
_CELL = "text-align:{};padding:1px 10px 1px 0;vertical-align:top;white-space:{};background:none;color:inherit"
_TABLE = "border-collapse:collapse;border:none;margin:4px 0;font-size:inherit;color:inherit"
_RULE = ";border-bottom:1px solid rgba(128,128,128,0.6)"


class Html(str):
    """Text that is HTML already."""


def text(value: object, longest: int = LONGEST) -> Html:
    """A value as text that cannot be taken for markup and keeps its own direction of writing.

    Longer than ``longest`` characters it is cut, and its title says it in full.

    Examples
    --------
    >>> text("a < b")
    '<bdi>a &lt; b</bdi>'
    """
    if isinstance(value, Html):
        return value
    said = "".join(c if c >= " " else " " for c in str(value))
    if len(said) <= longest:
        return Html(f"<bdi>{escape(said)}</bdi>")
    return Html(f'<bdi title="{escape(said)}">{escape(said[: longest - 1])}…</bdi>')


def say(template: str, *values: object) -> Html:
    """A sentence of ours, with the values in the places of its ``{}``.

    Examples
    --------
    >>> say("Fit of {}, {} samples", "<b>", 12)
    'Fit of <bdi>&lt;b&gt;</bdi>, <bdi>12</bdi> samples'
    """
    return Html(template.format(*map(text, values)))


def listed(values: Sequence[object], most: int = 8) -> Html:
    """The first values, and how many more there are."""
    shown = ", ".join(text(value, 30) for value in values[:most])
    return Html(shown + (f" and {len(values) - most:,} more" if len(values) > most else ""))


def facts(rows: Iterable[tuple[str, object]]) -> Html:
    """Labels with what they say, a line each; those that say nothing are left out."""
    label, cell = _CELL.format("left", "nowrap"), _CELL.format("left", "normal")
    lines = [
        f'<tr><th scope="row" style="{label};opacity:0.75;font-weight:normal">{text(name)}</th>'
        f'<td style="{cell}">{text(value, 200)}</td></tr>'
        for name, value in rows
        if value
    ]
    return Html(f'<table style="{_TABLE}"><tbody>{"".join(lines)}</tbody></table>')


def columns_table(columns: Mapping[str, Sequence[object]], left: Sequence[str] = ()) -> Html:
    """Columns below their names; those in ``left`` are text, the others end at one place."""
    styles = [_CELL.format("left" if name in left else "right", "nowrap") for name in columns]
    names = zip(columns, styles, strict=True)
    head = "".join(f'<th scope="col" style="{style}{_RULE}">{text(name)}</th>' for name, style in names)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{s}">{text(cell)}</td>' for cell, s in zip(row, styles, strict=True))
        + "</tr>"
        for row in zip(*columns.values(), strict=True)
    )
    table = f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return Html(f'<div style="overflow-x:auto">{table}</div>')


def panel(title: Html, *parts: Html) -> Html:
    """A title in bold above parts."""
    return Html(f'<div style="color:inherit;background:none"><strong>{title}</strong>{"".join(parts)}</div>')
