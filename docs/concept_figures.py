"""Draw the pictures of docs/ideas/ into docs/figures/.

python docs/concept_figures.py
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent / "figures"
# Okabe and Ito's colours, which colour-blind readers tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"


def panels(n: int, width: float = 9, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side without upper and right borders."""
    figure, axes = plt.subplots(1, n, figsize=(width, height), layout="constrained")
    axes = list(np.atleast_1d(axes))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def terms() -> Figure:
    """One sequence with marked residues: a single, a pair, a triple."""
    figure, (axis,) = panels(1, height=2.9)
    sequence, start = "TSGYAV", 74
    rows = (
        ("order 1:  G76", (2,), BLUE),
        ("order 2:  G76 x V79", (2, 5), ORANGE),
        ("order 3:  T74 x G76 x V79", (0, 2, 5), GREEN),
    )
    for k, (name, marked, colour) in enumerate(rows):
        y = -1.25 * k
        for place, residue in enumerate(sequence):
            own = place in marked
            box = {
                "boxstyle": "round,pad=0.35",
                "facecolor": colour if own else "white",
                "edgecolor": colour if own else "0.7",
            }
            axis.text(
                place,
                y,
                residue,
                ha="center",
                va="center",
                fontsize=13,
                bbox=box,
                color="white" if own else "0.3",
            )
        for a, b in pairwise(marked):
            arc = {"arrowstyle": "-", "color": colour, "connectionstyle": "arc3,rad=-0.25", "linewidth": 2}
            axis.annotate("", (b - 0.12, y + 0.38), (a + 0.12, y + 0.38), arrowprops=arc)
        axis.text(6.0, y, name, va="center", fontsize=12, color=colour)
    for place in range(len(sequence)):
        axis.text(place, 0.95, str(start + place), ha="center", fontsize=10, color=GREY)
    axis.text(-0.6, 0.95, "site", ha="right", fontsize=10, color=GREY)
    axis.set(xlim=(-1.5, 9.3), ylim=(-3.1, 1.4))
    axis.axis("off")
    return figure


def gauge() -> Figure:
    """Four group means, and the effect of A read in one background and averaged over two."""
    figure, axes = panels(2)
    means = {(0, 0): 1.0, (1, 0): 2.0, (0, 1): 1.5, (1, 1): 4.5}
    titles = ("reference gauge: the effect of A without B", "averaged over B: the effect of A on average")
    for axis, title in zip(axes, titles, strict=True):
        for b, colour, name in ((0, BLUE, "without B"), (1, ORANGE, "with B")):
            axis.plot([0, 1], [means[0, b], means[1, b]], "o-", color=colour, linewidth=2, markersize=8)
            axis.text(1.05, means[1, b], name, color=colour, va="center", fontsize=11)
        axis.set(xlim=(-0.25, 1.5), ylim=(0.4, 5.2), xticks=[0, 1], title=title, ylabel="mean of the trait")
        axis.set_xticklabels(["without A", "with A"])
    _rise(axes[0], 1.0, 2.0, "A: +1")
    low, high = (1.0 + 1.5) / 2, (2.0 + 4.5) / 2
    axes[1].plot([0, 1], [low, high], "s--", color=GREY, linewidth=2)
    axes[1].text(1.05, high, "average", color=GREY, va="center", fontsize=11)
    _rise(axes[1], low, high, "A: +2")
    return figure


def _rise(axis: Axes, low: float, high: float, text: str) -> None:
    """An arrow from ``low`` to ``high`` with what it stands for."""
    axis.plot([0, 0.72], [low, low], ":", color="black", linewidth=1)
    axis.annotate("", (0.72, high), (0.72, low), arrowprops={"arrowstyle": "<->", "color": "black"})
    axis.text(0.72, low - 0.12, text, ha="center", va="top", fontsize=12, weight="bold")


def shrinkage() -> Figure:
    """Estimates of many small effects against the truth, as they are and shrunk."""
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 1, 60)
    effect = truth + rng.normal(0, 1, 60)
    figure, axes = panels(2, height=3.8)
    shrunk = effect / 2  # prior variance / (prior variance + noise variance)
    for axis, values, colour, name in (
        (axes[0], effect, BLUE, "effect"),
        (axes[1], shrunk, ORANGE, "coefficient"),
    ):
        error = np.sqrt(np.mean((values - truth) ** 2))
        axis.plot([-4, 4], [-4, 4], color="0.7", linewidth=1)
        axis.plot(truth, values, "o", color=colour, alpha=0.8)
        axis.set(xlim=(-4, 4), ylim=(-4, 4), xlabel="true interaction", ylabel=name, aspect="equal")
        axis.set_title(f"{name}: typical error {error:.2f}")
    return figure


