"""Every order at once on measured landscapes: accuracy, time, memory, and the kernel that was learned.

    python benchmarks/product_kernel.py [--data ../shared/data] [--sets aav gb1 ...] [--splits 3]
        [--per-site] [--again]

The Gaussian process with a product kernel (genoattn.closed_form.product_kernel_fit) trains on 80 % of a
landscape and predicts the other 20 %, for random splits; kernel, noise and intercept come from the training
samples alone. Each training is a process of its own; seconds are those of fitting and of predicting, without
reading; memory is the peak of the process, libraries included. ``r2_correlation`` is the squared correlation
with the values as measured, ``r2`` the coefficient of determination. ``variance`` and ``noise`` are shares of
the phenotype's variance, ``noise_scale`` the multiple of known variances, ``decay`` the least, median and
largest share of correlation that a change to an allele from another like it costs. ``published`` is
the best squared correlation of Zhou et al. 2025 (EpiK), on splits of their own.

Rows are kept in ``results/product_kernel.tsv`` and what is there is not run again, unless ``--again``.
"""

from __future__ import annotations

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from landscapes import LANDSCAPES, Landscape

from genoattn.closed_form.product_kernel_fit import fit_product_kernel
from genoattn.fitting.metrics import r2
from genoattn.model.data import training_data

HERE = Path(__file__).parent
KEY = ["set", "kernel", "split"]
PUBLISHED = {"aav": 0.867, "lithium": 0.767, "gb1": 0.864}
SETS = {
    **{landscape.name: landscape for landscape in LANDSCAPES},
    "aav": Landscape("aav", "aav.fasta.gz", "aav.tsv.gz", "score"),
    "lithium": Landscape("lithium", "yeast_lithium.fasta.gz", "yeast_lithium.tsv.gz", "score", "variance"),
}
DEFAULT = ("cr6261", "trna", "poelwijk", "fyn", "lithium", "aav", "gb1")


def measure(landscape: Landscape, folder: Path, split: int, per_allele: bool) -> dict[str, object]:
    """Train on 80 % and predict the rest: the figures of a row."""
    cohort = landscape.read(folder)
    assert cohort.phenotype is not None
    y, variance = cohort.phenotype.values, cohort.phenotype.variance
    shuffled = np.random.default_rng(split).permutation(len(y))
    test, train = np.split(shuffled, [round(0.2 * len(y))])
    known = None if variance is None else variance[train]
    names = training_data(cohort).state_names if per_allele else None
    start = time.perf_counter()
    model = fit_product_kernel(
        cohort.calls[train],
        cohort.sites.n_states,
        y[train],
        known,
        per_allele=per_allele,
        state_names=names,
        seed=split,
    )
    fitted = time.perf_counter()
    predicted = model.predict(cohort.calls[test])
    unit = float(y[train].var())
    decay = np.quantile(1 - np.exp(-2 * model.learned.decay), [0, 0.5, 1])
    return {
        "n_train": len(train),
        "r2_correlation": float(np.corrcoef(y[test], predicted)[0, 1] ** 2),
        "r2": r2(y[test], predicted),
        "fit_s": fitted - start,
        "predict_s": time.perf_counter() - fitted,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,  # kilobytes on Linux
        "solver": model.system.name,
        "variance": model.kernel.variance / unit,
        "noise": model.learned.noise / unit,
        "noise_scale": model.learned.variance_scale,
        "decay": " ".join(f"{d:.2g}" for d in decay),
        "published": PUBLISHED.get(landscape.name, np.nan),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=DEFAULT)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--per-site", action="store_true", help="one decay a site, not one an allele")
    parser.add_argument("--again", action="store_true", help="run also what the table has")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    options = parser.parse_args()
    path = options.output / "product_kernel.tsv"
    rows = pd.read_csv(path, sep="\t") if path.exists() else pd.DataFrame(columns=KEY)
    done = set() if options.again else set(rows[KEY].itertuples(index=False, name=None))
    kernel = "per site" if options.per_site else "per allele"
    for name in options.sets:
        landscape = SETS[name]
        if not (options.data / landscape.fasta).exists():
            print(f"{name}: skipped, {options.data / landscape.fasta} is not there; see --data")
            continue
        for split in range(options.splits):
            if (name, kernel, split) in done:
                continue
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                figures = pool.submit(measure, landscape, options.data, split, not options.per_site).result()
            row = {"set": name, "kernel": kernel, "split": split, **figures}
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
            rows = pd.concat([rows, pd.DataFrame([row])]).drop_duplicates(KEY, keep="last")
            options.output.mkdir(parents=True, exist_ok=True)
            rows.to_csv(path, sep="\t", index=False, float_format="%.6g")
    if len(rows):
        print(rows.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
