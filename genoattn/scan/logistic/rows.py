"""The rows of a pair: its samples sorted by the states they have at the two sites. Compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.logistic.information import Rows, Work, make_work


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


class Memory(NamedTuple):
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
def make_memory(subjects: Subjects) -> Memory:
    """Memory for the pairs of these subjects."""
    n_samples, n_groups = len(subjects.case), subjects.fixed.shape[1]
    n_cells, n_smooth = subjects.n_states**2, len(subjects.fixed)
    grouped = n_groups < n_samples
    n_rows = n_groups * n_cells if grouped else n_samples
    return Memory(
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
def _count(subjects: Subjects, memory: Memory) -> None:
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
def gather(subjects: Subjects, i: int, j: int, memory: Memory) -> tuple[Rows, Work]:
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
def _gather_groups(subjects: Subjects, memory: Memory, fixed: np.ndarray) -> None:
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
def _gather_samples(subjects: Subjects, memory: Memory, fixed: np.ndarray) -> None:
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
