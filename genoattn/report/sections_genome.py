"""Sections of a report on a cohort: pairs along the genome, marginal effects, quantiles of a scan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import ENVIRONMENT, Cohort
from genoattn.errors import InputError
from genoattn.report.claims import claimed_rows, interactions
from genoattn.report.document import Figure, Section
from genoattn.report.run_folder import RunFolder
from genoattn.report.traces import (
    BLUE,
    GREY,
    ORANGE,
    SKY,
    arcs,
    axis,
    level_line,
    line,
    markers,
    minus_log10,
    plain,
)
from genoattn.report.wording import number, p_text, plural, term_name
from genoattn.views.genome import GenomeLayout, genome_layout, pair_arcs
from genoattn.views.marginal import marginal_effects
from genoattn.views.own_scan import scan_of_all_pairs
from genoattn.views.quantiles import quantile_plot

MOST_ARCS = 300
MOST_POINTS = 6000


def genome_section(run: RunFolder, cohort: Cohort | None, seed: int = 0) -> Section | None:
    """Pairs as arcs over the chromosomes, sites one by one, and for a scan the quantiles of its tests."""
    if run.is_landscape:
        return None
    sites = run.manifest.sites if cohort is None else cohort.sites
    figures = []
    if len(sites) and all(sites.chrom):
        layout = genome_layout(
            [*sites.chrom, *run.manifest.sites.chrom], [*sites.pos, *run.manifest.sites.pos]
        )
        figures += [f for f in (_arc_figure(run, layout), _manhattan(run, cohort, layout, seed)) if f]
    if run.kind == "scan" and len(run.table.frame):
        n_tests = run.manifest.n_tests.get(run.manifest.order, 0)
        figures.append(quantiles_figure(run.table.frame["p_value"], n_tests, run.scan.get("threshold")))
    elif run.kind == "fit" and cohort is not None and (scan := scan_of_all_pairs(cohort)) is not None:
        p_values = scan.rows["p_value"]
        figures.append(
            quantiles_figure(p_values, scan.counts["n_tests"], scan.threshold, "An exact scan of all pairs. ")
        )
    return Section("genome", "Along the genome", (), figures) if figures else None


def _ticks(layout: GenomeLayout) -> dict[str, object]:
    frame = layout.frame
    names = ["env." if name == ENVIRONMENT else name for name in frame["chrom"]]
    return axis(
        "chromosome", tickvals=plain(frame["middle"], 7), ticktext=names, showgrid=False,
        range=[-0.01 * layout.end, 1.01 * layout.end],
    )  # fmt: skip


def _arc_figure(run: RunFolder, layout: GenomeLayout) -> Figure | None:
    """Pairs by evidence: those that are claimed in colour."""
    rows = interactions(run)
    rows = rows[(rows["order"] == 2) & (rows["p_value"].notna() | (rows["coefficient"] != 0))]
    if not len(rows):
        return None
    claims = rows["q_value"] <= 0.05 if run.kind == "scan" else rows.index.isin(claimed_rows(run).index)
    shown = pair_arcs(rows.head(MOST_ARCS), layout)
    claimed = np.asarray(claims)[:MOST_ARCS]
    texts = [term_name(row, False) for row in shown.to_dict("records")]
    pairs = list(zip(shown["x_1"], shown["x_2"], texts, strict=True))
    traces = []
    for chosen, name, colour, width in (
        (~claimed, "other listed pairs", GREY, 0.7),
        (claimed, "q of 0.05 or less" if run.kind == "scan" else "claimed", ORANGE, 2.5),
    ):
        some = [pair for pair, use in zip(pairs, chosen, strict=True) if use]
        traces += [arcs(some, name, colour, width)] if some else []
    ends = layout.frame
    for k, (start, length) in enumerate(zip(ends["offset"], ends["length"], strict=True)):
        traces.append(
            line([start, start + length], [0, 0], f"chromosome {ends['chrom'].iloc[k]}", BLUE,
                 showlegend=False, hoverinfo="name")
        )  # fmt: skip
    n = int(np.asarray(claims).sum())
    what = "pass a false discovery rate of 5 %" if run.kind == "scan" else "are claimed"
    text = f"{plural(len(rows), 'pair')}, of which {n:,} {what}, as arcs between their sites"
    text += f" (the first {MOST_ARCS:,} by evidence)." if len(rows) > MOST_ARCS else "."
    strongest = f" The first is {texts[0]}." if texts else ""
    view = {"xaxis": _ticks(layout), "yaxis": {"visible": False, "rangemode": "tozero"}}
    return Figure("arcs", "Pairs along the genome", text + strongest, traces, view)


def _manhattan(run: RunFolder, cohort: Cohort | None, layout: GenomeLayout, seed: int) -> Figure | None:
    """-log10 p of every site on its own: of the model's rows of order 1, or a regression a site."""
    try:
        frame, own = marginal_effects(run.table), True
    except InputError:  # a scan, or a table without tests of order 1
        if cohort is None or cohort.phenotype is None:
            return None
        frame, own = marginal_effects(cohort), False
    frame = frame[frame["p_value"].notna()]
    if not len(frame):
        return None
    n_tests = run.manifest.n_tests.get(1, len(frame)) if own else len(frame)
    bound, best = 0.05 / max(n_tests, 1), frame.iloc[int(frame["p_value"].argmin())]
    passing = int((frame["p_value"] <= bound).sum())
    traces, view, n_drawn = site_points(frame, layout, bound, seed)
    how = "rows of order 1 of the table" if own else "a regression of the trait on each site alone"
    text = (
        f"{plural(len(frame), 'site')} by the evidence for their own effect ({how}); {passing:,} pass "
        f"Bonferroni's threshold of {p_text(bound)}. The strongest is {best['site']} "
        f"({best['chrom']}:{int(best['pos']):,}, p = {p_text(best['p_value'])})."
    )
    note = "Sites that interact need not stand out here."
    if n_drawn < len(frame):
        note += f" {n_drawn:,} points are drawn: the strongest, and others at random."
    return Figure("manhattan", "Effects of single sites", text, traces, view, note)


