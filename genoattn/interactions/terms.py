"""Terms that a model can make non-zero, found without listing all others."""

from collections.abc import Iterator
from itertools import combinations, islice, product
from math import comb
from typing import Any

import numpy as np

from genoattn.attention import top_products
from genoattn.interactions.expansion import Expansion
from genoattn.tokens import Vocabulary
from genoattn.tokens.gauge_centre import Gauge
from genoattn.tokens.vocabulary import count_choices

_BLOCK = 200_000  # terms whose coefficients are held at once
_FEW = 200_000  # terms that are listed whatever the factors
_MOST_LISTED = 5_000_000  # products of sparse ranks


def collect_terms(expansion: Expansion, max_terms: int) -> tuple[dict[int, np.ndarray], dict[int, int]]:
    """Terms to report, by order: intercept, every column, non-zero interactions, and all of their sub-terms.

    Of each order of 2 and above the ``max_terms`` with the largest |coefficient| in the gauge of the
    expansion, the frequency gauge. For each order an array (n_terms, order) of ascending column indices,
    sorted; and how many non-zero terms were left out, of dense factors all others of their columns, of a
    product of all orders those of higher ones too.
    """
    assert expansion.gauge == "frequency"  # where each order has products of its own factors alone
    v = expansion.vocabulary
    found: dict[int, np.ndarray] = {}
    left_out: dict[int, int] = {}
    for order in reversed(expansion.orders):
        found[order], left_out[order] = _largest(expansion, order, max_terms)
    for order in range(expansion.model.order, 2, -1):
        below = [t[:, list(c)] for t in (found[order],) for c in combinations(range(order), order - 1)]
        found[order - 1] = _unique([*below, found.get(order - 1, np.zeros((0, order - 1), dtype=np.int64))])
    if expansion.product is not None:  # which has every order
        columns = np.bincount(v.site, minlength=v.n_sites)
        every = count_choices(columns, v.n_sites)
        left_out |= {order: every[order] for order in range(expansion.model.order + 1, v.n_sites + 1)}
    found[1] = np.arange(v.n_columns, dtype=np.int64)[:, None]
    found[0] = np.zeros((1, 0), dtype=np.int64)
    return dict(sorted(found.items())), {order: n for order, n in left_out.items() if n}


def count_terms(vocabulary: Vocabulary, order: int, gauge: Gauge = "frequency") -> int:
    """Number of terms of an order that a table can hold, over which its q-values are taken.

    Sets of columns at distinct sites; in the reference gauge those of reference states are no terms.
    """
    per_site = np.bincount(vocabulary.site, minlength=vocabulary.n_sites)
    if gauge == "reference" and not vocabulary.is_dosage:
        per_site = per_site - 1
    if (per_site == 1).all():
        return comb(vocabulary.n_sites, order)
    return count_choices(per_site, order)[order]


def is_listed(vocabulary: Vocabulary, columns: np.ndarray, gauge: Gauge) -> np.ndarray:
    """Mask of the terms (n_terms, order) that a table in the gauge lists: none of reference states."""
    if gauge != "reference" or vocabulary.is_dosage:
        return np.ones(len(columns), dtype=bool)
    return ~(vocabulary.state[columns] == vocabulary.reference[vocabulary.site[columns]]).any(axis=1)


def every_term(vocabulary: Vocabulary, order: int) -> np.ndarray:
    """All terms of an order, (n_terms, order): :func:`count_terms` of them in the frequency gauge."""
    if not order:
        return np.zeros((1, 0), dtype=np.int64)
    sets = np.array(list(combinations(range(vocabulary.n_sites), order)), dtype=np.int64)
    return _unique([columns_at(vocabulary, sets.reshape(-1, order))])


def _largest(expansion: Expansion, order: int, max_terms: int) -> tuple[np.ndarray, int]:
    """The non-zero terms of an order with the largest |coefficient|, by column, and how many others."""
    source = _site_sets(expansion, order, max_terms)
    return (
        _searched(expansion, order, max_terms)
        if source is None
        else _listed(expansion, source, order, max_terms)
    )


