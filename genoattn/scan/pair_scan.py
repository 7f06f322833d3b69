"""scan_pairs(cohort) -> ScanResult: the exact test of every pair, read from top to bottom."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from genoattn.cohort import Cohort, Covariates
from genoattn.errors import InputError
from genoattn.progress import progress_bar
from genoattn.scan.background_engine import BackgroundEngine, background_record, check_background
from genoattn.scan.checkpoint import Checkpoint, Tally
from genoattn.scan.design import Design, binary_design, make_design
from genoattn.scan.engine import Engine, Settings
from genoattn.scan.environment_tests import environment_scopes
from genoattn.scan.genome_parts import make_parts
from genoattn.scan.result import ScanResult, scan_manifest
from genoattn.scan.rows import pair_rows
from genoattn.scan.scope import Scope, make_scope
from genoattn.scan.settings import ScanConfig, check_config, read_config
from genoattn.scan.sites import choose_sites
from genoattn.scan.tails import normal_p_value, t_p_value
from genoattn.tokens import Vocabulary, build_vocabulary, default_encoding

_log = logging.getLogger(__name__)
_TILE = 256
_NARROWEST = 32
_BYTES = 13  # of a sample of a column, as operands of a screen


def scan_pairs(
    cohort: Cohort,
    threshold: float = 1e-4,
    *,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    **options: object,
) -> ScanResult:
    """Test the product term of every pair of sites, adjusted for both main effects and the covariates.

    A quantitative trait gets the t test of least squares, a binary one the likelihood-ratio test of logistic
    regression. Pairs that a bound shows to be above the threshold are not tested one by one.

    Parameters
    ----------
    cohort
        Samples x sites with a phenotype, from :func:`genoattn.read`.
    threshold
        Largest p-value reported.
    progress
        Show pairs per second and the time left on stderr.
    checkpoint
        A file that keeps finished tiles of an interrupted scan; it is removed at the end.
    options
        Any field of :class:`genoattn.scan.settings.ScanConfig`.

    Returns
    -------
    The pairs that pass, as an interaction table, and how many were tested. Benjamini-Hochberg q-values are
    over all tests made, reported or not.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=400, n_sites=20, architecture="pairs", seed=1).cohort
    >>> result = genoattn.scan_pairs(cohort, threshold=1e-3)
    >>> result.counts["n_tests"]
    190
    >>> bool((result.frame["p_value"] <= 1e-3).all())
    True

    Raises
    ------
    InputError
        Where the cohort has no phenotype, a setting is out of range, or there is nothing to test.
    """
    config = read_config(threshold, options)
    check_config(config)
    return scan_columns(prepare(cohort, config), cohort, config, progress, checkpoint)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Columns and pairs that traits of the same samples share."""

    vocabulary: Vocabulary  # the columns
    # (n_columns, n_samples), int8: dosage, or indicator of a state; -1 where missing; read-only
    codes: np.ndarray
    scope: Scope  # which pairs of them to test
    seconds: float  # spent on preparing


def prepare(cohort: Cohort, config: ScanConfig) -> Prepared:
    """The columns of a cohort and the pairs to test, whatever the trait."""
    began = time.perf_counter()
    vocabulary = build_vocabulary(cohort, config.encoding or default_encoding(cohort))
    scope = _scope(cohort, vocabulary, config)
    return Prepared(vocabulary, column_codes(cohort, vocabulary), scope, time.perf_counter() - began)