def site_points(
    frame: pd.DataFrame, layout: GenomeLayout, bound: float, seed: int
) -> tuple[list[dict[str, Any]], dict[str, object], int]:
    """-log10 p of sites (columns site, chrom, pos and p_value) along the genome, with Bonferroni's threshold.

    Returns
    -------
    Traces, layout of the figure, and the number of points drawn.
    """
    thin = _thinned(frame, seed)
    x, y = layout.place(thin["chrom"].to_numpy(), thin["pos"].to_numpy()), minus_log10(thin["p_value"])
    even = thin["chrom"].map({c: k % 2 for k, c in enumerate(layout.frame["chrom"])}).to_numpy() == 0
    traces = [
        markers(x[use], y[use], "sites", colour, 5, text=thin["site"][use].tolist(), hoverinfo="text+y",
                showlegend=False)
        for use, colour in ((even, BLUE), (~even, SKY)) if use.any()
    ]  # fmt: skip
    traces.append(level_line(float(minus_log10([bound])[0]), 0.0, layout.end, f"Bonferroni, {p_text(bound)}"))
    return traces, {"xaxis": _ticks(layout), "yaxis": axis("-log10 p", rangemode="tozero")}, len(thin)


def _thinned(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The strongest half of what is drawn, and others at random, in the order of the sites."""
    if len(frame) <= MOST_POINTS:
        return frame
    rank = frame["p_value"].rank(method="first").to_numpy()
    strongest = rank <= MOST_POINTS // 2
    rest = np.flatnonzero(~strongest)
    chosen = np.random.default_rng(seed).permutation(rest)[: MOST_POINTS - int(strongest.sum())]
    return frame.iloc[np.sort(np.concatenate([np.flatnonzero(strongest), chosen]))]


def quantiles_figure(p_values: Any, n_tests: int, threshold: float | None, what: str = "") -> Figure:
    """Observed against expected p-values of a scan, which keeps the small ones."""
    p = np.asarray(p_values, dtype=np.float64)
    plot = quantile_plot(p, max(n_tests, len(p)), threshold, max_points=1000)
    f, at = plot.frame, plot.inflation_p
    text = (
        f"{int((p <= at).sum()):,} of {plot.n_tests:,} tests have p of {p_text(at)} or less, where "
        f"{number(plot.n_tests * at)} are expected by chance: inflation {plot.inflation:.2f}."
    )
    return Figure(
        "quantiles", "Are there more small p-values than chance gives?", text,
        [
            line(f["expected"], f["upper"], "95 % of chance", GREY, "dot", hoverinfo="skip"),
            line(f["expected"], f["lower"], "", GREY, "dot", showlegend=False, hoverinfo="skip"),
            line(f["expected"], f["expected"], "chance", GREY, "dash", hoverinfo="skip"),
            markers(f["expected"], f["observed"], "tests", BLUE, 5),
        ],
        {"xaxis": axis("expected -log10 p"), "yaxis": axis("observed -log10 p")},
        f"{what}Points along the line: chance. A rise from the start on: structure or linkage; at the end "
        "alone: single signals. Linked pairs rise together.",
    )  # fmt: skip
