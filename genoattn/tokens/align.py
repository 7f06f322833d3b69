"""A new cohort laid out as a model expects: its sites, in its order, counting its effect alleles."""

import logging
from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np

from genoattn.cohort import MISSING, Cohort, Haploid, Sites
from genoattn.errors import InputError
from genoattn.tokens.align_genotypes import align_genotypes
from genoattn.tokens.align_sequences import align_sequences
from genoattn.tokens.site_places import MatchBy

_log = logging.getLogger(__name__)


def align_calls(
    cohort: Cohort, sites: Sites, haploid: Haploid | None = None, match_by: MatchBy = "position"
) -> np.ndarray:
    """Calls of a cohort at the sites of a model.

    Genotype sites match as :func:`genoattn.tokens.align_genotypes.align_genotypes` has it, and how many did
    in which way is logged; alignments match by column. Samples without a call at more than half of the
    sites are named in a warning. Shape (n_samples, n_model_sites), int8 states of the model, -1 where
    missing.

    Parameters
    ----------
    haploid
        What haploid calls count in the model; a cohort of genotypes read otherwise is refused. None where
        that is not known.
    match_by
        What genotype sites match by: ``position``, or ``id`` where the build has changed.
    """
    if cohort.sites is sites:
        return cohort.calls
    source = cohort.source.get("genotypes", "cohort")
    is_sequence = not any(sites.alt)
    if is_sequence != (cohort.kind == "sequence"):
        model = "aligned sequences" if is_sequence else "genotypes"
        raise InputError(
            f"{source}: {cohort.kind} data, but the model was fitted on {model}; give it the same kind"
        )
    if match_by not in get_args(MatchBy):
        raise InputError(f"match_by is {match_by!r}; choose one of {', '.join(get_args(MatchBy))}")
    if is_sequence and match_by != "position":
        raise InputError(
            f"{source}: columns of an alignment match by number and have no ID; leave match_by out"
        )
    if not is_sequence and haploid not in (None, cohort.haploid):
        raise InputError(
            f"{source}: haploid calls read as {cohort.haploid}, but the model was fitted with haploid "
            f"{haploid}; read them so, or fit again"
        )
    if is_sequence:
        calls = align_sequences(cohort, sites, source)
    else:
        calls = align_genotypes(cohort, sites, source, match_by)
    _warn_of_missing(cohort.samples, calls, source)
    return calls


def _warn_of_missing(samples: np.ndarray, calls: np.ndarray, source: str) -> None:
    """Name samples whose prediction is mostly the mean of the training samples."""
    n_missing = (calls == MISSING).sum(axis=1)
    sparse = np.flatnonzero(n_missing > calls.shape[1] / 2)
    if len(sparse):
        _log.warning(
            "%s: %d samples lack a call at more than half of the model's %d sites (%s); "
            "a missing call counts as the mean of the training samples",
            source,
            len(sparse),
            calls.shape[1],
            ", ".join(f"{samples[i]} at {n_missing[i]}" for i in sparse[:3]),
        )


def align_covariates(cohort: Cohort, names: Sequence[str], levels: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Covariates of a cohort as the columns ``names`` of a model: shape (n_samples, n_covariates).

    A dummy is called ``column=level``; ``levels`` are those of each categorical column of the model, the
    baseline first. A cohort in which some of them do not occur, or whose baseline is another, gets the
    model's dummies all the same.
    """
    if not names:
        return np.zeros((cohort.n_samples, 0))
    have: dict[str, np.ndarray] = {}
    if cohort.covariates is not None:
        own = cohort.covariates
        have = {name: own.values[:, k] for k, name in enumerate(own.names)}
        for column, own_levels in own.levels.items():
            _add_levels(have, column, own_levels, levels.get(column, ()), cohort)
    missing = [name for name in names if name not in have]
    if missing:
        given = f"there are {', '.join(have)}" if have else "none were given"
        raise InputError(
            f"covariate {missing[0]} of the model is missing ({given}); pass the covariate table with --covar"
        )
    return np.column_stack([have[name] for name in names])


def _add_levels(
    have: dict[str, np.ndarray], column: str, own: Sequence[str], model: Sequence[str], cohort: Cohort
) -> None:
    """Indicators of all levels of a categorical covariate, whichever is the baseline in this cohort."""
    dummies = [have[f"{column}={level}"] for level in own[1:]]
    have[f"{column}={own[0]}"] = 1.0 - np.sum(dummies, axis=0) if dummies else np.ones(cohort.n_samples)
    for level in own:
        if model and level not in model and have[f"{column}={level}"].any():
            sample = cohort.samples[int(np.argmax(have[f"{column}={level}"]))]
            raise InputError(
                f"covariate {column} of sample {sample} is {level}, "
                f"which no training sample had ({', '.join(model)})"
            )
    for level in model:
        have.setdefault(f"{column}={level}", np.zeros(cohort.n_samples))
