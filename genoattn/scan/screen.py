"""The screen on the processor: blocks of columns as bit planes and single-precision operands, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genoattn.cohort import MISSING
from genoattn.scan.bound import Limits, Own, Reach, screen_strip
from genoattn.scan.cells import log_terms, mixed_tables, screen_cells
from genoattn.scan.counts import (
    N_COUNTS,
    WORD,
    count_pairs,
    own_sums,
    pack_planes,
    sum_over_both_missing,
    sum_over_missing,
    sum_over_sets,
)
from genoattn.scan.covariates import CovariateSets
from genoattn.scan.design import Design
from genoattn.scan.elimination import summing_error

_STRIP = 64  # rows of a tile at a time, whose sums stay in the cache
_CHUNK = 1024  # samples whose products are summed in single precision
_WEIGHT = 4096.0  # whole number for the largest weight of a score test


class Screened(NamedTuple):
    """Pairs of a tile that may pass: rows and columns within it; pairs left out as linked; untestable ones."""

    i: np.ndarray
    j: np.ndarray
    n_linked: int
    n_untestable: int


class MissingCalls(NamedTuple):
    """Missing calls of a block, by column and by sample: see :mod:`genoattn.scan.counts`."""

    start: np.ndarray
    samples: np.ndarray
    start_of_sample: np.ndarray
    columns: np.ndarray


@dataclass(frozen=True, eq=False)
class Block:
    """Columns as operands of a tile, each oriented so that code 0 is its commoner end.

    Parameters
    ----------
    planes
        Shape (n_block, 3, n_words), uint64.
    values
        Shape (n_block, n_samples) float32, codes less their mean, 0 where missing.
    by_sample
        Shape (n_samples, n_block) int8, codes, 0 where missing.
    missing
        None where every call is there.
    own
        Numbers of the columns.
    reach, lost, of_sets
        With covariates: :class:`Reach`, ``Q_L y_L``, and sums of the codes over sets of samples.
    """

    planes: np.ndarray
    values: np.ndarray
    by_sample: np.ndarray
    missing: MissingCalls | None
    own: Own
    reach: Reach | None
    lost: np.ndarray | None
    of_sets: np.ndarray | None

    def __len__(self) -> int:
        return len(self.values)


class PlaneScreen:
    """Which pairs of columns of codes 0, 1, 2 may pass the test of their product.

    Parameters
    ----------
    design
        Columns, working trait, fixed effects.
    t2
        Critical value of t^2, of z^2 for a binary trait.
    max_r2
        Pairs with a larger squared correlation are left out; None for no limit.
    margin
        Shape (n_columns,), for a binary trait: by what share of the critical value the score may lie below
        it, the sum of two columns'.
    """

    def __init__(
        self, design: Design, t2: float, max_r2: float | None = None, margin: np.ndarray | None = None
    ) -> None:
        self.design = design
        self._margin = np.zeros(design.n_columns) if margin is None else margin
        self._sets = None if design.binary or design.n_fixed == 1 else CovariateSets(design)
        self._place, self._word_weight, weight, scale = self._weights()
        self._weight, self._n_words = weight, -(-design.n_samples // WORD)
        self._trait = design.trait * design.weight
        limit = np.inf if max_r2 is None else max_r2 * (1 + 1e-12)
        error = summing_error(design.n_samples, _CHUNK)
        self._limits = Limits(
            float(weight.sum()), float(self._trait @ design.trait), design.n_fixed, t2, design.binary, scale,
            error, limit, design.impute,
        )  # fmt: skip

    def _weights(self) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, float]:
        """Bit of each sample; weight of each word and of each sample, whole numbers; the weight of 1.

        Weights of a score test are those of words: samples are sorted by them, so that a word's are alike.
        """
        design = self.design
        n = np.arange(design.n_samples)
        if not design.binary or np.ptp(design.weight) == 0:
            scale = 1.0 if not design.binary else 1 / float(design.weight[0])
            return n, None, np.ones(design.n_samples), scale
        order = np.argsort(design.weight, kind="stable")
        place = np.empty(design.n_samples, dtype=np.intp)
        place[order] = n
        scale = _WEIGHT / float(design.weight.max())
        word = np.add.reduceat(design.weight[order], np.arange(0, len(n), WORD))
        word = np.rint(scale * word / np.bincount(n // WORD)).astype(np.uint64)
        return place, word, word[place // WORD].astype(np.float64), scale

    def block(self, chosen: np.ndarray) -> Block:
        """Columns, by their indices, as operands."""
        design = self.design
        codes = oriented(design, chosen)
        gaps = codes == MISSING
        any_missing = bool(gaps.any())
        sums = np.empty((len(codes), 6))
        own_sums(codes, self._weight, self._trait, sums)
        n, one, two, with_trait, missed, _ = sums.T
        mean = (one + 2 * two) / np.maximum(n, 1)
        values = codes.astype(np.float32) - mean[:, None].astype(np.float32)
        if any_missing:
            values[gaps] = 0
        square = one + 4 * two - mean * (one + 2 * two)
        missed_square = (
            np.where(gaps.any(axis=1), gaps @ (self._trait * design.trait), 0.0) if any_missing else 0 * n
        )
        with_trait = with_trait - mean * (self._trait.sum() - missed)
        norm = np.sqrt(np.einsum("bs,bs->b", values, values, dtype=np.float64)) * (1 + 1e-6)
        weighted = np.sqrt((values.astype(np.float32) ** 2) @ (self._trait.astype(np.float32) ** 2)) * (
            1 + 1e-3
        )
        own = Own(
            mean, n, one, two, with_trait, missed, missed_square, square, norm,
            weighted.astype(np.float64), self._margin[chosen],
        )  # fmt: skip
        filled = np.maximum(codes, 0)
        extra: tuple = (None, None, None)
        if self._sets is not None:
            extra = self._sets.reach(codes, values)
        planes = pack_planes(codes, self._place, self._n_words)
        return Block(
            planes,
            values,
            np.ascontiguousarray(filled.T),
            _missing_calls(gaps) if any_missing else None,
            own,
            *extra,
        )

    def candidates(self, left: Block, right: Block, keep: np.ndarray) -> Screened:
        """Pairs of two blocks that may pass; ``keep`` (n_left, n_right) says which are asked for."""
        product = self._products(left.values, right.values)
        found = np.zeros(keep.shape, dtype=np.bool_)
        n_linked, n_untestable = 0, 0
        for i, j in strips(keep):
            linked, untestable = self._strip(left, right, i, j, product[i, j], keep[i, j], found[i, j])
            n_linked, n_untestable = n_linked + linked, n_untestable + untestable
        a, b = np.nonzero(found)
        return Screened(a, b, n_linked, n_untestable)

    def _products(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Sums of y a b, (n_left, n_right) float32, chunk by chunk of samples."""
        out: np.ndarray = np.zeros((len(left), len(right)), dtype=np.float32)
        y = self._trait.astype(np.float32)
        for start in range(0, len(y), _CHUNK):
            part = slice(start, start + _CHUNK)
            out += (left[:, part] * y[part]) @ right[:, part].T
        return out

    def _strip(
        self,
        left: Block,
        right: Block,
        i: slice,
        j: slice,
        product: np.ndarray,
        keep: np.ndarray,
        found: np.ndarray,
    ) -> tuple[int, int]:
        """Screen some rows and columns of a tile into ``found``; pairs left out, pairs untestable."""
        shape = keep.shape
        missing = None if left.missing is None and right.missing is None else True
        counts = np.empty((N_COUNTS, *shape), dtype=np.int64)
        rows, cols = left.planes[i], right.planes[j]
        count_pairs(rows, cols, self._word_weight, missing, counts)
        of_a = of_b = both = None
        if missing:
            of_a, of_b, both = np.zeros(shape[::-1]), np.zeros(shape), np.zeros(shape)
            if not self.design.impute:
                self._take_missing(left, right, i, j, of_a, of_b, both)
        own = _part(left.own, i), _part(right.own, j)
        sums = counts, product, of_a, of_b, both, *own
        if self._sets is None:
            return screen_strip(*sums, keep, self._limits, missing, None, found)  # type: ignore[no-any-return]
        adjust = self._adjust(left, right, i, j, counts)
        n_linked, n_untestable = screen_strip(*sums, keep, self._limits, missing, adjust, found)
        a, b = np.nonzero(found)  # these are asked again, with the product's share of the covariates known
        adjust[-1][a, b] = self._sets.on_product(left.values[i], right.values[j], a, b)
        screen_strip(*sums, found.copy(), self._limits, missing, adjust, found)
        return n_linked, n_untestable

    def _adjust(self, left: Block, right: Block, i: slice, j: slice, counts: np.ndarray) -> tuple:
        """What the screen of a strip needs with covariates; see :func:`screen_strip`."""
        sets = self._sets
        assert sets is not None
        a, b = left.lost[i], right.lost[j]  # type: ignore[index]
        shape = len(a), len(b)
        sums = np.empty((len(sets.planes), *shape), dtype=np.float32)
        sum_over_sets(
            left.planes[i], right.planes[j], sets.planes, counts, left.of_sets[i], right.of_sets[j],  # type: ignore[index]
            left.own.mean[i], right.own.mean[j], self.design.n_samples, sums,
        )  # fmt: skip
        on_sets = sets.weights.astype(np.float32) @ sums.reshape(len(sums), -1)
        on_sets = np.sqrt(np.einsum("kp,kp->p", on_sets, on_sets)).reshape(shape)
        lost_fixed = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) + 2 * a @ b.T
        lost_fixed = np.sqrt(np.maximum(lost_fixed, 0)) * (1 + 1e-6) + 1e-9
        reach = _part(left.reach, i), _part(right.reach, j)
        return (*reach, sets.rest, sets.largest, on_sets, lost_fixed, np.full(shape, np.nan))

    def _take_missing(
        self,
        left: Block,
        right: Block,
        i: slice,
        j: slice,
        of_a: np.ndarray,
        of_b: np.ndarray,
        both: np.ndarray,
    ) -> None:
        """Sums over samples without a call at one column or at both."""
        y = self._trait
        if right.missing is not None:
            start = right.missing.start[j.start : j.stop + 1]
            sum_over_missing(start, right.missing.samples, left.by_sample[:, i], y, of_a)
        if left.missing is not None:
            start = left.missing.start[i.start : i.stop + 1]
            sum_over_missing(start, left.missing.samples, right.by_sample[:, j], y, of_b)
            if right.missing is not None:
                sum_over_both_missing(start, left.missing.samples, right.missing, j.start, y, both)


