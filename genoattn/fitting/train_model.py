"""Training of a readout on the arrays of a cohort, in phenotype units at the end."""

from dataclasses import dataclass, replace

import numpy as np

from genoattn.closed_form.landscape_readout import landscape_readout
from genoattn.closed_form.learned_kernel import LearnedKernel
from genoattn.closed_form.posterior import Posterior
from genoattn.closed_form.product_readout import ProductPosterior, product_readout
from genoattn.errors import InputError
from genoattn.fitting.choose import CLOSED_FORMS, EstimatorChoice, choose_estimator
from genoattn.fitting.start_values import initial_readouts
from genoattn.model.phenotype_likelihood import chosen_likelihood
from genoattn.model.prediction import calibrate, predict_orders
from genoattn.model.readout import Readout, move_main_effects
from genoattn.model.standardise import Standardisation
from genoattn.model.train import TrainingRun, on_linear_scale, train, training_settings
from genoattn.model.train_config import Split, TrainConfig, TrainingData, TrainingSummary
from genoattn.model.working_response import ResponseModel
from genoattn.progress import phase
from genoattn.tokens import Vocabulary
from genoattn.tokens.token_features import TokenFeatures


@dataclass(frozen=True, eq=False)
class Trained:
    """A readout, how it was trained, and on what."""

    readout: Readout
    summary: TrainingSummary
    choice: EstimatorChoice  # the estimator, and the reason for it
    vocabulary: Vocabulary
    split: Split
    config: TrainConfig
    posterior: Posterior | ProductPosterior | None = None  # of the coefficients, where the estimator has one
    learned: LearnedKernel | None = None  # of a product process


def train_readout(
    vocabulary: Vocabulary,
    data: TrainingData,
    split: Split,
    config: TrainConfig,
    features: TokenFeatures | None = None,
    run: TrainingRun = TrainingRun(),
    choice: EstimatorChoice | None = None,
    learned: LearnedKernel | None = None,
) -> Trained:
    """Estimate a readout: in closed form, or from starting values by gradient steps.

    :func:`genoattn.fitting.choose.choose_estimator` decides which where ``choice`` is None.
    ``learned`` is the kernel of a product process of other samples. Main effects of environments are
    estimated as covariates are, and are in the readout the additive effects of their sites.
    """
    training = split.training
    kind = chosen_likelihood(config.likelihood, data.phenotype, data.binary)
    choice = choice or choose_estimator(vocabulary, config, kind, len(training))
    if not data.environments:
        return _estimated(vocabulary, data, split, config, features, run, choice, learned)
    if choice.estimator == "product process":
        raise InputError("order all has no main effect of its own for an environment; give an order")
    added = data.with_main_effects()
    made = _estimated(vocabulary, added, split, config, features, run, choice, learned)
    move_main_effects(made.readout, data.environments)
    return made


