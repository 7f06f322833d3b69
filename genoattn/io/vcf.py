"""VCF as text, plain or compressed: blocks of lines whose calls are parsed in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from genoattn.cohort import FlowStep
from genoattn.errors import InputError
from genoattn.io.byte_blocks import byte_blocks
from genoattn.io.genotype_records import Record, RecordDecoder, Records, Scratch, join_blocks
from genoattn.io.record_kernels import COMMENT, N_FIXED, REGULAR, parse_lines
from genoattn.io.source import GenotypeSource, SiteBlock
from genoattn.io.text import decode_bytes

FIXED = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
_LARGEST_POSITION = 2**62


# First bytes of a VCF; the header may come without its first line.
_BEGIN = ("##fileformat=VCF", "#CHROM")


class VcfText(GenotypeSource):
    """Records of a VCF, from its bytes in blocks: the file, or the lines of a region."""

    def __init__(
        self,
        path: Path,
        info: Sequence[str] = (),
        haploid: Literal["as-is", "double"] = "double",
        strict: bool = False,
        region: str | None = None,
        source: Iterable[bytes] | None = None,
        columns: list[str] | None = None,
    ) -> None:
        self._source = source
        self.columns = header_columns(path) if columns is None else columns
        super().__init__(path, self.columns[N_FIXED:], info=info, region=region)
        self.decoder = RecordDecoder(path, self.samples, info, haploid == "double", strict)
        self._scratch = Scratch()

    def blocks(self, kept: np.ndarray | None = None) -> Iterator[SiteBlock]:
        """The sites in file order, with the calls of the samples at ``kept``, None for all."""
        if kept is not None:
            self.decoder.samples = [self.samples[i] for i in kept]
        for text in line_blocks(byte_blocks(self.path) if self._source is None else self._source):
            yield from self._parse(text, kept)
        self.decoder.left_out.check(self.n_records)

    def _parse(self, text: bytes, kept: np.ndarray | None) -> Iterator[SiteBlock]:
        begin, n_samples = 0, len(self.samples)
        # A call has two bytes or more, and nine fixed columns as many; shorter lines go in a second round.
        most = 1 + len(text) // (2 * (n_samples + N_FIXED))
        codes = self._scratch("codes", (most, n_samples), np.uint8)
        tabs = self._scratch("tabs", (most, N_FIXED + 2), np.int64)
        status = self._scratch("status", (most,), np.uint8)
        while begin < len(text):
            n = parse_lines(np.frombuffer(text, dtype=np.uint8), begin, codes, tabs, status)
            yield self._block(
                text, codes[:n] if kept is None else codes[:n, kept], tabs[:n], status[:n], kept
            )
            begin = int(tabs[n - 1, -1]) + 1

    def _block(
        self, text: bytes, codes: np.ndarray, tabs: np.ndarray, status: np.ndarray, kept: np.ndarray | None
    ) -> SiteBlock:
        """The sites of parsed lines; irregular ones go one at a time."""
        if (status == REGULAR).all():
            return self.decoder.decode(self._records(text, tabs), codes)
        parts = []
        ends = np.flatnonzero(np.diff(status, append=255)) + 1  # of runs of lines of one status
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            if status[start] == REGULAR:
                parts.append(self.decoder.decode(self._records(text, tabs[start:end]), codes[start:end]))
                continue
            for line in range(start, end):
                content = decode_bytes(text[tabs[line, 0] : tabs[line, -1]]).rstrip("\r")
                if status[line] == COMMENT or not content.strip():
                    self._check_header(content)
                elif (block := self._irregular(content, kept)) is not None:
                    parts.append(block)
        return join_blocks(parts, codes.shape[1])

    def _records(self, text: bytes, tabs: np.ndarray) -> Records:
        """Fixed columns of regular lines."""
        rows = tabs.tolist()
        # Joined and split again, as a call for each record would take longer.
        fixed = decode_bytes(b"\t".join([text[row[0] : row[5]] for row in rows])).split("\t")
        chrom, pos, record_id, ref, alt = (fixed[column::5] for column in range(5))
        info = [decode_bytes(text[row[7] + 1 : row[8]]) for row in rows] if self.info else None
        numbers = list(range(self.n_records + 1, self.n_records + 1 + len(rows)))
        self.n_records += len(rows)
        if all(map(str.isdecimal, pos)) and max(map(len, pos)) < 19:
            positions = list(map(int, pos))
        else:
            positions = list(map(self._position, numbers, chrom, pos))
        return Records(numbers, chrom, positions, record_id, ref, alt, info)

    def _position(self, number: int, chrom: str, pos: str) -> int:
        if not (pos.isdecimal() and len(pos) < 20 and int(pos) < _LARGEST_POSITION):
            what = "is not a number" if not pos.isdecimal() else "is beyond any chromosome"
            raise InputError(
                f"{self.path}, record {number} ({chrom}:{pos}): position '{pos}' {what}; correct it"
            )
        return int(pos)

    def _irregular(self, line: str, kept: np.ndarray | None) -> SiteBlock | None:
        """The sites of a line of any layout; None for a record that cannot be used, which is counted."""
        self.n_records += 1
        fields = line.split("\t")
        where = f"{self.path}, record {self.n_records} ({':'.join(fields[:2])})"
        expected = len(self.columns)
        if len(fields) != expected:
            cure = "the file may be cut short, copy it again" if len(fields) < expected else "check its tabs"
            raise InputError(f"{where}: {len(fields)} columns, the header has {expected}; {cure}")
        chrom, pos, record_id, ref, alt, _, _, info, form = fields[:N_FIXED]
        position = self._position(self.n_records, chrom, pos)
        calls = fields[N_FIXED:] if kept is None else [fields[N_FIXED + i] for i in kept]
        keys = form.split(":")
        if "GT" not in keys:
            found, cure = f"no GT in FORMAT '{form}'", "genotypes are needed; call them or remove the record"
            self.decoder.left_out.add("without GT", where, found, cure)
            return None
        # Trailing entries of a sample may be left out; GT left out is a missing call.
        at = keys.index("GT")
        entries = (text.split(":") for text in calls)
        genotypes = [entry[at] if len(entry) > at else "." for entry in entries]
        record = Record(self.n_records, chrom, position, record_id, ref, alt, info)
        return self.decoder.decode_texts(record, genotypes)

    def _check_header(self, line: str) -> None:
        """A second header, of a file appended to another, must name the same samples."""
        if line.startswith("#CHROM") and line.split("\t") != self.columns:
            raise InputError(
                f"{self.path}: a second #CHROM line after record {self.n_records} names other samples or "
                "another order of them; join files with: bcftools concat or bcftools merge"
            )

    def log(self) -> list[str]:
        """What was found, one readable line each."""
        return self.decoder.log()

    def flow(self) -> list[FlowStep]:
        """Records that could not be used, as counts."""
        return self.decoder.left_out.flow(self.n_records)


def line_blocks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks that end with a line; the last line needs no end."""
    rest = b""
    for number, block in enumerate(blocks):
        if number == 0:
            block = block.removeprefix(b"\xef\xbb\xbf")  # the mark of UTF-8 that Windows writes
        cut = block.rfind(b"\n") + 1
        if not cut:
            rest += block
            continue
        yield b"".join((rest, memoryview(block)[:cut]))
        rest = block[cut:]
    if rest:
        yield rest + b"\n"


def header_columns(path: Path) -> list[str]:
    """The columns of the ``#CHROM`` line: where what is not a VCF is turned away."""
    lines = (line for block in line_blocks(byte_blocks(path, 1 << 16)) for line in block[:-1].split(b"\n"))
    first = None
    for raw in lines:
        line = decode_bytes(raw).rstrip("\r").removeprefix("\ufeff")
        if first is None and not line.startswith(_BEGIN):
            raise InputError(f"{path}: not a VCF: its first line is '{line[:40]}', not ##fileformat=VCF...")
        first = line
        if line.startswith("##"):
            continue
        columns = line.split("\t")
        if columns[: len(FIXED)] != FIXED:
            raise InputError(
                f"{path}: not a VCF: no header line '#CHROM POS ID REF ALT QUAL FILTER INFO' "
                f"separated by tabs before '{line[:40]}'"
            )
        return columns
    raise InputError(f"{path}: not a VCF: no header line that begins with #CHROM; the file may be cut short")
