"""Dosages: expected copies of an allele, from probabilities of genotypes or as they are given."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from genoattn.cohort import MISSING
from genoattn.errors import InputError

DosageField = Literal["GT", "DS", "GP", "HDS"]  # GT: hard calls
# Probabilities are written to two or three digits.
_SLACK = 0.02


@lru_cache
def genotype_copies(n_alleles: int, ploidy: int) -> np.ndarray:
    """Copies of each allele in each genotype, (n_genotypes, n_alleles), in the order of VCF and BGEN.

    Genotypes are ordered by their largest allele, then by the next (VCF 4.4, section 1.6.2, "GP").
    """
    genotypes = combinations_with_replacement(range(n_alleles), ploidy)
    ordered = sorted(genotypes, key=lambda genotype: genotype[::-1])
    return np.array([[genotype.count(a) for a in range(n_alleles)] for genotype in ordered], dtype=float)


def expected_copies(probabilities: np.ndarray, n_alleles: int, ploidy: int) -> np.ndarray:
    """Expected copies of each alternate allele, (n_samples, n_alleles - 1), NaN where missing.

    ``probabilities``: (n_samples, n_genotypes), those of samples of one ploidy.
    """
    copies: np.ndarray = probabilities @ genotype_copies(n_alleles, ploidy)[:, 1:]
    return copies


def check_probabilities(where: str, samples: Sequence[str], probabilities: np.ndarray) -> None:
    """Raise InputError where probabilities (n_samples, n_genotypes) are none, or do not add up to 1."""
    total = probabilities.sum(axis=1)
    wrong = (np.abs(total - 1) > _SLACK) | (probabilities < -_SLACK).any(axis=1)
    if wrong.any():
        i = int(np.argmax(wrong))
        found = ", ".join(f"{p:g}" for p in probabilities[i])
        raise InputError(
            f"{where}: the probabilities of sample {samples[i]} are {found}, which do not add up to 1; "
            "correct them or set them to missing"
        )


def as_calls(where: str, samples: Sequence[str], copies: np.ndarray, ploidy: np.ndarray) -> np.ndarray:
    """Copies (n_sites, n_samples), NaN where missing, as calls: float32, -1 where missing.

    ``ploidy``: (n_samples,), the most that a sample can have.
    """
    wrong = (copies > ploidy + _SLACK) | (copies < -_SLACK)  # False where missing
    if wrong.any():
        site, i = np.argwhere(wrong)[0]
        raise InputError(
            f"{where}: sample {samples[i]} has a dosage of {copies[site, i]:g} at a site of ploidy "
            f"{ploidy[i]}; correct it, or check that the field holds copies of the alternate allele"
        )
    kept = np.clip(copies, 0, ploidy)
    return np.where(np.isnan(kept), MISSING, kept).astype(np.float32)


def doubled(copies: np.ndarray, ploidy: np.ndarray, double: bool) -> tuple[np.ndarray, np.ndarray]:
    """Copies (n_sites, n_samples) and ploidy (n_samples,) with haploid samples among diploid ones doubled."""
    haploid = ploidy == 1
    if double and haploid.any() and not haploid.all():
        return np.where(haploid, 2 * copies, copies), np.full_like(ploidy, 2)
    return copies, ploidy


def check_field(path: Path, field: str | None) -> None:
    """Raise InputError for a field that does not hold dosages."""
    if field is not None and field not in get_args(DosageField):
        raise InputError(
            f"{path}: dosage_field is '{field}'; choose one of {', '.join(get_args(DosageField))}"
        )
