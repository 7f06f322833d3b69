"""scan_traits(cohort, traits) -> {trait: ScanResult}: many traits, each on the samples that have it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.interactions.columns import TermColumns
from genoattn.io.phenotypes import TraitType, Transform, build_phenotype, trait_values
from genoattn.io.sample_ids import match_rows
from genoattn.io.tables import list_names, read_table
from genoattn.scan.pair_scan import prepare, scan_columns
from genoattn.scan.result import ScanResult
from genoattn.scan.settings import check_config, read_config
from genoattn.streams import forget_copies
from genoattn.writing import atomic_directory

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)


def scan_traits(
    cohort: Cohort,
    traits: pd.DataFrame | str | PathLike[str],
    threshold: float = 1e-4,
    *,
    names: Sequence[str] | None = None,
    transform: Transform = "none",
    trait_type: TraitType = "auto",
    progress: bool = False,
    **options: object,
) -> dict[str, ScanResult]:
    """Scan the pairs of a cohort for several traits.

    Parameters
    ----------
    cohort
        Samples x sites, with the covariates; its own phenotype, if it has one, is not used.
    traits
        A table of phenotypes as :func:`genoattn.read` takes it, or a DataFrame with sample IDs in a column
        ``IID`` or ``sample``, or else as its index.
    threshold
        Largest p-value reported.
    names
        Which traits; None for all of the table.
    transform, trait_type
        Of every trait, as in :func:`genoattn.read`.
    progress
        Show pairs per second and the time left on stderr.
    options
        Any field of :class:`genoattn.scan.settings.ScanConfig`.

    Returns
    -------
    For each trait what :func:`genoattn.scan_pairs` finds on the samples that have a value of it; how many
    do not is logged. q-values are of one trait each. Sites without variation among them count as untestable.

    Raises
    ------
    InputError
        Where the table has no such trait or no sample of the cohort, or a trait cannot be scanned.

    Examples
    --------
    >>> import genoattn
    >>> import pandas as pd
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=300, n_sites=20, seed=1).cohort
    >>> height = pd.Series(cohort.phenotype.values, index=cohort.samples)
    >>> traits = pd.DataFrame({"height": height, "lower_half": height[:150]})
    >>> found = genoattn.scan_traits(cohort, traits, threshold=0.01)
    >>> {name: result.counts["n_samples"] for name, result in found.items()}
    {'height': 300, 'lower_half': 150}
    """
    config = read_config(threshold, options)
    check_config(config)
    if isinstance(traits, str | PathLike):
        forget_copies(Path(traits))
    where, values = _values(cohort, traits, names, trait_type)
    if isinstance(traits, str | PathLike):
        cohort = replace(cohort, source={**cohort.source, "phenotypes": str(traits)})
    results: dict[str, ScanResult] = {}
    for called, together in _same_samples(where, values):
        kept = cohort if called.all() else cohort.select_samples(called)
        prepared = prepare(kept, config)
        for name in together:
            phenotype, lines = build_phenotype(
                where, name, kept.samples, values[name][called], trait_type, transform
            )
            dropped = f"trait {name}: {int((~called).sum())} samples without a value dropped"
            for line in lines if called.all() else [*lines, dropped]:
                _log.info("%s", line)
            results[name] = scan_columns(prepared, replace(kept, phenotype=phenotype), config, progress)
    return {name: results[name] for name in values}


def cohort_with_trait(
    cohort: Cohort,
    traits: pd.DataFrame | str | PathLike[str],
    name: str,
    transform: Transform = "none",
    trait_type: TraitType = "auto",
) -> Cohort:
    """The samples of a cohort that have a value of a trait, with it, as :func:`scan_traits` scans them.

    Parameters
    ----------
    cohort, traits, transform, trait_type
        As in :func:`scan_traits`.
    name
        The trait.

    Examples
    --------
    >>> import pandas as pd
    >>> from genoattn.scan.traits import cohort_with_trait
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=300, n_sites=20, seed=1).cohort
    >>> height = pd.DataFrame({"height": cohort.phenotype.values[:150]}, index=cohort.samples[:150])
    >>> cohort_with_trait(cohort, height, "height")
    Cohort(150 samples x 20 sites, genotype, trait height, 0 covariates)
    """
    where, values = _values(cohort, traits, [name], trait_type)
    called = ~np.isnan(values[name])
    kept = cohort if called.all() else cohort.select_samples(called)
    phenotype, _ = build_phenotype(where, name, kept.samples, values[name][called], trait_type, transform)
    return replace(kept, phenotype=phenotype)


def trait_columns(results: Mapping[str, ScanResult]) -> TermColumns:
    """One row a trait: its folder, samples, tests, and how many pairs pass what."""
    found = list(results.values())
    columns: dict[str, np.ndarray] = {"trait": np.array(list(results), dtype=object)}
    for name in ("n_samples", "n_tests", "n_untestable", "n_linked", "n_reported"):
        columns[name] = np.array([result.counts[name] for result in found], dtype=np.int64)
    columns["n_bonferroni"] = np.array([(r.rows["p_value"] <= r.bonferroni).sum() for r in found])
    columns["n_q_below_0.05"] = np.array([(r.rows["q_value"] < 0.05).sum() for r in found])
    columns["bonferroni"] = np.array([r.bonferroni for r in found])
    columns["smallest_p_value"] = np.array([r.rows["p_value"].min(initial=np.inf) for r in found])
    empty = np.isinf(columns["smallest_p_value"])
    columns["smallest_p_value"] = np.where(empty, np.nan, columns["smallest_p_value"])
    return TermColumns(columns)


def summarise_traits(results: Mapping[str, ScanResult]) -> str:
    """A line a trait."""
    return "\n".join(result.summary(0).replace("\n  ", "; ") for result in results.values())


def save_traits(
    results: Mapping[str, ScanResult],
    directory: str | Path,
    force: bool = False,
    plink: bool = False,
    extra_files: Mapping[str, bytes] | None = None,
) -> None:
    """Write the output folder of a scan of several traits, complete or not at all.

    Each trait has a folder as of :meth:`ScanResult.save`, named after it; ``traits.tsv`` has a row a trait.

    Parameters
    ----------
    results
        What :func:`scan_traits` returned.
    directory, force, plink, extra_files
        As in :meth:`ScanResult.save`.
    """
    check_folders(list(results))
    first = next(iter(results.values())).manifest
    record = {"traits": list(results), "versions": first.versions, "inputs": first.inputs}
    with atomic_directory(directory, force) as work:
        for name, result in results.items():
            result.save(work / name, plink=plink)
        for name, content in (extra_files or {}).items():
            (work / name).write_bytes(content)
        (work / "traits.tsv").write_bytes(trait_columns(results).to_tsv())
        (work / "manifest.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def check_folders(names: Sequence[str]) -> None:
    """Raise InputError for a trait that cannot name a folder."""
    for name in names:
        if name in (".", "..", "traits.tsv", "manifest.json") or any(c in name for c in "/\\\0"):
            raise InputError(f"trait '{name}' cannot name a folder; rename the column, or scan it alone")


def _same_samples(where: Path, values: dict[str, np.ndarray]) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Groups of traits with values of the same samples, which share columns: the samples, the traits."""
    groups: dict[bytes, list[str]] = {}
    for name, value in values.items():
        if np.isnan(value).all():
            raise InputError(
                f"{where}: no sample of the genotypes has a value of trait '{name}'; leave it out"
            )
        groups.setdefault(np.isnan(value).tobytes(), []).append(name)
    for together in groups.values():
        yield ~np.isnan(values[together[0]]), together


def _values(
    cohort: Cohort,
    traits: pd.DataFrame | str | PathLike[str],
    names: Sequence[str] | None,
    trait_type: TraitType,
) -> tuple[Path, dict[str, np.ndarray]]:
    """Name of the table in messages; by trait a value for each sample of the cohort, NaN where none."""
    table = read_table(traits, "traits")
    chosen = list(table.columns) if names is None else list(dict.fromkeys(names))
    if not chosen:
        raise InputError(f"{table.path}: no trait, only sample IDs; add a column of phenotypes")
    for name in chosen:
        if name not in table.columns:
            raise InputError(f"{table.path}: no trait '{name}'; there are: {list_names(table.columns)}")
    rows, lines = match_rows(cohort.samples, cohort.families, table)
    values = {}
    for name in chosen:
        found, read = trait_values(table, name, trait_type)
        values[name] = np.append(found, np.nan)[rows]
        lines += read
    for line in (*table.log, *lines):
        _log.info("%s", line)
    return table.path, values
