"""What every format of genotypes offers: names of samples, and blocks of sites with their copies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from genoattn.cohort import FlowStep
from genoattn.errors import InputError
from genoattn.io.alleles import Alleles


class SiteBlock(NamedTuple):
    """Sites of a file, in its order, with the calls of the samples asked for."""

    alleles: Alleles
    copies: np.ndarray  # (n_alleles, n_kept), int8: copies of the alternate allele, -1 where missing
    labels: Sequence[Sequence[str]] = ()  # of each allele the values of the INFO entries asked for
    # by number of the allele, where calls are haploid among diploid ones and not doubled: (n_kept,), bool
    haploid: Mapping[int, np.ndarray] = MappingProxyType({})


class GenotypeSource(ABC):
    """A file of genotypes whose samples are known and whose calls are yet to be read.

    A new format is a module with a class like this, and a line in :mod:`genoattn.io.formats`.

    Parameters
    ----------
    path
        The file.
    samples
        Names of the samples, unique.
    families
        The family of each; None where the format has none.
    info
        INFO entries whose labels the blocks have.
    region
        To which the records are limited.
    """

    def __init__(
        self,
        path: Path,
        samples: Sequence[str],
        *,
        families: Sequence[str] | None = None,
        info: Sequence[str] = (),
        region: str | None = None,
    ) -> None:
        self.path, self.samples, self.families = path, samples, families
        self.info, self.region = info, region
        self.n_records = 0  # read so far
        self.dosages: str | None = None  # of what entry the calls are dosages; None for hard calls
        self.notes: list[str] = []
        if not samples:
            raise InputError(f"{path}: no samples, the file lists sites only; give a file with genotypes")
        if len(set(samples)) < len(samples):
            name, _ = Counter(samples).most_common(1)[0]
            raise InputError(f"{path}: sample ID '{name}' occurs twice in the header; rename one of them")

    @abstractmethod
    def blocks(self, kept: np.ndarray | None = None) -> Iterator[SiteBlock]:
        """The sites in file order, with the calls of the samples at indices ``kept``, None for all."""

    def log(self) -> list[str]:
        """What was found while reading, one readable line each."""
        return self.notes

    def flow(self) -> list[FlowStep]:
        """Records that could not be used, as counts; empty where all could."""
        return []


@dataclass
class LeftOut:
    """Records that cannot be used, counted by reason; with ``strict`` the first is an error."""

    strict: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, where: str, found: str, cure: str) -> None:
        """Count a record: why in general, which one, what was found in it, and what to do about it."""
        if self.strict:
            raise InputError(f"{where}: {found}; {cure}")
        self.counts[reason] += 1
        self.examples.setdefault(reason, f"{where}: {found}; {cure}")

    def check(self, n_records: int) -> None:
        """Raise the first mistake where no record of several can be used."""
        if n_records and self.counts.total() == n_records:
            raise InputError(next(iter(self.examples.values())))

    def flow(self, n_records: int) -> list[FlowStep]:
        """The counts, where there are any."""
        n_out = self.counts.total()
        return [FlowStep("records", n_records, n_records - n_out, dict(self.counts))] if n_out else []

    def log(self) -> list[str]:
        """One line for each reason."""
        return [
            f"{n} records left out, {reason} (the first: {self.examples[reason]})"
            for reason, n in self.counts.items()
        ]
