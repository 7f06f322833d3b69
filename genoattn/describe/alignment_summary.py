"""Aligned sequences, from a file of them or from a table of variants, counted."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from genoattn.cohort import MISSING, Cohort
from genoattn.describe.summaries import AlignmentSummary, KeptSummary, SampleSummary
from genoattn.io import phenotype_table, with_tables
from genoattn.io.alignment_files import read_reference
from genoattn.io.alphabets import GAP, alphabet_of_name
from genoattn.io.duplicates import merge_duplicates
from genoattn.io.filters import SiteFilter, SiteTally, summarise_sites
from genoattn.io.formats import FormatOptions, read_aligned
from genoattn.io.matching import SampleTables
from genoattn.io.measurements import MeasurementColumns
from genoattn.io.tables import read_table
from genoattn.io.variants import VariantColumns, read_variants

_OFTEN_MISSING = 0.1

TableName = str | PathLike[str] | None


def describe_alignment(
    path: Path,
    options: FormatOptions,
    variants: VariantColumns | None,
    tables: tuple[TableName, str | None, TableName],
    limits: SiteFilter,
) -> tuple[SampleSummary, AlignmentSummary, KeptSummary, list[str]]:
    """Sequences, what is kept of them with the tables, and what was found while reading.

    ``variants`` are the columns of a table of variants; ``tables`` phenotypes, trait and covariates.
    """
    pheno, trait, covar = tables
    own = None
    if variants is None:
        cohort, _ = read_aligned(path, options)
    else:
        cohort, _, own = read_variants(path, variants)
    columns = MeasurementColumns(trait)
    phenotypes = phenotype_table(path, pheno, own, columns)
    covariates = None if covar is None else read_table(covar, "covariate table")
    used = merge_duplicates(
        with_tables(cohort, SampleTables(phenotypes, covariates, columns)), path, strict=False
    )
    tally = SiteTally(limits, used.n_samples)
    tally.keep(summarise_sites("sequence", used.calls, used.sites.n_states))
    kept = KeptSummary(
        n_samples_in_file=cohort.n_samples,
        n_samples=used.n_samples,
        samples=used.log[len(cohort.log) :],
        maf=limits.maf,
        max_missing=limits.max_missing,
        n_sites_in_file=cohort.n_sites,
        n_sites=tally.n_kept,
        n_monomorphic=tally.n_monomorphic,
        n_over_missing=tally.n_missing,
        n_rare=tally.n_rare,
        n_repeated=0,
    )
    samples = SampleSummary(cohort.n_samples, tuple(map(str, cohort.samples[:3])), None)
    reference = _reference_name(cohort, options, variants)
    return samples, _summary(cohort, _alphabet_reason(path, options), reference), kept, list(cohort.log)


def _summary(cohort: Cohort, reason: str, reference: str) -> AlignmentSummary:
    frame, calls = cohort.sites.frame, cohort.calls
    sites = summarise_sites("sequence", calls, cohort.sites.n_states)
    assert frame is not None
    gap = np.array([own.index(GAP) if GAP in own else len(own) for own in cohort.sites.states])
    missing = 1 - sites.n_called / cohort.n_samples
    return AlignmentSummary(
        n_sequences=cohort.n_samples,
        n_columns=cohort.n_sites,
        alphabet=frame.alphabet,
        alphabet_reason=reason,
        reference=reference,
        n_variable=int(sites.varies.sum()),
        n_repeated=cohort.n_samples - len(np.unique(calls, axis=0)),
        gap_fraction=float((calls == gap).mean()),
        missing_fraction=float((calls == MISSING).mean()),
        n_columns_over=int((missing > _OFTEN_MISSING).sum()),
    )


def _alphabet_reason(path: Path, options: FormatOptions) -> str:
    if options.alphabet != "auto":
        return "asked for"
    reference = None if options.reference is None else Path(options.reference)
    return "from the letters" if alphabet_of_name(path, reference) is None else "from the suffix"


def _reference_name(cohort: Cohort, options: FormatOptions, variants: VariantColumns | None) -> str:
    """The sequence that the reference gauge compares with, as :func:`genoattn.read` chooses it."""
    if options.wild_type is not None:
        return options.wild_type
    if options.reference is None:
        return str(cohort.samples[0])
    return str(options.reference) if variants is None else read_reference(Path(options.reference))[0]
