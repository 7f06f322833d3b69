"""Order 3: every triple by one product of matrices, those that stand out by an exact regression.

With centred columns the product abc is orthogonal in expectation to all terms of lower order where sites are
unlinked, so that ``<abc, yt> / |abc|`` is close to the score of the triple. Triples whose score passes a
looser threshold get the regression on all three main effects, all three pairs, the triple and the fixed
effects. Among linked sites the two differ: a triple whose score is small is not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
from scipy.special import ndtri

from genoattn.scan.design import Design
from genoattn.scan.exact import SINGULAR, PairTests, pair_tests
from genoattn.scan.products import Products, one_thread_each

_BLOCK_BYTES = 8e6
_STRIP = 128


def score_triples(
    design: Design,
    products: Products,
    p_value: float,
    first: np.ndarray,
    columns: np.ndarray,
    site: np.ndarray,
    threads: int = 1,
    advance: Callable[[int], object] = lambda n: None,
) -> tuple[np.ndarray, int]:
    """Triples whose score passes a p-value.

    Parameters
    ----------
    design
        Columns, trait, fixed effects.
    products
        Precision.
    p_value
        Two-sided, of the score.
    first
        Columns that a triple must hold one of; equal to ``columns`` for all triples.
    columns
        Columns that triples are made of, ascending.
    site
        Shape (n_columns,), site of each: the three are distinct.
    threads
        Blocks at a time.
    advance
        Called with the number of triples just done.

    Returns
    -------
    Shape (n_found, 3), ascending in each row, and the number of triples scored.
    """
    critical = np.float32((-ndtri(p_value / 2)) ** 2)
    x = design.values(columns).astype(np.float32)
    right = products.operand(x)
    squares = products.operand(x * x)
    scale = design.trait_norm / np.sqrt(design.total) if not design.binary else 1.0
    trait = (design.weight * design.trait / scale).astype(np.float32)
    weight = design.weight.astype(np.float32)
    chosen = np.isin(columns, first)
    place = site[columns]

    def one(k: int) -> tuple[np.ndarray, int]:
        """Triples of the k-th column with two others: later ones, or any where those are not of ``first``."""
        others = (
            np.flatnonzero((np.arange(len(columns)) > k) | ~chosen)
            if not chosen.all()
            else np.arange(k + 1, len(columns))
        )
        others = others[place[others] != place[k]]
        found, n = [], 0
        for start in range(0, len(others), _STRIP):
            mine, rest = others[start : start + _STRIP], others[start:]
            pair = x[mine] * x[k]
            lo, hi = (rest[0], rest[-1] + 1) if len(rest) else (0, 0)
            whole = hi - lo == len(rest)
            score = products.product(products.operand(pair * trait), right[lo:hi] if whole else right[rest])
            length = products.product(
                products.operand(pair * pair * weight), squares[lo:hi] if whole else squares[rest]
            )
            z, v = products.read(score, slice(None)), products.read(length, slice(None))
            keep = place[mine][:, None] != place[rest]
            keep &= mine[:, None] < rest
            n += int(keep.sum())
            i, j = np.nonzero((np.square(z) > critical * v) & keep)
            found.append(np.stack([np.full(len(i), k), mine[i], rest[j]], axis=1))
        if not found:
            return np.zeros((0, 3), dtype=np.intp), 0
        return np.concatenate(found), n

    parts, n_scored = [], 0
    todo = np.flatnonzero(chosen).tolist()
    with one_thread_each(products), ThreadPoolExecutor(threads) as pool:
        for rows, n in pool.map(one, todo):
            parts.append(rows)
            n_scored += n
            advance(n)
    rows = np.concatenate(parts) if parts else np.zeros((0, 3), dtype=np.intp)
    return np.sort(columns[rows], axis=1), n_scored


def regress_triples(design: Design, trait: np.ndarray, triples: np.ndarray) -> PairTests:
    """Least squares of the trait on a triple product beside all its lower-order terms, triple by triple.

    Each on the samples called at all three sites; ``r2`` is the largest of the three pairs'.
    """
    block = max(1, int(_BLOCK_BYTES / (8 * design.n_samples * (2 * design.n_fixed + 16))))
    parts = [
        _regress_block(design, trait, triples[start : start + block])
        for start in range(0, len(triples), block)
    ]
    return PairTests.join(parts) if parts else PairTests.none()


def _regress_block(design: Design, trait: np.ndarray, triples: np.ndarray) -> PairTests:
    called = np.logical_and.reduce([design.called(triples[:, k]) for k in range(3)])
    n = called.sum(axis=1)
    values = []
    for k in range(3):
        x = design.values(triples[:, k]) * called
        values.append((x - (x.sum(axis=1) / np.maximum(n, 1))[:, None]) * called)
    lower = [*values, *(values[i] * values[j] for i, j in combinations(range(3), 2))]
    fixed = design.basis[None] * called[:, None, :]
    x = np.concatenate([fixed, np.stack(lower, axis=1)], axis=1)
    scale = np.sqrt(np.einsum("tps,tps->tp", x, x))
    testable = (scale > 1e-150).all(axis=1)
    x /= np.where(scale > 0, scale, 1.0)[:, :, None]
    value, vector = np.linalg.eigh(x @ x.transpose(0, 2, 1))
    testable &= value[:, 0] > SINGULAR
    root = vector / np.sqrt(np.where(value > SINGULAR, value, 1.0))[:, None, :]
    basis = root.transpose(0, 2, 1) @ x

    def residual(y: np.ndarray) -> np.ndarray:
        for _ in range(2):  # twice is enough for full accuracy
            y = y - ((basis @ y[:, :, None]).transpose(0, 2, 1) @ basis)[:, 0]
        return y

    y = np.where(called, trait, 0.0)
    y = (y - (y.sum(axis=1) / np.maximum(n, 1))[:, None]) * called
    product = values[0] * values[1] * values[2]
    p, e = residual(product), residual(y)
    left, cross = (p * p).sum(axis=1), (p * e).sum(axis=1)
    testable &= left > SINGULAR * np.maximum((product**2).sum(axis=1), 1e-300)
    rss = (e * e).sum(axis=1) - cross**2 / np.where(testable, left, 1.0)
    r2 = np.zeros(len(triples))
    for i, j in combinations(range(3), 2):
        squares = (values[i] ** 2).sum(axis=1) * (values[j] ** 2).sum(axis=1)
        r2 = np.maximum(r2, (values[i] * values[j]).sum(axis=1) ** 2 / np.maximum(squares, 1e-300))
    n_predictors = design.n_fixed + 4  # beyond the fixed effects pair_tests counts three: here seven
    return pair_tests(left, cross, rss, testable, n, n_predictors, r2, (y * y).sum(axis=1))
