"""Discovery in a cohort: pairs ranked, signals claimed, phantoms flagged."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import expit

from genoattn.closed_form.pair_columns import PairColumns
from genoattn.closed_form.pair_factors import find_seeds, pair_factors
from genoattn.cohort import Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.html_text import Html, columns_table, panel, say, text
from genoattn.inference.background import SiteMap, cohort_background
from genoattn.inference.null_signals import exchangeable_samples, false_signals
from genoattn.inference.pair_selection import PairProblem
from genoattn.inference.ranking import rank_pairs
from genoattn.inference.resampling import (
    FalseSignals,
)
from genoattn.inference.signal_table import signal_table
from genoattn.inference.signals import Candidates, Signal, SignalSearch, Structure, find_signals
from genoattn.inference.stability import half_sample_stability
from genoattn.inference.weights import HypothesisWeights, Segments, cross_fitted_weights
from genoattn.interactions.estimates import Claims
from genoattn.scan.scores import score_matrix
from genoattn.tokens import build_vocabulary

_LEAST = 2.0  # |t| of a candidate
_LISTED = 50_000
_FIRST = 300  # pairs of the ranking that a table of interactions lists
_SHOWN = 12  # signals in a notebook


@dataclass(frozen=True, eq=False)
class Discovery:
    """Signals and ranked pairs of a cohort.

    Parameters
    ----------
    signals
        One row a signal, by ascending p-value over weight: as :func:`signal_table` says.
    ranking
        One row a pair, the likeliest to interact first: ``site_1``, ``site_2`` and ``probability``.
    found
        The signals in terms of columns.
    alpha
        The false discovery rate at which signals are claimed.
    false
        The number of false signals to be expected at a threshold.
    margin
        Base pairs within which two sites were not tested.
    resampled
        How the traits were resampled that tell ``false``.
    stability
        How often halves of the samples choose each pair, if asked for.
    """

    signals: pd.DataFrame
    ranking: pd.DataFrame
    ranked: np.ndarray  # (n_pairs, 2), its sites, ascending
    found: tuple[Signal, ...]
    n_tests: int
    alpha: float
    false: FalseSignals
    margin: int
    resampled: str
    stability: pd.DataFrame | None = None

    @property
    def claimed(self) -> pd.DataFrame:
        """The signals with q at most ``alpha`` that are no phantoms."""
        s = self.signals
        return s[(s["q_value"] <= self.alpha) & (s["flag"] != "phantom")]

    def claims(self, pairs: np.ndarray) -> Claims:
        """Claims of the signals about pairs of sites (n_terms, 2), and their places in the ranking.

        The claim of a signal is of its credible set; other pairs linked to it are not claimed.
        """
        value: dict[tuple[int, int], tuple[float, bool]] = {}
        found = [
            (signal, (signal.q_value, flag == "phantom"))
            for signal, flag in zip(self.found, self.signals["flag"].tolist(), strict=True)
        ]
        for signal, said in reversed(found):  # a pair linked to several leads is of the strongest
            value.update({(i, j): said for i, j in signal.credible.tolist()})
        value.update({signal.lead: said for signal, said in found})  # but a lead is of its own
        rows = [value.get((i, j), (1.0, False)) for i, j in pairs.tolist()]
        # First the signals that are claimed, each lead before the rest of its credible set; then the ranking.
        claimed = [s.credible for s, (q, phantom) in found if q <= self.alpha and not phantom]
        order = np.concatenate([*claimed, self.ranked]).tolist()
        place = {(i, j): k for k, (i, j) in reversed(list(enumerate(order)))}
        return Claims(
            np.array([q for q, _ in rows], dtype=float),
            np.array([f for _, f in rows], dtype=bool),
            np.array([place.get((i, j), np.inf) for i, j in pairs.tolist()], dtype=float),
        )

    def files(self) -> dict[str, pd.DataFrame]:
        """The tables of an output folder, by file name."""
        tables = {"signals.tsv": self.signals, "ranking.tsv": self.ranking}
        return tables if self.stability is None else {**tables, "stability.tsv": self.stability}

    def leads(self) -> np.ndarray:
        """Lead pairs of the signals that pass, as sites: shape (n_signals, 2)."""
        passing = [s.lead for s in self.found if s.q_value <= self.alpha]
        return np.array(passing, dtype=np.int64).reshape(-1, 2)

    def record(self) -> dict[str, Any]:
        """How signals were tested, for a manifest."""
        false = self.false
        return {
            "n_tests": self.n_tests,
            "margin": self.margin,
            "resamples": false.n_resamples,
            "resampled": self.resampled,
            "false_per_test": round(false.ratio, 4),
        }

    def listed(self, most: int) -> np.ndarray:
        """Pairs that a table lists, as sites (n_pairs, 2): claimed signals, and the first of the ranking."""
        credible = [s.credible[:most] for s in self.found if s.q_value <= self.alpha]
        first = [self.ranked[: min(_FIRST, most)], self.leads()]
        return np.unique(np.concatenate([*first, *credible]), axis=0)

    def summary(self, n: int = 10) -> str:
        """Number of signals claimed, and the first rows, as text."""
        lines = [self.headline()]
        passing = self.signals[self.signals["q_value"] <= self.alpha]
        if len(passing) and n:
            shown = passing.head(n)[["site_1", "site_2", "q_value", "n_pairs", "n_credible", "flag"]]
            lines += ["", shown.to_string(index=False, formatters={"q_value": "{:.2g}".format})]
        return "\n".join(lines)

    def headline(self) -> str:
        """Numbers of pairs tested, signals claimed and phantoms, as a line."""
        passing = self.signals[self.signals["q_value"] <= self.alpha]
        phantoms = int((passing["flag"] == "phantom").sum())
        return (
            f"Signals at a false discovery rate of {self.alpha:g}, of {self.n_tests:,} pairs tested here and "
            f"in {self.false.n_resamples} resampled traits: "
            f"{len(passing) - phantoms}" + (f", and {phantoms} phantoms" if phantoms else "")
        )

    def _repr_html_(self) -> str:
        rows = self.signals.head(_SHOWN)
        places: dict[str, list[str]] = {}
        for k in (1, 2):
            columns = (rows[f"{name}_{k}"] for name in ("site", "chrom", "pos"))
            places[f"site {k}"] = [
                say("{} ({}:{})", text(site, 30), *where) for site, *where in zip(*columns, strict=True)
            ]
        cells: dict[str, list[str]] = {
            **places,
            "q-value": [f"{q:.2g}" for q in rows["q_value"]],
            "linked pairs": [f"{n:,}" for n in rows["n_pairs"]],
            "likeliest (95 %)": [f"{n:,}" for n in rows["n_credible"]],
            "kept when adjusted": ["" if s != s else f"{s:.0%}" for s in rows["survival"]],
            "flag": [text(flag) for flag in rows["flag"]],
        }
        more = len(self.signals) - len(rows)
        note = say("<div>and {} more in <code>signals</code></div>", f"{more:,}") if more else Html()
        found = columns_table(cells, (*places, "flag")) if len(rows) else Html()
        return panel(text(self.headline(), 200), found, note)


def discover(
    cohort: Cohort,
    *,
    alpha: float = 0.05,
    strata: str | None = None,
    seed: int = 0,
    max_rank: int = 32,
    weighted: bool = True,
    halves: int = 0,
    resamples: int | None = None,
) -> Discovery:
    """Rank all pairs of sites of a cohort of genotypes, and claim those that pass a false discovery rate.

    The same tests on resampled traits of the cohort, which have no interactions, tell how many signals are
    false: see :func:`genoattn.inference.signals.find_signals`; why weights are fair,
    :func:`genoattn.inference.weights.cross_fitted_weights`. Pairs of a chromosome within reach of its
    linkage, 1 Mb at most, are not tested: see :func:`genoattn.inference.background.linkage_margin`.

    Parameters
    ----------
    cohort
        Genotypes with a phenotype.
    alpha
        False discovery rate.
    strata
        A covariate: only samples of one of its groups stand for each other in resampled traits.
    seed
        Of the folds of the weights, the resampled traits and the halves.
    max_rank
        Most factors.
    weighted
        Whether structure seen in other pairs lowers the bar of a pair.
    halves
        Random halves of the samples that tell how stable the choice of pairs is; 0 for none.
    resamples
        Resampled traits; None for 40, or fewer where their scores would take minutes, 4 at least.

    Raises
    ------
    InputError
        Where there is no phenotype, no pair can be tested, or the strata are of no use.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(
    ...     n_samples=400, n_sites=12, linkage="none", n_terms=1, interaction_variance=0.3, seed=1
    ... ).cohort
    >>> found = genoattn.discover(cohort)
    >>> found.claimed[["site_1", "site_2", "flag"]].to_numpy().tolist()
    [['3:21904:C:T', '5:16358:A:T', '']]
    >>> found.ranking.columns.tolist()
    ['site_1', 'site_2', 'probability']
    """
    phenotype = _checked_phenotype(cohort)
    prepared = cohort_background(cohort)
    background, where, site = prepared.background, prepared.where, prepared.site
    sites, columns = cohort.sites, background.columns
    score = score_matrix(columns, background.residuals, background.covariates, site, _LEAST)
    pair, t = _far_pairs(score, columns, where)
    n_tests = max(where.n_far(), 1)
    segments = Segments.of(where, columns)
    pairs = PairColumns(columns, site, segments.segment, segments.visible)
    kept = sparse.coo_array((t, (pair[:, 0], pair[:, 1])), shape=score.shape).tocsr()
    seeds = find_seeds(kept, n_tests)
    weights: HypothesisWeights | None = None
    if weighted:
        weights = cross_fitted_weights(pairs, seeds, background.residuals[:, -1], max_rank, seed)
    search = SignalSearch(where, weights, n_tests, background.fixed)
    exchangeable = exchangeable_samples(cohort, strata)
    false = false_signals(phenotype.binary, prepared, search, alpha, exchangeable, resamples, seed)
    factors, _ = pair_factors(pairs, seeds, background.residuals[:, 0], max_rank)
    structure = Structure(pairs, factors) if weighted and len(factors) else None
    signals = find_signals(search, background, Candidates(pair, t), false, alpha, structure)
    # Pairs beyond those listed would rank last anyway.
    pair, strength = seeds.pair[:_LISTED], seeds.strength[:_LISTED]
    ranked, odds = rank_pairs(pairs, factors, background.residuals[:, 0], pair, strength, n_tests)
    stability = None
    if halves:
        problem = PairProblem(
            pairs, phenotype.values, background.covariates, 0.0, max_rank, exchangeable.families
        )
        stability = half_sample_stability(problem, sites, prepared.scale, halves, seed)
    ranked = site[ranked[:_LISTED]]
    ids = sites.ids[ranked]
    ranking = {"site_1": ids[:, 0], "site_2": ids[:, 1], "probability": expit(odds[:_LISTED])}
    return Discovery(
        signal_table(signals, background, where, sites, site, alpha),
        pd.DataFrame(ranking),
        ranked,
        tuple(signals),
        n_tests,
        alpha,
        false,
        where.margin,
        exchangeable.words(phenotype.binary),
        stability,
    )


def _checked_phenotype(cohort: Cohort) -> Phenotype:
    """The phenotype of a cohort of which pairs can be tested."""
    if cohort.phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    if unfit := why_no_discovery(cohort):
        raise InputError(
            f"discovery needs genotypes of two sites or more beyond the reach of linkage, but {unfit}; fit "
            "an alignment instead, and scan such a cohort"
        )
    return cohort.phenotype


def why_no_discovery(cohort: Cohort) -> str:
    """Why no pair of a cohort's sites can be tested; empty where some can."""
    if cohort.kind != "genotype":
        return "these are aligned sequences"
    if cohort.n_sites < 2:
        return f"there are {cohort.n_sites} sites"
    if SiteMap.of(cohort.sites, np.arange(cohort.n_sites)).n_far():
        return ""
    # All within 1 Mb of each other: linkage may end sooner.
    vocabulary = build_vocabulary(cohort, "dosage")
    columns = vocabulary.columns(cohort.calls) / np.sqrt(np.maximum(vocabulary.variance, 1e-12))
    if SiteMap.of(cohort.sites, vocabulary.site, columns).n_far():
        return ""
    return f"all {cohort.n_sites} sites are on one chromosome within 1 Mb of each other, and linked"


def _far_pairs(score: sparse.csr_array, columns: np.ndarray, where: SiteMap) -> tuple[np.ndarray, np.ndarray]:
    """Scored pairs that are tested, and their scores."""
    upper = sparse.triu(score, 1).tocoo()
    first, second = (c.astype(np.int64) for c in upper.coords)
    keep = where.are_tested(first, second, columns)
    return np.stack([first[keep], second[keep]], axis=1), upper.data[keep]
