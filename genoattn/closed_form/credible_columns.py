"""A slot of a pair spread over the linked columns that the data can hardly tell apart."""

import numpy as np

_CREDIBLE = 0.02  # smallest posterior with which a column has a share
_OF_LARGEST = 0.5  # share of the largest that is enough where that is small too


def credible_entries(columns: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """Entries of a slot from the marginal posteriors of its columns.

    Parameters
    ----------
    columns
        Shape (n_samples, n_columns), standardised.
    posterior
        Shape (n_columns,), of each to be the causal one.

    Returns
    -------
    Shape (n_columns,): in proportion to the posterior, the largest 1, and negative for columns coded the
    other way round. 0 below 2 %; where so many are alike that the largest is less than 4 %, below half of it.
    """
    best = int(np.argmax(posterior))
    largest = float(posterior[best])
    out = np.where(posterior >= min(_CREDIBLE, _OF_LARGEST * largest), posterior / largest, 0.0)
    kept = np.flatnonzero(out)
    out[kept] *= np.where(columns[:, kept].T @ columns[:, best] < 0, -1.0, 1.0)
    return out
