"""Products of the columns of a hierarchical design, by dense or by sparse arithmetic."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from genoattn.closed_form.product_basis import ProductBasis
from genoattn.model.working_response import WorkingResponse

_ROWS = 4096
_SPARSE = 250  # times as dear is an entry of a sparse product


@dataclass(frozen=True, eq=False)
class Moments:
    """Weighted products of the design with itself and with the response."""

    gram: np.ndarray
    inner: np.ndarray


def design_moments(
    basis: ProductBasis, entity: np.ndarray, nuisance: np.ndarray, working: WorkingResponse
) -> Moments:
    root = np.sqrt(working.weight)
    sparse = _sparse_products(basis, entity)
    if sparse is not None:
        products = (sparse.multiply(root[:, None])).tocsr()
        weighted, y = nuisance * root[:, None], working.values * root
        across = products.T @ weighted
        gram = np.block([[weighted.T @ weighted, across.T], [across, (products.T @ products).toarray()]])
        return Moments(gram, np.concatenate([weighted.T @ y, products.T @ y]))
    width = nuisance.shape[1] + len(basis.order_of)
    gram, inner = np.zeros((width, width)), np.zeros(width)
    for start in range(0, len(entity), _ROWS):
        rows = slice(start, start + _ROWS)
        design = np.concatenate([nuisance[rows], basis.values(entity[rows])], axis=1) * root[rows, None]
        gram += design.T @ design
        inner += design.T @ (root[rows] * working.values[rows])
    return Moments(gram, inner)


def gram_work(basis: ProductBasis, calls: np.ndarray) -> float:
    """Multiplications that the products of all columns of the design with each other take, about."""
    return min(_work(basis, _codes(basis, basis.entity(calls)), len(calls)))


def _codes(basis: ProductBasis, entity: np.ndarray) -> np.ndarray | None:
    """Contrast of each sample at each site (n_samples, n_sites), -1 for none; None if not indicators."""
    if basis.vocabulary.is_dosage or not np.isin(entity, (0.0, 1.0)).all():
        return None
    code = np.full((len(entity), basis.vocabulary.n_sites), -1)
    for k, own in enumerate(basis.of_site):
        if len(own):
            code[:, k] = np.where(entity[:, own].any(axis=1), entity[:, own].argmax(axis=1), -1)
    return code


def _work(basis: ProductBasis, code: np.ndarray | None, n_samples: int) -> tuple[float, float]:
    """Multiplications with all products, and with those alone that are not zero (infinite where none is)."""
    dense = n_samples * float(len(basis.order_of)) ** 2
    if code is None:
        return dense, np.inf
    present = (code >= 0).sum(axis=1).astype(np.float64)
    number, choose = np.zeros(n_samples), np.ones(n_samples)
    for k in range(1, basis.order + 1):
        choose = choose * np.maximum(present - k + 1, 0) / k
        number += choose
    return dense, _SPARSE * float((number**2).sum())


def _sparse_products(basis: ProductBasis, entity: np.ndarray) -> csr_array | None:
    """The products as a sparse matrix, where they are indicators and mostly zero."""
    code, n = _codes(basis, entity), len(entity)
    dense, sparse = _work(basis, code, n)
    if code is None or sparse > dense:
        return None
    rows, columns = [], []
    for sites in basis.sets:
        chosen = np.flatnonzero((code[:, sites] >= 0).all(axis=1))
        shape = tuple(len(basis.of_site[s]) for s in sites)
        rows.append(chosen)
        columns.append(basis.start[sites] + np.ravel_multi_index(tuple(code[chosen][:, sites].T), shape))
    row, column = np.concatenate(rows), np.concatenate(columns)
    return csr_array((np.ones(len(row)), (row, column)), shape=(n, len(basis.order_of)))
