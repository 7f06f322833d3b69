"""genoattn report DIR"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from genoattn.errors import InputError
from genoattn_cli import options, steps
from genoattn_cli.json_output import print_json

REPORT_FILE = "report.html"

FolderArgument = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="Output folder of genoattn fit or genoattn scan.", show_default=False),
]
OutputOption = Annotated[
    Path | None,
    options.OUTPUT(
        "-o",
        "--output",
        metavar="FILE",
        help="HTML file to write, in place of the one in DIR.",
        default="report.html in DIR, replaced where it exists",
    ),
]


def command(
    folder: FolderArgument,
    *,
    output: OutputOption = None,
    as_json: options.AsJson = False,
    force: options.Force = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the report of a fit or a scan: one HTML file to read, search and print, without a network.

    The inputs are read again where run.toml in DIR says they were, or beside DIR, for the pictures that need
    them; where they are missing or have changed the report says so and leaves those pictures out. Of a scan
    of several traits each has its report in its folder.
    """
    steps.start_logging(verbose, quiet)
    folders = _folders(folder, output)
    from genoattn.writing import check_output

    files = {one: output or one / REPORT_FILE for one in folders}
    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{output}: a report is an HTML file; name it .html")
    for file in files.values():  # what is in the folder of a run is made from it, and may be made again
        check_output(file, force or output is None)
    missing = {}
    if folder not in files:  # of several traits: what lists them, before the reports with their data
        from genoattn.report.write import write_report

        write_report(folder)
    for one, file in files.items():
        missing[str(file)] = _write(one, file)
        if not as_json:
            typer.echo(f"written to {file}")
    if as_json:
        print_json("report", output or folder / REPORT_FILE, reports=missing)


def _folders(folder: Path, output: Path | None) -> list[Path]:
    """The folder itself, or those of its traits."""
    if (folder / "traits.tsv").is_file():
        traits = sorted(path.parent for path in folder.glob("*/manifest.json"))
        if output is not None:
            raise InputError(f"{folder}: has a folder a trait; leave -o out, or name the folder of one trait")
        if traits:
            return traits
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}; give the output folder of genoattn fit or scan")
    if not (folder / "manifest.json").is_file():
        raise InputError(f"{folder}: no manifest.json there; give the output folder of genoattn fit or scan")
    return [folder]


def _write(folder: Path, file: Path) -> str:
    """Write one report; returns why it has no pictures of the data, empty where it has them."""
    from genoattn.progress import phase
    from genoattn.report.write import write_report
    from genoattn_cli.run_again import cohort_of_run

    cohort, why = cohort_of_run(folder)
    if why:
        logging.getLogger("genoattn").warning("the report has no pictures of the data: %s", why)
    with phase(steps.shown(), "writing the report"):
        write_report(folder, cohort, why_no_data=why, output=file)
    return why
