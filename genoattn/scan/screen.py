"""The screen on the processor: blocks of columns as bit planes and single-precision operands."""

from typing import NamedTuple

import numpy as np

from genoattn.cohort import MISSING
from genoattn.scan.cells import log_terms, mixed_tables, screen_cells
from genoattn.scan.counts import WORD, own_sums, pack_planes
from genoattn.scan.covariate_sets import CovariateSets
from genoattn.scan.design import Design
from genoattn.scan.elimination import summing_error
from genoattn.scan.pair_bound import MARGIN, N_NUMBERS, ON_FIXED, Limits, Memory, screen_tile

_CHUNK = 1024  # samples whose products are summed in single precision
_WEIGHT = 4096.0  # integer for the largest weight of a score test


class Screened(NamedTuple):
    """Pairs of a tile that may pass, as rows and columns; how many are linked, and untestable."""

    i: np.ndarray
    j: np.ndarray
    n_linked: int
    n_untestable: int
    tables: np.ndarray | None = None  # (n_pairs, 3, 3, 2), samples by codes and case, where they are at hand


class Block(NamedTuple):
    """Columns as operands of a tile, each oriented so that code 0 is its commoner end."""

    planes: np.ndarray  # (n_block, 3, n_words), uint64
    values: np.ndarray  # (n_block, n_samples) float32, codes less their mean, 0 where missing
    by_sample: np.ndarray  # (n_samples, n_block) int8, codes, 0 where missing
    start: np.ndarray  # samples[start[j] : start[j + 1]] are those without a call of column j
    samples: np.ndarray
    start_of_sample: np.ndarray  # likewise, in columns: those without a call of sample s
    columns: np.ndarray
    own: np.ndarray  # (n_block, N_NUMBERS), numbers of the columns; see genoattn.scan.pair_bound
    # (n_fixed - 1, n_block), Q_L y_L over the samples L without a call; empty without covariates
    with_uncalled: np.ndarray
    # (n_sets + 1, n_block), sums of the codes over each set, and over all samples; likewise
    of_sets: np.ndarray


