"""Options that several commands share, by the panels of ``--help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from genoattn_cli.choices import (
    AlphabetName,
    DosageFieldName,
    DuplicatesName,
    EncodingName,
    GaugeName,
    HaploidName,
    Precision,
    TraitType,
    TransformName,
)
from genoattn_cli.config import use_config


def panel(name: str) -> Any:
    """A maker of options of one panel of ``--help``, from names, metavar and help.

    ``default`` says in words what happens without the option.
    """

    def option(*names: str, help: str, metavar: str | None = None, default: str = "", **rest: Any) -> Any:
        shown = default if default else metavar is not None and rest.pop("shown", True)
        return typer.Option(
            *names, help=help, metavar=metavar, show_default=shown, rich_help_panel=name, **rest
        )

    return option


INPUT, FILTERS, MODEL = panel("Input"), panel("Filters"), panel("Model")
NOISE, OUTPUT, RUNTIME = panel("Noise"), panel("Output"), panel("Runtime")

GENOTYPES_HELP = (
    "Genotypes: VCF (.vcf, .vcf.gz, .bcf), PLINK prefix, .bed or .pgen, .bgen, VCF Zarr (.vcz). Or aligned "
    "sequences: FASTA, A2M, Clustal, Stockholm, also .gz"
)
COHORT_HELP = f"{GENOTYPES_HELP}. Or a table of variants, with --sequence-column or --mutation-column."

Cohort = Annotated[Path, typer.Argument(metavar="COHORT", help=COHORT_HELP, show_default=False)]
ScanCohort = Annotated[Path, typer.Argument(metavar="COHORT", help=f"{GENOTYPES_HELP}.", show_default=False)]
Model = Annotated[
    Path, typer.Argument(metavar="DIR", help="Output folder of genoattn fit.", show_default=False)
]

# --- Input

_PHENO_HELP = "Table of phenotypes (TSV, CSV or Parquet), a row a sample, matched by its column IID."
Pheno = Annotated[Path, INPUT("--pheno", metavar="TABLE", help=_PHENO_HELP)]
PhenoOrOwn = Annotated[
    Path | None, INPUT("--pheno", metavar="TABLE", help=_PHENO_HELP, default="COHORT, where it is a table")
]
Covar = Annotated[
    Path | None,
    INPUT(
        "--covar",
        metavar="TABLE",
        help="Table of covariates (age, sex, principal components), matched by IID. All its columns are "
        "adjusted for: numbers as they are, words as categories.",
    ),
]
Environment = Annotated[
    list[str] | None,
    INPUT(
        "--environment",
        metavar="NAME",
        help="Column of --covar that is an environment: sites may interact with it, as with each other. A "
        "word or a number; repeat it for several.",
    ),
]
Transform = Annotated[
    TransformName,
    INPUT(
        "--transform",
        metavar="WORD",
        help="Of a quantitative trait. none; log: natural logarithm, for a trait of fold changes; rank: "
        "normal "
        "scores, for a trait with outliers or a skewed one.",
    ),
]
Type = Annotated[
    TraitType,
    INPUT(
        "--trait-type",
        metavar="WORD",
        help="quantitative or binary. auto: binary where all values are 0 and 1, or 1 and 2 (2 the case).",
    ),
]
SequenceColumn = Annotated[
    str | None,
    INPUT(
        "--sequence-column",
        metavar="NAME",
        help="COHORT is a table of variants, and this column holds their aligned sequences.",
        default="no table",
    ),
]
MutationColumn = Annotated[
    str | None,
    INPUT(
        "--mutation-column",
        metavar="NAME",
        help="COHORT is a table of variants, and this column holds their mutations of --reference, such as "
        "A24G:T30S, p.Ala24Gly or WT.",
        default="no table",
    ),
]
Reference = Annotated[
    str | None,
    INPUT(
        "--reference",
        metavar="FASTA",
        help="Sequence of the wild type: for a table of variants a FASTA of one record; for aligned "
        "sequences "
        "the name of one of them.",
    ),
]
WildType = Annotated[
    str | None,
    INPUT(
        "--wild-type",
        metavar="NAME",
        help="Name of the sequence that effects are compared with in the reference gauge.",
        default="--reference, else the first",
    ),
]
Alphabet = Annotated[
    AlphabetName,
    INPUT(
        "--alphabet",
        metavar="WORD",
        help="Letters of sequences. dna; protein; diploid: DNA whose heterozygotes (R Y S W K M) are states "
        "of their own; symbols: letters and digits such as 0 and 1; auto: told by the suffix or the "
        "letters (with a model, that of the model).",
    ),
]
Region = Annotated[
    str | None,
    INPUT(
        "--region",
        metavar="CHR:FROM-TO",
        help="Read only the sites of a region, 1-based, both ends inside. A VCF or BCF needs an index.",
        default="all",
    ),
]
_HAPLOID_HELP = (
    "Copies that a haploid call among diploid ones counts (chrX of males). double: 0 or 2; as-is: 0 or 1."
)
Haploid = Annotated[HaploidName, INPUT("--haploid", metavar="WORD", help=_HAPLOID_HELP)]
HaploidLikeModel = Annotated[
    HaploidName | None, INPUT("--haploid", metavar="WORD", help=_HAPLOID_HELP, default="that of the model")
]
DosageField = Annotated[
    DosageFieldName | None,
    INPUT(
        "--dosage-field",
        metavar="FIELD",
        help="Read expected copies of imputed genotypes in place of hard calls (GT): DS, GP or HDS of a VCF "
        "or "
        "BCF; of a .pgen any of them reads its dosages. A prediction reads what its model was fitted to.",
        default="GT",
    ),
]

# --- Filters

Maf = Annotated[
    float | None,
    FILTERS(
        "--maf",
        metavar="SHARE",
        min=0,
        max=0.5,
        help="Leave out sites with a lower minor allele frequency; rare alleles say little about "
        "interactions.",
        default="0.01; sequences 0",
    ),
]
MaxMissing = Annotated[
    float,
    FILTERS(
        "--max-missing",
        metavar="SHARE",
        min=0,
        max=1,
        help="Leave out sites where a larger share of the samples has no call.",
    ),
]
Duplicates = Annotated[
    DuplicatesName,
    FILTERS(
        "--duplicates",
        metavar="WORD",
        help="Records that name one site again. keep: equal calls once, different ones as sites that are "
        "never "
        "paired; error: refuse them.",
    ),
]
Strict = Annotated[
    bool,
    FILTERS(
        "--strict",
        help="Refuse what is otherwise left out or averaged, and counted in the log: records and variants "
        "that "
        "cannot be used, sequences with different values.",
    ),
]

# --- Model

Gauge = Annotated[
    GaugeName,
    MODEL(
        "--gauge",
        metavar="WORD",
        help="Convention that makes coefficients unique. reference: effects on the wild type or the "
        "reference "
        "allele; frequency: averages over the samples; zero-sum: averages over all states.",
    ),
]
Encoding = Annotated[
    EncodingName,
    MODEL(
        "--encoding",
        metavar="WORD",
        help="Columns of the model. dosage: copies of an allele; genotype: a state for each genotype, "
        "dominance "
        "included; sequence: a state for each letter; auto: dosage for genotypes, sequence for alignments.",
    ),
]

# --- Noise

VarianceColumn = Annotated[
    str | None,
    NOISE(
        "--variance-column",
        metavar="NAME",
        help="Column of the phenotype table with the variance of each measurement, in squared units of the "
        "trait; precise measurements then weigh more.",
        default="equal weights",
    ),
]
SeColumn = Annotated[
    str | None,
    NOISE(
        "--se-column",
        metavar="NAME",
        help="Column with the standard error of each measurement, in place of --variance-column.",
    ),
]
ReplicateColumns = Annotated[
    str | None,
    NOISE(
        "--replicate-columns",
        metavar="NAME,..",
        help="Columns with replicates, in place of --trait: their mean is the trait, their spread its "
        "variance.",
    ),
]

# --- Output

Folder = Annotated[
    Path, OUTPUT("-o", "--output", metavar="DIR", help="Folder to write, completely or not at all.")
]
TableFile = Annotated[
    Path | None,
    OUTPUT("-o", "--output", metavar="FILE", help="Tab-separated table to write.", default="stdout"),
]
Force = Annotated[
    bool, OUTPUT("--force", help="Replace an output that exists, once the new one is complete.")
]
AsJson = Annotated[
    bool, OUTPUT("--json", help="Print one JSON object with the main results in place of the summary.")
]
NoReport = Annotated[
    bool, OUTPUT("--no-report", help="Write no report.html; genoattn report DIR can write it later.")
]

# --- Runtime

Config = Annotated[
    Path | None,
    RUNTIME(
        "--config",
        metavar="TOML",
        callback=use_config,
        is_eager=True,
        help="Take options from a file, one a line (max-missing = 0.1), such as the run.toml of an earlier "
        "run. "
        "The command line wins; paths start at the folder of the file.",
    ),
]
Seed = Annotated[
    int,
    RUNTIME(
        "--seed",
        metavar="NUMBER",
        min=0,
        max=2**32 - 1,
        help="Start of every random choice; the same seed and threads give the same result.",
    ),
]
Threads = Annotated[
    int | None,
    RUNTIME("--threads", metavar="NUMBER", min=1, max=1024, help="CPU threads to use.", default="all"),
]
Device = Annotated[
    str,
    RUNTIME(
        "--device",
        metavar="WORD",
        help="Where to compute: cpu, cuda, mps, or auto (a GPU if there is one).",
    ),
]
Devices = Annotated[
    int,
    RUNTIME(
        "--devices",
        metavar="NUMBER",
        min=1,
        help="GPUs that share each batch of a long training (of cpu: processes). Each runs the command, and "
        "the "
        "first writes.",
    ),
]
PrecisionOption = Annotated[
    Precision,
    RUNTIME(
        "--precision",
        metavar="WORD",
        help="Bits of the numbers of a training: 32; 64, slower; 16-mixed (GPU only) and bf16-mixed, "
        "faster: 16 "
        "in products, 32 in parameters.",
    ),
]
Resume = Annotated[
    bool,
    RUNTIME(
        "--resume",
        help="Go on from DIR.checkpoint, which a stopped fit of the same data and settings has left.",
    ),
]
Verbose = Annotated[bool, RUNTIME("-v", "--verbose", help="Say more about each step on stderr.")]
Quiet = Annotated[bool, RUNTIME("--quiet", help="No progress and no log on stderr; errors are still told.")]
