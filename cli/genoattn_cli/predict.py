"""genoattn predict DIR COHORT -o predictions.tsv"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genoattn_cli import options
from genoattn_cli.json_output import need_output, print_json

ModelArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Output folder of genoattn fit.", show_default=False)
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", help="Table to write. (default: stdout)", show_default=False
    ),
]
MatchOption = Annotated[
    options.MatchName,
    typer.Option(
        "--match-by",
        help="Sites match by position and alleles; or by ID and alleles, where the build has changed.",
    ),
]


def command(
    model: ModelArgument,
    cohort: options.Cohort,
    output: OutputOption = None,
    covar: options.Covar = None,
    region: options.Region = None,
    haploid: options.HaploidLikeModel = None,
    dosage_field: options.DosageField = None,
    duplicates: options.Duplicates = options.DuplicatesName.keep,
    match_by: MatchOption = options.MatchName.position,
    sequence_column: options.SequenceColumn = None,
    mutation_column: options.MutationColumn = None,
    reference: options.Reference = None,
    alphabet: options.Alphabet = options.AlphabetName.auto,
    force: options.Force = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
    config: options.Config = None,
) -> None:
    """Predict the phenotype of new samples with a fitted model.

    The cohort needs the sites of the model, in any order and with the alleles in either; how they matched is
    said on stderr. It may also be a table of variants, as for fit.

    The column prediction is in units of the trait: of a binary trait the probability of a case, of counts
    their mean, and after --transform log or rank the median of the trait. The scale of the model, where it
    is another, is in prediction_log_odds, prediction_log or prediction_normal_score.
    """
    options.start_logging(verbose, quiet, config)
    from genoattn.writing import check_output, write_output

    need_output(as_json, output)
    if output is not None:
        check_output(output, force, inputs=(cohort, covar, reference))
    options.set_threads(threads)
    import genoattn
    from genoattn.fitting.store import load_model

    fitted = load_model(model)
    if covar is not None and fitted.covariates is None:
        raise genoattn.InputError(f"{model}: the model has no covariates; leave --covar out")
    like = None if covar is None else fitted.covariates
    data = options.read_cohort(
        cohort,
        covar=covar,
        region=region,
        dosage_field=options.dosages_like(fitted, dosage_field, cohort),
        haploid=haploid or fitted.manifest.haploid or options.HaploidName.double,
        duplicates=duplicates,
        sequence_column=sequence_column,
        mutation_column=mutation_column,
        reference=reference,
        alphabet=options.alphabet_like(fitted, alphabet, cohort, bool(sequence_column or mutation_column)),
        filters=False,
        covariates_like=like,
    )
    table = fitted.prediction_table(data, match_by.value)
    write_output(table.to_csv(sep="\t", index=False).encode(), output, force)
    if as_json and output is not None:
        found = {"trait": fitted.manifest.trait, "n_samples": len(table), "columns": table.columns.tolist()}
        print_json("predict", output, **found)
