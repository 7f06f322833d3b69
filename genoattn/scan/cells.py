"""The screen of a binary trait without covariates: a bound on the likelihood ratio from the nine cells.
Compiled.

Two columns of codes 0, 1 and 2 make nine cells; n samples of a cell, y of them cases, are all that the
logistic regression on 1, a, b and ab needs. Its likelihood is at most that of the saturated model, whose
logarithm is ``sum f(y) + f(n - y) - f(n)`` over cells with ``f(k) = k log k``; that of 1, a, b is at least
what any point has. At the point ``eta = eta_0 + d``, one Newton step from the intercept's maximum
``eta_0``, with ``K(eta) = log(1 + exp(eta))``,

``K(eta_0 + d) <= K + mu d + v d^2 / 2 + v (1 - 2 mu) d^3 / 6 + d^4 / 192``,  v = mu (1 - mu),

since the fourth derivative of K is at most 1/8. Twice the difference of the two bounds the ratio. Where
that does not do, the likelihood of 1, a, b, ab is bounded by its dual: it is at most ``sum n (m log m + (1
- m) log(1
- m))`` for any shares m of cases, between 0 and 1, with the observed sums of y, y a, y b and y ab. The
fitted values of least squares on 1, a, b, ab are such shares, and near those of the logistic regression. A
pair whose cells may be separated has to be tested, as its test is another: where cases and controls are in
the cells of two codes of a crossed with two codes of b, no function of 1, a, b, ab separates them.
"""

import math

import numpy as np
from numba import njit

from genoattn.scan.counts import count_row

_ROUNDING = 1e-9


def log_terms(n: int) -> np.ndarray:
    """``k log k`` for k from 0 to n."""
    k = np.arange(n + 1, dtype=np.float64)
    return k * np.log(np.maximum(k, 1))


def mixed_tables() -> np.ndarray:
    """Whether each set of cells, bit 3a + b of its number, holds a full two by two table: (512,)."""
    out = np.zeros(512, dtype=np.bool_)
    for number in range(512):
        cell = [[bool(number >> (3 * a + b) & 1) for b in range(3)] for a in range(3)]
        rows = [(0, 1), (0, 2), (1, 2)]
        out[number] = any(all(cell[a][b] for a in two for b in other) for two in rows for other in rows)
    return out


@njit(inline="always")
def _fill(counts, j, cells):  # type: ignore[no-untyped-def]
    """The nine cells of a pair from its counts."""
    c11, c12, c21, c22 = counts[j, 0], counts[j, 1], counts[j, 2], counts[j, 3]
    cells[4], cells[5], cells[7], cells[8] = c11, c12, c21, c22
    cells[3], cells[6] = counts[j, 4] - c11 - c12, counts[j, 5] - c21 - c22
    cells[1], cells[2] = counts[j, 6] - c11 - c21, counts[j, 7] - c12 - c22
    cells[0] = counts[j, 8] - counts[j, 4] - counts[j, 5] - cells[1] - cells[2]


@njit(nogil=True, cache=True)
def _count(i, left, right, missing, counts):  # type: ignore[no-untyped-def]
    """Counts of row i with every column, of controls and of cases: (2, n_cols, 9)."""
    count_row(left.controls[i], right.controls, None, missing, counts[0])
    count_row(left.cases[i], right.cases, None, missing, counts[1])
    if missing is None:
        for g in range(2):
            mine, of_row, of_columns = counts[g], left.counts[g], right.counts[g]
            for j in range(len(mine)):  # loops, since assignments to slices take seconds to compile
                mine[j, 4], mine[j, 5], mine[j, 8] = of_row[0, i], of_row[1, i], of_row[2, i]
                mine[j, 6], mine[j, 7] = of_columns[0, j], of_columns[1, j]


