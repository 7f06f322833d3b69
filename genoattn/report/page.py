"""A report as one HTML file that needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import quote

from genoattn.report.document import DataTable, Figure, Report, Section

_LIBRARY = "plotly-cartesian.min.js"
# Hebrew, Arabic and their neighbours; a word that has one of these letters turns what stands next to it.
_RIGHT_TO_LEFT = re.compile(r"\S*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]\S*")
# Marks that turn the text after them round, as U+202E does: shown by their names.
_TURNING = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_NUMBER = re.compile(r"\d[\d.]*(?:e-\d+| %)")  # 1.9e-17 and 95 %, which a browser would break
_LARGEST_EXACT = 2**53


def render(report: Report) -> bytes:
    """The report as an HTML file in UTF-8; equal reports give equal bytes.

    The sentences, headings and facts are in the HTML, for a reader without JavaScript, a search and a screen
    reader; figures and tables are data (JSON), which the script of the page draws. A policy in the page
    forbids every request.

    Parameters
    ----------
    report
        Its texts are shown literally, markup included. In texts of figures a line break is ``"\\n"``; a
        template of Plotly (``hovertemplate``) may also have ``<br>`` and ``<extra></extra>``.

    Raises
    ------
    ValueError
        Two sections, figures or tables have the same key, or a row has not one entry a column.
    TypeError
        A value is neither text, a number nor a collection of these.

    Examples
    --------
    >>> page = render(Report("Height: fit of a cross", ["Which loci act together?"], ["Two."], ["Barely."]))
    >>> page.startswith(b"<!DOCTYPE html>"), b"Which loci act together?" in page
    (True, True)
    """
    figures = [figure for section in report.sections for figure in section.figures]
    tables = [table for section in report.sections for table in section.tables]
    for part, items in (("section", report.sections), ("figure", figures), ("table", tables)):
        _check_keys(part, [item.key for item in items])
    for table in tables:
        _check_rows(table)
    data = {
        "figures": {figure.key: _shown(_plain(figure)) for figure in figures},
        # Rows keep their values, which are downloaded; each cell is an island that turns no other text.
        "tables": {table.key: _shown(_plain(table), kept=("rows",)) for table in tables},
    }
    library, script = _asset(_LIBRARY), _asset("report.js")
    fields = {
        "policy": _policy(library, script),
        "title": escape(_visible(report.title)),
        "css": _asset("report.css"),
        "heading": _text(report.title),
        "notice": _notice(len(report.warnings)),
        "summary": _summary(report),
        "navigation": _navigation(report),
        "sections": "".join(_section(section) for section in report.sections) + _facts(report.facts),
        "data": _json(data),
        "library": library,
        "script": script,
    }
    return Template(_asset("report.html")).substitute(fields).encode("utf-8", errors="xmlcharrefreplace")


def _asset(name: str) -> str:
    return files("genoattn.report").joinpath("assets", name).read_text(encoding="utf-8")


def _policy(*scripts: str) -> str:
    """Content security policy: these scripts and no others, no address to load from or send to.

    Styles are free because the library of the figures sets them element by element.
    """
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _check_keys(part: str, keys: Sequence[str]) -> None:
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        raise ValueError(f"key {repeated[0]!r} names more than one {part}; give each {part} its own")


def _check_rows(table: DataTable) -> None:
    for number, row in enumerate(table.rows):
        if len(row) != len(table.columns):
            raise ValueError(
                f"table {table.key!r}, row {number}: {len(row)} entries but {len(table.columns)} columns"
            )


def _plain(value: Any) -> Any:
    """What JSON can hold; NaN and infinities become null, for JSON has none."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_EXACT else str(value)  # JavaScript would round it
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(entry) for name, entry in vars(value).items()}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if hasattr(value, "tolist"):  # arrays and scalars of numpy
        return _plain(value.tolist())
    if isinstance(value, Sequence):
        return [_plain(entry) for entry in value]
    raise TypeError(f"{value!r} ({type(value).__name__}) is neither text, a number nor a list of these")


def _visible(text: str) -> str:
    return _TURNING.sub(lambda mark: f"<U+{ord(mark[0]):04X}>", text)


def _shown(value: Any, kept: tuple[str, ...] = ()) -> Any:
    """Plain data with marks that turn text round made visible, but for entries to be kept."""
    if isinstance(value, str):
        return _visible(value)
    if isinstance(value, dict):
        return {key: entry if key in kept else _shown(entry) for key, entry in value.items()}
    return [_shown(entry) for entry in value] if isinstance(value, list) else value


