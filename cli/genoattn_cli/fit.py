"""genoattn fit COHORT --pheno TABLE -o DIR"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genoattn_cli import choices, options, steps
from genoattn_cli.config import RUN_FILE, run_file
from genoattn_cli.json_output import fit_record, print_json

if TYPE_CHECKING:
    from genoattn.cohort import Cohort


class EstimatorName(StrEnum):
    auto = "auto"
    attention = "attention"
    posterior = "posterior"
    sparse = "sparse"
    ridge = "ridge"


class LinkName(StrEnum):
    auto = "auto"
    none = "none"
    monotone = "monotone"
    bounded = "bounded"


class LikelihoodName(StrEnum):
    auto = "auto"
    gaussian = "gaussian"
    student = "student"
    bernoulli = "bernoulli"
    poisson = "poisson"
    negative_binomial = "negative-binomial"


class AttentionName(StrEnum):
    hyper = "hyper"
    feature = "feature"
    linear = "linear"


def _order(text: str | None) -> int | str | None:
    """A number from 1 up, auto, or all."""
    if text in (None, "auto", "all"):
        return text
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise typer.BadParameter(f"{text!r} is no order; give a number from 1 up, auto, or all")
    return int(text)


TraitOption = Annotated[
    str | None,
    options.INPUT(
        "--trait", metavar="NAME", help="Column of the phenotype table to model.", default="its only column"
    ),
]
FeaturesOption = Annotated[
    Path | None,
    options.INPUT(
        "--features",
        metavar="TABLE",
        help="Table of features of sites (gene, consequence), matched by its column site, for --attention "
        "feature.",
    ),
]
FeatureInfoOption = Annotated[
    str | None,
    options.INPUT(
        "--feature-info",
        metavar="KEY,..",
        help="INFO entries of a VCF that are features too.",
    ),
]
OrderOption = Annotated[
    str | None,
    options.MODEL(
        "--order",
        metavar="ORDER",
        callback=_order,
        help="Largest order of interaction: 1 additive, 2 pairs, 3 triples, ..; all: every order at once; "
        "auto: "
        "the order that predicts held-out samples best.",
        default="auto for sequences, 2 for genotypes",
    ),
]
LinkOption = Annotated[
    LinkName | None,
    options.MODEL(
        "--link",
        metavar="WORD",
        help="Curve from a latent, additive scale to the measured one, for a trait that saturates. none; "
        "monotone: free ends; bounded: level ends; auto: monotone where it predicts better.",
        default="auto with --order auto, else none",
    ),
]
LikelihoodOption = Annotated[
    LikelihoodName,
    options.MODEL(
        "--likelihood",
        metavar="WORD",
        help="Distribution of the trait. gaussian; student: with outliers; bernoulli: binary; poisson, "
        "negative-binomial: counts; auto: bernoulli for a binary trait, else gaussian.",
    ),
]
AttentionOption = Annotated[
    AttentionName,
    options.MODEL(
        "--attention",
        metavar="WORD",
        help="Kind of attention between sites. hyper: low-rank factors for each order; feature: through "
        "features "
        "of the sites; linear: every pair by itself.",
    ),
]
EstimatorOption = Annotated[
    EstimatorName,
    options.MODEL(
        "--estimator",
        metavar="WORD",
        help="How factors are found. attention: trained; posterior: closed form, for few sites or all "
        "orders; "
        "sparse: from the scores of pairs; ridge: all pairs in closed form; auto: by the size of the data.",
    ),
]
RankOption = Annotated[
    int | None,
    options.MODEL(
        "--rank",
        metavar="NUMBER",
        min=1,
        help="Most factors of an order; more can hold more interactions and need more samples.",
        default="32, or 64 if samples abound",
    ),
]
PenaltyOption = Annotated[
    float,
    options.MODEL(
        "--penalty",
        metavar="FACTOR",
        min=0,
        help="Shrinkage, as a multiple of what the noise calls for: above 1 for a sparser table, 0 for none.",
    ),
]
EpochsOption = Annotated[
    int,
    options.MODEL(
        "--epochs",
        metavar="NUMBER",
        min=1,
        help="Longest training, in passes over the samples; it stops early.",
    ),
]
BudgetOption = Annotated[
    float,
    options.MODEL(
        "--budget",
        metavar="SECONDS",
        min=1,
        help="Most time for comparing orders and links, in all.",
    ),
]
AlphaOption = Annotated[
    float,
    options.MODEL(
        "--alpha", metavar="RATE", help="False discovery rate of the signals among pairs of genotypes."
    ),
]
StrataOption = Annotated[
    str | None,
    options.MODEL(
        "--strata",
        metavar="COLUMN",
        help="Covariate whose groups differ in the noise of the trait: only samples of one group stand for "
        "each other where false signals are counted.",
    ),
]
EnsembleOption = Annotated[
    int,
    options.MODEL(
        "--ensemble",
        metavar="NUMBER",
        min=0,
        help="Fit this many more models, on halves of the samples (sequences: bootstrap samples), to see "
        "how "
        "stable the interactions are.",
    ),
]
MaxTermsOption = Annotated[
    int,
    options.OUTPUT(
        "--max-terms", metavar="NUMBER", min=1, help="Most terms of an order in the table, largest first."
    ),
]
TopOption = Annotated[
    int, options.OUTPUT("--top", metavar="NUMBER", min=0, help="Rows of each order in the summary.")
]


_COUNTS = (LikelihoodName.poisson, LikelihoodName.negative_binomial)
# Options that go to genoattn.read and to genoattn.fit by their own names.
_READ = (
    "region", "maf", "max_missing", "haploid", "dosage_field", "transform", "trait_type", "sequence_column",
    "mutation_column", "reference", "wild_type", "variance_column", "se_column", "strict", "alphabet",
    "features", "duplicates", "environment",
)  # fmt: skip
_FIT = (
    "order", "gauge", "attention", "estimator", "link", "budget", "likelihood", "rank", "penalty",
    "max_terms", "alpha", "strata", "ensemble", "seed", "device", "devices", "precision", "resume",
)  # fmt: skip


def command(
    cohort: options.Cohort,
    *,
    pheno: options.PhenoOrOwn = None,
    trait: TraitOption = None,
    covar: options.Covar = None,
    environment: options.Environment = None,
    transform: options.Transform = choices.TransformName.none,
    trait_type: options.Type = choices.TraitType.auto,
    sequence_column: options.SequenceColumn = None,
    mutation_column: options.MutationColumn = None,
    reference: options.Reference = None,
    wild_type: options.WildType = None,
    alphabet: options.Alphabet = choices.AlphabetName.auto,
    region: options.Region = None,
    haploid: options.Haploid = choices.HaploidName.double,
    dosage_field: options.DosageField = None,
    features: FeaturesOption = None,
    feature_info: FeatureInfoOption = None,
    maf: options.Maf = None,
    max_missing: options.MaxMissing = 0.1,
    duplicates: options.Duplicates = choices.DuplicatesName.keep,
    strict: options.Strict = False,
    order: OrderOption = None,
    link: LinkOption = None,
    gauge: options.Gauge = choices.GaugeName.frequency,
    encoding: options.Encoding = choices.EncodingName.auto,
    likelihood: LikelihoodOption = LikelihoodName.auto,
    estimator: EstimatorOption = EstimatorName.auto,
    attention: AttentionOption = AttentionName.hyper,
    rank: RankOption = None,
    penalty: PenaltyOption = 1.0,
    epochs: EpochsOption = 500,
    budget: BudgetOption = 240.0,
    alpha: AlphaOption = 0.05,
    strata: StrataOption = None,
    ensemble: EnsembleOption = 0,
    variance_column: options.VarianceColumn = None,
    se_column: options.SeColumn = None,
    replicate_columns: options.ReplicateColumns = None,
    output: options.Folder,
    max_terms: MaxTermsOption = 50_000,
    top: TopOption = 10,
    as_json: options.AsJson = False,
    no_report: options.NoReport = False,
    force: options.Force = False,
    config: options.Config = None,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    device: options.Device = "auto",
    devices: options.Devices = 1,
    precision: options.PrecisionOption = choices.Precision.single,
    resume: options.Resume = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit a hyper-attention model and write its interaction table.

    Writes report.html, to read, and interactions.tsv and .parquet, predictions.tsv,
    variance_components.tsv, metrics.json, manifest.json, model.ckpt and run.toml to DIR, and prints a
    summary. p-values are those of one unpenalised regression a term;
    q-values count all terms of the order that could have been reported. They do not correct for several
    traits or for relatedness beyond the covariates. For a cohort of genotypes q-values of pairs are those
    of signals, in signals.tsv: clusters of linked pairs that hold up when adjusted for structure and the
    additive genome; ranking.tsv has all pairs worth a look, stability.tsv what --ensemble finds. Where
    signals cannot be tested, pairs have no q-values, and the log says why.

    The state of the training is kept in DIR.checkpoint until the fit is complete.
    """
    _run(locals())


