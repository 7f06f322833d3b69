"""The likelihood-ratio test of chosen pairs of a binary trait, on the samples called at both sites."""

import math

import numpy as np
from numba import njit

from genoattn.scan.design import Design
from genoattn.scan.exact import PairTests
from genoattn.scan.logistic import (
    CASES,
    FACTOR,
    FIRST,
    OFFSET,
    SAMPLES,
    SCALE,
    first_rows,
    independent,
    likelihood_ratio,
    make_problem,
)
from genoattn.scan.tails import normal_critical, normal_p_value

_GROUPS = 16  # of samples with similar log-odds by the covariates
_GROUPS_FROM = 50  # samples in such a group from which they are asked before the samples themselves
_ROUGH = 1e5  # slack of a fit that only has to tell what does not pass: an accuracy of 1e-5


class LogisticTests:
    """Likelihood-ratio tests of the product term in logistic regression, pair by pair.

    The statistic is the signed root of twice the gain in log-likelihood. Where the likelihood has no maximum
    (cases and controls separated) it is Firth's penalised one. Without covariates the cells of the two
    columns' codes hold all that the regression needs. With them, and many samples, the cells are first
    fitted within groups of samples with similar log-odds by the covariates: a pair far from the threshold
    there keeps that test.

    Parameters
    ----------
    design
        Columns and fixed effects.
    trait
        Shape (n_samples,), 0 and 1.
    threshold
        Tests with a p-value above it need not be exact.
    """

    def __init__(self, design: Design, trait: np.ndarray, threshold: float = 1.0) -> None:
        self.design, self.case = design, trait.astype(np.int8)
        self.critical, self._n_codes = (
            normal_critical(threshold),
            max(int(design.codes.max(initial=1)), 1) + 2,
        )
        self.doubt: np.ndarray | None = None
        grouped = self.critical > 0 and design.n_samples > _GROUPS_FROM * _GROUPS
        if design.n_fixed > 1 and grouped:
            self.group, self.level, self.doubt = similar_log_odds(design, trait)
        elif design.n_fixed == 1:
            self.group, self.level = np.zeros(len(trait), dtype=np.int64), np.zeros(1)
        log_odds = _log_odds(design, trait)
        self._fixed = np.ascontiguousarray(design.basis[1:] * np.sqrt(design.total))
        start = (design.basis * design.weight) @ log_odds
        self._start = np.r_[start[1:] / np.sqrt(design.total), start[0] * design.basis[0, 0]]

    def __call__(self, pairs: np.ndarray) -> PairTests:
        """Tests of pairs: shape (n_pairs, 2), indices of columns."""
        pairs = np.ascontiguousarray(pairs, dtype=np.int64).reshape(-1, 2)
        out, near = np.full((len(pairs), 6), np.nan), np.zeros((len(pairs), 3))
        todo = np.ones(len(pairs), dtype=bool)
        columns = self.design.columns
        of = self.design.codes, columns.mean, columns.varies, self.case, self.design.impute, self._n_codes
        if self.design.n_fixed == 1 or self.doubt is not None:
            exact = self.design.n_fixed == 1
            fit_cells(*of, self.group, self.level, pairs, 1.0 if exact else _ROUGH, out, near)
            todo[:] = False
            if self.doubt is not None:
                margin = self.doubt[pairs].sum(axis=1) + 0.2 * np.minimum(out[:, 1] ** 2, 1)
                # NaN, of a pair the groups cannot tell about, is to be tested.
                todo = ~(np.sqrt(out[:, 2]) < self.critical * (1 - margin))
        if todo.any():
            some = np.full((int(todo.sum()), 6), np.nan)
            start = np.nan_to_num(near[todo])
            fit_samples(*of, self._fixed, self._start, np.ascontiguousarray(pairs[todo]), 1.0, start, some)
            out[todo] = some
        return _as_tests(out.T)


def logistic_pairs(design: Design, trait: np.ndarray, pairs: np.ndarray, threshold: float = 1.0) -> PairTests:
    """:class:`LogisticTests` of pairs, made once."""
    return LogisticTests(design, trait, threshold)(pairs)


