"""The phantom check: does a signal survive the additive variation around its sites?"""

import numpy as np

from genoattn.inference.background import Background
from genoattn.inference.robust import orthonormal_basis
from genoattn.inference.tested import SiteMap

_EXPLAINED = 0.99  # of the local variance that the components hold
_SHARE = 0.1  # of the samples: at most so many components
_NOISE = 2.0  # |t| that chance has too
PHANTOM = 0.6  # share of its t that a signal must keep


def survival(background: Background, pair: tuple[int, int], where: SiteMap) -> float:
    """Share of a pair's t that remains after adjustment for the additive variation around both sites.

    Two markers that each tag a hidden additive variant badly can tag it well by their product: phantom
    epistasis (de los Campos, Sorensen & Toro 2019, G3 9:1429). All markers within 1 Mb of either site tag it
    better, and their principal components, which hold 99 % of their variance, take it out.

    Returns
    -------
    Smallest ratio, over the versions of the phenotype, of the t adjusted for the components to the t adjusted
    for the two sites alone, in residuals of regression on the additive genome; 0 where the sign changes, or
    the adjusted t is within 2.
    """
    x = background.columns
    product = x[:, pair[0]] * x[:, pair[1]]
    basis = background.basis
    local = local_components(background, pair, where)
    alone = np.column_stack([basis, x[:, list(pair)]])
    before = _t(product, alone, background.residuals)
    after = _t(product, np.column_stack([alone, local]), background.residuals)
    if np.min(np.abs(after)) < _NOISE:
        return 0.0
    return float(np.min(after / np.where(before == 0, np.inf, before)).clip(0.0))


def is_phantom(kept: float, pair: tuple[int, int], where: SiteMap) -> bool:
    """Whether a pair keeps less than 0.6 of its t, or its sites are within 1 Mb.

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
        close |= ~where.are_far(np.arange(len(close)), np.full(len(close), k))
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
