"""Predictions on the scale of a model carried back to the units of the trait."""

import numpy as np
from scipy.special import expit

from genoattn.interactions.schema import Manifest
from genoattn.model.phenotype_likelihood import COUNTS, mean_response

_TRANSFORMED = {"none": None, "log": "log", "rank": "normal_score"}


def model_scale(manifest: Manifest) -> str | None:
    """Scale on which a model predicts: ``log_odds``, ``log``, ``normal_score``; None for the trait's own."""
    if manifest.binary:
        return "log_odds"
    if manifest.model.get("likelihood") in COUNTS:
        return "log"
    return _TRANSFORMED[manifest.transform]


def in_trait_units(values: np.ndarray, manifest: Manifest, quantiles: np.ndarray | None = None) -> np.ndarray:
    """Values (n_samples,) of the model's scale in units of the trait.

    Log-odds become the probability of a case, logarithms of a mean count that mean. The exponential of a
    predicted logarithm is the median of the trait at that genotype (its geometric mean), less than its mean;
    a normal score is the median too, interpolated between ``quantiles`` (2, n) of the training samples and
    within their range.
    """
    scale, likelihood = model_scale(manifest), manifest.model.get("likelihood")
    if scale is None:
        return values
    if scale == "log_odds":
        return expit(values)
    if likelihood in COUNTS:
        return mean_response(likelihood, values)
    if scale == "log":
        return np.exp(values)
    assert quantiles is not None
    return np.interp(values, quantiles[0], quantiles[1])
