"""Do intervals of effects hold the truth, and are p-values of true zeros uniform?

    python benchmarks/calibration.py [--kinds complete sparse ...] [--seeds 10] [--first-seed 1]

Landscapes and cohorts are simulated with known coefficients, fitted, and every tested row of order 1 and
above is compared with the true coefficient of its gauge: that of the simulated phenotype itself, projected
on the gauge by its definition. Behind a link the truth is scaled by the convention of the latent phenotype
(its standard deviation is that of the measured one). Prints, by kind, gauge and order, the share of 95 %
intervals ``effect +- 1.96 se`` that hold the truth, and the share of true zeros with p < 0.05.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import genoattn
from genoattn.cohort import Cohort, Phenotype, Sites
from genoattn.interactions.expansion import Expansion
from genoattn.tokens import Vocabulary
from genoattn.tokens.gauge_centre import gauge_centre

HERE = Path(__file__).parent
GAUGES = ("frequency", "zero-sum", "reference")


@dataclass(frozen=True)
class Truth:
    """A latent phenotype as a sum of tables, one a set of sites, over all of their states."""

    tables: dict[tuple[int, ...], np.ndarray]

    def value(self, calls: np.ndarray) -> np.ndarray:
        """Of samples (n_samples, n_sites)."""
        parts = [table[tuple(calls[:, s].T)] for s, table in self.tables.items()]
        return np.sum(parts, axis=0)

    def coefficient(
        self, weights: list[np.ndarray], sites: tuple[int, ...], states: tuple[int, ...]
    ) -> float:
        """Of a term, under the gauge's weights of the states of each site: alternating sum of projections."""
        total = 0.0
        for s, table in self.tables.items():
            if not set(sites) <= set(s):
                continue
            for axis in reversed(range(len(s))):
                p = weights[s[axis]]
                if s[axis] in sites:
                    state = states[sites.index(s[axis])]
                    table = np.take(table, state, axis) - np.tensordot(table, p, (axis, 0))
                else:
                    table = np.tensordot(table, p, (axis, 0))
            total += float(table)
        return total


def random_tables(
    rng: np.random.Generator, n_states: list[int], variances: dict[int, float], filled: float = 1.0
) -> Truth:
    """Tables of random effects; a share ``filled`` of the sets of two sites and more have any."""
    tables = {}
    for order, variance in variances.items():
        sets = [s for s in combinations(range(len(n_states)), order)]
        if order > 1:
            sets = [s for s in sets if rng.random() < filled] or sets[:1]
        for s in sets:
            table = rng.normal(size=[n_states[k] for k in s])
            for axis in range(order):
                table = table - table.mean(axis=axis, keepdims=True)
            tables[s] = table * np.sqrt(variance / len(sets)) / max(table.std(), 1e-9)
    return Truth(tables)


def sequences(calls: np.ndarray, n_states: list[int], y: np.ndarray) -> Cohort:
    """An alignment."""
    n = len(n_states)
    states = tuple(tuple("ACDEFGHIKLMNPQRSTVWY"[:k]) for k in n_states)
    sites = Sites([f"s{k}" for k in range(n)], [""] * n, np.arange(n) + 1, ["A"] * n, [""] * n, states)
    return Cohort(
        [f"v{k}" for k in range(len(calls))], sites, calls.astype(np.int8), "sequence", Phenotype("y", y)
    )


def landscape(
    seed: int, n_states: list[int], n_samples: int | None, variances: dict[int, float], noise: float,
    link: Callable[[np.ndarray], np.ndarray] | None = None, filled: float = 1.0,
) -> tuple[Cohort, Truth, float]:  # fmt: skip
    """Samples of a landscape (all of it if None), with its truth and the latent scale's convention."""
    rng = np.random.default_rng(seed)
    truth = random_tables(rng, n_states, variances, filled)
    if n_samples is None:
        calls = np.array(list(product(*map(range, n_states))))
    else:  # uneven frequencies, as libraries have
        odds = [rng.dirichlet(np.full(k, 5.0)) for k in n_states]
        calls = np.stack([rng.choice(k, n_samples, p=p) for k, p in zip(n_states, odds, strict=True)], axis=1)
    latent = truth.value(calls)
    clean = latent if link is None else link(latent)
    y = clean + rng.normal(0, noise * clean.std(), len(calls))
    return sequences(calls, n_states, y), truth, float(clean.std() / latent.std())


