"""Options that several commands share, and what they do before a command starts."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genoattn.errors import InputError
from genoattn_cli.config import use_config, warn_of_version
from genoattn_cli.json_output import KeepWarnings

if TYPE_CHECKING:
    from genoattn.cohort import Cohort as CohortData


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


GENOTYPES_HELP = (
    "VCF (.vcf, .vcf.gz, .bcf), PLINK prefix, .bed or .pgen, .bgen, VCF Zarr (.vcz), or aligned sequences "
    "(FASTA, A2M, Clustal, Stockholm, also .gz)"
)
COHORT_HELP = f"{GENOTYPES_HELP}; or a table of variants, with --sequence-column or --mutation-column."

Cohort = Annotated[Path, typer.Argument(metavar="COHORT", help=COHORT_HELP, show_default=False)]
ScanCohort = Annotated[Path, typer.Argument(metavar="COHORT", help=f"{GENOTYPES_HELP}.", show_default=False)]
Pheno = Annotated[
    Path,
    typer.Option(
        "--pheno",
        metavar="TABLE",
        help="Phenotypes: TSV, CSV or Parquet with an IID column.",
        show_default=False,
    ),
]
PhenoOrOwn = Annotated[
    Path | None,
    typer.Option(
        "--pheno",
        metavar="TABLE",
        help="Phenotypes: TSV, CSV or Parquet with an IID column. (default: COHORT, where it is a table)",
        show_default=False,
    ),
]
SequenceColumn = Annotated[
    str | None,
    typer.Option(
        "--sequence-column",
        metavar="NAME",
        help="COHORT is a table with aligned sequences here.",
        show_default=False,
    ),
]
MutationColumn = Annotated[
    str | None,
    typer.Option(
        "--mutation-column",
        metavar="NAME",
        help="COHORT is a table with mutations (A24G:T30S, HGVS, WT) of --reference here.",
        show_default=False,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="FASTA",
        help="Wild type of a table of variants. (of a FASTA: a record, as --wild-type)",
        show_default=False,
    ),
]
WildType = Annotated[
    str | None,
    typer.Option(
        "--wild-type",
        metavar="NAME",
        help="Sequence that the reference gauge compares with. (default: --reference, else the first)",
        show_default=False,
    ),
]
VarianceColumn = Annotated[
    str | None,
    typer.Option(
        "--variance-column",
        metavar="NAME",
        help="Phenotype table's variances of the measurements, which weight them.",
        show_default=False,
    ),
]
SeColumn = Annotated[
    str | None,
    typer.Option("--se-column", metavar="NAME", help="Their standard errors instead.", show_default=False),
]
ReplicateColumns = Annotated[
    str | None,
    typer.Option(
        "--replicate-columns",
        metavar="NAME,..",
        help="Replicates, whose mean is the trait and whose spread its variance.",
        show_default=False,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse sequences with different values, and records and variants that cannot be used.",
    ),
]
Folder = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write.", show_default=False)
]
Covar = Annotated[
    Path | None,
    typer.Option("--covar", metavar="TABLE", help="Covariates, matched by IID.", show_default=False),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region", metavar="CHR:FROM-TO", help="Only these sites of an indexed VCF.", show_default=False
    ),
]
Transform = Annotated[TransformName, typer.Option("--transform", help="Of the phenotype.")]
Type = Annotated[TraitType, typer.Option("--trait-type", help="auto takes 0/1 and 1/2 for binary.")]
Encoding = Annotated[EncodingName, typer.Option("--encoding", help="auto: dosage, or sequence for FASTA.")]
Maf = Annotated[
    float | None,
    typer.Option(
        "--maf",
        min=0,
        max=0.5,
        help="Drop sites below this minor allele frequency. (default: 0.01; FASTA 0)",
        show_default=False,
    ),
]
MaxMissing = Annotated[
    float, typer.Option("--max-missing", min=0, max=1, help="Drop sites with more missing calls.")
]
Alphabet = Annotated[
    AlphabetName,
    typer.Option(
        "--alphabet",
        help="Letters of sequences. diploid: DNA whose heterozygotes (R Y S W K M) are states; symbols: "
        "letters and digits as they are; auto: by suffix or letters, for a model its own.",
    ),
]
_HAPLOID_HELP = "Copies of a male's call on chrX: double, 0 or 2; as-is, 0 or 1."
Haploid = Annotated[HaploidName, typer.Option("--haploid", help=_HAPLOID_HELP)]
HaploidLikeModel = Annotated[
    HaploidName | None,
    typer.Option("--haploid", help=f"{_HAPLOID_HELP} (default: that of the model)", show_default=False),
]
DosageField = Annotated[
    DosageFieldName | None,
    typer.Option(
        "--dosage-field",
        help="Entry of imputed genotypes to read in place of GT: DS, GP or HDS; of a .pgen its dosages. "
        "A prediction reads what the fit read.",
        show_default=False,
    ),
]
Duplicates = Annotated[
    DuplicatesName,
    typer.Option(
        "--duplicates", help="Records that name one site again: keep (equal calls once), or an error."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no log on stderr.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of every random choice.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, max=1024, help="CPU threads (default: all).", show_default=False),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Devices = Annotated[
    int,
    typer.Option(
        "--devices",
        min=1,
        metavar="N",
        help="GPUs that share each batch (of cpu, processes). Each runs the command; the first writes.",
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", help="Bits; -mixed: 16 in products, 32 in parameters (16-mixed: GPU only)."),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="TOML",
        callback=use_config,
        is_eager=True,
        help="Options from a file, a line each (max-missing = 0.1), such as the run.toml of an earlier run. "
        "Those on the command line win.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object in place of the summary; see docs/json.md.")
]
NoReport = Annotated[
    bool, typer.Option("--no-report", help="Leave report.html out; genoattn report can write it later.")
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on from DIR.checkpoint, which a stopped fit of the same data and settings left.",
    ),
]


def start_logging(verbose: bool, quiet: bool, config: Path | None = None) -> None:
    """Log of the library on stderr: what was read, kept, dropped and done."""
    logger = logging.getLogger("genoattn")
    logger.handlers.clear()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.addHandler(KeepWarnings())
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    warn_of_version(config)


def table_of_phenotypes(cohort: Path, pheno: Path | None, is_table: bool) -> Path:
    """The table given, or the cohort itself where it is a table of variants."""
    if pheno is None and not is_table:
        raise InputError("Missing option '--pheno'; give the table of phenotypes")
    return cohort if pheno is None else pheno


def split_names(names: str | None) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in names.split(",")) if names else ()


def read_cohort(cohort: Path, *tables: Any, **how: Any) -> CohortData:
    """``genoattn.read`` with options of the command line; what was read, kept and dropped goes to stderr."""
    import genoattn

    data = genoattn.read(cohort, *tables, **{name: plain(value) for name, value in how.items()})
    for line in data.log:
        logging.getLogger("genoattn").info(line)
    return data


def alphabet_like(model: Any, alphabet: AlphabetName, cohort: Path, is_table: bool) -> str:
    """The alphabet asked for, else that of the model, for files that have one."""
    from genoattn.io.formats import ALIGNMENT_SUFFIXES

    aligned = is_table or cohort.name.lower().endswith(ALIGNMENT_SUFFIXES)
    return model.alphabet if aligned and alphabet is AlphabetName.auto else alphabet.value


def dosages_like(model: Any, field: DosageFieldName | None, cohort: Path) -> str | None:
    """The entry asked for, else that of the model, for files that may have it."""
    from genoattn.io.formats import may_have_dosages

    if field is not None:
        return field.value
    of_model = model.manifest.dosages
    return of_model if of_model in list(DosageFieldName) and may_have_dosages(cohort) else None


def plain(choice: Any) -> Any:
    """The word behind a choice."""
    return choice.value if isinstance(choice, StrEnum) else choice


def chosen_encoding(encoding: EncodingName) -> str | None:
    """The encoding asked for, None for the cohort's own."""
    return None if encoding is EncodingName.auto else encoding.value


def set_threads(threads: int | None) -> None:
    """Threads of torch and of the BLAS under numpy."""
    if threads is None:
        return
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    threadpool_limits(threads)
