"""Is the test of marginal epistasis calibrated, does it find hubs, and what does it cost?

    python benchmarks/marginal.py [--parts null hub cost] [--kinds few many ...] [--seeds 25] [--traits 5]

``null``: traits without interactions on linked sites of cohorts of msprime, several traits a cohort: the
share of p-values below 5, 1 and 0.1 %, with the standard error over cohorts, and genomic inflation.
``hub``: one site interacts weakly with many others; its rank among the sites, the r2 of the first site with
it, and what passes in the exact scan of all pairs. ``cost``: time and memory of the command, from VCF to
report, in a process of its own. Writes a table each, and a picture of the first two, to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from discovery_cohorts import ARCHITECTURES, independent
from scipy.stats import chi2

import genoattn
from genoattn.cohort import MISSING, Cohort, Covariates, Phenotype
from genoattn.io.phenotypes import rank_normal

HERE = Path(__file__).parent
RESULTS = HERE / "results"
LEVELS = (0.05, 0.01, 0.001)
# By kind: causal sites of an additive trait, 40 % of its variance (of relatives 60 %).
KINDS = {
    "some": 20, "few": 5, "many": 250, "covariates": 20, "missing calls": 20, "binary": 20,
    "heavy tails": 20, "none": 0, "siblings": 50, "two populations": 20, "no mask": 20, "untyped": 20,
    "curved scale": 20, "curved, rank": 20,
}  # fmt: skip


def standardised(calls: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and variance 1, where they vary."""
    x = calls - calls.mean(axis=0)
    return x / np.maximum(x.std(axis=0), 1e-3)


@cache
def unrelated(n_samples: int, n_sites: int, seed: int) -> Cohort:
    """A cohort of msprime; its trait is not used."""
    return ARCHITECTURES["null"](n_samples, n_sites, seed).cohort


@cache
def null_cohort(kind: str, n_samples: int, n_sites: int, seed: int) -> Cohort:
    """Genotypes of a kind."""
    if kind == "two populations":
        return ARCHITECTURES["populations"](n_samples, n_sites, seed).cohort
    cohort = unrelated(n_samples, n_sites, seed)
    return siblings(cohort, np.random.default_rng([seed, 5])) if kind == "siblings" else cohort


