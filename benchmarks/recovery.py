"""Does a fit find what was planted, and nothing where nothing was? One command, a table and a plot.

    python benchmarks/recovery.py [--seeds 5] [--null-runs 40] [--linkage msprime] [--output
    benchmarks/results]

Cohorts are simulated afresh for every seed. ``pairs``: 1,000 samples x 200 sites, three pairs of 5 % of
the variance each and two of 2 %, additive effects 20 %; ``triple``: 2,000 x 60, one pure triple of 8 %;
``additive``: 1,000 x 200 with additive effects only, where every order-2 row with q < 0.05 is false.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import genoattn
from genoattn.simulate import Simulation, simulate_cohort


def site_sets(rows: pd.DataFrame, order: int) -> list[frozenset[str]]:
    """The sites of each row."""
    return [frozenset(r) for r in rows[[f"site_{k}" for k in range(1, order + 1)]].itertuples(index=False)]


def ranks(simulation: Simulation, order: int, seed: int) -> tuple[pd.DataFrame, float, float]:
    """Rank of every planted term among the rows of its order, seconds, and test R2 gained by interactions."""
    start = time.perf_counter()
    result = genoattn.fit(simulation.cohort, order=order, seed=seed)
    seconds = time.perf_counter() - start
    found = site_sets(result.table.top(10**6, order), order)
    planted = simulation.truth[simulation.truth["order"] == order]
    planted = planted.sort_values("variance_explained", ascending=False)
    position = [found.index(s) + 1 if s in found else np.inf for s in site_sets(planted, order)]
    frame = pd.DataFrame({"variance": planted["variance_explained"].to_numpy(), "rank": position})
    test = result.metrics.by_order["test"]
    return frame, seconds, test[-1] - test[1]


def recovery(architecture: dict, order: int, seeds: range) -> pd.DataFrame:
    rows = []
    for seed in seeds:
        frame, seconds, gain = ranks(simulate_cohort(seed=seed, **architecture), order, seed)
        for variance, rank in frame.itertuples(index=False):
            rows.append((seed, round(float(variance), 3), rank, seconds, gain))
    return pd.DataFrame(rows, columns=["seed", "planted_variance", "rank", "seconds", "test_R2_gain"])


def null_runs(architecture: dict, seeds: range) -> pd.DataFrame:
    """Order-2 rows with q < 0.05 where no interaction was planted."""
    rows = []
    for seed in seeds:
        table = genoattn.fit(simulate_cohort(seed=seed, **architecture).cohort, seed=seed).table
        pairs = table.frame[table.frame["order"] == 2]
        smallest = pairs["q_value"].min() if len(pairs) else np.nan
        rows.append((seed, len(pairs), int((pairs["q_value"] < 0.05).sum()), smallest))
    return pd.DataFrame(rows, columns=["seed", "rows", "false", "smallest_q"])


def plot(pairs: pd.DataFrame, null: pd.DataFrame, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    worst = 30
    for k, (_, group) in enumerate(pairs.groupby("planted_variance")):
        shown = group["rank"].clip(upper=worst)
        left.scatter(np.full(len(group), k) + np.linspace(-0.15, 0.15, len(group)), shown, alpha=0.7)
    left.set_xticks(
        range(pairs["planted_variance"].nunique()),
        [f"{v:.0%}" for v in sorted(pairs["planted_variance"].unique())],
    )
    left.axhline(10, color="grey", linewidth=0.8, linestyle="--")
    left.set(
        xlabel="share of variance of the planted pair",
        ylabel=f"rank in the table ({worst}: not found)",
        title="Planted pairs",
    )
    left.invert_yaxis()
    right.hist(null["smallest_q"].fillna(1.0).clip(upper=1.0), bins=np.linspace(0, 1, 21), color="tab:orange")
    right.axvline(0.05, color="grey", linewidth=0.8, linestyle="--")
    right.set(xlabel="smallest order-2 q-value (1: no row)", ylabel="runs", title="No interaction planted")
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--null-runs", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--linkage", choices=["msprime", "none"], default="msprime")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    common = {"linkage": options.linkage}
    five = {**common, "architecture": "pairs", "term_variances": (0.05, 0.05, 0.05, 0.02, 0.02)}
    pairs = recovery({**five, "n_samples": 1000, "n_sites": 200}, 2, seeds)
    one = {
        **common,
        "architecture": "triple",
        "term_variances": (0.08,),
        "additive_variance": 0.0,
        "n_additive": 0,
    }
    triples = recovery({**one, "n_samples": 2000, "n_sites": 60}, 3, seeds)
    print("Planted pairs, 1,000 samples x 200 sites\n" + pairs.to_string(index=False))
    big = pairs[pairs["planted_variance"] >= 0.045]
    print(f"5 % pairs in the top 10: {(big['rank'] <= 10).sum()} of {len(big)}; ", end="")
    small = pairs[pairs["planted_variance"] < 0.045]
    print(f"2 % pairs in the top 10: {(small['rank'] <= 10).sum()} of {len(small)}")
    print("\nPlanted triple of 8 %, 2,000 samples x 60 sites\n" + triples.to_string(index=False))
    print(f"triple on top: {(triples['rank'] == 1).sum()} of {len(triples)}")
    null_seeds = range(options.first_seed, options.first_seed + options.null_runs)
    null = null_runs({**common, "architecture": "additive", "n_samples": 1000, "n_sites": 200}, null_seeds)
    n_false = (null["false"] > 0).sum()
    print("\nNo interaction planted: ", end="")
    print(f"{n_false} of {len(null)} runs report an order-2 row with q < 0.05")
    pairs.to_csv(options.output / "recovery_pairs.tsv", sep="\t", index=False)
    triples.to_csv(options.output / "recovery_triples.tsv", sep="\t", index=False)
    null.to_csv(options.output / "recovery_null.tsv", sep="\t", index=False)
    plot(pairs, null, options.output / "recovery.png")


if __name__ == "__main__":
    main()
