"""Draw one_row.png: what coefficient, effect and se of a row are, and what a gauge changes.

python docs/one_row.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import genoattn
from genoattn.cohort import Cohort, Phenotype, Sites

HERE = Path(__file__).parent
TRUE = 1.0


def landscape(seed: int = 5, n_samples: int = 240, n_sites: int = 7) -> Cohort:
    """Sequences of two residues; A1 and A2 interact, and A3 switches on a little more of it."""
    rng = np.random.default_rng(seed)
    calls = (rng.random((n_samples, n_sites)) < 0.35).astype(np.int8)
    y = (
        0.8 * calls[:, 0]
        - 0.4 * calls[:, 1]
        + TRUE * calls[:, 0] * calls[:, 1]
        + 0.4 * calls[:, 2] * calls[:, 0]
    )
    y = y + rng.normal(0, 0.9, n_samples)
    sites = Sites(
        [f"A{k + 1}" for k in range(n_sites)], [""] * n_sites, np.arange(n_sites) + 1, ["A"] * n_sites,
        [""] * n_sites, (("A", "C"),) * n_sites,
    )  # fmt: skip
    names = [f"v{k}" for k in range(n_samples)]
    return Cohort(names, sites, calls, "sequence", Phenotype("y", y))


def main() -> None:
    result = genoattn.fit(landscape(), order=2, seed=1, device="cpu")
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.2))
    row = result.export("reference").frame
    row = row[(row["site_1"] == "A1") & (row["site_2"] == "A2")].iloc[0]
    left = axes[0]
    left.errorbar(row["effect"], 1, xerr=1.96 * row["se"], fmt="o", color="C0", capsize=4)
    left.errorbar(row["coefficient"], 0, xerr=1.96 * row["coefficient_sd"], fmt="s", color="C1", capsize=4)
    left.annotate(
        "", (row["coefficient"], 0.12), (row["effect"], 0.88), arrowprops={"arrowstyle": "->", "color": "0.5"}
    )
    left.text(0.06, 0.5, "shrinkage and noise,\nnothing else", va="center", color="0.4", fontsize=9)
    left.axvline(TRUE, color="0.7", linestyle=":")
    left.text(TRUE, 1.62, "true value", ha="center", va="top", color="0.5", fontsize=9)
    left.set(yticks=[0, 1], ylim=(-0.6, 1.65), xlim=(0, 1.7), xlabel="units of y")
    left.set_yticklabels(["coefficient\n± 1.96 coefficient_sd", "effect\n± 1.96 se"])
    left.set_title("One row: A1[C] x A2[C], reference gauge", fontsize=10)
    right = axes[1]
    for k, gauge in enumerate(("reference", "zero-sum", "frequency")):
        table = result.export(gauge).frame
        one = table[(table["order"] == 1) & (table["site_1"] == "A1") & (table["state_1"] == "C")].iloc[0]
        right.errorbar(one["effect"], 2 - k, xerr=1.96 * one["se"], fmt="o", color="C0", capsize=4)
        right.plot(one["coefficient"], 1.8 - k, "s", color="C1")
    right.set(yticks=[2, 1, 0], ylim=(-0.6, 2.65), xlim=(-0.3, 1.3), xlabel="units of y")
    right.set_yticklabels(["reference: others all A", "zero-sum: A and C alike", "frequency: as sampled"])
    right.set_title("A1[C] alone: another gauge, another question", fontsize=10)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(HERE / "one_row.png", dpi=110)


if __name__ == "__main__":
    main()
