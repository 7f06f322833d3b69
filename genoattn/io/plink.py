"""PLINK 1 binary files (.bed, .bim, .fam): copies of allele A1, read by bed-reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genoattn.cohort import MISSING, Cohort
from genoattn.errors import InputError
from genoattn.io.alleles import Allele, build_sites, check_distinct, n_shared_ids, parse_region
from genoattn.io.text import check_file, read_lines

_MAGIC = b"\x6c\x1b\x01"  # variant-major, the only order PLINK has written since 2009
_BED_MISSING = -127


def read_plink(path: Path, region: str | None = None) -> tuple[Cohort, str]:
    """Read the three files of a PLINK 1 data set.

    The effect allele (``alt``), whose copies are counted, is **A1**, column 5 of the .bim, which PLINK 1.9
    makes the minor allele and PLINK 2 the alternate one; ``ref`` is A2, column 6. The sample ID is the
    within-family ID (IID); family, parents, sex and phenotype of the .fam are not used.

    Parameters
    ----------
    path
        The .bed file; the .bim and .fam lie beside it.
    region
        ``chr:from-to``, 1-based, both ends inside.

    Returns
    -------
    The cohort before any matching or filtering, and what was read in words.
    """
    from bed_reader import open_bed

    samples = _samples(path.with_suffix(".fam"))
    variants = _variants(path.with_suffix(".bim"))
    _check_bed(path, len(samples), len(variants))
    index = np.arange(len(variants))
    if region is not None:
        contigs = list(dict.fromkeys(a.chrom for a in variants))
        span = parse_region(region, contigs, path)
        end = float("inf") if span.end is None else span.end
        inside = [a.chrom == span.contig and span.start <= a.pos <= end for a in variants]
        index = index[np.array(inside)]
        if not len(index):
            raise InputError(f"{path}: no records in region {region}; choose another region")
    with open_bed(path, iid_count=len(samples), sid_count=len(variants), count_A1=True) as bed:
        calls = bed.read(index=np.s_[:, index], dtype="int8", order="C")
    calls[calls == _BED_MISSING] = MISSING
    chosen = [variants[i] for i in index]
    cure = "keep one of them, for example with: plink2 --set-all-var-ids '@:#:$r:$a' --rm-dup force-first"
    check_distinct(path.with_suffix(".bim"), chosen, cure)
    log = ["effect allele: A1 of the .bim"]
    if n_shared := n_shared_ids(chosen):
        log.append(f"{n_shared} records share their ID with another record, named chrom:pos:ref:alt instead")
    cohort = Cohort(np.array(samples, dtype=object), build_sites(chosen), calls, log=tuple(log))
    return cohort, f"{len(chosen)} records ({len(chosen)} sites)"


def _columns(path: Path) -> list[list[str]]:
    """The six columns of a .fam or .bim."""
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 6:
            raise InputError(
                f"{path}, line {number}: {len(fields)} columns, 6 are needed; make it again with plink2"
            )
        rows.append(fields)
    return rows


def _samples(path: Path) -> list[str]:
    seen: dict[str, str] = {}
    for family, sample, *_ in _columns(path):
        if sample in seen:
            raise InputError(
                f"{path}: sample ID '{sample}' occurs twice (families {seen[sample]} and {family}); "
                "make IIDs unique"
            )
        seen[sample] = family
    return list(seen)


def _variants(path: Path) -> list[Allele]:
    alleles = []
    for number, (chrom, name, _, pos, a1, a2) in enumerate(_columns(path), start=1):
        if not pos.isdecimal():
            raise InputError(f"{path}, line {number}: position '{pos}' is not a number; correct it")
        alleles.append(Allele(number, name, chrom, int(pos), a2, a1, multiallelic=False, ploidy=2))
    return alleles


def _check_bed(path: Path, n_samples: int, n_variants: int) -> None:
    """Magic bytes and size; bed-reader does not compare the size with the .fam and .bim."""
    check_file(path)
    with path.open("rb") as file:
        if file.read(3) != _MAGIC:
            raise InputError(f"{path}: not a PLINK 1 .bed file; make one with: plink2 --make-bed")
    expected = 3 + n_variants * ((n_samples + 3) // 4)
    size = path.stat().st_size
    if size != expected:
        raise InputError(
            f"{path}: {size} bytes, but {n_samples} samples and {n_variants} variants need {expected}; "
            "the file is cut short or its .bim or .fam belongs to another one"
        )
