"""For each site of a model the record of a new cohort that tells its alleles, by position or by ID."""

import logging
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

from genoattn.cohort import Sites
from genoattn.io.alleles import is_placed
from genoattn.tokens.record_alleles import RecordAlleles, same_chromosomes

MatchBy = Literal["position", "id"]
_log = logging.getLogger(__name__)
_WAYS = {  # how the calls of a site were found, in words for the log
    "swapped": "with reference and effect allele swapped, turned round",
    "unlisted": "where the file lists no such allele, counted by the alleles that it lists",
    "further": "with further alleles, which are no copies of the effect allele",
    "renamed": "of chromosomes whose names differ by the prefix chr",
    "moved": "at another position",
}


@dataclass(frozen=True, eq=False)
class SitePlaces:
    """What a cohort has at the places of a model's sites: one entry a site in each list."""

    match_by: MatchBy
    records: list[RecordAlleles | None]  # what tells the alleles of the site; None where nothing does
    others: list[list[RecordAlleles]]  # all that is at its place
    repeats: list[tuple[int, int]]  # its number, from 0, among so many equal sites of the model
    ways: Counter[str]  # how many sites matched in which way

    @classmethod
    def of(cls, own: Sites, sites: Sites, match_by: MatchBy) -> "SitePlaces":
        """The records of the cohort of ``own`` sites for the ``sites`` of a model."""
        keys = _keys(sites, sites.chrom, match_by)
        others = _records_at(keys, own, sites, match_by)
        known: defaultdict[Hashable, set[str]] = defaultdict(set)
        times: Counter[Hashable] = Counter()
        number = []
        for key, ref, alt in zip(keys, sites.ref, sites.alt, strict=True):
            known[key, ref] |= {ref, alt}
            number.append(times[key, ref, alt])
            times[key, ref, alt] += 1
        records: list[RecordAlleles | None] = []
        ways: Counter[str] = Counter()
        for k, (key, ref, alt) in enumerate(zip(keys, sites.ref, sites.alt, strict=True)):
            record = _record_of(others[k], ref, alt, known[key, ref])
            records.append(record)
            if record is not None:
                ways["swapped"] += record.ref == alt and record.has(ref, alt)
                ways["unlisted"] += not record.has(ref, alt)
                ways["further"] += bool(record.named - known[key, ref])
                ways["renamed"] += match_by == "position" and own.chrom[record.first] != sites.chrom[k]
                ways["moved"] += own.pos[record.first] != sites.pos[k]
        each = zip(number, keys, sites.ref, sites.alt, strict=True)
        repeats = [(n, times[key, ref, alt]) for n, key, ref, alt in each]
        return cls(match_by, records, others, repeats, ways)

    @property
    def n_found(self) -> int:
        """The number of sites that match."""
        return sum(record is not None for record in self.records)

    @property
    def unmatched(self) -> tuple[list[int], list[int]]:
        """Sites without a record, and those whose records have other alleles, by index."""
        left = [k for k, record in enumerate(self.records) if record is None]
        return [k for k in left if not self.others[k]], [k for k in left if self.others[k]]

    def report(self, n_sites: int, source: str) -> None:
        """Log how the sites matched."""
        by = "ID" if self.match_by == "id" else "position"
        told = [f"{self.ways[way]} {words}" for way, words in _WAYS.items() if self.ways[way]]
        _log.info("%s: %d sites of the model matched by %s", source, n_sites, "; ".join([by, *told]))


def _records_at(
    keys: list[Hashable], own: Sites, sites: Sites, match_by: MatchBy
) -> list[list[RecordAlleles]]:
    """The records of a cohort at each of a model's keys."""
    names = same_chromosomes(own.chrom, sites.chrom)
    index: dict[Hashable, list[int]] = {key: [] for key in keys}
    for k, key in enumerate(_keys(own, [names[c] for c in own.chrom], match_by)):
        if key is not None and key in index:
            index[key].append(k)
    records = {key: RecordAlleles.of(own, at) for key, at in index.items()}
    return [records[key] for key in keys]


def _record_of(records: list[RecordAlleles], ref: str, alt: str, known: set[str]) -> RecordAlleles | None:
    """The record that tells the copies of ``alt``: it lists both alleles, or ``known`` ones alone."""
    both = [record for record in records if record.has(ref, alt)]
    for first in (ref, alt):
        if found := next((record for record in both if record.ref == first), None):
            return found
    return next((record for record in records if record.is_within(ref, known)), None)


def _keys(sites: Sites, chrom: Iterable[str], match_by: MatchBy) -> list[Hashable]:
    """What says that two sites are of one place, for each site; None for one that has nothing.

    That is the ID, of sites without a position in any case.
    """
    rows = zip(sites.ids, sites.chrom, chrom, sites.pos.tolist(), sites.ref, sites.alt, strict=True)
    return [
        (place, pos)
        if match_by == "position" and is_placed(own, pos)
        else _record_id(name, f"{own}:{pos}:{ref}:{alt}", alt)
        for name, own, place, pos, ref, alt in rows
    ]


def _record_id(name: str, key: str, alt: str) -> str | None:
    """The ID of a site's record; None where it is named by its position, which changes with the build."""
    if name == key or name.startswith(f"{key}#"):
        return None
    return name.removesuffix(f":{alt}")  # of several alternate alleles each has its own added
