"""Landscapes whose answer is known: published models, a Walsh transform, a Gaussian process, the clock.

    python benchmarks/landscape_checks.py [--data ../shared/data] [--seeds 3] [--output benchmarks/results]

CR6261: ten-fold R2 of orders 1 to 5. Poelwijk: ranks of its three large pairs from 20 % of the landscape, and
from 80 % R2 and the shares of the orders in the phenotype's variance against those of the Walsh transform of
all. Random landscapes of 13 sites with two states: R2 on variants left out, against the Gaussian process that
knows the variance of every order and of the noise. 30,000 variants of 15 sites to order 3: seconds.
Prints a table, and writes it to ``results/landscape_checks.md``, with a plot of the shares.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import product
from math import comb
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import genoattn
from genoattn.cohort import Cohort
from genoattn.fitting.metrics import r2

LARGE = ({143, 197}, {63, 143}, {63, 197})
POELWIJK_SITES = np.array([20, 45, 63, 127, 143, 158, 168, 172, 174, 197, 206, 207, 231])
WALSH_SHARES = np.array([0.119, 0.749, 0.066, 0.038])
RANDOM_SHARES = {1: 0.5, 2: 0.3, 3: 0.15}
NOISE = 0.1


def fitted(cohort: Cohort, order: int, **options: object) -> genoattn.FitResult:
    """A fit on all of the samples."""
    return genoattn.fit(cohort, order=order, test=0.0, **options)


def cross_validated(cohort: Cohort, order: int, folds: int = 10, seed: int = 0) -> float:
    fold = np.random.default_rng(seed).permutation(cohort.n_samples) % folds
    predicted = np.empty(cohort.n_samples)
    for k in range(folds):
        training, test = (cohort.select_samples(np.flatnonzero(x)) for x in (fold != k, fold == k))
        predicted[fold == k] = fitted(training, order).predict(test)
    return r2(cohort.phenotype.values, predicted)


def ranks_of_large_pairs(cohort: Cohort, seed: int) -> list[int]:
    """Ranks of the three large pairs by |coefficient| in the zero-sum gauge, one row a pair of sites."""
    some = np.random.default_rng(seed).permutation(cohort.n_samples)[: round(0.2 * cohort.n_samples)]
    rows = fitted(cohort.select_samples(some), 3, gauge="zero-sum").table.frame.query("order == 2")
    size = (
        rows["coefficient"].abs().groupby([rows["pos_1"], rows["pos_2"]]).max().sort_values(ascending=False)
    )
    pairs = [set(POELWIJK_SITES[[int(a) - 1, int(b) - 1]].tolist()) for a, b in size.index]
    return [pairs.index(p) + 1 for p in LARGE]


def shares_and_r2(cohort: Cohort, seed: int) -> tuple[np.ndarray, float]:
    """Shares of orders 1 to 4 in the phenotype's variance from 80 % of the samples, and R2 on the others."""
    shuffled = np.random.default_rng(seed).permutation(cohort.n_samples)
    cut = round(0.8 * cohort.n_samples)
    training, test = cohort.select_samples(shuffled[:cut]), cohort.select_samples(shuffled[cut:])
    linear = fitted(training, 4).variance.query("order >= 1")["share_of_phenotype"].to_numpy()
    linked = fitted(training, 4, link="monotone").predict(test)
    return linear, r2(test.phenotype.values, linked)


