"""Choice of the reader of a file."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io.alignment_files import AlignmentFormat, read_alignment
from genoattn.io.alphabets import Alphabet
from genoattn.io.plink import read_plink
from genoattn.io.text import read_lines
from genoattn.io.vcf import read_vcf

_VCF = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_A2M = (".a2m", ".a3m")
_FASTA = (".fasta", ".fa", ".fas", ".faa", ".fna", ".ffn", ".afa")
_ALIGNED = (*_FASTA, *_A2M, ".aln", ".clustal", ".clw", ".sto", ".stk", ".stockholm")
ALIGNMENT_SUFFIXES = tuple(stem + gz for stem in _ALIGNED for gz in ("", ".gz"))
_TABLE = tuple(stem + gz for stem in (".tsv", ".csv") for gz in ("", ".gz"))
_SUPPORTED = f"{', '.join((*_VCF, *_ALIGNED))} (alignments also .gz), PLINK .bed or its prefix"
# First words of files in the format of Clustal (biopython, Bio.AlignIO.ClustalIO).
_CLUSTAL_HEADS = ("CLUSTAL", "PROBCONS", "MUSCLE", "MSAPROBS", "Kalign", "Biopython")
_CONVERT = {
    ".vcz": "VCF Zarr is not readable in this version; convert it with: vcztools view FILE.vcz > FILE.vcf",
    ".pgen": "PLINK 2 files are not readable in this version; convert with: plink2 --pfile PREFIX --make-bed",
}


@dataclass(frozen=True)
class FormatOptions:
    """Options of single formats, as the parameters of ``genoattn.io.read`` of these names."""

    region: str | None
    info: tuple[str, ...]
    haploid: Literal["as-is", "double"]
    reference: str | PathLike[str] | None
    wild_type: str | None
    alphabet: Alphabet


def read_genotypes(path: Path, options: FormatOptions) -> tuple[Cohort, str]:
    """The cohort of a genotype file or an alignment alone, and what was read in words."""
    name = path.name.lower()
    if options.info and not name.endswith(_VCF):
        raise InputError(f"{path}: INFO entries are for VCF and BCF; give a table of features instead")
    if name.endswith(ALIGNMENT_SUFFIXES):
        return _read_alignment(path, options)
    if options.reference is not None or options.alphabet != "auto":
        raise InputError(f"{path}: reference and alphabet are for alignments; leave them out")
    if options.wild_type is not None:
        raise InputError(f"{path}: wild_type is for alignments; leave it out")
    if name.endswith(_VCF):
        return read_vcf(path, options.region, options.info, options.haploid)
    bed = path if name.endswith(".bed") else Path(f"{path}.bed")
    if name.endswith(".bed") or bed.exists():
        return read_plink(bed, options.region, options.haploid)
    if path.suffix in _CONVERT:
        raise InputError(f"{path}: {_CONVERT[path.suffix]}")
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    if name.endswith(_TABLE):
        raise InputError(
            f"{path}: a table, but not which of its columns holds the variants; "
            "give sequence_column or mutation_column"
        )
    raise InputError(f"{path}: unknown suffix '{path.suffix}'; readable are {_SUPPORTED}")


def _read_alignment(path: Path, options: FormatOptions) -> tuple[Cohort, str]:
    if options.region is not None:
        raise InputError(f"{path}: an alignment has no regions; leave the region {options.region} out")
    if options.reference is not None and options.wild_type is not None:
        raise InputError(
            f"{path}: reference {options.reference} and wild type {options.wild_type} are the same choice "
            "for an alignment; give one of the two"
        )
    first, role = options.wild_type, "wild type"
    if first is None:
        first, role = None if options.reference is None else str(options.reference), "reference"
    return read_alignment(path, alignment_format(path), first, options.alphabet, role)


def alignment_format(path: Path) -> AlignmentFormat:
    """Format of a file of aligned sequences.

    Its first line tells Stockholm and Clustal; of other files those called ``.a2m`` or ``.a3m`` are A2M, the
    rest FASTA.
    """
    first = next((line for line in read_lines(path) if line.strip()), "")
    if first.startswith("# STOCKHOLM"):
        return "stockholm"
    if first.split()[:1] and first.split()[0] in _CLUSTAL_HEADS:
        return "clustal"
    return "a2m" if path.name.lower().removesuffix(".gz").endswith(_A2M) else "fasta"