def scan_columns(
    prepared: Prepared,
    cohort: Cohort,
    config: ScanConfig,
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> ScanResult:
    """The scan of the cohort's trait; all scans of pairs come through here.

    ``prepared`` is of the cohort's samples and of the same settings.
    """
    began = time.perf_counter()
    if config.background is not None and cohort.sites.is_environment.any():
        raise InputError("a background knows no environments; leave background or environment out")
    genome = prepared.scope.restrict(~cohort.sites.is_environment[prepared.vocabulary.site])
    engine = scan_engine(replace(prepared, scope=genome), cohort, config)
    others = list(_environment_engines(prepared, cohort, config))
    design, usable = engine.design, engine.scope
    n_pairs, n_usable = genome.n_pairs() + sum(n for n, _ in others), usable.n_pairs()
    if n_pairs == 0:
        raise InputError("no pair of sites is left to test; widen the sets of sites or the limits")
    state = Checkpoint(checkpoint, design, engine.trait, usable, engine.settings)
    tally = state.load(len(engine.tiles))
    engine.load()
    scanned = time.perf_counter()
    with progress_bar(progress, "scan", n_usable, tally.n_pairs, "pairs") as advance, state:
        for number, result in engine.run(tally.todo):
            tally.add(number, result)
            state.save_now_and_then(tally)
            advance(result.n_pairs)
    for _, other in others:
        part = Tally(len(other.tiles))
        for number, result in other.run(part.todo):
            part.add(number, result)
        tally.merge(part)
        n_usable += other.scope.n_pairs()
    counts: dict[str, Any] = {
        "seconds_preparing": round(prepared.seconds + scanned - began, 3),
        "seconds_scanning": round(time.perf_counter() - scanned, 3),
    }
    state.remove()
    if config.permutations:
        counts |= _permutations(engine, [other for _, other in others], config, progress)
    counts |= {"screen": engine.name, "screen_reason": engine.reason}
    if isinstance(engine, BackgroundEngine):
        counts["mixed_model"] = background_record(engine.parts, tally.notes)
    return _result(cohort, prepared.vocabulary, config, design, tally, n_pairs - n_usable, counts)


def scan_engine(
    prepared: Prepared, cohort: Cohort, config: ScanConfig, fixed: Covariates | None = None
) -> Engine | BackgroundEngine:
    """The engine of a scan, on the threads and the device of its settings; ``fixed`` effects if not all."""
    if cohort.phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    design = make_scan_design(cohort, prepared.vocabulary, config, prepared.codes, fixed)
    scope = prepared.scope.restrict(design.columns.varies)
    settings = _settings(design, scope, config)
    if config.background is None:
        return Engine(design, cohort.phenotype.values, scope, settings)
    check_background(design, config.memory)
    if n_missing := int(design.columns.missing.sum()):
        _log.info("background: %s missing calls count as the mean of their site", f"{n_missing:,}")
    parts = make_parts(cohort.sites, prepared.vocabulary.site, config.background)
    return BackgroundEngine(design, cohort.phenotype.values, scope, settings, parts)


def _environment_engines(
    prepared: Prepared, cohort: Cohort, config: ScanConfig
) -> Iterator[tuple[int, Engine | BackgroundEngine]]:
    """Engines of the pairs with an environment, each with its number of pairs by place."""
    for fixed, scope in environment_scopes(cohort, prepared.vocabulary.site, prepared.scope):
        yield scope.n_pairs(), scan_engine(replace(prepared, scope=scope), cohort, config, fixed)


def _permutations(
    engine: Engine | BackgroundEngine,
    others: list[Engine | BackgroundEngine],
    config: ScanConfig,
    progress: bool,
) -> dict[str, float]:
    """The 5 % genome-wide threshold of |t| (binary traits: |z|) over permutations, and its p-value."""
    from genoattn.scan.permute import permuted_maxima

    design, scope = engine.design, engine.scope
    if others and design.binary:
        raise InputError("permutations of a binary trait know no environments; leave one of the two out")
    parts = [(design, scope)]
    parts += [(other.design, other.scope) for other in others]
    maxima = np.zeros(config.permutations)
    with progress_bar(progress, "permutations", sum(s.n_pairs() for _, s in parts), unit="pairs") as advance:
        for part, pairs in parts:
            rng = np.random.default_rng(config.seed)  # the same permutations in all of them
            own = permuted_maxima(part, pairs, config.permutations, rng, config.n_threads, advance)
            maxima = np.maximum(maxima, own)
    # One of the maxima, not a number between two: at most 5 % of them lie above it.
    limit = float(np.quantile(maxima, 0.95, method="higher"))
    df = design.n_samples - design.n_fixed - 3
    p_value = float(normal_p_value(np.array(limit)) if design.binary else t_p_value(np.array(limit), df))
    return {"permutations": config.permutations, "permutation_t": limit, "permutation_p": p_value}


def column_codes(cohort: Cohort, vocabulary: Vocabulary) -> np.ndarray:
    """Columns as rows, (n_columns, n_samples), int8, -1 where missing; read-only, as the calls are."""
    codes = np.ascontiguousarray(cohort.calls.T)
    if not vocabulary.is_dosage:
        state = codes[vocabulary.site]
        codes = np.where(state < 0, -1, state == vocabulary.state[:, None]).astype(np.int8)
    codes.flags.writeable = False
    return codes


def make_scan_design(
    cohort: Cohort,
    vocabulary: Vocabulary,
    config: ScanConfig,
    codes: np.ndarray | None = None,
    fixed: Covariates | None = None,
) -> Design:
    """Columns, the trait, and the fixed effects; ``codes`` are those of :func:`column_codes`, if at hand.

    ``fixed`` are the fixed effects of terms with an environment; all of the cohort's if None. Regressions of
    such terms have its main effect too, so that the trait may go without it, which makes screens sharper.
    """
    phenotype = cohort.phenotype
    assert phenotype is not None
    codes = column_codes(cohort, vocabulary) if codes is None else codes
    fixed = cohort.fixed_effects if fixed is None else fixed
    values, names = fixed.values, fixed.names
    n_fixed = 1 + values.shape[1]
    if cohort.n_samples <= n_fixed + 3:
        raise InputError(
            f"{cohort.n_samples} samples for {n_fixed + 3} coefficients of each regression; more are needed"
        )
    make = binary_design if phenotype.binary else make_design
    design = make(codes, phenotype.values, values, names, config.missing == "mean")
    if phenotype.binary or len(names) == len(cohort.fixed_effects.names):
        return design
    return replace(design, trait=make_design(codes, phenotype.values, cohort.fixed_effects.values).trait)


def _scope(cohort: Cohort, vocabulary: Vocabulary, config: ScanConfig) -> Scope:
    chosen = [
        None if text is None else choose_sites(cohort.sites, text)
        for text in (config.sites, config.with_sites)
    ]
    return make_scope(cohort.sites, vocabulary.site, chosen[0], chosen[1], config.min_distance, config.max_r2)


def _settings(design: Design, scope: Scope, config: ScanConfig) -> Settings:
    """Tiles that fit in the memory, with the calls as the cohort and the scan hold them."""
    threads, device = config.n_threads, config.screen_device
    # The calls are held twice, as the cohort's and as columns; 0.3 GB are for the rest of the process. Half
    # of what remains is for the two blocks of each tile at work, half for blocks that are kept.
    room = max(config.memory - 2.4 * design.codes.nbytes - 3e8, 5e7)
    bytes_each = design.n_samples * (_BYTES if device == "cpu" else 40)
    width = int(room / 2 / ((threads + 1) * 2 * bytes_each))
    # No narrower than pays, no wider than gives every thread a few tiles; a device wants all it can hold.
    spread = max(len(scope.rows), len(scope.cols)) // (2 * threads) + 1
    most = _TILE if device == "cpu" else 4096
    width = max(_NARROWEST, min(width, most, spread))
    cached = threads + 2 + int(room / 2 / (width * bytes_each))
    genotypic = config.test == "genotypic"
    return Settings(config.threshold, width, threads, cached, genotypic, device, config.background)


def _result(
    cohort: Cohort,
    vocabulary: Vocabulary,
    config: ScanConfig,
    design: Design,
    tally: Tally,
    n_flat: int,
    counts: dict[str, Any],
) -> ScanResult:
    """Pairs found, with ``n_flat`` pairs of columns that do not vary among the untestable."""
    n_tests = tally.n_pairs - tally.n_linked - tally.n_untestable
    pairs, tests = tally.found()
    rows, order = pair_rows(cohort, vocabulary, design, pairs, tests, n_tests, config.test == "genotypic")
    counts = {
        "n_samples": design.n_samples,
        "n_tests": n_tests,
        "n_untestable": tally.n_untestable + n_flat,
        "n_linked": tally.n_linked,
        "n_reported": len(rows),
        **counts,
    }
    manifest = scan_manifest(cohort, vocabulary, pairs, config, counts, design.binary)
    return ScanResult(rows, manifest, counts, tests.select(order), config.threshold)
