"""False signals to expect in a cohort, counted with its own genotypes in traits without interactions."""

import logging

import numpy as np

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.inference.background import Background, CohortBackground
from genoattn.inference.resampling import Exchangeable, FalseSignals, resampled_backgrounds
from genoattn.inference.signals import Candidates, SignalSearch, search_limit
from genoattn.model.relatives import find_relatives
from genoattn.scan.scores import PairScores, agreed

_log = logging.getLogger(__name__)
_RESAMPLES, _LEAST_RESAMPLES = 40, 4
_MOST_WORK = 4e12  # operations of the scores of resampled traits: about a minute
_LOOSEST = 5.0  # times the threshold of the search


def false_signals(
    binary: bool, prepared: CohortBackground, search: SignalSearch, alpha: float,
    exchangeable: Exchangeable, resamples: int | None, seed: int,
) -> FalseSignals:  # fmt: skip
    """The number of false signals to be expected, from traits of the cohort without interactions."""
    if resamples is None:
        n, n_columns = prepared.background.columns.shape
        work = prepared.background.residuals.shape[1] * n * float(n_columns) ** 2
        resamples = int(np.clip(_MOST_WORK / work, _LEAST_RESAMPLES, _RESAMPLES))
    rng = np.random.default_rng([seed, 1])
    drawn = resampled_backgrounds(prepared.genome, prepared.background, binary, exchangeable, resamples, rng)
    # Fewer traits are counted up to a looser threshold.
    limit = min(_RESAMPLES / resamples, _LOOSEST) * search_limit(search.n_tests, alpha)
    found = [
        np.array([lead.weighted for lead in search.leads(null, candidates, limit)])
        for null, candidates in zip(drawn, _resampled_candidates(drawn, prepared, search, limit), strict=True)
    ]
    return FalseSignals.counted(np.concatenate(found), search.n_tests, limit, resamples)


def _resampled_candidates(
    drawn: list[Background], prepared: CohortBackground, search: SignalSearch, limit: float
) -> list[Candidates]:
    """The pairs of resampled traits that may have a weighted p-value up to a limit."""
    where, site = prepared.where, prepared.site
    versions = drawn[0].residuals.shape[1]
    # No factor explains a resampled trait, but by chance.
    growth = np.maximum(search.growth(drawn[0].residuals), 1.0)
    least = search.least_score(growth, limit)

    def passing(own: slice, row: slice, col: slice, t: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        out: list[tuple[np.ndarray, ...]] = []
        for k in range(0, len(t), versions):
            part = t[k : k + versions]
            i, j = np.nonzero(np.abs(part[0]) >= least)
            value = agreed(part[:, i, j].astype(np.float64), least)
            i, j = i + row.start, j + col.start
            keep = (value != 0) & (site[i] != site[j])
            keep[keep] = search.may_pass(i[keep], j[keep], value[keep], growth, limit)
            trait = np.full(int(keep.sum()), (own.start + k) // versions)
            out.append((trait, i[keep], j[keep], value[keep]))
        return out

    every = np.column_stack([null.residuals for null in drawn])
    scores = PairScores.of(prepared.background.columns, every, prepared.background.covariates)
    found = [part for strip in scores.strips(passing) for part in strip]
    trait, i, j, t = (np.concatenate(parts) for parts in zip(*found, strict=True))
    far = where.are_tested(i, j, prepared.background.columns)
    trait, pair, t = trait[far], np.stack([i, j], axis=1)[far], t[far]
    return [Candidates(pair[trait == k], t[trait == k]) for k in range(len(drawn))]


def exchangeable_samples(cohort: Cohort, strata: str | None) -> Exchangeable:
    """Which samples stand for each other, whatever their order in the file."""
    families = find_relatives(cohort.calls[:, ~cohort.sites.is_environment])
    return Exchangeable(groups_of_samples(cohort, strata), families, np.argsort(cohort.samples.astype(str)))


def groups_of_samples(cohort: Cohort, column: str | None) -> np.ndarray | None:
    """Groups of samples that stand for each other, by a covariate: (n_samples,), from 0; None without one.

    Raises
    ------
    InputError
        Where there is no such covariate, or more than half of the samples are alone in their group.
    """
    if column is None:
        return None
    if cohort.covariates is None:
        raise InputError(
            f"strata are groups by a covariate, and there are no covariates to have {column!r}; give a table"
        )
    strata = cohort.covariates.groups(column)
    alone = int((np.bincount(strata) == 1).sum())
    if 2 * alone > cohort.n_samples:
        raise InputError(
            f"{alone:,} of {cohort.n_samples:,} samples are alone in their stratum of {column!r}, and none "
            "can stand for them; choose a covariate with groups of samples, or group its values"
        )
    if alone:
        _log.warning("strata of %s: %d samples are alone in theirs, and keep their residual", column, alone)
    return strata
