"""Is a scan with a background calibrated among relatives and populations, what does it find, and how fast?

    python benchmarks/mixed_model.py [--kinds sibs mice ...] [--seeds 10] [--no-power] [--no-large]

Every pair of each cohort is tested (threshold 1) without a background, with ``loco`` and with ``genome``.
Prints, over all seeds together, the genomic inflation (median of t^2 over that of chi-squared with one
degree of freedom, from p-values), its standard error between seeds, and p-values below 1e-3 and 1e-4 over
their expected number; then the same with planted pairs: the median of -log10 p of these, and how many pass
Bonferroni; the inflation of relatives with a background of the other chromosomes alone, without those of
the pair; last the seconds of a scan of 1,814 mice x 10,342 sites at a threshold of 1e-4 (of
processors), ``loco`` of pairs with a site on chromosome 1, a tenth of them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from relatives_cohorts import full_sibs, homogeneous, outbred_mice, plant, populations, with_covariates
from scipy.stats import chi2

import genoattn
from genoattn.scan import background_engine
from genoattn.scan.sample_covariance import KernelPair, SampleCovariance, fit_covariance

HERE = Path(__file__).parent
BACKGROUNDS = (None, "loco", "genome")
KINDS = {
    "sibs": lambda seed: full_sibs(1000, 200, seed),
    "sibs, covariates": lambda seed: with_covariates(full_sibs(1000, 200, seed), seed),
    "mice": lambda seed: outbred_mice(600, 380, seed),
    "populations": lambda seed: populations(1000, 200, seed),
    "homogeneous": lambda seed: homogeneous(1000, 200, seed),
}
PAIRS, SHARE = 5, 0.03


def inflation(p_value: np.ndarray) -> float:
    """Median of the chi-squared statistics of p-values over that of their distribution."""
    return float(chi2.isf(np.median(p_value), 1) / chi2.ppf(0.5, 1))


def calibration(kind: str, seeds: range, threads: int) -> pd.DataFrame:
    """A row a background."""
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
    return pd.DataFrame(rows)


def others_alone(kernels: KernelPair, *rest: Any) -> SampleCovariance:
    """The covariance without a kernel of the pair's own chromosomes."""
    if kernels.own is None:
        return fit_covariance(kernels, *rest)
    total = kernels.total - kernels.own.T @ kernels.own
    return fit_covariance(KernelPair(total, kernels.n_total - len(kernels.own), None), *rest)


def without_own(kind: str, seeds: range, threads: int) -> pd.DataFrame:
    """Inflation where the chromosomes of a pair are left out of the background; one row."""
    found = []
    with mock.patch.object(background_engine, "fit_covariance", others_alone):
        for seed in seeds:
            cohort = KINDS[kind](seed).cohort
            result = genoattn.scan_pairs(cohort, 1.0, background="loco", threads=threads)
            found.append(inflation(result.rows["p_value"]))
    row = {"kind": kind, "background": "others alone", "seeds": len(found), "lambda": np.mean(found)}
    return pd.DataFrame([row | {"lowest": min(found), "highest": max(found)}])


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
    for background, sites in ((None, None), ("genome", None), ("loco", "1:0-999999999")):
        began = time.process_time()
        result = genoattn.scan_pairs(
            cohort, 1e-4, background=background, sites=sites, missing="mean", threads=threads
        )
        processor, c = time.process_time() - began, result.counts
        rows.append(
            {
                "background": str(background), "samples": cohort.n_samples, "sites": cohort.n_sites,
                "tests": c["n_tests"], "reported": c["n_reported"],
                "tested_exactly": c.get("mixed_model", {}).get("tested_exactly", 0),
                "screen_ratio": c.get("mixed_model", {}).get("screen_ratio", np.nan),
                "processor_seconds": processor,
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Inflation of every kind of cohort, with its range over seeds, and the tails of the p-values."""
    kinds = list(dict.fromkeys(table["kind"]))
    figure, axes = plt.subplots(
        1, 2, figsize=(8.5, 0.5 * len(kinds) + 1.6), layout="constrained", sharey=True
    )
    for shift, (name, colour) in enumerate((("None", "0.5"), ("loco", "C0"), ("genome", "C1"))):
        part = table[table["background"] == name].set_index("kind").loc[kinds]
        at = np.arange(len(kinds)) + 0.2 * (shift - 1)
        label = "no background" if name == "None" else name
        axes[0].hlines(at, part["lowest"], part["highest"], color=colour, linewidth=1)
        axes[0].plot(part["lambda"], at, "o", color=colour, markersize=5, label=label)
        axes[1].plot(part["below_1e-3"], at, "o", color=colour, markersize=5)
        axes[1].plot(part["below_1e-4"], at, "^", color=colour, markersize=5)
    axes[0].axvspan(0.98, 1.02, color="0.9", zorder=0)
    axes[1].axvline(1, color="0.8", zorder=0)
    axes[0].set(yticks=range(len(kinds)), xlabel="inflation, and its range over cohorts")
    axes[0].set_yticklabels(kinds)
    axes[0].invert_yaxis()
    axes[1].set(xscale="log", xlabel="p < 1e-3 (o) and 1e-4 (^) over expected")
    axes[0].legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.2))
    figure.savefig(path, dpi=110)


def merged(path: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """A table with the rows of some kinds of cohort in place of what it has of them."""
    if path.exists():
        old = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])
        rows = pd.concat([old[~old["kind"].isin(rows["kind"])], rows])
    rows.to_csv(path, sep="\t", index=False, float_format="%.4g")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-calibration", action="store_true")
    parser.add_argument("--no-large", action="store_true")
    parser.add_argument("--no-power", action="store_true")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "mixed_model.tsv")
    options = parser.parse_args()
    seeds = range(1, options.seeds + 1)
    for kind in [] if options.no_calibration else options.kinds:
        table = calibration(kind, seeds, options.threads)
        print(table.to_string(index=False, float_format="%.3f"), flush=True)
        draw(merged(options.output, table), options.output.with_suffix(".png"))
    if not options.no_power:
        some = seeds[:5]
        found = pd.concat([power(kind, some, options.threads) for kind in options.kinds])
        print(found.to_string(index=False, float_format="%.3f"), flush=True)
        name = options.output.with_name(f"{options.output.stem}_power.tsv")
        merged(name, found)
        related = [kind for kind in options.kinds if kind in ("sibs", "mice")]
        found = pd.concat([without_own(kind, some, options.threads) for kind in related])
        print(found.to_string(index=False, float_format="%.3f"), flush=True)
        name = options.output.with_name(f"{options.output.stem}_others.tsv")
        merged(name, found)
    if not options.no_large:
        name = options.output.with_name(f"{options.output.stem}_large.tsv")
        large(options.threads).to_csv(name, sep="\t", index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
