"""Logistic regression of many small problems at once: Newton's method, plain or with Firth's penalty.

The log-likelihood of rows r with n_r samples, y_r of them cases, and log-odds ``eta_r = x_r' beta`` is
``sum_r y_r eta_r - n_r log(1 + exp(eta_r))``. The test of the last coefficient is twice what it gains. Where
cases and controls are separated there is no maximum: then half the log-determinant of the information is
added (Firth 1993), to both likelihoods, with the coefficient held at 0 in the smaller one (Heinze and
Schemper 2002).
"""

from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True, eq=False)
class LogisticProblems:
    """Problems of one size. A row without samples counts for nothing."""

    x: np.ndarray  # (n_problems, n_predictors, n_rows)
    n: np.ndarray  # (n_problems, n_rows), samples
    cases: np.ndarray  # the same shape
    offset: np.ndarray  # the same shape, added to the log-odds

    def part(self, chosen: np.ndarray) -> "LogisticProblems":
        """Some problems, by their indices in ascending order."""
        if len(chosen) == len(self.x):
            return self
        return LogisticProblems(self.x[chosen], self.n[chosen], self.cases[chosen], self.offset[chosen])

    def log_odds(self, beta: np.ndarray) -> np.ndarray:
        """Of every row, (n_problems, n_rows), at coefficients (n_problems, n_predictors)."""
        out: np.ndarray = (beta[:, None] @ self.x)[:, 0] + self.offset
        return out

    def evaluate(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Log-likelihoods, gradients, informations, and fitted shares of cases at coefficients."""
        eta = np.maximum(self.log_odds(beta), -700.0)  # of which exp(-eta) is finite
        e = np.exp(-eta)
        mu = 1.0 / (1.0 + e)
        value = ((self.cases - self.n) * eta - self.n * np.log(1.0 + e)).sum(axis=1)
        gradient = (self.x @ (self.cases - self.n * mu)[:, :, None])[:, :, 0]
        return value, gradient, self.information(self.n * mu * mu * e), mu

    def information(self, weight: np.ndarray) -> np.ndarray:
        """Sums of weight x x', (n_problems, n_predictors, n_predictors)."""
        return (self.x * weight[:, None]) @ self.x.transpose(0, 2, 1)  # type: ignore[no-any-return]


def _correlations(information: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correlation form, roots of the diagonal, and whether every pivot of elimination is large enough."""
    scale = np.sqrt(np.einsum("pkk->pk", information))
    regular = (scale > 1e-150).all(axis=1)
    scale = np.where(scale > 1e-150, scale, 1.0)
    residual = information / (scale[:, :, None] * scale[:, None])
    correlation = residual.copy()
    for k in range(scale.shape[1]):
        pivot = residual[:, k, k].copy()
        regular &= pivot > _REGULAR
        column = residual[:, :, k] / np.where(pivot > _REGULAR, pivot, 1.0)[:, None]
        residual -= column[:, :, None] * residual[:, None, k]
    correlation[~regular] = np.eye(scale.shape[1])
    return correlation, scale, regular


def independent(problems: LogisticProblems) -> np.ndarray:
    """Whether the predictors of each problem are linearly independent.

    That is, whether the trace of the inverse of their correlations, which is between the inverse of the least
    eigenvalue and the number of predictors times that, is within a limit.
    """
    correlation, _, regular = _correlations(problems.information(problems.n))
    trace = np.einsum("pkk->p", np.linalg.inv(correlation))
    return regular & (trace * _SINGULAR < 1)  # type: ignore[no-any-return]


def _penalty(p: LogisticProblems, information: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Firth's penalty and its gradient ``sum_r h_r (1/2 - mu_r) x_r`` with leverages h."""
    _, logarithm = np.linalg.slogdet(information)
    leverage = ((np.linalg.inv(information) @ p.x) * p.x).sum(axis=1) * p.n * mu * (1 - mu)
    return logarithm / 2, (p.x @ (leverage * (0.5 - mu))[:, :, None])[:, :, 0]


def maximise(
    problems: LogisticProblems, beta: np.ndarray, n_free: int, firth: bool = False, slack: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Twice the greatest (penalised) log-likelihoods over the first coefficients, and whether found.

    The third is the standard error of the last coefficient, where all are free.

    ``beta`` (n_problems, n_predictors) is where to start, and is moved to the maximum; the coefficients after
    ``n_free`` stay as they are. ``firth`` penalises; ``slack`` is how many times further from the maximum
    than usual to stop, 1 for exact tests.
    """
    n, all_free = len(beta), n_free == beta.shape[1]
    out, found, se = np.full(n, np.nan), np.zeros(n, dtype=bool), np.full(n, np.nan)
    active, step, before = np.arange(n), np.zeros_like(beta), np.full(n, -np.inf)
    largest = np.abs(problems.x).max(axis=2)
    for k in range(_ROUNDS_FIRTH if firth else _ROUNDS):
        if not len(active):
            break
        p, at = problems.part(active), beta[active]
        value, gradient, information, mu = p.evaluate(at)
        correlation, scale, regular = _correlations(information)
        if firth:
            information[~regular] = np.eye(beta.shape[1])
            penalty, of_penalty = _penalty(p, information, mu)
            value, gradient = value + penalty, gradient + of_penalty
        over = ~regular | (value < before[active] - 1e-9 * (1 + np.abs(before[active])))
        stuck = over & np.isneginf(before[active])  # there is nowhere to go back to
        step[active[over]] *= 0.5
        beta[active[over]] -= step[active[over]]
        free = slice(None, n_free)
        scaled = gradient[:, free] / scale[:, free]
        solved = np.linalg.solve(correlation[:, free, free], scaled[:, :, None])[:, :, 0]
        gain, newton = (scaled * solved).sum(axis=1), solved / scale[:, free]
        reach = (np.abs(newton) * largest[active, free]).sum(axis=1)
        if firth:
            settled = reach <= _PREDICTOR_FIRTH
        elif all_free and slack == 1:
            settled = reach <= _PREDICTOR
        else:  # the third-order term of the log-likelihood is at most gain * reach / 6
            settled = gain * reach <= slack * _LOG_LIKELIHOOD
        settled &= ~over
        if firth:
            longest = np.maximum(np.abs(newton).max(axis=1), 1e-300)
            shorter = np.minimum(_DAMPED if k >= _DAMPED_FROM else 1.0, _LONGEST / longest)
            newton *= np.where(settled, 1.0, shorter)[:, None]
        moved = active[~over]
        step[moved, free] = newton[~over]
        beta[moved] += step[moved]
        before[moved] = value[~over]
        done = active[settled]
        out[done], found[done] = 2 * value[settled] + (0 if firth else gain[settled]), True
        if all_free:
            se[done] = np.sqrt(np.linalg.inv(correlation[settled])[:, -1, -1]) / scale[settled, -1]
        active = active[~settled & ~stuck]
    return out, found, se


def likelihood_ratios(
    problems: LogisticProblems, beta: np.ndarray, separated: np.ndarray, slack: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Twice the gain in log-likelihood of the last predictor, and the standard error of its coefficient.

    The predictors are independent; ``beta`` (2, n_problems, n_predictors) is where to start without the last,
    whose coefficient is 0, and with it, and is moved to the maxima; ``separated`` (n_problems,) says where
    the likelihood is known to have no maximum; ``slack`` is as in :func:`maximise`. The ratios are of
    penalised likelihoods where the plain ones have no maximum, NaN where neither was found.
    """
    n, n_predictors = problems.x.shape[:2]
    ratio, se = np.full(n, np.nan), np.full(n, np.nan)
    for attempt in range(3):  # from the start, from 0, and penalised
        firth = attempt == 2
        todo = np.flatnonzero(np.isnan(ratio) & (firth | ~separated))
        if not len(todo):
            continue
        part = problems.part(todo)
        at = beta[:, todo] if attempt == 0 else np.zeros((2, len(todo), n_predictors))
        without, found, _ = maximise(part, at[0], n_predictors - 1, firth, slack)
        if attempt > 0:
            at[1] = at[0]
        top, found_too, of_last = maximise(part, at[1], n_predictors, firth, slack)
        ok = found & found_too
        if not firth:
            ok &= (np.abs(part.log_odds(at[1])) * (part.n > 0)).max(axis=1) < _LARGEST
        beta[:, todo[ok]], se[todo[ok]] = at[:, ok], of_last[ok]
        ratio[todo[ok]] = np.maximum(top - without, 0)[ok]
    return ratio, se


def greatest_likelihood(problems: LogisticProblems) -> np.ndarray:
    """Suprema of the log-likelihoods, which are finite where separation has no maximum."""
    n, n_predictors = problems.x.shape[:2]
    beta, step = np.zeros((n, n_predictors)), np.zeros((n, n_predictors))
    before, active = np.full(n, -np.inf), np.arange(n)
    for _ in range(_ROUNDS_FIRTH):
        if not len(active):
            break
        value, gradient, information, _ = problems.part(active).evaluate(beta[active])
        over = value < before[active] - 1e-12 * np.abs(before[active])
        step[active[over]] *= 0.5
        beta[active[over]] -= step[active[over]]
        # The information of separated rows vanishes; what is added to it shortens the last steps only.
        diagonal = np.einsum("pkk->pk", information)
        diagonal += 1e-10 * diagonal + 1e-13
        newton = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
        moved = active[~over]
        before[moved] = np.maximum(value, before[active])[~over]
        step[moved] = newton[~over]
        beta[moved] += step[moved]
        active = active[over | ((gradient * newton).sum(axis=1) >= 1e-10)]
    return np.maximum(before, problems.evaluate(beta)[0])


def fit_logistic(x: np.ndarray, cases: np.ndarray) -> np.ndarray | None:
    """Maximum-likelihood coefficients of a logistic regression of cases (n_samples,), 0 and 1, on x.

    ``x`` is (n_predictors, n_samples). None without a maximum.
    """
    problems = LogisticProblems(x[None], np.ones_like(cases)[None], cases[None], np.zeros((1, len(cases))))
    beta = np.zeros((1, len(x)))
    if not independent(problems)[0] or not maximise(problems, beta, len(x))[1][0]:
        return None
    return beta[0] if np.abs(problems.log_odds(beta)).max() < _LARGEST else None
