"""Tiles by matrix products alone: columns of any numbers, weights, covariates, and any device.

Where counting bits does not serve (codes above 2, columns that are no codes, weights that must be exact, a
graphics processor) the inner products of all pairs of two blocks are matrix products in float64. The same
lines run on numpy arrays and on tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from genoattn.cohort import MISSING
from genoattn.scan.design import Design
from genoattn.scan.elimination import (
    SINGULAR,
    PairMoments,
    Partial,
    eliminate,
    eliminate_columns,
    fails_adjusted,
)
from genoattn.scan.screen import Screened

_SURE = 1e-6  # shares of squares below which a screen leaves it to the exact test


@dataclass(frozen=True, eq=False)
class ProductBlock:
    """A block of columns as operands, arrays or tensors in float64."""

    values: Any  # (n_block, n_samples), less their means, 0 where missing
    called: Any  # the same shape, 1 where there is a call; None where there is one everywhere
    square: Any  # (n_block,), squared norms of the columns
    residual_square: Any  # (n_block,), of their residuals after regression on the fixed effects
    on_fixed: Any  # (n_fixed - 1, n_block), inner products with the fixed effects beyond the intercept
    margin: Any = None  # (n_block,), MARGIN of genoattn.scan.pair_bound
    uncalled: Any = None  # (n_block,), UNCALLED, likewise
    with_uncalled: Any = None  # (n_block,), norm of Q_L y_L

    def __len__(self) -> int:
        return len(self.values)

    def part(self, chosen: slice) -> ProductBlock:
        """Some of the columns, where no call is missing."""
        square, residual_square = self.square[chosen], self.residual_square[chosen]
        return ProductBlock(self.values[chosen], None, square, residual_square, self.on_fixed[:, chosen])


class Weights(NamedTuple):
    """Elimination of the fixed effects and both columns, (n_rows, n_cols) each, whatever the trait."""

    aa: Any  # squared norms of the rows' residuals after regression on the fixed effects: (n_rows, 1)
    bb: Any  # of the columns': (n_cols,)
    ab: Any  # their inner products
    pa: Any  # those of the product's residual with the row's
    pb: Any  # with the column's
    pp: Any  # and with itself
    unadjusted: Any  # squared norm of the product about its mean
    r2: Any  # squared correlation of the columns

    def regress(self, ya: Any, yb: Any, yp: Any, yy: Any) -> Partial:
        """Regressions on a trait orthogonal to the fixed effects: its products with a, b, P and itself."""
        partial: Partial = eliminate_columns(
            self.aa, self.bb, self.ab, self.pa, self.pb, self.pp, ya, yb, yp, yy
        )
        return partial

    def testable(self, partial: Partial) -> Any:
        """Mask of the products that are no combinations of lower terms."""
        return (
            (partial.share > SINGULAR)
            & (partial.residual > SINGULAR * self.unadjusted)
            & (self.unadjusted > 0)
        )


def pair_weights(left: ProductBlock, right: ProductBlock, basis: Any, weight: Any) -> Weights:
    """Elimination of the fixed effects from all products of two blocks, missing calls at the means.

    ``basis`` (n_fixed, n_samples) is orthonormal in the inner product with ``weight`` (n_samples,), the
    intercept first.
    """
    # All products of a block are matrix products: memory of (n_rows, n_cols), none of pairs x samples.
    a, b, total = left.values * weight, right.values, weight.sum()
    a2, b2 = left.values * a, right.values**2
    ab, pa, pb, pp = a @ b.T, a2 @ b.T, a @ b2.T, a2 @ b2.T
    r2 = ab**2 / (left.square[:, None] * right.square)
    unadjusted = pp - ab**2 / total
    residual, pp = ab, unadjusted
    for k in range(1, len(basis)):
        on_a, on_b = left.on_fixed[k - 1][:, None], right.on_fixed[k - 1]
        product = (a * basis[k]) @ b.T
        residual = residual - on_a * on_b
        pa, pb, pp = pa - on_a * product, pb - on_b * product, pp - product**2
    return Weights(left.residual_square[:, None], right.residual_square, residual, pa, pb, pp, unadjusted, r2)


def as_columns(
    values: np.ndarray,
    basis: np.ndarray,
    weight: np.ndarray,
    varies: np.ndarray,
    to: Callable[..., Any] = np.asarray,
) -> ProductBlock:
    """Centred rows (n_block, n_samples) as operands.

    Those that do not vary have residual squares of NaN, so that no pair with them is testable.
    """
    on_fixed = (basis[1:] * weight) @ values.T
    square = np.einsum("bs,bs->b", values * weight, values)
    residual = np.where(varies, square - (on_fixed**2).sum(axis=0), np.nan)
    return ProductBlock(to(values), None, to(square), to(residual), to(on_fixed))


class ProductScreen:
    """Screen of pairs of columns by matrix products: keeps all that may pass the test of their product.

    ``t2``, ``max_r2`` and ``margin`` are as in :class:`genoattn.scan.screen.PlaneScreen`; ``device`` is one
    of torch, None for numpy.
    """

    def __init__(
        self,
        design: Design,
        t2: float,
        max_r2: float | None = None,
        margin: np.ndarray | None = None,
        device: str | None = None,
    ) -> None:
        self.design, self._t2 = design, t2
        self._max_r2 = np.inf if max_r2 is None else max_r2 * (1 + 1e-12)
        self._margin = np.zeros(design.n_columns) if margin is None else margin
        self._device = device
        self._basis, self._weight = self._to(design.basis), self._to(design.weight)
        self._trait = self._to(design.trait * design.weight)
        self._square = design.trait_norm**2
        self._largest = float(
            (np.linalg.norm(design.basis[1:], axis=0) * np.abs(design.trait)).max(initial=0)
        )

    def _to(self, array: np.ndarray) -> Any:
        """An array as this screen computes with it."""
        if self._device is None:
            return np.asarray(array, dtype=np.float64)
        import torch

        return torch.as_tensor(np.ascontiguousarray(array, dtype=np.float64), device=self._device)

    def block(self, chosen: np.ndarray) -> ProductBlock:
        """Columns, by their indices, as operands."""
        design, columns = self.design, self.design.columns
        gaps = design.codes[chosen] == MISSING
        uncalled, with_uncalled = np.zeros(len(chosen)), np.zeros(len(chosen))
        for k in np.flatnonzero(gaps.any(axis=1)):
            part = design.basis[1:, gaps[k]]
            uncalled[k] = np.linalg.norm(part, 2) ** 2 if part.size else 0.0
            with_uncalled[k] = np.linalg.norm(part @ design.trait[gaps[k]])
        out = as_columns(design.values(chosen), design.basis, design.weight, columns.varies[chosen], self._to)
        called = None if design.impute or not gaps.any() else self._to(~gaps)
        of = (self._to(x) for x in (self._margin[chosen], uncalled, with_uncalled))
        return ProductBlock(out.values, called, out.square, out.residual_square, out.on_fixed, *of)

    def candidates(self, left: ProductBlock, right: ProductBlock, keep: np.ndarray) -> Screened:
        """Pairs of two blocks that may pass; ``keep`` (n_left, n_right) says which are asked for."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if left.called is None and right.called is None:
                r2, fails = self._fails(left, right)
            else:
                r2, fails = self._fails_on_complete_cases(left, right)
        linked = self._back(r2 > self._max_r2) & keep
        i, j = np.nonzero(keep & ~linked & ~self._back(fails))
        return Screened(i, j, int(linked.sum()), 0)

    def _fails(self, left: ProductBlock, right: ProductBlock) -> tuple[Any, Any]:
        """Squared correlations of pairs, and which cannot pass, where no call is missing."""
        weights = pair_weights(left, right, self._basis, self._weight)
        ya, yb = left.values @ self._trait, right.values @ self._trait
        yp = (left.values * self._trait) @ right.values.T
        partial = weights.regress(ya[:, None], yb, yp, self._square)
        sure = (partial.share > _SURE) & (partial.residual > _SURE * weights.unadjusted)
        if self.design.binary:
            return weights.r2, sure & self._score_fails(left, right, partial)
        df = self.design.n_samples - self.design.n_fixed - 3
        limit = self._t2 * partial.residual * partial.rest * (1 - 1e-9)
        return weights.r2, sure & (partial.cross**2 * (df + self._t2) < limit)

    def _score_fails(self, left: ProductBlock, right: ProductBlock, partial: Partial) -> Any:
        """Mask of the scores below the critical value by more than the columns' margins."""
        critical = 1 - left.margin[:, None] - right.margin
        critical = self._t2 * ((critical + abs(critical)) / 2) ** 2
        return partial.cross**2 < critical * partial.residual * (1 - 1e-9)

    def _back(self, array: Any) -> np.ndarray:
        return np.asarray(array) if self._device is None else array.cpu().numpy()  # type: ignore[no-any-return]

    def _fails_on_complete_cases(self, left: ProductBlock, right: ProductBlock) -> tuple[Any, Any]:
        """As :meth:`_fails`, on complete cases; covariates as in :mod:`genoattn.scan.pair_bound`."""
        ones = self._to(np.ones((1, self.design.n_samples)))
        c_a, c_b = (ones if x.called is None else x.called for x in (left, right))
        a, b, w, y = left.values, right.values, self._weight, self._trait
        a2, b2 = a**2, b**2
        m = PairMoments(
            (c_a * w) @ c_b.T, (a * w) @ c_b.T, (c_a * w) @ b.T, (a2 * w) @ c_b.T, (c_a * w) @ b2.T,
            (a * w) @ b.T, (a2 * w) @ b.T, (a * w) @ b2.T, (a2 * w) @ b2.T,
            (c_a * y) @ c_b.T, (a * y) @ c_b.T, (c_a * y) @ b.T, (a * y) @ b.T, (c_a * y**2) @ c_b.T,
        )  # fmt: skip
        e, r2 = eliminate(m), m.p**2 / (left.square[:, None] * right.square)
        sure = (e.share > _SURE) & (e.residual > _SURE * e.unadjusted)
        if self.design.binary:
            return r2, sure & self._score_fails(left, right, e)
        df = m.n - self.design.n_fixed - 3
        sure = sure & (df > 0)  # where it is not, the exact test says that there is none
        if self.design.n_fixed == 1:
            return r2, sure & (e.cross**2 * (df + self._t2) < self._t2 * e.residual * e.rest * (1 - 1e-9))
        on_product = 0.0
        for k in range(1, self.design.n_fixed):
            on_product = on_product + ((a * self._basis[k]) @ b.T) ** 2
        n_missing, uncalled = self.design.n_samples - m.n, left.uncalled[:, None] + right.uncalled
        n_both = self.design.n_samples - c_a.sum(axis=1)[:, None] - c_b.sum(axis=1) + m.n
        # abs, here and below: rounding may make a square negative, whose root would be NaN.
        gaps = abs(uncalled * n_missing) ** 0.5
        nu_a = (left.on_fixed**2).sum(axis=0)[:, None] ** 0.5 + abs(
            right.uncalled * (left.square[:, None] - m.aa)
        ) ** 0.5
        nu_b = (right.on_fixed**2).sum(axis=0) ** 0.5 + abs(
            left.uncalled[:, None] * (right.square - m.bb)
        ) ** 0.5
        with_uncalled = left.with_uncalled[:, None] + right.with_uncalled + n_both * self._largest
        fails = fails_adjusted(
            e, m, n_missing, df, self._t2, on_product**0.5, 0.0, with_uncalled, uncalled, gaps, nu_a, nu_b
        )
        return r2, sure & fails
