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
from genoattn.plot.figure_style import GREY, PALETTE, drawing, plain, remark, shorten
from genoattn.views.joint_states import JointStates, joint_states

Term = int | Mapping[Any, Any] | Sequence[str]


@drawing()
def interaction(table: InteractionTable, term: Term, cohort: Cohort, ax: Axes, seed: int = 0) -> Axes:
    """Trait of the samples by joint state of the sites of a term: means, 95 % intervals and single samples.

    Hollow marks are the means expected without an interaction. Of two sites, the first is the axis and the
    second the colour; of more, every joint state has its place on the axis.

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
    if len(states.sites) == 2:
        _draw_pair(ax, states, seed)
    else:
        _draw_cells(ax, states, seed)
    ax.set_ylabel(plain(trait_label(table.manifest)))
    left_out = [(states.n_missing, "without a call"), (states.n_other, "with other residues")]
    counts = [f"{n:,} {why}" for n, why in left_out if n]
    text = f"{states.n_samples:,} samples" + (f", {' and '.join(counts)} left out" if counts else "")
    remark(ax, text + (", dosages rounded" if states.rounded else ""))
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
    counts: dict[str, list[str]] = {s: [] for s in first}
    for k, state in enumerate(second):
        colour, shift = PALETTE[k % len(PALETTE)], width * (k - (len(second) - 1) / 2)
        rows = frame[frame["state_2"] == state]
        place = np.array([first.index(s) for s in rows["state_1"]]) + shift
        some = states.points[states.points["state_2"] == state]
        at = np.array([first.index(s) for s in some["state_1"]], dtype=float) + shift
        _points(ax, at, some["value"].to_numpy(), colour, width, states.binary, seed + k)
        _means(ax, place, rows, colour, plain(state), joined=True)
        n = dict(zip(rows["state_1"], rows["n"], strict=True))
        for s in first:
            counts[s].append(f"{n.get(s, 0):,}")
    labels = [f"{plain(s)}\nn = {', '.join(counts[s])}" for s in first]
    ax.set_xticks(range(len(first)), labels)
    ax.set(xlim=(-0.5, len(first) - 0.5), xlabel=shorten(states.sites[0], 40))
    _legend(ax, shorten(states.sites[1], 30))


def _draw_cells(ax: Axes, states: JointStates, seed: int) -> None:
    """One place along the axis for every joint state."""
    frame, names = states.frame, [f"state_{k + 1}" for k in range(len(states.sites))]
    index = {tuple(c): k for k, c in enumerate(frame[names].to_numpy().tolist())}
    at = np.array([index[tuple(c)] for c in states.points[names].to_numpy().tolist()], dtype=float)
    _points(ax, at, states.points["value"].to_numpy(), PALETTE[0], 0.2, states.binary, seed)
    _means(ax, np.arange(len(frame)), frame, PALETTE[0], "mean", joined=False)
    joint = ["\n".join(plain(s) for s in cell) for cell in index]
    ax.set_xticks(range(len(frame)), [f"{s}\n{n:,}" for s, n in zip(joint, frame["n"], strict=True)])
    ax.set_xlim(-0.5, len(frame) - 0.5)
    ax.set_xlabel("\n".join([*(shorten(site, 40) for site in states.sites), "number of samples"]))
    if len(states.sites) > 1:
        _legend(ax, None)


def _points(
    ax: Axes, at: np.ndarray, value: np.ndarray, colour: str, width: float, binary: bool, seed: int
) -> None:
    if not binary:  # cases and controls are two lines of dots, which show nothing
        jitter = np.random.default_rng(seed).uniform(-0.4, 0.4, len(at)) * width
        size = 4 if len(at) < 500 else 1.5
        ax.scatter(at + jitter, value, s=size, color=colour, alpha=0.3, linewidths=0, zorder=1)


def _means(ax: Axes, at: np.ndarray, rows: pd.DataFrame, colour: str, label: str, joined: bool) -> None:
    mean = rows["mean"].to_numpy()
    reach = np.nan_to_num(np.abs(rows[["lower", "upper"]].to_numpy().T - mean))
    # matplotlib leaves names with an underscore in front out of legends.
    label = f" {label}" if label.startswith("_") else label
    marks = "o-" if joined else "o"
    ax.errorbar(at, mean, reach, fmt=marks, color=colour, label=label, capsize=2, zorder=3)
    additive = rows["additive"].to_numpy()
    apart = np.isfinite(additive) & ~np.isclose(additive, mean)
    ax.plot(at[apart], additive[apart], "D", color=colour, markerfacecolor="white", zorder=4)


def _legend(ax: Axes, title: str | None) -> None:
    """Colours, and the hollow mark, outside the Axes where they cover nothing."""
    ax.plot([], [], "D", color=GREY, markerfacecolor="white", label="without\ninteraction")
    ax.legend(title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0), alignment="left")
