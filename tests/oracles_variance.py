"""Variance components from the definitions: every product of columns made, every matrix dense, in float64."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import optimize


def standardised(calls):
    """Additive columns, and of sites with three genotypes dominance columns, of calls with -1 where missing.

    The dominance column takes the values, by genotype, that are orthogonal to 1 and to the dosage under the
    genotype frequencies at hand (Alvarez-Castro & Carlborg 2007).
    """
    additive, dominance = [], []
    for column in calls.T.astype(float):
        known = column >= 0
        values = column[known]
        if values.std() < 1e-6:
            continue
        a = np.zeros(len(column))
        a[known] = (values - values.mean()) / values.std()
        additive.append(a)
        if len(set(values)) == 3:
            p = np.array([(values == g).mean() for g in range(3)])
            spread = p[0] + p[2] - (p[0] - p[2]) ** 2
            coded = np.array([-2 * p[1] * p[2], 4 * p[0] * p[2], -2 * p[0] * p[1]]) / spread
            d = np.zeros(len(column))
            d[known] = -coded[values.astype(int)] / np.sqrt((p * coded**2).sum())
            dominance.append(d)
    return np.array(additive).T, np.array(dominance).T


def are_close(chrom, pos, i, j, distance):
    """In one window of a chromosome, or in neighbouring ones."""
    return bool(distance) and chrom[i] == chrom[j] and abs(pos[i] // distance - pos[j] // distance) <= 1


def pair_kernel(x, chrom, pos, distance, which=lambda i, j: True):
    """Mean over pairs of sites that are not close of the products of two samples' product columns."""
    total, n = np.zeros((len(x), len(x))), 0
    for i, j in combinations(range(x.shape[1]), 2):
        if not are_close(chrom, pos, i, j, distance) and which(i, j):
            column = x[:, i] * x[:, j]
            total += np.outer(column, column)
            n += 1
    return total / n, n


def triple_kernel(x, chrom):
    """The same of triples of sites on three chromosomes."""
    total, n = np.zeros((len(x), len(x))), 0
    for i, j, k in combinations(range(x.shape[1]), 3):
        if len({chrom[i], chrom[j], chrom[k]}) == 3:
            column = x[:, i] * x[:, j] * x[:, k]
            total += np.outer(column, column)
            n += 1
    return total / n, n


def projection(fixed):
    q = np.linalg.qr(fixed)[0]
    return np.eye(len(fixed)) - q @ q.T


def haseman_elston(kernels, fixed, y):
    """Shares of the variance, and the matrices G of which they are ``e'Ge``.

    Expectations of ``e'E_i e``, E_i the kernel without its diagonal, and of ``e'e`` are linear in the
    components and the variance of the noise; solved together.
    """
    m = projection(fixed)
    e, df = m @ y, np.trace(m)
    forms = [kernel - np.diag(np.diag(kernel)) for kernel in kernels] + [np.eye(len(y))]
    parts = [*kernels, np.eye(len(y))]
    system = np.array([[np.trace(f @ m @ k @ m) for k in parts] for f in forms])
    mean = np.array([np.trace(m @ k) / df for k in kernels])
    inverse = np.linalg.inv(system)[:-1]
    variance = e @ e / df
    g = [
        m @ sum(w * f for w, f in zip(row, forms, strict=True)) @ m * c / variance
        for row, c in zip(inverse, mean, strict=True)
    ]
    return np.array([e @ one @ e for one in g]), g


def sampling_moments(g, share, v, m):
    """Standard deviation of ``e'Ge`` over its share of ``e'e``, and third cumulant of ``e'Ge``; e normal."""
    df = np.trace(m)
    variance = np.trace(v @ m) / df
    ratio = g - share * m / (df * variance)
    sd = np.sqrt(2 * np.trace(ratio @ v @ ratio @ v))
    gv = g @ v
    return sd, 8 * np.trace(gv @ gv @ gv)


def restricted_likelihood(kernels, fixed, y):
    """Shares of the variance by restricted maximum likelihood (Patterson & Thompson 1971), as GCTA has it."""
    values, vectors = np.linalg.eigh(projection(fixed))
    basis = vectors[:, values > 0.5]
    inside = [basis.T @ kernel @ basis for kernel in kernels] + [np.eye(basis.shape[1])]
    e = basis.T @ y

    def deviance(logs):
        v = sum(np.exp(s) * k for s, k in zip(logs, inside, strict=True))
        factor = np.linalg.cholesky(v)
        return 2 * np.log(np.diag(factor)).sum() + (np.linalg.solve(factor, e) ** 2).sum()

    start = np.log(np.full(len(inside), e.var() / len(inside)))
    found = np.exp(optimize.minimize(deviance, start, method="Nelder-Mead", options={"maxiter": 2000}).x)
    explained = np.array([s * np.trace(k) for s, k in zip(found, inside, strict=True)])
    return explained[:-1] / explained.sum()
