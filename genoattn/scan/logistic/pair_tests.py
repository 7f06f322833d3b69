"""Binary traits: the null regression behind the score test, and the exact test of chosen pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genoattn.errors import InputError
from genoattn.scan.design import Design, fixed_basis
from genoattn.scan.regression.exact import PairTests
from genoattn.scan.regression.tails import normal_critical, normal_p_value

if TYPE_CHECKING:
    from genoattn.scan.logistic.rows import Subjects

_ROUNDS = 40
_SETTLED = 1e-9  # last step of Newton's method, relative to the coefficients
_LARGEST = 25.0  # log-odds beyond which covariates separate cases from controls
_FEW_GROUPS = 16  # groups of samples with equal fixed effects that are worth counting
_LOOKED_AT = 200
_COARSE_GROUPS = 16
_COARSE_FROM = 50  # samples in such a group from which it pays


def binary_design(
    codes: np.ndarray, trait: np.ndarray, covariates: np.ndarray, names: tuple = (), impute: bool = False
) -> Design:
    """The design of a score test: weights and working residual of the logistic regression on covariates.

    Raises
    ------
    InputError
        Where covariates are collinear, or separate cases from controls.
    """
    plain = fixed_basis(covariates, np.ones(len(trait)), names)
    eta = _null_log_odds(plain, trait)
    if eta is None:
        raise InputError("the covariates separate cases from controls; leave out the one that does")
    mu = 1 / (1 + np.exp(-eta))
    weight = mu * (1 - mu)
    basis = fixed_basis(covariates, weight, names)
    return Design(codes, (trait - mu) / weight, basis, weight, True, impute)


def _null_log_odds(basis: np.ndarray, trait: np.ndarray) -> np.ndarray | None:
    """Log-odds of each sample in the regression on the fixed effects; None without a maximum."""
    eta, coefficients = np.zeros(len(trait)), np.zeros(len(basis))
    for _ in range(_ROUNDS):
        mu = 1 / (1 + np.exp(-eta))
        information = (basis * (mu * (1 - mu))) @ basis.T
        if not np.linalg.cond(information) < 1e12:
            return None
        step = np.linalg.solve(information, basis @ (trait - mu))
        coefficients += step
        eta = basis.T @ coefficients
        if not np.abs(eta).max() < _LARGEST:
            return None
        if np.abs(step).max() <= _SETTLED * (1 + np.abs(coefficients).max()):
            return eta
    return None


def logistic_pairs(design: Design, trait: np.ndarray, pairs: np.ndarray, threshold: float = 1.0) -> PairTests:
    """Likelihood-ratio test of the product term in logistic regression, pair by pair, on complete cases.

    The statistic is the signed root of twice the gain in log-likelihood. Where the likelihood has no maximum
    (cases and controls separated) it is Firth's penalised one, the product's coefficient held at 0 under the
    same penalty (Heinze and Schemper 2002).

    Parameters
    ----------
    design
        Columns and fixed effects.
    trait
        Shape (n_samples,), 0 and 1.
    pairs
        Shape (n_pairs, 2), indices of columns.
    threshold
        Tests with a p-value above it need not be exact. Below 1 the likelihood ratio is first taken with
        samples in a few groups of similar covariates, and exactly where that comes near the threshold.
    """
    from genoattn.scan.logistic.likelihood import test_pairs

    subjects = subjects_of(design, trait)
    pays = subjects.fixed.shape[1] == design.n_samples > _COARSE_FROM * _COARSE_GROUPS
    critical = normal_critical(threshold) if pays else 0.0
    coarse = coarse_subjects(design, trait, subjects)
    doubts = coarse_doubts(design, trait, coarse)
    out = test_pairs(subjects, coarse, critical, *doubts, np.ascontiguousarray(pairs, dtype=np.int64)).T
    beta, se, ratio, n, cases, r2 = out
    rate = cases / np.maximum(n, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        null = -2 * n * (rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
        explained = ratio / null
    statistic = np.sign(beta) * np.sqrt(ratio)
    return PairTests(beta, se, statistic, normal_p_value(statistic), n.astype(np.int64), r2, explained)


def score_margin(design: Design, threshold: float) -> np.ndarray:
    """How far below the critical value the score of a pair may be, as a share: the sum of two columns'.

    A pair is to be tested where ``|z| >= critical (1 - margin_a - margin_b)``, z its score statistic at the
    null of the fixed effects. The likelihood ratio's root r is near z where the log-likelihood is nearly
    quadratic; it exceeds z where cases and controls are uneven, and where main effects, of which z takes out
    what is linear, are strong: by a share that grows with ``kappa``, the mean of ``|1 - 2 mu|``, with r, and
    with the main effects' own scores over the square root of the total weight. This is no bound. The
    constants are such that among 1,045,000 pairs of 88 simulated cohorts (1,000 to 4,000 samples, 1:1 to
    1:20, linked sites, alleles from a frequency of 0.01, main effects up to 1, a percent of calls missing)
    none of those with p <= 1e-2, 1e-3 or 1e-4 was lost; a score within three times the threshold loses up
    to 13 in a hundred of them.

    Parameters
    ----------
    design
        Of a binary trait.
    threshold
        Largest p-value of the likelihood-ratio test that must not be missed.

    Returns
    -------
    Shape (n_columns,).
    """
    mu_spread = np.sqrt(np.maximum(1 - 4 * design.weight, 0))  # |1 - 2 mu|, as w = mu (1 - mu)
    kappa = float(design.weight @ mu_spread / design.total)
    critical = normal_critical(threshold)
    curved = (0.12 + 0.15 * kappa) * max(1.0, critical / 3.5)
    main = np.abs(design.columns.with_trait) * design.trait_norm / np.sqrt(design.total)
    return 0.5 * curved + (0.5 + kappa) * main


def coarse_doubts(design: Design, trait: np.ndarray, coarse: Subjects) -> tuple[np.ndarray, float]:
    """By what share a root of the likelihood ratio on coarse groups may be too small, and one amended.

    The first, the sum of two columns', grows with what the fixed effects have of the columns, which one
    log-odds for all of them does not take out; the second with the variance of the log-odds within groups.
    These are no bounds. Among 6,500 pairs with a root above 2.3, of 200,000 in 120 simulated cohorts
    (covariates that follow ancestry, sites and products of sites, 3 in a hundred to half of the samples
    cases), a coarse root was too small by up to 0.19 where this is 0.29, and an amended one by up to 0.05
    where this is 0.13, once by 0.09 where it had been amended by 0.06, which is allowed for besides;
    where standard errors are large, few carriers make the estimate uncertain, and more is allowed for them.

    Returns
    -------
    Shape (n_columns,), and a number.
    """
    off = _log_odds(design, trait) - coarse.fixed[0][coarse.group]
    spread = float(design.weight @ off**2) / design.total
    reach = (design.columns.on_fixed[:, 1:] ** 2).sum(axis=1) / design.columns.norm**2
    return 0.06 + 0.5 * (reach + spread), 0.05 + 1.5 * spread


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
