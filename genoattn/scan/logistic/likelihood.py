"""The likelihood-ratio test of pairs, one after the other: compiled, without the interpreter's lock."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.logistic.information import Rows, Work, accumulate, evaluate, make_work, total_of
from genoattn.scan.logistic.newton import climb, factorise, invert

_SINGULAR = 1e-9  # least inverse of the trace of the inverse of the predictors' correlations
_FACTORISED = 1e-12  # least pivot of the information
_LARGEST = 25.0  # log-odds beyond which cases and controls count as separated
_COARSE = 1e5  # slack of a test that only has to tell what is far from passing


class Subjects(NamedTuple):
    """Samples as the kernel reads them.

    Parameters
    ----------
    codes
        Shape (n_columns, n_samples), int8; -1 where missing.
    mean
        Shape (n_columns,), what a column has subtracted.
    varies
        Shape (n_columns,), whether pairs with a column can be tested.
    case
        Shape (n_samples,), int8.
    group
        Shape (n_samples,), which column of ``fixed`` is the sample's; not read where each is its own.
    fixed
        Shape (n_fixed - 1, n_groups): the fixed effects without the intercept.
    start
        Shape (n_fixed,), their coefficients in the regression on them alone, that of the intercept last.
    n_states
        Number of codes, a missing call counted as the last.
    impute
        Whether missing calls count as the mean; else their samples are left out.
    """

    codes: np.ndarray
    mean: np.ndarray
    varies: np.ndarray
    case: np.ndarray
    group: np.ndarray
    fixed: np.ndarray
    start: np.ndarray
    n_states: int
    impute: bool


class Test(NamedTuple):
    """The test of a pair; NaN where there is none.

    Parameters
    ----------
    coefficient, se
        Of the product.
    ratio
        Twice the gain in log-likelihood.
    n_samples, n_cases
        Samples that have both calls.
    r2
        Squared correlation of the two columns.
    """

    coefficient: float
    se: float
    ratio: float
    n_samples: float
    n_cases: float
    r2: float


class _Memory(NamedTuple):
    """What one thread writes to: rows of a pair, its cells, and the arrays of Newton's method."""

    fixed: np.ndarray
    samples: np.ndarray
    cases: np.ndarray
    lines: np.ndarray
    cell: np.ndarray
    table: np.ndarray
    start: np.ndarray
    value: np.ndarray
    order: np.ndarray
    place: np.ndarray
    work: Work


