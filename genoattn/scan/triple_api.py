"""scan_triples(cohort) -> ScanResult: order 3, exhaustive or around chosen sites."""

from __future__ import annotations

import os
import time
from math import comb

import numpy as np

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.scan.api import check_config, make_scan_design, read_config
from genoattn.scan.products import choose_products
from genoattn.scan.progress import pair_progress
from genoattn.scan.result import ScanResult, scan_manifest
from genoattn.scan.rows import pair_rows
from genoattn.scan.sites import choose_sites
from genoattn.scan.triples import regress_triples, score_triples
from genoattn.tokens import build_vocabulary, default_encoding

_MOST_COLUMNS = 500
_SCREEN_FACTOR = 10.0  # triples are regressed up to this many times the threshold by their score


def scan_triples(
    cohort: Cohort, threshold: float = 1e-6, *, progress: bool = False, **options: object
) -> ScanResult:
    """Test the product of every three sites beside all main effects, pairs and the covariates.

    Every triple is scored by its centred product; those whose score comes within ten times the threshold are
    regressed. Exhaustive up to 500 columns; with more, ``sites`` must name those that a triple must hold.

    Parameters
    ----------
    cohort
        Samples x sites with a quantitative phenotype.
    threshold
        Largest p-value reported.
    progress
        Show triples per second and the time left on stderr.
    options
        ``sites`` (a triple holds one of them), ``missing``, ``encoding``, ``memory``, ``threads`` and
        ``precision`` of :class:`genoattn.scan.api.ScanConfig`.

    Returns
    -------
    The triples that pass. ``n_tests`` counts all that were scored.

    Raises
    ------
    InputError
        Where the trait is binary, there are too many sites, or a setting does not apply to triples.
    """
    config = read_config(threshold, options)
    check_config(config)
    if (
        config.with_sites is not None
        or config.min_distance
        or config.max_r2 is not None
        or config.permutations
    ):
        raise InputError(
            "triples take no second set, distance, r2 limit or permutations; leave them out, or scan pairs"
        )
    began = time.perf_counter()
    phenotype = cohort.phenotype
    if phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    if phenotype.binary:
        raise InputError(f"trait {phenotype.name} is binary; triples are for quantitative traits, scan pairs")
    vocabulary = build_vocabulary(cohort, config.encoding or default_encoding(cohort))
    design = make_scan_design(cohort, vocabulary, config)
    columns = np.flatnonzero(design.columns.varies)
    first = columns
    if config.sites is not None:
        first = columns[np.isin(vocabulary.site[columns], choose_sites(cohort.sites, config.sites))]
    elif len(columns) > _MOST_COLUMNS:
        raise InputError(
            f"{len(columns):,} columns make {comb(len(columns), 3):,} triples; up to {_MOST_COLUMNS} are "
            "scanned exhaustively, with more name sites that a triple must hold"
        )
    total = comb(len(columns), 3) - comb(len(columns) - len(first), 3)
    if total == 0:
        raise InputError("no triple of sites is left to test; at least three sites must vary")
    threads = config.threads or len(os.sched_getaffinity(0))
    products = choose_products(config.precision, 2 * total * design.n_samples)
    scanned = time.perf_counter()
    with pair_progress(progress, total, what="triples") as advance:
        found, n_scored = score_triples(
            design,
            products,
            min(threshold * _SCREEN_FACTOR, 1.0),
            first,
            columns,
            vocabulary.site,
            threads,
            advance,
        )
    tests = regress_triples(design, phenotype.values, found)
    passing = np.flatnonzero(tests.p_value <= threshold)
    n_untestable = int((~tests.testable).sum())
    n_tests = n_scored - n_untestable
    counts = {
        "n_tests": n_tests,
        "n_untestable": n_untestable,
        "n_linked": 0,
        "n_reported": len(passing),
        "exhaustive": len(first) == len(columns),
        "seconds_preparing": round(scanned - began, 3),
        "seconds_scanning": round(time.perf_counter() - scanned, 3),
    }
    terms, tests = found[passing], tests.select(passing)
    frame, order = pair_rows(cohort, vocabulary, design, terms, tests, n_tests)
    manifest = scan_manifest(cohort, vocabulary, terms, config, counts, design.binary)
    return ScanResult(frame, manifest, counts, tests.select(order), threshold)
