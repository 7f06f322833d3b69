"""The phantom check: does a signal survive the additive variation around its sites?"""

from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.inference.background import Background, SiteMap, cohort_background
from genoattn.inference.robust import orthonormal_basis

_EXPLAINED = 0.99  # of the local variance that the components hold
_SHARE = 0.1  # of the samples: at most so many components
_NOISE = 2.0  # |t| that chance has too
PHANTOM = 0.6  # share of its t that a signal must keep


def phantom_check(cohort: Cohort, pairs: Any) -> pd.DataFrame:
    """Share of each pair's t that remains after adjustment for the additive variation around both sites.

    Parameters
    ----------
    cohort
        Genotypes with a phenotype.
    pairs
        A table with the columns ``site_1`` and ``site_2``, such as ``scan_pairs(cohort).frame``.

    Returns
    -------
    One row a pair: ``site_1``, ``site_2``, ``survival`` (that share) and ``flag``:
    ``phantom`` where that is less than 0.6, or where the sites are within reach of linkage, so that an
    untyped additive variant between them would look the same.

    Raises
    ------
    InputError
        Where there is no phenotype, the cohort has no genotypes, or a site is unknown or does not vary.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(
    ...     n_samples=400, n_sites=12, linkage="none", n_terms=1, interaction_variance=0.3, seed=1
    ... ).cohort
    >>> pairs = genoattn.scan_pairs(cohort, threshold=1e-6).frame
    >>> genoattn.phantom_check(cohort, pairs)["flag"].tolist()
    ['']
    """
    if cohort.kind != "genotype":
        raise InputError("the phantom check needs genotypes: sequences have no markers around a site")
    prepared = cohort_background(cohort)
    background, where, site = prepared.background, prepared.where, prepared.site
    names = [[str(s) for s in pairs[f"site_{k}"]] for k in (1, 2)]
    index = {str(cohort.sites.ids[s]): k for k, s in enumerate(site)}
    unknown = next((s for s in names[0] + names[1] if s not in index), None)
    if unknown is not None:
        raise InputError(f"site {unknown}: not among the cohort's sites that vary; check the same cohort")
    rows = []
    for a, b in zip(*names, strict=True):
        pair = index[a], index[b]
        share = survival(background, pair, where)
        rows.append((a, b, share, "phantom" if is_phantom(share, pair, where) else ""))
    return pd.DataFrame(rows, columns=["site_1", "site_2", "survival", "flag"])


def survival(background: Background, pair: tuple[int, int], where: SiteMap) -> float:
    """Share of a pair's t that remains after adjustment for the additive variation around both sites.

    Two markers that each tag a hidden additive variant badly can tag it well by their product: phantom
    epistasis (de los Campos, Sorensen & Toro 2019, G3 9:1429). All markers within 1 Mb of either site tag it
    better, and their principal components, which hold 99 % of their variance, adjust for it.

    Returns
    -------
    Smallest ratio, over the versions of the phenotype, of the t adjusted for the components to the t adjusted
    for the two sites alone, in residuals of regression on the additive genome; 0 where the sign changes, or
    the adjusted t is within 2.
    """
    x = background.columns
    product = x[:, pair[0]] * x[:, pair[1]]
    local = local_components(background, pair, where)
    alone = np.column_stack([background.fixed, x[:, list(pair)]])
    before = _t(product, alone, background.residuals)
    after = _t(product, np.column_stack([alone, local]), background.residuals)
    if np.min(np.abs(after)) < _NOISE:
        return 0.0
    return float(np.min(after / np.where(before == 0, np.inf, before)).clip(0.0))


def is_phantom(kept: float, pair: tuple[int, int], where: SiteMap) -> bool:
    """Whether a pair keeps less than 0.6 of its t, or its sites are within reach of linkage.

    There no test helps: the product of two sites tags the haplotypes between them, and an additive variant
    that no marker tags looks the same as an interaction (Wood et al. 2014, Nature 514:E3).
    """
    close = ~where.are_far(np.array(pair[:1]), np.array(pair[1:]))[0]
    return bool(close or kept < PHANTOM)


def local_components(background: Background, pair: tuple[int, int], where: SiteMap) -> np.ndarray:
    """Principal components of all columns within 1 Mb of either site: (n_samples, n_components)."""
    x = background.columns
    close = np.zeros(x.shape[1], dtype=bool)
    for k in pair:
        close |= where.are_near(np.arange(len(close)), k)
    part = x[:, close]
    n = len(part)
    value, vector = np.linalg.eigh(part @ part.T if part.shape[1] > n else part.T @ part)
    value, vector = np.maximum(value[::-1], 0.0), vector[:, ::-1]
    number = int(np.searchsorted(np.cumsum(value), _EXPLAINED * value.sum())) + 1
    number = min(number, max(int(_SHARE * n), 1))
    return vector[:, :number] if part.shape[1] > n else part @ vector[:, :number]


def _t(predictor: np.ndarray, others: np.ndarray, versions: np.ndarray) -> np.ndarray:
    """t of a predictor adjusted for others, for each version of the phenotype."""
    basis = orthonormal_basis(others)
    pure = predictor - basis @ (basis.T @ predictor)
    norm = float(np.linalg.norm(pure))
    df = len(predictor) - basis.shape[1] - 1
    if df < 1 or norm < 1e-6 * float(np.linalg.norm(predictor)):
        return np.zeros(versions.shape[1])
    residual = versions - basis @ (basis.T @ versions)
    estimate = pure @ residual / norm
    return estimate / np.sqrt(((residual**2).sum(axis=0) - estimate**2) / df)
