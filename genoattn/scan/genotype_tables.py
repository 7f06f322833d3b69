"""Regressions on the joint genotypes of two sites, from the cells of their 3 x 3 table: compiled.

A site enters as the indicators of its codes 1 and 2, which span its additive and its dominance term; the
four products of the indicators of two sites are their interaction. Predictors are eliminated in order (fixed
effects, sites, products), and one that those before it explain is left out: what it would have added to the
degrees of freedom, an empty genotype class or two sites in perfect linkage take away.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.elimination import SINGULAR, eliminate_in_order
from genoattn.scan.logistic import LogisticProblems, greatest_likelihood

N_MAIN, N_PRODUCTS = 4, 4
_N = N_MAIN + N_PRODUCTS


class TableSums(NamedTuple):
    """Sums of a tile over the samples with code x (1 or 2) at a row and y at a column."""

    of_a: np.ndarray  # (n_sums, 2, n_rows), sums over the samples with a code at the row
    of_b: np.ndarray  # (n_sums, 2, n_cols), at the column
    # (n_sums, 2, n_rows, 2, n_cols); the first sum is that of the weights, the last that of the trait,
    # between them those of the orthonormal fixed effects, all times the weights
    joint: np.ndarray
    square: float  # squared norm of the trait


class TableTests(NamedTuple):
    """Tests of a tile, (n_rows, n_cols) each: squares explained by the products, as a share of the residual
    squares without them; their degrees of freedom; and those of both sites."""

    share: np.ndarray
    df: np.ndarray
    df_main: np.ndarray


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(sums, i, j, gram, rhs, least, column):  # type: ignore[no-untyped-def]
    """Gram matrix of the indicators of a pair, less what the fixed effects explain."""
    n_sums = len(sums.of_a)
    gram[:] = 0.0
    for m in range(n_sums):
        for x in range(2):
            column[x] = sums.of_a[m, x, i]
            column[2 + x] = sums.of_b[m, x, j]
            for y in range(2):
                column[4 + 2 * x + y] = sums.joint[m, x, i, y, j]
        if m == 0:
            for k in range(_N):
                gram[k, k] = least[k] = column[k]
            for x in range(2):
                for y in range(2):
                    joint = column[4 + 2 * x + y]
                    gram[2 + y, x] = gram[4 + 2 * x + y, x] = gram[4 + 2 * x + y, 2 + y] = joint
        elif m == n_sums - 1:
            rhs[:] = column
        else:
            for k in range(_N):
                for h in range(k + 1):
                    gram[k, h] -= column[k] * column[h]
    for k in range(_N):
        least[k] *= SINGULAR


@njit(nogil=True, cache=True, error_model="numpy")
def table_tests(sums, binary, out):  # type: ignore[no-untyped-def]
    """Test the products of all pairs of a tile into ``out``.

    Where ``binary``, the variance of the trait is known: ``share`` is the score statistic.
    """
    gram, rhs, least, column = np.empty((_N, _N)), np.empty(_N), np.empty(_N), np.empty(_N)
    for i in range(out.share.shape[0]):
        for j in range(out.share.shape[1]):
            _fill(sums, i, j, gram, rhs, least, column)
            main, rank = eliminate_in_order(gram, rhs, least, 0, N_MAIN)
            gain, df = eliminate_in_order(gram, rhs, least, N_MAIN, _N)
            out.share[i, j] = gain if binary else gain / (sums.square - main)
            out.df[i, j], out.df_main[i, j] = df, rank


@njit(nogil=True, cache=True, error_model="numpy")
def regress_tables(codes, trait, basis, pairs):  # type: ignore[no-untyped-def]
    """Least squares of pairs (n_pairs, 2) on the samples called at both sites, one after the other.

    ``codes`` (n_columns, n_samples), int8, are -1 where missing; ``trait`` (n_samples,) has mean 0; ``basis``
    (n_samples, n_fixed) are fixed effects orthonormal over all samples. Returns (n_pairs, 6): squares that
    the products explain, residual squares, degrees of freedom of the products and of the residual, samples,
    and squares about the mean of the trait.
    """
    n_samples, n_fixed = basis.shape
    n = n_fixed + _N
    out = np.empty((len(pairs), 6))
    cell = np.empty((3, 3, n_fixed + 3))  # sums of the fixed effects, of 1, y and y^2
    gram, rhs, least = np.empty((n, n)), np.empty(n), np.empty(n)
    for p in range(len(pairs)):
        gram[:], rhs[:], cell[:] = 0.0, 0.0, 0.0
        # Orthonormal over all samples: only those without a call change the Gram matrix of fixed effects.
        for k in range(n_fixed):
            gram[k, k] = 1.0
        a, b = codes[pairs[p, 0]], codes[pairs[p, 1]]
        for s in range(n_samples):
            if a[s] < 0 or b[s] < 0:
                for k in range(n_fixed):
                    for h in range(k + 1):
                        gram[k, h] -= basis[s, k] * basis[s, h]
                continue
            target = cell[a[s], b[s]]
            for k in range(n_fixed):
                target[k] += basis[s, k]
                rhs[k] += basis[s, k] * trait[s]
            target[n_fixed] += 1.0
            target[n_fixed + 1] += trait[s]
            target[n_fixed + 2] += trait[s] * trait[s]
        _fill_from_cells(cell, n_fixed, gram, rhs, least)
        sums = cell.sum(axis=0).sum(axis=0)
        fixed, rank = eliminate_in_order(gram, rhs, least, 0, n_fixed)
        main, rank_main = eliminate_in_order(gram, rhs, least, n_fixed, n_fixed + N_MAIN)
        gain, df = eliminate_in_order(gram, rhs, least, n_fixed + N_MAIN, n)
        n_called, total, square = sums[n_fixed], sums[n_fixed + 1], sums[n_fixed + 2]
        out[p, 0], out[p, 1] = gain, square - fixed - main - gain
        out[p, 2], out[p, 3] = df, n_called - rank - rank_main - df
        out[p, 4], out[p, 5] = n_called, square - total * total / max(n_called, 1.0)
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def _fill_from_cells(cell, n_fixed, gram, rhs, least):  # type: ignore[no-untyped-def]
    """Gram matrix of fixed effects, indicators and products, and its pivots' limits."""
    n = len(rhs)
    for k in range(n_fixed + 2):
        for x in range(2):
            of_a, of_b = cell[x + 1, :, k].sum(), cell[:, x + 1, k].sum()
            if k < n_fixed:
                gram[n_fixed + x, k], gram[n_fixed + 2 + x, k] = of_a, of_b
            elif k == n_fixed:
                gram[n_fixed + x, n_fixed + x], gram[n_fixed + 2 + x, n_fixed + 2 + x] = of_a, of_b
            else:
                rhs[n_fixed + x], rhs[n_fixed + 2 + x] = of_a, of_b
            for y in range(2):
                joint, place = cell[x + 1, y + 1, k], n_fixed + 4 + 2 * x + y
                if k < n_fixed:
                    gram[place, k] = joint
                elif k == n_fixed:
                    gram[place, place] = joint
                    gram[n_fixed + 2 + y, n_fixed + x] = joint
                    gram[place, n_fixed + x] = gram[place, n_fixed + 2 + y] = joint
                else:
                    rhs[place] = joint
    for k in range(n):
        least[k] = SINGULAR * (1.0 if k < n_fixed else gram[k, k])


