"""The genotypic test: interaction of two sites that each have an additive and a dominance term.

Beside both sites' two terms and the covariates, the four products of their terms are tested together: by F
for a quantitative trait, by likelihood ratio for a binary one. The degrees of freedom are four, and fewer
where a genotype class, or a joint one, is absent. Missing calls leave the sample out of a pair.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genoattn.errors import InputError
from genoattn.scan.design import Design
from genoattn.scan.logistic.saturated import likelihood_ratios
from genoattn.scan.logistic.stages import logistic_pairs
from genoattn.scan.regression.exact import PairTests, regress_pairs
from genoattn.scan.regression.genotype_sums import CodedBlock, code_rows, joint_counts
from genoattn.scan.regression.genotype_table import (
    N_MAIN,
    N_PRODUCTS,
    TableSums,
    TableTests,
    regress_tables,
    table_tests,
)

_ROWS = 128  # of a tile at a time
_OPERAND_BYTES = 64e6
_SCORE_FACTOR = 3.0  # a binary pair is tested exactly up to this many times the threshold by its score


class GenotypicFound(NamedTuple):
    """Pairs of a tile that pass: rows and columns within the tile, and their tests."""

    i: np.ndarray
    j: np.ndarray
    tests: PairTests


def check_genotypic(design: Design) -> None:
    """Refuse columns that are not dosages 0, 1 and 2.

    Raises
    ------
    InputError
        Where no column has a code of 2, or one has a higher code.
    """
    highest = int(design.codes.max(initial=0))
    if highest != 2:
        raise InputError(
            f"the genotypic test is for diploid dosages 0, 1 and 2, but the highest code is {highest}; "
            "use the additive test"
        )


def genotypic_pairs(design: Design, trait: np.ndarray, pairs: np.ndarray) -> PairTests:
    """Genotypic test of chosen pairs, exactly, on the samples called at both sites.

    Parameters
    ----------
    design
        Columns and fixed effects.
    trait
        Shape (n_samples,), as measured.
    pairs
        Shape (n_pairs, 2), indices of columns.

    Returns
    -------
    ``statistic`` is F (binary traits: the likelihood-ratio chi-squared) on ``df`` degrees of freedom, 0 where
    a pair cannot be tested, and ``explained`` what the products add to R2 (binary: to McFadden's).
    ``coefficient`` and ``se`` are those of the product of dosages in the additive test, for the direction.
    """
    from scipy.special import chdtrc, fdtrc  # a tenth of a second, which other scans need not wait for

    pairs = np.ascontiguousarray(pairs, dtype=np.int64).reshape(-1, 2)
    if design.binary:
        statistic, df, null, n = likelihood_ratios(design, trait, pairs)
        p_value, explained = chdtrc(np.maximum(df, 1), statistic), statistic / null
        beside = logistic_pairs(design, trait, pairs)
    else:
        basis = np.ascontiguousarray(design.basis.T)
        gain, rss, df, left, n, total = regress_tables(design.codes, design.trait, basis, pairs).T
        df = np.where((left > 0) & (rss > 0), df, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic, explained = gain / df / (rss / left), gain / total
            p_value = fdtrc(np.maximum(df, 1), np.maximum(left, 1), np.maximum(statistic, 0))
        beside = regress_pairs(design, trait, pairs)
    statistic, p_value, explained = (np.where(df > 0, x, np.nan) for x in (statistic, p_value, explained))
    n, df = n.astype(np.int64), df.astype(np.int64)
    return PairTests(beside.coefficient, beside.se, statistic, p_value, n, beside.r2, explained, df)


def genotypic_tile(
    design: Design, trait: np.ndarray, rows: np.ndarray, cols: np.ndarray, keep: np.ndarray, threshold: float
) -> tuple[GenotypicFound, int]:
    """Pairs of a tile that pass the genotypic test.

    Sums over the joint genotypes are counts of bits and four products each for the trait and every
    covariate, in float64, so that a quantitative trait is tested exactly. A binary one is screened by its
    score, with the weights of the regression on the fixed effects, up to three times the threshold; what
    passes is tested by likelihood ratio. Pairs of columns with missing calls are tested one by one.

    Parameters
    ----------
    design
        Columns and fixed effects; see :func:`check_genotypic`.
    trait
        Shape (n_samples,), as measured.
    rows, cols
        Indices of the columns of the two blocks.
    keep
        Shape (n_rows, n_cols), which pairs to test.
    threshold
        Largest p-value returned.

    Returns
    -------
    What passes, and how many of the pairs cannot be tested.
    """
    missing = design.columns.missing > 0
    gaps = missing[rows][:, None] | missing[cols]
    i, j = np.nonzero(keep & gaps)
    n_untestable = 0
    if not gaps.all():
        a, b, n_untestable = _candidates(design, rows, cols, keep & ~gaps, threshold)
        i, j = np.concatenate([i, a]), np.concatenate([j, b])
    tests = genotypic_pairs(design, trait, np.stack([rows[i], cols[j]], axis=1))
    n_untestable += int((tests.df == 0).sum())
    kept = np.flatnonzero(tests.p_value <= threshold)
    return GenotypicFound(i[kept], j[kept], tests.select(kept)), n_untestable


def _candidates(
    design: Design, rows: np.ndarray, cols: np.ndarray, keep: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Pairs without missing calls that may pass, and how many cannot be tested."""
    critical = _critical(design, threshold)
    width = int(max(64, _OPERAND_BYTES / (16 * design.n_samples)))
    found_i, found_j, n_untestable = [], [], 0
    for start in range(0, len(cols), width):
        right = None
        for first in range(0, len(rows), min(_ROWS, width)):
            i, j = slice(first, first + min(_ROWS, width)), slice(start, start + width)
            wanted = keep[i, j]
            if not wanted.any():
                continue
            right = _Side(design, cols[j]) if right is None else right
            out = _tile_tests(design, _Side(design, rows[i]), right)
            n_untestable += int(((out.df == 0) & wanted).sum())
            a, b = np.nonzero(wanted & (out.df > 0) & (out.share >= critical[out.df_main, out.df]))
            found_i.append(a + first)
            found_j.append(b + start)
    nothing = [np.zeros(0, dtype=np.intp)]
    return np.concatenate(found_i or nothing), np.concatenate(found_j or nothing), n_untestable


class _Side:
    """Indicators of codes 1 and 2 of some columns: (2 n_columns, n_samples) float64, and as bits."""

    def __init__(self, design: Design, chosen: np.ndarray) -> None:
        codes = design.codes[chosen]
        self.values = np.concatenate([codes == 1, codes == 2]).astype(np.float64)
        self.coded: CodedBlock | None = None if design.binary else code_rows(codes, rarer=False)

    def __len__(self) -> int:
        return len(self.values) // 2


def _tile_tests(design: Design, left: _Side, right: _Side) -> TableTests:
    """Table tests of all pairs of two sides."""
    weight = design.weight if design.binary else None
    operands = [design.weight, *(design.basis * design.weight), design.trait * design.weight]
    shape = (len(operands), 2, len(left), 2, len(right))
    joint = np.empty(shape)
    for k, operand in enumerate(operands):
        if weight is None and k == 0:
            _count_tables(left, right, joint[0])
        elif weight is None and k == 1:  # the intercept is a multiple of the counts
            np.multiply(joint[0], operand[0], out=joint[1])
        else:
            np.matmul(left.values * operand, right.values.T, out=joint[k].reshape(2 * len(left), -1))
    of_a, of_b = (
        np.ascontiguousarray((np.stack(operands) @ x.values.T).reshape(len(operands), 2, -1))
        for x in (left, right)
    )
    square = float(design.weight @ design.trait**2)
    out = TableTests(
        np.empty((len(left), len(right))),
        np.empty((len(left), len(right)), dtype=np.int8),
        np.empty((len(left), len(right)), dtype=np.int8),
    )
    table_tests(TableSums(of_a, of_b, joint, square), design.binary, out)
    return out


def _count_tables(left: _Side, right: _Side, out: np.ndarray) -> None:
    """Samples with codes x and y: (2, n_rows, 2, n_cols), by counting bits."""
    assert left.coded is not None
    assert right.coded is not None
    counts = np.zeros((3, 3, len(left), len(right)))
    joint_counts(left.coded, right.coded, 0, len(left), False, counts)
    out[1, :, 1] = counts[2, 2]
    out[0, :, 1] = counts[1, 2] - counts[2, 2]  # codes of 1 or more hold those of 2
    out[1, :, 0] = counts[2, 1] - counts[2, 2]
    out[0, :, 0] = counts[1, 1] - counts[1, 2] - counts[2, 1] + counts[2, 2]


def _critical(design: Design, threshold: float) -> np.ndarray:
    """Smallest ``share`` that may pass, by the degrees of freedom of both sites and of the products."""
    from scipy.special import chdtri, fdtri

    out = np.zeros((N_MAIN + 1, N_PRODUCTS + 1))
    for main in range(N_MAIN + 1):
        for df in range(1, N_PRODUCTS + 1):
            if design.binary:
                out[main, df] = chdtri(df, min(_SCORE_FACTOR * threshold, 1.0))
                continue
            left = design.n_samples - design.n_fixed - main - df
            if left > 0:
                ratio = fdtri(df, left, 1 - threshold) * df / left
                out[main, df] = ratio / (1 + ratio)
    return out * (1 - 1e-6)
