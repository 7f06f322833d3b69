"""Samples in groups that are alike."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np

GROUP = 32  # samples of a group, at most: those of a word of bits


def alike(features: np.ndarray, extra: int = 0, settled: float = 0.0) -> np.ndarray:
    """Groups of at most 32 samples: the leaves of a k-d tree, of which the widest are split further.

    Parameters
    ----------
    features
        Shape (n_samples, n_features), scaled so that equal differences matter equally.
    extra
        How many groups there may be beyond the least number.
    settled
        Distance of all samples from the means of their groups, root of the sum of squares, below which no
        more are made.

    Returns
    -------
    Shape (n_groups, 32), samples; -1 where a group has fewer.
    """
    leaves = _leaves(features)
    queue = [(-_scatter(features[leaf]), k, leaf) for k, leaf in enumerate(leaves)]
    heapify(queue)
    left = -sum(entry[0] for entry in queue)
    for k in range(extra):
        if left <= settled**2 or not queue or not queue[0][0] < 0:
            break
        scatter, _, leaf = heappop(queue)
        left += scatter
        for half, part in enumerate(_halves(features, leaf)):
            scatter = _scatter(features[part])
            left += scatter
            heappush(queue, (-scatter, len(leaves) + 2 * k + half, part))
    parts = [leaf for _, _, leaf in sorted(queue, key=lambda entry: entry[1])]
    out = np.full((len(parts), GROUP), -1)
    for row, part in zip(out, parts, strict=True):
        row[: len(part)] = part
    return out


def _leaves(features: np.ndarray) -> list[np.ndarray]:
    """Groups that all but the last have 32 samples, by halving what is widest."""
    leaves: list[np.ndarray] = []
    cells = [np.arange(len(features))]
    while cells:
        cell = cells.pop()
        n_groups = -(-len(cell) // GROUP)
        if n_groups <= 1:
            leaves.append(cell)
            continue
        widest = int(np.argmax(features[cell].var(axis=0)))
        cell = cell[np.argsort(features[cell, widest], kind="stable")]
        middle = n_groups // 2 * GROUP
        cells += [cell[middle:], cell[:middle]]
    return leaves


def _scatter(rows: np.ndarray) -> float:
    """Sum of squared distances from the mean."""
    return float(((rows - rows.mean(axis=0)) ** 2).sum()) if len(rows) else 0.0


def _halves(features: np.ndarray, leaf: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two parts of a group, cut along one feature, that are nearest to their own means."""
    n = np.arange(1, len(leaf))[:, None]
    least, halves = np.inf, (leaf[:1], leaf[1:])
    for k in range(features.shape[1]):
        order = leaf[np.argsort(features[leaf, k], kind="stable")]
        rows = features[order] - features[order].mean(axis=0)
        below = rows.cumsum(axis=0)[:-1]
        # What is left is the scatter of the whole less that between the two parts.
        left = -(below**2 * (1 / n + 1 / (len(leaf) - n))).sum(axis=1)
        best = int(np.argmin(left))
        if left[best] < least:
            least, halves = float(left[best]), (order[: best + 1], order[best + 1 :])
    return halves
