"""Columns, working trait and fixed effects of a scan, and the moments of each column in float64."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genoattn.cohort import MISSING
from genoattn.errors import InputError
from genoattn.scan.logistic import fit_logistic

# Squared norm of a column's residual after regression on the fixed effects, relative to its own, below
# which it does not vary.
_FLAT = 1e-10
_BLOCK = 256  # columns at a time


@dataclass(frozen=True, eq=False)
class Design:
    """Columns to be paired, the working trait and the fixed effects of a scan.

    Everything is in the inner product ``<x, y> = sum_i weight_i x_i y_i``: weight 1 for a quantitative
    trait; for a binary one ``mu (1 - mu)`` of the logistic regression on the fixed effects, whose working
    residual ``(y - mu) / weight`` is the trait.
    """

    # (n_columns, n_samples), int8: copies, or indicator of a state; float32: dosages; -1 where missing
    codes: np.ndarray
    trait: np.ndarray  # (n_samples,), orthogonal to the fixed effects
    basis: np.ndarray  # the fixed effects, (n_fixed, n_samples), orthonormal, the intercept first
    weight: np.ndarray  # (n_samples,)
    # whether the variance of the trait is known, that is, whether the test is a score test
    binary: bool = False
    # whether missing calls count as the mean of their column; else each pair has its complete cases
    impute: bool = False

    @property
    def n_columns(self) -> int:
        return len(self.codes)

    @property
    def diploid(self) -> bool:
        """Whether the codes are 0, 1 and 2, or fewer."""
        return self.codes.dtype == np.int8 and int(self.codes.max(initial=0)) <= 2

    @property
    def n_samples(self) -> int:
        return self.codes.shape[1]

    @property
    def n_fixed(self) -> int:
        return len(self.basis)

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weight.sum())

    @cached_property
    def trait_norm(self) -> float:
        return float(np.sqrt(self.weight @ self.trait**2))

    @cached_property
    def columns(self) -> ColumnSummary:
        """Means, norms and correlations of every column."""
        return _summarise(self)

    def values(self, chosen: slice | np.ndarray) -> np.ndarray:
        """Columns less their means, 0 where missing: (n_chosen, n_samples), float64."""
        columns = self.columns
        missing = bool(columns.missing[chosen].any())
        return centred(self.codes[chosen], columns.mean[chosen], np.float64, missing)

    def r2(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Squared correlation of columns over all samples, missing calls at the mean: (n_rows, n_cols)."""
        norm, product = self.columns.norm, (self.values(rows) * self.weight) @ self.values(cols).T
        out: np.ndarray = (product / norm[rows][:, None] / norm[cols]) ** 2
        return out

    def residual(self, values: np.ndarray) -> np.ndarray:
        """Residuals of rows after regression on the fixed effects: (n_rows, n_samples)."""
        return values - (values * self.weight) @ self.basis.T @ self.basis


@dataclass(frozen=True, eq=False)
class ColumnSummary:
    """Summary of the columns, each of shape (n_columns,)."""

    mean: np.ndarray  # weighted, over called samples: what a column has subtracted
    norm: np.ndarray  # of the column less its mean; missing calls count as the mean
    residual_norm: np.ndarray  # of its residual after regression on the fixed effects, likewise
    with_trait: np.ndarray  # correlation of the residual column with the trait
    missing: np.ndarray  # number of missing calls
    on_fixed: np.ndarray  # (n_columns, n_fixed), inner products with the fixed effects
    # whether the residual is not 0: else no pair with the column can be tested
    varies: np.ndarray

    @property
    def reach(self) -> np.ndarray:
        """Share of each column's squared norm that the covariates explain."""
        share: np.ndarray = (self.on_fixed[:, 1:] ** 2).sum(axis=1) / self.norm**2
        return share


def centred(codes: np.ndarray, mean: np.ndarray, dtype: type, missing: bool = True) -> np.ndarray:
    """Codes (n_rows, n_samples) less the mean of each row, 0 where missing."""
    out: np.ndarray = codes.astype(dtype)
    out -= mean[:, None].astype(dtype)
    if missing:
        out[codes == MISSING] = 0
    return out


def make_design(
    codes: np.ndarray, trait: np.ndarray, covariates: np.ndarray, names: tuple = (), impute: bool = False
) -> Design:
    """The design of a quantitative trait.

    Raises
    ------
    InputError
        Where covariates are collinear, or explain the trait.
    """
    basis = fixed_basis(covariates, np.ones(len(trait)), names)
    residual = trait - basis.T @ (basis @ trait)
    # Squares: below 1e-10 of the trait's norm a residual is the rounding error of its projection.
    if not residual @ residual > 1e-20 * max(float(trait @ trait), 1e-300):
        raise InputError(
            "the trait is constant, or a combination of the covariates; there is nothing to test"
        )
    return Design(codes, residual, basis, np.ones(len(trait)), impute=impute)


