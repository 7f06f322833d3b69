"""The scan of all pairs of a scope, tile by tile, on several threads."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock, Timer
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from genoattn.scan.binary import LogisticTests, score_margin
from genoattn.scan.design import Design
from genoattn.scan.exact import PairTests, regress_pairs
from genoattn.scan.genotypic import GenotypicScreen, check_genotypic, genotypic_pairs
from genoattn.scan.products import ProductScreen
from genoattn.scan.scope import Scope
from genoattn.scan.screen import CellScreen, PlaneScreen
from genoattn.scan.tails import normal_critical, t_critical

Screen = PlaneScreen | CellScreen | ProductScreen | GenotypicScreen
_log = logging.getLogger(__name__)
_CPU = "cpu"  # the device that is screened without torch
_PATIENCE = 2.0  # seconds
_COMPILING = "compiling the kernels of this kind of scan, once after an installation"
SCREENED = 0.02  # p-value above which too many pairs pass for a screen to pay


@dataclass(frozen=True, eq=False)
class TileResult:
    """Result of a tile: its pairs that pass, and how many there were."""

    pairs: np.ndarray  # (n_found, 2), indices of columns
    tests: PairTests
    n_pairs: int  # of the scope
    n_linked: int  # of these left out for their r2
    n_untestable: int  # of the rest those that cannot be tested
    note: tuple[float, ...] = ()  # what a scan with a background records of it


@dataclass(frozen=True, eq=False)
class Settings:
    """How a scan runs."""

    threshold: float  # largest p-value reported
    width: int  # columns in a tile
    threads: int  # tiles at a time
    cached_blocks: int  # of how many blocks the operands are kept
    # whether each site has a dominance term too, and all products are tested together
    genotypic: bool = False
    device: str = "cpu"  # where the screen runs
    background: str | None = None  # what the additive effects of the genome are adjusted for by


def choose_screen(
    design: Design, trait: np.ndarray, max_r2: float | None, settings: Settings
) -> tuple[Screen | None, str, str]:
    """Screen of a scan, its name, and the reason: the one place that decides.

    Returns
    -------
    None for no screen: every pair is then tested exactly.
    """
    threshold = settings.threshold
    if settings.genotypic:
        check_genotypic(design)
        screen = GenotypicScreen(design, threshold, max_r2)
        return screen, "genotypic", "tables of both sites' genotypes"
    if threshold >= SCREENED:
        return None, "none", f"every pair is tested exactly: many have p <= {threshold:g}"
    square = critical_square(design, threshold)
    margin = score_margin(design, threshold) if design.binary else None
    device = None if settings.device == _CPU else settings.device
    if device is not None:
        return ProductScreen(design, square, max_r2, margin, device), "products", f"device {device}"
    if not design.diploid:
        reason = "codes above 2" if design.codes.dtype == np.int8 else "dosages"
        return ProductScreen(design, square, max_r2, margin), "products", reason
    if design.binary and design.n_fixed == 1 and not design.impute:
        return CellScreen(design, trait, square, max_r2), "cells", "binary trait without covariates"
    what = "binary trait" if design.binary else "quantitative trait"
    adjusted = f" with {design.n_fixed - 1} covariates" if design.n_fixed > 1 else ""
    return PlaneScreen(design, square, max_r2, margin), "planes", what + adjusted


class Engine:
    """Tests the pairs of a scope, of columns that vary, given the trait (n_samples,) as measured."""

    def __init__(self, design: Design, trait: np.ndarray, scope: Scope, settings: Settings) -> None:
        self.design, self.trait, self.scope, self.settings = design, trait, scope, settings
        self.tiles = list(scope.tiles(settings.width))
        self.screen, self.name, self.reason = choose_screen(design, trait, scope.max_r2, settings)
        _log.info("screen %s: %s", self.name, self.reason)
        self._logistic = LogisticTests(design, trait, settings.threshold) if design.binary else None
        self._blocks = _BlockCache(settings.cached_blocks)

    def load(self) -> None:
        """Load the compiled code of a tile, which its first use would wait for; say so if that takes long."""
        few = np.flatnonzero(self.design.columns.varies)[:2]
        if self.screen is None or not len(few):
            return
        timer = Timer(_PATIENCE, _log.info, [_COMPILING])
        timer.start()
        try:
            with threadpool_limits(1):
                block = self.screen.block(few)
                self.screen.candidates(block, block, np.ones((len(few),) * 2, dtype=bool))  # type: ignore[arg-type]
            self.tests(np.zeros((0, 2), dtype=np.intp))
        finally:
            timer.cancel()

    def tests(self, pairs: np.ndarray, tables: np.ndarray | None = None) -> PairTests:
        """The exact tests of pairs, given their indices of columns, and their cells where counted."""
        if self.settings.genotypic:
            return genotypic_pairs(self.design, self.trait, pairs)
        if self._logistic is not None:
            return self._logistic(pairs, tables)
        return regress_pairs(self.design, self.trait, pairs)

    def _band(self, number: int) -> tuple[int, int]:
        """Band of a tile: tiles of one band run together, so that their blocks are made once for all."""
        size = self.settings.width * max(1, (self.settings.cached_blocks - self.settings.threads) // 2)
        i, j = self.tiles[number]
        return i.start // size, j.start // size

    def run(self, todo: list[int]) -> Iterator[tuple[int, TileResult]]:
        """Results of tiles as they finish, in any order."""
        todo = sorted(todo, key=self._band)
        # Tiles have the threads: those of matrix products would compete with them.
        with threadpool_limits(1), ThreadPoolExecutor(self.settings.threads) as pool:
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
        if not n_pairs:
            return TileResult(np.zeros((0, 2), dtype=np.intp), PairTests.none(), 0, 0, 0)
        n_linked, n_untestable, tables = 0, 0, None
        if self.screen is None:
            if self.scope.max_r2 is not None:
                # The slack keeps pairs at the limit, whichever routine rounds their r2.
                keep &= self.design.r2(rows, cols) <= self.scope.max_r2 * (1 + 1e-12)
                n_linked = n_pairs - int(keep.sum())
            a, b = np.nonzero(keep)
        else:
            make: Callable[[np.ndarray], Any] = self.screen.block
            left = self._blocks.get((i.start, self.scope.symmetric or "rows"), lambda: make(rows))
            right = self._blocks.get((j.start, self.scope.symmetric or "cols"), lambda: make(cols))
            a, b, n_linked, n_untestable, tables = self.screen.candidates(left, right, keep)
        pairs = np.stack([rows[a], cols[b]], axis=1)
        tests = self.tests(pairs, tables)
        n_untestable += int((~tests.testable).sum())
        found = np.flatnonzero(tests.p_value <= self.settings.threshold)
        # Between two sets the first column of a pair may come after the second.
        return TileResult(np.sort(pairs[found], axis=1), tests.select(found), n_pairs, n_linked, n_untestable)


def critical_square(design: Design, p_value: float) -> float:
    """Square of the smallest |z| (binary), or |t|, with at most this two-sided p."""
    if design.binary:
        return normal_critical(p_value) ** 2
    df = design.n_samples - design.n_fixed - 3
    return t_critical(p_value, df) ** 2 if df > 0 else 0.0


class _BlockCache:
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
