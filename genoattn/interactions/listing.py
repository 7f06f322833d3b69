"""Rows of an interaction table as aligned text for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_STYLES = {
    "coefficient": "{:+.4g}",
    "estimate": "{:+.4g}",
    "se": "{:.3g}",
    "statistic": "{:+.2f}",
    "p_value": "{:.2g}",
    "q_value": "{:.2g}",
    "variance_explained": "{:.3f}",
    "r2_ld": "{:.3f}",
}


def format_terms(rows: Mapping[str, Sequence[Any]] | Any, order: int, estimate: bool = True) -> str:
    """Terms of one order as lines of aligned text below a header.

    Parameters
    ----------
    rows
        Columns of an interaction table by name: a DataFrame, or arrays.
    order
        Their order.
    estimate
        Whether to show the unpenalised estimate, ``statistic * se``, beside a coefficient that may be
        another.
    """
    cells: dict[str, list[str]] = {"term": _term_names(rows, order)}
    for name, style in _STYLES.items():
        if name == "estimate":
            if not estimate:
                continue
            values = [t * se for t, se in zip(rows["statistic"], rows["se"], strict=True)]
        else:
            values = list(rows[name])
        cells[name] = ["" if value != value else style.format(value) for value in values]  # NaN is not itself
    cells["flag"] = list(rows["flag"])
    columns = [[name, *texts] for name, texts in cells.items()]
    widths = [max(map(len, column)) for column in columns]
    lines = (
        " ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    )
    return "\n".join(lines)


def _term_names(rows: Any, order: int) -> list[str]:
    """``GA1[C] (4:890000) x GH.117C[C] (5:3500000)``; residues need no position beside their column."""
    parts = []
    for k in range(1, order + 1):
        columns = (rows[f"{name}_{k}"] for name in ("site", "chrom", "pos", "state"))
        parts.append([_token_name(*token) for token in zip(*columns, strict=True)])
    return [" x ".join(tokens) for tokens in zip(*parts, strict=True)]


def _token_name(site: str, chrom: str, pos: int, state: str) -> str:
    position = f"{chrom}:{pos}"
    place = "" if not chrom or site.startswith(position) else f" ({position})"
    return f"{site}[{state}]{place}"
