"""The screen: rounded products, and a bound that no pair it discards can pass the threshold.

Write P for the product of two centred columns a and b, scaled to unit length in expectation; at, bt, yt for
what the fixed effects q_k leave of the columns and the trait, at unit length. With ``r = <at, bt>``,
``p = (<P, at>, <P, bt>)``, ``g = (<at, yt>, <bt, yt>)`` and ``G = [[1, r], [r, 1]]`` the regression gives

``t^2 / (df + t^2) = (<P, yt> - p' G^-1 g)^2 / ((|P|^2 - sum_k <P, q_k>^2 - p' G^-1 p) (1 - g' G^-1 g))``.

Each inner product is an entry of a matrix product: ``<P, yt> = <a yt, b>``, ``<P, at> = <a at, b>``,
``<P, bt> = <a, b bt>``, ``<P, q_k> = <a q_k, b>``, ``|P|^2 = <a^2, b^2>``. An entry computed with rounding
unit u is off by at most ``(2u + gamma) |left| |right|`` (Cauchy-Schwarz; gamma bounds the sums). The
numerator is rounded up and the denominator down by what follows from that, so that the ratio is an upper
bound; where it reaches the threshold the pair is a candidate for the exact test.

Missing calls count as the mean in the products. P is then 0 for a sample that lacks either call, but the
regression on complete cases differs in the samples that lack one: they are taken out by per-column bounds on
what those samples can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from genoattn.scan.design import Design, centred
from genoattn.scan.gaps import Gaps, column_gaps, complete_cases
from genoattn.scan.products import Products, summing_error

_SLACK = 0.02  # eta of (x + e)^2 <= (1 + eta) x^2 + (1 + 1/eta) e^2
_ALIKE = 1e-5  # 1 - |r| below which two columns may be one
_STRIP = 96  # rows of a tile at a time, so that the arrays of the bound stay in the cache


@dataclass(frozen=True, eq=False)
class Side:
    """One block of columns as operands, with what the bound needs of each column.

    Parameters
    ----------
    operands
        By name, (n_block, n_samples) each.
    size
        By name the length of each row of an operand, which scales its rounding: shape (n_block,).
    with_trait
        Shape (n_block,), correlation with the trait, in units of the score.
    gaps
        What the columns' missing calls can change; None where no call of the scan is missing.
    """

    operands: dict[str, Any]
    size: dict[str, np.ndarray]
    with_trait: np.ndarray
    gaps: Gaps | None


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
    """

    def __init__(self, design: Design, products: Products, critical: float) -> None:
        self.design, self.products = design, products
        n, u = design.n_samples, products.unit
        self.split = u > 2.0**-16  # the trait enters in two parts, lest its rounding loosens the bound
        self.summing = summing_error(n)
        # Rounding of both factors, of the sum, and of the result, against |left| |right|.
        self.error = np.float32((2 * u + u * u + self.summing) * (1 + u) + u)
        root = float(np.sqrt(design.total))
        self.unit = design.trait_norm if design.binary else root  # score of a correlation of 1
        self.scale = self.unit / design.trait_norm
        self.threshold = np.float32(critical if design.binary else critical * root)
        self.gaps = None if design.binary else column_gaps(design)

    @property
    def n_products(self) -> int:
        """Matrix products that a tile takes."""
        fixed = 0 if self.design.n_fixed == 1 else self.design.n_fixed
        return 4 + fixed + (2 if self.split else 1)

    def left(self, chosen: np.ndarray) -> Side:
        """Operands of the rows of a tile."""
        d = self.design
        x, xt = self._block(chosen)
        weight, root = d.weight.astype(np.float32), np.float32(np.sqrt(d.total))
        values = {"value": x * weight, "moment": _centre(root * x * xt, weight) * weight}
        if d.n_fixed > 1:
            values["residual"] = xt * weight
            values["square"] = _centre(root * x * x, weight) * weight
            for k in range(1, d.n_fixed):
                column = root * x * d.basis[k].astype(np.float32)
                values[f"fixed{k}"] = _centre(column, weight) * weight
        trait = _centre(root * x * (d.trait * self.scale).astype(np.float32), weight) * weight
        side = self._side(values, chosen)
        side.operands["trait"] = self.products.operand(trait)
        side.size["trait"] = np.linalg.norm(trait, axis=1)
        if self.split:
            rounded = self.products.read(side.operands["trait"], slice(None))
            side.operands["rest"] = self.products.operand(trait - rounded)
        return side

    def right(self, chosen: np.ndarray) -> Side:
        """Operands of the columns of a tile."""
        d = self.design
        x, xt = self._block(chosen)
        weight, root = d.weight.astype(np.float32), np.float32(np.sqrt(d.total))
        values = {"value": x, "moment": _centre(root * x * xt, weight)}
        if d.n_fixed > 1:
            values["residual"] = xt
            values["square"] = _centre(root * x * x, weight)
        side = self._side(values, chosen)
        if self.split:  # codes are small integers, which no rounding changes
            raw, mean = d.codes[chosen], d.columns.mean[chosen]
            codes = np.where(raw < 0, mean[:, None], raw).astype(np.float32)
            side.operands["codes"] = self.products.operand(codes)
            side.size["codes"] = np.linalg.norm(codes, axis=1) / d.columns.norm[chosen]
            imputed = np.abs(mean) * np.sqrt(d.columns.missing[chosen]) * self.products.unit
            side.size["imputed"] = imputed / d.columns.norm[chosen]
            side.size["per_code"] = 1 / d.columns.norm[chosen]
        return side

    def _block(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Columns at unit length, and what the fixed effects leave of them at unit length: float32."""
        d, columns = self.design, self.design.columns
        x = centred(d.codes[chosen], columns.mean[chosen], np.float32)
        x /= columns.norm[chosen].astype(np.float32)[:, None]
        if d.n_fixed == 1:
            return x, x
        basis = d.basis.astype(np.float32)
        xt = x - (x * d.weight.astype(np.float32)) @ basis.T @ basis
        xt *= (columns.norm[chosen] / columns.residual_norm[chosen]).astype(np.float32)[:, None]
        return x, xt

    def _side(self, values: dict[str, np.ndarray], chosen: np.ndarray) -> Side:
        operands = {name: self.products.operand(value) for name, value in values.items()}
        size = {name: np.linalg.norm(value, axis=1) for name, value in values.items()}
        fixed = [size.pop(f"fixed{k}") ** 2 for k in range(1, self.design.n_fixed) if f"fixed{k}" in size]
        size["fixed"] = np.sqrt(size["value"] ** 2 + sum(fixed, np.zeros(1)))
        size.setdefault("square", size["moment"])
        size.setdefault("residual", size["value"])
        gaps = None if self.gaps is None else self.gaps.select(chosen)
        with_trait = (self.design.columns.with_trait[chosen] * self.unit).astype(np.float32)
        return Side(operands, {k: v.astype(np.float32) for k, v in size.items()}, with_trait, gaps)

    def candidates(self, left: Side, right: Side) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, within the tile, of the pairs that may pass."""
        tile = self._products(left, right)
        n_rows = len(left.with_trait)
        found = []
        for start in range(0, n_rows, _STRIP):
            rows = slice(start, min(start + _STRIP, n_rows))
            possible = self._bound(tile, left, right, rows)
            i, j = np.nonzero(possible)
            found.append((i + start, j))
        return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])

    def _products(self, left: Side, right: Side) -> dict[str, Any]:
        a, b, product = left.operands, right.operands, self.products.product
        tile = {
            "at_bt": product(a.get("residual", a["value"]), b.get("residual", b["value"])),
            "with_a": product(a["moment"], b["value"]),
            "with_b": product(a["value"], b["moment"]),
            "length": product(a.get("square", a["moment"]), b.get("square", b["moment"])),
        }
        if self.design.n_fixed > 1:
            tile["fixed0"] = product(a["value"], b["value"])
            for k in range(1, self.design.n_fixed):
                tile[f"fixed{k}"] = product(a[f"fixed{k}"], b["value"])
        tile["trait"] = product(a["trait"], b["codes" if self.split else "value"])
        if self.split:
            tile["rest"] = product(a["rest"], b["codes"])
        return tile

    def _bound(self, tile: dict[str, Any], left: Side, right: Side, rows: slice) -> np.ndarray:
        """Whether each pair of a strip may pass: (n_rows, n_block), bool."""

        def read(name: str) -> np.ndarray:
            return self.products.read(tile[name], rows)

        def by_row(name: str) -> np.ndarray:
            return left.size[name][rows][:, None]

        one, error = np.float32(1), self.error
        r, pa, pb = read("at_bt"), read("with_a"), read("with_b")
        r_error = error * left.size["residual"][rows].max() * right.size["residual"].max()
        size = np.abs(r)
        # G is at least (1 - |r| - error) times the identity: where that is nothing, all is possible.
        room = one - size
        sure = np.maximum(room - r_error, np.float32(_ALIKE))
        wider = room / sure  # of G^-1, by the rounding of r
        inverse = one / np.maximum(room * (one + size), np.float32(1e-6))
        p_error2 = (error * by_row("moment") * right.size["value"].max()) ** 2
        p_error2 = p_error2 + (error * left.size["value"][rows].max() * right.size["moment"]) ** 2
        explained = np.maximum(pa * pa + pb * pb - 2 * r * pa * pb, 0) * inverse
        spread = p_error2 / sure
        explained_up = ((1 + _SLACK) * explained * wider) + (1 + 1 / _SLACK) * spread
        fixed2 = r * r if self.design.n_fixed == 1 else read("fixed0") ** 2
        for k in range(1, self.design.n_fixed):
            column = read(f"fixed{k}")
            fixed2 = fixed2 + column * column
        fixed_error = error * by_row("fixed") * right.size["value"].max()
        fixed_up = (1 + _SLACK) * fixed2 + (1 + 1 / _SLACK) * fixed_error**2
        taken = explained_up + fixed_up
        length = one + read("length")
        length_down = length - error * (by_row("square") * right.size["square"] + one)
        ga, gb = left.with_trait[rows][:, None], right.with_trait[None, :]
        main = (
            np.maximum(ga * ga + gb * gb - 2 * r * ga * gb, 0) * inverse
        )  # g' G^-1 g, in squared units of the score
        main_up = main * wider
        score = self._score(tile, right, rows)
        through = (pa * (ga - r * gb) + pb * (gb - r * ga)) * inverse
        off = np.sqrt(main_up) * (np.sqrt(spread) + np.sqrt(explained) * (r_error / sure))
        score_up = np.abs(score - through) + off + self._score_error(left, right, rows)
        # A score of the statistic itself is rounded with the result of its product.
        score_up += np.float32(self.products.unit * 2) * np.abs(score)
        left_of_trait = one - main_up * np.float32(1 / self.unit**2)
        if left.gaps is not None and right.gaps is not None:
            change = complete_cases(
                left.gaps, right.gaps, rows, sure, taken, main_up / np.float32(self.unit**2)
            )
            taken, left_of_trait = change.taken, left_of_trait - change.trait
            score_up = score_up + np.float32(self.unit) * change.score
        down = length_down - taken
        if not self.design.binary:
            down = down * np.maximum(left_of_trait, 0)
        # Negated, so that a NaN is a candidate.
        discard = score_up * score_up < self.threshold**2 * np.float32(1 - 1e-5) * np.maximum(down, 0)
        return ~discard | (room < r_error + np.float32(_ALIKE))

    def _score(self, tile: dict[str, Any], right: Side, rows: slice) -> np.ndarray:
        """<P, yt> in units of the score."""
        score = self.products.read(tile["trait"], rows)
        if self.split:
            score = (score + self.products.read(tile["rest"], rows)) * right.size["per_code"]
        return score

    def _score_error(self, left: Side, right: Side, rows: slice) -> np.ndarray:
        """Bound on the rounding of the score beside that of the final result."""
        size = left.size["trait"][rows][:, None]
        if not self.split:
            return self.error * size * right.size["value"].max()
        u = np.float32(self.products.unit)
        off = (u * u + np.float32(self.summing) * (1 + 2 * u)) * right.size["codes"] + right.size["imputed"]
        return size * (off * np.float32(1 + 2 * u))


def _centre(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rows less their weighted means."""
    return values - ((values @ weight) / weight.sum())[:, None]