def likelihood_ratios(
    codes: np.ndarray, case: np.ndarray, fixed: np.ndarray, pairs: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Twice the gain in log-likelihood of the four products of two sites, pair by pair.

    Cells of cases or of controls alone are taken at the limit of their likelihood, which is finite. ``codes``
    (n_columns, n_samples), int8, are -1 where missing; ``case`` (n_samples,) is 0 and 1; ``fixed`` (n_fixed,
    n_samples) has the intercept first; ``pairs`` (n_pairs, 2) are indices of columns.

    Returns
    -------
    The ratio; the degrees of freedom, 0 where it cannot be tested; twice the log-likelihood, without its
    sign, of the intercept alone; and the samples called at both sites. Shape (n_pairs,) each.
    """
    ratio, df, null = np.full(len(pairs), np.nan), np.zeros(len(pairs)), np.ones(len(pairs))
    n_samples = np.zeros(len(pairs), dtype=np.int64)
    for p, (first, second) in enumerate(pairs):
        called = (codes[first] >= 0) & (codes[second] >= 0)
        a, b, y = codes[first, called], codes[second, called], case[called]
        n_samples[p] = len(y)
        if not 0 < y.sum() < len(y):
            continue
        rate = y.mean()
        null[p] = -2 * len(y) * (rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
        terms = [a == 1, a == 2, b == 1, b == 2]
        terms += [terms[i] & terms[2 + j] for i in range(2) for j in range(2)]
        x, n_lower = _independent(np.column_stack([fixed[:, called].T, *terms]), len(fixed) + N_MAIN)
        if not len(y) > x.shape[1] > n_lower:
            continue
        df[p], n, cases = x.shape[1] - n_lower, np.ones(len(y)), y
        if len(fixed) == 1:  # samples of one cell as one row
            _, place, row = np.unique(3 * a + b, return_index=True, return_inverse=True)
            x, cases, n = x[place], np.bincount(row, y), np.bincount(row).astype(np.float64)
        zeros = np.zeros((1, len(n)))
        fits = [LogisticProblems(x.T[None, :k], n[None], cases[None], zeros) for k in (n_lower, None)]
        without, top = (float(greatest_likelihood(fit)[0]) for fit in fits)
        # Each fit ends within a tolerance, so that the difference of two equal ones may be negative.
        ratio[p] = max(2 * (top - without), 0.0)
    return ratio, df, null, n_samples


def _independent(x: np.ndarray, n_lower: int) -> tuple[np.ndarray, int]:
    """The columns of x that those before them do not explain, and how many of the first n_lower they are."""
    gram = x.T @ x
    least, nothing, kept = SINGULAR * np.diag(gram), np.zeros(len(gram)), []
    for k in range(len(gram)):
        if eliminate_in_order(gram, nothing, least, k, k + 1)[1]:
            kept.append(k)
    return x[:, kept], int(np.searchsorted(kept, n_lower))
