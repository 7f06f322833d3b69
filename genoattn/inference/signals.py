"""Signals: clusters of linked pairs that pass one error rate, each with a lead pair and a credible set."""

from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
from scipy.stats import t as t_distribution

from genoattn.inference.background import LINKED_R2, Background, SiteMap
from genoattn.inference.robust import StudentTest, pair_t, robust_test
from genoattn.inference.weights import HypothesisWeights

_MOST = 200  # leads looked for; thresholds are those of so many discoveries at most
_CREDIBLE = 0.95
_p_value = attrgetter("p_value")
_LONE = 0.2  # weight of a lone signal in the thresholds
_STEP = (1 - _LONE) / sum(1 / k for k in range(2, _MOST + 1))  # and of every further one


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


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of columns with their scores, both in the residual and in its normal scores."""

    pair: np.ndarray  # (n_pairs, 2), ascending column indices, far apart
    t: np.ndarray  # (n_pairs,)
    n_tests: int


def find_signals(
    background: Background,
    candidates: Candidates,
    weights: HypothesisWeights | None,
    where: SiteMap,
    alpha: float = 0.05,
) -> list[Signal]:
    """Signals by ascending weighted p-value, with q-values of the weighted Benjamini-Hochberg procedure.

    Candidates are taken by ascending weighted p-value. One that is linked (r2 of 0.1 or more at both sites)
    to a lead joins it. Another is tested again with adjustment for the leads before it, and for their sites
    where these lie on its own chromosomes, and leads a signal of its own if it still passes: an echo of a
    strong pair through imperfect linkage is no second signal. The q-value of the k-th lead is its
    weighted p-value times the number of *all* tests over beta(k), made monotone. Counting a cluster once
    while paying for every pair is what keeps the rate of false clusters.

    The expected share of false signals among those with q at most ``alpha`` is at most ``alpha`` however the
    tests depend on each other, as linked pairs and the same samples make them: that is what a threshold of
    beta(k), the sum of j nu(j) up to k for probabilities nu, has over Benjamini-Hochberg's k (Blanchard &
    Roquain 2008, Electron. J. Stat. 2:963). Here nu(1) is 0.2 and nu(j) falls as 1 / j up to 200, so that
    beta(k) is 0.2 + 0.164 (k - 1). Where there is no interaction at all every claim is false: a lone signal
    must be five times as sure as Benjamini-Hochberg's, and one cohort in a hundred makes one, not one in
    twenty. It assumes that samples are exchangeable given covariates and components, and that additive
    effects between the markers are caught by them.

    Parameters
    ----------
    weights
        Of the hypotheses, mean one; None for one throughout.
    alpha
        Rate for which candidates are looked at; signals with larger q-values are returned too.
    """
    basis, versions = background.basis, background.residuals
    df = len(versions) - basis.shape[1] - 3
    weight = np.ones(len(candidates.pair)) if weights is None else weights.at(*candidates.pair.T)
    plain = 2 * t_distribution.sf(np.abs(candidates.t), df) if df > 0 else np.ones(len(weight))
    limit = min(alpha * _MOST / candidates.n_tests, 1.0)
    looked_at = np.flatnonzero(plain / np.maximum(weight, 1e-300) <= limit)
    tests = [
        max(
            _robust(background, basis, candidates.pair[k], []),
            StudentTest(float(candidates.t[k]), max(df, 1)),
            key=_p_value,
        )
        for k in looked_at
    ]
    # Dividing by the weight is what keeps the error rate, as long as the weights have mean one.
    weighted = np.array([test.p_value for test in tests]) / weight[looked_at]
    leads: list[Signal] = []
    given: list[tuple[int, int]] = []
    for k in np.argsort(weighted, kind="stable"):
        if weighted[k] > limit or len(leads) == _MOST:
            break
        index = looked_at[k]
        pair = candidates.pair[index]
        if any(_is_linked(background.columns, where, pair, tested) for tested in given):
            continue
        test = tests[k]
        if given:
            test = max(test, _robust(background, basis, pair, given, where), key=_p_value)
        if test.p_value / weight[index] <= limit:
            given.append((int(pair[0]), int(pair[1])))
            leads.append(_signal(given[-1], background, candidates, test, weight[index], where))
    return _with_q_values(leads, candidates.n_tests)


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
    tested: tuple[int, int],
    background: Background,
    candidates: Candidates,
    test: StudentTest,
    weight: float,
    where: SiteMap,
) -> Signal:
    """The candidates linked to a tested pair as one signal, led by the likeliest of them.

    The lead is chosen on the phenotype itself, not on residuals of ridge regression, which spreads the main
    effects of an interaction, and with them part of the interaction, over linked columns.
    """
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
        (first, second), tested, test, float(weight), members, members[order[:number]], posterior[:number]
    )


def reshaped(k: int) -> float:
    """beta(k), which replaces the number of discoveries k in thresholds valid under any dependence."""
    return _LONE + _STEP * (min(k, _MOST) - 1)


def _with_q_values(leads: list[Signal], n_tests: int) -> list[Signal]:
    """The leads by ascending weighted p-value, with q-values among them."""
    leads = sorted(leads, key=lambda s: s.p_value / s.weight)
    needed = [s.p_value / s.weight * n_tests / reshaped(k) for k, s in enumerate(leads, 1)]
    q = np.minimum(np.minimum.accumulate(needed[::-1])[::-1], 1.0)
    return [replace(s, q_value=float(value)) for s, value in zip(leads, q, strict=True)]
