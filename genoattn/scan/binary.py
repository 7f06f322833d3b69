"""The likelihood-ratio test of chosen pairs of a binary trait, on the samples called at both sites.

How far the score test that screens for it may be below it is :func:`score_margin`.
"""

from collections.abc import Iterator

import numpy as np
from numba import njit

from genoattn.scan.design import Design
from genoattn.scan.exact import PairTests
from genoattn.scan.logistic import LogisticProblems, independent, likelihood_ratios
from genoattn.scan.tails import normal_critical, normal_p_value

_GROUPS = 16  # of samples with similar log-odds by the covariates, at most
_ALIKE = 0.02  # standard deviation of the log-odds within groups, from which there are no more of them
_GROUPS_FROM = 50  # samples in such a group from which they are asked before the samples themselves
_NUMBERS = 1_000_000  # of predictors at a time
_ROUGH, _ROUGH_MARGIN = 1e8, 2e-3  # slack of a fit that only has to tell what does not pass, and its accuracy


class LogisticTests:
    """Likelihood-ratio tests of the product term in logistic regression, pair by pair.

    The statistic is the signed root of twice the gain in log-likelihood. Where the likelihood has no maximum
    (cases and controls separated) it is Firth's penalised one. Without covariates the cells of the two
    columns' codes hold all that the regression needs. With them, and many samples, the cells are first fitted
    within groups of samples with similar log-odds by the covariates, then on the samples roughly: a pair far
    from the threshold there keeps that test. The trait (n_samples,) is 0 and 1; tests with a p-value above
    ``threshold`` need not be exact.
    """

    def __init__(self, design: Design, trait: np.ndarray, threshold: float = 1.0) -> None:
        self.design, self.case = design, trait.astype(np.int8)
        self.critical, self._lowest = normal_critical(threshold), -1 if design.impute else 0
        self._n_codes = max(int(np.rint(design.codes.max(initial=1))), 1) + 1 - self._lowest
        self.doubt: np.ndarray | None = None
        # Dosages are too many to be counted: of their cells, those of the nearest copies tell separation.
        self._has_cells = design.codes.dtype == np.int8
        self._codes = design.codes if self._has_cells else np.rint(design.codes).astype(np.int8)
        grouped = self._has_cells and self.critical > 0 and design.n_samples > _GROUPS_FROM * _GROUPS
        if design.n_fixed > 1 and grouped:
            self.group, self.level, self.doubt = similar_log_odds(design, trait)
        elif design.n_fixed == 1 and self._has_cells:
            self.group, self.level = np.zeros(len(trait), dtype=np.int64), np.zeros(1)
        log_odds = _log_odds(design, trait)
        self._fixed = np.ascontiguousarray(design.basis[1:] * np.sqrt(design.total))
        start = (design.basis * design.weight) @ log_odds
        self._start = np.r_[start[1:] / np.sqrt(design.total), start[0] * design.basis[0, 0]]

    def __call__(self, pairs: np.ndarray, tables: np.ndarray | None = None) -> PairTests:
        """Tests of pairs (n_pairs, 2), indices of columns; ``tables`` as the cell screen counts them."""
        pairs = np.ascontiguousarray(pairs, dtype=np.int64).reshape(-1, 2)
        n, n_fixed = len(pairs), self.design.n_fixed
        out, beta, todo = np.full((n, 6), np.nan), np.zeros((2, n, n_fixed + 3)), np.arange(n)
        if self._has_cells and (n_fixed == 1 or self.doubt is not None):
            for part in _chunks(n, len(self.level) * self._n_codes**2 * 5):
                table = None if tables is None else tables[part, None]
                out[part] = self.of_cells(pairs[part], beta[:, part, -4:], table)
        if n_fixed == 1 and self._has_cells:
            return _as_tests(out.T)
        if self.doubt is not None:
            todo = self._within_margin(
                out, self.doubt[pairs].sum(axis=1) + 0.2 * np.minimum(out[:, 1] ** 2, 1)
            )
        beta[:, :, : len(self._start)] += self._start
        for part in _chunks(len(todo), self.design.n_samples * (n_fixed + 4)):
            out[todo[part]] = self.of_samples(pairs[todo[part]], beta[:, todo[part]])
        return _as_tests(out.T)

    def _within_margin(self, out: np.ndarray, margin: np.ndarray | float) -> np.ndarray:
        """Pairs whose test may pass, or of which there is none: NaN."""
        return np.flatnonzero(~(np.sqrt(out[:, 2]) < self.critical * (1 - margin)))

    def of_cells(self, pairs: np.ndarray, beta: np.ndarray, table: np.ndarray | None = None) -> np.ndarray:
        """Tests of pairs on the cells of their codes within groups of samples, rough where there are several.

        ``beta`` (2, n_pairs, 4), 0 before, is moved to the coefficients without and with the last. Returns
        (n_pairs, 6): coefficient, its standard error, likelihood ratio, samples, cases, squared correlation,
        the first three NaN where there is no test.
        """
        if table is None:
            table = self._count(pairs, self.group, len(self.level))
        table = table[:, :, : self._n_codes, : self._n_codes]
        x = self._predictors(pairs)
        x = np.tile(x, (1, 1, len(self.level)))
        n, cases = table.sum(axis=-1).reshape(len(x), -1), table[..., 1].reshape(len(x), -1)
        offset = np.broadcast_to(np.repeat(self.level, self._n_codes**2), n.shape)
        exact = self.design.n_fixed == 1
        if exact:
            rate = np.clip(cases.sum(axis=1) / np.maximum(n.sum(axis=1), 1), 1e-9, 1 - 1e-9)
            beta[:, :, 0] = np.log(rate / (1 - rate))
        problems = LogisticProblems(x, n, cases, offset)
        return self._tests(problems, beta, table.sum(axis=1), pairs, [1.0 if exact else _ROUGH])

    def of_samples(self, pairs: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Tests of pairs on the samples themselves, with covariates, as :meth:`of_cells`."""
        design, columns = self.design, self.design.columns
        codes = design.codes[pairs]  # (pair, 2, sample)
        a, b = np.where(codes >= 0, codes - columns.mean[pairs][:, :, None], 0.0).transpose(1, 0, 2)
        kept = np.ones(a.shape, dtype=bool) if design.impute else (codes >= 0).all(axis=1)
        fixed = np.broadcast_to(self._fixed, (len(pairs), *self._fixed.shape))
        x = np.concatenate([fixed, np.stack([np.ones_like(a), a, b, a * b], axis=1)], axis=1)
        everybody = np.zeros(design.n_samples, dtype=np.int64)
        table = self._count(pairs, everybody, 1)[:, 0]
        problems = LogisticProblems(x, kept * 1.0, kept * self.case, np.zeros(a.shape))
        out = self._tests(problems, beta, table, pairs, [_ROUGH, 1.0] if self.critical > 0 else [1.0])
        if not self._has_cells:
            predictors = np.stack([np.ones_like(a), a, b, a * b], axis=1)
            out[:, 5] = _squared_correlation(predictors, kept * 1.0)
        return out

    def _tests(
        self,
        problems: LogisticProblems,
        beta: np.ndarray,
        table: np.ndarray,
        pairs: np.ndarray,
        slacks: list[float],
    ) -> np.ndarray:
        """Tests of problems, given the pairs' tables (n_pairs, n_codes, n_codes, 2) of samples by code.

        With each slack those are fitted that may pass by the one before.
        """
        out = np.full((len(pairs), 6), np.nan)
        n, cases = table.sum(axis=(1, 2, 3)), table[..., 1].sum(axis=(1, 2))
        varies = self.design.columns.varies
        x = self._predictors(pairs)
        out[:, 3], out[:, 4], out[:, 5] = n, cases, _squared_correlation(x, table.sum(axis=-1))
        some = varies[pairs].all(axis=1) & (cases > 0) & (cases < n) & (n > beta.shape[2])
        some &= independent(problems)
        chosen, separated = np.flatnonzero(some), _separated(x, table)
        for slack in slacks:
            if len(chosen):
                at = beta[:, chosen]
                ratio, se = likelihood_ratios(problems.part(chosen), at, separated[chosen], slack)
                out[chosen, :3] = np.where(np.isnan(ratio), np.nan, np.stack([at[1, :, -1], se, ratio])).T
                beta[:, chosen] = at
                chosen = chosen[self._within_margin(out[chosen], _ROUGH_MARGIN)]
        return out

    def _predictors(self, pairs: np.ndarray) -> np.ndarray:
        """1, a, b and ab of the cells of pairs, (n_pairs, 4, n_codes^2); a missing call is the mean, 0."""
        code = np.arange(self._n_codes) + self._lowest
        value = np.where(code >= 0, code - self.design.columns.mean[pairs][:, :, None], 0.0)
        a, b = np.broadcast_arrays(value[:, 0, :, None], value[:, 1, None])
        return np.stack([np.ones_like(a), a, b, a * b], axis=1).reshape(len(pairs), 4, -1)

    def _count(self, pairs: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
        """Samples by group, both codes and case; a missing call is the first code where it is imputed."""
        out = np.zeros((len(pairs), n_groups, self._n_codes, self._n_codes, 2), dtype=np.int64)
        count_tables(self._codes, pairs, self.case, group, self._lowest, out)
        return out


def _chunks(n_items: int, n_numbers: int) -> Iterator[slice]:
    """Slices of items of so many numbers each that what is computed with them stays small."""
    size = max(1, _NUMBERS // n_numbers)
    for start in range(0, n_items, size):
        yield slice(start, start + size)


def logistic_pairs(design: Design, trait: np.ndarray, pairs: np.ndarray, threshold: float = 1.0) -> PairTests:
    """:class:`LogisticTests` of pairs, made once."""
    return LogisticTests(design, trait, threshold)(pairs)


def _as_tests(out: np.ndarray) -> PairTests:
    beta, se, ratio, n, cases, r2 = out
    rate = cases / np.maximum(n, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        null = -2 * n * (rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
        explained = ratio / null
    statistic = np.sign(beta) * np.sqrt(ratio)
    return PairTests(beta, se, statistic, normal_p_value(statistic), n.astype(np.int64), r2, explained)


def _log_odds(design: Design, trait: np.ndarray) -> np.ndarray:
    """Of each sample in the regression on the fixed effects."""
    mu = trait - design.trait * design.weight
    out: np.ndarray = np.log(mu) - np.log1p(-mu)
    return out


def similar_log_odds(design: Design, trait: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of samples with similar log-odds by the covariates, and what they may miss.

    Returns
    -------
    Shape (n_samples,), the group of each; (n_groups,), their mean log-odds; and (n_columns,), by what share
    of itself a root of the likelihood ratio may be too small in groups, the sum of two columns'. That grows
    with the spread of the log-odds within groups, and with what the covariates explain of the columns. It
    is no bound: it was set by simulation (1,349 cohorts of 1,500 and 4,000 samples with 1 to 10 covariates,
    some of which follow ancestry, sites or a product of sites; the most that a root was too small was 0.62
    of it).
    """
    log_odds = _log_odds(design, trait)
    order = np.argsort(log_odds, kind="stable")
    below = np.cumsum(design.weight[order])
    place = np.empty(len(log_odds))
    # Half by weight and half by level, so that a sample far out is not among those of the bulk.
    low, high = log_odds.min(), log_odds.max()
    place[order] = 0.5 * below / below[-1] + 0.5 * (log_odds[order] - low) / max(high - low, 1e-9)
    for n_groups in range(2, _GROUPS + 1):
        group = np.unique(np.minimum((place * n_groups).astype(np.int64), n_groups - 1), return_inverse=True)[
            1
        ]
        level = np.bincount(group, design.weight * log_odds) / np.bincount(group, design.weight)
        within = np.sqrt(design.weight @ (log_odds - level[group]) ** 2 / design.total)
        if within < _ALIKE:
            break
    return group, level, 0.0075 + 0.4 * within + 1.5 * design.columns.reach


@njit(nogil=True, cache=True)
def count_tables(codes, pairs, case, group, lowest, out):  # type: ignore[no-untyped-def]
    """Count samples by group, both codes from the lowest on, and case: ``out``."""
    flat, n, size = out.reshape(-1), out.shape[2], out[0].size
    for k in range(len(pairs)):
        a, b, first = codes[pairs[k, 0]], codes[pairs[k, 1]], k * size
        for s in range(len(a)):
            x, y = np.int64(a[s]) - lowest, np.int64(b[s]) - lowest
            if x >= 0 and y >= 0:
                flat[first + ((group[s] * n + x) * n + y) * 2 + case[s]] += 1


def _squared_correlation(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Of both columns, from the predictors of cells (n_pairs, 4, n_cells) and their samples."""
    one, a, b = (x[:, :3] * n.reshape(len(x), 1, -1)).transpose(1, 0, 2)
    total = np.maximum(one.sum(axis=1), 1)
    aa = (a * x[:, 1]).sum(axis=1) - a.sum(axis=1) ** 2 / total
    bb = (b * x[:, 2]).sum(axis=1) - b.sum(axis=1) ** 2 / total
    ab = (a * x[:, 2]).sum(axis=1) - a.sum(axis=1) * b.sum(axis=1) / total
    return ab**2 / np.maximum(aa * bb, 1e-300)  # type: ignore[no-any-return]


def _separated(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Whether a function (a - a0)(b - b0) that changes sign nowhere is 0 in all cases, or all controls.

    Here a0 and b0 are the least or the largest of the two columns. Such a function, added to the log-odds
    without end, raises the likelihood without end, and there is no maximum.
    """
    table = table.reshape(len(x), -1, 2)
    here = table.sum(axis=2) > 0
    out = np.zeros(len(x), dtype=bool)
    ends = [
        (np.where(here, x[:, k], np.inf).min(axis=1), np.where(here, x[:, k], -np.inf).max(axis=1))
        for k in (1, 2)
    ]
    for a0 in ends[0]:
        for b0 in ends[1]:
            other = (x[:, 1] != a0[:, None]) & (x[:, 2] != b0[:, None])
            some, cases = (table.sum(axis=2) * other).sum(axis=1), (table[:, :, 1] * other).sum(axis=1)
            out |= (cases == 0) | (cases == some)
    return out


def score_margin(design: Design, threshold: float) -> np.ndarray:
    """How far below the critical value, as a share, a score may be: (n_columns,), the sum of two columns'.

    A pair is to be tested where ``|z| >= critical (1 - margin_a - margin_b)``, z its score statistic at the
    null of the fixed effects and ``critical`` that of ``threshold``, the largest p-value of the
    likelihood-ratio test that must not be missed. The likelihood ratio's root r is near z where the
    log-likelihood is nearly quadratic; it exceeds z where few carriers make the product heavy-tailed, where
    cases and controls are uneven and the product skew, and where main effects, of which z takes out what is
    linear, are strong: by shares that grow with the fourth and the third standardised moment of the product,
    which for independent sites are those of the columns multiplied, over the total weight W and its root;
    with ``kappa``, the mean of ``|1 - 2 mu|``; and with the main effects' own scores over the root of W.
    Columns with missing calls have the margin that serves all alleles, and more by the share of these, since
    z has them at the mean and r leaves them out. This is no bound: the constants are such that among 144,000
    pairs with r above 2 in simulated cohorts (300 to 4,000 samples, 1:1 to 1:20, linked sites, alleles from a
    frequency of 0.01, main effects up to 1, up to 25 covariates, up to a fifth of the calls missing) the most
    that z was below r was 0.87 of the margin.
    """
    mu_spread = np.sqrt(np.maximum(1 - 4 * design.weight, 0))  # |1 - 2 mu|, as w = mu (1 - mu)
    kappa = float(design.weight @ mu_spread / design.total)
    critical = normal_critical(threshold)
    columns, total = design.columns, design.total
    most = (0.12 + 0.15 * kappa) * max(1.0, critical / 3.5)
    skew, tail = _standardised(columns.mean, columns.norm**2 / total)
    curved = 0.015 + 0.03 * critical**2 * tail**2 / total + 0.2 * kappa * critical * skew**2 / np.sqrt(total)
    diploid, missing = design.diploid, columns.missing / design.n_samples
    bounded = np.minimum(curved, most)
    curved = np.where(diploid & (missing == 0), bounded, 0.5 * most + 0.015 + 1.25 * missing)
    main = np.abs(columns.with_trait) * design.trait_norm / np.sqrt(total)
    # The screen leaves out what the covariates explain of the product, which is little where they explain
    # little of its columns.
    return curved + (0.75 + kappa) * main + 0.75 * columns.reach


def _standardised(mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Third and fourth standardised moments of columns of codes 0, 1 and 2, from the first two moments."""
    two = (variance + mean**2 - mean) / 2
    share = np.array([1 - mean + two, mean - 2 * two, two])
    off = np.arange(3)[:, None] - mean
    safe = np.maximum(variance, 1e-300)
    return (share * off**3).sum(axis=0) / safe**1.5, (share * off**4).sum(axis=0) / safe**2
