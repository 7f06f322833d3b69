"""Order 3: the exact regression of chosen triples, in float64, on the samples called at all three sites."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.regression.exact import SINGULAR, PairTests, pair_tests

N_LOWER = 6  # main effects and pairs beside a triple product
_BLOCK_BYTES = 8e6


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
