"""Sums over the samples of one pair times vectors of bytes, inside compiled functions.

Four bits, two of each code of a pair, are the place in a table of sixteen bytes, which the processor looks up
for 64 samples at a time. What it finds, products without a sign, is then multiplied by signed bytes (AVX-512
VNNI), as many vectors as there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from genoattn.scan.screening.lanes import LONG, NOTHING, WORD, WORDS, instruction, load, steps_past, store

LINE = 64  # samples at a time
_BYTE = ir.IntType(8)
_BYTES = ir.VectorType(_BYTE, LINE)
_MASK = ir.VectorType(ir.IntType(1), LINE)
_TOGETHER = 4  # vectors whose sums are held in registers at a time
_POWERS = ((1, 1), (1, 2), (2, 1), (2, 2))  # of the two codes


class Digits(NamedTuple):
    """Vectors of bytes, as the sums of a pair are made with them.

    Parameters
    ----------
    digits
        Shape (n_lines, n_digits, 64) int8, 64 samples of every vector next to each other; 0 beyond the last.
    totals
        Shape (n_digits,) int64, sums of the vectors.
    tables
        Shape (3, 3, 4, 16) uint8: for what is taken off the codes a and b of two columns, the products
        ``a b``, ``a b^2``, ``a^2 b`` and ``a^2 b^2`` of what that leaves, more by 8, at place ``a + 4 b``.
    """

    digits: np.ndarray
    totals: np.ndarray
    tables: np.ndarray


class Near(NamedTuple):
    """What pairs that may pass are worked out with once more.

    Parameters
    ----------
    digits
        Of the trait, of each fixed effect, and of the weights unless all are 1.
    trait, effects, weight
        What one means, of the digits of each, float64.
    weight_error
        By what share of itself a weight may exceed its digits, or they it.
    trait_error, fixed_error
        Lengths of what the digits leave of the trait, and at most of all fixed effects together.
    """

    digits: Digits
    trait: np.ndarray
    effects: np.ndarray
    weight: np.ndarray
    weight_error: float
    trait_error: float
    fixed_error: float


def no_digits() -> Near:
    """Nothing to work out."""
    none = np.zeros(0)
    return Near(make_digits(np.zeros((0, 0), dtype=np.int8)), none, none, none, 0.0, 0.0, 0.0)


_MORE = 8  # what products are larger by, that none is below 0


def make_digits(vectors: np.ndarray) -> Digits:
    """Vectors of bytes, int8 of shape (n_digits, n_samples), in lines."""
    n_digits, n_samples = vectors.shape
    n_lines = -(-n_samples // LINE)
    lines = np.zeros((n_digits, n_lines * LINE), dtype=np.int8)
    lines[:, :n_samples] = vectors
    tables = np.zeros((3, 3, len(_POWERS), 4, 4), dtype=np.uint8)
    code = np.arange(3)
    for less_a in range(3):
        for less_b in range(3):
            for k, (p, q) in enumerate(_POWERS):
                products = np.outer((code - less_b) ** q, (code - less_a) ** p) + _MORE
                tables[less_a, less_b, k, :3, :3] = products
    return Digits(
        np.ascontiguousarray(lines.reshape(n_digits, n_lines, LINE).transpose(1, 0, 2)),
        vectors.sum(axis=1, dtype=np.int64),
        tables.reshape(3, 3, len(_POWERS), 16),
    )


def _look_up(builder, table, one, other):  # type: ignore[no-untyped-def]
    """The entries of a table for two vectors of codes up to 2."""
    place = builder.or_(one, builder.shl(other, ir.Constant(_BYTES, [2] * LINE)))
    return instruction(builder, "llvm.x86.avx512.pshuf.b.512", [table, place], _BYTES)


def _repeated(builder, address):  # type: ignore[no-untyped-def]
    """A vector of sixteen bytes four times."""
    quarter = load(builder, ir.VectorType(WORD, 4), address)
    places = ir.Constant(ir.VectorType(WORD, 16), [0, 1, 2, 3] * 4)
    return builder.bitcast(builder.shuffle_vector(quarter, quarter, places), _BYTES)


@intrinsic
def _fill_products(typing_context, one, other, table, out, n_lines, tail):  # type: ignore[no-untyped-def]
    """Look up the products of codes: so many lines of 64, then those that a mask of 64 bits names.

    All but the last two are addresses: of the codes, of the table, and of where the products go.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        one, other, table, out, n_lines, tail = arguments
        entries = _repeated(builder, table)
        with cgutils.for_range(builder, n_lines, intp=LONG) as loop:
            codes = [load(builder, _BYTES, steps_past(builder, x, loop.index, LINE)) for x in (one, other)]
            found = _look_up(builder, entries, *codes)
            store(builder, found, steps_past(builder, out, loop.index, LINE))
        mask = builder.bitcast(tail, _MASK)
        name = "llvm.masked.load.v64i8.p0v64i8"
        none, aligned = ir.Constant(_BYTES, [0] * LINE), ir.Constant(WORD, 1)
        codes = []
        for x in (one, other):
            at = builder.inttoptr(steps_past(builder, x, n_lines, LINE), _BYTES.as_pointer())
            codes.append(instruction(builder, name, [at, aligned, mask, none], _BYTES))
        store(builder, _look_up(builder, entries, *codes), steps_past(builder, out, n_lines, LINE))
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 6), generate


