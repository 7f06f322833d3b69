"""States to entity tokens: the columns on which additive effects and attention factors live.

A *column* is what carries one parameter. In the ``dosage`` encoding a site has one column, the number of
copies of its effect allele; in the ``genotype`` and ``sequence`` encodings it has one column a state, the
indicator of that state, so that a column is a token (site, state) of the paper's vocabulary.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from genoattn.cohort import MISSING, Cohort, count_states
from genoattn.errors import InputError

Encoding = Literal["dosage", "genotype", "sequence"]
ENCODINGS: tuple[Encoding, ...] = ("dosage", "genotype", "sequence")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The columns of an encoding, with what the training samples say of each.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn.simulate import simulate_cohort
    >>> from genoattn.tokens import build_vocabulary
    >>> cohort = simulate_cohort(n_samples=50, n_sites=10, linkage="none", seed=1).cohort
    >>> columns = build_vocabulary(cohort, "dosage").columns(cohort.calls)
    >>> columns.shape, bool(np.allclose(columns.mean(axis=0), 0))
    ((50, 10), True)
    """

    encoding: Encoding
    site: np.ndarray  # (n_columns,), index of the column's site, ascending
    state: np.ndarray  # (n_columns,), index of its state within the site; -1 in the ``dosage`` encoding
    n_states: np.ndarray  # (n_sites,), how many states each site has
    mean: np.ndarray  # (n_columns,), of the dosage, or frequency of the state, over called training samples
    variance: np.ndarray  # (n_columns,), over called training samples
    reference: np.ndarray  # (n_sites,), the state that the reference gauge puts at zero

    @property
    def n_columns(self) -> int:
        return len(self.site)

    @property
    def n_sites(self) -> int:
        return len(self.n_states)

    @property
    def first(self) -> np.ndarray:
        """Shape (n_sites,), index of the first column of each site."""
        return np.searchsorted(self.site, np.arange(self.n_sites))

    @property
    def is_dosage(self) -> bool:
        return self.encoding == "dosage"

    @property
    def n_free(self) -> np.ndarray:
        """Shape (n_sites,), free columns of each site in a gauge: 1 for a dosage, else states - 1."""
        return np.ones(self.n_sites, dtype=np.int64) if self.is_dosage else self.n_states - 1

    @property
    def n_free_pairs(self) -> float:
        """Number of pair coefficients that a gauge leaves free."""
        free = self.n_free.astype(np.float64)
        return float(free.sum() ** 2 - (free**2).sum()) / 2

    def columns(self, calls: np.ndarray) -> np.ndarray:
        """Centred columns of calls (n_samples, n_sites): dosage or indicator less its training mean.

        Shape (n_samples, n_columns), float64; 0 where the call is missing.
        """
        state = calls[:, self.site]
        value = state.astype(np.float64) if self.is_dosage else (state == self.state).astype(np.float64)
        return np.where(state == MISSING, 0.0, value - self.mean)

    def site_mean(self, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Sum of ``weight * values`` over the columns of each site: (..., n_columns) -> (..., n_sites)."""
        return np.add.reduceat(values * weight, self.first, axis=-1)


def default_encoding(cohort: Cohort) -> Encoding:
    """``sequence`` for alignments, ``dosage`` for genotypes.

    Examples
    --------
    >>> from genoattn.simulate import simulate_cohort
    >>> from genoattn.tokens import default_encoding
    >>> default_encoding(simulate_cohort(n_samples=50, n_sites=10, linkage="none", seed=1).cohort)
    'dosage'
    """
    return "sequence" if cohort.kind == "sequence" else "dosage"


def build_vocabulary(cohort: Cohort, encoding: Encoding, training: np.ndarray | None = None) -> Vocabulary:
    """Columns of ``encoding`` for the sites of a cohort, with means over the training samples.

    ``dosage`` and ``genotype`` need a genotype cohort, ``sequence`` an alignment. ``training`` are indices of
    the samples whose means and frequencies are the model's; all of them by default.

    Examples
    --------
    >>> from genoattn.simulate import simulate_cohort
    >>> from genoattn.tokens import build_vocabulary
    >>> cohort = simulate_cohort(n_samples=50, n_sites=10, linkage="none", seed=1).cohort
    >>> build_vocabulary(cohort, "dosage").n_columns, build_vocabulary(cohort, "genotype").n_columns
    (10, 30)
    """
    if encoding not in ENCODINGS:
        raise InputError(f"encoding {encoding!r} is unknown; choose one of {', '.join(ENCODINGS)}")
    if (encoding == "sequence") != (cohort.kind == "sequence"):
        fitting = "sequence" if cohort.kind == "sequence" else "dosage or genotype"
        raise InputError(f"encoding {encoding!r} does not fit {cohort.kind} data; use {fitting}")
    if cohort.has_dosages and encoding != "dosage":
        what = "an environment is a number" if cohort.dosages is None else "these are dosages"
        raise InputError(f"encoding {encoding!r} needs hard calls, and {what}; use dosage")
    calls = cohort.calls if training is None else cohort.calls[training]
    n_states = cohort.sites.n_states
    if encoding == "dosage":
        site, state = np.arange(cohort.n_sites), np.full(cohort.n_sites, -1)
    else:
        site = np.repeat(np.arange(cohort.n_sites), n_states)
        state = np.concatenate([np.arange(k) for k in n_states])
    mean, variance = _column_moments(calls, site, state, int(n_states.max(initial=0)))
    reference = np.zeros(cohort.n_sites, dtype=np.int64)
    return Vocabulary(encoding, site, state, n_states, mean, variance, reference)


def _column_moments(
    calls: np.ndarray, site: np.ndarray, state: np.ndarray, n_states: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each column over called samples; 0 where no training sample is called."""
    if calls.dtype != np.int8:
        known = calls != MISSING
        number = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, calls, 0).sum(axis=0, dtype=np.float64) / number
        return mean, np.where(known, (calls - mean) ** 2, 0).sum(axis=0) / number
    counts = count_states(calls, n_states)
    number = np.maximum(counts.sum(axis=0), 1)[site]
    value = np.arange(n_states)[:, None]  # of a dosage; an indicator is 1 in its own state
    value = np.where(state < 0, value, value == state).astype(np.float64)  # (state, column)
    mean = (value * counts[:, site]).sum(axis=0) / number
    return mean, ((value - mean) ** 2 * counts[:, site]).sum(axis=0) / number


def count_choices(numbers: np.ndarray, most: int) -> list[int]:
    """Ways to choose one of ``numbers`` (n_sites,) things at each of 0, 1, .. ``most`` sites: (most + 1,)."""
    elementary = [1] + [0] * most  # exact in Python integers, one site at a time
    for number in numbers.tolist():
        for k in range(most, 0, -1):
            elementary[k] += number * elementary[k - 1]
    return elementary
