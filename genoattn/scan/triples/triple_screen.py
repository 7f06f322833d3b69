"""The screens of triples: which of a tile may pass a threshold.

:class:`CountScreen` bounds the regression's t itself and misses nothing; it needs columns of codes 0, 1, 2
without missing calls. :class:`ScoreScreen` compares ``<abc, y> / |abc|`` of centred columns, missing calls at
their means: that is close to the t where sites are unlinked, and a triple among linked sites may be missed.
"""

import threading
from typing import NamedTuple

import numpy as np

from genoattn.scan.counts import WORD, pack_planes
from genoattn.scan.design import Design
from genoattn.scan.elimination import summing_error
from genoattn.scan.tails import normal_critical, t_critical
from genoattn.scan.triples.triple_bound import (
    PairTable,
    TripleColumns,
    TripleRows,
    count_moments,
    screen_rows,
)
from genoattn.scan.triples.triple_scope import Tile, TripleScope

N_LOWER = 6  # main effects and pairs that a triple's test is adjusted for
_BLOCK = 1024
_CHUNK = 4096  # samples summed in one product
_ROUND_UP = 1 + 1e-4  # of norms that are float32 sums, and of all else in the elimination


class ScreenedTriples(NamedTuple):
    """Candidates of a tile."""

    i: np.ndarray  # (n_found,) each, places in the scope
    j: np.ndarray
    k: np.ndarray
    n_triples: int  # of the tile
    n_untestable: int  # of these no candidates, because they cannot be tested


def minor_counts(codes: np.ndarray) -> np.ndarray:
    """Counts 0, 1, 2 of the rarer allele: a product changes its sign at most, adjusted for lower terms."""
    flipped = codes.mean(axis=1, keepdims=True) > 1
    return np.where(flipped, 2 - codes, codes).astype(np.int8)


def critical_square(design: Design, p_value: float) -> float:
    """Square of the smallest correlation of trait and product, adjusted for all else, with at most this p."""
    df = design.n_samples - design.n_fixed - N_LOWER - 1
    if df <= 0:
        return 0.0
    t = t_critical(p_value, df)
    return float(t**2 / (df + t**2))


class _Products:
    """Products of a tile's rows, pairs of columns, with later columns; in memory kept for each thread."""

    def __init__(self, scope: TripleScope, values: np.ndarray, n_fixed: int = 1) -> None:
        self.scope, self.values = scope, values
        # Products with fixed effects are subtracted from exact counts, and no bound has their rounding.
        self._double = values.astype(np.float64) if n_fixed > 1 else values
        self._kept = threading.local()

    def product(
        self, tile: Tile, i: np.ndarray, j: np.ndarray, vector: np.ndarray, start: int, out: np.ndarray
    ) -> np.ndarray:
        """Write ``<ab vector, c>`` to ``out`` (n_rows, n - start), in its precision.

        Returns the norms of ``ab vector``, (n_rows,).
        """
        x = self.values if out.dtype == self.values.dtype else self._double
        v = vector.astype(x.dtype)
        if tile.pairs[1]:
            left = x[i] * v * x[j]
            norm = np.linalg.norm(left, axis=1)
        else:
            mine, middle = x[slice(*tile.first)] * v, x[slice(*tile.middle)]
            left = self.memory("left", x.dtype, len(mine), len(middle), x.shape[1])
            np.multiply(mine[:, None], middle, out=left)
            left = left.reshape(-1, x.shape[1])
            norm = np.sqrt(np.square(mine) @ np.square(middle).T).ravel()
            if len(left) > len(i):
                kept = (i - tile.first[0]) * len(middle) + j - tile.middle[0]
                left, norm = left[kept], norm[kept]
        # In chunks: the bound on rounding grows with their size and number, not with the samples.
        np.matmul(left[:, :_CHUNK], x[start:, :_CHUNK].T, out=out)
        for begin in range(_CHUNK, x.shape[1], _CHUNK):
            part = slice(begin, begin + _CHUNK)
            out += left[:, part] @ x[start:, part].T
        return norm.astype(np.float64) * _ROUND_UP

    def memory(self, name: str, dtype: np.typing.DTypeLike, *shape: int) -> np.ndarray:
        """An array of this thread to write in, until it asks for the next of that name and type.

        Fresh memory costs as much as what is computed in it.
        """
        size, name = int(np.prod(shape)), f"{name} {np.dtype(dtype)}"
        kept: np.ndarray | None = getattr(self._kept, name, None)
        if kept is None or len(kept) < size:
            kept = np.empty(size, dtype=dtype)
            setattr(self._kept, name, kept)
        return kept[:size].reshape(shape)


