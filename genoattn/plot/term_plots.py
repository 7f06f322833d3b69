"""Terms of a table: effects with their intervals, and a matrix of sites."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from genoattn.errors import InputError
from genoattn.interactions.table import InteractionTable, has_flag
from genoattn.plot.figure_style import (
    DIVERGING,
    GREY,
    PALE,
    PALETTE,
    axes_size,
    drawing,
    figure,
    figure_of,
    letter_size,
    remark,
    short_names,
    shorten,
    style,
    units_label,
)  # fmt: skip
from genoattn.views.landscape import of_strongest_sites, site_matrix

MOST_TERMS, MOST_SITES = 60, 60


def terms(table: InteractionTable, n: int = 20, order: int | None = None, ax: Axes | None = None) -> Axes:
    """Effects of the first n terms with their 95 % intervals, and the coefficients of the model.

    Rows that repeat another, proxies, and rows without a test are left out.

    Parameters
    ----------
    table
        The table.
    n
        How many, at most 60.
    order
        Terms of one order; 2 and above by default.
    ax
        Where to draw; a figure of one column, as high as the terms need, by default.

    Raises
    ------
    InputError
        Where no such row is tested, or n is below 1.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=400, n_sites=20, architecture="pairs", seed=1).cohort
    >>> ax = genoattn.plot.terms(genoattn.scan_pairs(cohort, threshold=1e-3).table, 2)
    >>> print(ax.get_xlabel())
    effect (units of trait)
    first 2 of 5 tested terms
    """
    if n < 1:
        raise InputError(f"n is {n}; give a number of terms from 1 up")
    rows = table.top(len(table), order)
    rows = rows[rows["effect"].notna() & rows["se"].notna()]
    rows = rows[~has_flag(rows["flag"], "repeat") & ~has_flag(rows["flag"], "proxy")]
    if not len(rows):
        raise InputError("no such term of the table is tested; see table.top(), column effect")
    size = f"effect ({units_label(table.manifest.units)})"
    if ax is not None:
        return _draw_terms(ax, rows, min(n, MOST_TERMS), size)
    shown = rows.head(min(n, MOST_TERMS))
    with style():
        lines = max(name.count("\n") + 1 for name in _names_in(figure(1).add_subplot(), shown))
        tall = figure(1, 24 + (1.6 + 2.6 * lines) * len(shown)).add_subplot()
        return _draw_terms(tall, rows, len(shown), size)


def _names_in(ax: Axes, rows: pd.DataFrame) -> list[str]:
    """Names of terms in two fifths of the width of some Axes."""
    return term_names(rows, int(0.42 * axes_size(ax)[0] / (0.56 * letter_size(ax.yaxis.get_ticklabels()[0]))))


def _draw_terms(ax: Axes, rows: pd.DataFrame, n: int, label: str) -> Axes:
    """The first n rows, or as many as have room."""
    letters, names = letter_size(ax.yaxis.get_ticklabels()[0]), _names_in(ax, rows.head(n))
    lines = max(name.count("\n") + 1 for name in names)
    n = max(min(n, int(0.8 * axes_size(ax)[1] / (letters * (1.15 * lines + 0.5)))), 1)
    shown, names = rows.head(n), names[:n]
    place = np.arange(len(shown))[::-1]
    claimed = (shown["q_value"] < 0.05).to_numpy(dtype=bool)
    effect, reach = shown["effect"].to_numpy(), 1.96 * shown["se"].to_numpy()
    kinds = ((claimed, PALETTE[0], "effect, q < 0.05"), (~claimed, GREY, "effect, q above or none"))
    for chosen, colour, kind in kinds:
        if chosen.any():
            ax.errorbar(effect[chosen], place[chosen], xerr=reach[chosen], fmt="o", color=colour, label=kind)
    if not np.allclose(shown["coefficient"], effect):
        ax.plot(shown["coefficient"], place, "|", color=PALETTE[1], label="coefficient", markersize=7)
    ax.axvline(0, color=PALE, linewidth=0.6, zorder=0)
    ax.set_yticks(place, names)
    more = f"\nfirst {len(shown):,} of {len(rows):,} tested terms" if len(rows) > len(shown) else ""
    ax.set(ylim=(-0.6, len(shown) - 0.4), xlabel=f"{label}{more}")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2, columnspacing=1)
    return ax


def term_names(rows: pd.DataFrame, room: int = 60) -> list[str]:
    """Terms as ``GA1[C] × GH.117C[C]`` in lines of ``room`` characters.

    Where a term would be longer every site has its own line, and names are cut in their middle.
    """
    highest = int(rows["order"].max())
    places = range(1, highest + 1)
    sites = [str(s) for k in places for s in rows[f"site_{k}"] if s]
    state = max(min(len(str(s)), 8) for k in places for s in rows[f"state_{k}"]) + 2
    longest = max(len(s) for s in sites)
    one_line = highest * (longest + state) + 3 * (highest - 1) <= room
    short = dict(
        zip(sites, short_names(sites, longest if one_line else max(room - state - 2, 6)), strict=True)
    )
    out = []
    for row in rows.to_dict("records"):
        tokens = [(row[f"site_{k}"], row[f"state_{k}"]) for k in range(1, int(row["order"]) + 1)]
        named = [f"{short[str(site)]}[{shorten(state, 8)}]" for site, state in tokens]
        out.append((" × " if one_line else "\n× ").join(named))
    return out


@drawing()
def heatmap(
    table: InteractionTable, value: str = "effect", how: str = "strongest", ax: Axes | None = None
) -> Axes:
    """Matrix of the pairs of a table, sites in order of position: blue below 0, vermilion above.

    Of more than 60 sites those with the strongest pairs are shown, and the picture says so.

    Parameters
    ----------
    table
        The table.
    value
        A column of numbers; ``effect`` is the coefficient where a row is not tested.
    how
        Of several states of two sites: ``strongest``, or ``rms``, the root of their mean square.
    ax
        Where to draw; a figure of one column by default.

    Raises
    ------
    InputError
        Where the table has no pairs.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=400, n_sites=20, architecture="pairs", seed=1).cohort
    >>> ax = genoattn.plot.heatmap(genoattn.scan_pairs(cohort, threshold=1e-3).table)
    >>> len(ax.get_xticks()) > 1
    True
    """
    assert ax is not None
    shown, n_sites = of_strongest_sites(table, value, MOST_SITES)
    matrix = site_matrix(shown, value, how)  # type: ignore[arg-type]
    if not matrix.notna().to_numpy().any():
        raise InputError(f"no pair of the table has a {value}; choose another column")
    left_out = "" if n_sites <= MOST_SITES else f"{MOST_SITES} sites of the strongest pairs, of {n_sites:,}"
    lower = np.where(np.tri(len(matrix), k=-1, dtype=bool), matrix.to_numpy(), np.nan)[1:, :-1]
    limit = float(np.nanmax(np.abs(lower))) or 1.0
    ax.set_facecolor("white")
    listed = np.tri(len(lower), dtype=bool)
    ax.imshow(np.where(listed, 0.0, np.nan), cmap="Greys", vmin=-0.12, vmax=1, aspect="equal")
    image = ax.imshow(lower, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="equal", interpolation="nearest")
    step = _site_ticks(ax, [str(name) for name in matrix.index])
    named = f"every {step}th named" if step > 3 else "" if step == 1 else f"one in {step} named"
    remark(ax, ", ".join(text for text in (left_out, named) if text))
    bar = figure_of(ax).colorbar(image, ax=ax, shrink=0.7, pad=0.02)
    label = {"effect": f"effect ({units_label(table.manifest.units)})"}.get(value, value.replace("_", " "))
    bar.set_label(label)
    bar.outline.set_linewidth(0.4)  # type: ignore[operator]
    if np.isnan(lower[listed]).any():
        ax.text(0.98, 0.98, "grey: no row\nin the table", transform=ax.transAxes, ha="right", va="top",
                fontsize="small", color=GREY)  # fmt: skip
    return ax


def _site_ticks(ax: Axes, names: list[str]) -> int:
    """Names of sites along both axes, one in so many as have room."""
    size = letter_size(ax.xaxis.get_ticklabels()[0])
    room = max(int(0.7 * min(axes_size(ax)) / (1.15 * size)), 2)
    step = -(-len(names) // room)
    short = short_names(names, 14)
    at = np.arange(0, len(names) - 1, step)
    ax.set_xticks(at, [short[k] for k in at], rotation=90)
    ax.set_yticks(at, [short[k + 1] for k in at])
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    return step
