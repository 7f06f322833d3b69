"""The scan of all pairs of a scope, tile by tile, on several threads."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock, Timer
from typing import Any

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.logistic.null import score_margin
from genoattn.scan.regression.dense import column_r2, make_traits, multi_trait_tile
from genoattn.scan.regression.exact import PairTests
from genoattn.scan.regression.genotypic import check_genotypic, genotypic_tile
from genoattn.scan.regression.tails import normal_critical, t_critical
from genoattn.scan.scope import Scope
from genoattn.scan.screening.products import Int8, Products, one_thread_each
from genoattn.scan.screening.screen import Screen
from genoattn.scan.screening.whole_screen import WholeScreen

Tester = Callable[[np.ndarray], PairTests]
_log = logging.getLogger(__name__)
_PATIENCE = 3.0  # seconds
_COMPILING = "compiling the kernels of this kind of scan, once after an installation: up to a minute"
_DENSE = 0.01  # share of candidates above which a whole tile costs less than its candidates one by one
_SCREENED = 0.02  # p-value above which too many pairs pass for a screen to pay


@dataclass(frozen=True, eq=False)
class TileResult:
    """What a tile gives: its pairs that pass, and how many there were.

    Parameters
    ----------
    pairs
        Shape (n_found, 2), indices of columns.
    tests
        Their tests.
    n_pairs, n_linked, n_untestable
        Pairs of the scope; those left out for their r2; of the rest those that cannot be tested.
    """

    pairs: np.ndarray
    tests: PairTests
    n_pairs: int
    n_linked: int
    n_untestable: int


@dataclass(frozen=True, eq=False)
class Settings:
    """How a scan runs.

    Parameters
    ----------
    threshold
        Largest p-value reported.
    width
        Columns in a tile.
    threads
        Tiles at a time.
    cached_sides
        Operands of how many blocks are kept.
    genotypic
        Whether each site has a dominance term too, and all products are tested together.
    """

    threshold: float
    width: int
    threads: int
    cached_sides: int
    genotypic: bool = False


class Engine:
    """Tests the pairs of a scope.

    Parameters
    ----------
    design
        Columns, working trait, fixed effects.
    trait
        Shape (n_samples,), as measured.
    scope
        The pairs, of columns that vary.
    products
        Precision of the screen.
    settings
        How to run.
    tester
        The exact test of pairs, given their indices of columns.
    """

    def __init__(
        self,
        design: Design,
        trait: np.ndarray,
        scope: Scope,
        products: Products | Int8,
        settings: Settings,
        tester: Tester,
    ) -> None:
        self.design, self.trait, self.scope = design, trait, scope
        self.products, self.settings, self.tester = products, settings, tester
        self.tiles = list(scope.tiles(settings.width))
        if settings.genotypic:
            check_genotypic(design)
        screened = settings.threshold < _SCREENED and not settings.genotypic
        critical = critical_value(design, settings.threshold)
        margin = score_margin(design, settings.threshold) if design.binary and screened else None
        self.screen: WholeScreen | Screen | None = None
        if screened and isinstance(products, Int8):
            self.screen = WholeScreen(design, critical, margin)
        elif screened:
            self.screen = Screen(design, products, critical, margin)  # type: ignore[arg-type]
        self._sides = _SideCache(settings.cached_sides)

    def load(self) -> None:
        """Load the compiled code of a tile, which its first use would wait for; say so if that takes long."""
        few = np.flatnonzero(self.design.columns.varies)[:2]
        if self.screen is None or not len(few):
            return
        timer = Timer(_PATIENCE, _log.info, [_COMPILING])
        timer.start()
        try:
            with one_thread_each(self.products):
                self.screen.candidates(self.screen.left(few), self.screen.right(few))  # type: ignore[arg-type]
            self.tester(np.zeros((0, 2), dtype=np.intp))
        finally:
            timer.cancel()

    def run(self, todo: list[int]) -> Iterator[tuple[int, TileResult]]:
        """Results of tiles as they finish, in any order."""
        with one_thread_each(self.products), ThreadPoolExecutor(self.settings.threads) as pool:
            waiting: dict[Future, int] = {}
            queue = iter(todo)
            try:
                while True:
                    # A short queue: what is not begun can be dropped at once on an interrupt.
                    while len(waiting) < self.settings.threads + 1 and (k := next(queue, None)) is not None:
                        waiting[pool.submit(self.tile, k)] = k
                    if not waiting:
                        return
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield waiting.pop(future), future.result()
            finally:
                for future in waiting:
                    future.cancel()

    def tile(self, number: int) -> TileResult:
        """Test one tile."""
        i, j = self.tiles[number]
        rows, cols = self.scope.rows[i], self.scope.cols[j]
        keep = self.scope.allowed(rows, cols)
        n_pairs = int(keep.sum())
        n_linked = 0
        if self.scope.max_r2 is not None and n_pairs:
            keep &= column_r2(self.design, rows, cols) <= self.scope.max_r2 * (1 + 1e-12)
            n_linked = n_pairs - int(keep.sum())
        if n_pairs == n_linked:
            return self._result(np.zeros((0, 2), dtype=np.intp), None, n_pairs, n_linked)
        if self.settings.genotypic:
            return self._genotypic(rows, cols, keep, n_pairs, n_linked)
        if self.screen is None:
            return self._whole(rows, cols, keep, n_pairs, n_linked)
        left = self._sides.get(("left", i.start), lambda: self.screen.left(rows))  # type: ignore[union-attr]
        right = self._sides.get(("right", j.start), lambda: self.screen.right(cols))  # type: ignore[union-attr]
        triangle = self.scope.symmetric and i.start == j.start
        a, b = self.screen.candidates(left, right, triangle)
        chosen = keep[a, b]
        a, b = a[chosen], b[chosen]
        if len(a) > _DENSE * keep.size and not self.design.binary:
            possible = np.zeros_like(keep)
            possible[a, b] = True
            return self._whole(rows, cols, possible, n_pairs, n_linked)
        pairs = np.stack([rows[a], cols[b]], axis=1)
        return self._result(pairs, self.tester(pairs), n_pairs, n_linked)

    def _whole(
        self, rows: np.ndarray, cols: np.ndarray, keep: np.ndarray, n_pairs: int, n_linked: int
    ) -> TileResult:
        """Test the pairs of a tile by products in float64, those with missing calls one by one."""
        gaps = keep & (self.design.gaps[rows][:, None] | self.design.gaps[cols])
        if self.design.binary:
            gaps = keep
        a, b = np.nonzero(gaps)
        pairs = np.stack([rows[a], cols[b]], axis=1)
        tests, n_untestable = self.tester(pairs), 0
        if not self.design.binary:
            traits = make_traits(self.design, self.trait[None])
            (found,), n_untestable = multi_trait_tile(
                self.design, traits, rows, cols, keep & ~gaps, self.settings.threshold
            )
            pairs = np.concatenate([np.stack([rows[found.i], cols[found.j]], axis=1), pairs])
            tests = PairTests.join([found.tests, tests])
        return self._result(pairs, tests, n_pairs, n_linked, n_untestable)

    def _genotypic(
        self, rows: np.ndarray, cols: np.ndarray, keep: np.ndarray, n_pairs: int, n_linked: int
    ) -> TileResult:
        """Test all products of additive and dominance terms of the pairs of a tile together."""
        found, n_untestable = genotypic_tile(
            self.design, self.trait, rows, cols, keep, self.settings.threshold
        )
        pairs = np.stack([rows[found.i], cols[found.j]], axis=1)
        return self._result(pairs, found.tests, n_pairs, n_linked, n_untestable)

    def _result(
        self,
        pairs: np.ndarray,
        tests: PairTests | None,
        n_pairs: int,
        n_linked: int,
        n_untestable: int = 0,
    ) -> TileResult:
        """What passes; ``n_untestable`` pairs beside those among ``tests`` cannot be tested."""
        if tests is None:
            tests = PairTests.none()
        found = np.flatnonzero(tests.p_value <= self.settings.threshold)
        n_untestable += int((~tests.testable).sum())
        return TileResult(np.sort(pairs[found], axis=1), tests.select(found), n_pairs, n_linked, n_untestable)


def critical_value(design: Design, p_value: float) -> float:
    """Smallest |z| (binary), or smallest |correlation| beside all else, with at most this two-sided p."""
    if design.binary:
        return normal_critical(p_value)
    df = design.n_samples - design.n_fixed - 3
    if df <= 0:
        return 0.0
    t = t_critical(p_value, df)
    return float(t / np.sqrt(df + t**2)) * (1 - 1e-9)


class _SideCache:
    """Operands of blocks, made once while they are kept, by whichever thread first asks."""

    def __init__(self, size: int) -> None:
        self._size, self._lock = size, Lock()
        self._futures: OrderedDict[tuple, Future] = OrderedDict()

    def get(self, key: tuple, make: Callable[[], Any]) -> Any:
        with self._lock:
            future = self._futures.get(key)
            mine = future is None
            if future is None:
                while len(self._futures) >= self._size:
                    self._futures.popitem(last=False)
                future = self._futures[key] = Future()
            self._futures.move_to_end(key)
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()
