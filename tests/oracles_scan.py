"""Slow definitions of what the scan computes: one statsmodels regression a pair or triple."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import statsmodels.api as sm


def design_matrix(columns, covariates, called):
    """Intercept, covariates, all products of the columns up to the full one, which is last."""
    parts = [np.ones((called.sum(), 1)), covariates[called]]
    for size in range(1, len(columns) + 1):
        for chosen in combinations(range(len(columns)), size):
            parts.append(np.prod([columns[k][called] for k in chosen], axis=0)[:, None])
    return np.concatenate(parts, axis=1)


def term_regression(calls, sites, trait, covariates, binary=False):
    """Coefficient, se, statistic, p and number of samples of the product of some sites.

    The statistic is t, or for a binary trait the Wald z and the p-value that of the likelihood-ratio test;
    None where the regression is singular.
    """
    called = (calls[:, sites] >= 0).all(axis=1)
    x = design_matrix([calls[:, s].astype(float) for s in sites], covariates, called)
    scaled = x / np.maximum(np.linalg.norm(x, axis=0), 1e-300)
    if x.shape[0] <= x.shape[1] or np.linalg.matrix_rank(scaled, tol=1e-6) < x.shape[1]:
        return None
    y = trait[called]
    if not binary:
        fit = sm.OLS(y, x).fit()
        return fit.params[-1], fit.bse[-1], fit.tvalues[-1], fit.pvalues[-1], called.sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = sm.Logit(y, x).fit(disp=False, method="newton", maxiter=100)
        less = sm.Logit(y, x[:, :-1]).fit(disp=False, method="newton", maxiter=100)
    from scipy.stats import chi2

    p = chi2.sf(max(2 * (fit.llf - less.llf), 0), 1)
    return fit.params[-1], fit.bse[-1], fit.params[-1] / fit.bse[-1], p, called.sum()


def scan_cohort_data(rng, n_samples, n_sites, missing=0.0, linked=0.0, n_covariates=0):
    """Calls with uneven frequencies, runs of linkage, gaps and covariates that lean on the genotypes."""
    calls = rng.binomial(2, rng.uniform(0.05, 0.95, n_sites), (n_samples, n_sites))
    for k in range(1, n_sites):
        copied = rng.random(n_samples) < linked
        calls[copied, k] = calls[copied, k - 1]
    covariates = rng.normal(size=(n_samples, n_covariates)) + calls[:, :n_covariates]
    calls[rng.random(calls.shape) < missing] = -1
    return calls.astype(np.int8), covariates
