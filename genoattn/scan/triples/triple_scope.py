"""Triples that are scanned: all of them, or those that hold a candidate site or a candidate pair."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from genoattn.cohort import Sites
from genoattn.errors import InputError
from genoattn.interactions.table import InteractionTable, load_interactions
from genoattn.scan.result import ScanResult

Pairs = Sequence[tuple[str, str]] | pd.DataFrame | InteractionTable | ScanResult | str | Path

_ROWS = 384  # rows of a tile: pairs whose triples with every later column are screened at once
_MIDDLES = 16  # second columns of a tile, which share what is read of the first
_TILE_ENTRIES = 4_000_000


@dataclass(frozen=True)
class Tile:
    """Rows of a tile: pairs (i, j) of two ranges of places with i < j, or candidate pairs."""

    first: tuple[int, int]  # range of places, the end outside; empty where the rows are candidate pairs
    middle: tuple[int, int]  # of the second place, likewise
    pairs: tuple[int, int] = (0, 0)  # range of candidate pairs


@dataclass(frozen=True, eq=False)
class TripleScope:
    """Triples of columns of distinct sites, by their places in an order that has the candidates first."""

    columns: np.ndarray  # (n,), the column at each place
    site: np.ndarray  # (n,), its site
    n_first: int  # triples hold a place below this; n for all triples
    pairs: np.ndarray  # (n_pairs, 2), places i < j of at least n_first: triples may hold such a pair instead

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def exhaustive(self) -> bool:
        return self.n_first == len(self)

    def tiles(self) -> list[Tile]:
        """All tiles, in an order that depends on nothing but the scope."""
        n, most = len(self), max(8, min(_ROWS, _TILE_ENTRIES // max(len(self), 1)))
        width = max(_MIDDLES, min(64, 128 // max(self.n_first, 1)))
        out = []
        for middle in range(1, n - 1 if self.n_first else 0, width):
            stop = min(middle + width, n - 1)
            last = min(self.n_first, stop - 1)
            for first in range(0, last, max(1, most // width)):
                out.append(Tile((first, min(first + max(1, most // width), last)), (middle, stop)))
        most = min(most, 128)
        for start in range(0, len(self.pairs), most):
            out.append(Tile((0, 0), (0, 0), (start, min(start + most, len(self.pairs)))))
        return out

    def rows(self, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        """Places i < j of the rows of a tile, of distinct sites."""
        if tile.pairs[1]:
            i, j = self.pairs[slice(*tile.pairs)].T
        else:
            i, j = (
                x.ravel() for x in np.meshgrid(np.arange(*tile.first), np.arange(*tile.middle), indexing="ij")
            )
        keep = (i < j) & (self.site[i] != self.site[j])
        return i[keep], j[keep]

    def start(self, tile: Tile) -> int:
        """The place from which products of a tile's rows are made."""
        return self.n_first if tile.pairs[1] else tile.middle[0] + 1

    def thirds(self, tile: Tile, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Mask of the places from :meth:`start` on that make triples with a row: (n_rows, n - start)."""
        place = np.arange(self.start(tile), len(self))
        keep = place > (np.full_like(j, self.n_first - 1) if tile.pairs[1] else j)[:, None]
        if not self._one_each:
            keep = (
                keep
                & (self.site[place] != self.site[i][:, None])
                & (self.site[place] != self.site[j][:, None])
            )
        if tile.pairs[1]:
            # A triple that holds several candidate pairs belongs to the first; its columns are of other
            # places.
            keep &= (place != i[:, None]) & (place != j[:, None])
            for row, (a, b) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
                number = self._number(a, b)
                for other in (self._before(a, number), self._before(b, number)):
                    keep[row, other[other >= place[0]] - place[0]] = False
        return keep

    def n_triples(self) -> int:
        """Number of triples; for progress, as triples of one site's columns are among them."""
        n, rest = len(self), len(self) - self.n_first
        total = (n * (n - 1) * (n - 2) - rest * (rest - 1) * (rest - 2)) // 6
        return total + len(self.pairs) * max(rest - 2, 0)

    @cached_property
    def _one_each(self) -> bool:
        return len(np.unique(self.site)) == len(self.site)

    @cached_property
    def _partners(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """For each place in a candidate pair the numbers of its pairs, and the places it is paired with."""
        number = np.tile(np.arange(len(self.pairs)), 2)
        mine = np.concatenate([self.pairs[:, 0], self.pairs[:, 1]])
        other = np.concatenate([self.pairs[:, 1], self.pairs[:, 0]])
        order = np.lexsort((number, mine))
        places, start = np.unique(mine[order], return_index=True)
        numbers, others = np.split(number[order], start[1:]), np.split(other[order], start[1:])
        return {p: (n, o) for p, n, o in zip(places.tolist(), numbers, others, strict=True)}

    def _number(self, i: int, j: int) -> int:
        """Number of the candidate pair of two places."""
        numbers, others = self._partners[i]
        return int(numbers[np.flatnonzero(others == j)[0]])

    def _before(self, place: int, number: int) -> np.ndarray:
        """Places that make a pair with this one of a lower number: those triples are that pair's."""
        numbers, others = self._partners[place]
        return others[: np.searchsorted(numbers, number)]


def tile_bytes(n_samples: int, n_fixed: int) -> float:
    """Memory that a tile takes at most, roughly: its operands, products and marks."""
    return 12.0 * _ROWS * n_samples + (6.0 + 8.0 * (n_fixed - 1)) * _TILE_ENTRIES


def make_triple_scope(
    columns: np.ndarray, site: np.ndarray, first_sites: np.ndarray | None, site_pairs: np.ndarray | None
) -> TripleScope:
    """The scope of columns (n,) that vary, ascending, given the ``site`` of every column.

    A triple holds one of ``first_sites`` or of ``site_pairs`` (n_pairs, 2); both None for all triples.
    """
    none = np.zeros((0, 2), dtype=np.int64)
    if first_sites is None and site_pairs is None:
        return TripleScope(columns, site[columns], len(columns), none)
    chosen = np.zeros(len(columns), dtype=bool)
    if first_sites is not None:
        chosen = np.isin(site[columns], first_sites)
    order = np.concatenate([columns[chosen], columns[~chosen]])
    n_first = int(chosen.sum())
    if site_pairs is None:
        return TripleScope(order, site[order], n_first, none)
    places = list(_column_pairs(site[order], site_pairs, n_first))
    pairs = np.unique(np.array(places, dtype=np.int64).reshape(-1, 2), axis=0)
    return TripleScope(order, site[order], n_first, pairs)


def _column_pairs(site: np.ndarray, site_pairs: np.ndarray, n_first: int) -> Iterator[tuple[int, int]]:
    """Places i < j of the columns of pairs of sites, both of at least ``n_first``."""
    where: dict[int, list[int]] = {}
    for place in range(n_first, len(site)):
        where.setdefault(int(site[place]), []).append(place)
    for one, other in site_pairs.tolist():
        for i in where.get(one, []):
            for j in where.get(other, []):
                yield (i, j) if i < j else (j, i)


def choose_pairs(sites: Sites, pairs: Pairs) -> np.ndarray:
    """Indices of pairs of sites, (n_pairs, 2), each once.

    Given are pairs of IDs; or a table with columns ``site_1`` and ``site_2``, such as the result of
    :func:`genoattn.scan_pairs`, of which rows of other orders are left out; or the path of one written.

    Raises
    ------
    InputError
        Where a site is not in the cohort, a pair holds one site twice, or there is no pair.
    """
    index = {name: k for k, name in enumerate(sites.ids)}
    chosen = set()
    for number, pair in enumerate(_named(pairs), start=1):
        unknown = [name for name in pair if name not in index]
        if len(pair) != 2 or unknown:
            what = f"'{unknown[0]}' is not a site of the cohort" if unknown else f"{len(pair)} sites"
            raise InputError(f"candidate pair {number}: {what}; give two IDs of the cohort a pair")
        i, j = index[pair[0]], index[pair[1]]
        if i == j:
            raise InputError(f"candidate pair {number}: '{pair[0]}' with itself; give two sites")
        chosen.add((min(i, j), max(i, j)))
    if not chosen:
        raise InputError("there is no candidate pair; leave pairs out, or scan pairs with a higher threshold")
    return np.array(sorted(chosen), dtype=np.int64)


def _named(pairs: Pairs) -> Iterable[tuple[str, ...]]:
    """IDs of each pair."""
    if isinstance(pairs, (str, Path)):
        pairs = load_interactions(pairs)
    if isinstance(pairs, (InteractionTable, ScanResult)):
        pairs = pairs.frame
    if not isinstance(pairs, pd.DataFrame):
        return [(pair,) if isinstance(pair, str) else tuple(pair) for pair in pairs]
    if not {"site_1", "site_2"} <= set(pairs.columns):
        raise InputError(
            "candidate pairs: a table without columns site_1 and site_2; give one of a pair scan"
        )
    if "order" in pairs.columns:
        pairs = pairs[pairs["order"] == 2]
    return zip(pairs["site_1"], pairs["site_2"], strict=True)
