"""What a file is, by its contents; its name is compared with that."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal, NamedTuple

from genoattn.describe.summaries import FileType
from genoattn.errors import InputError
from genoattn.io.byte_blocks import byte_blocks
from genoattn.io.formats import alignment_format
from genoattn.io.frames import is_parquet
from genoattn.io.text import check_file, check_text, encoding_of, first_bytes, is_bgzip, is_gzip, read_lines
from genoattn.streams import is_stream, local_copy

RUN_MARKS = ("manifest.json", "traits.tsv", "truth.tsv")
_ZARR_MARKS = ("zarr.json", ".zgroup", ".zmetadata")
_ALIGNED = {"fasta": "FASTA", "a2m": "A2M", "clustal": "Clustal", "stockholm": "Stockholm"}
_FASTA = (".fasta", ".fa", ".fas", ".faa", ".fna", ".ffn", ".afa")
_TEXT = (".tsv", ".csv", ".txt", ".tab")
# Suffixes that a format goes by, less .gz and .bgz.
SUFFIXES: dict[str, tuple[str, ...]] = {
    "VCF": (".vcf",),
    "BCF": (".bcf",),
    "PLINK 1": (".bed",),
    "PLINK 2": (".pgen",),
    "BGEN": (".bgen",),
    "VCF Zarr": (".vcz", ".zarr", ".vcz.zip", ".zarr.zip"),
    "FASTA": _FASTA,
    "A2M": (".a2m", ".a3m"),
    "Clustal": (".aln", ".clustal", ".clw"),
    "Stockholm": (".sto", ".stk", ".stockholm"),
    "Parquet": (".parquet", ".pq"),
}
# Files that belong to another one, which has the genotypes.
_COMPANIONS = {".bim": ".bed", ".fam": ".bed", ".pvar": ".pgen"}


class FileKind(NamedTuple):
    """What a file is."""

    path: Path  # the file itself where a prefix was given
    kind: FileType
    format: str
    compression: Literal["none", "gzip", "bgzip"] = "none"


def find_kind(path: Path) -> FileKind:
    """What a file, folder, pipe or prefix of a PLINK data set holds."""
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        path = _of_prefix(path)
    check_file(path)
    owner = path.with_suffix(_COMPANIONS.get(path.suffix, path.suffix))
    if owner != path:
        raise InputError(f"{path}: belongs to {owner.name}, which has the genotypes; give that one")
    if path.suffix in (".tbi", ".csi"):
        raise InputError(f"{path}: the index of another file; give {path.stem}")
    if path.name == "model.ckpt" and (path.parent / RUN_MARKS[0]).is_file():
        return _folder(path.parent)
    compression: Literal["none", "gzip", "bgzip"] = "none"
    if is_gzip(path):
        compression = "bgzip" if is_bgzip(path) else "gzip"
    kind, name = _of_contents(path)
    return FileKind(path, kind, name, compression)


def _folder(path: Path) -> FileKind:
    if any((path / mark).is_file() for mark in RUN_MARKS):
        return FileKind(path, "run", "output folder")
    if any((path / mark).is_file() for mark in _ZARR_MARKS):
        return FileKind(path, "genotypes", "VCF Zarr")
    raise InputError(
        f"{path}: a folder that is neither an output of genoattn nor a VCF Zarr; give the file inside it"
    )


def _of_prefix(path: Path) -> Path:
    """The file with the genotypes of a PLINK data set; the path itself where there is none."""
    there = [found for suffix in (".bed", ".pgen") if (found := Path(f"{path}{suffix}")).exists()]
    if len(there) > 1:
        raise InputError(f"{path}: both {there[0]} and {there[1]} are there; name one of them")
    return there[0] if there else path


def _of_contents(path: Path) -> tuple[FileType, str]:
    head = next(byte_blocks(path, 256), b"").removeprefix(b"\xef\xbb\xbf")
    if head.startswith((b"##fileformat=VCF", b"#CHROM\t")):
        return "genotypes", "VCF"
    if head.startswith(b"BCF"):
        return "genotypes", "BCF"
    if head[:3] == b"\x6c\x1b\x01":
        return "genotypes", "PLINK 1"
    if head[:2] == b"\x6c\x1b":
        return "genotypes", "PLINK 2"
    if head[16:20] == b"bgen":
        return "genotypes", "BGEN"
    if head[:4] == b"PK\x03\x04" and _is_zarr(path):
        return "genotypes", "VCF Zarr"
    if is_parquet(path):
        return "table", "Parquet"
    check_text(path, head)
    if b"\0" in head and encoding_of(head) == "utf-8-sig":
        raise InputError(
            f"{path}: no file that genoattn reads: neither text nor a known format by its first bytes"
        )
    form = alignment_format(path)
    first = next((line for line in read_lines(path) if line.strip()), "")
    if form in ("clustal", "stockholm") or first.startswith(">"):
        return "alignment", _ALIGNED[form]
    return "table", "text"


def _is_zarr(path: Path) -> bool:
    try:
        with zipfile.ZipFile(local_copy(path)) as archive:
            return any(Path(name).name in _ZARR_MARKS for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def name_mismatch(given: Path, found: FileKind) -> str | None:
    """Why the name of a file says something else than its contents; None where it does not."""
    if is_stream(given) or found.kind == "run":
        return None
    name, lines = found.path.name.lower(), []
    stem = name.removesuffix(".gz").removesuffix(".bgz")
    own = SUFFIXES.get(found.format, _TEXT)
    named = next((other for other, known in SUFFIXES.items() if stem.endswith(known)), None)
    if not stem.endswith(own):
        if named is not None:
            cure = ", and it is read as that" if {named, found.format} == {"VCF", "BCF"} else ""
            lines.append(f"the name says {named}, the contents are {_said(found)}{cure}")
        elif found.kind in ("genotypes", "alignment"):
            lines.append(f"does not say {_said(found)}: call it {own[0]}, else fit and scan refuse it")
    if stem != name and found.compression == "none" and first_bytes(found.path, 3) != b"BCF":
        lines.append("the name says compressed, the contents are not")
    return "; ".join(lines) or None


def _said(found: FileKind) -> str:
    return "a table" if found.kind == "table" else found.format