def _as_tests(out: np.ndarray) -> PairTests:
    beta, se, ratio, n, cases, r2 = out
    rate = cases / np.maximum(n, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        null = -2 * n * (rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
        explained = ratio / null
    statistic = np.sign(beta) * np.sqrt(ratio)
    return PairTests(beta, se, statistic, normal_p_value(statistic), n.astype(np.int64), r2, explained)


def _log_odds(design: Design, trait: np.ndarray) -> np.ndarray:
    """Of each sample in the regression on the fixed effects."""
    mu = trait - design.trait * design.weight
    out: np.ndarray = np.log(mu) - np.log1p(-mu)
    return out


def similar_log_odds(design: Design, trait: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of samples with similar log-odds by the covariates, and what they may miss.

    Returns
    -------
    Shape (n_samples,), the group of each; (n_groups,), their mean log-odds; and (n_columns,), by what share
    of itself a root of the likelihood ratio may be too small in groups, the sum of two columns'. That grows
    with the spread of the log-odds within groups, and with what the covariates explain of the columns. It
    is no bound: it was set by simulation (1,349 cohorts of 1,500 and 4,000 samples with 1 to 10 covariates,
    some of which follow ancestry, sites or a product of sites; the most that a root was too small was 0.62
    of it).
    """
    log_odds = _log_odds(design, trait)
    order = np.argsort(log_odds, kind="stable")
    below = np.cumsum(design.weight[order])
    group = np.empty(len(log_odds), dtype=np.int64)
    # Half by weight and half by level, so that a sample far out is not among those of the bulk.
    low, high = log_odds.min(), log_odds.max()
    place = 0.5 * below / below[-1] + 0.5 * (log_odds[order] - low) / max(high - low, 1e-9)
    group[order] = np.minimum(place * _GROUPS, _GROUPS - 1)
    group = np.unique(group, return_inverse=True)[1].reshape(-1)
    level = np.bincount(group, design.weight * log_odds) / np.bincount(group, design.weight)
    within = float(design.weight @ (log_odds - level[group]) ** 2) / design.total
    columns = design.columns
    reach = (columns.on_fixed[:, 1:] ** 2).sum(axis=1) / columns.norm**2
    return group, level, 0.0075 + 0.4 * np.sqrt(within) + 1.5 * reach


@njit(inline="always")
def _value(code, mean):  # type: ignore[no-untyped-def]
    """A code less its mean; a missing call is the mean."""
    return code - mean if code >= 0 else 0.0


@njit(nogil=True, cache=True)
def _count_cells(codes, i, j, case, group, impute, table):  # type: ignore[no-untyped-def]
    """Samples by group, both codes (from -1 on) and case: table (n_groups, n_codes, n_codes, 2), written."""
    table[:] = 0
    a, b, flat, n = codes[i], codes[j], table.reshape(-1), table.shape[1]
    for s in range(len(a)):
        x, y = np.int64(a[s]), np.int64(b[s])
        if impute or (x >= 0 and y >= 0):
            flat[((group[s] * n + x + 1) * n + y + 1) * 2 + case[s]] += 1


@njit(nogil=True, cache=True)
def _sum_groups(table, out):  # type: ignore[no-untyped-def]
    """Sum a table over its groups into ``out``; samples and cases. Array methods would take seconds to compile."""
    n, n_cases = 0, 0
    for x in range(out.shape[0]):
        for y in range(out.shape[1]):
            for z in range(2):
                total = 0
                for g in range(table.shape[0]):
                    total += table[g, x, y, z]
                out[x, y, z] = total
                n += total
                n_cases += total * z
    return n, n_cases


@njit(nogil=True, cache=True)
def _squared_correlation(table, mean_a, mean_b):  # type: ignore[no-untyped-def]
    """Of the two columns of a pair, from its table of samples by code."""
    n = sa = sb = aa = bb = ab = 0.0
    for x in range(table.shape[0]):
        for y in range(table.shape[1]):
            count, a, b = (
                np.float64(table[x, y, 0] + table[x, y, 1]),
                _value(x - 1, mean_a),
                _value(y - 1, mean_b),
            )
            n += count
            sa += count * a
            sb += count * b
            aa += count * a * a
            bb += count * b * b
            ab += count * a * b
    n = max(n, 1.0)
    return (ab - sa * sb / n) ** 2 / max((aa - sa * sa / n) * (bb - sb * sb / n), 1e-300)


@njit(nogil=True, cache=True)
def _separated(table, mean_a, mean_b):  # type: ignore[no-untyped-def]
    """Whether a function (a - a0)(b - b0) that changes sign nowhere is 0 in all cases, or all controls.

    Here a0 and b0 are the least or the largest of the two columns. Such a function, added to the log-odds
    without end, raises the likelihood without end, and there is no maximum.
    """
    low_a = low_b = np.inf
    high_a = high_b = -np.inf
    for x in range(table.shape[0]):
        for y in range(table.shape[1]):
            if table[x, y, 0] + table[x, y, 1] > 0:
                a, b = _value(x - 1, mean_a), _value(y - 1, mean_b)
                low_a, high_a, low_b, high_b = min(low_a, a), max(high_a, a), min(low_b, b), max(high_b, b)
    for a0 in (low_a, high_a):
        for b0 in (low_b, high_b):
            some, some_cases = 0, 0
            for x in range(table.shape[0]):
                for y in range(table.shape[1]):
                    if _value(x - 1, mean_a) != a0 and _value(y - 1, mean_b) != b0:
                        some += table[x, y, 0] + table[x, y, 1]
                        some_cases += table[x, y, 1]
            if some_cases in (0, some):
                return True
    return False


@njit(nogil=True, cache=True)
def _set_row(p, r, first, a, b):  # type: ignore[no-untyped-def]
    """The last four predictors of a row: 1, a, b and ab."""
    x, k = p.rows, FIRST + first
    x[k, r], x[k + 1, r], x[k + 2, r], x[k + 3, r] = 1.0, a, b, a * b


@njit(nogil=True, cache=True)
def _write_test(p, beta, ratio, out):  # type: ignore[no-untyped-def]
    """Coefficient, its standard error and the ratio."""
    last = len(beta) - 1
    out[0], out[1], out[2] = beta[last], 1.0 / (p.square[FACTOR, last, last] * p.vectors[SCALE, last]), ratio


@njit(nogil=True, cache=True)
def fit_cells(  # type: ignore[no-untyped-def]
    codes, mean, varies, case, impute, n_codes, group, level, pairs, slack, out, near
):
    """Tests of pairs on the cells of their codes within groups of samples.

    Parameters
    ----------
    codes, mean, varies
        The columns: (n_columns, n_samples) and (n_columns,).
    case
        Shape (n_samples,), int8.
    impute
        Whether missing calls count as the mean; else their samples are left out.
    n_codes
        Codes, that of a missing call counted.
    group, level
        Shape (n_samples,), group of each sample, and (n_groups,), log-odds of each group.
    pairs
        Shape (n_pairs, 2).
    slack
        Of the fits; see :func:`genoattn.scan.logistic.likelihood_ratio`.
    out
        Shape (n_pairs, 6), written: coefficient, its standard error, likelihood ratio, samples, cases,
        squared correlation; the first three stay NaN where there is no test.
    near
        Shape (n_pairs, 3), written: coefficients of 1, a and b.
    """
    table = np.zeros((len(level), n_codes, n_codes, 2), np.int64)
    whole = np.zeros((n_codes, n_codes, 2), np.int64)
    memory = make_problem(4, len(level) * n_codes * n_codes)
    for k in range(len(pairs)):
        i, j = pairs[k]
        _count_cells(codes, i, j, case, group, impute, table)
        n, n_cases, n_rows = *_sum_groups(table, whole), 0
        out[k, 3], out[k, 4], out[k, 5] = n, n_cases, _squared_correlation(whole, mean[i], mean[j])
        if not (varies[i] and varies[j] and 0 < n_cases < n and n > 4):
            continue
        for g in range(len(level)):
            for x in range(n_codes):
                for y in range(n_codes):
                    here = table[g, x, y, 0] + table[g, x, y, 1]
                    if here:
                        _set_row(memory, n_rows, 0, _value(x - 1, mean[i]), _value(y - 1, mean[j]))
                        memory.rows[SAMPLES, n_rows], memory.rows[CASES, n_rows] = here, table[g, x, y, 1]
                        memory.rows[OFFSET, n_rows] = level[g]
                        n_rows += 1
        p, beta = first_rows(memory, n_rows), np.zeros(4)
        if independent(p):
            if len(level) == 1:
                beta[0] = math.log(n_cases / (n - n_cases))
            ratio = likelihood_ratio(p, beta, len(beta) - 1, _separated(whole, mean[i], mean[j]), slack)
            if not math.isnan(ratio):
                _write_test(p, beta, ratio, out[k])
                near[k] = beta[:3]


@njit(nogil=True, cache=True)
def fit_samples(codes, mean, varies, case, impute, n_codes, fixed, start, pairs, slack, near, out):  # type: ignore[no-untyped-def]
    """Tests of pairs on the samples themselves, with covariates.

    Parameters
    ----------
    codes, mean, varies, case, impute, n_codes, pairs, slack, out
        As in :func:`fit_cells`.
    fixed
        Shape (n_fixed - 1, n_samples), the fixed effects without the intercept.
    start
        Shape (n_fixed,), their coefficients without columns, that of the intercept last.
    near
        Shape (n_pairs, 3), added to the first coefficients of 1, a and b.
    """
    first = len(fixed)
    table, everybody = np.zeros((1, n_codes, n_codes, 2), np.int64), np.zeros(len(case), np.int64)
    whole = np.zeros((n_codes, n_codes, 2), np.int64)
    memory = make_problem(first + 4, len(case))
    memory.rows[SAMPLES] = 1.0
    beta = np.zeros(first + 4)
    for k in range(len(pairs)):
        i, j = pairs[k]
        _count_cells(codes, i, j, case, everybody, impute, table)
        n, n_cases, n_rows = *_sum_groups(table, whole), 0
        out[k, 3], out[k, 4], out[k, 5] = n, n_cases, _squared_correlation(whole, mean[i], mean[j])
        if not (varies[i] and varies[j] and 0 < n_cases < n and n > first + 4):
            continue
        for s in range(len(case)):
            a, b = codes[i, s], codes[j, s]
            if impute or (a >= 0 and b >= 0):
                for m in range(first):
                    memory.rows[FIRST + m, n_rows] = fixed[m, s]
                _set_row(memory, n_rows, first, _value(a, mean[i]), _value(b, mean[j]))
                memory.rows[CASES, n_rows] = case[s]
                n_rows += 1
        p = first_rows(memory, n_rows)
        if independent(p):
            beta[:] = 0.0
            beta[: first + 1] = start
            beta[first : first + 3] += near[k]
            ratio = likelihood_ratio(p, beta, len(beta) - 1, _separated(whole, mean[i], mean[j]), slack)
            if not math.isnan(ratio):
                _write_test(p, beta, ratio, out[k])
