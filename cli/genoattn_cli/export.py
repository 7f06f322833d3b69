"""genoattn export DIR -o interactions.tsv"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from genoattn_cli import choices, options, steps
from genoattn_cli.json_output import description, need_output, print_json

OrderOption = Annotated[
    int | None,
    options.MODEL(
        "--order", metavar="ORDER", min=0, help="Largest order in the table.", default="that of the model"
    ),
]
TopOption = Annotated[
    int | None,
    options.OUTPUT("--top", metavar="NUMBER", min=1, help="Write only the first rows.", default="all"),
]
OutputOption = Annotated[
    Path | None,
    options.OUTPUT(
        "-o",
        "--output",
        metavar="FILE",
        help="Table to write, .tsv (its manifest goes with it) or .parquet.",
        default="TSV on stdout",
    ),
]


def command(
    model: options.Model,
    *,
    gauge: options.Gauge = choices.GaugeName.reference,
    order: OrderOption = None,
    output: OutputOption = None,
    top: TopOption = None,
    as_json: options.AsJson = False,
    force: options.Force = False,
    config: options.Config = None,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the interaction table of a fitted model in another gauge, without fitting again."""
    steps.start_logging(verbose, quiet, config)
    from genoattn.writing import check_output

    need_output(as_json, output)
    if output is not None:
        check_output(output, force)
    from genoattn.fitting.store import load_model, save_table

    table = load_model(model).export(gauge.value, order).head(top)
    save_table(table, output, force)
    if as_json and output is not None:
        print_json("export", output, **description(table), n_rows=len(table.frame))
