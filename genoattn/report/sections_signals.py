"""Section of a report on the signals of a cohort: claims, credible sets, and pairs around each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import ENVIRONMENT, Cohort, Sites
from genoattn.report.claims import level
from genoattn.report.document import Column, DataTable, Figure, Section
from genoattn.report.run_folder import RunFolder
from genoattn.report.traces import BLUE, ORANGE, axis, minus_log10, plain
from genoattn.report.wording import p_text, percent, plural
from genoattn.views.signals_near import credible_pairs, pairs_near, site_positions

MOST_REGIONS = 5
MOST_SITES = 50  # near a lead: all pairs of them are tested, and drawn
WINDOW = 1_000_000
_MOST_POINTS = 800


def signals_section(run: RunFolder, cohort: Cohort | None) -> Section | None:
    """Every signal in a table, and a regional plot of the claimed ones."""
    signals = run.get("signals")
    if signals is None or run.is_landscape:
        return None
    if not len(signals):
        return Section("signals", "Signals", ["No pair stands out enough to be tested as a signal."])
    claimed = signals["q_value"] <= level(run)
    clusters = plural(len(signals), "cluster")
    said = [
        f"A signal is a cluster of linked pairs that share one interaction. {clusters} "
        f"{'was' if len(signals) == 1 else 'were'} tested and {int(claimed.sum()):,} "
        f"{'has' if claimed.sum() == 1 else 'have'} a q-value of {level(run):g} or less."
    ]
    shown = signals[claimed] if claimed.any() else signals.head(1)
    credible = credible_pairs(signals, run.manifest.sites.ids.tolist())
    figures = []
    for number in shown.index[:MOST_REGIONS]:
        figure = _region(run, int(number), credible, cohort)
        figures += [figure] if figure is not None else []
    if not claimed.any():
        said.append("The picture is of the first of them, which is no claim.")
    if len(shown) > MOST_REGIONS:
        said.append(f"Pictures are of the first {MOST_REGIONS}.")
    return Section("signals", "Signals", said, figures, [_table(signals)])


def _table(signals: pd.DataFrame) -> DataTable:
    columns = [
        Column("pair", "Lead", help="The likeliest pair of the cluster."),
        Column("place", "Place"),
        Column("tested", "Tested pair", help="The strongest after regression on all additive effects."),
        Column("p_value", "p-value", "p", "The most cautious of several tests of the tested pair."),
        Column(
            "q_value",
            "q-value",
            "p",
            "Share of false signals to expect among those up to it, counted on resampled traits.",
        ),
        Column("n_pairs", "Pairs", "number", "Linked pairs of the cluster."),
        Column("n_credible", "Credible", "number", "Fewest pairs that hold 95 % of the probability."),
        Column("survival", "Survival", "number", "Share kept when adjusted for all markers within 1 Mb."),
        Column("flag", "Flag"),
    ]
    rows: list[list[Any]] = []
    for r in signals.to_dict("records"):
        places = [
            str(r[f"site_{k}"])
            if r.get(f"chrom_{k}") == ENVIRONMENT
            else f"{r.get(f'chrom_{k}', '')}:{int(r.get(f'pos_{k}', 0)):,}"
            for k in (1, 2)
        ]
        tested = f"{r.get('tested_1', '')} x {r.get('tested_2', '')}"
        rows.append([
            f"{r['site_1']} x {r['site_2']}", " x ".join(places), tested,
            *plain([r["p_value"], r["q_value"]], 4), int(r["n_pairs"]), int(r["n_credible"]),
            *plain([r.get("survival")], 3), "" if pd.isna(r["flag"]) else str(r["flag"]),
        ])  # fmt: skip
    return DataTable("signals", "Signals by evidence", columns, rows, "signals.tsv")


def _region(run: RunFolder, number: int, credible: pd.DataFrame, cohort: Cohort | None) -> Figure | None:
    """Pairs around the lead by position, coloured by evidence; the credible set is ringed."""
    signals = run.get("signals")
    assert signals is not None
    row = signals.loc[number].to_dict()
    own = credible[credible["signal"] == number]
    sites = run.manifest.sites if cohort is None else cohort.sites
    window = _window(sites, row)
    pairs = pairs_near(row, site_positions(sites), own, run.get("ranking"), cohort, window)
    if not len(pairs):
        return None
    pairs = pairs[(np.arange(len(pairs)) < _MOST_POINTS) | pairs["credible"].notna() | pairs["is_lead"]]
    pairs = pairs.iloc[::-1]  # the strongest are drawn last, over the others
    tested = bool(pairs["p_value"].notna().any())
    value = minus_log10(pairs["p_value"]) if tested else pairs["ranking"].fillna(pairs["credible"]).to_numpy()
    name = "-log10 p" if tested else "probability"
    text = [f"{a} x {b}" for a, b in zip(pairs["site_1"], pairs["site_2"], strict=True)]
    x, y = pairs["pos_1"].to_numpy() / 1e6, pairs["pos_2"].to_numpy() / 1e6
    points = {
        "type": "scatter", "mode": "markers", "x": plain(x, 8), "y": plain(y, 8), "text": text,
        "name": "pairs", "hoverinfo": "text", "showlegend": False,
        "marker": {"color": plain(value, 4), "colorscale": "Viridis", "showscale": True,
                   "size": plain(5 + 7 * value / max(float(np.nanmax(value)), 1e-9), 3),
                   "colorbar": {"title": {"text": name}}},
    }  # fmt: skip
    ringed = pairs["credible"].notna().to_numpy()
    rings = [_ring(x[ringed], y[ringed], "credible set", BLUE, 16)] if ringed.any() else []
    lead = pairs["is_lead"].to_numpy(dtype=bool)
    rings += [_ring(x[lead], y[lead], "lead", ORANGE, 21)] if lead.any() else []
    axes = [
        axis(str(row[f"site_{k}"]))
        if row.get(f"chrom_{k}") == ENVIRONMENT
        else axis(f"near {row[f'site_{k}']} (chromosome {row.get(f'chrom_{k}', '')}, Mb)")
        for k in (1, 2)
    ]
    return Figure(
        f"region-{number}", f"Around {row['site_1']} x {row['site_2']}", _said(row, pairs, own, tested),
        [points, *rings], {"xaxis": axes[0], "yaxis": axes[1]},
        f"Each point is a pair of sites within {window / 1e6:.3g} Mb of the lead (the strongest "
        f"{_MOST_POINTS:,} at most); ringed: the pairs that hold the interaction with 95 % probability.",
    )  # fmt: skip


def _ring(x: np.ndarray, y: np.ndarray, name: str, colour: str, size: float) -> dict[str, Any]:
    style = {"color": colour, "size": size, "symbol": "circle-open", "line": {"width": 2}}
    return {"type": "scatter", "mode": "markers", "x": plain(x, 8), "y": plain(y, 8), "name": name,
            "hoverinfo": "skip", "marker": style}  # fmt: skip


def _window(sites: Sites, row: dict[Any, Any]) -> int:
    """Base pairs on either side of both leads: 1 Mb, or where sites are dense so many that 50 lie in it."""
    window = WINDOW
    for k in (1, 2):
        at = int(np.flatnonzero(sites.ids == row[f"site_{k}"])[0])
        away = np.sort(np.abs(sites.pos - sites.pos[at])[sites.chrom == sites.chrom[at]])
        if len(away) > MOST_SITES:
            window = min(window, int(away[MOST_SITES]))
    return window


def _said(row: dict[Any, Any], pairs: pd.DataFrame, own: pd.DataFrame, tested: bool) -> str:
    some = [
        f"{r['site_1']} x {r['site_2']} ({percent(r['probability'])})" for r in own.head(3).to_dict("records")
    ]
    listed = "; ".join(some) + ("; .." if len(own) > len(some) else "")
    how = "by an exact test of each" if tested else "by their probability"
    return (
        f"{plural(len(pairs), 'pair')} of sites around the lead, {how}. q = {p_text(row['q_value'])}. The "
        f"credible set has {plural(int(row['n_credible']), 'pair')}: {listed}."
    )
