r"""Linear systems (K + D) x = b of a product kernel K of the training samples and the noise variances D.

Three ways, chosen by :func:`kernel_system`:

- Cholesky in tiles, in float64, of which only the lower triangle is kept: :math:`4 n^2` bytes,
  :math:`n^3 / 3` multiply-adds. Exact whatever the noise; up to 20,000 samples.
- Conjugate gradients over the grid of all sequences, where it is small, in float64: K is then a part of the
  Kronecker product of the sites' tables (Saatci 2011), a product with which costs the cells times the states.
- Conjugate gradients with the kernel in float32 blocks, :math:`2 n^2` bytes, made anew for every product
  where that is beyond the memory.

Conjugate gradients are preconditioned by a pivoted Cholesky factor of K (Gardner et al. 2018). The number of
steps grows with the square root of prior variance over noise: below a noise of a thousandth of the variance
they may not settle in the steps allowed, which is an error here, never a rough answer.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular

from genoattn.closed_form.product_kernel import ProductKernel, row_blocks
from genoattn.errors import InputError
from genoattn.progress import progress_bar

_FEW = 20_000  # samples: factored in a minute
MOST_CELLS = 2**22
_RANK = 400  # of the preconditioner
_ROUNDING = 1e-7  # of a float32 number; times the samples that of a sum of them, at most
_CURE = f"ask for an order instead of all orders, or for at most {_FEW:,} samples"
_TILE = 1024  # columns; divides the rows of a block


class KernelSystem:
    """Solves (K + D) x = b, with states (n_samples, n_sites) and noise variances (n_samples,)."""

    name: str

    def __init__(self, kernel: ProductKernel, states: np.ndarray, noise: np.ndarray) -> None:
        assert (noise > 0).all(), "the noise keeps the system regular"
        self.kernel, self.states, self.noise = kernel, states, noise

    def solve(self, right: np.ndarray, progress: bool = False) -> np.ndarray:
        """x for right-hand sides (n_samples, n): (n_samples, n)."""
        raise NotImplementedError  # of every subclass

    def smooth(self, weights: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Kernel between samples (m, n_sites) and the training samples, times ``weights`` (n_samples,)."""
        return np.concatenate(
            [self.kernel.block(states[rows], self.states) @ weights for rows in row_blocks(len(states))]
        )


