"""Pairs and triples with an environment, whose main effect all other tests have among the fixed effects.

A regression of a product has the main effects of its columns. So a term with an environment is tested in the
design without that environment's fixed effect, and every other term in the design with it: the same
regression, with the environment's main effect in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from genoattn.cohort import Cohort, Covariates
from genoattn.scan.scope import Scope


def environment_columns(cohort: Cohort, site: np.ndarray) -> np.ndarray:
    """Columns of environments, ascending, given the site (n_columns,) of each column.

    Of two states of an indicator, which say the same, the second.
    """
    last = np.flatnonzero(np.append(np.diff(site) > 0, True))
    return last[cohort.sites.is_environment[site[last]]]


def without_main_effect(cohort: Cohort, number: int) -> Covariates:
    """The fixed effects of a cohort less the main effect of its environment ``number``, from 0."""
    fixed = cohort.fixed_effects
    at = len(fixed.names) - int(cohort.sites.is_environment.sum()) + number
    names = (*fixed.names[:at], *fixed.names[at + 1 :])
    return replace(fixed, names=names, values=np.delete(fixed.values, at, axis=1))


def environment_scopes(cohort: Cohort, site: np.ndarray, scope: Scope) -> Iterator[tuple[Covariates, Scope]]:
    """For each environment the fixed effects of its tests, and the pairs of it with sites of the genome.

    ``site`` (n_columns,) is the site of each column. Two environments are not paired.
    """
    genome = ~cohort.sites.is_environment[site]
    for number, column in enumerate(environment_columns(cohort, site).tolist()):
        partners = np.zeros(len(genome), dtype=bool)
        for one, other in ((scope.rows, scope.cols), (scope.cols, scope.rows)):
            if column in one:
                partners[other] = True
        rows = np.flatnonzero(partners & genome)
        if len(rows):
            pairs = replace(scope, rows=rows, cols=np.array([column]))
            yield without_main_effect(cohort, number), pairs
