"""Slow definitions of the product kernel: entries by loops, dense solves, projections over all sequences."""

from itertools import combinations, product

import numpy as np


def table_entry(table, p, a, b):
    """The same where a negative state is the mean over states, with weights p."""
    left = [(1.0, a)] if a >= 0 else [(p[i], i) for i in range(len(p))]
    right = [(1.0, b)] if b >= 0 else [(p[i], i) for i in range(len(p))]
    return sum(u * v * table[i][j] for u, i in left for v, j in right)


def kernel_matrix(variance, tables, frequencies, left, right):
    """Entry by entry; tables of correlations and frequencies are one array a site."""
    out = np.zeros((len(left), len(right)))
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            value = variance
            for table, p, a, b in zip(tables, frequencies, x, y, strict=True):
                value *= table_entry(table, p, a, b)
            out[i, j] = value
    return out


def posterior(gram, cross, prior, noise, phenotype):
    """Mean and covariance at new points, an intercept of nearly flat prior included in the process.

    The prior variance of the intercept goes to infinity; the limit is taken by generalised least squares.
    """
    inverse = np.linalg.inv(gram + np.diag(noise))
    ones = np.ones(len(gram))
    level = ones @ inverse @ phenotype / (ones @ inverse @ ones)
    mean = level + cross @ inverse @ (phenotype - level)
    gap = 1 - cross @ inverse @ ones
    covariance = prior - cross @ inverse @ cross.T + np.outer(gap, gap) / (ones @ inverse @ ones)
    return mean, covariance


def all_sequences(n_states):
    return np.array(list(product(*(range(k) for k in n_states))), dtype=np.int8)


def projection(n_states, centres, sites, states):
    """Weights (n_sequences,) that make the coefficient of a term of the values at all sequences.

    By inclusion and exclusion over the subsets S of the term's sites, of means with S fixed at its states
    and all other sites drawn from the gauge's probabilities.
    """
    sequences = all_sequences(n_states)
    weights = np.zeros(len(sequences))
    fixed = dict(zip(sites, states, strict=True))
    for size in range(len(sites) + 1):
        for subset in combinations(sites, size):
            for i, x in enumerate(sequences):
                chance = 1.0
                for site, a in enumerate(x):
                    chance *= float(a == fixed[site]) if site in subset else centres[site][a]
                weights[i] += (-1) ** (len(sites) - size) * chance
    return weights


def all_terms(n_states, order):
    """Sites and states of every term of an order."""
    for sites in combinations(range(len(n_states)), order):
        for states in product(*(range(n_states[s]) for s in sites)):
            yield sites, states
