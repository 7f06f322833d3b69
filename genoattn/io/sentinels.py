"""Numbers that often stand for a missing value: named where they occur, never taken out."""

import logging

import numpy as np

_log = logging.getLogger(__name__)

_CODES = (-9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0)


def code_lines(where: str, what: str, values: np.ndarray) -> list[str]:
    """Lines on such numbers among values (n_samples,): -9 always, others where they are far from the rest.

    Far is further from all other values than these are apart; such numbers are also warned of.
    """
    codes = np.isin(values, _CODES)
    others = values[~codes]
    lines = []
    for code in np.unique(values[codes]):
        n = int((values == code).sum())
        far = False
        if len(others):
            low, high = float(others.min()), float(others.max())
            far = bool(code < low - (high - low) or code > high + (high - low))
        if far:
            _log.warning(
                "%s is %g in %d samples, elsewhere %g to %g; write NA if it stands for a missing value",
                where, code, n, low, high,
            )  # fmt: skip
        if far or code == -9:
            lines.append(f"{what}: {n} values of {code:g} read as numbers, not as missing")
    return lines
