"""Signals: clusters of linked pairs that pass one error rate, each with a lead pair and a credible set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import t as t_distribution

from genoattn.closed_form.pair_columns import PairColumns
from genoattn.inference.background import LINKED_R2, Background, SiteMap
from genoattn.inference.resampling import FalseSignals
from genoattn.inference.robust import StudentTest, orthonormal_basis, pair_t, robust_pairs, robust_test
from genoattn.inference.weights import HypothesisWeights

_MOST = 200  # leads looked for
_CREDIBLE = 0.95
_LEFT = 1e-6  # norm of a product, relative to that of the whole, that is nothing
_MORE = 1.05  # beyond what less noise does, adjustment for factors may add to a score


@dataclass(frozen=True, eq=False)
class Signal:
    """A lead pair and the pairs linked to it."""

    lead: tuple[int, int]  # column indices, ascending: the likeliest pair
    # column indices of the pair of the cluster that was tested, ascending: the strongest in the residual of
    # the phenotype after regression on the additive genome
    tested: tuple[int, int]
    # of that pair: the least significant over standard errors and versions of the phenotype, with and without
    # adjustment for the signals found before it
    test: StudentTest
    weight: float
    # (n_members, 2): the candidates linked to the tested pair at both sites, itself among them
    members: np.ndarray
    # (n_credible, 2): the fewest members that hold 95 % of the posterior, the likeliest first
    credible: np.ndarray
    posterior: np.ndarray  # (n_credible,)
    q_value: float = 1.0  # of the signal among the signals

    @property
    def p_value(self) -> float:
        """p-value of ``test``."""
        return self.test.p_value


@dataclass(frozen=True)
class Lead:
    """The strongest pair of a cluster, with its test and weight."""

    pair: tuple[int, int]
    test: StudentTest
    weight: float

    @property
    def weighted(self) -> float:
        """The p-value over the weight."""
        return self.test.p_value / self.weight


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of columns with their scores, both in the residual and in its normal scores."""

    pair: np.ndarray  # (n_pairs, 2), ascending column indices, far apart
    t: np.ndarray  # (n_pairs,)


class Structure:
    """Products of factors over all pairs but one and those linked to it.

    Parameters
    ----------
    pairs
        Columns of which some pairs of segments are visible.
    factors
        Shape (n_factors, 2, n_columns).
    """

    def __init__(self, pairs: PairColumns, factors: np.ndarray) -> None:
        self._pairs, self._factors = pairs, factors
        self._products = [pairs.product(f) for f in factors]

    def without(self, pair: np.ndarray) -> np.ndarray:
        """The products, less that of the columns linked to one of a pair with those linked to the other.

        Linked is an r2 of 0.1 or more on one chromosome. Shape (n_samples, n_factors); 0 for a factor of
        which nothing is left.
        """
        pairs, out = self._pairs, np.zeros((self._pairs.n_samples, len(self._factors)))
        for k, (factor, product) in enumerate(zip(self._factors, self._products, strict=True)):
            near = [self._near(int(column), factor) for column in pair]
            rest = product
            for a, b in (near, near[::-1]):
                block = np.stack([factor[0] * a, factor[1] * b])
                if block.any(axis=1).all():
                    rest = rest - pairs.product(block)
            if np.linalg.norm(rest) > _LEFT * np.linalg.norm(product):
                out[:, k] = rest
        return out

    def _near(self, column: int, factor: np.ndarray) -> np.ndarray:
        """Columns of a factor that are linked to a column: shape (n_columns,), bool."""
        pairs, out = self._pairs, np.zeros(self._pairs.n_columns, dtype=bool)
        own = np.flatnonzero(factor.any(axis=0))
        r2 = (pairs.columns[:, own].T @ pairs.columns[:, column] / pairs.n_samples) ** 2
        out[own[r2 >= LINKED_R2]] = True
        return out


