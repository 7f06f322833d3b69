"""Pairs as arcs over the genome, and effects of single sites along it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.transforms import Transform, offset_copy

from genoattn.cohort import Cohort, Sites
from genoattn.errors import InputError
from genoattn.interactions.table import InteractionTable, has_flag
from genoattn.plot.figure_style import (
    BLUE,
    GREY,
    PALE,
    VERMILLION,
    axes_size,
    drawing,
    figure_of,
    letter_size,
    remark,
    short_names,
    shorten,
)  # fmt: skip
from genoattn.views.genome import GenomeLayout, genome_layout, pair_arcs
from genoattn.views.marginal import marginal_effects

MOST_ARCS, MOST_POINTS, ALPHA = 100, 20_000, 0.05


@drawing(height=50)
def arcs(
    pairs: InteractionTable | pd.DataFrame,
    n: int = MOST_ARCS,
    labels: int = 4,
    sites: Sites | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Pairs as arcs over the chromosomes (or columns of an alignment), the strongest on top.

    Of a table colours are the signs of the effects and widths their sizes, of signals blue are those claimed
    (q < 0.05). Proxies are left out.

    Parameters
    ----------
    pairs
        A table, or the frame of ``signals.tsv``.
    n
        How many pairs at most, the first rows.
    labels
        Of how many of them the sites are named.
    sites
        All sites, which say how long chromosomes are; those of the table by default, of signals those of the
        leads alone.
    ax
        Where to draw; a figure of one column by default.

    Raises
    ------
    InputError
        Where there are no pairs.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=400, n_sites=20, architecture="pairs", seed=1).cohort
    >>> ax = genoattn.plot.arcs(genoattn.scan_pairs(cohort, threshold=1e-3).table)
    >>> len(ax.collections) > 0
    True
    """
    assert ax is not None
    rows, layout = pair_rows(pairs, sites)
    shown = pair_arcs(rows.head(n), layout)
    if len(rows) > n:
        remark(ax, f"first {n:,} of {len(rows):,} pairs")
    colour, width, key = pair_colours(shown)
    x_1, x_2 = shown["x_1"].to_numpy(), shown["x_2"].to_numpy()
    turn = np.linspace(0, np.pi, 60)
    along = ((x_1 + x_2)[:, None] - (x_2 - x_1)[:, None] * np.cos(turn)) / 2
    # Height is the square root of the distance: short arcs can be seen.
    up = np.sqrt((x_2 - x_1) / max(layout.end, 1))[:, None] * np.sin(turn)
    lines = np.stack([along, up], axis=2)[::-1]
    ax.add_collection(LineCollection(list(lines), colors=colour[::-1], linewidths=width[::-1], alpha=0.8))
    _chromosomes(ax, layout)
    ax.set(xlim=(-0.01 * layout.end, 1.01 * layout.end), ylim=(0, 1.03), xticks=[], yticks=[])
    ax.spines[["left", "bottom"]].set_visible(False)
    named = shown if layout.is_alignment else shown.head(labels)
    _name_sites(ax, [*named["site_1"], *named["site_2"]], [*named["from_1"], *named["from_2"]], layout)
    handles = [Line2D([], [], color=c, label=text) for c, text in key]
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return ax


def pair_rows(
    pairs: InteractionTable | pd.DataFrame, sites: Sites | None
) -> tuple[pd.DataFrame, GenomeLayout]:
    """Rows of pairs, proxies and repeats left out, and the layout of their genome."""
    if isinstance(pairs, InteractionTable):
        rows, sites = pairs.top(len(pairs), 2), sites or pairs.manifest.sites
        rows = rows[~has_flag(rows["flag"], "proxy") & ~has_flag(rows["flag"], "repeat")]
    else:
        rows = pairs.assign(**{f"chrom_{k}": pairs[f"chrom_{k}"].astype(str) for k in (1, 2)})
    if not len(rows):
        raise InputError("there are no pairs; give a table of order 2 or above, or signals")
    if sites is not None:
        return rows, genome_layout(sites.chrom, sites.pos)
    chrom, pos = ([x for k in (1, 2) for x in rows[f"{name}_{k}"]] for name in ("chrom", "pos"))
    return rows, genome_layout(chrom, pos)


