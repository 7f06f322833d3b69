"""Choice of the reader of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io.alignment_files import AlignmentFormat, read_alignment
from genoattn.io.alphabets import Alphabet
from genoattn.io.byte_blocks import byte_blocks
from genoattn.io.dosages import DosageField, check_field
from genoattn.io.source import GenotypeSource
from genoattn.io.text import check_file, read_lines
from genoattn.streams import is_stream

_VCF = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_A2M = (".a2m", ".a3m")
_FASTA = (".fasta", ".fa", ".fas", ".faa", ".fna", ".ffn", ".afa")
_ALIGNED = (*_FASTA, *_A2M, ".aln", ".clustal", ".clw", ".sto", ".stk", ".stockholm")
ALIGNMENT_SUFFIXES = tuple(stem + gz for stem in _ALIGNED for gz in ("", ".gz"))
_TABLE = tuple(stem + gz for stem in (".tsv", ".csv") for gz in ("", ".gz"))
# First words of files in the format of Clustal (biopython, Bio.AlignIO.ClustalIO).
_CLUSTAL_HEADS = ("CLUSTAL", "PROBCONS", "MUSCLE", "MSAPROBS", "Kalign", "Biopython")


@dataclass(frozen=True)
class FormatOptions:
    """Options of single formats, as the parameters of ``genoattn.io.read`` of these names."""

    region: str | None = None
    info: tuple[str, ...] = ()
    haploid: Literal["as-is", "double"] = "double"
    reference: str | PathLike[str] | None = None
    wild_type: str | None = None
    alphabet: Alphabet = "auto"
    strict: bool = False
    dosage_field: DosageField | None = None


def _open_vcf(path: Path, options: FormatOptions) -> GenotypeSource:
    """A VCF or BCF, told apart by contents; regions and INFO entries of a BCF go through htslib."""
    from genoattn.io.bcf import Bcf, is_bcf
    from genoattn.io.indexed import bcf_blocks, bcf_columns, region_blocks
    from genoattn.io.vcf import VcfText

    region, common = options.region, (options.haploid, options.strict)
    if options.dosage_field is not None:
        from genoattn.io.vcf_dosages import VcfDosages

        arguments = options.dosage_field, options.info, *common, region
        if is_bcf(path):
            return VcfDosages(path, *arguments, bcf_blocks(path, region), bcf_columns(path))
        return VcfDosages(path, *arguments, None if region is None else region_blocks(path, region))
    if not is_bcf(path):
        lines = None if region is None else region_blocks(path, region)
        return VcfText(path, options.info, *common, region, lines)
    if region is None and not options.info:
        return Bcf(path, *common)
    return VcfText(path, options.info, *common, region, bcf_blocks(path, region), bcf_columns(path))


def _open_bed(path: Path, options: FormatOptions) -> GenotypeSource:
    from genoattn.io.plink import Plink

    return Plink(path, options.region, options.haploid)


def _open_pgen(path: Path, options: FormatOptions) -> GenotypeSource:
    from genoattn.io.pgen import Pgen

    return Pgen(path, options.region, options.haploid, options.dosage_field)


def _open_bgen(path: Path, options: FormatOptions) -> GenotypeSource:
    from genoattn.io.bgen_file import BgenFile

    return BgenFile(path, options.region, options.haploid)


def _open_zarr(path: Path, options: FormatOptions) -> GenotypeSource:
    from genoattn.io.vcf_zarr import VcfZarr

    return VcfZarr(path, options.region, options.haploid, options.strict)


# Formats of genotypes, by suffix. A new one is a module with a GenotypeSource, and a line here.
_GENOTYPES: dict[tuple[str, ...], Callable[[Path, FormatOptions], GenotypeSource]] = {
    _VCF: _open_vcf,
    (".bed",): _open_bed,
    (".pgen",): _open_pgen,
    (".bgen",): _open_bgen,
    (".vcz", ".vcz.zip", ".zarr", ".zarr.zip"): _open_zarr,
}
_SUPPORTED = f"{', '.join(s for suffixes in _GENOTYPES for s in suffixes)}, {', '.join(_ALIGNED)} (also .gz)"


def may_have_dosages(path: Path) -> bool:
    """Whether ``dosage_field`` means something for a file."""
    return format_name(path).endswith((*_VCF, ".pgen")) or Path(f"{path}.pgen").exists()


def is_alignment(path: Path) -> bool:
    """Whether a file is one of aligned sequences."""
    return format_name(path).endswith(ALIGNMENT_SUFFIXES)


def format_name(path: Path) -> str:
    """A name whose suffix is that of the format: the file's own, or for a pipe one by its first bytes."""
    name = path.name.lower()
    if not is_stream(path):
        return name
    head = next(byte_blocks(path, 64), b"").lstrip()
    if head.startswith((b"##fileformat=VCF", b"#CHROM", b"BCF\x02")):
        return f"{name}.vcf"
    aligned = (">", "# STOCKHOLM", *_CLUSTAL_HEADS)
    return f"{name}.fa" if head.startswith(tuple(word.encode() for word in aligned)) else name


