"""Names and states of sites that come from alternate alleles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoattn.cohort import Sites, copy_states
from genoattn.errors import InputError

_NO_ID = (".", "")


@dataclass(frozen=True)
class Alleles:
    """Alternate alleles of records, by column: rows as objects would keep the garbage collector busy."""

    record: list[int]  # 1-based number of the record among those read
    record_id: list[str]  # ``.`` where it has none
    chrom: list[str]
    pos: list[int]  # 1-based
    ref: list[str]
    alt: list[str]  # the allele whose copies are counted
    multiallelic: list[bool]  # whether the record has other alternate alleles
    ploidy: list[int]  # the largest seen at the record; 0 where nothing is called

    @classmethod
    def none(cls) -> Alleles:
        return cls(*([] for _ in range(8)))

    def __len__(self) -> int:
        return len(self.record)

    @cached_property
    def has_own_ids(self) -> bool:
        """Whether all are of biallelic records with an ID that no other has, once all are there."""
        different = set(self.record_id)
        return len(different) == len(self) and different.isdisjoint(_NO_ID) and not any(self.multiallelic)

    @cached_property
    def n_records(self) -> Counter[str]:
        """The number of records with each ID, once all are there."""
        return Counter(dict(zip(self.record, self.record_id, strict=True)).values())

    def _columns(self) -> list[list]:
        return [getattr(self, field.name) for field in fields(self)]

    def extend(self, others: Alleles) -> None:
        """Add alleles behind those there are."""
        for own, more in zip(self._columns(), others._columns(), strict=True):
            own.extend(more)

    def take(self, index: Iterable[int]) -> Alleles:
        """The alleles at ``index``, in that order."""
        index = list(index)
        return Alleles(*([column[i] for i in index] for column in self._columns()))

    @cached_property
    def keys(self) -> list[str]:
        """``chrom:pos:ref:alt`` of each, once all are there."""
        columns = zip(self.chrom, self.pos, self.ref, self.alt, strict=True)
        return [f"{chrom}:{pos}:{ref}:{alt}" for chrom, pos, ref, alt in columns]


def is_placed(chrom: str, pos: int) -> bool:
    """Whether a chromosome and position are known: PLINK and arrays write 0 where they are not."""
    return pos > 0 and chrom not in ("0", ".", "")


def name_sites(alleles: Alleles) -> list[str]:
    """A unique name for each site, in order.

    The record's ID (``ID:ALT`` where multi-allelic) if it has one and no other record shares it, else
    ``chrom:pos:ref:alt``.
    """
    # IDs that cannot be taken for a position, of one allele each, need no comparison with one.
    if alleles.has_own_ids and ":" not in "".join(alleles.record_id):
        return list(alleles.record_id)
    n_records, keys = alleles.n_records, alleles.keys
    columns = zip(alleles.record_id, alleles.alt, alleles.multiallelic, keys, strict=True)
    labels = [
        key if name in _NO_ID or n_records[name] > 1 else f"{name}:{alt}" if several else name
        for name, alt, several, key in columns
    ]
    n_sites, places = Counter(labels), set(keys)
    # An ID may look like the position of another site, or like another record's ID:ALT.
    names = [
        name if n_sites[name] == 1 and (name == key or name not in places) else key
        for name, key in zip(labels, keys, strict=True)
    ]
    if len(set(names)) < len(names):  # records that are in the file again
        seen: Counter[str] = Counter()
        for k, name in enumerate(names):
            seen[name] += 1
            names[k] = name if seen[name] == 1 else f"{name}#{seen[name]}"
    return names


def record_name(name: str, alt: str) -> str:
    """ID of the record of a site, given the site's name, where that is made of the ID."""
    return re.sub(r"#\d+$", "", name).removesuffix(f":{alt}")


def n_shared_ids(alleles: Alleles) -> int:
    """The number of records whose ID another record has too."""
    if alleles.has_own_ids:
        return 0
    return sum(n for name, n in alleles.n_records.items() if n > 1 and name not in _NO_ID)


