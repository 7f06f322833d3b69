"""Sequences that were measured more than once."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genoattn.cohort import MISSING, Cohort, FlowStep, Phenotype
from genoattn.errors import InputError
from genoattn.io.filters import with_log


@dataclass(frozen=True, eq=False)
class _Groups:
    """Samples with the same sequence and covariates."""

    first: np.ndarray  # (n_groups,), ascending: the first sample of each
    group: np.ndarray  # (n_samples,), that of each sample

    @property
    def sizes(self) -> np.ndarray:
        return np.bincount(self.group, minlength=len(self.first))


def merge_duplicates(cohort: Cohort, path: Path, strict: bool, average: bool = True) -> Cohort:
    """An alignment with each sequence once, at its mean value; the first of its samples stays.

    Two samples are the same where all residues are known and agree, and all covariates do. With measurement
    variances the mean is weighted by their inverses, and its variance is one over the sum of those. Samples
    of a binary trait are observations, which no mean replaces: they stay as they are, as do counts
    (``average`` is False). ``strict`` refuses a sequence with different values.
    """
    phenotype = cohort.phenotype
    if cohort.kind != "sequence" or phenotype is None:
        return cohort
    groups = _groups(cohort)
    if len(groups.first) == cohort.n_samples:
        return cohort
    differ = phenotype.values != phenotype.values[groups.first][groups.group]
    n_differ = len(np.unique(groups.group[differ]))
    if strict and n_differ:
        later = int(np.argmax(differ))
        first = int(groups.first[groups.group[later]])
        raise InputError(
            f"{path}: {cohort.samples[first]} and {cohort.samples[later]} are the same sequence with "
            f"values {phenotype.values[first]:g} and {phenotype.values[later]:g} ({n_differ} such "
            "sequences); keep one of each, or leave strict off to average them"
        )
    sizes = groups.sizes
    n_repeated, n_rows = int((sizes > 1).sum()), int(sizes[sizes > 1].sum())
    found = f"{n_repeated} sequences occur more than once ({n_rows} samples, up to {sizes.max()} each), "
    if phenotype.binary:
        return with_log(cohort, f"{found}{n_differ} of them in both classes; all samples are kept")
    if not average:
        return with_log(cohort, f"{found}{n_differ} of them with different values; all samples are kept")
    merged = replace(cohort.select_samples(groups.first), phenotype=_averaged(phenotype, groups))
    line = f"{found}{n_differ} of them with different values; each is kept once, at its mean"
    n_before, n_after = cohort.n_samples, merged.n_samples
    repeats = {"that repeat another one, whose value is their mean": n_before - n_after}
    return with_log(merged, line, flow=(FlowStep("sequences", n_before, n_after, repeats),))


def _groups(cohort: Cohort) -> _Groups:
    complete = np.flatnonzero((cohort.calls != MISSING).all(axis=1))
    key = np.ascontiguousarray(cohort.calls[complete]).view(np.uint8)
    if cohort.covariates is not None:
        covariates = np.ascontiguousarray(cohort.covariates.values[complete] + 0.0)  # -0 and 0 are one value
        key = np.hstack([key, covariates.view(np.uint8).reshape(len(complete), -1)])
    rows = np.ascontiguousarray(key).view(np.dtype((np.void, key.shape[1]))).ravel()
    _, index, inverse = np.unique(rows, return_index=True, return_inverse=True)
    leader = np.arange(cohort.n_samples)  # the first sample like it, for each sample
    leader[complete] = complete[index][inverse]
    first, group = np.unique(leader, return_inverse=True)
    return _Groups(first, group)


def _averaged(phenotype: Phenotype, groups: _Groups) -> Phenotype:
    """The mean of each group, and its variance where variances are known."""
    n = len(groups.first)
    weight = np.ones(len(groups.group)) if phenotype.variance is None else 1 / phenotype.variance
    total = np.bincount(groups.group, weights=weight, minlength=n)
    values = np.bincount(groups.group, weights=weight * phenotype.values, minlength=n) / total
    # What occurs once stays as it was, to the last bit.
    alone = groups.sizes == 1
    values[alone] = phenotype.values[groups.first][alone]
    if phenotype.variance is None:
        return replace(phenotype, values=values)
    variance = 1 / total
    variance[alone] = phenotype.variance[groups.first][alone]
    return replace(phenotype, values=values, variance=variance)