@njit(inline="always", error_model="numpy")
def _additive(n, y, cells, cases):  # type: ignore[no-untyped-def]
    """Lower bound on the log-likelihood of 1, a, b less that of the intercept."""
    sa = sb = aa = bb = ab = ya = yb = 0.0
    for c in range(9):
        a, b = np.float64(c // 3), np.float64(c % 3)
        sa += cells[c] * a
        sb += cells[c] * b
        aa += cells[c] * a * a
        bb += cells[c] * b * b
        ab += cells[c] * a * b
        ya += cases[c] * a
        yb += cases[c] * b
    ma, mb, mu = sa / n, sb / n, y / n
    v = mu * (1.0 - mu)
    gaa, gbb, gab = v * (aa - sa * ma), v * (bb - sb * mb), v * (ab - sa * mb)
    ua, ub = ya - mu * sa, yb - mu * sb
    det = gaa * gbb - gab * gab
    if not det > 1e-6 * gaa * gbb:
        return -np.inf
    fa, fb = (gbb * ua - gab * ub) / det, (gaa * ub - gab * ua) / det
    third = fourth = 0.0
    for c in range(9):
        d = fa * (c // 3 - ma) + fb * (c % 3 - mb)
        third += cells[c] * d * d * d
        fourth += cells[c] * d * d * d * d
    return 0.5 * (fa * ua + fb * ub) - v * (1.0 - 2.0 * mu) * third / 6.0 - fourth / 192.0


@njit(nogil=True, cache=True, error_model="numpy")
def _dual(n, y, gram):  # type: ignore[no-untyped-def]
    """Upper bound on the log-likelihood of 1, a, b, ab; infinite where there is none."""
    for k in range(4):
        for h in range(5):
            total = 0.0
            for c in range(9):
                a, b = np.float64(c // 3), np.float64(c % 3)
                left = (a if k & 1 else 1.0) * (b if k & 2 else 1.0)  # the terms 1, a, b, ab by their bits
                right = (a if h & 1 else 1.0) * (b if h & 2 else 1.0)
                total += left * (y[c] if h == 4 else n[c] * right)
            gram[k, h] = total
    for k in range(4):
        if not gram[k, k] > 0.0:
            return np.inf
        for i in range(4):
            if i != k:
                weight = gram[i, k] / gram[k, k]
                for h in range(k, 5):
                    gram[i, h] -= weight * gram[k, h]
    value, b0, b1 = 0.0, gram[0, 4] / gram[0, 0], gram[1, 4] / gram[1, 1]
    b2, b3 = gram[2, 4] / gram[2, 2], gram[3, 4] / gram[3, 3]
    for c in range(9):
        m = b0 + b1 * (c // 3) + b2 * (c % 3) + b3 * (c // 3) * (c % 3)
        if n[c] > 0.0:
            if not 0.0 < m < 1.0:
                return np.inf
            value += n[c] * (m * math.log(m) + (1.0 - m) * math.log(1.0 - m))
    return value


@njit(nogil=True, cache=True, error_model="numpy")
def screen_cells(left, right, keep, square, max_r2, terms, mixed, missing, found, cells):  # type: ignore[no-untyped-def]
    """Mark the pairs of a tile that may pass: ``found`` (n_rows, n_cols) bool, all False before.

    ``left`` and ``right`` are blocks, :class:`genoattn.scan.screen.CellBlock`; ``keep`` (n_rows, n_cols) says
    which pairs to test; ``square`` is the critical value of the likelihood ratio; pairs of columns with a
    squared correlation above ``max_r2``, missing calls at the mean, are left out; ``terms`` and ``mixed`` are
    of :func:`log_terms` and :func:`mixed_tables`; ``missing`` is None where no call of either block is
    missing. ``cells`` (n_rows n_cols, 2, 9), int64, has controls and cases of the pairs found, one after the
    other. Returns how many pairs were left out for their correlation, and how many cannot be tested.
    """
    n_linked, n_untestable, n_found = 0, 0, 0
    of_controls, of_cases = np.empty(9, np.int64), np.empty(9, np.int64)
    both, y, gram = np.empty(9, np.float64), np.empty(9, np.float64), np.empty((4, 5))
    counts = np.empty((2, found.shape[1], 9), np.int64)
    controls, cases = counts[0], counts[1]
    for i in range(found.shape[0]):
        if not keep[i].any():
            continue
        _count(i, left, right, missing, counts)
        for j in range(found.shape[1]):
            if not keep[i, j]:
                continue
            _fill(controls, j, of_controls)
            _fill(cases, j, of_cases)
            n, n_cases, number, saturated, covariance = 0, 0, 0, 0.0, 0.0
            ma, mb = left.mean[i], right.mean[j]
            for c in range(9):
                here = of_controls[c] + of_cases[c]
                both[c], y[c] = here, of_cases[c]
                n += here
                n_cases += of_cases[c]
                saturated += terms[of_controls[c]] + terms[of_cases[c]] - terms[here]
                number += (1 << c) if of_controls[c] > 0 and of_cases[c] > 0 else 0
                covariance += here * (c // 3 - ma) * (c % 3 - mb)
            if covariance * covariance > max_r2 * left.square[i] * right.square[j]:
                n_linked += 1
            elif both[4] + both[5] + both[7] + both[8] == 0:  # ab is 0 throughout
                n_untestable += 1
            elif not mixed[number]:
                found[i, j] = True
            else:
                without = terms[n_cases] + terms[n - n_cases] - terms[n]
                without += _additive(np.float64(n), np.float64(n_cases), both, y)
                may = not 2.0 * (saturated - without) + _ROUNDING * n < square
                found[i, j] = may and not 2.0 * (_dual(both, y, gram) - without) + _ROUNDING * n < square
            if found[i, j]:
                for c in range(9):
                    cells[n_found, 0, c], cells[n_found, 1, c] = of_controls[c], of_cases[c]
                n_found += 1
    return n_linked, n_untestable
