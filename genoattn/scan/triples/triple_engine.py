"""The scan of all triples of a scope, tile by tile, on several threads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from genoattn.scan.design import Design
from genoattn.scan.engine import TileResult
from genoattn.scan.exact import regress_terms
from genoattn.scan.triples.triple_scope import TripleScope
from genoattn.scan.triples.triple_screen import CountScreen, ScoreScreen

_SCREEN_FACTOR = 10.0  # triples are regressed up to this many times the threshold by their score


def counts_apply(design: Design, columns: np.ndarray) -> bool:
    """Whether counts of genotypes are all that a bound on t needs of columns: codes 0, 1, 2, none missing."""
    return not design.columns.missing[columns].any() and bool(design.codes[columns].max(initial=0) <= 2)


class TripleEngine:
    """Tests the triples of a scope.

    Parameters
    ----------
    design
        TripleColumns, trait, fixed effects; weight 1.
    trait
        Shape (n_samples,), as measured.
    scope
        The triples, of columns that vary.
    threshold
        Largest p-value reported.
    threads
        Tiles at a time.
    """

    def __init__(
        self, design: Design, trait: np.ndarray, scope: TripleScope, threshold: float, threads: int = 1
    ) -> None:
        self.design, self.trait, self.scope = design, trait, scope
        self.threshold, self.threads = threshold, threads
        self.tiles = scope.tiles()
        self.screen: CountScreen | ScoreScreen
        if counts_apply(design, scope.columns):
            self.screen = CountScreen(design, scope, threshold)
        else:
            self.screen = ScoreScreen(design, scope, min(threshold * _SCREEN_FACTOR, 1.0))

    def run(self, todo: list[int]) -> Iterator[tuple[int, TileResult]]:
        """Results of tiles, in order."""
        with threadpool_limits(1):
            pool = ThreadPoolExecutor(self.threads)
            try:
                yield from zip(todo, pool.map(self.tile, todo), strict=True)
            finally:  # what is not begun is dropped at once on an interrupt
                pool.shutdown(wait=True, cancel_futures=True)

    def tile(self, number: int) -> TileResult:
        """Screen the triples of a tile and test those that may pass."""
        found = self.screen.candidates(self.tiles[number])
        places = np.stack([found.i, found.j, found.k], axis=1)
        triples = np.sort(self.scope.columns[places], axis=1)
        tests = regress_terms(self.design, self.trait, triples)
        passing = np.flatnonzero(tests.p_value <= self.threshold)
        n_untestable = found.n_untestable + int((~tests.testable).sum())
        return TileResult(triples[passing], tests.select(passing), found.n_triples, 0, n_untestable)