def _json(data: Any) -> str:
    """JSON that cannot end the element it stands in; letters beyond ASCII are escaped, U+2028 too."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _text(text: str) -> str:
    """Text as HTML; words that run from right to left leave the order of the others alone."""
    html = escape(_RIGHT_TO_LEFT.sub(lambda word: f"\u2068{word[0]}\u2069", _visible(text)))
    return _NUMBER.sub(r'<span class="unbroken">\g<0></span>', html)


def _notice(warnings: int) -> str:
    if not warnings:
        return ""
    words = "1 warning" if warnings == 1 else f"{warnings} warnings"
    return f'<a class="notice" href="#warnings">\u26a0\ufe0e {words}</a>\n'


def _paragraphs(texts: Iterable[str]) -> str:
    return "".join(f"<p>{_text(text)}</p>\n" for text in texts)


def _list(tag: str, texts: Sequence[str]) -> str:
    """A list, or a paragraph where there is only one entry."""
    if len(texts) < 2:
        return _paragraphs(texts)
    return f"<{tag}>\n" + "".join(f"<li>{_text(text)}</li>\n" for text in texts) + f"</{tag}>\n"


def _summary(report: Report) -> str:
    """The first screen: asked, found, sure, warnings."""
    blocks = [
        ("asked", "What was asked", _paragraphs(report.asked)),
        ("found", "What was found", _list("ol", report.found)),
        ("sure", "How sure that is", _paragraphs(report.sure)),
        ("reports", "Reports", _links(report.links)),
        ("warning", "Warnings", _list("ul", report.warnings)),
    ]
    html = ""
    for name, heading, body in blocks:
        anchor = "warnings" if name == "warning" else f"summary-{name}"
        if body:
            html += f'<section class="{name}" id="{anchor}">\n<h2>{heading}</h2>\n{body}</section>\n'
    return html


def _links(links: Sequence[tuple[str, str]]) -> str:
    """Other reports, by relative addresses."""
    items = "".join(f'<li><a href="{quote(address)}">{_text(name)}</a></li>\n' for name, address in links)
    return f"<ul>\n{items}</ul>\n" if items else ""


def _navigation(report: Report) -> str:
    links = [(f"section-{section.key}", section.title) for section in report.sections]
    if report.facts:
        links.append(("facts", "About this run"))
    items = "".join(f'<li><a href="#{quote(anchor)}">{_text(title)}</a></li>\n' for anchor, title in links)
    return f"<ul>\n{items}</ul>\n" if items else ""


def _section(section: Section) -> str:
    anchor = escape(section.key)
    figures = "".join(_figure(figure) for figure in section.figures)
    tables = "".join(_table(table) for table in section.tables)
    return (
        f'<section id="section-{anchor}" aria-labelledby="heading-{anchor}">\n'
        f'<h2 id="heading-{anchor}">{_text(section.title)}</h2>\n{_paragraphs(section.paragraphs)}'
        + (f'<div class="figures">\n{figures}</div>\n' if figures else "")
        + f"{tables}</section>\n"
    )


def _figure(figure: Figure) -> str:
    """The words of a figure, which the script replaces by the figure with the same words."""
    anchor = escape(figure.key)
    return (
        f'<figure id="figure-{anchor}" data-figure="{anchor}">\n'
        f"<figcaption><h3>{_text(figure.title)}</h3>\n{_paragraphs([figure.description])}</figcaption>\n"
        "</figure>\n"
    )


def _table(table: DataTable) -> str:
    """The words of a table, which the script replaces by the table with the same words."""
    anchor = escape(table.key)
    return (
        f'<div class="table" id="table-{anchor}" data-table="{anchor}">\n<h3>{_text(table.title)}</h3>\n'
        f"{_paragraphs([table.note] if table.note else [])}</div>\n"
    )


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    if not facts:
        return ""
    rows = "".join(f'<dt>{_text(name)}</dt>\n<dd dir="auto">{_text(value)}</dd>\n' for name, value in facts)
    return (
        '<section id="facts" aria-labelledby="heading-of-facts">\n'
        f'<h2 id="heading-of-facts">About this run</h2>\n<dl>\n{rows}</dl>\n</section>\n'
    )
