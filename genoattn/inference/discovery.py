"""Discovery in a cohort: pairs ranked, signals claimed, phantoms flagged."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import expit

from genoattn.closed_form.pair_columns import PairColumns, segment_numbers, visible_segments
from genoattn.closed_form.pair_factors import find_seeds, pair_factors
from genoattn.cohort import Cohort, Sites
from genoattn.errors import InputError
from genoattn.html_text import Html, columns_table, panel, say, text
from genoattn.inference.background import LINKED_R2, Background, SiteMap, cohort_background
from genoattn.inference.pair_selection import PairProblem
from genoattn.inference.phantom import is_phantom, survival
from genoattn.inference.ranking import rank_pairs
from genoattn.inference.signals import Candidates, Signal, find_signals
from genoattn.inference.stability import half_sample_stability
from genoattn.inference.weights import HypothesisWeights, cross_fitted_weights
from genoattn.interactions.estimates import Claims
from genoattn.model.relatives import find_relatives
from genoattn.scan.scores import score_matrix

_LEAST = 2.0  # |t| of a candidate
_LISTED = 50_000
_SHOWN = 12  # signals in a notebook


@dataclass(frozen=True, eq=False)
class Discovery:
    """Signals and ranked pairs of a cohort.

    Parameters
    ----------
    signals
        One row a signal, by ascending p-value over weight: see :func:`signal_frame`.
    ranking
        One row a pair, the likeliest to interact first: ``site_1``, ``site_2`` and ``probability``.
    found
        The signals in terms of columns.
    alpha
        The false discovery rate at which signals are claimed.
    stability
        How often halves of the samples choose each pair, if asked for.
    """

    signals: pd.DataFrame
    ranking: pd.DataFrame
    found: tuple[Signal, ...]
    n_tests: int
    alpha: float
    stability: pd.DataFrame | None = None

    @property
    def claimed(self) -> pd.DataFrame:
        """The signals with q at most ``alpha`` that are no phantoms."""
        s = self.signals
        return s[(s["q_value"] <= self.alpha) & (s["flag"] != "phantom")]

    def claims(self, terms: np.ndarray) -> Claims:
        """Claims of the signals about pairs of columns (n_terms, 2), ascending."""
        value: dict[tuple[int, int], tuple[float, bool]] = {}
        found = [
            (signal, (signal.q_value, flag == "phantom"))
            for signal, flag in zip(self.found, self.signals["flag"].tolist(), strict=True)
        ]
        for signal, said in reversed(found):  # a pair linked to several leads is of the strongest
            value.update({(i, j): said for i, j in signal.members.tolist()})
        value.update({signal.lead: said for signal, said in found})  # but a lead is of its own
        rows = [value.get((i, j), (1.0, False)) for i, j in terms.tolist()]
        return Claims(np.array([q for q, _ in rows], dtype=float), np.array([f for _, f in rows], dtype=bool))

    def files(self) -> dict[str, pd.DataFrame]:
        """The tables of an output folder, by file name."""
        tables = {"signals.tsv": self.signals, "ranking.tsv": self.ranking}
        return tables if self.stability is None else {**tables, "stability.tsv": self.stability}

    def leads(self) -> np.ndarray:
        """Lead pairs of the signals that pass, as columns: shape (n_signals, 2)."""
        passing = [s.lead for s in self.found if s.q_value <= self.alpha]
        return np.array(passing, dtype=np.int64).reshape(-1, 2)

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
            f"Signals at a false discovery rate of {self.alpha:g}, of {self.n_tests:,} pairs tested: "
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
    seed: int = 0,
    max_rank: int = 32,
    weighted: bool = True,
    halves: int = 0,
) -> Discovery:
    """Rank all pairs of sites of a cohort of genotypes, and claim those that pass a false discovery rate.

    The guarantee, and what it assumes, is that of :func:`genoattn.inference.signals.find_signals`; that of
    the weights, of :func:`genoattn.inference.weights.cross_fitted_weights`. Pairs of a chromosome less than
    1 Mb apart are not tested.

    Parameters
    ----------
    cohort
        Genotypes with a phenotype.
    alpha
        False discovery rate.
    seed
        Of the folds of the weights, and of the halves.
    max_rank
        Most factors.
    weighted
        Whether structure seen in other chromosomes lowers the bar of a pair.
    halves
        Random halves of the samples that tell how stable the choice of pairs is; 0 for none.

    Raises
    ------
    InputError
        Where there is no phenotype, or the sites have no chromosomes.

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
    phenotype = cohort.phenotype
    if phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    if unfit := why_no_discovery(cohort):
        raise InputError(
            "discovery needs genotypes of two sites or more on different chromosomes, or 1 Mb apart, but "
            f"{unfit}; fit an alignment instead, and scan such a cohort"
        )
    background, where, site, scale = cohort_background(cohort)
    sites, columns = cohort.sites, background.columns
    score = score_matrix(columns, background.residuals, background.covariates, site, _LEAST)
    pair, t = _far_pairs(score, columns, where)
    n_tests = max(where.n_far(), 1)
    segment = segment_numbers(sites)[site]
    pairs = PairColumns(columns, site, segment, visible_segments(segment))
    kept = sparse.coo_array((t, (pair[:, 0], pair[:, 1])), shape=score.shape).tocsr()
    seeds = find_seeds(kept, n_tests)
    weights: HypothesisWeights | None = None
    if weighted and where.n_chromosomes >= 3:
        weights = cross_fitted_weights(pairs, seeds, background.residuals[:, -1], where, max_rank, seed)
    signals = find_signals(background, Candidates(pair, t, n_tests), weights, where, alpha)
    factors, _ = pair_factors(pairs, seeds, background.residuals[:, 0], max_rank)
    # Pairs beyond those listed would rank last anyway.
    pair, strength = seeds.pair[:_LISTED], seeds.strength[:_LISTED]
    ranked, odds = rank_pairs(pairs, factors, background.residuals[:, 0], pair, strength, n_tests)
    stability = None
    if halves:
        relatives = find_relatives(cohort.calls[:, ~sites.is_environment])
        problem = PairProblem(pairs, phenotype.values, background.covariates, 0.0, max_rank, relatives)
        stability = half_sample_stability(problem, sites, scale, halves, seed)
    ids = sites.ids[site[ranked[:_LISTED]]]
    ranking = {"site_1": ids[:, 0], "site_2": ids[:, 1], "probability": expit(odds[:_LISTED])}
    return Discovery(
        signal_frame(signals, background, where, sites, site, alpha),
        pd.DataFrame(ranking),
        tuple(signals),
        n_tests,
        alpha,
        stability,
    )


