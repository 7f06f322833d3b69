"""Pairs that a scan tests: all, a set with a set, a set with all; not too close, not too alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genoattn.cohort import Sites
from genoattn.errors import InputError
from genoattn.io.alleles import is_placed, record_name


@dataclass(frozen=True, eq=False)
class Scope:
    """Pairs of a column of one set with a column of another, each pair once."""

    rows: np.ndarray  # indices of columns, ascending; the same for all pairs
    cols: np.ndarray
    # (n_columns,), a number for the site of each column, alike for the alleles of one record: columns of one
    # site are not paired
    site: np.ndarray
    chromosome: np.ndarray  # (n_columns,), integers
    position: np.ndarray  # (n_columns,), bases
    min_distance: int = 0  # sites of one chromosome closer than this, in bases, are not paired
    max_r2: float | None = None  # pairs whose squared correlation is larger are not tested; None for no limit

    @cached_property
    def _in_rows(self) -> np.ndarray:
        return np.isin(np.arange(len(self.site)), self.rows)

    @cached_property
    def _in_cols(self) -> np.ndarray:
        return np.isin(np.arange(len(self.site)), self.cols)

    @cached_property
    def symmetric(self) -> bool:
        """Whether both sets are the same."""
        return len(self.rows) == len(self.cols) and bool((self.rows == self.cols).all())

    @cached_property
    def _plain(self) -> bool:
        """Whether every pair of different columns is in the scope."""
        one_each = len(np.unique(self.site[self.rows])) == len(self.rows)
        return self.symmetric and one_each and self.min_distance <= 0

    def allowed(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Mask of the pairs of columns a x b in the scope, by place: (n_a, n_b), bool."""
        # Blocks above the diagonal, nearly all of a scan, need no masks.
        if self._plain and a[-1] < b[0]:
            return np.ones((len(a), len(b)), dtype=bool)
        keep = self.site[a][:, None] != self.site[b][None, :]
        # A pair that both sets contain either way round counts once.
        either = self._in_cols[a][:, None] & self._in_rows[b][None, :]
        keep &= ~(either & (a[:, None] > b[None, :]))
        if self.min_distance > 0:
            close = np.abs(self.position[a][:, None] - self.position[b][None, :]) < self.min_distance
            keep &= ~(close & (self.chromosome[a][:, None] == self.chromosome[b][None, :]))
        return keep

    def tiles(self, width: int) -> Iterator[tuple[slice, slice]]:
        """Blocks of ``rows`` and ``cols``, as slices of them, that hold pairs of the scope."""
        for i in range(0, len(self.rows), width):
            for j in range(i if self.symmetric else 0, len(self.cols), width):
                yield slice(i, i + width), slice(j, j + width)

    def restrict(self, usable: np.ndarray) -> Scope:
        """The scope without the columns that are not usable, a bool for each column."""
        rows, cols = self.rows[usable[self.rows]], self.cols[usable[self.cols]]
        return Scope(rows, cols, self.site, self.chromosome, self.position, self.min_distance, self.max_r2)

    def n_pairs(self, width: int = 2048) -> int:
        """Number of pairs in the scope, by place."""
        if self.symmetric and self.min_distance <= 0:
            _, together = np.unique(self.site[self.rows], return_counts=True)
            # Ordered pairs less those of one site, halved.
            return (len(self.rows) ** 2 - int((together**2).sum())) // 2
        return sum(int(self.allowed(self.rows[i], self.cols[j]).sum()) for i, j in self.tiles(width))


def make_scope(
    sites: Sites,
    site: np.ndarray,
    first: np.ndarray | None,
    second: np.ndarray | None,
    min_distance: int,
    max_r2: float | None,
) -> Scope:
    """The scope of a scan of columns, given the ``site`` of each (n_columns,) among the sites of the cohort.

    ``first`` and ``second`` are indices of sites, None for all; the limits are as in :class:`Scope`.

    Raises
    ------
    InputError
        Where a limit is out of range.
    """
    if not min_distance >= 0:
        raise InputError(f"min_distance is {min_distance}; give a number of bases, 0 for no limit")
    if max_r2 is not None and not 0 < max_r2 <= 1:
        raise InputError(f"max_r2 is {max_r2}; give a squared correlation above 0 and up to 1")
    every = np.arange(len(site))
    chosen = [every if s is None else every[np.isin(site, s)] for s in (first, second)]
    if first is None and second is not None:
        chosen = chosen[::-1]
    _, chromosome = np.unique(sites.chrom.astype(str), return_inverse=True)
    place = chromosome[site], sites.pos[site]
    return Scope(chosen[0], chosen[1], records(sites)[site], *place, int(min_distance), max_r2)


def records(sites: Sites) -> np.ndarray:
    """A number for each site, shape (n_sites,), alike for what is not paired.

    These are the alternate alleles of one multi-allelic record, told by what their states call any other
    allele and by chromosome, position and reference; and a record that is in the file again with other calls.
    """
    number = np.arange(len(sites))
    first: dict[tuple, int] = {}
    rows = zip(sites.ids, sites.chrom, sites.pos.tolist(), sites.ref, sites.alt, sites.states, strict=True)
    for k, (name, chrom, pos, ref, alt, states) in enumerate(rows):
        if not alt:
            continue
        is_several = states[0].split("/")[0] in ("*", "other")
        # Sites without a position are told by the ID of their record.
        place = (chrom, pos) if is_placed(chrom, pos) else (record_name(name, alt),)
        number[k] = first.setdefault((*place, ref, None if is_several else alt), k)
    return number
