"""The exact regression of chosen pairs, in float64, on the samples called at both sites."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numba import njit

from genoattn.scan.design import Design
from genoattn.scan.elimination import SINGULAR, eliminate_in_order
from genoattn.scan.tails import t_p_value


@dataclass(frozen=True, eq=False)
class PairTests:
    """Tests of the product term of pairs; every array is (n_pairs,), NaN where a pair is untestable."""

    # Of the product of the two columns, adjusted for both main effects and the fixed effects, in trait units
    # (log-odds for a binary trait)
    coefficient: np.ndarray
    se: np.ndarray
    statistic: np.ndarray  # t (quantitative), or the signed root of the likelihood-ratio statistic (binary)
    p_value: np.ndarray  # two-sided
    n_samples: np.ndarray  # called at both sites
    r2: np.ndarray  # squared correlation of the two columns over them
    explained: np.ndarray  # what the product adds to R2 (binary: to McFadden's R2)
    # products tested together, 1 unless given
    df: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.df is None:
            object.__setattr__(self, "df", np.ones(len(self.p_value), dtype=np.int64))

    @staticmethod
    def join(parts: list[PairTests]) -> PairTests:
        return PairTests(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(PairTests)))

    @staticmethod
    def none() -> PairTests:
        """No tests."""
        return PairTests(*(np.zeros(0) for _ in fields(PairTests)))

    def select(self, index: np.ndarray) -> PairTests:
        return PairTests(*(getattr(self, f.name)[index] for f in fields(PairTests)))

    @property
    def testable(self) -> np.ndarray:
        return np.isfinite(self.p_value)


def regress_pairs(design: Design, trait: np.ndarray, pairs: np.ndarray) -> PairTests:
    """Least squares of the trait on two columns, their product and the fixed effects, pair by pair.

    The design has weights of 1; ``trait`` (n_samples,) is as measured; ``pairs`` (n_pairs, 2) are indices of
    columns.
    """
    return regress_terms(design, trait, np.ascontiguousarray(pairs).reshape(-1, 2))


def regress_terms(design: Design, trait: np.ndarray, terms: np.ndarray) -> PairTests:
    """As :func:`regress_pairs`, for terms (n_terms, order), adjusted for all products of fewer columns."""
    out = np.empty((len(terms), 7))
    # The residual is regressed, whose smaller sums keep more digits; the trait has the total of R2.
    vectors = np.ascontiguousarray(np.vstack([design.basis, design.trait, trait - trait.mean()]))
    # A column that the fixed effects explain makes none of its products testable.
    testable = design.columns.varies[terms].all(axis=1)
    places = np.ascontiguousarray(terms, dtype=np.int64)
    n_predictors = design.n_fixed + 2 ** terms.shape[1] - 1
    memory = np.empty((n_predictors + 2, design.n_samples)), np.zeros((n_predictors, n_predictors))
    regress_products(design.codes, design.columns.mean, vectors, places, design.impute, *memory, out)
    square, cross, rss, n, rank, r2, total = out.T
    df = n - n_predictors
    testable &= (rank == n_predictors) & (df > 0) & (total > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = np.where(testable, cross / square, np.nan)
        se = np.where(testable, np.sqrt(np.maximum(rss, 0) / df / square), np.nan)
        statistic, explained = beta / se, beta * cross / total
    p_value = t_p_value(statistic, np.maximum(df, 1))
    return PairTests(beta, se, statistic, p_value, n.astype(np.int64), r2, explained)


@njit(nogil=True, cache=True, fastmath=True)
def _dot(x, y):  # type: ignore[no-untyped-def]
    total = 0.0
    for s in range(len(x)):
        total += x[s] * y[s]
    return total


@njit(nogil=True, cache=True, fastmath=True)
def _sum(x, n):  # type: ignore[no-untyped-def]
    total = 0.0
    for s in range(n):
        total += x[s]
    return total


@njit(nogil=True, cache=True)
def _gather(codes, mean, vectors, term, impute, lower):  # type: ignore[no-untyped-def]
    """Vectors and products of a term's columns over its samples: ``lower`` (n_rows, n_samples); their number.

    The rows are the vectors but the last two, the products of every set of columns in the order of their
    bits, each column less its mean over the samples kept, and the last two vectors.
    """
    order, n_fixed, kept = len(term), len(vectors) - 2, 0
    n_predictors = n_fixed + (1 << order) - 1
    for s in range(codes.shape[1]):
        called = True
        for k in range(order):
            called &= codes[term[k], s] >= 0
        if called or impute:
            for k in range(n_fixed):
                lower[k, kept] = vectors[k, s]
            for k in range(2):
                lower[n_predictors + k, kept] = vectors[n_fixed + k, s]
            for k in range(order):
                c = codes[term[k], s]
                lower[n_fixed + (1 << k) - 1, kept] = c - mean[term[k]] if c >= 0 else 0.0
            kept += 1
    # The full product keeps its coefficient whatever is subtracted from a column; centred, sums cancel less.
    for k in range(order):
        column = lower[n_fixed + (1 << k) - 1]
        shift = _sum(column, kept) / max(kept, 1)
        for s in range(kept):
            column[s] -= shift
    for subset in range(1, (1 << order)):
        highest = 1
        while 2 * highest <= subset:
            highest *= 2
        rest = subset - highest
        if rest:
            a, b = lower[n_fixed + rest - 1], lower[n_fixed + highest - 1]
            for s in range(kept):
                lower[n_fixed + subset - 1, s] = a[s] * b[s]
    return kept


@njit(nogil=True, cache=True, error_model="numpy")
def regress_products(codes, mean, vectors, terms, impute, rows, gram, out):  # type: ignore[no-untyped-def]
    """Least squares of products of columns, one after the other, on complete cases or with means imputed.

    ``codes`` (n_columns, n_samples), int8, are -1 where missing; ``mean`` is (n_columns,); ``vectors``
    (n_fixed + 2, n_samples) are the orthonormal fixed effects, the trait's residual after regression on them,
    and the trait less its mean; ``terms`` is (n_terms, order); ``rows`` (n_predictors + 2,
    n_samples) and ``gram`` (n_predictors, n_predictors) are memory. ``out`` (n_terms, 7) has the squared norm
    of the residual of the full product, its inner product with the trait, the residual sum of squares,
    samples, rank of all predictors, largest squared correlation among the columns, total sum of squares of
    the trait.
    """
    order, n_fixed = terms.shape[1], len(vectors) - 2
    n = len(gram)
    rhs, least = np.empty(n), np.empty(n)
    for p in range(len(terms)):
        kept = _gather(codes, mean, vectors, terms[p], impute, rows)
        y = rows[n, :kept]
        for k in range(n):
            x = rows[k, :kept]
            rhs[k] = _dot(x, y)
            for h in range(k + 1):
                gram[k, h] = _dot(x, rows[h, :kept])
            least[k] = SINGULAR * max(gram[k, k], 1e-300)
        largest = 0.0
        for k in range(order):
            for h in range(k):
                a, b = n_fixed + (1 << k) - 1, n_fixed + (1 << h) - 1
                largest = max(largest, gram[a, b] ** 2 / max(gram[a, a] * gram[b, b], 1e-300))
        square = _dot(y, y)
        trait = rows[n + 1, :kept]
        mean_of_trait = _sum(trait, kept) / max(kept, 1)
        total = _dot(trait, trait) - kept * mean_of_trait**2
        # The full product is eliminated last, so that what stands there is its residual's squared norm.
        lower, rank = eliminate_in_order(gram, rhs, least, 0, n - 1)
        of_product, cross = gram[n - 1, n - 1], rhs[n - 1]
        gain, last = eliminate_in_order(gram, rhs, least, n - 1, n)
        out[p, 0], out[p, 1], out[p, 2] = of_product, cross, square - lower - gain
        out[p, 3], out[p, 4], out[p, 5], out[p, 6] = kept, rank + last, largest, total
