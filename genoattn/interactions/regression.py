"""One unpenalised regression a term: the term, all of its lower-order terms, and the covariates.

Gaussian traits get ordinary least squares with a t test, binary traits logistic regression with a Wald
test, both on the samples called at every site of the term. The numbers equal those of statsmodels' ``OLS``
and ``Logit``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np
from scipy.special import ndtr, stdtr

from genoattn.cohort import MISSING
from genoattn.tokens import Vocabulary

_BLOCK_BYTES = 64e6
_SINGULAR = 1e-9  # smallest eigenvalue of the correlation matrix of a testable regression
RARE_SAMPLES = 10


@dataclass(frozen=True, eq=False)
class TermStatistics:
    """Statistics of terms; every array has shape (n_terms,).

    Parameters
    ----------
    se
        Standard error of the regression coefficient; ``statistic * se`` is the unpenalised estimate. NaN
        where the term cannot be tested (no variance, collinear, or separated cases and controls).
    statistic
        t (quantitative) or Wald z (binary).
    p_value
        Two-sided.
    n_samples
        Samples called at every site of the term.
    frequency
        Mean of the product of the state indicators, or of dosages over ploidy.
    variance_explained
        What the term adds to R2 (for a binary trait, to McFadden's R2) over its lower-order terms and
        covariates; NaN for the intercept.
    r2_ld
        Largest squared correlation between two of its columns; NaN below order 2.
    rare
        Fewer than 10 samples carry the joint state (for dosages, the minor allele at every site).
    """

    se: np.ndarray
    statistic: np.ndarray
    p_value: np.ndarray
    n_samples: np.ndarray
    frequency: np.ndarray
    variance_explained: np.ndarray
    r2_ld: np.ndarray
    rare: np.ndarray

    def select(self, index: np.ndarray) -> TermStatistics:
        """The statistics of the terms at ``index`` (integers or a boolean mask)."""
        return TermStatistics(*(getattr(self, f.name)[index] for f in fields(TermStatistics)))

    @staticmethod
    def join(parts: list[TermStatistics]) -> TermStatistics:
        return TermStatistics(
            *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(TermStatistics))
        )


def term_statistics(
    vocabulary: Vocabulary,
    calls: np.ndarray,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    terms: np.ndarray,
    binary: bool = False,
    progress: Callable[[int], object] | None = None,
    weights: np.ndarray | None = None,
) -> TermStatistics:
    """Regression statistics of terms of one order.

    Parameters
    ----------
    vocabulary
        The columns that ``terms`` index.
    calls
        Shape (n_samples, n_sites), int8, -1 where missing.
    phenotype
        Shape (n_samples,); 0 and 1 for a binary trait.
    covariates
        Shape (n_samples, n_covariates), without an intercept.
    terms
        Shape (n_terms, order), column indices at distinct sites.
    binary
        Logistic regression instead of least squares.
    progress
        Called with the number of terms done after each block.
    weights
        Shape (n_samples,), positive: weighted least squares, for phenotypes of known variances. Not for
        logistic regression.
    """
    order = terms.shape[1]
    fixed = np.column_stack([np.ones(len(phenotype)), _standardised(covariates)])
    assert weights is None or not binary
    root = np.ones(len(phenotype)) if weights is None else np.sqrt(weights / weights.mean())
    width = fixed.shape[1] + 2**order
    block = max(1, int(_BLOCK_BYTES / (8 * len(phenotype) * width)))
    parts = []
    for start in range(0, len(terms), block):
        chosen = terms[start : start + block]
        parts.append(_block_statistics(vocabulary, calls, phenotype, fixed, chosen, binary, root))
        if progress is not None:
            progress(len(chosen))
    if not parts:  # the statistics of no terms are those of a block of none
        parts = [_block_statistics(vocabulary, calls, phenotype, fixed, terms, binary, root)]
    return TermStatistics.join(parts)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Covariates at mean 0 and unit variance: the same regression, better conditioned."""
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _block_statistics(
    vocabulary: Vocabulary,
    calls: np.ndarray,
    phenotype: np.ndarray,
    fixed: np.ndarray,
    terms: np.ndarray,
    binary: bool,
    root: np.ndarray,
) -> TermStatistics:
    order = terms.shape[1]
    n_terms = len(terms)
    state = calls[:, vocabulary.site[terms]]  # (sample, term, slot)
    complete = (state != MISSING).all(axis=2).T  # (term, sample)
    raw = (
        state.astype(np.float64)
        if vocabulary.is_dosage
        else (state == vocabulary.state[terms]).astype(np.float64)
    )
    column = (raw - vocabulary.mean[terms]).transpose(1, 2, 0)  # (term, slot, sample)
    column = column * complete[:, None, :]
    products = [
        np.prod(column[:, list(slots)], axis=1)
        for size in range(1, order + 1)
        for slots in combinations(range(order), size)
    ]
    design = [np.broadcast_to(fixed.T, (n_terms, *fixed.T.shape)) * complete[:, None, :]]
    if products:
        design.append(np.stack(products, axis=1))
    x = np.concatenate(design, axis=1)  # (term, predictor, sample), the term itself last
    y = np.where(complete, phenotype, 0.0)  # (term, sample)
    n = complete.sum(axis=1)
    if binary:
        se, statistic, p_value, explained = _logistic(x, y, complete, n)
    else:  # weighted least squares are least squares of everything times the roots of the weights
        x *= root
        se, statistic, p_value, explained = _least_squares(x, y * root, complete * root, n)
    if order == 0:  # the intercept explains no variance about the mean
        explained = np.full(n_terms, np.nan)
    frequency, rare = _frequency(vocabulary, raw, complete, terms)
    return TermStatistics(se, statistic, p_value, n, frequency, explained, _r2(column, complete), rare)


def _scaled_inverse(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of each Gram matrix by way of its correlation form, and whether it is regular."""
    diagonal = np.sqrt(np.einsum("tpp->tp", gram))
    flat = diagonal <= 0
    diagonal = np.where(flat, 1.0, diagonal)
    correlation = gram / diagonal[:, :, None] / diagonal[:, None, :]
    regular = ~flat.any(axis=1) & np.isfinite(correlation).all(axis=(1, 2))
    correlation[~regular] = np.eye(gram.shape[1])
    value, vector = np.linalg.eigh(correlation)
    regular &= value[:, 0] > _SINGULAR
    inverse = (vector / np.where(value > _SINGULAR, value, 1.0)[:, None, :]) @ vector.transpose(0, 2, 1)
    return inverse / diagonal[:, :, None] / diagonal[:, None, :], regular


def _least_squares(
    x: np.ndarray, y: np.ndarray, root: np.ndarray, n: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """se, t, p and added R2 of the last predictor of each regression.

    ``root`` (term, sample) is the root of each sample's weight, 0 where it has none; x and y bear it.
    """
    gram = x @ x.transpose(0, 2, 1)
    inverse, regular = _scaled_inverse(gram)
    beta = np.einsum("tpq,tq->tp", inverse, np.einsum("tpn,tn->tp", x, y))
    residual = y - np.einsum("tpn,tp->tn", x, beta)
    df = n - x.shape[1]
    rss = (residual**2).sum(axis=1)
    mean = (y * root).sum(axis=1) / np.maximum((root**2).sum(axis=1), 1e-300)
    tss = ((y - mean[:, None] * root) ** 2).sum(axis=1)
    regular &= (df > 0) & (tss > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(rss / df * inverse[:, -1, -1])
        statistic = beta[:, -1] / se
        explained = beta[:, -1] ** 2 / inverse[:, -1, -1] / tss
    p_value = 2 * stdtr(np.maximum(df, 1), -np.abs(statistic))
    return tuple(np.where(regular, a, np.nan) for a in (se, statistic, p_value, explained))  # type: ignore[return-value]


def _logistic(
    x: np.ndarray, y: np.ndarray, complete: np.ndarray, n: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """se, z, p and added McFadden R2 of the last predictor of each logistic regression."""
    full = _newton(x, y, complete)
    if x.shape[1] > 1:
        reduced = _newton(x[:, :-1], y, complete)
        log_likelihood_reduced = reduced.log_likelihood
    else:  # the intercept alone, against even odds
        log_likelihood_reduced = -n * np.log(2.0)
    rate = y.sum(axis=1) / np.maximum(n, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        null = n * (rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
        se = np.sqrt(full.inverse_last)
        statistic = full.beta_last / se
        explained = (full.log_likelihood - log_likelihood_reduced) / -null
    p_value = 2 * ndtr(-np.abs(statistic))
    regular = full.converged & (rate > 0) & (rate < 1)
    return tuple(np.where(regular, a, np.nan) for a in (se, statistic, p_value, explained))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class _LogisticFit:
    beta_last: np.ndarray
    inverse_last: np.ndarray
    log_likelihood: np.ndarray
    converged: np.ndarray


def _newton(x: np.ndarray, y: np.ndarray, complete: np.ndarray, max_iterations: int = 30) -> _LogisticFit:
    """Maximum likelihood by Newton's method, all regressions of a block at once.

    Where cases and controls are separated the likelihood has no maximum: the steps never settle, or a fitted
    probability reaches 0 or 1, and the regression counts as not converged.
    """
    beta = np.zeros(x.shape[:2])
    regular = np.ones(len(x), dtype=bool)
    settled = np.zeros(len(x), dtype=bool)
    for _ in range(max_iterations):
        eta = np.clip(np.einsum("tpn,tp->tn", x, beta), -500, 500)
        fitted = 1 / (1 + np.exp(-eta))
        weight = fitted * (1 - fitted) * complete
        inverse, ok = _scaled_inverse((x * weight[:, None, :]) @ x.transpose(0, 2, 1))
        regular &= ok
        step = np.einsum("tpq,tq->tp", inverse, np.einsum("tpn,tn->tp", x, (y - fitted) * complete))
        beta = np.where(regular[:, None], beta + step, beta)
        settled = np.abs(step).max(axis=1) <= 1e-10 * (1 + np.abs(beta).max(axis=1))
        if (settled | ~regular).all():
            break
    eta = np.clip(np.einsum("tpn,tp->tn", x, beta), -500, 500)
    log_likelihood = ((y * eta - np.logaddexp(0, eta)) * complete).sum(axis=1)
    separated = (np.abs(eta) * complete).max(axis=1) > 25
    return _LogisticFit(beta[:, -1], inverse[:, -1, -1], log_likelihood, regular & settled & ~separated)


def _frequency(
    vocabulary: Vocabulary, raw: np.ndarray, complete: np.ndarray, terms: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Frequency of the joint state, and whether too few samples carry it; ``raw`` is (sample, term, slot)."""
    n = np.maximum(complete.sum(axis=1), 1)
    if not vocabulary.is_dosage:
        carriers = (raw.prod(axis=2).T * complete).sum(axis=1)
        return carriers / n, carriers < RARE_SAMPLES
    ploidy = (vocabulary.n_states[vocabulary.site[terms]] - 1).astype(np.float64)
    frequency = ((raw / ploidy).prod(axis=2).T * complete).sum(axis=1) / n
    minor = np.where(vocabulary.mean[terms] > ploidy / 2, ploidy - raw, raw)
    carriers = ((minor > 0).all(axis=2).T & complete).sum(axis=1)
    return frequency, carriers < RARE_SAMPLES


def _r2(column: np.ndarray, complete: np.ndarray) -> np.ndarray:
    """Largest r2 between two columns (term, slot, sample) of each term; NaN below order 2."""
    n = np.maximum(complete.sum(axis=1), 1)[:, None]
    largest = np.full(len(column), np.nan)
    centred = (column - (column.sum(axis=2) / n)[:, :, None]) * complete[:, None, :]
    spread = (centred**2).sum(axis=2)
    for a, b in combinations(range(column.shape[1]), 2):
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = (centred[:, a] * centred[:, b]).sum(axis=1) ** 2 / (spread[:, a] * spread[:, b])
        largest = np.fmax(largest, r2)
    return largest
