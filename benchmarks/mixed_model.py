"""Is a scan with a background calibrated among relatives and populations, what does it find, and how fast?

    python benchmarks/mixed_model.py [--kinds sibs mice ...] [--seeds 10] [--no-large] [--no-power]

Every pair of each cohort is tested (threshold 1) without a background, with ``loco`` and with ``genome``.
Prints, over all seeds together, the genomic inflation (median of t^2 over that of chi-squared with one
degree of freedom, from p-values), its standard error between seeds, and p-values below 1e-3 and 1e-4 over
their expected number; then the same with planted pairs: the median of -log10 p of these, and how many pass
Bonferroni; last the seconds of a scan of 1,814 mice x 10,342 sites at a threshold of 1e-4.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from relatives_cohorts import full_sibs, homogeneous, outbred_mice, plant, populations
from scipy.stats import chi2

import genoattn

HERE = Path(__file__).parent
BACKGROUNDS = (None, "loco", "genome")
KINDS = {
    "sibs": lambda seed: full_sibs(1000, 200, seed),
    "mice": lambda seed: outbred_mice(600, 380, seed),
    "populations": lambda seed: populations(1000, 200, seed),
    "homogeneous": lambda seed: homogeneous(1000, 200, seed),
}
PAIRS, SHARE = 5, 0.03


def inflation(p_value: np.ndarray) -> float:
    """Median of the chi-squared statistics of p-values over that of their distribution."""
    return float(chi2.isf(np.median(p_value), 1) / chi2.ppf(0.5, 1))


def calibration(kind: str, seeds: range, threads: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """A row a background, and all p-values of each."""
    values: dict[str, list[np.ndarray]] = {str(b): [] for b in BACKGROUNDS}
    seconds = dict.fromkeys(values, 0.0)
    for seed in seeds:
        cohort = KINDS[kind](seed).cohort
        for background in BACKGROUNDS:
            began = time.perf_counter()
            result = genoattn.scan_pairs(cohort, 1.0, background=background, missing="mean", threads=threads)
            seconds[str(background)] += time.perf_counter() - began
            values[str(background)].append(result.rows["p_value"])
    every = {name: np.concatenate(of) for name, of in values.items()}
    rows = [
        {
            "kind": kind, "background": name, "pairs": len(every[name]), "lambda": inflation(every[name]),
            "se": np.std([inflation(p) for p in of], ddof=1) / np.sqrt(len(of)) if len(of) > 1 else np.nan,
            "lowest": min(inflation(p) for p in of), "highest": max(inflation(p) for p in of),
            "below_1e-3": 1e3 * (every[name] < 1e-3).mean(), "below_1e-4": 1e4 * (every[name] < 1e-4).mean(),
            "seconds": seconds[name] / len(of),
        }
        for name, of in values.items()
    ]  # fmt: skip
    return pd.DataFrame(rows), every


def power(kind: str, seeds: range, threads: int) -> pd.DataFrame:
    """Evidence for planted pairs, with and without a background; a row a background."""
    rows = []
    for background in BACKGROUNDS:
        found, passing = [], 0
        for seed in seeds:
            trial = plant(KINDS[kind](seed), PAIRS, SHARE, seed)
            result = genoattn.scan_pairs(
                trial.cohort, 1.0, background=background, missing="mean", threads=threads
            )
            names = trial.cohort.sites.ids
            frame = result.frame.set_index(["site_1", "site_2"])["p_value"]
            p = np.array([frame[(names[a], names[b])] for a, b in trial.terms])
            found.extend(-np.log10(p))
            passing += int((p <= result.bonferroni).sum())
        share = passing / len(found)
        row = {"kind": kind, "background": str(background), "planted": len(found)}
        rows.append(row | {"median_log10_p": np.median(found), "pass_bonferroni": share})
    return pd.DataFrame(rows)


def large(threads: int) -> pd.DataFrame:
    """Seconds of a scan at the size of a published outbred stock."""
    cohort = outbred_mice(1814, 11400, 1).cohort
    cohort = cohort.select_sites(np.arange(cohort.n_sites)[:10342])
    rows = []
    for background in (None, "genome", "loco"):
        result = genoattn.scan_pairs(cohort, 1e-4, background=background, missing="mean", threads=threads)
        c = result.counts
        rows.append(
            {
                "background": str(background), "samples": cohort.n_samples, "sites": cohort.n_sites,
                "tests": c["n_tests"], "reported": c["n_reported"],
                "tested_exactly": c.get("mixed_model", {}).get("tested_exactly", 0),
                "screen_ratio": c.get("mixed_model", {}).get("screen_ratio", np.nan),
                "seconds": c["seconds_preparing"] + c["seconds_scanning"],
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def draw(values: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Observed against expected p-values of every kind of cohort."""
    figure, axes = plt.subplots(1, len(values), figsize=(3.2 * len(values), 3.2), layout="constrained")
    for ax, (kind, of) in zip(np.atleast_1d(axes), values.items(), strict=True):
        for name, colour in zip(of, ("0.6", "C0", "C1"), strict=True):
            p = np.sort(of[name])
            expected = -np.log10((np.arange(len(p)) + 0.5) / len(p))
            shown = np.unique(np.geomspace(1, len(p), 400).astype(int)) - 1
            label = "no background" if name == "None" else name
            ax.plot(expected[shown], -np.log10(p[shown]), ".", markersize=3, color=colour, label=label)
        ax.axline((0, 0), slope=1, color="0.8", linewidth=0.8, zorder=0)
        ax.set(title=kind, xlabel="expected -log10 p")
    np.atleast_1d(axes)[0].set_ylabel("observed -log10 p")
    np.atleast_1d(axes)[0].legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-large", action="store_true")
    parser.add_argument("--no-power", action="store_true")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "mixed_model.tsv")
    options = parser.parse_args()
    seeds, values, tables = range(1, options.seeds + 1), {}, []
    for kind in options.kinds:
        table, values[kind] = calibration(kind, seeds, options.threads)
        print(table.to_string(index=False, float_format="%.3f"), flush=True)
        tables.append(table)
        pd.concat(tables).to_csv(options.output, sep="\t", index=False, float_format="%.4g")
        draw(values, options.output.with_suffix(".png"))
    if not options.no_power:
        found = pd.concat([power(kind, seeds, options.threads) for kind in options.kinds])
        print(found.to_string(index=False, float_format="%.3f"), flush=True)
        name = options.output.with_name(f"{options.output.stem}_power.tsv")
        found.to_csv(name, sep="\t", index=False, float_format="%.4g")
    if not options.no_large:
        name = options.output.with_name(f"{options.output.stem}_large.tsv")
        large(options.threads).to_csv(name, sep="\t", index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
