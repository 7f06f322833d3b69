"""The genotypic test: interaction of two sites that each have an additive and a dominance term.

Adjusted for both sites' two terms and the covariates, the four products of their terms are tested together:
by F for a quantitative trait, by likelihood ratio for a binary one. The degrees of freedom are four, and
fewer where a genotype class, or a joint one, is absent. Missing calls leave the sample out of a pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genoattn.cohort import MISSING
from genoattn.errors import InputError
from genoattn.scan.binary import logistic_pairs
from genoattn.scan.design import Design
from genoattn.scan.exact import PairTests, regress_pairs
from genoattn.scan.genotype_tables import (
    N_MAIN,
    N_PRODUCTS,
    TableSums,
    TableTests,
    likelihood_ratios,
    regress_tables,
    table_tests,
)
from genoattn.scan.screen import Screened

_STRIP = 64  # rows of a tile at a time
_SCORE_FACTOR = 3.0  # a binary pair is tested exactly up to this many times the threshold by its score


def check_genotypic(design: Design) -> None:
    """Raise InputError unless the columns are dosages whose highest code is 2."""
    if design.codes.dtype != np.int8:
        raise InputError("the genotypic test needs hard calls, and these are dosages; use the additive test")
    highest = int(design.codes.max(initial=0))
    if highest != 2:
        raise InputError(
            f"the genotypic test is for diploid dosages 0, 1 and 2, but the highest code is {highest}; "
            "use the additive test"
        )


@dataclass(frozen=True, eq=False)
class GenotypeBlock:
    """Indicators of codes 1 and 2 of some columns, (2 n_columns, n_samples) float64, and which lack calls."""

    values: np.ndarray
    missing: np.ndarray
    columns: np.ndarray


class GenotypicScreen:
    """Screen of pairs that may pass the genotypic test.

    Sums over the joint genotypes are four matrix products for the counts, the trait and every covariate, in
    float64, so that a quantitative trait is tested exactly. A binary one is screened by its score, with the
    weights of the regression on the fixed effects, up to three times the threshold. Pairs of columns with
    missing calls are all candidates. The design passes :func:`check_genotypic`; ``threshold`` is the largest
    p-value that must not be missed; pairs with a squared correlation above ``max_r2`` are left out.
    """

    def __init__(self, design: Design, threshold: float = 1.0, max_r2: float | None = None) -> None:
        self.design = design
        self._max_r2 = np.inf if max_r2 is None else max_r2 * (1 + 1e-12)
        self._critical = _critical(design, threshold)
        self._square = float(design.weight @ design.trait**2)
        self._operands = np.vstack([np.ones(design.n_samples), design.basis, design.trait]) * design.weight

    def block(self, chosen: np.ndarray) -> GenotypeBlock:
        """Columns, by their indices, as operands."""
        codes = self.design.codes[chosen]
        values = np.concatenate([codes == 1, codes == 2]).astype(np.float64)
        return GenotypeBlock(values, (codes == MISSING).any(axis=1), chosen)

    def candidates(self, left: GenotypeBlock, right: GenotypeBlock, keep: np.ndarray) -> Screened:
        """Pairs of two blocks that may pass; ``keep`` (n_left, n_right) says which are asked for."""
        n_linked = 0
        if np.isfinite(self._max_r2):
            linked = self.design.r2(left.columns, right.columns) > self._max_r2
            n_linked = int((keep & linked).sum())
            keep = keep & ~linked
        gaps = left.missing[:, None] | right.missing
        possible, n_untestable = keep & gaps, 0
        for i, j in _strips(keep & ~gaps):
            out = self._table_tests(left.values.reshape(2, -1, left.values.shape[1])[:, i], right, j)
            wanted = keep[i, j] & ~gaps[i, j]
            n_untestable += int(((out.df == 0) & wanted).sum())
            possible[i, j] |= wanted & (out.df > 0) & (out.share >= self._critical[out.df_main, out.df])
        a, b = np.nonzero(possible)
        return Screened(a, b, n_linked, n_untestable)

    def _table_tests(self, rows: np.ndarray, right: GenotypeBlock, j: slice) -> TableTests:
        """Table tests of some rows, (2, n_rows, n_samples), with some columns of a block."""
        cols = right.values.reshape(2, -1, right.values.shape[1])[:, j]
        shape = rows.shape[1], cols.shape[1]
        rows, cols = rows.reshape(-1, rows.shape[2]), cols.reshape(-1, cols.shape[2])
        joint = np.empty((len(self._operands), 2, shape[0], 2, shape[1]))
        for k, operand in enumerate(self._operands):
            np.matmul(rows * operand, cols.T, out=joint[k].reshape(len(rows), -1))
        of_a, of_b = (
            np.ascontiguousarray((self._operands @ x.T).reshape(-1, 2, len(x) // 2)) for x in (rows, cols)
        )
        out = TableTests(np.empty(shape), np.empty(shape, dtype=np.int8), np.empty(shape, dtype=np.int8))
        table_tests(TableSums(of_a, of_b, joint, self._square), self.design.binary, out)
        return out


def genotypic_pairs(design: Design, trait: np.ndarray, pairs: np.ndarray) -> PairTests:
    """Genotypic test of chosen pairs (n_pairs, 2), exactly, on the samples called at both sites.

    ``trait`` (n_samples,) is as measured. ``statistic`` is F (binary traits: the likelihood-ratio
    chi-squared) on ``df`` degrees of freedom, 0 where a pair cannot be tested, and ``explained`` the
    products' share of R2 (binary: of McFadden's). ``coefficient`` and ``se`` are those of the product of
    dosages in the additive test, for the direction.
    """
    from scipy.special import chdtrc, fdtrc  # a tenth of a second, which other scans need not wait for

    pairs = np.ascontiguousarray(pairs, dtype=np.int64).reshape(-1, 2)
    if design.binary:
        statistic, df, null, n = likelihood_ratios(design.codes, trait, design.basis, pairs)
        p_value, explained = chdtrc(np.maximum(df, 1), statistic), statistic / null
        additive = logistic_pairs(design, trait, pairs)
    else:
        basis = np.ascontiguousarray(design.basis.T)
        gain, rss, df, df_residual, n, total = regress_tables(design.codes, design.trait, basis, pairs).T
        df = np.where((df_residual > 0) & (rss > 0), df, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic, explained = gain / df / (rss / df_residual), gain / total
            p_value = fdtrc(np.maximum(df, 1), np.maximum(df_residual, 1), np.maximum(statistic, 0))
        additive = regress_pairs(design, trait, pairs)
    statistic, p_value, explained = (np.where(df > 0, x, np.nan) for x in (statistic, p_value, explained))
    n, df = n.astype(np.int64), df.astype(np.int64)
    return PairTests(additive.coefficient, additive.se, statistic, p_value, n, additive.r2, explained, df)


def _critical(design: Design, threshold: float) -> np.ndarray:
    """Smallest ``share`` that may pass, by the degrees of freedom of both sites and of the products."""
    from scipy.special import betaincinv, chdtri

    out = np.zeros((N_MAIN + 1, N_PRODUCTS + 1))
    if threshold >= 1:
        return out
    for main in range(N_MAIN + 1):
        for df in range(1, N_PRODUCTS + 1):
            if design.binary:
                out[main, df] = chdtri(df, min(_SCORE_FACTOR * threshold, 1.0))
                continue
            df_residual = design.n_samples - design.n_fixed - main - df
            if df_residual > 0:
                # The share that is not explained is Beta distributed; its lower tail keeps small thresholds.
                out[main, df] = 1 - betaincinv(df_residual / 2, df / 2, threshold)
    # The tables and the exact test round differently: a pair at the threshold is left to the latter.
    return out * (1 - 1e-6)


def _strips(keep: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Rows of a tile, a few at a time, and the columns from their first wanted pair to their last."""
    for start in range(0, len(keep), _STRIP):
        i = slice(start, min(start + _STRIP, len(keep)))
        wanted = np.flatnonzero(keep[i].any(axis=0))
        if len(wanted):
            yield i, slice(int(wanted[0]), int(wanted[-1]) + 1)