class PlaneScreen:
    """Which pairs of columns of codes 0, 1, 2 may pass the test of their product.

    ``t2`` is the critical value of t^2, of z^2 for a binary trait; pairs with a squared correlation above
    ``max_r2`` are left out, None for no limit. For a binary trait the score may lie below the critical value
    by the sum of two columns' ``margin`` (n_columns,), as shares of it.
    """

    def __init__(
        self, design: Design, t2: float, max_r2: float | None = None, margin: np.ndarray | None = None
    ) -> None:
        self.design = design
        self._margin = np.zeros(design.n_columns) if margin is None else margin
        self._covariates = None if design.binary or design.n_fixed == 1 else CovariateSets(design)
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
        """Bit of each sample; weight of each word and of each sample, integers; the weight of 1.

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
        codes, _ = oriented(design, chosen)
        gaps = codes == MISSING
        any_missing = bool(gaps.any())
        sums = np.empty((len(codes), 6))
        own_sums(codes, self._weight, self._trait, sums)
        n, one, two, with_trait, missed, missed_square = sums.T
        mean = (one + 2 * two) / np.maximum(n, 1)
        values = codes.astype(np.float32) - mean[:, None].astype(np.float32)
        if any_missing:
            values[gaps] = 0
        square = one + 4 * two - mean * (one + 2 * two)
        with_trait = with_trait - mean * (self._trait.sum() - missed)
        norm = np.sqrt(np.einsum("bs,bs->b", values, values, dtype=np.float64)) * (1 + 1e-6)
        weighted = np.sqrt(values**2 @ self._trait.astype(np.float32) ** 2) * (1 + 1e-3)
        own = np.zeros((len(codes), N_NUMBERS))
        numbers = mean, n, one, two, with_trait, missed, missed_square, square, norm, weighted
        own[:, : MARGIN + 1] = np.column_stack([*numbers, self._margin[chosen]])
        with_uncalled = of_sets = np.zeros((0, len(codes)))
        if self._covariates is not None:
            own[:, ON_FIXED:], with_uncalled, of_sets = self._covariates.reach(codes, values)
        column, sample = np.nonzero(gaps)
        start, start_of_sample = (np.concatenate([[0], np.cumsum(gaps.sum(axis=k))]) for k in (1, 0))
        by_sample = np.ascontiguousarray(np.maximum(codes, 0).T)
        columns = column[np.argsort(sample, kind="stable")]
        planes = pack_planes(codes, self._place, self._n_words)
        return Block(
            planes, values, by_sample, start, sample, start_of_sample, columns, own, with_uncalled, of_sets
        )

    def candidates(self, left: Block, right: Block, keep: np.ndarray) -> Screened:
        """Pairs of two blocks that may pass; ``keep`` (n_left, n_right) says which are asked for."""
        found = np.zeros(keep.shape, dtype=np.bool_)
        missing = True if len(left.samples) or len(right.samples) else None
        sets = None if self._covariates is None else self._covariates.sets
        n_sets = 0 if sets is None else len(sets.planes)
        memory = Memory.of(len(right.planes), self.design.n_samples, self._n_words, n_sets)
        n_linked, n_untestable = screen_tile(
            left, right, self._products(left.values, right.values), self._trait, self._word_weight, keep,
            self._limits, missing, sets, memory, found,
        )  # fmt: skip
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


class CellBlock(NamedTuple):
    """Columns by their codes among controls and cases, each oriented so that code 0 is its commoner end."""

    controls: np.ndarray  # (n_block, 3, n_words), uint64, bit planes
    cases: np.ndarray  # likewise
    # (2, 3, n_block) int64: of controls and of cases the samples with codes 1 and 2, and all
    counts: np.ndarray
    mean: np.ndarray  # (n_block,), of the codes
    square: np.ndarray  # (n_block,), squared norm about the mean
    missing: np.ndarray  # (1,), whether any call is missing
    code: np.ndarray  # (n_block, 3), the oriented code of each code


class CellScreen:
    """Which pairs may pass the likelihood-ratio test of a binary trait without covariates.

    The design has columns of codes 0, 1, 2, whose missing calls leave the sample out of a pair; ``case``
    (n_samples,) is 0 and 1; ``square`` is the critical value of the likelihood ratio; ``max_r2`` is as in
    :class:`PlaneScreen`.
    """

    def __init__(self, design: Design, case: np.ndarray, square: float, max_r2: float | None = None) -> None:
        self.design, self._case, self._square = design, case > 0, square
        self._max_r2 = np.inf if max_r2 is None else max_r2 * (1 + 1e-12)
        self._terms, self._mixed = log_terms(design.n_samples), mixed_tables()

    def block(self, chosen: np.ndarray) -> CellBlock:
        """Columns, by their indices, as operands."""
        codes, code = oriented(self.design, chosen)
        n = (codes != MISSING).sum(axis=1)
        groups = ~self._case, self._case
        counts = np.array(
            [
                [*((codes[:, of] == code).sum(axis=1) for code in (1, 2)), np.full(len(codes), of.sum())]
                for of in groups
            ]
        )
        one, two, _ = counts.sum(axis=0)
        mean = (one + 2 * two) / np.maximum(n, 1)
        square = one + 4 * two - mean * (one + 2 * two)
        controls, cases = (
            pack_planes(codes[:, of], np.arange(of.sum()), -(-int(of.sum()) // WORD)) for of in groups
        )
        missing = np.array([(n < codes.shape[1]).any()])
        return CellBlock(controls, cases, counts, mean, square, missing, code)

    def candidates(self, left: CellBlock, right: CellBlock, keep: np.ndarray) -> Screened:
        """Pairs of two blocks that may pass; ``keep`` (n_left, n_right) says which are asked for."""
        found, cells = np.zeros(keep.shape, dtype=np.bool_), np.empty((keep.size, 2, 9), dtype=np.int64)
        missing = True if left.missing[0] or right.missing[0] else None
        n_linked, n_untestable = screen_cells(
            left, right, keep, self._square, self._max_r2, self._terms, self._mixed, missing, found, cells
        )
        a, b = np.nonzero(found)
        tables = cells[: len(a)].reshape(-1, 2, 3, 3)
        tables = np.take_along_axis(tables, left.code[a][:, None, :, None], axis=2)
        tables = np.take_along_axis(tables, right.code[b][:, None, None], axis=3)
        return Screened(a, b, n_linked, n_untestable, tables.transpose(0, 2, 3, 1))


def oriented(design: Design, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes of columns, reversed where that makes the mean the smaller, and the new code of 0, 1 and 2.

    The test is the same either way; sums are smaller, and lose fewer digits, for rare codes.
    """
    codes = design.codes[chosen]
    top = codes.max(axis=1, initial=1).astype(np.int8)[:, None]
    reverse = (design.columns.mean[chosen] > top[:, 0] / 2)[:, None]
    out: np.ndarray = np.where(reverse, top - codes, codes)
    out[codes == MISSING] = MISSING
    return out, np.where(reverse, top - np.arange(3), np.arange(3)) % 3
