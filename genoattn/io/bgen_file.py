"""BGEN, through the package bgen: dosages of the alleles behind the first, which is the reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genoattn.errors import InputError
from genoattn.io.alleles import Alleles, in_region
from genoattn.io.dosages import as_calls, check_probabilities, doubled, expected_copies
from genoattn.io.genotype_records import join_blocks
from genoattn.io.source import GenotypeSource, SiteBlock
from genoattn.io.text import check_file, read_lines

_RECORDS = 64  # in a block


class BgenFile(GenotypeSource):
    """Dosages of a BGEN, version 1.1 to 1.3, whose samples are those of the file or of a .sample beside."""

    def __init__(self, path: Path, region: str | None = None, haploid: str = "double") -> None:
        from bgen import BgenReader

        check_file(path)
        self._double, self._n_haploid = haploid == "double", 0
        try:
            self._file = BgenReader(path, delay_parsing=True)
        except ValueError as error:
            raise InputError(f"{path}: not a BGEN, or damaged: {error}; copy or download it again") from error
        super().__init__(path, _samples(path, self._file), region=region)
        if self._file.header.has_sample_ids and list(self._file.samples) != list(self.samples):
            self.notes.append(f"names of samples from {path.stem}.sample; those in the .bgen are others")
        self.dosages = "probabilities"
        self.notes.append("effect allele: those behind the first of each record, which is the reference")

    def log(self) -> list[str]:
        """What was found, one readable line each."""
        count = "0 to 2" if self._double else "0 to 1"
        line = f"{self._n_haploid} haploid calls among diploid ones count {count} copies; give sex as a "
        return [*self.notes, *([f"{line}covariate"] if self._n_haploid else [])]

    def blocks(self, kept: np.ndarray | None = None) -> Iterator[SiteBlock]:
        """The sites in file order, with the calls of the samples at ``kept``, None for all."""
        samples = self.samples if kept is None else [self.samples[i] for i in kept]
        try:
            chosen = in_region(self.region, self._file.chroms(), self._file.positions(), self.path)
            parts = []
            for number, record in enumerate(self._file):
                if self.region is not None and number not in chosen:
                    continue
                self.n_records += 1
                parts.append(self._sites(record, number + 1, samples, kept))
                if len(parts) == _RECORDS:
                    yield join_blocks(parts, len(samples))
                    parts = []
        except (ValueError, OSError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{self.path}: truncated or corrupt after record {self.n_records}: {error}; copy it again"
            ) from error
        if parts:
            yield join_blocks(parts, len(samples))

    def _sites(self, record: Any, number: int, samples: Sequence[str], kept: np.ndarray | None) -> SiteBlock:
        where = f"{self.path}, record {number} ({record.chrom}:{record.pos})"
        probabilities, ploidy = np.asarray(record.probabilities, dtype=np.float64), np.asarray(record.ploidy)
        if kept is not None:
            probabilities, ploidy = probabilities[kept], ploidy[kept]
        alleles = list(record.alleles)
        copies = np.full((len(samples), len(alleles) - 1), np.nan)
        for n in np.unique(ploidy).tolist():
            own = ploidy == n
            given = probabilities[own]
            if record.is_phased:  # those of each chromosome one after the other
                each = given[:, : n * len(alleles)].reshape(len(given), n, len(alleles))
                copies[own] = each[:, :, 1:].sum(axis=1)
            else:
                n_genotypes = _n_genotypes(len(alleles), n)
                given = given[:, :n_genotypes]
                check_probabilities(
                    where, np.array(samples, dtype=object)[own], np.nan_to_num(given, nan=1 / n_genotypes)
                )
                copies[own] = expected_copies(given, len(alleles), n)
        n_haploid = int((ploidy == 1).sum())
        self._n_haploid += n_haploid if n_haploid < len(ploidy) else 0
        both, n_copies = doubled(copies.T, ploidy.astype(np.int64), self._double)
        several, n_sites = len(alleles) > 2, len(alleles) - 1
        columns = Alleles(
            [number] * n_sites, [record.rsid or record.varid or "."] * n_sites, [record.chrom] * n_sites,
            [int(record.pos)] * n_sites, [alleles[0]] * n_sites, alleles[1:], [several] * n_sites,
            [int(n_copies.max())] * n_sites,
        )  # fmt: skip
        return SiteBlock(columns, as_calls(where, samples, both, n_copies))


def _n_genotypes(n_alleles: int, ploidy: int) -> int:
    from math import comb

    return comb(n_alleles + ploidy - 1, ploidy)


def _samples(path: Path, file: Any) -> list[str]:
    """Names in the .sample beside the file, whose second line gives types and no sample, else in the file."""
    beside = path.with_suffix(".sample")
    if not beside.exists() and file.header.has_sample_ids:
        return list(file.samples)
    if not beside.exists():
        raise InputError(f"{path}: no sample IDs in the file, and no {beside.name} beside it; put it there")
    rows = [line.split() for line in read_lines(beside) if line.strip()]
    if len(rows) != file.header.nsamples + 2:
        raise InputError(
            f"{beside}: {len(rows)} lines, but {path.name} has {file.header.nsamples} samples, which need "
            "two more lines than that; it belongs to another file"
        )
    return [row[1] if len(row) > 1 else row[0] for row in rows[2:]]
