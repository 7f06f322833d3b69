"""Pairs as ribbons across a circle of chromosomes, by pyCirclize."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from genoattn.cohort import ENVIRONMENT, Sites
from genoattn.errors import InputError
from genoattn.interactions.table import InteractionTable
from genoattn.plot.figure_style import GREY, PALE, figure, short_names, shorten, style
from genoattn.plot.genome_plots import MOST_ARCS, pair_colours, pair_rows, spread
from genoattn.views.genome import GenomeLayout


def circos(
    pairs: InteractionTable | pd.DataFrame,
    n: int = MOST_ARCS,
    labels: int = 6,
    sites: Sites | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Pairs as lines across a circle of chromosomes, the strongest on top.

    Parameters
    ----------
    pairs
        A table, or the frame of ``signals.tsv``.
    n
        How many pairs at most, the first rows.
    labels
        Of how many of them the sites are named.
    sites
        All sites, which say how long chromosomes are; those of the table by default.
    ax
        Polar Axes to draw in; a square figure of one column by default.

    Raises
    ------
    InputError
        Where there are no pairs.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=400, n_sites=20, architecture="pairs", seed=1).cohort
    >>> ax = genoattn.plot.circos(genoattn.scan_pairs(cohort, threshold=1e-3).table)
    >>> ax.name
    'polar'
    """
    rows, layout = pair_rows(pairs, sites)
    with style():
        if ax is not None and ax.name != "polar":
            raise InputError("a circle needs polar Axes; make them with add_subplot(projection='polar')")
        if ax is None:
            ax = figure(1, 89).add_subplot(projection="polar")
        _draw(ax, rows.head(n), layout, labels)
        if len(rows) > n:
            ax.text(0.5, -0.02, f"first {n:,} of {len(rows):,} pairs", transform=ax.transAxes, ha="center",
                    va="top", fontsize="small", color=GREY)  # fmt: skip
    return ax


def _draw(ax: Axes, rows: pd.DataFrame, layout: GenomeLayout, labels: int) -> None:
    from pycirclize import Circos

    frame = layout.frame
    length = {str(c): max(float(size), 1.0) for c, size in zip(frame["chrom"], frame["length"], strict=True)}
    circle = Circos(length, space=min(3.0, 90 / len(length)) if len(length) > 1 else 8.0)
    for k, sector in enumerate(circle.sectors):
        sector.add_track((76, 84)).axis(fc=GREY if k % 2 == 0 else PALE, lw=0)
        if sector.deg_lim[1] - sector.deg_lim[0] > 5 and sector.name != ENVIRONMENT:
            name = "column" if layout.is_alignment else shorten(sector.name.removeprefix("chr"), 8)
            shade = "white" if k % 2 == 0 else "black"
            sector.text(name, r=80, size=6, color=shade, adjust_rotation=False, ha="center", va="center")
    colour, width, key = pair_colours(rows)
    for row, c, w in reversed(list(zip(rows.to_dict("records"), colour, width, strict=True))):
        at = [(str(row[f"chrom_{k}"]), _within(layout, row, k)) for k in (1, 2)]
        ends = [(chrom, place, place) for chrom, place in at]
        circle.link(*ends, r1=75, r2=75, ec=c, fc=c, lw=float(w), alpha=0.8)
    circle.plotfig(ax=ax)
    _names(ax, circle, rows.head(labels), layout)
    handles = [Line2D([], [], color=c, label=text) for c, text in key]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(-0.05, 1.05), borderaxespad=0)


def _within(layout: GenomeLayout, row: Mapping[Any, Any], k: int) -> float:
    """Place of the k-th site of a row from the start of its chromosome."""
    chrom = str(row[f"chrom_{k}"])
    start = float(layout.frame.loc[layout.frame["chrom"] == chrom, "offset"].iloc[0])
    return float(layout.place([chrom], [float(row[f"pos_{k}"])])[0]) - start


def _names(ax: Axes, circle: object, rows: pd.DataFrame, layout: GenomeLayout) -> None:
    """Names around the circle, apart, each with a line to its place."""
    at: dict[str, float] = {}
    for row in rows.to_dict("records"):
        for k in (1, 2):
            sector = circle.get_sector(str(row[f"chrom_{k}"]))  # type: ignore[attr-defined]
            at[str(row[f"site_{k}"])] = sector.x_to_rad(_within(layout, row, k))
    if not at:
        return
    angle = np.array(list(at.values()))
    moved = spread(angle, 0.11, 0.0, 2 * np.pi - 0.11)
    for name, place, where in zip(short_names(list(at), 12), angle, moved, strict=True):
        turned = 90 - np.degrees(where)
        left = np.pi < where % (2 * np.pi)
        ax.plot([place, where], [85, 89], color=GREY, linewidth=0.4)
        ax.text(where, 90, name, rotation=turned + (180 if left else 0), rotation_mode="anchor",
                ha="right" if left else "left", va="center", fontsize="small")  # fmt: skip
