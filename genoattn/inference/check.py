"""The phantom check of any pairs, such as those of a scan."""

from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.inference.background import remove_background
from genoattn.inference.phantom import is_phantom, survival
from genoattn.inference.tested import SiteMap
from genoattn.tokens import build_vocabulary


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
    ``phantom`` where that is less than 0.6, or where the sites are within 1 Mb of each other, so that an
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
    phenotype = cohort.phenotype
    if phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    if cohort.kind != "genotype":
        raise InputError("the phantom check needs genotypes: sequences have no markers around a site")
    vocabulary = build_vocabulary(cohort, "dosage")
    scale = np.sqrt(np.maximum(vocabulary.variance, 1e-12))
    columns = vocabulary.columns(cohort.calls) / scale
    covariates = np.zeros((cohort.n_samples, 0)) if cohort.covariates is None else cohort.covariates.values
    where = SiteMap.of(cohort.sites, vocabulary.site)
    background = remove_background(columns, phenotype.values, covariates, where.chromosome, phenotype.binary)
    names = [[str(s) for s in pairs[f"site_{k}"]] for k in (1, 2)]
    index = {str(cohort.sites.ids[s]): k for k, s in enumerate(vocabulary.site)}
    unknown = next((s for s in names[0] + names[1] if s not in index), None)
    if unknown is not None:
        raise InputError(f"site {unknown}: not among the cohort's sites that vary; check the same cohort")
    rows = []
    for a, b in zip(*names, strict=True):
        pair = index[a], index[b]
        share = survival(background, pair, where)
        rows.append((a, b, share, "phantom" if is_phantom(share, pair, where) else ""))
    return pd.DataFrame(rows, columns=["site_1", "site_2", "survival", "flag"])
