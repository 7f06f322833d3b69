"""Newton's method for a logistic regression, plain or penalised: compiled."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.logistic.information import Rows, Work, add_to, dot, evaluate, multiply, total_of

_ROUNDS = 40
_ROUNDS_FIRTH = 200
_REGULAR = 1e-12  # of the information in correlation form, the least pivot
_LOG_LIKELIHOOD = 1e-10  # accuracy of a maximum
_PREDICTOR = 3e-7  # accuracy of the log-odds where the information is taken
_PREDICTOR_FIRTH = 1e-8  # whose steps shrink by a factor only
_SLACK_FIRTH = 1e3  # at most
_LONGEST = 2.0  # step of Firth's method, concave near its maximum alone
# Where one sample decides a coefficient the penalised likelihood is twice as curved as the information says,
# and full steps go back and forth about the maximum without end: after some rounds they are shorter.
_DAMPED_FROM, _DAMPED = 10, 0.6


class Top(NamedTuple):
    """A log-likelihood near its maximum, and twice what is left to climb."""

    value: float
    gain: float


@njit(nogil=True, cache=True, error_model="numpy")
def factorise(work: Work, least: float) -> bool:
    """Cholesky factor of the information in correlation form; whether every pivot exceeds the least."""
    n = len(work.scale)
    factor, scale = work.factor, work.scale
    for j in range(n):
        scale[j] = math.sqrt(work.information[j, j])
        if not scale[j] > 1e-150:
            return False
    for j in range(n):
        for k in range(j + 1):
            total = work.information[j, k] / (scale[j] * scale[k])
            for i in range(k):
                total -= factor[j, i] * factor[k, i]
            if j > k:
                factor[j, k] = total / factor[k, k]
            elif total > least:
                factor[j, j] = math.sqrt(total)
            else:
                return False
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _solve(work: Work, n_free: int) -> float:
    """Newton's step in the first predictors; returns its gain, twice that of the log-likelihood."""
    factor, step = work.factor, work.step
    gain = 0.0
    step[n_free:] = 0.0
    for j in range(n_free):
        total = work.gradient[j] / work.scale[j]
        for i in range(j):
            total -= factor[j, i] * step[i]
        step[j] = total / factor[j, j]
        gain += step[j] * step[j]
    for j in range(n_free - 1, -1, -1):
        total = step[j]
        for i in range(j + 1, n_free):
            total -= factor[i, j] * step[i]
        step[j] = total / factor[j, j]
    for j in range(n_free):
        step[j] /= work.scale[j]
    return gain


@njit(nogil=True, cache=True, error_model="numpy")
def _penalise(rows: Rows, work: Work) -> float:
    """Firth's penalty, half the log-determinant of the information, whose gradient is added (Firth 1993).

    The gradient is ``sum_i h_i (1/2 - mu_i) x_i`` with the leverage ``h_i = w_i |L^-1 x_i|^2``.
    """
    n, n_smooth = len(work.scale), len(work.scale) - 4
    invert(work)
    penalty = 0.0
    for j in range(n):
        penalty += math.log(work.factor[j, j] * work.scale[j])
    leverage, part = work.eta, work.other  # the log-odds have served
    leverage[:] = 0.0
    for j in range(n):
        for c in range(len(rows.value)):
            level = 0.0
            for t in range(4):
                level += work.inverse[j, n_smooth + t] * rows.value[c, t]
            part[rows.start[c] : rows.start[c + 1]] = level
        for k in range(min(j + 1, n_smooth)):
            add_to(part, work.inverse[j, k], rows.fixed[k])
        multiply(part, part, part)
        add_to(leverage, 1.0, part)
    for i in range(len(leverage)):
        fitted = (rows.cases[i] - work.residual[i]) / rows.samples[i]
        leverage[i] *= work.weight[i] * (0.5 - fitted)
    for j in range(n_smooth):
        work.gradient[j] += dot(leverage, rows.fixed[j])
    for c in range(len(rows.value)):
        total = total_of(leverage[rows.start[c] : rows.start[c + 1]])
        for t in range(4):
            work.gradient[n_smooth + t] += total * rows.value[c, t]
    return penalty


@njit(nogil=True, cache=True, error_model="numpy")
def invert(work: Work) -> None:
    """The inverse of the Cholesky factor of the information itself, rows scaled back."""
    factor, inverse = work.factor, work.inverse
    n = len(work.scale)
    inverse[:] = 0.0
    for j in range(n):
        inverse[j, j] = 1.0 / factor[j, j]
        for k in range(j):
            total = 0.0
            for i in range(k, j):
                total -= factor[j, i] * inverse[i, k]
            inverse[j, k] = total / factor[j, j]
    for j in range(n):
        for k in range(j + 1):
            inverse[j, k] /= work.scale[k]


@njit(nogil=True, cache=True, error_model="numpy")
def climb(
    rows: Rows,
    beta: np.ndarray,
    n_free: int,
    firth: bool,
    largest: np.ndarray,
    begun: float,
    slack: float,
    work: Work,
) -> tuple[Top, bool]:
    """Maximum of the (penalised) likelihood over the first coefficients; the others stay as they are.

    Parameters
    ----------
    rows
        The samples.
    beta
        Shape (n_predictors,), where to start; left at the maximum if all are free, else near it, at the
        point that ``work`` has been evaluated at.
    n_free
        How many coefficients to fit.
    firth
        Penalise.
    largest
        Shape (n_predictors,), largest size of each predictor.
    begun
        The likelihood at the start if ``work`` holds the evaluation there and its factor, else NaN.
    slack
        How many times further from the maximum than usual to stop; 1 for exact tests.
    work
        Memory; afterwards the information at the maximum and its factor.

    Returns
    -------
    The top, and whether it was found.
    """
    step, whole = work.step, n_free == len(beta)
    before, value = -np.inf, begun
    for k in range(_ROUNDS_FIRTH if firth else _ROUNDS):
        fresh = math.isnan(value)
        if fresh:
            value = evaluate(rows, beta, work)
        regular = factorise(work, _REGULAR) if fresh else True
        if regular and firth:
            value += _penalise(rows, work)
        if not regular or value < before - 1e-9 * (1.0 + abs(before)):
            if before == -np.inf:
                return Top(value, 0.0), False
            for j in range(n_free):  # overshot: half the way back
                step[j] *= 0.5
                beta[j] -= step[j]
            value = np.nan
            continue
        gain, reach, longest = _solve(work, n_free), 0.0, 0.0
        for j in range(n_free):
            reach += abs(step[j]) * largest[j]
            longest = max(longest, abs(step[j]))
        if firth:
            settled = reach <= min(slack, _SLACK_FIRTH) * _PREDICTOR_FIRTH
        elif whole and slack == 1.0:
            settled = reach <= _PREDICTOR
        else:  # the third-order term of the log-likelihood is at most gain * reach / 6
            settled = gain * reach <= slack * _LOG_LIKELIHOOD
        if settled:
            if whole:
                beta += step
            return Top(value, 0.0 if firth else gain), True
        shorten = min(_DAMPED if k >= _DAMPED_FROM else 1.0, _LONGEST / longest) if firth else 1.0
        for j in range(n_free):
            step[j] *= shorten
            beta[j] += step[j]
        before, value = value, np.nan
    return Top(before, 0.0), False