def _add_lines(number):  # type: ignore[no-untyped-def]
    """The sums of products times some vectors of bytes.

    Of the addresses of the products, of the vectors' first lines, how far apart the lines of one lie, of the
    sums (int32), and the number of lines.
    """

    @intrinsic
    def add(typing_context, products, digits, apart, out, n_lines):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            products, digits, apart, out, n_lines = arguments
            places = [cgutils.alloca_once(builder, WORDS) for _ in range(number)]
            for place in places:
                builder.store(NOTHING, place)
            with cgutils.for_range(builder, n_lines, intp=LONG) as loop:
                unsigned = load(builder, WORDS, steps_past(builder, products, loop.index, LINE))
                at = builder.add(digits, builder.mul(loop.index, apart))
                for k, place in enumerate(places):
                    signed = load(builder, WORDS, at, LINE * k)
                    name = "llvm.x86.avx512.vpdpbusd.512"
                    sums = instruction(builder, name, [builder.load(place), unsigned, signed])
                    builder.store(sums, place)
            for k, place in enumerate(places):
                target = builder.add(out, ir.Constant(LONG, 4 * k))
                word = instruction(builder, "llvm.vector.reduce.add.v16i32", [builder.load(place)], WORD)
                builder.store(word, builder.inttoptr(target, WORD.as_pointer()), align=4)
            return context.get_dummy_value()

        return types.void(*[types.uint64] * 5), generate

    return add


_add_one, _add_four = _add_lines(1), _add_lines(_TOGETHER)


# By addresses, and part of what calls it, as slices of arrays and calls with many cost more than the sums.
@njit(inline="always")
def pair_sums(pair, digits, kind, first, last, room, out):  # type: ignore[no-untyped-def]
    """Sums of the products of two columns times vectors of bytes.

    Parameters
    ----------
    pair
        Addresses of the codes of both, int8 up to 2; the number of samples; and what is taken off each, two
        numbers up to 2.
    digits
        :class:`Digits`.
    kind
        Which of their powers are multiplied, see :class:`Digits`.
    first, last
        Which of the vectors.
    room
        Room for the products: a byte for each sample, in whole lines, and one line more.
    out
        Shape (n_digits,) int32, filled from ``first`` to ``last``.
    """
    one, other, n, less_a, less_b = pair
    lines, whole, over = np.uint64(len(digits.digits)), np.uint64(n // LINE), np.uint64(n % LINE)
    table = digits.tables.ctypes.data + np.uint64(16 * (4 * (3 * less_a + less_b) + kind))
    products, sums, vectors = room.ctypes.data, out.ctypes.data, digits.digits.ctypes.data
    _fill_products(one, other, table, products, whole, (np.uint64(1) << over) - np.uint64(1))
    apart, k = np.uint64(digits.digits.shape[1] * LINE), first
    while k + _TOGETHER <= last:
        _add_four(products, vectors + np.uint64(LINE * k), apart, sums + np.uint64(4 * k), lines)
        k += _TOGETHER
    while k < last:
        _add_one(products, vectors + np.uint64(LINE * k), apart, sums + np.uint64(4 * k), lines)
        k += 1
    for k in range(first, last):
        out[k] -= np.int32(_MORE * digits.totals[k])
