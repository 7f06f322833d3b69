"""The exact least-squares test of the product term of every pair of columns, by blocked matrix products.

y and each column a are residualised on the covariates Z = QR: yt, at. For the product ab:
``<ab,yt> = (A*yt)^T A``, ``<ab,at> = (A*At)^T A`` (its transpose serves b), ``<at,bt> = At^T At``,
``<ab,ab>_resid = (A^2)^T A^2 - sum_k ((A*Q_k)^T A)^2``. A 2 x 2 elimination then gives the t of a
regression a pair.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

_EPSILON = 1e-9


def pair_tiles(
    columns: np.ndarray, phenotypes: np.ndarray, covariates: np.ndarray, block: int = 1024
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """t of the product of every pair of columns, beside both main effects and the covariates.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), centred, no missing values.
    phenotypes
        Shape (n_samples, n_traits); the products of genotypes are shared by all traits.
    covariates
        Shape (n_samples, n_covariates), without an intercept.
    block
        Tile width; memory is about 6 + 2 n_traits tiles of block x block float64.

    Yields
    ------
    Row block, column block, and t of shape (n_traits, block, block); NaN where the product cannot be
    tested. Blocks on and above the diagonal only; within a diagonal block t is symmetric.
    """
    n = len(phenotypes)
    q, _ = np.linalg.qr(np.column_stack([np.ones(n), covariates]))
    y = phenotypes - q @ (q.T @ phenotypes)
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
            product_a = (a * at).T @ b
            product_b = a.T @ (b * bt)
            product_2 = (a**2).T @ b**2 - sum(((a * q[:, k : k + 1]).T @ b) ** 2 for k in range(q.shape[1]))
            gram = (spread[rows][:, None], spread[cols][None, :], at.T @ bt, product_a, product_b, product_2)
            t = np.empty((y.shape[1], a.shape[1], b.shape[1]))
            for trait in range(y.shape[1]):
                product_y = (a * y[:, trait : trait + 1]).T @ b
                response = (
                    with_y[rows, trait][:, None],
                    with_y[cols, trait],
                    product_y,
                    float(y[:, trait] @ y[:, trait]),
                )
                t[trait] = _eliminate(gram, response, df)
            yield rows, cols, t


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
    testable = (determinant > _EPSILON * aa * bb) & (left > _EPSILON * pp) & (pp > 0) & (df > 0)
    return np.where(testable, t, np.nan)


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
    rows, cols, values = [], [], []
    for row_block, col_block, t in pair_tiles(columns, phenotypes, covariates):
        size = np.abs(np.nan_to_num(t)).min(axis=0)
        agree = np.abs(np.sign(t).sum(axis=0)) == len(t)
        i, j = np.nonzero(agree & (size >= threshold))
        value = size[i, j] * np.sign(t[0, i, j])
        i, j = i + row_block.start, j + col_block.start
        keep = (i < j) & (site[i] != site[j])
        rows.append(i[keep])
        cols.append(j[keep])
        values.append(value[keep])
    i, j, value = np.concatenate(rows), np.concatenate(cols), np.concatenate(values)
    shape = (columns.shape[1],) * 2
    upper = sparse.coo_array((value, (i, j)), shape=shape)
    return (upper + upper.T).tocsr()