class CellBlock(NamedTuple):
    """Columns by their codes among controls and cases, each oriented so that code 0 is its commoner end.

    Parameters
    ----------
    controls, cases
        Shape (n_block, 3, n_words), uint64, bit planes of either.
    counts
        Shape (2, 2, n_block), int64: of controls and of cases the samples with codes 1 and 2.
    mean, square
        Shape (n_block,), of the codes: mean, and squared norm about it.
    missing
        Whether any call is missing.
    """

    controls: np.ndarray
    cases: np.ndarray
    counts: np.ndarray
    mean: np.ndarray
    square: np.ndarray
    missing: bool

    def __len__(self) -> int:
        return len(self.controls)


class CellScreen:
    """Which pairs may pass the likelihood-ratio test of a binary trait without covariates.

    Parameters
    ----------
    design
        Columns of codes 0, 1, 2; missing calls leave the sample out of a pair.
    case
        Shape (n_samples,), 0 and 1.
    square
        Critical value of the likelihood ratio.
    max_r2
        As in :class:`PlaneScreen`.
    """

    def __init__(self, design: Design, case: np.ndarray, square: float, max_r2: float | None = None) -> None:
        self.design, self._case, self._square = design, case > 0, square
        self._max_r2 = np.inf if max_r2 is None else max_r2 * (1 + 1e-12)
        n_cases = int(self._case.sum())
        self._n = design.n_samples - n_cases, n_cases
        self._terms, self._mixed = log_terms(design.n_samples), mixed_tables()

    def block(self, chosen: np.ndarray) -> CellBlock:
        """Columns, by their indices, as operands."""
        codes = oriented(self.design, chosen)
        n = (codes != MISSING).sum(axis=1)
        counts = np.array(
            [[(codes[:, of] == code).sum(axis=1) for code in (1, 2)] for of in (~self._case, self._case)]
        )
        one, two = counts.sum(axis=0)
        mean = (one + 2 * two) / np.maximum(n, 1)
        square = one + 4 * two - mean * (one + 2 * two)
        controls, cases = (
            pack_planes(codes[:, of], np.arange(of.sum()), -(-int(of.sum()) // WORD)) for of in (~self._case, self._case)
        )
        return CellBlock(controls, cases, counts, mean, square, bool((n < codes.shape[1]).any()))

    def candidates(self, left: CellBlock, right: CellBlock, keep: np.ndarray) -> Screened:
        """Pairs of two blocks that may pass; ``keep`` (n_left, n_right) says which are asked for."""
        found = np.zeros(keep.shape, dtype=np.bool_)
        n_linked, n_untestable = 0, 0
        missing = True if left.missing or right.missing else None
        for i, j in strips(keep):
            shape = N_COUNTS, *keep[i, j].shape
            controls, cases = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
            count_pairs(left.controls[i], right.controls[j], None, missing, controls)
            count_pairs(left.cases[i], right.cases[j], None, missing, cases)
            margins = None
            if missing is None:
                margins = tuple((left.counts[k][:, i], right.counts[k][:, j], self._n[k]) for k in (0, 1))
            max_r2 = self._max_r2, left.mean[i], right.mean[j], left.square[i], right.square[j]
            linked, untestable = screen_cells(
                controls,
                cases,
                margins,
                keep[i, j],
                self._square,
                max_r2,
                self._terms,
                self._mixed,
                found[i, j],
            )
            n_linked, n_untestable = n_linked + linked, n_untestable + untestable
        a, b = np.nonzero(found)
        return Screened(a, b, n_linked, n_untestable)


def oriented(design: Design, chosen: np.ndarray) -> np.ndarray:
    """Codes of columns, (n_chosen, n_samples), reversed where that makes the mean the smaller.

    The test is the same either way; sums are smaller, and lose fewer digits, for rare codes.
    """
    codes = design.codes[chosen]
    top = codes.max(axis=1, initial=1).astype(np.int8)
    reverse = design.columns.mean[chosen] > top / 2
    out: np.ndarray = np.where(reverse[:, None], top[:, None] - codes, codes)
    out[codes == MISSING] = MISSING
    return out


def strips(keep: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Rows of a tile, a few at a time, and the columns from their first wanted pair to their last."""
    for start in range(0, len(keep), _STRIP):
        i = slice(start, min(start + _STRIP, len(keep)))
        wanted = np.flatnonzero(keep[i].any(axis=0))
        if len(wanted):
            yield i, slice(int(wanted[0]), int(wanted[-1]) + 1)


def _part(columns, chosen: slice):  # type: ignore[no-untyped-def]
    """Some entries of a tuple of arrays."""
    return type(columns)(*(x[chosen] for x in columns))


def _missing_calls(gaps: np.ndarray) -> MissingCalls:
    column, sample = np.nonzero(gaps)
    start = np.concatenate([[0], np.cumsum(gaps.sum(axis=1))])
    start_of_sample = np.concatenate([[0], np.cumsum(gaps.sum(axis=0))])
    return MissingCalls(start, sample, start_of_sample, column[np.argsort(sample, kind="stable")])
