"""Candidate pairs of sites, as a user gives them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genoattn.cohort import Sites
from genoattn.errors import InputError
from genoattn.interactions.table import InteractionTable, load_interactions
from genoattn.scan.result import ScanResult

Pairs = Sequence[tuple[str, str]] | pd.DataFrame | InteractionTable | ScanResult | str | Path


def choose_pairs(sites: Sites, pairs: Pairs) -> np.ndarray:
    """Indices of pairs of sites, (n_pairs, 2), each once.

    Parameters
    ----------
    sites
        The sites of a cohort.
    pairs
        Pairs of IDs; a table with columns ``site_1`` and ``site_2``, such as the result of
        :func:`genoattn.scan_pairs`, of which rows of other orders are left out; or the path of one written.

    Raises
    ------
    InputError
        Where a site is not in the cohort, a pair holds one site twice, or there is no pair.
    """
    index = {name: k for k, name in enumerate(sites.ids)}
    chosen = set()
    for number, pair in enumerate(_named(pairs), start=1):
        unknown = [name for name in pair if name not in index]
        if len(pair) != 2 or unknown:
            what = f"'{unknown[0]}' is not a site of the cohort" if unknown else f"{len(pair)} sites"
            raise InputError(f"candidate pair {number}: {what}; give two IDs of the cohort a pair")
        i, j = index[pair[0]], index[pair[1]]
        if i == j:
            raise InputError(f"candidate pair {number}: '{pair[0]}' with itself; give two sites")
        chosen.add((min(i, j), max(i, j)))
    if not chosen:
        raise InputError("there is no candidate pair; leave pairs out, or scan pairs with a higher threshold")
    return np.array(sorted(chosen), dtype=np.int64)


def _named(pairs: Pairs) -> Iterable[tuple[str, ...]]:
    """IDs of each pair."""
    if isinstance(pairs, (str, Path)):
        pairs = load_interactions(pairs)
    if isinstance(pairs, (InteractionTable, ScanResult)):
        pairs = pairs.frame
    if not isinstance(pairs, pd.DataFrame):
        return [(pair,) if isinstance(pair, str) else tuple(pair) for pair in pairs]
    if not {"site_1", "site_2"} <= set(pairs.columns):
        raise InputError(
            "candidate pairs: a table without columns site_1 and site_2; give one of a pair scan"
        )
    if "order" in pairs.columns:
        pairs = pairs[pairs["order"] == 2]
    return zip(pairs["site_1"], pairs["site_2"], strict=True)
