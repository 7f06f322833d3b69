"""Scores of every pair for several traits at once: the t of the product term, exactly, by matrix products."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from genoattn.scan.products import ProductBlock, as_columns, pair_weights

if TYPE_CHECKING:
    from scipy import sparse

_ROWS = 128  # of a tile at a time, whose arrays stay in the cache
_FLAT = 1e-10  # squared norm of a column's residual, relative to its own, below which it does not vary


def pair_tiles(
    columns: np.ndarray,
    phenotypes: np.ndarray,
    covariates: np.ndarray,
    block: int = 1024,
    threads: int | None = None,
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """t of the product of every pair of columns, adjusted for both main effects and the covariates.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), no missing values.
    phenotypes
        Shape (n_samples, n_traits); the products of genotypes are shared by all traits.
    covariates
        Shape (n_samples, n_covariates), without an intercept.
    block
        Tile width; memory is about n_traits tiles of block x block float64, and a copy of the columns.
    threads
        Strips of a tile at a time; None for all processors.

    Yields
    ------
    Row block, column block, and t of shape (n_traits, block, block); NaN where the product cannot be
    tested. A column that the covariates explain has its main effect among them. Blocks on and above the
    diagonal only; within a diagonal block t is symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn.scan.scores import pair_tiles
    >>> rng = np.random.default_rng(1)
    >>> columns = rng.integers(0, 3, (200, 6)).astype(float)
    >>> y = columns[:, 1] * columns[:, 4] + rng.normal(size=200)
    >>> [(rows, cols, t)] = pair_tiles(columns, y[:, None], np.zeros((200, 0)))
    >>> int(np.nanargmax(np.abs(t[0, 1])))
    4
    """
    from threadpoolctl import ThreadpoolController

    q, _ = np.linalg.qr(np.column_stack([np.ones(len(phenotypes)), covariates]))
    y = np.ascontiguousarray((phenotypes - q @ (q.T @ phenotypes)).T)
    basis = np.ascontiguousarray(q.T)
    values = np.ascontiguousarray((columns - columns.mean(axis=0)).T)
    square = np.einsum("bs,bs->b", values, values)
    residual = square - ((basis[1:] @ values.T) ** 2).sum(axis=0)
    varies = residual > _FLAT * square
    n_columns, libraries = len(values), ThreadpoolController()
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        for i in range(0, n_columns, block):
            rows = slice(i, min(i + block, n_columns))
            left = _operands(values, square, basis, varies, rows)
            for j in range(i, n_columns, block):
                cols = slice(j, min(j + block, n_columns))
                right = left if i == j else _operands(values, square, basis, varies, cols)
                t = np.empty((len(y), len(left), len(right)))
                with libraries.limit(limits=1):  # the threads are those of the strips
                    strips = range(0, len(left), _ROWS)
                    list(pool.map(lambda k: _strip(left, right, k, basis, y, t), strips))  # noqa: B023
                yield rows, cols, t


def _operands(
    values: np.ndarray, square: np.ndarray, basis: np.ndarray, varies: np.ndarray, chosen: slice
) -> ProductBlock:
    """Operands of a block of columns.

    A column that the covariates explain, as the main effect of an environment, is taken out of everything
    with them. All its residual's inner products are 0, so that any squared norm but 0 does for the residual.
    """
    made = as_columns(values[chosen], basis, np.ones(values.shape[1]), square[chosen] > 0)
    return replace(made, residual_square=np.where(varies[chosen], made.residual_square, made.square))


def _strip(
    left: ProductBlock, right: ProductBlock, start: int, basis: np.ndarray, y: np.ndarray, t: np.ndarray
) -> None:
    """Fill some rows of a tile; of a block with itself, the columns from there on and their transpose."""
    rows = slice(start, min(start + _ROWS, len(left)))
    df = y.shape[1] - len(basis) - 3
    if df <= 0:
        t[:, rows] = np.nan
        return
    symmetric = left is right
    part = slice(start, len(right)) if symmetric else slice(0, len(right))
    a, b = left.part(rows), right.part(part)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = pair_weights(a, b, basis, np.ones(y.shape[1]))
        for k, trait in enumerate(y):
            ya, yb = a.values @ trait, b.values @ trait
            partial = weights.regress(ya[:, None], yb, (a.values * trait) @ b.values.T, trait @ trait)
            # Written so that an exact fit gives a large number, and NaN stays NaN.
            room = np.maximum(partial.residual * partial.rest - partial.cross**2, 1e-300)
            score = np.where(weights.testable(partial), partial.cross * np.sqrt(df / room), np.nan)
            t[k, rows, part] = score
            if symmetric:
                t[k, rows.stop :, rows] = t[k, rows, rows.stop :].T


def score_matrix(
    columns: np.ndarray,
    phenotypes: np.ndarray,
    covariates: np.ndarray,
    site: np.ndarray,
    threshold: float = 2.5,
) -> sparse.csr_array:
    """Pairs whose |t| passes a threshold: the sparse gradient of full-rank linear self-attention at C = 0.

    Parameters
    ----------
    columns, phenotypes, covariates
        As in :func:`pair_tiles`; the phenotypes are versions of one trait, such as raw and with the
        additive genome taken out.
    site
        Shape (n_columns,); columns of the same site are not paired.
    threshold
        Smallest |t| kept.

    Returns
    -------
    Symmetric, shape (n_columns, n_columns), holding the t that is nearest to zero among the phenotypes.
    """
    from scipy import sparse

    rows, cols, values = [], [], []
    for row_block, col_block, t in pair_tiles(columns, phenotypes, covariates):
        score = agreed(t, max(threshold, np.nextafter(0, 1)))
        i, j = np.nonzero(score)
        value = score[i, j]
        i, j = i + row_block.start, j + col_block.start
        keep = (i < j) & (site[i] != site[j])
        rows.append(i[keep])
        cols.append(j[keep])
        values.append(value[keep])
    i, j, value = np.concatenate(rows), np.concatenate(cols), np.concatenate(values)
    shape = (columns.shape[1],) * 2
    upper = sparse.coo_array((value, (i, j)), shape=shape)
    return (upper + upper.T).tocsr()


def agreed(t: np.ndarray, threshold: float) -> np.ndarray:
    """The t nearest to 0 among those of the traits, the first axis; 0 where signs differ or it is small."""
    same = (t > 0).all(axis=0) | (t < 0).all(axis=0)  # NaN is neither
    size = np.abs(t).min(axis=0)
    return np.where(same & (size >= threshold), np.copysign(size, t[0]), 0.0)
