"""Blocks of columns as operands of a screen's matrix products, with what the bound needs of each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from genoattn.scan.bits import Planes
from genoattn.scan.bound import Bounds
from genoattn.scan.counted import Counted
from genoattn.scan.design import Design, centred
from genoattn.scan.gaps import Gaps
from genoattn.scan.products import Products, summing_error
from genoattn.scan.weighted import Lengths

_PART = 1 << 18  # calls at a time, so that what operands are made of stays in the cache


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
    """

    def __init__(self, design: Design, products: Products, planes: Planes | None, gaps: Gaps | None) -> None:
        self.design, self.products, self.planes, self.gaps = design, products, planes, gaps
        u = products.unit
        self.split = u > 2.0**-16  # the trait enters in two parts, lest its rounding loosens the bound
        self.summing = summing_error(design.n_samples)
        # Rounding of both factors, of the sum, and of the result, against |left| |right|.
        self.error = (2 * u + u * u + self.summing) * (1 + u) + u
        self.root = float(np.sqrt(design.total))
        self.unit = design.trait_norm if design.binary else self.root  # score of a correlation of 1
        self._weight = None if planes is not None else design.weight.astype(np.float32)
        self._basis = design.basis.astype(np.float32)
        self._trait = (design.trait * (self.unit / design.trait_norm) * self.root).astype(np.float32)

    def left(self, chosen: np.ndarray) -> Side:
        """The rows of a tile."""
        return self._side(chosen, left=True)

    def right(self, chosen: np.ndarray) -> Side:
        """The columns of a tile."""
        return self._side(chosen, left=False)

    def _side(self, chosen: np.ndarray, left: bool) -> Side:
        step = max(16, _PART // self.design.n_samples)
        make = self._left_part if left else self._right_part
        parts = [make(chosen[k : k + step]) for k in range(0, len(chosen), step)]
        operands = {name: self.products.stack([p[0][name] for p in parts]) for name in parts[0][0]}
        size = {name: np.concatenate([p[1][name] for p in parts]) for name in parts[0][1]}
        size = {name: value.astype(np.float64) for name, value in size.items()}
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
        x, d = self._unit(chosen), self.design
        values = {f"fixed{k}": self._moment(x, self._basis[k]) for k in range(1, d.n_fixed)}
        fixed2 = sum((_length(v) ** 2 for v in values.values()), np.zeros(len(chosen)))
        size = {}
        if self.planes is None:
            xt = self._residual(x, chosen)
            values |= {"value": x * self._weight, "residual": xt * self._weight}
            values |= {"moment": self._moment(x, xt), "square": self._moment(x, x)}
            size = {name: _length(values[name]) for name in ("value", "residual", "moment", "square")}
            fixed2 = fixed2 + size["value"] ** 2
        # Columns as codes are centred only by what they are multiplied with.
        centred_trait = self.split or self.planes is None
        trait = self._moment(x, self._trait / np.float32(self.root)) if centred_trait else x * self._trait
        size |= {"fixed": np.sqrt(fixed2), "trait": _length(trait)}
        operands = {name: self.products.operand(value) for name, value in values.items()}
        operands["trait"] = self.products.operand(trait)
        if self.split:
            operands["rest"] = self.products.operand(trait - self.products.rounded(operands["trait"]))
        return operands, size

    def _right_part(self, chosen: np.ndarray) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        x = self._unit(chosen)
        values = {}
        if self.planes is None:
            xt = self._residual(x, chosen)
            values = {"value": x, "residual": xt, "moment": self._moment(x, xt, weighted=False)}
            values["square"] = self._moment(x, x, weighted=False)
        size = {name: _length(value) for name, value in values.items()}
        operands = {name: self.products.operand(value) for name, value in values.items()}
        if self.split:
            codes, own = self._codes(chosen)
            size |= own
            operands["right"] = self.products.operand(codes)
        else:
            size["right"] = _length(x)
            operands["right"] = operands["value"] if values else self.products.operand(x)
        return operands, size

    def _codes(self, chosen: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Columns as small integers, which no rounding changes, but for imputed calls."""
        d = self.design
        norm, mean, missing = d.columns.norm[chosen], d.columns.mean[chosen], d.columns.missing[chosen]
        centre = np.round(mean)
        codes = (d.codes[chosen] - centre[:, None]).astype(np.float32)
        if missing.any():
            codes = np.where(d.codes[chosen] < 0, (mean - centre)[:, None].astype(np.float32), codes)
        imputed = np.abs(mean - centre) * np.sqrt(missing) * self.products.unit / norm
        return codes, {"right": _length(codes) / norm, "imputed": imputed, "per_code": 1 / norm}

    def _unit(self, chosen: np.ndarray) -> np.ndarray:
        """Columns at unit length: float32."""
        d, columns = self.design, self.design.columns
        x = centred(d.codes[chosen], columns.mean[chosen], np.float32, bool(columns.missing[chosen].any()))
        x *= (1 / columns.norm[chosen]).astype(np.float32)[:, None]
        return x

    def _residual(self, x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """What the fixed effects leave of unit columns, at unit length."""
        columns = self.design.columns
        xt = x - (x * self._weight) @ self._basis.T @ self._basis
        return xt * (columns.norm[chosen] / columns.residual_norm[chosen]).astype(np.float32)[:, None]

    def _moment(self, x: np.ndarray, y: np.ndarray, weighted: bool = True) -> np.ndarray:
        """Products of unit columns and y at the scale of P, less their (weighted) means."""
        values = x * y
        values *= np.float32(self.root)
        if self._weight is None:
            values -= values.mean(axis=1, keepdims=True)
            return values
        values -= (values @ self._weight)[:, None] / np.float32(self.design.total)
        return values * self._weight if weighted else values


def _length(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("rs,rs->r", rows, rows))
