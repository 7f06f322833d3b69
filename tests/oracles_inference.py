"""What inference computes quickly, from the definitions and slowly."""

from __future__ import annotations

import numpy as np
import statsmodels.api as sm


def is_far(chrom_a, pos_a, chrom_b, pos_b):
    """Whether two sites are tested as a pair: different chromosomes, or a million base pairs apart."""
    return chrom_a != chrom_b or abs(int(pos_a) - int(pos_b)) >= 1_000_000


def count_far(chrom, pos):
    n = len(chrom)
    return sum(is_far(chrom[a], pos[a], chrom[b], pos[b]) for a in range(n) for b in range(a + 1, n))


def carrier_values(columns, segment, visible, vector):
    """For each sample and segment the sum of a vector over the columns of visible segments."""
    out = np.zeros((len(columns), len(visible)))
    for k in range(len(visible)):
        for j in range(columns.shape[1]):
            if visible[segment[j], k]:
                out[:, k] += vector[j] * columns[:, j]
    return out


def visible_product(columns, segment, visible, left, right):
    """Sum over visible pairs of columns, either way round, of their entries and product; centred."""
    out = np.zeros(len(columns))
    for i in range(columns.shape[1]):
        for j in range(columns.shape[1]):
            if visible[segment[i], segment[j]]:
                out += left[i] * right[j] * columns[:, i] * columns[:, j]
    return out - out.mean()


def least_squares(y, predictor, others):
    """statsmodels' fit of y on a predictor, the first coefficient, and a full-rank set of others."""
    return sm.OLS(y, np.column_stack([predictor, others])).fit()


def pair_fit(columns, pair, y, covariates=None):
    """statsmodels' regression of y on the product of two columns, an intercept and both columns."""
    a, b = columns[:, pair[0]], columns[:, pair[1]]
    others = [np.ones(len(y)), a, b, *([] if covariates is None else covariates.T)]
    return least_squares(y, a * b, np.column_stack(others))


def weighted_bh(p_values, weights, n_tests):
    """q-values of weighted Benjamini-Hochberg: the smallest rate at which a hypothesis is rejected.

    At rate q the k hypotheses with ``p / w <= k q / n_tests`` are rejected, k being the largest such number
    (Genovese, Roeder & Wasserman 2006).
    """
    ratio = np.asarray(p_values) / np.asarray(weights)
    out = []
    for r in ratio:
        # Rejected together with every hypothesis of a ratio up to c, for the best c that is not smaller.
        rates = [c * n_tests / (ratio <= c).sum() for c in ratio if c >= r]
        out.append(min(1.0, min(rates)))
    return np.array(out)
