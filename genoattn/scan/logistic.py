"""Logistic regression of many small problems: Newton's method, plain or with Firth's penalty. Compiled.

The log-likelihood of rows r with n_r samples, y_r of them cases, and log-odds ``eta_r = x_r' beta`` is
``sum_r y_r eta_r - n_r log(1 + exp(eta_r))``. The test of the last coefficient is twice what it gains. Where
cases and controls are separated there is no maximum: then half the log-determinant of the information is
added (Firth 1993), to both likelihoods, with the coefficient held at 0 in the smaller one (Heinze and
Schemper 2002).
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

_ROUNDS, _ROUNDS_FIRTH = 40, 200
_REGULAR = 1e-12  # least pivot of the information in correlation form
_SINGULAR = 1e-9  # least inverse of the trace of the inverse of the predictors' correlations
_LOG_LIKELIHOOD = 1e-10  # accuracy of a maximum
_PREDICTOR, _PREDICTOR_FIRTH = 3e-7, 1e-8  # accuracy of the log-odds where the information is taken
_LARGEST = 25.0  # log-odds beyond which cases and controls count as separated
_LONGEST = 2.0  # step of Firth's method, whose likelihood is concave near its maximum alone
# Where one sample decides a coefficient the penalised likelihood is twice as curved as the information
# says, and full steps go back and forth about the maximum without end: after some rounds they are shorter.
_DAMPED_FROM, _DAMPED = 10, 0.6


# Rows of ``Problem.rows`` before the predictors, matrices of ``.square``, and rows of ``.vectors``.
SAMPLES, CASES, OFFSET, _WEIGHT, _RESIDUAL, _LEVERAGE, FIRST = range(7)
_INFORMATION, FACTOR, _INVERSE = range(3)
SCALE, _GRADIENT, _STEP, _SIZE = range(4)


class Problem(NamedTuple):
    """Rows of a logistic regression, and memory to fit it in.

    Parameters
    ----------
    rows
        Shape (6 + n_predictors, n_rows): samples, cases, what is added to the log-odds; then written
        ``n mu (1 - mu)``, ``cases - n mu``, and Firth's leverages; the predictors.
    square
        Shape (3, n_predictors, n_predictors), written: the information, its Cholesky factor in correlation
        form, and that factor's inverse.
    vectors
        Shape (4, n_predictors), written: roots of the information's diagonal; the gradient; Newton's step; the
        largest size of each predictor.
    """

    rows: np.ndarray
    square: np.ndarray
    vectors: np.ndarray


@njit(nogil=True, cache=True)
def make_problem(n_predictors, n_rows):  # type: ignore[no-untyped-def]
    """Memory for a regression of up to so many rows."""
    square = np.zeros((3, n_predictors, n_predictors))
    return Problem(np.zeros((FIRST + n_predictors, n_rows)), square, np.zeros((4, n_predictors)))


@njit(nogil=True, cache=True)
def first_rows(p, n_rows):  # type: ignore[no-untyped-def]
    """The problem of the first rows, which are copied to be next to each other."""
    return Problem(p.rows[:, :n_rows].copy(), p.square, p.vectors)


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _weighted_dot(w, x, y):  # type: ignore[no-untyped-def]
    total = 0.0
    for r in range(len(w)):
        total += w[r] * x[r] * y[r]
    return total


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _dot(x, y):  # type: ignore[no-untyped-def]
    total = 0.0
    for r in range(len(x)):
        total += x[r] * y[r]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _evaluate(p, beta):  # type: ignore[no-untyped-def]
    """Log-likelihood at a point; gradient and information are left in the problem."""
    eta = p.rows[_LEVERAGE]  # which is not needed at the same time
    for r in range(len(eta)):
        eta[r] = p.rows[OFFSET, r]
    for k in range(len(beta)):
        if beta[k] != 0.0:
            x, b = p.rows[FIRST + k], beta[k]
            for r in range(len(eta)):
                eta[r] += b * x[r]
    value = 0.0
    for r in range(len(eta)):
        # exp of what is not positive: no overflow, and log1p(e) is log(1 + exp(eta)) less max(eta, 0).
        e = math.exp(-abs(eta[r]))
        mu = 1.0 / (1.0 + e) if eta[r] > 0 else e / (1.0 + e)
        value += p.rows[CASES, r] * eta[r] - p.rows[SAMPLES, r] * (max(eta[r], 0.0) + math.log1p(e))
        p.rows[_WEIGHT, r], p.rows[_RESIDUAL, r] = (
            p.rows[SAMPLES, r] * mu * (1.0 - mu),
            p.rows[CASES, r] - p.rows[SAMPLES, r] * mu,
        )
    _set_information(p)
    for k in range(len(beta)):
        p.vectors[_GRADIENT][k] = _dot(p.rows[FIRST + k], p.rows[_RESIDUAL])
    return value


@njit(nogil=True, cache=True)
def _largest(p, k):  # type: ignore[no-untyped-def]
    """Largest size of a predictor."""
    largest = 0.0
    for r in range(p.rows.shape[1]):
        largest = max(largest, abs(p.rows[FIRST + k, r]))
    return largest


@njit(nogil=True, cache=True)
def _set_information(p):  # type: ignore[no-untyped-def]
    """The information of the problem's weights."""
    for k in range(len(p.vectors[SCALE])):
        for h in range(k + 1):
            p.square[_INFORMATION][k, h] = _weighted_dot(
                p.rows[_WEIGHT], p.rows[FIRST + k], p.rows[FIRST + h]
            )


