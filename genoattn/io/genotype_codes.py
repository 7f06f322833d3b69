"""VCF genotypes as numbers, each distinct one decoded once to copies, ploidy and what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from genoattn.cohort import MISSING

_MISSING_ALLELE, _NO_ALLELE = 14, 15  # in a packed code, see genoattn.io.record_kernels
# VCF 4.4 allows the phase of the first allele to be written in front of it, hence the leading separator.
_GENOTYPE = re.compile(r"[/|]?(?:\.|\d{1,9})(?:[/|](?:\.|\d{1,9}))*")
_MAX_PLOIDY = 127  # copies are stored as int8


class MalformedGenotypeError(ValueError):
    """A string that is not a genotype."""


def parse_genotype(text: str) -> tuple[int, ...]:
    """Allele indices of a genotype string, phase ignored; -1 for a missing allele."""
    if not _GENOTYPE.fullmatch(text):
        raise MalformedGenotypeError(text)
    alleles = text.lstrip("/|").replace("|", "/").split("/")
    if len(alleles) > _MAX_PLOIDY:
        raise MalformedGenotypeError(text)
    return tuple(MISSING if allele == "." else int(allele) for allele in alleles)


def _unpacked(code: int) -> tuple[int, ...]:
    """The allele indices of a packed code."""
    alleles = (code & 15, code >> 4)
    return tuple(MISSING if a == _MISSING_ALLELE else a for a in alleles if a != _NO_ALLELE)


class GenotypeCodes(dict[str, int]):
    """Genotype strings to codes: packed ones below 256, and above them numbers in the order they are met."""

    def __init__(self) -> None:
        super().__init__()
        self._genotypes = [_unpacked(code) for code in range(256)]
        self._copies: dict[int, np.ndarray] = {}
        self._summary = np.empty((3, 0), dtype=np.int64)

    def __missing__(self, text: str) -> int:
        self._genotypes.append(parse_genotype(text))
        self[text] = len(self._genotypes) - 1
        self._copies.clear()
        return self[text]

    def encode(self, texts: Iterable[str]) -> np.ndarray:
        """The codes of genotype strings, shape (n_samples,)."""
        return np.array([self[text] for text in texts], dtype=np.intp)

    def copies(self, allele: int) -> np.ndarray:
        """Copies of ``allele`` by code, shape (n_codes,), int8.

        -1 where any allele of the genotype is missing: half a genotype (``./1``) does not say how many
        copies there are.
        """
        if allele not in self._copies:
            table = [MISSING if MISSING in g else g.count(allele) for g in self._genotypes]
            self._copies[allele] = np.array(table, dtype=np.int8)
        return self._copies[allele]

    def _table(self) -> np.ndarray:
        """Shape (3, n_codes): largest allele index, ploidy (0 if not called in full), half-missing or not."""
        if self._summary.shape[1] != len(self._genotypes):
            rows = [
                (max(g, default=MISSING), 0 if MISSING in g else len(g), MISSING in g and max(g) > MISSING)
                for g in self._genotypes
            ]
            self._summary = np.array(rows, dtype=np.int64).T
        return self._summary

    @property
    def largest_allele(self) -> np.ndarray:
        """The largest allele index by code, shape (n_codes,); -1 where all are missing."""
        return self._table()[0]

    @property
    def ploidy(self) -> np.ndarray:
        """Ploidy by code of genotypes called in full, shape (n_codes,); 0 for the others.

        Missing calls do not count: tools write ``./.`` for a missing haploid call too.
        """
        return self._table()[1]

    @property
    def half_missing(self) -> np.ndarray:
        """Whether some, but not all, alleles are missing, by code, shape (n_codes,), 0 or 1."""
        return self._table()[2]
