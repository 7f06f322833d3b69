"""Measured values by joint state of the sites of a term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import InteractionTable
from genoattn.plot.figure_style import (
    GREY,
    PALETTE,
    axes_size,
    figure,
    letter_size,
    plain,
    remark,
    shorten,
    style,
)
from genoattn.views.joint_states import JointStates, joint_states

Term = int | Mapping[Any, Any] | Sequence[str]


def interaction(
    table: InteractionTable, term: Term, cohort: Cohort, ax: Axes | None = None, seed: int = 0
) -> Axes:
    """Trait of the samples by joint state of the sites of a term: means, 95 % intervals and single samples.

    Hollow marks are the means expected without an interaction. Of two sites, the first is the axis and the
    second the colour; of one, or of more than two, every joint state is a row.

    Parameters
    ----------
    table
        Table that has the term.
    term
        Number of its row in ``table.frame``, from 0; the row; or the IDs of its sites, of which the first row
        counts.
    cohort
        The samples, with the trait as the table has it.
    ax
        Where to draw; a figure of one column by default.
    seed
        Which samples are shown where they are more than 2,000, and where they stand.

    Raises
    ------
    InputError
        Where the table has no such term, or the cohort no phenotype.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=400, n_sites=20, architecture="pairs", seed=1).cohort
    >>> scan = genoattn.scan_pairs(cohort, threshold=1e-3)
    >>> ax = genoattn.plot.interaction(scan.table, 0, cohort)
    >>> ax.get_ylabel()
    'trait'
    """
    row = find_row(table, term)
    states = joint_states(cohort, row, table.manifest, seed)
    if ax is not None:
        return _draw(ax, states, table.manifest, seed)
    rows = 0 if len(states.sites) == 2 else len(states.frame)
    with style():
        return _draw(figure(1, max(59, 24 + 3.4 * rows)).add_subplot(), states, table.manifest, seed)


def _draw(ax: Axes, states: JointStates, manifest: Manifest, seed: int) -> Axes:
    left_out = [(states.n_missing, "without a call"), (states.n_other, "with other residues")]
    counts = [f"{n:,} {why}" for n, why in left_out if n]
    text = f"{states.n_samples:,} samples" + (f", {' and '.join(counts)} left out" if counts else "")
    text += ", dosages rounded" if states.rounded else ""
    trait = shorten(trait_label(manifest), 40)
    if len(states.sites) == 2:
        _draw_pair(ax, states, seed)
        ax.set_ylabel(trait)
    else:
        n_shown = _draw_cells(ax, states, seed)
        ax.set_xlabel(trait)
        if n_shown < len(states.frame):
            text += f", {n_shown} of {len(states.frame)} joint states"
    remark(ax, text)
    return ax


def find_row(table: InteractionTable, term: Term) -> Mapping[Any, Any]:
    """The row of a table that a number, a row, or IDs of sites name."""
    frame = table.frame
    if isinstance(term, int | np.integer):
        if not -len(frame) <= term < len(frame):
            raise InputError(f"row {term} of {len(frame):,}; give a number below, or the IDs of the sites")
        return frame.iloc[int(term)].to_dict()
    if isinstance(term, Mapping | pd.Series):
        return dict(term)
    names = [term] if isinstance(term, str) else list(term)
    rows = frame[frame["order"] == len(names)]
    sites = [f"site_{k + 1}" for k in range(len(names)) if len(rows)]
    same = [set(names) == set(found) for found in rows[sites].to_numpy().tolist()]
    if not any(same):
        raise InputError(f"no row of the sites {' and '.join(names)} in the table; see table.top()")
    return rows[same].iloc[0].to_dict()


def trait_label(manifest: Manifest) -> str:
    """The trait on the scale of the model."""
    if manifest.binary:
        return f"share of cases of {manifest.trait}"
    return {"log": f"log of {manifest.trait}", "rank": f"{manifest.trait}, normal scores"}.get(
        manifest.transform, manifest.trait
    )


def _draw_pair(ax: Axes, states: JointStates, seed: int) -> None:
    """States of the first site along the axis, of the second by colour."""
    frame = states.frame
    first = [s for s in states.levels[0] if (frame["state_1"] == s).any()]
    second = [s for s in states.levels[1] if (frame["state_2"] == s).any()]
    width = min(0.16, 0.5 / len(second))
    ax.set_xticks(range(len(first)), [plain(s) + "\n" * len(second) for s in first])
    for k, state in enumerate(second):
        colour, shift = PALETTE[k % len(PALETTE)], width * (k - (len(second) - 1) / 2)
        rows = frame[frame["state_2"] == state]
        place = np.array([first.index(s) for s in rows["state_1"]])
        some = states.points[states.points["state_2"] == state]
        at = np.array([first.index(s) for s in some["state_1"]], dtype=float)
        _points(ax, at + shift, some["value"].to_numpy(), colour, width, states.binary, seed + k)
        _means(ax, place + shift, rows, colour, plain(state), "o-")
        _counts(ax, place, rows["n"].to_numpy(), k + 1, colour)
    ax.set(xlim=(-0.5, len(first) - 0.5), xlabel=shorten(states.sites[0], 30))
    ax.set_ylim(*_range(states, frame))
    _legend(ax, shorten(states.sites[1], 20))


def _counts(ax: Axes, place: np.ndarray, n: np.ndarray, line: int, colour: str) -> None:
    """Numbers of samples under the tick labels, in the colour of their state."""
    size = letter_size(ax.xaxis.get_ticklabels()[0])
    for at, number in zip(place, n, strict=True):
        ax.annotate(
            f"n = {number:,}", (at, 0), (0, -6.5 - 1.3 * size * line), xycoords=ax.get_xaxis_transform(),
            textcoords="offset points", ha="center", va="top", color=colour, fontsize=size,
        )  # fmt: skip


def _draw_cells(ax: Axes, states: JointStates, seed: int) -> int:
    """One row for every joint state, those of most samples where there is no room; how many are shown."""
    n_sites, size = len(states.sites), letter_size(ax.yaxis.get_ticklabels()[0])
    room = max(int(0.7 * axes_size(ax)[1] / (1.25 * size)), 2)
    frame = states.frame
    if len(frame) > room:
        frame = frame[frame.index.isin(frame["n"].nlargest(room).index)].reset_index(drop=True)
    names = [f"state_{k + 1}" for k in range(n_sites)]
    index = {tuple(c): len(frame) - 1 - k for k, c in enumerate(frame[names].to_numpy().tolist())}
    cells = [tuple(c) for c in states.points[names].to_numpy().tolist()]
    known = np.array([c in index for c in cells], dtype=bool)
    at = np.array([index[c] for c in cells if c in index], dtype=float)
    _points(ax, at, states.points["value"].to_numpy()[known], PALETTE[0], 0.6, states.binary, seed, True)
    place = np.array(list(index.values()))
    _means(ax, place, frame, PALETTE[0], "mean", "o", True)
    joint = ["  ".join(plain(s) for s in cell) for cell in index]
    ax.set_yticks(place, [f"{s}  (n = {n:,})" for s, n in zip(joint, frame["n"], strict=True)])
    ax.set(ylim=(-0.6, len(frame) - 0.4), xlim=_range(states, frame))
    ax.set_ylabel("\n".join(shorten(site, 30) for site in states.sites))
    if n_sites > 1:
        _legend(ax, None)
    return len(frame)


def _range(states: JointStates, frame: pd.DataFrame) -> tuple[float, float]:
    """Range of the values shown: intervals of few samples may be wider than all of them."""
    values = [frame["mean"], frame["additive"], *([] if states.binary else [states.points["value"]])]
    shown = pd.concat([*values, *([frame["lower"], frame["upper"]] if states.binary else [])])
    low, high = float(shown.min()), float(shown.max())
    margin = 0.06 * (high - low or 1.0)
    return low - margin, high + margin


def _points(
    ax: Axes, at: np.ndarray, value: np.ndarray, colour: str, width: float, binary: bool, seed: int,
    flat: bool = False,
) -> None:  # fmt: skip
    """Single samples; of a binary trait none: cases and controls are two lines of dots."""
    if not binary:
        place = at + np.random.default_rng(seed).uniform(-0.4, 0.4, len(at)) * width
        x, y = (value, place) if flat else (place, value)
        ax.scatter(x, y, s=4 if len(at) < 500 else 1.5, color=colour, alpha=0.3, linewidths=0, zorder=1)


def _means(
    ax: Axes, at: np.ndarray, rows: pd.DataFrame, colour: str, label: str, marks: str, flat: bool = False
) -> None:
    """Means with their intervals, and hollow marks where an interaction makes a difference."""
    mean, additive = rows["mean"].to_numpy(), rows["additive"].to_numpy()
    reach = np.nan_to_num(np.abs(rows[["lower", "upper"]].to_numpy().T - mean))
    # matplotlib leaves names with an underscore in front out of legends.
    label = f" {label}" if label.startswith("_") else label
    x, y = (mean, at) if flat else (at, mean)
    bars = {"xerr": reach} if flat else {"yerr": reach}
    ax.errorbar(x, y, fmt=marks, color=colour, label=label, capsize=2, zorder=3, **bars)
    apart = np.isfinite(additive) & ~np.isclose(additive, mean)
    x, y = (additive, at) if flat else (at, additive)
    ax.plot(x[apart], y[apart], "D", color=colour, markerfacecolor="white", zorder=4)


def _legend(ax: Axes, title: str | None) -> None:
    """Colours, and the hollow mark, outside the Axes where they cover nothing."""
    ax.plot([], [], "D", color=GREY, markerfacecolor="white", label="without\ninteraction")
    ax.legend(title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0), alignment="left")
