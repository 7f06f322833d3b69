"""Blocks of columns as operands of a screen's matrix products, with what the bound needs of each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.screening.bits import Planes
from genoattn.scan.screening.bound import Bounds
from genoattn.scan.screening.counted import Counted
from genoattn.scan.screening.fill import fill_codes, fill_products, fill_weighted
from genoattn.scan.screening.gaps import Gaps
from genoattn.scan.screening.products import Products, summing_error
from genoattn.scan.screening.weighted import Lengths


@dataclass(frozen=True, eq=False)
class Side:
    """One block of columns, as the rows or as the columns of a tile.

    Parameters
    ----------
    operands
        By name, (n_block, n_samples) each.
    columns
        :class:`Counted` or :class:`Lengths`.
    bounds
        Errors and main effects.
    missing
        Whether any call of the block is missing.
    on_fixed
        Shape (n_block, n_fixed - 1) float32, the unit columns' products with the fixed effects.
    """

    operands: dict[str, Any]
    columns: Counted | Lengths
    bounds: Bounds
    missing: bool
    on_fixed: np.ndarray

    def __len__(self) -> int:
        return len(self.on_fixed)

    def select(self, rows: slice) -> Side:
        """Some of its columns."""
        return Side(
            {name: values[rows] for name, values in self.operands.items()},
            type(self.columns)(*(values[rows] for values in self.columns)),
            Bounds(*(values[rows] for values in self.bounds)),
            self.missing,
            self.on_fixed[rows],
        )


class SideMaker:
    """Makes the operands of blocks.

    Parameters
    ----------
    design
        Columns and trait.
    products
        Precision of the products.
    planes
        Bits of the columns; None where genotype products are matrix products.
    gaps
        What missing calls can change; None where no call of the scan is missing.
    margin
        Shape (n_columns,), see :class:`~genoattn.scan.screening.bound.Bounds`; None for 0.
    """

    def __init__(
        self,
        design: Design,
        products: Products,
        planes: Planes | None,
        gaps: Gaps | None,
        margin: np.ndarray | None = None,
    ) -> None:
        self.design, self.products, self.planes = design, products, planes
        self.gaps, self.margin = gaps, margin
        u = products.unit
        self.split = u > 2.0**-16  # the trait enters in two parts, lest its rounding loosens the bound
        self.summing = summing_error(design.n_samples)
        # Rounding of both factors, of the sum, and of the result, against |left| |right|.
        self.error = (2 * u + u * u + self.summing) * (1 + u) + u
        self.root = float(np.sqrt(design.total))
        self.unit = design.trait_norm if design.binary else self.root  # score of a correlation of 1
        self._weight = design.weight.astype(np.float32)
        self._basis = design.basis.astype(np.float32)
        self._trait = (design.trait * (self.unit / design.trait_norm) * self.root).astype(np.float32)

    def left(self, chosen: np.ndarray) -> Side:
        """The rows of a tile."""
        return self._side(chosen, left=True)

    def right(self, chosen: np.ndarray) -> Side:
        """The columns of a tile."""
        return self._side(chosen, left=False)

    def _side(self, chosen: np.ndarray, left: bool) -> Side:
        operands, size = self._left_part(chosen) if left else self._right_part(chosen)
        columns: Counted | Lengths
        if self.planes is None:
            columns = Lengths(size["value"], size["residual"], size["moment"], size["square"])
        else:
            columns = self._counted(chosen)
        none = np.zeros(len(chosen))
        bounds = Bounds(
            self.unit * self.design.columns.with_trait[chosen],
            size["trait"] if left else self._trait_error(size),
            size["fixed"] if left else self.error * size["right"] + size.get("imputed", 0.0),
            size.get("per_code", none + 1.0),
            none if self.gaps is None else self.gaps.leverage[chosen],
            none if self.gaps is None else self.gaps.trait[chosen],
            none if self.margin is None else self.margin[chosen],
        )
        missing = bool(self.design.columns.missing[chosen].any())
        return Side(operands, columns, bounds, missing, self._on_fixed(chosen))

    def _trait_error(self, size: dict[str, np.ndarray]) -> np.ndarray:
        """The columns' factor of the score's error beside that of the final result."""
        if not self.split:
            return self.error * size["right"]
        u = self.products.unit
        return ((u * u + self.summing * (1 + 2 * u)) * size["right"] + size["imputed"]) * (1 + 2 * u)

    def _counted(self, chosen: np.ndarray) -> Counted:
        assert self.planes is not None
        columns, planes = self.design.columns, self.planes
        stretch = columns.norm[chosen] / columns.residual_norm[chosen]
        reach = np.maximum(stretch**2 - 1, 0.0) * (1 + 1e-9) + 1e-12 * (self.design.n_fixed > 1)
        called = self.design.n_samples - columns.missing[chosen]
        total = columns.mean[chosen] * called
        square = columns.norm[chosen] ** 2 + columns.mean[chosen] * total
        planes_of = (planes.one[chosen], planes.two[chosen], planes.called[chosen])
        return Counted(
            *planes_of, columns.mean[chosen], total, square, 1 / columns.norm[chosen], stretch, reach
        )

    def _on_fixed(self, chosen: np.ndarray) -> np.ndarray:
        d = self.design
        if d.n_fixed == 1 or self.planes is None:
            return np.zeros((len(chosen), 0), dtype=np.float32)
        return (d.columns.on_fixed[chosen, 1:] / d.columns.norm[chosen, None]).astype(np.float32)

    def _left_part(self, chosen: np.ndarray) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        root = np.float32(self.root)
        operands, size = self._weighted(chosen, left=True) if self.planes is None else ({}, {})
        fixed2 = size["value"] ** 2 if size else np.zeros(len(chosen))
        parts, _, lengths = self._filled(chosen, self._basis[1:] * root, True)
        operands |= {f"fixed{k + 1}": part for k, part in enumerate(parts)}
        fixed2 = fixed2 + (lengths**2).sum(axis=0)
        # Columns as codes are centred only by what they are multiplied with.
        centre = self.split or self.planes is None
        (operands["trait"],), rest, lengths = self._filled(chosen, self._trait[None], centre, self.split)
        if rest:
            operands["rest"] = rest[0]
        return operands, size | {"trait": lengths[0], "fixed": np.sqrt(fixed2)}

    def _right_part(self, chosen: np.ndarray) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        operands, size = self._weighted(chosen, left=False) if self.planes is None else ({}, {})
        if self.split:
            operands["right"], own = self._codes(chosen)
            return operands, size | own
        if "value" in operands:
            return operands | {"right": operands["value"]}, size | {"right": size["value"]}
        ones = np.ones(self.design.n_samples, dtype=np.float32)
        (operands["right"],), _, lengths = self._filled(chosen, ones[None], False)
        return operands, size | {"right": lengths[0]}

    def _filled(
        self, chosen: np.ndarray, vectors: np.ndarray, centre: bool, split: bool = False
    ) -> tuple[list[Any], list[Any], np.ndarray]:
        """Unit columns times vectors (and the weights), what rounding left of them, and their lengths."""
        columns = self.design.columns
        shape = (len(vectors), len(chosen), self.design.n_samples)
        out: np.ndarray = np.empty(shape, dtype=self.products.dtype)
        rest: np.ndarray = np.empty(shape if split else (0, 0, 0), dtype=self.products.dtype)
        length = np.empty(shape[:2])
        mean, scale = columns.mean[chosen].astype(np.float32), (1 / columns.norm[chosen]).astype(np.float32)
        codes = self.design.codes[chosen]
        fill_products(codes, mean, scale, vectors, self._weight, centre, out, rest, length)
        return [self.products.wrap(x) for x in out], [self.products.wrap(x) for x in rest], length

    def _weighted(self, chosen: np.ndarray, left: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Operands of the genotype products in a weighted inner product."""
        d, columns = self.design, self.design.columns
        out = np.empty((4, len(chosen), d.n_samples), dtype=self.products.dtype)
        length = np.empty((4, len(chosen)))
        scale = 1 / columns.norm[chosen]
        of_column = (
            columns.mean[chosen],
            scale,
            columns.norm[chosen] / columns.residual_norm[chosen],
            columns.on_fixed[chosen] * scale[:, None],
            self._basis,
            self._weight,
        )
        as_floats = (x.astype(np.float32) for x in of_column)
        fill_weighted(d.codes[chosen], *as_floats, self.root, left, out, length)
        names = ("value", "residual", "moment", "square")
        operands = {name: self.products.wrap(part) for name, part in zip(names, out, strict=True)}
        return operands, dict(zip(names, length, strict=True))

    def _codes(self, chosen: np.ndarray) -> tuple[Any, dict[str, np.ndarray]]:
        """Columns as small integers, which no rounding changes, but for imputed calls."""
        d = self.design
        norm, mean, missing = d.columns.norm[chosen], d.columns.mean[chosen], d.columns.missing[chosen]
        centre = np.round(mean)
        out, length = np.empty((len(chosen), d.n_samples), dtype=self.products.dtype), np.empty(len(chosen))
        whole, part = centre.astype(np.float32), (mean - centre).astype(np.float32)
        fill_codes(d.codes[chosen], whole, part, out, length)
        imputed = np.abs(mean - centre) * np.sqrt(missing) * self.products.unit / norm
        return self.products.wrap(out), {"right": length / norm, "imputed": imputed, "per_code": 1 / norm}
