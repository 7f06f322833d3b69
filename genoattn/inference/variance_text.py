"""Variance components in words."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

_LEVEL = 0.05


def sentence(row: Mapping[Hashable, Any], named: bool = True) -> str:
    """Estimate, its error, whether anything was seen, and what could have been.

    Parameters
    ----------
    row
        A row of :attr:`genoattn.inference.variance_components.VarianceComponents.frame`.
    named
        Whether to begin with the component.

    Examples
    --------
    >>> row = {"component": "dominance", "share": 0.03, "se": 0.04, "p_value": 0.2, "detectable": 0.11}
    >>> sentence(row)
    'dominance: 3 % (SE 4 %, p = 0.2), none seen; a share of 11 % would be, with 80 % power'
    """
    share, p = float(row["share"]), float(row["p_value"])
    q = float(row.get("q_value", float("nan")))
    among = f", q = {_p_text(q)}" if q == q else ""
    said = f"{_percent(share)} (SE {_percent(float(row['se']))}, p = {_p_text(p)}{among})"
    least = float(row["detectable"])
    if (q if q == q else p) < _LEVEL:
        said += ", seen"
    elif least <= 1:
        said += f", none seen; a share of {_percent(least)} would be, with 80 % power"
    else:
        said += ", none seen, nor could any share be with 80 % power in so few samples"
    return f"{row['component']}: {said}" if named else said


def _percent(share: float) -> str:
    """Two significant digits, none after the point from 9.95 up."""
    size = abs(100 * share)
    return f"{100 * share:.0f} %" if size >= 9.95 or size == 0 else f"{100 * share:.2g} %"


def _p_text(p: float) -> str:
    if p < 1e-300:  # at the end of double precision
        return "under 1e-300"
    return f"{p:.1e}" if p < 1e-3 else f"{p:.2g}"
