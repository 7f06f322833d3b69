"""Replicate measurements of each sample: their mean, and the variance of that mean."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ReplicateMeans:
    """Means of replicates, with their variances.

    Parameters
    ----------
    mean
        Shape (n_samples,), of the replicates there are; NaN where there is none.
    variance
        Shape (n_samples,), of that mean; NaN where there is none.
    prior_variance, prior_df
        What a replicate's variance is before a sample's own replicates are seen, and how many degrees of
        freedom that knowledge is worth; infinite where samples do not differ in their variance.
    """

    mean: np.ndarray
    variance: np.ndarray
    prior_variance: float
    prior_df: float


def replicate_means(values: np.ndarray) -> ReplicateMeans:
    """Mean of replicates, with its variance by empirical Bayes.

    Two or three replicates say little of a sample's own variance, and weights of 1 / s^2 would be wild (and
    infinite where replicates agree). As in limma (Smyth 2004, section 6.2), s^2 with d degrees of freedom is
    shrunk to ``(d0 s0^2 + d s^2) / (d0 + d)``, with d0 and s0^2 fitted to all samples; over the number of
    replicates that is the variance of the mean. A sample with one replicate has the variance s0^2.

    Parameters
    ----------
    values
        Shape (n_samples, n_replicates), NaN where missing.
    """
    called = ~np.isnan(values)
    n = called.sum(axis=1)
    filled = np.where(called, values, 0.0)
    with np.errstate(invalid="ignore"):
        mean = np.where(n > 0, filled.sum(axis=1) / n, np.nan)
    squares = (np.where(called, values - mean[:, None], 0.0) ** 2).sum(axis=1)
    df = np.maximum(n - 1, 0)
    repeated = df > 0
    if repeated.sum() < 2:
        raise ValueError("fewer than two samples have two replicates")
    s2 = squares[repeated] / df[repeated]
    if not (s2 > 0).any():
        raise ValueError("the replicates of every sample are the same")
    prior_variance, prior_df = _prior(s2, df[repeated].astype(float))
    if np.isinf(prior_df):
        posterior = np.full(len(values), prior_variance)
    else:
        posterior = (prior_df * prior_variance + squares) / (prior_df + df)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.where(n > 0, posterior / n, np.nan)
    return ReplicateMeans(mean, variance, prior_variance, prior_df)


def _prior(s2: np.ndarray, df: np.ndarray) -> tuple[float, float]:
    """s0^2 and d0 by the moments of log s^2, whose law is Fisher's z (Smyth 2004, section 6.2)."""
    from scipy.optimize import brentq
    from scipy.special import digamma, polygamma

    # A variance of zero has no logarithm; limma's offset.
    s2 = np.maximum(s2, 1e-5 * np.median(s2[s2 > 0]))
    e = np.log(s2) - digamma(df / 2) + np.log(df / 2)
    excess = e.var(ddof=1) - polygamma(1, df / 2).mean()
    # Half a billion degrees of freedom are as good as infinitely many.
    if excess <= 4e-9:
        return float((s2 * df).sum() / df.sum()), np.inf
    half = np.exp(brentq(lambda u: polygamma(1, np.exp(u)) - excess, np.log(1e-8), np.log(1e9)))
    return float(np.exp(e.mean() + digamma(half) - np.log(half))), float(2 * half)
