"""Slow definitions of what the scan of binary traits computes."""

from __future__ import annotations

import warnings

import numpy as np
import statsmodels.api as sm
from oracles_scan import design_matrix
from scipy.optimize import minimize


def likelihood_ratio(calls, sites, case, covariates):
    """Coefficient, se, signed root, gain in McFadden's R2, r2, and the log-odds; None where singular."""
    called = (calls[:, sites] >= 0).all(axis=1)
    columns = [calls[:, s].astype(float) for s in sites]
    x, y = design_matrix(columns, covariates, called), case[called]
    if np.linalg.matrix_rank(x / np.linalg.norm(x, axis=0), tol=1e-6) < x.shape[1]:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        full, less = (sm.Logit(y, part).fit(disp=False, maxiter=200, tol=1e-14) for part in (x, x[:, :-1]))
    assert full.mle_retvals["converged"]
    assert less.mle_retvals["converged"]
    gain = 2 * (full.llf - less.llf)
    r2 = np.corrcoef(columns[0][called], columns[1][called])[0, 1] ** 2
    root = np.sign(full.params[-1]) * np.sqrt(max(gain, 0))
    return full.params[-1], full.bse[-1], root, gain / (-2 * full.llnull), r2, full.fittedvalues


def log_likelihood(x, case):
    """Greatest log-likelihood of a logistic regression, or its limit where cases and controls are separated.

    A trust region takes no step that lowers the likelihood, where Newton's steps may run away; that the
    gradient has vanished is checked.
    """
    basis = np.linalg.svd(x / np.linalg.norm(x, axis=0).clip(1e-300), full_matrices=False)
    q = basis[0][:, basis[1] > 1e-9 * basis[1][0]] * np.sqrt(len(x))

    def cost(beta):
        eta = q @ beta
        mean = 1 / (1 + np.exp(-eta))
        return np.logaddexp(0, eta).sum() - case @ eta, q.T @ (mean - case)

    def curvature(beta):
        mean = 1 / (1 + np.exp(-q @ beta))
        return (q.T * (mean * (1 - mean))) @ q

    found = minimize(
        cost, np.zeros(q.shape[1]), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-9}
    )
    # Along a separated direction the gradient is what could still be gained.
    assert np.abs(found.jac).max() < 1e-6, found.message
    return -found.fun


def firth_ratio(x, case):
    """Last coefficient that maximises Firth's penalised likelihood, and twice what it gains over 0."""

    def cost(beta):
        eta = x[:, : len(beta)] @ beta
        mu = 1 / (1 + np.exp(-eta))
        information = (x.T * (mu * (1 - mu))) @ x
        likelihood = (case * eta - np.logaddexp(0, eta)).sum()
        return -likelihood - 0.5 * np.linalg.slogdet(information)[1]

    def best(n):
        found = minimize(cost, np.zeros(n), method="BFGS", options={"gtol": 1e-7})
        return minimize(cost, found.x, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})

    full, less = best(x.shape[1]), best(x.shape[1] - 1)
    return full.x[-1], 2 * (less.fun - full.fun)


def weighted_score(design, pairs):
    """Score statistic of each pair's product, adjusted for both columns and the fixed effects."""
    root = np.sqrt(design.weight)
    trait = design.trait * root
    columns = design.values(np.arange(design.n_columns)) * root
    z = np.full(len(pairs), np.nan)
    for k, (i, j) in enumerate(pairs):
        lower = np.column_stack([(design.basis * root).T, columns[i], columns[j]])
        product = columns[i] * columns[j] / root
        residual = product - lower @ np.linalg.lstsq(lower, product, rcond=None)[0]
        if residual @ residual > 1e-9 * (product @ product):
            z[k] = residual @ trait / np.sqrt(residual @ residual)
    return z
