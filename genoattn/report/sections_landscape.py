"""Section of a report on a landscape: heat map of pairs, trait by mutations carried, and the link."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import Cohort
from genoattn.report.document import Figure, Section
from genoattn.report.joint_figure import trait_axis
from genoattn.report.run_folder import RunFolder
from genoattn.report.traces import BLUE, DIVERGING, GREY, ORANGE, axis, line, markers, plain, reach
from genoattn.report.wording import number, plural, token, unit_words
from genoattn.views.landscape import mutations_carried, site_matrix

MOST_TOKENS = 150
MOST_SITES = 300


def landscape_section(run: RunFolder, cohort: Cohort | None) -> Section | None:
    """Pairs as a map, the trait by number of mutations, and the curve of the link."""
    if not run.is_landscape:
        return None
    figures = [figure for figure in (_heat_map(run), _mutations(run, cohort), _link(run)) if figure]
    return Section("landscape", "The landscape", (), figures) if figures else None


def _matrix(run: RunFolder) -> tuple[pd.DataFrame, str]:
    """Effects of pairs by residue; by site where residues are many."""
    tokens = run.table.matrix(2, "effect", by="token")
    if len(tokens) and len(tokens) <= MOST_TOKENS:
        ref = dict(zip(run.manifest.sites.ids, run.manifest.sites.ref, strict=True))
        names = []
        for label in tokens.index:
            site, _, state = str(label).removesuffix("]").partition("[")
            names.append(token(site, state, str(ref.get(site, ""))))
        return tokens.set_axis(names, axis=0).set_axis(names, axis=1), "residue"
    return site_matrix(run.table, "effect"), "site"


def _heat_map(run: RunFolder) -> Figure | None:
    if run.manifest.order < 2 or not (run.table.frame["order"] == 2).any():
        return None
    matrix, by = _matrix(run)
    n = len(matrix)
    left = ""
    if n > MOST_SITES:
        strongest = matrix.abs().max(axis=1).fillna(0).to_numpy()
        kept = np.sort(np.argsort(-strongest, kind="stable")[:MOST_SITES])
        matrix, left = matrix.iloc[kept, kept], f" The {MOST_SITES} sites with the strongest pairs of {n:,}."
    z = matrix.to_numpy(dtype=np.float64)
    if not np.isfinite(z).any():
        return None
    largest = float(np.nanmax(np.abs(z)))
    at = np.unravel_index(int(np.nanargmax(np.abs(z))), z.shape)
    names = [str(name) for name in matrix.index]
    unit = unit_words(run.manifest)
    trace = {
        "type": "heatmap", "x": names, "y": names, "z": [plain(row, 3) for row in z],
        "zmin": -largest, "zmax": largest, "colorscale": DIVERGING,
        "colorbar": {"title": {"text": unit}}, "hoverongaps": False,
    }  # fmt: skip
    text = (
        f"Effect of every pair of {by}s beyond the sum of both. The strongest is {names[at[0]]} x "
        f"{names[at[1]]} ({number(z[at], sign=True)} {unit}).{left}"
    )
    many = "" if by == "residue" else " Of several residues the strongest stands for the pair of sites."
    layout: dict[str, Any] = {
        "xaxis": {"type": "category", "showgrid": False},
        "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False},
        "height": int(min(900, max(420, 12 * len(names) + 160))),
    }  # fmt: skip
    note = f"Orange: more than the sum; blue: less; blank: not in the table.{many}"
    return Figure("heat-map", f"Pairs by {by}", text, [trace], layout, note)


def _mutations(run: RunFolder, cohort: Cohort | None) -> Figure | None:
    """Trait by number of mutations from the reference."""
    if cohort is None:
        return None
    frame = mutations_carried(cohort, run.manifest)
    x, name = frame["n_mutations"], trait_axis(run)
    first, last = frame.iloc[0], frame.iloc[-1]
    text = (
        f"{plural(int(frame['n'].sum()), 'variant')} by the number of sites that differ from the reference: "
        f"median {number(first['median'], 3)} at {int(first['n_mutations'])}, "
        f"{number(last['median'], 3)} at {int(last['n_mutations'])}."
    )
    counts = [f"n = {n:,}" for n in frame["n"]]
    traces = [
        line(x, frame["q95"], "5 % and 95 %", GREY, "dot"),
        line(x, frame["q05"], "5 %", GREY, "dot", showlegend=False),
        markers(x, frame["median"], "median, middle half", BLUE, 8, text=counts,
                error_y=reach(frame["median"], frame["q25"], frame["q75"])),
        line(x, frame["mean"], "mean", ORANGE),
    ]  # fmt: skip
    if run.manifest.binary:
        traces = [line(x, frame["mean"], "share of cases", ORANGE)]
        text = text.split(":")[0] + "."
    layout = {"xaxis": axis("mutations carried"), "yaxis": axis(name)}
    note = "A bend or a plateau is what a link takes up."
    return Figure("mutations", "Trait by mutations carried", text, traces, layout, note)


def _link(run: RunFolder) -> Figure | None:
    """The curve from the sum of effects to the measurement."""
    frame = run.get("link")
    if frame is None or not len(frame):
        return None
    latent, predicted = (frame[c].to_numpy(dtype=np.float64) for c in ("latent", "predicted"))
    traces = [line(latent, latent, "no link", GREY, "dash"), line(latent, predicted, "link", BLUE)]
    slope = np.gradient(predicted, latent)
    text = (
        f"The model adds up effects to a latent value from {number(latent[0], 3)} to "
        f"{number(latent[-1], 3)}, which the curve turns into "
        f"{number(predicted[0], 3)} to {number(predicted[-1], 3)}. Its slope is "
        f"{number(slope.min())} where it is flattest and {number(slope.max())} where it is steepest."
    )
    layout = {"xaxis": axis("sum of effects (latent)"), "yaxis": axis(f"predicted {run.manifest.trait}")}
    note = "Where the curve is flat, the measurement hides differences, and effects there are uncertain."
    return Figure("link", "The link: from effects to the measurement", text, traces, layout, note)
