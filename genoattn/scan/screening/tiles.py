"""Products of whole numbers by the processor's units for bytes, inside compiled functions.

Matrix units (x86 AMX) where there are any, else vector instructions (AVX-512 VNNI, dots.py). A matrix unit
holds eight tiles of sixteen rows of 64 bytes. It multiplies two tiles of signed bytes, adding to a tile of
sums of 32 bits: sixteen rows by sixteen columns by 64 samples in one instruction, exactly. The operands of
columns lie in memory as the tiles are loaded, ``(operand, columns / 16, samples / 64, 16 fours of samples, 16
columns, 4 samples)``; those of rows are made where they are used, 32 rows by 512 samples at a time, which
costs less than to fetch them.
"""

from __future__ import annotations

import ctypes
import platform
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from genoattn.scan.screening.dots import ROWS, add_dots

SIDE = 32  # rows, and columns, of a product at a time: two by two tiles
DEPTH = 64  # samples in a tile
WIDTH = 256  # columns whose sums are held at a time
TILE = 1024  # bytes
_CHUNK = 8  # tiles of samples at a time, whose operands stay in the caches
_LINE = DEPTH * _CHUNK + 64  # bytes from row to row: not a power of two, which would share places of a cache
_REQUEST = (158, 0x1023, 18)  # arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) of Linux on x86-64
_BYTE, _LONG = ir.IntType(8), ir.IntType(64)


def _processor_has(feature: str) -> bool:
    """Whether Linux on x86-64 names this feature of its processor; False elsewhere."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    try:
        with open("/proc/cpuinfo") as handle:
            return any(feature in line.split() for line in handle if line.startswith("flags"))
    except OSError:
        return False


# Which of the two the functions below are compiled to.
_MATRICES = _processor_has("amx_int8")


def has_byte_units() -> bool:
    """Whether this process may multiply bytes by units for them; asks Linux for leave where it must."""
    if _MATRICES:
        return ctypes.CDLL(None).syscall(*_REQUEST) == 0
    return _processor_has("avx512_vnni")


def counts_pay() -> bool:
    """Whether set bits of genotypes are counted in less time than their bytes are multiplied."""
    return not _MATRICES and _processor_has("avx512_vpopcntdq")


def configuration() -> np.ndarray:
    """The shape of the eight tiles as the processor reads it: palette, bytes of a row, rows."""
    out = np.zeros(64, dtype=np.uint8)
    out[0] = 1
    out[16:32].view(np.uint16)[:] = DEPTH
    out[48:56] = 16
    return out


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Bytes of 0 that begin on a line of the cache: a row of a tile across two lines takes twice as long."""
    size = int(np.prod(shape))
    memory = np.zeros(size + 64, dtype=np.int8)
    begin = -memory.ctypes.data % 64
    return memory[begin : begin + size].reshape(shape)


def _call(builder, name, arguments):  # type: ignore[no-untyped-def]
    kind = ir.FunctionType(ir.VoidType(), [x.type for x in arguments])
    module = builder.module
    return builder.call(module.globals.get(name) or ir.Function(module, kind, name), arguments)


def _place(builder, address):  # type: ignore[no-untyped-def]
    return builder.inttoptr(address, _BYTE.as_pointer())


def _tile(number):  # type: ignore[no-untyped-def]
    return ir.Constant(_BYTE, number)


def _sums(builder, name, address, stride):  # type: ignore[no-untyped-def]
    """Load or store the four tiles of sums, two by two in an array of int32 with a stride in bytes."""
    for i in range(2):
        row = builder.add(address, builder.mul(stride, ir.Constant(_LONG, 16 * i)))
        for j in range(2):
            place = _place(builder, builder.add(row, ir.Constant(_LONG, 64 * j)))
            tile = _tile(2 * i + j)
            _call(builder, name, [tile, place, stride])


