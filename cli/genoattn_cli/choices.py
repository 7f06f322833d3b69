"""Words that options take."""

from __future__ import annotations

from enum import StrEnum


class GaugeName(StrEnum):
    """Convention that makes coefficients unique."""

    reference = "reference"
    zero_sum = "zero-sum"
    frequency = "frequency"


class TransformName(StrEnum):
    """Transformation of a quantitative trait."""

    none = "none"
    log = "log"
    rank = "rank"


class TraitType(StrEnum):
    """How the values of a trait are taken."""

    auto = "auto"
    quantitative = "quantitative"
    binary = "binary"


class EncodingName(StrEnum):
    """Columns of the model."""

    auto = "auto"
    dosage = "dosage"
    genotype = "genotype"
    sequence = "sequence"


class AlphabetName(StrEnum):
    """Letters of aligned sequences."""

    auto = "auto"
    dna = "dna"
    diploid = "diploid"
    protein = "protein"
    symbols = "symbols"


class HaploidName(StrEnum):
    """Copies that a haploid call among diploid ones counts."""

    double = "double"
    as_is = "as-is"


class DosageFieldName(StrEnum):
    """Entries of a VCF that hold dosages, and that of hard calls."""

    GT = "GT"
    DS = "DS"
    GP = "GP"
    HDS = "HDS"


class DuplicatesName(StrEnum):
    """What becomes of records that name one site again."""

    keep = "keep"
    error = "error"


class MatchName(StrEnum):
    """What sites of genotypes match by."""

    position = "position"
    id = "id"


class Precision(StrEnum):
    """Floating-point numbers of a training."""

    single = "32"
    double = "64"
    half_mixed = "16-mixed"
    bfloat16_mixed = "bf16-mixed"
