"""Dosages of a VCF: the entry DS, or what GP or HDS say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from genoattn.errors import InputError
from genoattn.io.alleles import Alleles
from genoattn.io.dosages import DosageField, as_calls, check_probabilities, doubled, expected_copies
from genoattn.io.genotype_records import join_blocks
from genoattn.io.record_kernels import COMMENT, MISSING_ALLELE, N_FIXED, NO_ALLELE, REGULAR, parse_numbers
from genoattn.io.source import SiteBlock
from genoattn.io.text import decode_bytes
from genoattn.io.vcf import VcfText


class VcfDosages(VcfText):
    """Records of a VCF whose calls are expected copies; GT, where it is, tells haploid samples."""

    def __init__(self, path: Path, dosage_field: DosageField, *arguments: Any, **options: Any) -> None:
        super().__init__(path, *arguments, **options)
        self.field = self.dosages = dosage_field
        self.n_assumed = 0  # records whose samples are taken for diploid

    def log(self) -> list[str]:
        """What was found, one readable line each."""
        line = f"{self.n_assumed} records without GT: DS is taken for that of diploid samples"
        return [*super().log(), *([line] if self.n_assumed else [])]

    def _block(
        self, text: bytes, codes: np.ndarray, tabs: np.ndarray, status: np.ndarray, kept: np.ndarray | None
    ) -> SiteBlock:
        parts = []
        for line, row in enumerate(tabs.tolist()):
            content = text[row[0] : row[-1]]
            if status[line] == COMMENT or not content.strip():
                self._check_header(decode_bytes(content).rstrip("\r"))
                continue
            self.n_records += 1
            ploidy = None
            if status[line] == REGULAR:
                ploidy = _ploidy(codes[line])
            if (block := self._record(text, row, ploidy, kept)) is not None:
                parts.append(block)
        n_kept = len(self.samples) if kept is None else len(kept)
        return (
            join_blocks(parts, n_kept)
            if parts
            else SiteBlock(Alleles.none(), np.empty((0, n_kept), np.float32))
        )

    def _record(
        self, text: bytes, row: list[int], ploidy: np.ndarray | None, kept: np.ndarray | None
    ) -> SiteBlock | None:
        """The sites of one record; None where it has no dosages, which is counted."""
        where = f"{self.path}, record {self.n_records}"
        if not row[N_FIXED]:
            raise InputError(
                f"{where}: fewer than {N_FIXED} columns; the file may be cut short, copy it again"
            )
        chrom, pos, record_id, ref, alt, _, _, info, form = decode_bytes(text[row[0] : row[N_FIXED]]).split(
            "\t"
        )
        where, position = f"{where} ({chrom}:{pos})", self._position(self.n_records, chrom, pos)
        keys, alternates = form.split(":"), alt.split(",")
        if self.field not in keys or alt == ".":
            found = f"no {self.field} in FORMAT '{form}'" if alt != "." else "no alternate allele"
            self.decoder.left_out.add(f"without {self.field}", where, found, "choose another --dosage-field")
            return None
        values = self._values(text, row, keys.index(self.field), len(alternates), where)
        if kept is not None:
            values = values[kept]
        copies, counted = self._copies(values, len(alternates), where)
        n_copies = counted if ploidy is None else ploidy
        self.n_assumed += ploidy is None and self.field == "DS"
        n_haploid = int((n_copies == 1).sum())
        if 0 < n_haploid < len(n_copies):
            n_calls, n_records = self.decoder.haploid.get(chrom, (0, 0))
            self.decoder.haploid[chrom] = (n_calls + n_haploid, n_records + 1)
        copies, n_copies = doubled(copies, n_copies, self.decoder.double)
        calls = as_calls(where, self.decoder.samples, copies, n_copies)
        n = len(alternates)
        alleles = Alleles(
            [self.n_records] * n, [record_id] * n, [chrom] * n, [position] * n, [ref] * n, alternates,
            [n > 1] * n, [int(n_copies.max())] * n,
        )  # fmt: skip
        labels = [self.decoder.labels(info, k, n) for k in range(n)] if self.info else []
        return SiteBlock(alleles, calls, labels)

    def _values(self, text: bytes, row: list[int], at: int, n_alternates: int, where: str) -> np.ndarray:
        """Numbers of the entry, (n_samples, most of them), NaN where there are fewer or none."""
        most = {"DS": n_alternates, "HDS": 2 * n_alternates}.get(
            self.field, (n_alternates + 1) * (n_alternates + 2) // 2
        )
        values = np.full((len(self.samples), most), np.nan)
        end = parse_numbers(np.frombuffer(text, dtype=np.uint8), row[N_FIXED] + 1, at, values)
        if end != row[-1]:
            sample = self.samples[min(-1 - end, len(self.samples) - 1)] if end < 0 else self.samples[-1]
            raise InputError(
                f"{where}: sample {sample} has no {self.field} that can be read (up to {most} numbers "
                "separated by commas), or the record has another number of samples than the header; mend it"
            )
        return values

    def _copies(self, values: np.ndarray, n_alternates: int, where: str) -> tuple[np.ndarray, np.ndarray]:
        """Expected copies (n_alternates, n_samples) and the ploidy that the numbers tell (n_samples,)."""
        n_given = (~np.isnan(values)).sum(axis=1)
        two = np.full(len(values), 2)
        if self.field == "DS":
            return values.T, two
        if self.field == "HDS":
            both = values.reshape(len(values), -1, n_alternates)
            ploidy = np.where(n_given == n_alternates, 1, 2)
            copies = np.where((n_given > 0)[:, None], np.nansum(both, axis=1), np.nan)
            return copies.T, ploidy
        n_haploid = n_alternates + 1
        ploidy = np.where(n_given == n_haploid, 1, 2)
        copies = np.full((len(values), n_alternates), np.nan)
        for n, chosen in ((1, n_given == n_haploid), (2, n_given == values.shape[1])):
            if chosen.any():
                given = values[chosen, : n_haploid if n == 1 else None]
                names = np.array(self.decoder.samples, dtype=object)[chosen]
                check_probabilities(where, names, given)
                copies[chosen] = expected_copies(given, n_haploid, n)
        return copies.T, ploidy


def _ploidy(codes: np.ndarray) -> np.ndarray:
    """Ploidy that packed codes (n_samples,) tell; of a call that is missing that of most others."""
    haploid, called = codes >> 4 == NO_ALLELE, codes & 15 != MISSING_ALLELE
    other = 1 if (haploid & called).any() and not (called & ~haploid).any() else 2
    return np.where(called & haploid, 1, np.where(called, 2, other))
