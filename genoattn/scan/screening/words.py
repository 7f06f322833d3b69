"""Columns as words of bits, a group of samples in each, and their sums by what groups count for."""

from __future__ import annotations

import numpy as np
from numba import njit

from genoattn.scan.screening.alike import GROUP
from genoattn.scan.screening.bits import at_least, set_bits
from genoattn.scan.screening.lanes import LANES


@njit(nogil=True, cache=True)
def pack_words(codes, groups):  # type: ignore[no-untyped-def]
    """Words of columns of codes 0, 1, 2, the samples of a group in one.

    Parameters
    ----------
    codes
        Shape (n_columns, n_samples), int8.
    groups
        Shape (n_groups, 32), int64, samples, -1 where there are fewer.

    Returns
    -------
    Shape (n_columns, n_words, 2 planes) int32, codes of 1 or more and codes of 2; ``n_words`` is even.
    """
    n_words = 2 * (-(-len(groups) // 2))
    out = np.zeros((len(codes), n_words, 2), dtype=np.int32)
    order = groups.reshape(-1)
    ordered = np.zeros(len(order), dtype=np.int8)
    last = len(order)
    for i in range(len(codes)):
        row = codes[i]
        for k in range(last):
            sample = order[k]
            ordered[k] = row[max(sample, 0)] if sample >= 0 else np.int8(0)
        for w in range(len(groups)):
            address = ordered.ctypes.data + np.uint64(GROUP * w)
            out[i, w, 0] = np.int32(at_least(address, np.int8(1)))
            out[i, w, 1] = np.int32(at_least(address, np.int8(2)))
    return out


@njit(nogil=True, cache=True)
def word_sums(words, vectors, square):  # type: ignore[no-untyped-def]
    """Sums of columns, or of their squares, by vectors that are constant within words.

    Parameters
    ----------
    words
        From :func:`pack_words`.
    vectors
        Shape (n_vectors, n_words), float64.
    square
        Whether the codes are squared.

    Returns
    -------
    Shape (n_vectors, n_columns), float64.
    """
    out = np.zeros((len(vectors), len(words)))
    count = np.empty(words.shape[1])
    more = np.uint64(3 if square else 1)
    for i in range(len(words)):
        for w in range(len(count)):
            one, two = np.uint64(np.uint32(words[i, w, 0])), np.uint64(np.uint32(words[i, w, 1]))
            count[w] = np.float64(set_bits(one) + more * set_bits(two))
        for v in range(len(vectors)):
            total = 0.0
            for w in range(len(count)):
                total += vectors[v, w] * count[w]
            out[v, i] = total
    return out


@njit(nogil=True, cache=True)
def digit_sums(codes, digits):  # type: ignore[no-untyped-def]
    """Sums of columns times digits: int8 of shapes (n_columns, n_samples) and (n_digits, n_samples)."""
    out = np.zeros((len(digits), len(codes)))
    for i in range(len(codes)):
        for d in range(len(digits)):
            total = np.int32(0)
            for s in range(codes.shape[1]):
                total += np.int32(codes[i, s]) * np.int32(digits[d, s])
            out[d, i] = total
    return out


def as_columns(words: np.ndarray, side: int) -> np.ndarray:
    """Words of rows as those of the columns of a tile, filled up to a multiple of ``side``."""
    words = np.pad(words, ((0, -len(words) % side), (0, 0), (0, 0)))
    words = words.reshape(-1, LANES, *words.shape[1:]).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(words)