def sigmoid(latent: np.ndarray) -> np.ndarray:
    """Levels off at both ends."""
    return 1 / (1 + np.exp(-1.7 * latent))


def genotypes(
    seed: int,
    n_samples: int,
    n_sites: int,
    encoding: str,
    binary: bool,
    linkage: str = "none",
    n_pairs: int = 3,
) -> tuple[Cohort, pd.DataFrame]:
    """A cohort with planted pairs and additive effects; the truth by (site, site) in the frequency gauge."""
    from genoattn.simulate import simulate_cohort

    base = simulate_cohort(
        n_samples=n_samples, n_sites=n_sites, architecture="null", linkage=linkage, seed=seed, n_chromosomes=5
    ).cohort
    rng = np.random.default_rng([seed, 1])
    dosage = base.calls.astype(np.float64)
    centred = dosage - dosage.mean(axis=0)
    common = rng.permutation(np.flatnonzero(np.abs(dosage.mean(axis=0) - 1) < 0.7))
    chrom = base.sites.chrom
    pairs: list[tuple[int, int]] = []
    used: set[int] = set()
    for a, b in combinations(common.tolist(), 2):
        if len(pairs) < n_pairs and chrom[a] != chrom[b] and not used & {a, b}:
            pairs.append((min(a, b), max(a, b)))
            used |= {a, b}
    effect: dict[tuple[int, ...], float] = {}
    for k in rng.permutation(n_sites)[: max(5, n_sites // 10)].tolist():
        effect[(k,)] = rng.normal() * 0.3
    for pair in pairs:
        effect[pair] = 0.8 * rng.choice([-1, 1])
    eta = sum(size * centred[:, list(s)].prod(axis=1) for s, size in effect.items())
    if binary:
        y = (rng.random(n_samples) < 1 / (1 + np.exp(-(eta - 0.3)))).astype(float)
    else:
        y = eta + rng.normal(0, 1, n_samples)
    cohort = Cohort(base.samples, base.sites, base.calls, "genotype", Phenotype("y", y, binary))
    return cohort, effect


def compare_landscape(
    cohort: Cohort, truth: Truth, scale: float, settings: dict[str, Any], most: int, seed: int
) -> pd.DataFrame:
    """Tested rows with their true coefficients."""
    result = genoattn.fit(cohort, seed=seed, device="cpu", **settings)
    v = result.manifest.vocabulary
    rng = np.random.default_rng(seed)
    parts = []
    for gauge in GAUGES:
        weights = np.split(gauge_centre(v, gauge), v.first[1:])
        frame = result.export(gauge).frame
        for order in range(1, result.manifest.order + 1):
            rows = frame[(frame["order"] == order) & frame["p_value"].notna()]
            rows = rows.iloc[np.sort(rng.permutation(len(rows))[:most])]
            index = {name: k for k, name in enumerate(cohort.sites.ids)}
            true = []
            for row in rows.to_dict("records"):
                sites = tuple(index[row[f"site_{k}"]] for k in range(1, order + 1))
                states = tuple(
                    cohort.sites.states[s].index(row[f"state_{k + 1}"]) for k, s in enumerate(sites)
                )
                true.append(scale * truth.coefficient(weights, sites, states))
            parts.append(_compared(rows, np.array(true), gauge, order))
    return pd.concat(parts).assign(method=result.tested.method)


def compare_cohort(
    cohort: Cohort, effect: dict[tuple[int, ...], float], settings: dict[str, Any], seed: int
) -> pd.DataFrame:
    """Tested rows of dosages with their true coefficients."""
    result = genoattn.fit(cohort, seed=seed, device="cpu", **settings)
    v = result.manifest.vocabulary
    index = {name: k for k, name in enumerate(cohort.sites.ids)}
    is_dosage = v.encoding == "dosage"
    parts = []
    for gauge in GAUGES:
        frame = result.export(gauge).frame
        centre = gauge_centre(v, gauge)
        moved = (centre - v.mean) if is_dosage else None
        for order in (1, 2):
            rows = frame[(frame["order"] == order) & frame["p_value"].notna()]
            true = []
            for row in rows.to_dict("records"):
                sites = tuple(sorted(index[row[f"site_{k}"]] for k in range(1, order + 1)))
                if is_dosage:
                    value = effect.get(sites, 0.0)
                    if order == 1:
                        value += sum(
                            size * moved[s[1] if s[0] == sites[0] else s[0]]
                            for s, size in effect.items()
                            if len(s) == 2 and sites[0] in s
                        )
                else:
                    value = _of_states(cohort, effect, sites, row, order, centre, v)
                true.append(value)
            parts.append(_compared(rows, np.array(true), gauge, order))
    if is_dosage and result.tested.method == "mixed model":
        parts.append(_unselected(cohort, effect, result, seed))
    return pd.concat(parts).assign(method=result.tested.method)


def _unselected(
    cohort: Cohort, effect: dict[tuple[int, ...], float], result: genoattn.FitResult, seed: int
) -> pd.DataFrame:
    """Pairs drawn at random, with the planted ones: those of a table have been chosen for standing out."""
    from genoattn.interactions.extract import readout_factors
    from genoattn.interactions.mixed import MixedModel
    from genoattn.model.prediction import predict_orders
    from genoattn.model.working_response import ResponseModel

    rng, v = np.random.default_rng(seed), result.manifest.vocabulary
    drawn = np.sort(rng.integers(0, cohort.n_sites, (400, 2)), axis=1)
    drawn = np.unique(drawn[drawn[:, 0] < drawn[:, 1]], axis=0)
    pairs = np.unique(np.concatenate([drawn, [s for s in effect if len(s) == 2]]), axis=0)
    none = np.zeros((cohort.n_samples, 0))
    orders = predict_orders(result.readout, cohort.calls, none)
    record = result.manifest.model
    response = ResponseModel(result.readout, record["likelihood"], record["noise"], cohort.phenotype.values)
    factors = readout_factors(result.readout, v)
    model = MixedModel(
        factors, cohort.calls, none, response.at(orders.sum(axis=1)), orders[:, 2:].sum(axis=1)
    )
    coefficient = Expansion(factors, "frequency").coefficients(pairs)
    found = model.estimates(pairs, coefficient, "frequency")
    rows = pd.DataFrame(
        {
            "effect": found.effect,
            "se": found.se,
            "p_value": found.p_value,
            "coefficient": coefficient,
            "flag": "",
        }
    )
    tested = rows["p_value"].notna()
    true = np.array([effect.get(tuple(pair), 0.0) for pair in pairs.tolist()])
    return _compared(rows[tested], true[tested], "any pairs", 2)


def _of_states(
    cohort: Cohort, effect: dict[tuple[int, ...], float], sites: tuple[int, ...], row: dict[str, Any],
    order: int, centre: np.ndarray, v: Vocabulary,
) -> float:  # fmt: skip
    """Coefficient of a term of genotypes where the phenotype is a polynomial of dosages."""
    mean = cohort.calls.mean(axis=0)
    own, level = {}, {}
    for k in range(cohort.n_sites):
        p = centre[v.first[k] : v.first[k] + v.n_states[k]]
        level[k] = float(p @ np.arange(len(p)) - mean[k])
    for k in range(1, order + 1):
        s = list(cohort.sites.ids).index(row[f"site_{k}"])
        own[s] = cohort.sites.states[s].index(row[f"state_{k}"]) - mean[s] - level[s]
    total = 0.0
    for s, size in effect.items():
        if set(sites) <= set(s):
            total += size * np.prod([own[k] if k in own else level[k] for k in s])
    return float(total)


def _compared(rows: pd.DataFrame, true: np.ndarray, gauge: str, order: int) -> pd.DataFrame:
    covered = np.abs(rows["effect"].to_numpy() - true) <= 1.96 * rows["se"].to_numpy()
    return pd.DataFrame(
        {"gauge": gauge, "order": order, "covered": covered, "zero": np.abs(true) < 1e-9,
         "p": rows["p_value"],
         "error": (rows["effect"] - true) / rows["se"], "true": true, "coefficient": rows["coefficient"],
         "effect": rows["effect"], "se": rows["se"], "flag": rows["flag"]}
    )  # fmt: skip


def kinds() -> dict[str, Callable[[int], pd.DataFrame]]:
    """Every kind of data, by name: from a seed to compared rows."""

    def of(settings: dict[str, Any], most: int = 400, **options: Any) -> Callable[[int], pd.DataFrame]:
        return lambda seed: compare_landscape(*landscape(seed, **options), settings, most, seed)

    def cohort(settings: dict[str, Any], **options: Any) -> Callable[[int], pd.DataFrame]:
        return lambda seed: compare_cohort(*genotypes(seed, **options), settings, seed)

    two, four = {"n_states": [2] * 10, "n_samples": None}, {"n_states": [4] * 6, "n_samples": 1500}
    large = {"n_states": [10] * 12, "n_samples": 12000}
    three = {1: 0.5, 2: 0.35, 3: 0.15}
    linked = {"link": sigmoid, "noise": 0.15}
    return {
        "complete": of({"order": 3}, variances=three, noise=0.3, **two),
        "complete-link": of({"order": 2, "link": "monotone"}, variances={1: 0.7, 2: 0.3}, **linked, **two),
        "sparse": of({"order": 2}, variances={1: 0.6, 2: 0.4}, noise=0.4, filled=0.3, **four),
        "sparse-link": of(
            {"order": 2, "link": "monotone"}, variances={1: 0.6, 2: 0.4}, filled=0.3, **linked, **four
        ),
        "scarce": of({"order": 3}, variances=three, noise=0.3, **four),
        "scarce-link": of({"order": 3, "link": "monotone"}, variances=three, **linked, **four),
        "large": of({"order": 2}, variances={1: 0.7, 2: 0.3}, noise=0.4, filled=0.3, **large),
        "large-link": of(
            {"order": 2, "link": "monotone"}, variances={1: 0.7, 2: 0.3}, filled=0.3, **linked, **large
        ),
        "cohort": cohort({"order": 2}, n_samples=1000, n_sites=200, encoding="dosage", binary=False),
        "cohort-linked": cohort(
            {"order": 2}, n_samples=1000, n_sites=200, encoding="dosage", binary=False, linkage="msprime"
        ),
        "cohort-binary": cohort({"order": 2}, n_samples=2000, n_sites=200, encoding="dosage", binary=True),
        "cohort-genotype": cohort(
            {"order": 2, "encoding": "genotype"}, n_samples=2000, n_sites=60, encoding="genotype",
            binary=False
        ),
        "few-sites": cohort({"order": 2}, n_samples=2000, n_sites=30, encoding="dosage", binary=False),
        "few-sites-binary": cohort({"order": 2}, n_samples=4000, n_sites=10, encoding="dosage", binary=True),
    }  # fmt: skip


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage and size by gauge and order."""
    out = []
    for (gauge, order), part in rows.groupby(["gauge", "order"], sort=False):
        zeros = part[part["zero"]]
        out.append(
            {
                "gauge": gauge, "order": order, "method": part["method"].iloc[0], "rows": len(part),
                "covered": part["covered"].mean(), "spread": part["error"].std(), "zeros": len(zeros),
                "p_below_0.05": (zeros["p"] < 0.05).mean() if len(zeros) else np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(out)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Coverage of every kind, gauge and order, with the band that is asked for."""
    names = list(dict.fromkeys(table["kind"]))
    figure, axes = plt.subplots(figsize=(9, 0.36 * len(names) + 1.4), layout="constrained")
    axes.axvspan(0.93, 0.97, color="0.92")
    axes.axvline(0.95, color="0.6", linewidth=0.8)
    for colour, gauge in zip(("C0", "C1", "C2", "C3"), (*GAUGES, "any pairs"), strict=True):
        for marker, order in (("o", 1), ("s", 2), ("^", 3)):
            part = table[(table["gauge"] == gauge) & (table["order"] == order)]
            label = f"{gauge}, order {order}" if len(part) else None
            at = [names.index(kind) for kind in part["kind"]]
            axes.plot(part["covered"], at, marker, color=colour, markersize=5, alpha=0.8, label=label)
    axes.set(yticks=range(len(names)), xlabel="share of 95 % intervals that hold the truth", xlim=(None, 1))
    axes.set_yticklabels(names)
    axes.invert_yaxis()
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="*", default=list(kinds()))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "calibration.tsv")
    options = parser.parse_args()
    parts = []
    for kind in options.kinds:
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        part = summarise(pd.concat([kinds()[kind](seed) for seed in seeds]))
        part.insert(0, "kind", kind)
        print(part.to_string(index=False, header=not parts, float_format="%.3f"), flush=True)
        parts.append(part)
    options.output.parent.mkdir(exist_ok=True)
    table = pd.concat(parts)
    table.to_csv(options.output, sep="\t", index=False, float_format="%.4g")
    draw(table, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
