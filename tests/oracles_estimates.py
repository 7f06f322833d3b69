"""Slow definitions of unshrunken estimates: one statsmodels regression in the gauge's own coding."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import statsmodels.api as sm

from genoattn.tokens.gauge_centre import gauge_centre


def coded_columns(vocabulary, calls, gauge):
    """For each site the columns whose regression coefficients are those of the gauge: (column index, values).

    Of states a with weights p the coefficients c satisfy ``sum p_a c_a = 0``: with b the state of largest
    weight, column a is ``x_a - p_a / p_b x_b``. A missing call counts as the training mean.
    """
    v, centre = vocabulary, gauge_centre(vocabulary, gauge)
    out = []
    for site in range(v.n_sites):
        own = np.flatnonzero(v.site == site)
        state = calls[:, site]
        if v.is_dosage:
            value = np.where(state < 0, v.mean[own[0]], state) - centre[own[0]]
            out.append([(own[0], value)] if v.variance[own[0]] > 0 else [])
            continue
        value = np.where((state < 0)[:, None], v.mean[own], state[:, None] == v.state[own])
        base = int(np.argmax(np.where(v.variance[own] > 0, centre[own], -1)))
        weight = centre[own] / centre[own][base]
        out.append(
            [
                (c, value[:, k] - weight[k] * value[:, base])
                for k, c in enumerate(own)
                if k != base and v.variance[c] > 0
            ]
        )
    return out


def gauge_design(vocabulary, calls, gauge, order):
    """Terms up to an order, as tuples of columns, and the design matrix whose coefficients they are."""
    coded = coded_columns(vocabulary, calls, gauge)
    terms, columns = [()], [np.ones(len(calls))]
    for size in range(1, order + 1):
        for sites in combinations(range(vocabulary.n_sites), size):
            for chosen in product(*(coded[s] for s in sites)):
                terms.append(tuple(int(c) for c, _ in chosen))
                columns.append(np.prod([value for _, value in chosen], axis=0))
    return terms, np.column_stack(columns)


def hierarchical_regression(
    vocabulary, calls, phenotype, covariates, gauge, order, family=None, weights=None
):
    """Coefficient, standard error and p-value of every term, from one regression of all of them."""
    terms, design = gauge_design(vocabulary, calls, gauge, order)
    x = np.column_stack([design, covariates])
    if family is not None:
        fit = sm.GLM(phenotype, x, family).fit(tol=1e-13, maxiter=200)
        assert fit.converged
    else:
        fit = sm.WLS(phenotype, x, weights=np.ones(len(x)) if weights is None else weights).fit()
    numbers = zip(fit.params, fit.bse, fit.pvalues, strict=True)
    return dict(zip(terms, list(numbers)[: len(terms)], strict=True))


def generalised_least_squares(y, fixed, covariance):
    """Coefficients of the fixed effects and their covariance at unit scale, by the textbook."""
    inverse = np.linalg.inv(covariance)
    spread = np.linalg.inv(fixed.T @ inverse @ fixed)
    beta = spread @ fixed.T @ inverse @ y
    left = y - fixed @ beta
    return beta, spread, float(left @ inverse @ left)


def cell_estimate(v, calls, residual, weight, term, coefficient, of_unseen, centre, inflation):
    """Effect and standard error of one term from the means of its cells, one cell at a time."""
    sites, states = v.site[term], v.state[term]
    noise = inflation * (weight * residual**2).sum() / len(residual)
    step, variance, ambiguity, seen = 0.0, 0.0, 0.0, False
    for cell in product(*(range(v.n_states[s]) for s in sites)):
        contrast = np.prod(
            [(c == a) - centre[v.first[s] + c] for c, a, s in zip(cell, states, sites, strict=True)]
        )
        inside = (calls[:, sites] == cell).all(axis=1)
        n, w, r = inside.sum(), weight[inside], residual[inside]
        if n == 0:
            ambiguity += contrast**2 * of_unseen
            continue
        seen |= tuple(states) == cell
        step += contrast * (w * r).sum() / w.sum()
        variance += contrast**2 * (10 * noise + inflation * (w * r**2).sum()) / (10 + n) / w.sum()
    known = seen and ambiguity <= 0.25**2 * inflation * variance
    return coefficient + inflation * step, np.sqrt(inflation * variance) if known else np.nan
