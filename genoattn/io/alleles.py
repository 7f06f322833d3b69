"""Names and states of sites that come from alternate alleles: shared by VCF and PLINK."""

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoattn.cohort import Sites
from genoattn.errors import InputError


class Allele(NamedTuple):
    """One alternate allele of one record."""

    record: int  # 1-based number of the record among those read
    record_id: str  # ``.`` where it has none
    chrom: str
    pos: int  # 1-based
    ref: str
    alt: str  # the allele whose copies are counted
    multiallelic: bool  # the record has other alternate alleles
    ploidy: int  # the largest seen at the record, at least 1

    @property
    def key(self) -> str:
        """``chrom:pos:ref:alt``."""
        return f"{self.chrom}:{self.pos}:{self.ref}:{self.alt}"


def copy_states(ref: str, alt: str, ploidy: int, multiallelic: bool) -> tuple[str, ...]:
    """Labels of 0 to ``ploidy`` copies of ``alt``, such as ``A/A``, ``A/C``, ``C/C``.

    At a multi-allelic record ``*`` stands for any other allele, unless the allele is itself ``*`` (a deletion
    that spans the site): then ``other`` does.
    """
    other = ref if not multiallelic else ("other" if alt == "*" else "*")
    return tuple("/".join([other] * (ploidy - c) + [alt] * c) for c in range(ploidy + 1))


def name_sites(alleles: list[Allele]) -> list[str]:
    """A unique name for each site, in order.

    The record's ID (``ID:ALT`` where multi-allelic) if it has one and no other record shares it, else
    ``chrom:pos:ref:alt``.
    """
    first_of_record = {a.record: a for a in alleles}
    n_records = Counter(a.record_id for a in first_of_record.values())
    keys = {a.key for a in alleles}

    def label(a: Allele) -> str:
        if a.record_id in (".", "") or n_records[a.record_id] > 1:
            return a.key
        return f"{a.record_id}:{a.alt}" if a.multiallelic else a.record_id

    labels = [label(a) for a in alleles]
    n_sites = Counter(labels)
    # An ID may look like the position of another site, or like another record's ID:ALT.
    return [
        name if n_sites[name] == 1 and (name == a.key or name not in keys) else a.key
        for name, a in zip(labels, alleles, strict=True)
    ]


def n_shared_ids(alleles: list[Allele]) -> int:
    """The number of records whose ID another record has too."""
    ids = Counter({a.record: a.record_id for a in alleles}.values())
    return sum(n for name, n in ids.items() if n > 1 and name not in (".", ""))


def check_distinct(path: Path, alleles: list[Allele], cure: str) -> None:
    """Raise InputError if two sites have the same chrom:pos:ref:alt."""
    seen: dict[str, int] = {}
    for a in alleles:
        if a.key in seen:
            where = (
                f"record {a.record} lists {a.key} twice"
                if seen[a.key] == a.record
                else f"records {seen[a.key]} and {a.record} are the same site {a.key}"
            )
            raise InputError(f"{path}: {where}; {cure}")
        seen[a.key] = a.record


def build_sites(alleles: list[Allele]) -> Sites:
    """The sites of alternate alleles, named and with their states."""
    # Few distinct (ref, alt, ploidy) exist, so that sites share their label tuples.
    label = lru_cache(copy_states)
    states = tuple(label(a.ref, a.alt, a.ploidy, a.multiallelic) for a in alleles)
    rows = [(a.chrom, a.pos, a.ref, a.alt) for a in alleles]
    chrom, pos, ref, alt = np.array(rows, dtype=object).reshape(-1, 4).T
    return Sites(np.array(name_sites(alleles), dtype=object), chrom, pos, ref, alt, states)


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
