"""Exponential and logarithm inside compiled loops: arithmetic alone, so that several samples go at once.

The argument of the exponential is ``n log 2 + r`` with n whole and ``|r| <= log(2) / 2``; ``e^r`` is its
Taylor polynomial of degree 13, which leaves 4e-18 of it, and 2^n is written into the exponent's bits.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_LOG2_E = 1.4426950408889634
# log 2 in two parts, the first short enough that n times it is exact (Cody and Waite 1980).
_LOG_2_HIGH = 6.93147180369123816490e-01
_LOG_2_LOW = 1.90821492927058770002e-10
_WHOLE = 6755399441055744.0  # 1.5 * 2^52: what is added to it is rounded to a whole number


@intrinsic
def fused(typing_context, x, y, z):  # type: ignore[no-untyped-def]
    """``x y + z``, rounded once."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        double = ir.DoubleType()
        kind = ir.FunctionType(double, [double] * 3)
        return builder.call(builder.module.declare_intrinsic("llvm.fma", [double], kind), arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


@intrinsic
def _two_to(typing_context, shifted):  # type: ignore[no-untyped-def]
    """2^n from ``n + _WHOLE``: its lowest bits are n, which become the exponent."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        integer = ir.IntType(64)
        n = builder.bitcast(arguments[0], integer)
        biased = builder.add(n, ir.Constant(integer, 1023))
        return builder.bitcast(builder.shl(biased, ir.Constant(integer, 52)), ir.DoubleType())

    return types.float64(types.float64), generate


@njit(inline="always")
def vector_exp(x: float) -> float:
    """e^x for -700 <= x <= 700, within 2e-16 of it."""
    shifted: float = fused(x, _LOG2_E, _WHOLE)  # type: ignore[call-arg]
    n = shifted - _WHOLE
    r = fused(n, -_LOG_2_HIGH, x)
    r = fused(n, -_LOG_2_LOW, r)
    e = fused(1.0 / 6227020800.0, r, 1.0 / 479001600.0)
    e = fused(e, r, 1.0 / 39916800.0)
    e = fused(e, r, 1.0 / 3628800.0)
    e = fused(e, r, 1.0 / 362880.0)
    e = fused(e, r, 1.0 / 40320.0)
    e = fused(e, r, 1.0 / 5040.0)
    e = fused(e, r, 1.0 / 720.0)
    e = fused(e, r, 1.0 / 120.0)
    e = fused(e, r, 1.0 / 24.0)
    e = fused(e, r, 1.0 / 6.0)
    e = fused(e, r, 0.5)
    e = fused(e, r, 1.0)
    e = fused(e, r, 1.0)
    return e * _two_to(shifted)


@njit(inline="always")
def vector_log1p(x: float) -> float:
    """log(1 + x) for 0 <= x <= 1, within 3e-16: 2 artanh(s), s = x / (2 + x), by its series to s^31."""
    s = x / (2.0 + x)
    q = s * s
    total = fused(1.0 / 31.0, q, 1.0 / 29.0)
    total = fused(total, q, 1.0 / 27.0)
    total = fused(total, q, 1.0 / 25.0)
    total = fused(total, q, 1.0 / 23.0)
    total = fused(total, q, 1.0 / 21.0)
    total = fused(total, q, 1.0 / 19.0)
    total = fused(total, q, 1.0 / 17.0)
    total = fused(total, q, 1.0 / 15.0)
    total = fused(total, q, 1.0 / 13.0)
    total = fused(total, q, 1.0 / 11.0)
    total = fused(total, q, 1.0 / 9.0)
    total = fused(total, q, 1.0 / 7.0)
    total = fused(total, q, 1.0 / 5.0)
    total = fused(total, q, 1.0 / 3.0)
    total = fused(total, q, 1.0)
    return 2.0 * s * total
