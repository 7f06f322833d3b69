"""The exact regression of chosen pairs, in float64, on the samples called at both sites."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.regression.tails import t_p_value

_BLOCK_BYTES = 32e6
# Squared length, relative to its own, of what other predictors leave of one that can still be tested.
SINGULAR = 1e-9


@dataclass(frozen=True, eq=False)
class PairTests:
    """Tests of the product term of pairs; every array has shape (n_pairs,), NaN where a pair is untestable.

    Parameters
    ----------
    coefficient, se
        Of the product of the two columns, beside both main effects and the fixed effects, in trait units
        (log-odds for a binary trait).
    statistic
        t (quantitative), or the signed root of the likelihood-ratio statistic (binary).
    p_value
        Two-sided.
    n_samples
        Samples called at both sites.
    r2
        Squared correlation of the two columns over them.
    explained
        What the product adds to R2 (binary: to McFadden's R2).
    df
        Products tested together: 1 unless given.
    """

    coefficient: np.ndarray
    se: np.ndarray
    statistic: np.ndarray
    p_value: np.ndarray
    n_samples: np.ndarray
    r2: np.ndarray
    explained: np.ndarray
    df: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.df is None:
            object.__setattr__(self, "df", np.ones(len(self.p_value), dtype=np.int64))

    @staticmethod
    def join(parts: list[PairTests]) -> PairTests:
        return PairTests(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(PairTests)))

    @staticmethod
    def none() -> PairTests:
        """No tests."""
        return PairTests(*(np.zeros(0) for _ in fields(PairTests)))

    def select(self, index: np.ndarray) -> PairTests:
        return PairTests(*(getattr(self, f.name)[index] for f in fields(PairTests)))

    @property
    def testable(self) -> np.ndarray:
        return np.isfinite(self.p_value)


def regress_pairs(design: Design, trait: np.ndarray, pairs: np.ndarray) -> PairTests:
    """Least squares of the trait on two columns, their product and the fixed effects, pair by pair.

    Parameters
    ----------
    design
        Columns and fixed effects, weight 1.
    trait
        Shape (n_samples,), as measured.
    pairs
        Shape (n_pairs, 2), indices of columns.
    """
    gaps = design.gaps[pairs].any(axis=1)
    whole, index = np.flatnonzero(~gaps), np.flatnonzero(gaps)
    pieces, order = [_complete(design, trait, pairs[whole])], [whole]
    block = max(1, int(_BLOCK_BYTES / (8 * design.n_samples * (2 * design.n_fixed + 10))))
    for start in range(0, len(index), block):
        order.append(index[start : start + block])
        pieces.append(_incomplete(design, trait, pairs[order[-1]]))
    return PairTests.join(pieces).select(np.argsort(np.concatenate(order), kind="stable"))


def _complete(design: Design, trait: np.ndarray, pairs: np.ndarray) -> PairTests:
    """Pairs without missing calls: the fixed effects are taken out of inner products."""
    from genoattn.scan.screening.fill import pair_products  # compiled code loads when it is used

    vectors = np.vstack([design.basis, design.trait])
    sums = np.empty((len(pairs), 6 + len(vectors)))
    pair_products(design.codes, design.columns.mean, vectors, np.ascontiguousarray(pairs), sums)
    aa, bb, ab, pa, pb, whole = sums[:, :6].T
    on_fixed, py = sums[:, 6:-1], sums[:, -1]
    columns = design.columns
    alpha, beta = columns.on_fixed[pairs[:, 0]], columns.on_fixed[pairs[:, 1]]
    norm = columns.residual_norm[pairs] * columns.with_trait[pairs] * design.trait_norm
    left, cross, rss, testable = eliminate(
        (
            aa - (alpha**2).sum(axis=1),
            bb - (beta**2).sum(axis=1),
            ab - (alpha * beta).sum(axis=1),
            pa - (alpha * on_fixed).sum(axis=1),
            pb - (beta * on_fixed).sum(axis=1),
        ),
        (norm[:, 0], norm[:, 1], py, design.trait_norm**2),
        whole - (on_fixed**2).sum(axis=1),
        whole,
    )
    testable &= columns.varies[pairs].all(axis=1)
    r2 = ab**2 / np.maximum(aa * bb, 1e-300)
    n = np.full(len(pairs), design.n_samples)
    total = np.full(len(pairs), ((trait - trait.mean()) ** 2).sum())
    return pair_tests(left, cross, rss, testable, n, design.n_fixed, r2, total)


def _incomplete(design: Design, trait: np.ndarray, pairs: np.ndarray) -> PairTests:
    """Pairs with missing calls: one regression each on its complete cases."""
    a, b = design.values(pairs[:, 0]), design.values(pairs[:, 1])
    called = design.called(pairs[:, 0]) & design.called(pairs[:, 1])
    n = called.sum(axis=1)
    a, b = (_recentred(x, called, n) for x in (a, b))
    product = a * b
    fixed = design.basis[None] * called[:, None, :]
    lower = np.concatenate([fixed, a[:, None], b[:, None]], axis=1)  # (pair, predictor, sample)
    scale = np.sqrt(np.einsum("pks,pks->pk", lower, lower))
    flat = (scale <= 1e-150).any(axis=1)
    lower /= np.where(scale > 0, scale, 1.0)[:, :, None]
    value, vector = np.linalg.eigh(lower @ lower.transpose(0, 2, 1))
    testable = ~flat & (value[:, 0] > SINGULAR)
    root = vector / np.sqrt(np.where(value > SINGULAR, value, 1.0))[:, None, :]
    basis = root.transpose(0, 2, 1) @ lower  # orthonormal where the pair is testable

    def residual(x: np.ndarray) -> np.ndarray:
        for _ in range(2):  # twice is enough for full accuracy
            x = x - ((basis @ x[:, :, None]).transpose(0, 2, 1) @ basis)[:, 0]
        return x

    y = np.where(called, trait, 0.0)
    mean = y.sum(axis=1) / np.maximum(n, 1)
    total = (((y - mean[:, None]) * called) ** 2).sum(axis=1)
    p, e = residual(product), residual((y - mean[:, None]) * called)
    left, cross = _dot(p, p), _dot(p, e)
    testable &= left > SINGULAR * np.maximum(_dot(product, product), 1e-300)
    rss = _dot(e, e) - cross**2 / np.where(testable, left, 1.0)
    r2 = _dot(a, b) ** 2 / np.maximum(_dot(a, a) * _dot(b, b), 1e-300)
    return pair_tests(left, cross, rss, testable, n, design.n_fixed, r2, total)


def _recentred(x: np.ndarray, called: np.ndarray, n: np.ndarray) -> np.ndarray:
    x = x * called
    return (x - (x.sum(axis=1) / np.maximum(n, 1))[:, None]) * called


def _dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Inner product of each row of x with that of y."""
    return np.einsum("ps,ps->p", x, y)


def eliminate(
    gram: tuple[np.ndarray, ...], with_trait: tuple, length: np.ndarray, whole: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Regression of the trait on a, b and their product P, from inner products of their residuals.

    Parameters
    ----------
    gram
        <a,a>, <b,b>, <a,b>, <P,a>, <P,b>.
    with_trait
        <a,y>, <b,y>, <P,y>, <y,y>.
    length
        <P,P>.
    whole
        The square of the product before fixed effects are taken out, which testability is measured by.

    Returns
    -------
    What a and b leave of <P,P> and of <P,y>, the residual sum of squares, and whether P can be tested.
    """
    aa, bb, ab, pa, pb = gram
    ay, by, py, yy = with_trait
    determinant = aa * bb - ab**2
    with np.errstate(divide="ignore", invalid="ignore"):
        wa, wb = (pa * bb - pb * ab) / determinant, (pb * aa - pa * ab) / determinant
        left = length - wa * pa - wb * pb
        cross = py - wa * ay - wb * by
        explained = (ay**2 * bb - 2 * ay * by * ab + by**2 * aa) / determinant
        rss = yy - explained - cross**2 / left
        testable = (determinant > SINGULAR * aa * bb) & (left > SINGULAR * whole) & (whole > 0)
    return left, cross, rss, testable


def pair_tests(
    left: np.ndarray,
    cross: np.ndarray,
    rss: np.ndarray,
    testable: np.ndarray,
    n: np.ndarray,
    n_fixed: int,
    r2: np.ndarray,
    total: np.ndarray,
) -> PairTests:
    """Coefficient, standard error and t from what the lower-order terms leave.

    Parameters
    ----------
    left, cross, rss, testable
        As :func:`eliminate` returns them.
    n
        Samples of each regression.
    n_fixed
        Number of fixed effects, the intercept counted.
    r2, total
        Squared correlation of the two columns, and the trait's total sum of squares.
    """
    df = n - n_fixed - 3
    testable = testable & (df > 0) & (total > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = np.where(testable, cross / left, np.nan)
        se = np.where(testable, np.sqrt(np.maximum(rss, 0) / df / left), np.nan)
        statistic = beta / se
        explained = beta * cross / total
    p_value = t_p_value(statistic, np.maximum(df, 1))
    return PairTests(beta, se, statistic, p_value, n, r2, explained)
