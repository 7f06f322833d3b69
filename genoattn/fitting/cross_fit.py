"""Metrics of the exported model: where it costs little, of every sample by models that have not seen it."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd

from genoattn.cohort import Cohort
from genoattn.fitting.metrics import Metrics, evaluate
from genoattn.fitting.predicted_samples import expected_deviation, part_names, predicted_samples
from genoattn.fitting.train_model import Trained, train_readout
from genoattn.model.phenotype_likelihood import COUNTS, mean_response
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.relatives import relative_folds
from genoattn.model.train import TrainingRun
from genoattn.model.train_config import Split, TrainingData
from genoattn.progress import phase, progress_bar
from genoattn.tokens import build_vocabulary
from genoattn.tokens.token_features import TokenFeatures

_log = logging.getLogger(__name__)

N_FOLDS = 5
_MOST_WORK = 1e9  # samples x columns^order of a search that is repeated in every fold: some seconds each


def exported_metrics(
    cohort: Cohort,
    measured: Trained,
    exported: Trained,
    data: TrainingData,
    features: TokenFeatures | None,
    run: TrainingRun,
    in_folds: bool = True,
) -> tuple[Metrics, pd.DataFrame]:
    """Quality of the linear predictor, or of the mean of counts, by part and order; and the predictions.

    These are as of :func:`genoattn.fitting.predicted_samples.predicted_samples`. A search for sparse factors
    may find others in all samples, so that where it costs little both are of the exported model, with every
    sample predicted by a model that has not seen it, unless ``in_folds`` is off.
    """

    def evaluated(means: np.ndarray, split: Split) -> Metrics:
        is_count = measured.summary.likelihood in COUNTS
        return evaluate(means, data.phenotype, split, data.binary, is_count, data.variance)

    everyone, nobody = np.arange(cohort.n_samples), np.arange(0)
    if in_folds and exported is not measured and costs_little(exported, cohort.n_samples):
        _log.info("measuring in %d folds", N_FOLDS)
        means, fold = cross_fitted_means(cohort, exported, data, features, run)
        test = evaluated(means, Split(nobody, nobody, everyone))
        own = cumulated_means(exported, data, everyone)
        training = evaluated(own, Split(everyone, nobody, nobody))
        deviation = expected_deviation(exported, data, own[:, -1], part_names(exported.split, len(own)))
        part = np.array([f"fold {k + 1}" for k in fold], dtype=object)
        return training.with_folds(test, N_FOLDS), predicted_samples(cohort, means, part, deviation)
    with phase(run.progress, "measuring the model"):
        means, part = cumulated_means(measured, data, everyone), part_names(measured.split, cohort.n_samples)
        found = evaluated(means, measured.split)
        if measured.readout.product is not None:
            found = replace(found, orders=("0", "all"))
        deviation = expected_deviation(measured, data, means[:, -1], part)
    return found, predicted_samples(cohort, means, part, deviation)


def costs_little(trained: Trained, n_samples: int) -> bool:
    """Whether the search for sparse factors can be repeated in every fold."""
    order = max(trained.config.order, 2)
    return trained.summary.start == "score" and (
        n_samples * float(trained.vocabulary.n_columns) ** order <= _MOST_WORK
    )


def cumulated_means(trained: Trained, data: TrainingData, some: np.ndarray) -> np.ndarray:
    """Predicted phenotype of some samples (m,) by the model cut at order 0, 1, ..: (m, 1 + n_orders)."""
    by_order = predict_orders(trained.readout, data.calls[some], data.covariates[some])
    eta = respond(trained.readout, np.cumsum(by_order, axis=1))
    kind = trained.summary.likelihood
    return mean_response(kind, eta) if kind in COUNTS else eta


def cross_fitted_means(
    cohort: Cohort,
    exported: Trained,
    data: TrainingData,
    features: TokenFeatures | None = None,
    run: TrainingRun = TrainingRun(),
) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`cumulated_means`, of every sample, by models of the other four fifths: (n, 1 + n_orders).

    With them the fold of each sample, (n,), from 0.

    Each takes every step of the exported model again, the search for its factors included (Chernozhukov et
    al. 2018). Relatives are in one fold; cases are as frequent in each.
    """
    n = cohort.n_samples
    fold = _folds(data, n, exported.config.seed)
    means = []
    unseen = replace(run, progress=False)
    with progress_bar(run.progress, "measuring in folds", N_FOLDS) as advance:
        for k in range(N_FOLDS):
            split = Split(np.flatnonzero(fold != k), np.arange(0), np.arange(0))
            vocabulary = build_vocabulary(cohort, exported.vocabulary.encoding, split.training)
            trained = train_readout(
                vocabulary, data, split, exported.config, features, unseen, exported.choice
            )
            means.append(cumulated_means(trained, data, np.flatnonzero(fold == k)))
            advance(1)
    out = np.empty((n, means[0].shape[1]))
    for k, held_out in enumerate(means):
        out[fold == k] = held_out
    return out, fold


def _folds(data: TrainingData, n: int, seed: int) -> np.ndarray:
    """The fold of each sample, (n,)."""
    if data.relatives is not None:
        return relative_folds(data.relatives, n, N_FOLDS, seed)
    shuffled = np.random.default_rng(seed).permutation(n)
    if data.binary:
        shuffled = shuffled[np.argsort(data.phenotype[shuffled], kind="stable")]
    fold = np.empty(n, dtype=np.int64)
    fold[shuffled] = np.arange(n) % N_FOLDS
    return fold
