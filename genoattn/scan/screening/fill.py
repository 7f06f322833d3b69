"""Columns of codes turned into moments and operands, compiled: one pass over the calls of a column each."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def _as_entry(typing_context, value, like):  # type: ignore[no-untyped-def]
    """A float32 as it is, or rounded to the upper half of one (bfloat16) where ``like`` is a uint16."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        if like == types.float32:
            return arguments[0]
        word = ir.IntType(32)
        bits = builder.bitcast(arguments[0], word)
        last = builder.and_(builder.lshr(bits, ir.Constant(word, 16)), ir.Constant(word, 1))
        even = builder.add(builder.add(bits, ir.Constant(word, 0x7FFF)), last)
        return builder.trunc(builder.lshr(even, ir.Constant(word, 16)), ir.IntType(16))

    return like(types.float32, like), generate


@intrinsic
def _as_float(typing_context, entry):  # type: ignore[no-untyped-def]
    """An entry of an operand as float32."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        if entry == types.float32:
            return arguments[0]
        word = ir.IntType(32)
        bits = builder.shl(builder.zext(arguments[0], word), ir.Constant(word, 16))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(entry), generate


@njit(nogil=True, cache=True, fastmath=True)
def column_moments(codes, weight, vectors, out):  # type: ignore[no-untyped-def]
    """Weighted sums over the called samples of each column.

    Parameters
    ----------
    codes
        Shape (n_columns, n_samples), int8; below 0 where missing.
    weight
        Shape (n_samples,).
    vectors
        Shape (n_vectors, n_samples).
    out
        Shape (n_columns, 3 + 2 n_vectors), filled: missing calls; sum of the codes and of their squares;
        inner products of the codes, then of the indicator of a missing call, with the vectors.
    """
    n = codes.shape[1]
    value, gone = np.empty(n), np.empty(n)
    for j in range(codes.shape[0]):
        missing = total = square = 0.0
        for i in range(n):
            c = codes[j, i]
            x = np.float64(c) if c >= 0 else 0.0
            g = 0.0 if c >= 0 else 1.0
            value[i], gone[i] = x, g
            missing += g
            total += weight[i] * x
            square += weight[i] * x * x
        out[j, 0], out[j, 1], out[j, 2] = missing, total, square
        for k in range(vectors.shape[0]):
            dot = lost = 0.0
            for i in range(n):
                dot += value[i] * vectors[k, i]
            if missing > 0.0:
                for i in range(n):
                    lost += gone[i] * vectors[k, i]
            out[j, 3 + k], out[j, 3 + vectors.shape[0] + k] = dot, lost


@njit(nogil=True, cache=True, fastmath=True)
def fill_products(codes, mean, scale, vectors, weight, centre, out, rest, length):  # type: ignore[no-untyped-def]
    """Scaled, centred columns times vectors, less their weighted mean, times the weights: operands.

    Parameters
    ----------
    codes
        Shape (n_columns, n_samples), int8; below 0 where missing, which gives 0.
    mean, scale
        Shape (n_columns,) float32, subtracted and multiplied by.
    vectors, weight
        Shape (n_vectors, n_samples) and (n_samples,) float32.
    centre
        Whether the mean of each product is taken out.
    out
        Shape (n_vectors, n_columns, n_samples), float32 or uint16 that holds bfloat16, filled.
    rest
        The same shape, filled with what the rounding of ``out`` left; or of shape (0, 0, 0).
    length
        Shape (n_vectors, n_columns) float64, filled with the lengths of the products.
    """
    n = codes.shape[1]
    unit, row = np.empty(n, np.float32), np.empty(n, np.float32)
    whole = np.sum(weight)
    for j in range(codes.shape[0]):
        for i in range(n):
            c = codes[j, i]
            unit[i] = (np.float32(c) - mean[j]) * scale[j] if c >= 0 else np.float32(0.0)
        for k in range(vectors.shape[0]):
            total = 0.0
            for i in range(n):
                row[i] = unit[i] * vectors[k, i]
                total += row[i] * weight[i]
            shift = np.float32(total / whole) if centre else np.float32(0.0)
            square = 0.0
            for i in range(n):
                x = (row[i] - shift) * weight[i]
                out[k, j, i] = _as_entry(x, out[k, j, i])
                square += x * x
                row[i] = x
            length[k, j] = np.sqrt(square)
            if len(rest):
                for i in range(n):
                    rest[k, j, i] = _as_entry(row[i] - _as_float(out[k, j, i]), rest[k, j, i])


@njit(nogil=True, cache=True, fastmath=True)
def fill_codes(codes, centre, imputed, out, length):  # type: ignore[no-untyped-def]
    """Codes less a whole number, ``imputed`` where missing: bfloat16 as uint16, with their lengths."""
    for j in range(codes.shape[0]):
        square = 0.0
        for i in range(codes.shape[1]):
            c = codes[j, i]
            x = np.float32(c) - centre[j] if c >= 0 else imputed[j]
            out[j, i] = _as_entry(x, out[j, i])
            square += x * x
        length[j] = np.sqrt(square)


@njit(nogil=True, cache=True, fastmath=True)
def fill_weighted(codes, mean, scale, stretch, on_fixed, basis, weight, root, left, out, length):  # type: ignore[no-untyped-def]
    """Operands of the products in a weighted inner product: column, residual, their product, the square.

    Parameters
    ----------
    codes, mean, scale
        As in :func:`fill_products`.
    stretch
        Shape (n_columns,) float32, length of a column over that of its residual.
    on_fixed
        Shape (n_columns, n_fixed) float32, inner products of the unit column with the fixed effects.
    basis, weight
        Fixed effects (n_fixed, n_samples) and weights (n_samples,), float32.
    root
        Length of the vector of ones.
    left
        Whether the operands carry the weights.
    out
        Shape (4, n_columns, n_samples), float32 or bfloat16 as uint16, filled.
    length
        Shape (4, n_columns) float64, filled.
    """
    n = codes.shape[1]
    rows = np.empty((4, n), np.float32)
    total_weight = root * root
    for j in range(codes.shape[0]):
        for i in range(n):
            c = codes[j, i]
            rows[0, i] = (np.float32(c) - mean[j]) * scale[j] if c >= 0 else np.float32(0.0)
            rows[1, i] = rows[0, i]
        for k in range(basis.shape[0]):
            share = on_fixed[j, k]
            for i in range(n):
                rows[1, i] -= share * basis[k, i]
        moment = square = 0.0
        for i in range(n):
            rows[1, i] *= stretch[j]
            rows[2, i] = rows[0, i] * rows[1, i] * np.float32(root)
            rows[3, i] = rows[0, i] * rows[0, i] * np.float32(root)
            moment += rows[2, i] * weight[i]
            square += rows[3, i] * weight[i]
        shift = (
            np.float32(0.0),
            np.float32(0.0),
            np.float32(moment / total_weight),
            np.float32(square / total_weight),
        )
        for k in range(4):
            long = 0.0
            less = shift[k]
            for i in range(n):
                x = (rows[k, i] - less) * (weight[i] if left else np.float32(1.0))
                out[k, j, i] = _as_entry(x, out[k, j, i])
                long += x * x
            length[k, j] = np.sqrt(long)


@njit(nogil=True, cache=True, fastmath=True)
def pair_products(codes, mean, vectors, pairs, out):  # type: ignore[no-untyped-def]
    """Inner products that the regression of each pair needs, over all samples.

    Parameters
    ----------
    codes
        Shape (n_columns, n_samples), int8; below 0 where missing, which counts as the mean.
    mean
        Shape (n_columns,), taken off the codes.
    vectors
        Shape (n_vectors, n_samples).
    pairs
        Shape (n_pairs, 2), indices of columns.
    out
        Shape (n_pairs, 6 + n_vectors), filled: <a,a>, <b,b>, <a,b>, <P,a>, <P,b>, <P,P> with P the product
        of the centred columns, and the inner products of P with the vectors.
    """
    n = codes.shape[1]
    product = np.empty(n)
    for m in range(len(pairs)):
        i, j = pairs[m, 0], pairs[m, 1]
        aa = bb = ab = pa = pb = pp = 0.0
        for s in range(n):
            a = codes[i, s] - mean[i] if codes[i, s] >= 0 else 0.0
            b = codes[j, s] - mean[j] if codes[j, s] >= 0 else 0.0
            p = a * b
            product[s] = p
            aa += a * a
            bb += b * b
            ab += p
            pa += p * a
            pb += p * b
            pp += p * p
        out[m, 0], out[m, 1], out[m, 2], out[m, 3], out[m, 4], out[m, 5] = aa, bb, ab, pa, pb, pp
        for k in range(len(vectors)):
            dot = 0.0
            for s in range(n):
                dot += product[s] * vectors[k, s]
            out[m, 6 + k] = dot
