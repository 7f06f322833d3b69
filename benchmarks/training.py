"""Training against closed forms: do gradient steps help, on samples that nothing of the model has seen?

    python benchmarks/training.py [--samples 2000 5000] [--sites 300] [--seeds 3] [--data ../shared/data]

Cohorts of independent sites with hubs and pathways, loadings equal, of random sign or normal, interactions
20 % of the variance: R2 on 10,000 fresh samples of the additive model, of the sparse factors as they are read
off the scores (their starting values; closed form), and of the same factors trained by Lightning as ``fit``
does, from the same training samples. ``epochs`` is how many the validation samples allowed; 1 is the start.

Landscapes, 80 % for training: the test R2 of order k by the Gaussian process of all its products (closed
form), and by dense HyperAttention trained by Lightning.

Prints two tables, and saves them and a plot under ``results/``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from discovery_cohorts import independent
from landscapes import LANDSCAPES, Landscape
from matplotlib.figure import Figure

import genoattn
from genoattn.fitting.metrics import r2

HERE = Path(__file__).parent
KINDS = [
    *[(kind, loadings) for kind in ("hub", "two hubs", "pathways", "overlapping") for loadings in
      ("equal", "sign", "normal")],
    ("pairs", "equal"),
]  # fmt: skip
SETS = {"cr6261": (2, 3), "trna": (2, 3), "poelwijk": (2, 3)}
FRESH = 10_000


def cohort_row(kind: str, loadings: str, n_samples: int, n_sites: int, seed: int) -> dict[str, object]:
    """R2 on fresh samples of the additive model, the start and the trained model."""
    everyone = independent(n_samples + FRESH, n_sites, seed, kind, loadings, 0.2).cohort
    cohort = everyone.select_samples(np.arange(n_samples))
    fresh = everyone.select_samples(np.arange(n_samples, n_samples + FRESH))
    settings = {"seed": seed, "refit": False, "max_terms": 1}

    def measured(**options: object) -> tuple[float, dict]:
        result = genoattn.fit(cohort, **settings, **options)
        return r2(fresh.phenotype.values, result.predict(fresh)), result.manifest.model

    additive, _ = measured(order=1)
    start, _ = measured(lr=1e-12, max_epochs=1)  # one step, too small to change anything
    trained, model = measured()
    return {
        "cohort": f"{kind}, {loadings}", "samples": n_samples, "seed": seed, 
        "factors": sum(model["ranks"].values()),
        "epochs": model["best_epoch"], "additive": additive, "start": start, "trained": trained,
    }  # fmt: skip


def landscape_row(landscape: Landscape, folder: Path, order: int, split: int) -> dict[str, object]:
    """R2 on the test samples of the closed form and of the trained model."""
    cohort = landscape.read(folder)
    shuffled = np.random.default_rng(split).permutation(cohort.n_samples)
    test, training = np.split(shuffled, [round(0.2 * cohort.n_samples)])
    held_out, cohort = cohort.select_samples(test), cohort.select_samples(training)
    row: dict[str, object] = {"set": landscape.name, "order": order, "split": split}
    for name, estimator in (("closed form", "posterior"), ("trained", "attention")):
        result = genoattn.fit(cohort, order=order, link="none", estimator=estimator, test=0.0, max_terms=1)
        row[name] = r2(held_out.phenotype.values, result.predict(held_out))
    return row


def plot(cohorts: pd.DataFrame, landscapes: pd.DataFrame, path: Path) -> None:
    """Trained over untrained, cohorts on the left and landscapes on the right."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for n, rows in cohorts.groupby("samples"):
        left.plot(rows["start"], rows["trained"], "o", label=f"{n:,} samples", markersize=4)
    left.set(xlabel="R2 of the start, fresh samples", ylabel="R2 trained", title="sparse factors")
    for name, rows in landscapes.groupby("set", sort=False):
        right.plot(rows["closed form"], rows["trained"], "o", label=str(name), markersize=4)
    right.set(xlabel="R2 of the closed form, test samples", ylabel="R2 trained", title="dense factors")
    for axis in (left, right):
        ends = [min(axis.get_xlim()[0], axis.get_ylim()[0]), max(axis.get_xlim()[1], axis.get_ylim()[1])]
        axis.plot(ends, ends, color="grey", linewidth=0.8)
        axis.legend(fontsize=8)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, nargs="+", default=[2000, 5000])
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for n in given.samples:
        for kind, loadings in KINDS:
            for seed in range(given.first_seed, given.first_seed + given.seeds):
                rows.append(cohort_row(kind, loadings, n, given.sites, seed))
                print(
                    {k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True
                )
    cohorts = pd.DataFrame(rows)
    mean = cohorts.groupby(["samples", "cohort"], sort=False)[["additive", "start", "trained"]].mean()
    print(mean.to_string(float_format="{:.3f}".format))
    gain = cohorts["trained"] - cohorts["start"]
    print(f"trained - start: mean {gain.mean():+.4f}, smallest {gain.min():+.4f}, largest {gain.max():+.4f}")
    cohorts.to_csv(given.output / "training_cohorts.tsv", sep="\t", index=False, float_format="%.5g")
    rows = []
    for landscape in LANDSCAPES:
        if not (given.data / landscape.fasta).exists():
            print(f"{landscape.name}: skipped, {given.data / landscape.fasta} is not there; see --data")
            continue
        for order in SETS.get(landscape.name, ()):
            for split in range(given.splits):
                rows.append(landscape_row(landscape, given.data, order, split))
    if not rows:
        return
    landscapes = pd.DataFrame(rows)
    print(landscapes.to_string(index=False, float_format="{:.4f}".format))
    landscapes.to_csv(given.output / "training_landscapes.tsv", sep="\t", index=False, float_format="%.5g")
    plot(cohorts, landscapes, given.output / "training.png")


if __name__ == "__main__":
    main()
