"""Covariance of the samples of a trait, by restricted maximum likelihood of two kernels' shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genoattn.closed_form.ridge import RidgeRegression, Spectrum

_LEAST, _LARGEST = 1e-6, 1e6  # ratios searched; below the least a ratio is 0
_LONGEST = 2.0  # step on the logarithm of a ratio
_STEPS = 80
_CLOSE = 1e-8  # step at which the search ends


@dataclass(frozen=True, eq=False)
class SampleCovariance:
    """Covariance ``residual W`` of the samples, ``W = 1 + others K_1 + own K_2``.

    The kernels are without their parts on the fixed effects X: K = M K0 M, M the projection off X. The
    inverse of W is then ``P = V^-1 - V^-1 X (X' V^-1 X)^-1 X' V^-1`` of ``V = 1 + others K0_1 + own K0_2`` on
    the complement of X: regressions of residuals in the metric W^-1 are generalised least squares adjusted
    for X.
    """

    inverse: np.ndarray  # W^-1, (n_samples, n_samples)
    others: float  # variance of the first of two kernels over the residual variance; 0 of one
    own: float  # of the second, or of the one
    residual: float  # residual variance, in squared units of the trait


class KernelPair(NamedTuple):
    """Two kernels from standardised columns, residuals after regression on the fixed effects.

    A kernel is the mean product of its columns. The second is made of ``own`` (n_own, n_samples), the first
    of the columns of ``total``, all but these; None for no second kernel.
    """

    total: np.ndarray  # (n_samples, n_samples), sum of products of all columns
    n_total: int
    own: np.ndarray | None

    @property
    def n_kernels(self) -> int:
        return 1 if self.own is None else 2


def first_ratio(kernels: KernelPair, trait: np.ndarray) -> float:
    """The likeliest ratio of one kernel of all columns on a grid from 1e-3 to 1e3."""
    n = len(trait)
    ridge = RidgeRegression(Spectrum.of_kernel(kernels.total * (n / kernels.n_total)), np.ones((n, 1)))
    return n / ridge.likeliest_penalty(trait)[0]


def fit_covariance(kernels: KernelPair, trait: np.ndarray, df: int, start: float) -> SampleCovariance:
    """The covariance of greatest restricted likelihood, by Newton's method on the logarithms of the ratios.

    Parameters
    ----------
    kernels
        Without their parts on the fixed effects.
    trait
        Shape (n_samples,), the residual after regression on the fixed effects.
    df
        Samples less fixed effects.
    start
        Ratio of one kernel of all columns, from which the likelihood is climbed.

    Returns
    -------
    A ratio is 0 where the likelihood falls with it on the way there.

    Notes
    -----
    Twice the log-likelihood is ``-log|W| - df log(y' W^-1 y)`` up to a constant (Patterson & Thompson 1971),
    the residual variance ``y' W^-1 y / df``.
    """
    n_own = 0 if kernels.own is None else len(kernels.own)
    share = np.array([kernels.n_total - n_own, n_own][: kernels.n_kernels]) / kernels.n_total
    gram = np.zeros((1, 1)) if kernels.own is None else kernels.own.T @ kernels.own
    theta, active = np.log(np.clip(start * share, 10 * _LEAST, _LARGEST)), np.ones(len(share), dtype=bool)
    for _ in range(_STEPS):
        ratio = np.where(active, np.exp(theta), 0.0)
        inverse = _inverse(kernels, gram, ratio)
        slope, curvature = _derivatives(kernels, gram, inverse, trait, df, ratio)
        step = np.zeros(len(theta))
        step[active] = _uphill(slope[active], curvature[np.ix_(active, active)])
        outside = active & (theta + step < np.log(_LEAST))
        if np.abs(step).max() < _CLOSE and not outside.any():
            break
        theta, active = np.minimum(theta + step, np.log(_LARGEST)), active & ~outside
    others, own = (0.0, *ratio) if kernels.own is None else ratio
    return SampleCovariance(inverse, float(others), float(own), float(trait @ inverse @ trait) / df)


def _uphill(slope: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Newton's step with the curvature's absolute eigenvalues, which leads up where it is not concave."""
    values, vectors = np.linalg.eigh(curvature)
    step = vectors @ ((vectors.T @ slope) / np.maximum(np.abs(values), 1e-12))
    return np.clip(step, -_LONGEST, _LONGEST)


def _inverse(kernels: KernelPair, gram: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Inverse of W by Cholesky's decomposition; ``gram`` is the sum of products of the own columns."""
    from scipy.linalg import lapack

    n_own = 0 if kernels.own is None else len(kernels.own)
    others = ratio[0] / max(kernels.n_total - n_own, 1)
    w = others * kernels.total
    if kernels.own is not None:
        w += (ratio[1] / n_own - others) * gram
    w.flat[:: len(w) + 1] += 1
    # The transpose of a symmetric matrix is itself, in the order that LAPACK overwrites in place.
    factor, failed = lapack.dpotrf(w.T, lower=1, overwrite_a=1)
    assert not failed, "W has no eigenvalue below 1"
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    lower = np.tril(inverse, -1)
    lower += np.tril(inverse).T
    return np.ascontiguousarray(lower.T)  # no copy: LAPACK has it column by column


def _derivatives(
    kernels: KernelPair,
    gram: np.ndarray,
    inverse: np.ndarray,
    trait: np.ndarray,
    df: int,
    ratio: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (n_kernels,) and curvature of twice the log-likelihood by the logarithms of the ratios.

    With C the kernels times their ratios, ``C_1 = W - 1 - C_2``: the traces of C_1 are those of powers of the
    inverse, and of C_2 they are norms of its columns.
    """
    n, trace, square = len(trait), np.trace(inverse), np.vdot(inverse, inverse)
    u = inverse @ trait
    q, t = trait @ u, np.array([n - trace])
    products, applied = np.array([[n - 2 * trace + square]]), (trait - u)[:, None]
    if kernels.own is not None:
        scale = ratio[1] / len(kernels.own)
        weighted = kernels.own @ inverse
        once, twice = scale * np.vdot(weighted, kernels.own), scale * np.vdot(weighted, weighted)
        both = scale**2 * np.square(weighted @ kernels.own.T).sum()
        t = np.array([n - trace - once, once])
        cross = once - twice - both
        products = np.array([[products[0, 0] - 2 * once + 2 * twice + both, cross], [cross, both]])
        second = scale * (gram @ u)
        applied = np.column_stack([trait - u - second, second])
    quadratic = u @ applied
    slope = df * quadratic / q - t
    curvature = products - df * (
        2 * applied.T @ (inverse @ applied) / q - np.outer(quadratic, quadratic) / q**2
    )
    curvature += np.diag(slope)
    return slope, curvature
