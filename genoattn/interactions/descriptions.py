"""What a term is in the data, whatever the gauge: samples, frequency, linkage."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np

from genoattn.cohort import MISSING
from genoattn.interactions.basis import by_site_set
from genoattn.tokens import Vocabulary

RARE_SAMPLES = 10


@dataclass(frozen=True, eq=False)
class Descriptions:
    """Of terms; every array has shape (n_terms,).

    Parameters
    ----------
    n_samples
        Samples called at every site of the term.
    frequency
        Mean of the product of the state indicators, or of dosages over ploidy.
    r2_ld
        Largest squared correlation between two of its columns; NaN below order 2.
    carriers
        Samples that carry the joint state (for dosages, the minor allele at every site).
    """

    n_samples: np.ndarray
    frequency: np.ndarray
    r2_ld: np.ndarray
    carriers: np.ndarray

    def select(self, index: np.ndarray) -> Descriptions:
        """Those of the terms at ``index`` (integers or a boolean mask)."""
        return Descriptions(*(getattr(self, f.name)[index] for f in fields(Descriptions)))


def describe_terms(vocabulary: Vocabulary, calls: np.ndarray, terms: np.ndarray) -> Descriptions:
    """Descriptions of terms of one order, a set of sites at a time, from counts of their joint states.

    Parameters
    ----------
    vocabulary
        The columns that ``terms`` index.
    calls
        Shape (n_samples, n_sites), int8, -1 where missing.
    terms
        Shape (n_terms, order), column indices at distinct sites.
    """
    out = [np.zeros(len(terms)) for _ in fields(Descriptions)]
    for sites, chosen in by_site_set(vocabulary.site[np.sort(terms, axis=1)]):
        columns = np.sort(terms[chosen], axis=1)
        shape = tuple(vocabulary.n_states[list(sites)].tolist())
        called = (calls[:, sites] != MISSING).all(axis=1)
        states = calls[:, sites][called].astype(np.int64)
        if not sites or np.prod(shape, dtype=np.float64) <= max(len(states), 64):
            states, count = _table(states, shape)
        else:
            count = np.ones(len(states))
        for array, values in zip(out, _from_states(vocabulary, columns, states, count), strict=True):
            array[chosen] = values
    n_samples, frequency, r2, carriers = out
    return Descriptions(n_samples.astype(np.int64), frequency, r2, carriers.astype(np.int64))


def _table(states: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The different joint states (n_cells, order) of samples, and how many have each."""
    if not shape:
        return np.zeros((1, 0), dtype=np.int64), np.array([float(len(states))])
    cell = np.ravel_multi_index(tuple(states.T), shape)
    count = np.bincount(cell, minlength=int(np.prod(shape)))
    seen = np.flatnonzero(count)
    return np.stack(np.unravel_index(seen, shape), axis=1), count[seen].astype(np.float64)


def _from_states(
    vocabulary: Vocabulary, columns: np.ndarray, states: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Samples, frequency, r2 and carriers of terms of one set of sites, from joint states with counts."""
    n = max(float(count.sum()), 1.0)
    order = columns.shape[1]
    frequency, carriers = np.empty(len(columns)), np.empty(len(columns))
    largest = np.full(len(columns), np.nan)
    for start in range(0, len(columns), 256):
        rows = slice(start, start + 256)
        some = columns[rows]
        if vocabulary.is_dosage:
            most = (vocabulary.n_states[vocabulary.site[some]] - 1).astype(np.float64)
            value = states[:, None, :] / most  # (cell, term, slot)
            minor = np.where(vocabulary.mean[some] > most / 2, 1 - value, value) > 0
        else:
            value = (states[:, None, :] == vocabulary.state[some]).astype(np.float64)
            minor = value > 0
        frequency[rows] = count @ value.prod(axis=2) / n
        carriers[rows] = count @ minor.all(axis=2)
        mean = np.tensordot(count, value, 1) / n  # (term, slot)
        for a, b in combinations(range(order), 2):
            x, y = value[:, :, a] - mean[:, a], value[:, :, b] - mean[:, b]
            with np.errstate(divide="ignore", invalid="ignore"):
                r2 = (count @ (x * y)) ** 2 / (count @ x**2) / (count @ y**2)
            largest[rows] = np.fmax(largest[rows], r2)
    return np.full(len(columns), count.sum()), frequency, largest, carriers
