"""Slow definition of what genoattn reads from genotypes: loops over records, alleles and samples."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class Row(NamedTuple):
    """A record: ``genotypes`` are strings such as ``0|1``, one a sample."""

    chrom: str
    pos: int
    name: str  # ``.`` for none
    ref: str
    alts: tuple[str, ...]  # empty for none
    genotypes: tuple[str, ...]


class Site(NamedTuple):
    """An alternate allele of a record, with its states and the calls of all samples."""

    row: int
    key: str
    alt: str
    ploidy: int
    calls: list[int]


def alleles_of(genotype):
    """Allele indices of a genotype, None for a missing one."""
    return [None if a == "." else int(a) for a in genotype.replace("|", "/").split("/")]


def sites_of(rows, double=True):
    """The sites of records that can be used."""
    sites = []
    for k, row in enumerate(rows):
        calls = [alleles_of(g) for g in row.genotypes]
        complete = [c for c in calls if None not in c]
        ploidies = {len(c) for c in complete}
        beyond = any(a is not None and a > len(row.alts) for c in calls for a in c)
        ploidy = max(ploidies, default=0)
        if beyond or (ploidy > 2 and len(ploidies) > 1):
            continue
        for number, alt in enumerate(row.alts or (".",), start=1):
            copies = []
            for c in calls:
                times = ploidy // len(c) if double and None not in c else 1
                copies.append(-1 if None in c else times * c.count(number))
            sites.append(Site(k, f"{row.chrom}:{row.pos}:{row.ref}:{alt}", alt, ploidy, copies))
    return sites


def distinct(sites, rows):
    """The sites without those that repeat an earlier one with the same calls."""
    kept, seen = [], set()
    for site in sites:
        row = rows[site.row]
        placed = row.pos > 0 and row.chrom != "0"
        own = site.key if placed else (row.name, row.ref, site.alt)
        if (own, tuple(site.calls)) not in seen:
            kept.append(site)
        seen.add((own, tuple(site.calls)))
    return kept


def passes(site, maf, max_missing):
    """Whether a site shows two states, is called in enough samples and is not too rare."""
    called = [c for c in site.calls if c >= 0]
    if len(set(called)) < 2 or 1 - len(called) / len(site.calls) > max_missing:
        return False
    frequency = sum(called) / len(called) / site.ploidy
    return min(frequency, 1 - frequency) >= maf


def names(sites, rows):
    """The ID where one record alone has it (``ID:ALT`` with several alternates), else the position."""
    n_records = Counter(name for _, name in {(site.row, rows[site.row].name) for site in sites})
    seen, out = Counter(), []
    for site in sites:
        row = rows[site.row]
        name = site.key
        if row.name != "." and n_records[row.name] == 1:
            name = f"{row.name}:{site.alt}" if len(row.alts) > 1 else row.name
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return out


def states(site, row):
    """Labels of 0 to all copies."""
    other = row.ref if len(row.alts) < 2 else ("other" if site.alt == "*" else "*")
    return tuple("/".join([other] * (site.ploidy - c) + [site.alt] * c) for c in range(site.ploidy + 1))


def expected(rows, kept=None, limits=None, double=True):
    """``(id, chrom, pos, ref, alt, states, calls)`` of each site of the samples at ``kept``, None for all.

    ``limits`` are the smallest minor allele frequency and the largest missingness; None for no filter.
    """
    if kept is not None:
        rows = [row._replace(genotypes=tuple(row.genotypes[i] for i in kept)) for row in rows]
    sites = sites_of(rows, double)
    if limits is not None:
        sites = [site for site in sites if passes(site, *limits)]
    sites = distinct(sites, rows)
    default = max((site.ploidy for site in sites), default=2) or 2
    sites = [site._replace(ploidy=site.ploidy or default) for site in sites]
    described = []
    for name, site in zip(names(sites, rows), sites, strict=True):
        row = rows[site.row]
        what = row.chrom, row.pos, row.ref, site.alt
        described.append((name, *what, states(site, row), site.calls))
    return described
