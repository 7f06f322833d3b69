"""Rows of an interaction table as aligned text for a person."""

from collections.abc import Mapping, Sequence
from typing import Any

_REACH = 1.96  # standard errors on either side of an estimate that hold 95 %


def format_terms(rows: Mapping[str, Sequence[Any]] | Any, order: int) -> str:
    """Terms of one order as lines of aligned text below a header.

    ``coefficient`` and ``effect`` have their 95 % intervals in brackets, where there are any; where the
    coefficient is the effect itself, as in a scan, the p-value stands in its place.

    Parameters
    ----------
    rows
        Columns of an interaction table by name: a DataFrame, or arrays.
    """
    coefficient, effect = list(rows["coefficient"]), list(rows["effect"])
    cells: dict[str, list[str]] = {"term": _term_names(rows, order)}
    if coefficient != effect:
        cells["coefficient"] = [
            _with_interval(c, sd) for c, sd in zip(coefficient, rows["coefficient_sd"], strict=True)
        ]
    cells["effect (95 %)"] = [_with_interval(e, se) for e, se in zip(effect, rows["se"], strict=True)]
    if coefficient == effect:
        cells["p_value"] = ["" if p != p else f"{p:.2g}" for p in rows["p_value"]]
    cells["q_value"] = ["" if q != q else f"{q:.2g}" for q in rows["q_value"]]  # NaN is not itself
    cells["flag"] = list(rows["flag"])
    columns = [[name, *texts] for name, texts in cells.items()]
    widths = [max(map(len, column)) for column in columns]
    lines = (
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    )
    return "\n".join(lines)


def _with_interval(value: float, deviation: float) -> str:
    """``+0.985 (+0.781 to +1.19)``; without a deviation the value alone; empty for NaN."""
    if value != value:
        return ""
    if deviation != deviation:
        return f"{value:+.3g}"
    return f"{value:+.3g} ({value - _REACH * deviation:+.3g} to {value + _REACH * deviation:+.3g})"


def _term_names(rows: Any, order: int) -> list[str]:
    """``GA1[C] (4:890000) x GH.117C[C] (5:3500000)``; residues have their column in their name."""
    parts = []
    for k in range(1, order + 1):
        columns = (rows[f"{name}_{k}"] for name in ("site", "chrom", "pos", "state"))
        parts.append([_token_name(*token) for token in zip(*columns, strict=True)])
    return [" x ".join(tokens) for tokens in zip(*parts, strict=True)]


def _token_name(site: str, chrom: str, pos: int, state: str) -> str:
    position = f"{chrom}:{pos}"
    place = "" if not chrom or site.startswith(position) else f" ({position})"
    return f"{site}[{state}]{place}"