def _estimated(
    vocabulary: Vocabulary,
    data: TrainingData,
    split: Split,
    config: TrainConfig,
    features: TokenFeatures | None,
    run: TrainingRun,
    choice: EstimatorChoice,
    learned: LearnedKernel | None,
) -> Trained:
    """A readout by the chosen estimator."""
    training = split.training
    kind = chosen_likelihood(config.likelihood, data.phenotype, data.binary)
    if choice.estimator in CLOSED_FORMS:
        if run.trainer is not None:
            raise InputError(
                f"a Trainer was given, but the estimator is a closed form ({choice.reason}); "
                "leave the Trainer out, or train with estimator='attention'"
            )
        if choice.estimator == "product process":
            with training_settings(config, len(training) ** 2):
                readout, summary, product = product_readout(
                    vocabulary, data, split, config, learned, run.progress
                )
            known = product if product.is_proper else None  # else it would only keep the kernel in memory
            kernel = product.model.learned
            return Trained(readout, summary, choice, vocabulary, split, config, known, kernel)
        with phase(run.progress, "solving"):
            readout, summary, posterior = landscape_readout(vocabulary, data, split, config)
        return Trained(readout, summary, choice, vocabulary, split, config, posterior)
    n_values = min(len(training), 2048) * vocabulary.n_columns
    with training_settings(config, n_values):
        standardisation = Standardisation.of(data, training, kind)
        covariates, phenotype = standardisation.arrays(data, training)
        samples = TrainingData(
            data.calls[training],
            covariates,
            on_linear_scale(phenotype, kind),
            data.binary,
            chromosome=data.chromosome,
            relatives=None if data.relatives is None else data.relatives[training],
        )
        with phase(run.progress, "looking for starting factors"):
            starts = initial_readouts(vocabulary, samples, config, choice.estimator, features)
        if not len(split.validation) or run.trainer is not None:
            # The form of the model that was measured, or the one that a Trainer can train.
            starts = {choice.estimator: starts.get(choice.estimator, next(iter(starts.values())))}
        trained = {
            name: train(start, data, standardisation, split, config, kind, run)
            for name, start in starts.items()
        }
        choice = choice.among({name: s.validation_loss for name, (_, s) in trained.items()})
        readout, summary = trained[choice.estimator]
    calibrate(readout, data.calls[training], data.covariates[training])
    return Trained(readout, summary, choice, vocabulary, split, config)


def train_ensemble(
    vocabulary: Vocabulary,
    data: TrainingData,
    split: Split,
    config: TrainConfig,
    n_members: int,
    features: TokenFeatures | None = None,
    run: TrainingRun = TrainingRun(),
) -> list[Readout]:
    """Readouts trained on bootstrap samples of the training samples (Efron 1979), each with its own seed.

    The means of one vocabulary centre the factors of every member, so that all are in one gauge.
    """
    members = []
    for k in range(1, n_members + 1):
        rng = np.random.default_rng([config.seed, k])
        # The validation samples stay out of the draw, so that stopping is judged on others still.
        drawn = np.sort(rng.choice(split.training, len(split.training)))
        again = Split(drawn, split.validation, split.test)
        seed = (config.seed + k) % 2**32
        trained = train_readout(vocabulary, data, again, replace(config, seed=seed), features, run)
        members.append(trained.readout)
    return members


def training_inflation(measured: Trained, data: TrainingData, n_samples: int) -> float:
    """By how much the errors of training samples are too small for flexible factors, once all samples train.

    With p effective parameters the squared error of training samples is ``1 - p / n`` times the noise, that
    of others ``1 + p / n`` times: their mean is the noise.
    Of a product process it is by how much the errors of held-out samples are larger than it expects, for a
    kernel that has learned from its own samples.
    """
    split = measured.split
    held_out = split.test if len(split.test) else split.validation
    if measured.summary.start == "kernel" or not len(held_out):
        return 1.0
    latent = predict_orders(measured.readout, data.calls, data.covariates).sum(axis=1)
    if isinstance(measured.posterior, ProductPosterior):
        unseen = np.concatenate([split.validation, split.test])
        known = None if data.variance is None else data.variance[unseen]
        error = data.phenotype[unseen] - latent[unseen]
        return max(1.0, measured.posterior.surprise(data.calls[unseen], error, known))
    squares = response_model(measured, data).squared_errors(latent)
    inside, outside = float(squares[split.training].mean()), float(squares[held_out].mean())
    used = max(0.0, (outside - inside) / max(outside + inside, 1e-300))
    return 1 / (1 - min(0.5, used * min(1.0, len(split.training) / n_samples)))


def response_model(trained: Trained, data: TrainingData) -> ResponseModel:
    """Dependence of the phenotype on the latent phenotype of a fit."""
    s = trained.summary
    return ResponseModel(
        trained.readout, s.likelihood, s.noise, data.phenotype, data.variance, s.start == "kernel"
    )
