"""Starting values of a training: additive effects by ridge regression, and the scale of given factors.

The gradient of the loss at zero of full-rank linear self-attention is, pair by pair, the score of that
pair, and of order-n HyperAttention that of the n-tuple. A thousand samples cannot train dense factors
over hundreds of sites, but sparse ones read off the scores are already close to the optimum.
"""

from dataclasses import dataclass

import numpy as np

from genoattn.closed_form.ridge import RidgeRegression, Spectrum


@dataclass(frozen=True, eq=False)
class AdditiveStart:
    """Starting values, per standardised column."""

    intercept: float  # mean phenotype at average columns and covariates 0
    covariates: np.ndarray  # (n_covariates,)
    additive: np.ndarray  # (n_columns,)
    # penalty on the squared additive effects: half of it times their sum is added to the mean loss
    ridge: float
    noise: float  # residual standard deviation after the additive part


def additive_start(
    columns: np.ndarray,
    spectrum: Spectrum,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    along: np.ndarray | None = None,
) -> tuple[AdditiveStart, np.ndarray]:
    """Ridge regression on all columns, its penalty by generalised cross-validation; covariates unpenalised.

    Along the vectors ``along`` (n_vectors, n_columns) additive effects bear no penalty either. Returns the
    start and the residuals (n_samples,).
    """
    n_plain = 1 + covariates.shape[1]
    along = np.zeros((0, columns.shape[1])) if along is None else along
    fixed = np.column_stack([np.ones(len(phenotype)), covariates, columns @ along.T])
    ridge = RidgeRegression(spectrum, fixed)
    penalty, dual, residual = ridge.fit(phenotype)
    additive = columns.T @ dual
    effect = np.linalg.lstsq(fixed, phenotype - columns @ additive, rcond=1e-8)[0]
    additive = additive + effect[n_plain:] @ along
    noise = float(np.sqrt(residual @ residual / ridge.degrees(penalty)))
    strength = float(penalty / len(phenotype))
    return AdditiveStart(float(effect[0]), effect[1:n_plain], additive, strength, noise), residual


def all_pairs_start(columns: np.ndarray, residual: np.ndarray, site: np.ndarray) -> tuple[np.ndarray, float]:
    """Ridge regression on the products of all pairs of centred columns at distinct sites, by its kernel.

    The kernel of two samples is ``((x . y)^2 - sum over sites of (x_l . y_l)^2) / 2``, so that no product is
    ever made; the penalty is found by generalised cross-validation. Returns C (n_columns, n_columns),
    symmetric, zero within sites, with ``sum_km x_k C_km x_m`` the fitted value; and the penalty: half of it
    times the squared coefficients of pairs was added to the mean loss.
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
    columns: np.ndarray,
    spectrum: Spectrum,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    shapes: np.ndarray,
    slope: float,
) -> tuple[AdditiveStart, np.ndarray, np.ndarray]:
    """:func:`additive_start` together with pair factors, of whose strength a share ``slope`` is kept.

    Neither their products nor the additive effects along them bear a penalty: an interaction whose main
    effects are shrunk is mistaken for another. The penalty of the other columns is chosen again, with all
    these in the model. Returns the start, the residuals of everything, and the strength of each factor.
    """
    along = shapes.reshape(-1, columns.shape[1])
    values = columns @ along.T  # (sample, 2 * rank)
    products = values[:, 0::2] * values[:, 1::2]
    fixed = np.column_stack([np.ones(len(phenotype)), covariates, values, products])
    unpenalised = phenotype - columns @ (columns.T @ RidgeRegression(spectrum, fixed).fit(phenotype)[1])
    strength = slope * np.linalg.lstsq(fixed, unpenalised, rcond=1e-8)[0][-len(shapes) :]
    start, residual = additive_start(columns, spectrum, phenotype - products @ strength, covariates, along)
    return start, residual, strength
