"""Whether the scan's list is that of an exhaustive test, on many simulated cohorts of every kind.

    python benchmarks/scan_equality.py [--cohorts 300] [--seed 1]

Cohorts have 80 to 900 samples and 40 sites: common and rare alleles, sites in linkage up to copies of each
other, no to a fifth of the calls missing, 0 to 25 covariates (some follow sites, some are products of
sites), normal and heavy-tailed traits, cases of 5 to 50 %, main effects up to ten times the noise. Each is
scanned at three thresholds; every pair is also tested one by one. A pair that either list lacks is
printed.
"""

import argparse
from collections import Counter

import numpy as np

import genoattn
from genoattn.cohort import Cohort, Covariates, Phenotype, Sites
from genoattn.errors import InputError

THRESHOLDS = (1e-2, 1e-3, 1e-4)
N_SITES = 40


def draw_cohort(rng: np.random.Generator) -> Cohort:
    n, n_covariates = int(rng.integers(80, 900)), int(rng.choice([0, 0, 1, 3, 10, 25]))
    low, high = (0.005, 0.1) if rng.random() < 0.3 else (0.05, 0.95)
    calls = rng.binomial(2, rng.uniform(low, high, N_SITES), (n, N_SITES))
    linked = rng.choice([0.0, 0.5, 0.95, 1.0])
    for k in range(1, N_SITES):
        copied = rng.random(n) < linked * (rng.random() < 0.5)
        calls[copied, k] = calls[copied, k - 1]
    covariates = rng.normal(size=(n, n_covariates)) + calls[:, :n_covariates] * rng.choice([0.0, 1.0])
    if n_covariates > 2 and rng.random() < 0.5:
        covariates[:, 0] = calls[:, 3] * calls[:, 9] + rng.normal(0, 0.01, n)
    a, b = rng.choice(N_SITES, 2, replace=False)
    liability = rng.choice([0, 1, 10]) * calls[:, 5] + rng.choice([0, 0.5]) * calls[:, a] * calls[:, b]
    liability = liability + 0.5 * covariates.sum(axis=1)
    noise = rng.standard_t(3, n) if rng.random() < 0.5 else rng.normal(size=n)
    values = liability + noise
    binary = rng.random() < 0.5
    if binary:
        values = 0.3 * liability + rng.logistic(size=n)
        values = (values > np.quantile(values, rng.choice([0.5, 0.8, 0.95]))).astype(float)
    calls[rng.random(calls.shape) < rng.choice([0.0, 0.0, 0.01, 0.05, 0.2])] = -1
    names = [f"s{k}" for k in range(N_SITES)]
    position = 1 + 100 * np.arange(N_SITES)
    sites = Sites(
        names, ["1"] * N_SITES, position, ["A"] * N_SITES, ["G"] * N_SITES, (("A/A", "A/G", "G/G"),) * N_SITES
    )
    fixed = Covariates(tuple(f"c{k}" for k in range(n_covariates)), covariates) if n_covariates else None
    samples = [f"i{k}" for k in range(n)]
    return Cohort(
        samples, sites, calls.astype(np.int8), "genotype", Phenotype("trait", values, binary), fixed
    )


def pairs_of(frame) -> set:
    return set(zip(frame["site_1"], frame["site_2"], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, total = np.random.default_rng(options.seed), Counter()
    while total["cohorts"] < options.cohorts:
        cohort, missing = draw_cohort(rng), rng.choice(["complete", "complete", "mean"])
        try:
            every = genoattn.scan_pairs(cohort, 1.0, threads=1, missing=missing)
        except InputError:  # covariates that separate cases from controls, and the like
            total["refused"] += 1
            continue
        total["cohorts"] += 1
        kind = "binary" if cohort.phenotype.binary else "quantitative"
        total[kind] += 1
        for threshold in THRESHOLDS:
            found = genoattn.scan_pairs(cohort, threshold, threads=1, missing=missing)
            expected = every.frame[every.frame["p_value"] <= threshold]
            wrong = pairs_of(found.frame) ^ pairs_of(expected)
            total["listed"] += len(expected)
            total["wrong"] += len(wrong)
            total["n_tests differ"] += found.counts["n_tests"] != every.counts["n_tests"]
            for pair in sorted(wrong):
                p_value = every.frame.set_index(["site_1", "site_2"])["p_value"].get(pair)
                where = f"cohort {total['cohorts']} ({kind}, {missing}), p <= {threshold:g}"
                print(f"{where}: {pair}, p = {p_value}")
    print(", ".join(f"{count:,} {name}" for name, count in total.items()))


if __name__ == "__main__":
    main()
