"""The scan of pairs against the additive effects of the genome, a pair of chromosomes at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from genoattn.errors import InputError
from genoattn.scan.design import Design
from genoattn.scan.engine import SCREENED, Settings, TileResult, critical_square
from genoattn.scan.exact import PairTests
from genoattn.scan.genome_parts import GenomeParts
from genoattn.scan.metric_pairs import MetricPairs
from genoattn.scan.sample_covariance import KernelPair, SampleCovariance, first_ratio, fit_covariance
from genoattn.scan.scope import Scope

_log = logging.getLogger(__name__)
_WIDTH = 1024  # columns of a tile
_CHUNK = 1024  # columns of a kernel that are added at a time
_SAMPLED = 512  # pairs of two parts whose ratios set the margin of the screen
_MATRICES = 6  # of samples x samples, held at a time


class TileNote(NamedTuple):
    """What a tile records of its mixed model, beside the pairs it found."""

    first: float  # numbers of its two parts
    second: float
    others: float  # variances of the additive effects of the other parts and of its own, and of the residual
    own: float
    residual: float
    median: float  # ratio of the product's squared norm in the metric to the plain one, of sampled pairs
    lowest: float  # the smallest
    least: float  # smallest reckoned with in the screen
    tested: float  # pairs tested exactly
    seen: float  # smallest ratio among them; NaN for none


@dataclass(frozen=True, eq=False)
class _PairModel:
    """Mixed model of the pairs of two parts."""

    c: int
    d: int
    pairs: MetricPairs
    covariance: SampleCovariance
    median: float
    lowest: float

    @property
    def least(self) -> float:
        """Smallest ratio reckoned with: as far below the lowest, in proportion, as this below the median."""
        return self.lowest**2 / self.median


class BackgroundEngine:
    """Tests the pairs of a scope as :class:`genoattn.scan.engine.Engine`, in a linear mixed model.

    The trait is quantitative, missing calls of the design count as the means. All pairs of two parts of the
    genome have one covariance of the samples, fitted without the pairs.
    """

    name = "mixed model"

    def __init__(
        self, design: Design, trait: np.ndarray, scope: Scope, settings: Settings, parts: GenomeParts
    ) -> None:
        self.design, self.trait, self.scope, self.settings, self.parts = design, trait, scope, settings, parts
        of = "the genome" if len(parts.names) == 1 else "other chromosomes"
        self.reason = f"background of {of}"
        self.tiles = list(_tiles(scope, parts.part))
        self._screens = settings.threshold < SCREENED
        self._square = critical_square(design, settings.threshold) if self._screens else 0.0
        self._model: _PairModel | None = None
        self._spread = _column_spread(design)
        if parts.instead:
            _log.warning("background: %s", parts.instead)

    def load(self) -> None:
        """Sum the products of all columns, and find where the variances are searched from."""
        every = np.flatnonzero(self.design.columns.varies)
        total = np.zeros((self.design.n_samples,) * 2)
        with threadpool_limits(self.settings.threads):
            for start in range(0, len(every), _CHUNK):
                z = self._standardised(every[start : start + _CHUNK])
                total += z.T @ z
            self._kernels = KernelPair(total, len(every), None)
            self._start = first_ratio(self._kernels, self.design.trait)

    def run(self, todo: list[int]) -> Iterator[tuple[int, TileResult]]:
        """Results of tiles, those of two parts of the genome together."""
        with threadpool_limits(self.settings.threads):
            for number in todo:
                yield number, self.tile(number)

    def tile(self, number: int) -> TileResult:
        """Test one tile."""
        c, d, rows, cols = self.tiles[number]
        keep = self.scope.allowed(rows, cols)
        n_pairs = int(keep.sum())
        if not n_pairs:
            return TileResult(np.zeros((0, 2), dtype=np.intp), PairTests.none(), 0, 0, 0)
        model = self._fitted(c, d)
        pairs, least = model.pairs, model.least
        left = pairs.block(rows)
        right = left if rows is cols else pairs.block(cols)
        while True:
            found = pairs.candidates(left, right, keep, self._square, least)
            tests, ratio = pairs.tests(left, right, found.i, found.j)
            seen = float(np.min(ratio, initial=np.inf, where=np.isfinite(ratio)))
            if not self._screens or not seen < least:
                break
            # A pair below what was reckoned with: others may have been left out, so that more are tested.
            least = seen**2 / model.median
        n_untestable = found.n_untestable + int((~tests.testable).sum())
        passing = np.flatnonzero(tests.p_value <= self.settings.threshold)
        terms = np.sort(np.stack([rows[found.i[passing]], cols[found.j[passing]]], axis=1), axis=1)
        return TileResult(
            terms, tests.select(passing), n_pairs, found.n_linked, n_untestable,
            tuple(_note(model, least, len(found.i), seen)),
        )  # fmt: skip

    def _fitted(self, c: int, d: int) -> _PairModel:
        """The mixed model of two parts; the latest is kept."""
        if self._model is not None and (self._model.c, self._model.d) == (c, d):
            return self._model
        self._model = None  # its matrices make room for the next
        design, own = self.design, self.parts.own(c, d) & self.design.columns.varies
        others = bool((design.columns.varies & ~own).any())
        kernels = self._kernels._replace(own=self._standardised(np.flatnonzero(own)) if others else None)
        df = design.n_samples - design.n_fixed
        covariance = fit_covariance(kernels, design.trait, df, self._start)
        spread = float(((self.trait - self.trait.mean()) ** 2).sum())
        max_r2 = np.inf if self.scope.max_r2 is None else self.scope.max_r2
        pairs = MetricPairs(design, spread, covariance, max_r2)
        ratio = self._sample(pairs, c, d) if self._screens else np.ones(1)
        self._model = _PairModel(c, d, pairs, covariance, float(np.median(ratio)), float(ratio.min()))
        return self._model

    def _sample(self, pairs: MetricPairs, c: int, d: int) -> np.ndarray:
        """Ratios of random pairs of two parts: those that can be tested, one at least."""
        rng = np.random.default_rng([c, d])
        varies, part = self.design.columns.varies, self.parts.part
        members = [np.flatnonzero(varies & (part == k)) for k in (c, d)]
        drawn = [rng.choice(of, min(len(of), _SAMPLED), replace=False) for of in members]
        i, j = (rng.integers(0, len(of), _SAMPLED) for of in drawn)
        _, ratio = pairs.tests(pairs.block(drawn[0]), pairs.block(drawn[1]), i, j)
        ratio = ratio[np.isfinite(ratio)]
        return ratio if len(ratio) else np.ones(1)

    def _standardised(self, chosen: np.ndarray) -> np.ndarray:
        """Residuals after regression on the fixed effects of columns of unit variance, missing calls at 0."""
        return self.design.residual(self.design.values(chosen) / self._spread[chosen, None])


def _note(model: _PairModel, least: float, tested: int, seen: float) -> TileNote:
    v = model.covariance
    variances = v.others * v.residual, v.own * v.residual, v.residual
    return TileNote(model.c, model.d, *variances, model.median, model.lowest, least, tested, seen)


def _column_spread(design: Design) -> np.ndarray:
    """Standard deviation of each column over its called samples; 1 where it does not vary."""
    columns = design.columns
    called = np.maximum(design.n_samples - columns.missing, 1)
    return np.where(columns.varies, columns.norm / np.sqrt(called), 1.0)


def _tiles(scope: Scope, part: np.ndarray) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Two parts, and columns of each whose pairs are asked for; blocks of one set of columns are the same."""
    n = int(part.max(initial=0)) + 1
    rows, cols = ([_blocks(of[part[of] == k]) for k in range(n)] for of in (scope.rows, scope.cols))
    if scope.symmetric:
        cols = rows
    for c in range(n):
        for d in range(c, n):
            for e, f in ((c, d),) if c == d else ((c, d), (d, c)):
                for a in rows[e]:
                    yield from ((c, d, a, b) for b in cols[f])


