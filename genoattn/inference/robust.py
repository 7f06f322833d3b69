"""Tests of a few products that hold where the noise is uneven."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as t_distribution

_AT_A_TIME = 64  # pairs


@dataclass(frozen=True)
class StudentTest:
    """A t statistic with its degrees of freedom."""

    statistic: float
    df: float

    @property
    def p_value(self) -> float:
        """Two-sided."""
        return float(2 * t_distribution.sf(abs(self.statistic), self.df)) if self.statistic else 1.0


def robust_test(predictor: np.ndarray, others: np.ndarray, versions: np.ndarray) -> StudentTest:
    """The least significant test of a predictor over versions of a phenotype and over two standard errors.

    One standard error is that of least squares, the other the HC3 sandwich (MacKinnon & White 1985), which
    holds where the variance depends on the genotype. The predictor (n_samples,) is adjusted for ``others``
    (n_samples, n_others), the intercept and columns that may be redundant. The statistic is 0 where the
    versions (n_samples, n_versions) disagree in sign, or the predictor adds nothing to the others.
    """
    basis = orthonormal_basis(others)
    pure = predictor - basis @ (basis.T @ predictor)
    norm = float(np.linalg.norm(pure))
    df = len(predictor) - basis.shape[1] - 1
    if df < 1 or norm < 1e-6 * max(float(np.linalg.norm(predictor)), 1e-300):
        return StudentTest(0.0, max(df, 1))
    pure /= norm
    leverage = np.minimum((basis**2).sum(axis=1) + pure**2, 0.99)
    residual = versions - basis @ (basis.T @ versions)
    estimate = pure @ residual  # (version,)
    residual -= np.outer(pure, estimate)
    plain = np.sqrt((residual**2).sum(axis=0) / df)
    sandwich = np.sqrt((((pure / (1 - leverage))[:, None] * residual) ** 2).sum(axis=0))
    t = estimate / np.maximum(np.maximum(plain, sandwich), 1e-300)
    agreed = (np.sign(t) == np.sign(t[0])).all()
    return StudentTest(float(t[np.argmin(np.abs(t))]) if agreed else 0.0, df)


def robust_pairs(
    columns: np.ndarray, pairs: np.ndarray, basis: np.ndarray, versions: np.ndarray
) -> list[StudentTest]:
    """:func:`robust_test` of the products of pairs (n_pairs, 2), adjusted for both columns and a basis.

    The basis (n_samples, n_others) is orthonormal and holds the intercept; versions (n_samples, n_versions).
    """
    n = len(columns)
    rest = versions - basis @ (basis.T @ versions)
    leverage = (basis**2).sum(axis=1)[:, None]
    out: list[StudentTest] = []
    for start in range(0, len(pairs), _AT_A_TIME):
        first, second = (
            columns[:, pairs[start : start + _AT_A_TIME].T.ravel()].reshape(n, 2, -1).swapaxes(0, 1)
        )
        product = first * second
        others: list[np.ndarray] = []
        df = np.full(len(first.T), n - basis.shape[1])
        for vector in (first, second, product):
            pure = vector - basis @ (basis.T @ vector)
            for other in others:
                pure -= other * (other * pure).sum(axis=0)
            norm = np.sqrt((pure**2).sum(axis=0))
            usable = norm > 1e-6 * np.maximum(np.sqrt((vector**2).sum(axis=0)), 1e-300)
            others.append(np.where(usable, pure / np.maximum(norm, 1e-300), 0.0))
            df -= usable
        used = np.minimum(leverage + sum(other**2 for other in others), 0.99)
        pure, scaled = others[2], others[2] / (1 - used)
        t = []
        for version in rest.T:
            left = version[:, None] - sum(o * (version @ o) for o in others[:2])
            estimate = (pure * left).sum(axis=0)
            left -= pure * estimate
            plain = (left**2).sum(axis=0) / np.maximum(df, 1)
            t.append(
                estimate / np.sqrt(np.maximum(np.maximum(plain, ((scaled * left) ** 2).sum(axis=0)), 1e-300))
            )
        every = np.array(t)
        nearest = every[np.abs(every).argmin(axis=0), np.arange(every.shape[1])]
        agreed = (np.sign(every) == np.sign(every[0])).all(axis=0) & usable & (df >= 1)
        statistic = np.where(agreed, nearest, 0.0)
        out += [StudentTest(float(t), max(int(d), 1)) for t, d in zip(statistic, df, strict=True)]
    return out


def orthonormal_basis(columns: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the span of columns (n_samples, n_columns), redundant ones among them or not."""
    norm = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    u, size, _ = np.linalg.svd(columns / norm, full_matrices=False)
    out: np.ndarray = u[:, size > 1e-8 * max(float(size[0]), 1e-300)]
    return out


def pair_t(columns: np.ndarray, pairs: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """t of the product of each pair, adjusted for both columns and the mean of ``rest``: shape (n_pairs,)."""
    n = len(rest)
    y = rest - rest.mean()
    out = np.zeros(len(pairs))
    for start in range(0, len(pairs), 1024):
        chosen = pairs[start : start + 1024]
        a, b = columns[:, chosen[:, 0]], columns[:, chosen[:, 1]]
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        aa, ab = (a * a).sum(axis=0), (a * b).sum(axis=0)
        other = b - a * (ab / aa)
        oo = np.maximum((other**2).sum(axis=0), 1e-9 * n)
        product = a * b
        product -= product.mean(axis=0)
        product -= a * ((a * product).sum(axis=0) / aa)
        product -= other * ((other * product).sum(axis=0) / oo)
        norm2 = (product**2).sum(axis=0)
        inner = product.T @ y
        explained = (a.T @ y) ** 2 / aa + (other.T @ y) ** 2 / oo
        usable = norm2 > 1e-9 * n
        with np.errstate(divide="ignore", invalid="ignore"):
            residual = y @ y - explained - inner**2 / norm2
            t = inner / np.sqrt(norm2 * residual / (n - 4))
        out[start : start + 1024] = np.where(usable, t, 0.0)
    return out
