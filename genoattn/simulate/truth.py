"""The planted terms as an interaction table (schema version 2)."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from genoattn.simulate.effects import Effects, Term, pure_part
from genoattn.simulate.genotypes import Genotypes

if TYPE_CHECKING:
    import pandas as pd

PER_SITE = ("site", "chrom", "pos", "ref", "state")
ESTIMATED = ("coefficient_sd", "effect", "se", "statistic", "p_value", "q_value")
MEASURES = ("n_samples", "frequency", "variance_explained", "r2_ld", "flag")


def truth_table(effects: Effects, genotypes: Genotypes) -> pd.DataFrame:
    """One row a term, the intercept first, then by order and decreasing |coefficient|.

    ``coefficient`` is in phenotype units per product of centred dosages (gauge ``frequency``: each dosage
    less its mean in the complete genotypes). ``frequency`` is the chance that one allele drawn from a random
    sample at each site of the term gives the effect allele everywhere. ``variance_explained`` is the share
    of the row's pure part by itself (see :func:`genoattn.simulate.effects.draw_effects`), ``r2_ld`` the
    largest squared correlation of dosages within the term. What a fit would estimate (``coefficient_sd`` to
    ``q_value``) is empty.
    """
    import pandas as pd

    coefficients = {(): 0.0} | effects.coefficients
    terms = sorted(coefficients, key=lambda t: (len(t), -abs(coefficients[t]), t))
    max_order = max(1, *map(len, terms))
    unused = {f"{name}_{k}": "" for name in PER_SITE if name != "pos" for k in range(1, max_order + 1)}
    rows = [unused | _row(term, coefficients[term], genotypes) for term in terms]
    columns = [
        "order",
        *(f"{name}_{k}" for k in range(1, max_order + 1) for name in PER_SITE),
        "coefficient",
        *ESTIMATED,
        *MEASURES,
    ]
    table = pd.DataFrame(rows, columns=columns)
    for k in range(1, max_order + 1):
        table[f"pos_{k}"] = table[f"pos_{k}"].astype("Int64")
    table[list(ESTIMATED)] = table[list(ESTIMATED)].astype(float)
    return table


def _row(term: Term, coefficient: float, genotypes: Genotypes) -> dict[str, object]:
    sites, dosage = genotypes.sites, genotypes.dosage
    row: dict[str, object] = {
        "order": len(term),
        "coefficient": coefficient,
        "n_samples": len(dosage),
        "flag": "",
    }
    for k, s in enumerate(term, start=1):
        values = (sites.ids[s], sites.chrom[s], int(sites.pos[s]), sites.ref[s], sites.alt[s])
        row |= {f"{name}_{k}": value for name, value in zip(PER_SITE, values, strict=True)}
    if term:
        row["frequency"] = float((dosage[:, list(term)] / 2).prod(axis=1).mean())
        row["variance_explained"] = coefficient**2 * float(pure_part(dosage, term)[0].var())
    if len(term) > 1:
        pairs = combinations(range(len(term)), 2)
        correlation = np.corrcoef(dosage[:, list(term)], rowvar=False)
        row["r2_ld"] = max(float(correlation[i, j] ** 2) for i, j in pairs)
    return row
