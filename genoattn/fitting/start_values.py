"""A readout with starting values, and the penalties that go with them."""

import logging
from dataclasses import dataclass, replace
from math import log, sqrt
from typing import Any

import numpy as np
import torch

from genoattn.attention import PooledLinearAttention
from genoattn.closed_form.additive_start import (
    AdditiveStart,
    additive_start,
    all_pairs_start,
    joint_start,
    scaled,
)
from genoattn.closed_form.isolated_terms import isolated_factors
from genoattn.closed_form.pair_columns import PairColumns, visible_segments
from genoattn.closed_form.ridge import Spectrum
from genoattn.closed_form.strong_pairs import fine_mapped, genome_wide_modifier
from genoattn.fitting.choose import KERNEL_SAMPLES, Estimator
from genoattn.inference.pair_selection import PairProblem, believed_factors
from genoattn.model.optimiser import Penalties
from genoattn.model.readout import Readout, set_random_factors
from genoattn.model.train import InitialReadout
from genoattn.model.train_config import TrainConfig, TrainingData
from genoattn.tokens import Vocabulary
from genoattn.tokens.token_features import TokenFeatures

_log = logging.getLogger(__name__)
_PATIENCE = 100  # epochs: the loss of sparse factors often falls late
_AMPLE = 8  # samples a parameter of dense factors, for twice as many of these


def initial_readouts(
    vocabulary: Vocabulary,
    data: TrainingData,
    config: TrainConfig,
    estimator: Estimator,
    features: TokenFeatures | None = None,
) -> dict[Estimator, InitialReadout]:
    """Starting values for the training samples, phenotype and covariates standardised.

    ``estimator`` is any of :func:`genoattn.fitting.choose.choose_estimator` but the closed forms. Of ``sparse
    factors`` there are two where a pair may modify the effects of all sites: with and without that.
    """
    model = _additive_model(vocabulary, data, config)
    if estimator in ("full attention", "ridge regression"):
        made = replace(_full_readout(model), solved=estimator == "ridge regression")
    elif estimator == "dense factors":
        made = _dense_readout(model)
    elif estimator == "feature factors":
        made = _feature_readout(model, features)
    else:
        return {
            name: _with_additive(replace(_sparse_readout(found, factors, features), solved=solved), found)
            for name, (found, factors, solved) in _score_factors(model).items()
        }
    return {estimator: _with_additive(made, model)}


def _with_additive(made: InitialReadout, model: "_AdditiveModel") -> InitialReadout:
    """The readout with the effects of the additive model."""
    readout, start, slope, data = made.readout, model.start, model.slope, model.data
    with torch.no_grad():
        mean = float(data.phenotype.mean())
        readout.bias.fill_(log(mean / (1 - mean)) if data.binary else start.intercept)
        readout.covariate.copy_(torch.as_tensor(start.covariates / slope))
        # Where factors are random, features carry what they can of the additive effects.
        if readout.features is None or made.kind == "score":
            readout.additive.copy_(torch.as_tensor(start.additive / model.unit / slope))
    return made


@dataclass(frozen=True, eq=False)
class _AdditiveModel:
    """Additive model of the training samples, from which factors start."""

    vocabulary: Vocabulary
    data: TrainingData
    config: TrainConfig
    columns: np.ndarray  # (n_samples, n_columns), standardised
    spectrum: Spectrum
    # (n_columns,): parameters of the readout are per indicator for states, per standard deviation for dosages
    unit: np.ndarray
    start: AdditiveStart
    residual: np.ndarray  # (n_samples,), phenotype less the additive effects
    slope: float  # by how much a unit of the readout moves the mean: p (1 - p) on the logit scale

    @property
    def n_samples(self) -> int:
        return len(self.residual)

    def readout(self, ranks: dict[int, int], **options: Any) -> Readout:
        """A readout of these ranks, without values."""
        n_covariates = self.data.covariates.shape[1]
        return Readout(self.vocabulary, ranks, n_covariates, link=self.config.link, **options)

    @property
    def noise(self) -> float:
        """Standard deviation of the gradient of a sample's loss."""
        return sqrt(self.slope) if self.data.binary else self.start.noise


