"""Measured landscapes: how well each method predicts variants it has not seen, how fast, in what memory.

    python benchmarks/landscapes.py [--quick] [--data ../shared/data] [--mavenn-python PYTHON]
        [--sets cr6261 ...] [--methods genoattn ridge ...] [--orders 1 2 3 4]
        [--links none monotone] [--unweighted] [--boosting]

Each method trains on 20, 50 or 80 % of a landscape and predicts the same 20 % of it, for three random splits.
Every training is a process of its own; seconds are those of fitting and predicting, without imports; memory
is the peak of the process, its libraries included. R2 is the coefficient of determination against the values
as measured, all samples alike; the noise ceiling next to it is 1 - mean(variance) / var(y), where the file
has variances. genoattn uses these variances (except where it says ``unweighted``), as does the Gaussian
process; ridge, MAVE-NN and boosting have no such option here.

MAVE-NN needs tensorflow, which rarely goes with other environments: ``--mavenn-python`` names a Python that
has ``mavenn`` (and scikit-learn, for ``--boosting``). What is not installed or too large is reported so.
Results are kept in ``results/landscapes.tsv`` and what is there is not run again, unless ``--again``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import spearmanr

import genoattn
from genoattn.cohort import Cohort
from genoattn.fitting.metrics import r2

HERE = Path(__file__).parent
WORKER = HERE / "landscape_methods" / "worker.py"
FIGURES = ["r2", "r2_correlation", "spearman", "seconds", "peak_mib"]
COLUMNS = ["set", "train", "method", "split", *FIGURES, "ceiling", "skipped"]
KEY = ["set", "train", "method", "split"]


@dataclass(frozen=True)
class Landscape:
    """A measured landscape: files of the data folder, trait, and column of variances."""

    name: str
    fasta: str
    table: str
    trait: str
    variance: str | None = None

    def read(self, folder: Path) -> Cohort:
        files = folder / self.fasta, folder / self.table
        return genoattn.read(*files, self.trait, variance_column=self.variance)


# The score_sd of his3 is 0 in a third of the rows, which says that it is not known there.
LANDSCAPES = (
    Landscape("cr6261", "cr6261_h1.fasta.gz", "cr6261_h1.tsv", "neg_log10_kd"),
    Landscape("trna", "trna.fasta.gz", "trna.tsv", "fitness", "fitness_var"),
    Landscape("poelwijk", "poelwijk_eqfp611.fasta.gz", "poelwijk_eqfp611.tsv", "brightness"),
    Landscape("fyn", "fyn_sh3_core.fasta.gz", "fyn_sh3_core.tsv.gz", "fitness", "fitness_var"),
    Landscape("his3", "his3_s12.fasta.gz", "his3_s12.tsv.gz", "score"),
    Landscape("gb1", "gb1_four_sites.fasta.gz", "gb1_four_sites.tsv.gz", "log_fitness", "log_fitness_var"),
    Landscape("aav", "aav.fasta.gz", "aav.tsv.gz", "score"),
    Landscape("lithium", "yeast_lithium.fasta.gz", "yeast_lithium.tsv.gz", "score", "variance"),
)


@dataclass(frozen=True)
class Method:
    """A method as the worker knows it, under the name it has in the table."""

    label: str
    worker: str
    settings: dict[str, object]
    python: str


def methods(options: argparse.Namespace) -> list[Method]:
    """Everything that is to be compared, in the order of the table."""
    here, peer = sys.executable, options.mavenn_python or sys.executable
    own = json.loads(options.genoattn_options)
    noted = ", unweighted" if options.unweighted else ""
    out = [Method(f"genoattn defaults{noted}", "genoattn", {"weighted": not options.unweighted, **own}, here)]
    out += [
        Method(
            f"genoattn {k}{label}{noted}",
            "genoattn",
            {"order": k, "link": link, "weighted": not options.unweighted, **own},
            here,
        )
        for link, label in (("none", ""), ("monotone", ", link"))
        if link in options.links
        for k in options.orders
    ]
    out += [Method(f"ridge {k}", "ridge", {"order": k}, here) for k in options.orders]
    out += [
        Method(f"MAVE-NN {kind}", "mavenn", {"gpmap": kind, "epochs": options.mavenn_epochs}, peer)
        for kind in ("additive", "pairwise")
    ]
    out.append(Method("Gaussian process", "gaussian process", {}, here))
    if options.boosting:
        out.append(Method("boosting", "boosting", {}, peer))
    chosen = options.methods
    return [m for m in out if chosen is None or m.worker in chosen]


def problems(
    cohort: Cohort, fractions: list[float], splits: int, folder: Path
) -> Iterator[tuple[float, int, Path, np.ndarray]]:
    """Fraction, split, the file for the worker, and the test samples' indices."""
    phenotype = cohort.phenotype
    assert phenotype is not None
    assert (cohort.calls >= 0).all(), "a landscape with missing residues"
    n = cohort.n_samples
    for fraction in fractions:
        for split in range(splits):
            shuffled = np.random.default_rng(split).permutation(n)
            test, train = shuffled[: round(0.2 * n)], shuffled[round(0.2 * n) :][: round(fraction * n)]
            path = folder / "problem.npz"
            np.savez(
                path,
                train=cohort.calls[train],
                test=cohort.calls[test],
                y=phenotype.values[train],
                variance=np.zeros(0) if phenotype.variance is None else phenotype.variance[train],
                n_states=cohort.sites.n_states,
                states=json.dumps(cohort.sites.states),
            )
            yield fraction, split, path, test


