"""Genotypes of any format, counted block by block: no calls are kept."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from itertools import pairwise
from typing import get_args

import numpy as np

from genoattn.describe.call_layout import describe_layout
from genoattn.describe.file_kinds import SUFFIXES, FileKind
from genoattn.describe.summaries import (
    CallLayout,
    ChromosomeSummary,
    FrequencyClass,
    GenotypeSummary,
    KeptSummary,
    SampleSummary,
)
from genoattn.io.alleles import Alleles, is_placed, n_shared_ids, repeated_sites
from genoattn.io.collect import distinct_sites
from genoattn.io.dosages import DosageField
from genoattn.io.filters import SiteFilter, SiteTally, summarise_sites
from genoattn.io.formats import FormatOptions, open_as
from genoattn.io.matching import SampleTables, match_samples
from genoattn.io.source import GenotypeSource, SiteBlock
from genoattn.io.tables import known_family
from genoattn.io.vcf_zarr import VcfZarr

MOST_CALLS = 200_000_000  # looked at, unless all are asked for: some seconds
OFTEN_MISSING = 0.1
_EDGES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5)
_NO_ALTERNATE = (".", "0", "")


def describe_genotypes(
    found: FileKind, tables: SampleTables, limits: SiteFilter, options: FormatOptions, complete: bool
) -> tuple[SampleSummary, GenotypeSummary, KeptSummary, list[str]]:
    """Samples and records of a file, what is kept of them, and what was found while reading.

    The calls are those of the samples with everything in the tables, what :func:`genoattn.read` reads.
    """
    source = open_as(SUFFIXES[found.format][0], found.path, options)
    match = match_samples(source.samples, source.families, tables)
    kept = None if match.keep.all() else np.flatnonzero(match.keep)
    tally = _CallTally(int(match.keep.sum()), limits)
    most = np.inf if complete else MOST_CALLS
    blocks = source.blocks(kept)
    stopped = False
    for block in blocks:
        if stopped := len(tally.alleles) * len(source.samples) >= most:
            break
        tally.add(block)
    layout = describe_layout(found, len(source.samples))
    genotypes = _summary(source, tally, np.flatnonzero(match.keep), layout, not stopped)
    sites = tally.sites
    kept_summary = KeptSummary(
        n_samples_in_file=len(source.samples),
        n_samples=tally.n_samples,
        samples=match.log,
        maf=limits.maf,
        max_missing=limits.max_missing,
        n_sites_in_file=len(tally.alleles),
        n_sites=sites.n_kept - (n_repeated := tally.n_repeated(source)),
        n_monomorphic=sites.n_monomorphic,
        n_over_missing=sites.n_missing,
        n_rare=sites.n_rare,
        n_repeated=n_repeated,
    )
    lines = source.log()
    fields = [key for key in layout.format_keys if key in get_args(DosageField)[1:]]
    if fields and not isinstance(source, VcfZarr) and options.dosage_field is None:
        lines.append(f"imputed dosages in {', '.join(fields)}: --dosage-field {fields[0]} reads them")
    return _samples(source), genotypes, kept_summary, lines


class _CallTally:
    """What was counted so far, and the fixed columns of the sites."""

    def __init__(self, n_samples: int, limits: SiteFilter) -> None:
        self.n_samples = n_samples
        self.kind = limits.kind
        self.sites = SiteTally(limits, n_samples)
        self.alleles = Alleles.none()
        self.dosages = False  # whether calls are expected copies
        self.n_missing = np.zeros(n_samples, dtype=np.int64)  # calls, by sample
        self._frequency: list[np.ndarray] = []
        self._passing: list[np.ndarray] = []
        self._digests: list[bytes] = []  # of the calls of each site: equal where these are

    def add(self, block: SiteBlock) -> None:
        """Count the sites of a block."""
        if not len(block.alleles):
            return
        self.dosages |= block.copies.dtype != np.int8
        n_states = 1 + np.array(block.alleles.ploidy)
        sites = summarise_sites(self.kind, block.copies.T, n_states)
        self._passing.append(self.sites.keep(sites))
        self._frequency.append(np.where(sites.n_called > 0, sites.minor_frequency, np.nan))
        lacking = block.copies[sites.n_called < self.n_samples]
        self.n_missing += np.count_nonzero(lacking < 0, axis=0)
        self._digests += [blake2b(row.tobytes(), digest_size=8).digest() for row in block.copies]
        self.alleles.extend(block.alleles)

    def frequency(self) -> np.ndarray:
        """Minor allele frequency of each site, NaN where nothing is called."""
        return np.concatenate([np.empty(0), *self._frequency])

    def n_repeated(self, source: GenotypeSource) -> int:
        """Sites within the limits that are left out, as their calls are those of an earlier one."""
        passing = np.flatnonzero(np.concatenate([np.empty(0, dtype=bool), *self._passing]))
        calls = np.array([self._digests[k] for k in passing.tolist()], dtype="S8")[:, None]
        index, _ = distinct_sites(source, calls, self.alleles.take(passing.tolist()), "keep")
        return len(passing) - len(index)


def _samples(source: GenotypeSource) -> SampleSummary:
    families = None
    if source.families is not None:
        families = len({known_family(name) for name in source.families} - {""})
    return SampleSummary(len(source.samples), tuple(map(str, source.samples[:3])), families)


def _summary(
    source: GenotypeSource, tally: _CallTally, kept: np.ndarray, layout: CallLayout, complete: bool
) -> GenotypeSummary:
    alleles = tally.alleles
    # The first allele of each record.
    first = np.flatnonzero(np.diff(np.array(alleles.record, dtype=np.int64), prepend=-1)).tolist()
    kinds, unplaced = _record_kinds(alleles), 0
    places: dict[str, list[int]] = {}
    for k in first:
        if is_placed(alleles.chrom[k], alleles.pos[k]):
            places.setdefault(alleles.chrom[k], []).append(alleles.pos[k])
        else:
            unplaced += 1
    n_calls = len(alleles) * tally.n_samples
    n_missing = int(tally.n_missing.sum())
    of_sample = tally.n_missing / max(len(alleles), 1)
    worst = int(of_sample.argmax())
    frequency = tally.frequency()
    return GenotypeSummary(
        complete=complete,
        n_records=source.n_records if complete else len(first),
        n_sites=len(alleles),
        n_samples=tally.n_samples,
        n_biallelic=kinds["biallelic"],
        n_multiallelic=kinds["multiallelic"],
        n_symbolic=kinds["symbolic"],
        n_without_alternate=kinds["without alternate"],
        n_unplaced=unplaced,
        n_repeated=sum(len(group) - 1 for group in repeated_sites(alleles)),
        n_shared_ids=n_shared_ids(alleles),
        chromosomes=tuple(
            ChromosomeSummary(name, len(pos), min(pos), max(pos)) for name, pos in places.items()
        ),
        ploidy={str(n): count for n, count in sorted(Counter(alleles.ploidy).items())},
        dosages=tally.dosages,
        layout=layout,
        n_missing=n_missing,
        missing_fraction=n_missing / max(n_calls, 1),
        n_samples_over=int((of_sample > OFTEN_MISSING).sum()),
        worst_sample=None if not n_missing else str(source.samples[kept[worst]]),
        worst_fraction=float(of_sample[worst]),
        frequencies=_classes(frequency),
        n_uncalled=int(np.isnan(frequency).sum()),
    )


def _record_kinds(alleles: Alleles) -> Counter[str]:
    """Number of records of each kind."""
    kinds: dict[int, str] = {}
    for record, alt, several in zip(alleles.record, alleles.alt, alleles.multiallelic, strict=True):
        if alt.startswith("<") or "[" in alt or "]" in alt:
            kinds[record] = "symbolic"
        elif record not in kinds:
            none = alt in _NO_ALTERNATE
            kinds[record] = "without alternate" if none else "multiallelic" if several else "biallelic"
    return Counter(kinds.values())


def _classes(frequency: np.ndarray) -> tuple[FrequencyClass, ...]:
    """Sites of each class of minor allele frequency, the first being frequency 0."""
    called = frequency[~np.isnan(frequency)]
    counts = [int((called == 0).sum())]
    for low, high in pairwise(_EDGES):
        inside = (called >= low) & (called > 0) & ((called < high) | (high == _EDGES[-1]))
        counts.append(int(inside.sum()))
    return tuple(map(FrequencyClass, (0.0, *_EDGES[:-1]), _EDGES, counts))
