"""A new cohort laid out as a model expects: its sites, in its order, counting its effect alleles."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from genoattn.cohort import MISSING, Cohort, Sites
from genoattn.errors import InputError
from genoattn.tokens.align_sequences import align_sequences

_log = logging.getLogger(__name__)


def align_calls(cohort: Cohort, sites: Sites) -> np.ndarray:
    """Calls of a cohort at the sites of a model.

    Genotype sites match by chromosome, position and alleles, or by ID and alleles; where reference and
    effect allele have changed places the dosage is turned round, and how many were is logged. Alignments
    match by column. Shape (n_samples, n_model_sites), int8 states of the model, -1 where missing.
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
    return align_sequences(cohort, sites, source) if is_sequence else _align_genotypes(cohort, sites, source)


def _align_genotypes(cohort: Cohort, sites: Sites, source: str) -> np.ndarray:
    own = cohort.sites
    keys = zip(own.chrom, own.pos.tolist(), own.ref, own.alt, strict=True)
    place = {key: k for k, key in enumerate(keys)}
    by_id = {(own.ids[k], own.ref[k], own.alt[k]): k for k in range(len(own))}
    out = np.empty((cohort.n_samples, len(sites)), dtype=np.int8)
    absent: list[str] = []
    n_swapped = 0
    rows = zip(sites.chrom, sites.pos.tolist(), sites.ref, sites.alt, sites.ids, strict=True)
    for k, (chrom, pos, ref, alt, name) in enumerate(rows):
        index = place.get((chrom, pos, ref, alt), by_id.get((name, ref, alt)))
        is_swapped = index is None
        if is_swapped:
            index = place.get((chrom, pos, alt, ref), by_id.get((name, alt, ref)))
        if index is None:
            absent.append(name)
            continue
        calls = cohort.calls[:, index]
        ploidy = len(sites.states[k]) - 1
        if calls.max(initial=0) > ploidy:
            sample = cohort.samples[int(calls.argmax())]
            raise InputError(
                f"{source}: sample {sample} has {calls.max()} copies at {name}, "
                f"where the model knows ploidy {ploidy}; check the ploidy of the calls"
            )
        if is_swapped:
            n_swapped += 1
            own_ploidy = len(own.states[index]) - 1  # haploid calls turn round among 0 and 1
            calls = np.where(calls == MISSING, MISSING, own_ploidy - calls)
        out[:, k] = calls
    if absent:
        raise _absence(own, sites, absent, source)
    if n_swapped:
        text = "%s: reference and effect allele change places at %d sites; dosages turned round"
        _log.info(text, source, n_swapped)
    return out


def _absence(own: Sites, sites: Sites, absent: list[str], source: str) -> InputError:
    """The error for sites of a model that a cohort lacks; often its chromosomes have other names."""
    theirs, ours = sorted(set(own.chrom)), sorted(set(sites.chrom))
    if not set(theirs) & set(ours):
        return InputError(
            f"{source}: none of the model's sites are there; its chromosomes are called "
            f"{', '.join(theirs[:3])}, the model's {', '.join(ours[:3])}; "
            "rename them with bcftools annotate --rename-chrs"
        )
    return InputError(
        f"{source}: {len(absent)} of the model's {len(sites)} sites are not there "
        f"({', '.join(absent[:3])}); add them, as missing calls ./. if they were not typed"
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
