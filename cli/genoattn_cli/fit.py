"""genoattn fit COHORT --pheno TABLE -o DIR"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genoattn_cli import options
from genoattn_cli.config import RUN_FILE, run_file
from genoattn_cli.json_output import fit_record, print_json
from genoattn_cli.report import add_reports

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
    typer.Option("--trait", metavar="NAME", help="Column of the phenotype table.", show_default=False),
]
OrderOption = Annotated[
    str | None,
    typer.Option(
        "--order",
        callback=_order,
        help="Largest order of interaction; all: every order at once; auto compares them on held-out "
        "samples. Without it auto for alignments, 2 for genotypes.",
        show_default=False,
    ),
]
BudgetOption = Annotated[
    float,
    typer.Option("--budget", min=1, metavar="SECONDS", help="Time for comparing orders and links."),
]
GaugeOption = Annotated[options.GaugeName, typer.Option("--gauge", help="Gauge of the table.")]
AttentionOption = Annotated[
    AttentionName,
    typer.Option("--attention", help="feature couples features of tokens, linear takes all pairs."),
]
FeaturesOption = Annotated[
    Path | None,
    typer.Option(
        "--features", metavar="TABLE", help="Features of sites, by a column site.", show_default=False
    ),
]
FeatureInfoOption = Annotated[
    str | None,
    typer.Option(
        "--feature-info", metavar="KEY,..", help="INFO entries that are features.", show_default=False
    ),
]
LinkOption = Annotated[
    LinkName | None,
    typer.Option(
        "--link",
        help="Curve from a latent phenotype to the measured: monotone has free ends, bounded not; auto "
        "compares monotone with none, as --order auto does without it.",
        show_default=False,
    ),
]
LikelihoodOption = Annotated[
    LikelihoodName,
    typer.Option("--likelihood", help="auto: bernoulli for a binary trait, else gaussian."),
]
EstimatorOption = Annotated[
    EstimatorName,
    typer.Option(
        "--estimator",
        help="attention: dense factors, trained; posterior: closed form of few sites or all orders; sparse: "
        "factors read off the scores of pairs; ridge: all pairs in closed form.",
    ),
]
RankOption = Annotated[
    int | None,
    typer.Option("--rank", min=1, help="Most factors an order; without it 32, or 64 if samples abound."),
]
PenaltyOption = Annotated[
    float,
    typer.Option("--penalty", min=0, help="Multiple of the penalty that noise calls for; 0 for none."),
]
EpochsOption = Annotated[int, typer.Option("--epochs", min=1, help="Longest training.")]
MaxTermsOption = Annotated[int, typer.Option("--max-terms", min=1, help="Most terms reported for an order.")]
AlphaOption = Annotated[
    float,
    typer.Option("--alpha", help="False discovery rate of the signals of a cohort."),
]
EnsembleOption = Annotated[
    int,
    typer.Option("--ensemble", min=0, help="Halves of the samples that show how stable pairs are."),
]
TopOption = Annotated[int, typer.Option("--top", min=0, help="Rows of each order to print.")]


_COUNTS = (LikelihoodName.poisson, LikelihoodName.negative_binomial)
# Options that go to genoattn.read and to genoattn.fit by their own names.
_READ = (
    "region", "maf", "max_missing", "haploid", "dosage_field", "transform", "trait_type", "sequence_column",
    "mutation_column", "reference", "wild_type", "variance_column", "se_column", "strict", "alphabet",
    "features", "duplicates",
)  # fmt: skip
_FIT = (
    "order", "gauge", "attention", "estimator", "link", "budget", "likelihood", "rank", "penalty",
    "max_terms", "alpha", "ensemble", "seed", "device", "devices", "precision", "resume",
)  # fmt: skip


def command(
    cohort: options.Cohort,
    output: options.Folder,
    pheno: options.PhenoOrOwn = None,
    trait: TraitOption = None,
    covar: options.Covar = None,
    order: OrderOption = None,
    gauge: GaugeOption = options.GaugeName.frequency,
    transform: options.Transform = options.TransformName.none,
    trait_type: options.Type = options.TraitType.auto,
    encoding: options.Encoding = options.EncodingName.auto,
    attention: AttentionOption = AttentionName.hyper,
    features: FeaturesOption = None,
    feature_info: FeatureInfoOption = None,
    region: options.Region = None,
    maf: options.Maf = None,
    max_missing: options.MaxMissing = 0.1,
    haploid: options.Haploid = options.HaploidName.double,
    dosage_field: options.DosageField = None,
    duplicates: options.Duplicates = options.DuplicatesName.keep,
    sequence_column: options.SequenceColumn = None,
    mutation_column: options.MutationColumn = None,
    reference: options.Reference = None,
    wild_type: options.WildType = None,
    variance_column: options.VarianceColumn = None,
    se_column: options.SeColumn = None,
    replicate_columns: options.ReplicateColumns = None,
    strict: options.Strict = False,
    alphabet: options.Alphabet = options.AlphabetName.auto,
    link: LinkOption = None,
    budget: BudgetOption = 240.0,
    likelihood: LikelihoodOption = LikelihoodName.auto,
    estimator: EstimatorOption = EstimatorName.auto,
    rank: RankOption = None,
    penalty: PenaltyOption = 1.0,
    epochs: EpochsOption = 500,
    max_terms: MaxTermsOption = 50_000,
    alpha: AlphaOption = 0.05,
    ensemble: EnsembleOption = 0,
    top: TopOption = 10,
    resume: options.Resume = False,
    force: options.Force = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    device: options.Device = "auto",
    devices: options.Devices = 1,
    precision: options.PrecisionOption = options.Precision.single,
    no_report: options.NoReport = False,
    as_json: options.AsJson = False,
    config: options.Config = None,
) -> None:
    """Fit a hyper-attention model and write its interaction table.

    Writes interactions.tsv and .parquet, variance_components.tsv, metrics.json, manifest.json and
    model.ckpt to DIR, and prints a summary. p-values are those of one unpenalised regression a term;
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
    options.start_logging(given["verbose"], quiet, given["config"])
    from genoattn.writing import check_output

    inputs = [given[name] for name in ("pheno", "covar", "features", "reference")]
    check_output(output, force, folder=True, inputs=(cohort, *inputs))
    states = _states(output, given["resume"], force)
    options.set_threads(given["threads"])
    import genoattn

    data = read(given)
    settings = {name: options.plain(given[name]) for name in _FIT}
    settings |= {"encoding": options.chosen_encoding(given["encoding"]), "max_epochs": given["epochs"]}
    try:
        result = genoattn.fit(data, progress=not quiet, checkpoint=states, **settings)
    except KeyboardInterrupt as error:  # typer would drop where to resume from
        raise typer.Abort(str(error)) from None
    if silent:
        return
    result.save(output, force, {RUN_FILE: run_file("fit", command, given, output)})
    if not given["as_json"]:
        typer.echo(f"{result.summary(given['top'])}\n\nwritten to {output}")
    if not given["no_report"]:
        add_reports(output, {output: lambda: data})
    if given["as_json"]:
        print_json("fit", output, **fit_record(result, given["top"]))


def read(given: Mapping[str, Any]) -> Cohort:
    """The cohort of a fit with the options of the command by name."""
    is_table = given["sequence_column"] is not None or given["mutation_column"] is not None
    table = options.table_of_phenotypes(given["cohort"], given["pheno"], is_table)
    tables = table, given["trait"], given["covar"]
    return options.read_cohort(given["cohort"], *tables, **_read_options(given))


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
        "replicate_columns": options.split_names(given["replicate_columns"]),
        "info": given["feature_info"].split(",") if given["feature_info"] else (),
        "average": given["likelihood"] not in _COUNTS,  # a mean of counts is no count
    }
