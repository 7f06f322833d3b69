"""Columns as bits: inner products of genotypes by counting set bits, exact and without a matrix product.

A column of dosages 0, 1, 2 is two planes of bits, ``code = one + two`` with ``one = code >= 1`` and
``two = code == 2``, so that ``code^2 = one + 3 two``; an indicator has ``one`` alone. Sixty-four samples
are a word, and the four counts of samples set in both planes of a pair hold all its genotype products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from genoattn.cohort import MISSING

_WORDS = 8  # words of a plane come in vectors of the processor
_BLOCK = 1024
LANES = 16  # columns whose bits are counted at a time, 32 samples of each
_WORD, _LONG = ir.IntType(32), ir.IntType(64)
_LANES = ir.VectorType(_WORD, LANES)


@intrinsic
def set_bits(typing_context, word):  # type: ignore[no-untyped-def]
    """Number of set bits of a uint64, inside compiled functions."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(count, arguments)

    return types.uint64(types.uint64), generate


@dataclass(frozen=True, eq=False)
class Planes:
    """Columns of codes as bits.

    Parameters
    ----------
    one, two
        Shape (n_columns, n_words), uint64: which samples have a code of 1 or more, of 2.
    called
        Shape (n_columns, n_words), uint64: which calls are not missing.
    dosage
        Shape (n_columns,), whether any code of the column is 2.
    """

    one: np.ndarray
    two: np.ndarray
    called: np.ndarray
    dosage: np.ndarray


def pack_planes(codes: np.ndarray) -> Planes:
    """Bits of columns of codes 0, 1, 2, and -1 where missing, int8 of shape (n_columns, n_samples)."""
    n_columns, n_samples = codes.shape
    n_words = -(-n_samples // 64)
    n_words = -(-n_words // _WORDS) * _WORDS
    planes = [np.zeros((n_columns, n_words * 8), dtype=np.uint8) for _ in range(3)]
    for start in range(0, n_columns, _BLOCK):
        rows = slice(start, start + _BLOCK)
        part = codes[rows]
        for plane, bits in zip(planes, (part >= 1, part == 2, part != MISSING), strict=True):
            packed = np.packbits(bits, axis=1, bitorder="little")
            plane[rows, : packed.shape[1]] = packed
    one, two, called = (plane.view(np.uint64) for plane in planes)
    return Planes(one, two, called, np.asarray(two.any(axis=1)))


class Bits(NamedTuple):
    """Columns without missing calls, as the rows or as the columns of a tile.

    Parameters
    ----------
    words
        int32, 32 samples each: of rows ``(n_rows, words, 2 planes)``, of columns ``(n_columns / 16, words, 2
        planes, 16 columns)``.
    centre
        Shape (n_block,) int32, what is taken off the codes.
    total, square
        Shape (n_block,) int32, sums of the codes and of their squares.
    n_samples
        Number of samples.
    """

    words: np.ndarray
    centre: np.ndarray
    total: np.ndarray
    square: np.ndarray
    n_samples: int


def block_bits(planes: Planes, chosen: np.ndarray, centre: np.ndarray, n_samples: int, side: int) -> Bits:
    """Some columns as the rows of a tile (``side`` 0), or as its columns, filled up to a multiple of it."""
    one, two = planes.one[chosen], planes.two[chosen]
    n_one, n_two = (np.bitwise_count(x).sum(axis=1, dtype=np.int32) for x in (one, two))
    words = np.stack([one.view(np.int32), two.view(np.int32)], axis=2)  # (row, word, plane)
    numbers = [centre.astype(np.int32), n_one + n_two, n_one + 3 * n_two]
    if side:
        more = -len(chosen) % side
        words = np.pad(words, ((0, more), (0, 0), (0, 0)))
        words = words.reshape(-1, LANES, *words.shape[1:]).transpose(0, 2, 3, 1)
        numbers = [np.pad(x, (0, more)) for x in numbers]
    return Bits(np.ascontiguousarray(words), numbers[0], numbers[1], numbers[2], n_samples)


def no_bits(side: int) -> Bits:
    """Bits of no columns, in the shape of :func:`block_bits`."""
    none = np.zeros(0, dtype=np.int32)
    return Bits(np.zeros((0, 0, 2, LANES) if side else (0, 0, 2), dtype=np.int32), none, none, none, 0)


@intrinsic
def _count_both(typing_context, row, columns, n_words, out, apart):  # type: ignore[no-untyped-def]
    """Samples set in both planes of a row and of sixteen columns: four vectors of int32, so far apart."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        row, columns, n_words, out, apart = arguments
        none = ir.Constant(_LANES, [0] * LANES)
        name, module = "llvm.ctpop.v16i32", builder.module
        count = module.globals.get(name) or ir.Function(module, ir.FunctionType(_LANES, [_LANES]), name)
        places = [cgutils.alloca_once(builder, _LANES) for _ in range(4)]
        for place in places:
            builder.store(none, place)

        def load(address, kind, past):  # type: ignore[no-untyped-def]
            at = builder.add(address, ir.Constant(_LONG, past))
            return builder.load(builder.inttoptr(at, kind.as_pointer()), align=4)

        with cgutils.for_range(builder, n_words, intp=_LONG) as loop:
            of_row = builder.add(row, builder.mul(loop.index, ir.Constant(_LONG, 8)))
            of_columns = builder.add(columns, builder.mul(loop.index, ir.Constant(_LONG, 8 * LANES)))
            planes = [load(of_columns, _LANES, 4 * LANES * k) for k in range(2)]
            for a in range(2):
                word = builder.insert_element(none, load(of_row, _WORD, 4 * a), ir.Constant(_WORD, 0))
                word = builder.shuffle_vector(word, none, none)  # in every lane
                for b in range(2):
                    both = builder.call(count, [builder.and_(word, planes[b])])
                    place = places[2 * a + b]
                    builder.store(builder.add(builder.load(place), both), place)
        for k, place in enumerate(places):
            at = builder.add(out, builder.mul(apart, ir.Constant(_LONG, k)))
            builder.store(builder.load(place), builder.inttoptr(at, _LANES.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 5), generate


@njit(nogil=True, cache=True)
def genotype_sums(rows, columns, top, start, stop, sums):  # type: ignore[no-untyped-def]
    """Sums of products of centred codes, of rows from ``top`` on with some columns.

    Parameters
    ----------
    rows, columns
        :class:`Bits`.
    top
        First row.
    start, stop
        Columns, multiples of 16.
    sums
        Shape (at least 4, n_rows, at least stop - start) int32, filled with those of a b, a b^2, a^2 b and
        a^2 b^2.
    """
    n_words, apart = np.uint64(rows.words.shape[1]), np.uint64(sums.strides[0])
    for j in range(start, stop, LANES):
        of_columns = columns.words[j // LANES].ctypes.data
        for r in range(min(sums.shape[1], len(rows.words) - top)):
            out = sums[0, r].ctypes.data + np.uint64(4 * (j - start))
            _count_both(rows.words[top + r].ctypes.data, of_columns, n_words, out, apart)
    for r in range(min(sums.shape[1], len(rows.words) - top)):
        i = top + r
        _centre(
            rows.centre[i], rows.total[i], rows.square[i], columns.centre[start:stop],
            columns.total[start:stop], columns.square[start:stop], np.int32(rows.n_samples), sums[0, r],
            sums[1, r], sums[2, r], sums[3, r],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def _centre(c, a, aa, centre, total, square, n, s11, s12, s21, s22):  # type: ignore[no-untyped-def]
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
