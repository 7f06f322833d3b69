"""fit(cohort) -> FitResult: the main job, read from top to bottom."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from genoattn.closed_form.pair_columns import segment_numbers
from genoattn.closed_form.posterior import Posterior
from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.fitting.choose import choose_estimator
from genoattn.fitting.cohort_variance import cohort_variance
from genoattn.fitting.cross_fit import exported_metrics
from genoattn.fitting.fit_result import FitResult
from genoattn.fitting.fit_settings import (
    FitConfig,
    check_settings,
    settings_record,
    with_ladder,
    with_options,
)
from genoattn.fitting.fitted_model import FittedModel
from genoattn.fitting.order_ladder import HIGHEST_ORDER, Ladder, climb
from genoattn.fitting.train_model import (
    Trained,
    response_model,
    train_ensemble,
    train_readout,
    training_inflation,
)
from genoattn.inference.discovery import Discovery, discover, why_no_discovery
from genoattn.inference.null_signals import groups_of_samples
from genoattn.interactions.estimates import TestedTerms
from genoattn.interactions.expansion import Expansion, Factors, variance_table
from genoattn.interactions.extract import describe_tests, phenotype_units, readout_factors, table_rows
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import InteractionTable, coefficient_intervals
from genoattn.interactions.terms import collect_terms, columns_at
from genoattn.interactions.testing import FittedTerms, estimate_terms
from genoattn.io.environments import environment_records
from genoattn.model.data import training_data
from genoattn.model.link import LinkKind
from genoattn.model.own_trainer import settings_of_trainer
from genoattn.model.phenotype_likelihood import chosen_likelihood
from genoattn.model.split import split_samples
from genoattn.model.train import TrainingRun
from genoattn.model.train_config import Split, TrainingData
from genoattn.model.training_states import open_states
from genoattn.progress import phase
from genoattn.provenance import input_records, package_versions
from genoattn.tokens import build_vocabulary, default_encoding
from genoattn.tokens.token_features import TokenFeatures, token_features

_log = logging.getLogger(__name__)


def fit(
    cohort: Cohort,
    config: FitConfig | None = None,
    *,
    trainer: pl.Trainer | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
    **options: Any,
) -> FitResult:
    """Fit a hyper-attention model to a cohort and tabulate its interactions.

    Parameters
    ----------
    cohort
        Samples x sites with a phenotype, from :func:`genoattn.read`.
    config
        Settings; or give them by name: any field of :class:`FitConfig` or of its :class:`TrainConfig`
        (``order=3``, ``gauge="reference"``, ``seed=1``, ...).
    trainer
        A Trainer of PyTorch Lightning, with your loggers and callbacks, precision and devices, that trains
        the model. It stops when its own settings and callbacks say so, or after ``max_epochs`` where it has
        no number; then the weights of the least validation loss are put back. It trains once: with it the
        model is trained again on all samples only where ``refit=True`` asks for that, by a Trainer of ours
        with its precision, for the number of epochs that suited best; so are the models of ``order="auto"``
        and of ``ensemble``.
    checkpoint
        Folder for the state of the training, saved every half a minute, which is removed when the fit is
        complete.
    resume
        Go on from the folder ``checkpoint`` of a stopped fit of the same data and settings. With the same
        number of threads the result is that of a fit that was never stopped.
    progress
        Show a progress bar on stderr.

    Returns
    -------
    The model, its table and its metrics. p-values test each reported term on all samples, the ones that
    chose it included; q-values are over all terms of the order, so that the choice is paid for. Those of
    pairs of genotypes are of the signals of :func:`genoattn.inference.discovery.discover`. They do
    not correct for several traits, for relatedness beyond the covariates, or for imperfectly tagged
    additive effects between linked sites.

    Raises
    ------
    InputError
        Where the cohort has no phenotype, too few samples, or fewer sites than the order; where the device
        or its precision is not there; where a Trainer is of no use; or where there is nothing to resume.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(
    ...     n_samples=400, n_sites=12, linkage="none", n_terms=1, interaction_variance=0.3, seed=1
    ... ).cohort
    >>> result = genoattn.fit(cohort, order=2, seed=1)
    >>> result.table.top(1)[["site_1", "site_2"]].to_numpy().tolist()
    [['3:21904:C:T', '5:16358:A:T']]
    >>> round(result.metrics.test, 1)
    0.5
    """
    config = with_options(config or FitConfig(), options)
    check_settings(config)
    if trainer is not None:
        config = replace(config, training=settings_of_trainer(trainer, config.training))
    if not isinstance(cohort, Cohort):
        raise TypeError(f"fit() needs a Cohort, as genoattn.read returns, got {type(cohort).__name__}")
    if trainer is not None and checkpoint is not None:
        raise InputError(
            "checkpoint keeps the state of our own training, not of a Trainer given: leave one of them out, "
            "or train an EpistasisModule with a ModelCheckpoint, and resume by trainer.fit(ckpt_path=FILE)"
        )
    groups_of_samples(cohort, config.strata)  # refuses strata that are of no use before any work
    config = with_ladder(config, cohort.kind == "sequence" and trainer is None)
    states = open_states(checkpoint, resume, cohort, settings_record(config))
    with states or nullcontext():
        return _fit(cohort, config, TrainingRun(progress, trainer, states))


def _fit(cohort: Cohort, config: FitConfig, run: TrainingRun) -> FitResult:
    """The steps of a fit with checked settings."""
    ours = replace(run, trainer=None)
    with phase(run.progress, "comparing samples"):
        data = replace(training_data(cohort), chromosome=segment_numbers(cohort.sites))
    split = split_samples(
        data.phenotype, data.binary, config.validation, config.test, config.training.seed, data.relatives
    )
    vocabulary = build_vocabulary(cohort, config.encoding or default_encoding(cohort), split.training)
    by_feature = config.training.attention == "feature"
    features = token_features(cohort.sites, vocabulary) if by_feature else None
    ladder = None
    if config.auto_order or config.auto_link:
        ladder = climb(
            vocabulary, data, split, config.training,
            orders=_orders(config, vocabulary.n_sites), links=_links(config), budget_s=config.budget,
            n_members=config.ensemble, features=features, run=ours,
        )  # fmt: skip
        config = replace(config, training=ladder.config)
    if ladder is not None and ladder.trained is not None and run.trainer is None:
        measured = ladder.trained
    else:
        kind = chosen_likelihood(config.training.likelihood, data.phenotype, data.binary)
        choice = choose_estimator(vocabulary, config.training, kind, len(split.training))
        learned = None if ladder is None else ladder.learned
        measured = train_readout(vocabulary, data, split, config.training, features, run, choice, learned)
    _log.info("estimator: %s (%s)", measured.choice.estimator, measured.choice.reason)
    trained = _exported(cohort, config, measured, data, features, run)
    metrics, predictions = exported_metrics(cohort, measured, trained, data, features, ours, config.assess)
    n_final = len(trained.split.training)
    inflation = training_inflation(measured, data, n_final) if cohort.kind == "sequence" else 1.0
    unsought = _why_no_signals(cohort, config)
    discovery = None if unsought or cohort.kind == "sequence" else _discovery(cohort, config, run)
    with phase(run.progress and config.ensemble > 0, "training an ensemble"):
        members = _ensemble(cohort, config, trained, data, features, ours)
    with phase(run.progress, "testing terms"):
        tested, left_out = _tested(cohort, config, trained, data, discovery, members, inflation)
    tested = replace(tested, signals=unsought)
    with phase(run.progress, "making the table"):
        expansion = Expansion(readout_factors(trained.readout, trained.vocabulary), config.gauge)
        manifest = _manifest(cohort, config, trained, expansion, tested, left_out, ladder, discovery)
        table = InteractionTable(table_rows(expansion, cohort.sites, tested, manifest.order), manifest)
        variance = variance_table(expansion.model, None if data.binary else float(data.phenotype.var()))
        intervals = None
        if members or trained.posterior is not None:
            intervals = coefficient_intervals(table.frame, len(members))
    quantiles = None if cohort.phenotype is None else cohort.phenotype.quantiles
    stored = trained.posterior if isinstance(trained.posterior, Posterior) else None
    model = FittedModel(trained.readout, tested, manifest, stored, quantiles)
    own = cohort_variance(cohort, config.training.seed, run.progress) if config.assess else None
    return FitResult(model, table, metrics, variance, predictions, discovery, intervals, ladder, own)


def _orders(config: FitConfig, n_sites: int) -> tuple[int, ...]:
    """Orders to be compared: from 1 up, or the one asked for."""
    if not config.auto_order:
        return (config.training.order,)
    return tuple(range(1, min(HIGHEST_ORDER, n_sites) + 1))


def _links(config: FitConfig) -> tuple[LinkKind, ...]:
    """Links to be compared: none and a curve, or the one asked for; ``bounded`` with none too."""
    link = config.training.link
    if config.auto_link or link == "bounded":
        return ("none", "bounded" if link == "bounded" else "monotone")
    return (link,)


def _exported(
    cohort: Cohort,
    config: FitConfig,
    measured: Trained,
    data: TrainingData,
    features: TokenFeatures | None,
    run: TrainingRun,
) -> Trained:
    """The model trained again on all samples where that is asked for, or pays; else the measured one.

    It pays in landscapes, and where samples are scarce (a ``score`` start); what a user's Trainer trained
    stays. The number of epochs, and of ranks where they are random, is that of the measured model.
    """
    summary, refit = measured.summary, config.refit
    if refit is None and run.trainer is None:
        refit = summary.start in ("score", "kernel", "product") or (
            summary.start == "random" and cohort.kind == "sequence"
        )
    if not refit or len(measured.split.training) == cohort.n_samples:
        return measured
    split = Split(np.arange(cohort.n_samples), np.arange(0), np.arange(0))
    vocabulary = build_vocabulary(cohort, measured.vocabulary.encoding)
    training = replace(config.training, max_epochs=summary.best_epoch)
    if summary.start == "random" and summary.ranks:
        training = replace(training, rank=max(summary.ranks.values()))
    ours = replace(run, trainer=None)
    final = train_readout(
        vocabulary, data, split, training, features, ours, measured.choice, measured.learned
    )
    summary = replace(summary, ranks=final.summary.ranks, noise=final.summary.noise)
    return replace(final, summary=summary)


def _ensemble(
    cohort: Cohort,
    config: FitConfig,
    trained: Trained,
    data: TrainingData,
    features: TokenFeatures | None,
    run: TrainingRun,
) -> list[Factors]:
    """Models of a landscape on bootstrap samples, where asked for and without a posterior."""
    if not config.ensemble or cohort.kind != "sequence" or trained.posterior is not None:
        return []
    _log.info("training %d models on bootstrap samples", config.ensemble)
    v = trained.vocabulary
    drawn = train_ensemble(
        v, data, trained.split, trained.config, config.ensemble, features, replace(run, progress=False)
    )
    return [readout_factors(member, v) for member in drawn]


def _tested(
    cohort: Cohort,
    config: FitConfig,
    trained: Trained,
    data: TrainingData,
    discovery: Discovery | None,
    members: list[Factors],
    inflation: float,
) -> tuple[TestedTerms, dict[int, int]]:
    """Terms of the model with their estimates; and how many non-zero ones of each order are left out."""
    factors = readout_factors(trained.readout, trained.vocabulary)
    terms, left_out = collect_terms(Expansion(factors, "frequency"), config.max_terms)
    v = trained.vocabulary
    leads = np.zeros((0, 2), dtype=np.int64)
    if discovery is not None:
        leads = discovery.leads()
        listed = discovery.listed(config.max_terms) if v.is_dosage else leads
        terms[2] = np.unique(np.concatenate([terms[2], columns_at(v, listed)]), axis=0)
    _log.info("testing %s terms", ", ".join(f"{len(t):,} of order {k}" for k, t in terms.items() if k))
    fitted = FittedTerms(
        factors,
        data.calls,
        data.covariates,
        response_model(trained, data),
        inflation,
        trained.posterior,
        members,
        cohort.kind == "sequence",
        [tuple(lead) for lead in leads.tolist()] if v.is_dosage else [],
        data.environments,
    )
    tested = estimate_terms(fitted, terms, config.max_terms)
    if discovery is not None:
        tested = replace(tested, claims={2: discovery.claims(v.site[tested.terms[2]])})
    return tested, left_out


def _why_no_signals(cohort: Cohort, config: FitConfig) -> str:
    """Why signals are not tested among the pairs of a cohort of genotypes, logged; empty where they are."""
    reason = ""
    if cohort.kind == "sequence":
        return reason
    if config.training.order < 2:
        reason = "order 1 has no pairs"
    elif not config.assess:
        reason = "assess is off"
    else:
        reason = why_no_discovery(cohort)
    if reason:
        _log.info("signals are not tested, and pairs have no q-values: %s", reason)
    return reason


def _discovery(cohort: Cohort, config: FitConfig, run: TrainingRun) -> Discovery:
    """Signals among the pairs of a cohort of genotypes."""
    training = config.training
    with phase(run.progress, "testing signals"):
        return discover(
            cohort,
            alpha=config.alpha,
            strata=config.strata,
            seed=training.seed,
            max_rank=training.most_factors,
            halves=config.ensemble,
        )


def _manifest(
    cohort: Cohort,
    config: FitConfig,
    trained: Trained,
    expansion: Expansion,
    tested: TestedTerms,
    left_out: dict[int, int],
    ladder: Ladder | None,
    discovery: Discovery | None,
) -> Manifest:
    """Description of the table and the model."""
    phenotype, covariates = cohort.phenotype, cohort.covariates
    assert phenotype is not None
    likelihood, link = trained.summary.likelihood, config.training.link
    units = phenotype_units(phenotype.name, phenotype.transform, likelihood, link)
    return Manifest(
        trait=phenotype.name,
        units=units,
        binary=phenotype.binary,
        transform=phenotype.transform,
        gauge=config.gauge,
        order=expansion.model.order if trained.readout.product is not None else config.training.order,
        sites=cohort.sites,
        vocabulary=expansion.vocabulary,
        centre=expansion.centre,
        covariate_names=() if covariates is None else covariates.names,
        covariate_levels={} if covariates is None else covariates.levels,
        covariate_coefficients=trained.readout.covariate.detach().double().numpy(),
        n_tests=tested.n_tests(expansion),
        left_out=left_out,
        **describe_tests(tested, expansion, units),
        seed=config.training.seed,
        versions=package_versions(),
        inputs=input_records(cohort.source),
        model={
            **settings_record(config),
            **trained.summary.record(),
            **trained.choice.record(),
            **({} if ladder is None else ladder.record()),
            **({} if discovery is None else {"discovery": discovery.record()}),
            **environment_records(cohort.sites),
        },
        haploid=cohort.haploid if cohort.kind == "genotype" else None,
        dosages=cohort.dosages,
        flow=cohort.flow,
    )
