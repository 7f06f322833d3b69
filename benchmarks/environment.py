"""Do sites that interact with an environment come first, and is nothing claimed where none does?

    python benchmarks/environment.py [--seeds 10] [--samples 2000] [--sites 100] [--output benchmarks/results]
    python benchmarks/environment.py --yeast [--data ../shared/data]

Cohorts of independent samples, each in one of two environments (a category) or at a temperature (a number),
with an additive background of 40 % of the variance within an environment. The environment shifts the mean by
two standard deviations and, where it is high, makes the noise half as large again. Planted are three sites
whose effect depends on the environment, 3 % of the variance each, and for order 3 a pair of sites whose
interaction does, 5 %. Counted is how many of the first rows of the scan, and of the table of a fit, are
planted ones; signals claimed, true and false; and claims in cohorts without interactions. The last table has
the share of p-values below 0.05 of interactions with an environment in such cohorts, by the scan and by
regression with HC3 errors, where a share of the samples is in the environment of twice the noise.

``--yeast``: growth of segregants (Bloom 2013) on maltose and galactose, half of the strains, drawn at random,
with their value on the one and half with that on the other; and the difference of the two in all strains,
whose single sites are interactions with the medium, and whose pairs are pairs that depend on it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import genoattn
from genoattn.cohort import Phenotype
from genoattn.inference.robust import robust_test
from genoattn.simulate import simulate_cohort
from genoattn.views.marginal import marginal_effects

HERE = Path(__file__).parent


@dataclass(frozen=True)
class EnvironmentTrial:
    """A cohort in environments, with the IDs of the sites of each planted term."""

    cohort: genoattn.Cohort
    terms: list[frozenset[str]]


def make_trial(
    kind: str,
    seed: int,
    n: int,
    n_sites: int,
    planted: tuple[int, int],
    share: float = 0.5,
    noise: float = 1.5,
) -> EnvironmentTrial:
    """A cohort in two environments, ``share`` of it in the noisy one, or at temperatures.

    ``planted`` are the numbers of sites, and of pairs of sites, that interact with the environment.
    """
    plain = simulate_cohort(n_samples=n, n_sites=n_sites, linkage="none", n_terms=1, seed=seed).cohort
    rng = np.random.default_rng([seed, n])
    g = plain.calls - plain.calls.mean(axis=0)
    g /= g.std(axis=0)
    medium = rng.random(n) < share if kind == "category" else rng.normal(25, 4, n)
    z = (medium - medium.mean()) / medium.std()
    value = g @ rng.normal(size=n_sites)
    y = np.sqrt(0.4) * value / value.std() + 2 * z
    y += rng.normal(size=n) * np.sqrt(0.6) * np.where(z > 0, noise, 1.0)
    chosen = rng.choice(n_sites, planted[0] + 2 * planted[1], replace=False)
    groups = [[k] for k in chosen[: planted[0]]] + list(chosen[planted[0] :].reshape(-1, 2))
    for group in groups:
        product = g[:, group].prod(axis=1) * z
        y += rng.choice([-1, 1]) * np.sqrt(0.03 if len(group) == 1 else 0.05) * product / product.std()
    words = np.where(medium, "glycerol", "glucose") if kind == "category" else medium
    table = pd.DataFrame({"medium": words}, index=plain.samples)
    cohort = genoattn.with_environments(replace(plain, phenotype=Phenotype("growth", y)), table, "medium")
    terms = [frozenset([*plain.sites.ids[group], "medium"]) for group in groups]
    return EnvironmentTrial(cohort, terms)


def first_rows(frame: pd.DataFrame, order: int, terms: list[frozenset[str]]) -> int:
    """How many of the first rows of an order are planted terms, looking at as many as there are."""
    rows = frame[frame["order"] == order].head(len(terms))
    found = [frozenset(row) for row in rows[[f"site_{k}" for k in range(1, order + 1)]].to_numpy().tolist()]
    return sum(row in terms for row in found)


def recovery(kind: str, seeds: int, n: int, n_sites: int) -> dict[str, object]:
    """Planted terms that come first, and claims, over cohorts."""
    names = ("scan", "fit", "claimed", "false", "triple_scan", "triple_fit", "null", "n_null")
    total = dict.fromkeys(names, 0)
    for seed in range(1, seeds + 1):
        trial = make_trial(kind, seed, n, n_sites, (3, 0))
        total["scan"] += first_rows(genoattn.scan_pairs(trial.cohort, 1e-3).frame, 2, trial.terms)
        result = genoattn.fit(trial.cohort, seed=seed)
        total["fit"] += first_rows(result.table.frame, 2, trial.terms)
        claimed = [frozenset(p) for p in result.discovery.claimed[["site_1", "site_2"]].to_numpy().tolist()]
        total["claimed"] += sum(pair in trial.terms for pair in claimed)
        total["false"] += sum(pair not in trial.terms for pair in claimed)
        trial = make_trial(kind, seed, n, min(n_sites, 60), (0, 1))
        scan = genoattn.scan_triples(trial.cohort, 1e-4)
        total["triple_scan"] += first_rows(scan.frame, 3, trial.terms)
        result = genoattn.fit(trial.cohort, order=3, seed=seed)
        total["triple_fit"] += first_rows(result.table.frame, 3, trial.terms)
        trial = make_trial(kind, seed, n, n_sites, (0, 0))
        claimed_null = genoattn.discover(trial.cohort).claimed
        total["null"] += len(claimed_null)
        total["n_null"] += int((claimed_null[["site_1", "site_2"]] == "medium").any(axis=1).sum())
        print(f"{kind}, cohort {seed}: {total}", file=sys.stderr, flush=True)
    return {
        "environment": kind,
        "scan, first 3": f"{total['scan']} of {3 * seeds}",
        "fit, first 3": f"{total['fit']} of {3 * seeds}",
        "claimed": f"{total['claimed']} of {3 * seeds}",
        "false claims": total["false"],
        "triple first in scan": f"{total['triple_scan']} of {seeds}",
        "in fit": f"{total['triple_fit']} of {seeds}",
        "claims without interactions": f"{total['null']} ({total['n_null']} with the environment)",
    }


def false_positives(share: float, noise: float, cohorts: int, n: int, n_sites: int) -> dict[str, object]:
    """Shares of p-values below 0.05 of interactions with an environment where there are none."""
    scanned, robust = [], []
    for seed in range(1, cohorts + 1):
        cohort = make_trial("category", seed, n, n_sites, (0, 0), share, noise).cohort
        scanned += (genoattn.scan_pairs(cohort, 1.0, sites="medium").frame["p_value"] < 0.05).tolist()
        x = cohort.calls - cohort.calls.mean(axis=0)
        e, y = x[:, -1], cohort.phenotype.values[:, None]
        for a in x[:, :-1].T:
            others = np.column_stack([np.ones(len(a)), a, e])
            robust.append(robust_test(a * e, others, y).p_value < 0.05)
    return {
        "share in the noisy environment": share,
        "its noise": noise,
        "scan": f"{np.mean(scanned):.3f}",
        "with the larger of plain and HC3 errors": f"{np.mean(robust):.3f}",
    }


def yeast(data: Path) -> pd.DataFrame:
    """What is found with the medium as environment, and in the difference of the two values."""
    traits = pd.read_csv(data / "yeast_byxrm.pheno.tsv.gz", sep="\t")[
        ["IID", "Maltose", "Galactose"]
    ].dropna()
    value = traits[["Maltose", "Galactose"]]
    value = (value - value.mean()) / value.std()
    on_maltose = np.random.default_rng(1).permutation(len(traits)) % 2 == 0
    one = traits[["IID"]].assign(
        growth=np.where(on_maltose, value["Maltose"], value["Galactose"]),
        medium=np.where(on_maltose, "maltose", "galactose"),
        difference=value["Maltose"] - value["Galactose"],
    )
    vcf = data / "yeast_byxrm.vcf.gz"
    halves = genoattn.read(vcf, one, "growth", covar=one[["IID", "medium"]], environment="medium")
    claimed = genoattn.discover(halves).claimed
    rows = [("halves, claimed", claimed)]
    medium = claimed[claimed["site_2"] == "medium"]["site_1"].tolist()
    leads = [(a, b) for a in medium for b in medium if a < b]
    if leads:
        triples = genoattn.scan_triples(halves, 1e-6, pairs=leads).frame
        names = triples[["site_1", "site_2", "site_3"]].to_numpy().tolist()
        rows.append(("halves, both leads and the medium", triples[["medium" in triple for triple in names]]))
    whole = genoattn.read(vcf, one, "difference")
    single = marginal_effects(whole).sort_values("p_value").drop_duplicates("chrom").head(2)
    rows.append(("difference, single sites", single.rename(columns={"site": "site_1"})))
    rows.append(("difference, claimed", genoattn.discover(whole).claimed))
    found = [frame.assign(data=said) for said, frame in rows]
    columns = ["data", "site_1", "site_2", "site_3", "p_value", "q_value"]
    out = pd.concat(found).reindex(columns=columns).astype(object)
    for name in ("p_value", "q_value"):
        out[name] = [f"{value:.2g}" for value in out[name]]
    return out.fillna("").replace("nan", "")


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--sites", type=int, default=100)
    parser.add_argument("--output", type=Path, default=HERE / "results")
    parser.add_argument("--yeast", action="store_true")
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    options = parser.parse_args()
    if options.yeast:
        print(markdown(yeast(options.data)))
        return
    size = options.seeds, options.samples, options.sites
    found = pd.DataFrame([recovery(kind, *size) for kind in ("category", "number")])
    settings = [(0.5, 1.0), (0.5, 2.0), (0.2, 2.0), (0.8, 2.0)]
    rates = pd.DataFrame([false_positives(share, noise, *size) for share, noise in settings])
    text = "\n\n".join(markdown(frame) for frame in (found, rates)) + "\n"
    print("\n" + text)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "environment.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
