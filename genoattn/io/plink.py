"""PLINK 1 binary files (.bed, .bim, .fam): copies of allele A1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from genoattn.cohort import MISSING
from genoattn.errors import InputError
from genoattn.io.alleles import Alleles, in_region
from genoattn.io.sample_ids import named_samples
from genoattn.io.source import GenotypeSource, SiteBlock
from genoattn.io.text import check_file, first_bytes, read_lines

_MAGIC = b"\x6c\x1b\x01"  # variant-major, the only order PLINK has written since 2009
BLOCK_BYTES = 1 << 21
_X = frozenset({"X", "23", "chrX"})
_HAPLOID = frozenset({"Y", "24", "chrY", "MT", "M", "26", "chrM", "chrMT"})
# What two bits mean, 00 01 10 11: two copies of A1, missing, one, none (PLINK 1.9, "BED file format").
_COPIES = np.array([2, MISSING, 1, 0], dtype=np.int8)


class Plink(GenotypeSource):
    """The three files of a PLINK 1 data set.

    The effect allele (``alt``), whose copies are counted, is **A1**, column 5 of the .bim, which PLINK 1.9
    makes the minor allele and PLINK 2 the alternate one; ``ref`` is A2, column 6. Parents, sex and phenotype
    of the .fam are not used. The files hold haploid calls (chrX of males) as homozygous, that is ``double``;
    ``as-is`` is refused where there are sites of chrX.
    """

    def __init__(self, path: Path, region: str | None = None, haploid: str = "double") -> None:
        fam = path.with_suffix(".fam")
        rows = _columns(fam)
        families, samples, notes = named_samples(fam, [row[0] for row in rows], [row[1] for row in rows])
        super().__init__(path, samples, families=families, region=region)
        self._variants = _variants(path.with_suffix(".bim"))
        _check_bed(path, len(self.samples), len(self._variants))
        self._chosen = in_region(region, self._variants.chrom, self._variants.pos, path)
        chrom = [self._variants.chrom[i] for i in self._chosen]
        self.notes += [
            *notes,
            "effect allele: A1 of the .bim",
            *about_x(path.with_suffix(".bim"), chrom, haploid),
        ]

    def blocks(self, kept: np.ndarray | None = None) -> Iterator[SiteBlock]:
        """The sites in file order, with the calls of the samples at ``kept``, None for all."""
        # bed-reader takes as long to read, and 0.15 s more to import.
        n = len(self.samples)
        width = (n + 3) // 4
        packed = np.memmap(self.path, dtype=np.uint8, mode="r", offset=len(_MAGIC)).reshape(-1, width)
        byte = np.arange(256)[:, None] >> np.array([0, 2, 4, 6]) & 3  # the first sample in the lowest bits
        four = _COPIES[byte].view(np.int32)[:, 0]  # the calls of four samples, as one number
        self.n_records = len(self._chosen)
        step = max(1, BLOCK_BYTES // n)
        for start in range(0, len(self._chosen), step):
            index = self._chosen[start : start + step]
            copies = np.take(four, packed[index]).view(np.int8)[:, :n]
            yield SiteBlock(self._variants.take(index), copies if kept is None else copies[:, kept])


def about_x(path: Path, chrom: Sequence[str], haploid: str) -> list[str]:
    """Lines for the log on the sites of chromosomes with haploid calls."""
    n = sum(name in _X for name in chrom)
    if n and haploid == "as-is":
        raise InputError(
            f"{path}: {n} sites of chrX, whose haploid calls PLINK files hold as 0 or 2 "
            "copies; haploid as-is needs a VCF, or leave those sites out"
        )
    lines = []
    if n:
        lines.append(
            f"{n} sites of chrX: PLINK files hold haploid calls as 0 or 2 copies; give sex as a covariate"
        )
    if n_haploid := sum(name in _HAPLOID for name in chrom):
        lines.append(
            f"{n_haploid} sites of chrY or mitochondria: PLINK files hold haploid calls as 0 or 2 copies, a "
            "VCF as 0 or 1: effects a copy are half of a VCF's"
        )
    return lines


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


def _variants(path: Path) -> Alleles:
    rows = _columns(path)
    for number, row in enumerate(rows, start=1):
        if not (row[3].isdecimal() and len(row[3]) < 20 and int(row[3]) < 2**62):
            raise InputError(f"{path}, line {number}: position '{row[3]}' is not a position; correct it")
    chrom, name, _, pos, a1, a2 = map(list, zip(*rows, strict=True)) if rows else ([] for _ in range(6))
    n = len(rows)
    return Alleles(list(range(1, n + 1)), name, chrom, [int(p) for p in pos], a2, a1, [False] * n, [2] * n)


def _check_bed(path: Path, n_samples: int, n_variants: int) -> None:
    """Magic bytes, and the size that the .fam and .bim call for."""
    check_file(path)
    magic = first_bytes(path, 3)
    if magic == _MAGIC[:2] + b"\0":
        raise InputError(
            f"{path}: a sample-major .bed file, sample after sample; make it again with: plink --make-bed"
        )
    if magic != _MAGIC:
        raise InputError(f"{path}: not a PLINK 1 .bed file; make one with: plink2 --make-bed")
    expected = 3 + n_variants * ((n_samples + 3) // 4)
    size = path.stat().st_size
    if size != expected:
        raise InputError(
            f"{path}: {size} bytes, but {n_samples} samples and {n_variants} variants need {expected}; "
            "the file is cut short or its .bim or .fam belongs to another one"
        )