def pair_colours(rows: pd.DataFrame) -> tuple[list[str], np.ndarray, list[tuple[str, str]]]:
    """Colour and width of each pair, and what colours mean."""
    if "coefficient" in rows:
        value = rows["effect"].fillna(rows["coefficient"]).to_numpy(dtype=np.float64)
        colour = [VERMILLION if v > 0 else BLUE for v in value]
        key = [(VERMILLION, "effect above 0"), (BLUE, "effect below 0")]
    else:
        claimed = (rows["q_value"] < ALPHA).to_numpy()
        value = np.where(claimed, 1.0, 0.2)
        colour = [BLUE if c else PALE for c in claimed]
        key = [(BLUE, f"claimed, q < {ALPHA}"), (PALE, "not claimed")]
    size = np.abs(np.nan_to_num(value))
    width = 0.4 + 1.8 * size / max(size.max(initial=0), 1e-300)
    return colour, width, [k for k in key if k[0] in colour]


def _below(ax: Axes, points: float) -> Transform:
    """Coordinates of the data, so many points lower."""
    return offset_copy(ax.transData, figure_of(ax), 0, -points, units="points")


def _chromosomes(ax: Axes, layout: GenomeLayout) -> None:
    """Chromosomes as bars under the arcs with their names on them, in two greys by turns."""
    bar, text = _below(ax, 5), _below(ax, 5.5)
    start, length = (layout.frame[name].to_numpy(dtype=np.float64) for name in ("offset", "length"))
    for k in range(len(start)):
        ends, shade = [start[k], start[k] + length[k]], GREY if k % 2 == 0 else PALE
        ax.plot(ends, [0, 0], color=shade, linewidth=8, solid_capstyle="butt", transform=bar, clip_on=False)
    if not layout.is_alignment:
        for k, name in _named_chromosomes(ax, layout, True):
            colour = "white" if k % 2 == 0 else "black"
            ax.text(start[k] + length[k] / 2, 0, name, color=colour, transform=text, ha="center", va="center",
                    fontsize="small")  # fmt: skip


def _named_chromosomes(ax: Axes, layout: GenomeLayout, inside: bool) -> list[tuple[int, str]]:
    """Chromosomes whose names have room, ``inside`` of them too: number in the layout, and name."""
    width, size = axes_size(ax)[0] * 0.9, letter_size(ax.xaxis.get_label())
    out, end = [], -np.inf
    for k, (middle, chrom) in enumerate(zip(layout.frame["middle"], layout.frame["chrom"], strict=True)):
        name = shorten(str(chrom).removeprefix("chr"), 12)
        half = (0.6 * len(name) + 0.4) * size / 2
        centre, bar = middle / layout.end * width, layout.frame["length"].iloc[k] / layout.end * width
        if centre - half > end and (not inside or bar > 0.55 * len(name) * size):
            out.append((k, name))
            end = centre + half
    return out


def _chromosome_ticks(ax: Axes, layout: GenomeLayout) -> None:
    if layout.is_alignment:
        ax.set_xlabel("column of the alignment")
        return
    named = _named_chromosomes(ax, layout, False)
    ax.set_xticks(layout.frame["middle"].iloc[[k for k, _ in named]], [name for _, name in named])
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel("chromosome")


