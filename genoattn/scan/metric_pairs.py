"""Pairs of columns in the metric of a mixed model: which may pass, and their exact test."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.elimination import ROUNDING, SINGULAR, Partial, eliminate_columns
from genoattn.scan.exact import PairTests
from genoattn.scan.products import ProductBlock, as_columns, pair_weights
from genoattn.scan.sample_covariance import SampleCovariance
from genoattn.scan.tails import t_p_value

_SURE = 1e-6  # shares of squares below which a screen leaves it to the exact test
_NONE = 1e-11  # and below which a product is a combination of lower terms beyond the rounding of sums
_BATCH = 512  # pairs tested together


class MetricBlock(NamedTuple):
    """A block of columns, in the plain inner product and in that of the mixed model."""

    plain: ProductBlock  # less their means, missing calls at 0
    residual: np.ndarray  # (n_block, n_samples), after regression on the fixed effects
    weighted: np.ndarray  # (n_block, n_samples), W^-1 times the residuals
    square: np.ndarray  # (n_block,), squared norms of the residuals in the metric W^-1
    with_trait: np.ndarray  # (n_block,), their inner products with the trait in it


class MetricScreened(NamedTuple):
    """Pairs of two blocks that may pass, as rows and columns; how many are linked, and untestable."""

    i: np.ndarray
    j: np.ndarray
    n_linked: int
    n_untestable: int


@dataclass(frozen=True, eq=False)
class MetricPairs:
    """Generalised least squares of pairs, the covariance of the samples up to a scale given.

    For the product x of two columns a and b, all residuals after regression on the fixed effects, and the
    inner product ``<u, v> = u' W^-1 v``: with r the residual of x after regression on a and b, ``beta = <r,
    y> / <r, r>``, and its variance is the residual mean square over ``<r, r>``, on n - n_fixed - 3 degrees of
    freedom (Kang et al. 2010, Nat Genet 42:348: the ratio of variances is that of the null model, the scale
    is estimated for each pair).
    """

    design: Design  # of a quantitative trait, missing calls at the means
    spread: float  # sum of squares of the trait about its mean
    covariance: SampleCovariance
    max_r2: float = np.inf  # pairs of columns with a larger squared correlation are not tested

    @property
    def df(self) -> int:
        return self.design.n_samples - self.design.n_fixed - 3

    def block(self, chosen: np.ndarray) -> MetricBlock:
        """Columns, by their indices, as operands."""
        design = self.design
        values = design.values(chosen)
        plain = as_columns(values, design.basis, design.weight, design.columns.varies[chosen])
        residual = design.residual(values)
        weighted = residual @ self.covariance.inverse
        square = np.einsum("bs,bs->b", residual, weighted)
        return MetricBlock(plain, residual, weighted, square, weighted @ design.trait)

    @cached_property
    def weighted_trait(self) -> np.ndarray:
        """W^-1 times the trait: (n_samples,)."""
        out: np.ndarray = self.covariance.inverse @ self.design.trait
        return out

    @cached_property
    def trait_square(self) -> float:
        """Squared norm of the trait in the metric W^-1."""
        return float(self.weighted_trait @ self.design.trait)

    def candidates(
        self, left: MetricBlock, right: MetricBlock, keep: np.ndarray, t2: float, least: float
    ) -> MetricScreened:
        """Pairs whose t^2 may reach ``t2``, of those asked for: ``keep`` (n_left, n_right).

        ``least`` is the smallest ratio of ``<r, r>`` to the squared norm of the product's residual in
        ordinary least squares that is reckoned with; all else of the test is exact.
        """
        weights = pair_weights(left.plain, right.plain, self.design.basis, self.design.weight)
        linked = keep & (weights.r2 > self.max_r2 * (1 + 1e-12))
        with np.errstate(divide="ignore", invalid="ignore"):
            plain = weights.regress(0.0, 0.0, 0.0, 0.0)
            size = plain.residual / weights.unadjusted
            sure = (plain.share > _SURE) & (size > _SURE)
            none = ~(plain.share > _NONE) | ((plain.share > _SURE) & ~(size > _NONE))
            e = self._eliminate(left, right)
            limit = t2 * least * plain.residual * e.rest * (1 - ROUNDING)
            fails = sure & (e.cross**2 * (self.df + t2) < limit)
        untestable = keep & ~linked & none
        i, j = np.nonzero(keep & ~linked & ~none & ~fails)
        return MetricScreened(i, j, int(linked.sum()), int(untestable.sum()))

    def _eliminate(self, left: MetricBlock, right: MetricBlock) -> Partial:
        """Regressions of the trait on all pairs of two blocks, but for the squared norm of the product."""
        a, b = left.plain.values, right.plain.values
        out: Partial = eliminate_columns(
            left.square[:, None], right.square, left.residual @ right.weighted.T,
            (a * left.weighted) @ b.T, a @ (b * right.weighted).T, 0.0,
            left.with_trait[:, None], right.with_trait, (a * self.weighted_trait) @ b.T, self.trait_square,
        )  # fmt: skip
        return out

    def tests(
        self, left: MetricBlock, right: MetricBlock, i: np.ndarray, j: np.ndarray
    ) -> tuple[PairTests, np.ndarray]:
        """Exact tests of pairs, by their rows and columns, and the ratios that a screen reckons with.

        A ratio is that of ``<r, r>`` to the squared norm of the product's residual in ordinary least squares:
        (n_pairs,), NaN where a pair is untestable.
        """
        starts = range(0, len(i), _BATCH)
        parts = [self._batch(left, right, i[k : k + _BATCH], j[k : k + _BATCH]) for k in starts]
        if not parts:
            return PairTests.none(), np.zeros(0)
        return PairTests.join([tests for tests, _ in parts]), np.concatenate([ratio for _, ratio in parts])

    def _batch(
        self, left: MetricBlock, right: MetricBlock, i: np.ndarray, j: np.ndarray
    ) -> tuple[PairTests, np.ndarray]:
        design, n = self.design, self.design.n_samples
        x = left.plain.values[i] * right.plain.values[j]
        unadjusted = _dots(x, x) - x.sum(axis=1) ** 2 / n
        x = design.residual(x)
        wx = x @ self.covariance.inverse
        a, b, wa, wb = left.residual[i], right.residual[j], left.weighted[i], right.weighted[j]
        ya, yb = left.with_trait[i], right.with_trait[j]
        with np.errstate(divide="ignore", invalid="ignore"):
            e = eliminate_columns(
                left.square[i], right.square[j], _dots(a, wb), _dots(x, wa), _dots(x, wb), _dots(x, wx),
                ya, yb, x @ self.weighted_trait, self.trait_square,
            )  # fmt: skip
            # The residual itself, whose norm loses no digits to the difference of larger ones.
            r = x - e.on_a[:, None] * a - e.on_b[:, None] * b
            square = _dots(r, wx - e.on_a[:, None] * wa - e.on_b[:, None] * wb)
            cross = r @ self.weighted_trait
            plain = eliminate_columns(
                left.plain.residual_square[i], right.plain.residual_square[j], _dots(a, b), _dots(x, a),
                _dots(x, b), _dots(x, x), 0.0, 0.0, 0.0, 0.0,
            ).residual  # fmt: skip
            r2 = _dots(left.plain.values[i], right.plain.values[j]) ** 2
            r2 = r2 / (left.plain.square[i] * right.plain.square[j])
            testable = (e.share > SINGULAR) & (square > SINGULAR * unadjusted) & (unadjusted > 0)
            beta = np.where(testable, cross / square, np.nan)
            rss = np.maximum(e.rest - cross * beta, 0)
            se = np.sqrt(rss / self.df / square)
            statistic, explained = beta / se, beta**2 * plain / self.spread
        tests = PairTests(
            beta, se, statistic, t_p_value(statistic, self.df), np.full(len(i), n), r2, explained
        )
        return tests, np.where(testable, square / plain, np.nan)


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Inner products of rows."""
    out: np.ndarray = np.einsum("ps,ps->p", x, y)
    return out
