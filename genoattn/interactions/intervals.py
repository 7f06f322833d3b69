"""Intervals of coefficients: from their posterior, or from the spread of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from genoattn.cohort import Sites
from genoattn.interactions.expansion import Expansion, Factors
from genoattn.interactions.posterior import Posterior

LEVEL = 0.9


def coefficient_intervals(
    expansion: Expansion,
    sites: Sites,
    terms: Mapping[int, np.ndarray],
    source: Posterior | Sequence[Factors],
    level: float = LEVEL,
) -> pd.DataFrame:
    """An interval for every term of order 1 and above.

    Parameters
    ----------
    expansion
        The model in the gauge of the table.
    sites
        Its sites.
    terms
        For each order shape (n_terms, order), column indices.
    source
        The posterior of the coefficients (their normal quantiles), or two or more models fitted to resampled
        samples: their standard deviation times Student's quantile with one degree of freedom less than
        there are models. They hold the scatter of the fit, not what a model of too low an order or rank
        leaves out.
    level
        Probability that an interval holds the coefficient.

    Returns
    -------
    One row a term: ``order``, ``site_k`` and ``state_k``, ``coefficient``, ``sd``, ``lower``, ``upper``, in
    the units and gauge of the table, in the order of ``terms``.
    """
    highest = max(terms, default=1)
    parts = []
    for order in sorted(k for k in terms if k >= 1):
        columns = terms[order]
        coefficient = expansion.coefficients(columns)
        spread, quantile = _spread(expansion, columns, source, level)
        rows: dict[str, object] = {"order": np.full(len(columns), order)}
        for k in range(highest):
            labels = _labels(expansion, sites, columns, k) if k < order else ("", "")
            rows[f"site_{k + 1}"], rows[f"state_{k + 1}"] = labels
        rows["coefficient"], rows["sd"] = coefficient, spread
        rows["lower"], rows["upper"] = coefficient - quantile * spread, coefficient + quantile * spread
        parts.append(pd.DataFrame(rows))
    return pd.concat(parts, ignore_index=True)


def _spread(
    expansion: Expansion, columns: np.ndarray, source: Posterior | Sequence[Factors], level: float
) -> tuple[np.ndarray, float]:
    """Standard deviation of each coefficient (n_terms,), and the quantile that goes with it."""
    tail = 0.5 + level / 2
    if isinstance(source, Posterior):
        return source.moments(columns, expansion.gauge)[1], float(stats.norm.ppf(tail))
    drawn = np.stack([Expansion(member, expansion.gauge).coefficients(columns) for member in source])
    return drawn.std(axis=0, ddof=1), float(stats.t.ppf(tail, len(source) - 1))


def _labels(expansion: Expansion, sites: Sites, columns: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """ID and state of the k-th token of each term."""
    v = expansion.vocabulary
    site, state = v.site[columns[:, k]], v.state[columns[:, k]]
    names = [sites.alt[s] if v.is_dosage else sites.states[s][a] for s, a in zip(site, state, strict=True)]
    return sites.ids[site], np.array(names, dtype=object)
