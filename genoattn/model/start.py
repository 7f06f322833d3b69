"""Where training starts: additive effects by ridge regression, and the scale of factors that scores suggest.

The gradient of the loss at zero of full-rank linear self-attention is, pair by pair, the score of that
pair, and of order-n HyperAttention that of the n-tuple. A thousand samples cannot train dense factors
over hundreds of sites, but sparse ones read off the scores are already near the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Start:
    """Starting values, per standardised column.

    Parameters
    ----------
    intercept
        Mean phenotype at average columns and covariates 0.
    covariates
        Shape (n_covariates,).
    additive
        Shape (n_columns,).
    ridge
        Penalty on the squared additive effects: half of it times their sum is added to the mean loss.
    noise
        Residual standard deviation after the additive part.
    factors
        For each order of 2 and above, shape (n_ranks, order, n_columns).
    """

    intercept: float
    covariates: np.ndarray
    additive: np.ndarray
    ridge: float
    noise: float
    factors: dict[int, np.ndarray]


def additive_start(
    columns: np.ndarray, phenotype: np.ndarray, covariates: np.ndarray
) -> tuple[Start, np.ndarray]:
    """Ridge regression on all columns, its penalty by generalised cross-validation; covariates unpenalised.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), standardised.
    phenotype
        Shape (n_samples,).
    covariates
        Shape (n_samples, n_covariates).

    Returns
    -------
    A start without factors, and the residuals, shape (n_samples,).
    """
    fixed = np.column_stack([np.ones(len(phenotype)), covariates])
    ridge = RidgeRegression(columns, fixed)
    penalty, additive, residual = ridge.fit(phenotype)
    fixed_effect = np.linalg.lstsq(fixed, phenotype - columns @ additive, rcond=None)[0]
    noise = float(np.sqrt(residual @ residual / ridge.degrees(penalty)))
    strength = float(penalty / len(phenotype))
    return Start(float(fixed_effect[0]), fixed_effect[1:], additive, strength, noise, {}), residual


class RidgeRegression:
    """Ridge regression of any phenotype on one set of columns, fixed effects unpenalised.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), standardised.
    fixed
        Shape (n_samples, n_fixed), with an intercept.
    """

    def __init__(self, columns: np.ndarray, fixed: np.ndarray) -> None:
        n = len(columns)
        self._q, _ = np.linalg.qr(fixed)
        self._a = a = columns - self._q @ (self._q.T @ columns)
        value, vector = np.linalg.eigh(a @ a.T if a.shape[1] > n else a.T @ a)
        keep = value > 1e-9 * max(value[-1], 1e-300)
        self._value, vector = value[keep], vector[:, keep]
        self._left = vector if a.shape[1] > n else a @ (vector / np.sqrt(self._value))

    def fit(self, phenotype: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Penalty by generalised cross-validation, coefficients (n_columns,) and residuals (n_samples,)."""
        n, q, value = len(phenotype), self._q, self._value
        y = phenotype - q @ (q.T @ phenotype)
        projected = self._left.T @ y
        outside = float(y @ y - projected @ projected)
        penalties = np.geomspace(1e-3, 1e3, 61) * n
        shrink = penalties[:, None] / (value + penalties[:, None])
        gcv = ((shrink * projected) ** 2).sum(axis=1) + max(outside, 0.0)
        freedom = n - q.shape[1] - (1 - shrink).sum(axis=1)
        penalty = float(penalties[np.argmin(gcv / freedom**2)])
        effect = self._a.T @ (self._left @ (projected / (value + penalty)))
        return penalty, effect, y - self._a @ effect

    def degrees(self, penalty: float) -> float:
        """Residual degrees of freedom, 1 at least."""
        used = float((self._value / (self._value + penalty)).sum())
        return max(len(self._a) - self._q.shape[1] - used, 1.0)


