"""Does discovery find more than the exhaustive scan, and claim less than it should not? A table and a plot.

    python benchmarks/discovery.py [--seeds 10] [--samples 2000] [--sites 300] [--architectures pairs hub ...]
    [--tables] [--nulls] [--phantom] [--fit] [--output benchmarks/results]

Every seed is a fresh cohort, of msprime genotypes or (architectures ``unlinked-...``) of independent sites.
Average precision is of all pairs of sites: those that ``genoattn.discover`` ranks first, the others below by
|t|; the scan's is by |t| of the exact test of every pair, PLINK's. A claim is true if its sites have r2 of
0.1 or more with different sites of one planted term. ``--tables``: also the average precision of the pairs of
``interactions.tsv``, in the order of its rows, the others below as the scan has them. ``--nulls``: how many
cohorts without interactions claim any. ``--phantom``: the share of the signals of a plain scan that are
flagged by the phantom check, where additive causal variants are hidden and where interactions are real.
``--fit``: R2 on test samples against that of the additive model, interactions being 10 % of the variance.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from discovery_cohorts import ARCHITECTURES, SHORT, UNLINKED, WEAK, Trial
from threadpoolctl import threadpool_limits

import genoattn
from genoattn.inference.background import LINKED_R2
from genoattn.inference.discovery import why_no_discovery
from genoattn.interactions.columns import TermColumns

ALPHA = 0.05
NULLS = {
    name: ARCHITECTURES[name]
    for name in ("null", "additive", "hidden-20", "hidden-5", "populations", "populations-uneven", "exp")
} | SHORT


def site_pairs(rows: pd.DataFrame | TermColumns, cohort: genoattn.Cohort) -> np.ndarray:
    """Site indices of the rows of a table: shape (n_rows, 2), ascending."""
    index = pd.Index(cohort.sites.ids)
    return np.sort(np.stack([index.get_indexer(rows[f"site_{k}"]) for k in (1, 2)], axis=1), axis=1)


def linked_sites(cohort: genoattn.Cohort) -> np.ndarray:
    """Which sites have r2 of 0.1 or more: shape (n_sites, n_sites)."""
    return np.corrcoef(cohort.calls, rowvar=False) ** 2 >= LINKED_R2


def matches(trial: Trial, claimed: np.ndarray) -> np.ndarray:
    """Whether claimed pairs are linked to planted terms: shape (n_claims, n_terms)."""
    linked = linked_sites(trial.cohort)
    out = np.zeros((len(claimed), len(trial.terms)), dtype=bool)
    for k, term in enumerate(trial.terms):
        for a in term:
            for b in term:
                if a != b:
                    out[:, k] |= linked[claimed[:, 0], a] & linked[claimed[:, 1], b]
    return out


def error_and_power(trial: Trial, claimed: np.ndarray) -> tuple[float, float]:
    """Share of claims that are false, 0 where there are none; share of planted terms that were claimed."""
    match = matches(trial, claimed)
    false = float((~match.any(axis=1)).mean()) if len(claimed) else 0.0
    return false, float(match.any(axis=0).mean()) if len(trial.terms) else np.nan


def average_precision(ranked: np.ndarray, planted: np.ndarray) -> float:
    """Mean of the precision at each planted pair; both of shape (n, 2), ``ranked`` the likeliest first."""
    truth = {tuple(p) for p in planted.tolist()}
    hit = np.array([tuple(p) in truth for p in ranked.tolist()])
    if not len(truth):
        return np.nan
    return float((np.cumsum(hit)[hit] / (np.flatnonzero(hit) + 1)).sum() / len(truth))


def by_ranking_then_scan(ranking: np.ndarray, scanned: np.ndarray) -> np.ndarray:
    """Pairs in the order of the ranking, then those it does not list in the order of the scan."""
    joined = pd.DataFrame(np.concatenate([ranking, scanned])).drop_duplicates()
    return joined.to_numpy()


def measure(trial: Trial, seed: int, tables: bool = False) -> dict[str, float]:
    """One cohort, discovered and scanned; ``tables``: fitted too."""
    start = time.process_time()
    result = genoattn.fit(trial.cohort, seed=seed, alpha=ALPHA) if tables else None
    found = genoattn.discover(trial.cohort, seed=seed, alpha=ALPHA) if result is None else result.discovery
    assert found is not None
    seconds = time.process_time() - start
    scan = genoattn.scan_pairs(trial.cohort, 1.0, threads=1)
    every, significant = site_pairs(scan.rows, trial.cohort), scan.rows["q_value"] <= ALPHA
    ranked = by_ranking_then_scan(site_pairs(found.ranking, trial.cohort), every)
    listed = ranked
    if result is not None:
        rows = result.table.frame.query("order == 2")
        listed = by_ranking_then_scan(site_pairs(rows, trial.cohort), every)
    passing = found.signals[found.signals["q_value"] <= ALPHA]
    error, power = error_and_power(trial, site_pairs(found.claimed, trial.cohort))
    scan_error, scan_power = error_and_power(trial, every[significant])
    return {
        "AP": average_precision(ranked, trial.pairs),
        "table_AP": average_precision(listed, trial.pairs) if tables else np.nan,
        "scan_AP": average_precision(every, trial.pairs),
        "signals": len(found.claimed),
        "phantoms": len(passing) - len(found.claimed),
        "FDR": error,
        "FDR_with_phantoms": error_and_power(trial, site_pairs(passing, trial.cohort))[0],
        "power": power,
        "scan_pairs": int(significant.sum()),
        "scan_FDR": scan_error,
        "scan_power": scan_power,
        "seconds": seconds,
    }


def discovery(
    names: Sequence[str], n_samples: int, n_sites: int, seeds: Iterable[int], tables: bool
) -> pd.DataFrame:
    """One row a cohort."""
    rows = []
    for name in names:
        for seed in seeds:
            measured = measure((ARCHITECTURES | UNLINKED)[name](n_samples, n_sites, seed), seed, tables)
            rows.append({"architecture": name, "seed": seed, **measured})
        print(discovery_table(pd.DataFrame(rows).query("architecture == @name")).to_string(), flush=True)
    return pd.DataFrame(rows)


def mean_and_error(values: pd.Series, form: str = ".3f") -> str:
    """Mean and its standard error over seeds; nothing where there is no value."""
    values = values.dropna()
    if not len(values):
        return ""
    error = format(values.sem(), form) if len(values) > 1 else "?"
    return f"{values.mean():{form}} ± {error}"


def discovery_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row an architecture."""
    out = {}
    for name, group in rows.groupby("architecture", sort=False):
        has_pairs = group["AP"].notna().any()
        out[name] = {
            "AP": mean_and_error(group["AP"]),
            "scan AP": mean_and_error(group["scan_AP"]),
            "ratio": f"{group['AP'].mean() / group['scan_AP'].mean():.2f}" if has_pairs else "",
            "of the table": f"{group['table_AP'].mean() / group['scan_AP'].mean():.2f}" if has_pairs else "",
            "claimed": f"{(group['signals'] > 0).sum()} of {len(group)}",
            "signals": mean_and_error(group["signals"], ".1f"),
            "FDR": mean_and_error(group["FDR"]),
            "FDR with phantoms": mean_and_error(group["FDR_with_phantoms"]),
            "power": mean_and_error(group["power"]),
            "scan pairs": mean_and_error(group["scan_pairs"], ".1f"),
            "scan FDR": mean_and_error(group["scan_FDR"]),
            "scan power": mean_and_error(group["scan_power"]),
            "s": mean_and_error(group["seconds"], ".1f"),
        }
    return pd.DataFrame.from_dict(out, orient="index").rename_axis("architecture")


