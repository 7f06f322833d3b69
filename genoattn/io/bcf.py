"""BCF, version 2: the typed arrays of VCF records."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from genoattn.cohort import FlowStep
from genoattn.errors import InputError
from genoattn.io.byte_blocks import byte_blocks
from genoattn.io.genotype_records import RecordDecoder, Records, Scratch, join_blocks
from genoattn.io.record_kernels import N_FIXED, REGULAR, parse_bcf
from genoattn.io.source import GenotypeSource, SiteBlock
from genoattn.io.text import decode_bytes

_MAGIC = b"BCF\x02"
_VECTOR_END = {1: -127, 2: -32767, 4: -2147483647}
_TYPES = {1: "<i1", 2: "<i2", 4: "<i4"}
_META = re.compile(r"##(contig|FILTER|INFO|FORMAT)=<(.*)>")
_ID, _IDX = re.compile(r"(?:^|,)ID=([^,]*)"), re.compile(r"(?:^|,)IDX=(\d+)")


def is_bcf(path: Path) -> bool:
    """Whether the contents of a file, whatever its name, are those of a BCF."""
    return next(byte_blocks(path, 8), b"")[:4] == _MAGIC


class Bcf(GenotypeSource):
    """Records of a BCF."""

    def __init__(
        self, path: Path, haploid: Literal["as-is", "double"] = "double", strict: bool = False
    ) -> None:
        self._blocks, self._scratch = byte_blocks(path), Scratch()
        super().__init__(path, self._header(self._take(path)))
        self.decoder = RecordDecoder(path, self.samples, (), haploid == "double", strict)

    def _take(self, path: Path) -> bytes:
        """Bytes that hold the complete header."""
        data = next(self._blocks, b"")
        while len(data) >= 9 and len(data) < 9 + struct.unpack_from("<I", data, 5)[0]:
            more = next(self._blocks, b"")
            if not more:
                break
            data += more
        size = struct.unpack_from("<I", data, 5)[0] if len(data) >= 9 else 0
        if data[:4] != _MAGIC or len(data) < 9 + size:
            raise InputError(f"{path}: not a BCF, or its header is damaged; check it with: bcftools head")
        self._rest = data[9 + size :]
        return data[9 : 9 + size]

    def _header(self, raw: bytes) -> list[str]:
        """The samples; on the way the dictionaries of contigs and strings, numbered by IDX or in order."""
        strings, contigs = {"PASS": 0}, dict[str, int]()
        # Not splitlines: a Latin-1 letter in a description may look like the end of a line of Unicode.
        lines = [line.rstrip("\r") for line in decode_bytes(raw.rstrip(b"\0")).split("\n")]
        for line in lines:
            if not (match := _META.match(line)):
                continue
            name, index = _ID.search(match[2]), _IDX.search(match[2])
            known = contigs if match[1] == "contig" else strings
            if name and name[1] not in known:
                known[name[1]] = int(index[1]) if index else len(known)
        self.contigs = {number: name for name, number in contigs.items()}
        self.strings = {number: name for name, number in strings.items()}
        self._gt = strings.get("GT", -1)
        return next((line.split("\t") for line in reversed(lines) if line.startswith("#CHROM")), [])[N_FIXED:]

    def blocks(self, kept: np.ndarray | None = None) -> Iterator[SiteBlock]:
        """The sites in file order, with the calls of the samples at ``kept``, None for all."""
        if kept is not None:
            self.decoder.samples = [self.samples[i] for i in kept]
        for block in self._blocks:
            yield from self._parse(self._rest + block, kept)
        if self._rest:  # what came with the header, of a short file
            yield from self._parse(self._rest, kept)
        if self._rest:
            raise self._corrupt("truncated")
        self.decoder.left_out.check(self.n_records)

    def formats(self, most: int) -> Iterator[tuple[int, bytes]]:
        """Number of FORMAT entries and their bytes, of up to ``most`` records: in place of :meth:`blocks`."""
        data, start = self._rest, 0
        for _ in range(most):
            while len(data) < start + 8 or len(data) < start + 8 + sum(
                struct.unpack_from("<II", data, start)
            ):
                if not (more := next(self._blocks, b"")):
                    return
                data, start = data[start:] + more, 0
            shared, individual = struct.unpack_from("<II", data, start)
            begin = start + 8 + shared
            yield data[start + 31], data[begin : begin + individual]
            start = begin + individual

    def _corrupt(self, what: str = "corrupt") -> InputError:
        return InputError(f"{self.path}: {what} after record {self.n_records}; copy or download it again")

    def _parse(self, data: bytes, kept: np.ndarray | None) -> Iterator[SiteBlock]:
        begin, self._rest = 0, data
        most = 1 + min(len(data) // (32 + len(self.samples)), 1 << 14)
        n = most
        while n == most:
            codes = self._scratch("codes", (most, len(self.samples)), np.uint8)
            starts = self._scratch("starts", (most + 1,), np.int64)
            vectors, status = (
                self._scratch("vectors", (most, 3), np.int64),
                self._scratch("status", (most,), np.uint8),
            )
            part = np.frombuffer(data, dtype=np.uint8)[begin:]
            n = parse_bcf(part, self._gt, codes, starts, vectors, status)
            if n < 0:
                self.n_records += -1 - n
                raise self._corrupt()
            if n == 0:
                return
            taken = codes[:n] if kept is None else codes[:n, kept]
            starts += begin
            vectors[:, 0] += begin
            yield self._block(data, taken, starts[: n + 1].tolist(), vectors, status[:n] == REGULAR, kept)
            begin = int(starts[n])
            self._rest = data[begin:]

    def _block(
        self,
        data: bytes,
        codes: np.ndarray,
        starts: list[int],
        vectors: np.ndarray,
        regular: np.ndarray,
        kept: np.ndarray | None,
    ) -> SiteBlock:
        records = Records(*map(list, zip(*(self._record(data, start) for start in starts[:-1]), strict=True)))
        if regular.all():
            return self.decoder.decode(records, codes)
        parts = []
        for k in range(len(records)):
            record = records[k]
            if regular[k]:
                parts.append(self.decoder.decode_one(record, codes[k].astype(np.intp)))
            elif vectors[k, 1] > 0 and vectors[k, 2] > 0:
                genotypes = self._genotypes(data, vectors[k], kept)
                parts.append(self.decoder.decode_texts(record, genotypes))
            else:
                cure = "genotypes are needed; call them or remove the record"
                where = self.decoder.where(record)
                self.decoder.left_out.add("without GT", where, "no GT among its FORMAT entries", cure)
        return join_blocks(parts, codes.shape[1])

    def _record(self, data: bytes, start: int) -> tuple[int, str, int, str, str, str]:
        """The fixed columns of a record: alleles and ID are strings with their length in front."""
        self.n_records += 1
        shared, _, contig, pos, _, _, counts, fields = struct.unpack_from("<IIiiiIII", data, start)
        n_alleles = counts >> 16
        texts, p = [], start + 32
        if fields >> 24 and fields & 0xFFFFFF != len(self.samples):
            raise self._corrupt()
        try:
            for _ in range(1 + n_alleles):
                size = data[p] >> 4
                p += 1
                if size == 15:
                    width = {1: 1, 2: 2, 3: 4}[data[p] & 15]
                    size = int.from_bytes(data[p + 1 : p + 1 + width], "little")
                    p += 1 + width
                texts.append(decode_bytes(data[p : p + size]))
                p += size
            chrom = self.contigs[contig]
        except (KeyError, IndexError):
            raise self._corrupt() from None
        if p > start + 8 + shared:
            raise self._corrupt()
        record_id, ref, alt = texts[0] or ".", *(texts[1:2] or [""]), ",".join(texts[2:]) or "."
        return self.n_records, chrom, pos + 1, record_id, ref, alt

    def _genotypes(self, data: bytes, vector: np.ndarray, kept: np.ndarray | None) -> list[str]:
        """Genotypes of any ploidy and allele index as text."""
        at, ploidy, size = vector.tolist()
        values = np.frombuffer(data, dtype=_TYPES[size], count=ploidy * len(self.samples), offset=at)
        values = values.reshape(-1, ploidy)
        if kept is not None:
            values = values[kept]
        end = _VECTOR_END[size]
        texts = [
            "/".join("." if v < 2 else str((v >> 1) - 1) for v in row if v != end) for row in values.tolist()
        ]
        return [text or "." for text in texts]

    def log(self) -> list[str]:
        """What was found, one readable line each."""
        return self.decoder.log()

    def flow(self) -> list[FlowStep]:
        """Records that could not be used, as counts."""
        return self.decoder.left_out.flow(self.n_records)
