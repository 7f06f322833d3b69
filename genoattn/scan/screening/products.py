"""Matrix products of a screen, in whichever precision this machine multiplies fastest.

A screen only has to bound a statistic, so that its products may be rounded as long as the bound knows by
how much. Three kinds: bytes by the processor's units for them, where it has any (whole_screen.py), by far the
fastest; float32 by the BLAS under numpy; and bfloat16 with float32 sums by torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any, Protocol

import numpy as np

from genoattn.errors import InputError
from genoattn.scan.design import Design
from genoattn.scan.screening.tiles import has_byte_units

PRECISIONS = ("auto", "float32", "bfloat16", "int8")
LARGEST_CODE = 11
# Samples summed in one product; the rounding of longer sums is that of their parts.
_CHUNK = 32768


class Products(Protocol):
    """A precision: ``unit`` is its relative rounding, half the distance from 1 to the next number.

    Operands (rows, n_samples) are made as arrays of ``dtype``: float32, or uint16 that hold bfloat16.
    """

    name: str
    unit: float
    dtype: np.dtype

    def wrap(self, entries: np.ndarray) -> Any:
        """An operand of entries of ``dtype``."""

    def stacked(self, pairs: list[tuple[Any, Any]], slot: str) -> np.ndarray:
        """Inner products of the rows of two operands, (n_pairs, left rows, right rows).

        float32, or uint16 that hold bfloat16, in memory that the thread's next call for the slot reuses.
        """


class _Memory(local):
    """Arrays of one thread by name, kept: fresh memory costs more than what is written into it."""

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    def array(self, slot: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array of the shape, of whatever content."""
        size = int(np.prod(shape))
        if slot not in self._kept or self._kept[slot].size < size:
            self._kept[slot] = np.empty(size, dtype=dtype)
        return self._kept[slot][:size].reshape(shape)


class Float32:
    """The BLAS under numpy."""

    name = "float32"
    unit = 2.0**-24
    dtype = np.dtype(np.float32)

    def __init__(self) -> None:
        self._memory = _Memory()

    def wrap(self, entries: np.ndarray) -> np.ndarray:
        return entries

    def stacked(self, pairs: list[tuple[np.ndarray, np.ndarray]], slot: str) -> np.ndarray:
        shape = (len(pairs), len(pairs[0][0]), len(pairs[0][1]))
        out = self._memory.array(slot, shape, self.dtype)
        for k, (left, right) in enumerate(pairs):
            np.matmul(left[:, :_CHUNK], right[:, :_CHUNK].T, out=out[k])
            for start in range(_CHUNK, left.shape[1], _CHUNK):
                part = slice(start, start + _CHUNK)
                out[k] += left[:, part] @ right[:, part].T
        return out


class BFloat16:
    """torch, with eight significant bits in and out and float32 sums between."""

    name = "bfloat16"
    unit = 2.0**-9
    dtype = np.dtype(np.uint16)

    def __init__(self) -> None:
        import torch  # noqa: F401  here, so that a scan's time is its own

        self._memory = _Memory()

    def wrap(self, entries: np.ndarray) -> Any:
        import torch

        return torch.from_numpy(entries.view(np.int16)).view(torch.bfloat16)

    def stacked(self, pairs: list[tuple[Any, Any]], slot: str) -> np.ndarray:
        import torch

        shape = (len(pairs), len(pairs[0][0]), len(pairs[0][1]))
        if pairs[0][0].shape[1] <= _CHUNK:
            out = self._memory.array(slot, shape, self.dtype)
            entries = self.wrap(out)
            for k, (left, right) in enumerate(pairs):
                torch.mm(left, right.t(), out=entries[k])
            return out
        total = torch.zeros(shape)
        for k, (left, right) in enumerate(pairs):
            for start in range(0, left.shape[1], _CHUNK):
                part = slice(start, start + _CHUNK)
                total[k] += left[:, part] @ right[:, part].t()
        return total.numpy()


def summing_error(n_samples: int) -> float:
    """Bound on the relative rounding of float32 sums over the samples, as the products here make them."""
    parts = -(-n_samples // _CHUNK)
    return (min(n_samples, _CHUNK) + parts) * 2.0**-24


class Int8:
    """Bytes by the processor's units; operands and products are the screen's own (whole_screen.py)."""

    name = "int8"
    dtype = np.dtype(np.int8)


def choose_products(precision: str, design: Design) -> Products | Int8:
    """The precision asked for; ``auto`` takes bytes on processors with units for them.

    Raises
    ------
    InputError
        Where the precision is unknown, or the machine has no units for it.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is unknown; choose one of {', '.join(PRECISIONS)}")
    if precision in ("auto", "int8"):
        if whole_numbers_serve(design) and has_byte_units():
            return Int8()
        if precision == "int8":
            raise InputError(
                "precision 'int8': no units for bytes on this machine, or codes above "
                f"{LARGEST_CODE}; choose 'auto' or 'float32'"
            )
    return BFloat16() if precision == "bfloat16" else Float32()


def whole_numbers_serve(design: Design) -> bool:
    """Whether squares of codes are bytes, and samples few enough for sums of 32 bits."""
    return int(design.codes.max(initial=0)) <= LARGEST_CODE and design.n_samples < 2**31 // 127**2


def n_operands(design: Design, products: Products | Int8) -> tuple[int, int]:
    """Operands that the screen keeps of a column among the rows of a tile, and among its columns."""
    if isinstance(products, Int8):
        return (1, 3)
    counted = design.n_fixed + (not isinstance(products, Float32))
    return (counted + 4, 5) if design.binary else (counted, 1)


@contextmanager
def one_thread_each(products: Products | Int8) -> Iterator[None]:
    """Products on one thread each, while the scan runs one tile a thread; put back afterwards."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        if not isinstance(products, BFloat16):
            yield
            return
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
