"""Yeast growth traits (Bloom 2013): ten-fold R2 on strains held out, and the interactions claimed from all.

    python benchmarks/yeast.py [--data ../shared/data] [--traits Maltose Cadmium_Chloride] [--folds 10]

Maltose has one large interaction, chr07 near 1.07 Mb with chr11 near 0.64 Mb; Cadmium_Chloride a strong main
effect and none. Prints a table, and writes it to ``benchmarks/results/yeast.md``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import genoattn


def held_out_r2(cohort: genoattn.Cohort, folds: int, seed: int) -> tuple[float, float]:
    """R2 of predictions of strains left out of the fit, and that of the additive model."""
    fold = np.random.default_rng(seed).permutation(cohort.n_samples) % folds
    y = cohort.phenotype.values
    predicted = np.empty((2, cohort.n_samples))
    for k in range(folds):
        train, test = (cohort.select_samples(np.flatnonzero(x)) for x in (fold != k, fold == k))
        for row, order in enumerate((2, 1)):
            predicted[row, fold == k] = genoattn.fit(train, order=order, seed=seed).predict(test)
        model, additive = (1 - np.mean((y - p)[fold <= k] ** 2) / y.var() for p in predicted)
        print(f"fold {k + 1} of {folds}: R2 so far {model:.3f}, additive {additive:.3f}", file=sys.stderr)
    model, additive = 1 - np.mean((y - predicted) ** 2, axis=1) / y.var()
    return float(model), float(additive)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--traits", nargs="*", default=["Maltose", "Cadmium_Chloride"])
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not (options.data / "yeast_byxrm.vcf.gz").exists():
        print(f"no yeast_byxrm.vcf.gz in {options.data}; nothing to measure")
        return
    lines = ["| trait | R2, held out | additive R2 | signals claimed | first | s of the fit to all |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for trait in options.traits:
        files = options.data / "yeast_byxrm.vcf.gz", options.data / "yeast_byxrm.pheno.tsv.gz"
        cohort = genoattn.read(*files, trait=trait)
        start = time.perf_counter()
        signals = genoattn.fit(cohort, seed=options.seed).discovery.claimed
        seconds = time.perf_counter() - start
        first = " x ".join(f"{signals[f'site_{k}'][0]}" for k in (1, 2)) if len(signals) else ""
        model, additive = held_out_r2(cohort, options.folds, options.seed)
        lines.append(f"| {trait} | {model:.3f} | {additive:.3f} | {len(signals)} | {first} | {seconds:.0f} |")
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    (Path(__file__).parent / "results" / "yeast.md").write_text(text)


if __name__ == "__main__":
    main()
