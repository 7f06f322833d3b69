"""The exact least-squares test of the product term of every pair of columns, by blocked matrix products.

y and each column a are residualised on the covariates Z = QR: yt, at. For the product P of a and b every
pair has ``<P,yt> = <a yt, b>``, ``<P,q_k> = <a q_k, b>``, ``<P,at> = <a^2,b> - sum_k <a,q_k> <P,q_k>``
and ``<P,P>_resid = <a^2,b^2> - sum_k <P,q_k>^2``. A 2 x 2 elimination then gives the t of a regression a
pair. Columns of genotypes, in whatever units, have their products counted from bits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

    from genoattn.scan.regression.dense import Block

_ROWS = 128  # of a tile at a time, whose arrays stay in the cache
_FLAT = 1e-10  # squared length, relative to its own, of what the covariates leave of a column that varies
_WHOLE = 1e-9  # distance from a whole number below which rounding is to blame


def pair_tiles(
    columns: np.ndarray,
    phenotypes: np.ndarray,
    covariates: np.ndarray,
    block: int = 1024,
    threads: int | None = None,
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """t of the product of every pair of columns, beside both main effects and the covariates.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), no missing values.
    phenotypes
        Shape (n_samples, n_traits); the products of genotypes are shared by all traits.
    covariates
        Shape (n_samples, n_covariates), without an intercept.
    block
        Tile width; memory is about n_traits tiles of block x block float64, beside a copy of the columns.
    threads
        Strips of a tile at a time; None for all processors.

    Yields
    ------
    Row block, column block, and t of shape (n_traits, block, block); NaN where the product cannot be
    tested. Blocks on and above the diagonal only; within a diagonal block t is symmetric.
    """
    from threadpoolctl import ThreadpoolController

    n = len(phenotypes)
    q, _ = np.linalg.qr(np.column_stack([np.ones(n), covariates]))
    y = np.ascontiguousarray((phenotypes - q @ (q.T @ phenotypes)).T)
    values = np.ascontiguousarray((columns - columns.mean(axis=0)).T)
    basis = np.ascontiguousarray(q.T)
    n_columns = len(values)
    libraries = ThreadpoolController()
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        for i in range(0, n_columns, block):
            rows = slice(i, min(i + block, n_columns))
            left = _block(values[rows], basis)
            for j in range(i, n_columns, block):
                cols = slice(j, min(j + block, n_columns))
                right = left if i == j else _block(values[cols], basis)
                t = np.empty((len(y), len(left), len(right)))
                with libraries.limit(limits=1):  # the threads are those of the strips
                    strips = range(0, len(left), _ROWS)
                    list(pool.map(lambda k: _strip(left, right, k, basis, y, t), strips))  # noqa: B023
                yield rows, cols, t


def _strip(left: Block, right: Block, start: int, basis: np.ndarray, y: np.ndarray, t: np.ndarray) -> None:
    """Fill some rows of a tile; of a block with itself, the columns from there on and their transpose."""
    from genoattn.scan.regression.dense import genotype_part, trait_products
    from genoattn.scan.regression.elimination import t_statistics

    rows = slice(start, min(start + _ROWS, len(left)))
    df = y.shape[1] - len(basis) - 3
    if df <= 0:
        t[:, rows] = np.nan
        return
    symmetric = left is right
    part = slice(start, len(right)) if symmetric else slice(0, len(right))
    a, b = left.part(rows), right.part(part)
    weights, _ = genotype_part(a, b, basis)
    for k, trait in enumerate(trait_products(a, b, y, (y**2).sum(axis=1))):
        t_statistics(weights, trait, float(df), t[k, rows, part])
        if symmetric:
            t[k, rows.stop :, rows] = t[k, rows, rows.stop :].T


def _block(values: np.ndarray, basis: np.ndarray) -> Block:
    """Centred rows (n_block, n_samples) as a block of a tile."""
    from genoattn.scan.regression.dense import Block
    from genoattn.scan.regression.genotype_sums import code_rows

    on_fixed = basis[1:] @ values.T
    norm2 = np.einsum("bs,bs->b", values, values)
    square = norm2 - (on_fixed**2).sum(axis=0)
    codes = _as_codes(values)
    square = np.where((norm2 > 0) & (square > _FLAT * norm2), square, np.nan)
    if codes is None:
        return Block(values, square, on_fixed)
    # t is the same in any units of the columns: those of the counts.
    spread = np.ptp(values, axis=1)
    unit = np.maximum(np.ptp(codes, axis=1), 1) / np.where(spread > 0, spread, 1.0)
    on_fixed, square = on_fixed * unit, square * unit**2
    return Block(values * unit[:, None], square, on_fixed, code_rows(codes))


def _as_codes(values: np.ndarray) -> np.ndarray | None:
    """Rows as codes 0, 1 and 2, int8, where they are such numbers in other units; else None."""
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    share = (values - low) / np.where(high > low, high - low, 1.0)
    codes = np.rint(2 * share)
    if not (np.abs(2 * share - codes) <= _WHOLE).all():
        return None
    halved = ~(codes == 1).any(axis=1, keepdims=True)
    return np.where(halved, codes / 2, codes).astype(np.int8)


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

    from genoattn.scan.regression.elimination import agreed

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