@njit(nogil=True, cache=True, error_model="numpy")
def _factorise(p, least):  # type: ignore[no-untyped-def]
    """Cholesky factor of the information in correlation form; whether every pivot exceeds the least."""
    factor, scale = p.square[FACTOR], p.vectors[SCALE]
    for j in range(len(scale)):
        scale[j] = math.sqrt(p.square[_INFORMATION][j, j])
        if not scale[j] > 1e-150:
            return False
    for j in range(len(scale)):
        for k in range(j + 1):
            total = p.square[_INFORMATION][j, k] / (scale[j] * scale[k])
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
def _invert(p):  # type: ignore[no-untyped-def]
    """Inverse of the Cholesky factor of the information itself."""
    factor, inverse = p.square[FACTOR], p.square[_INVERSE]
    for j in range(len(p.vectors[SCALE])):
        inverse[j, j] = 1.0 / factor[j, j]
        for k in range(j):
            total = 0.0
            for i in range(k, j):
                total -= factor[j, i] * inverse[i, k]
            inverse[j, k] = total / factor[j, j]
    for j in range(len(p.vectors[SCALE])):
        for k in range(j + 1):
            inverse[j, k] /= p.vectors[SCALE][k]


@njit(nogil=True, cache=True, error_model="numpy")
def _solve(p, n_free):  # type: ignore[no-untyped-def]
    """Newton's step in the first coefficients; returns twice the gain in log-likelihood that it promises."""
    factor, step, gain = p.square[FACTOR], p.vectors[_STEP], 0.0
    for j in range(n_free, len(step)):
        step[j] = 0.0
    for j in range(n_free):
        total = p.vectors[_GRADIENT][j] / p.vectors[SCALE][j]
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
        step[j] /= p.vectors[SCALE][j]
    return gain


@njit(nogil=True, cache=True, error_model="numpy")
def _penalise(p):  # type: ignore[no-untyped-def]
    """Firth's penalty, whose gradient is added: ``sum_r h_r (1/2 - mu_r) x_r`` with leverages h."""
    _invert(p)
    penalty, leverage = 0.0, p.rows[_LEVERAGE]
    for j in range(len(p.vectors[SCALE])):
        penalty += math.log(p.square[FACTOR][j, j] * p.vectors[SCALE][j])
    for r in range(len(leverage)):
        leverage[r] = 0.0
        for j in range(len(p.vectors[SCALE])):
            part = 0.0
            for k in range(j + 1):
                part += p.square[_INVERSE][j, k] * p.rows[FIRST + k, r]
            leverage[r] += part * part
        leverage[r] *= p.rows[_WEIGHT, r] * (
            0.5 - (p.rows[CASES, r] - p.rows[_RESIDUAL, r]) / p.rows[SAMPLES, r]
        )
    for k in range(len(p.vectors[SCALE])):
        p.vectors[_GRADIENT][k] += _dot(leverage, p.rows[FIRST + k])
    return penalty


@njit(nogil=True, cache=True, error_model="numpy")
def _climb(p, beta, n_free, firth, slack):  # type: ignore[no-untyped-def]
    """Maximum of the (penalised) likelihood over the first coefficients; the others stay as they are.

    Parameters
    ----------
    p
        The problem, left with the information at the maximum and its factor.
    beta
        Shape (n_predictors,), where to start; left at the maximum.
    n_free
        How many coefficients to fit.
    firth
        Penalise.
    slack
        How many times further from the maximum than usual to stop; 1 for exact tests.

    Returns
    -------
    Twice the log-likelihood at the maximum, and whether it was found.
    """
    step, all_free, before = p.vectors[_STEP], n_free == len(beta), -np.inf
    for k in range(_ROUNDS_FIRTH if firth else _ROUNDS):
        value = _evaluate(p, beta)
        regular = _factorise(p, _REGULAR)
        if regular and firth:
            value += _penalise(p)
        if not regular or value < before - 1e-9 * (1.0 + abs(before)):
            if before == -np.inf:
                return value, False
            for j in range(n_free):  # overshot: half the way back
                step[j] *= 0.5
                beta[j] -= step[j]
            continue
        gain, reach, longest = _solve(p, n_free), 0.0, 0.0
        for j in range(n_free):
            reach += abs(step[j]) * p.vectors[_SIZE][j]
            longest = max(longest, abs(step[j]))
        if firth:
            settled = reach <= _PREDICTOR_FIRTH
        elif all_free and slack == 1.0:
            settled = reach <= _PREDICTOR
        else:  # the third-order term of the log-likelihood is at most gain * reach / 6
            settled = gain * reach <= slack * _LOG_LIKELIHOOD
        shorten = (
            min(_DAMPED if k >= _DAMPED_FROM else 1.0, _LONGEST / longest) if firth and not settled else 1.0
        )
        for j in range(n_free):
            step[j] *= shorten
            beta[j] += step[j]
        if settled:
            return 2.0 * value + (0.0 if firth else gain), True
        before = value
    return 2.0 * before, False


