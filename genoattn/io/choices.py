"""Options of ``read`` out of range, or that contradict each other."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from genoattn.errors import InputError

if TYPE_CHECKING:
    from genoattn.io.alignment import Alphabet
    from genoattn.io.variants import VariantColumns


def check_choices(
    maf: float | None, max_missing: float, transform: str, trait_type: str, alphabet: str, haploid: str
) -> None:
    """Raise InputError for an option out of range."""
    if maf is not None and not 0 <= maf <= 0.5:
        raise InputError(f"maf is {maf}; give a minor allele frequency from 0 to 0.5")
    if not 0 <= max_missing <= 1:
        raise InputError(f"max_missing is {max_missing}; give a fraction from 0 to 1")
    choices = {
        "transform": (transform, ("none", "log", "rank")),
        "trait_type": (trait_type, ("auto", "quantitative", "binary")),
        "alphabet": (alphabet, ("auto", "dna", "protein")),
        "haploid": (haploid, ("as-is", "double")),
    }
    for option, (value, allowed) in choices.items():
        if value not in allowed:
            raise InputError(f"{option} is '{value}'; choose one of {', '.join(allowed)}")


def check_covariates(covar: object, like: object, has_phenotype: bool) -> None:
    """Raise InputError where a fitted model's covariates have no table to expand."""
    if like is not None and (has_phenotype or covar is None):
        raise InputError("covariates_like expands covar for prediction; give covar, and no phenotypes")


def variant_columns(
    path: Path,
    sequence: str | None,
    mutation: str | None,
    reference: str | PathLike[str] | None,
    wild_type: str | None,
    alphabet: Alphabet,
) -> VariantColumns | None:
    """Columns of the variants of a table; None for a file that is no table of variants."""
    if sequence is not None and mutation is not None:
        raise InputError(
            f"{path}: sequences in '{sequence}' and mutations in '{mutation}'; give one of the two columns"
        )
    if sequence is None and mutation is None:
        return None
    if mutation is not None and reference is None:
        raise InputError(
            f"{path}: mutations in '{mutation}' without the sequence they are of; give its FASTA as reference"
        )
    from genoattn.io.variants import VariantColumns

    return VariantColumns(
        sequence, mutation, None if reference is None else Path(reference), wild_type, alphabet
    )
