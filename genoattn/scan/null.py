"""Binary traits: the null regression behind the score test, and how far that may be from the exact test."""

import numpy as np

from genoattn.errors import InputError
from genoattn.scan.design import Design, fixed_basis
from genoattn.scan.logistic import fit_logistic
from genoattn.scan.tails import normal_critical


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
        raise InputError(
            f"the covariates separate cases from controls; leave out {_separating(covariates, trait, names)}"
        )
    mu = 1 / (1 + np.exp(-eta))
    weight = mu * (1 - mu)
    basis = fixed_basis(covariates, weight, names)
    return Design(codes, (trait - mu) / weight, basis, weight, True, impute)


def _separating(covariates: np.ndarray, trait: np.ndarray, names: tuple) -> str:
    """The covariate without which the others do not separate cases from controls, in words."""
    for k in range(covariates.shape[1]):
        others = fixed_basis(np.delete(covariates, k, axis=1), np.ones(len(trait)), ())
        if _null_log_odds(others, trait) is not None:
            return str(names[k]) if len(names) else f"covariate {k}"
    return "those that do"


def _null_log_odds(basis: np.ndarray, trait: np.ndarray) -> np.ndarray | None:
    """Log-odds of each sample in the regression on the fixed effects; None without a maximum."""
    coefficients = fit_logistic(basis, trait)
    return None if coefficients is None else basis.T @ coefficients


def score_margin(design: Design, threshold: float) -> np.ndarray:
    """How far below the critical value the score of a pair may be, as a share: the sum of two columns'.

    A pair is to be tested where ``|z| >= critical (1 - margin_a - margin_b)``, z its score statistic at the
    null of the fixed effects. The likelihood ratio's root r is near z where the log-likelihood is nearly
    quadratic; it exceeds z where few carriers make the product heavy-tailed, where cases and controls are
    uneven and the product skew, and where main effects, of which z takes out what is linear, are strong: by
    shares that grow with the fourth and the third standardised moment of the product, which for independent
    sites are those of the columns multiplied, over the total weight W and its root; with ``kappa``, the mean
    of ``|1 - 2 mu|``; and with the main effects' own scores over the root of W. Columns with missing calls
    have the margin that serves all alleles, and more by the share of these, since z has them at the mean and
    r leaves them out. This is no bound: the constants are such that among 144,000 pairs with r above 2 in
    simulated cohorts (300 to 4,000 samples, 1:1 to 1:20, linked sites, alleles from a frequency of 0.01, main
    effects up to 1, up to 25 covariates, up to a fifth of the calls missing) the most that z was below r was
    0.87 of the margin.

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
    columns, total = design.columns, design.total
    most = (0.12 + 0.15 * kappa) * max(1.0, critical / 3.5)
    skew, tail = _standardised(columns.mean, columns.norm**2 / total)
    curved = 0.015 + 0.03 * critical**2 * tail**2 / total + 0.2 * kappa * critical * skew**2 / np.sqrt(total)
    whole, gone = int(design.codes.max(initial=0)) <= 2, columns.missing / design.n_samples
    curved = np.where(
        whole & (columns.missing == 0), np.minimum(curved, most), 0.5 * most + 0.015 + 1.25 * gone
    )
    main = np.abs(columns.with_trait) * design.trait_norm / np.sqrt(total)
    return curved + (0.75 + kappa) * main


def _standardised(mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Third and fourth standardised moments of columns of codes 0, 1 and 2, from the first two moments."""
    two = (variance + mean**2 - mean) / 2
    share = np.array([1 - mean + two, mean - 2 * two, two])
    off = np.arange(3)[:, None] - mean
    safe = np.maximum(variance, 1e-300)
    return (share * off**3).sum(axis=0) / safe**1.5, (share * off**4).sum(axis=0) / safe**2