class CountScreen:
    """Bounds t from exact counts of genotypes, a float32 product, and a float64 one a covariate.

    The design has weights of 1, and the scope columns of codes 0, 1, 2 that vary and lack no call;
    ``p_value`` is the largest that must not be missed.
    """

    exact = True

    def __init__(self, design: Design, scope: TripleScope, p_value: float) -> None:
        self.design, self.scope = design, scope
        self._limit = critical_square(design, p_value) / _ROUND_UP
        self._y = design.trait / design.trait_norm
        codes = minor_counts(design.codes[scope.columns])
        self._products = _Products(scope, codes.astype(np.float32), design.n_fixed)
        self._columns = self._make_columns(codes)
        self._kept = self._table(np.arange(scope.n_first))
        self.candidates(Tile((0, 0), (1, 1)))  # compiles, or loads what was compiled, ahead of the scan

    def candidates(self, tile: Tile) -> ScreenedTriples:
        """Triples of a tile that may pass."""
        i, j = self.scope.rows(tile)
        start = self.scope.start(tile)
        table_a, in_a = self._table_of(i)
        table_b, in_b = self._table_of(j)
        shape = (len(i), len(self.scope) - start)
        scores = self._products.memory("scores", np.float32, *shape)
        norm = self._products.product(tile, i, j, self._y, start, scores)
        fixed = self._products.memory("fixed", np.float64, self.design.n_fixed - 1, *shape)
        for k, vector in enumerate(self.design.basis[1:]):
            self._products.product(tile, i, j, vector, start, fixed[k])
        error = summing_error(self.design.n_samples, _CHUNK) * norm
        rows = TripleRows(i, j, in_a, in_b, error, self.scope.thirds(tile, i, j))
        found = np.zeros(scores.shape, dtype=bool)
        n = float(self.design.n_samples)
        n_triples, n_untestable = screen_rows(
            self._columns, table_a, table_b, rows, start, scores, fixed, n, self._limit, found
        )
        row, place = np.nonzero(found)
        return ScreenedTriples(i[row], j[row], place + start, n_triples, n_untestable)

    def _make_columns(self, codes: np.ndarray) -> TripleColumns:
        """Columns as bits, and their inner products with 1, themselves, the trait and the fixed effects."""
        n_samples, values = codes.shape[1], self._products.values
        planes = pack_planes(codes, np.arange(n_samples), -(-n_samples // WORD))
        vectors = np.vstack([np.ones(n_samples), self._y, self.design.basis[1:]])
        of = np.concatenate(
            [values[k : k + _BLOCK].astype(np.float64) @ vectors.T for k in range(0, len(values), _BLOCK)]
        ).T
        square = np.einsum("cs,cs->c", values, values, dtype=np.float64)
        return TripleColumns(planes, of[0].copy(), square, of[1].copy(), np.ascontiguousarray(of[2:]))

    def _table(self, chosen: np.ndarray) -> PairTable:
        """Inner products of chosen places with all columns."""
        n, n_fixed = len(self._columns.total), self.design.n_fixed - 1
        shape = (len(chosen), n_fixed, n)
        table = PairTable(np.zeros((len(chosen), 4, n)), np.zeros((len(chosen), n)), np.zeros(shape))
        count_moments(self._columns, chosen, table.moments)
        x = self._products.values
        mine = x[chosen].astype(np.float64)
        for start in range(0, len(x), _BLOCK):
            values = x[start : start + _BLOCK].astype(np.float64)
            block = slice(start, start + len(values))
            table.with_trait[:, block] = (mine * self._y) @ values.T
            for k in range(n_fixed):
                table.on_fixed[:, k, block] = (mine * self.design.basis[1 + k]) @ values.T
        return table

    def _table_of(self, places: np.ndarray) -> tuple[PairTable, np.ndarray]:
        """A table that holds columns, and where."""
        if not len(places) or places.max() < self.scope.n_first:
            return self._kept, places
        chosen, where = np.unique(places, return_inverse=True)
        return self._table(chosen), where


class ScoreScreen:
    """Triples whose score passes a p-value; any codes, missing calls at their means."""

    exact = False

    def __init__(self, design: Design, scope: TripleScope, p_value: float) -> None:
        self.scope = scope
        self._critical = np.float32(normal_critical(p_value) ** 2)
        values = design.values(scope.columns).astype(np.float32)
        self._values, self._squares = _Products(scope, values), _Products(scope, np.square(values))
        self._y = design.trait * (np.sqrt(design.total) / design.trait_norm)
        self._ones = np.ones(design.n_samples)

    def candidates(self, tile: Tile) -> ScreenedTriples:
        """Triples of a tile whose score passes."""
        i, j = self.scope.rows(tile)
        start = self.scope.start(tile)
        shape = (len(i), len(self.scope) - start)
        score = self._values.memory("scores", np.float32, *shape)
        squared_norm = self._squares.memory("norms", np.float32, *shape)
        self._values.product(tile, i, j, self._y, start, score)
        self._squares.product(tile, i, j, self._ones, start, squared_norm)
        keep = self.scope.thirds(tile, i, j)
        row, place = np.nonzero((np.square(score) > self._critical * squared_norm) & keep)
        return ScreenedTriples(i[row], j[row], place + start, int(keep.sum()), 0)
