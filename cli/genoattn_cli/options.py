"""Options that several commands share, and what they do before a command starts."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from genoattn.cohort import Cohort as CohortData


class GaugeName(StrEnum):
    """Convention that makes coefficients unique."""

    reference = "reference"
    zero_sum = "zero-sum"
    frequency = "frequency"


COHORT_HELP = "VCF (.vcf, .vcf.gz, .bcf), PLINK prefix or .bed, or aligned FASTA (.fasta, .fa, also .gz)."

Cohort = Annotated[Path, typer.Argument(metavar="COHORT", help=COHORT_HELP, show_default=False)]
Covar = Annotated[
    Path | None,
    typer.Option("--covar", metavar="TABLE", help="Covariates, matched by IID.", show_default=False),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region", metavar="CHR:FROM-TO", help="Only these sites of an indexed VCF.", show_default=False
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no log on stderr.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of every random choice.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, max=1024, help="CPU threads (default: all).", show_default=False),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]


def start_logging(verbose: bool, quiet: bool) -> None:
    """Log of the library on stderr: what was read, kept, dropped and done."""
    logger = logging.getLogger("genoattn")
    logger.handlers.clear()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)


def report(cohort: CohortData) -> None:
    """What was read, kept and dropped, on stderr."""
    for line in cohort.log:
        logging.getLogger("genoattn").info(line)


def set_threads(threads: int | None) -> None:
    """Threads of torch and of the BLAS under numpy."""
    if threads is None:
        return
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    threadpool_limits(threads)
