"""Matrix products of a screen, in whichever precision this machine multiplies fastest.

A screen only has to bound a statistic, so that its products may be rounded as long as the bound knows by
how much. Two kinds: float32 by the BLAS under numpy, and bfloat16 with float32 sums by torch, eight times as
fast where the processor has matrix units (AMX).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from genoattn.errors import InputError

PRECISIONS = ("auto", "float32", "bfloat16")
# Samples summed in one product; the rounding of longer sums is that of their parts.
_CHUNK = 32768
# Multiply-adds from which loading torch, about a second, pays.
_LARGE = 2e11


class Products(Protocol):
    """A precision: ``unit`` is its relative rounding, half the distance from 1 to the next number."""

    name: str
    unit: float

    def operand(self, values: np.ndarray) -> Any:
        """A matrix (rows, n_samples) rounded for multiplication."""

    def stack(self, parts: list[Any]) -> Any:
        """Operands below each other."""

    def product(self, left: Any, right: Any) -> Any:
        """Inner products of the rows of two operands: (left rows, right rows)."""

    def read(self, product: Any, rows: slice) -> np.ndarray:
        """Rows of a product as float32."""


class Float32:
    """The BLAS under numpy."""

    name = "float32"
    unit = 2.0**-24

    def operand(self, values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values, dtype=np.float32)

    def stack(self, parts: list[np.ndarray]) -> np.ndarray:
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def product(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        if left.shape[1] <= _CHUNK:
            return left @ right.T
        out = left[:, :_CHUNK] @ right[:, :_CHUNK].T
        for start in range(_CHUNK, left.shape[1], _CHUNK):
            part = slice(start, start + _CHUNK)
            out += left[:, part] @ right[:, part].T
        return out

    def read(self, product: np.ndarray, rows: slice) -> np.ndarray:
        return product[rows]


class BFloat16:
    """torch, with eight significant bits in and out and float32 sums between."""

    name = "bfloat16"
    unit = 2.0**-9

    def __init__(self) -> None:
        import torch  # noqa: F401  here, so that a scan's time is its own

    def operand(self, values: np.ndarray) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(torch.bfloat16)

    def stack(self, parts: list[Any]) -> Any:
        import torch

        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def product(self, left: Any, right: Any) -> Any:
        if left.shape[1] <= _CHUNK:
            return left @ right.t()
        out = (left[:, :_CHUNK] @ right[:, :_CHUNK].t()).float()
        for start in range(_CHUNK, left.shape[1], _CHUNK):
            part = slice(start, start + _CHUNK)
            out += left[:, part] @ right[:, part].t()
        return out

    def read(self, product: Any, rows: slice) -> np.ndarray:
        return product[rows].float().numpy()


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


def choose_products(precision: str, multiply_adds: float) -> Products:
    """The precision asked for; ``auto`` takes bfloat16 for large scans on processors made for it.

    Raises
    ------
    InputError
        Where the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is unknown; choose one of {', '.join(PRECISIONS)}")
    if precision == "auto":
        precision = "bfloat16" if multiply_adds > _LARGE and has_matrix_units() else "float32"
    return BFloat16() if precision == "bfloat16" else Float32()


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
