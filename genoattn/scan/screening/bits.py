"""Columns as bits: inner products of genotypes by counting set bits, exact and without a matrix product.

A column of dosages 0, 1, 2 is two planes of bits, ``code = one + two`` with ``one = code >= 1`` and
``two = code == 2``, so that ``code^2 = one + 3 two``; an indicator has ``one`` alone. Sixty-four samples
are a word, and the four counts of samples set in both planes of a pair hold all its genotype products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from genoattn.cohort import MISSING

_WORDS = 8  # words of a plane come in vectors of the processor
_BLOCK = 1024


@intrinsic
def set_bits(typing_context, word):  # type: ignore[no-untyped-def]
    """Number of set bits of a uint64, inside compiled functions."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(count, arguments)

    return types.uint64(types.uint64), generate


@intrinsic
def at_least(typing_context, address, least):  # type: ignore[no-untyped-def]
    """Which of 32 int8 at an address are as large as that: bits of a uint32, inside compiled functions."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        address, least = arguments
        byte, word = ir.IntType(8), ir.IntType(32)
        codes = ir.VectorType(byte, 32)
        found = builder.load(builder.inttoptr(address, codes.as_pointer()), align=1)
        one = builder.insert_element(ir.Constant(codes, [0] * 32), least, ir.Constant(word, 0))
        places = ir.Constant(ir.VectorType(word, 32), [0] * 32)
        every = builder.shuffle_vector(one, one, places)
        return builder.bitcast(builder.icmp_signed(">=", found, every), word)

    return types.uint32(types.uint64, types.int8), generate


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
