"""Matrix products of a screen, in whichever precision this machine multiplies fastest.

A screen only has to bound a statistic, so that its products may be rounded as long as the bound knows by
how much. Two kinds: float32 by the BLAS under numpy, and bfloat16 with float32 sums by torch, eight times as
fast where the processor has matrix units (AMX).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any, Protocol

import numpy as np

from genoattn.errors import InputError
from genoattn.scan.design import Design

PRECISIONS = ("auto", "float32", "bfloat16")
# Samples summed in one product; the rounding of longer sums is that of their parts.
_CHUNK = 32768
# Floating-point operations from which loading torch, about a second, pays.
_LARGE = 3e11


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


def has_matrix_units() -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware (x86 AMX); asks Linux only."""
    try:
        with open("/proc/cpuinfo") as handle:
            return any("amx_bf16" in line for line in handle if line.startswith("flags"))
    except OSError:
        return False


def choose_products(precision: str, operations: float) -> Products:
    """The precision asked for; ``auto`` takes bfloat16 for large scans on processors made for it.

    Raises
    ------
    InputError
        Where the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is unknown; choose one of {', '.join(PRECISIONS)}")
    if precision == "auto":
        precision = "bfloat16" if operations > _LARGE and has_matrix_units() else "float32"
    return BFloat16() if precision == "bfloat16" else Float32()


def n_operands(design: Design, split: bool) -> tuple[int, int]:
    """Operands that the screen makes of a column among the rows of a tile, and among its columns.

    Those of the rows are as many as its matrix products. ``split``: the trait enters in two parts.
    """
    counted = design.n_fixed + split
    return (counted + 4, 4 + split) if design.binary else (counted, 1)


@contextmanager
def one_thread_each(products: Products) -> Iterator[None]:
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
