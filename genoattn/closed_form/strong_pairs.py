"""Strong pairs: the likeliest among linked columns; and one that modifies the effects of all other sites.

Where two alleles together switch a trait off, the other sites have effects only in samples that have it on.
So many small products with one pair cannot be detected one by one, but they can together: as additive effects
that grow along the pair's own contribution z, ``x . (w + z v)``, with a ridge penalty on w and v.
"""

import logging
from dataclasses import dataclass
from math import sqrt

import numpy as np

from genoattn.closed_form.additive_start import AdditiveStart
from genoattn.closed_form.pair_factors import credible_entries
from genoattn.closed_form.ridge import RidgeRegression, Spectrum, centred_kernel

_log = logging.getLogger(__name__)
LARGE = 0.05  # of the variance of the phenotype: an interaction strong enough to be placed
_LINKED = 0.5  # r2 from which columns are alternatives
_MOST = 300  # alternatives at each of the two sites
_RATIOS = (0.1, 0.3, 1.0)  # of the prior variances of v and w, ascending
_SURE = 5.4  # likelihood ratio: 9 of 1,600 cohorts with a strong pair and no change passed it


def fine_mapped(
    columns: np.ndarray, phenotype: np.ndarray, shapes: np.ndarray, strength: np.ndarray
) -> np.ndarray:
    """Strong factors of two linked groups of columns, each replaced by the likeliest pairs of columns.

    Factors are found in residuals of the additive model, where the main effects of an interaction are spread
    over linked columns. The pair is therefore chosen on the phenotype itself, adjusted for covariates, by the
    variance that main effects and product explain together. A column counts by the posterior of its pairs,
    under a flat prior. Factors that explain less than 5 % of the variance, or whose columns are not all
    linked to one (r2 of 0.5), stay as they are.
    """
    out = shapes.copy()
    for k, (first, second) in enumerate(shapes):
        product = (columns @ first) * (columns @ second)
        one, other = (_alternatives(columns, slot) for slot in (first, second))
        weak = strength[k] ** 2 * product.var() < LARGE * phenotype.var()
        if weak or one is None or other is None:
            continue
        posterior = _posterior(columns, phenotype - phenotype.mean(), one, other)
        out[k] = 0.0
        for slot, (index, axis) in enumerate(((one, 1), (other, 0))):
            out[k, slot, index] = credible_entries(columns[:, index], posterior.sum(axis=axis))
    return out


def _alternatives(columns: np.ndarray, slot: np.ndarray) -> np.ndarray | None:
    """Columns linked to the largest entry of a slot; None where another entry of it is not."""
    r2 = (columns.T @ columns[:, int(np.argmax(np.abs(slot)))] / len(columns)) ** 2
    if np.any(r2[slot != 0] < _LINKED):
        return None
    order = np.argsort(-r2, kind="stable")[:_MOST]
    return np.sort(order[r2[order] >= _LINKED])


def _posterior(columns: np.ndarray, centred: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Posterior (n_first, n_second) of the pairs, by how much of a centred vector each explains."""
    b = columns[:, second]
    gain = np.empty((len(first), len(second)))
    for row, i in enumerate(first):
        a = columns[:, i : i + 1]
        product = a * b
        product -= product.mean(axis=0)
        gram = np.empty((len(second), 3, 3))
        gram[:, 0, 0] = float((a * a).sum())
        gram[:, 1, 1], gram[:, 2, 2] = (b * b).sum(axis=0), (product * product).sum(axis=0)
        gram[:, 0, 1] = gram[:, 1, 0] = (a * b).sum(axis=0)
        gram[:, 0, 2] = gram[:, 2, 0] = (a * product).sum(axis=0)
        gram[:, 1, 2] = gram[:, 2, 1] = (b * product).sum(axis=0)
        # Columns in perfect linkage make the three regressors collinear.
        gram += 1e-9 * len(centred) * np.eye(3)
        score = np.stack(
            [np.full(len(second), float(a[:, 0] @ centred)), b.T @ centred, product.T @ centred], axis=1
        )
        gain[row] = (score * np.linalg.solve(gram, score[:, :, None])[:, :, 0]).sum(axis=1)
    share = np.minimum(gain / max(float(centred @ centred), 1e-300), 1 - 1e-12)
    log_likelihood = -0.5 * len(centred) * np.log1p(-share)
    weight: np.ndarray = np.exp(log_likelihood - log_likelihood.max())
    return weight / weight.sum()


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
    unpenalised = phenotype - columns @ additive - z * (columns @ changed)
    of_fixed = np.linalg.lstsq(fixed, unpenalised, rcond=1e-8)[0]
    noise = sqrt(float(residual @ residual) / ridge.degrees(penalty))
    n_plain = plain.shape[1]
    additive = additive + of_fixed[n_plain : n_plain + len(along)] @ along
    start = AdditiveStart(float(of_fixed[0]), of_fixed[1:n_plain], additive, penalty / len(phenotype), noise)
    factors = {2: np.stack([beta[0] * first + beta[1] * second, changed])[None]}
    if order > 2:
        factors[3] = np.stack([beta[2] * first, second, changed])[None]
    return GenomeWideModifier(start, unpenalised - fixed @ of_fixed, of_fixed[-len(shapes) :], factors)


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
