"""genoattn suggest DIR --mutations 3 -o suggestions.tsv"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from genoattn_cli import choices, options, steps
from genoattn_cli.json_output import need_output, print_json, rows_of

_WILD_TYPE = "wild-type"


MutationsOption = Annotated[
    int,
    options.MODEL("--mutations", metavar="NUMBER", min=1, help="Most mutations in a combination."),
]
StartOption = Annotated[
    str,
    options.INPUT(
        "--from",
        metavar="NAME",
        help="Sequence to mutate: wild-type, or the name of one of --measured.",
    ),
]
MinimiseOption = Annotated[
    bool, options.MODEL("--minimise", help="Look for the smallest phenotype, not the largest.")
]
MeasuredOption = Annotated[
    Path | None,
    options.INPUT(
        "--measured",
        metavar="COHORT",
        help="Variants that were measured, aligned or a table as for fit: combinations among them are "
        "marked.",
    ),
]
LimitOption = Annotated[
    int | None,
    options.MODEL(
        "--limit",
        metavar="NUMBER",
        min=1,
        help="Most combinations to enumerate; above it branch and bound, or a beam.",
        default="2 million",
    ),
]
WidthOption = Annotated[
    int | None,
    options.MODEL(
        "--width",
        metavar="NUMBER",
        min=1,
        help="Combinations that a beam keeps at each step; more find better ones more slowly.",
        default="1000",
    ),
]
TopOption = Annotated[int, options.OUTPUT("--top", metavar="NUMBER", min=1, help="Combinations to list.")]


def command(
    model: options.Model,
    *,
    start: StartOption = _WILD_TYPE,
    measured: MeasuredOption = None,
    sequence_column: options.SequenceColumn = None,
    mutation_column: options.MutationColumn = None,
    reference: options.Reference = None,
    alphabet: options.Alphabet = choices.AlphabetName.auto,
    mutations: MutationsOption = 2,
    minimise: MinimiseOption = False,
    limit: LimitOption = None,
    width: WidthOption = None,
    output: options.TableFile = None,
    top: TopOption = 20,
    as_json: options.AsJson = False,
    force: options.Force = False,
    config: options.Config = None,
    threads: options.Threads = None,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Suggest the best combinations of mutations under a fitted model.

    The table says of each what the model predicts, on the scale of its coefficients, how much of that single
    mutations, pairs, .. add to the starting sequence, whether it was measured, and how it was found: by
    enumeration or branch and bound, which are exact, or by a beam where there are too many combinations for
    both.
    """
    steps.start_logging(verbose, quiet, config)
    from genoattn.writing import check_output, write_output

    need_output(as_json, output)
    if output is not None:
        check_output(output, force, inputs=(measured, reference))
    steps.set_threads(threads)
    import logging

    import genoattn
    from genoattn.fitting.store import load_model

    fitted = load_model(model)
    variants = None
    if measured is not None:
        variants = steps.read_cohort(
            measured,
            sequence_column=sequence_column,
            mutation_column=mutation_column,
            reference=reference,
            alphabet=steps.alphabet_like(
                fitted, alphabet, measured, bool(sequence_column or mutation_column)
            ),
            filters=False,
        )
    sizes = {name: value for name, value in (("limit", limit), ("width", width)) if value is not None}
    found = genoattn.suggest(
        fitted,
        mutations,
        top,
        start=None if start == _WILD_TYPE else start,
        measured=variants,
        minimise=minimise,
        **sizes,
    )
    logging.getLogger("genoattn").info(found.summary())
    write_output(found.to_tsv(), output, force)
    if as_json and output is not None:
        names = ("start", "start_prediction", "method", "exact", "n_combinations")
        record = {name: getattr(found, name) for name in names} | {"combinations": rows_of(found.frame)}
        print_json("suggest", output, **record)
