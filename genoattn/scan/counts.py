"""Compiled sums over the samples of pairs of columns: counts of bit planes, and sums over missing calls.

A column of codes 0, 1 and 2 is three planes of bits: the samples with code 1, those with code 2, and those
with a call. The number of samples with code x at one column and y at the other is the number of bits set in
both planes, which every processor counts fast.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numba.extending import intrinsic

WORD = 64  # samples


@intrinsic
def _ctpop(typing_context: Any, word: Any) -> tuple[Any, Callable]:
    """Number of bits set in a word of any width; LLVM makes vector instructions of it on every processor."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count = builder.module.declare_intrinsic("llvm.ctpop", [arguments[0].type])
        return builder.call(count, arguments)

    return word(word), generate


def pack_planes(codes: np.ndarray, place: np.ndarray, n_words: int) -> np.ndarray:
    """Bit planes of columns: (n_columns, 3, n_words), uint64, samples with code 1, with code 2, with a call.

    ``codes`` (n_columns, n_samples), int8, are 0, 1, 2, or -1 where the call is missing; ``place``
    (n_samples,) is the bit of each sample, below ``64 n_words``.
    """
    placed = np.full((len(codes), WORD * n_words), -1, dtype=np.int8)
    placed[:, place] = codes
    planes = [np.packbits(plane, axis=1) for plane in (placed == 1, placed == 2, placed >= 0)]
    return np.stack(planes, axis=1).view(np.uint64)


@njit(inline="always")
def _weighed(word, weight, w):  # type: ignore[no-untyped-def]
    """Number of bits of a word times its weight; both fit in 32 bits, which the product has to be told."""
    if weight is None:
        return _ctpop(word)
    return np.uint64(np.uint32(_ctpop(word))) * np.uint64(np.uint32(weight[w]))


@njit(nogil=True, cache=True)
def count_row(row, planes, weight, missing, out):  # type: ignore[no-untyped-def]
    """Samples by their codes at one column, ``row`` (3, n_words), and at each of others (n_cols, 3, n_words).

    ``weight`` (n_words,), uint64, is what a sample of each word counts, None for 1; where ``missing`` is None
    no call is missing, and only the first four counts are made. ``out`` (n_cols, 9), int64, has the samples
    with codes (1, 1), (1, 2), (2, 1) and (2, 2); with 1 and with 2 at the row and a call at the column; with
    a call at the row and 1 and 2 at the column; with both.
    """
    for j in range(len(planes)):
        c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = c8 = np.uint64(0)
        for w in range(row.shape[1]):
            a, b, c, d = row[0, w], row[1, w], planes[j, 0, w], planes[j, 1, w]
            c0 += _weighed(a & c, weight, w)
            c1 += _weighed(a & d, weight, w)
            c2 += _weighed(b & c, weight, w)
            c3 += _weighed(b & d, weight, w)
            if missing is not None:
                g, h = row[2, w], planes[j, 2, w]
                c4 += _weighed(a & h, weight, w)
                c5 += _weighed(b & h, weight, w)
                c6 += _weighed(g & c, weight, w)
                c7 += _weighed(g & d, weight, w)
                c8 += _weighed(g & h, weight, w)
        mine = out[j]
        mine[0], mine[1], mine[2], mine[3] = c0, c1, c2, c3
        if missing is not None:
            mine[4], mine[5], mine[6], mine[7], mine[8] = c4, c5, c6, c7, c8


