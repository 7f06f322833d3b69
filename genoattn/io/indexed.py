"""Lines of VCF from indexed files, through htslib: of a region, or of a BCF as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from genoattn.errors import InputError
from genoattn.io.alleles import parse_region
from genoattn.io.text import check_bgzip_end, is_bgzip
from genoattn.io.vcf import FIXED
from genoattn.streams import local_copy

if TYPE_CHECKING:
    from pysam import VariantRecord

_LINES = 1000  # in a block


@contextmanager
def quiet_htslib() -> Iterator[None]:
    """htslib prints to stderr; what it has to say is raised instead."""
    import pysam

    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)


def _index(path: Path) -> str | None:
    """The index of a file, in its folder; pysam by itself looks for a .tbi only."""
    found = (f"{path}{suffix}" for suffix in (".tbi", ".csi") if Path(f"{path}{suffix}").exists())
    return next(found, None)


def _check_index(path: Path, command: str) -> None:
    if _index(path) is None:
        raise InputError(f"{path}: a region needs an index; make one with: {command} {path}")


def _joined(lines: Iterable[str], encoding: str = "utf-8") -> Iterator[bytes]:
    lines = iter(lines)
    while block := list(islice(lines, _LINES)):
        yield ("\n".join(line.rstrip("\n") for line in block) + "\n").encode(encoding)


def region_blocks(path: Path, region: str) -> Iterator[bytes]:
    """Lines of a bgzip-compressed VCF that overlap the region, in blocks."""
    import pysam

    if not is_bgzip(path):
        raise InputError(
            f"{path}: a region needs a bgzip-compressed VCF with an index; "
            "compress it with bgzip, then run tabix -p vcf"
        )
    check_bgzip_end(path)
    _check_index(path, "tabix -p vcf")
    try:
        # In Latin-1 every byte is a letter, so that the lines keep the bytes of the file.
        with quiet_htslib(), pysam.TabixFile(str(path), index=_index(path), encoding="latin-1") as file:
            span = parse_region(region, list(file.contigs), path)
            found = file.fetch(span.contig, span.start - 1, span.end)
            # The index finds what overlaps, also deletions that begin before the region.
            lines = (line for line in found if int(line.split("\t", 2)[1]) >= span.start)
            yield from _joined(lines, "latin-1")
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: truncated or corrupt, or its index is; copy it again and index it anew"
        ) from error


def bcf_columns(path: Path) -> list[str]:
    """The columns of the ``#CHROM`` line of a BCF."""
    import pysam

    check_bgzip_end(path)
    try:
        with quiet_htslib(), pysam.VariantFile(str(local_copy(path))) as file:
            return [*FIXED, "FORMAT", *file.header.samples]
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path}: not a BCF, or its header is damaged; check it with: bcftools head"
        ) from error


def bcf_blocks(path: Path, region: str | None) -> Iterator[bytes]:
    """Records of a BCF as VCF lines, in blocks. One thread: htslib's own wait for ever on a damaged block."""
    import pysam

    if region is not None:
        _check_index(path, "bcftools index")
    try:
        with quiet_htslib(), pysam.VariantFile(str(local_copy(path))) as file:
            records: Iterable[VariantRecord] = file
            if region is not None:
                span = parse_region(region, [str(name) for name in file.header.contigs], path)
                found = file.fetch(span.contig, span.start - 1, span.end)
                records = (record for record in found if record.pos >= span.start)
            yield from _joined(str(record) for record in records)
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: its INFO entries are not in UTF-8; rewrite it: bcftools view FILE | iconv -f latin1"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: truncated or corrupt; copy or download it again") from error
