"""Every pair of a tile tested in float64 by matrix products, for tiles where most pairs are wanted."""

from __future__ import annotations

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.exact import PairTests, eliminate, pair_tests


def dense_tests(
    design: Design, trait: np.ndarray, rows: np.ndarray, cols: np.ndarray, i: np.ndarray, j: np.ndarray
) -> PairTests:
    """Tests of the pairs ``(rows[i], cols[j])``, without missing calls, from products of whole blocks.

    Parameters
    ----------
    design
        Columns and fixed effects, weight 1.
    trait
        Shape (n_samples,), as measured.
    rows, cols
        Indices of the columns of the two blocks.
    i, j
        Shape (n_pairs,), which pairs to return.
    """
    gram, with_trait, length, whole, raw = tile_products(design, rows, cols)
    chosen = [np.broadcast_to(x, whole.shape)[i, j] for x in (*gram, *with_trait, length, whole, raw)]
    yy = float(design.trait @ design.trait)
    left, cross, rss, testable = eliminate(tuple(chosen[:5]), (*chosen[5:8], yy), chosen[8], chosen[9])
    columns = design.columns
    testable &= columns.varies[rows[i]] & columns.varies[cols[j]]
    r2 = chosen[10] ** 2 / (columns.norm[rows[i]] * columns.norm[cols[j]]) ** 2
    n = np.full(len(i), design.n_samples)
    total = np.full(len(i), ((trait - trait.mean()) ** 2).sum())
    return pair_tests(left, cross, rss, testable, n, design.n_fixed, r2, total)


def tile_products(design: Design, rows: np.ndarray, cols: np.ndarray) -> tuple:
    """Inner products of two blocks that the regression of every pair needs, float64.

    Returns
    -------
    (<at,at>, <bt,bt>, <at,bt>, <P,at>, <P,bt>), (<at,y>, <bt,y>, <P,y>), <P,P> without and with what the
    fixed effects take of it, and <a,b>; shapes broadcast to (n_rows, n_cols).
    """
    a, b = design.values(rows), design.values(cols)
    plain = design.n_fixed == 1
    at, bt = (a, b) if plain else (design.residual(a), design.residual(b))
    raw = a @ b.T
    residual = raw if plain else at @ bt.T
    gram = (
        (at**2).sum(axis=1)[:, None],
        (bt**2).sum(axis=1)[None, :],
        residual,
        (a * at) @ b.T,
        a @ (b * bt).T,
    )
    with_trait = ((at @ design.trait)[:, None], (bt @ design.trait)[None, :], (a * design.trait) @ b.T)
    whole = (a**2) @ (b**2).T
    length = whole - raw**2 / design.n_samples
    for fixed in design.basis[1:]:
        length -= ((a * fixed) @ b.T) ** 2
    return gram, with_trait, length, whole, raw


def column_r2(design: Design, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Squared correlation of columns over all samples, missing calls at the mean: (n_rows, n_cols)."""
    columns = design.columns
    product = (design.values(rows) * design.weight) @ design.values(cols).T
    return (product / columns.norm[rows][:, None] / columns.norm[cols]) ** 2
