"""Tail probabilities of the t and the normal distribution, and their critical values, by scipy."""

import numpy as np

_LARGEST = 1e150  # a t whose square is a number


def t_p_value(t: np.ndarray, df: np.ndarray | float) -> np.ndarray:
    """Two-sided p of t; accurate far into the tail, NaN where t is."""
    from scipy.special import stdtr  # takes a tenth of a second to load

    return 2 * stdtr(df, -np.abs(t))  # type: ignore[no-any-return]


def t_critical(p_value: float, df: float) -> float:
    """The t whose two-sided p is ``p_value``."""
    from scipy.special import stdtrit

    return min(abs(float(stdtrit(df, p_value / 2))), _LARGEST) if p_value < 1 else 0.0


def normal_p_value(z: np.ndarray) -> np.ndarray:
    """Two-sided p of a standard normal z."""
    from scipy.special import ndtr

    return 2 * ndtr(-np.abs(z))  # type: ignore[no-any-return]


def normal_critical(p_value: float) -> float:
    """The standard normal z whose two-sided p is ``p_value``."""
    from scipy.special import ndtri

    return float(-ndtri(p_value / 2)) if p_value < 1 else 0.0
