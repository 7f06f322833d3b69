"""Peak memory of a scan of 10,000 samples x 50,000 sites: a slice of its tiles, the default --memory.

python benchmarks/scan_memory.py [--samples 10000] [--sites 50000] [--tiles 24] [--covariates 0]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from genoattn.cohort import Cohort, Covariates, Phenotype, Sites
from genoattn.scan.pair_scan import prepare, scan_engine
from genoattn.scan.settings import ScanConfig


def make_cohort(n_samples: int, n_sites: int, n_covariates: int) -> Cohort:
    """Independent sites, a normal trait; site by site, so that the calls are held once."""
    rng = np.random.default_rng(1)
    calls = np.empty((n_sites, n_samples), dtype=np.int8)
    for site in range(n_sites):
        calls[site] = rng.random(n_samples) < 0.3
        calls[site] += rng.random(n_samples) < 0.3
    names = np.array([f"s{i}" for i in range(n_sites)], dtype=object)
    sites = Sites(
        names,
        np.full(n_sites, "1", dtype=object),
        np.arange(n_sites) * 1000 + 1,
        np.full(n_sites, "A", dtype=object),
        np.full(n_sites, "G", dtype=object),
        (("A/A", "A/G", "G/G"),) * n_sites,
    )
    samples = np.array([f"i{i}" for i in range(n_samples)], dtype=object)
    covariates = None
    if n_covariates:
        labels = tuple(f"c{k}" for k in range(n_covariates))
        covariates = Covariates(labels, rng.normal(size=(n_samples, n_covariates)))
    trait = Phenotype("trait", rng.normal(size=n_samples), False)
    return Cohort(samples, sites, calls.T, phenotype=trait, covariates=covariates)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--sites", type=int, default=50_000)
    parser.add_argument("--tiles", type=int, default=400)
    parser.add_argument("--covariates", type=int, default=0)
    options = parser.parse_args()
    cohort = make_cohort(options.samples, options.sites, options.covariates)
    config = ScanConfig(threads=2)
    engine = scan_engine(prepare(cohort, config), cohort, config)
    engine.load()
    start = time.perf_counter()
    # Tiles of the first rows and of the last, so that blocks come and go.
    chosen = [*range(options.tiles // 2), *range(len(engine.tiles) - options.tiles // 2, len(engine.tiles))]
    n_pairs = sum(result.n_pairs for _, result in engine.run(chosen))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(
        f"memory, {options.samples:,} x {options.sites:,}: {peak:.2f} GB at its peak, over {len(chosen)} of "
        f"{len(engine.tiles):,} tiles ({n_pairs / seconds / 1e6:.1f} M pairs/s)"
    )


if __name__ == "__main__":
    main()
