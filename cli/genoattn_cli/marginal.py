"""genoattn scan COHORT --pheno TABLE --marginal -o DIR"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import typer

from genoattn.errors import InputError
from genoattn_cli import steps
from genoattn_cli.json_output import marginal_record, print_json

if TYPE_CHECKING:
    from genoattn.cohort import Cohort

# Options of a scan of pairs, their values where they are not given, and why they go without --marginal.
_OF_PAIRS = {
    "order": ("--order 3", 2, "it tests each site with all others together"),
    "pairs": ("--pairs", None, "it names no pairs"),
    "background": ("--background", None, "it adjusts for the additive genome by itself"),
    "environment": ("--environment", None, "its partners are sites of the genome"),
    "test": ("--test genotypic", "additive", "its products are of dosages"),
    "permutations": ("--permutations", 0, "its p-values need none"),
    "form": ("--format plink", "table", "PLINK has no format for it"),
    "threshold": ("--threshold", 1e-4, "every site has a row"),
    "min_distance": ("--min-distance", 0, "give --mask-distance"),
    "max_r2": ("--max-r2", None, "give --mask-distance"),
    "device": ("--device", "cpu", "it runs on the processor"),
    "memory": ("--memory", 2.0, "it holds the dosages of all samples in float32"),
}
_ENCODINGS = ("auto", "dosage")


def check_options(given: Mapping[str, Any]) -> None:
    """Refuse, by name, options that do not go with ``--marginal``, or go with it only."""
    if not given["marginal"]:
        if given["mask_distance"] is not None:
            raise InputError("--mask-distance is of --marginal; for pairs give --min-distance")
        return
    for name, (option, default, why) in _OF_PAIRS.items():
        if steps.plain(given[name]) != default:
            raise InputError(f"{option} does not go with --marginal: {why}; leave one out")
    if steps.plain(given["encoding"]) not in _ENCODINGS:
        raise InputError("--marginal is of dosages; leave --encoding out")
    if given["trait"] is not None and len(given["trait"]) > 1:
        raise InputError("--marginal tests one trait at a time; give one --trait")


def run(given: Mapping[str, Any], record: Mapping[str, bytes], read: Callable[..., Cohort]) -> None:
    """The test of marginal epistasis with the options of ``genoattn scan`` by name, and what it writes."""
    import genoattn

    data, output, top = read(given), given["output"], given["top"]
    chosen = {name: given[name] for name in ("sites", "with_sites", "threads", "seed")}
    if given["mask_distance"] is not None:
        chosen["mask_distance"] = given["mask_distance"]
    result = genoattn.scan_marginal(data, progress=not given["quiet"], **chosen)
    result.save(output, given["force"], record)
    with steps.results_in(output):
        if not given["as_json"]:
            typer.echo(f"{result.summary(top)}\n\nwritten to {output}")
        if not given["no_report"]:
            steps.add_reports(output, {output: lambda: data})
    if given["as_json"]:
        print_json("scan", output, **marginal_record(result, top))
