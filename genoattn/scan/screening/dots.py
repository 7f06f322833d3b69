"""Products of bytes by vector instructions (x86 AVX-512 VNNI), inside compiled functions.

One instruction multiplies 64 unsigned bytes by 64 signed ones and adds fours of them to 16 sums of 32 bits.
The operands of columns are those of the matrix units (tiles.py), whose lines hold four samples of sixteen
columns. They are signed: with the sign bit turned over a byte is larger by 128, which a sum begins without.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from genoattn.scan.screening.lanes import LONG, NOTHING, WORD, WORDS, filled, instruction, load, steps_past

ROWS = 8  # rows at a time, by two vectors of columns: sixteen sums stay in the registers
_LINE = 64  # bytes of a vector
_BYTES = ir.VectorType(ir.IntType(8), _LINE)


def _dot(builder, sums, unsigned, signed):  # type: ignore[no-untyped-def]
    return instruction(builder, "llvm.x86.avx512.vpdpbusd.512", [sums, unsigned, signed])


@intrinsic
def add_dots(typing_context, rows, line, columns, block, n_fours, less, out, stride, fresh):  # type: ignore[no-untyped-def]
    """Products of eight rows with 32 columns over some fours of samples, added to sums.

    Parameters
    ----------
    rows, line
        Address of the first row's bytes, and how far apart the rows are.
    columns, block
        Address of the first sixteen columns' lines, and how far those of the next sixteen lie.
    n_fours
        Fours of samples.
    less
        Address of eight int32, -128 times the sum of each row's bytes, with which the sums begin.
    out, stride
        Address of the sums, int32, and how far apart their rows are.
    fresh
        Whether the sums begin at 0.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        rows, line, columns, block, n_fours, less, out, stride, fresh = arguments
        places = [cgutils.alloca_once(builder, WORDS) for _ in range(2 * ROWS)]
        for r in range(ROWS):
            begin = filled(builder, load(builder, WORD, steps_past(builder, less, ir.Constant(LONG, 4), r)))
            for j in range(2):
                builder.store(begin, places[2 * r + j])
        four = ir.Constant(LONG, 4)
        top = ir.Constant(_BYTES, [-128] * 64)
        with cgutils.for_range(builder, n_fours, intp=LONG) as loop:
            at = steps_past(builder, columns, loop.index, _LINE)
            lines = []
            for address in (at, builder.add(at, block)):
                turned = builder.xor(load(builder, _BYTES, address), top)
                lines.append(builder.bitcast(turned, WORDS))
            at = builder.add(rows, builder.mul(loop.index, four))
            for r in range(ROWS):
                row = filled(builder, load(builder, WORD, steps_past(builder, at, line, r)))
                for j in range(2):
                    place = places[2 * r + j]
                    builder.store(_dot(builder, builder.load(place), lines[j], row), place)
        for r in range(ROWS):
            for j in range(2):
                address = builder.add(steps_past(builder, out, stride, r), ir.Constant(LONG, _LINE * j))
                target = builder.inttoptr(address, WORDS.as_pointer())
                old = builder.select(fresh, NOTHING, builder.load(target, align=4))
                builder.store(builder.add(builder.load(places[2 * r + j]), old), target, align=4)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 8, types.boolean), generate
