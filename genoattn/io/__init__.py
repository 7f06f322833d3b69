"""Files in, a Cohort out: ``read`` knows the formats, matches tables by sample ID and filters sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genoattn.errors import InputError

if TYPE_CHECKING:
    from genoattn.cohort import Cohort, Covariates

__all__ = ["read"]

_VCF = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_FASTA = tuple(stem + gz for stem in (".fasta", ".fa", ".fas", ".faa") for gz in ("", ".gz"))
_SUPPORTED = f"{', '.join((*_VCF, *_FASTA))}, PLINK .bed or its prefix"
_CONVERT = {
    ".vcz": "VCF Zarr is not readable in this version; convert it with: vcztools view FILE.vcz > FILE.vcf",
    ".pgen": "PLINK 2 files are not readable in this version; convert with: plink2 --pfile PREFIX --make-bed",
}


def read(
    path: str | PathLike[str],
    pheno: str | PathLike[str] | None = None,
    trait: str | None = None,
    covar: str | PathLike[str] | None = None,
    *,
    region: str | None = None,
    maf: float | None = None,
    max_missing: float = 0.1,
    transform: Literal["none", "log", "rank"] = "none",
    trait_type: Literal["auto", "quantitative", "binary"] = "auto",
    reference: str | None = None,
    alphabet: Literal["auto", "dna", "protein"] = "auto",
    features: str | PathLike[str] | None = None,
    info: Sequence[str] = (),
    haploid: Literal["as-is", "double"] = "double",
    filters: bool = True,
    covariates_like: Covariates | None = None,
) -> Cohort:
    """Read genotypes or aligned sequences, with a phenotype and covariates, as a cohort.

    Parameters
    ----------
    path
        VCF or BCF, FASTA of aligned sequences, or a PLINK 1 ``.bed`` or its prefix, told apart by suffix.
        PLINK counts copies of A1.
    pheno
        Table of phenotypes with an ``IID`` or ``sample`` column; None (prediction) for no phenotype.
    trait
        Its column to use; needed if there are several.
    covar
        Table of covariates, all of whose columns are used: numbers as they are, words as dummies.
    region
        ``chr:from-to``, 1-based, both ends inside; VCF and BCF need an index.
    maf
        Sites with a lower minor allele frequency are dropped; None is 0.01 for genotypes, 0 for sequences.
    max_missing
        Sites where a larger fraction of the samples lacks a call are dropped.
    transform
        Of a quantitative trait: ``log`` (natural) or ``rank`` (to normal quantiles, Blom).
    trait_type
        ``auto`` takes values in {0, 1} or {1, 2} (2 the case) as binary.
    reference, alphabet
        Of an alignment: the record to compare with (the first if None), and its letters.
    features
        Table of features of the sites (gene, region, consequence), with a column ``site``: ID, chrom:pos or
        alignment column.
    info
        INFO entries of a VCF that are features of its sites.
    haploid
        What a haploid call among diploid ones (chrX of males) counts: ``double``, 0 or 2 copies, as PLINK
        files hold it and as dosage compensation has it; ``as-is``, 0 or 1. Sites where all calls are haploid
        (chrY, mitochondria) count 0 or 1, pseudo-autosomal ones as any diploid site. Give sex as a covariate.
    filters
        False keeps every site, also monomorphic ones: what prediction needs.
    covariates_like
        Covariates of a fitted model, to expand ``covar`` as they were; with ``pheno=None`` only.

    Returns
    -------
    The samples with everything asked for, in the order of the genotype file; ``log`` says what was dropped.

    Raises
    ------
    InputError
        A mistake in the input: where, what was found, what to do.
    """
    _check_options(
        pheno, trait, maf, max_missing, transform, trait_type, alphabet, haploid, covar, covariates_like
    )
    genotypes, read_what = _read_genotypes(Path(path), region, reference, alphabet, tuple(info), haploid)
    cohort = _match(genotypes, pheno, trait, covar, transform, trait_type, covariates_like)
    if features is not None:
        from genoattn.io.features import match_features

        cohort = match_features(cohort, Path(features))
    named = {"genotypes": path, "phenotypes": pheno, "covariates": covar, "features": features}
    cohort = replace(cohort, source={role: str(name) for role, name in named.items() if name is not None})

    from genoattn.io.filters import filter_sites, with_log

    if filters:
        return filter_sites(cohort, read_what, maf, max_missing, Path(path))
    return with_log(cohort, f"read {read_what}, kept all (filters off)")


def _match(
    cohort: Cohort,
    pheno: str | PathLike[str] | None,
    trait: str | None,
    covar: str | PathLike[str] | None,
    transform: Literal["none", "log", "rank"],
    trait_type: Literal["auto", "quantitative", "binary"],
    covariates_like: Covariates | None,
) -> Cohort:
    from genoattn.io.matching import match_covariates, match_phenotype

    table = None if covar is None else Path(covar)
    if pheno is not None:
        return match_phenotype(cohort, Path(pheno), trait, transform, trait_type, table)
    return cohort if table is None else match_covariates(cohort, table, covariates_like)


def _read_genotypes(
    path: Path,
    region: str | None,
    reference: str | None,
    alphabet: Literal["auto", "dna", "protein"],
    info: tuple[str, ...],
    haploid: Literal["as-is", "double"],
) -> tuple[Cohort, str]:
    """The cohort of the genotype file alone, and what was read in words."""
    name = path.name.lower()
    if info and not name.endswith(_VCF):
        raise InputError(f"{path}: INFO entries are for VCF and BCF; give a table of features instead")
    if name.endswith(_FASTA):
        if region is not None:
            raise InputError(f"{path}: an alignment has no regions; leave the region {region} out")
        from genoattn.io.fasta import read_fasta

        return read_fasta(path, reference, alphabet)
    if reference is not None or alphabet != "auto":
        raise InputError(f"{path}: reference and alphabet are for alignments; leave them out")
    if name.endswith(_VCF):
        from genoattn.io.vcf import read_vcf

        return read_vcf(path, region, info, haploid)
    bed = path if name.endswith(".bed") else Path(f"{path}.bed")
    if name.endswith(".bed") or bed.exists():
        from genoattn.io.plink import read_plink

        return read_plink(bed, region, haploid)
    if path.suffix in _CONVERT:
        raise InputError(f"{path}: {_CONVERT[path.suffix]}")
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    raise InputError(f"{path}: unknown suffix '{path.suffix}'; readable are {_SUPPORTED}")


def _check_options(
    pheno: object,
    trait: str | None,
    maf: float | None,
    max_missing: float,
    transform: str,
    trait_type: str,
    alphabet: str,
    haploid: str,
    covar: object,
    covariates_like: Covariates | None,
) -> None:
    """Raise InputError for an option out of range, or one without the file it is about."""
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
    if pheno is None and trait is not None:
        raise InputError(f"trait '{trait}' without a table; give the phenotypes too")
    if covariates_like is not None and (pheno is not None or covar is None):
        raise InputError("covariates_like expands covar for prediction; give covar, and no phenotypes")
