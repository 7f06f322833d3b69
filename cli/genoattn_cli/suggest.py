"""genoattn suggest DIR --mutations 3 -o suggestions.tsv"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genoattn_cli import options
from genoattn_cli.json_output import need_output, print_json, rows_of

_WILD_TYPE = "wild-type"


ModelArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Output folder of genoattn fit.", show_default=False)
]
MutationsOption = Annotated[int, typer.Option("--mutations", min=1, help="Most mutations of a combination.")]
TopOption = Annotated[int, typer.Option("--top", min=1, help="Combinations to list.")]
StartOption = Annotated[
    str,
    typer.Option("--from", metavar="NAME", help="Sequence of --measured to mutate, or the wild type."),
]
MinimiseOption = Annotated[bool, typer.Option("--minimise", help="Look for the smallest phenotype.")]
MeasuredOption = Annotated[
    Path | None,
    typer.Option(
        "--measured",
        metavar="COHORT",
        help="Variants that were measured: FASTA, or a table as for fit.",
        show_default=False,
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit", min=1, help="Most combinations to enumerate. (default: 2 million)", show_default=False
    ),
]
WidthOption = Annotated[
    int | None, typer.Option("--width", min=1, help="Of the beam. (default: 1000)", show_default=False)
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", help="Table to write. (default: stdout)", show_default=False
    ),
]


def command(
    model: ModelArgument,
    mutations: MutationsOption = 2,
    top: TopOption = 20,
    start: StartOption = _WILD_TYPE,
    minimise: MinimiseOption = False,
    measured: MeasuredOption = None,
    sequence_column: options.SequenceColumn = None,
    mutation_column: options.MutationColumn = None,
    reference: options.Reference = None,
    alphabet: options.Alphabet = options.AlphabetName.auto,
    limit: LimitOption = None,
    width: WidthOption = None,
    output: OutputOption = None,
    force: options.Force = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
    config: options.Config = None,
) -> None:
    """Suggest the best combinations of mutations under a fitted model.

    The table says of each what the model predicts, on the scale of its coefficients, how much of that single
    mutations, pairs, .. add to the starting sequence, whether it was measured, and how it was found: by
    enumeration or branch and bound, which are exact, or by a beam where there are too many combinations for
    both.
    """
    options.start_logging(verbose, quiet, config)
    from genoattn.writing import check_output, write_output

    need_output(as_json, output)
    if output is not None:
        check_output(output, force, inputs=(measured, reference))
    options.set_threads(threads)
    import logging

    import genoattn
    from genoattn.fitting.store import load_model

    fitted = load_model(model)
    variants = None
    if measured is not None:
        variants = options.read_cohort(
            measured,
            sequence_column=sequence_column,
            mutation_column=mutation_column,
            reference=reference,
            alphabet=options.alphabet_like(
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
