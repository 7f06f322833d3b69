"""Quadratic forms of variance components of many samples: linear in samples and in sites, by random vectors.

With X the columns of a cohort, ``a' K a`` of the kernel of pairs of sites is the sum of squares of
``X' D_a X`` (sites by sites, never made) over pairs that are not close, which random vectors of signs g
estimate by the squared norm of ``x_i' (a * sum over far j of x_j g_j)`` (Hutchinson 1990; Wu & Sankararaman
2018, Bioinformatics 34:i187, and Fu et al. 2025, FAME, for products). Vectors drawn from the additive and the
dominance kernel in place of ``a`` give the traces of these kernels with that of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from genoattn.inference.variance_columns import SiteWindows, StandardColumns
from genoattn.inference.variance_matrices import KernelMoments

_VECTORS = 64  # of a round, float32 (n_samples, n_vectors) several times
_ROUNDS = 6


@dataclass(frozen=True, eq=False)
class StreamedForms:
    """Forms ``e' F_k e`` of all samples, with the moments that go with them.

    Parameters
    ----------
    moments
        Those of some of the samples, with traces of different components and means from all of them.
    forms
        Shape (K,).
    noise
        Shape (K,), variance of the forms over the random vectors.
    """

    moments: KernelMoments
    forms: np.ndarray
    noise: np.ndarray


class _Cohort:
    """What every round needs: columns, their sums of squares, projections."""

    def __init__(self, columns: StandardColumns, windows: SiteWindows, basis: np.ndarray) -> None:
        self.columns, self.windows = columns, windows
        self.basis = basis.astype(np.float32)
        n = len(basis)
        self.n_dominance = int(columns.has_dominance[windows.site].sum())
        pairs = windows.n_pairs()
        self.n_pairs = int(pairs.sum() + np.trace(pairs)) // 2
        self.diagonals = np.zeros((3, n))
        close = np.zeros(n)
        projected = np.zeros(2)  # tr(Q' K Q), additive and dominance
        last = np.zeros(n)
        for group in windows.groups(False):
            x, d, starts = self.block(group)
            self.diagonals[0] += np.einsum("ns,ns->n", x, x)
            self.diagonals[1] += np.einsum("ns,ns->n", d, d)
            projected += [float(((m.T @ self.basis) ** 2).sum(dtype=np.float64)) for m in (x, d)]
            squares = np.add.reduceat(x * x, starts[:-1], axis=1).astype(np.float64)
            for w, own in zip(group, squares.T, strict=True):
                close += own * (own + 2 * last) if windows.follows[w] else own * own
                last = own
        self.diagonals[2] = (self.diagonals[0] ** 2 - close) / 2
        self.sizes = np.array([len(windows.site), self.n_dominance, self.n_pairs])
        self.diagonals /= np.maximum(self.sizes, 1)[:, None]
        self.projected = projected / np.maximum(self.sizes[:2], 1)

    def block(self, group: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Additive and dominance columns of windows, and where each window begins among the former."""
        first = self.windows.first
        starts = first[group[0] : group[-1] + 2] - first[group[0]]
        x, d = self.columns.of(self.windows.site[first[group[0]] : first[group[-1] + 1]])
        return x, d, starts

    def without_fixed(self, vectors: np.ndarray) -> np.ndarray:
        out: np.ndarray = vectors - self.basis @ (self.basis.T @ vectors)
        return out


@dataclass(frozen=True, eq=False)
class _Round:
    """Means over a round's random vectors, a row each vector.

    ``values`` (n_vectors, 3 components, 4 vectors) are ``a'K a - sum a^2 K_nn`` with a the residuals, a
    random combination of the basis, and a draw from the additive and from the dominance kernel; ``squares``
    (n_vectors, 4) the ``a'a``.
    """

    values: np.ndarray
    squares: np.ndarray


def streamed_forms(
    columns: StandardColumns,
    windows: SiteWindows,
    basis: np.ndarray,
    residual: np.ndarray,
    moments: KernelMoments,
    seed: int,
) -> StreamedForms:
    """Forms of the residuals (n_samples,) of all samples.

    Parameters
    ----------
    columns, windows
        The cohort's.
    basis
        Orthonormal basis of intercept and covariates, (n_samples, n_fixed).
    residual
        Of the phenotype after regression on them.
    moments
        Of a part of the samples, as of all.
    seed
        Of the random vectors. Rounds of 64 are drawn until their noise is a tenth of the sampling variance.
    """
    cohort = _Cohort(columns, windows, basis)
    rng = np.random.default_rng(seed)
    rounds: list[_Round] = []
    for _ in range(_ROUNDS):
        rounds.append(_one_round(cohort, residual, rng))
        found = _combined(cohort, rounds, residual, basis, moments)
        own = 2 * (residual @ residual / moments.df) ** 2 * np.diag(moments.two)
        if (found.noise <= 0.1 * own).all():
            break
    return found


