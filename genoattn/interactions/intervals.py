"""Intervals of the model's coefficients, from their standard deviations."""

import pandas as pd
from scipy import stats

LEVEL = 0.9


def coefficient_intervals(frame: pd.DataFrame, n_members: int = 0, level: float = LEVEL) -> pd.DataFrame:
    """An interval for every row of order 1 and above.

    They hold the scatter of the fit, not what a model of too low an order or rank leaves out.

    Parameters
    ----------
    frame
        Of an interaction table whose ``coefficient_sd`` is filled.
    n_members
        Models of the ensemble that the deviations come from: Student's quantile with one degree of freedom
        less; 0 for a posterior: the normal quantile.
    level
        Probability that an interval holds the coefficient.

    Returns
    -------
    One row a term: ``order``, ``site_k`` and ``state_k``, ``coefficient``, ``sd``, ``lower``, ``upper``, in
    the units and gauge of the table, in its order.
    """
    tail = 0.5 + level / 2
    quantile = float(stats.t.ppf(tail, n_members - 1) if n_members else stats.norm.ppf(tail))
    rows = frame[frame["order"] >= 1]
    out = rows[["order", *(c for c in frame if str(c).startswith(("site_", "state_"))), "coefficient"]].copy()
    out["sd"] = rows["coefficient_sd"]
    out["lower"], out["upper"] = (
        out["coefficient"] - quantile * out["sd"],
        out["coefficient"] + quantile * out["sd"],
    )
    return out.reset_index(drop=True)
