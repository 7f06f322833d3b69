"""Dosages and the residual trait of a test of marginal epistasis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genoattn.closed_form.pair_columns import chromosome_numbers
from genoattn.closed_form.ridge import RidgeRegression, Spectrum
from genoattn.cohort import MISSING, Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.inference.background import principal_components
from genoattn.inference.marginal_null import MarginalDesign
from genoattn.scan.design import Design, binary_design, make_design
from genoattn.scan.scope import records
from genoattn.scan.sites import choose_sites

_FLAT = 1e-8  # share of a site's variance below which its residual on the fixed effects is rounding error
_BLOCK = 1024  # sites at a time
_NOISE = 1e-6  # eigenvalues of a float32 kernel, relative to the largest, that are rounding errors
_FEWEST = 10  # residual degrees of freedom
_DRAWS = 24  # random traits


@dataclass(frozen=True, eq=False)
class MarginalTrait:
    """Residual of a trait, and what became of its variance."""

    residual: np.ndarray  # (n_samples,), after the fixed effects and all additive effects
    variance: float  # of the trait (binary: of case status) after the covariates
    freedom: float  # share of the degrees of freedom that the additive effects leave
    # (2, n_draws, n_samples): residuals of random traits without interactions, and the noise in them
    drawn: np.ndarray


def make_marginal_design(
    cohort: Cohort,
    sites: str | Sequence[str] | None,
    with_sites: str | Sequence[str] | None,
    mask_distance: int,
    n_components: int,
    seed: int,
) -> tuple[MarginalDesign, MarginalTrait]:
    """Columns and residual of a cohort of genotypes.

    Parameters
    ----------
    cohort
        With a phenotype.
    sites, with_sites
        Sites to test, and those allowed as partners, as :func:`genoattn.scan.sites.choose_sites` reads them;
        None for all.
    mask_distance, n_components, seed
        As in :func:`genoattn.scan_marginal`.

    Raises
    ------
    InputError
        Where there are too few samples, nothing varies, or no partner is left.
    """
    assert cohort.phenotype is not None
    plain = _trait_design(cohort, cohort.phenotype, np.zeros((cohort.n_samples, 0)), n_components)
    columns, varies = standardised_columns(cohort.calls)
    if not varies.any():
        raise InputError("no site varies among the samples; there is nothing to test")
    chromosome = chromosome_numbers(cohort.sites)
    components = principal_components(columns[varies].T, chromosome[varies], n_components)
    design = _trait_design(cohort, cohort.phenotype, components, 0) if components.shape[1] else plain
    varies &= _remove(columns, design)
    trait = _residual(columns[varies], design, plain, np.random.default_rng([seed, 1]))
    chosen = [varies & _among(cohort, text) for text in (sites, with_sites)]
    out = MarginalDesign(
        columns, trait.residual, chosen[1], chosen[0], records(cohort.sites), chromosome, cohort.sites.pos,
        mask_distance,
    )  # fmt: skip
    return out, trait


def _among(cohort: Cohort, text: str | Sequence[str] | None) -> np.ndarray:
    """Whether each site is in a set; all are where it is None."""
    every = np.arange(cohort.n_sites)
    return np.isin(every, every if text is None else choose_sites(cohort.sites, text))


def standardised_columns(calls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dosages (n_sites, n_samples), float32, of mean 0 and variance 1, and whether each site varies.

    A missing call is 0, the mean of its site; a site without variation is 0 throughout.
    """
    columns = np.ascontiguousarray(calls.T).astype(np.float32)
    varies = np.zeros(len(columns), dtype=bool)
    for k, row in enumerate(columns):
        called = row != MISSING
        if not called.any():
            row[:] = 0
            continue
        row -= row[called].mean(dtype=np.float64)
        row[~called] = 0
        variance = float(np.mean(row**2, dtype=np.float64))
        varies[k] = variance > 1e-9
        row *= 1 / np.sqrt(variance) if varies[k] else 0.0
    return columns, varies