def _listed(
    expansion: Expansion, source: Iterator[np.ndarray], order: int, max_terms: int
) -> tuple[np.ndarray, int]:
    """The largest of the terms at blocks of sets of sites, and how many others are not zero.

    Where one choice of states at a set of sites is non-zero the others are kept too: another gauge may give
    them a coefficient.
    """
    kept, size = np.zeros((0, order), dtype=np.int64), np.zeros(0)
    n_nonzero = 0
    for sites in source:
        columns = columns_at(expansion.vocabulary, sites)
        coefficient = np.abs(expansion.coefficients(columns))
        nonzero = _any_of_site_set(expansion.vocabulary, columns, coefficient > 0)
        n_nonzero += int(nonzero.sum())
        kept, size = np.concatenate([kept, columns[nonzero]]), np.concatenate([size, coefficient[nonzero]])
        if len(kept) > max_terms:
            top = np.argsort(-size, kind="stable")[:max_terms]
            kept, size = kept[top], size[top]
    return _unique([kept]), n_nonzero - len(kept)


def _searched(expansion: Expansion, order: int, max_terms: int) -> tuple[np.ndarray, int]:
    """The largest of the terms of dense factors, found without making all others.

    Of dense factors every term is non-zero whose columns all have factors, so that their number is known.
    """
    v, terms = expansion.vocabulary, expansion.component(order)
    found = np.sort(top_products(terms.axes(), terms.site, max_terms).tokens, axis=1)
    columns = np.flatnonzero(np.any([f.any(axis=(1, 2)) for f in terms.factors], axis=0))
    number = count_choices(np.bincount(v.site[columns], minlength=v.n_sites), order)[order]
    return _unique([found]), number - len(found)


def _site_sets(expansion: Expansion, order: int, max_terms: int) -> Iterator[np.ndarray] | None:
    """Blocks (n_sets, order) of ascending distinct sites that some rank couples, each set once.

    All sets of sites where their terms are few, else those that sparse ranks couple; None where those are
    too many to list.
    """
    v, active = expansion.vocabulary, expansion.active_sites(order)
    n_columns = np.bincount(v.site, minlength=v.n_sites)
    union = active.any(axis=(0, 1))
    everything = count_choices(n_columns * union, order)[order]
    rows: Iterator[Any]
    if everything <= max(max_terms, _FEW):
        rows = combinations(np.flatnonzero(union).tolist(), order)
    else:
        number = (active @ n_columns).astype(np.float64)  # (rank, slot)
        own = number[:, 0] ** order if number.shape[1] == 1 else number.prod(axis=1)
        if not own.sum() < min(everything, _MOST_LISTED):
            return None
        slots = active.repeat(order // active.shape[1], axis=1)
        parts = [_distinct_products([np.flatnonzero(slot) for slot in rank]) for rank in slots]
        rows = iter(_unique(parts))
    width = max(1, _BLOCK // int(n_columns.max()) ** order)
    return (np.array(block, dtype=np.int64) for block in iter(lambda: list(islice(rows, width)), []))


def _distinct_products(slots: list[np.ndarray]) -> np.ndarray:
    """Ascending sets of distinct sites, one from each slot."""
    sets = np.stack(np.meshgrid(*slots, indexing="ij"), axis=-1).reshape(-1, len(slots))
    sets = np.sort(sets, axis=1)
    return sets[(np.diff(sets, axis=1) > 0).all(axis=1)]


def columns_at(vocabulary: Vocabulary, sites: np.ndarray) -> np.ndarray:
    """Every choice of columns at each set of sites: shape (n_terms, order)."""
    if vocabulary.is_dosage:
        return sites
    number = vocabulary.n_states[sites]
    first = vocabulary.first[sites]
    blocks = []
    for shape in np.unique(number, axis=0):  # sets with the same numbers of states share their choices
        rows = (number == shape).all(axis=1)
        choices = np.array(list(product(*map(range, shape.tolist()))), dtype=np.int64)
        blocks.append((first[rows][:, None, :] + choices[None]).reshape(-1, sites.shape[1]))
    return np.concatenate(blocks) if blocks else np.zeros((0, sites.shape[1]), dtype=np.int64)


def _any_of_site_set(vocabulary: Vocabulary, columns: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mark every term (n_terms, order) at whose sites some term is chosen: shape (n_terms,)."""
    if vocabulary.is_dosage or chosen.all():
        return chosen
    _, site_set = np.unique(vocabulary.site[columns], axis=0, return_inverse=True)
    site_set = site_set.reshape(-1)  # NumPy 2.0 alone returns a second axis
    return np.bincount(site_set, weights=chosen)[site_set] > 0


def _unique(parts: list[np.ndarray]) -> np.ndarray:
    rows = np.concatenate(parts)
    return np.unique(rows, axis=0) if len(rows) else rows