def run(method: Method, cohort: Cohort, problem: Path, test: np.ndarray, threads: int) -> dict:
    """Train and predict in a process of its own: the row's figures."""
    settings = dict(method.settings)
    if method.worker == "gaussian process":
        settings["order"] = min(cohort.n_sites, 4)
    if method.worker == "genoattn" and int(str(settings.get("order", 1))) > cohort.n_sites:
        return {"skipped": f"{cohort.n_sites} sites"}
    out = problem.with_name("out.npz")
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    done = subprocess.run(
        [method.python, str(WORKER), method.worker, str(problem), str(out), json.dumps(settings)],
        env={**os.environ, **limits, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"skipped": f"failed: {reason[:80]}"}
    with np.load(out) as found:
        if skipped := str(found["skipped"]):
            return {"skipped": skipped}
        prediction = found["prediction"]
        figures = {"seconds": float(found["seconds"]), "peak_mib": float(found["peak_mib"])}
    assert cohort.phenotype is not None
    observed = cohort.phenotype.values[test]
    rank = float(spearmanr(observed, prediction).statistic)
    squared = float(np.corrcoef(observed, prediction)[0, 1] ** 2)
    return {"r2": r2(observed, prediction), "r2_correlation": squared, "spearman": rank, **figures}


def ceiling(cohort: Cohort, test: np.ndarray) -> float:
    """1 - mean(variance) / var(y) of the test samples; NaN without variances."""
    phenotype = cohort.phenotype
    assert phenotype is not None
    if phenotype.variance is None:
        return np.nan
    return 1 - float(phenotype.variance[test].mean() / phenotype.values[test].var())


def measure(options: argparse.Namespace, rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Run what is not in the table yet; the table is written after every row."""
    kept = rows[~rows["skipped"].astype(str).str.startswith(("failed", "not installed"))]
    done = set() if options.again else set(kept[KEY].itertuples(index=False, name=None))
    with tempfile.TemporaryDirectory() as folder:
        for landscape in LANDSCAPES:
            if options.sets is not None and landscape.name not in options.sets:
                continue
            cohort = landscape.read(options.data)
            for fraction, split, problem, test in problems(
                cohort, options.fractions, options.splits, Path(folder)
            ):
                for method in methods(options):
                    key = (landscape.name, fraction, method.label, split)
                    if key in done:
                        continue
                    figures = run(method, cohort, problem, test, options.threads)
                    row = {**dict(zip(KEY, key, strict=True)), "ceiling": ceiling(cohort, test), **figures}
                    print({k: v for k, v in row.items() if v == v}, flush=True)
                    rows = pd.concat([rows, pd.DataFrame([row])]).drop_duplicates(KEY, keep="last")
                    rows = rows.reindex(columns=COLUMNS)
                    rows.to_csv(path, sep="\t", index=False, float_format="%.4g")
    return rows


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the splits: one row a set, fraction and method."""
    rows = rows.assign(skipped=rows["skipped"].fillna(""))
    order = {name: k for k, name in enumerate(dict.fromkeys(rows["method"]))}
    sets = {landscape.name: k for k, landscape in enumerate(LANDSCAPES)}
    table = rows.groupby(["set", "train", "method"], sort=False).agg(
        r2=("r2", "mean"),
        sd=("r2", "std"),
        r2_correlation=("r2_correlation", "mean"),
        spearman=("spearman", "mean"),
        seconds=("seconds", "mean"),
        peak_mib=("peak_mib", "mean"),
        ceiling=("ceiling", "mean"),
        splits=("r2", "count"),
        skipped=("skipped", "max"),
    )
    places = [(sets[s], t, order[m]) for s, t, m in table.index]
    return table.iloc[sorted(range(len(places)), key=places.__getitem__)].reset_index()


def markdown(table: pd.DataFrame) -> str:
    """The table, one section a set."""
    lines = ["# Measured landscapes", "", *(__doc__ or "").split("\n\n")[2].splitlines(), ""]
    for name, part in table.groupby("set", sort=False):
        limit = part["ceiling"].mean()
        known = "no variances in the file" if np.isnan(limit) else f"noise ceiling of R2 {limit:.3f}"
        lines += [f"## {name} ({known})", ""]
        lines += [
            "| train | method | R2 | sd | squared correlation | Spearman | seconds | peak MiB | splits |"
        ]
        lines += ["|" + " --- |" * 9]
        for row in part.to_dict("records"):
            if row["splits"]:
                sd = "" if np.isnan(row["sd"]) else f"{row['sd']:.3f}"
                squared = "" if np.isnan(row["r2_correlation"]) else f"{row['r2_correlation']:.3f}"
                figures = (
                    f"{row['r2']:.3f} | {sd} | {squared} | {row['spearman']:.3f} | {row['seconds']:.1f} | "
                )
                figures += f"{row['peak_mib']:.0f} | {row['splits']}"
            else:
                figures = f"{row['skipped']} | | | | | | 0"
            lines.append(f"| {row['train']:.0%} | {row['method']} | {figures} |")
        lines.append("")
    return "\n".join(lines)


def plot(table: pd.DataFrame, path: Path) -> None:
    """R2 against the share of the landscape that was measured, a panel a set; genoattn with a link only."""
    table = table[(table["splits"] > 0) & ~table["method"].str.startswith("ridge")]
    own = table["method"].str.startswith("genoattn")
    table = table[~own | table["method"].str.contains("link|defaults")]
    names = list(dict.fromkeys(table["set"]))
    blues = dict(zip("1234", plt.get_cmap("Blues")(np.linspace(0.35, 1, 4)), strict=True))
    others = {"MAVE-NN additive": "tan", "MAVE-NN pairwise": "tab:orange", "Gaussian process": "tab:green"}
    others |= {"boosting": "tab:red", "genoattn defaults": "black"}
    figure, axes = plt.subplots(2, 4, figsize=(16, 7), layout="constrained")
    for axis, name in zip(axes.flat, names, strict=False):
        part = table[table["set"] == name]
        for method, curve in part.groupby("method", sort=False):
            known = others.get(method.removesuffix(", unweighted"))
            colour = known or blues[method.split()[1][0]]
            style = "--x" if method in others else "-s" if "unweighted" in method else "-o"
            axis.plot(curve["train"], curve["r2"], style, color=colour, label=method, markersize=5)
        if not np.isnan(part["ceiling"].mean()):
            axis.axhline(part["ceiling"].mean(), color="grey", linewidth=0.8, label="noise ceiling")
        low = float(part["r2"].min())
        axis.set(
            title=name, xlabel="share for training", ylabel="R2", ylim=(low - 0.03, 1.0), xlim=(0.15, 0.85)
        )
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    handles = {h.get_label(): h for axis in axes.flat for h in axis.get_lines()}
    shown = sorted(handles)
    figure.legend([handles[k] for k in shown], shown, loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one split, 80 %% train, orders 1 to 3")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", choices=[landscape.name for landscape in LANDSCAPES])
    parser.add_argument(
        "--methods", nargs="+", choices=["genoattn", "ridge", "mavenn", "gaussian process", "boosting"]
    )
    parser.add_argument(
        "--orders", type=int, nargs="*", help="0 or more; genoattn's defaults run in any case"
    )
    parser.add_argument("--links", nargs="+", choices=["none", "monotone"], default=["none", "monotone"])
    parser.add_argument("--unweighted", action="store_true", help="genoattn is not told the variances")
    parser.add_argument("--fractions", type=float, nargs="+")
    parser.add_argument("--splits", type=int)
    parser.add_argument("--boosting", action="store_true", help="sklearn's gradient boosting too")
    parser.add_argument("--mavenn-python", help="a Python that has mavenn (default: this one)")
    parser.add_argument("--mavenn-epochs", type=int, default=100, help="at most; stops after 10 without gain")
    parser.add_argument("--genoattn-options", default="{}", help="options of genoattn.fit, as JSON")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="run also what the table has")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    options = parser.parse_args()
    if options.orders is None:
        options.orders = [1, 2, 3] if options.quick else [1, 2, 3, 4]
    options.fractions = options.fractions or ([0.8] if options.quick else [0.2, 0.5, 0.8])
    options.splits = options.splits or (1 if options.quick else 3)
    return options


def main() -> None:
    options = arguments()
    if not options.data.is_dir():
        print(f"{options.data}: no such folder; name the landscapes' with --data")
        return
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "landscapes.tsv"
    rows = pd.read_csv(path, sep="\t") if path.exists() else pd.DataFrame(columns=COLUMNS)
    rows = measure(options, rows, path)
    table = summary(rows)
    (options.output / "landscapes.md").write_text(markdown(table) + "\n")
    plot(table, options.output / "landscapes.png")
    print(table.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
