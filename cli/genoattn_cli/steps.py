"""What commands do before their one call of the library, and after it."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from genoattn.errors import InputError
from genoattn_cli.choices import AlphabetName, DosageFieldName, EncodingName
from genoattn_cli.config import warn_of_version
from genoattn_cli.json_output import KeepWarnings

if TYPE_CHECKING:
    from genoattn.cohort import Cohort


class _Stderr(logging.StreamHandler):
    """Lines on what stderr is when they come: a progress bar moves down for them."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:  # type: ignore[override]
        return sys.stderr


def start_logging(verbose: bool, quiet: bool, config: Path | None = None) -> None:
    """Log of the library on stderr: what was read, kept, dropped and done."""
    logger = logging.getLogger("genoattn")
    logger.handlers.clear()
    handler = _Stderr()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.addHandler(KeepWarnings())
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    warn_of_version(config)


def shown() -> bool:
    """Whether progress is to be seen: without ``--quiet``."""
    return logging.getLogger("genoattn").isEnabledFor(logging.INFO)


def table_of_phenotypes(cohort: Path, pheno: Path | None, is_table: bool) -> Path:
    """The table given, or the cohort itself where it is a table of variants."""
    if pheno is None and not is_table:
        raise InputError("Missing option '--pheno'; give the table of phenotypes")
    return cohort if pheno is None else pheno


def split_names(names: str | None) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in names.split(",")) if names else ()


def read_cohort(cohort: Path, *tables: Any, **how: Any) -> Cohort:
    """``genoattn.read`` with options of the command line; what was read, kept and dropped goes to stderr."""
    import genoattn
    from genoattn.progress import phase

    with phase(shown(), f"reading {cohort.name}"):
        data = genoattn.read(cohort, *tables, **{name: plain(value) for name, value in how.items()})
    for line in data.log:
        logging.getLogger("genoattn").info(line)
    return data


def alphabet_like(model: Any, alphabet: AlphabetName, cohort: Path, is_table: bool) -> str:
    """The alphabet asked for, else that of the model, for files that have one."""
    from genoattn.io.formats import ALIGNMENT_SUFFIXES

    aligned = is_table or cohort.name.lower().endswith(ALIGNMENT_SUFFIXES)
    return model.alphabet if aligned and alphabet is AlphabetName.auto else alphabet.value


def dosages_like(model: Any, field: DosageFieldName | None, cohort: Path) -> str | None:
    """The entry asked for, else that of the model, for files that may have it."""
    from genoattn.io.formats import may_have_dosages

    if field is not None:
        return field.value
    of_model = model.manifest.dosages
    return of_model if of_model in list(DosageFieldName) and may_have_dosages(cohort) else None


def plain(choice: Any) -> Any:
    """The word behind a choice."""
    return choice.value if isinstance(choice, StrEnum) else choice


def chosen_encoding(encoding: EncodingName) -> str | None:
    """The encoding asked for, None for the cohort's own."""
    return None if encoding is EncodingName.auto else encoding.value


def set_threads(threads: int | None) -> None:
    """Threads of torch and of the BLAS under numpy."""
    if threads is None:
        return
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    threadpool_limits(threads)


@contextmanager
def results_in(folder: Path) -> Iterator[None]:
    """After the results are written: an interruption says where they are."""
    try:
        yield
    except KeyboardInterrupt:
        again = f"genoattn report {shlex.quote(str(folder))}"
        raise typer.Abort(f"the results are in {folder}; for the report: {again}") from None


def add_reports(folder: Path, cohorts: dict[Path, Callable[[], Cohort]]) -> None:
    """Reports in the folders of a run that is written, each with its cohort; a failure costs only the report.

    Parameters
    ----------
    folder
        Output of the command.
    cohorts
        By the folders of the runs in it what gives their cohorts.
    """
    from genoattn.progress import phase
    from genoattn.report.write import write_report

    try:
        with phase(shown(), "writing the report"):
            if folder not in cohorts:  # of several traits: what lists them
                write_report(folder)
            for one, cohort in cohorts.items():
                write_report(one, cohort())
    except Exception as error:  # a mistake in a picture must not look like a failed fit
        reason = " ".join(str(error).split()) or type(error).__name__
        again = f"genoattn report {shlex.quote(str(folder))}"
        typer.echo(f"warning: no report ({reason}); the results are in {folder}; try: {again}", err=True)