def repeated_sites(alleles: Alleles) -> list[list[int]]:
    """Indices of alleles that are the same site, a list for each site that occurs more than once.

    A site is told by chromosome, position and alleles, or where it has no position by ID and alleles.
    """
    if _ascending(alleles):
        return []
    keys = list(alleles.keys)
    placed = {chrom: is_placed(chrom, 1) for chrom in set(alleles.chrom)}
    for k, (chrom, pos) in enumerate(zip(alleles.chrom, alleles.pos, strict=True)):
        if pos > 0 and placed[chrom]:
            continue
        keys[k] = f"{alleles.record_id[k]} {alleles.ref[k]}:{alleles.alt[k]}"
    if len(set(keys)) == len(keys):
        return []
    groups: dict[str, list[int]] = {}
    for k, key in enumerate(keys):
        groups.setdefault(key, []).append(k)
    return [group for group in groups.values() if len(group) > 1]


def _ascending(alleles: Alleles) -> bool:
    """Whether positions are known and rise within each chromosome, so that none is there twice."""
    if not len(alleles):
        return True
    pos, chrom = np.array(alleles.pos), np.array(alleles.chrom, dtype=object)
    another = chrom[1:] != chrom[:-1]
    sorted_in_runs = bool(((pos[1:] > pos[:-1]) | another).all()) and int(another.sum()) + 1 == len(
        set(chrom)
    )
    return sorted_in_runs and all(is_placed(name, 1) for name in set(chrom)) and bool((pos > 0).all())


def build_sites(alleles: Alleles, features: Mapping[str, np.ndarray]) -> Sites:
    """The sites of alternate alleles, named and with their states and features."""
    # Few distinct (ref, alt, ploidy) exist, so that sites share their label tuples.
    states = tuple(
        map(lru_cache(copy_states), alleles.ref, alleles.alt, alleles.ploidy, alleles.multiallelic)
    )
    names = np.array(name_sites(alleles), dtype=object)
    chrom, ref, alt = (np.array(texts, dtype=object) for texts in (alleles.chrom, alleles.ref, alleles.alt))
    return Sites(names, chrom, np.array(alleles.pos, dtype=np.int64), ref, alt, states, features)


class Region(NamedTuple):
    """A stretch of one contig, 1-based, both ends inside; ``end`` is None for that of the contig."""

    contig: str
    start: int = 1
    end: int | None = None


def parse_region(text: str, contigs: list[str], path: Path) -> Region:
    """``chr``, ``chr:from-to``, ``chr:from-`` or ``chr:pos`` on a contig of the file."""
    if text in contigs:
        return Region(text)
    contig, _, span = text.rpartition(":")
    if contig not in contigs:
        name = contig or text
        there = ", ".join(contigs[:5]) + (", ..." if len(contigs) > 5 else "")
        raise InputError(f"{path}: no contig '{name}' for region {text}; the file has {there or 'none'}")
    first, dash, last = span.replace(",", "").partition("-")
    if not first.isdecimal() or (last and not last.isdecimal()):
        raise InputError(f"region {text} is not chr:from-to; write for example {contig}:1000-2000")
    start, end = int(first), int(last) if last else (None if dash else int(first))
    if start < 1 or (end is not None and end < start):
        raise InputError(f"region {text} is empty; positions start at 1 and must not decrease")
    return Region(contig, start, end)


def in_region(region: str | None, chrom: Sequence[str], pos: Sequence[int], path: Path) -> np.ndarray:
    """Indices of the records inside a region, ascending; all of them for None."""
    if region is None:
        return np.arange(len(pos))
    span = parse_region(region, list(dict.fromkeys(chrom)), path)
    end = float("inf") if span.end is None else span.end
    places = zip(chrom, pos, strict=True)
    found = np.flatnonzero([c == span.contig and span.start <= p <= end for c, p in places])
    if not len(found):
        raise InputError(f"{path}: no records in region {region}; choose another region")
    return found
