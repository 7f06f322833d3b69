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


class Problem(NamedTuple):
    """Rows of a logistic regression, and memory to fit it in.

    Parameters
    ----------
    x
        Shape (n_predictors, n_rows).
    n, cases
        Shape (n_rows,), samples and cases.
    offset
        Shape (n_rows,), added to the log-odds.
    weight, residual, leverage
        Shape (n_rows,), written: ``n mu (1 - mu)``, ``cases - n mu``, and Firth's leverages.
    information, factor, inverse
        Shape (n_predictors, n_predictors), written: the information, its Cholesky factor in correlation form,
        and that factor's inverse.
    scale, gradient, step, largest
        Shape (n_predictors,), written: roots of the information's diagonal; the gradient; Newton's step; the
        largest size of each predictor.
    """

    x: np.ndarray
    n: np.ndarray
    cases: np.ndarray
    offset: np.ndarray
    weight: np.ndarray
    residual: np.ndarray
    leverage: np.ndarray
    information: np.ndarray
    factor: np.ndarray
    inverse: np.ndarray
    scale: np.ndarray
    gradient: np.ndarray
    step: np.ndarray
    largest: np.ndarray


@njit(nogil=True, cache=True)
def make_problem(n_predictors, n_rows):  # type: ignore[no-untyped-def]
    """Memory for a regression of up to so many rows."""
    rows, square = np.zeros((6, n_rows)), np.zeros((3, n_predictors, n_predictors))
    vectors = np.zeros((4, n_predictors))
    return Problem(
        np.zeros((n_predictors, n_rows)),
        rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], square[0], square[1], square[2],
        vectors[0], vectors[1], vectors[2], vectors[3],
    )  # fmt: skip


@njit(nogil=True, cache=True)
def first_rows(problem, n_rows):  # type: ignore[no-untyped-def]
    """The problem of the first rows."""
    return Problem(
        problem.x[:, :n_rows], problem.n[:n_rows], problem.cases[:n_rows], problem.offset[:n_rows],
        problem.weight[:n_rows], problem.residual[:n_rows], problem.leverage[:n_rows], problem.information,
        problem.factor, problem.inverse, problem.scale, problem.gradient, problem.step, problem.largest,
    )  # fmt: skip


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
    eta = p.leverage  # which is not needed at the same time
    eta[:] = p.offset
    for k in range(len(beta)):
        if beta[k] != 0.0:
            x, b = p.x[k], beta[k]
            for r in range(len(eta)):
                eta[r] += b * x[r]
    value = 0.0
    for r in range(len(eta)):
        # exp of what is not positive: no overflow, and log1p(e) is log(1 + exp(eta)) less max(eta, 0).
        e = math.exp(-abs(eta[r]))
        mu = 1.0 / (1.0 + e) if eta[r] > 0 else e / (1.0 + e)
        value += p.cases[r] * eta[r] - p.n[r] * (max(eta[r], 0.0) + math.log1p(e))
        p.weight[r], p.residual[r] = p.n[r] * mu * (1.0 - mu), p.cases[r] - p.n[r] * mu
    _set_information(p)
    for k in range(len(beta)):
        p.gradient[k] = _dot(p.x[k], p.residual)
    return value


@njit(nogil=True, cache=True)
def _set_information(p):  # type: ignore[no-untyped-def]
    """The information of the problem's weights."""
    for k in range(len(p.scale)):
        for h in range(k + 1):
            p.information[k, h] = _weighted_dot(p.weight, p.x[k], p.x[h])


@njit(nogil=True, cache=True, error_model="numpy")
def _factorise(p, least):  # type: ignore[no-untyped-def]
    """Cholesky factor of the information in correlation form; whether every pivot exceeds the least."""
    factor, scale = p.factor, p.scale
    for j in range(len(scale)):
        scale[j] = math.sqrt(p.information[j, j])
        if not scale[j] > 1e-150:
            return False
    for j in range(len(scale)):
        for k in range(j + 1):
            total = p.information[j, k] / (scale[j] * scale[k])
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
    factor, inverse = p.factor, p.inverse
    inverse[:] = 0.0
    for j in range(len(p.scale)):
        inverse[j, j] = 1.0 / factor[j, j]
        for k in range(j):
            total = 0.0
            for i in range(k, j):
                total -= factor[j, i] * inverse[i, k]
            inverse[j, k] = total / factor[j, j]
    for j in range(len(p.scale)):
        for k in range(j + 1):
            inverse[j, k] /= p.scale[k]


