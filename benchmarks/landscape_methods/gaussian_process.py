"""A Gaussian process whose kernel has a variance for each order (Zhou et al. 2022, variance components).

The kernel of order k is the elementary symmetric polynomial e_k of the sites' kernels ``n [a = b] - 1``, the
projection on what sums to zero over the n states of a site: coefficients of one order have one variance.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

MOST_SAMPLES = 7000
_LEARNED_ON = 1000


def order_kernels(a: np.ndarray, b: np.ndarray, n_states: np.ndarray, order: int) -> np.ndarray:
    """Kernels of orders 0 to ``order``, each scaled to 1 on the diagonal: (order + 1, n_a, n_b)."""
    out = np.zeros((order + 1, len(a), len(b)), dtype=np.float32)
    out[0] = 1
    diagonal = np.zeros(order + 1)
    diagonal[0] = 1
    for site, n in enumerate(n_states):
        same = np.where(a[:, site, None] == b[None, :, site], np.float32(n - 1), np.float32(-1))
        for k in range(order, 0, -1):  # Newton's recursion, in place from the top
            out[k] += same * out[k - 1]
            diagonal[k] += (n - 1) * diagonal[k - 1]
    return out / np.maximum(diagonal, 1)[:, None, None].astype(np.float32)


def gaussian_process(
    train: np.ndarray,
    y: np.ndarray,
    test: np.ndarray,
    n_states: np.ndarray,
    order: int,
    noise: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Posterior means at the test samples.

    The variances of the orders and of the noise maximise the marginal likelihood of 1,000 training samples;
    the posterior is that of all of them.

    Parameters
    ----------
    train, test
        Shape (n_samples, n_sites), states.
    y, noise
        Shape (n_train,): values, and known variances of their measurement if any.
    n_states
        Shape (n_sites,).
    order
        Largest order of the kernel.
    seed
        Which 1,000.
    """
    if len(train) > MOST_SAMPLES:
        raise MemoryError(f"{len(train):,} training samples")
    mean, scale = y.mean(), y.std()
    z = (y - mean) / scale
    known = np.zeros(len(y)) if noise is None else noise / scale**2
    some = np.random.default_rng(seed).permutation(len(y))[:_LEARNED_ON]
    kernels = order_kernels(train[some], train[some], n_states, order)[1:].astype(float)
    variance, extra = _components(kernels, z[some], known[some])
    covariance = np.tensordot(variance, order_kernels(train, train, n_states, order)[1:], axes=1)
    covariance[np.diag_indices(len(y))] += known + extra
    weights = cho_solve(cho_factor(covariance, overwrite_a=True), z)
    out = np.empty(len(test))
    for start in range(0, len(test), 2000):
        chosen = test[start : start + 2000]
        cross = np.tensordot(variance, order_kernels(chosen, train, n_states, order)[1:], axes=1)
        out[start : start + 2000] = cross @ weights
    return mean + scale * out


def _components(kernels: np.ndarray, z: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, float]:
    """Variances of the orders, and of the noise other than the known, by maximum likelihood."""
    n = len(z)

    def loss(log_variance: np.ndarray) -> tuple[float, np.ndarray]:
        variance = np.exp(log_variance)
        covariance = np.tensordot(variance[:-1], kernels, axes=1)
        covariance[np.diag_indices(n)] += known + variance[-1]
        factor = cho_factor(covariance)
        inverse = cho_solve(factor, np.eye(n))
        alpha = inverse @ z
        value = 0.5 * z @ alpha + np.log(np.diag(factor[0])).sum()
        inner = inverse - np.outer(alpha, alpha)
        slopes = [0.5 * float((inner * k).sum()) for k in kernels] + [0.5 * float(np.trace(inner))]
        return float(value), np.array(slopes) * variance

    start = np.log(np.append(np.full(len(kernels), 0.8 / len(kernels)), 0.2))
    # Noise of a thousandth of the variance at least keeps the matrix regular in single precision.
    bounds = [(np.log(1e-6), np.log(50.0))] * len(kernels) + [(np.log(1e-3), np.log(50.0))]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    variance = np.exp(found.x)
    return variance[:-1], float(variance[-1])