class CholeskySystem(KernelSystem):
    """The factor in panels of rows: panel i holds the tiles (i, 0) .. (i, i)."""

    name = "cholesky"

    def __init__(self, kernel: ProductKernel, states: np.ndarray, noise: np.ndarray) -> None:
        super().__init__(kernel, states, noise)
        rows, indicators = kernel.operands(states, states)
        self.blocks = list(row_blocks(len(states)))
        self.panels: list[np.ndarray] = []
        for own in self.blocks:
            panel = np.empty((own.stop - own.start, own.stop))
            for other in self.blocks[: len(self.panels) + 1]:
                tile = kernel.product(rows[own], indicators[other])
                left = panel[:, : other.start]
                if other is own:
                    tile[np.diag_indices(len(tile))] += noise[own]
                    tile -= left @ left.T
                    panel[:, other] = cholesky(tile, lower=True, overwrite_a=True, check_finite=False)
                else:
                    above = self.panels[other.start // self.blocks[0].stop]
                    tile -= left @ above[:, : other.start].T
                    panel[:, other] = self._triangular(above[:, other], tile.T).T
            self.panels.append(panel)

    def solve(self, right: np.ndarray, progress: bool = False) -> np.ndarray:
        out = np.array(right, dtype=np.float64)
        for own, panel in zip(self.blocks, self.panels, strict=True):
            out[own] -= panel[:, : own.start] @ out[: own.start]
            out[own] = self._triangular(panel[:, own], out[own])
        for own, panel in zip(self.blocks[::-1], self.panels[::-1], strict=True):
            out[own] = self._triangular(panel[:, own], out[own], transposed=True)
            out[: own.start] -= panel[:, : own.start].T @ out[own]
        return out

    @staticmethod
    def _triangular(factor: np.ndarray, right: np.ndarray, transposed: bool = False) -> np.ndarray:
        trans: Literal[0, 1] = 1 if transposed else 0
        return solve_triangular(factor, right, lower=True, trans=trans, check_finite=False)


class IterativeSystem(KernelSystem):
    """Preconditioned conjugate gradients; ``multiply`` is a subclass's."""

    tolerance = 1e-9  # norm of the residual over that of the right-hand side
    most_steps = 2000

    def __init__(self, kernel: ProductKernel, states: np.ndarray, noise: np.ndarray) -> None:
        super().__init__(kernel, states, noise)
        self.low_rank = pivoted_factor(kernel, states, noise, min(_RANK, len(states)))
        inner = self.low_rank.T @ (self.low_rank / noise[:, None])
        inner[np.diag_indices(len(inner))] += 1
        self.inner = cho_factor(inner, overwrite_a=True)

    def multiply(self, vectors: np.ndarray) -> np.ndarray:
        """K times vectors (n_samples, n)."""
        raise NotImplementedError  # of every subclass

    def precondition(self, vectors: np.ndarray) -> np.ndarray:
        """(low_rank low_rank' + D)^-1 times vectors (n_samples, n)."""
        scaled = vectors / self.noise[:, None]
        inner = cho_solve(self.inner, self.low_rank.T @ scaled)
        return scaled - (self.low_rank @ inner) / self.noise[:, None]

    def solve(self, right: np.ndarray, progress: bool = False) -> np.ndarray:
        def multiply(vectors: np.ndarray) -> np.ndarray:
            return self.multiply(vectors) + self.noise[:, None] * vectors

        limits = self.tolerance, self.most_steps
        return conjugate_gradients(multiply, self.precondition, right, *limits, progress)


class GridSystem(IterativeSystem):
    """Products with the kernel over the grid of all sequences, missing states where samples have them."""

    name = "grid"

    def __init__(self, kernel: ProductKernel, states: np.ndarray, noise: np.ndarray) -> None:
        self.shape = grid_shape(kernel, states)
        self.tables = [t[:k, :k] for t, k in zip(kernel.tables, self.shape, strict=True)]
        self.cell = np.ravel_multi_index(tuple(kernel.level(states).T), self.shape)
        super().__init__(kernel, states, noise)

    def multiply(self, vectors: np.ndarray) -> np.ndarray:
        return np.stack([self._over_grid(v)[self.cell] for v in vectors.T], axis=1)

    def smooth(self, weights: np.ndarray, states: np.ndarray) -> np.ndarray:
        level = self.kernel.level(states)
        if (level >= self.shape).any():  # missing where no training sample is
            return super().smooth(weights, states)
        return self._over_grid(weights)[np.ravel_multi_index(tuple(level.T), self.shape)]

    def _over_grid(self, weights: np.ndarray) -> np.ndarray:
        """Kernel between every sequence and the training samples, times weights: (n_cells,)."""
        grid = np.bincount(self.cell, weights, int(np.prod(self.shape)))
        for table in self.tables:
            # The first axis is taken in and comes out last, so that a full round restores their order.
            grid = (grid.reshape(len(table), -1).T @ table).ravel()
        return self.kernel.variance * grid


class BlockSystem(IterativeSystem):
    """Products with the kernel in float32 panels of rows up to the diagonal, each used for both triangles.

    Panels are kept where half of n^2 float32 numbers fit the memory, else made anew for every product.
    """

    name = "blocks"
    tolerance = 1e-4
    most_steps = 400

    def __init__(
        self, kernel: ProductKernel, states: np.ndarray, noise: np.ndarray, max_gib: float = 8.0
    ) -> None:
        if not noise.min() > _ROUNDING * len(states) * kernel.variance:
            raise InputError(f"the noise is too small for {len(states):,} samples in float32; {_CURE}")
        super().__init__(kernel, states, noise)
        rows, indicators = kernel.operands(states, states)
        self.operands = rows.astype(np.float32), indicators.astype(np.float32)
        kept = 2 * len(states) ** 2 / 2**30 <= max_gib
        self.panels = [self._panel(own) for own in row_blocks(len(states))] if kept else None

    def multiply(self, vectors: np.ndarray) -> np.ndarray:
        low = vectors.astype(np.float32)
        out = np.zeros(vectors.shape)
        for k, own in enumerate(row_blocks(len(vectors))):
            panel = self._panel(own) if self.panels is None else self.panels[k]
            # In tiles that stay in the cache for their second product.
            for start in range(0, own.stop, _TILE):
                other = slice(start, min(start + _TILE, own.stop))
                tile = panel[:, other]
                out[own] += tile @ low[other]
                if other.start < own.start:
                    out[other] += tile.T @ low[own]
        return out

    def _panel(self, own: slice) -> np.ndarray:
        rows, indicators = self.operands
        return self.kernel.product(rows[own], indicators[: own.stop])


def kernel_system(
    kernel: ProductKernel, states: np.ndarray, noise: np.ndarray, max_gib: float = 8.0
) -> KernelSystem:
    """The solver for samples (n_samples, n_sites): a factor for few, the grid where it is small, blocks."""
    n = len(states)
    if n <= _FEW and 4 * n**2 / 2**30 <= max_gib:
        return CholeskySystem(kernel, states, noise)
    if np.prod(np.array(grid_shape(kernel, states), dtype=np.float64)) <= MOST_CELLS:
        return GridSystem(kernel, states, noise)
    return BlockSystem(kernel, states, noise, max_gib)


def grid_shape(kernel: ProductKernel, states: np.ndarray) -> tuple[int, ...]:
    """Levels of each site: its states, and one more where a sample is missing there."""
    return tuple((kernel.n_states + (states < 0).any(axis=0)).tolist())


def pivoted_factor(kernel: ProductKernel, states: np.ndarray, noise: np.ndarray, rank: int) -> np.ndarray:
    """Partial Cholesky factor (n_samples, rank) of the kernel; pivots of the largest remainder over noise."""
    level = kernel.level(states)
    logs = [np.log(table) for table in kernel.tables]
    remainder = kernel.diagonal(states)
    factor = np.zeros((len(states), rank))
    for j in range(rank):
        pivot = int(np.argmax(remainder / noise))
        if not remainder[pivot] > 1e-10 * kernel.variance:
            return factor[:, :j]
        row = np.zeros(len(states))
        for table, own in zip(logs, level.T, strict=True):
            row += table[own[pivot]][own]
        column = kernel.variance * np.exp(row) - factor[:, :j] @ factor[pivot, :j]
        factor[:, j] = column / np.sqrt(remainder[pivot])
        remainder = np.maximum(remainder - factor[:, j] ** 2, 0.0)
        remainder[pivot] = 0.0
    return factor


def conjugate_gradients(
    multiply: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    right: np.ndarray,
    tolerance: float,
    most_steps: int,
    progress: bool = False,
) -> np.ndarray:
    """Solutions (n, m) of a positive definite system for right-hand sides (n, m), each with steps of its own.

    Raises
    ------
    InputError
        When a residual is above ``tolerance`` times the right-hand side after ``most_steps``.
    """
    out = np.zeros(right.shape)
    residual = np.array(right, dtype=np.float64)
    size = np.maximum(np.linalg.norm(right, axis=0), 1e-300)
    z = precondition(residual)
    direction, rz = z, (residual * z).sum(axis=0)
    closest = 1.0  # residual so far, as a share of the right-hand side
    with progress_bar(progress, f"solving for {len(right):,} samples", -np.log(tolerance)) as advance:
        for _ in range(most_steps):
            if (np.linalg.norm(residual, axis=0) <= tolerance * size).all():
                return out
            product = multiply(direction)
            curvature = (direction * product).sum(axis=0)
            step = np.divide(rz, curvature, out=np.zeros_like(rz), where=curvature > 0)
            out += step * direction
            residual -= step * product
            now = float((np.linalg.norm(residual, axis=0) / size).max())
            advance(max(np.log(closest / max(now, tolerance)), 0.0))
            closest = min(closest, max(now, tolerance))
            z = precondition(residual)
            new = (residual * z).sum(axis=0)
            direction = z + np.divide(new, rz, out=np.zeros_like(rz), where=rz > 0) * direction
            rz = new
    worst = float((np.linalg.norm(residual, axis=0) / size).max())
    raise InputError(
        f"conjugate gradients: residual {worst:.1e} after {most_steps:,} steps, tolerance {tolerance:.0e}; "
        f"the noise is too small for {len(right):,} samples; {_CURE}"
    )