@njit(nogil=True, cache=True)
def sum_over_sets(row, planes, sets, of_sets, out):  # type: ignore[no-untyped-def]
    """Sums of the products of one column's codes with each of others' over sets of samples.

    ``row`` and ``planes`` are as in :func:`count_row`, a missing call a code of 0; ``sets`` (n_sets,
    n_words), uint64, are the samples in each set, ``of_sets`` (3, n_words), uint64, is memory; ``out``
    (n_sets, n_cols), float32, is written.
    """
    once, twice, four = of_sets[0], of_sets[1], of_sets[2]
    for j in range(len(planes)):
        for w in range(row.shape[1]):
            a, b, c, d = row[0, w], row[1, w], planes[j, 0, w], planes[j, 1, w]
            once[w], twice[w], four[w] = a & c, (a & d) | (b & c), b & d
        for k in range(len(sets)):
            total = np.uint64(0)
            for w in range(row.shape[1]):
                member = sets[k, w]
                total += _ctpop(once[w] & member)
                total += _ctpop(twice[w] & member) << np.uint64(1)
                total += _ctpop(four[w] & member) << np.uint64(2)
            out[k, j] = total


@njit(nogil=True, cache=True, fastmath=True)
def sum_over_missing(start, missing, codes, trait, out):  # type: ignore[no-untyped-def]
    """Sums of the trait times other columns' codes over the samples that lack a call at each column.

    Column j lacks ``missing[start[j] : start[j + 1]]``; ``codes`` (n_samples, n_others), int8, are those of
    the other columns, 0 where missing; ``out`` (n_columns, n_others), float64, is written.
    """
    for j in range(len(start) - 1):
        mine = out[j]
        for i in range(len(mine)):
            mine[i] = 0.0
        for k in range(start[j], start[j + 1]):
            row, y = codes[missing[k]], trait[missing[k]]
            for i in range(len(row)):
                mine[i] += y * row[i]


@njit(nogil=True, cache=True)
def sum_over_both_missing(samples, others, trait, out):  # type: ignore[no-untyped-def]
    """Sums of the trait over the ``samples`` that lack a call at one column, and at each of others: ``out``.

    With ``start_of_sample`` and ``columns`` of ``others``, the other columns that lack sample s are
    ``columns[start_of_sample[s] : start_of_sample[s + 1]]``; ``out`` is (n_others,), float64.
    """
    for k in range(len(out)):
        out[k] = 0.0
    for s in samples:
        for k in range(others.start_of_sample[s], others.start_of_sample[s + 1]):
            out[others.columns[k]] += trait[s]


@njit(nogil=True, cache=True)
def own_sums(codes, weight, trait, out):  # type: ignore[no-untyped-def]
    """Sums of single columns over their called samples.

    ``codes`` (n_columns, n_samples), int8, are -1 where missing; ``out`` (n_columns, 6), float64, has the
    weights of called samples, of those with code 1 and with code 2; the sum of the trait times the code; sums
    of the trait and of its square over samples without a call.
    """
    for j in range(len(codes)):
        n = one = two = with_trait = missed = square = 0.0
        for s in range(codes.shape[1]):
            c, w, y = codes[j, s], weight[s], trait[s]
            if c < 0:
                missed += y
                square += y * y
            else:
                n += w
                with_trait += y * c
                one += w if c == 1 else 0.0
                two += w if c == 2 else 0.0
        out[j, 0], out[j, 1], out[j, 2] = n, one, two
        out[j, 3], out[j, 4], out[j, 5] = with_trait, missed, square


@njit(nogil=True, cache=True)
def count_with_sets(sets, planes, out):  # type: ignore[no-untyped-def]
    """Samples with codes 1 and 2 at each column, bit planes, in each of an even number of sets.

    ``sets`` is (n_sets, n_words), uint64; ``out`` (2 n_sets, n_columns at least), float64, has those with
    code 1 in every set, then those with code 2.
    """
    for c in range(len(planes)):
        one, two = planes[c, 0], planes[c, 1]
        for k in range(0, len(sets), 2):
            c0 = c1 = c2 = c3 = np.uint64(0)
            for w in range(sets.shape[1]):
                c0 += _ctpop(sets[k, w] & one[w])
                c1 += _ctpop(sets[k + 1, w] & one[w])
                c2 += _ctpop(sets[k, w] & two[w])
                c3 += _ctpop(sets[k + 1, w] & two[w])
            out[k, c], out[k + 1, c] = c0, c1
            out[len(sets) + k, c], out[len(sets) + k + 1, c] = c2, c3
