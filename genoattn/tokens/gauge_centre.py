"""Gauges: the conventions that make coefficients unique, as a centre for every column."""

from typing import Literal

import numpy as np

from genoattn.errors import InputError
from genoattn.tokens.vocabulary import Vocabulary

Gauge = Literal["reference", "zero-sum", "frequency"]
GAUGES: tuple[Gauge, ...] = ("reference", "zero-sum", "frequency")


def gauge_centre(vocabulary: Vocabulary, gauge: Gauge) -> np.ndarray:
    """Centre of each column in the gauge: a dosage, or a probability of the state.

    Returns
    -------
    Shape (n_columns,). ``reference``: dosage 0, all mass on the reference state; ``zero-sum``: half the
    ploidy, uniform over states; ``frequency``: the training mean dosage, the training frequencies.
    """
    if gauge not in GAUGES:
        raise InputError(f"gauge {gauge!r} is unknown; choose one of {', '.join(GAUGES)}")
    if gauge == "frequency":
        return vocabulary.mean
    n_states = vocabulary.n_states[vocabulary.site]
    if gauge == "zero-sum":
        return (n_states - 1) / 2.0 if vocabulary.is_dosage else 1.0 / n_states
    if vocabulary.is_dosage:
        return np.zeros(vocabulary.n_columns)
    return (vocabulary.state == vocabulary.reference[vocabulary.site]).astype(np.float64)
