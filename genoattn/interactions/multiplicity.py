"""Multiplicity: q-values over all tests, of which only some are listed."""

import numpy as np


def q_values(p_values: np.ndarray, n_tests: int) -> np.ndarray:
    """Benjamini-Hochberg q-values over ``n_tests`` tests; those not given count as p = 1.

    Parameters
    ----------
    p_values
        Shape (n_terms,); NaN where a term could not be tested.
    n_tests
        At least the number of finite p-values.
    """
    out = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(np.isfinite(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    # p n / rank, made monotone from the largest p down; the tests at p = 1 only add to their number.
    stepped = p_values[order] * n_tests / np.arange(1, len(order) + 1)
    out[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return out
