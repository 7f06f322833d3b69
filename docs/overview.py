"""Draw overview.png from the example data: an interaction in the measurements, and rows of two tables.

python docs/overview.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

import genoattn
from genoattn.cohort import Cohort

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
FIRST, SECOND = "GA1", "GH.117C"


def draw_measurements(axis: Axes, cohort: Cohort) -> None:
    """The trait of every line under its genotype at the two sites, and the mean of each genotype."""
    ids = list(cohort.sites.ids)
    first, second = (cohort.calls[:, ids.index(name)] for name in (FIRST, SECOND))
    y = cohort.phenotype.values
    jitter = np.random.default_rng(1).uniform(-0.06, 0.06, len(y))
    for copies, colour in ((0, "C0"), (2, "C1")):
        means = []
        for place, other in enumerate((0, 2)):
            chosen = (first == other) & (second == copies)
            shift = place + (-0.05 if copies == 0 else 0.05)
            axis.plot(shift + jitter[chosen], y[chosen], ".", color=colour, alpha=0.35)
            means.append(y[chosen].mean())
        axis.plot([0, 1], means, "o-", color=colour, label=f"{copies} copies of C at {SECOND}")
    axis.set(xticks=[0, 1], xlim=(-0.3, 1.3), ylabel="log of 3-butenyl glucosinolate")
    axis.set_xticklabels([f"0 copies of C\nat {FIRST}", f"2 copies of C\nat {FIRST}"])
    axis.set_title("A cross of Arabidopsis: 158 measured lines", fontsize=10)
    axis.legend(frameon=False, fontsize=8, loc="upper left")


def draw_rows(axis: Axes, rows: pd.DataFrame, unit: str, title: str) -> None:
    """Effects of rows of order 2 with their 95 % intervals, the first row on top."""
    place = np.arange(len(rows))[::-1]
    axis.errorbar(rows["effect"], place, xerr=1.96 * rows["se"], fmt="o", color="0.2", capsize=3)
    axis.axvline(0, color="0.7", linewidth=1)
    axis.set(yticks=place, xlabel=unit, ylim=(-0.6, len(rows) - 0.4))
    axis.set_yticklabels([f"{r.site_1}[{r.state_1}] x {r.site_2}[{r.state_2}]" for r in rows.itertuples()])
    axis.set_title(title, fontsize=10)


def main() -> None:
    lines = genoattn.read(
        DATA / "arabidopsis_ril.vcf.gz", DATA / "arabidopsis_ril.pheno.tsv", "3.Butenyl", transform="log"
    )
    variants = genoattn.read(DATA / "cr6261_h1.fasta.gz", DATA / "cr6261_h1.tsv")
    pair = genoattn.fit(lines, order=2, device="cpu").table.top(1, order=2)
    antibody = genoattn.fit(variants, order=2, gauge="reference", device="cpu").table.top(8, order=2)
    figure = plt.figure(figsize=(11, 4))
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.1), height_ratios=(1, 6))
    draw_measurements(figure.add_subplot(grid[:, 0]), lines)
    draw_rows(
        figure.add_subplot(grid[0, 1]), pair, "", "The row of its table: effect and 95 % interval, log units"
    )
    draw_rows(
        figure.add_subplot(grid[1, 1]),
        antibody,
        "log10 units",
        "1,887 variants of an antibody, binding: the first rows",
    )
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(HERE / "overview.png", dpi=110)


if __name__ == "__main__":
    main()