@njit(nogil=True, cache=True, error_model="numpy")
def independent(p):  # type: ignore[no-untyped-def]
    """Whether the predictors are linearly independent.

    That is, whether the trace of the inverse of their correlations, which is between the inverse of the least
    eigenvalue and the number of predictors times that, is within a limit.
    """
    for r in range(p.rows.shape[1]):
        p.rows[_WEIGHT, r] = p.rows[SAMPLES, r]
    _set_information(p)
    if not _factorise(p, _REGULAR):
        return False
    _invert(p)
    trace = 0.0
    for j in range(len(p.vectors[SCALE])):
        for k in range(j + 1):
            trace += (p.square[_INVERSE][j, k] * p.vectors[SCALE][k]) ** 2
    return trace * _SINGULAR < 1.0


@njit(nogil=True, cache=True, error_model="numpy")
def likelihood_ratio(p, beta, n_lower, separated, slack):  # type: ignore[no-untyped-def]
    """Twice the gain in log-likelihood of the predictors from ``n_lower`` on.

    Parameters
    ----------
    p
        The problem, of independent predictors.
    beta
        Shape (n_predictors,), where to start; left at the maximum.
    n_lower
        Predictors of the smaller model.
    separated
        Whether the likelihood is known to have no maximum.
    slack
        As in :func:`_climb`.

    Returns
    -------
    The ratio, of penalised likelihoods where the plain one has no maximum; NaN where neither was found.
    """
    for k in range(len(beta)):
        p.vectors[_SIZE, k] = _largest(p, k)
    start = beta.copy()
    for attempt in range(3):  # from the start, from 0, and penalised
        firth = attempt == 2
        if separated and not firth:
            continue
        for k in range(len(beta)):
            beta[k] = start[k] if attempt == 0 else 0.0
        without, found = _climb(p, beta, n_lower, firth, slack)
        if not found:
            continue
        top, found = _climb(p, beta, len(beta), firth, slack)
        if found and (firth or _within_reach(p, beta)):
            return max(top - without, 0.0)
    return np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def greatest_likelihood(p, n_predictors):  # type: ignore[no-untyped-def]
    """Supremum of the log-likelihood on the first predictors, finite where separation has no maximum."""
    p = _first_predictors(p, n_predictors)
    beta, before, gain = np.zeros(n_predictors), -np.inf, np.inf
    for _ in range(_ROUNDS_FIRTH):
        value = _evaluate(p, beta)
        if value < before - 1e-12 * abs(before):  # overshot: half the way back
            for k in range(n_predictors):
                p.vectors[_STEP, k] *= 0.5
                beta[k] -= p.vectors[_STEP, k]
            continue
        if gain < 1e-10:
            break
        before = max(value, before)
        # The information of separated rows vanishes; what is added to it shortens the last steps only.
        for k in range(n_predictors):
            p.square[_INFORMATION][k, k] *= 1.0 + 1e-10
            p.square[_INFORMATION][k, k] += 1e-13
        if not _factorise(p, 0.0):
            break
        gain = _solve(p, n_predictors)
        beta += p.vectors[_STEP]
    return max(value, before)


@njit(nogil=True, cache=True)
def _first_predictors(p, n):  # type: ignore[no-untyped-def]
    """The problem of the first predictors."""
    return Problem(p.rows[: FIRST + n], p.square[:, :n, :n].copy(), p.vectors[:, :n].copy())


@njit(nogil=True, cache=True)
def _within_reach(p, beta):  # type: ignore[no-untyped-def]
    """Whether all log-odds are of a size that no separated samples have."""
    for r in range(p.rows.shape[1]):
        eta = p.rows[OFFSET, r]
        for k in range(len(beta)):
            eta += beta[k] * p.rows[FIRST + k, r]
        if not abs(eta) < _LARGEST:
            return False
    return True


@njit(nogil=True, cache=True)
def _fit(p, beta):  # type: ignore[no-untyped-def]
    if not independent(p):
        return False
    for k in range(len(beta)):
        p.vectors[_SIZE, k] = _largest(p, k)
    _, found = _climb(p, beta, len(beta), False, 1.0)
    return found and _within_reach(p, beta)


def fit_logistic(x: np.ndarray, cases: np.ndarray) -> np.ndarray | None:
    """Maximum-likelihood coefficients of a logistic regression; None without a maximum.

    Parameters
    ----------
    x
        Shape (n_predictors, n_samples).
    cases
        Shape (n_samples,), 0 and 1.
    """
    problem, beta = make_problem(*x.shape), np.zeros(len(x))
    problem.rows[FIRST:], problem.rows[SAMPLES], problem.rows[CASES] = x, 1.0, cases
    return beta if _fit(problem, beta) else None