@dataclass(frozen=True, eq=False)
class SignalSearch:
    """Clusters of linked pairs, led by their strongest, among the candidates of a cohort.

    Parameters
    ----------
    where
        Map of the columns.
    weights
        Of the hypotheses, mean one; None for one throughout.
    n_tests
        Number of pairs that are tested.
    fixed
        Shape (n_samples, n_fixed): intercept, covariates and components.
    """

    where: SiteMap
    weights: HypothesisWeights | None
    n_tests: int
    fixed: np.ndarray

    @cached_property
    def bases(self) -> list[np.ndarray]:
        """For each fold of the weights an orthonormal basis of the fixed effects and its factors.

        The last is of the fixed effects alone, for pairs in no fold.
        """
        products = [] if self.weights is None else self.weights.products
        with_factors = [orthonormal_basis(np.column_stack([self.fixed, p])) for p in products]
        return [*with_factors, orthonormal_basis(self.fixed)]

    def folds(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The fold of pairs of columns, -1 for pairs of none: shape of the indices."""
        return np.full(len(first), -1) if self.weights is None else self.weights.folds(first, second)

    def weight(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Weights of pairs of columns: shape of the indices."""
        return np.ones(len(first)) if self.weights is None else self.weights.at(first, second)

    def growth(self, residuals: np.ndarray) -> np.ndarray:
        """By how much scores may grow, in each fold, where tests adjust for its factors: (n_folds + 1,).

        What the factors explain of the residuals (n_samples, n_versions) is no noise any more.
        """
        left = [((residuals - b @ (b.T @ residuals)) ** 2).sum(axis=0) for b in self.bases]
        out = np.array([_MORE * np.sqrt((left[-1] / np.maximum(rest, 1e-300)).max()) for rest in left])
        out[[b.shape[1] == self.bases[-1].shape[1] for b in self.bases]] = 1.0
        return out

    def may_pass(
        self, first: np.ndarray, second: np.ndarray, t: np.ndarray, growth: np.ndarray, limit: float
    ) -> np.ndarray:
        """Whether pairs of columns with scores ``t`` may have a weighted p-value up to a limit: bool."""
        size = np.abs(t) * growth[self.folds(first, second)]
        out: np.ndarray = 2 * t_distribution.sf(size, self.df) <= limit * self.weight(first, second)
        return out

    def least_score(self, growth: np.ndarray, limit: float) -> float:
        """The smallest |t| with which any pair may have a weighted p-value up to a limit."""
        most = 1.0 if self.weights is None else float(np.append(self.weights.values.sum(axis=1), 1.0).max())
        return float(t_distribution.isf(min(limit * most, 1.0) / 2, self.df) / growth.max())

    @property
    def df(self) -> int:
        """Degrees of freedom of the test of a pair, 1 at least."""
        return max(len(self.fixed) - self.bases[-1].shape[1] - 3, 1)

    def leads(
        self, background: Background, candidates: Candidates, limit: float, structure: Structure | None = None
    ) -> list[Lead]:
        """The strongest pair of each cluster, by ascending weighted p-value up to ``limit``.

        Candidates are taken by ascending weighted p-value. One that is linked (r2 of 0.1 or more at both
        sites) to a lead joins it. Another is tested again with adjustment for the leads before it, and for
        their sites where these lie on its own chromosomes: an echo of a strong pair through imperfect
        linkage is no second signal, and what strong pairs explain is no noise of the weaker. With a
        ``structure`` they are adjusted for the factors of all other pairs too: a pair in weak linkage with
        many members of a pathway, none of which leads a signal by itself, is an echo of them.
        """
        growth = self.growth(background.residuals)
        first, second = candidates.pair.T
        looked_at = np.flatnonzero(self.may_pass(first, second, candidates.t, growth, limit))
        looked_at = looked_at[np.argsort(self.folds(*candidates.pair[looked_at].T), kind="stable")]
        fold, weight = (f(*candidates.pair[looked_at].T) for f in (self.folds, self.weight))
        tests: list[StudentTest] = []
        for k in np.unique(fold):
            pairs = candidates.pair[looked_at[fold == k]]
            tests += robust_pairs(background.columns, pairs, self.bases[k], background.residuals)
        # Dividing by the weight is what keeps the error rate, as long as the weights have mean one.
        weighted = np.array([test.p_value for test in tests]) / weight
        out: list[Lead] = []
        given: list[tuple[int, int]] = []
        for k in np.argsort(weighted, kind="stable"):
            if weighted[k] > limit or len(out) == _MOST:
                break
            pair, test = candidates.pair[looked_at[k]], tests[k]
            if any(_is_linked(background.columns, self.where, pair, tested) for tested in given):
                continue
            if given or structure is not None:
                around = self.bases[fold[k]]
                if structure is not None:
                    around = np.column_stack([around, structure.without(pair)])
                test = _robust(background, around, pair, given, self.where)
            if test.p_value / weight[k] <= limit:
                given.append((int(pair[0]), int(pair[1])))
                out.append(Lead(given[-1], test, float(weight[k])))
        return sorted(out, key=lambda lead: lead.weighted)


def find_signals(
    search: SignalSearch,
    background: Background,
    candidates: Candidates,
    false: FalseSignals,
    alpha: float = 0.05,
    structure: Structure | None = None,
) -> list[Signal]:
    """Signals by ascending weighted p-value, with q-values from the number of false ones to be expected.

    The q-value of the k-th lead is the number of false signals expected up to its weighted p-value, over k,
    times ``1 + 1 / k``, made monotone: a lone claim must be twice as sure as one of many, which is what the
    chance that all claims are false costs (Jensen's inequality of the expected share). Counting a cluster
    once is what the resampled traits do too.

    Parameters
    ----------
    false
        Number of false signals to be expected, from :func:`genoattn.inference.resampling.false_signals`.
    alpha
        Rate for which candidates are looked at; signals with larger q-values are returned too.
    structure
        Factors of all pairs.
    """
    limit = search_limit(search.n_tests, alpha)
    leads = search.leads(background, candidates, limit, structure)
    q = q_values(np.array([lead.weighted for lead in leads]), false)
    return [
        _signal(lead, background, candidates, search.where, float(value))
        for lead, value in zip(leads, q, strict=True)
    ]


def search_limit(n_tests: int, alpha: float) -> float:
    """Weighted p-value up to which signals are looked for: that of 200 claims."""
    return min(alpha * _MOST / n_tests, 1.0)


def q_values(weighted: np.ndarray, false: FalseSignals) -> np.ndarray:
    """q-values of leads by ascending weighted p-value, shape (n_leads,)."""
    k = np.arange(1, len(weighted) + 1)
    rate = false.expected(weighted) / k * (1 + 1 / k)
    out: np.ndarray = np.minimum(np.minimum.accumulate(rate[::-1])[::-1], 1.0)
    return out


def _robust(
    background: Background,
    basis: np.ndarray,
    pair: np.ndarray,
    given: list[tuple[int, int]],
    where: SiteMap | None = None,
) -> StudentTest:
    """Robust test of a pair, adjusted for its main effects and the pairs ``given``."""
    x = background.columns
    others = [basis, x[:, pair]]
    for lead in given:
        others.append((x[:, lead[0]] * x[:, lead[1]])[:, None])
        if where is not None and sorted(where.chromosome[pair]) == sorted(where.chromosome[list(lead)]):
            others.append(x[:, list(lead)])
    return robust_test(x[:, pair[0]] * x[:, pair[1]], np.column_stack(others), background.residuals)


def _is_linked(columns: np.ndarray, where: SiteMap, pair: np.ndarray, lead: tuple[int, int]) -> bool:
    """Whether a pair is linked to a lead at both sites, either way round."""
    n, c = len(columns), where.chromosome
    for a, b in (lead, lead[::-1]):
        if c[pair[0]] == c[a] and c[pair[1]] == c[b]:
            r2 = [(columns[:, u] @ columns[:, v] / n) ** 2 for u, v in ((pair[0], a), (pair[1], b))]
            if min(r2) >= LINKED_R2:
                return True
    return False


def _signal(
    lead: Lead, background: Background, candidates: Candidates, where: SiteMap, q_value: float
) -> Signal:
    """The candidates linked to a tested pair as one signal, led by the likeliest of them.

    The lead is chosen on the phenotype itself, not on residuals of ridge regression, which spreads the main
    effects of an interaction, and with them part of the interaction, over linked columns.
    """
    tested = lead.pair
    columns, n, c = background.columns, len(background.columns), where.chromosome
    r2 = [(columns.T @ columns[:, k] / n) ** 2 * (c == c[k]) for k in tested]
    i, j = candidates.pair.T
    linked = ((r2[0][i] >= LINKED_R2) & (r2[1][j] >= LINKED_R2)) | (
        (r2[0][j] >= LINKED_R2) & (r2[1][i] >= LINKED_R2)
    )
    linked |= (i == tested[0]) & (j == tested[1])
    members = candidates.pair[linked]
    t = pair_t(columns, members, background.phenotype)
    order = np.argsort(-np.abs(t), kind="stable")
    posterior = np.exp((t[order] ** 2 - t[order[0]] ** 2) / 2)
    posterior /= posterior.sum()
    number = int(np.searchsorted(np.cumsum(posterior), _CREDIBLE)) + 1
    first, second = members[order[0]].tolist()
    return Signal(
        (first, second), tested, lead.test, lead.weight, members, members[order[:number]],
        posterior[:number], q_value,
    )  # fmt: skip
