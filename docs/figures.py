"""Draw the pictures of README and docs from the example data and a small simulation: ``make figures``.

python docs/figures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

import genoattn
from genoattn import plot
from genoattn.cohort import Cohort, Phenotype, Sites
from genoattn.fitting.fit_result import FitResult

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
BLUE, VERMILLION = plot.PALETTE[:2]
TRUE = 1.0


def overview() -> None:
    """An interaction in measured lines, its row, and rows of a protein landscape."""
    lines = genoattn.read(
        DATA / "arabidopsis_ril.vcf.gz", DATA / "arabidopsis_ril.pheno.tsv", "3.Butenyl", transform="log"
    )
    variants = genoattn.read(DATA / "cr6261_h1.fasta.gz", DATA / "cr6261_h1.tsv")
    cross = genoattn.fit(lines, order=2, device="cpu").table
    antibody = genoattn.fit(variants, order=2, link="monotone", gauge="reference", device="cpu").table
    with plot.style():
        figure = plot.figure(columns=2, height=75)
        grid = figure.add_gridspec(2, 2, height_ratios=(1, 3), width_ratios=(1, 1.1))
        left = plot.interaction(cross, ("GA1", "GH.117C"), lines, ax=figure.add_subplot(grid[:, 0]))
        row = plot.terms(cross, 1, order=2, ax=figure.add_subplot(grid[0, 1]))
        rows = plot.terms(antibody, 8, order=2, ax=figure.add_subplot(grid[1, 1]))
        left.set_title("", loc="right")
        left.set_title("A cross of Arabidopsis: 157 measured lines", loc="left")
        row.set_title("Its row", loc="left")
        rows.get_legend().remove()
        rows.set_title("1,887 variants of an antibody, binding", loc="left")
    plot.save(figure, HERE / "overview.png")


def landscape(seed: int = 5, n_samples: int = 240, n_sites: int = 7) -> Cohort:
    """Sequences of two residues; A1 and A2 interact, and A3 switches on a little more of it."""
    rng = np.random.default_rng(seed)
    calls = (rng.random((n_samples, n_sites)) < 0.35).astype(np.int8)
    first, second, third = calls[:, 0], calls[:, 1], calls[:, 2]
    y = 0.8 * first - 0.4 * second + TRUE * first * second + 0.4 * third * first
    y = y + rng.normal(0, 0.9, n_samples)
    names, place = [f"A{k + 1}" for k in range(n_sites)], np.arange(n_sites) + 1
    sites = Sites(names, [""] * n_sites, place, ["A"] * n_sites, [""] * n_sites, (("A", "C"),) * n_sites)
    return Cohort([f"v{k}" for k in range(n_samples)], sites, calls, "sequence", Phenotype("y", y))


def draw_row(ax: Axes, result: FitResult) -> None:
    """Coefficient and effect of one row, and the true value."""
    rows = result.export("reference").frame
    row = rows[(rows["site_1"] == "A1") & (rows["site_2"] == "A2")].iloc[0]
    ax.errorbar(row["effect"], 1, xerr=1.96 * row["se"], fmt="o", color=BLUE, capsize=3)
    ax.errorbar(
        row["coefficient"], 0, xerr=1.96 * row["coefficient_sd"], fmt="s", color=VERMILLION, capsize=3
    )
    arrow = {"arrowstyle": "->", "color": "0.5"}
    ax.annotate("", (row["coefficient"], 0.12), (row["effect"], 0.88), arrowprops=arrow)
    ax.text(0.06, 0.5, "shrinkage and noise,\nnothing else", va="center", color="0.4")
    ax.axvline(TRUE, color="0.7", linestyle=":")
    ax.text(TRUE, 1.62, "true value", ha="center", va="top", color="0.5", backgroundcolor="white")
    ax.set_yticks([0, 1], ["coefficient\n± 1.96 coefficient_sd", "effect\n± 1.96 se"])
    ax.set(ylim=(-0.6, 1.65), xlim=(0, 1.7), xlabel="units of y")
    ax.set_title("One row: A1[C] × A2[C], reference gauge", loc="left")


def draw_gauges(ax: Axes, result: FitResult) -> None:
    """The row of one token in three gauges."""
    for place, gauge in ((2, "reference"), (1, "zero-sum"), (0, "frequency")):
        rows = result.export(gauge).frame
        own = (rows["order"] == 1) & (rows["site_1"] == "A1") & (rows["state_1"] == "C")
        row = rows[own].iloc[0]
        ax.errorbar(row["effect"], place, xerr=1.96 * row["se"], fmt="o", color=BLUE, capsize=3)
        ax.plot(row["coefficient"], place - 0.2, "s", color=VERMILLION)
    names = ["reference: others all A", "zero-sum: A and C alike", "frequency: as sampled"]
    ax.set_yticks([2, 1, 0], names)
    ax.set(ylim=(-0.6, 2.65), xlim=(-0.3, 1.3), xlabel="units of y")
    ax.set_title("A1[C] alone: another gauge, another question", loc="left")


def one_row() -> None:
    """What coefficient, effect and se of a row are, and what a gauge changes."""
    result = genoattn.fit(landscape(), order=2, seed=1, device="cpu")
    with plot.style():
        figure = plot.figure(columns=2, height=55)
        left, right = figure.subplots(1, 2)
        draw_row(left, result)
        draw_gauges(right, result)
    plot.save(figure, HERE / "one_row.png")


if __name__ == "__main__":
    overview()
    one_row()
