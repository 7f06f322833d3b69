"""VCF genotype strings (``0/1``, ``1|0|.``) to copies of an allele, each distinct string parsed once."""

import re
from collections.abc import Sequence

import numpy as np

from genoattn.cohort import MISSING

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


class GenotypeCodes(dict[str, int]):
    """Genotype strings numbered as they are met, with what each number means.

    A file has millions of calls and a handful of distinct strings, so reading a record is one dictionary
    look-up a sample, and counting an allele is one indexing of a small table.
    """

    def __init__(self) -> None:
        super().__init__()
        self._genotypes: list[tuple[int, ...]] = []
        self._copies: dict[int, np.ndarray] = {}
        self._summary = np.empty((3, 0), dtype=np.int64)

    def __missing__(self, text: str) -> int:
        self._genotypes.append(parse_genotype(text))
        self[text] = len(self._genotypes) - 1
        self._copies.clear()
        return self[text]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The codes of genotype strings, shape (n_samples,)."""
        return np.fromiter(map(self.__getitem__, texts), dtype=np.intp, count=len(texts))

    def copies(self, codes: np.ndarray, allele: int) -> np.ndarray:
        """Copies of ``allele`` in each genotype, shape (n_samples,), int8.

        -1 where any allele of the genotype is missing: half a genotype (``./1``) does not say how many
        copies there are.
        """
        if allele not in self._copies:
            table = [MISSING if MISSING in g else g.count(allele) for g in self._genotypes]
            self._copies[allele] = np.array(table, dtype=np.int8)
        return self._copies[allele][codes]

    def _table(self) -> np.ndarray:
        """Shape (3, n_codes): largest allele index, ploidy (0 if not called in full), half-missing or not."""
        if self._summary.shape[1] != len(self._genotypes):
            rows = [
                (max(g), 0 if MISSING in g else len(g), MISSING in g and max(g) > MISSING)
                for g in self._genotypes
            ]
            self._summary = np.array(rows, dtype=np.int64).T
        return self._summary

    def largest_allele(self, codes: np.ndarray) -> np.ndarray:
        """The largest allele index of each genotype, shape (n_samples,); -1 where all are missing."""
        return self._table()[0][codes]

    def ploidies(self, codes: np.ndarray) -> np.ndarray:
        """Ploidy of each genotype called in full, shape (n_samples,); 0 for the others.

        Missing calls do not count: tools write ``./.`` for a missing haploid call too.
        """
        return self._table()[1][codes]

    def n_half_missing(self, codes: np.ndarray) -> int:
        """The number of genotypes with some, but not all, alleles missing."""
        return int(self._table()[2][codes].sum())
