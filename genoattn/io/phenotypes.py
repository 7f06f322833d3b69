"""A column of a table to a Phenotype: choice of the trait, its type, its transformation."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from genoattn.cohort import Phenotype
from genoattn.errors import InputError
from genoattn.io.sentinels import code_lines
from genoattn.io.tables import SampleTable, list_names, numeric_column

_log = logging.getLogger(__name__)

Transform = Literal["none", "log", "rank"]
TraitType = Literal["auto", "quantitative", "binary"]
_QUANTILES = 1000  # of a trait, between which normal scores are interpolated back


def choose_trait(table: SampleTable, trait: str | None) -> str:
    """The named trait, or the only column there is."""
    names = list(table.columns)
    if not names:
        raise InputError(f"{table.path}: no trait, only the ID column; add a column of phenotypes")
    if trait is None:
        if len(names) > 1:
            raise InputError(
                f"{table.path}: {len(names)} traits, name the one to use; there are: {list_names(names)}"
            )
        return names[0]
    if trait not in names:
        raise InputError(f"{table.path}: no trait '{trait}'; there are: {list_names(names)}")
    return trait


def trait_values(table: SampleTable, name: str, trait_type: TraitType) -> tuple[np.ndarray, list[str]]:
    """A trait's values, shape (n_rows,), NaN where missing, and what was taken as missing in words.

    In a table of PLINK (columns FID and IID) 0 is a missing status where there are 1 and 2, as PLINK has it.
    """
    values = numeric_column(table, name, "trait")
    found = set(np.unique(values[~np.isnan(values)]))
    if not table.plink or trait_type == "quantitative" or found != {0.0, 1.0, 2.0}:
        return values, []
    _log.warning(
        "%s: trait '%s' is 0, 1 and 2 in a table of PLINK (columns FID and IID): 0 is read as missing, 2 "
        "as the case; use trait_type quantitative for numbers",
        table.path, name,
    )  # fmt: skip
    line = f"trait {name}: {int((values == 0).sum())} values of 0 read as missing, as PLINK does"
    return np.where(values == 0, np.nan, values), [line]


def build_phenotype(
    path: Path,
    name: str,
    samples: np.ndarray,
    values: np.ndarray,
    trait_type: TraitType,
    transform: Transform,
) -> tuple[Phenotype, list[str]]:
    """The phenotype of the samples in use, and what was found in words.

    ``values`` (n_samples,) are as written, none missing. Trait type ``auto`` is binary if they are all in
    {0, 1} or all in {1, 2}; in {1, 2}, PLINK's coding, 2 is the case. A transform, ``log`` (natural) or
    ``rank``, is refused for a binary trait.
    """
    where = f"{path}: trait '{name}'"
    _check_values(where, samples, values, trait_type)
    two_classes = set(np.unique(values)) in ({0.0, 1.0}, {1.0, 2.0})
    if trait_type == "binary" or (trait_type == "auto" and two_classes):
        if transform != "none":
            raise InputError(f"{where} is binary, transform {transform} does not apply; use transform none")
        coded, line = _binary(where, samples, values)
        return Phenotype(name, coded, binary=True), [f"trait {name}: {line}"]
    moments = f"mean {values.mean():.4g}, standard deviation {values.std():.4g}"
    log = [f"trait {name}: quantitative, {len(values)} samples, {moments}"]
    log += code_lines(where, f"trait {name}", values)
    if set(np.unique(values)) == {0.0, 1.0, 2.0}:
        log.append(
            f"trait {name}: values 0, 1 and 2 read as numbers; for controls and cases write NA for the third"
        )
    if transform != "none":
        log.append(f"trait {name}: transform {transform}")
    if transform == "log":
        wrong = values <= 0
        if wrong.any():
            raise InputError(
                f"{where} of sample {samples[wrong][0]} is {values[wrong][0]:g}, it has no logarithm; "
                "use transform rank or none, or write NA"
            )
        values = np.log(values)
    elif transform == "rank":
        scores = rank_normal(values)
        return Phenotype(name, scores, transform=transform, quantiles=trait_quantiles(values, scores)), log
    return Phenotype(name, values, transform=transform), log


def with_variance(
    path: Path, phenotype: Phenotype, values: np.ndarray, variance: np.ndarray
) -> tuple[Phenotype, str]:
    """A quantitative phenotype with the variances of its measurement, and what they say in words.

    ``values`` and ``variance`` (n_samples,) are as the table has them; under a log transform a variance
    becomes ``variance / value^2`` (delta method).
    """
    where = f"{path}: trait '{phenotype.name}'"
    if phenotype.binary:
        raise InputError(f"{where} is binary, which has no measurement variances; leave them out")
    if phenotype.transform == "rank":
        raise InputError(
            f"{where}: ranks have no measurement variances; leave them out, or use transform none or log"
        )
    if phenotype.transform == "log":
        variance = variance / values**2
    ceiling = 1 - variance.mean() / phenotype.values.var()
    line = (
        f"trait {phenotype.name}: mean variance of the measurement {variance.mean():.4g}, which puts the "
        f"ceiling of R2 at {ceiling:.3f}"
    )
    return replace(phenotype, variance=variance), line


def rank_normal(values: np.ndarray) -> np.ndarray:
    """Normal quantiles of (r - 3/8) / (n + 1/4), r the average rank (Blom 1958): shape (n_samples,)."""
    from scipy.stats import norm, rankdata

    return norm.ppf((rankdata(values) - 3 / 8) / (len(values) + 1 / 4))


def trait_quantiles(values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Normal scores (n_samples,) and the values that have them, ascending: (2, n), up to 1,000 of them."""
    trait, first = np.unique(values, return_index=True)
    kept = np.linspace(0, len(trait) - 1, min(len(trait), _QUANTILES)).round().astype(np.int64)
    return np.stack([scores[first], trait])[:, kept]


