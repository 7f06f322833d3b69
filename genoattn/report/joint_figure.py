"""The interaction plot of a term: mean phenotype by joint state, with intervals and counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from genoattn.report.document import Figure
from genoattn.report.run_folder import RunFolder
from genoattn.report.traces import COLOURS, axis, plain, reach
from genoattn.report.wording import number, percent, scale, shortened, unit_words
from genoattn.views.joint_states import JointStates

FEW = 600  # samples up to which every one is a point


def trait_axis(run: RunFolder) -> str:
    """Title of an axis of the phenotype, on the scale that the model has."""
    m = run.manifest
    if m.binary:
        return f"share of cases of {m.trait}"
    unit = {"log": " (natural log)", "rank": " (normal score)"}.get(m.transform, "")
    return f"{m.trait}{unit}"


def joint_figure(key: str, name: str, joint: JointStates, run: RunFolder) -> Figure:
    """Lines by the states of the last site, along those of the others; without interaction dashed.

    Parameters
    ----------
    key, name
        Anchor, and the name of the term.
    joint
        As of :func:`genoattn.views.joint_states.joint_states`.
    """
    frame, order = joint.frame, len(joint.sites)
    along = _labels(frame, order - 1)
    places = {label: k for k, label in enumerate(dict.fromkeys(_in_order(frame, joint, order - 1)))}
    last, traces = f"state_{order}", []
    lines = [s for s in joint.levels[-1] if (frame[last] == s).any()]
    for k, state in enumerate(lines):
        own, shift = (frame[last] == state).to_numpy(), 0.06 * (k - (len(lines) - 1) / 2)
        x = np.array([places[a] for a in along[own]], dtype=np.float64) + shift
        by_place = np.argsort(x, kind="stable")
        colour = COLOURS[k % len(COLOURS)]
        traces += _traces(frame[own].iloc[by_place], x[by_place], state, colour, k % 2 == 1)
        if not joint.binary and joint.n_samples <= FEW:
            traces.append(_samples(joint, state, places, shift, order, colour))
    layout = {
        "xaxis": axis(
            " and ".join(joint.sites[:-1]),
            tickvals=list(places.values()),
            ticktext=list(places),
            range=[-0.6, len(places) - 0.4],
        ),
        "yaxis": axis(trait_axis(run)),
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "title": {"text": shortened(joint.sites[-1], 24)},
        },
    }
    note = "Parallel lines: no interaction. Dashed: what the effects of the single sites add up to."
    if joint.binary:
        note = (
            "Along the dashed lines: no interaction on the scale of log-odds, so they need not be parallel."
        )
    elif order > 2:
        note = "Dashed: what the single sites add up to. The row is what remains beyond their pairs too."
    if scale(run.manifest) == "latent":
        note += " On the measured scale, over all backgrounds: the link can turn the picture round."
    elif run.manifest.gauge == "reference" and run.is_landscape:
        note += " Over all backgrounds, whereas the row is of the reference at all other sites."
    left = [f"{joint.n_missing:,} without a call"] if joint.n_missing else []
    left += [f"{joint.n_other:,} with other states"] if joint.n_other else []
    note += f" Left out: {' and '.join(left)}." if left else ""
    note += " Dosages are rounded to whole copies." if joint.rounded else ""
    return Figure(key, f"{name}: mean by joint state", describe_joint(joint, run), traces, layout, note)


def describe_joint(joint: JointStates, run: RunFolder) -> str:
    """Means, intervals and counts of the joint states, in words."""
    said = []
    for row in joint.frame.to_dict("records"):
        states = " with ".join(f"{s} {row[f'state_{k}']}" for k, s in enumerate(joint.sites, 1))
        value = percent(row["mean"]) if joint.binary else number(row["mean"], 3)
        said.append(f"{states}: {value} (n = {int(row['n']):,})")
    unit = "share of cases" if joint.binary else f"mean {unit_words(run.manifest)}"
    unit = f"mean {run.manifest.trait}" if scale(run.manifest) in ("latent", "counts") else unit
    return f"{unit[0].upper()}{unit[1:]} by joint state: {'; '.join(said)}."


def _labels(frame: pd.DataFrame, n_sites: int) -> np.ndarray:
    """Joint states of the first sites as text, (n_rows,)."""
    columns = [frame[f"state_{k}"].astype(str) for k in range(1, n_sites + 1)]
    return np.array([", ".join(parts) for parts in zip(*columns, strict=True)], dtype=object)


def _in_order(frame: pd.DataFrame, joint: JointStates, n_sites: int) -> list[str]:
    """Labels in the order of the levels, which the rows keep."""
    rank = [{s: k for k, s in enumerate(levels)} for levels in joint.levels[:n_sites]]
    keys = [frame[f"state_{k + 1}"].map(rank[k]) for k in range(n_sites)]
    ordered = np.lexsort([np.asarray(key) for key in reversed(keys)])
    return [str(label) for label in _labels(frame, n_sites)[ordered]]


def _traces(frame: pd.DataFrame, x: np.ndarray, state: str, colour: str, upper: bool) -> list[dict[str, Any]]:
    """Means with intervals and counts, and the dashed line of no interaction."""
    text = [f"n = {n:,}" for n in frame["n"]]
    own: dict[str, Any] = {
        "type": "scatter", "mode": "lines+markers+text", "x": plain(x), "y": plain(frame["mean"]),
        "name": state, "text": text, "textposition": _beside(x, upper),
        "cliponaxis": False, "legendgroup": state,
        "error_y": reach(frame["mean"], frame["lower"], frame["upper"]),
        "line": {"color": colour, "width": 2}, "marker": {"color": colour, "size": 8},
    }  # fmt: skip
    if not frame["additive"].notna().any():
        return [own]
    dashed = {
        "type": "scatter", "mode": "lines", "x": plain(x), "y": plain(frame["additive"]),
        "name": f"{state}, no interaction", "legendgroup": state, "showlegend": False,
        "line": {"color": colour, "width": 1.5, "dash": "dash"},
    }  # fmt: skip
    return [own, dashed]


def _beside(x: np.ndarray, upper: bool) -> list[str]:
    """Where the counts of a line stand: outside at both ends, above or below it between."""
    side = "top" if upper else "bottom"
    return [f"{side} left", *[f"{side} center"] * max(len(x) - 2, 0), f"{side} right"][: len(x)]


def _samples(
    joint: JointStates, state: str, places: dict[str, int], shift: float, order: int, colour: str
) -> dict[str, Any]:
    """Samples as faint points, spread a little so that equal values are seen."""
    points = joint.points[joint.points[f"state_{order}"] == state]
    x = np.array([places[a] for a in _labels(points, order - 1)], dtype=np.float64)
    # Golden-section steps spread points evenly, and alike in every report.
    spread = 0.05 * ((np.arange(len(x)) * 0.618034) % 1 - 0.5)
    return {
        "type": "scatter", "mode": "markers", "x": plain(x + shift + spread, 4),
        "y": plain(points["value"], 4), "name": f"{state}, samples", "legendgroup": state,
        "showlegend": False, "hoverinfo": "y", "marker": {"color": colour, "size": 4, "opacity": 0.35},
    }  # fmt: skip
