"""Build the report of a run and write it as one HTML file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pandas as pd

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.report.certainty import sure
from genoattn.report.document import Column, DataTable, Report, Section
from genoattn.report.findings import asked, found, title
from genoattn.report.marginal_report import is_marginal, marginal_report
from genoattn.report.run_folder import RunFolder, load_run, trait_folders
from genoattn.report.sections_data import data_section, run_facts
from genoattn.report.sections_genome import genome_section
from genoattn.report.sections_landscape import landscape_section
from genoattn.report.sections_performance import performance_section, prediction_by_order, variance_section
from genoattn.report.sections_signals import signals_section
from genoattn.report.sections_terms import pictures_section, terms_section
from genoattn.report.term_details import data_problem
from genoattn.writing import check_output, write_output

NAME = "report.html"
T = TypeVar("T")
# What files edited by hand or damaged raise; the run's own table has been checked before.
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


def build_report(
    folder: str | Path | RunFolder, cohort: Cohort | None = None, why_no_data: str = "", seed: int = 0
) -> Report:
    """Contents of the report of a run.

    Parameters
    ----------
    folder
        That of ``genoattn fit`` or ``genoattn scan``, or what :func:`load_run` read of it.
    cohort
        The data of the run, with its trait: for pictures of single samples and plain regressions. Without it
        the report says what is left out.
    why_no_data
        Why there is no cohort, for the reader: ``genotypes.vcf has changed since the run``.
    seed
        Of resampled intervals, and of which points are drawn where they are many.

    Raises
    ------
    InputError
        Where the folder is none of a run; see :func:`genoattn.report.run_folder.load_run`.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.report.write import build_report
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=100, n_sites=8, linkage="none", n_terms=1, seed=1).cohort
    >>> genoattn.scan_pairs(cohort).save("scan", force=True)
    >>> build_report("scan", cohort).asked[0]
    'Which pairs of sites act together on trait?'
    """
    run = folder if isinstance(folder, RunFolder) else load_run(folder)
    warnings = list(run.warnings)
    if cohort is not None and (problem := data_problem(run, cohort)):
        cohort, why_no_data = None, f"the data given are not those of the run: {problem}"
    if cohort is None:
        warnings.append(_without_data(why_no_data))

    def part(name: str, make: Callable[[], T], without: T) -> T:
        """A part of the report, or a warning where an edited or damaged file makes it impossible."""
        try:
            return make()
        except _DAMAGED as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
            warnings.append(f"{name} is left out: a file of the folder is damaged or was edited ({reason}).")
            return without

    performance = part("The quality by order", lambda: prediction_by_order(run, seed), None)
    sections: dict[str, Callable[[], Section | None]] = {
        "The strongest in the data": lambda: pictures_section(run, cohort, seed),
        "Samples and sites": lambda: data_section(run, cohort),
        "Terms": lambda: terms_section(run, cohort, seed),
        "Signals": lambda: signals_section(run, cohort),
        "Along the genome": lambda: genome_section(run, cohort, seed),
        "The landscape": lambda: landscape_section(run, cohort),
        "How well the model predicts": lambda: performance_section(run, performance, seed),
        "Variance by order": lambda: variance_section(run, performance),
    }
    made = [part(name, make, None) for name, make in sections.items()]
    nothing: list[str] = []
    certain = part("How sure the findings are", lambda: sure(run, performance), nothing)
    return Report(
        title(run), asked(run), part("What was found", lambda: found(run), nothing), certain, warnings,
        [section for section in made if section is not None], run_facts(run),
    )  # fmt: skip


def _without_data(why: str) -> str:
    reason = f" ({why.strip().rstrip('.')})" if why.strip() else ""
    return (
        f"The data of the run are not at hand{reason}: pictures of measured samples and plain regressions "
        "are left out. With the unchanged files where they were, genoattn report on this folder adds them."
    )


def write_report(
    folder: str | Path,
    cohort: Cohort | None = None,
    why_no_data: str = "",
    output: str | Path | None = None,
    force: bool = True,
    seed: int = 0,
) -> Path:
    """Write the report of a run as one HTML file that needs nothing else.

    Parameters
    ----------
    folder
        That of a fit or a scan. Of a scan of several traits each trait gets its report in its own folder, and
        the file written lists them.
    cohort, why_no_data, seed
        As of :func:`build_report`.
    output
        Where to write; ``report.html`` in the folder if None.
    force
        Replace a file that exists.

    Returns
    -------
    The file.

    Raises
    ------
    InputError
        Where the folder is none of a run, or the file exists and ``force`` is False; nothing is written.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=100, n_sites=8, linkage="none", n_terms=1, seed=1).cohort
    >>> genoattn.scan_pairs(cohort).save("scan", force=True)
    >>> genoattn.write_report("scan", cohort).name
    'report.html'
    """
    from genoattn.report.page import render

    folder = Path(folder)
    path = folder / NAME if output is None else Path(output)
    traits = trait_folders(folder)
    for file in (path, *(trait / NAME for trait in traits)):
        check_output(file, force)
    if traits:
        report = _index(folder, traits)
    elif is_marginal(folder):
        report = marginal_report(folder, seed)
    else:
        report = build_report(folder, cohort, why_no_data, seed)
    for trait in traits:
        own = cohort if cohort is not None and _is_trait(cohort, trait) else None
        write_report(trait, own, why_no_data, None, force, seed)
    write_output(render(report), path, force)
    return path


def _is_trait(cohort: Cohort, folder: Path) -> bool:
    return cohort.phenotype is not None and cohort.phenotype.name == load_run(folder).manifest.trait


def _index(folder: Path, traits: list[Path]) -> Report:
    """The report of a scan of several traits: what each found, and where its own report is."""
    runs = [load_run(path) for path in traits]
    try:
        summary = pd.read_csv(folder / "traits.tsv", sep="\t", dtype={"trait": str})
    except (ValueError, OSError) as error:
        raise InputError(f"{folder / 'traits.tsv'}: cannot be read ({error}); run the scan again") from None
    names = [str(c) for c in summary.columns]
    columns = [Column(c, c, "text" if c == "trait" else "p" if "p_value" in c else "number") for c in names]
    rows = [
        [None if pd.isna(x) else x if isinstance(x, str) else float(x) for x in row]
        for row in summary.itertuples(index=False)
    ]
    said = [f"{run.manifest.trait}: {found(run)[0]}" for run in runs]
    table = DataTable("traits", "By trait", columns, rows, "traits.tsv")
    return Report(
        f"{len(runs)} traits: scans of interactions",
        [f"Which pairs of sites act together on each of {len(runs)} traits?"],
        said,
        ["Each trait is tested alone: thresholds and q-values are not corrected for the number of traits."],
        [],
        [Section("traits", "Traits", (), (), [table])],
        run_facts(runs[0])[2:4],
        [(run.manifest.trait, f"{path.name}/{NAME}") for run, path in zip(runs, traits, strict=True)],
    )
