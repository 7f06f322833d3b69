"""Signals of a cohort as the rows of ``signals.tsv``."""

import numpy as np
import pandas as pd

from genoattn.cohort import Sites
from genoattn.inference.background import Background, SiteMap
from genoattn.inference.phantom import is_phantom, survival
from genoattn.inference.signals import Signal


def signal_table(
    signals: list[Signal],
    background: Background,
    where: SiteMap,
    sites: Sites,
    site: np.ndarray,
    alpha: float,
) -> pd.DataFrame:
    """Signals as a table.

    Returns
    -------
    ``site_1``, ``chrom_1``, ``pos_1``, ``site_2``, ``chrom_2``, ``pos_2`` of the lead; ``tested_1`` and
    ``tested_2``, the pair of the cluster that was tested, with its ``statistic`` (t on ``df`` degrees of
    freedom) and ``p_value``; ``weight`` and ``q_value``; ``n_pairs`` linked to it; the ``credible`` set
    with posteriors, and how many it holds; ``survival``, the share of t that remains after adjustment for
    the additive variation around both sites; and ``flag``, ``phantom`` where that is less than 0.6, or the
    sites are within reach of linkage.
    """
    rows = []
    for s in signals:
        survived = survival(background, s.lead, where) if s.q_value <= alpha else np.nan
        row: dict[str, object] = {}
        for k, column in enumerate(s.lead, 1):
            at = site[column]
            row |= {f"site_{k}": sites.ids[at], f"chrom_{k}": sites.chrom[at], f"pos_{k}": int(sites.pos[at])}
        named = [
            f"{sites.ids[site[i]]} x {sites.ids[site[j]]} ({p:.2f})"
            for (i, j), p in zip(s.credible, s.posterior, strict=True)
        ]
        row |= {f"tested_{k}": sites.ids[site[column]] for k, column in enumerate(s.tested, 1)}
        row |= {"statistic": s.test.statistic, "df": s.test.df, "p_value": s.p_value}
        row |= {"weight": s.weight, "q_value": s.q_value}
        row |= {"n_pairs": len(s.members), "n_credible": len(s.credible), "credible": "; ".join(named)}
        phantom = s.q_value <= alpha and is_phantom(survived, s.lead, where)
        rows.append(row | {"survival": survived, "flag": "phantom" if phantom else ""})
    names = [f"{n}_{k}" for k in (1, 2) for n in ("site", "chrom", "pos")]
    names += ["tested_1", "tested_2", "statistic", "df", "p_value", "weight", "q_value"]
    names += ["n_pairs", "n_credible", "credible", "survival", "flag"]
    return pd.DataFrame(rows, columns=names)
