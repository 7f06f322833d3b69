"""Marginal epistasis from its definitions: explicit matrices of samples, loops, exact mixtures."""

import numpy as np
from scipy import integrate


def partners(design, site):
    """Partners of a site: allowed, of another record, on another chromosome or far enough."""
    found = []
    for k in np.flatnonzero(design.partner):
        same = design.chromosome[k] == design.chromosome[site]
        near = same and abs(design.position[k] - design.position[site]) < design.mask_distance
        if design.record[k] != design.record[site] and not near:
            found.append(int(k))
    return found


def statistic(design, site):
    """Sum over pairs of different samples, by loops; with the sum of squares of dosage times residual."""
    x, r = design.columns[site].astype(float), design.residual
    w = x * (r - x * (x @ r) / (x @ x))
    found, total = partners(design, site), 0.0
    for k in found:
        z = design.columns[k].astype(float)
        for s in range(len(r)):
            for t in range(len(r)):
                if s != t:
                    total += w[s] * z[s] * w[t] * z[t]
    return total / len(found), (w**2).sum()


def off_diagonal(design, site, weights):
    """The matrix of weights_s weights_t K_st of a site's partners, without its diagonal."""
    z = design.columns[partners(design, site)].astype(float)
    out = np.outer(weights, weights) * (z.T @ z) / len(z)
    np.fill_diagonal(out, 0)
    return out


def mixture_tail(weights, value):
    """P(sum_k weights_k (chi2_1 - 1) > value), by the inversion formula of Imhof (1961)."""
    weights = np.asarray(weights)
    q = value + weights.sum()

    def integrand(u):
        angle = 0.5 * np.arctan(weights * u).sum() - 0.5 * q * u
        size = np.exp(0.25 * np.log1p((weights * u) ** 2).sum())
        return np.sin(angle) / (u * size)

    return 0.5 + integrate.quad(integrand, 1e-12, np.inf, limit=2000)[0] / np.pi


def exact_p_value(design, site):
    """Of the statistic, by all eigenvalues of the site's own off-diagonal matrix."""
    value, scale = statistic(design, site)
    r = design.residual
    weights = np.linalg.eigvalsh(off_diagonal(design, site, r))
    return mixture_tail(weights, value / scale * (r @ r))


def dense_mapit(columns, trait, site, allowed, additive, noise):
    """The textbook test (Crawford et al. 2017): Q = r'Kr, K of all products, diagonal terms included.

    ``trait`` has covariance ``additive X'X + noise`` without interactions; its generalised least-squares
    residual adjusted for the intercept and the site has the covariance P, and Q is a mixture of chi-squared
    variables of the eigenvalues of ``P^1/2 K P^1/2``. Returns its p-value.
    """
    x = columns.astype(float)
    n = x.shape[1]
    v = np.linalg.inv(additive * x.T @ x + noise * np.eye(n))
    z = np.column_stack([np.ones(n), x[site]])
    p = v - v @ z @ np.linalg.solve(z.T @ v @ z, z.T @ v)
    products = x[allowed] * x[site]
    k = products.T @ products / len(allowed)
    r = p @ trait
    values, vectors = np.linalg.eigh(p)
    half = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    weights = np.linalg.eigvalsh(half @ k @ half)
    return mixture_tail(weights, r @ k @ r - weights.sum())
