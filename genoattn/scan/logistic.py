"""Binary traits: the null regression behind the score test, and the exact test of chosen pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from genoattn.errors import InputError
from genoattn.scan.design import Design, fixed_basis
from genoattn.scan.exact import PairTests

if TYPE_CHECKING:
    from genoattn.scan.likelihood import Subjects

_ROUNDS = 40
_SETTLED = 1e-9  # last step of Newton's method, relative to the coefficients
_LARGEST = 25.0  # log-odds beyond which covariates separate cases from controls
_FEW_GROUPS = 16  # groups of samples with equal fixed effects that are worth counting
_LOOKED_AT = 200


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


def logistic_pairs(design: Design, trait: np.ndarray, pairs: np.ndarray) -> PairTests:
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
    """
    from genoattn.scan.likelihood import test_pairs

    out = test_pairs(subjects_of(design, trait), np.ascontiguousarray(pairs, dtype=np.int64)).T
    beta, se, ratio, n, cases, r2 = out
    rate = cases / np.maximum(n, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        null = -2 * n * (rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
        explained = ratio / null
    statistic = np.sign(beta) * np.sqrt(ratio)
    return PairTests(beta, se, statistic, 2 * ndtr(-np.abs(statistic)), n.astype(np.int64), r2, explained)


def subjects_of(design: Design, trait: np.ndarray) -> Subjects:
    """The samples as the kernel reads them; those with equal fixed effects as groups, where these are few."""
    from genoattn.scan.likelihood import Subjects

    fixed = design.basis[1:].T * np.sqrt(design.total)
    mu = trait - design.trait * design.weight
    log_odds = (design.basis * design.weight) @ (np.log(mu) - np.log1p(-mu))
    start = np.r_[log_odds[1:] / np.sqrt(design.total), log_odds[0] * design.basis[0, 0]]
    group, fixed = _groups(fixed)
    return Subjects(
        design.codes,
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