@njit(nogil=True, cache=True, error_model="numpy")
def _solve(p, n_free):  # type: ignore[no-untyped-def]
    """Newton's step in the first coefficients; returns twice the gain in log-likelihood that it promises."""
    factor, step, gain = p.factor, p.step, 0.0
    step[n_free:] = 0.0
    for j in range(n_free):
        total = p.gradient[j] / p.scale[j]
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
        step[j] /= p.scale[j]
    return gain


@njit(nogil=True, cache=True, error_model="numpy")
def _penalise(p):  # type: ignore[no-untyped-def]
    """Firth's penalty, whose gradient is added: ``sum_r h_r (1/2 - mu_r) x_r`` with leverages h."""
    _invert(p)
    penalty, leverage = 0.0, p.leverage
    leverage[:] = 0.0
    for j in range(len(p.scale)):
        penalty += math.log(p.factor[j, j] * p.scale[j])
    for r in range(len(leverage)):
        for j in range(len(p.scale)):
            part = 0.0
            for k in range(j + 1):
                part += p.inverse[j, k] * p.x[k, r]
            leverage[r] += part * part
        leverage[r] *= p.weight[r] * (0.5 - (p.cases[r] - p.residual[r]) / p.n[r])
    for k in range(len(p.scale)):
        p.gradient[k] += _dot(leverage, p.x[k])
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
    step, all_free, before = p.step, n_free == len(beta), -np.inf
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
            reach += abs(step[j]) * p.largest[j]
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
    p.weight[:] = p.n
    _set_information(p)
    if not _factorise(p, _REGULAR):
        return False
    _invert(p)
    trace = 0.0
    for j in range(len(p.scale)):
        for k in range(j + 1):
            trace += (p.inverse[j, k] * p.scale[k]) ** 2
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
        largest = 0.0
        for r in range(len(p.n)):
            largest = max(largest, abs(p.x[k, r]))
        p.largest[k] = largest
    start = beta.copy()
    for attempt in range(3):  # from the start, from 0, and penalised
        firth = attempt == 2
        if separated and not firth:
            continue
        beta[:] = start
        if attempt > 0:
            beta[:] = 0.0
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
            p.step[:] *= 0.5
            beta -= p.step
            continue
        if gain < 1e-10:
            break
        before = max(value, before)
        # The information of separated rows vanishes; what is added to it shortens the last steps only.
        for k in range(n_predictors):
            p.information[k, k] *= 1.0 + 1e-10
            p.information[k, k] += 1e-13
        if not _factorise(p, 0.0):
            break
        gain = _solve(p, n_predictors)
        beta += p.step
    return max(value, before)


@njit(nogil=True, cache=True)
def _first_predictors(p, n):  # type: ignore[no-untyped-def]
    """The problem of the first predictors."""
    return Problem(
        p.x[:n], p.n, p.cases, p.offset, p.weight, p.residual, p.leverage, p.information[:n, :n],
        p.factor[:n, :n], p.inverse[:n, :n], p.scale[:n], p.gradient[:n], p.step[:n], p.largest[:n],
    )  # fmt: skip


@njit(nogil=True, cache=True)
def _within_reach(p, beta):  # type: ignore[no-untyped-def]
    """Whether all log-odds are of a size that no separated samples have."""
    for r in range(len(p.n)):
        eta = p.offset[r]
        for k in range(len(beta)):
            eta += beta[k] * p.x[k, r]
        if not abs(eta) < _LARGEST:
            return False
    return True


@njit(nogil=True, cache=True)
def _fit(p, beta):  # type: ignore[no-untyped-def]
    if not independent(p):
        return False
    for k in range(len(beta)):
        p.largest[k] = np.abs(p.x[k]).max()
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
    problem.x[:], problem.n[:], problem.cases[:] = x, 1.0, cases
    return beta if _fit(problem, beta) else None
