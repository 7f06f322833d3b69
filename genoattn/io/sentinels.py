"""Numbers that often stand for a missing value: named where they occur, never taken out."""

import logging
from typing import NamedTuple

import numpy as np

_log = logging.getLogger(__name__)

_CODES = (-9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0)


class MissingCode(NamedTuple):
    """A number that often stands for a missing value, among the values of a column."""

    code: float
    n: int  # values
    far: bool  # whether it is further from all other values than these are apart
    lowest: float  # of the others; NaN where there are none
    highest: float


def find_codes(values: np.ndarray) -> list[MissingCode]:
    """Such numbers among values (n_samples,), none of them missing: -9 always, others where they are far."""
    codes = np.isin(values, _CODES)
    others = values[~codes]
    low, high = (float(others.min()), float(others.max())) if len(others) else (np.nan, np.nan)
    found = []
    for code in np.unique(values[codes]).tolist():
        far = bool(code < low - (high - low) or code > high + (high - low))
        if far or code == -9:
            found.append(MissingCode(code, int((values == code).sum()), far, low, high))
    return found


def code_lines(where: str, what: str, values: np.ndarray) -> list[str]:
    """Lines on the codes of :func:`find_codes`; of those far from all other values warnings, too."""
    lines = []
    for code, n, far, low, high in find_codes(values):
        if far:
            _log.warning(
                "%s is %g in %d samples, elsewhere %g to %g; write NA if it stands for a missing value",
                where, code, n, low, high,
            )  # fmt: skip
        lines.append(f"{what}: {n} values of {code:g} read as numbers, not as missing")
    return lines
