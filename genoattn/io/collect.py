"""Blocks of sites to a cohort: filtered as they come, so that memory holds the kept calls and one block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from genoattn.cohort import Cohort, Sites, count_states
from genoattn.errors import InputError
from genoattn.io.alleles import Alleles, build_sites, n_shared_ids, repeated_sites
from genoattn.io.filters import SiteFilter, SiteTally
from genoattn.io.source import GenotypeSource

Duplicates = Literal["keep", "error"]
_GROWTH = 1.3


class _Calls:
    """Rows of calls, grown in place: a list of blocks would be in memory twice when it is joined."""

    def __init__(self, n_samples: int) -> None:
        self._rows = np.empty((0, n_samples), dtype=np.int8)
        self._n = 0

    def append(self, rows: np.ndarray) -> None:
        n = self._n + len(rows)
        if n > len(self._rows):
            # What is not written yet is not in memory.
            self._rows.resize((max(n, int(_GROWTH * len(self._rows))), rows.shape[1]), refcheck=False)
        self._rows[self._n : n] = rows
        self._n = n

    def finished(self) -> np.ndarray:
        """The rows, shape (n_rows, n_samples)."""
        self._rows.resize((self._n, self._rows.shape[1]), refcheck=False)
        return self._rows


def collect_cohort(
    source: GenotypeSource,
    kept: np.ndarray | None = None,
    limits: SiteFilter | None = None,
    duplicates: Duplicates = "keep",
) -> Cohort:
    """The cohort of a file of genotypes, of the samples at indices ``kept``, and of sites within ``limits``.

    Sites are alternate alleles in file order. A record that occurs again with the same calls is kept once,
    one with other calls under a name of its own; ``duplicates="error"`` refuses both.
    """
    samples = np.array(source.samples, dtype=object)
    samples = samples if kept is None else samples[kept]
    calls, alleles, labels = _Calls(len(samples)), Alleles.none(), list[Sequence[str]]()
    single = list[np.ndarray | None]()
    tally = SiteTally(limits, len(samples))
    for found, copies, rows, own_single in source.blocks(kept):
        index = np.arange(len(found))
        if limits is not None and len(found):
            n_states = 1 + np.array(found.ploidy)
            index = np.flatnonzero(tally.keep(count_states(copies.T, int(n_states.max())), n_states))
        tally.n_sites += len(found)
        calls.append(copies if len(index) == len(found) else copies[index])
        alleles.extend(found if len(index) == len(found) else found.take(index))
        labels += [rows[i] for i in index.tolist()] if source.info else []
        single += [own_single[i] if own_single else None for i in index.tolist()]
    if not source.n_records:
        where = "; it has only a header"
        if source.region:
            where = f" in region {source.region}; choose another region"
        raise InputError(f"{source.path}: no records{where}")
    read = f"{source.n_records} records ({tally.n_sites} sites)"
    line = tally.line(source.path, read) if limits is not None else f"read {read}, kept all (filters off)"
    cohort = _assembled(source, samples, calls.finished(), alleles, labels, single, duplicates)
    return replace(cohort, log=(*source.log(), *cohort.log, line))


def nameless_cohort(source: GenotypeSource) -> Cohort:
    """The samples of a file without any site, to be matched with their tables."""
    nothing = np.empty(0, dtype=object)
    sites = Sites(nothing, nothing, np.empty(0, dtype=np.int64), nothing, nothing, ())
    samples = np.array(source.samples, dtype=object)
    return Cohort(samples, sites, np.empty((len(samples), 0), dtype=np.int8))


def _assembled(
    source: GenotypeSource,
    samples: np.ndarray,
    calls: np.ndarray,
    alleles: Alleles,
    labels: list[Sequence[str]],
    single: list[np.ndarray | None],
    duplicates: Duplicates,
) -> Cohort:
    """The cohort of calls (n_alleles, n_samples), with repeated sites settled and all of them named."""
    log: list[str] = []
    index = np.arange(len(alleles))
    if groups := repeated_sites(alleles):
        if duplicates == "error":
            key = alleles.keys()[groups[0][0]]
            first, again = (alleles.record[k] for k in groups[0][:2])
            where = f"records {first} and {again} are the same site {key}"
            if first == again:
                where = f"record {first} lists {key} twice"
            raise InputError(f"{source.path}: {where}; keep one of them, or leave duplicates at keep")
        equal = [k for group in groups for k in _repeats(calls, group)]
        index = np.delete(index, equal)
        if equal:
            log.append(f"{len(equal)} sites repeat an earlier one with the same calls: each is kept once")
        if n_other := sum(len(group) - 1 for group in groups) - len(equal):
            log.append(
                f"{n_other} sites repeat an earlier one with other calls: kept under names of their own, "
                "never tested as a pair"
            )
    # A record without any call takes the ploidy of the others.
    default = max(alleles.ploidy, default=2) or 2
    chosen = alleles if len(index) == len(alleles) else alleles.take(index)
    chosen = replace(chosen, ploidy=[n or default for n in chosen.ploidy])
    if n_shared := n_shared_ids(chosen):
        log.append(f"{n_shared} records share their ID with another record, named chrom:pos:ref:alt instead")
    features = dict(_features(source, [labels[i] for i in index])) if source.info else {}
    sites = replace(build_sites(chosen), features=features)
    calls = calls if len(index) == len(alleles) else calls[index]
    is_haploid = _haploid_calls([single[i] for i in index.tolist()], len(samples))
    return Cohort(samples, sites, calls.T, log=tuple(log), is_haploid=is_haploid)


def _haploid_calls(single: list[np.ndarray | None], n_samples: int) -> np.ndarray | None:
    """Haploid calls among diploid ones of each site as one array, (n_samples, n_sites); None without any."""
    if all(row is None for row in single):
        return None
    out = np.zeros((len(single), n_samples), dtype=bool)
    for k, row in enumerate(single):
        if row is not None:
            out[k] = row
    return out.T


def _repeats(calls: np.ndarray, group: list[int]) -> list[int]:
    """Those of the rows ``group`` that are equal to one before them."""
    different: list[int] = []
    for k in group:
        if not any(np.array_equal(calls[k], calls[other]) for other in different):
            different.append(k)
    return [k for k in group if k not in different]


def _features(source: GenotypeSource, labels: list[Sequence[str]]) -> Iterator[tuple[str, np.ndarray]]:
    """Labels of each INFO entry asked for, by its key; an error for one that no record has."""
    for key, column in zip(source.info, zip(*labels, strict=True), strict=True):
        if not any(column):
            raise InputError(
                f"{source.path}: no record has the INFO entry {key}; list what there is: bcftools head"
            )
        yield key, np.array(column, dtype=object)
