"""Records of VCF and BCF to sites: one for every alternate allele, its call the number of copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genoattn.io.alleles import Alleles
from genoattn.io.code_kernels import note_codes, translate
from genoattn.io.genotype_codes import GenotypeCodes, MalformedGenotypeError
from genoattn.io.source import LeftOut, SiteBlock
from genoattn.io.tables import MISSING_TEXT

# Packed codes of calls of alleles 0 and 1, and of what is missing in full.
_DIPLOID = np.array([0x00, 0x01, 0x10, 0x11])
_HAPLOID = np.array([0xF0, 0xF1])
_OTHER = np.setdiff1d(np.arange(256), [*_DIPLOID, *_HAPLOID, 0xEE, 0xFE])
# Placeholders for alleles that a caller has not seen: no sample has them.
_UNSEEN = ("<NON_REF>", "<*>")
_NO_ALTERNATE = (".", "", *_UNSEEN)


class Record(NamedTuple):
    """The fixed columns of a record."""

    number: int  # from 1
    chrom: str
    pos: int
    record_id: str
    ref: str
    alt: str  # alleles separated by commas
    info: str = ""


@dataclass(frozen=True)
class Records:
    """The fixed columns of several records."""

    number: list[int]
    chrom: list[str]
    pos: list[int]
    record_id: list[str]
    ref: list[str]
    alt: list[str]
    info: list[str] | None = None

    def __len__(self) -> int:
        return len(self.number)

    def take(self, index: Iterable[int]) -> Records:
        """The records at ``index``, in that order."""
        index = list(index)
        columns: dict[str, Any] = {
            name: None if column is None else [column[i] for i in index]
            for name, column in vars(self).items()
        }
        return Records(**columns)

    def __getitem__(self, k: int) -> Record:
        info = "" if self.info is None else self.info[k]
        fixed = self.number[k], self.chrom[k], self.pos[k], self.record_id[k], self.ref[k], self.alt[k]
        return Record(*fixed, info)


class Scratch:
    """Arrays used again for every block: new memory costs more than what is written to it."""

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """An array whose values are those of its last use, or none."""
        size = int(np.prod(shape))
        if name not in self._held or len(self._held[name]) < size:
            self._held[name] = np.empty(size + size // 8, dtype=dtype)
        return self._held[name][:size].reshape(shape)


class RecordDecoder:
    """Turns records into sites; what was found on the way is kept for the log."""

    def __init__(
        self, path: Path, samples: Sequence[str], info: Sequence[str], double: bool, strict: bool
    ) -> None:
        self.path, self.samples, self.info, self.double = path, samples, info, double
        self.codes, self._scratch = GenotypeCodes(), Scratch()
        self.left_out = LeftOut(strict)
        self.n_half_missing = 0
        self.haploid: dict[str, tuple[int, int]] = {}  # by chromosome: calls among diploid ones, records

    def where(self, record: Record) -> str:
        """Where a record is, for messages."""
        return f"{self.path}, record {record.number} ({record.chrom}:{record.pos})"

    def decode(self, records: Records, packed: np.ndarray) -> SiteBlock:
        """The sites of records with packed codes (n_records, n_samples), uint8."""
        seen = self._scratch("seen", (len(records), 256), np.bool_)
        seen[:] = False
        note_codes(packed, seen)
        one, two = seen[:, _HAPLOID].max(axis=1), seen[:, _DIPLOID].max(axis=1)
        simple = ~(seen[:, _OTHER].any(axis=1) | (one & two))
        if not all(map(_is_biallelic, set(zip(records.ref, records.alt, strict=True)))):
            simple &= np.fromiter(map(_is_biallelic, zip(records.ref, records.alt, strict=True)), dtype=bool)
        # Runs of simple records go together, the others one at a time.
        ends = np.flatnonzero(np.append(simple[1:] != simple[:-1], True)) + 1
        parts = []
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            if simple[start]:
                ploidy = np.where(two[start:end], 2, one[start:end]).tolist()
                parts.append(self._biallelic(records, slice(start, end), packed[start:end], ploidy))
            else:
                parts += [self.decode_one(records[k], packed[k].astype(np.intp)) for k in range(start, end)]
        return join_blocks(parts, packed.shape[1])

    def _biallelic(self, records: Records, part: slice, packed: np.ndarray, ploidy: list[int]) -> SiteBlock:
        """The sites of records of one alternate allele and one ploidy, without half-missing calls."""
        copies = np.empty(packed.shape, dtype=np.int8)
        translate(packed, self.codes.copies(1)[:256], copies)
        r, several = records, [False] * len(ploidy)
        labels = [self.labels(info, 0, 1) for info in r.info[part]] if r.info is not None else []
        alleles = Alleles(
            r.number[part], r.record_id[part], r.chrom[part], r.pos[part], r.ref[part], r.alt[part],
            several, ploidy,
        )  # fmt: skip
        return SiteBlock(alleles, copies, labels)

    def decode_texts(self, record: Record, genotypes: Sequence[str]) -> SiteBlock:
        """The sites of a record with genotypes as text; none if it cannot be used, which is counted."""
        try:
            codes = self.codes.encode(genotypes)
        except MalformedGenotypeError as error:
            text = error.args[0] if len(error.args[0]) <= 40 else f"{error.args[0][:40]}..."
            sample = self.samples[genotypes.index(error.args[0])]
            found = f"sample {sample} has the malformed genotype '{text}'"
            self.left_out.add(
                "malformed genotypes", self.where(record), found, "write allele indices as in 0/1"
            )
            return SiteBlock(Alleles.none(), np.empty((0, len(genotypes)), dtype=np.int8))
        return self.decode_one(record, codes)

    def decode_one(self, record: Record, codes: np.ndarray) -> SiteBlock:
        """The sites of a record with any codes (n_samples,); none if it cannot be used, which is counted."""
        alternates = record.alt.split(",")
        n_alternates = 0 if record.alt == "." else len(alternates)
        nothing = SiteBlock(Alleles.none(), np.empty((0, len(codes)), dtype=np.int8))
        if not (record.ref and all(alternates)):
            found, cure = "an allele is empty", "correct the record or remove it"
            self.left_out.add("an empty allele", self.where(record), found, cure)
            return nothing
        largest = self.codes.largest_allele[codes]
        if largest.max(initial=0) > n_alternates:
            i = int(np.argmax(largest > n_alternates))
            found = f"sample {self.samples[i]} has allele index {largest[i]} but the record has "
            found += f"{n_alternates + 1} alleles"
            cure = "correct the record or remove it"
            self.left_out.add("an allele that is not listed", self.where(record), found, cure)
            return nothing
        ploidies = self.codes.ploidy[codes]
        ploidy = int(ploidies.max(initial=0))
        fewer = (ploidies > 0) & (ploidies < ploidy)
        if ploidy > 2 and fewer.any():
            found = (
                f"sample {self.samples[int(ploidies.argmax())]} has {ploidy} alleles where others have fewer"
            )
            cure = "correct the genotype or set it to missing"
            self.left_out.add("samples of several ploidies", self.where(record), found, cure)
            return nothing
        if fewer.any():  # of mixtures these alone make sense: chrX of males and females
            n_calls, n_records = self.haploid.get(record.chrom, (0, 0))
            self.haploid[record.chrom] = (n_calls + int(fewer.sum()), n_records + 1)
        self.n_half_missing += int(self.codes.half_missing[codes].sum())
        several = len(alternates) > 1
        seen = [(i, alt) for i, alt in enumerate(alternates) if alt not in _UNSEEN] or [(0, ".")]
        rows = [self.codes.copies(index + 1)[codes] for index, _ in seen]
        if self.double and fewer.any():
            rows = [np.where(fewer, 2 * row, row) for row in rows]
        n = len(seen)
        alleles = Alleles(
            [record.number] * n, [record.record_id] * n, [record.chrom] * n, [record.pos] * n,
            [record.ref] * n, [alt for _, alt in seen], [several] * n, [ploidy] * n,
        )  # fmt: skip
        labels = [self.labels(record.info, index, len(alternates)) for index, _ in seen] if self.info else []
        single = {} if self.double or not fewer.any() else dict.fromkeys(range(n), fewer)
        return SiteBlock(alleles, np.array(rows, dtype=np.int8), labels, single)

    def labels(self, info: str, index: int, n_alternates: int) -> list[str]:
        """Labels of the INFO entries asked for, of one alternate allele."""
        return [info_label(info, key, index, n_alternates) for key in self.info]

    def log(self) -> list[str]:
        """What was found, one readable line each."""
        lines = []
        if self.n_half_missing:
            lines.append(f"{self.n_half_missing} half-missing genotypes (such as ./1) read as missing")
        lines += [
            f"{n_calls} haploid calls among diploid ones at {n_records} records of {chrom} count "
            f"{'0 or 2' if self.double else '0 or 1'} copies; give sex as a covariate"
            for chrom, (n_calls, n_records) in self.haploid.items()
        ]
        return lines + self.left_out.log()


def _is_biallelic(alleles: tuple[str, str]) -> bool:
    """Whether REF and ALT name an allele each."""
    ref, alt = alleles
    return "," not in alt and alt not in _NO_ALTERNATE and bool(ref)


def join_blocks(blocks: Sequence[SiteBlock], n_samples: int) -> SiteBlock:
    """Blocks of the same samples as one."""
    if len(blocks) == 1:
        return blocks[0]
    copies = [block.copies for block in blocks] or [np.empty((0, n_samples), dtype=np.int8)]
    alleles, haploid = Alleles.none(), dict[int, np.ndarray]()
    for block in blocks:
        haploid |= {len(alleles) + k: single for k, single in block.haploid.items()}
        alleles.extend(block.alleles)
    labels = [row for block in blocks for row in block.labels]
    return SiteBlock(alleles, np.concatenate(copies), labels, haploid)


def info_label(info: str, key: str, index: int, n_alternates: int) -> str:
    """Value of an INFO entry for alternate allele ``index``, from 0: its own, or that of the record.

    ``yes`` for a flag, empty where the record has no such entry or it is missing.
    """
    for entry in info.split(";"):
        name, equals, value = entry.partition("=")
        if name == key:
            if not equals:
                return "yes"
            values = value.split(",")
            own = values[index] if len(values) == n_alternates else value
            return "" if own in MISSING_TEXT else own
    return ""
