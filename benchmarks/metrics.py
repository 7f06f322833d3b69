"""Metrics against fresh samples: does ``metrics.json`` describe the model that was saved?

    python benchmarks/metrics.py [--samples 2000] [--sites 300] [--fresh 20000] [--seeds 4]

Cohorts of five architectures are simulated with 20,000 samples more than the fit sees. For each the test R2
of ``metrics.json``; R2 of the exported model on the fresh samples, and its standard deviation over draws of
as many of them as the metric was measured on; and the difference of the two in these, among which two in
three should lie within 1 and 19 in 20 within 2.

Prints a table, and saves it and a plot under ``results/``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import genoattn
from genoattn.fitting.metrics import r2
from genoattn.simulate import simulate_cohort

HERE = Path(__file__).parent
ARCHITECTURES = {
    "additive": {"architecture": "additive", "additive_variance": 0.4},
    "pairs": {"architecture": "pairs", "n_terms": 5, "interaction_variance": 0.2},
    "hub": {"architecture": "hub", "interaction_variance": 0.3},
    "modules": {"architecture": "modules", "interaction_variance": 0.3},
    "strong pair": {
        "architecture": "pairs",
        "n_terms": 1,
        "interaction_variance": 0.4,
        "additive_variance": 0.1,
    },
}


def measure(name: str, seed: int, n_samples: int, n_sites: int, n_fresh: int) -> dict[str, object]:
    """Figures of one cohort."""
    whole = simulate_cohort(
        n_samples=n_samples + n_fresh, n_sites=n_sites, linkage="none", seed=seed, **ARCHITECTURES[name]
    ).cohort
    cohort = whole.select_samples(np.arange(n_samples))
    fresh = whole.select_samples(np.arange(n_samples, n_samples + n_fresh))
    exported = genoattn.fit(cohort, seed=seed)
    test, n_test = exported.metrics.test, exported.metrics.n_samples["test"]
    y, predicted = fresh.phenotype.values, exported.predict(fresh)
    rng = np.random.default_rng(seed)
    draws = (rng.choice(n_fresh, n_test, replace=False) for _ in range(400))
    return {
        "architecture": name,
        "seed": seed,
        "start": exported.manifest.model["start"],
        "factors": sum(exported.manifest.model["ranks"].values()),
        "n_test": n_test,
        "metrics": test,
        "se": float(np.std([r2(y[d], predicted[d]) for d in draws])),
        "exported": (value := r2(y, predicted)),
        "off": value - test,
    }


def plot(table: pd.DataFrame, path: Path) -> None:
    """R2 of metrics.json with two standard errors, over R2 of the exported model on fresh samples."""
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axis = figure.add_subplot()
    for name, rows in table.groupby("architecture", sort=False):
        axis.errorbar(rows["exported"], rows["metrics"], 2 * rows["se"], fmt="o", capsize=2, label=str(name))
    ends = [min(0.0, table["metrics"].min()), table[["metrics", "exported"]].max().max() + 0.05]
    axis.plot(ends, ends, color="grey", linewidth=0.8)
    axis.set(xlabel="R2 of the exported model on fresh samples", ylabel="test R2 in metrics.json (2 se)")
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--fresh", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE / "results")
    given = parser.parse_args()
    rows = []
    for name in ARCHITECTURES:
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            rows.append(measure(name, seed, given.samples, given.sites, given.fresh))
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    table = pd.DataFrame(rows)
    table["off_in_se"] = table["off"] / table["se"]
    print(table.to_string(index=False, float_format="{:.3f}".format))
    size = table["off_in_se"].abs()
    print(f"within 1 se: {(size < 1).mean():.2f}; within 2 se: {(size < 2).mean():.2f}")
    print(f"mean difference: {table['off'].mean():+.4f}")
    given.output.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.output / "metrics.tsv", sep="\t", index=False, float_format="%.6g")
    plot(table, given.output / "metrics.png")


if __name__ == "__main__":
    main()
