"""Alleles that the records of one place list, and names of chromosomes that mean the same."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from genoattn.cohort import Sites

# Names that stand for no allele in particular: none seen (VCF, PLINK), any other (GATK, bcftools), a deletion
# that spans the place.
_UNNAMED = frozenset({".", "0", "*", "<*>", "<NON_REF>"})


@dataclass(frozen=True, eq=False)
class RecordAlleles:
    """The alternate alleles of a reference allele at one place of a cohort, of one record or several."""

    ref: str
    # The columns of calls that count each alternate allele, in file order: several where records differ.
    columns: dict[str, list[int]]

    @classmethod
    def of(cls, sites: Sites, index: list[int]) -> "list[RecordAlleles]":
        """The alleles of the sites at ``index``, one place, by reference allele."""
        by_ref: dict[str, dict[str, list[int]]] = {}
        for k in index:
            by_ref.setdefault(sites.ref[k], {}).setdefault(sites.alt[k], []).append(k)
        return [cls(ref, columns) for ref, columns in by_ref.items()]

    @property
    def first(self) -> int:
        """Its first column."""
        return next(iter(self.columns.values()))[0]

    @property
    def named(self) -> set[str]:
        """The alleles whose sequence it gives."""
        return {self.ref, *self.columns} - _UNNAMED

    def has(self, *alleles: str) -> bool:
        """Whether all of ``alleles`` are listed."""
        return {self.ref, *self.columns}.issuperset(alleles)

    def is_within(self, ref: str, known: set[str]) -> bool:
        """Whether all that is listed are ``known`` alleles of the reference allele ``ref``.

        Of another reference allele only where all have one length: the first base of a deletion is no
        deletion.
        """
        same_length = len({len(allele) for allele in known}) == 1
        return bool(self.named) and self.named <= known and (self.ref == ref or same_length)


def same_chromosomes(own: Iterable[str], model: Iterable[str]) -> dict[str, str]:
    """The model's name of each chromosome of a cohort: the same, or alike but for the prefix ``chr``.

    Where two names of either differ by the prefix alone, only equal names are the same chromosome.
    """
    theirs, ours = dict.fromkeys(own), dict.fromkeys(model)
    n_own, n_model = (Counter(map(_bare, names)) for names in (theirs, ours))
    by_bare = {_bare(name): name for name in ours}
    return {
        name: by_bare[_bare(name)]
        if name not in ours and n_own[_bare(name)] == 1 and n_model[_bare(name)] == 1
        else name
        for name in theirs
    }


def _bare(chromosome: str) -> str:
    return chromosome[3:] if chromosome.lower().startswith("chr") else chromosome
