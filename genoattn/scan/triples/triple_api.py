"""scan_triples(cohort) -> ScanResult: order 3, exhaustive or around chosen sites and pairs."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.progress import progress_bar
from genoattn.scan.checkpoint import Checkpoint, Tally
from genoattn.scan.design import Design
from genoattn.scan.engine import TileResult
from genoattn.scan.environment_tests import environment_columns, without_main_effect
from genoattn.scan.exact import regress_terms
from genoattn.scan.pair_scan import make_scan_design
from genoattn.scan.result import ScanResult, scan_manifest
from genoattn.scan.rows import pair_rows
from genoattn.scan.settings import ScanConfig, check_config, read_config
from genoattn.scan.sites import choose_sites
from genoattn.scan.triples.triple_scope import (
    Pairs,
    TripleScope,
    choose_pairs,
    make_triple_scope,
    tile_bytes,
)
from genoattn.scan.triples.triple_screen import CountScreen, ScoreScreen
from genoattn.tokens import Vocabulary, build_vocabulary, default_encoding

_SCREEN_FACTOR = 10.0  # triples are regressed up to this many times the threshold by their score
_TAKEN = ("threshold", "sites", "missing", "encoding", "memory", "threads", "seed")


def scan_triples(
    cohort: Cohort,
    threshold: float = 1e-6,
    *,
    pairs: Pairs | None = None,
    max_sites: int = 1000,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    **options: object,
) -> ScanResult:
    """Test the product of every three sites, adjusted for all main effects, pairs and the covariates.

    Without missing calls among the sites, the regression of every triple is bounded from exact counts of
    genotypes, so that the list is the exhaustive one (``counts["screen"]`` is ``bound``). With missing calls,
    imputed ones or more than two copies a triple is regressed, on its complete cases, where the score of its
    centred product comes within ten times the threshold (``score``): one among linked sites may be missed.

    Parameters
    ----------
    cohort
        Samples x sites with a quantitative phenotype.
    threshold
        Largest p-value reported.
    pairs
        Candidate pairs: a triple holds one of them, or one of ``sites``. Pairs of site IDs, the result or
        table of a pair scan, or the path of one.
    max_sites
        All triples of up to this many columns are scanned; with more, ``sites`` or ``pairs`` must be given.
    progress
        Show triples per second and the time left on stderr.
    checkpoint
        A file that keeps finished tiles of an interrupted scan; it is removed at the end.
    options
        ``sites`` (a triple holds one of them), ``missing``, ``encoding``, ``memory`` and ``threads`` of
        :class:`genoattn.scan.settings.ScanConfig`.

    Returns
    -------
    The triples that pass. ``n_tests`` counts all that could be tested; ``counts["exhaustive"]`` says whether
    all triples were, and ``counts["candidates"]`` what those scanned had to hold.

    Raises
    ------
    InputError
        Where the trait is binary, there are too many sites, or a setting does not apply to triples.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=300, n_sites=10, linkage="none", seed=1).cohort
    >>> result = genoattn.scan_triples(cohort, threshold=0.05)
    >>> bool((result.frame["p_value"] <= 0.05).all())
    True
    """
    config = read_config(threshold, options)
    check_config(config)
    if config.background is not None:
        raise InputError("triples are scanned without a background; leave it out, or scan pairs")
    _check(cohort, config)
    return _scan(cohort, config, pairs, max_sites, progress, checkpoint)


def _scan(
    cohort: Cohort,
    config: ScanConfig,
    pairs: Pairs | None,
    max_sites: int,
    progress: bool,
    checkpoint: str | Path | None,
) -> ScanResult:
    """The scan, of settings found good."""
    began = time.perf_counter()
    phenotype = cohort.phenotype
    assert phenotype is not None
    vocabulary = build_vocabulary(cohort, config.encoding or default_encoding(cohort))
    design = make_scan_design(cohort, vocabulary, config)
    chosen = None if config.sites is None else choose_sites(cohort.sites, config.sites)
    chosen_pairs = None if pairs is None else choose_pairs(cohort.sites, pairs)
    scope, candidates = _scope(vocabulary, design, chosen, chosen_pairs, max_sites)
    _check_memory(design, scope, config)
    engine = TripleEngine(design, phenotype.values, scope, config.threshold, config.n_threads)
    state = _TripleCheckpoint(checkpoint, engine)
    tally = state.load(len(engine.tiles))
    scanned = time.perf_counter()
    with progress_bar(progress, "scan", scope.n_triples(), tally.n_pairs, "triples") as advance, state:
        for number, result in engine.run(tally.todo):
            tally.add(number, result)
            state.save_now_and_then(tally)
            advance(result.n_pairs)
    for part in environment_triples(cohort, vocabulary, config, chosen, chosen_pairs):
        tally.merge(part)
    if tally.n_pairs == 0:
        raise InputError("no triple of sites is left to test; at least three sites must vary")
    counts = {
        "n_samples": cohort.n_samples,
        "n_tests": tally.n_pairs - tally.n_untestable,
        "n_untestable": tally.n_untestable,
        "n_linked": 0,
        "exhaustive": scope.exhaustive,
        "candidates": candidates,
        "screen": "bound" if engine.screen.exact else "score",
        "seconds_preparing": round(scanned - began, 3),
        "seconds_scanning": round(time.perf_counter() - scanned, 3),
    }
    state.remove()
    return _result(cohort, vocabulary, config, design, tally, counts)


def _result(
    cohort: Cohort,
    vocabulary: Vocabulary,
    config: ScanConfig,
    design: Design,
    tally: Tally,
    counts: dict[str, Any],
) -> ScanResult:
    terms, tests = tally.found()
    terms = terms.reshape(-1, 3)  # of none found too
    counts["n_reported"] = len(terms)
    frame, order = pair_rows(cohort, vocabulary, design, terms, tests, counts["n_tests"])
    manifest = scan_manifest(cohort, vocabulary, terms, config, counts, design.binary)
    return ScanResult(frame, manifest, counts, tests.select(order), config.threshold)


def _check(cohort: Cohort, config: ScanConfig) -> None:
    """Refuse settings and traits that triples do not take."""
    for field in fields(config):
        if field.name not in _TAKEN and getattr(config, field.name) != field.default:
            raise InputError(f"triples take no {field.name}; leave it out, or scan pairs")
    if cohort.phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    if cohort.phenotype.binary:
        name = cohort.phenotype.name
        raise InputError(f"trait {name} is binary; triples are for quantitative traits, scan pairs")


def _scope(
    vocabulary: Vocabulary,
    design: Design,
    chosen: np.ndarray | None,
    chosen_pairs: np.ndarray | None,
    max_sites: int,
) -> tuple[TripleScope, str]:
    """The triples, and in words what they must hold; nothing where all are scanned.

    Environments, whose main effects are among the fixed ones, do not vary here.
    """
    columns = np.flatnonzero(design.columns.varies)
    if chosen is None and chosen_pairs is None and len(columns) > max_sites:
        raise InputError(
            f"{len(columns):,} columns make {comb(len(columns), 3):,} triples; up to max_sites={max_sites:,} "
            "are scanned exhaustively, with more name sites or pairs that a triple must hold"
        )
    scope = make_triple_scope(columns, vocabulary.site, chosen, chosen_pairs)
    if scope.exhaustive:
        return scope, ""
    held = [] if chosen is None else [f"one of {len(chosen):,} sites"]
    held += [] if chosen_pairs is None else [f"one of {len(chosen_pairs):,} pairs"]
    return scope, " or ".join(held)


def _check_memory(design: Design, scope: TripleScope, config: ScanConfig) -> None:
    """Refuse what does not fit: columns as float32 and bits, tables of the candidates, tiles."""
    # 4 bytes a float32 and 3 bits a code, 5 at most; 8 more for the float64 that covariates need.
    columns = 2 * design.codes.nbytes + len(scope) * design.n_samples * (5 if design.n_fixed == 1 else 13)
    tables = 8 * (4 + design.n_fixed) * len(scope) * scope.n_first
    needed = columns + tables + config.n_threads * tile_bytes(design.n_samples, design.n_fixed)
    if needed > config.memory:
        raise InputError(
            f"triples of {len(scope):,} columns with {scope.n_first:,} candidates need {needed / 1e9:.2f} GB "
            "of memory; name fewer sites or allow more"
        )


def environment_triples(
    cohort: Cohort,
    vocabulary: Vocabulary,
    config: ScanConfig,
    sites: np.ndarray | None,
    pairs: np.ndarray | None,
) -> Iterator[Tally]:
    """Triples of each environment with two sites of the genome that hold a chosen site or pair.

    All sites and pairs are chosen where both are None.
    """
    trait = cohort.phenotype
    assert trait is not None
    is_environment = cohort.sites.is_environment
    genome = ~is_environment[vocabulary.site]
    for number, column in enumerate(environment_columns(cohort, vocabulary.site).tolist()):
        own = int(vocabulary.site[column])
        design = make_scan_design(cohort, vocabulary, config, fixed=without_main_effect(cohort, number))
        varies = np.flatnonzero(design.columns.varies & (genome | (np.arange(len(genome)) == column)))
        every = sites is None and pairs is None
        first = np.array([own]) if every or (sites is not None and own in sites) else None
        partners = [] if sites is None else [(own, s) for s in sites if s != own]
        of_genome = np.zeros((0, 2), dtype=np.int64)
        if pairs is not None:
            outside = is_environment[pairs].sum(axis=1)
            of_genome = pairs[outside == 0]
            partners += pairs[(outside == 1) & (pairs == own).any(axis=1)].tolist()
        held = np.array(partners, dtype=np.int64).reshape(-1, 2)
        scope = make_triple_scope(varies, vocabulary.site, first, held)
        engine = TripleEngine(design, trait.values, scope, config.threshold, config.n_threads)
        tally = Tally(len(engine.tiles))
        for tile, result in engine.run(tally.todo):
            tally.add(tile, result)
        if first is None and len(of_genome):
            tally.merge(_with_pairs(engine, column, of_genome, held, vocabulary.site))
        yield tally


def _with_pairs(
    engine: "TripleEngine", column: int, pairs: np.ndarray, held: np.ndarray, site: np.ndarray
) -> Tally:
    """Triples of an environment's column with pairs of sites, but those that hold one of ``held``."""
    columns = np.setdiff1d(engine.scope.columns, [column])
    partners = np.unique(held)
    found = [
        (a, b, column)
        for one, other in pairs.tolist()
        if one not in partners and other not in partners
        for a in columns[site[columns] == one]
        for b in columns[site[columns] == other]
    ]
    triples = np.sort(np.array(found, dtype=np.intp).reshape(-1, 3), axis=1)
    tests = regress_terms(engine.design, engine.trait, triples)
    passing = np.flatnonzero(tests.p_value <= engine.threshold)
    tally = Tally(1)
    n_untestable = int((~tests.testable).sum())
    tally.add(0, TileResult(triples[passing], tests.select(passing), len(triples), 0, n_untestable))
    return tally


