"""A dense mixed model from its definition: explicit covariance and inverse, one pair at a time."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, root
from scipy.stats import t as student


def imputed(calls):
    """Dosages with missing calls at the mean of their site: (n_samples, n_sites)."""
    values = np.where(calls < 0, np.nan, calls.astype(float))
    return np.where(np.isnan(values), np.nanmean(values, axis=0), values)


def relationship(calls, chosen):
    """Mean product of standardised dosages over the chosen sites, standard deviations over called samples."""
    columns = []
    for site in np.flatnonzero(chosen):
        value = np.where(calls[:, site] < 0, np.nan, calls[:, site].astype(float))
        if np.nanstd(value) > 0:
            columns.append(np.nan_to_num((value - np.nanmean(value)) / np.nanstd(value)))
    z = np.array(columns).T
    return z @ z.T / z.shape[1]


def restricted_likelihood(ratios, kernels, y, x):
    """Restricted log-likelihood, the scale profiled out, with explicit inverses and determinants."""
    n, p = x.shape
    v = np.eye(n) + sum(r * k for r, k in zip(ratios, kernels, strict=True))
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    residual = y - x @ np.linalg.solve(information, x.T @ inverse @ y)
    square = residual @ inverse @ residual
    logs = np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
    return -0.5 * (logs + (n - p) * np.log(square))


def scores(ratios, kernels, y, x):
    """Derivatives of the restricted log-likelihood by the ratios: traces and quadratic forms of P."""
    n, p = x.shape
    inverse = np.linalg.inv(np.eye(n) + sum(r * k for r, k in zip(ratios, kernels, strict=True)))
    middle = inverse - inverse @ x @ np.linalg.inv(x.T @ inverse @ x) @ x.T @ inverse
    fitted = middle @ y
    square = y @ fitted
    return np.array(
        [-0.5 * (np.trace(middle @ k) - (n - p) * (fitted @ k @ fitted) / square) for k in kernels]
    )


def likeliest_ratios(kernels, y, x):
    """The best of a climb from several starts; those on no border solve the equations of the scores."""
    climbs = [
        minimize(
            lambda r: -restricted_likelihood(r, kernels, y, x),
            np.full(len(kernels), start),
            jac=lambda r: -scores(r, kernels, y, x),
            bounds=[(0, 1e4)] * len(kernels),
            method="L-BFGS-B",
        )
        for start in (0.1, 1.0)
    ]
    ratios = min(climbs, key=lambda c: c.fun).x
    free = ratios > 1e-5
    ratios[~free] = 0.0

    def equations(values):
        every = ratios.copy()
        every[free] = values
        return scores(every, kernels, y, x)[free]

    if free.any():
        ratios[free] = root(equations, ratios[free], tol=1e-13).x
    return ratios


def pair_by_gls(calls, pair, y, covariates, kernels, ratios):
    """Coefficient, standard error, t and p of the product of two sites by generalised least squares."""
    n = len(y)
    a, b = imputed(calls)[:, pair].T
    x = np.column_stack([np.ones(n), covariates, a, b, a * b])
    inverse = np.linalg.inv(np.eye(n) + sum(r * k for r, k in zip(ratios, kernels, strict=True)))
    information = np.linalg.inv(x.T @ inverse @ x)
    effects = information @ x.T @ inverse @ y
    residual = y - x @ effects
    df = n - x.shape[1]
    scale = residual @ inverse @ residual / df
    se = np.sqrt(scale * information[-1, -1])
    statistic = effects[-1] / se
    return effects[-1], se, statistic, 2 * student.sf(abs(statistic), df)


def null_model(calls, chrom, own, y, covariates):
    """Kernels of the other and of the own chromosomes that have sites, ratios, and residual variance."""
    x = np.column_stack([np.ones(len(y)), covariates])
    inside = np.isin(chrom, own)
    kernels = [relationship(calls, chosen) for chosen in (~inside, inside) if chosen.any()]
    ratios = likeliest_ratios(kernels, y, x)
    inverse = np.linalg.inv(np.eye(len(y)) + sum(r * k for r, k in zip(ratios, kernels, strict=True)))
    residual = y - x @ np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y)
    return kernels, ratios, residual @ inverse @ residual / (len(y) - x.shape[1])
