"""Filters of sites: polymorphic, called in most samples, not too rare; dropped ones counted by reason."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoattn.cohort import MISSING, Cohort, FlowStep, Kind, count_states
from genoattn.errors import InputError

_DEFAULT_MAF: dict[Kind, float] = {"genotype": 0.01, "sequence": 0.0}


@dataclass(frozen=True)
class SiteFilter:
    """Limits of the sites worth analysing."""

    kind: Kind
    maf: float  # smallest minor allele frequency
    max_missing: float  # largest fraction of the samples without a call

    @classmethod
    def of(cls, kind: Kind, maf: float | None, max_missing: float) -> "SiteFilter":
        """The filter with the default of the kind where ``maf`` is None."""
        return cls(kind, _DEFAULT_MAF[kind] if maf is None else maf, max_missing)


def check_limits(maf: float | None, max_missing: float) -> None:
    """Raise InputError for limits that no site can have."""
    if maf is not None and not 0 <= maf <= 0.5:
        raise InputError(f"maf is {maf}; give a minor allele frequency from 0 to 0.5")
    if not 0 <= max_missing <= 1:
        raise InputError(f"max_missing is {max_missing}; give a fraction from 0 to 1")


class SiteCounts(NamedTuple):
    """What filters ask of sites, each of shape (n_sites,)."""

    n_called: np.ndarray
    varies: np.ndarray  # whether called samples differ
    minor_frequency: np.ndarray  # of alleles among the called samples; 0 where none is called


def summarise_sites(kind: Kind, calls: np.ndarray, n_states: np.ndarray) -> SiteCounts:
    """Summary of calls (n_samples, n_sites) at sites with ``n_states`` (n_sites,) states, seen or not.

    Minor allele frequency of genotypes: the frequency f of the effect allele is its mean number of copies
    over the ploidy of the site (the largest seen), and the smaller of f and 1 - f counts. Of sequences: all
    states but the commonest.
    """
    if calls.dtype == np.int8:
        counts = _state_counts(calls, int(n_states.max(initial=0)))  # (state, site)
        n_called, varies = counts.sum(axis=0), (counts > 0).sum(axis=0) > 1
        if kind == "sequence":
            commonest = counts.max(axis=0) / np.maximum(n_called, 1)
            return SiteCounts(n_called, varies, np.where(n_called > 0, 1 - commonest, 0.0))
        copies = np.arange(len(counts)) @ counts
    else:
        known = calls != MISSING
        n_called, copies = known.sum(axis=0), np.where(known, calls, 0).sum(axis=0, dtype=np.float64)
        lowest = np.where(known, calls, np.inf).min(axis=0, initial=np.inf)
        varies = calls.max(axis=0, initial=MISSING) > lowest
    frequency = copies / np.maximum(n_called, 1) / np.maximum(n_states - 1, 1)
    return SiteCounts(n_called, varies, np.minimum(frequency, 1 - frequency))


def _state_counts(calls: np.ndarray, n_states: int) -> np.ndarray:
    """Samples in each state at each site, (n_states, n_sites)."""
    # Three times as fast by a kernel; but PLINK files need none, and are read before kernels are loaded.
    kernels = sys.modules.get("genoattn.io.code_kernels")
    if kernels is None or not calls.flags.f_contiguous:
        return count_states(calls, n_states)
    counts = np.empty((calls.shape[1], n_states), dtype=np.int64)
    kernels.count_values(calls.T, counts)
    return counts.T


class SiteTally:
    """Sites that a filter keeps, block by block, and counts of the others by the first reason."""

    def __init__(self, limits: SiteFilter | None, n_samples: int, n_sites: int = 0) -> None:
        self.limits, self.n_samples, self.n_sites = limits, n_samples, n_sites
        self.n_kept = self.n_monomorphic = self.n_missing = self.n_rare = 0

    def keep(self, sites: SiteCounts) -> np.ndarray:
        """Which sites pass, shape (n_sites,), given their summary."""
        assert self.limits is not None
        over_missing = (self.n_samples - sites.n_called) / self.n_samples > self.limits.max_missing
        # A site nobody is called at shows no state: that is missingness, unless the limit lets it pass.
        monomorphic = ~sites.varies & ((sites.n_called > 0) | ~over_missing)
        over_missing &= ~monomorphic
        rare = sites.minor_frequency < self.limits.maf
        rare &= ~monomorphic & ~over_missing
        keep = ~(monomorphic | over_missing | rare)
        self.n_kept += int(keep.sum())
        self.n_monomorphic += int(monomorphic.sum())
        self.n_missing += int(over_missing.sum())
        self.n_rare += int(rare.sum())
        return keep

    def line(self, path: Path, read: str) -> str:
        """What was kept of what was ``read``, and why the rest was not; an error where nothing was."""
        assert self.limits is not None
        reasons = (
            f"{self.n_monomorphic} monomorphic, "
            f"{self.n_missing} over the missingness limit {self.limits.max_missing:g}, "
            f"{self.n_rare} under the minor allele frequency {self.limits.maf:g}"
        )
        if not self.n_kept:
            raise InputError(
                f"{path}: no site is left of {read} in {self.n_samples} samples: {reasons}; "
                "loosen the filter that dropped most, or check the samples"
            )
        return f"read {read}, kept {self.n_kept} ({reasons})"

    def step(self, n_repeated: int = 0) -> FlowStep:
        """The counts, with the sites that passed but repeat an earlier one."""
        limits = self.limits
        left_out = {"that repeat an earlier one": n_repeated}
        if limits is not None:
            left_out = {
                "monomorphic": self.n_monomorphic,
                f"with more than {limits.max_missing:g} of the calls missing": self.n_missing,
                f"with a minor allele frequency below {limits.maf:g}": self.n_rare,
                **left_out,
            }
        counted = {reason: n for reason, n in left_out.items() if n}
        return FlowStep("sites", self.n_sites, self.n_sites - sum(counted.values()), counted)


def filter_sites(cohort: Cohort, read: str, limits: SiteFilter | None, path: Path) -> Cohort:
    """The sites of a cohort within ``limits``, all for None; ``read`` is what was read in words."""
    if limits is None:
        return with_log(cohort, f"read {read}, kept all (filters off)")
    tally = SiteTally(limits, cohort.n_samples, cohort.n_sites)
    keep = tally.keep(summarise_sites(limits.kind, cohort.calls, cohort.sites.n_states))
    line = tally.line(path, read)
    kept = cohort if keep.all() else cohort.select_sites(keep)
    unseen = kept.sites.ids[~(kept.calls == 0).any(axis=0)] if cohort.kind == "sequence" else []
    if len(unseen):
        line += f"; no sample has the reference residue of {len(unseen)} sites ({', '.join(unseen[:3])}): "
        line += "the reference gauge takes the mean of the site there"
    return with_log(kept, line, flow=(tally.step(),))


def with_log(cohort: Cohort, *lines: str, flow: tuple[FlowStep, ...] = ()) -> Cohort:
    """The cohort with lines added to its log, and steps to its flow."""
    return replace(cohort, log=(*cohort.log, *lines), flow=(*cohort.flow, *flow))
