"""Views of a landscape: strength of every pair of sites, and the trait by number of mutations."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from genoattn.cohort import MISSING, Cohort
from genoattn.errors import InputError
from genoattn.interactions.matrices import rows_of_pairs, token_names, value_of
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import InteractionTable


def site_matrix(
    table: InteractionTable, value: str = "effect", how: Literal["strongest", "rms"] = "strongest"
) -> pd.DataFrame:
    """Symmetric matrix of the pairs of sites that a table lists, NaN where none is.

    Parameters
    ----------
    table
        With rows of order 2.
    value
        A column of numbers; where an effect is not tested its coefficient stands for it.
    how
        Of several states of a pair of sites: ``strongest``, the value farthest from 0 with its sign; or
        ``rms``, the root of their mean square.
    """
    if how not in ("strongest", "rms"):
        raise InputError(f"how is {how!r}; choose strongest or rms")
    if how == "strongest":
        return table.matrix(2, value, by="site")
    tokens = table.matrix(2, value, by="token")
    rows = rows_of_pairs(table.frame)
    of_token: dict[str, str] = {}
    for k in (1, 2):
        of_token |= dict(zip(token_names(rows, k), rows[f"site_{k}"].astype(str), strict=True))
    # As an array: pandas takes a list of names of columns for keys.
    site = np.array([of_token[str(name)] for name in tokens.index], dtype=np.object_)

    def of_sites(values: pd.DataFrame) -> pd.DataFrame:
        return values.groupby(site, sort=False).sum().T.groupby(site, sort=False).sum().T

    number = of_sites(tokens.notna().astype(float))
    return pd.DataFrame(np.sqrt(of_sites(tokens.fillna(0.0) ** 2) / number.where(number > 0)))


def of_strongest_sites(table: InteractionTable, value: str, n: int) -> tuple[InteractionTable, int]:
    """Pairs among the n sites that have the values farthest from 0, and how many sites have any.

    What a matrix can show of a table of very many sites.
    """
    rows = rows_of_pairs(table.frame)
    strength = pd.Series(np.abs(value_of(rows, value)), index=rows.index)
    first, second = (strength.groupby(rows[f"site_{k}"]).max() for k in (1, 2))
    by_site = first.combine(second, max, fill_value=0.0)
    chosen = by_site.nlargest(n).index
    kept = rows[rows["site_1"].isin(chosen) & rows["site_2"].isin(chosen)]
    return replace(table, frame=kept), len(by_site)


def mutations_carried(cohort: Cohort, manifest: Manifest | None = None) -> pd.DataFrame:
    """Trait of sequences by the number of sites at which they differ from the reference.

    Sequences with a missing call count the sites that are called. Sites are those of the cohort.

    Parameters
    ----------
    cohort
        Sequences with a phenotype.
    manifest
        Says which state of a site is the reference; the first by default.

    Returns
    -------
    One row a number: ``n_mutations``, ``n``, ``mean``, ``sd``, and the quantiles ``q05``, ``q25``,
    ``median``, ``q75``, ``q95``.

    Raises
    ------
    InputError
        Where the cohort has no phenotype.
    """
    if cohort.phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    reference = np.zeros(cohort.n_sites, dtype=np.int64)
    if manifest is not None:
        of_site = zip(manifest.sites.ids, manifest.vocabulary.reference, manifest.sites.states, strict=True)
        named = {site: states[state] for site, state, states in of_site}
        for k, (site, states) in enumerate(zip(cohort.sites.ids, cohort.sites.states, strict=True)):
            if named.get(site) in states:
                reference[k] = states.index(named[site])
    calls = cohort.calls
    number = ((calls != reference) & (calls != MISSING)).sum(axis=1)
    by = pd.DataFrame({"n_mutations": number, "y": cohort.phenotype.values}).groupby("n_mutations")["y"]
    quantiles = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
    columns = {"n": by.size(), "mean": by.mean(), "sd": by.std()}
    return pd.DataFrame(columns | {name: by.quantile(q) for name, q in quantiles.items()}).reset_index()