def open_genotypes(path: Path, options: FormatOptions, dataset: Any = None) -> GenotypeSource:
    """A file of genotypes, or the prefix of one of PLINK's, with its samples and no calls yet.

    ``dataset`` is one of sgkit in place of a file, whose ``path`` is what messages call it.
    """
    if dataset is not None:
        from genoattn.io.vcf_zarr import VcfZarr

        return VcfZarr(path, options.region, options.haploid, options.strict, dataset)
    name = format_name(path)
    if options.info and not name.endswith(_VCF):
        raise InputError(f"{path}: INFO entries are for VCF and BCF; give a table of features instead")
    if options.reference is not None or options.alphabet != "auto":
        raise InputError(f"{path}: reference and alphabet are for alignments; leave them out")
    if options.wild_type is not None:
        raise InputError(f"{path}: wild_type is for alignments; leave it out")
    check_field(path, options.dosage_field)
    if options.dosage_field == "GT":
        options = replace(options, dosage_field=None)
    if is_stream(path):
        return _open_stream(path, name, options)
    for suffixes, opener in _GENOTYPES.items():
        if name.endswith(suffixes):
            if options.dosage_field is not None and opener in (_open_bed, _open_zarr):
                raise InputError(f"{path}: no dosages are read from this format; leave dosage_field out")
            return opener(path, options)
    there = [s for s in (".bed", ".pgen") if Path(f"{path}{s}").exists()]
    if len(there) > 1:
        raise InputError(f"{path}: both {path}.bed and {path}.pgen are there; name one of them")
    if there:
        return open_genotypes(Path(f"{path}{there[0]}"), options)
    check_file(path)
    if name.endswith(_TABLE):
        raise InputError(
            f"{path}: a table, but not which of its columns holds the variants; "
            "give sequence_column or mutation_column"
        )
    raise InputError(f"{path}: unknown suffix '{path.suffix}'; readable are {_SUPPORTED}")


def open_as(suffix: str, path: Path, options: FormatOptions) -> GenotypeSource:
    """A file of genotypes in the format that ``suffix`` stands for, whatever the file is called."""
    opener = next(opener for suffixes, opener in _GENOTYPES.items() if suffix in suffixes)
    return opener(path, options)


def _open_stream(path: Path, name: str, options: FormatOptions) -> GenotypeSource:
    """A VCF or BCF that comes through a pipe; ``name`` has the suffix of its format."""
    if options.region is not None:
        raise InputError(f"{path}: a pipe has no index, which a region needs; write it to a file first")
    if not name.endswith(_VCF):
        raise InputError(
            f"{path}: neither VCF nor BCF, by its first bytes; a pipe holds one file, so that other formats "
            "are not read from it: write it to a file with its usual suffix"
        )
    return _open_vcf(path, options)


def read_aligned(path: Path, options: FormatOptions) -> tuple[Cohort, str]:
    """The cohort of an alignment, and what was read in words."""
    if options.info:
        raise InputError(f"{path}: INFO entries are for VCF and BCF; give a table of features instead")
    if options.dosage_field not in (None, "GT"):
        raise InputError(f"{path}: an alignment has no dosages; leave dosage_field out")
    return _read_alignment(path, options)


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
