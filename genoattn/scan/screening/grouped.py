"""Genotypes counted in groups of samples that a scan weighs alike, inside compiled functions.

Samples are put in groups (alike.py), the words of the planes of bits (bits.py), that have nearly the same
weight, trait or fixed effects. The samples set in both planes of a pair are then counted word by word,
and the counts of a word times one number hold what its samples add to a sum: sums with weights cost no more
than plain ones, and those of a vector one instruction for two words.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from genoattn.scan.screening.alike import GROUP
from genoattn.scan.screening.bits import at_least, set_bits
from genoattn.scan.screening.lanes import (
    LANES,
    LONG,
    NOTHING,
    WORD,
    WORDS,
    filled,
    instruction,
    load,
    steps_past,
    store,
    store_apart,
)

_TOGETHER = 4  # vectors whose sums are held in registers at a time


class Grouped(NamedTuple):
    """Columns without missing calls, as the rows or as the columns of a tile; whole numbers throughout.

    Parameters
    ----------
    words
        int32, 32 samples each: of rows ``(n_rows, n_words, 2 planes)``, of columns ``(n_columns / 16,
        n_words, 2 planes, 16 columns)``; ``n_words`` is even.
    centre
        Shape (n_block,) int32, what is taken off the codes.
    total, square
        Shape (n_block,) int32, weighted sums of the codes and of their squares.
    sums
        Shape (n_vectors, n_block) int32, sums of the vectors times the codes.
    """

    words: np.ndarray
    centre: np.ndarray
    total: np.ndarray
    square: np.ndarray
    sums: np.ndarray


class Groups(NamedTuple):
    """What the groups of samples count for; whole numbers throughout.

    Parameters
    ----------
    weight
        Shape (n_words,) int32, of 15 bits at most; of no words where all are 1.
    vectors
        Shape (n_vectors, n_words / 2) int32: two words' numbers of 16 bits each.
    whole
        Sum of the weights over all samples.
    totals
        Shape (n_vectors,) int32, sums of the vectors over all samples.
    """

    weight: np.ndarray
    vectors: np.ndarray
    whole: int
    totals: np.ndarray


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


def no_words(side: int) -> Grouped:
    """No columns, in the shape of :class:`Grouped`."""
    none = np.zeros(0, dtype=np.int32)
    words = np.zeros((0, 0, 2, LANES) if side else (0, 0, 2), dtype=np.int32)
    return Grouped(words, none, none, none, np.zeros((0, 0), dtype=np.int32))


def no_groups() -> Groups:
    """Groups of no samples."""
    none = np.zeros(0, dtype=np.int32)
    return Groups(none, np.zeros((0, 0), dtype=np.int32), 0, none)


def _dot(builder, sums, left, right):  # type: ignore[no-untyped-def]
    """Sums and, for each lane, the product of the lower halves and that of the upper ones."""
    halves = ir.VectorType(ir.IntType(16), 2 * LANES)
    parts = [builder.bitcast(x, halves) for x in (left, right)]
    return instruction(builder, "llvm.x86.avx512.vpdpwssd.512", [sums, *parts])


def _count_words(weighted):  # type: ignore[no-untyped-def]
    """The counter of both planes of a row and of sixteen columns, with weights or without.

    Of the addresses of a row's words, of the columns' words, of the weights, of the sums, how far these are
    apart, of the totals, and the number of pairs of words: it fills four vectors of sums (planes one of
    row and column, one and two, two and one, two) and for each pair of words a vector of their totals.
    """

    @intrinsic
    def count(typing_context, row, columns, weight, out, apart, totals, n_pairs):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            row, columns, weight, out, apart, totals, n_pairs = arguments
            places = [cgutils.alloca_once(builder, WORDS) for _ in range(4)]
            for place in places:
                builder.store(NOTHING, place)
            with cgutils.for_range(builder, n_pairs, intp=LONG) as loop:
                of_row = builder.add(row, builder.mul(loop.index, ir.Constant(LONG, 16)))
                of_columns = builder.add(columns, builder.mul(loop.index, ir.Constant(LONG, 16 * LANES)))
                of_weight = builder.add(weight, builder.mul(loop.index, ir.Constant(LONG, 8)))
                halves = []
                for w in range(2):
                    planes = [load(builder, WORDS, of_columns, 4 * LANES * (2 * w + k)) for k in range(2)]
                    words = [filled(builder, load(builder, WORD, of_row, 8 * w + 4 * k)) for k in range(2)]
                    both = [builder.and_(words[k // 2], planes[k % 2]) for k in range(4)]
                    counts = [instruction(builder, "llvm.ctpop.v16i32", [x]) for x in both]
                    worth = filled(builder, load(builder, WORD, of_weight, 4 * w)) if weighted else None
                    for count, place in zip(counts, places, strict=True):
                        old = builder.load(place)
                        new = _dot(builder, old, count, worth) if weighted else builder.add(old, count)
                        builder.store(new, place)
                    pairs = [builder.add(counts[0], counts[1]), builder.add(counts[2], counts[3])]
                    halves.append(builder.add(*pairs))
                upper = builder.shl(halves[1], ir.Constant(WORDS, [16] * LANES))
                to = builder.add(totals, builder.mul(loop.index, ir.Constant(LONG, 4 * LANES)))
                store(builder, builder.or_(halves[0], upper), to)
            store_apart(builder, places, out, apart)
            return context.get_dummy_value()

        return types.void(*[types.uint64] * 7), generate

    return count


def _add_words(number):  # type: ignore[no-untyped-def]
    """The sums of some vectors times the totals of sixteen columns.

    Of the addresses of the totals, of the vectors, how far these are apart, of the sums, how far these are
    apart, and the number of pairs of words.
    """

    @intrinsic
    def add(typing_context, totals, vectors, line, out, apart, n_pairs):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            totals, vectors, line, out, apart, n_pairs = arguments
            places = [cgutils.alloca_once(builder, WORDS) for _ in range(number)]
            for place in places:
                builder.store(NOTHING, place)
            with cgutils.for_range(builder, n_pairs, intp=LONG) as loop:
                at = builder.add(totals, builder.mul(loop.index, ir.Constant(LONG, 4 * LANES)))
                counts = load(builder, WORDS, at)
                at = builder.add(vectors, builder.mul(loop.index, ir.Constant(LONG, 4)))
                for k, place in enumerate(places):
                    of_vector = steps_past(builder, at, line, k)
                    worth = filled(builder, load(builder, WORD, of_vector))
                    builder.store(_dot(builder, builder.load(place), counts, worth), place)
            store_apart(builder, places, out, apart)
            return context.get_dummy_value()

        return types.void(*[types.uint64] * 6), generate

    return add


_count_plain, _count_weighted = _count_words(False), _count_words(True)
_add_one, _add_four = _add_words(1), _add_words(_TOGETHER)


@njit(nogil=True, cache=True)
def grouped_sums(rows, columns, groups, top, start, stop, totals, sums):  # type: ignore[no-untyped-def]
    """Sums of products of centred codes, of 32 rows from ``top`` on with some columns.

    Parameters
    ----------
    rows, columns
        :class:`Grouped`.
    groups
        :class:`Groups`.
    top
        First row.
    start, stop
        Columns, multiples of 16.
    totals
        Room of shape (n_words / 2, 16) int32.
    sums
        Shape (4 + n_vectors, 32, at least stop - start) int32, filled with those of a b, a b^2, a^2 b and
        a^2 b^2 with the weights, and of a b with each vector.
    """
    n_pairs, n_vectors = np.uint64(groups.vectors.shape[1]), len(groups.vectors)
    apart, line, room = np.uint64(sums.strides[0]), np.uint64(groups.vectors.strides[0]), totals.ctypes.data
    n_rows = min(sums.shape[1], len(rows.words) - top)
    weight = groups.weight.ctypes.data
    for j in range(start, stop, LANES):
        of_columns = columns.words[j // LANES].ctypes.data
        for r in range(n_rows):
            past = np.uint64(4 * (j - start))
            out, of_row = sums[0, r].ctypes.data + past, rows.words[top + r].ctypes.data
            if len(groups.weight):
                _count_weighted(of_row, of_columns, weight, out, apart, room, n_pairs)
            else:
                _count_plain(of_row, of_columns, weight, out, apart, room, n_pairs)
            done = 0
            while done + _TOGETHER <= n_vectors:
                out = sums[4 + done, r].ctypes.data + past
                _add_four(room, groups.vectors[done].ctypes.data, line, out, apart, n_pairs)
                done += _TOGETHER
            while done < n_vectors:
                out = sums[4 + done, r].ctypes.data + past
                _add_one(room, groups.vectors[done].ctypes.data, line, out, apart, n_pairs)
                done += 1
    for r in range(n_rows):
        i = top + r
        _centre_weighted(
            rows.centre[i], rows.total[i], rows.square[i], columns.centre[start:stop],
            columns.total[start:stop], columns.square[start:stop], np.int32(groups.whole), sums[0, r],
            sums[1, r], sums[2, r], sums[3, r],
        )  # fmt: skip
        for v in range(n_vectors):
            _centre_vector(
                rows.centre[i], rows.sums[v, i], columns.centre[start:stop], columns.sums[v, start:stop],
                groups.totals[v], sums[4 + v, r],
            )  # fmt: skip


@njit(nogil=True, cache=True)
def _centre_weighted(c, a, aa, centre, total, square, n, s11, s12, s21, s22):  # type: ignore[no-untyped-def]
    """Counts of both planes, in place, to sums of products of codes less c and less each column's centre."""
    two = np.int32(2)
    for j in range(len(centre)):
        d, b, bb = centre[j], total[j], square[j]
        p, q, r, s = s11[j], s12[j], s21[j], s22[j]
        ab, abb = p + q + r + s, p + r + np.int32(3) * (q + s)
        aab, aabb = p + q + np.int32(3) * (r + s), p + np.int32(3) * (q + r) + np.int32(9) * s
        # a (b - d)^2, a^2 (b - d)^2 and (b - d)^2
        by_a, by_aa = abb - two * d * ab + d * d * a, aabb - two * d * aab + d * d * aa
        alone = bb - two * d * b + d * d * n
        s11[j] = ab - d * a - c * (b - n * d)
        s12[j] = by_a - c * alone
        s21[j] = aab - d * aa - two * c * (ab - d * a) + c * c * (b - n * d)
        s22[j] = by_aa - two * c * by_a + c * c * alone


@njit(nogil=True, cache=True)
def _centre_vector(c, a, centre, b, n, s):  # type: ignore[no-untyped-def]
    """The same of the sums of a vector times both codes."""
    for j in range(len(centre)):
        s[j] -= centre[j] * a + c * b[j] - c * centre[j] * n