def all_pairs_start(columns: np.ndarray, residual: np.ndarray, site: np.ndarray) -> tuple[np.ndarray, float]:
    """Ridge regression on the products of all pairs of columns at distinct sites, by its kernel.

    The kernel of two samples is ``((x . y)^2 - sum over sites of (x_l . y_l)^2) / 2``, so that no product is
    ever made; the penalty is found by generalised cross-validation.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), centred.
    residual
        Shape (n_samples,), phenotype less the additive model.
    site
        Shape (n_columns,), ascending.

    Returns
    -------
    C, shape (n_columns, n_columns), symmetric, zero within sites, with ``sum_km x_k C_km x_m`` the fitted
    value; and the penalty: half of it times the squared coefficients of pairs was added to the mean loss.
    """
    n = len(columns)
    first = np.flatnonzero(np.diff(site, prepend=-1))
    own = np.zeros((n, n))
    for columns_of_site in np.split(columns, first[1:], axis=1):
        own += (columns_of_site @ columns_of_site.T) ** 2
    kernel = ((columns @ columns.T) ** 2 - own) / 2
    centre = np.eye(n) - 1 / n
    value, vector = np.linalg.eigh(centre @ kernel @ centre)
    value = np.maximum(value, 0.0)
    projected = vector.T @ (residual - residual.mean())
    penalties = np.geomspace(1e-3, 1e3, 61) * max(float(value.mean()), 1e-300)
    shrink = penalties[:, None] / (value + penalties[:, None])
    gcv = ((shrink * projected) ** 2).sum(axis=1) / (shrink.sum(axis=1) ** 2)
    penalty = penalties[np.argmin(gcv)]
    weight = vector @ (projected / (value + penalty))
    pair = columns.T @ ((weight - weight.mean())[:, None] * columns) / 2
    pair[site[:, None] == site[None, :]] = 0.0
    return pair, float(penalty / n)


def fit_scale(columns: np.ndarray, residual: np.ndarray, shapes: list[np.ndarray], order: int) -> np.ndarray:
    """Scale unit factors (order, n_columns) by ridge regression of the residual on their pooled products."""
    if not shapes:
        return np.zeros((0, order, columns.shape[1]))
    values = np.column_stack([np.prod([columns @ f for f in shape], axis=0) for shape in shapes])
    centred = values - values.mean(axis=0)
    y = residual - residual.mean()
    gram = centred.T @ centred
    strength = np.linalg.solve(gram + 1e-3 * np.trace(gram) / len(gram) * np.eye(len(gram)), centred.T @ y)
    return scaled(np.stack(shapes), strength)


def scaled(shapes: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Factors (n_ranks, order, n_columns) times a strength each, shared evenly by their slots."""
    out = shapes * (np.abs(strength) ** (1 / shapes.shape[1]))[:, None, None]
    out[:, 0] *= np.sign(strength)[:, None]
    return out


def joint_start(
    columns: np.ndarray, phenotype: np.ndarray, covariates: np.ndarray, shapes: np.ndarray, slope: float
) -> tuple[Start, np.ndarray, np.ndarray]:
    """:func:`additive_start` beside pair factors, whose products bear no penalty either.

    What the factors explain is no noise to the additive effects, whose penalty is chosen anew.

    Parameters
    ----------
    columns, phenotype, covariates
        As there.
    shapes
        Shape (n_ranks, 2, n_columns), factors.
    slope
        How much of their least-squares strength the factors keep.

    Returns
    -------
    The start; the residuals of everything, shape (n_samples,); and the strength of each factor.
    """
    products = np.stack([(columns @ a) * (columns @ b) for a, b in shapes], axis=1)
    fixed = np.column_stack([np.ones(len(phenotype)), covariates])
    ridge = RidgeRegression(columns, np.column_stack([fixed, products]))
    _, additive, _ = ridge.fit(phenotype)
    left = phenotype - columns @ additive
    strength = (
        slope * np.linalg.lstsq(np.column_stack([fixed, products]), left, rcond=1e-8)[0][fixed.shape[1] :]
    )
    beside = phenotype - products @ strength
    start, residual = additive_start(columns, beside, covariates)
    return start, residual, strength
