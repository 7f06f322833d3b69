"""A genome-wide modifier: a pair of sites that changes the effects of all others.

Where two alleles together switch a trait off, the other sites have effects only in samples that have it on.
So many small products with one pair cannot be detected one by one, but they can together: as additive effects
that grow along the pair's own contribution z, ``x . (w + z v)``, with a ridge penalty on w and v.
"""

import logging
from dataclasses import dataclass
from math import sqrt

import numpy as np

from genoattn.closed_form.additive_start import AdditiveStart
from genoattn.closed_form.fine_mapping import LARGE
from genoattn.closed_form.ridge import RidgeRegression, Spectrum, centred_kernel

_log = logging.getLogger(__name__)
_RATIOS = (0.1, 0.3, 1.0)  # of the prior variances of v and w, ascending
_SURE = 5.4  # likelihood ratio: 9 of 1,600 cohorts with a strong pair and no change passed it


@dataclass(frozen=True, eq=False)
class GenomeWideModifier:
    """Additive effects and pair factors, one of which modifies the additive effects."""

    start: AdditiveStart  # as from :func:`genoattn.closed_form.additive_start.additive_start`
    residual: np.ndarray  # (n_samples,), of everything
    strength: np.ndarray  # (n_ranks,), of the pair factors
    # by order, shape (1, order, n_columns), the last slot the modified effects
    factors: dict[int, np.ndarray]


def genome_wide_modifier(
    columns: np.ndarray,
    spectrum: Spectrum,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    shapes: np.ndarray,
    strength: np.ndarray,
    order: int,
) -> GenomeWideModifier | None:
    """Additive effects as the strongest pair modifies them, where the likelihood ratio supports it.

    With ``order`` 2, z has no product, so that products are of two sites; with 3 it is complete. None where
    no pair explains 5 % of the variance, or the restricted likelihood ratio is below 5.4.
    """
    products = np.stack([(columns @ a) * (columns @ b) for a, b in shapes], axis=1)
    share = strength**2 * products.var(axis=0)
    chosen = int(np.argmax(share))
    if share[chosen] < LARGE * phenotype.var():
        return None
    first, second = shapes[chosen]
    plain = np.column_stack([np.ones(len(phenotype)), covariates])
    # Without a penalty on the pair itself, so that the modifier cannot stand in for its shrunken effects.
    along = shapes.reshape(-1, columns.shape[1])
    fixed = np.column_stack([plain, columns @ along.T, products])
    parts = np.column_stack([columns @ first, columns @ second, products[:, chosen]])
    beta = np.linalg.lstsq(np.column_stack([plain, parts]), phenotype, rcond=1e-8)[0][-3:]
    if order == 2:
        beta[2] = 0.0
    beta /= max(float((parts @ beta).std()), 1e-300)
    z = parts @ beta
    found = _likeliest(columns, spectrum, z, fixed, phenotype)
    if found is None:
        return None
    ratio, penalty, ridge = found
    _log.info("a pair changes the effects of all sites: prior variance %g of theirs", ratio)
    _, dual, residual = ridge.fit(phenotype, penalty)
    additive, changed = columns.T @ dual, ratio * (columns.T @ (z * dual))
    left = phenotype - columns @ additive - z * (columns @ changed)
    of_fixed = np.linalg.lstsq(fixed, left, rcond=1e-8)[0]
    noise = sqrt(float(residual @ residual) / ridge.degrees(penalty))
    n_plain = plain.shape[1]
    additive = additive + of_fixed[n_plain : n_plain + len(along)] @ along
    start = AdditiveStart(float(of_fixed[0]), of_fixed[1:n_plain], additive, penalty / len(phenotype), noise)
    factors = {2: np.stack([beta[0] * first + beta[1] * second, changed])[None]}
    if order > 2:
        factors[3] = np.stack([beta[2] * first, second, changed])[None]
    return GenomeWideModifier(start, left - fixed @ of_fixed, of_fixed[-len(shapes) :], factors)


def _likeliest(
    columns: np.ndarray, spectrum: Spectrum, z: np.ndarray, fixed: np.ndarray, phenotype: np.ndarray
) -> tuple[float, float, RidgeRegression] | None:
    """Ratio, penalty and regression of greatest restricted likelihood; None without a likely one."""
    unchanged = RidgeRegression(spectrum, fixed).likeliest_penalty(phenotype)[1]
    best, least = None, unchanged - _SURE
    kernel = centred_kernel(columns)
    changed = z[:, None] * kernel * z
    for ratio in _RATIOS:
        ridge = RidgeRegression(Spectrum.of_kernel(kernel + ratio * changed), fixed)
        penalty, deviance = ridge.likeliest_penalty(phenotype)
        if deviance < least:
            best, least = (ratio, penalty, ridge), deviance
        if deviance > unchanged:
            break  # worse than none already, and worse still for larger ratios
    return best
