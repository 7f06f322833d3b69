"""What the compiled vector loops share: sixteen words of 32 bits at a time, in LLVM's terms."""

from __future__ import annotations

from llvmlite import ir

LANES = 16  # columns at a time
WORD, LONG = ir.IntType(32), ir.IntType(64)
WORDS = ir.VectorType(WORD, LANES)
NOTHING = ir.Constant(WORDS, [0] * LANES)
FLOAT = ir.FloatType()
FLOATS = ir.VectorType(FLOAT, LANES)


def load(builder, kind, address, past=0):  # type: ignore[no-untyped-def]
    """A value some bytes past an address."""
    at = builder.add(address, ir.Constant(LONG, past))
    return builder.load(builder.inttoptr(at, kind.as_pointer()), align=4)


def steps_past(builder, address, step, number):  # type: ignore[no-untyped-def]
    """The address that lies a number of steps on."""
    return builder.add(address, builder.mul(step, ir.Constant(LONG, number)))


def store(builder, value, address):  # type: ignore[no-untyped-def]
    """Write a vector to an address."""
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=4)


def store_apart(builder, places, address, step):  # type: ignore[no-untyped-def]
    """Write the vectors held in some places, a step from one to the next."""
    for k, place in enumerate(places):
        store(builder, builder.load(place), steps_past(builder, address, step, k))


def filled(builder, word):  # type: ignore[no-untyped-def]
    """A vector of one word, or of one float."""
    kind = ir.VectorType(word.type, LANES)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), word, ir.Constant(WORD, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), NOTHING)


def times_plus(builder, left, right, more):  # type: ignore[no-untyped-def]
    """``left right + more`` of vectors of floats, rounded once."""
    return instruction(builder, "llvm.fma.v16f32", [left, right, more], FLOATS)


def instruction(builder, name, arguments, result=WORDS):  # type: ignore[no-untyped-def]
    """What an instruction of the processor, by LLVM's name of it, makes of others: a vector unless given."""
    module, kinds = builder.module, [x.type for x in arguments]
    function = module.globals.get(name) or ir.Function(module, ir.FunctionType(result, kinds), name)
    return builder.call(function, arguments)
