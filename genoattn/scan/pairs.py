"""The exact least-squares test of the product term of every pair of columns, by blocked matrix products.

y and each column a are residualised on the covariates Z = QR: yt, at. For the product ab:
``<ab,yt> = (A*yt)^T A``, ``<ab,at> = (A*At)^T A`` (its transpose serves b), ``<at,bt> = At^T At``,
``<ab,ab>_resid = (A^2)^T A^2 - sum_k ((A*Q_k)^T A)^2``. A 2 x 2 elimination then gives the t of a regression a pair.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

_EPSILON = 1e-9


def pair_tiles(
    columns: np.ndarray, phenotype: np.ndarray, covariates: np.ndarray, block: int = 1024
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """t of the product of every pair of columns, beside both main effects and the covariates.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), centred, no missing values.
    phenotype
        Shape (n_samples,).
    covariates
        Shape (n_samples, n_covariates), without an intercept.
    block
        Tile width; memory is about six tiles of block x block float64.

    Yields
    ------
    Row block, column block, and t of shape (block, block); NaN where the product cannot be tested. Blocks on and above the
    diagonal only; within a diagonal block t is symmetric.
    """
    n = len(phenotype)
    q, _ = np.linalg.qr(np.column_stack([np.ones(n), covariates]))
    y = phenotype - q @ (q.T @ phenotype)
    residual = columns - q @ (q.T @ columns)
    spread = (residual**2).sum(axis=0)
    with_y = residual.T @ y
    n_columns = columns.shape[1]
    df = n - q.shape[1] - 3
    for i in range(0, n_columns, block):
        rows = slice(i, min(i + block, n_columns))
        a, at = columns[:, rows], residual[:, rows]
        for j in range(i, n_columns, block):
            cols = slice(j, min(j + block, n_columns))
            b, bt = columns[:, cols], residual[:, cols]
            product_y = (a * y[:, None]).T @ b
            product_a = (a * at).T @ b
            product_b = a.T @ (b * bt)
            product_2 = (a**2).T @ b**2 - sum(((a * q[:, k : k + 1]).T @ b) ** 2 for k in range(q.shape[1]))
            yield (
                rows,
                cols,
                _eliminate(
                    (spread[rows][:, None], spread[cols][None, :], at.T @ bt, product_a, product_b, product_2),
                    (with_y[rows][:, None], with_y[cols][None, :], product_y, float(y @ y)),
                    df,
                ),
            )


def _eliminate(gram: tuple[np.ndarray, ...], response: tuple, df: int) -> np.ndarray:
    """t of the product from the 3 x 3 normal equations of (a, b, ab) of every pair of a tile."""
    aa, bb, ab, pa, pb, pp = gram
    ay, by, py, yy = response
    determinant = aa * bb - ab**2
    with np.errstate(divide="ignore", invalid="ignore"):
        # Regression of the product and of y on (a, b): weights by Cramer's rule.
        wa, wb = (pa * bb - pb * ab) / determinant, (pb * aa - pa * ab) / determinant
        left = pp - wa * pa - wb * pb
        cross = py - wa * ay - wb * by
        explained = (ay**2 * bb - 2 * ay * by * ab + by**2 * aa) / determinant
        t2 = cross**2 / left
        t = np.sign(cross) * np.sqrt(t2 / np.maximum(yy - explained - t2, 1e-300) * df)
    testable = (determinant > _EPSILON * aa * bb) & (left > _EPSILON * pp) & (pp > 0)
    return np.where(testable, t, np.nan)


def score_matrix(
    columns: np.ndarray,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    site: np.ndarray,
    threshold: float = 2.5,
) -> sparse.csr_array:
    """Pairs whose |t| passes a threshold: the sparse gradient of full-rank linear self-attention at C = 0.

    Parameters
    ----------
    columns, phenotype, covariates
        As in :func:`pair_tiles`.
    site
        Shape (n_columns,); columns of the same site are not paired.
    threshold
        Smallest |t| kept.

    Returns
    -------
    Symmetric, shape (n_columns, n_columns), holding t.
    """
    rows, cols, values = [], [], []
    for row_block, col_block, t in pair_tiles(columns, phenotype, covariates):
        i, j = np.nonzero(np.abs(np.nan_to_num(t)) >= threshold)
        value = t[i, j]
        i, j = i + row_block.start, j + col_block.start
        keep = (i < j) & (site[i] != site[j])
        rows.append(i[keep])
        cols.append(j[keep])
        values.append(value[keep])
    i, j, value = np.concatenate(rows), np.concatenate(cols), np.concatenate(values)
    shape = (columns.shape[1],) * 2
    upper = sparse.coo_array((value, (i, j)), shape=shape)
    return (upper + upper.T).tocsr()