def _blocks(chosen: np.ndarray) -> list[np.ndarray]:
    return [chosen[k : k + _WIDTH] for k in range(0, len(chosen), _WIDTH)]


def check_background(design: Design, memory: float) -> None:
    """Refuse a trait that has no linear mixed model here, and samples that do not fit in the memory.

    Raises
    ------
    InputError
        As said.
    """
    if design.binary:
        raise InputError(
            "the background is that of a linear mixed model and the trait is binary; give --trait-type "
            "quantitative to test differences in its probability, or leave the background out"
        )
    need = _MATRICES * 8.0 * design.n_samples**2 + design.codes.nbytes * 2
    if need > memory:
        raise InputError(
            f"a background of {design.n_samples:,} samples needs {need / 1e9:.1f} GB, and "
            f"{memory / 1e9:g} GB are allowed; raise the memory (--memory)"
        )


def background_record(parts: GenomeParts, notes: list[tuple[float, ...]]) -> dict[str, Any]:
    """Counts of a scan with a background: variances of each pair of parts, and the margin of the screen."""
    by_parts: dict[tuple[float, float], list[TileNote]] = {}
    for note in (TileNote(*values) for values in notes):
        by_parts.setdefault((note.first, note.second), []).append(note)
    rows = []
    for (c, d), of in sorted(by_parts.items()):
        v = of[0]
        rows.append(
            {
                "part_1": parts.names[int(c)],
                "part_2": parts.names[int(d)],
                "others": v.others,
                "own": v.own,
                "residual": v.residual,
            }
        )
    every = [note for of in by_parts.values() for note in of]
    record: dict[str, Any] = {
        "variance_components": rows,
        "tested_exactly": int(sum(n.tested for n in every)),
    }
    if any(note.least < note.median for note in every):  # there was a screen
        record["sampled_pairs"] = _SAMPLED
        record["lowest_sampled_ratio"] = min(note.lowest / note.median for note in every)
        record["screen_ratio"] = min(note.least / note.median for note in every)
    return record | ({"instead": parts.instead} if parts.instead else {})