class TripleEngine:
    """Tests the triples of a scope, of columns that vary, given the trait (n_samples,) as measured.

    ``threshold`` is the largest p-value reported, ``threads`` how many tiles run at a time.
    """

    def __init__(
        self, design: Design, trait: np.ndarray, scope: TripleScope, threshold: float, threads: int = 1
    ) -> None:
        self.design, self.trait, self.scope = design, trait, scope
        self.threshold, self.threads = threshold, threads
        self.tiles = scope.tiles()
        self.screen: CountScreen | ScoreScreen
        # Counts of genotypes are all that a bound on t needs of codes 0, 1, 2 without a missing call.
        missing = design.columns.missing[scope.columns].any()
        if not missing and design.diploid:
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


class _TripleCheckpoint(Checkpoint):
    """Finished tiles of a scan of triples."""

    def __init__(self, path: str | Path | None, engine: TripleEngine) -> None:
        super().__init__(path, engine.design, engine.trait, engine.scope, engine)  # type: ignore[arg-type]
        self._engine = engine

    def _parts(self) -> Iterator[bytes]:
        design, scope = self._engine.design, self._engine.scope
        for array in (design.codes, self._engine.trait, design.basis, scope.columns, scope.site, scope.pairs):
            yield repr((array.shape, array.dtype)).encode()
            yield np.ascontiguousarray(array).tobytes()
        yield repr(("triples", self._engine.threshold, scope.n_first, design.impute)).encode()
