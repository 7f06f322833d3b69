"""Which of many linked pairs it is: a strong isolated factor moves to the pair that explains most."""

from __future__ import annotations

import numpy as np

LARGE = 0.05  # of the variance of the phenotype: an interaction strong enough to be placed
_LINKED = 0.5  # r2 from which columns are alternatives
_MOST = 300  # alternatives at each of the two sites


def sharpened(
    columns: np.ndarray, phenotype: np.ndarray, shapes: np.ndarray, strength: np.ndarray
) -> np.ndarray:
    """Strong factors of two linked groups of columns, each replaced by the likeliest pair of columns.

    Factors are found in what the additive model leaves, where the main effects of an interaction are smeared
    over linked columns. Which pair it is, is asked of the phenotype itself: the pair whose main effects and
    product explain most of it together.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), standardised.
    phenotype
        Shape (n_samples,), less what covariates explain.
    shapes, strength
        Factors, shape (n_ranks, 2, n_columns), and how strong each is.

    Returns
    -------
    Factors, of which those that explain less than 5 % of the variance, or whose columns are not all linked
    to one (r2 of 0.5), are as they were.
    """
    out = shapes.copy()
    for k, (first, second) in enumerate(shapes):
        product = (columns @ first) * (columns @ second)
        one, other = (_alternatives(columns, side) for side in (first, second))
        weak = strength[k] ** 2 * product.var() < LARGE * phenotype.var()
        if weak or one is None or other is None:
            continue
        a, b = _likeliest_pair(columns, phenotype - phenotype.mean(), one, other)
        out[k] = 0.0
        out[k, 0, a], out[k, 1, b] = 1.0, 1.0
    return out


def _alternatives(columns: np.ndarray, side: np.ndarray) -> np.ndarray | None:
    """Columns linked to the largest entry of one side; None where another entry is not."""
    r2 = (columns.T @ columns[:, int(np.argmax(np.abs(side)))] / len(columns)) ** 2
    if np.any(r2[side != 0] < _LINKED):
        return None
    order = np.argsort(-r2, kind="stable")[:_MOST]
    return np.sort(order[r2[order] >= _LINKED])


def _likeliest_pair(
    columns: np.ndarray, left: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[int, int]:
    """The pair whose two columns and product explain most of a centred vector together."""
    b = columns[:, second]
    best, found = -np.inf, (int(first[0]), int(second[0]))
    for i in first:
        a = columns[:, i : i + 1]
        product = a * b
        product -= product.mean(axis=0)
        gram = np.empty((len(second), 3, 3))
        gram[:, 0, 0] = float((a * a).sum())
        gram[:, 1, 1], gram[:, 2, 2] = (b * b).sum(axis=0), (product * product).sum(axis=0)
        gram[:, 0, 1] = gram[:, 1, 0] = (a * b).sum(axis=0)
        gram[:, 0, 2] = gram[:, 2, 0] = (a * product).sum(axis=0)
        gram[:, 1, 2] = gram[:, 2, 1] = (b * product).sum(axis=0)
        gram += 1e-9 * len(left) * np.eye(3)
        score = np.stack([np.full(len(second), float(a[:, 0] @ left)), b.T @ left, product.T @ left], axis=1)
        gain = (score * np.linalg.solve(gram, score[:, :, None])[:, :, 0]).sum(axis=1)
        j = int(np.argmax(gain))
        if gain[j] > best:
            best, found = float(gain[j]), (int(i), int(second[j]))
    return found
