"""Filters of sites: polymorphic, called in most samples, not too rare; dropped ones counted by reason."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from genoattn.cohort import Cohort, count_states
from genoattn.errors import InputError

_DEFAULT_MAF = {"genotype": 0.01, "sequence": 0.0}


def state_counts(cohort: Cohort) -> np.ndarray:
    """Samples in each state, shape (largest number of states, n_sites); 0 for states a site does not have."""
    return count_states(cohort.calls, int(cohort.sites.n_states.max(initial=0)))


def missingness(counts: np.ndarray, n_samples: int) -> np.ndarray:
    """The fraction of samples without a call, shape (n_sites,), from the samples in each state."""
    return (n_samples - counts.sum(axis=0)) / n_samples


def minor_frequency(cohort: Cohort, counts: np.ndarray) -> np.ndarray:
    """Minor allele frequency among the called samples, shape (n_sites,); 0 where none is called.

    Genotypes: the frequency f of the effect allele is its mean number of copies over the ploidy of the site
    (the largest seen), and the smaller of f and 1 - f counts. Sequences: all states but the commonest.
    ``counts``: samples in each state, (n_states, n_sites).
    """
    called = np.maximum(counts.sum(axis=0), 1)
    if cohort.kind == "sequence":
        return np.where(counts.sum(axis=0) > 0, 1 - counts.max(axis=0) / called, 0.0)
    copies = np.arange(len(counts)) @ counts
    frequency = copies / called / np.maximum(cohort.sites.n_states - 1, 1)
    return np.minimum(frequency, 1 - frequency)


def filter_sites(cohort: Cohort, read: str, maf: float | None, max_missing: float, path: Path) -> Cohort:
    """The sites worth analysing in the samples at hand.

    ``read`` is what was read, in words, for the log; ``maf`` and ``max_missing`` as in ``genoattn.read``.
    """
    maf = _DEFAULT_MAF[cohort.kind] if maf is None else maf
    counts = state_counts(cohort)
    over_missing = missingness(counts, cohort.n_samples) > max_missing
    n_seen = (counts > 0).sum(axis=0)
    # A site nobody is called at shows no state: that is missingness, unless the limit lets it pass.
    monomorphic = (n_seen == 1) | ((n_seen == 0) & ~over_missing)
    over_missing &= ~monomorphic
    rare = (minor_frequency(cohort, counts) < maf) & ~monomorphic & ~over_missing
    keep = ~(monomorphic | over_missing | rare)
    reasons = (
        f"{int(monomorphic.sum())} monomorphic, "
        f"{int(over_missing.sum())} over the missingness limit {max_missing:g}, "
        f"{int(rare.sum())} under the minor allele frequency {maf:g}"
    )
    if not keep.any():
        raise InputError(
            f"{path}: no site is left of {read} in {cohort.n_samples} samples: {reasons}; "
            "loosen the filter that dropped most, or check the samples"
        )
    line = f"read {read}, kept {int(keep.sum())} ({reasons})"
    kept = cohort if keep.all() else cohort.select_sites(keep)
    unseen = kept.sites.ids[counts[0, keep] == 0] if cohort.kind == "sequence" else []
    if len(unseen):
        line += f"; no sample has the reference residue of {len(unseen)} sites ({', '.join(unseen[:3])}): "
        line += "the reference gauge takes the mean of the site there"
    return with_log(kept, line)


def with_log(cohort: Cohort, *lines: str) -> Cohort:
    """The cohort with lines added to its log."""
    return replace(cohort, log=(*cohort.log, *lines))
