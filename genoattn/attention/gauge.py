"""Gauges: the distribution over the tokens of a site that makes interaction coefficients unique.

A coefficient is unique once every factor is centred under a distribution at each site: a point mass on the
reference token (`reference`), the uniform one (`zero-sum`), or the token frequencies (`frequency`). The
last is the functional analysis of variance (Hoeffding 1948); the family is that of Posfai, McCandlish &
Kinney (2025).
"""

from collections.abc import Sequence

import numpy as np

GAUGES = ("reference", "zero-sum", "frequency")


def gauge_weights(
    name: str,
    site: np.ndarray,
    *,
    reference: Sequence[int] | np.ndarray | None = None,
    frequency: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """The gauge's distribution over the tokens of each site.

    Parameters
    ----------
    name
        `reference`, `zero-sum` or `frequency`.
    site
        Shape (token,), the site of each token, 0 .. n_sites - 1.
    reference
        For `reference`: the index of the reference token of each site, in any order.
    frequency
        For `frequency`: shape (token,), not negative, summing to 1 over the tokens of each site.

    Returns
    -------
    Shape (token,), summing to 1 over the tokens of each site.
    """
    n_sites = int(site.max()) + 1
    if name == "zero-sum":
        return 1.0 / np.bincount(site, minlength=n_sites)[site]
    if name == "reference":
        return _point_masses(site, n_sites, reference)
    if name == "frequency":
        return _frequencies(site, n_sites, frequency)
    raise ValueError(f"gauge: got {name!r}, needs one of {', '.join(map(repr, GAUGES))}")


def _point_masses(site: np.ndarray, n_sites: int, reference: Sequence[int] | np.ndarray | None) -> np.ndarray:
    if reference is None:
        raise ValueError("reference: got nothing, needs the index of the reference token of each site")
    tokens = np.atleast_1d(np.asarray(reference))
    if not np.issubdtype(tokens.dtype, np.integer) or not ((tokens >= 0) & (tokens < len(site))).all():
        raise ValueError(
            f"reference: got {tokens.tolist()[:5]}, needs token indices from 0 to {len(site) - 1}"
        )
    count = np.bincount(site[tokens], minlength=n_sites)
    if (count != 1).any():
        worst = int(np.flatnonzero(count != 1)[0])
        raise ValueError(f"reference: got {count[worst]} tokens of site {worst}, needs one of every site")
    weights = np.zeros(len(site))
    weights[tokens] = 1.0
    return weights


def _frequencies(
    site: np.ndarray, n_sites: int, frequency: Sequence[float] | np.ndarray | None
) -> np.ndarray:
    if frequency is None:
        raise ValueError("frequency: got nothing, needs the frequency of each token at its site")
    weights = np.asarray(frequency, dtype=np.float64)
    if weights.shape != site.shape or not (weights >= 0).all():
        raise ValueError(
            f"frequency: got shape {weights.shape}, needs 0 or more for each of {len(site)} tokens"
        )
    total = np.bincount(site, weights, minlength=n_sites)
    off = np.abs(total - 1)
    if not off.max() < 1e-6:
        worst = int(off.argmax())
        raise ValueError(f"frequency: got a sum of {total[worst]:.6g} at site {worst}, needs 1 at every site")
    # Exact, so that the orders are orthogonal to the last digit.
    return weights / total[site]
