"""The same model trained on resampled samples: how far its coefficients may move."""

from dataclasses import replace

import numpy as np

from genoattn.fitting.train_model import train_readout
from genoattn.model.readout import Readout
from genoattn.model.train_config import Split, TrainConfig, TrainingData
from genoattn.tokens import Vocabulary
from genoattn.tokens.token_features import TokenFeatures


def train_ensemble(
    vocabulary: Vocabulary,
    data: TrainingData,
    split: Split,
    config: TrainConfig,
    n_members: int,
    features: TokenFeatures | None = None,
) -> list[Readout]:
    """Readouts trained on bootstrap samples of the training samples (Efron 1979), each with its own seed.

    Parameters
    ----------
    vocabulary
        The columns. Their means centre the factors of every member, so that all are in one gauge.
    data, split, config, features
        As for :func:`genoattn.fitting.train_model.train_readout`.
    """
    members = []
    for k in range(1, n_members + 1):
        rng = np.random.default_rng([config.seed, k])
        # The validation samples stay out of the draw, so that stopping is judged on others still.
        drawn = np.sort(rng.choice(split.training, len(split.training)))
        again = Split(drawn, split.validation, split.test)
        seed = (config.seed + k) % 2**32
        trained = train_readout(vocabulary, data, again, replace(config, seed=seed), features)
        members.append(trained.readout)
    return members
