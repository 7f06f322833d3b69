"""genoattn predict DIR COHORT -o predictions.tsv"""

from __future__ import annotations

from typing import Annotated

from genoattn_cli import choices, options, steps
from genoattn_cli.json_output import need_output, print_json

MatchOption = Annotated[
    choices.MatchName,
    options.INPUT(
        "--match-by",
        metavar="WORD",
        help="How sites of COHORT match those of the model. position: by position and alleles; id: by ID "
        "and "
        "alleles, where the genome build has changed.",
    ),
]


def command(
    model: options.Model,
    cohort: options.Cohort,
    *,
    covar: options.Covar = None,
    match_by: MatchOption = choices.MatchName.position,
    sequence_column: options.SequenceColumn = None,
    mutation_column: options.MutationColumn = None,
    reference: options.Reference = None,
    alphabet: options.Alphabet = choices.AlphabetName.auto,
    region: options.Region = None,
    haploid: options.HaploidLikeModel = None,
    dosage_field: options.DosageField = None,
    duplicates: options.Duplicates = choices.DuplicatesName.keep,
    output: options.TableFile = None,
    as_json: options.AsJson = False,
    force: options.Force = False,
    config: options.Config = None,
    threads: options.Threads = None,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict the phenotype of new samples with a fitted model.

    The cohort needs the sites of the model, in any order and with the alleles in either; how they matched is
    said on stderr. It may also be a table of variants, as for fit.

    The column prediction is in units of the trait: of a binary trait the probability of a case, of counts
    their mean, and after --transform log or rank the median of the trait. The scale of the model, where it
    is another, is in prediction_log_odds, prediction_log or prediction_normal_score.
    """
    steps.start_logging(verbose, quiet, config)
    from genoattn.writing import check_output, write_output

    need_output(as_json, output)
    if output is not None:
        check_output(output, force, inputs=(cohort, covar, reference))
    steps.set_threads(threads)
    import genoattn
    from genoattn.fitting.store import load_model

    fitted = load_model(model)
    if covar is not None and fitted.covariates is None:
        raise genoattn.InputError(f"{model}: the model has no covariates; leave --covar out")
    if covar is None and fitted.environments:
        names = ", ".join(e.name for e in fitted.environments)
        raise genoattn.InputError(f"{model}: the model has the environment {names}; give it with --covar")
    like = None if covar is None else fitted.covariates
    data = steps.read_cohort(
        cohort,
        covar=covar,
        region=region,
        dosage_field=steps.dosages_like(fitted, dosage_field, cohort),
        haploid=haploid or fitted.manifest.haploid or choices.HaploidName.double,
        duplicates=duplicates,
        sequence_column=sequence_column,
        mutation_column=mutation_column,
        reference=reference,
        alphabet=steps.alphabet_like(fitted, alphabet, cohort, bool(sequence_column or mutation_column)),
        filters=False,
        covariates_like=like,
        environment=fitted.environments,
    )
    table = fitted.prediction_table(data, match_by.value)
    write_output(table.to_csv(sep="\t", index=False).encode(), output, force)
    if as_json and output is not None:
        found = {"trait": fitted.manifest.trait, "n_samples": len(table), "columns": table.columns.tolist()}
        print_json("predict", output, **found)
