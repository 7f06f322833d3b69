"""Files in, a Cohort out: ``read`` knows the formats, matches tables by sample ID and filters sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genoattn.cohort import ENVIRONMENT, Cohort, Covariates, Haploid
from genoattn.errors import InputError
from genoattn.io.alphabets import Alphabet
from genoattn.io.collect import Duplicates, collect_cohort
from genoattn.io.covariates import check_table_column
from genoattn.io.dosages import DosageField
from genoattn.io.duplicates import merge_duplicates
from genoattn.io.environments import Environment, check_environments
from genoattn.io.filters import SiteFilter, check_limits, filter_sites, with_log
from genoattn.io.formats import FormatOptions, is_alignment, open_genotypes, read_aligned
from genoattn.io.matching import SampleTables, match_samples
from genoattn.io.measurements import MeasurementColumns
from genoattn.io.phenotypes import TraitType, Transform
from genoattn.io.site_features import match_features
from genoattn.io.source import GenotypeSource
from genoattn.io.tables import SampleTable, read_table
from genoattn.io.variants import VariantColumns, read_variants
from genoattn.streams import forget_copies

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read", "with_environments"]


def read(
    path: str | PathLike[str] | Any,
    pheno: str | PathLike[str] | pd.DataFrame | None = None,
    trait: str | None = None,
    covar: str | PathLike[str] | pd.DataFrame | None = None,
    *,
    region: str | None = None,
    maf: float | None = None,
    max_missing: float = 0.1,
    transform: Transform = "none",
    trait_type: TraitType = "auto",
    sequence_column: str | None = None,
    mutation_column: str | None = None,
    reference: str | PathLike[str] | None = None,
    wild_type: str | None = None,
    variance_column: str | None = None,
    se_column: str | None = None,
    replicate_columns: Sequence[str] = (),
    strict: bool = False,
    average: bool = True,
    alphabet: Alphabet = "auto",
    features: str | PathLike[str] | pd.DataFrame | None = None,
    info: Sequence[str] = (),
    haploid: Haploid = "double",
    filters: bool = True,
    duplicates: Duplicates = "keep",
    dosage_field: DosageField | None = None,
    covariates_like: Covariates | None = None,
    environment: str | Sequence[str | Environment] | None = None,
) -> Cohort:
    """Read genotypes or aligned sequences, with a phenotype and covariates, as a cohort.

    Parameters
    ----------
    path
        VCF or BCF, PLINK 1 ``.bed``, PLINK 2 ``.pgen`` or the prefix of one, BGEN, VCF Zarr ``.vcz``, or
        aligned sequences (FASTA, A2M, Clustal or Stockholm, also compressed), told apart by suffix, and
        alignments by their first line; a data set of sgkit (xarray) with ``call_genotype``; or, with
        ``sequence_column`` or ``mutation_column``, a table of variants. Of PLINK 1 copies of A1 are counted.
    pheno
        Table of phenotypes with an ``IID`` or ``sample`` column, also ``FID``: TSV, CSV, Parquet or a pandas
        DataFrame (IDs in a column or the index); None (prediction) for no phenotype. For a table of variants
        it may be that table itself.
    trait
        Its column to use; needed if there are several. Of a table of variants where there is no ``pheno``.
    covar
        Table of covariates as ``pheno``, all of whose columns are used: numbers as they are, words as
        dummies.
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
    sequence_column
        Column of a table of variants that holds their sequences, aligned. Without an ``IID`` or ``sample``
        column the sequence is the ID.
    mutation_column
        Column of a table of variants that holds mutation strings (``A24G:T30S``, ``p.Ala24Gly``,
        ``c.[76A>C;83G>C]``; ``WT``, ``_wt`` or ``=`` for the wild type), counted from 1 in the sequence of
        ``reference``.
    reference
        FASTA of one record, the wild type of a table of variants; of an alignment as ``wild_type``.
    wild_type
        Name of the sequence (record, ID) whose residues are state 0 of every site, what the reference gauge
        compares with. If None the sequence of ``reference``, else the first one.
    variance_column, se_column
        Columns of the phenotype table: variance or standard error of each measurement. Samples without it are
        dropped; under ``log`` it is carried over by the delta method.
    replicate_columns
        Columns of the phenotype table instead of a trait, whose mean is the trait; for the variance of that
        mean see :func:`genoattn.io.measurements.replicate_means`.
    strict
        Refuse a record that cannot be used (no GT, an allele that is not listed; a variant that is no
        sequence of the reference's length), instead of leaving it out, and a sequence that occurs more than
        once with different values, instead of averaging them.
    average
        Whether a sequence that occurs more than once is kept once, at its mean; False keeps all samples, as
        counts have to be.
    alphabet
        Letters of sequences: ``dna``; ``diploid``, DNA in which R Y S W K M are heterozygotes, states of
        their own; ``protein``; ``symbols``, letters and digits such as 0 and 1; or ``auto``, which the suffix
        or the letters tell. For prediction that of the model, its ``alphabet``.
    features
        Table of features of the sites (gene, region, consequence), with a column ``site``: ID, chrom:pos or
        alignment column.
    info
        INFO entries of a VCF that are features of its sites.
    haploid
        What a haploid call among diploid ones (chrX of males) counts: ``double``, 0 or 2 copies, as PLINK
        files hold it and as dosage compensation has it; ``as-is``, 0 or 1. Sites where all calls are haploid
        (chrY, mitochondria) count 0 or 1, pseudo-autosomal ones as any diploid site. Give sex as a covariate.
    duplicates
        Of records that name the same site (position and alleles) again: ``keep`` one where the calls are the
        same, else both, which are never tested as a pair; ``error`` refuses them. Records without a position
        (0, or chromosome 0) are different sites if their IDs differ.
    dosage_field
        Entry of a VCF or BCF whose numbers are the expected copies, for imputed genotypes: ``DS``, ``GP`` or
        ``HDS``; of a .pgen any of them reads its dosages. A BGEN has dosages in any case. None is hard calls.
    filters
        False keeps every site, also monomorphic ones: what prediction needs.
    covariates_like
        Covariates of a fitted model, to expand ``covar`` as they were; with ``pheno=None`` only.
    environment
        Columns of ``covar`` that are environments, with which sites may interact: sites of their own behind
        those of the genome, on the chromosome ``environment``. Words and numbers of two values are
        indicators of their levels but the first; other numbers are counted in standard deviations from their
        lowest value. For prediction those of the model, its ``environments``.

    Returns
    -------
    The samples with everything asked for, in the order of the genotype file; ``log`` says what was dropped.

    Raises
    ------
    InputError
        A mistake in the input: where, what was found, what to do.

    Examples
    --------
    >>> import genoattn
    >>> import pandas as pd
    >>> from itertools import product
    >>> rows = [("".join(s), s.count("C") + 2 * (s[:2] == ("C", "C"))) for s in product("AC", repeat=6)]
    >>> pd.DataFrame(rows, columns=["variant", "fitness"]).to_csv("landscape.csv", index=False)
    >>> genoattn.read("landscape.csv", trait="fitness", sequence_column="variant")
    Cohort(64 samples x 6 sites, sequence, trait fitness, 0 covariates)
    """
    dataset = None if isinstance(path, str | PathLike) else path
    path = Path(path) if isinstance(path, str | PathLike) else Path("data set of genotypes")
    named = {"genotypes": path, "phenotypes": pheno, "covariates": covar, "features": features}
    named["reference"] = reference if sequence_column or mutation_column else None
    forget_copies(*(Path(p) for p in named.values() if isinstance(p, str | PathLike)))
    _check_choices(maf, max_missing, transform, trait_type, alphabet, haploid, duplicates)
    how = FormatOptions(region, tuple(info), haploid, reference, wild_type, alphabet, strict, dosage_field)
    variants = variant_columns(path, sequence_column, mutation_column, how)
    columns = MeasurementColumns(trait, variance_column, se_column, tuple(replicate_columns))
    source, own_table = None, None
    if variants is not None:
        cohort, read_what, own_table = read_variants(path, variants)
    elif dataset is None and is_alignment(path):
        cohort, read_what = read_aligned(path, how)
    else:
        source = open_genotypes(path, how, dataset)
    table = phenotype_table(path, pheno, own_table, columns)
    _check_like(covariates_like, table, covar)
    covariates = None if covar is None else read_table(covar, "covariate table")
    kinds = transform, trait_type, covariates_like, _environments(environment, covar, path, source is None)
    tables = SampleTables(table, covariates, columns, *kinds)
    limits = SiteFilter.of("sequence" if source is None else "genotype", maf, max_missing)
    if source is not None:
        cohort = _genotypes(source, tables, limits if filters else None, duplicates)
    else:
        cohort = merge_duplicates(with_tables(cohort, tables), path, strict, average)
        cohort = filter_sites(cohort, read_what, limits if filters else None, path)
    if features is not None:
        cohort = match_features(cohort, features)
    return replace(cohort, source=_inputs(named), haploid=haploid)


def _genotypes(
    source: GenotypeSource, tables: SampleTables, limits: SiteFilter | None, duplicates: Duplicates
) -> Cohort:
    """The samples of a file of genotypes with everything in the tables; only their calls are read."""
    match = match_samples(source.samples, source.families, tables)
    kept = None if match.keep.all() else np.flatnonzero(match.keep)
    found = {"phenotype": match.phenotype, "covariates": match.covariates}
    cohort = collect_cohort(source, kept, limits, duplicates, log=match.log, flow=match.flow, **found)
    if cohort.sites.is_environment.any():
        raise InputError(
            f"{source.path}: a chromosome is called {ENVIRONMENT}, as only environments are; rename it with "
            "bcftools annotate --rename-chrs"
        )
    return match.complete(cohort)


def with_environments(
    cohort: Cohort,
    table: str | PathLike[str] | pd.DataFrame,
    names: str | Sequence[str | Environment],
) -> Cohort:
    """The samples of a cohort of genotypes that have environments in a table, with these as sites.

    Parameters
    ----------
    cohort
        Genotypes, with or without a phenotype; its covariates stay.
    table
        Sample IDs in a column ``IID`` or ``sample``, or the index of a frame, and the environments.
    names
        Columns of it, as ``environment`` of :func:`genoattn.read`, or the ``environments`` of a model; other
        columns are not used.

    Raises
    ------
    InputError
        Where the table has no such column, or one of a single value, or nothing tells it from a covariate.

    Examples
    --------
    >>> import genoattn
    >>> import pandas as pd
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=100, n_sites=10, linkage="none", n_terms=1, seed=1).cohort
    >>> medium = pd.Series(["glucose", "glycerol"] * 50, index=cohort.samples, name="medium")
    >>> genoattn.with_environments(cohort, medium.to_frame(), "medium")
    Cohort(100 samples x 11 sites, genotype, trait trait, 0 covariates)
    """
    chosen = _environments(names, table, Path("cohort"), cohort.kind == "sequence")
    rows = read_table(table, "table of environments")
    tables = SampleTables(None, rows, environments=chosen)
    for name in tables.environment_names:
        check_table_column(rows, name, "environment")
    columns = {name: rows.columns[name] for name in tables.environment_names}
    tables = replace(tables, covariates=replace(rows, columns=columns))
    match = match_samples(cohort.samples, cohort.families, tables)
    kept = cohort if match.keep.all() else cohort.select_samples(match.keep)
    if kept.covariates is not None:
        check_environments(rows, match.environments, match.calls, kept.covariates)
    return match.complete(with_log(kept, *match.log, flow=match.flow))


def with_tables(cohort: Cohort, tables: SampleTables) -> Cohort:
    """The samples of a cohort with everything in the tables."""
    match = match_samples(cohort.samples, cohort.families, tables)
    kept = cohort if match.keep.all() else cohort.select_samples(match.keep)
    matched = replace(kept, phenotype=match.phenotype, covariates=match.covariates)
    return with_log(matched, *match.log, flow=match.flow)


def _environments(
    chosen: str | Sequence[str | Environment] | None, covar: object, path: Path, is_sequence: bool
) -> tuple[str | Environment, ...]:
    """Columns that are environments, each once."""
    every = (chosen,) if isinstance(chosen, str) else tuple(chosen or ())
    if every and covar is None:
        raise InputError("an environment is a column of the covariate table; give that with covar")
    if every and is_sequence:
        raise InputError(
            f"{path}: environments go with genotypes, and these are sequences; write the environment as one "
            "more letter of each sequence"
        )
    return tuple(dict.fromkeys(every))


def _inputs(named: Mapping[str, str | PathLike[str] | pd.DataFrame | None]) -> dict[str, str]:
    """Paths of inputs by role; a DataFrame has none."""
    return {
        role: str(source) if isinstance(source, str | PathLike) else f"DataFrame of {role}"
        for role, source in named.items()
        if source is not None
    }


def _check_like(like: Covariates | None, table: SampleTable | None, covar: object) -> None:
    if like is not None and (table is not None or covar is None):
        raise InputError("covariates_like expands covar for prediction; give covar, and no phenotypes")


def _check_choices(
    maf: float | None,
    max_missing: float,
    transform: str,
    trait_type: str,
    alphabet: str,
    haploid: str,
    duplicates: str,
) -> None:
    check_limits(maf, max_missing)
    choices = {
        "transform": (transform, ("none", "log", "rank")),
        "trait_type": (trait_type, ("auto", "quantitative", "binary")),
        "alphabet": (alphabet, ("auto", "dna", "diploid", "protein", "symbols")),
        "haploid": (haploid, ("as-is", "double")),
        "duplicates": (duplicates, ("keep", "error")),
    }
    for option, (value, allowed) in choices.items():
        if value not in allowed:
            raise InputError(f"{option} is '{value}'; choose one of {', '.join(allowed)}")


def variant_columns(
    path: Path, sequence: str | None, mutation: str | None, options: FormatOptions
) -> VariantColumns | None:
    """Columns of the variants of a table; None for a file that is no table of variants."""
    if sequence is not None and mutation is not None:
        raise InputError(
            f"{path}: sequences in '{sequence}' and mutations in '{mutation}'; give one of the two columns"
        )
    if sequence is None and mutation is None:
        return None
    if options.region is not None or options.info:
        raise InputError(f"{path}: a table of variants has no regions and no INFO entries; leave them out")
    fasta = None if options.reference is None else Path(options.reference)
    if mutation is not None and fasta is None:
        raise InputError(
            f"{path}: mutations in '{mutation}' without the sequence they are of; give its FASTA as reference"
        )
    return VariantColumns(sequence, mutation, fasta, options.wild_type, options.alphabet, options.strict)


def phenotype_table(
    path: Path,
    pheno: str | PathLike[str] | pd.DataFrame | None,
    own: SampleTable | None,
    columns: MeasurementColumns,
) -> SampleTable | None:
    """The table that has the phenotypes; None where none were asked for."""
    is_own = Path(pheno) == path if isinstance(pheno, str | PathLike) else pheno is None and columns.any
    if own is not None and is_own:
        return own
    if pheno is not None:
        return read_table(pheno, "phenotype table")
    if columns.trait is not None:
        raise InputError(f"trait '{columns.trait}' without a table; give the phenotypes too")
    if columns.any:
        raise InputError("columns of measurements without a table; give the phenotypes too")
    return None
