r"""Least squares of the complete hierarchical model, and its coefficients in any gauge.

All products up to the order are regressed together, without a penalty, by weighted least squares of the
working response: coefficients :math:`\hat\theta` with covariance C. A coefficient of a gauge is :math:`R
\hat\theta` with variance :math:`R C R^T`, R the weights of
:class:`genoattn.closed_form.product_basis.ProductBasis`: the numbers of a regression in that gauge's coding.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack, solve_triangular

from genoattn.closed_form.product_basis import ProductBasis
from genoattn.interactions.design_moments import Moments, design_moments
from genoattn.interactions.estimates import Estimates
from genoattn.model.prediction import link_slope, respond
from genoattn.model.working_response import ResponseModel, are_separated
from genoattn.tokens.gauge_centre import Gauge

_ROWS = 4096
_SINGULAR = 1e-9  # residual share of a column after regression on the others, below which it is a sum of them
_STEPS = 30
_SETTLED = 1e-7
_AMBIGUOUS = 0.25  # standard errors by which combinations never seen may move an estimate
_ROUNDING = 1e-12  # standard deviation of residuals, over that of the phenotype, that is rounding error
_UNKNOWN = 1e100  # variance of what nothing is known of


@dataclass(frozen=True, eq=False)
class JointFit:
    """Coefficients of covariates, tangents of a link, the intercept and all products, in this order.

    ``theta`` and ``covariance`` are zero for columns that are sums of others in the data; ``null`` are the
    directions in which these do not determine ``theta``, with the variance of the weight of each, judged by
    the other products of its order.
    """

    basis: ProductBasis
    theta: np.ndarray  # (n_columns,)
    covariance: np.ndarray  # (n_columns, n_columns)
    step: np.ndarray  # (n_columns,), by how much the last iteration moved ``theta``
    null: np.ndarray  # (n_columns, n_null)
    null_variance: np.ndarray  # (n_null,)
    first: int  # index of the intercept; the products follow
    origin: np.ndarray  # (first + 1,): weights that lead from the intercept to covariates of 0
    separated: bool  # the fit tells all cases from all controls: the likelihood has no maximum
    dispersion: float  # residual variance at weight 1
    df: float  # its degrees of freedom, infinite where it is known
    total: float  # weighted sum of squares of the working response

    def estimates(self, columns: np.ndarray, gauge: Gauge) -> Estimates:
        """Coefficients of terms (n_terms, order) in a gauge; see :class:`Estimates`.

        Combinations that were never seen are taken for no larger than the others of their order; where they
        could move an estimate by more than a quarter of its standard error, there is none.
        """
        n = len(columns)
        effect, variance, ambiguity, step = (np.zeros(n) for _ in range(4))
        for terms, products, weights in self.basis.coefficient_rows(columns, gauge):
            index, rows = products + self.first + 1, weights
            if not columns.shape[1]:
                fixed = np.r_[0 : self.first + 1]
                index = np.concatenate([fixed, index])
                rows = np.concatenate([np.broadcast_to(self.origin, (len(terms), len(fixed))), rows], axis=1)
            effect[terms] = rows @ self.theta[index]
            variance[terms] = ((rows @ self.covariance[np.ix_(index, index)]) * rows).sum(axis=1)
            loading = rows @ self.null[index]
            rounding = 1e-7 * np.abs(rows).max(axis=1, initial=0.0)[:, None]
            loading[np.abs(loading) <= rounding] = 0.0
            ambiguity[terms] = loading**2 @ self.null_variance
            step[terms] = rows @ self.step[index]
        determined = (variance > 0) & (ambiguity <= _AMBIGUOUS**2 * variance)
        se = np.sqrt(np.maximum(variance, 0.0))
        determined &= np.abs(step) <= 1e-3 * (1 + np.abs(effect))
        return Estimates.of(effect, np.where(determined, se, np.nan), self.df, self.dispersion / self.total)


def fit_jointly(
    basis: ProductBasis, calls: np.ndarray, covariates: np.ndarray, model: ResponseModel, latent: np.ndarray
) -> JointFit:
    """Unpenalised fit of all products.

    Without a link the likelihood of a binary or count phenotype is maximised; with one a single step is taken
    from the fitted model, the link's own parameters estimated with the products. It is then asymptotically
    the maximum likelihood (van der Vaart 1998, section 5.7). From calls (n_samples, n_sites), int8, -1 where
    missing, covariates (n_samples, n_covariates), and the fitted latent phenotype (n_samples,).
    """
    # Centred covariates keep the Gram matrix well conditioned; ``origin`` undoes it for the intercept.
    mean = covariates.mean(axis=0)
    tangents, distance = model.link_tangents(latent)
    nuisance = np.column_stack([covariates - mean, tangents, np.ones(len(calls))])
    entity = basis.entity(calls)
    origin = np.r_[-mean, np.zeros(tangents.shape[1]), 1.0]
    prior = np.r_[np.zeros(len(mean)), np.ones(tangents.shape[1]), 0.0]
    theta, step = np.zeros(0), np.zeros(0)
    for _ in range(_STEPS):
        working = model.at(latent)
        moments = design_moments(basis, entity, nuisance, working)
        noise = float(working.weight @ (working.values - latent) ** 2) / len(latent)
        moments.inner[len(mean) : len(mean) + len(distance)] -= noise * distance
        solved = _solve(moments, np.r_[noise * prior, np.zeros(len(moments.inner) - len(prior))])
        step = solved.theta - theta if len(theta) else np.zeros(len(solved.theta))
        theta = solved.theta
        fitted = _predict(basis, entity, nuisance, theta)
        moved = np.abs(fitted - latent).max()
        if not model.is_iterated or moved <= _SETTLED:
            break
        # Separated samples push log-odds to infinity; beyond 30 their weights underflow.
        latent = np.clip(fitted, -30, 30) if model.kind == "bernoulli" else fitted
    df, dispersion = np.inf, working.dispersion
    if dispersion is None:
        df = max(len(calls) - int(solved.kept.sum()), 0)
        dispersion = float(working.weight @ (working.values - fitted) ** 2) / max(df, 1)
        dispersion = max(dispersion, _ROUNDING**2 * working.total / len(calls))
    inverse = solved.inverse
    if len(distance) and np.ptp(latent) > 0:
        held = _convention(model, basis, entity, nuisance, latent, len(mean))
        theta, inverse = _constrained(theta, inverse, *held)
    first = nuisance.shape[1] - 1
    null_variance = _null_variance(basis, theta, dispersion * inverse.diagonal(), solved.kept, first)
    separated = model.kind == "bernoulli" and are_separated(model.observed, fitted)
    return JointFit(
        basis, theta, dispersion * inverse, step, solved.null, null_variance,
        first, origin, separated, dispersion, float(df), working.total,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Solution:
    """Least squares over the columns that are ``kept``, with the inverse of their Gram matrix."""

    theta: np.ndarray
    inverse: np.ndarray
    kept: np.ndarray
    null: np.ndarray


def _solve(moments: Moments, ridge: np.ndarray) -> _Solution:
    """Least squares by a pivoted Cholesky factor, which finds the columns that are sums of others."""
    gram = moments.gram
    gram[np.diag_indices_from(gram)] += ridge
    size = np.sqrt(gram.diagonal())
    unit = np.where(size > 0, size, 1.0)
    width = len(gram)
    factor, pivot, rank, _ = lapack.dpstrf(gram / unit / unit[:, None], tol=_SINGULAR, lower=1)
    chosen, others = pivot[:rank] - 1, pivot[rank:] - 1
    ascending = np.argsort(others)
    lower = factor[:rank, :rank]
    inverse, _ = lapack.dpotri(np.asfortranarray(lower), lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    theta, full = np.zeros(width), np.zeros((width, width))
    theta[chosen] = inverse @ (moments.inner / unit)[chosen]
    full[np.ix_(chosen, chosen)] = inverse
    kept = np.zeros(width, dtype=bool)
    kept[chosen] = True
    others, below = others[ascending], factor[rank:, :rank][ascending]
    null = np.zeros((width, len(others)))
    null[others, np.arange(len(others))] = 1.0
    null[chosen] = -solve_triangular(np.tril(lower), below.T, lower=True, trans="T")
    # Back to units of the columns: an omitted column counts in units of its own.
    null = null / unit[:, None] * unit[others]
    return _Solution(theta / unit, full / unit / unit[:, None], kept, null)


def _predict(basis: ProductBasis, entity: np.ndarray, nuisance: np.ndarray, theta: np.ndarray) -> np.ndarray:
    n, starts = nuisance.shape[1], range(0, len(entity), _ROWS)
    parts = [basis.values(entity[start : start + _ROWS]) @ theta[n:] for start in starts]
    return nuisance @ theta[:n] + np.concatenate(parts)


def _null_variance(
    basis: ProductBasis, theta: np.ndarray, variance: np.ndarray, kept: np.ndarray, first: int
) -> np.ndarray:
    """Variance of omitted products: mean square of the others of their order less that of their errors."""
    at = first + 1
    out = np.full(len(theta), _UNKNOWN)
    for order in range(1, basis.order + 1):
        members = at + np.flatnonzero(basis.order_of == order)
        known = members[kept[members]]
        if len(known):
            out[members] = max(float((theta[known] ** 2 - variance[known]).mean()), 0.0)
    return out[np.flatnonzero(~kept)]


def _convention(
    model: ResponseModel,
    basis: ProductBasis,
    entity: np.ndarray,
    nuisance: np.ndarray,
    latent: np.ndarray,
    n_covariates: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of the latent phenotype, undetermined under a link, as constraints on coefficients.

    By convention they are those of the predictions g(phi). To first order that holds while ``mean(dg -
    dphi)`` and ``cov(g, dg) - cov(phi, dphi)`` are zero for the changes of predictions and of phi. Weights of
    the coefficients, (n_columns, 2), and the values (2,) that they have at the fit.
    """
    predicted, slope = respond(model.readout, latent), link_slope(model.readout, latent)
    n, tangent = len(latent), slice(n_covariates, nuisance.shape[1] - 1)
    by_link = np.column_stack([slope, slope * (predicted - predicted.mean()) / latent.std()]) / n
    by_phi = by_link - np.column_stack([np.ones(n), (latent - latent.mean()) / latent.std()]) / n
    fixed = nuisance.T @ by_phi
    fixed[tangent] = nuisance[:, tangent].T @ by_link
    parts = np.zeros((len(basis.order_of), 2))
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        parts += basis.values(entity[rows]).T @ by_phi[rows]
    return np.concatenate([fixed, parts]), latent @ by_phi


def _constrained(
    theta: np.ndarray, inverse: np.ndarray, weights: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least squares and their covariance, at unit noise, under ``weights.T @ theta == values``."""
    along = inverse @ weights
    gain = np.linalg.solve(weights.T @ along, along.T)
    return theta - (weights.T @ theta - values) @ gain, inverse - along @ gain