def siblings(cohort: Cohort, rng: np.random.Generator) -> Cohort:
    """Pairs of siblings whose parents are samples of a cohort; one crossover a chromosome."""
    calls, chrom = cohort.calls, cohort.sites.chrom
    first = np.where(calls == 1, rng.integers(0, 2, calls.shape), calls // 2)
    haplotypes = np.stack([first, calls - first])
    children = []
    for _ in range(len(calls) // 2):
        parents = rng.choice(len(calls), 2, replace=False)
        for _ in range(2):
            child = np.zeros(calls.shape[1], dtype=np.int8)
            for parent, c in ((p, c) for p in parents for c in np.unique(chrom)):
                at = np.flatnonzero(chrom == c)
                crossed = np.arange(len(at)) >= rng.integers(len(at))
                side = np.where(crossed, 1, 0) ^ rng.integers(2)
                child[at] += haplotypes[side, parent, at].astype(np.int8)
            children.append(child)
    return replace(cohort, samples=cohort.samples[: len(children)], calls=np.array(children), phenotype=None)


def null_trait(kind: str, cohort: Cohort, rng: np.random.Generator) -> Cohort:
    """The cohort with a trait of additive effects and noise, and what else is of the kind."""
    calls, n_causal = cohort.calls, KINDS[kind]
    x, n, causal = standardised(calls), len(calls), rng.choice(calls.shape[1], n_causal, replace=False)
    share = 0.6 if kind == "siblings" else 0.4 if n_causal else 0.0
    effects = rng.choice([-1, 1], n_causal) if n_causal < 100 else rng.standard_normal(n_causal)
    value = x[:, causal] @ effects
    noise = rng.standard_t(3, n) / np.sqrt(3) if kind == "heavy tails" else rng.standard_normal(n)
    trait = np.sqrt(share) * value / max(value.std(), 1e-9) + np.sqrt(1 - share) * noise
    covariates = None
    if kind == "covariates":
        values = np.column_stack([rng.standard_normal((n, 4)), calls[:, :2] + rng.standard_normal((n, 2))])
        covariates = Covariates(tuple(f"c{k}" for k in range(6)), values)
        trait = trait + values.sum(axis=1)
    if kind == "two populations":
        trait = trait + (np.arange(n) >= n // 2)
    if kind == "missing calls":
        calls = np.where(rng.random(calls.shape) < 0.05, MISSING, calls).astype(np.int8)
    if kind.startswith("curved"):
        trait = np.exp(trait)
    if kind == "curved, rank":
        trait = rank_normal(trait)
    binary = kind == "binary"
    phenotype = Phenotype("trait", (trait > 1).astype(float) if binary else trait, binary)
    out = replace(cohort, calls=calls, phenotype=phenotype, covariates=covariates)
    return out.select_sites(np.setdiff1d(np.arange(len(x.T)), causal)) if kind == "untyped" else out


def null_rows(kind: str, options: argparse.Namespace) -> dict[str, object]:
    """Tails of one kind of trait."""
    runs, relatives = [], []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        cohort = null_cohort(kind, *options.null_size, seed)
        rng = np.random.default_rng([seed, 7])
        for _ in range(options.traits):
            how = {"mask_distance": 0} if kind == "no mask" else {}
            found = genoattn.scan_marginal(null_trait(kind, cohort, rng), **how)
            p = found.frame["p_value"].to_numpy()
            runs.append(p[np.isfinite(p)])
            relatives.append(found.counts["relatives"])
    p = np.concatenate(runs)
    row: dict[str, object] = {"kind": kind, "n_tests": len(p)}
    for level in LEVELS:
        # Tests of one cohort are correlated, so that the error is over cohorts.
        share = np.array([np.mean(run < level) for run in runs])
        cohorts = share.reshape(options.seeds, options.traits).mean(axis=1)
        row |= {f"below_{level}": np.mean(p < level), f"se_{level}": cohorts.std() / np.sqrt(len(cohorts))}
    row["inflation"] = chi2.isf(np.median(p), 1) / chi2.ppf(0.5, 1)
    return row | {"relatives": float(np.mean(relatives))}


def hub_cohort(kind: str, n_samples: int, n_sites: int, n_partners: int, share: float, seed: int):
    """A cohort with a hub; returns it and the site."""
    rng = np.random.default_rng([seed, 9])
    if kind == "linked":
        cohort = unrelated(n_samples, n_sites, seed)
    else:
        cohort = independent(n_samples, n_sites, seed, "pairs", "normal", 0.1).cohort
    x, chrom = standardised(cohort.calls), cohort.sites.chrom
    hub = int(rng.integers(n_sites))
    partners = rng.choice(np.flatnonzero(chrom != chrom[hub]), n_partners, replace=False)
    product = x[:, hub] * (x[:, partners] @ rng.choice([-1, 1], n_partners))
    additive = x[:, rng.choice(n_sites, 20, replace=False)] @ rng.choice([-1, 1], 20)
    trait = np.sqrt(share) * product / product.std() + np.sqrt(0.2) * additive / additive.std()
    trait += np.sqrt(0.8 - share) * rng.standard_normal(n_samples)
    return replace(cohort, phenotype=Phenotype("trait", trait)), hub


def hub_rows(options: argparse.Namespace) -> pd.DataFrame:
    """Rank of the hub, and what the pair scan finds."""
    rows = []
    for kind, size in (("independent", (2000, 300, 200, 0.08)), ("linked", (2000, 500, 300, 0.08))):
        for seed in range(10):
            cohort, hub = hub_cohort(kind, *size, seed)
            frame = genoattn.scan_marginal(cohort).frame
            at = int(np.flatnonzero(frame["site"] == cohort.sites.ids[hub])[0])
            own, other = frame.iloc[at], frame.drop(index=at).iloc[0]
            first = int(np.flatnonzero(cohort.sites.ids == frame["site"].iloc[0])[0])
            r2 = np.corrcoef(cohort.calls[:, [hub, first]].T)[0, 1] ** 2
            pairs = genoattn.scan_pairs(cohort, threshold=1e-3)
            rows.append(
                {
                    "kind": kind, "n_samples": size[0], "n_sites": size[1], "partners": size[2],
                    "share": size[3], "seed": seed, "rank": at + 1, "p_value": own["p_value"],
                    "first_r2": r2, "next_p_value": other["p_value"], "estimate": own["variance_explained"],
                    "pair_bonferroni": int((pairs.rows["p_value"] <= pairs.bonferroni).sum()),
                    "pair_smallest_q": pairs.rows["q_value"].min(),
                }
            )  # fmt: skip
            print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1), flush=True)
    return pd.DataFrame(rows)


def cost_rows(options: argparse.Namespace) -> pd.DataFrame:
    """The command on simulated files: seconds, and the largest memory of its process."""
    rows = []
    for size in options.cost_sizes:
        n_samples, n_sites = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            simulate = ["simulate", "-o", f"{folder}/data", "--linkage", "none", "--architecture", "additive"]
            _run([*simulate, "--samples", str(n_samples), "--sites", str(n_sites)])
            tables = [f"{folder}/data/cohort.vcf.gz", "--pheno", f"{folder}/data/pheno.tsv"]
            began = time.perf_counter()
            used = _run(["scan", *tables, "--marginal", "-o", f"{folder}/out", "--threads", "2"])
            seconds = time.perf_counter() - began
        row = {"n_samples": n_samples, "n_sites": n_sites, "seconds": seconds, **used}
        print(row, flush=True)
        rows.append(row)
    return pd.DataFrame(rows)


def _run(arguments: list[str]) -> dict[str, float]:
    """Run a command of genoattn; the seconds of processors that it used, and its largest memory in GB."""
    command = [sys.executable, "-m", "genoattn_cli.main", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return {"processor_seconds": usage.ru_utime + usage.ru_stime, "memory_gb": usage.ru_maxrss / 1e6}


def draw(folder: Path) -> None:
    """Tails by kind, with twice their standard errors; the hub's p-value against that of the next site."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    null, hub = (folder / f"marginal_{part}.tsv" for part in ("null", "hub"))
    if null.is_file():
        table = pd.read_csv(null, sep="\t")
        at = np.arange(len(table))
        for k, level in enumerate(LEVELS):
            size = table[f"below_{level}"] / level
            error = 2 * table[f"se_{level}"] / level
            axes[0].errorbar(size, at + 0.15 * (k - 1), xerr=error, fmt="o", ms=4, label=f"{100 * level:g} %")
        axes[0].axvspan(0.9, 1.1, color="0.92")
        axes[0].axvline(1, color="0.6", lw=0.8)
        axes[0].set(yticks=at, xlabel="share of p-values below the level, over the level")
        axes[0].set_yticklabels(table["kind"])
        axes[0].invert_yaxis()
        axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    if hub.is_file():
        table = pd.read_csv(hub, sep="\t")
        for kind, part in table.groupby("kind"):
            own, other = (-np.log10(part[name]) for name in ("p_value", "next_p_value"))
            axes[1].plot(other, own, "o", ms=5, label=kind)
        axes[1].axline((0, 0), slope=1, color="0.6", lw=0.8)
        axes[1].set(xlabel="-log10 p of the best other site", ylabel="-log10 p of the hub")
        axes[1].legend(frameon=False, fontsize=8)
    figure.savefig(folder / "marginal.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="*", default=["null", "hub", "cost"])
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=25)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--traits", type=int, default=5)
    parser.add_argument("--null-size", type=int, nargs=2, default=(1000, 500), metavar=("SAMPLES", "SITES"))
    parser.add_argument(
        "--cost-sizes",
        nargs="*",
        default=["5000x2000", "10000x2000", "20000x2000", "5000x10000"],
        metavar="SAMPLESxSITES",
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.output.mkdir(exist_ok=True)
    if "null" in options.parts:
        rows = []
        for kind in options.kinds:
            rows.append(null_rows(kind, options))
            print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1), flush=True)
            _write(pd.DataFrame(rows), options.output / "marginal_null.tsv")
    for part, make in (("hub", hub_rows), ("cost", cost_rows)):
        if part in options.parts:
            _write(make(options), options.output / f"marginal_{part}.tsv")
    draw(options.output)


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, sep="\t", index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
