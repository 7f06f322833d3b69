"""One row, one quantity: do a table's coefficient and its effect say the same, and how long does it take?

    python benchmarks/estimands.py [--data ../shared/data] [--sets poelwijk ...] [--splice-site FASTA TABLE
    TRAIT]

For measured landscapes and simulated cohorts, in every gauge, over the first 200 tested rows of each order:
the share of rows in which ``coefficient`` and ``effect`` have opposite signs, the correlation of the two,
the median of coefficient / effect, and the largest difference of effect / se from ``statistic``. Seconds
are those of the fit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import genoattn
from genoattn.cohort import Cohort

HERE = Path(__file__).parent
FIRST = 200
FYN = ("fyn_sh3_core.fasta.gz", "fyn_sh3_core.tsv.gz", "fitness", "fitness_var")
GB1 = ("gb1_four_sites.fasta.gz", "gb1_four_sites.tsv.gz", "log_fitness", "log_fitness_var")
LINKED = {"order": 2, "link": "monotone"}
FILES = {  # name: alignment, table, trait, column of variances, settings
    "poelwijk": ("poelwijk_eqfp611.fasta.gz", "poelwijk_eqfp611.tsv", "brightness", None, {"order": 3}),
    "fyn": (*FYN, {"order": 2}),
    "fyn-link": (*FYN, LINKED),
    "cr6261": ("cr6261_h1.fasta.gz", "cr6261_h1.tsv", "neg_log10_kd", None, {"order": 3}),
    "trna": ("trna.fasta.gz", "trna.tsv", "fitness", "fitness_var", {"order": 2}),
    "lithium": ("yeast_lithium.fasta.gz", "yeast_lithium.tsv.gz", "score", "variance", {"order": 2}),
    "gb1": (*GB1, {"order": 2}),
    "his3": ("his3_s12.fasta.gz", "his3_s12.tsv.gz", "score", None, LINKED),
    "aav": ("aav.fasta.gz", "aav.tsv.gz", "score", None, LINKED | {"estimator": "attention"}),
}


def measured(folder: Path, names: list[str]) -> Iterator[tuple[str, Cohort, dict[str, Any]]]:
    """Landscapes that are in the data folder."""
    for name in names:
        if name not in FILES:
            continue
        fasta, table, trait, variance, settings = FILES[name]
        if not (folder / fasta).exists():
            print(f"{name}: {folder / fasta} is not there, skipped")
            continue
        options = {} if variance is None else {"variance_column": variance}
        yield name, genoattn.read(folder / fasta, folder / table, trait, **options), settings


def cohorts(names: list[str], seed: int) -> Iterator[tuple[str, Cohort, dict[str, Any]]]:
    """Simulated cohorts: linked sites, quantitative and binary, dosages and genotypes; many sites and few."""
    from genoattn.simulate import simulate_cohort

    for sites, samples in ((200, 1000), (15, 2000)):
        for binary in (False, True):
            for encoding in ("dosage", "genotype"):
                name = f"{'binary' if binary else 'quantitative'}-{encoding}-{samples}x{sites}"
                if names and not any(part in name for part in names):
                    continue
                options = {"prevalence": 0.4} if binary else {}
                cohort = simulate_cohort(
                    n_samples=samples, n_sites=sites, n_terms=3, seed=seed, **options
                ).cohort
                yield name, cohort, {"order": 2, "encoding": encoding}


def compare(table: genoattn.InteractionTable) -> pd.DataFrame:
    """One row an order: agreement of coefficient and effect over the first tested rows."""
    frame = table.frame
    if "effect" not in frame:
        frame = frame.assign(effect=frame["statistic"] * frame["se"])
    rows = []
    for order in range(1, table.manifest.order + 1):
        tested = frame[(frame["order"] == order) & frame["p_value"].notna()].head(FIRST)
        c, e = tested["coefficient"].to_numpy(), tested["effect"].to_numpy()
        rows.append(
            {
                "gauge": table.manifest.gauge,
                "order": order,
                "tested": len(tested),
                "opposite": float(np.mean(c * e < 0)) if len(c) else np.nan,
                "correlation": float(np.corrcoef(c, e)[0, 1]) if len(c) > 1 else np.nan,
                "ratio": float(np.median(c / e)) if len(c) else np.nan,
                "off": float(np.abs(e / tested["se"] - tested["statistic"]).max()) if len(c) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def draw(tables: dict[str, genoattn.InteractionTable], path: Path) -> None:
    """Coefficient against effect over the first tested rows of each order, one panel a set, five in a row."""
    n_rows = -(-len(tables) // 5)
    figure, axes = plt.subplots(n_rows, 5, figsize=(13, 2.7 * n_rows), layout="constrained", squeeze=False)
    for axis, (name, table) in zip(axes.flat, tables.items(), strict=False):
        for order in range(1, table.manifest.order + 1):
            rows = table.frame[(table.frame["order"] == order) & table.frame["p_value"].notna()].head(FIRST)
            axis.plot(rows["effect"], rows["coefficient"], ".", markersize=4, label=f"order {order}")
        axis.axline((0, 0), slope=1, color="0.7", linewidth=0.8)
        axis.set_title(name, fontsize=9)
    for axis in axes.flat[len(tables) :]:
        axis.remove()
    figure.supxlabel("effect", fontsize=9)
    figure.supylabel("coefficient, frequency gauge", fontsize=9)
    axes[0][0].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--sets", nargs="*", default=list(FILES))
    parser.add_argument(
        "--cohorts", nargs="*", default=None, help="names that simulated cohorts must contain"
    )
    parser.add_argument("--splice-site", nargs=3, metavar=("FASTA", "TABLE", "TRAIT"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "estimands.tsv")
    options = parser.parse_args()
    problems = list(measured(options.data, options.sets))
    if options.splice_site:
        fasta, table, trait = options.splice_site
        cohort = genoattn.read(fasta, table, trait)
        problems.append(("splice-site", cohort, {"order": 4, "link": "monotone"}))
    if options.cohorts is not None:
        problems += cohorts(options.cohorts, options.seed)
    parts, tables = [], {}
    for name, cohort, settings in problems:
        result, seconds = timed(lambda c=cohort, s=settings: genoattn.fit(c, seed=options.seed, **s))
        tables[name] = result.export("frequency")
        for gauge in ("frequency", "zero-sum", "reference"):
            part = compare(result.export(gauge))
            part.insert(0, "set", name)
            part["seconds"] = seconds
            print(part.to_string(index=False, header=not parts, float_format="%.3g"), flush=True)
            parts.append(part)
    options.output.parent.mkdir(exist_ok=True)
    pd.concat(parts).to_csv(options.output, sep="\t", index=False, float_format="%.4g")
    draw(tables, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
