"""PLINK 1 binary files (.bed, .bim, .fam): copies of allele A1."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from genoattn.cohort import MISSING, Cohort
from genoattn.errors import InputError
from genoattn.io.alleles import Allele, build_sites, check_distinct, n_shared_ids, parse_region
from genoattn.io.sample_ids import name_samples
from genoattn.io.text import check_file, read_lines

_MAGIC = b"\x6c\x1b\x01"  # variant-major, the only order PLINK has written since 2009
_BLOCK_BYTES = 1 << 20
_X = frozenset({"X", "23", "chrX"})
# What two bits mean, 00 01 10 11: two copies of A1, missing, one, none (PLINK 1.9, "BED file format").
_COPIES = np.array([2, MISSING, 1, 0], dtype=np.int8)


def read_plink(
    path: Path, region: str | None = None, haploid: Literal["as-is", "double"] = "double"
) -> tuple[Cohort, str]:
    """Read the three files of a PLINK 1 data set.

    The effect allele (``alt``), whose copies are counted, is **A1**, column 5 of the .bim, which PLINK 1.9
    makes the minor allele and PLINK 2 the alternate one; ``ref`` is A2, column 6. The sample ID is the
    within-family ID (IID), or ``FID:IID`` where several families have that IID; parents, sex and phenotype of
    the .fam are not used. The files hold
    haploid calls (chrX of males) as homozygous, that is ``double``; ``as-is`` is refused where there are
    sites of chrX. Returns the cohort before any matching or filtering, and what was read in words.
    """
    samples, families, renamed = _samples(path.with_suffix(".fam"))
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
    chosen = [variants[i] for i in index]
    cure = "keep one of them, for example with: plink2 --set-all-var-ids '@:#:$r:$a' --rm-dup force-first"
    check_distinct(path.with_suffix(".bim"), chosen, cure)
    log = ["effect allele: A1 of the .bim", *renamed, *_about_x(path, chosen, haploid)]
    if n_shared := n_shared_ids(chosen):
        log.append(f"{n_shared} records share their ID with another record, named chrom:pos:ref:alt instead")
    calls = _calls(path, len(samples), index).T
    names = np.array(samples, dtype=object)
    cohort = Cohort(names, build_sites(chosen), calls, families=families, log=tuple(log))
    return cohort, f"{len(chosen)} records ({len(chosen)} sites)"


def _calls(path: Path, n_samples: int, variants: np.ndarray) -> np.ndarray:
    """Copies of A1 of the chosen variants: (n_chosen, n_samples), int8, -1 where missing."""
    # bed-reader takes as long to read (0.03 s for 2,000 x 5,000) and 0.15 s more to import.
    width = (n_samples + 3) // 4
    packed = np.memmap(path, dtype=np.uint8, mode="r", offset=len(_MAGIC)).reshape(-1, width)
    byte = np.arange(256)[:, None] >> np.array([0, 2, 4, 6]) & 3  # the first sample in the lowest bits
    four = _COPIES[byte].view(np.int32)[:, 0]  # the calls of four samples, as one number
    out = np.empty((len(variants), n_samples), dtype=np.int8)
    step = max(1, _BLOCK_BYTES // width)
    for start in range(0, len(variants), step):
        block = slice(start, start + step)
        out[block] = np.take(four, packed[variants[block]]).view(np.int8)[:, :n_samples]
    return out


def _about_x(path: Path, variants: list[Allele], haploid: str) -> list[str]:
    """Lines for the log on the sites of chrX."""
    n = sum(a.chrom in _X for a in variants)
    if n and haploid == "as-is":
        raise InputError(
            f"{path.with_suffix('.bim')}: {n} sites of chrX, whose haploid calls PLINK files hold as 0 or 2 "
            "copies; haploid as-is needs a VCF, or leave those sites out"
        )
    line = f"{n} sites of chrX: PLINK files hold haploid calls as 0 or 2 copies; give sex as a covariate"
    return [line] if n else []


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


def _samples(path: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Names, families (n_samples,), object, and how many are named by family and IID, in words."""
    families: list[str] = []
    iids: list[str] = []
    seen: set[tuple[str, str]] = set()
    for family, iid, *_ in _columns(path):
        if (family, iid) in seen:
            raise InputError(f"{path}: sample ID '{iid}' of family {family} occurs twice; make IIDs unique")
        seen.add((family, iid))
        families.append(family)
        iids.append(iid)
    names = name_samples(families, iids)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: '{twice}' is both an IID and FID:IID of another sample; make IIDs unique")
    n_renamed = sum(name != iid for name, iid in zip(names, iids, strict=True))
    line = f"{n_renamed} samples share their IID with another family, named FID:IID instead"
    return names, np.array(families, dtype=object), [line] if n_renamed else []


def _variants(path: Path) -> list[Allele]:
    alleles = []
    for number, (chrom, name, _, pos, a1, a2) in enumerate(_columns(path), start=1):
        if not pos.isdecimal():
            raise InputError(f"{path}, line {number}: position '{pos}' is not a number; correct it")
        alleles.append(Allele(number, name, chrom, int(pos), a2, a1, multiallelic=False, ploidy=2))
    return alleles


def _check_bed(path: Path, n_samples: int, n_variants: int) -> None:
    """Magic bytes, and the size that the .fam and .bim call for."""
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
