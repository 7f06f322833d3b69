"""The likelihood-ratio test of pairs, one after the other: compiled, without the interpreter's lock."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.logistic.adjusted import Adjuster, adjusted_root, make_adjuster
from genoattn.scan.logistic.cells import CellPlanes, count_cells, fill_grid, make_table, root_of_cells
from genoattn.scan.logistic.coarse import Grid, coarse_root, make_grid
from genoattn.scan.logistic.information import Rows, Work, accumulate, evaluate, total_of
from genoattn.scan.logistic.newton import climb, factorise, invert
from genoattn.scan.logistic.rows import Memory, Subjects, gather, make_memory

_SINGULAR = 1e-9  # least inverse of the trace of the inverse of the predictors' correlations
_FACTORISED = 1e-12  # least pivot of the information
_LARGEST = 25.0  # log-odds beyond which cases and controls count as separated
_ROUGH = 1e5  # slack of a test that only has to tell what does not pass: an accuracy of 1e-5
_UNSURE = 0.4  # doubt about what the nine cells tell, from which it is not asked
_NEARLY = 1e-3  # share of the critical root within which that cannot tell


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
def _separated(memory: Memory, value: np.ndarray) -> bool:
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
def _start(subjects: Subjects, near: np.ndarray, beta: np.ndarray) -> None:
    """The coefficients to begin with."""
    p = len(beta)
    beta[: p - 3] = subjects.start
    beta[p - 3 :] = 0.0
    for k in range(3):
        beta[p - 4 + k] += near[k]


@njit(nogil=True, cache=True, error_model="numpy")
def _test(
    subjects: Subjects, i: int, j: int, near: np.ndarray, slack: float, largest: np.ndarray, memory: Memory
) -> Test:
    """The test of one pair of columns; ``near`` is added to the first coefficients of 1, a and b."""
    rows, work = gather(subjects, i, j, memory)
    n, n_cases, r2 = total_of(rows.samples), total_of(rows.cases), _squared_correlation(rows)
    none = Test(np.nan, np.nan, np.nan, n, n_cases, r2)
    p = len(largest)
    if not (subjects.varies[i] and subjects.varies[j] and 0 < n_cases < n and n > p):
        return none
    for t in range(4):
        largest[p - 4 + t] = np.abs(rows.value[:, t]).max()
    beta = np.zeros(p)
    _start(subjects, near, beta)
    begun = evaluate(rows, beta, work)
    if not _clearly_independent(rows, largest, work):
        if not _independent(rows, work):
            return none
        begun = np.nan
    ratio, separated, none_near = np.nan, _separated(memory, rows.value), np.zeros(3)
    # From near, then from the fixed effects alone, from where the penalised likelihood is climbed too.
    for attempt in range(3):
        firth = attempt == 2
        if (separated and not firth) or (attempt == 1 and not near.any()):
            continue
        _start(subjects, near if attempt == 0 else none_near, beta)
        ratio = _ratio(rows, beta, firth, largest, begun if attempt == 0 else np.nan, slack, work)
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
def _coarse_test(coarse: Subjects, i: int, j: int, grid: Grid, counted: bool) -> Test:
    """The test of a pair on the grid of cells by groups, without r2; its ratio is NaN without a maximum."""
    root, se = coarse_root(coarse, i, j, grid, counted)
    return Test(grid.beta[-1], se, root * root, grid.samples.sum(), grid.cases.sum(), np.nan)


@njit(nogil=True, cache=True, error_model="numpy")
def _far_from(critical: float, test: Test, margin: float) -> bool:
    """Whether a test on coarse groups tells that the exact root is below a critical value; NaN does not."""
    margin += 0.2 * min(test.se * test.se, 1.0)
    return math.sqrt(test.ratio) < critical * (1.0 - margin)


@njit(nogil=True, cache=True, error_model="numpy")
def _amended(test: Test, subjects: Subjects, i: int, j: int, grid: Grid, adjuster: Adjuster) -> Test:
    """A coarse test, just made, amended for the fixed effects themselves; its ratio may be NaN."""
    root, se = adjusted_root(subjects, i, j, grid, adjuster)
    return Test(test.coefficient, se, root * root, test.n_samples, test.n_cases, test.r2)


@njit(nogil=True, cache=True, error_model="numpy")
def _staged(subjects, coarse, critical, doubts, i, j, near, counted, work):  # type: ignore[no-untyped-def]
    """The test of a pair where groups of samples, or a climb that stops early, tell that it is below a
    critical root; and whether they do. ``near`` is where the exact one may begin; ``counted``, whether the
    grid has the counts.
    """
    grid, adjuster, rough, largest_rough, memory, largest = work
    test = _coarse_test(coarse, i, j, grid, counted)
    unknown = math.isnan(test.ratio)
    if unknown:
        test = _test(coarse, i, j, near, _ROUGH, largest_rough, rough)
    else:
        near[:] = grid.beta_null[1:-1]
    told = _far_from(critical, test, doubts[1][i] + doubts[1][j])
    if not told and not unknown:
        before = math.sqrt(test.ratio)
        test = _amended(test, subjects, i, j, grid, adjuster)
        moved = abs(math.sqrt(test.ratio) - before) / critical
        told = _far_from(critical, test, doubts[2][i] + doubts[2][j] + moved)
    if not told and not math.sqrt(test.ratio) >= critical:
        test = _test(subjects, i, j, near, _ROUGH, largest, memory)
        told = math.sqrt(test.ratio) < critical * (1.0 - _NEARLY)
    return test, told


@njit(nogil=True, cache=True, error_model="numpy")
def test_pairs(
    subjects: Subjects,
    coarse: Subjects,
    planes: CellPlanes,
    critical: float,
    in_groups: bool,
    doubts: tuple[np.ndarray, np.ndarray, np.ndarray],
    pairs: np.ndarray,
) -> np.ndarray:
    """The tests of pairs: a row each, of the fields of :class:`Test`.

    Where ``critical`` is above 0, a pair whose root of the likelihood ratio is far below it by the counts of
    its cells (``planes``, unless empty), or on coarse groups of samples (``in_groups``), keeps that for its
    test, r2 left out, and so does one where it is that once amended; one whose root on the samples themselves
    is below it by more than the accuracy of a climb that stops early keeps that. ``doubts``, of each of these
    stages (n_columns,), the sum of two columns', are the shares of the critical value by which the root must
    be below; to the last is added how far the root was amended.
    """
    memory, rough, grid, table = make_memory(subjects), make_memory(coarse), make_grid(coarse), make_table()
    in_groups = in_groups and critical > 0.0
    adjuster = make_adjuster(subjects if in_groups else coarse)
    largest = _largest(subjects)
    work = grid, adjuster, rough, _largest(coarse), memory, largest
    out, near = np.empty((len(pairs), 6)), np.zeros(3)
    counted, counts = (
        critical > 0.0 and len(planes.totals) > 0,
        np.zeros((len(planes.first), 8), dtype=np.int64),
    )
    for k in range(len(pairs)):
        i, j = pairs[k, 0], pairs[k, 1]
        near[:] = 0.0
        vary, told = subjects.varies[i] and subjects.varies[j], False
        if counted and vary:
            count_cells(planes, i, j, counts, table.lanes)
            if doubts[0][i] + doubts[0][j] < _UNSURE:
                root, se = root_of_cells(planes, table)
                n, n_cases = np.float64(planes.size[-1, 0]), np.float64(planes.size[-1, 1])
                test = Test(table.beta[-1], se, root * root, n, n_cases, np.nan)
                told = _far_from(critical, test, doubts[0][i] + doubts[0][j])
            if in_groups and not told:
                fill_grid(planes, i, j, counts, grid.samples, grid.cases)
        if in_groups and vary and not told:
            test, told = _staged(subjects, coarse, critical, doubts, i, j, near, counted, work)
        if not told:
            test = _test(subjects, i, j, near, 1.0, largest, memory)
        out[k, 0], out[k, 1], out[k, 2] = test.coefficient, test.se, test.ratio
        out[k, 3], out[k, 4], out[k, 5] = test.n_samples, test.n_cases, test.r2
    return out
