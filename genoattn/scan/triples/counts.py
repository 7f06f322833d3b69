"""Counts of samples in several bit planes at once, eight columns a vector: three-way genotype tables."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8  # columns counted at a time: 64-bit words in a 512-bit vector
_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, LANES)
_INDEX = ir.IntType(32)


def _spread(builder: Any, word: Any) -> Any:
    """A word in all lanes of a vector."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, word, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES))


def _emit_counts(builder: Any, n_left: int, left: Any, right: list, stride: Any, n_words: Any) -> list:
    """Loop over the words; returns the sums of ``n_left`` times ``len(right)`` counters, right by right."""
    count = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), f"llvm.ctpop.v{LANES}i64"
    )
    before, loop = builder.block, builder.append_basic_block("words")
    after = builder.append_basic_block("counted")
    builder.branch(loop)
    builder.position_at_end(loop)
    word = builder.phi(_WORD)
    word.add_incoming(ir.Constant(_WORD, 0), before)
    sums = [builder.phi(_VECTOR) for _ in range(n_left * len(right))]
    place = builder.mul(word, stride)
    columns = [
        builder.load(builder.bitcast(builder.gep(plane, [place]), _VECTOR.as_pointer()), align=8)
        for plane in right
    ]
    larger = [None] * len(sums)
    for k in range(n_left):
        offset = builder.add(builder.mul(n_words, ir.Constant(_WORD, k)), word)
        mine = _spread(builder, builder.load(builder.gep(left, [offset])))
        for j, column in enumerate(columns):
            n = builder.call(count, [builder.and_(mine, column)])
            larger[j * n_left + k] = builder.add(sums[j * n_left + k], n)
    following = builder.add(word, ir.Constant(_WORD, 1))
    word.add_incoming(following, loop)
    for total, new in zip(sums, larger, strict=True):
        total.add_incoming(ir.Constant(_VECTOR, [0] * LANES), before)
        total.add_incoming(new, loop)
    builder.cbranch(builder.icmp_unsigned("<", following, n_words), loop, after)
    builder.position_at_end(after)
    return larger


def make_counter(n_left: int, n_right: int) -> Any:
    """An intrinsic that counts the samples set in each of some left planes and each of some right ones.

    The function made takes addresses, as ``array.ctypes.data`` gives them: the left planes (n_left, n_words);
    a tuple of the right planes, each at its first column, word by word with ``stride`` columns a word; the
    number of words; and where to write the counts, (n_right, n_left, row) uint64 with ``row`` columns a row,
    of which eight are filled.
    """

    @intrinsic
    def count(typing_context, left, right, stride, n_words, out, row):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            left, right, stride, n_words, out, row = arguments
            pointer = _WORD.as_pointer()
            planes = [builder.inttoptr(builder.extract_value(right, j), pointer) for j in range(n_right)]
            counts = _emit_counts(builder, n_left, builder.inttoptr(left, pointer), planes, stride, n_words)
            target = builder.inttoptr(out, pointer)
            for k, value in enumerate(counts):
                place = builder.gep(target, [builder.mul(row, ir.Constant(_WORD, k))])
                builder.store(value, builder.bitcast(place, _VECTOR.as_pointer()), align=8)
            return context.get_dummy_value()

        return types.void(left, right, stride, n_words, out, row), generate

    return count