def phantom_rows(name: str, n_samples: int, n_sites: int, seeds: Iterable[int]) -> list[dict]:
    """Survival of every signal of a plain scan, the strongest of a cluster of linked pairs its lead.

    The scan's threshold is Bonferroni's. Where interactions were planted, only the true signals between
    chromosomes count; where none were, every signal is a phantom.
    """
    rows = []
    for seed in seeds:
        trial = ARCHITECTURES[name](n_samples, n_sites, seed)
        scan = genoattn.scan_pairs(trial.cohort, ALPHA / (n_sites * (n_sites - 1) / 2), threads=1)
        leads = cluster_leads(site_pairs(scan.rows, trial.cohort), linked_sites(trial.cohort))
        same = trial.cohort.sites.chrom[leads[:, 0]] == trial.cohort.sites.chrom[leads[:, 1]]
        if trial.terms:
            leads = leads[matches(trial, leads).any(axis=1) & ~same]
            same = np.zeros(len(leads), dtype=bool)
        ids = trial.cohort.sites.ids[leads]
        checked = genoattn.phantom_check(trial.cohort, {"site_1": ids[:, 0], "site_2": ids[:, 1]})
        for pair, within, row in zip(leads, same, checked.itertuples(), strict=True):
            distance = abs(int(np.diff(trial.cohort.sites.pos[pair])[0])) / 1e6 if within else np.nan
            rows.append(
                {
                    "architecture": name,
                    "seed": seed,
                    "Mb_apart": distance,
                    "survival": row.survival,
                    "flagged": row.flag == "phantom",
                }
            )
    return rows


