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

from genoattn.scan.screening.lanes import (
    FLOAT,
    FLOATS,
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
    times_plus,
)


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
    trait
        Shape (n_block,) int32, sums of the trait times the codes.
    mean
        Shape (n_block,) float32, weighted means of the codes.
    effects, on_fixed
        Shape (n_effects, n_block) float32, sums of the fixed effects times the codes, and what these have of
        the unit column.
    """

    words: np.ndarray
    centre: np.ndarray
    total: np.ndarray
    square: np.ndarray
    trait: np.ndarray
    mean: np.ndarray
    effects: np.ndarray
    on_fixed: np.ndarray


class Groups(NamedTuple):
    """What the groups of samples count for; whole numbers throughout.

    Parameters
    ----------
    weight
        Shape (n_words,) int32, of 15 bits at most; of no words where all are 1.
    vectors
        Shape (1 + n_effects, n_words / 2) int32, of the trait and of fixed effects: two words' numbers of 16
        bits each.
    whole, trait
        Sums of the weights and of the trait over all samples.
    step, effects
        Shape (n_effects,) float32, what one means of each fixed effect, and its sum over all samples.
    """

    weight: np.ndarray
    vectors: np.ndarray
    whole: int
    trait: int
    step: np.ndarray
    effects: np.ndarray


def no_words(side: int) -> Grouped:
    """No columns, in the shape of :class:`Grouped`."""
    none = np.zeros(0, dtype=np.int32)
    words = np.zeros((0, 0, 2, LANES) if side else (0, 0, 2), dtype=np.int32)
    numbers = np.zeros((0, 0), dtype=np.float32)
    return Grouped(words, none, none, none, none, numbers.reshape(-1), numbers, numbers)


def no_groups() -> Groups:
    """Groups of no samples."""
    none = np.zeros(0, dtype=np.int32)
    numbers = np.zeros(0, dtype=np.float32)
    return Groups(none, np.zeros((0, 0), dtype=np.int32), 0, 0, numbers, numbers)


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


def _sums_of_totals(builder, totals, vectors, line, n_pairs, number):  # type: ignore[no-untyped-def]
    """The sums of some vectors times the totals of sixteen columns, in places."""
    places = [cgutils.alloca_once(builder, WORDS) for _ in range(number)]
    for place in places:
        builder.store(NOTHING, place)
    with cgutils.for_range(builder, n_pairs, intp=LONG) as loop:
        counts = load(builder, WORDS, steps_past(builder, totals, loop.index, 4 * LANES))
        at = steps_past(builder, vectors, loop.index, 4)
        for k, place in enumerate(places):
            worth = filled(builder, load(builder, WORD, steps_past(builder, at, line, k)))
            builder.store(_dot(builder, builder.load(place), counts, worth), place)
    return places


@intrinsic
def _add_trait(typing_context, totals, vector, out, n_pairs):  # type: ignore[no-untyped-def]
    """The sums of the trait: of the addresses of totals, trait and sums, and the number of pairs of words."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        totals, vector, out, n_pairs = arguments
        (place,) = _sums_of_totals(builder, totals, vector, ir.Constant(LONG, 0), n_pairs, 1)
        store(builder, builder.load(place), out)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 4), generate


def _add_effects(number):  # type: ignore[no-untyped-def]
    """What some fixed effects have of products, squared, and of both columns, multiplied: sums over them.

    Of the addresses of the totals and of the effects, how far these are apart, and the number of pairs of
    words; the addresses of a row's step, sum and share for each effect, and of its mean; those of the
    columns' means, of their sums and shares of the effects, and how far these are apart; those of the two
    sums, to which is added what is found.
    """

    @intrinsic
    def add(  # type: ignore[no-untyped-def]
        typing_context, totals, vectors, line, n_pairs, row, mean, means, sums, shares, apart, out, both
    ):
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            totals, vectors, line, n_pairs, row, mean, means, sums, shares, apart, out, both = arguments
            places = _sums_of_totals(builder, totals, vectors, line, n_pairs, number)
            mean_a, mean_b = filled(builder, load(builder, FLOAT, mean)), load(builder, FLOATS, means)
            square, product = load(builder, FLOATS, out), load(builder, FLOATS, both)
            for k, place in enumerate(places):
                step, less, share = (
                    filled(builder, load(builder, FLOAT, row, 16 * k + 4 * f)) for f in range(3)
                )
                of_b, share_b = (
                    load(builder, FLOATS, steps_past(builder, x, apart, k)) for x in (sums, shares)
                )
                whole = builder.sitofp(builder.load(place), FLOATS)
                # <(a - ma)(b - mb), q> = <ab, q> - ma <b, q> - mb (<a, q> - ma <1, q>)
                found = builder.fsub(builder.fmul(step, whole), builder.fmul(mean_a, of_b))
                found = builder.fsub(found, builder.fmul(mean_b, less))
                square = times_plus(builder, found, found, square)
                product = times_plus(builder, share, share_b, product)
            store(builder, square, out)
            store(builder, product, both)
            return context.get_dummy_value()

        return types.void(*[types.uint64] * 12), generate

    return add


