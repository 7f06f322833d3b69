"""The exact test of chosen pairs of a binary trait, in stages: most of them need not be exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.regression.exact import PairTests
from genoattn.scan.regression.tails import normal_critical, normal_p_value

if TYPE_CHECKING:
    from genoattn.scan.logistic.rows import Subjects

_FEW_GROUPS = 16  # groups of samples with equal fixed effects that are worth counting
_LOOKED_AT = 200
_COARSE_GROUPS = 16
_COARSE_FROM = 50  # samples in such a group from which it pays


class LogisticTests:
    """Likelihood-ratio tests of the product term in logistic regression, pair by pair, on complete cases.

    The statistic is the signed root of twice the gain in log-likelihood. Where the likelihood has no maximum
    (cases and controls separated) it is Firth's penalised one, the product's coefficient held at 0 under the
    same penalty (Heinze and Schemper 2002).

    Parameters
    ----------
    design
        Columns and fixed effects.
    trait
        Shape (n_samples,), 0 and 1.
    threshold
        Tests with a p-value above it need not be exact. Below 1 the likelihood ratio is first taken without
        the fixed effects, then with samples in a few groups of similar ones, and exactly where that comes
        near the threshold.
    """

    def __init__(self, design: Design, trait: np.ndarray, threshold: float = 1.0) -> None:
        from genoattn.scan.logistic.cells import make_planes, no_planes  # compiled code loads when it is used

        self.subjects = subjects_of(design, trait)
        self.coarse = coarse_subjects(design, trait, self.subjects)
        self.critical = normal_critical(threshold) if threshold < 1 else 0.0
        grouped = self.subjects.fixed.shape[1] < design.n_samples
        self.in_groups = not grouped and design.n_samples > _COARSE_FROM * _COARSE_GROUPS
        self.doubts = _Doubts(design, trait, self.coarse)
        planes = make_planes(design.codes, trait, self.coarse.group) if self.critical > 0 else None
        self.planes = planes or no_planes()

    def __call__(self, pairs: np.ndarray) -> PairTests:
        """Tests of pairs: shape (n_pairs, 2), indices of columns."""
        from genoattn.scan.logistic.likelihood import test_pairs

        doubts = self.doubts.of_cells, self.doubts.of_groups, self.doubts.of_amended
        pairs = np.ascontiguousarray(pairs, dtype=np.int64)
        out = test_pairs(
            self.subjects, self.coarse, self.planes, self.critical, self.in_groups, doubts, pairs
        ).T
        beta, se, ratio, n, cases, r2 = out
        rate = cases / np.maximum(n, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            null = -2 * n * (rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
            explained = ratio / null
        statistic = np.sign(beta) * np.sqrt(ratio)
        return PairTests(beta, se, statistic, normal_p_value(statistic), n.astype(np.int64), r2, explained)


def logistic_pairs(design: Design, trait: np.ndarray, pairs: np.ndarray, threshold: float = 1.0) -> PairTests:
    """:class:`LogisticTests` of pairs, made once."""
    return LogisticTests(design, trait, threshold)(pairs)


class _Doubts:
    """By what share of itself a root of the likelihood ratio may be too small, at each stage.

    Each is the sum of two columns'. It grows with the spread of the log-odds within groups (of all samples,
    where only cells are counted), which the groups do not take out, and with what the fixed effects have of
    the columns. These are no bounds. Among 188,000 pairs with a root above 2.3, in 1,349 simulated cohorts (1
    to 10 covariates, null to strong, some that follow ancestry, sites or a product of sites; 1,500 and 4,000
    samples, 3 to 70 in a hundred of them cases) the most that a root was too small was 0.7 of the doubt for
    cells, 0.62 for groups and 0.28 for an amended root, to which how far it was amended is added; of 1.3
    million pairs in 747 others, none of the 15,400 with p below 1e-2, 1e-3 or 1e-4 was lost. Where standard
    errors are large, few carriers make the estimate uncertain, and more is allowed for them.

    Parameters
    ----------
    design, trait
        As tested.
    coarse
        From :func:`coarse_subjects`.
    """

    def __init__(self, design: Design, trait: np.ndarray, coarse: Subjects) -> None:
        log_odds = _log_odds(design, trait)
        within = log_odds - coarse.fixed[0][coarse.group]
        whole = log_odds - design.weight @ log_odds / design.total
        spread, spread_of_all = (float(design.weight @ x**2) / design.total for x in (within, whole))
        reach = (design.columns.on_fixed[:, 1:] ** 2).sum(axis=1) / design.columns.norm**2
        self.of_cells = 0.0075 + 0.6 * np.sqrt(spread_of_all) + 1.5 * reach
        self.of_groups = 0.0075 + 0.4 * np.sqrt(spread) + 1.5 * reach
        self.of_amended = 0.01 + 0.5 * spread + 0.3 * reach


def _log_odds(design: Design, trait: np.ndarray) -> np.ndarray:
    """Of each sample in the regression on the fixed effects."""
    mu = trait - design.trait * design.weight
    out: np.ndarray = np.log(mu) - np.log1p(-mu)
    return out


def coarse_subjects(design: Design, trait: np.ndarray, subjects: Subjects) -> Subjects:
    """The samples in groups of similar log-odds by the fixed effects, whose mean is their one covariate."""
    log_odds = _log_odds(design, trait)
    order = np.argsort(log_odds, kind="stable")
    below = np.cumsum(design.weight[order])
    group = np.empty(len(log_odds), dtype=np.int64)
    # Half by weight and half by level, so that a sample far out is not among those of the bulk.
    low, high = log_odds.min(), log_odds.max()
    place = 0.5 * below / below[-1] + 0.5 * (log_odds[order] - low) / max(high - low, 1e-9)
    group[order] = np.minimum(place * _COARSE_GROUPS, _COARSE_GROUPS - 1)
    group = np.unique(group, return_inverse=True)[1].reshape(-1)
    weight = np.bincount(group, design.weight)
    level = np.bincount(group, design.weight * log_odds) / weight
    return subjects._replace(group=group, fixed=level[None], start=np.array([1.0, 0.0]))


def subjects_of(design: Design, trait: np.ndarray) -> Subjects:
    """The samples as the kernel reads them; those with equal fixed effects as groups, where these are few."""
    from genoattn.scan.logistic.rows import Subjects

    fixed = design.basis[1:].T * np.sqrt(design.total)
    log_odds = (design.basis * design.weight) @ _log_odds(design, trait)
    start = np.r_[log_odds[1:] / np.sqrt(design.total), log_odds[0] * design.basis[0, 0]]
    group, fixed = _groups(fixed)
    codes = design.codes.view()
    codes.setflags(write=False)  # whether or not they were: one type, compiled once
    return Subjects(
        codes,
        design.columns.mean,
        design.columns.varies,
        trait.astype(np.int8),
        group,
        np.ascontiguousarray(fixed.T),
        start,
        int(design.codes.max(initial=1)) + 2,
        design.impute,
    )


def _groups(fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group of each sample and the groups' rows; each sample its own group where there are many."""
    n_samples = len(fixed)
    whole = np.arange(n_samples), fixed
    rounded = np.round(fixed, 9)  # what is equal among covariates differs in the last digits of the basis
    if fixed.shape[1] == 0:
        return np.zeros(n_samples, dtype=np.int64), fixed[:1]
    if len(np.unique(rounded[:_LOOKED_AT], axis=0)) > _FEW_GROUPS:
        return whole
    _, first, group = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    if len(first) > min(_FEW_GROUPS, n_samples // 50):
        return whole
    return group.reshape(-1), fixed[first]
