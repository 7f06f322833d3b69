"""Binary traits: the null regression behind the score test, and the exact test of chosen pairs."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from genoattn.errors import InputError
from genoattn.scan.design import Design, fixed_basis
from genoattn.scan.exact import PairTests

_BLOCK_BYTES = 4e6
_SETTLED = 1e-5  # last step of Newton's method, whose square is what is left
_SETTLED_FIRTH = 1e-9  # which converges linearly
_ROUNDS = 40
_SINGULAR = 1e-9


def binary_design(
    codes: np.ndarray, trait: np.ndarray, covariates: np.ndarray, names: tuple = (), impute: bool = False
) -> Design:
    """The design of a score test: weights and working residual of the logistic regression on covariates.

    Raises
    ------
    InputError
        Where covariates are collinear, or separate cases from controls.
    """
    plain = fixed_basis(covariates, np.ones(len(trait)), names)
    x = np.broadcast_to(plain, (1, *plain.shape))
    fit = _newton(x, trait[None], np.ones((1, len(trait)), dtype=bool))
    eta = (fit.beta @ plain)[0]
    if not fit.settled[0] or np.abs(eta).max() > 25:
        raise InputError("the covariates separate cases from controls; leave out the one that does")
    mu = 1 / (1 + np.exp(-eta))
    weight = mu * (1 - mu)
    basis = fixed_basis(covariates, weight, names)
    return Design(codes, (trait - mu) / weight, basis, weight, True, impute)


class _Fit:
    """Logistic regressions, one a row: coefficients, last diagonal of the inverse information, likelihood."""

    def __init__(
        self, beta: np.ndarray, variance: np.ndarray, log_likelihood: np.ndarray, settled: np.ndarray
    ):
        self.beta, self.variance = beta, variance
        self.log_likelihood, self.settled = log_likelihood, settled


def _newton(
    x: np.ndarray, y: np.ndarray, called: np.ndarray, firth: bool = False, start: np.ndarray | None = None
) -> _Fit:
    """Maximum (or Firth-penalised) likelihood of several regressions at once by Newton's method.

    Parameters
    ----------
    x
        Shape (n_regressions, n_predictors, n_samples).
    y, called
        Shape (n_regressions, n_samples).
    firth
        Penalise by half the log-determinant of the information (Firth 1993): finite under separation.
    start
        Shape (n_regressions, n_predictors), coefficients to start from; 0 by default.
    """
    beta = np.zeros(x.shape[:2]) if start is None else start.copy()
    settled = np.zeros(len(x), dtype=bool)
    regular = np.ones(len(x), dtype=bool)
    inverse = np.zeros((len(x), x.shape[1], x.shape[1]))
    log_likelihood = np.full(len(x), -np.inf)
    for _ in range(_ROUNDS):
        todo = np.flatnonzero(~settled & regular)
        if not len(todo):
            break
        everything = len(todo) == len(x)
        xs, ms, ys = (x, called, y) if everything else (x[todo], called[todo], y[todo])
        eta = np.clip((beta[todo][:, None, :] @ xs)[:, 0], -300, 300)
        mu = 1 / (1 + np.exp(-eta))
        weight = mu * (1 - mu) * ms
        information = (xs * weight[:, None, :]) @ xs.transpose(0, 2, 1)
        inv, ok = _inverse(information)
        residual = (ys - mu) * ms
        if firth:
            leverage = np.einsum("rps,rpq,rqs->rs", xs, inv, xs, optimize=True) * weight
            residual = residual + leverage * (0.5 - mu)
        step = (inv @ (xs @ residual[:, :, None]))[:, :, 0]
        if firth:  # the penalised likelihood is concave only near its maximum
            size = np.abs(step).max(axis=1, keepdims=True)
            step = step * np.minimum(1.0, 2.0 / np.maximum(size, 1e-300))
        regular[todo] = ok
        inverse[todo] = inv
        if firth:
            log_likelihood[todo] = _log_likelihood(eta, ys, ms) + 0.5 * np.linalg.slogdet(information)[1]
        limit = _SETTLED_FIRTH if firth else _SETTLED
        small = np.abs(step).max(axis=1) <= limit * (1 + np.abs(beta[todo]).max(axis=1))
        beta[todo] += np.where(ok[:, None], step, 0.0)
        settled[todo] = small & ok
    if not firth:
        log_likelihood = _log_likelihood(np.clip((beta[:, None, :] @ x)[:, 0], -300, 300), y, called)
    return _Fit(beta, inverse[:, -1, -1], log_likelihood, settled)


def _log_likelihood(eta: np.ndarray, y: np.ndarray, called: np.ndarray) -> np.ndarray:
    """Log-likelihood of each regression: (n_regressions,)."""
    odds = np.where(y > 0, eta, -eta)
    return -(np.log1p(np.exp(-odds)) * called).sum(axis=1)


def _inverse(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses by way of the correlation form, and which are regular."""
    diagonal = np.sqrt(np.einsum("rpp->rp", information))
    scale = np.where(diagonal > 0, diagonal, 1.0)
    correlation = information / scale[:, :, None] / scale[:, None, :]
    ok = (diagonal > 0).all(axis=1) & np.isfinite(correlation).all(axis=(1, 2))
    correlation[~ok] = np.eye(information.shape[1])
    value, vector = np.linalg.eigh(correlation)
    ok &= value[:, 0] > 1e-12
    inverse = (vector / np.maximum(value, 1e-12)[:, None, :]) @ vector.transpose(0, 2, 1)
    return inverse / scale[:, :, None] / scale[:, None, :], ok


