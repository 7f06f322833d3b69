"""Tail probabilities of the t and the normal distribution, and their critical values.

scipy has them too, but takes a tenth of a second to load, a good part of a small scan; it is asked where
there is much to compute.
"""

from __future__ import annotations

import math

import numpy as np

_MANY = 20_000  # p-values from which loading scipy pays
_ROUNDS = 10_000
_LARGEST = 1e150  # a t whose square is a number
# Gamma(a + 1/2) / Gamma(a) / sqrt(a) as a series in 1 / a.
_RATIO = (1, -1 / 8, 1 / 128, 5 / 1024, -21 / 32768, -399 / 262144, 869 / 4194304, 39325 / 33554432)
_SHIFT = 40  # the series serves from here on


def t_p_value(t: np.ndarray, df: np.ndarray | float) -> np.ndarray:
    """Two-sided p of t; accurate far into the tail, NaN where t is.

    ``I_x(df / 2, 1 / 2)`` at ``x = df / (df + t^2)``, by the continued fraction of the incomplete beta
    function (Abramowitz and Stegun 26.5.8).
    """
    t = np.asarray(t, dtype=np.float64)
    if t.size > _MANY:
        from scipy.special import stdtr

        return 2 * stdtr(df, -np.abs(t))
    shape = np.broadcast_shapes(t.shape, np.shape(df))
    t, df = (
        np.broadcast_to(t, shape).ravel(),
        np.broadcast_to(np.asarray(df, dtype=np.float64), shape).ravel(),
    )
    p = np.where(np.isnan(t) | np.isnan(df), np.nan, np.where(np.isinf(t), 0.0, 1.0))
    some = np.isfinite(t) & (t != 0)
    a, square = df[some] / 2, np.minimum(np.abs(t[some]), _LARGEST) ** 2
    x, rest = df[some] / (df[some] + square), square / (df[some] + square)
    front = np.exp(-a * np.log1p(square / df[some])) * np.sqrt(rest) * _gamma_ratio(a) / math.sqrt(math.pi)
    near = x < (a + 1) / (a + 2.5)  # on this side of the mean the fraction converges fast; else by symmetry
    fraction = _fraction(np.where(near, a, 0.5), np.where(near, 0.5, a), np.where(near, x, rest))
    p[some] = np.where(near, front * fraction / a, 1 - front * fraction * 2)
    return p.reshape(shape)


def t_critical(p_value: float, df: float) -> float:
    """The t whose two-sided p is ``p_value``, rounded up where that is no number."""
    if p_value >= 1:
        return 0.0
    low = high = normal_critical(p_value)  # of a t distribution it is no smaller
    while high < _LARGEST and t_p_value(np.array(high), df) > p_value:
        low, high = high, 2 * high + 1
    for _ in range(12):  # a hundred parts at a time, to the last digit
        grid = np.linspace(low, high, 101)
        k = int(np.argmax(t_p_value(grid[1:], df) <= p_value))
        low, high = float(grid[k]), float(grid[k + 1])
    return high


def normal_p_value(z: np.ndarray) -> np.ndarray:
    """Two-sided p of a standard normal z."""
    z = np.asarray(z, dtype=np.float64)
    if z.size > _MANY:
        from scipy.special import ndtr

        return 2 * ndtr(-np.abs(z))
    values = [math.erfc(abs(value) / math.sqrt(2)) for value in z.ravel().tolist()]
    return np.array(values, dtype=np.float64).reshape(z.shape)


def normal_critical(p_value: float) -> float:
    """The standard normal z whose two-sided p is ``p_value``."""
    low, high = 0.0, 40.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if math.erfc(middle / math.sqrt(2)) > p_value else (low, middle)
    return high


def _gamma_ratio(a: np.ndarray) -> np.ndarray:
    """Gamma(a + 1/2) / Gamma(a)."""
    factor = np.ones_like(a)
    large = a.copy()
    while (small := large < _SHIFT).any():
        factor[small] *= large[small] / (large[small] + 0.5)
        large[small] += 1
    series = np.polynomial.polynomial.polyval(1 / large, _RATIO)
    return factor * np.sqrt(large) * series


def _fraction(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The continued fraction behind I_x(a, b), by Lentz's method."""
    c, d = np.ones_like(x), 1 / (1 - (a + b) * x / (a + 1))
    out = d.copy()
    todo = np.arange(len(x))
    for m in range(1, _ROUNDS):
        if not len(todo):
            break
        e, f, y = a[todo], b[todo], x[todo]
        step = np.ones_like(y)
        for term in (
            m * (f - m) * y / ((e + 2 * m - 1) * (e + 2 * m)),
            -(e + m) * (e + f + m) * y / ((e + 2 * m) * (e + 2 * m + 1)),
        ):
            d[todo] = 1 / (1 + term * d[todo])
            c[todo] = 1 + term / c[todo]
            step = d[todo] * c[todo]
            out[todo] *= step
        todo = todo[np.abs(step - 1) > 1e-15]
    return out
