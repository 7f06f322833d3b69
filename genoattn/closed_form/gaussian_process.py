r"""Landscapes of few sites: every product of up to n columns, with a variance for each order.

The prior of order n gives all its coefficients, over orthonormal contrasts of the states of a site, one
variance :math:`\sigma_n^2`: a Gaussian process whose kernel is the sum over orders of
:math:`\sigma_n^2 e_n(k_1, .., k_L)`, e_n the elementary symmetric polynomial of one kernel a site (Neidhart,
Szendro & Krug 2013; Zhou et al. 2022). The variances and the noise maximise the marginal likelihood, by the
fixed point of MacKay 1992. With no penalty it is least squares.

The result becomes tied HyperAttention factors exactly: over entity values :math:`u_r = \pm` contrasts, e_n
spans all products of n contrasts, so that the weights of enough ranks solve a linear system.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag, cho_factor, cho_solve, helmert, lapack

from genoattn.closed_form.product_basis import ProductBasis, n_products
from genoattn.errors import InputError
from genoattn.model.phenotype_likelihood import fitted_noise
from genoattn.tokens import Vocabulary

MOST_PRODUCTS = 4000
_ROWS = 4096
_ITERATIONS = 40
_SETTLED = 0.01
_PROBES = 16
_EXACT = 300  # below so many coefficients the traces are exact
_SMALLEST = 1e-8  # of a variance, in units of the phenotype's


def count_products(vocabulary: Vocabulary, order: int) -> int:
    """Number of products up to an order, with one contrast fewer than states at each site."""
    return n_products(vocabulary.n_free, order)


def make_products(vocabulary: Vocabulary, order: int) -> ProductBasis:
    """Contrasts of every site's columns, and their products.

    States have orthonormal contrasts, all alike under the prior whatever the order of the states; a dosage is
    a contrast of its own, per standard deviation.
    """
    if vocabulary.is_dosage:
        return ProductBasis(vocabulary, np.diag(1 / column_unit(vocabulary)), vocabulary.mean, order)
    blocks = [np.sqrt(number) * helmert(number).T for number in vocabulary.n_states.tolist()]
    return ProductBasis(vocabulary, block_diag(*blocks), vocabulary.mean, order)


def column_unit(vocabulary: Vocabulary) -> np.ndarray:
    """Unit of a parameter of each column: a standard deviation of dosage, or 1; shape (n_columns,)."""
    spread = np.sqrt(vocabulary.variance)
    return np.where(vocabulary.is_dosage & (spread > 0), spread, 1.0)


@dataclass(frozen=True, eq=False)
class ProductFit:
    """Coefficients of the products and what is known of them."""

    intercept: float  # mean phenotype at centred products 0
    covariates: np.ndarray  # (n_covariates,)
    coefficients: np.ndarray  # (n_products,)
    covariance: np.ndarray  # (n_products, n_products), of the coefficients given the data; they are Gaussian
    variances: np.ndarray  # (order,), prior variance of a coefficient of each order, infinite without penalty
    noise: float  # variance of the residuals, added to known ones
    variance_scale: float = 1.0  # what known variances were multiplied with


def fit_products(
    products: ProductBasis,
    entity: np.ndarray,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    variance: np.ndarray | None = None,
    penalty: float = 1.0,
    weight: np.ndarray | None = None,
    initial: ProductFit | None = None,
) -> ProductFit:
    """Posterior mean of the coefficients under the variances that make the data most likely.

    Parameters
    ----------
    entity
        Shape (n_samples, n_contrasts), centred contrasts of the samples.
    phenotype
        Shape (n_samples,).
    covariates
        Shape (n_samples, n_covariates); they and the intercept have no prior.
    variance
        Shape (n_samples,), known variances. Samples weigh by the inverse of a multiple of them plus one noise
        variance, both from the residuals without weights
        (:func:`genoattn.model.phenotype_likelihood.fitted_noise`).
    penalty
        Multiple of the precision of the priors; 0 for least squares.
    weight
        Shape (n_samples,), positive: the weight of each sample, in place of known variances.
    initial
        A fit whose variances are a good start of the search.
    """
    fixed = np.column_stack([np.ones(len(phenotype)), covariates])
    weight = np.ones(len(phenotype)) if weight is None else weight
    moments = _moments(products, entity, phenotype, fixed, weight)
    fit = _fit_moments(products, moments, fixed.shape[1], penalty, initial)
    if variance is None:
        return fit
    squares = (phenotype - predict_products(products, entity, covariates, fit)) ** 2
    squares *= fit.noise / max(float(squares.mean()), 1e-300)  # for the degrees of freedom
    variance_scale, noise = fitted_noise(squares, variance)
    moments = _moments(products, entity, phenotype, fixed, 1 / (variance_scale * variance + noise))
    fit = _fit_moments(products, moments, fixed.shape[1], penalty, fit)
    return replace(fit, noise=noise, variance_scale=variance_scale)


def predict_products(
    products: ProductBasis, entity: np.ndarray, covariates: np.ndarray, fit: ProductFit
) -> np.ndarray:
    """Phenotype of samples with centred contrasts (n_samples, n_contrasts): (n_samples,)."""
    parts = [
        products.values(entity[start : start + _ROWS]) @ fit.coefficients
        for start in range(0, len(entity), _ROWS)
    ]
    return fit.intercept + covariates @ fit.covariates + np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class _Moments:
    """Weighted products of the design, fixed effects first, with itself and with the phenotype."""

    gram: np.ndarray
    by_phenotype: np.ndarray
    phenotype: float
    n_samples: int


def _moments(
    products: ProductBasis, entity: np.ndarray, phenotype: np.ndarray, fixed: np.ndarray, weight: np.ndarray
) -> _Moments:
    weight = weight / weight.mean()
    width = fixed.shape[1] + len(products.order_of)
    gram, by_phenotype = np.zeros((width, width)), np.zeros(width)
    for start in range(0, len(phenotype), _ROWS):
        rows = slice(start, start + _ROWS)
        design = np.concatenate([fixed[rows], products.values(entity[rows])], axis=1)
        root = np.sqrt(weight[rows])
        design *= root[:, None]
        gram += design.T @ design  # of one matrix with itself, for which numpy takes half the work
        by_phenotype += design.T @ (root * phenotype[rows])
    return _Moments(gram, by_phenotype, float(weight @ phenotype**2), len(phenotype))


def _fit_moments(
    products: ProductBasis, moments: _Moments, n_fixed: int, penalty: float, initial: ProductFit | None
) -> ProductFit:
    order_of = products.order_of
    n_orders = len(products.members)
    if penalty == 0:
        return _least_squares(moments, n_fixed, n_orders)
    at = [n_fixed + np.flatnonzero(order_of == k) for k in range(1, n_orders + 1)]
    total = max(moments.phenotype / moments.n_samples, 1e-300)
    variances = np.array([0.5 * total / max(len(i), 1) / n_orders for i in at])
    noise = 0.5 * total
    if initial is not None:
        variances, noise = initial.variances, max(initial.noise, _SMALLEST * total)
    # The same probes in every iteration, so that their error cannot keep the fixed point from settling.
    probes = np.random.default_rng(0).choice([-1.0, 1.0], (len(moments.gram), _PROBES))
    for _ in range(_ITERATIONS):
        theta, diagonal = _posterior_traces(moments, at, variances / penalty, noise, probes)
        rss = moments.phenotype - 2 * theta @ moments.by_phenotype + theta @ moments.gram @ theta
        used = np.array(
            [len(i) - diagonal[i].sum() / v for i, v in zip(at, variances / penalty, strict=True)]
        )
        # Estimated traces may leave the range that exact ones keep.
        used = np.clip(used, 1e-9, [max(len(i), 1e-9) for i in at])
        old = np.r_[variances, noise]
        spread = np.array([theta[i] @ theta[i] for i in at])
        variances = np.maximum(spread / used, _SMALLEST * total)
        df = max(moments.n_samples - n_fixed - float(used.sum()), 1.0)
        noise = max(float(rss) / df, _SMALLEST * total)
        change = np.abs(np.log(np.r_[variances, noise] / old))
        if (change < _SETTLED).all():
            break
    covariance = _inverse(_precision(moments, at, variances / penalty, noise))
    theta = covariance @ moments.by_phenotype / noise
    fixed, rest = theta[:n_fixed], theta[n_fixed:]
    return ProductFit(float(fixed[0]), fixed[1:], rest, covariance[n_fixed:, n_fixed:], variances, noise)


def _precision(moments: _Moments, at: list[np.ndarray], variances: np.ndarray, noise: float) -> np.ndarray:
    """Posterior precision of fixed effects and coefficients."""
    precision = moments.gram / noise
    for index, variance in zip(at, variances, strict=True):
        precision[index, index] += 1 / variance
    return precision


def _posterior_traces(
    moments: _Moments, at: list[np.ndarray], variances: np.ndarray, noise: float, probes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and the diagonal of the covariance; for many coefficients an estimate, good enough for its sums.

    The estimate is Hutchinson's: z * (inverse z), averaged over random signs z, from one factorisation.
    """
    precision = _precision(moments, at, variances, noise)
    if len(precision) <= _EXACT:
        inverse = _inverse(precision)
        return inverse @ moments.by_phenotype / noise, inverse.diagonal()
    factor = cho_factor(precision, lower=True, overwrite_a=True, check_finite=False)
    solved = cho_solve(factor, np.column_stack([moments.by_phenotype / noise, probes]), check_finite=False)
    return solved[:, 0], (probes * solved[:, 1:]).mean(axis=1)


