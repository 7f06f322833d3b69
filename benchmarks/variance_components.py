"""Are variance components of a cohort unbiased, their standard errors the spread, their p-values uniform?

    python benchmarks/variance_components.py [--samples 5000] [--sites 10000] [--seeds 20]
    python benchmarks/variance_components.py --small [--cohorts 20] [--phenotypes 20]

Cohorts of five chromosomes of 20 Mb whose haplotypes are mosaics of founders, so that sites are linked over
megabases and pairs of samples differ enough in relatedness for epistasis to be seen. Every phenotype draws
new effects: of all sites, and of random pairs that are at least 1 Mb apart. The first form makes new
genotypes for each seed and three phenotypes of them, with 0, 5 and 10 % additive x additive. ``--small``
(1,000 samples x 1,000 sites) has other traits: strong additive effects, dominance alone, heavy-tailed noise,
few causal sites, causal sites that were not typed, a binary trait, and relatives who share an environment.
Prints a table: mean and spread of the estimates, mean reported standard error, share of p below 0.05.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from discovery_cohorts import hidden_causal

import genoattn
from genoattn.cohort import Cohort, Phenotype, Sites
from genoattn.inference.variance_columns import SiteWindows, StandardColumns
from genoattn.inference.variance_kernels import CohortKernels
from genoattn.inference.variance_matrices import KernelMatrices
from genoattn.inference.variance_moments import MomentFit

HERE = Path(__file__).parent
N_CHROMOSOMES, LENGTH = 5, 20_000_000
N_PAIRS = 4000  # that interact in a phenotype
NAMES = ("additive", "dominance", "additive x additive")


def mosaics(n: int, n_sites: int, rng: np.random.Generator, founders: int = 8) -> np.ndarray:
    """Haplotypes (n, n_sites), each a mosaic of founders with two switches a chromosome on average."""
    each = n_sites // N_CHROMOSOMES
    out = np.empty((n, N_CHROMOSOMES * each), np.int8)
    for c in range(N_CHROMOSOMES):
        copies = rng.integers(1, founders, each)  # founders that carry the effect allele
        pool = (np.argsort(rng.random((founders, each)), axis=0) < copies).astype(np.int8)
        for row, n_switches in enumerate(rng.poisson(2.0, n)):
            ends = np.sort(np.append(rng.integers(0, each, n_switches), [0, each]))
            who = np.repeat(rng.integers(0, founders, n_switches + 1), np.diff(ends))
            out[row, c * each : (c + 1) * each] = pool[who, np.arange(each)]
    return out


def cohort_of(calls: np.ndarray, trait: np.ndarray | None = None, binary: bool = False) -> Cohort:
    each = calls.shape[1] // N_CHROMOSOMES
    position = np.tile(np.linspace(1, LENGTH, each).astype(np.int64), N_CHROMOSOMES)
    chrom = np.repeat([str(c + 1) for c in range(N_CHROMOSOMES)], each)
    ids = np.array([f"{c}:{p}" for c, p in zip(chrom, position, strict=True)], dtype=object)
    n = len(ids)
    sites = Sites(ids, chrom, position, np.full(n, "A"), np.full(n, "G"), (("A/A", "A/G", "G/G"),) * n)
    samples = np.array([f"S{k}" for k in range(len(calls))], dtype=object)
    phenotype = None if trait is None else Phenotype("trait", trait, binary)
    return Cohort(samples, sites, calls, phenotype=phenotype)


class Genotypes:
    """Genotypes with what all phenotypes of them share."""

    def __init__(self, calls: np.ndarray, min_distance: int = 1_000_000) -> None:
        self.columns = StandardColumns(calls)
        self.windows = SiteWindows.of(cohort_of(calls), self.columns.varies, min_distance)
        n = len(calls)
        found = CohortKernels.of(self.columns, self.windows, np.arange(n))
        self.basis = np.full((n, 1), n**-0.5)
        self.matrices = KernelMatrices.of(found.kernels, self.basis)
        self.mean = self.matrices.moments.mean

    def additive(self, rng: np.random.Generator, n_causal: int | None = None) -> np.ndarray:
        """Value of effects of all sites, or of some, with an expected variance of 1: shape (n_samples,)."""
        sites = self.windows.site if n_causal is None else rng.choice(self.windows.site, n_causal, False)
        value = np.zeros(len(self.basis))
        for start in range(0, len(sites), 2000):
            x, _ = self.columns.of(sites[start : start + 2000])
            value += x @ rng.standard_normal(x.shape[1])
        return value / np.sqrt(len(sites) * self.mean[0])

    def dominance(self, rng: np.random.Generator) -> np.ndarray:
        _, d = self.columns.of(self.windows.site)
        return d @ rng.standard_normal(d.shape[1]) / np.sqrt(d.shape[1] * self.mean[1])

    def epistatic(self, rng: np.random.Generator) -> np.ndarray:
        """Value of effects of random pairs that are not close, with an expected variance of 1."""
        w = self.windows
        window = np.repeat(np.arange(len(w.sizes)), w.sizes)
        first, second = np.sort(rng.integers(0, len(w.site), (2, 2 * N_PAIRS)), axis=0)
        near = window[first] == window[second]
        near |= (window[second] == window[first] + 1) & w.follows[window[second]]
        first, second = first[~near][:N_PAIRS], second[~near][:N_PAIRS]
        value = np.zeros(len(self.basis))
        for start in range(0, len(first), 500):
            part = slice(start, start + 500)
            a, b = (self.columns.of(w.site[side[part]])[0] for side in (first, second))
            value += (a * b) @ rng.standard_normal(a.shape[1])
        return value / np.sqrt(len(first) * self.mean[2])

    def estimates(self, trait: np.ndarray) -> list[tuple[float, float, float, float]]:
        residual = (trait - trait.mean()) / trait.std()
        fit = MomentFit.of(self.matrices.moments, self.matrices.forms(residual), residual)
        tests = [fit.test(k) for k in range(len(NAMES))]
        return [(t.estimate, t.se, t.p_value, t.detectable) for t in tests]


def noise(rng: np.random.Generator, n_samples: int, variance: float) -> np.ndarray:
    return np.sqrt(variance) * rng.standard_normal(n_samples)


Rows = list[dict[str, object]]


def add(rows: Rows, scenario: str, truth: tuple[float, ...], estimates: list[tuple[float, ...]]) -> None:
    for name, true, (share, se, p_value, least) in zip(NAMES, truth, estimates, strict=True):
        rows.append({"scenario": scenario, "component": name, "truth": true, "share": share, "se": se,
                     "p_value": p_value, "detectable": least})  # fmt: skip


def full_size(n_samples: int, n_sites: int, n_seeds: int) -> Rows:
    rows: Rows = []
    for seed in range(n_seeds):
        rng = np.random.default_rng([seed, n_samples])
        haplotypes = mosaics(2 * n_samples, n_sites, rng)
        calls = haplotypes[::2] + haplotypes[1::2]
        began = time.process_time()
        genotypes = Genotypes(calls)
        seconds = time.process_time() - began
        for share in (0.0, 0.05, 0.1):
            trait = np.sqrt(0.4) * genotypes.additive(rng) + np.sqrt(share) * genotypes.epistatic(rng)
            trait += np.sqrt(0.6 - share) * rng.standard_normal(n_samples)
            began = time.process_time()
            found = genotypes.estimates(trait)
            add(rows, f"a x a {share:.0%}", (0.4, 0.0, share), found)
            own = time.process_time() - began
        print(f"seed {seed}: {seconds + own:.1f} s of processor time a cohort", flush=True)
    return rows


def small(n_samples: int, n_sites: int, n_cohorts: int, n_phenotypes: int) -> Rows:
    rows: Rows = []
    for seed in range(n_cohorts):
        rng = np.random.default_rng([seed, 7])
        haplotypes = mosaics(2 * n_samples, n_sites, rng)
        calls = haplotypes[::2] + haplotypes[1::2]
        typed = np.arange(0, calls.shape[1], 2)  # the others are not typed
        g, every, thin = Genotypes(calls), Genotypes(calls, 0), Genotypes(calls[:, typed])
        thin_every = Genotypes(calls[:, typed], 0)
        for _ in range(n_phenotypes):
            strong = np.sqrt(0.8) * g.additive(rng) + noise(rng, n_samples, 0.2)
            add(rows, "additive 80 %", (0.8, 0, 0), g.estimates(strong))
            add(rows, "additive 80 %, all pairs", (0.8, 0, 0), every.estimates(strong))
            add(rows, "additive 80 %, half of sites typed", (0.8, 0, 0), thin.estimates(strong))
            few = np.sqrt(0.6) * g.additive(rng, 10) + noise(rng, n_samples, 0.4)
            add(rows, "additive 60 %, 10 causal sites", (0.6, 0, 0), g.estimates(few))
            add(rows, "the same, half of sites typed", (0.6, 0, 0), thin.estimates(few))
            add(rows, "the same, all pairs", (0.6, 0, 0), thin_every.estimates(few))
            dominant = np.sqrt(0.2) * g.dominance(rng) + noise(rng, n_samples, 0.8)
            add(rows, "dominance 20 %", (0, 0.2, 0), g.estimates(dominant))
            heavy = rng.standard_t(3, n_samples) / np.sqrt(3)
            tailed = np.sqrt(0.4) * g.additive(rng) + np.sqrt(0.6) * heavy
            add(rows, "additive 40 %, noise t(3)", (0.4, 0, 0), g.estimates(tailed))
            mixed = (
                np.sqrt(0.4) * g.additive(rng) + np.sqrt(0.2) * g.epistatic(rng) + noise(rng, n_samples, 0.4)
            )
            add(rows, "a x a 20 %", (0.4, 0, 0.2), g.estimates(mixed))
            liability = np.sqrt(0.5) * g.additive(rng) + noise(rng, n_samples, 0.5)
            status = (liability > np.median(liability)).astype(float)  # 2/pi of an additive liability
            add(rows, "binary, half are cases", (0.5 * 2 / np.pi, 0, 0), g.estimates(status))
        print(f"cohort {seed} done", flush=True)
    return rows


def relatives(n_samples: int, n_sites: int, n_cohorts: int, n_phenotypes: int) -> Rows:
    """Pairs of siblings with a common environment of 20 %; additive effects are 30 %."""
    rows: Rows = []
    for seed in range(n_cohorts):
        rng = np.random.default_rng([seed, 8])
        parents = mosaics(2 * n_samples, n_sites, rng, founders=200)
        half, each = n_samples // 2, parents.shape[1] // N_CHROMOSOMES
        family = np.repeat(np.arange(half), 2)
        calls = np.zeros((n_samples, parents.shape[1]), np.int8)
        for parent in range(2):  # chromosomes without recombination, which is enough for siblings
            for c in range(N_CHROMOSOMES):
                part = slice(c * each, (c + 1) * each)
                which = 4 * family + 2 * parent + rng.integers(0, 2, n_samples)
                calls[:, part] += parents[which, part]
        g = Genotypes(calls)
        for _ in range(n_phenotypes):
            shared = np.repeat(rng.standard_normal(half), 2)
            trait = np.sqrt(0.3) * g.additive(rng) + np.sqrt(0.2) * shared
            trait += np.sqrt(0.5) * rng.standard_normal(n_samples)
            cohort = cohort_of(calls, trait)
            for kept, name in ((True, "siblings kept"), (False, "siblings left out (default)")):
                found = genoattn.variance_components(cohort, relatives=kept, by_chromosome=False)
                columns = ["share", "se", "p_value", "detectable"]
                add(rows, name, (0.3, 0, 0), [tuple(r) for r in found.components[columns].to_numpy()])
    return rows


def hidden(n_cohorts: int) -> Rows:
    """Additive causal variants that were not typed, coalescent linkage: 2,000 samples x 300 sites."""
    rows: Rows = []
    for n_causal in (5, 20):
        for seed in range(n_cohorts):
            cohort = hidden_causal(2000, 300, seed, n_causal).cohort
            for distance, name in ((0, "all pairs"), (1_000_000, "pairs 1 Mb apart (default)")):
                found = genoattn.variance_components(cohort, min_distance=distance, by_chromosome=False)
                columns = ["share", "se", "p_value", "detectable"]
                label = f"{n_causal} untyped causal sites, {name}"
                add(rows, label, (0.4, 0, 0), [tuple(r) for r in found.components[columns].to_numpy()])
    return rows


def table(rows: Rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    by = frame.groupby(["scenario", "component"], sort=False)
    out = by.agg(
        n=("share", "size"), truth=("truth", "mean"), mean=("share", "mean"), spread=("share", "std"),
        se=("se", "mean"), detectable=("detectable", "median"),
    )  # fmt: skip
    out["error_of_mean"] = out["spread"] / np.sqrt(out["n"])
    out["z_of_mean"] = (out["mean"] - out["truth"]) / out["error_of_mean"]
    out["se_over_spread"] = out["se"] / out["spread"]
    out["p_below_0.05"] = by["p_value"].agg(lambda p: (p < 0.05).mean())
    out["p_below_0.01"] = by["p_value"].agg(lambda p: (p < 0.01).mean())
    return out.reset_index()


def draw(rows: Rows, path: Path) -> None:
    frame = pd.DataFrame(rows)
    frame = frame[frame["component"] == NAMES[2]]
    names = list(dict.fromkeys(frame["scenario"]))
    figure, ax = plt.subplots(figsize=(7, 0.5 * len(names) + 1.2), layout="constrained")
    for k, name in enumerate(names):
        part = frame[frame["scenario"] == name]
        jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(part))
        ax.plot(100 * part["share"], k + jitter, ".", ms=3, color="C0", alpha=0.6)
        ax.errorbar(100 * part["share"].mean(), k, xerr=100 * part["se"].mean(), fmt="k|", capsize=3)
        ax.plot(100 * part["truth"].iloc[0], k, "D", color="C1", ms=5)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel(
        "additive x additive, %\ndots: cohorts; bars: mean and its standard error reported; diamonds: truth"
    )
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="other traits, in small cohorts")
    parser.add_argument("--samples", type=int)
    parser.add_argument("--sites", type=int)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cohorts", type=int, default=20)
    parser.add_argument("--phenotypes", type=int, default=20)
    a = parser.parse_args()
    n, n_sites = (a.samples or 1000, a.sites or 1000) if a.small else (a.samples or 5000, a.sites or 10_000)
    if a.small:
        rows = small(n, n_sites, a.cohorts, a.phenotypes)
        rows += hidden(3 * a.cohorts)
        rows += relatives(n, n_sites, a.cohorts, max(a.phenotypes // 4, 1))
    else:
        rows = full_size(n, n_sites, a.seeds)
    name = HERE / "results" / f"variance_components_{n}x{n_sites}"
    found = table(rows)
    found.to_csv(name.with_suffix(".tsv"), sep="\t", index=False, float_format="%.4g")
    print(found.round(3).to_string(index=False))
    draw(rows, name.with_suffix(".png"))


if __name__ == "__main__":
    main()