def cluster_leads(ranked: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """Pairs (n, 2), the strongest first, less those linked at both sites to one before them."""
    leads: list[np.ndarray] = []
    for i, j in ranked:
        if not any((linked[i, a] and linked[j, b]) or (linked[i, b] and linked[j, a]) for a, b in leads):
            leads.append(np.array([i, j]))
    return np.array(leads, dtype=np.int64).reshape(-1, 2)


def phantom_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Signals and the share flagged, by architecture and by where the two sites lie."""
    close = rows["Mb_apart"] < 1
    place = np.where(
        rows["Mb_apart"].isna(), "other chromosomes", np.where(close, "within 1 Mb", "beyond 1 Mb")
    )
    out = (
        rows.assign(sites=place)
        .groupby(["architecture", "sites"], sort=False)["flagged"]
        .agg(["size", "mean"])
    )
    return out.rename(columns={"size": "signals", "mean": "flagged"}).reset_index()


def null_rows(n_samples: int, n_sites: int, seeds: Sequence[int]) -> list[dict]:
    """Claims in cohorts without interactions, by kind."""
    rows = []
    for name, make in NULLS.items():
        for seed in seeds:
            cohort = make(n_samples, n_sites, seed).cohort
            tested = not why_no_discovery(cohort)
            claims = len(genoattn.discover(cohort, seed=seed, alpha=ALPHA).claimed) if tested else 0
            rows.append({"no interactions": name, "seed": seed, "tested": tested, "claims": claims})
        print(null_table(pd.DataFrame(rows[-len(seeds) :])).to_string(index=False, header=False), flush=True)
    return rows


def null_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Cohorts of each kind, those with pairs that could be tested, and those with claims."""
    any_claim = rows.assign(claimed=rows["claims"] > 0).groupby("no interactions", sort=False)
    out = any_claim.agg(cohorts=("seed", "size"), tested=("tested", "sum"), claimed=("claimed", "sum"))
    return out.reset_index()


def fit_rows(n_samples: int, n_sites: int, seeds: Iterable[int]) -> pd.DataFrame:
    """R2 on test samples of the additive model and of the complete one."""
    rows = []
    for name, make in WEAK.items():
        for seed in seeds:
            cohort = make(n_samples, n_sites, seed).cohort
            start = time.perf_counter()
            fitted = genoattn.fit(cohort, seed=seed, refit=False)
            seconds = time.perf_counter() - start
            additive = genoattn.fit(cohort, seed=seed, order=1, refit=False).metrics.test
            r2 = {"additive_R2": additive, "fit_R2": fitted.metrics.test}
            rows.append({"architecture": name, "seed": seed, **r2, "seconds": seconds})
        print(fit_table(pd.DataFrame(rows)).to_string(index=False), flush=True)
    return pd.DataFrame(rows)


def fit_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row an architecture."""
    out = []
    for name, group in rows.groupby("architecture", sort=False):
        gain = group["fit_R2"] - group["additive_R2"]
        row = {"interactions 10 %": name, "additive R2": mean_and_error(group["additive_R2"])}
        row |= {"fit R2": mean_and_error(group["fit_R2"]), "gain": mean_and_error(gain, ".4f")}
        row |= {"smallest gain": f"{gain.min():.4f}", "s": mean_and_error(group["seconds"], ".1f")}
        out.append(row)
    return pd.DataFrame(out)


def plot(rows: pd.DataFrame, title: str, path: Path) -> None:
    """Average precision where pairs were planted; share of false claims everywhere."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", width_ratios=(1, 2))
    groups = rows.groupby("architecture", sort=False)
    mean, error = groups.mean(numeric_only=True), groups.sem(numeric_only=True).fillna(0.0)
    for axis, names, columns in (
        (left, mean.index[mean["AP"].notna()], ("scan_AP", "AP")),
        (right, mean.index, ("scan_FDR", "FDR")),
    ):
        place = np.arange(len(names))
        for shift, column, colour, label in zip(
            (-0.2, 0.2), columns, ("tab:grey", "tab:blue"), ("exhaustive scan", "genoattn"), strict=True
        ):
            axis.bar(
                place + shift, mean.loc[names, column], 0.4, yerr=error.loc[names, column], capsize=2,
                color=colour, label=label,
            )  # fmt: skip
        axis.set_xticks(place, names, rotation=35, ha="right")
        axis.set_ylim(0, 1.05)
    left.set(ylabel="average precision", title=f"Planted pairs, {title}")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    right.axhline(ALPHA, color="grey", linewidth=0.8, linestyle="--")
    right.set(ylabel="mean share of false claims", title="Claims at a false discovery rate of 5 %")
    figure.savefig(path, dpi=130)


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1]]
    shown = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in table.to_numpy(object)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines + shown)