_count_plain, _count_weighted = _count_words(False), _count_words(True)
_add_one, _add_two, _add_three, _add_four = (_add_effects(k) for k in (1, 2, 3, 4))


@njit(inline="always")
def _add_some(left, of_groups, of_row, of_columns, outs):  # type: ignore[no-untyped-def]
    """Add as many of the effects that are left as go together; how many."""
    totals, vector, line, n_pairs = of_groups
    (row, mean), (means, sums, shares, apart), (out, both) = of_row, of_columns, outs
    if left >= 4:
        _add_four(totals, vector, line, n_pairs, row, mean, means, sums, shares, apart, out, both)
    elif left == 3:
        _add_three(totals, vector, line, n_pairs, row, mean, means, sums, shares, apart, out, both)
    elif left == 2:
        _add_two(totals, vector, line, n_pairs, row, mean, means, sums, shares, apart, out, both)
    else:
        _add_one(totals, vector, line, n_pairs, row, mean, means, sums, shares, apart, out, both)
    return min(left, 4)


@njit(nogil=True, cache=True)
def _fill_rows(rows, groups, top, table):  # type: ignore[no-untyped-def]
    """What the fixed effects have of rows from ``top`` on, as :func:`_add_effects` reads it."""
    for r in range(min(len(table), len(rows.words) - top)):
        i = top + r
        for k in range(len(groups.step)):
            table[r, k, 0] = groups.step[k]
            table[r, k, 1] = rows.effects[k, i] - rows.mean[i] * groups.effects[k]
            table[r, k, 2] = rows.on_fixed[k, i]


@njit(nogil=True, cache=True)
def grouped_sums(rows, columns, groups, top, start, stop, room, sums, shares):  # type: ignore[no-untyped-def]
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
    room
        Room of shape (n_words / 2, 16) int32, and of shape (32, n_effects, 4) float32.
    sums
        Shape (5, 32, at least stop - start) int32, filled with those of a b, a b^2, a^2 b and a^2 b^2 with
        the weights, and of a b with the trait.
    shares
        Shape (2, 32, at least stop - start) float32, filled with the squares of what the fixed effects have
        of the products of columns less their means, and the products of what they have of both unit columns.
    """
    totals, table = room
    n_pairs, n_effects = np.uint64(groups.vectors.shape[1]), len(groups.step)
    apart, line, at = np.uint64(sums.strides[0]), np.uint64(groups.vectors.strides[0]), totals.ctypes.data
    n_rows = min(sums.shape[1], len(rows.words) - top)
    weight, vectors = groups.weight.ctypes.data, groups.vectors.ctypes.data
    of_effects, of_shares = columns.effects.ctypes.data, columns.on_fixed.ctypes.data
    means, block = columns.mean.ctypes.data, np.uint64(columns.effects.strides[0])
    shares[:, :n_rows, : stop - start] = 0
    _fill_rows(rows, groups, top, table)
    for j in range(start, stop, LANES):
        of_columns, place = columns.words[j // LANES].ctypes.data, np.uint64(4 * j)
        for r in range(n_rows):
            past = np.uint64(4 * (j - start))
            out, of_row = sums[0, r].ctypes.data + past, rows.words[top + r].ctypes.data
            if len(groups.weight):
                _count_weighted(of_row, of_columns, weight, out, apart, at, n_pairs)
            else:
                _count_plain(of_row, of_columns, weight, out, apart, at, n_pairs)
            _add_trait(at, vectors, sums[4, r].ctypes.data + past, n_pairs)
            done = 0
            while done < n_effects:
                of_row = table[r, done].ctypes.data, rows.mean.ctypes.data + np.uint64(4 * (top + r))
                skip, vector = np.uint64(done) * block + place, vectors + np.uint64(done + 1) * line
                of_block = means + place, of_effects + skip, of_shares + skip, block
                outs = shares[0, r].ctypes.data + past, shares[1, r].ctypes.data + past
                done += _add_some(n_effects - done, (at, vector, line, n_pairs), of_row, of_block, outs)
    for r in range(n_rows):
        i = top + r
        _centre_weighted(
            rows.centre[i], rows.total[i], rows.square[i], columns.centre[start:stop],
            columns.total[start:stop], columns.square[start:stop], np.int32(groups.whole), sums[0, r],
            sums[1, r], sums[2, r], sums[3, r],
        )  # fmt: skip
        _centre_trait(
            rows.centre[i], rows.trait[i], columns.centre[start:stop], columns.trait[start:stop],
            np.int32(groups.trait), sums[4, r],
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
def _centre_trait(c, a, centre, b, n, s):  # type: ignore[no-untyped-def]
    """The same of the sums of the trait times both codes."""
    for j in range(len(centre)):
        s[j] -= centre[j] * a + c * b[j] - c * centre[j] * n