def why_no_discovery(cohort: Cohort) -> str:
    """Why no pair of a cohort's sites can be tested; empty where some can."""
    if cohort.kind != "genotype":
        return "these are aligned sequences"
    if cohort.n_sites < 2:
        return f"there are {cohort.n_sites} sites"
    if SiteMap.of(cohort.sites, np.arange(cohort.n_sites)).n_far() == 0:
        return f"all {cohort.n_sites} sites are on one chromosome within 1 Mb of each other"
    return ""


def _far_pairs(score: sparse.csr_array, columns: np.ndarray, where: SiteMap) -> tuple[np.ndarray, np.ndarray]:
    """Scored pairs that are tested: on different chromosomes, or 1 Mb apart and not in linkage."""
    upper = sparse.triu(score, 1).tocoo()
    first, second = (c.astype(np.int64) for c in upper.coords)
    keep = where.are_far(first, second)
    same = np.flatnonzero(keep & (where.chromosome[first] == where.chromosome[second]))
    for start in range(0, len(same), 4096):
        k = same[start : start + 4096]
        r2 = (np.einsum("sp,sp->p", columns[:, first[k]], columns[:, second[k]]) / len(columns)) ** 2
        keep[k] = r2 < LINKED_R2
    return np.stack([first[keep], second[keep]], axis=1), upper.data[keep]


def signal_frame(
    signals: list[Signal],
    background: Background,
    where: SiteMap,
    sites: Sites,
    site: np.ndarray,
    alpha: float,
) -> pd.DataFrame:
    """Signals as a table.

    Returns
    -------
    ``site_1``, ``chrom_1``, ``pos_1``, ``site_2``, ``chrom_2``, ``pos_2`` of the lead; ``tested_1`` and
    ``tested_2``, the pair of the cluster that was tested, with its ``statistic`` (t on ``df`` degrees of
    freedom) and ``p_value``; ``weight`` and ``q_value``; ``n_pairs`` linked to it; the ``credible`` set
    with posteriors, and how many it holds; ``survival``, the share of t that remains after adjustment for
    the additive variation around both sites; and ``flag``, ``phantom`` where that is less than 0.6, or the
    sites are within 1 Mb.
    """
    rows = []
    for s in signals:
        survived = survival(background, s.lead, where) if s.q_value <= alpha else np.nan
        row: dict[str, object] = {}
        for k, column in enumerate(s.lead, 1):
            at = site[column]
            row |= {f"site_{k}": sites.ids[at], f"chrom_{k}": sites.chrom[at], f"pos_{k}": int(sites.pos[at])}
        named = [
            f"{sites.ids[site[i]]} x {sites.ids[site[j]]} ({p:.2f})"
            for (i, j), p in zip(s.credible, s.posterior, strict=True)
        ]
        row |= {f"tested_{k}": sites.ids[site[column]] for k, column in enumerate(s.tested, 1)}
        row |= {"statistic": s.test.statistic, "df": s.test.df, "p_value": s.p_value}
        row |= {"weight": s.weight, "q_value": s.q_value}
        row |= {"n_pairs": len(s.members), "n_credible": len(s.credible), "credible": "; ".join(named)}
        phantom = s.q_value <= alpha and is_phantom(survived, s.lead, where)
        rows.append(row | {"survival": survived, "flag": "phantom" if phantom else ""})
    names = [f"{n}_{k}" for k in (1, 2) for n in ("site", "chrom", "pos")]
    names += ["tested_1", "tested_2", "statistic", "df", "p_value", "weight", "q_value"]
    names += ["n_pairs", "n_credible", "credible", "survival", "flag"]
    return pd.DataFrame(rows, columns=names)
