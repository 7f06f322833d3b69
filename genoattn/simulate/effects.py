"""Coefficients of planted terms, scaled to stated shares of the phenotype variance, and their table."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from genoattn.errors import InputError
from genoattn.interactions.schema import ESTIMATED, SITE_COLUMNS, table_columns
from genoattn.simulate.architecture import Layout
from genoattn.simulate.config import ISOLATED, MODULE_SIZE, SimulationConfig
from genoattn.simulate.genotypes import Genotypes

if TYPE_CHECKING:
    import pandas as pd

Term = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Effects:
    """The genetic value of a sample: the sum over terms of coefficient x product of centred dosages.

    Coefficients are in phenotype units (phenotype or liability has variance 1).
    """

    coefficients: dict[Term, float]  # the empty term is the intercept
    value: np.ndarray  # (n_samples,), the genetic value


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
    coefficients: defaultdict[Term, float] = defaultdict(float)
    _add_additive(coefficients, config, genotypes, rng)
    signs = rng.choice([-1.0, 1.0], size=len(layout.terms))
    if config.architecture == "modules":
        _add_modules(coefficients, config, genotypes, layout, rng)
    else:
        for term, sign, share in zip(layout.terms, signs, config.shares, strict=True):
            pure, lower = pure_part(genotypes.dosage, term)
            scale = sign * np.sqrt(share / _spread(pure, term, genotypes))
            coefficients[term] += float(scale)
            if config.architecture in ISOLATED:
                for subset, fitted in lower.items():
                    coefficients[subset] -= float(scale * fitted)
    nonzero = {term: c for term, c in coefficients.items() if c != 0}
    value = np.zeros(config.n_samples)
    for term, coefficient in nonzero.items():
        value += coefficient * term_product(genotypes.dosage, term)
    return Effects(nonzero, value)


def term_product(dosage: np.ndarray, term: Term) -> np.ndarray:
    """Product over the sites of a term of dosage (n_samples, n_sites) less its mean: shape (n_samples,)."""
    columns = dosage[:, list(term)].astype(np.float64)
    return (columns - columns.mean(axis=0)).prod(axis=1)


def pure_part(dosage: np.ndarray, term: Term) -> tuple[np.ndarray, dict[Term, float]]:
    """Residual (n_samples,) of a term's product after regression on its lower-order terms, and the fit.

    That is the least-squares coefficient of every proper subset of the term.
    """
    subsets = [subset for size in range(len(term)) for subset in combinations(term, size)]
    lower = np.stack([term_product(dosage, subset) for subset in subsets], axis=1)
    product = term_product(dosage, term)
    fitted = np.linalg.lstsq(lower, product, rcond=None)[0]
    return product - lower @ fitted, dict(zip(subsets, fitted.tolist(), strict=True))


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
        coefficients[(int(site),)] += float(weight)


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
    subsets: list[Term] = [*((s,) for s in involved), ()]
    lower = np.stack([term_product(genotypes.dosage, subset) for subset in subsets], axis=1)
    pure = total - lower @ np.linalg.lstsq(lower, total, rcond=None)[0]
    scale = np.sqrt(config.interaction_variance / _spread(pure, layout.terms[0], genotypes))
    for term, weight in zip(layout.terms, weights, strict=True):
        coefficients[term] += float(scale * weight)


def truth_table(effects: Effects, genotypes: Genotypes) -> pd.DataFrame:
    """One row a term, the intercept first, then by order and decreasing |coefficient|.

    ``coefficient`` is in phenotype units per product of centred dosages (gauge ``frequency``: each dosage
    less its mean in the complete genotypes). ``frequency`` is the chance that one allele drawn from a random
    sample at each site of the term gives the effect allele everywhere. ``variance_explained`` is the share
    of the row's pure part by itself (see :func:`draw_effects`), ``r2_ld`` the
    largest squared correlation of dosages within the term. What a fit would estimate (``coefficient_sd`` to
    ``q_value``) is empty.
    """
    import pandas as pd

    coefficients = {(): 0.0} | effects.coefficients
    terms = sorted(coefficients, key=lambda t: (len(t), -abs(coefficients[t]), t))
    max_order = max(1, *map(len, terms))
    columns, places = table_columns(max_order), range(1, max_order + 1)
    unused = {f"{name}_{k}": "" for name in SITE_COLUMNS if name != "pos" for k in places}
    rows = [unused | _row(term, coefficients[term], genotypes) for term in terms]
    numbers = {f"pos_{k}": "Int64" for k in places} | dict.fromkeys(ESTIMATED, "float64")
    return pd.DataFrame(rows, columns=columns).astype(numbers)


def _row(term: Term, coefficient: float, genotypes: Genotypes) -> dict[str, object]:
    sites, dosage = genotypes.sites, genotypes.dosage
    row: dict[str, object] = {"order": len(term), "coefficient": coefficient}
    row |= {"n_samples": len(dosage), "flag": ""}
    for k, s in enumerate(term, start=1):
        values = (sites.ids[s], sites.chrom[s], int(sites.pos[s]), sites.ref[s], sites.alt[s])
        row |= {f"{name}_{k}": value for name, value in zip(SITE_COLUMNS, values, strict=True)}
    if term:
        row["frequency"] = float((dosage[:, list(term)] / 2).prod(axis=1).mean())
        row["variance_explained"] = coefficient**2 * float(pure_part(dosage, term)[0].var())
    if len(term) > 1:
        correlation = np.corrcoef(dosage[:, list(term)], rowvar=False)
        row["r2_ld"] = float((correlation[np.triu_indices(len(term), 1)] ** 2).max())
    return row