def _additive_model(vocabulary: Vocabulary, data: TrainingData, config: TrainConfig) -> _AdditiveModel:
    columns = vocabulary.columns(data.calls)
    spread = np.sqrt(np.maximum(vocabulary.variance, 1e-12))
    columns /= spread
    spectrum = Spectrum.of_columns(columns)
    start, residual = additive_start(columns, spectrum, data.phenotype, data.covariates)
    slope = float(data.phenotype.var()) if data.binary else 1.0
    unit = np.ones_like(spread) if vocabulary.is_dosage else spread
    return _AdditiveModel(vocabulary, data, config, columns, spectrum, unit, start, residual, slope)


def _sparse_readout(
    model: _AdditiveModel, factors: dict[int, np.ndarray], features: TokenFeatures | None
) -> InitialReadout:
    """Free sparse factors of every order, per standardised column."""
    vocabulary, config = model.vocabulary, model.config
    ranks = {order: len(values) for order, values in factors.items()}
    readout = model.readout(ranks, features=features)
    with torch.no_grad():
        for order, values in factors.items():
            values = values / model.unit
            values[:, 0] /= model.slope
            (target,) = readout.attention(order).sparse_parameters()
            target.copy_(torch.as_tensor(values))
    universal = sqrt(2 * log(max(vocabulary.n_columns, 2)) / model.n_samples)
    penalties = Penalties(model.start.ridge * model.slope, config.penalty * model.noise * universal)
    return InitialReadout(readout, penalties, "score", 0.006, 2048, _PATIENCE)


# An additive model adjusted for factors, these by order, and whether they are the optimum already.
_Scored = tuple[_AdditiveModel, dict[int, np.ndarray], bool]


def _score_factors(model: _AdditiveModel) -> dict[Estimator, _Scored]:
    """Sparse factors of every order from 2 up, read off the scores, with a modifier of all effects or not."""
    if model.config.order < 2:
        return {"sparse factors": _higher_orders(model, {}, False)}
    return {name: _higher_orders(*found) for name, found in _pair_factors(model).items()}


def _higher_orders(model: _AdditiveModel, factors: dict[int, np.ndarray], solved: bool) -> _Scored:
    """The same with isolated terms from order 3 up."""
    columns, site, config = model.columns, model.vocabulary.site, model.config
    for order in range(3, config.order + 1):
        found, n = isolated_factors(columns, model.residual, site, order, config.most_factors)
        solved = solved and not len(found)
        factors[order] = np.concatenate([*([factors[order]] if order in factors else []), found])
        if n < len(site):
            _log.info("order %d: scored terms of the %d of %d columns with strong pairs", order, n, len(site))
    return model, factors, config.link == "none" and (solved or not any(map(len, factors.values())))


def _pair_factors(model: _AdditiveModel) -> dict[Estimator, _Scored]:
    """Factors of pairs that predict samples they were not found in; and the additive effects with them.

    One of the pairs may modify the effects of all other sites: then also with factors for that, and solved.
    """
    data, config, site = model.data, model.config, model.vocabulary.site
    columns, y, covariates = model.columns, data.phenotype, data.covariates
    segment = np.zeros(len(site), dtype=np.int64) if data.chromosome is None else data.chromosome[site]
    pairs = PairColumns(columns, site, segment, visible_segments(segment))
    problem = PairProblem(pairs, y, covariates, model.start.ridge, config.most_factors, data.relatives)
    shapes, slope = believed_factors(problem, model.residual, config.seed)
    if not len(shapes):
        return {"sparse factors": (model, {2: np.zeros((0, 2, len(site)))}, False)}
    start, residual, strength = joint_start(columns, model.spectrum, y, covariates, shapes, slope)
    plain = np.column_stack([np.ones(len(y)), covariates])
    residual_y = y - plain @ np.linalg.lstsq(plain, y, rcond=None)[0]
    sharp = fine_mapped(columns, residual_y, shapes, strength)
    if not np.array_equal(sharp, shapes):
        shapes = sharp
        start, residual, strength = joint_start(columns, model.spectrum, y, covariates, shapes, slope)
    adjusted = replace(model, start=start, residual=residual)
    out: dict[Estimator, _Scored] = {"sparse factors": (adjusted, {2: scaled(shapes, strength)}, False)}
    if not data.binary and config.link == "none":
        changed = genome_wide_modifier(columns, model.spectrum, y, covariates, shapes, strength, config.order)
        if changed is not None:
            pair = np.concatenate([scaled(shapes, changed.strength), changed.factors[2]])
            model = replace(model, start=changed.start, residual=changed.residual)
            out["genome-wide modifier"] = (model, {**changed.factors, 2: pair}, True)
    return out