def _run(given: dict[str, Any]) -> None:
    """The command with its options by name."""
    output, cohort, force = given["output"], given["cohort"], given["force"]
    # Of several devices each has a process that repeats this command; the first speaks and writes.
    silent = given["devices"] > 1 and os.environ.get("LOCAL_RANK", "0") != "0"
    quiet = given["quiet"] or silent
    steps.start_logging(given["verbose"], quiet, given["config"])
    from genoattn.writing import check_output

    inputs = [given[name] for name in ("pheno", "covar", "features", "reference")]
    check_output(output, force, folder=True, inputs=(cohort, *inputs))
    states = _states(output, given["resume"], force)
    steps.set_threads(given["threads"])
    import genoattn

    data = read(given)
    settings = {name: steps.plain(given[name]) for name in _FIT}
    settings |= {"encoding": steps.chosen_encoding(given["encoding"]), "max_epochs": given["epochs"]}
    try:
        result = genoattn.fit(data, progress=not quiet, checkpoint=states, **settings)
    except KeyboardInterrupt as error:  # typer would drop where to resume from
        raise typer.Abort(str(error)) from None
    if silent:
        return
    result.save(output, force, {RUN_FILE: run_file("fit", command, given, output)})
    with steps.results_in(output):
        if not given["as_json"]:
            typer.echo(f"{result.summary(given['top'])}\n\nwritten to {output}")
        if not given["no_report"]:
            steps.add_reports(output, {output: lambda: data})
    if given["as_json"]:
        print_json("fit", output, **fit_record(result, given["top"]))


def read(given: Mapping[str, Any]) -> Cohort:
    """The cohort of a fit with the options of the command by name."""
    is_table = given["sequence_column"] is not None or given["mutation_column"] is not None
    table = steps.table_of_phenotypes(given["cohort"], given["pheno"], is_table)
    tables = table, given["trait"], given["covar"]
    return steps.read_cohort(given["cohort"], *tables, **_read_options(given))


def _states(output: Path, resume: bool, force: bool) -> Path:
    """The folder of the states of the training, whose place is checked before anything is read."""
    from genoattn.model.training_states import check_states, remove_states

    named = output if output.name not in ("", "..") else output.resolve()
    states = named.with_name(f"{named.name}.checkpoint")
    if force and not resume:
        remove_states(states)
    check_states(states, resume)
    return states


def _read_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of ``genoattn.read`` among those of the command."""
    return {name: given[name] for name in _READ} | {
        "replicate_columns": steps.split_names(given["replicate_columns"]),
        "info": given["feature_info"].split(",") if given["feature_info"] else (),
        "average": given["likelihood"] not in _COUNTS,  # a mean of counts is no count
    }
