"""Coefficients of planted terms, scaled to stated shares of the phenotype variance."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from genoattn.errors import InputError
from genoattn.simulate.architecture import Layout
from genoattn.simulate.config import ISOLATED, MODULE_SIZE, SimulationConfig
from genoattn.simulate.genotypes import Genotypes

Term = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Effects:
    """The genetic value of a sample: the sum over terms of coefficient x product of centred dosages.

    Parameters
    ----------
    coefficients
        By term, in phenotype units (phenotype or liability has variance 1); the empty term is the intercept.
    planted
        The interactions asked for, in the order of the configuration.
    value
        Shape (n_samples,), the genetic value.
    """

    coefficients: dict[Term, float]
    planted: tuple[Term, ...]
    value: np.ndarray


def draw_effects(
    config: SimulationConfig, genotypes: Genotypes, layout: Layout, rng: np.random.Generator
) -> Effects:
    """Coefficients of all planted terms.

    Shares of variance are those of the *pure* part of a term: its product of centred dosages less the
    least-squares fit of that product, in this sample, by an intercept and the terms of fewer of the same
    sites. What is exact, the phenotype having variance 1 in the sample:

    - an isolated term and a term of a hub: the pure part of each has the stated share by itself;
    - modules: the pure part of their sum, less all sites of both pathways, has ``interaction_variance``;
    - additive effects: their sum has ``additive_variance``; before that scaling each site has the same.

    Terms are correlated in a finite sample, so shares need not add up to the share of the sum.

    The contribution of an isolated term *is* its pure part: it has no covariance in the sample with any
    term of fewer of its sites, so no marginal effect to be found by. The coefficients of lower order that
    subtract the fit are small, of the order of 1 / sqrt(n_samples) of the term's, and are part of the
    result, so that the coefficients give the genetic value exactly. Pure says nothing of other sites: one
    that is linked to the term's, or correlated by chance, carries some of its signal.
    """
    coefficients: dict[Term, float] = {}
    _add_additive(coefficients, config, genotypes, rng)
    signs = rng.choice([-1.0, 1.0], size=len(layout.terms))
    if config.architecture == "modules":
        _add_modules(coefficients, config, genotypes, layout, rng)
    else:
        for term, sign, share in zip(layout.terms, signs, config.shares, strict=True):
            pure, lower = pure_part(genotypes.dosage, term)
            scale = sign * np.sqrt(share / _spread(pure, term, genotypes))
            _add(coefficients, term, scale)
            if config.architecture in ISOLATED:
                for subset, fitted in lower.items():
                    _add(coefficients, subset, -scale * fitted)
    coefficients = {term: c for term, c in coefficients.items() if c != 0}
    value = np.zeros(config.n_samples)
    for term, coefficient in coefficients.items():
        value += coefficient * term_product(genotypes.dosage, term)
    return Effects(coefficients, tuple(t for t in layout.terms if t in coefficients), value)


def term_product(dosage: np.ndarray, term: Term) -> np.ndarray:
    """Product over the sites of a term of dosage less its mean: shape (n_samples,).

    Parameters
    ----------
    dosage
        Shape (n_samples, n_sites), complete.
    term
        Site indices; the product of the empty term is 1.
    """
    columns = dosage[:, list(term)].astype(np.float64)
    return (columns - columns.mean(axis=0)).prod(axis=1)


def pure_part(dosage: np.ndarray, term: Term) -> tuple[np.ndarray, dict[Term, float]]:
    """Residual of a term's product after regression on its lower-order terms.

    Parameters
    ----------
    dosage
        Shape (n_samples, n_sites), complete.

    Returns
    -------
    The residual, shape (n_samples,), and the least-squares coefficients of every proper subset of the term.
    """
    subsets = [subset for size in range(len(term)) for subset in combinations(term, size)]
    lower = np.stack([term_product(dosage, subset) for subset in subsets], axis=1)
    product = term_product(dosage, term)
    fitted = np.linalg.lstsq(lower, product, rcond=None)[0]
    return product - lower @ fitted, dict(zip(subsets, fitted.tolist(), strict=True))


def _add(coefficients: dict[Term, float], term: Term, value: float) -> None:
    coefficients[term] = coefficients.get(term, 0.0) + float(value)


def _spread(pure: np.ndarray, term: Term, genotypes: Genotypes) -> float:
    variance = float(pure.var())
    if not variance > 1e-6:
        names = " x ".join(genotypes.sites.ids[list(term)])
        raise InputError(
            f"simulate: the interaction {names} cannot be told from its lower-order terms in "
            f"{len(pure)} samples; raise n_samples or maf"
        )
    return variance


def _add_additive(
    coefficients: dict[Term, float], config: SimulationConfig, genotypes: Genotypes, rng: np.random.Generator
) -> None:
    if not config.additive_share > 0:
        return
    chosen = rng.choice(config.n_sites, size=config.n_additive_sites, replace=False)
    columns = genotypes.dosage[:, chosen].astype(np.float64)
    weights = rng.choice([-1.0, 1.0], size=len(chosen)) / columns.std(axis=0)
    weights *= np.sqrt(config.additive_share / (columns @ weights).var())
    for site, weight in zip(chosen, weights, strict=True):
        _add(coefficients, (int(site),), weight)


def _add_modules(
    coefficients: dict[Term, float],
    config: SimulationConfig,
    genotypes: Genotypes,
    layout: Layout,
    rng: np.random.Generator,
) -> None:
    """A coefficient is the product of two factors' entries, each of random sign and size 0.5 to 1.5."""
    u, v = rng.choice([-1.0, 1.0], size=(2, MODULE_SIZE)) * rng.uniform(0.5, 1.5, size=(2, MODULE_SIZE))
    weights = np.outer(u, v).ravel()
    total = sum(w * term_product(genotypes.dosage, t) for w, t in zip(weights, layout.terms, strict=True))
    involved = sorted({site for term in layout.terms for site in term})
    lower = np.stack(
        [term_product(genotypes.dosage, (s,)) for s in involved] + [np.ones(config.n_samples)], axis=1
    )
    pure = total - lower @ np.linalg.lstsq(lower, total, rcond=None)[0]
    scale = np.sqrt(config.interaction_variance / _spread(pure, layout.terms[0], genotypes))
    for term, weight in zip(layout.terms, weights, strict=True):
        _add(coefficients, term, scale * weight)