@njit(nogil=True, cache=True, error_model="numpy")
def _make_memory(subjects: Subjects) -> _Memory:
    n_samples, n_groups = len(subjects.case), subjects.fixed.shape[1]
    n_cells, n_smooth = subjects.n_states**2, len(subjects.fixed)
    grouped = n_groups < n_samples
    n_rows = n_groups * n_cells if grouped else n_samples
    return _Memory(
        np.empty(-(-n_smooth // 3) * 3 * n_rows),
        np.ones(n_rows),
        np.empty(n_rows),
        np.empty(4 * n_rows),
        np.empty(n_samples, dtype=np.int32),
        np.empty((n_cells, n_groups if grouped else 1, 2), dtype=np.int64),
        np.empty(n_cells + 1, dtype=np.int64),
        np.empty((n_cells, 4)),
        np.empty(n_samples, dtype=np.uint32),
        np.empty(n_cells, dtype=np.uint64),
        make_work(0, n_smooth + 4),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _find_cells(subjects: Subjects, i: int, j: int, cell: np.ndarray) -> None:
    """Cell of each sample: its two states as one number, or -1 where it is left out."""
    n_states, last = np.int32(subjects.n_states), np.int32(subjects.n_states - 1)
    a, b = subjects.codes[i], subjects.codes[j]
    for s in range(len(cell)):
        x, y = np.int32(a[s]), np.int32(b[s])
        gone = (x < 0) | (y < 0)
        x = last if x < 0 else x
        y = last if y < 0 else y
        whole = x * n_states + y
        cell[s] = np.int32(-1) if gone and not subjects.impute else whole


@njit(nogil=True, cache=True, error_model="numpy")
def _count(subjects: Subjects, memory: _Memory) -> None:
    """Samples by cell, group and case."""
    table, cell = memory.table, memory.cell
    table[:] = 0
    if table.shape[1] == 1:
        for s in range(len(cell)):
            if cell[s] >= 0:
                table[cell[s], 0, subjects.case[s]] += 1
    else:
        for s in range(len(cell)):
            if cell[s] >= 0:
                table[cell[s], subjects.group[s], subjects.case[s]] += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _values(subjects: Subjects, i: int, j: int, cell: int, value: np.ndarray) -> None:
    """1, a, b and ab of a cell; a missing call is the mean, 0."""
    a, b = cell // subjects.n_states, cell % subjects.n_states
    last = subjects.n_states - 1
    value[0] = 1.0
    value[1] = a - subjects.mean[i] if a < last else 0.0
    value[2] = b - subjects.mean[j] if b < last else 0.0
    value[3] = value[1] * value[2]


@njit(nogil=True, cache=True, error_model="numpy")
def _gather(subjects: Subjects, i: int, j: int, memory: _Memory) -> tuple[Rows, Work]:
    """The rows of a pair: its samples by cell, or the groups of each cell that have any."""
    _find_cells(subjects, i, j, memory.cell)
    _count(subjects, memory)
    table, start = memory.table, memory.start
    grouped = table.shape[1] > 1 or subjects.fixed.shape[1] == 1
    n_rows, n_cells = 0, 0
    for c in range(len(table)):
        here = 0
        for g in range(table.shape[1]):
            n = table[c, g, 0] + table[c, g, 1]
            here += min(n, 1) if grouped else n
        memory.place[c] = n_rows
        if here:
            start[n_cells] = n_rows
            _values(subjects, i, j, c, memory.value[n_cells])
            n_cells += 1
            n_rows += here
    start[n_cells] = n_rows
    n_lines = -(-len(subjects.fixed) // 3) * 3
    fixed = memory.fixed[: n_lines * n_rows].reshape(n_lines, n_rows)
    fixed[len(subjects.fixed) :] = 0.0
    if grouped:
        _gather_groups(subjects, memory, fixed)
    else:
        _gather_samples(subjects, memory, fixed)
    lines, old = memory.lines[: 4 * n_rows].reshape(4, n_rows), memory.work
    work = Work(
        lines[0], lines[1], lines[2], lines[3],
        old.information, old.factor, old.inverse, old.scale, old.gradient, old.step, old.sums,
    )  # fmt: skip
    samples, cases, value = memory.samples[:n_rows], memory.cases[:n_rows], memory.value[:n_cells]
    return Rows(fixed, samples, cases, start[: n_cells + 1], value, grouped), work


@njit(nogil=True, cache=True, error_model="numpy")
def _gather_groups(subjects: Subjects, memory: _Memory, fixed: np.ndarray) -> None:
    """Groups of each cell, where they have samples."""
    table, row = memory.table, 0
    for c in range(len(table)):
        for g in range(table.shape[1]):
            n = table[c, g, 0] + table[c, g, 1]
            if n:
                memory.samples[row], memory.cases[row] = n, table[c, g, 1]
                for k in range(len(subjects.fixed)):
                    fixed[k, row] = subjects.fixed[k, g]
                row += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _gather_samples(subjects: Subjects, memory: _Memory, fixed: np.ndarray) -> None:
    """Samples of each cell, in the order they come."""
    order, place = memory.order, memory.place
    for s in range(len(memory.cell)):
        c = memory.cell[s]
        if c >= 0:
            order[place[c]] = s
            place[c] += np.uint64(1)
    for row in range(fixed.shape[1]):
        memory.cases[row] = subjects.case[order[row]]
    for k in range(len(subjects.fixed)):
        source, line = subjects.fixed[k], fixed[k]
        for row in range(len(line)):
            line[row] = source[order[row]]


@njit(nogil=True, cache=True, error_model="numpy")
def _clearly_independent(rows: Rows, largest: np.ndarray, work: Work) -> bool:
    """Whether the information of ``work``, which is factorised, shows the predictors to be independent.

    The least eigenvalue of a correlation matrix exceeds its determinant over e, and weights are at most 1/4:
    where the weighted correlations have a large determinant, the plain ones have no small eigenvalue.
    """
    if not factorise(work, _FACTORISED):
        return False
    n_samples, least, determinant = total_of(rows.samples), np.inf, 1.0
    for j in range(len(largest)):
        least = min(least, 4.0 * work.information[j, j] / max(n_samples * largest[j] ** 2, 1e-300))
        determinant *= work.factor[j, j] ** 2
    return least * determinant > 3.0 * len(largest) * _SINGULAR


@njit(nogil=True, cache=True, error_model="numpy")
def _independent(rows: Rows, work: Work) -> bool:
    """Whether the predictors are independent; ``work`` is overwritten.

    That is, whether the trace of the inverse of their correlations, which is between the inverse of the least
    eigenvalue and the order times that, is within a limit.
    """
    work.weight[:] = rows.samples
    accumulate(rows, work)
    if not factorise(work, _FACTORISED):
        return False
    invert(work)
    trace = 0.0
    for j in range(len(work.scale)):
        for k in range(j + 1):
            trace += (work.inverse[j, k] * work.scale[k]) ** 2
    return trace * _SINGULAR < 1.0


@njit(nogil=True, cache=True, error_model="numpy")
def _separated(memory: _Memory, value: np.ndarray) -> bool:
    """Whether a function (a - a0)(b - b0) that changes sign nowhere is 0 in all cases, or all controls.

    Here a0 and b0 are the least or the largest of the two columns. Such a function, added to the log-odds
    without end, raises the likelihood without end, and there is no maximum.
    """
    n_cells = len(value)
    n, cases = np.zeros(n_cells), np.zeros(n_cells)
    used = 0
    for c in range(len(memory.table)):
        total = memory.table[c].sum()
        if total:
            n[used], cases[used] = total, memory.table[c, :, 1].sum()
            used += 1
    for a0 in (value[:, 1].min(), value[:, 1].max()):
        for b0 in (value[:, 2].min(), value[:, 2].max()):
            some, some_cases = 0.0, 0.0
            for c in range(n_cells):
                if value[c, 1] != a0 and value[c, 2] != b0:
                    some += n[c]
                    some_cases += cases[c]
            if some_cases == 0.0 or some_cases == some:
                return True
    return False


@njit(nogil=True, cache=True, error_model="numpy")
def _squared_correlation(rows: Rows) -> float:
    """Of the two columns of a pair."""
    moments = np.zeros((3, 3))
    for c in range(len(rows.value)):
        n = total_of(rows.samples[rows.start[c] : rows.start[c + 1]])
        for t in range(3):
            for u in range(3):
                moments[t, u] += n * rows.value[c, t] * rows.value[c, u]
    n = max(moments[0, 0], 1.0)
    aa = moments[1, 1] - moments[0, 1] ** 2 / n
    bb = moments[2, 2] - moments[0, 2] ** 2 / n
    ab = moments[1, 2] - moments[0, 1] * moments[0, 2] / n
    return ab * ab / max(aa * bb, 1e-300)


@njit(nogil=True, cache=True, error_model="numpy")
def _fits(rows: Rows, beta: np.ndarray, largest: np.ndarray, work: Work) -> bool:
    """Whether all log-odds are of a size that no separated samples have."""
    bound = 0.0
    for j in range(len(beta)):
        bound += abs(beta[j]) * largest[j]
    if bound < _LARGEST:
        return True
    n_smooth = len(beta) - 4
    for c in range(len(rows.value)):
        for i in range(rows.start[c], rows.start[c + 1]):
            eta = 0.0
            for t in range(4):
                eta += rows.value[c, t] * beta[n_smooth + t]
            for k in range(n_smooth):
                eta += rows.fixed[k, i] * beta[k]
            if not abs(eta) < _LARGEST:
                return False
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _ratio(
    rows: Rows, beta: np.ndarray, firth: bool, largest: np.ndarray, begun: float, slack: float, work: Work
) -> float:
    """Twice the gain in (penalised) log-likelihood that the product brings; NaN without a maximum.

    ``beta`` is left at the maximum, and ``work`` with the information there. Without a penalty the second
    climb goes on from where the first has stopped.
    """
    less, value, p = 0.0, begun, len(largest)
    for n_free in (p - 1, p):
        top, found = climb(rows, beta, n_free, firth, largest, value, slack, work)
        if not found:
            return np.nan
        if n_free < p:
            less, value = 2.0 * top.value + top.gain, np.nan if firth else top.value
        else:
            less = max(2.0 * top.value + top.gain - less, 0.0)
    return less if firth or _fits(rows, beta, largest, work) else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def _test(subjects: Subjects, i: int, j: int, slack: float, largest: np.ndarray, memory: _Memory) -> Test:
    """The test of one pair of columns."""
    rows, work = _gather(subjects, i, j, memory)
    n, n_cases, r2 = total_of(rows.samples), total_of(rows.cases), _squared_correlation(rows)
    none = Test(np.nan, np.nan, np.nan, n, n_cases, r2)
    p = len(largest)
    if not (subjects.varies[i] and subjects.varies[j] and 0 < n_cases < n and n > p):
        return none
    for t in range(4):
        largest[p - 4 + t] = np.abs(rows.value[:, t]).max()
    beta = np.zeros(p)
    beta[: p - 3] = subjects.start
    begun = evaluate(rows, beta, work)
    if not _clearly_independent(rows, largest, work):
        if not _independent(rows, work):
            return none
        begun = np.nan
    ratio = np.nan
    for firth in range(_separated(memory, rows.value), 2):
        beta[: p - 3] = subjects.start
        beta[p - 3 :] = 0.0
        ratio = _ratio(rows, beta, firth == 1, largest, np.nan if firth else begun, slack, work)
        if not math.isnan(ratio):
            se = 1.0 / (work.factor[p - 1, p - 1] * work.scale[p - 1])
            return Test(beta[p - 1], se, ratio, n, n_cases, r2)
    return none


@njit(nogil=True, cache=True, error_model="numpy")
def _largest(subjects: Subjects) -> np.ndarray:
    """Largest size of each predictor, those of a pair left open."""
    largest = np.ones(len(subjects.fixed) + 4)
    for k in range(len(subjects.fixed)):
        largest[k] = np.abs(subjects.fixed[k]).max()
    return largest


@njit(nogil=True, cache=True, error_model="numpy")
def _far_from(critical: float, test: Test) -> bool:
    """Whether a test on coarse groups shows that the exact root is below a critical value.

    The coarse root is too small by up to an eighth, by up to a quarter where few carriers make the estimate
    uncertain; NaN is never far.
    """
    margin = 0.12 + 0.13 * min(test.se * test.se, 1.0)
    return math.sqrt(test.ratio) < critical * (1.0 - margin)


@njit(nogil=True, cache=True, error_model="numpy")
def test_pairs(subjects: Subjects, coarse: Subjects, critical: float, pairs: np.ndarray) -> np.ndarray:
    """The tests of pairs: a row each, of the fields of :class:`Test`.

    Where ``critical`` is above 0, pairs whose root of the likelihood ratio on coarse groups of samples is far
    below it keep that for their test.
    """
    memory, rough = _make_memory(subjects), _make_memory(coarse)
    largest, largest_rough = _largest(subjects), _largest(coarse)
    out = np.empty((len(pairs), 6))
    for k in range(len(pairs)):
        for exact in range(0 if critical > 0.0 else 1, 2):
            test = _test(
                subjects if exact else coarse,
                pairs[k, 0],
                pairs[k, 1],
                1.0 if exact else _COARSE,
                largest if exact else largest_rough,
                memory if exact else rough,
            )
            out[k, 0], out[k, 1], out[k, 2] = test.coefficient, test.se, test.ratio
            out[k, 3], out[k, 4], out[k, 5] = test.n_samples, test.n_cases, test.r2
            if _far_from(critical, test):
                break
    return out
