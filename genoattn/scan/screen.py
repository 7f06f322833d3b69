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

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from genoattn.scan.design import Design, centred
from genoattn.scan.gaps import Gaps, column_gaps, complete_cases
from genoattn.scan.products import Products, summing_error

_SLACK = 0.02  # eta of (x + e)^2 <= (1 + eta) x^2 + (1 + 1/eta) e^2
_ALIKE = 1e-5  # 1 - |r| below which two columns may be one
_TRIANGLE = 512  # columns of a triangle from which halving it pays
_PART = 1 << 18  # calls at a time in making operands
_STRIP = 64  # rows of a tile at a time, so that the arrays of the bound stay in the cache


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

    def select(self, rows: slice) -> Side:
        """Some of its columns."""
        return Side(
            {name: values[rows] for name, values in self.operands.items()},
            {name: values[rows] for name, values in self.size.items()},
            self.with_trait[rows],
            None if self.gaps is None else self.gaps.select(rows),
        )


_Parts = tuple[dict[str, Any], dict[str, np.ndarray]]  # operands, lengths of their rows


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
        self._root, self._weight = np.float32(root), design.weight.astype(np.float32)
        self._basis = design.basis.astype(np.float32)

    @property
    def n_products(self) -> int:
        """Matrix products that a tile takes."""
        fixed = 0 if self.design.n_fixed == 1 else self.design.n_fixed
        return 4 + fixed + (2 if self.split else 1)

    def left(self, chosen: np.ndarray) -> Side:
        """Operands of the rows of a tile."""
        return self._side(chosen, self._left_part)

    def right(self, chosen: np.ndarray) -> Side:
        """Operands of the columns of a tile."""
        return self._side(chosen, self._right_part)

    def _left_part(self, chosen: np.ndarray) -> _Parts:
        x, xt = self._columns(chosen)
        d, weight = self.design, self._weight
        values = {"value": x * weight, "moment": self._centred(x * xt) * weight}
        if d.n_fixed > 1:
            values["residual"] = xt * weight
            values["square"] = self._centred(x * x) * weight
            for k in range(1, d.n_fixed):
                values[f"fixed{k}"] = self._centred(x * self._basis[k]) * weight
        trait = self._centred(x * (d.trait * self.scale).astype(np.float32)) * weight
        size = _sizes(values, d.n_fixed)
        size["trait"] = _length(trait)
        operands = {name: self.products.operand(value) for name, value in values.items()}
        operands["trait"] = self.products.operand(trait)
        if self.split:
            trait -= self.products.read(operands["trait"], slice(None))
            operands["rest"] = self.products.operand(trait)
        return operands, size

    def _right_part(self, chosen: np.ndarray) -> _Parts:
        x, xt = self._columns(chosen)
        d = self.design
        values = {"value": x, "moment": self._centred(x * xt)}
        if d.n_fixed > 1:
            values["residual"] = xt
            values["square"] = self._centred(x * x)
        size = _sizes(values, d.n_fixed)
        operands = {name: self.products.operand(value) for name, value in values.items()}
        if self.split:  # codes are small integers, which no rounding changes
            norm, mean = d.columns.norm[chosen], d.columns.mean[chosen]
            centre = np.round(mean)
            codes = (d.codes[chosen] - centre[:, None]).astype(np.float32)
            missing = d.columns.missing[chosen]
            if missing.any():
                codes = np.where(d.codes[chosen] < 0, (mean - centre)[:, None].astype(np.float32), codes)
            operands["codes"] = self.products.operand(codes)
            size["codes"] = _length(codes) / norm
            size["imputed"] = np.abs(mean - centre) * np.sqrt(missing) * self.products.unit / norm
            size["per_code"] = 1 / norm
        return operands, size

    def _columns(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Columns at unit length, and what the fixed effects leave of them at unit length: float32."""
        d, columns = self.design, self.design.columns
        x = centred(d.codes[chosen], columns.mean[chosen], np.float32, bool(columns.missing[chosen].any()))
        x /= columns.norm[chosen].astype(np.float32)[:, None]
        if d.n_fixed == 1:
            return x, x
        xt = x - (x * self._weight) @ self._basis.T @ self._basis
        xt *= (columns.norm[chosen] / columns.residual_norm[chosen]).astype(np.float32)[:, None]
        return x, xt

    def _centred(self, values: np.ndarray) -> np.ndarray:
        """Products at the scale of P, less their weighted means; in place."""
        values *= self._root
        values -= (values @ self._weight)[:, None] / np.float32(self.design.total)
        return values

    def _side(self, chosen: np.ndarray, make: Callable[[np.ndarray], _Parts]) -> Side:
        """Operands of a block, made a few columns at a time: what they are made of stays in the cache."""
        rows = max(8, _PART // self.design.n_samples)
        made = [make(chosen[start : start + rows]) for start in range(0, len(chosen), rows)]
        operands = {name: self.products.stack([part[name] for part, _ in made]) for name in made[0][0]}
        size = {name: np.concatenate([s[name] for _, s in made]).astype(np.float32) for name in made[0][1]}
        gaps = None if self.gaps is None else self.gaps.select(chosen)
        with_trait = (self.design.columns.with_trait[chosen] * self.unit).astype(np.float32)
        return Side(operands, size, with_trait, gaps)

    def candidates(self, left: Side, right: Side, triangle: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, within the tile, of pairs that may pass; of a triangle above the diagonal."""
        n = len(left.with_trait)
        if not triangle or n < _TRIANGLE:
            return self._candidates(left, right)
        half = n // 2
        top, bottom = slice(0, half), slice(half, n)
        parts = [
            (0, 0, self.candidates(left.select(top), right.select(top), True)),
            (0, half, self._candidates(left.select(top), right.select(bottom))),
            (half, half, self.candidates(left.select(bottom), right.select(bottom), True)),
        ]
        return (
            np.concatenate([i + start for start, _, (i, _) in parts]),
            np.concatenate([j + start for _, start, (_, j) in parts]),
        )

    def _candidates(self, left: Side, right: Side) -> tuple[np.ndarray, np.ndarray]:
        tile = self._products(left, right)
        found = []
        for start in range(0, len(left.with_trait), _STRIP):
            rows = slice(start, min(start + _STRIP, len(left.with_trait)))
            strip = {name: self.products.read(values, rows) for name, values in tile.items()}
            self._join_parts(strip, right)
            if left.gaps is None:
                i, j = np.nonzero(self._rough(strip, left, right, rows))
                chosen = {name: values[i, j] for name, values in strip.items()}
                kept = self._possible(chosen, left, right, i + start, j)
                found.append((i[kept] + start, j[kept]))
            else:
                by_row, by_column = (
                    np.arange(rows.start, rows.stop)[:, None],
                    np.arange(len(right.with_trait)),
                )
                i, j = np.nonzero(self._possible(strip, left, right, by_row, by_column[None, :]))
                found.append((i + start, j))
        return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])

    def _join_parts(self, strip: dict[str, np.ndarray], right: Side) -> None:
        """Make the score and the share of the fixed effects out of the products they are sums of."""
        if self.split:
            strip["trait"] += strip.pop("rest")
            strip["trait"] *= right.size["per_code"]
        if self.design.n_fixed > 1:
            total = np.square(strip.pop("fixed0"))
            for k in range(1, self.design.n_fixed):
                total += np.square(strip.pop(f"fixed{k}"))
            strip["fixed"] = total

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

    def _rough(self, strip: dict[str, np.ndarray], left: Side, right: Side, rows: slice) -> np.ndarray:
        """A quicker, looser bound for columns with |r| of at most a half: (n_rows, n_block), bool.

        There G^-1 is at most twice the identity, so that |p' G^-1 g| <= 2 |p| |g|. No missing calls.
        """
        error, size_a, size_b = self.error, left.size, right.size
        most = size_b["value"].max()
        p_error2 = (error * size_a["moment"][rows].max() * most) ** 2
        p_error2 += (error * size_a["value"][rows].max() * size_b["moment"].max()) ** 2
        p2 = np.square(strip["with_a"])
        p2 += np.square(strip["with_b"])
        p2 *= np.float32(1 + _SLACK)
        p2 += np.float32(1 + 1 / _SLACK) * p_error2  # from above, whatever the rounding
        ga, gb = np.abs(left.with_trait[rows]), np.abs(right.with_trait)
        score = np.abs(strip["trait"])
        score *= np.float32(1 + 2 * self.products.unit)
        through = np.sqrt(p2)
        through *= np.float32(2.1) * np.hypot(ga[:, None], gb)
        score += through
        score += self._score_error(size_a["trait"][rows][:, None], right, slice(None))
        np.square(score, out=score)
        down = strip["length"] - np.float32(2.1) * p2
        square = np.square(strip["at_bt"])
        far = square > 0.23  # below the half by more than any rounding of r
        fixed = square if self.design.n_fixed == 1 else strip["fixed"]
        down -= np.float32(1 + _SLACK) * fixed
        down += np.float32(1) - error
        down -= (error * size_a["square"][rows])[:, None] * size_b["square"]
        down -= (np.float32(1 + 1 / _SLACK) * (error * size_a["fixed"][rows] * most) ** 2)[:, None]
        if not self.design.binary:
            scale = np.float32(2.1 / self.unit**2)
            down *= np.maximum(np.float32(1) - scale * (ga * ga)[:, None] - scale * (gb * gb), 0)
        down *= self.threshold**2 * np.float32(1 - 1e-5)
        return ~(score < down) | far

    def _possible(
        self, values: dict[str, np.ndarray], left: Side, right: Side, rows: np.ndarray, cols: np.ndarray
    ) -> np.ndarray:
        """Whether pairs may pass, by the bound in full.

        Parameters
        ----------
        values
            The products of the pairs.
        left, right
            The blocks.
        rows, cols
            Row and column of each pair, of shapes that broadcast to that of the products.
        """

        def by_row(name: str) -> np.ndarray:
            return left.size[name][rows]

        def by_column(name: str) -> np.ndarray:
            return right.size[name][cols]

        one, error = np.float32(1), self.error
        r, pa, pb = values["at_bt"], values["with_a"], values["with_b"]
        r_error = error * by_row("residual") * by_column("residual")
        size = np.abs(r)
        # G is at least (1 - |r| - error) times the identity: where that is nothing, all is possible.
        room = one - size
        sure = np.maximum(room - r_error, np.float32(_ALIKE))
        wider = room / sure  # of G^-1, by the rounding of r
        inverse = one / np.maximum(room * (one + size), np.float32(1e-6))
        p_error2 = (error * by_row("moment") * by_column("value")) ** 2
        p_error2 = p_error2 + (error * by_row("value") * by_column("moment")) ** 2
        explained = np.maximum(pa * pa + pb * pb - 2 * r * pa * pb, 0) * inverse
        spread = p_error2 / sure
        explained_up = ((1 + _SLACK) * explained * wider) + (1 + 1 / _SLACK) * spread
        fixed2 = r * r if self.design.n_fixed == 1 else values["fixed"]
        fixed_error = error * by_row("fixed") * by_column("value")
        fixed_up = (1 + _SLACK) * fixed2 + (1 + 1 / _SLACK) * fixed_error**2
        taken = explained_up + fixed_up
        length = one + values["length"]
        length_down = length - error * (by_row("square") * by_column("square") + one)
        ga, gb = left.with_trait[rows], right.with_trait[cols]
        main = (
            np.maximum(ga * ga + gb * gb - 2 * r * ga * gb, 0) * inverse
        )  # g' G^-1 g, in squared units of the score
        main_up = main * wider
        score = values["trait"]
        through = (pa * (ga - r * gb) + pb * (gb - r * ga)) * inverse
        off = np.sqrt(main_up) * (np.sqrt(spread) + np.sqrt(explained) * (r_error / sure))
        score_up = np.abs(score - through) + off + self._score_error(by_row("trait"), right, cols)
        # A score of the statistic itself is rounded with the result of its product.
        score_up += np.float32(self.products.unit * 2) * np.abs(score)
        left_of_trait = one - main_up * np.float32(1 / self.unit**2)
        if left.gaps is not None and right.gaps is not None:
            change = complete_cases(
                left.gaps, right.gaps, rows, cols, sure, taken, main_up / np.float32(self.unit**2)
            )
            taken, left_of_trait = change.taken, left_of_trait - change.trait
            score_up = score_up + np.float32(self.unit) * change.score
        down = length_down - taken
        if not self.design.binary:
            down = down * np.maximum(left_of_trait, 0)
        # Negated, so that a NaN is a candidate.
        discard = score_up * score_up < self.threshold**2 * np.float32(1 - 1e-5) * np.maximum(down, 0)
        return ~discard | (room < r_error + np.float32(_ALIKE))

    def _score_error(self, size: np.ndarray, right: Side, cols: np.ndarray | slice) -> np.ndarray:
        """Bound on the rounding of the score beside that of the final result; ``size`` is the rows'."""
        if not self.split:
            return self.error * size * right.size["value"][cols]
        u = np.float32(self.products.unit)
        off = (u * u + np.float32(self.summing) * (1 + 2 * u)) * right.size["codes"] + right.size["imputed"]
        return size * (off * np.float32(1 + 2 * u))[cols]


def _length(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("rs,rs->r", rows, rows))


def _sizes(values: dict[str, np.ndarray], n_fixed: int) -> dict[str, np.ndarray]:
    """Lengths of the rows of operands, those of all fixed effects together."""
    size = {name: _length(value) for name, value in values.items()}
    fixed = [size.pop(f"fixed{k}") ** 2 for k in range(1, n_fixed) if f"fixed{k}" in size]
    size["fixed"] = np.sqrt(size["value"] ** 2 + sum(fixed, np.zeros(1)))
    size.setdefault("square", size["moment"])
    size.setdefault("residual", size["value"])
    return size
