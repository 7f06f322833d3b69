"""The screen by products of whole numbers: blocks of columns as operands, tiles of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.screening.bound import Bounds, Limits
from genoattn.scan.screening.gaps import column_gaps
from genoattn.scan.screening.grouped import no_words
from genoattn.scan.screening.grouped_vectors import GroupedVectors, takes_groups
from genoattn.scan.screening.tiles import (
    DEPTH,
    SIDE,
    Rows,
    aligned,
    configuration,
    counts_pay,
    fill_columns,
)
from genoattn.scan.screening.whole import Columns, screen_whole
from genoattn.scan.screening.whole_vectors import ColumnSums, Vectors

_ROUNDING = 1e-5  # of a score, relative to itself, in float32


@dataclass(frozen=True, eq=False)
class WholeSide:
    """One block of columns, as the rows or as the columns of a tile.

    Parameters
    ----------
    columns
        Operands and moments.
    bounds
        Main effects, and what missing calls can change.
    missing
        Whether any call of the block is missing.
    """

    columns: Columns
    bounds: Bounds
    missing: bool

    def __len__(self) -> int:
        return self.columns.fields.shape[1]


class WholeScreen:
    """Finds the pairs of a tile that may pass a threshold; the machine must have units for bytes.

    Parameters
    ----------
    design
        Columns and trait.
    critical
        Smallest |correlation| of trait and product beside the main effects (quantitative), or smallest |z|
        (binary), that must not be missed.
    margin
        Shape (n_columns,), by what share the score of a pair may lie below that; None for 0.
    """

    def __init__(self, design: Design, critical: float, margin: np.ndarray | None = None) -> None:
        self.design = design
        self.margin = np.zeros(design.n_columns) if margin is None else margin
        self.gaps = None if design.binary else column_gaps(design)
        self.root = float(np.sqrt(design.total))
        self.unit = design.trait_norm if design.binary else self.root  # score of a correlation of 1
        threshold = critical if design.binary else critical * self.root
        self.limits = Limits(float(threshold) ** 2 * (1 - 1e-5), self.unit, _ROUNDING, design.binary)
        self._centre = np.round(design.columns.mean).astype(np.int8)
        self._highest = int(design.codes.max(initial=1))
        self._configuration = configuration()
        self.vectors: Vectors | GroupedVectors
        if counts_pay() and takes_groups(design):
            reached = float(threshold) * max(1 - 2 * float(np.median(self.margin)), 0.0)
            self.vectors = GroupedVectors(design, self.unit, self.root, reached)
            self._plans = {False: self.vectors.plan()}
        else:
            self.vectors = Vectors(design, self.unit, self.root)
            missing = (False, True) if self.vectors.gaps else (False,)
            self._plans = {gaps: self.vectors.plan(gaps, self.gaps is None) for gaps in missing}

    def left(self, chosen: np.ndarray) -> WholeSide:
        """Operands of the rows of a tile."""
        return self._side(chosen, 0)

    def right(self, chosen: np.ndarray) -> WholeSide:
        """Operands of the columns of a tile."""
        return self._side(chosen, SIDE)

    def _side(self, chosen: np.ndarray, side: int) -> WholeSide:
        """Columns as the rows of a tile (``side`` 0), or as its columns, filled up to a multiple of it."""
        d, columns, vectors = self.design, self.design.columns, self.vectors
        codes, centre = d.codes[chosen], self._centre[chosen]
        grouped = no_words(side)
        operands: object = None
        if isinstance(vectors, GroupedVectors):
            sums, grouped = vectors.columns(chosen, centre, side)
        if side or isinstance(vectors, Vectors):
            blocks, depth = -(-len(chosen) // SIDE) * (SIDE // 16), -(-d.n_samples // DEPTH)
            operands = aligned((len(vectors.column_powers), blocks, depth, 16, 16, 4))
            fill_columns(codes, centre, vectors.column_powers, operands)
            if isinstance(vectors, Vectors):
                sums = vectors.sums(operands, len(chosen))
        if not side:
            operands = Rows(codes, centre, vectors.powers, vectors.digits)
        none = np.zeros(len(chosen))
        bounds = Bounds(
            self.unit * columns.with_trait[chosen],
            none + 1.0,
            none + 1.0,
            none,
            none if self.gaps is None else self.gaps.leverage[chosen],
            none if self.gaps is None else self.gaps.trait[chosen],
            self.margin[chosen],
        )
        on_fixed = columns.on_fixed[chosen, 1:] / columns.norm[chosen, None]
        numbers_of = (
            self._fields(chosen, sums, bounds.leverage),
            sums.effects,
            np.ascontiguousarray(on_fixed.T),
        )
        as_floats = (x.astype(np.float32) for x in numbers_of)
        of_columns = Columns(operands, *as_floats, grouped, codes)  # type: ignore[call-arg]
        return WholeSide(of_columns, bounds, bool(columns.missing[chosen].any()))

    def _fields(self, chosen: np.ndarray, sums: ColumnSums, leverage: np.ndarray) -> np.ndarray:
        """What the screen has of each column, in the order of whole.py."""
        columns, n_fixed = self.design.columns, self.design.n_fixed
        scale, centre = 1 / columns.norm[chosen], self._centre[chosen]
        stretch = columns.norm[chosen] / columns.residual_norm[chosen]
        reach = np.maximum(stretch**2 - 1, 0.0) * (1 + 1e-6) + 1e-6 * (n_fixed > 1)
        mean = columns.mean[chosen] - centre
        lost = sums.lost_square - 2 * mean * sums.lost + mean**2 * self.vectors.lost_total
        lost = np.sqrt(np.maximum(lost, 0.0)) * scale
        largest = np.maximum(columns.mean[chosen], self._highest - columns.mean[chosen])
        return np.array(
            [
                mean,
                scale,
                stretch,
                reach,
                sums.total,
                sums.square,
                sums.trait,
                leverage,
                lost * stretch,
                lost * largest * scale * self.root,
            ]
        )

    def candidates(
        self, left: WholeSide, right: WholeSide, triangle: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, within the tile, of the pairs that may pass.

        Parameters
        ----------
        left, right
            From :meth:`left` and :meth:`right`.
        triangle
            Whether both are the same columns, each pair of which is wanted once.
        """
        keep = np.zeros((len(left), len(right)), dtype=np.bool_)
        plan, first = self._plans[left.missing or right.missing], 1 if triangle else -len(left)
        common = (left.columns, right.columns, left.bounds, right.bounds)
        screen_whole(*common, plan, self.limits, first, self._configuration, keep)
        i, j = np.divmod(np.flatnonzero(keep), max(len(right), 1))
        return i, j
