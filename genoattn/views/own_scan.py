"""Exact scans that a picture makes for itself, without a line in the log: they are no step of the run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from math import comb
from typing import TYPE_CHECKING, Any

from genoattn.cohort import Cohort

if TYPE_CHECKING:
    from genoattn.scan.result import ScanResult

_MOST_ROWS = 20_000
_MOST_WORK = 2e10  # samples x pairs: some seconds


def scan_for_picture(cohort: Cohort, threshold: float = 1.0, **scope: Any) -> ScanResult:
    """As :func:`genoattn.scan_pairs`, in silence."""
    from genoattn.scan.pair_scan import scan_pairs

    with _silent("genoattn.scan"):
        return scan_pairs(cohort, threshold=threshold, **scope)


def scan_of_all_pairs(cohort: Cohort) -> ScanResult | None:
    """The smallest p-values of all pairs, about 20,000 of them by chance; None where that takes long."""
    n_pairs = comb(cohort.n_sites, 2)
    if cohort.kind != "genotype" or not 0 < n_pairs * cohort.n_samples <= _MOST_WORK:
        return None
    return scan_for_picture(cohort, min(1.0, _MOST_ROWS / n_pairs))


@contextmanager
def _silent(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