@intrinsic
def begin_tiles(typing_context, address):  # type: ignore[no-untyped-def]
    """Take the tiles, in the configuration at an address; nothing without matrix units."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        if _MATRICES:
            _call(builder, "llvm.x86.ldtilecfg", [_place(builder, arguments[0])])
        return context.get_dummy_value()

    return types.void(types.uint64), generate


@intrinsic
def end_tiles(typing_context):  # type: ignore[no-untyped-def]
    """Give the tiles back."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        if _MATRICES:
            _call(builder, "llvm.x86.tilerelease", [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _clear_sums(typing_context):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        for k in range(4):
            _call(builder, "llvm.x86.tilezero", [_tile(k)])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _load_sums(typing_context, address, stride):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        _sums(builder, "llvm.x86.tileloadd64", *arguments)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), generate


@intrinsic
def _store_sums(typing_context, address, stride):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        _sums(builder, "llvm.x86.tilestored64", *arguments)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), generate


@intrinsic
def _add_products(typing_context, upper, lower, left, right):  # type: ignore[no-untyped-def]
    """Products of two tiles of rows and two of columns, at these addresses."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        for k, address in enumerate(arguments):
            stride = ir.Constant(_LONG, _LINE if k < 2 else DEPTH)
            _call(builder, "llvm.x86.tileloadd64", [_tile(4 + k), _place(builder, address), stride])
        for i in range(2):
            for j in range(2):
                _call(builder, "llvm.x86.tdpbssd", [_tile(2 * i + j), _tile(4 + i), _tile(6 + j)])
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 4), generate


class Rows(NamedTuple):
    """What the rows of products are made of: powers of centred codes times vectors of bytes.

    Parameters
    ----------
    codes
        Shape (n_rows, n_samples), int8; below 0 where missing, which gives 0.
    centre
        Shape (n_rows,), int8, subtracted.
    powers
        Shape (n_operands,): 0 (1 where called), 1 or 2.
    vectors
        Shape (n_operands, n_samples), int8.
    """

    codes: np.ndarray
    centre: np.ndarray
    powers: np.ndarray
    vectors: np.ndarray


@njit(nogil=True, cache=True)
def lined(n_bytes):  # type: ignore[no-untyped-def]
    """Bytes of any content that begin on a line of the cache."""
    memory = np.empty(n_bytes + 64, dtype=np.int8)
    begin = (64 - memory.ctypes.data % 64) % 64
    return memory[begin : begin + n_bytes]


@njit(nogil=True, cache=True)
def room_for_rows(rows):  # type: ignore[no-untyped-def]
    """Memory of 32 rows of each operand, for a chunk of samples."""
    return lined(len(rows.powers) * SIDE * _LINE).reshape(len(rows.powers), SIDE, _LINE)


@njit(nogil=True, cache=True)
def _tile_products(columns, products, start, stop, begin, end, room, sums):  # type: ignore[no-untyped-def]
    """Products of 32 rows for some tiles of samples, by matrix units."""
    block = np.uint64(columns.shape[2] * TILE)
    lower = np.uint64(16 * _LINE)
    stride = np.uint64(sums.shape[2] * 4)
    for j in range(start, stop, SIDE):
        for p in range(len(products)):
            out = sums[products[p, 2]].ctypes.data + np.uint64(4 * (j - start))
            if begin:
                _load_sums(out, stride)
            else:
                _clear_sums()
            upper = room[products[p, 0]].ctypes.data
            left = columns[products[p, 1], j // 16, begin:].ctypes.data
            for k in range(end - begin):
                row, step = upper + np.uint64(k * DEPTH), left + np.uint64(k * TILE)
                _add_products(row, row + lower, step, step + block)
            _store_sums(out, stride)


@njit(nogil=True, cache=True)
def _vector_products(columns, products, start, stop, begin, end, room, sums):  # type: ignore[no-untyped-def]
    """The same by vector instructions."""
    block, line = np.uint64(columns.shape[2] * TILE), np.uint64(_LINE)
    stride = np.uint64(sums.shape[2] * 4)
    n_fours = np.uint64((end - begin) * (DEPTH // 4))
    less = np.empty((len(room), SIDE), dtype=np.int32)
    for p in range(len(room)):
        for r in range(SIDE):
            total = np.int32(0)
            for i in range((end - begin) * DEPTH):
                total += np.int32(room[p, r, i])
            less[p, r] = -128 * total
    for j in range(start, stop, SIDE):
        for p in range(len(products)):
            operand = products[p, 0]
            left = columns[products[p, 1], j // 16, begin:].ctypes.data
            for r in range(0, SIDE, ROWS):
                out = sums[products[p, 2], r].ctypes.data + np.uint64(4 * (j - start))
                row, begins = room[operand, r].ctypes.data, less[operand, r:].ctypes.data
                add_dots(row, line, left, block, n_fours, begins, out, stride, begin == 0)


_products = _tile_products if _MATRICES else _vector_products


@njit(nogil=True, cache=True)
def multiply(rows, columns, products, top, start, stop, room, sums):  # type: ignore[no-untyped-def]
    """Products of 32 rows with some columns, by matrix units (whose tiles must have been taken) or vectors.

    Parameters
    ----------
    rows
        :class:`Rows`.
    columns
        Operands as above, aligned.
    products
        Shape (n_products, 3): which operand of the rows with which of the columns, and which of the sums.
    top
        First row.
    start, stop
        Columns, multiples of 32.
    room
        From :func:`room_for_rows`.
    sums
        Shape (n_sums, 32, at least stop - start) int32, of which those of the products are filled.
    """
    depth = columns.shape[2]
    for begin in range(0, depth, _CHUNK):
        end = min(begin + _CHUNK, depth)
        _fill_rows(rows, top, begin * DEPTH, end * DEPTH, room)
        _products(columns, products, start, stop, begin, end, room, sums)


@njit(nogil=True, cache=True)
def _fill_rows(rows, top, begin, end, room):  # type: ignore[no-untyped-def]
    """The operands of 32 rows for some samples; 0 beyond the last row and the last sample."""
    last = min(end, rows.codes.shape[1])
    n = last - begin
    power = np.empty((3, n), dtype=np.int8)
    for r in range(SIDE):
        if top + r < len(rows.codes):
            _powers(rows.codes[top + r, begin:last], rows.centre[top + r], power[0], power[1], power[2])
        for p in range(len(rows.powers)):
            line = room[p, r]
            if top + r < len(rows.codes):
                _times(power[rows.powers[p]], rows.vectors[p, begin:last], line)
                line[n : end - begin] = 0
            else:
                line[: end - begin] = 0


@njit(nogil=True, cache=True)
def _powers(codes, centre, one, value, square):  # type: ignore[no-untyped-def]
    for i in range(len(codes)):
        x = np.int8(codes[i] - centre) if codes[i] >= 0 else np.int8(0)
        one[i] = np.int8(1) if codes[i] >= 0 else np.int8(0)
        value[i] = x
        square[i] = np.int8(x * x)


@njit(nogil=True, cache=True)
def _times(x, y, out):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        out[i] = np.int8(x[i] * y[i])


@njit(nogil=True, cache=True)
def fill_columns(codes, centre, powers, out):  # type: ignore[no-untyped-def]
    """Powers of centred codes as the columns of products; parameters as of :class:`Rows`."""
    depth = out.shape[2]
    power = np.zeros((3, depth * DEPTH), dtype=np.int8)
    fours = power.view(np.int32)
    for j in range(len(codes)):
        _powers(codes[j], centre[j], power[0], power[1], power[2])
        for p in range(len(powers)):
            places = out[p, j // 16].reshape(-1).view(np.int32).reshape(depth * 16, 16)
            line = fours[powers[p]]
            for g in range(depth * 16):
                places[g, j % 16] = line[g]


@njit(nogil=True, cache=True)
def column_sums(row, columns, products, configuration):  # type: ignore[no-untyped-def]
    """Products of one row with blocks of columns: (n_products, n_columns) int32.

    Parameters
    ----------
    row, columns, products
        As in :func:`multiply`.
    configuration
        Of the units.
    """
    n_columns = 16 * columns.shape[1]
    out = np.empty((len(products), n_columns), dtype=np.int32)
    sums = np.empty((len(products), SIDE, WIDTH), dtype=np.int32)
    room = room_for_rows(row)
    begin_tiles(configuration.ctypes.data)
    for start in range(0, n_columns, WIDTH):
        stop = min(start + WIDTH, n_columns)
        multiply(row, columns, products, 0, start, stop, room, sums)
        out[:, start:stop] = sums[:, 0, : stop - start]
    end_tiles()
    return out
