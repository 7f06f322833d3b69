"""Features of sites: a table keyed by site."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io.filters import with_log
from genoattn.io.table_cells import TableSource, read_cells
from genoattn.io.tables import MISSING_TEXT, list_names

_RESERVED = ("site", "state", "class")


def match_features(cohort: Cohort, source: TableSource) -> Cohort:
    """The cohort with the features of a table: gene, region, consequence, or what its columns are called.

    Its column ``site`` has IDs, ``chrom:pos``, or columns of an alignment.
    """
    table = read_cells(source, _check_header, "site", "feature table", ("site",))
    path, columns = table.path, dict(table.columns)
    keys = columns.pop("site")
    row: dict[str, int] = {}
    for i, key in enumerate(keys):
        if key in row:
            raise InputError(f"{path}: site '{key}' has two rows; keep one of them")
        row[key] = i
    sites = cohort.sites
    place = [f"{c}:{p}" if c else str(p) for c, p in zip(sites.chrom, sites.pos, strict=True)]
    found = np.array([row.get(s, row.get(p, -1)) for s, p in zip(sites.ids, place, strict=True)])
    if (found < 0).all():
        raise InputError(
            f"{path}: no site in common with the genotypes; sites there: {list_names(keys[:3])}; "
            f"sites of the genotypes: {list_names(sites.ids[:3])}; make them alike"
        )
    features = dict(sites.features)
    for name, cells in columns.items():
        labels = np.array(["" if cell in MISSING_TEXT else cell for cell in (*cells, "")], dtype=object)
        features[name] = labels[found]
    line = f"features {list_names(columns)} of {int((found >= 0).sum())} of {len(sites)} sites"
    return with_log(replace(cohort, sites=replace(sites, features=features)), *table.log, line)


def _check_header(path: Path, header: list[str]) -> None:
    if "site" not in header:
        raise InputError(
            f"{path}: no column site in the header ({list_names(header)}); name the ID column site"
        )
    if len(header) < 2:
        raise InputError(f"{path}: no feature, only the column site; add one, for example gene")
    for name in _RESERVED[1:]:
        if name in header:
            raise InputError(
                f"{path}: a feature cannot be called '{name}', which every token has; rename the column"
            )
