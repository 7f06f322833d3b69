"""Blocks of sites to a cohort: filtered as they come, so that memory holds the kept calls and one block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io.alleles import Alleles, build_sites, n_shared_ids, repeated_sites
from genoattn.io.filters import SiteFilter, SiteTally, summarise_sites
from genoattn.io.source import GenotypeSource, SiteBlock

Duplicates = Literal["keep", "error"]
_GROWTH = 1.125


class _Collected:
    """Sites collected so far; their calls grow in place, as joining blocks would hold all of them twice."""

    def __init__(self, n_samples: int) -> None:
        self.n_samples = n_samples
        self.alleles = Alleles.none()
        self.labels: list[Sequence[str]] = []
        self.haploid: dict[int, np.ndarray] = {}
        self._calls = np.empty((0, n_samples), dtype=np.int8)

    def append(self, block: SiteBlock, index: np.ndarray) -> None:
        """Add the sites ``index`` of a block."""
        n = len(self.alleles)
        end = n + len(index)
        everything = len(index) == len(block.alleles)
        if not n:
            self._calls = self._calls.astype(block.copies.dtype)
        if end > len(self._calls):
            # What is not written yet is not in memory.
            self._calls.resize((max(end, int(_GROWTH * len(self._calls))), self.n_samples), refcheck=False)
        self._calls[n:end] = block.copies if everything else block.copies[index]
        self.alleles.extend(block.alleles if everything else block.alleles.take(index))
        if block.labels:
            self.labels += [block.labels[i] for i in index.tolist()]
        if block.haploid:
            number = {k: n + i for i, k in enumerate(index.tolist())}
            self.haploid |= {number[k]: single for k, single in block.haploid.items() if k in number}

    def calls(self) -> np.ndarray:
        """Shape (n_sites, n_samples)."""
        self._calls.resize((len(self.alleles), self.n_samples), refcheck=False)
        if self._calls.dtype == np.int8 or (self._calls != np.rint(self._calls)).any():
            return self._calls
        return self._calls.astype(np.int8)  # dosages of hard calls are hard calls

    def is_haploid(self) -> np.ndarray | None:
        """Shape (n_sites, n_samples), bool; None where no call is haploid among diploid ones."""
        if not self.haploid:
            return None
        out = np.zeros((len(self.alleles), self.n_samples), dtype=bool)
        for k, single in self.haploid.items():
            out[k] = single
        return out


def collect_cohort(
    source: GenotypeSource,
    kept: np.ndarray | None = None,
    limits: SiteFilter | None = None,
    duplicates: Duplicates = "keep",
    **fields: Any,
) -> Cohort:
    """The cohort of a file of genotypes, of the samples at indices ``kept``, and of sites within ``limits``.

    ``fields`` are those of the cohort that the file does not have; what it logs goes behind their log. Sites
    are alternate alleles in file order. A record that occurs again with the same calls is kept once, one
    with other calls under a name of its own; ``duplicates="error"`` refuses both.
    """
    every = np.arange(len(source.samples)) if kept is None else kept
    sites = _Collected(len(every))
    tally = SiteTally(limits, len(every))
    for block in source.blocks(kept):
        index = np.arange(len(block.alleles))
        if limits is not None and len(index):
            summary = summarise_sites(limits.kind, block.copies.T, 1 + np.array(block.alleles.ploidy))
            index = np.flatnonzero(tally.keep(summary))
        tally.n_sites += len(block.alleles)
        sites.append(block, index)
    if not source.n_records:
        where = "; it has only a header"
        if source.region:
            where = f" in region {source.region}; choose another region"
        raise InputError(f"{source.path}: no records{where}")
    read = f"{source.n_records} records ({tally.n_sites} sites)"
    line = tally.line(source.path, read) if limits is not None else f"read {read}, kept all (filters off)"
    return _assembled(source, sites, every, duplicates, line, tally, fields)


def _assembled(
    source: GenotypeSource,
    found: _Collected,
    samples: np.ndarray,
    duplicates: Duplicates,
    line: str,
    tally: SiteTally,
    fields: dict[str, Any],
) -> Cohort:
    """The cohort of collected sites, with repeated ones settled and all of them named."""
    calls, alleles, single = found.calls(), found.alleles, found.is_haploid()
    index, log = distinct_sites(source, calls, alleles, duplicates)
    step = tally.step(len(alleles) - len(index))
    if len(index) < len(alleles):
        calls, alleles = calls[index], alleles.take(index)
        single = None if single is None else single[index]
    if 0 in alleles.ploidy:  # a record without any call takes the ploidy of the others
        default = max(alleles.ploidy) or 2
        alleles = replace(alleles, ploidy=[n or default for n in alleles.ploidy])
    if n_shared := n_shared_ids(alleles):
        log.append(f"{n_shared} records share their ID with another record, named chrom:pos:ref:alt instead")
    features = dict(_features(source, [found.labels[i] for i in index])) if source.info else {}
    families = None if source.families is None else np.array(source.families, dtype=object)[samples]
    is_haploid = None if single is None else single.T
    fields["dosages"] = source.dosages
    fields["flow"] = (*fields.get("flow", ()), *source.flow(), step)
    fields["log"] = (*fields.get("log", ()), *source.log(), *log, line)
    names = np.array(source.samples, dtype=object)[samples]
    sites = build_sites(alleles, features)
    return Cohort(names, sites, calls.T, families=families, is_haploid=is_haploid, **fields)


def distinct_sites(
    source: GenotypeSource, calls: np.ndarray, alleles: Alleles, duplicates: Duplicates
) -> tuple[np.ndarray, list[str]]:
    """Indices of the sites to keep, and lines for the log on those that repeat another one.

    ``calls`` (n_sites, n): what is equal where two sites have equal calls.
    """
    index = np.arange(len(alleles))
    groups = repeated_sites(alleles)
    if not groups:
        return index, []
    if duplicates == "error":
        key = alleles.keys[groups[0][0]]
        first, again = (alleles.record[k] for k in groups[0][:2])
        where = f"records {first} and {again} are the same site {key}"
        if first == again:
            where = f"record {first} lists {key} twice"
        raise InputError(f"{source.path}: {where}; keep one of them, or leave duplicates at keep")
    log, equal = [], [k for group in groups for k in _repeats(calls, group)]
    if equal:
        log.append(f"{len(equal)} sites repeat an earlier one with the same calls: each is kept once")
    if n_other := sum(len(group) - 1 for group in groups) - len(equal):
        log.append(
            f"{n_other} sites repeat an earlier one with other calls: kept under names of their own, "
            "never tested as a pair"
        )
    return np.delete(index, equal), log


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
