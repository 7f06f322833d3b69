"""Contents of a report, before they are laid out as a page: sentences, figures, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["text", "number", "p"]


@dataclass(frozen=True)
class Figure:
    """An interactive figure.

    Parameters
    ----------
    key
        Unique in the report; its anchor.
    title
        Caption, one line.
    description
        What the picture shows, in sentences with the numbers that matter: for a screen reader, and for
        print.
    data, layout
        Traces and layout of Plotly (scatter, bar, heatmap, histogram): plain numbers, strings and lists.
        Names of sites and other text of the user are given as they are; the page shows them as text. Colours
        of axes, grid and background are the page's.
    note
        How to read it, one sentence.
    """

    key: str
    title: str
    description: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table: its name in the downloaded file, its heading, and what it means."""

    name: str
    label: str
    kind: Kind = "text"
    help: str = ""


@dataclass(frozen=True)
class Detail:
    """What opens from a row of a table: a sentence, a figure, and labelled facts."""

    sentence: str
    facts: Sequence[tuple[str, str]] = ()
    figure: Figure | None = None


@dataclass(frozen=True)
class DataTable:
    """A table that sorts, searches and downloads.

    Parameters
    ----------
    key, title
        Anchor and caption.
    columns, rows
        Rows are sequences of str, int, float or None, one entry a column.
    file
        Name of the downloaded file, tab-separated.
    details
        What opens from a row, by its number in ``rows``.
    note
        How to read it, or what is left out.
    """

    key: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str | float | None]]
    file: str
    details: Mapping[int, Detail] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading; shown where it has something to show."""

    key: str
    title: str
    paragraphs: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[DataTable] = ()


@dataclass(frozen=True)
class Report:
    """A report.

    Parameters
    ----------
    title
        One line: trait and kind of run.
    asked, found, sure
        The first screen, in sentences: what was asked, what was found (one sentence a finding, the strongest
        first), and how sure that is.
    warnings
        What the reader must know before the rest: data that have moved, an older version, left out parts.
    sections
        In order.
    facts
        Labelled facts of the run: version, seed, inputs with checksums, command.
    links
        Names and relative addresses of other reports.
    """

    title: str
    asked: Sequence[str]
    found: Sequence[str]
    sure: Sequence[str]
    warnings: Sequence[str] = ()
    sections: Sequence[Section] = ()
    facts: Sequence[tuple[str, str]] = ()
    links: Sequence[tuple[str, str]] = ()
