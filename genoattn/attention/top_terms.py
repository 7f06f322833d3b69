r"""The largest of all terms without listing them: exact, in blocks, in bounded memory.

A term's coefficient is sum_r prod_m P_m[t_m, r]. Tokens are sorted by the size of their rows. All but the
last two tokens of a term are fixed, so that the rest is a product of two matrices; it is made in blocks in
float32, and only entries within the rounding error of the k-th best so far, or above it, are computed again
in float64. By Cauchy-Schwarz a block whose largest rows cannot reach the k-th best is not made at all.
Neither the rounding margin nor the bound misses a term, so the result is that of a full enumeration.

Memory: the factors in float64 and float32, one block of `BLOCK` x `BLOCK` float32 (16 MiB) and its mask, and
candidates, at most one block of them. Time: at worst tokens^k / k! multiply-adds a rank. Measured on two
cores, the best 1,000: 100,000 sites of two states at order 2, rank 16, in 2 s and 2,000 such sites at order
3, rank 48, in 3 to 6 s with the bound at work; 5e9 pairs of rows of equal size, where it spares nothing, in
62 s.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

BLOCK = 2048


@dataclass(frozen=True)
class TopTerms:
    """The largest terms, best first; equal ones by token.

    Attributes
    ----------
    tokens
        Shape (term, order), ascending within a term.
    coefficient
        Shape (term,).
    score
        Shape (term,), what they were ranked by: |coefficient|, or variance where a scale was given.
    n_screened, n_possible
        How many sets of tokens were looked at, and how many there are; the bound spared the rest.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn.attention import top_products
    >>> factor = np.array([[1.0], [3.0], [-2.0]])
    >>> terms = top_products([factor, factor], site=np.arange(3), k=1)
    >>> terms.score, terms.n_possible
    (array([6.]), 3)
    """

    tokens: np.ndarray
    coefficient: np.ndarray
    score: np.ndarray
    n_screened: int
    n_possible: int


def top_products(
    axes: Sequence[np.ndarray],
    site: np.ndarray,
    k: int,
    *,
    scale: np.ndarray | None = None,
    block: int = BLOCK,
) -> TopTerms:
    """The k sets of tokens at distinct sites with the largest |sum_r prod_m axes[m][t_m, r]|.

    Parameters
    ----------
    axes
        One array for each token of a term, shape (token, rank). The sum of products must not depend on
        which token takes which axis (`SymmetricTerms.axes` writes permutations out; shared factors need
        nothing).
    site
        Shape (token,), the site of each token; a term has at most one token of a site.
    k
        How many terms; fewer come back where fewer exist.
    scale
        Shape (token,): rank by (coefficient * product of the scales)^2 instead.
    block
        Rows and columns of a block of the last two tokens.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn.attention import top_products
    >>> factor = np.array([[1.0], [3.0], [-2.0]])  # one token a site, rank 1
    >>> terms = top_products([factor, factor], site=np.arange(3), k=2)
    >>> terms.tokens.tolist(), terms.coefficient.tolist()
    ([[1, 2], [0, 1]], [-6.0, 3.0])
    """
    if not k >= 1:
        raise ValueError(f"k: got {k}, needs at least 1")
    exact = [np.asarray(axis, dtype=np.float64) for axis in axes]
    search = _Search(_balanced(exact, scale), np.asarray(site), k, block)
    search.run()
    coefficient = _products(exact, search.tokens)
    score = np.abs(coefficient) if scale is None else (coefficient * scale[search.tokens].prod(axis=1)) ** 2
    rank = np.lexsort((*search.tokens.T[::-1], -score))
    n_possible = comb(len(site), len(exact))
    return TopTerms(search.tokens[rank], coefficient[rank], score[rank], search.n_screened, n_possible)


def _balanced(axes: list[np.ndarray], scale: np.ndarray | None) -> list[np.ndarray]:
    """The same products, up to one factor, with columns of one size on every axis and largest row 1.

    Equal columns make the bound on a row tight; rows of at most 1 keep float32 from overflowing.
    """
    if scale is not None:
        axes = [axis * scale[:, None] for axis in axes]
    sizes = np.stack([np.linalg.norm(axis, axis=0) for axis in axes])  # (axis, rank)
    alive = (sizes > 0).all(axis=0)
    sizes = sizes[:, alive]
    mean = np.exp(np.log(sizes).mean(axis=0))
    balanced = [axis[:, alive] * (mean / size) for axis, size in zip(axes, sizes, strict=True)]
    return [axis / (np.linalg.norm(axis, axis=1).max() or 1.0) for axis in balanced]


def _products(axes: Sequence[np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """sum_r prod_m axes[m][t_m, r] for each row of tokens, in float64."""
    product = axes[0][tokens[:, 0]]
    for m in range(1, len(axes)):
        product = product * axes[m][tokens[:, m]]
    return product.sum(axis=1)


class _Search:
    """The best terms so far, and the walk over blocks that improves them."""

    def __init__(self, axes: list[np.ndarray], site: np.ndarray, k: int, block: int) -> None:
        self.exact, self.site, self.k, self.block, self.order = axes, site, k, block, len(axes)
        self.tokens = np.empty((0, self.order), dtype=np.int64)
        self.value = np.empty(0)
        self.threshold = 0.0
        self.n_screened = 0
        size = np.max([np.linalg.norm(axis, axis=1) for axis in axes], axis=0)
        # Large rows first: good terms early, weak blocks together. A token of zeros is in no term.
        self.sorted = np.argsort(-size, kind="stable")[: np.count_nonzero(size)]
        self.axes = [axis[self.sorted] for axis in axes]
        self.sorted_site = site[self.sorted]

    def run(self) -> None:
        """Walk over the first tokens of a term, then over blocks of the last two."""
        if self.order == 1:
            self.n_screened = len(self.sorted)
            self.offer(self.sorted[:, None])
            return
        self.columns = self.axes[-1].astype(np.float32)
        self.column_size = np.linalg.norm(self.axes[-1], axis=1)
        # The largest column from each position on: tokens are sorted by their largest row on any axis.
        self.column_max = np.maximum.accumulate(self.column_size[::-1])[::-1]
        for prefix in self._prefixes():
            start = prefix[-1] + 1 if prefix else 0
            rows = self.axes[-2][start:]
            for axis, token in zip(self.axes[:-2], prefix, strict=True):
                rows = rows * axis[token]
            self._screen(prefix, start, rows)

    def offer(self, tokens: np.ndarray) -> None:
        """Compute candidates (caller's numbering) in float64 and keep the k best, none that is zero."""
        tokens = np.sort(tokens, axis=1)  # one arrangement of a term, so that its value is one number
        site = np.sort(self.site[tokens], axis=1)
        tokens = tokens[(site[:, 1:] != site[:, :-1]).all(axis=1)]
        value = np.abs(_products(self.exact, tokens))
        keep = (value >= self.threshold) & (value > 0)
        self.tokens = np.concatenate([self.tokens, tokens[keep]])
        self.value = np.concatenate([self.value, value[keep]])
        if len(self.value) > self.k:
            best = np.lexsort((*self.tokens.T[::-1], -self.value))[: self.k]
            self.tokens, self.value = self.tokens[best], self.value[best]
        if len(self.value) == self.k:
            self.threshold = self.value.min()

    def _prefixes(self) -> Iterator[tuple[int, ...]]:
        n_fixed = self.order - 2
        for prefix in combinations(range(len(self.sorted) - 1), n_fixed):
            if len(set(self.sorted_site[list(prefix)].tolist())) == n_fixed:
                yield prefix

    def _screen(self, prefix: tuple[int, ...], start: int, rows: np.ndarray) -> None:
        """All terms of a prefix: rows (from the token at `start`) times later columns, in blocks."""
        n_tokens, width = len(self.sorted), self.block
        row_size = np.linalg.norm(rows, axis=1)
        low = None
        for a in range(start, n_tokens - 1, width):
            a_size = row_size[a - start : a - start + width]
            if not a_size.max() * self.column_max[a] >= self.threshold:
                continue
            # Rows that cannot reach the threshold with any column are left out of the product.
            use = np.flatnonzero(a_size * self.column_max[a] >= self.threshold) + (a - start)
            if low is None:
                low = rows.astype(np.float32)
            for b in range(a, n_tokens, width):
                bound = a_size.max() * self.column_size[b : b + width].max()
                if bound >= self.threshold:
                    self._screen_block(prefix, low[use], use + start, b, bound)

    def _screen_block(
        self, prefix: tuple[int, ...], rows: np.ndarray, row: np.ndarray, b: int, bound: float
    ) -> None:
        """One block of products; entries that may reach the threshold are offered."""
        product = rows @ self.columns[b : b + self.block].T  # (row, column)
        np.abs(product, out=product)
        width = product.shape[1]
        self.n_screened += int(np.clip(b + width - 1 - row, 0, width).sum())  # columns after the row
        # Rounding of the factors and of a sum of `rank` products in float32, and what underflows to zero.
        single = np.finfo(np.float32)
        margin = (rows.shape[1] + 4) * (single.eps * bound + single.tiny)
        if product.max() < self.threshold - margin:
            return
        self._forget_unordered(product, row, b)
        self._raise_threshold(prefix, product, row, b)
        r, c = np.nonzero(product >= max(self.threshold - margin, 0))
        if len(r):
            self.offer(self._tokens(prefix, row[r], c + b))

    def _raise_threshold(self, prefix: tuple[int, ...], product: np.ndarray, row: np.ndarray, b: int) -> None:
        """Offer the apparent best k of a block first, so that few of the rest remain candidates."""
        flat = product.ravel()
        if len(flat) > 4 * self.k and np.count_nonzero(flat >= self.threshold) > 4 * self.k:
            best = np.argpartition(flat, -2 * self.k)[-2 * self.k :]
            r, c = np.divmod(best[flat[best] > -1], product.shape[1])
            self.offer(self._tokens(prefix, row[r], c + b))
            # They are in already; offering them again would count them twice.
            product[r, c] = -1

    def _forget_unordered(self, product: np.ndarray, row: np.ndarray, b: int) -> None:
        """Blank entries where the column's token does not come after the row's, or shares its site."""
        column = np.arange(b, b + product.shape[1])
        if row[-1] >= b:
            product[column[None, :] <= row[:, None]] = -1
        product[self.sorted_site[column][None, :] == self.sorted_site[row][:, None]] = -1

    def _tokens(self, prefix: tuple[int, ...], row: np.ndarray, column: np.ndarray) -> np.ndarray:
        fixed = np.tile(np.array(prefix, dtype=np.int64), (len(row), 1))
        return self.sorted[np.column_stack([fixed, row, column])]
