"""Predictions of every sample by models that have not seen it, trained like the exported one."""

import numpy as np

from genoattn.cohort import Cohort
from genoattn.fitting.train_model import Trained, train_readout
from genoattn.model.phenotype_likelihood import COUNTS, mean_response
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.relatives import relative_folds
from genoattn.model.train import TrainingRun
from genoattn.model.train_config import Split, TrainingData
from genoattn.tokens import build_vocabulary
from genoattn.tokens.token_features import TokenFeatures

N_FOLDS = 5
_MOST_WORK = 1e9  # samples x columns^order of a search that is repeated in every fold: some seconds each


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
) -> np.ndarray:
    """As :func:`cumulated_means`, of every sample, by models of the other four fifths: (n, 1 + n_orders).

    Each takes every step of the exported model again, the search for its factors included (Chernozhukov et
    al. 2018). Relatives are in one fold; cases are as frequent in each.
    """
    n = cohort.n_samples
    fold = _folds(data, n, exported.config.seed)
    means = []
    for k in range(N_FOLDS):
        split = Split(np.flatnonzero(fold != k), np.arange(0), np.arange(0))
        vocabulary = build_vocabulary(cohort, exported.vocabulary.encoding, split.training)
        trained = train_readout(vocabulary, data, split, exported.config, features, run, exported.choice)
        means.append(cumulated_means(trained, data, np.flatnonzero(fold == k)))
    out = np.empty((n, means[0].shape[1]))
    for k, held_out in enumerate(means):
        out[fold == k] = held_out
    return out


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