def random_landscape(n_sites: int, n_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Signs (n_samples, n_sites) of distinct variants, and their values with noise."""
    rng = np.random.default_rng(seed)
    every = np.array(list(product((-1.0, 1.0), repeat=n_sites)))
    signs = every[rng.permutation(len(every))[:n_samples]]
    overlap = signs @ signs.T
    factor = np.linalg.cholesky(random_kernel(overlap, n_sites) + 1e-8 * np.eye(n_samples))
    clean = factor @ rng.normal(size=n_samples)
    return signs, clean + rng.normal(0, np.sqrt(NOISE), n_samples)


def random_kernel(overlap: np.ndarray, n_sites: int) -> np.ndarray:
    """Sum over orders of the share times the mean product of as many sites, of inner products of signs."""
    power = [overlap, np.full_like(overlap, n_sites), overlap]  # sums over sites of (x y)^k
    elementary = [np.ones_like(overlap)]
    for k in range(1, max(RANDOM_SHARES) + 1):  # Newton's identities
        terms = [(-1) ** (i - 1) * elementary[k - i] * power[i - 1] for i in range(1, k + 1)]
        elementary.append(np.sum(terms, axis=0) / k)
    parts = [share / comb(n_sites, k) * elementary[k] for k, share in RANDOM_SHARES.items()]
    return np.asarray(np.sum(parts, axis=0))


def against_process(seed: int, n_sites: int = 13, n_samples: int = 3000) -> tuple[float, float]:
    """R2 on a fifth of the variants: genoattn's, and that of the process that knows the variances."""
    signs, y = random_landscape(n_sites, n_samples, seed)
    cut = round(0.8 * n_samples)
    kernel = random_kernel(signs @ signs[:cut].T, n_sites)
    known = kernel[cut:] @ np.linalg.solve(kernel[:cut] + NOISE * np.eye(cut), y[:cut])
    cohort = sequences(np.where(signs > 0, "C", "A"), y)
    found = fitted(cohort.select_samples(np.arange(cut)), 3).predict(
        cohort.select_samples(np.arange(cut, n_samples))
    )
    return r2(y[cut:], found), r2(y[cut:], known)


def sequences(letters: np.ndarray, y: np.ndarray) -> Cohort:
    """Variants (n_samples, n_sites) by way of a table."""
    frame = pd.DataFrame({"sequence": ["".join(row) for row in letters], "value": y})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "variants.tsv"
        frame.to_csv(path, sep="\t", index=False)
        return genoattn.read(path, trait="value", sequence_column="sequence")


def seconds_of_large(residues: str, link: str, seed: int = 1) -> float:
    """30,000 variants of 15 sites, order 3."""
    rng = np.random.default_rng(seed)
    calls = rng.integers(0, len(residues), (30_000, 15))
    effect = rng.normal(0, 0.3, (15, len(residues)))
    y = effect[np.arange(15), calls].sum(axis=1) + 2 * effect[0, calls[:, 0]] * effect[1, calls[:, 1]]
    cohort = sequences(np.array(list(residues))[calls], y + rng.normal(0, 0.5, len(y)))
    start = time.perf_counter()
    genoattn.fit(cohort, order=3, link=link)
    return time.perf_counter() - start


def plot(shares: np.ndarray, path: Path) -> None:
    """Shares of the orders, (n_seeds, 4), against those of the Walsh transform."""
    figure, axis = plt.subplots(figsize=(5, 3.6), layout="constrained")
    place = np.arange(1, 5)
    axis.bar(place - 0.2, WALSH_SHARES, 0.4, label="Walsh transform of all", color="tab:grey")
    axis.bar(place + 0.2, shares.mean(axis=0), 0.4, yerr=np.ptp(shares, axis=0) / 2, capsize=2,
             label="genoattn, from 80 %", color="tab:blue")  # fmt: skip
    axis.set(xlabel="order", ylabel="share of the variance", title="Poelwijk", xticks=place)
    axis.legend()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    lines = ["| landscape | figure | measured |", "| --- | --- | --- |"]

    def row(*cells: str) -> None:
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)

    if (options.data / "cr6261_h1.tsv").exists():
        cohort = genoattn.read(
            options.data / "cr6261_h1.fasta.gz", options.data / "cr6261_h1.tsv", trait="neg_log10_kd"
        )
        found = [cross_validated(cohort, k, seed=options.first_seed) for k in range(1, 6)]
        row("CR6261", "ten-fold R2, orders 1 to 5", ", ".join(f"{r:.3f}" for r in found))
        cohort = genoattn.read(
            options.data / "poelwijk_eqfp611.fasta.gz",
            options.data / "poelwijk_eqfp611.tsv",
            trait="brightness",
        )
        ranks = [sorted(ranks_of_large_pairs(cohort, seed)) for seed in seeds]
        row("Poelwijk, 20 %", "ranks of the three large pairs, by seed", "; ".join(map(str, ranks)))
        shares, linked = zip(*(shares_and_r2(cohort, seed) for seed in seeds), strict=True)
        off = np.abs(np.array(shares) - WALSH_SHARES).max()
        row("Poelwijk, 80 %", "largest difference of a share from the Walsh transform's", f"{off:.3f}")
        row("Poelwijk, 80 %", "test R2, order 4 with a link", ", ".join(f"{r:.3f}" for r in linked))
        plot(np.array(shares), options.output / "landscape_checks.png")
    else:
        print(f"no landscapes in {options.data}: simulated ones only")
    both = [against_process(seed) for seed in seeds]
    text = ", ".join(f"{ours:.4f} / {known:.4f}" for ours, known in both)
    row("random, 13 sites", "test R2 / that of the process that knows the variances", text)
    for residues in ("AC", "ACDEFGHIKLMNPQRSTVWY"):
        name = f"30,000 x 15 of {len(residues)} residues, order 3"
        seconds = [f"{seconds_of_large(residues, link):.0f}" for link in ("none", "monotone")]
        row(name, "seconds, without a link and with one", ", ".join(seconds))
    (options.output / "landscape_checks.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
