"""Small VCF and BCF files for tests, written from rows of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pysam
import pysam.bcftools

from genoattn.cohort import Cohort
from genoattn.io.collect import collect_cohort
from genoattn.io.formats import FormatOptions, open_genotypes

HEADER = (
    "##fileformat=VCFv4.3\n"
    "##contig=<ID=1,length=1000000>\n"
    "##contig=<ID=2,length=1000000>\n"
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
)
_COLUMNS = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]


def record(
    genotypes: Sequence[str],
    *,
    chrom: str = "1",
    pos: int = 100,
    name: str = ".",
    ref: str = "A",
    alt: str = "C",
    form: str = "GT",
) -> str:
    """One line of a VCF; ``genotypes`` are the sample columns."""
    return "\t".join([chrom, str(pos), name, ref, alt, ".", "PASS", ".", form, *genotypes])


def vcf_text(samples: Sequence[str], records: Sequence[str]) -> str:
    """A complete VCF."""
    return HEADER + "\t".join([*_COLUMNS, *samples]) + "\n" + "".join(f"{line}\n" for line in records)


def write_vcf(path: Path, samples: Sequence[str], records: Sequence[str]) -> Path:
    """Write a plain ``.vcf``, a bgzipped and indexed ``.vcf.gz``, or an indexed ``.bcf``, by the suffix."""
    plain = path if path.suffix == ".vcf" else path.with_name(path.name.split(".")[0] + "_plain.vcf")
    plain.write_text(vcf_text(samples, records))
    if path.name.endswith(".gz"):
        pysam.tabix_compress(str(plain), str(path), force=True)
        pysam.tabix_index(str(path), preset="vcf", force=True)
    elif path.suffix == ".bcf":
        with (
            pysam.VariantFile(str(plain)) as source,
            pysam.VariantFile(str(path), "wb", header=source.header) as target,
        ):
            for line in source:
                target.write(line)
        pysam.bcftools.index("-f", str(path))
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a text file and return its path."""
    path.write_text(text)
    return path


def read_genotypes(path: Path, region: str | None = None, **options: Any) -> tuple[Cohort, str]:
    """The cohort of a file of genotypes alone, without filters, and what was read in words."""
    cohort = collect_cohort(open_genotypes(path, FormatOptions(region=region, **options)))
    *log, last = cohort.log
    return replace(cohort, log=tuple(log)), last.removeprefix("read ").partition(", kept all")[0]
