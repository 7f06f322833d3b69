"""Pairs around the lead of a signal: its credible set, ranking probabilities, and an exact scan."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.views.own_scan import scan_for_picture

WINDOW = 1_000_000
MAX_SITES = 200
_ENTRY = re.compile(r"(?<=\(\d\.\d\d\)); ")
_log = logging.getLogger(__name__)


def credible_pairs(signals: pd.DataFrame, sites: Collection[str] = ()) -> pd.DataFrame:
    """Credible sets of signals, one row a pair.

    Parameters
    ----------
    signals
        ``signals.tsv``.
    sites
        IDs of the model's sites: they tell where a name ends that holds `` x `` itself.

    Returns
    -------
    ``signal`` (row of ``signals``, from 0), ``site_1``, ``site_2``, ``probability``, the likeliest first.
    """
    known, rows = set(sites), []
    for signal, text in enumerate(signals["credible"].fillna("").astype(str)):
        for entry in _ENTRY.split(text) if text else []:
            pair, probability = entry[:-7], float(entry[-5:-1])
            first, second = _split(pair, known)
            rows.append((signal, first, second, probability))
    return pd.DataFrame(rows, columns=["signal", "site_1", "site_2", "probability"])


def _split(pair: str, known: set[str]) -> tuple[str, str]:
    """The two names of ``a x b``."""
    parts = pair.split(" x ")
    ways = [(" x ".join(parts[:k]), " x ".join(parts[k:])) for k in range(1, len(parts))]
    named = [way for way in ways if known.issuperset(way)]
    return (named or ways or [(pair, "")])[0]


def pairs_near(
    signal: Mapping[Any, Any],
    positions: pd.DataFrame,
    credible: pd.DataFrame,
    ranking: pd.DataFrame | None = None,
    cohort: Cohort | None = None,
    window: int = WINDOW,
) -> pd.DataFrame:
    """Pairs of the sites near both leads of a signal, for a regional plot.

    Parameters
    ----------
    signal
        A row of ``signals.tsv``.
    positions
        ``site``, ``chrom``, ``pos`` of all sites; see :func:`site_positions`.
    credible
        Its rows of :func:`credible_pairs`.
    ranking
        ``ranking.tsv``.
    cohort
        Genotypes and trait: all pairs within the window are tested by an exact scan.
    window
        Base pairs on either side of a lead.

    Returns
    -------
    One row a pair that any of them knows: ``site_1``, ``pos_1`` (near the first lead), ``site_2``, ``pos_2``
    (near the second), ``credible`` and ``ranking`` (probabilities), ``p_value``, ``is_lead``; the largest
    evidence first.

    Raises
    ------
    InputError
        Where a lead is not among the sites.
    """
    near = [_near(positions, str(signal[f"site_{k}"]), window) for k in (1, 2)]
    rows: dict[tuple[str, str], dict[str, float]] = {}

    def add(frame: pd.DataFrame, column: str, name: str) -> None:
        for a, b, value in zip(frame["site_1"], frame["site_2"], frame[column], strict=True):
            pair = (a, b) if a in near[0] and b in near[1] else (b, a)
            if pair[0] in near[0] and pair[1] in near[1]:
                rows.setdefault(pair, {})[name] = float(value)

    add(credible, "probability", "credible")
    if ranking is not None:
        add(ranking, "probability", "ranking")
    if cohort is not None:
        add(_scan(cohort, near, signal), "p_value", "p_value")
    columns = ["credible", "ranking", "p_value"]
    frame = pd.DataFrame(
        [
            {"site_1": a, "pos_1": near[0][a], "site_2": b, "pos_2": near[1][b], **v}
            for (a, b), v in rows.items()
        ],
        columns=["site_1", "pos_1", "site_2", "pos_2", *columns],
    ).astype(dict.fromkeys(columns, "float64"))
    lead = {str(signal["site_1"]), str(signal["site_2"])}
    frame["is_lead"] = [{a, b} == lead for a, b in zip(frame["site_1"], frame["site_2"], strict=True)]
    by, ascending = ["p_value", "credible", "ranking"], [True, False, False]
    return frame.sort_values(by, ascending=ascending, kind="stable").reset_index(drop=True)


def site_positions(sites: Any) -> pd.DataFrame:
    """``site``, ``chrom`` and ``pos`` of the sites of a cohort or a manifest."""
    return pd.DataFrame({"site": sites.ids, "chrom": sites.chrom, "pos": sites.pos})


def _near(positions: pd.DataFrame, lead: str, window: int) -> dict[str, int]:
    """Positions of the sites of a window, by ID; the nearest to the lead where they are very many."""
    own = positions[positions["site"] == lead]
    if not len(own):
        raise InputError(f"{lead}: no such site; give the sites of the same run as the signals")
    chrom, pos = own["chrom"].iloc[0], int(own["pos"].iloc[0])
    chosen = positions[(positions["chrom"] == chrom) & ((positions["pos"] - pos).abs() <= window)]
    if len(chosen) > MAX_SITES:
        _log.warning(
            "%d sites within %d bp of %s: the nearest %d are taken", len(chosen), window, lead, MAX_SITES
        )
        chosen = chosen.assign(away=(chosen["pos"] - pos).abs()).nsmallest(MAX_SITES, "away")
    return dict(zip(chosen["site"], chosen["pos"].astype(int), strict=True))


def _scan(cohort: Cohort, near: list[dict[str, int]], signal: Mapping[Any, Any]) -> pd.DataFrame:
    own = set(cohort.sites.ids)
    first, second = ([name for name in side if name in own] for side in near)
    if not first or not second or len({*first, *second}) < 2:
        lead = signal["site_1"] if not first else signal["site_2"]
        raise InputError(f"{lead}: no site of the cohort near it; give the cohort of the same run")
    part = cohort.select_sites(np.isin(cohort.sites.ids.astype(str), [*first, *second]))
    return scan_for_picture(part, sites=first, with_sites=second).frame
