"""Compiled sums over the samples of pairs of columns: counts of bit planes, and sums over missing calls.

A column of codes 0, 1 and 2 is three planes of bits: the samples with code 1, those with code 2, and those
with a call. The number of samples with code x at one column and y at the other is the number of bits set in
both planes, which every processor counts fast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numba.extending import intrinsic

WORD = 64  # samples
N_COUNTS = 9  # of a pair


@intrinsic
def _ctpop(typing_context: Any, word: Any) -> tuple[Any, Callable]:
    """Number of bits set in a word of any width; LLVM makes vector instructions of it on every processor."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count = builder.module.declare_intrinsic("llvm.ctpop", [arguments[0].type])
        return builder.call(count, arguments)

    return word(word), generate


def pack_planes(codes: np.ndarray, place: np.ndarray, n_words: int) -> np.ndarray:
    """Bit planes of columns.

    Parameters
    ----------
    codes
        Shape (n_columns, n_samples), int8: 0, 1, 2, or -1 where the call is missing.
    place
        Shape (n_samples,), the bit of each sample, below ``64 n_words``.
    n_words
        Words of a plane.

    Returns
    -------
    Shape (n_columns, 3, n_words), uint64: samples with code 1, with code 2, with a call.
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
def count_pairs(left, right, weight, missing, out):  # type: ignore[no-untyped-def]
    """Samples of every pair by their codes.

    Parameters
    ----------
    left, right
        Shapes (n_rows, 3, n_words) and (n_cols, 3, n_words), bit planes.
    weight
        Shape (n_words,), uint64: what a sample of each word counts; None for 1.
    missing
        None where no call is missing: only the first four counts are made.
    out
        Shape (9, n_rows, n_cols), int64, written: samples with codes (1, 1), (1, 2), (2, 1) and (2, 2);
        with 1 and with 2 at the row and a call at the column; with a call at the row and 1 and 2 at the
        column; with both calls.
    """
    for i in range(len(left)):
        for j in range(len(right)):
            c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = c8 = np.uint64(0)
            for w in range(left.shape[2]):
                a, b, c, d = left[i, 0, w], left[i, 1, w], right[j, 0, w], right[j, 1, w]
                c0 += _weighed(a & c, weight, w)
                c1 += _weighed(a & d, weight, w)
                c2 += _weighed(b & c, weight, w)
                c3 += _weighed(b & d, weight, w)
                if missing is not None:
                    g, h = left[i, 2, w], right[j, 2, w]
                    c4 += _weighed(a & h, weight, w)
                    c5 += _weighed(b & h, weight, w)
                    c6 += _weighed(g & c, weight, w)
                    c7 += _weighed(g & d, weight, w)
                    c8 += _weighed(g & h, weight, w)
            out[0, i, j], out[1, i, j], out[2, i, j], out[3, i, j] = c0, c1, c2, c3
            if missing is not None:
                out[4, i, j], out[5, i, j], out[6, i, j], out[7, i, j] = c4, c5, c6, c7
                out[8, i, j] = c8


@njit(nogil=True, cache=True)
def sum_over_sets(left, right, sets, counts, of_left, of_right, mean_left, mean_right, n_samples, out):  # type: ignore[no-untyped-def]
    """Sums of the products of columns over sets of samples, less the set's share of all samples' sum, by
    pair.

    Parameters
    ----------
    left, right
        Bit planes, as in :func:`count_pairs`.
    sets
        Shape (n_sets, n_words), uint64, which samples are in each set.
    counts
        Of :func:`count_pairs`.
    of_left, of_right
        Shapes (n_rows, n_sets + 1) and (n_cols, n_sets + 1): sums of the codes over the samples of each
        set, and over all.
    mean_left, mean_right
        Shapes (n_rows,) and (n_cols,), what is taken off the codes; a missing call is a code of 0.
    n_samples
        Samples.
    out
        Shape (n_sets, n_rows, n_cols), float32, written.
    """
    n_words = left.shape[2]
    once, twice, four = (
        np.empty(n_words, np.uint64),
        np.empty(n_words, np.uint64),
        np.empty(n_words, np.uint64),
    )
    size = np.zeros(len(sets))
    for k in range(len(sets)):
        for w in range(n_words):
            size[k] += _ctpop(sets[k, w])
    for i in range(len(left)):
        for j in range(len(right)):
            for w in range(n_words):
                a, b, c, d = left[i, 0, w], left[i, 1, w], right[j, 0, w], right[j, 1, w]
                once[w], twice[w], four[w] = a & c, (a & d) | (b & c), b & d
            x, y = mean_left[i], mean_right[j]
            raw = counts[0, i, j] + 2 * (counts[1, i, j] + counts[2, i, j]) + 4 * counts[3, i, j]
            mean = (raw - x * of_right[j, -1] - y * of_left[i, -1]) / n_samples + x * y
            for k in range(len(sets)):
                total = np.uint64(0)
                for w in range(n_words):
                    member = sets[k, w]
                    total += _ctpop(once[w] & member)
                    total += _ctpop(twice[w] & member) << np.uint64(1)
                    total += _ctpop(four[w] & member) << np.uint64(2)
                less = x * of_right[j, k] + y * of_left[i, k]
                out[k, i, j] = np.float64(total) - less + (x * y - mean) * size[k]


@njit(nogil=True, cache=True, fastmath=True)
def sum_over_missing(start, missing, codes, trait, out):  # type: ignore[no-untyped-def]
    """Sums of the trait times other columns' codes over the samples that lack a call at each column.

    Parameters
    ----------
    start, missing
        Samples that lack a call at column j: ``missing[start[j] : start[j + 1]]``.
    codes
        Shape (n_samples, n_others), int8, the codes of the other columns; 0 where missing.
    trait
        Shape (n_samples,).
    out
        Shape (n_columns, n_others), float64, written.
    """
    for j in range(len(start) - 1):
        mine = out[j]
        mine[:] = 0.0
        for k in range(start[j], start[j + 1]):
            row, y = codes[missing[k]], trait[missing[k]]
            for i in range(len(row)):
                mine[i] += y * row[i]


@njit(nogil=True, cache=True)
def sum_over_both_missing(start, missing, others, first, trait, out):  # type: ignore[no-untyped-def]
    """Sums of the trait over the samples that lack a call at both columns.

    Parameters
    ----------
    start, missing
        As in :func:`sum_over_missing`.
    others
        With ``start_of_sample`` and ``columns``: the other block's columns that lack sample s are
        ``columns[start_of_sample[s] : start_of_sample[s + 1]]``.
    first
        The other block's column that ``out`` begins with.
    trait
        Shape (n_samples,).
    out
        Shape (n_columns, n_others), float64, written.
    """
    out[:] = 0.0
    for j in range(len(start) - 1):
        for k in range(start[j], start[j + 1]):
            s = missing[k]
            for m in range(others.start_of_sample[s], others.start_of_sample[s + 1]):
                other = others.columns[m] - first
                if 0 <= other < out.shape[1]:
                    out[j, other] += trait[s]


@njit(nogil=True, cache=True)
def own_sums(codes, weight, trait, out):  # type: ignore[no-untyped-def]
    """Sums of single columns over their called samples.

    Parameters
    ----------
    codes
        Shape (n_columns, n_samples), int8; -1 where missing.
    weight, trait
        Shape (n_samples,) float64.
    out
        Shape (n_columns, 6), float64, written: weights of called samples, of those with code 1 and with
        code 2; sum of the trait times the code; sums of the trait and of its square over samples without a
        call.
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
    """Samples with codes 1 and 2 at each column in each of some sets.

    Parameters
    ----------
    sets
        Shape (n_sets, n_words), uint64; an even number of sets.
    planes
        Shape (n_columns, 3, n_words), bit planes.
    out
        Shape (2 n_sets, n_columns at least), float64, written: those with code 1 in every set, then with
        code 2.
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
