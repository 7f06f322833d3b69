"""The screen: a quick bound on the statistic of every pair of a tile, which leaves few for the exact test."""

from __future__ import annotations

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.screening.bits import pack_planes
from genoattn.scan.screening.bound import Limits
from genoattn.scan.screening.counted import Counted, screen_counted
from genoattn.scan.screening.gaps import column_gaps
from genoattn.scan.screening.products import Products
from genoattn.scan.screening.sides import Side, SideMaker
from genoattn.scan.screening.weighted import screen_weighted

_STRIP = 512  # rows of a tile at a time, so that its products stay in the cache
_NOTHING = np.zeros((0, 0), dtype=np.float32)


class Screen:
    """Finds the pairs of a tile that may pass a threshold.

    Parameters
    ----------
    design
        Columns and trait.
    products
        Precision of the products.
    critical
        Smallest |correlation| of trait and product beside the main effects (quantitative), or smallest |z|
        (binary), that must not be missed.
    margin
        Shape (n_columns,), by what share the score of a pair may lie below that; None for 0.
    """

    def __init__(
        self, design: Design, products: Products, critical: float, margin: np.ndarray | None = None
    ) -> None:
        self.design, self.products = design, products
        planes = None if design.binary else pack_planes(design.codes)
        self.gaps = None if design.binary else column_gaps(design)
        self.sides = SideMaker(design, products, planes, self.gaps, margin)
        threshold = critical if design.binary else critical * self.sides.root
        square = float(threshold) ** 2 * (1 - 1e-5)
        self.limits = Limits(square, self.sides.unit, 2 * products.unit, design.binary)

    def left(self, chosen: np.ndarray) -> Side:
        """Operands of the rows of a tile."""
        return self.sides.left(chosen)

    def right(self, chosen: np.ndarray) -> Side:
        """Operands of the columns of a tile."""
        return self.sides.right(chosen)

    def candidates(self, left: Side, right: Side, triangle: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, within the tile, of the pairs that may pass.

        Parameters
        ----------
        left, right
            From :meth:`left` and :meth:`right`.
        triangle
            Whether both are the same columns, each pair of which is wanted once.
        """
        found = []
        for start in range(0, len(left), _STRIP):
            before = start if triangle else 0
            rows, cols = left.select(slice(start, start + _STRIP)), right.select(slice(before, None))
            keep = self._strip(rows, cols, 1 if triangle else -len(rows))
            i, j = np.divmod(np.flatnonzero(keep), max(len(cols), 1))
            found.append((i + start, j + before))
        return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])

    def _strip(self, left: Side, right: Side, triangle: int) -> np.ndarray:
        """Whether pairs of a strip may pass: (n_rows, n_columns), bool."""
        keep = np.zeros((len(left), len(right)), dtype=np.bool_)
        score = self._products(left, right, ["trait", "rest"] if self.sides.split else ["trait"], "score")
        names = [f"fixed{k}" for k in range(1, self.design.n_fixed)]
        common = (left.columns, right.columns, left.bounds, right.bounds)
        if isinstance(left.columns, Counted):
            fixed = self._products(left, right, names, "fixed")
            on_both = left.on_fixed @ right.on_fixed.T if names else _NOTHING
            more = (on_both, float(self.design.n_samples), left.missing or right.missing, self.gaps is None)
            screen_counted(*common, score, fixed, *more, triangle, self.limits, keep)
            return keep
        fixed = self._products(left, right, ["value", *names], "fixed")
        pairs = [("residual", "residual"), ("moment", "value"), ("value", "moment"), ("square", "square")]
        tile = self.products.stacked([(left.operands[a], right.operands[b]) for a, b in pairs], "tile")
        screen_weighted(*common, tile, score, fixed, self.sides.error, triangle, self.limits, keep)
        return keep

    def _products(self, left: Side, right: Side, names: list[str], slot: str) -> np.ndarray:
        """Products of some operands of the rows with the columns: (n_names, n_rows, n_columns)."""
        if not names:
            return np.zeros((0, len(left), len(right)), dtype=np.float32)
        return self.products.stacked([(left.operands[name], right.operands["right"]) for name in names], slot)