def _check_values(where: str, samples: np.ndarray, values: np.ndarray, trait_type: TraitType) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        raise InputError(f"{where} of sample {samples[infinite][0]} is infinite; correct it or write NA")
    found = set(np.unique(values))
    if trait_type != "quantitative" and -9 in found and len(found) > 1 and found <= {-9.0, 0.0, 1.0, 2.0}:
        n = int((values == -9).sum())
        raise InputError(
            f"{where} is -9 in {n} samples, else 0, 1 or 2; -9 is not read as missing, write NA instead"
        )
    if trait_type != "binary" and len(found) == 1:
        raise InputError(
            f"{where} is constant: {values[0]:g} in all {len(values)} samples in use; "
            "choose a trait that varies (for a binary trait: cases and controls)"
        )


def _binary(where: str, samples: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, str]:
    """Values coded 0 (control) and 1 (case), and the counts in words."""
    outside = ~np.isin(values, [0.0, 1.0]) if (values == 0).any() else ~np.isin(values, [1.0, 2.0])
    if set(np.unique(values)) == {0.0, 1.0, 2.0}:
        raise InputError(
            f"{where} is 0, 1 and 2, where a binary trait has two values; write NA for the one that "
            "stands for missing (0 in files of PLINK), or use trait_type quantitative"
        )
    if outside.any():
        raise InputError(
            f"{where} of sample {samples[outside][0]} is {values[outside][0]:g}; a binary trait is coded "
            "0 and 1, or 1 and 2 (2 the case)"
        )
    # Values all 1 fit both codings; either way one class is absent.
    case = 2.0 if (values == 2).any() else 1.0
    n_cases = int((values == case).sum())
    n_controls = len(values) - n_cases
    if n_cases == 0 or n_controls == 0:
        raise InputError(
            f"{where} is binary with one class: {n_cases} cases ({case:g}) and "
            f"{n_controls} controls ({case - 1:g}) among the samples in use; both are needed"
        )
    line = f"binary, {n_cases} cases ({case:g}) and {n_controls} controls ({case - 1:g})"
    return (values == case).astype(np.float64), line
