"""Scores of every pair for several traits at once: the t of the product term, by matrix products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from genoattn.scan.elimination import SINGULAR

if TYPE_CHECKING:
    from scipy import sparse

_ROWS = 128  # of a tile at a time, whose arrays stay in the cache
_TRAITS = 8  # at a time
_FLAT = 1e-10  # squared norm of a column's residual, relative to its own, below which it does not vary
# As SINGULAR, for sums in float32, whose rounding errors are some 1e-6: the residual is then right to 0.2 %.
_SINGULAR_SINGLE = 1e-3

# Called with the index of the traits, rows and columns, and t (n_traits, n_rows, n_cols): anything.
Use = Callable[[slice, slice, slice, np.ndarray], Any]


@dataclass(frozen=True, eq=False)
class _Columns:
    """Columns as operands of the products, and their inner products with fixed effects and traits."""

    values: np.ndarray  # (n_columns, n_samples), less their means
    squares: np.ndarray  # (n_columns, n_samples)
    residual_square: np.ndarray  # (n_columns,), after regression on the fixed effects; NaN if that is none
    on_fixed: np.ndarray  # (n_fixed - 1, n_columns), beyond the intercept
    on_trait: np.ndarray  # (n_traits, n_columns)

    def part(self, chosen: slice) -> _Columns:
        fixed, trait = self.on_fixed[:, chosen], self.on_trait[:, chosen]
        return _Columns(self.values[chosen], self.squares[chosen], self.residual_square[chosen], fixed, trait)


class _Eliminated(NamedTuple):
    """Elimination of the fixed effects and both columns from the products: (n_rows, n_cols) each."""

    on_a: np.ndarray  # coefficients of the product on the row's column, and on the other
    on_b: np.ndarray
    unit: np.ndarray  # one over the norm of the product's residual; NaN where it cannot be tested
    slope: np.ndarray  # coefficient of the other column on the row's
    precision: np.ndarray  # one over the squared norm of that regression's residual


@dataclass(frozen=True, eq=False)
class PairScores:
    """Columns, traits and fixed effects made ready for the scores of all pairs, in one floating-point type.

    In ``float32`` a score costs half as much and is right to 0.001 or 0.2 %. Products whose residual after
    regression on both columns and the fixed effects has less than a thousandth of their variance are then not
    tested, nor pairs of columns with r2 above 0.999.
    """

    columns: _Columns
    basis: np.ndarray  # (n_fixed - 1, n_samples), orthonormal fixed effects beyond the intercept
    traits: np.ndarray  # (n_traits, n_samples), residuals of unit norm

    @classmethod
    def of(
        cls,
        columns: np.ndarray,
        phenotypes: np.ndarray,
        covariates: np.ndarray,
        dtype: type[np.floating[Any]] = np.float32,
    ) -> PairScores:
        """Of arrays as in :func:`pair_tiles`."""
        q, _ = np.linalg.qr(np.column_stack([np.ones(len(phenotypes)), covariates]))
        traits = (phenotypes - q @ (q.T @ phenotypes)).T
        traits /= np.maximum(np.linalg.norm(traits, axis=1, keepdims=True), np.finfo(float).tiny)
        n_columns = columns.shape[1]
        values = np.empty(columns.shape[::-1], dtype=dtype)
        square, products = np.empty(n_columns), np.empty((q.shape[1] - 1 + len(traits), n_columns))
        with_all = np.concatenate([q.T[1:], traits])
        for start in range(0, n_columns, 1024):
            own = slice(start, start + 1024)
            centred = columns[:, own] - columns[:, own].mean(axis=0)
            values[own], square[own] = centred.T, np.einsum("sc,sc->c", centred, centred)
            products[:, own] = with_all @ centred
        on_fixed, on_trait = products[: q.shape[1] - 1], products[q.shape[1] - 1 :]
        residual = square - (on_fixed**2).sum(axis=0)
        # A column that the covariates explain, as the main effect of an environment, is taken out of all
        # others with them: its residual's inner products are 0, and any squared norm but 0 does for it.
        residual = np.where(residual > _FLAT * square, residual, np.where(square > 0, square, np.nan))
        small = (array.astype(dtype) for array in (residual, on_fixed, on_trait, q.T[1:], traits))
        residual, on_fixed, on_trait, basis, traits = small
        return cls(_Columns(values, values**2, residual, on_fixed, on_trait), basis, traits)

    def strips(self, use: Use, block: int = 1024, threads: int | None = None) -> Iterator[Any]:
        """What ``use`` returns for the scores of all pairs, a strip of rows at a time, on several threads.

        Each pair is given once, where its first column is the row's; elsewhere t is NaN.
        """
        from threadpoolctl import ThreadpoolController

        n_columns, libraries = len(self.columns.values), ThreadpoolController()
        allowed = [library["num_threads"] for library in libraries.info() if library["user_api"] == "blas"]
        with ThreadPoolExecutor(threads or max(allowed, default=1)) as pool:
            for i in range(0, n_columns, block):
                end = min(i + block, n_columns)
                starts = range(i, end, _ROWS)
                rows = [slice(k, min(k + _ROWS, end)) for k in starts]
                for j in range(i, n_columns, block):
                    cols = [slice(max(j, r.start), min(j + block, n_columns)) for r in rows]
                    with libraries.limit(limits=1):  # the threads are those of the strips
                        done = list(pool.map(self._strip, [use] * len(rows), rows, cols))
                    for of_strip in done:
                        yield from of_strip

    def _strip(self, use: Use, rows: slice, cols: slice) -> list[Any]:
        a, b = self.columns.part(rows), self.columns.part(cols)
        df = self.traits.shape[1] - len(self.basis) - 4
        shape = len(a.values), len(b.values)
        lower = np.tri(*shape, rows.start - cols.start, dtype=bool) if cols.start < rows.stop else None
        with np.errstate(divide="ignore", invalid="ignore"):
            eliminated = _eliminate(a, b, self.basis)
            out = []
            for start in range(0, len(self.traits), _TRAITS):
                own = slice(start, min(start + _TRAITS, len(self.traits)))
                t = _scores(a, b, eliminated, self.traits[own], own, df)
                if lower is not None:
                    t[:, lower] = np.nan
                out.append(use(own, rows, cols, t))
        return out


def _eliminate(a: _Columns, b: _Columns, basis: np.ndarray) -> _Eliminated:
    """What the scores of all pairs of two blocks have in common, whatever the trait."""
    n, dtype = a.values.shape[1], a.values.dtype
    shape = -1, len(a.values), len(b.values)
    left = np.concatenate([a.values, a.squares, *(a.values * q for q in basis)])
    ab, pa, *with_fixed = (left @ b.values.T).reshape(shape)
    pb, pp = (left[: 2 * len(a.values)] @ b.squares.T).reshape(shape)
    pp -= ab * ab / dtype.type(n)
    unadjusted = pp.copy()
    for on_a, on_b, product in zip(a.on_fixed[:, :, None], b.on_fixed, with_fixed, strict=True):
        ab -= on_a * on_b
        pa -= on_a * product
        pb -= on_b * product
        product *= product
        pp -= product
    aa, bb = a.residual_square[:, None], b.residual_square
    share = 1 - ab * ab / (aa * bb)
    d = 1 / (aa * bb * share)
    on_a, on_b = (bb * pa - ab * pb) * d, (aa * pb - ab * pa) * d
    residual = pp - on_a * pa - on_b * pb
    least = dtype.type(_SINGULAR_SINGLE if dtype == np.float32 else SINGULAR)
    tested = (share > least) & (residual > least * unadjusted) & (unadjusted > 0)
    unit = np.where(tested, 1 / np.sqrt(residual), dtype.type(np.nan))
    return _Eliminated(on_a, on_b, unit, ab / aa, aa * d)


def _scores(a: _Columns, b: _Columns, e: _Eliminated, traits: np.ndarray, own: slice, df: int) -> np.ndarray:
    """t of some traits: (n_traits, n_rows, n_cols)."""
    if df <= 0:
        return np.full((len(traits), len(a.values), len(b.values)), np.nan, dtype=traits.dtype)
    left = (traits[:, None] * a.values).reshape(-1, traits.shape[1])
    t = (left @ b.values.T).reshape(len(traits), len(a.values), -1)
    root, tiny = np.sqrt(traits.dtype.type(df)), np.finfo(traits.dtype).tiny
    for score, ya, yb in zip(t, a.on_trait[own, :, None], b.on_trait[own], strict=True):
        score -= e.on_a * ya
        score -= e.on_b * yb
        score *= e.unit
        # Squared norm of the trait's residual after regression on both columns, then on their product too:
        # an exact fit gives a large number, and NaN stays NaN.
        other = yb - e.slope * ya
        other *= other
        other *= e.precision
        rest = 1 - ya * ya / a.residual_square[:, None] - other
        rest -= score * score
        np.sqrt(np.maximum(rest, tiny, out=rest), out=rest)
        score *= root
        score /= rest
    return t


def pair_tiles(
    columns: np.ndarray,
    phenotypes: np.ndarray,
    covariates: np.ndarray,
    block: int = 1024,
    threads: int | None = None,
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """t of the product of every pair of columns, adjusted for both main effects and the covariates.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), no missing values.
    phenotypes
        Shape (n_samples, n_traits); the products of genotypes are shared by all traits.
    covariates
        Shape (n_samples, n_covariates), without an intercept.
    block
        Tile width; memory is about n_traits tiles of block x block float64, and two copies of the columns.
    threads
        Strips of a tile at a time; None for as many as matrix products may use.

    Yields
    ------
    Row block, column block, and t of shape (n_traits, block, block); NaN where the product cannot be
    tested. A column that the covariates explain has its main effect among them. Blocks on and above the
    diagonal only; within a diagonal block t is symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn.scan.scores import pair_tiles
    >>> rng = np.random.default_rng(1)
    >>> columns = rng.integers(0, 3, (200, 6)).astype(float)
    >>> y = columns[:, 1] * columns[:, 4] + rng.normal(size=200)
    >>> [(rows, cols, t)] = pair_tiles(columns, y[:, None], np.zeros((200, 0)))
    >>> int(np.nanargmax(np.abs(t[0, 1])))
    4
    """
    scores = PairScores.of(columns, phenotypes, covariates, np.float64)
    n_traits, n_columns = phenotypes.shape[1], columns.shape[1]
    tile, filled, rows, cols = np.zeros((0, 0, 0)), 0, slice(0), slice(0)
    for own, row, col, t in scores.strips(lambda *strip: strip, block, threads):
        if not filled:
            first, second = (k // block * block for k in (row.start, col.start))
            rows, cols = (slice(k, min(k + block, n_columns)) for k in (first, second))
            tile = np.full((n_traits, rows.stop - rows.start, cols.stop - cols.start), np.nan)
        within = slice(row.start - rows.start, row.stop - rows.start)
        tile[own, within, col.start - cols.start :] = t
        filled += len(t) * (row.stop - row.start)
        if filled == n_traits * tile.shape[1]:
            if rows == cols:
                tile = np.fmax(tile, tile.transpose(0, 2, 1))  # of a number and NaN the number
            filled = 0
            yield rows, cols, tile


def score_matrix(
    columns: np.ndarray,
    phenotypes: np.ndarray,
    covariates: np.ndarray,
    site: np.ndarray,
    threshold: float = 2.5,
) -> sparse.csr_array:
    """Pairs whose |t| passes a threshold: the sparse gradient of full-rank linear self-attention at C = 0.

    Scores are those of :class:`PairScores` in float32.

    Parameters
    ----------
    columns, phenotypes, covariates
        As in :func:`pair_tiles`; the phenotypes are at most eight versions of one trait, such as raw and
        with the additive genome taken out.
    site
        Shape (n_columns,); columns of the same site are not paired.
    threshold
        Smallest |t| kept.

    Returns
    -------
    Symmetric, shape (n_columns, n_columns), holding the t that is nearest to zero among the phenotypes.
    """
    from scipy import sparse

    least = max(threshold, float(np.finfo(np.float32).tiny))

    def passing(_: slice, row: slice, col: slice, t: np.ndarray) -> tuple[np.ndarray, ...]:
        i, j = np.nonzero(np.abs(t[0]) >= least)
        value = agreed(t[:, i, j].astype(np.float64), least)
        i, j = i + row.start, j + col.start
        keep = (value != 0) & (site[i] != site[j])
        return i[keep], j[keep], value[keep]

    assert phenotypes.shape[1] <= _TRAITS
    found = list(PairScores.of(columns, phenotypes, covariates).strips(passing))
    i, j, value = (np.concatenate(parts) for parts in zip(*found, strict=True))
    shape = (columns.shape[1],) * 2
    upper = sparse.coo_array((value, (i, j)), shape=shape)
    return (upper + upper.T).tocsr()


def count_scores(
    scores: PairScores, thresholds: np.ndarray, segment: np.ndarray | None = None, threads: int | None = None
) -> np.ndarray:
    """Number of pairs with |t| of a threshold or more, for each trait: what chance does, from resampled ones.

    Parameters
    ----------
    scores
        Of any number of traits: each costs one matrix product a pair, and none is held in memory.
    thresholds
        Shape (n_thresholds,), ascending.
    segment
        Shape (n_columns,); columns of the same segment are not paired.
    threads
        None for as many as matrix products may use.

    Returns
    -------
    Shape (n_traits, n_thresholds), int64.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn.scan.scores import PairScores, count_scores
    >>> rng = np.random.default_rng(1)
    >>> columns = rng.integers(0, 3, (200, 6)).astype(float)
    >>> y = columns[:, 1] * columns[:, 4] + rng.normal(size=200)
    >>> scores = PairScores.of(columns, np.stack([y, rng.permutation(y)], axis=1), np.zeros((200, 0)))
    >>> count_scores(scores, np.array([0.0, 5.0])).tolist()
    [[15, 1], [15, 0]]
    """
    least, n_limits = np.float32(thresholds[0]), len(thresholds)

    def counted(own: slice, row: slice, col: slice, t: np.ndarray) -> tuple[slice, np.ndarray]:
        if segment is not None and len(np.intersect1d(segment[row], segment[col])):
            t[:, segment[row][:, None] == segment[col]] = np.nan
        size = np.abs(t, out=t)
        trait, *_ = index = np.nonzero(size >= least)
        passed = np.searchsorted(thresholds, size[index], side="right")
        reached = np.bincount(trait * (n_limits + 1) + passed, minlength=len(t) * (n_limits + 1))
        above = np.cumsum(reached.reshape(len(t), -1)[:, ::-1], axis=1)[:, ::-1]
        return own, above[:, 1:]

    out = np.zeros((len(scores.traits), n_limits), dtype=np.int64)
    for own, number in scores.strips(counted, threads=threads):
        out[own] += number
    return out


def agreed(t: np.ndarray, threshold: float) -> np.ndarray:
    """The t nearest to 0 among those of the traits, the first axis; 0 where signs differ or it is small."""
    same = (t > 0).all(axis=0) | (t < 0).all(axis=0)  # NaN is neither
    size = np.abs(t).min(axis=0)
    return np.where(same & (size >= threshold), np.copysign(size, t[0]), 0.0)
