"""Multiplicity: q-values in a family of which only a part is listed."""

import numpy as np


def q_values(p_values: np.ndarray, n_tests: int) -> np.ndarray:
    """Benjamini-Hochberg q-values in a family of ``n_tests``, of which the tests not given had p = 1.

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
    # p n / rank, made monotone from the largest p down; the tests at p = 1 only lengthen the family.
    stepped = p_values[order] * n_tests / np.arange(1, len(order) + 1)
    out[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return out