def _trait_design(cohort: Cohort, phenotype: Phenotype, more: np.ndarray, to_come: int) -> Design:
    """The trait after the intercept, the covariates and ``more``, as a scan has it; no columns."""
    covariates = cohort.covariates
    own = np.zeros((cohort.n_samples, 0)) if covariates is None else covariates.values
    names = () if covariates is None else tuple(covariates.names)
    values = np.hstack([own, more])
    names += tuple(f"component {k + 1}" for k in range(more.shape[1]))
    least = 1 + values.shape[1] + to_come + _FEWEST
    if cohort.n_samples < least:
        raise InputError(
            f"{cohort.n_samples} samples for {values.shape[1]} covariates and {to_come} components; the "
            f"marginal test needs at least {least}"
        )
    make = binary_design if phenotype.binary else make_design
    return make(np.zeros((0, cohort.n_samples), dtype=np.int8), phenotype.values, values, names)


def _remove(columns: np.ndarray, design: Design) -> np.ndarray:
    """Replace columns by their residuals on the fixed effects, of mean square 1; whether each varies."""
    # Unweighted, for a binary trait too: what matters is that a site's residuals do not depend on the
    # covariates and components of the samples.
    q = np.linalg.qr(design.basis.T)[0].astype(np.float32)
    varies = np.zeros(len(columns), dtype=bool)
    for start in range(0, len(columns), _BLOCK):
        x = columns[start : start + _BLOCK]
        x -= (x @ q) @ q.T
        square = np.einsum("ks,ks->k", x, x, dtype=np.float64) / x.shape[1]
        some = square > _FLAT
        x *= np.where(some, 1 / np.sqrt(np.where(some, square, 1.0)), 0.0).astype(np.float32)[:, None]
        varies[start : start + _BLOCK] = some
    return varies


def _residual(columns: np.ndarray, design: Design, plain: Design, rng: np.random.Generator) -> MarginalTrait:
    """Residual of the trait after ridge regression on all columns, adjusted for the fixed effects.

    Of a binary trait that of the weighted regression of its working trait, times the weights: case status
    less its expectation. Random traits are of the mixed model whose residual that is: additive effects of
    the variance that the penalty stands for, and noise.
    """
    root = np.sqrt(design.weight)
    spectrum = _spectrum(columns, root)
    ridge = RidgeRegression(spectrum, (design.basis * root).T)
    penalty, _, residual = ridge.fit(root * design.trait)
    additive = spectrum.vectors * np.sqrt(spectrum.values / penalty)
    drawn = np.empty((2, _DRAWS, len(root)))
    for k in range(_DRAWS):
        noise = rng.standard_normal(len(root))
        trait = additive @ rng.standard_normal(additive.shape[1]) + noise
        drawn[:, k] = root * ridge.fit(trait, penalty)[2], root * noise
    variance = float(np.mean((plain.weight * plain.trait) ** 2))
    return MarginalTrait(root * residual, variance, ridge.degrees(penalty) / len(root), drawn)


def _spectrum(columns: np.ndarray, root: np.ndarray) -> Spectrum:
    """Spectrum of columns (n_sites, n_samples), float32, each sample times ``root``."""
    n_sites, n = columns.shape
    weight = root.astype(np.float32)
    kernel = np.zeros((min(n_sites, n),) * 2)
    if n_sites >= n:
        for start in range(0, n_sites, _BLOCK):
            x = columns[start : start + _BLOCK] * weight
            kernel += x.T @ x
    else:
        for start in range(0, n, 16 * _BLOCK):
            x = columns[:, start : start + 16 * _BLOCK] * weight[start : start + 16 * _BLOCK]
            kernel += x @ x.T
    # A kernel of samples has the precision of its float32 products, and its decomposition takes longest.
    values, vectors = np.linalg.eigh(kernel.astype(np.float32) if n_sites >= n else kernel)
    keep = values > _NOISE * max(values[-1], 1e-300)
    values, vectors = values[keep], vectors[:, keep]
    if n_sites < n:
        vectors = (columns * weight).T @ (vectors / np.sqrt(values)).astype(np.float32)
    return Spectrum(np.asarray(vectors, dtype=np.float64), np.asarray(values, dtype=np.float64))