def _dense_readout(model: _AdditiveModel) -> InitialReadout:
    """Tied random factors.

    Their entries have a normal prior of unit variance, as the mean loss of a standardised phenotype sees it:
    one over the number of samples.
    """
    config, vocabulary = model.config, model.vocabulary
    rank = config.most_factors
    n_parameters = (config.order - 1) * 2 * rank * vocabulary.n_columns
    if config.rank is None and model.n_samples >= _AMPLE * n_parameters:
        rank *= 2
    ranks = dict.fromkeys(range(2, config.order + 1), rank)
    readout = model.readout(ranks, tied=True)
    set_random_factors(readout, vocabulary.n_sites, config.seed)
    batch = min(max(model.n_samples // 32, 64), 1024)
    penalties = Penalties(factor_l2=config.penalty / model.n_samples)
    return InitialReadout(readout, penalties, "random", 0.02, batch, annealed=True)


def _feature_readout(model: _AdditiveModel, features: TokenFeatures | None) -> InitialReadout:
    """Tied factors that are products over features; effects of single tokens bear the ridge penalty."""
    assert features is not None
    rank = min(model.config.most_factors, max(1, model.n_samples // (4 * sum(features.sizes))))
    ranks = dict.fromkeys(range(2, model.config.order + 1), rank)
    readout = model.readout(ranks, tied=True, features=features)
    set_random_factors(readout, model.vocabulary.n_sites, model.config.seed)
    penalties = Penalties(additive=model.start.ridge * model.slope, factor_l2=1e-5)
    return InitialReadout(readout, penalties, "random", 0.01, 512)


def _full_readout(model: _AdditiveModel) -> InitialReadout:
    """Full attention: the ridge solution of all pairs while samples are few, else C = 0."""
    vocabulary, order = model.vocabulary, model.config.order
    readout = model.readout({2: vocabulary.n_columns} if order == 2 else {}, full=order == 2)
    additive = model.start.ridge * model.slope
    if order == 2 and model.n_samples <= KERNEL_SAMPLES:
        centred = model.columns * (1.0 if vocabulary.is_dosage else model.unit)
        pair, ridge = all_pairs_start(centred, model.residual, vocabulary.site)
        module = readout.attention(2)
        assert isinstance(module, PooledLinearAttention)
        with torch.no_grad():
            module.pair.copy_(torch.as_tensor(pair / model.slope))
        penalties = Penalties(additive=additive, factor_l2=2 * model.config.penalty * ridge * model.slope)
        return InitialReadout(readout, penalties, "ridge", 1e-3 / vocabulary.n_columns, 2048)
    # The penalty that suits pairs that explain half of the residual.
    spread = 1.0 if vocabulary.is_dosage else float(vocabulary.variance.mean())
    ridge = vocabulary.n_free_pairs / model.n_samples * spread**2
    penalties = Penalties(additive=additive, factor_l2=model.config.penalty * ridge * model.slope)
    return InitialReadout(readout, penalties, "zero", 0.01, 2048)