def run(options: argparse.Namespace, seeds: range, stem: Path, title: str) -> list[str]:
    """The tables asked for, each written as TSV, in Markdown."""
    tables = []
    size = (options.samples, options.sites)
    if options.architectures:
        rows = discovery(options.architectures, *size, seeds, options.tables)
        rows.to_csv(f"{stem}.tsv", sep="\t", index=False, float_format="%.5g")
        plot(rows, title, Path(f"{stem}.png"))
        tables.append(markdown(discovery_table(rows).reset_index()))
    if options.phantom:
        names = ("hidden-20", "hidden-5", "pairs", "hub", "modules")
        rows = pd.DataFrame([row for name in names for row in phantom_rows(name, *size, seeds)])
        rows.to_csv(f"{stem}_phantom.tsv", sep="\t", index=False, float_format="%.5g")
        tables.append(markdown(phantom_table(rows)))
    if options.nulls:
        rows = pd.DataFrame(null_rows(*size, seeds))
        rows.to_csv(f"{stem}_nulls.tsv", sep="\t", index=False)
        tables.append(markdown(null_table(rows)))
    if options.fit:
        rows = fit_rows(*size, seeds)
        rows.to_csv(f"{stem}_fit.tsv", sep="\t", index=False, float_format="%.5g")
        tables.append(markdown(fit_table(rows)))
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument(
        "--architectures",
        nargs="*",
        choices=[*ARCHITECTURES, *UNLINKED],
        default=list(ARCHITECTURES),
        metavar="NAME",
    )
    parser.add_argument("--tables", action="store_true", help="also the rows of interactions.tsv")
    parser.add_argument(
        "--nulls", action="store_true", help="also how many cohorts without interactions claim"
    )
    parser.add_argument("--phantom", action="store_true", help="also the share of phantoms that are flagged")
    parser.add_argument("--fit", action="store_true", help="also R2 against the additive model")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    title = f"{options.samples:,} x {options.sites:,}"
    stem = options.output / f"discovery_{options.samples}x{options.sites}"
    with threadpool_limits(1):
        tables = run(options, seeds, stem, title)
    heading = f"{title}, seeds {seeds[0]} to {seeds[-1]}: mean ± standard error"
    text = "\n\n".join([heading, *tables]) + "\n"
    print("\n" + text)
    sections = [n for n in ("nulls", "phantom", "fit") if getattr(options, n)]
    name = "_".join([stem.name, *([] if options.architectures else sections)])
    (options.output / f"{name}.md").write_text(text)


if __name__ == "__main__":
    main()
