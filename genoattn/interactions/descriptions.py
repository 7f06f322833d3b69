"""Descriptions of terms that no gauge changes: samples, frequency, linkage."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np

from genoattn.closed_form.product_basis import SiteSet, by_site_set
from genoattn.cohort import MISSING
from genoattn.tokens import Vocabulary

RARE_SAMPLES = 10
MOST_CELLS = 4_000_000  # joint states that are counted in a table


@dataclass(frozen=True, eq=False)
class Descriptions:
    """Samples, frequency and linkage of terms; every array has shape (n_terms,)."""

    n_samples: np.ndarray  # called at every site of the term
    frequency: np.ndarray  # mean of the product of the state indicators, or of dosages over ploidy
    r2_ld: np.ndarray  # largest squared correlation between two of its columns; NaN below order 2
    carriers: np.ndarray  # samples with the joint state (of dosages, the minor allele at every site)

    @staticmethod
    def none(n_terms: int) -> Descriptions:
        """Of terms without samples at hand: none counted, nothing flagged."""
        nothing, zero = np.full(n_terms, np.nan), np.zeros(n_terms, dtype=np.int64)
        return Descriptions(zero, nothing, nothing, zero + RARE_SAMPLES)

    def select(self, index: np.ndarray) -> Descriptions:
        """The rows of the terms at ``index`` (integers or a boolean mask)."""
        return Descriptions(*(getattr(self, f.name)[index] for f in fields(Descriptions)))


def describe_terms(vocabulary: Vocabulary, calls: np.ndarray, terms: np.ndarray) -> Descriptions:
    """Descriptions of terms (n_terms, order), a set of sites at a time, from counts of their joint states.

    ``calls``: (n_samples, n_sites), -1 where missing.
    """
    out = [np.zeros(len(terms)) for _ in fields(Descriptions)]
    complete = not (calls == MISSING).any()
    tables: dict[SiteSet, np.ndarray] = {}  # r2 of two sites, for all terms that hold both
    for sites, chosen in by_site_set(vocabulary.site[np.sort(terms, axis=1)]):
        columns = np.sort(terms[chosen], axis=1)
        called = slice(None) if complete else (calls[:, sites] != MISSING).all(axis=1)
        states = calls[:, sites][called]
        if vocabulary.is_dosage:
            values = _of_dosages(vocabulary, columns, states.astype(np.float64))
        else:
            values = _of_states(vocabulary, columns, states.astype(np.int64), tables if complete else {})
        for array, value in zip(out, values, strict=True):
            array[chosen] = value
    n_samples, frequency, r2, carriers = out
    return Descriptions(n_samples.astype(np.int64), frequency, r2, carriers.astype(np.int64))


def _of_states(
    vocabulary: Vocabulary, columns: np.ndarray, states: np.ndarray, tables: dict[SiteSet, np.ndarray]
) -> tuple[np.ndarray, ...]:
    """Samples, frequency, r2 and carriers of terms of one set of sites, from counts of their joint states."""
    order, own = columns.shape[1], vocabulary.state[columns]  # (term, slot)
    carriers = _carriers(vocabulary, columns, states, own)
    largest = np.full(len(columns), np.nan)
    sites = vocabulary.site[columns[0]].tolist()
    for a, b in combinations(range(order), 2):
        pair = (sites[a], sites[b])
        if pair not in tables:
            shape = tuple(vocabulary.n_states[list(pair)].tolist())
            joint = np.ravel_multi_index((states[:, a], states[:, b]), shape)
            tables[pair] = _r2(np.bincount(joint, minlength=shape[0] * shape[1]).reshape(shape))
        largest = np.fmax(largest, tables[pair][own[:, a], own[:, b]])
    n = max(len(states), 1)
    return np.full(len(columns), len(states)), carriers / n, largest, carriers


def _r2(counts: np.ndarray) -> np.ndarray:
    """Squared correlation of the indicators of every two states of two sites, from joint counts."""
    both = counts / max(counts.sum(), 1)
    p, q = both.sum(axis=1, keepdims=True), both.sum(axis=0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (both - p * q) ** 2 / (p * (1 - p) * q * (1 - q))


def _carriers(vocabulary: Vocabulary, columns: np.ndarray, states: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Samples (n_samples, order) with each of some joint states (n_terms, order) of one set of sites."""
    key, wanted = np.zeros(len(states), dtype=np.int64), np.zeros(len(own), dtype=np.int64)
    number = 1
    for k, site in enumerate(vocabulary.site[columns[0]]):
        n_states = int(vocabulary.n_states[site])
        key, wanted, number = key * n_states + states[:, k], wanted * n_states + own[:, k], number * n_states
    if number <= MOST_CELLS:
        return np.bincount(key, minlength=number)[wanted]
    found, count = np.unique(key, return_counts=True)
    at = np.minimum(np.searchsorted(found, wanted), len(found) - 1)
    return np.where(found[at] == wanted, count[at], 0)


def _of_dosages(vocabulary: Vocabulary, columns: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same of the one term of a set of sites with dosages (n_samples, order)."""
    n, order = max(len(states), 1), columns.shape[1]
    most = (vocabulary.n_states[vocabulary.site[columns[0]]] - 1).astype(np.float64)
    value = states / most
    copies = np.where(vocabulary.mean[columns[0]] > most / 2, most - states, states)
    minor = copies > 0.5  # what a dosage is nearer to than to none
    largest = np.nan
    centred = value - value.mean(axis=0) if len(states) else value
    for a, b in combinations(range(order), 2):
        x, y = centred[:, a], centred[:, b]
        with np.errstate(divide="ignore", invalid="ignore"):
            largest = np.fmax(largest, (x @ y) ** 2 / (x @ x) / (y @ y))
    one = (len(states), value.prod(axis=1).sum() / n, largest, minor.all(axis=1).sum())
    return tuple(np.full(len(columns), x, dtype=np.float64) for x in one)