def binary_design(
    codes: np.ndarray, trait: np.ndarray, covariates: np.ndarray, names: tuple = (), impute: bool = False
) -> Design:
    """The design of a score test: weights and working residual of the logistic regression on covariates.

    Raises
    ------
    InputError
        Where covariates are collinear, or separate cases from controls.
    """
    plain = fixed_basis(covariates, np.ones(len(trait)), names)
    eta = _null_log_odds(plain, trait)
    if eta is None:
        raise InputError(
            f"the covariates separate cases from controls; leave out {_separating(covariates, trait, names)}"
        )
    mu = 1 / (1 + np.exp(-eta))
    weight = mu * (1 - mu)
    basis = fixed_basis(covariates, weight, names)
    return Design(codes, (trait - mu) / weight, basis, weight, True, impute)


def _separating(covariates: np.ndarray, trait: np.ndarray, names: tuple) -> str:
    """The covariate without which the others do not separate cases from controls, in words."""
    for k in range(covariates.shape[1]):
        others = fixed_basis(np.delete(covariates, k, axis=1), np.ones(len(trait)), ())
        if _null_log_odds(others, trait) is not None:
            return str(names[k]) if len(names) else f"covariate {k}"
    return "those that do"


def _null_log_odds(basis: np.ndarray, trait: np.ndarray) -> np.ndarray | None:
    """Log-odds of each sample in the regression on the fixed effects; None without a maximum."""
    coefficients = fit_logistic(basis, trait)
    return None if coefficients is None else basis.T @ coefficients


def fixed_basis(covariates: np.ndarray, weight: np.ndarray, names: tuple) -> np.ndarray:
    """Orthonormal rows, in the weighted inner product, that span the intercept and the covariates.

    Raises
    ------
    InputError
        Where a covariate is constant or a combination of those before it.
    """
    root = np.sqrt(weight)
    spread = covariates.std(axis=0)
    # Standardised, so that units have no part in what counts as collinear.
    scaled = (covariates - covariates.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    fixed = np.column_stack([np.ones(len(weight)), scaled]) * root[:, None]
    if fixed.shape[1] > fixed.shape[0]:
        raise InputError(f"{fixed.shape[1] - 1} covariates for {len(weight)} samples; use fewer")
    q, r = np.linalg.qr(fixed)
    residual_share = np.abs(np.diag(r)) / np.maximum(np.linalg.norm(fixed, axis=0), 1e-300)
    collinear = np.flatnonzero(residual_share < 1e-7)
    if len(collinear):
        name = names[collinear[0] - 1] if len(names) else collinear[0]
        raise InputError(
            f"covariate {name} is constant or a combination of the covariates before it; leave it out"
        )
    # QR may return the intercept negative.
    return np.ascontiguousarray((q / root[:, None]).T) * np.sign(r[0, 0])


def _summarise(design: Design) -> ColumnSummary:
    vectors = np.vstack([design.basis, design.trait, np.ones(design.n_samples)]) * design.weight
    sums = np.empty((design.n_columns, 3 + 2 * len(vectors)))
    of = np.ascontiguousarray(np.vstack([design.weight, vectors]).T)
    for start in range(0, design.n_columns, _BLOCK):
        block = slice(start, start + _BLOCK)
        codes = design.codes[block]
        # A missing call adds 0 to sums of codes; from other sums the samples without a call are subtracted.
        value = np.maximum(codes, 0).astype(np.float64)
        products = value @ of
        sums[block, 1], sums[block, 3 : 3 + len(vectors)] = products[:, 0], products[:, 1:]
        sums[block, 2] = np.square(value, out=value) @ design.weight
        column, sample = np.nonzero(codes == MISSING)
        sums[block, 0] = np.bincount(column, minlength=len(codes))
        missed = np.zeros((len(codes), len(vectors)))
        np.add.at(missed, column, of[sample, 1:])
        sums[block, 3 + len(vectors) :] = missed
    missing, total, square = sums[:, 0].astype(np.int64), sums[:, 1], sums[:, 2]
    dots, missed = np.split(sums[:, 3:], 2, axis=1)
    of_called = vectors.sum(axis=1) - missed
    called = of_called[:, -1]
    mean = total / np.where(called > 0, called, 1.0)
    centred = dots - mean[:, None] * of_called
    norm2 = np.maximum(square - mean * total, 0.0)
    on_fixed, with_trait = centred[:, : design.n_fixed], centred[:, design.n_fixed]
    residual2 = norm2 - (on_fixed**2).sum(axis=1)
    varies = (norm2 > 1e-12 * design.total) & (residual2 > _FLAT * norm2)
    norm = np.sqrt(np.where(varies, norm2, 1.0))
    residual_norm = np.sqrt(np.where(varies, residual2, 1.0))
    with_trait = np.where(varies, with_trait / residual_norm / max(design.trait_norm, 1e-300), 0.0)
    return ColumnSummary(mean, norm, residual_norm, with_trait, missing, on_fixed, varies)
