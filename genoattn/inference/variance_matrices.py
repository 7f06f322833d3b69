"""Matrices of variance components: kernels without diagonals and covariates, and traces of their products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

_VECTORS = 256  # random ones for traces of three and four matrices
_ROWS = 128  # of a tile


@dataclass(frozen=True, eq=False)
class KernelMoments:
    """Traces of products of the matrices ``F_k`` of components, and of them with the kernels ``K_k``.

    ``F_k`` is the kernel less its diagonal, projected off intercept and covariates by M, less the multiple of
    M that makes its trace zero.

    Parameters
    ----------
    names
        The K components.
    df
        Residual degrees of freedom.
    expected
        Shape (K, K), ``tr(F_i K_k)``.
    mean
        Shape (K,), ``tr(M K_k) / df``: the variance in the sample of a component with s_k = 1.
    two, three, four
        ``tr(F_i F_j)``, ``tr(F_i F_j F_k)``, ``tr(F_i F_k F_j F_l)``.
    """

    names: tuple[str, ...]
    df: int
    expected: np.ndarray
    mean: np.ndarray
    two: np.ndarray
    three: np.ndarray
    four: np.ndarray


@dataclass(frozen=True, eq=False)
class KernelMatrices:
    """The ``F_k`` themselves, (n_samples, n_samples) float32, by the names of the components."""

    matrices: dict[str, np.ndarray]
    moments: KernelMoments

    @classmethod
    def of(cls, kernels: Mapping[str, np.ndarray], basis: np.ndarray, seed: int = 0) -> KernelMatrices:
        """Of kernels by name, and an orthonormal basis of intercept and covariates (n_samples, n_fixed).

        The kernels (n_samples, n_samples) are overwritten.
        The traces of three and four matrices are by random vectors (Hutchinson 1990) beyond a few hundred
        samples, and exact below.
        """
        n = len(basis)
        df = n - basis.shape[1]
        diagonals = [np.diag(kernel).astype(np.float64) for kernel in kernels.values()]
        free = 1 - np.einsum("nk,nk->n", basis, basis)  # diagonal of M
        matrices, mean = [], []
        for kernel, diagonal in zip(kernels.values(), diagonals, strict=True):
            matrix, trace = off_diagonal(kernel, basis)
            matrices.append(matrix)
            mean.append((trace + diagonal @ free) / df)
        two = np.array([[trace_of(a, b) for b in matrices] for a in matrices])
        own = np.array([[np.diag(a).astype(np.float64) @ d for d in diagonals] for a in matrices])
        exact = n <= _VECTORS
        rng = np.random.default_rng(seed)
        z = np.eye(n) if exact else rng.choice([-1.0, 1.0], (n, _VECTORS))
        three, four = _traces(matrices, z.astype(np.float32), 1 if exact else _VECTORS)
        moments = KernelMoments(tuple(kernels), df, two + own, np.array(mean), two, three, four)
        return cls(dict(zip(kernels, matrices, strict=True)), moments)

    def select(self, index: list[int]) -> KernelMatrices:
        """Of the components at ``index`` alone."""
        m, every = self.moments, list(self.matrices.items())
        parts = {
            name: getattr(m, name)[np.ix_(*[index] * getattr(m, name).ndim)]
            for name in ("expected", "mean", "two", "three", "four")
        }
        names = tuple(m.names[k] for k in index)
        return KernelMatrices(dict(every[k] for k in index), replace(m, names=names, **parts))

    def forms(self, residual: np.ndarray) -> np.ndarray:
        """``e' F_k e`` of residuals (n_samples,): shape (K,)."""
        e = residual.astype(np.float32)
        return np.array([float(residual @ (matrix @ e)) for matrix in self.matrices.values()])

    def moments_of(self, n_samples: int, df: int) -> KernelMoments:
        """Moments of a cohort of ``n_samples``, of which these are a random part.

        A trace is a sum over m different samples, as many as there are ways to choose m; of four matrices
        also over three and two, where indices coincide.
        """
        m = self.moments
        n = len(next(iter(self.matrices.values())))
        ways = [float(np.prod([(n_samples - i) / (n - i) for i in range(k)])) for k in (2, 3, 4)]
        rows, twice = self._coincident()
        # Paths a-b-c-e-a with a = c, and with b = e; both of them with a = c and b = e too.
        once = np.einsum("ikn,jln->ikjl", rows, rows) + np.einsum("iln,jkn->ikjl", rows, rows)
        four = ways[2] * (m.four - once + twice) + ways[1] * (once - 2 * twice) + ways[0] * twice
        return replace(
            m, df=df, expected=ways[0] * m.expected, two=ways[0] * m.two, three=ways[1] * m.three, four=four
        )

    def _coincident(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of ``F_i * F_k`` summed, (K, K, n_samples), and sums of ``F_i * F_k * F_j * F_l``."""
        matrices = list(self.matrices.values())
        k, n = len(matrices), len(matrices[0])
        rows, twice = np.zeros((k * k, n)), np.zeros((k * k, k * k))
        for start in range(0, n, _ROWS):
            tile = [matrix[start : start + _ROWS] for matrix in matrices]
            products = np.stack([(a * b).ravel() for a in tile for b in tile])
            rows[:, start : start + _ROWS] = products.reshape(k * k, -1, n).sum(axis=2)
            twice += products @ products.T
        return rows.reshape(k, k, n), twice.reshape(k, k, k, k)


def off_diagonal(kernel: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, float]:
    """A kernel less its diagonal, projected off a basis, made traceless within that space; and that trace.

    The kernel (n_samples, n_samples) is overwritten.
    """
    out = kernel
    np.fill_diagonal(out, 0)
    q = basis.astype(np.float32)
    along = out @ q
    out -= along @ q.T
    out -= q @ (along - q @ (q.T @ along)).T
    trace = float(np.trace(out, dtype=np.float64))
    excess = np.float32(trace / (len(basis) - basis.shape[1]))
    out += (excess * q) @ q.T
    out[np.diag_indices(len(out))] -= excess
    return out, trace


def trace_of(a: np.ndarray, b: np.ndarray) -> float:
    """Of the product of two symmetric matrices, summed in float64 over rows."""
    return float(np.einsum("nm,nm->n", a, b).sum(dtype=np.float64))


def _traces(matrices: list[np.ndarray], z: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """``tr(F_i F_j F_k)`` and ``tr(F_i F_k F_j F_l)``, symmetrised, of vectors z (n_samples, n_vectors)."""
    once = np.stack([(m @ z).ravel() for m in matrices])
    twice = np.stack([(m @ one.reshape(z.shape)).ravel() for m in matrices for one in once])  # F_i F_k z
    k = len(matrices)
    three = (once @ twice.T / n).reshape(k, k, k).astype(np.float64)
    three = sum(three.transpose(p) for p in permutations(range(3))) / 6
    product = (twice @ twice.T / n).reshape(k, k, k, k).astype(np.float64)  # (F_k F_i z)'(F_j F_l z)
    four = product.transpose(1, 0, 2, 3)
    return three, (four + four.transpose(2, 3, 0, 1)) / 2