def evidence() -> Figure:
    """p-values of pairs that do not interact, and how many pass a bar."""
    p = np.random.default_rng(8).uniform(size=5000)
    figure, axes = panels(2)
    counts, edges = np.histogram(p, bins=20, range=(0, 1))
    colours = [ORANGE, *[BLUE] * 19]
    axes[0].bar(edges[:-1], counts, width=0.05, align="edge", color=colours, edgecolor="white")
    axes[0].text(
        0.06,
        counts.max() * 1.08,
        f"{counts[0]} pairs below 0.05, all of them false",
        color=ORANGE,
        fontsize=11,
    )
    axes[0].set(
        xlabel="p-value of 5,000 pairs without interaction", ylabel="pairs", ylim=(0, counts.max() * 1.25)
    )
    first = np.sort(p)[:30]
    rank = np.arange(1, 31)
    axes[1].plot(rank, first, "o", color=BLUE, markersize=5)
    axes[1].plot(rank, 0.05 * rank / len(p), color=ORANGE, linewidth=2)
    axes[1].text(
        16,
        0.05 * 16 / len(p) * 0.5,
        "bar for a q-value of 0.05",
        color=ORANGE,
        ha="center",
        va="top",
        fontsize=11,
    )
    axes[1].text(16, first[15] * 1.6, "the smallest p-values", color=BLUE, ha="center", fontsize=11)
    axes[1].set(yscale="log", xlabel="rank of the pair", ylabel="p-value", ylim=(3e-6, 2e-2))
    return figure


def linkage() -> Figure:
    """A chromosome with an untyped variant between two markers, and the group means of the markers."""
    figure, axes = panels(2)
    axis = axes[0]
    axis.plot([0, 10], [0, 0], color="0.75", linewidth=8, solid_capstyle="round")
    for place, name, colour in (
        (3.4, "marker 1", BLUE),
        (6.6, "marker 2", BLUE),
        (5, "untyped variant:\nthe only cause", ORANGE),
    ):
        axis.plot(place, 0, "o", color=colour, markersize=13)
        above = colour == ORANGE
        axis.text(
            place,
            0.35 if above else -0.35,
            name,
            ha="center",
            va="bottom" if above else "top",
            color=colour,
            fontsize=12,
        )
    axis.set(ylim=(-1.3, 1.5), title="what there is")
    axis.axis("off")
    rng = np.random.default_rng(2)
    cause = rng.random(4000) < 0.3
    first, second = (np.where(cause, rng.random(4000) < 0.95, rng.random(4000) < 0.25) for _ in range(2))
    trait = 2.0 * cause + rng.normal(0, 0.7, 4000)
    for b, colour, name in ((0, BLUE, "without marker 2"), (1, ORANGE, "with marker 2")):
        means = [trait[(first == a) & (second == b)].mean() for a in (0, 1)]
        axes[1].plot([0, 1], means, "o-", color=colour, linewidth=2, markersize=8)
        axes[1].text(1.05, means[1], name, color=colour, va="center", fontsize=11)
    axes[1].set(xlim=(-0.2, 1.75), xticks=[0, 1], ylabel="mean of the trait", title="what the markers show")
    axes[1].set_xticklabels(["without\nmarker 1", "with\nmarker 1"])
    return figure


def curves() -> Figure:
    """Single effects that add up on a latent scale, and what an assay that saturates makes of them."""
    latent = np.linspace(-0.4, 4.4, 200)
    figure, axes = panels(2)

    def assay(value: np.ndarray | float) -> np.ndarray | float:
        return 1 / (1 + np.exp(-2 * (np.asarray(value) - 1.4)))

    places = {"wild type": 0.0, "A": 1.6, "B": 2.0, "A and B": 3.6}
    axes[0].plot(latent, assay(latent), color=GREY, linewidth=2)
    for name, place in places.items():
        colour = ORANGE if name == "A and B" else BLUE
        axes[0].plot(place, assay(place), "o", color=colour, markersize=8)
        shift = (0.15, -0.09) if name != "A and B" else (-0.3, -0.11)
        axes[0].text(place + shift[0], assay(place) + shift[1], name, color=colour, fontsize=11)
    axes[0].set(
        xlabel="latent scale: effects add up",
        ylabel="measured",
        ylim=(-0.05, 1.15),
        title="the assay saturates",
    )
    values = [assay(places[name]) - assay(0) for name in ("A", "B", "A and B")]
    bars = [values[0], values[1], values[0] + values[1], values[2]]
    names = ["A", "B", "A + B\nexpected", "A and B\nmeasured"]
    axes[1].bar(names, bars, color=[BLUE, BLUE, "0.8", ORANGE])
    axes[1].annotate("", (2.5, bars[3]), (2.5, bars[2]), arrowprops={"arrowstyle": "<->", "color": "black"})
    axes[1].text(2.58, bars[2] - 0.08, "looks like a\nnegative interaction", fontsize=11, va="top")
    axes[1].set(
        ylabel="change of the measured value",
        ylim=(0, bars[2] * 1.1),
        xlim=(-0.6, 4.4),
        title="what a table of pairs shows",
    )
    return figure


def main() -> None:
    HERE.mkdir(exist_ok=True)
    for draw in (terms, gauge, shrinkage, evidence, linkage, curves):
        figure = draw()
        figure.savefig(HERE / f"{draw.__name__}.png", dpi=110)
        plt.close(figure)


if __name__ == "__main__":
    main()
