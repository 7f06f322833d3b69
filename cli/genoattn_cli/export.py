"""genoattn export DIR -o interactions.tsv"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genoattn_cli import options
from genoattn_cli.json_output import description, need_output, print_json

ModelArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Output folder of genoattn fit.", show_default=False)
]
GaugeOption = Annotated[options.GaugeName, typer.Option("--gauge", help="Gauge of the table.")]
OrderOption = Annotated[
    int | None,
    typer.Option("--order", min=0, help="Largest order. (default: the model's)", show_default=False),
]
TopOption = Annotated[
    int | None,
    typer.Option("--top", min=1, help="Only the first rows. (default: all)", show_default=False),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help=".tsv or .parquet. (default: TSV on stdout)",
        show_default=False,
    ),
]


def command(
    model: ModelArgument,
    gauge: GaugeOption = options.GaugeName.reference,
    order: OrderOption = None,
    top: TopOption = None,
    output: OutputOption = None,
    force: options.Force = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
    config: options.Config = None,
) -> None:
    """Write the interaction table of a fitted model in another gauge, without fitting again."""
    options.start_logging(verbose, quiet, config)
    from genoattn.writing import check_output

    need_output(as_json, output)
    if output is not None:
        check_output(output, force)
    from genoattn.fitting.store import load_model, save_table

    table = load_model(model).export(gauge.value, order).head(top)
    save_table(table, output, force)
    if as_json and output is not None:
        print_json("export", output, **description(table), n_rows=len(table.frame))
