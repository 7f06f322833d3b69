"""describe_file(path) -> FileDescription: what is in a file, and what a fit or scan would use of it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from genoattn.cohort import Haploid
from genoattn.describe.alignment_summary import TableName, describe_alignment
from genoattn.describe.file_kinds import FileKind, find_kind, name_mismatch
from genoattn.describe.summaries import FileDescription, FileType
from genoattn.describe.table_summary import describe_table
from genoattn.errors import InputError
from genoattn.io import variant_columns
from genoattn.io.alphabets import Alphabet
from genoattn.io.dosages import DosageField
from genoattn.io.filters import SiteFilter, check_limits
from genoattn.io.formats import FormatOptions
from genoattn.io.matching import SampleTables
from genoattn.io.measurements import MeasurementColumns
from genoattn.io.tables import read_table
from genoattn.streams import forget_copies

_KINDS: dict[FileType, str] = {
    "genotypes": "genotypes",
    "alignment": "an alignment",
    "variants": "a table of variants",
    "table": "a table, which has no sites to count",
    "run": "an output folder, which has no sites to count",
}
_OF_SEQUENCES = ("sequence_column", "mutation_column", "reference", "wild_type", "alphabet")
_OF_SITES = ("pheno", "trait", "covar", "region", "maf", "dosage_field", *_OF_SEQUENCES)
_USELESS: dict[FileType, tuple[str, ...]] = {
    "genotypes": _OF_SEQUENCES,
    "alignment": ("sequence_column", "mutation_column", "dosage_field"),
    "variants": ("dosage_field",),
    "table": _OF_SITES,
    "run": _OF_SITES,
}


def describe_file(
    path: str | PathLike[str],
    pheno: TableName = None,
    trait: str | None = None,
    covar: TableName = None,
    *,
    region: str | None = None,
    maf: float | None = None,
    max_missing: float = 0.1,
    sequence_column: str | None = None,
    mutation_column: str | None = None,
    reference: TableName = None,
    wild_type: str | None = None,
    alphabet: Alphabet = "auto",
    haploid: Haploid = "double",
    dosage_field: DosageField | None = None,
    complete: bool = False,
) -> FileDescription:
    """What is in a file, and what a fit or scan would use of it.

    Parameters
    ----------
    path
        Genotypes, aligned sequences, a table, or an output folder of genoattn: told by the contents.
    pheno, trait, covar, region, maf, max_missing
        Tables and limits of :func:`genoattn.read`, by which samples and sites are counted.
    sequence_column, mutation_column, reference, wild_type, alphabet
        Of a table of variants or an alignment, as there.
    haploid, dosage_field
        Of genotypes, as there.
    complete
        Whether all records of a very large file are looked at; else the first ones, up to 200 million calls.

    Returns
    -------
    Parts that do not apply to the file are None.

    Raises
    ------
    InputError
        Where the file is none of these, or damaged.

    Examples
    --------
    >>> import genoattn
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"IID": ["a", "b", "c"], "height": [1.5, None, 1.7], "sex": [1, 2, 2]})
    >>> frame.to_csv("traits.csv", index=False)
    >>> table = genoattn.describe_file("traits.csv").table
    >>> [(column.name, column.kind, column.n_missing) for column in table.columns]
    [('IID', 'words', 0), ('height', 'number', 1), ('sex', 'binary', 0)]
    """
    path = Path(path)
    forget_copies(*(Path(p) for p in (path, pheno, covar, reference) if p is not None))
    check_limits(maf, max_missing)
    found = find_kind(path)
    kind: FileType = found.kind
    if kind == "table" and (sequence_column is not None or mutation_column is not None):
        kind = "variants"
    asked = dict(
        pheno=pheno, trait=trait, covar=covar, region=region, maf=maf, dosage_field=dosage_field,
        sequence_column=sequence_column, mutation_column=mutation_column, reference=reference,
        wild_type=wild_type, alphabet=None if alphabet == "auto" else alphabet,
    )  # fmt: skip
    _check_asked(path, kind, asked)
    parts: dict[str, Any] = {}
    limits = SiteFilter.of("genotype" if kind == "genotypes" else "sequence", maf, max_missing)
    options = FormatOptions(region, (), haploid, reference, wild_type, alphabet, dosage_field=dosage_field)
    if kind == "genotypes":
        from genoattn.describe.genotype_summary import describe_genotypes

        tables = _sample_tables(pheno, trait, covar)
        described = describe_genotypes(found, tables, limits, options, complete)
        parts = dict(zip(("samples", "genotypes", "kept", "notes"), described, strict=True))
    elif kind in ("alignment", "variants"):
        variants = variant_columns(path, sequence_column, mutation_column, options)
        sequences = describe_alignment(path, options, variants, (pheno, trait, covar), limits)
        parts = dict(zip(("samples", "alignment", "kept", "notes"), sequences, strict=True))
    elif kind == "run":
        from genoattn.describe.run_summary import describe_run

        parts = {"run": describe_run(found.path)}
    if found.kind == "table":
        parts["table"], lines = describe_table(path)
        parts.setdefault("notes", lines)
    parts["notes"] = tuple(parts.get("notes", ()))
    mismatch = name_mismatch(path, found)
    return FileDescription(
        str(found.path), kind, found.format, found.compression, _index(found), mismatch, **parts
    )


def _check_asked(path: Path, kind: FileType, asked: dict[str, Any]) -> None:
    """Raise InputError for options that mean nothing for a file of this kind."""
    useless = [name for name, value in asked.items() if value is not None and name in _USELESS[kind]]
    if useless:
        cure = "; of a table of variants name the column of sequences or mutations" if kind == "table" else ""
        raise InputError(f"{path}: {_KINDS[kind]}: leave out {', '.join(useless)}{cure}")


def _sample_tables(pheno: TableName, trait: str | None, covar: TableName) -> SampleTables:
    if pheno is None and trait is not None:
        raise InputError(f"trait '{trait}' without a table; give the phenotypes too")
    phenotypes = None if pheno is None else read_table(pheno, "phenotype table")
    covariates = None if covar is None else read_table(covar, "covariate table")
    return SampleTables(phenotypes, covariates, MeasurementColumns(trait))


def _index(found: FileKind) -> str | None:
    """The index that a region of a VCF or BCF needs."""
    names = (Path(f"{found.path}{suffix}") for suffix in (".tbi", ".csi"))
    return next((name.name for name in names if found.format in ("VCF", "BCF") and name.exists()), None)