def _one_round(cohort: _Cohort, residual: np.ndarray, rng: np.random.Generator) -> _Round:
    n, b = len(residual), _VECTORS
    signs = rng.choice(np.array([-1, 1], np.int8), (3, len(cohort.windows.site), b))
    total, drawn, dominant = (np.zeros((n, b), np.float32) for _ in range(3))
    for group in cohort.windows.groups(False):
        x, d, _ = cohort.block(group)
        part = slice(cohort.windows.first[group[0]], cohort.windows.first[group[-1] + 1])
        kept = cohort.columns.has_dominance[cohort.windows.site[part]]
        total += x @ signs[0, part].astype(np.float32)
        drawn += x @ signs[1, part].astype(np.float32)
        dominant += d @ signs[2, part][kept].astype(np.float32)
    drawn /= np.sqrt(np.float32(cohort.sizes[0]))
    dominant /= np.sqrt(np.float32(max(cohort.sizes[1], 1)))
    fixed = cohort.basis @ rng.choice(np.array([-1, 1], np.float32), (cohort.basis.shape[1], b))
    own = np.repeat(residual.astype(np.float32)[:, None], b, axis=1)
    vectors = [own, fixed, cohort.without_fixed(drawn), cohort.without_fixed(dominant)]
    values = _squared_norms(cohort, vectors, total, signs[0])
    for k in range(3):
        for v, a in enumerate(vectors):
            values[:, k, v] -= cohort.diagonals[k] @ (a.astype(np.float64) ** 2)
    squares = np.stack([np.einsum("nb,nb->b", a, a, dtype=np.float64) for a in vectors], axis=1)
    return _Round(values, squares)


def _squared_norms(
    cohort: _Cohort, vectors: list[np.ndarray], total: np.ndarray, signs: np.ndarray
) -> np.ndarray:
    """``a' K_k a`` of the columns of vectors (n_samples, n_vectors): shape (n_vectors, 3, len(vectors))."""
    windows, b = cohort.windows, total.shape[1]
    values = np.zeros((b, 3, len(vectors)))
    stacked = np.concatenate(vectors, axis=1)
    for group in windows.groups(False):
        x, d, starts = cohort.block(group)
        values[:, 0] += _column_squares(x.T @ stacked, b)
        values[:, 1] += _column_squares(d.T @ stacked, b)
        lone = np.array([windows.is_lone(w) for w in group])
        alone = starts[:-1][lone]
        if len(alone):
            part = x[:, alone]
            itself = (part * part).T @ stacked
            g = np.tile(signs[windows.first[group[0]] + alone].astype(np.float32), len(vectors))
            crossed = part.T @ np.concatenate([a * total for a in vectors], axis=1)
            values[:, 2] += _column_squares(crossed - g * itself, b)
        for w in np.array(group)[~lone]:
            far = total - _near(cohort, w, signs)
            own = x[
                :, windows.first[w] - windows.first[group[0]] : windows.first[w + 1] - windows.first[group[0]]
            ]
            values[:, 2] += _column_squares(own.T @ np.concatenate([a * far for a in vectors], axis=1), b)
    values[:, 2] /= 2  # each pair from either site
    out: np.ndarray = values / np.maximum(cohort.sizes, 1)[None, :, None]
    return out


def _near(cohort: _Cohort, window: int, signs: np.ndarray) -> np.ndarray:
    """``x_j g_j`` summed over a window and its neighbours: (n_samples, n_vectors)."""
    first, follows = cohort.windows.first, cohort.windows.follows
    start = first[window - 1] if follows[window] else first[window]
    next_door = window + 1 < len(follows) and follows[window + 1]
    stop = first[window + 2] if next_door else first[window + 1]
    x, _ = cohort.columns.of(cohort.windows.site[start:stop])
    out: np.ndarray = x @ signs[start:stop].astype(np.float32)
    return out


def _column_squares(product: np.ndarray, n_vectors: int) -> np.ndarray:
    """Sums of squares over rows, (n_vectors, n_kinds), of columns kind by kind."""
    return np.einsum("sb,sb->b", product, product, dtype=np.float64).reshape(-1, n_vectors).T


def _combined(
    cohort: _Cohort, rounds: list[_Round], residual: np.ndarray, basis: np.ndarray, moments: KernelMoments
) -> StreamedForms:
    """Forms, traces and means from all rounds so far."""
    values = np.concatenate([r.values for r in rounds])
    squares = np.concatenate([r.squares for r in rounds])
    leverage = np.einsum("nk,nk->n", basis, basis)
    # e'Fe = e'Ee - tr(E M) e'e / df, and tr(E M) = -tr(Q'E Q), E having no diagonal.
    along = values[:, :, 1].copy()
    along[:, :2] = cohort.projected - cohort.diagonals[:2] @ leverage
    each = values + along[:, :, None] * squares[:, None, :] / moments.df
    names = ("additive", "dominance", "additive x additive")
    kept = [names.index(name) for name in moments.names]
    expected = moments.expected.copy()
    for i, component in enumerate(kept):
        for j, other in enumerate(kept):
            if other < 2 and component > other:
                expected[i, j] = expected[j, i] = each[:, component, 2 + other].mean()
    trace = cohort.diagonals @ (1 - leverage) - along.mean(axis=0)
    forms = each[:, kept, 0].mean(axis=0)
    replaced = replace(moments, expected=expected, mean=trace[kept] / moments.df)
    components = np.zeros(3)
    components[kept] = np.maximum(np.linalg.solve(expected, forms), 0)
    left = each[:, :, 0] - each[:, :, 2:] @ components[:2]
    left[:, 0] = forms[kept.index(0)] if 0 in kept else 0.0
    noise = left.var(axis=0, ddof=1)[kept] / len(left)
    return StreamedForms(replaced, forms, noise)