def spread(places: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Places moved apart to at least ``gap`` within limits, in their order, each as near as that allows."""
    order = np.argsort(places, kind="stable")
    out = places[order].astype(np.float64)
    gap = min(gap, (high - low) / max(len(out) - 1, 1))
    for _ in range(200):
        short = gap - np.diff(out)
        if not (short > 1e-9 * gap).any():
            break
        push = np.maximum(short, 0) / 2
        out[:-1] -= push
        out[1:] += push
        out = np.clip(out, low, high)
    out = np.maximum.accumulate(np.maximum(out, low + gap * np.arange(len(out))))
    out = np.minimum(out, high - gap * np.arange(len(out))[::-1])
    back = np.empty_like(out)
    back[order] = out
    return back


def _name_sites(ax: Axes, names: list[str], places: list[float], layout: GenomeLayout) -> None:
    """Names under the axis, upright and apart, each with a line to its place; as many as have room."""
    size = letter_size(ax.xaxis.get_label())
    line = 1.2 * size / (axes_size(ax)[0] * 0.9) * layout.end
    at = dict(zip(names, places, strict=True))
    x = np.array(list(at.values()))[: int(layout.end / line)]
    names = short_names(list(at), 12)[: len(x)]
    tip, text = _below(ax, 9), _below(ax, 18)
    for name, place, where in zip(names, x, spread(x, line, 0, layout.end), strict=True):
        ax.annotate(
            name, (place, 0), (where, 0), xycoords=tip, textcoords=text, rotation=90, ha="center", va="top",
            fontsize="small", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": GREY, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
    longest = max((len(name) for name in names), default=0)
    what = "sites by column of the alignment" if layout.is_alignment else "chromosomes"
    ax.set_xlabel(what, labelpad=18 + 0.5 * longest * size)


@drawing(height=50)
def manhattan(source: InteractionTable | Cohort, labels: int = 5, ax: Axes | None = None) -> Axes:
    """-log10 p-values of single sites along the genome, with Bonferroni's threshold.

    Parameters
    ----------
    source
        A table with tested rows of order 1; or a cohort, of which every site is tested alone with the
        covariates.
    labels
        How many chromosomes have their first site above the threshold named.
    ax
        Where to draw; a figure of one column by default.

    Raises
    ------
    InputError
        Where the table has no tested row of order 1, or the cohort no phenotype.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> ax = genoattn.plot.manhattan(simulate_cohort(n_samples=200, n_sites=20, seed=1).cohort)
    >>> ax.get_xlabel()
    'chromosome'
    """
    assert ax is not None
    frame = marginal_effects(source)
    frame = frame[frame["p_value"].notna()]
    sites = source.sites if isinstance(source, Cohort) else source.manifest.sites
    n_tests = len(frame)
    if isinstance(source, InteractionTable):
        n_tests = max(source.manifest.n_tests.get(1, n_tests), n_tests)
    layout = genome_layout(sites.chrom, sites.pos)
    frame = frame.assign(
        x=layout.place(frame["chrom"].to_numpy(), frame["pos"].to_numpy(dtype=np.float64)),
        y=-np.log10(np.maximum(frame["p_value"].to_numpy(), 1e-300)),
    )
    shown = frame
    if len(frame) > MOST_POINTS:
        shown = frame.nlargest(MOST_POINTS, "y")
        remark(ax, f"the {MOST_POINTS:,} smallest of {len(frame):,} p-values")
    turn = {name: k % 2 for k, name in enumerate(layout.frame["chrom"])}
    parity = np.array([turn[str(c)] for c in shown["chrom"]])
    for k, colour in enumerate((BLUE, GREY)):
        some = shown[parity == k]
        ax.scatter(some["x"], some["y"], s=3, color=colour, linewidths=0, rasterized=len(shown) > 2000)
    limit = -np.log10(ALPHA / n_tests)
    ax.axhline(limit, color=VERMILLION, linewidth=0.6, linestyle="--")
    ax.annotate(f"0.05 /\n{n_tests:,}", (1.01, limit), xycoords=ax.get_yaxis_transform(), ha="left",
                va="center", fontsize="small", color=VERMILLION)  # fmt: skip
    _chromosome_ticks(ax, layout)
    top = max(float(shown["y"].max()), limit)
    ax.set(ylabel="−log₁₀ p", ylim=(0, 1.25 * top), xlim=(-0.01 * layout.end, 1.01 * layout.end))
    _name_peaks(ax, shown[shown["y"] > limit], labels, layout, top)
    return ax


def _name_peaks(ax: Axes, passing: pd.DataFrame, n: int, layout: GenomeLayout, top: float) -> None:
    """Names of the first site of each chromosome above the points, apart, as many as have room."""
    peaks = passing.sort_values("y", ascending=False).drop_duplicates("chrom").head(n)
    if not len(peaks):
        return
    names = short_names(peaks["site"].tolist(), 14)
    size = letter_size(ax.xaxis.get_label())
    wide = (0.55 * max(len(name) for name in names) + 1) * size / (axes_size(ax)[0] * 0.8) * layout.end
    room = max(int(layout.end / wide), 1)
    x = peaks["x"].to_numpy()[:room]
    moved = spread(x, wide, wide / 2, layout.end - wide / 2)
    for name, place, y, where in zip(names, x, peaks["y"], moved, strict=False):
        ax.annotate(
            name, (place, y), (where, 1.16 * top), ha="center", va="bottom", fontsize="small",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": GREY, "shrinkB": 2},
        )  # fmt: skip
