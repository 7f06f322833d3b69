"""fit(cohort) -> FitResult: the whole main job, read from top to bottom.

(The module is not called ``fit`` because ``genoattn.fit`` is the function.)
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.features import token_features
from genoattn.fitted import FittedModel
from genoattn.inference.discovery import Discovery, can_discover, discover
from genoattn.interactions.estimates import TestedTerms
from genoattn.interactions.expansion import Expansion, Factors
from genoattn.interactions.extract import describe_tests, readout_factors, table_rows
from genoattn.interactions.intervals import coefficient_intervals
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import InteractionTable
from genoattn.interactions.terms import collect_terms
from genoattn.interactions.testing import FittedTerms, estimate_terms
from genoattn.interactions.variance import variance_components
from genoattn.ladder import climb
from genoattn.metrics import Metrics, evaluate
from genoattn.model.account import TrainingAccount
from genoattn.model.config import TrainingData
from genoattn.model.ensemble import train_ensemble
from genoattn.model.families import find_families
from genoattn.model.likelihood import COUNTS, LikelihoodKind, mean_response
from genoattn.model.link import LinkKind
from genoattn.model.pair_columns import chromosome_numbers
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.readout import Readout
from genoattn.model.split import Split, split_samples
from genoattn.model.train import train_readout
from genoattn.model.working import ResponseModel
from genoattn.provenance import input_records, package_versions
from genoattn.result import FitResult
from genoattn.settings import FitConfig, check_settings, settings_record, with_options
from genoattn.tokens import build_vocabulary, default_encoding

_log = logging.getLogger(__name__)


def fit(
    cohort: Cohort, config: FitConfig | None = None, *, progress: bool = False, **options: Any
) -> FitResult:
    """Fit a hyper-attention model to a cohort and tabulate its interactions.

    Parameters
    ----------
    cohort
        Samples x sites with a phenotype, from :func:`genoattn.read`.
    config
        Settings; or give them by name: any field of :class:`FitConfig` or of its :class:`TrainConfig`
        (``order=3``, ``gauge="reference"``, ``seed=1``, ...).
    progress
        Show a progress bar on stderr.

    Returns
    -------
    The model, its table and its metrics. p-values test each reported term on all samples, the ones that
    chose it included; the q-values' family is every term of the order, so that choice is paid for. Those of
    pairs of genotypes are of the signals of :func:`genoattn.inference.discovery.discover`. They do
    not correct for several traits, for relatedness beyond the covariates, or for imperfectly tagged
    additive effects between linked sites.

    Raises
    ------
    InputError
        Where the cohort has no phenotype, too few samples, or fewer sites than the order.
    """
    config = with_options(config or FitConfig(), options)
    check_settings(config)
    phenotype, covariates = _checked_traits(cohort)
    data = TrainingData(
        cohort.calls,
        covariates,
        phenotype.values,
        phenotype.binary,
        phenotype.variance,
        chromosome_numbers(cohort.sites),
        find_families(cohort.calls) if cohort.kind == "genotype" else None,
    )
    split = split_samples(
        data.phenotype, data.binary, config.validation, config.test, config.training.seed, data.families
    )
    encoding = config.encoding or default_encoding(cohort)
    vocabulary = build_vocabulary(cohort, encoding, split.training)
    by_feature = config.training.attention == "feature"
    features = token_features(cohort.sites, vocabulary) if by_feature else None
    ladder = None
    if config.auto_order:
        ladder = climb(
            vocabulary, data, split, config.training,
            n_members=config.ensemble, features=features, progress=progress,
        )  # fmt: skip
        training = replace(config.training, order=ladder.order, link=ladder.link)
        config = replace(config, training=training)
    readout, account = train_readout(vocabulary, data, split, config.training, features, progress)
    metrics = _metrics(readout, account, data, split)
    refitted = _is_refitted(cohort, account) if config.refit is None else config.refit
    n_final = cohort.n_samples if refitted else len(split.training)
    inflation = _inflation(readout, account, data, split, n_final) if cohort.kind == "sequence" else 1.0
    final_split, final_training = split, config.training
    if refitted:
        final_split = Split(np.arange(cohort.n_samples), np.arange(0), np.arange(0))
        vocabulary = build_vocabulary(cohort, encoding)
        final_training = replace(config.training, max_epochs=account.best_epoch)
        if account.start == "random" and account.ranks:  # the model of which the metrics are
            final_training = replace(final_training, rank=max(account.ranks.values()))
        readout, final = train_readout(vocabulary, data, final_split, final_training, features, progress)
        account = replace(account, ranks=final.ranks, noise=final.noise, posterior=final.posterior)
    factors = readout_factors(readout, vocabulary)
    terms, left_out = collect_terms(Expansion(factors, "frequency"), config.max_terms)
    discovery = _discovery(cohort, config, account)
    if discovery is not None:
        terms[2] = np.unique(np.concatenate([terms[2], discovery.leads()]), axis=0)
    _log.info("testing %s terms", ", ".join(f"{len(t):,} of order {k}" for k, t in terms.items() if k))
    members: list[Factors] = []
    if config.ensemble and cohort.kind == "sequence" and account.posterior is None:
        _log.info("training %d models on bootstrap samples", config.ensemble)
        drawn = train_ensemble(vocabulary, data, final_split, final_training, config.ensemble, features)
        members = [readout_factors(member, vocabulary) for member in drawn]
    tested = estimate_terms(
        FittedTerms(
            factors,
            data.calls,
            covariates,
            _response(readout, account, data),
            inflation,
            account.posterior,
            members,
            cohort.kind == "sequence",
            [] if discovery is None else [tuple(lead) for lead in discovery.leads().tolist()],
        ),
        terms,
        config.max_terms,
    )
    if discovery is not None:
        tested = replace(tested, claims={2: discovery.claims(tested.terms[2])})
    expansion = Expansion(factors, config.gauge)
    manifest = _manifest(cohort, config, readout, expansion, tested, left_out, account.record())
    table = InteractionTable(table_rows(expansion, cohort.sites, tested, manifest.order), manifest)
    model = FittedModel(readout, tested, manifest, account.posterior)
    intervals = None
    if members or account.posterior is not None:
        intervals = coefficient_intervals(table.frame, len(members))
    return FitResult(model, table, metrics, _variance_frame(factors, data), discovery, intervals, ladder)


def _is_refitted(cohort: Cohort, account: TrainingAccount) -> bool:
    """Whether a model is trained once more on all samples, where that is not said."""
    return account.start in ("score", "kernel") or (account.start == "random" and cohort.kind == "sequence")


def _discovery(cohort: Cohort, config: FitConfig, account: TrainingAccount) -> Discovery | None:
    """Signals among the pairs of a cohort of genotypes; None where pairs are not what was sought."""
    training = config.training
    sparse = account.start == "score" and training.order >= 2
    if not sparse or (config.encoding or "dosage") != "dosage" or not can_discover(cohort):
        return None
    return discover(
        cohort, alpha=config.alpha, seed=training.seed, max_rank=training.most_factors, halves=config.ensemble
    )


def _inflation(
    readout: Readout, account: TrainingAccount, data: TrainingData, split: Split, n_samples: int
) -> float:
    """By how much the errors of training samples are too small for flexible factors, once all samples train.

    With p effective parameters the squared error of training samples is ``1 - p / n`` times the noise, that
    of others ``1 + p / n`` times: their mean is the noise.
    """
    held_out = split.test if len(split.test) else split.validation
    if account.start == "kernel" or not len(held_out):
        return 1.0
    latent = predict_orders(readout, data.calls, data.covariates).sum(axis=1)
    squares = _response(readout, account, data).squared_errors(latent)
    left, left_out = float(squares[split.training].mean()), float(squares[held_out].mean())
    used = max(0.0, (left_out - left) / max(left_out + left, 1e-300))
    return 1 / (1 - min(0.5, used * min(1.0, len(split.training) / n_samples)))


def _response(readout: Readout, account: TrainingAccount, data: TrainingData) -> ResponseModel:
    """How the phenotype depends on the latent phenotype of a fit."""
    return ResponseModel(
        readout, account.likelihood, account.noise, data.phenotype, data.variance, account.start == "kernel"
    )


def _manifest(
    cohort: Cohort,
    config: FitConfig,
    readout: Readout,
    expansion: Expansion,
    tested: TestedTerms,
    left_out: dict[int, int],
    account: dict[str, Any],
) -> Manifest:
    """What describes the table and the model."""
    phenotype, covariates = cohort.phenotype, cohort.covariates
    assert phenotype is not None
    return Manifest(
        trait=phenotype.name,
        units=_units(phenotype, account["likelihood"], config.training.link),
        binary=phenotype.binary,
        transform=phenotype.transform,
        gauge=config.gauge,
        order=config.training.order,
        sites=cohort.sites,
        vocabulary=expansion.vocabulary,
        centre=expansion.centre,
        covariate_names=() if covariates is None else covariates.names,
        covariate_levels={} if covariates is None else covariates.levels,
        covariate_coefficients=readout.covariate.detach().double().numpy(),
        n_tests=tested.family_sizes(expansion),
        left_out=left_out,
        **describe_tests(tested, expansion, _units(phenotype, account["likelihood"], config.training.link)),
        seed=config.training.seed,
        versions=package_versions(),
        inputs=input_records(cohort.source),
        model={**settings_record(config), **account},
    )


def _checked_traits(cohort: Cohort) -> tuple[Phenotype, np.ndarray]:
    """Phenotype and covariates (n_samples, n_covariates) of a cohort that can be fitted."""
    if not isinstance(cohort, Cohort):
        raise TypeError(f"fit() needs a Cohort, as genoattn.read returns, got {type(cohort).__name__}")
    phenotype = cohort.phenotype
    if phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    with np.errstate(over="ignore"):
        spread = float(phenotype.values.std())
    if not 1e-100 < spread < 1e100:
        raise InputError(
            f"trait {phenotype.name}: its standard deviation is {spread:.3g}, too far from 1; "
            "give it in other units"
        )
    if cohort.covariates is None:
        return phenotype, np.zeros((cohort.n_samples, 0))
    n, levels = len(cohort.covariates.names), cohort.covariates.levels
    if n > cohort.n_samples // 4:
        widest = max(levels, key=lambda column: len(levels[column]), default="")
        hint = f"; {widest} alone has {len(levels[widest])} levels" if widest else ""
        raise InputError(
            f"covariates: {n} columns for {cohort.n_samples} samples leave nothing to fit{hint}; remove some"
        )
    return phenotype, cohort.covariates.values


def _units(phenotype: Phenotype, likelihood: LikelihoodKind, link: LinkKind) -> str:
    suffix = {"none": "", "log": ", natural log", "rank": ", rank-normalised"}[phenotype.transform]
    units = f"units of {phenotype.name}{suffix}"
    if likelihood == "bernoulli":
        units = "log-odds"
    elif likelihood in COUNTS:
        units = f"natural log of the mean of {phenotype.name}"
    return (
        units if link == "none" else f"latent units before the link, with the mean and sd of {units} after it"
    )


def _metrics(readout: Readout, account: TrainingAccount, data: TrainingData, split: Split) -> Metrics:
    """How well the linear predictor, or the mean of counts, does by part and by order."""

    def response(latent: np.ndarray) -> np.ndarray:
        eta = respond(readout, latent)
        return mean_response(account.likelihood, eta) if account.likelihood in COUNTS else eta

    by_order = predict_orders(readout, data.calls, data.covariates)
    counts = account.likelihood in COUNTS
    return evaluate(by_order, data.phenotype, split, data.binary, response, counts, data.variance)


def _variance_frame(factors: Factors, data: TrainingData) -> pd.DataFrame:
    """Variance by order as a table: variance, its share of the model's and of the phenotype's."""
    components = variance_components(factors)
    total = sum(components.values()) or 1.0
    rows = {
        "order": list(components),
        "variance": list(components.values()),
        "share_of_model": [c / total for c in components.values()],
    }
    frame = pd.DataFrame(rows)
    if not data.binary:
        frame["share_of_phenotype"] = frame["variance"] / data.phenotype.var()
    return frame