def logistic_pairs(design: Design, trait: np.ndarray, pairs: np.ndarray) -> PairTests:
    """Likelihood-ratio test of the product term in logistic regression, pair by pair, on complete cases.

    The statistic is the signed root of twice the gain in log-likelihood. Where the likelihood has no maximum
    (cases and controls separated) it is Firth's penalised one.

    Parameters
    ----------
    design
        Columns and fixed effects.
    trait
        Shape (n_samples,), 0 and 1.
    pairs
        Shape (n_pairs, 2), indices of columns.
    """
    block = max(1, int(_BLOCK_BYTES / (8 * design.n_samples * (design.n_fixed + 6))))
    parts = [
        _logistic_block(design, trait, pairs[start : start + block]) for start in range(0, len(pairs), block)
    ]
    return PairTests.join(parts) if parts else PairTests.none()


def _logistic_block(design: Design, trait: np.ndarray, pairs: np.ndarray) -> PairTests:
    a, b = design.values(pairs[:, 0]), design.values(pairs[:, 1])
    called = design.called(pairs[:, 0]) & design.called(pairs[:, 1])
    n = called.sum(axis=1)
    fixed = np.broadcast_to(design.basis, (len(pairs), *design.basis.shape)) * called[:, None, :]
    fixed = fixed * np.sqrt(design.n_samples)
    x = np.concatenate([fixed, np.stack([a, b, a * b], axis=1) * called[:, None, :]], axis=1)
    y = np.where(called, trait, 0.0)
    cases = y.sum(axis=1)
    testable = (cases > 0) & (cases < n) & (n > x.shape[1]) & _independent(x)
    testable &= design.columns.varies[pairs].all(axis=1)
    beta, se, gain = (np.full(len(pairs), np.nan) for _ in range(3))
    for firth in (False, True):
        todo = np.flatnonzero(testable & np.isnan(gain))
        if not len(todo):
            break
        start = None if firth else np.tile(_null_start(design, trait), (len(todo), 1))
        without = _newton(x[todo, :-1], y[todo], called[todo], firth, start)
        start = None if firth else np.pad(without.beta, ((0, 0), (0, 1)))
        full = _newton(x[todo], y[todo], called[todo], firth, start)
        size = np.abs(np.einsum("rps,rp->rs", x[todo], full.beta)).max(axis=1)
        good = full.settled & without.settled & (firth | (size < 25))
        ratio = 2 * (full.log_likelihood - without.log_likelihood)
        if firth:
            ratio = 2 * (full.log_likelihood - _profile(x[todo], y[todo], called[todo]))
        beta[todo] = np.where(good, full.beta[:, -1], np.nan)
        se[todo] = np.where(good, np.sqrt(np.maximum(full.variance, 0)), np.nan)
        gain[todo] = np.where(good, np.maximum(ratio, 0), np.nan)
    rate = cases / np.maximum(n, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        null = -2 * n * (rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
        statistic = np.sign(beta) * np.sqrt(gain)
        explained = gain / null
    centre = [(v * called).sum(axis=1, keepdims=True) / np.maximum(n, 1)[:, None] for v in (a, b)]
    ac, bc = ((v - m) * called for v, m in zip((a, b), centre, strict=True))
    squares = (ac**2).sum(axis=1) * (bc**2).sum(axis=1)
    r2 = (ac * bc).sum(axis=1) ** 2 / np.maximum(squares, 1e-300)
    return PairTests(beta, se, statistic, 2 * ndtr(-np.abs(statistic)), n, r2, explained)


def _null_start(design: Design, trait: np.ndarray) -> np.ndarray:
    """Coefficients of the null regression, and 0 for two main effects: (n_fixed + 2,)."""
    mu = trait - design.trait * design.weight
    eta = np.log(mu) - np.log1p(-mu)
    return np.r_[(design.basis * design.weight) @ eta / np.sqrt(design.n_samples), 0.0, 0.0]


def _independent(x: np.ndarray) -> np.ndarray:
    """Whether the predictors of each regression are independent."""
    gram = x @ x.transpose(0, 2, 1)
    scale = np.sqrt(np.einsum("rpp->rp", gram))
    flat = (scale <= 1e-150).any(axis=1)
    scale = np.where(scale > 0, scale, 1.0)
    value = np.linalg.eigvalsh(gram / scale[:, :, None] / scale[:, None, :])
    return ~flat & (value[:, 0] > _SINGULAR)


def _profile(x: np.ndarray, y: np.ndarray, called: np.ndarray) -> np.ndarray:
    """Firth's penalised likelihood with the last coefficient held at 0 and the full penalty (Heinze 2002)."""
    beta = np.zeros((len(x), x.shape[1] - 1))
    best = np.full(len(x), -np.inf)
    for _ in range(_ROUNDS):
        eta = np.clip(np.einsum("rps,rp->rs", x[:, :-1], beta), -300, 300)
        mu = 1 / (1 + np.exp(-eta))
        weight = mu * (1 - mu) * called
        information = (x * weight[:, None, :]) @ x.transpose(0, 2, 1)
        inverse, _ = _inverse(information)
        leverage = np.einsum("rps,rpq,rqs->rs", x, inverse, x, optimize=True) * weight
        score = np.einsum(
            "rps,rs->rp", x[:, :-1], ((y - mu) + leverage * (0.5 - mu) / np.maximum(called, 1)) * called
        )
        inner, _ = _inverse(information[:, :-1, :-1])
        likelihood = _log_likelihood(eta, y, called)
        likelihood = likelihood + 0.5 * np.linalg.slogdet(information)[1]
        best = np.maximum(best, likelihood)
        step = np.einsum("rpq,rq->rp", inner, score)
        step = step * np.minimum(1.0, 2.0 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300))
        if (np.abs(step).max(axis=1) <= _SETTLED_FIRTH * (1 + np.abs(beta).max(axis=1))).all():
            break
        beta = beta + step
    return best
