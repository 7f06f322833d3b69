"""The samples of a fit with their predictions: what pictures of its quality are drawn from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.special import expit

from genoattn.closed_form.posterior import Posterior
from genoattn.cohort import Cohort
from genoattn.fitting.train_model import Trained
from genoattn.io.sample_ids import iids_of
from genoattn.model.prediction import link_slope, predict_orders
from genoattn.model.train_config import Split, TrainingData


def part_names(split: Split, n_samples: int) -> np.ndarray:
    """``training``, ``validation`` or ``test`` for each sample, (n_samples,)."""
    part = np.full(n_samples, "training", dtype=object)
    part[split.validation], part[split.test] = "validation", "test"
    return part


def predicted_samples(
    cohort: Cohort, means: np.ndarray, part: np.ndarray, deviation: np.ndarray | None
) -> pd.DataFrame:
    """One row a sample: ``predictions.tsv``.

    Parameters
    ----------
    cohort
        The samples.
    means
        Shape (n_samples, 1 + n_orders): predictions of the model cut at order 0, 1, ..; of a binary trait
        log-odds. A model of all orders at once has two columns.
    part
        Shape (n_samples,), names of the parts of the samples.
    deviation
        Shape (n_samples,), expected deviations of the phenotype from its prediction; None where the
        likelihood has none.
    """
    assert cohort.phenotype is not None
    ids: dict[str, Iterable[str]] = {"IID": cohort.samples}
    if cohort.families is not None:
        ids = {"FID": cohort.families, "IID": iids_of(cohort.samples, cohort.families)}
    values = expit(means) if cohort.phenotype.binary else means
    columns = {"part": part, "observed": cohort.phenotype.values, "predicted": values[:, -1]}
    columns |= {f"order_{k}": values[:, k] for k in range(values.shape[1] - 1)}
    columns["sd"] = np.full(len(means), np.nan) if deviation is None else deviation
    return pd.DataFrame({**ids, **columns})


def expected_deviation(
    trained: Trained, data: TrainingData, means: np.ndarray, part: np.ndarray
) -> np.ndarray | None:
    """Standard deviation of each sample around its prediction, (n_samples,), as the model expects it.

    The noise is that of the likelihood; where it has learned none, the root mean square of the errors of the
    validation samples, or else of the training samples. With a posterior of the coefficients their
    uncertainty is added. None for binary traits, counts and Student's likelihood.

    Parameters
    ----------
    trained, data
        The model that predicted, and its samples.
    means
        Shape (n_samples,): its predictions.
    part
        Shape (n_samples,): as of :func:`part_names`.
    """
    if trained.summary.likelihood != "gaussian":
        return None
    noise = trained.summary.noise
    if "residual_sd" in noise:
        variance = np.full(len(means), noise["residual_sd"] ** 2)
    elif "variance_scale" in noise and data.variance is not None:
        variance = noise["variance_scale"] * data.variance + noise["unexplained_sd"] ** 2
    else:
        known = part == "validation" if (part == "validation").any() else part == "training"
        variance = np.full(len(means), float(((data.phenotype - means)[known] ** 2).mean()))
    if isinstance(trained.posterior, Posterior):
        latent = predict_orders(trained.readout, data.calls, data.covariates).sum(axis=1)
        spread = trained.posterior.prediction_deviation(data.calls)
        variance = variance + (link_slope(trained.readout, latent) * spread) ** 2
    return np.sqrt(variance)