def _least_squares(moments: _Moments, n_fixed: int, n_orders: int) -> ProductFit:
    width = len(moments.gram)
    size = np.sqrt(moments.gram.diagonal())
    if width >= moments.n_samples or not (size > 0).all():
        raise InputError(
            f"penalty 0 with {width:,} coefficients for {moments.n_samples:,} samples leaves them "
            "undetermined; lower the order, or allow a penalty"
        )
    # Unit diagonal, so that one threshold tells collinear products whatever their frequencies.
    scaled = moments.gram / size / size[:, None]
    if np.linalg.eigvalsh(scaled)[0] < 1e-10:
        raise InputError(
            "penalty 0, but the products of the sites are collinear in these samples; allow a penalty"
        )
    inverse = _inverse(scaled) / size / size[:, None]
    theta = inverse @ moments.by_phenotype
    rss = moments.phenotype - theta @ moments.by_phenotype
    noise = max(float(rss), 0.0) / (moments.n_samples - width)
    fixed, rest = theta[:n_fixed], theta[n_fixed:]
    covariance = noise * inverse[n_fixed:, n_fixed:]
    return ProductFit(float(fixed[0]), fixed[1:], rest, covariance, np.full(n_orders, np.inf), noise)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric positive definite matrix, by its Cholesky factor."""
    factor, failed = lapack.dpotrf(matrix, lower=1)
    assert not failed, "a precision matrix is positive definite"
    inverse, _ = lapack.dpotri(factor, lower=1)
    return np.tril(inverse) + np.tril(inverse, -1).T


def tied_ranks(
    products: ProductBasis, coefficients: np.ndarray, order: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Factors and weights whose e_n is the sum of the products of one order.

    With entity values ``u_r = sum_c s_rc z_c``, s of random signs, ``e_n(u_r) = sum over products S of
    (prod over S of s_rc) z_S``: the weights solve a linear system, of least norm.

    Returns
    -------
    Factors (n_ranks, n_columns) before centring, and weights (n_ranks,).
    """
    members = products.members[order - 1]
    target = coefficients[products.order_of == order]
    n_contrasts = products.contrasts.shape[1]
    # A quarter more ranks than products: a square system of random signs may be singular.
    n_ranks = len(members) + max(16, len(members) // 4)
    for _ in range(8):
        signs = _distinct_signs(n_ranks, n_contrasts, rng)
        system = signs[:, members].prod(axis=2)  # (rank, product)
        weights = np.linalg.lstsq(system.T, target, rcond=None)[0]
        off = np.abs(system.T @ weights - target).max(initial=0.0)
        if off <= 1e-10 * np.abs(target).max(initial=1e-300):
            return signs @ products.contrasts.T, weights
        n_ranks *= 2
    raise AssertionError("random signs span all products")


def _distinct_signs(n_ranks: int, n_contrasts: int, rng: np.random.Generator) -> np.ndarray:
    """Vectors of signs (n_ranks, n_contrasts), none the negative of another; all there are, if fewer."""
    if n_contrasts <= 16 and n_ranks >= 2 ** (n_contrasts - 1) // 2:
        bits = (np.arange(2 ** (n_contrasts - 1))[:, None] >> np.arange(n_contrasts)) & 1
        return (1.0 - 2 * bits)[rng.permutation(len(bits))[:n_ranks]]
    return rng.choice([-1.0, 1.0], (n_ranks, n_contrasts))
