"""Settings of a fit, checked before any work is done."""

import os
import sys
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from genoattn.errors import InputError
from genoattn.model.link import LINKS
from genoattn.model.own_trainer import known_precision
from genoattn.model.train_config import ESTIMATORS, PRECISIONS, TrainConfig
from genoattn.tokens import Encoding
from genoattn.tokens.gauge_centre import GAUGES, Gauge


@dataclass(frozen=True)
class FitConfig:
    """Settings of a fit.

    Parameters
    ----------
    training
        Order, estimator, rank, optimisation, device and seed.
    encoding
        ``dosage`` or ``genotype`` for genotypes, ``sequence`` for alignments; None for dosage or sequence.
    gauge
        Of the table: ``frequency``, ``zero-sum`` or ``reference``.
    validation, test
        Shares of the samples that stop the training and that measure it. Without either the training is not
        stopped, and goes on for ``max_epochs``, or for the number that suits dense factors.
    refit
        Whether the exported model is trained again on all samples, for the number of epochs that
        suited the training samples best; None to do so for all landscapes, and where samples are scarce (a
        ``sparse`` estimator). The metrics are of the model that never saw the test samples; of a refitted
        ``sparse`` estimator that costs little, of five models that leave out a fifth of all samples each.
    max_terms
        Most interaction terms reported for an order, the largest coefficients first.
    alpha
        False discovery rate at which a cohort's pairs are claimed.
    strata
        A covariate, whose groups of samples may differ in the noise of the trait: the samples of one stand
        for each other where the trait is resampled to tell how many signals are false; None for one group.
    ensemble
        Of a cohort, random halves of the samples that tell how stable the choice of pairs is; of a landscape,
        models on bootstrap samples that give every coefficient an interval; 0 for none.
    auto_order
        Whether to choose the order, all orders at once included, by a ladder of models (``order="auto"``);
        None to do so for alignments where neither an order nor a way to fit it is asked for.
    auto_link
        Whether the ladder fits each order with a link and without (``link="auto"``); None where no link was
        asked for.
    assess
        Whether the model is measured in folds where that costs little, and signals are tested among the pairs
        of a cohort. Without, metrics are of the parts there are, and such pairs have no q-values.
    budget
        Seconds for the ladder and the training on all samples: models with which these are expected to end
        later are not tried.

    Examples
    --------
    >>> import genoattn
    >>> config = genoattn.FitConfig(gauge="reference", alpha=0.1)
    >>> config.training.order, config.test
    (2, 0.15)
    """

    training: TrainConfig = field(default_factory=TrainConfig)
    encoding: Encoding | None = None
    gauge: Gauge = "frequency"
    validation: float = 0.15
    test: float = 0.15
    refit: bool | None = None
    max_terms: int = 50_000
    alpha: float = 0.05
    strata: str | None = None
    ensemble: int = 0
    auto_order: bool | None = None
    auto_link: bool | None = None
    assess: bool = True
    budget: float = 240.0


def with_options(config: FitConfig, options: dict[str, Any]) -> FitConfig:
    """Settings given by name, put where they belong; order ``auto`` and ``all``, and link ``auto``, too."""
    options = dict(options)
    if options.get("order") is not None:
        order = options.pop("order")
        options |= {"auto_order": order == "auto"}
        options |= {"attention": "product"} if order == "all" else {} if order == "auto" else {"order": order}
    if options.get("link") is not None:
        link = options.pop("link")
        options |= {"auto_link": link == "auto"} | ({} if link == "auto" else {"link": link})
    options = {k: v for k, v in options.items() if v is not None or k not in ("order", "link")}
    training = {k: v for k, v in options.items() if k in TrainConfig.__dataclass_fields__}
    own = {k: v for k, v in options.items() if k in FitConfig.__dataclass_fields__}
    unknown = set(options) - set(training) - set(own)
    if unknown:
        names = sorted({*FitConfig.__dataclass_fields__, *TrainConfig.__dataclass_fields__} - {"training"})
        raise TypeError(f"fit() got an unknown setting {sorted(unknown)[0]!r}; known are {', '.join(names)}")
    config = replace(config, **own)
    settings = replace(config.training, **training)
    settings = replace(settings, precision=known_precision(settings.precision))
    return replace(config, training=settings)


def check_settings(config: FitConfig) -> None:
    """Refuse at once what would fail only after the training, or be taken for something else."""
    training = config.training
    choices: dict[str, tuple[object, tuple[object, ...]]] = {
        "gauge": (config.gauge, GAUGES),
        "estimator": (training.estimator, ESTIMATORS),
        "link": (training.link, LINKS),
        "precision": (training.precision, PRECISIONS),
        "device": (training.device, ("auto", "cpu", "cuda", "mps")),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise InputError(f"{name} {value!r} is unknown; choose one of {', '.join(map(str, allowed))}")
    _check_device(training)
    if not 0 < config.alpha < 1:
        raise InputError(f"alpha is {config.alpha}; it must lie between 0 and 1")
    least = {"rank": 1, "max_epochs": 1, "patience": 0, "penalty": 0, "max_terms": 1}
    for name, bound in least.items():
        value = getattr(config if name == "max_terms" else training, name)
        if value is not None and not bound <= value < float("inf"):
            raise InputError(f"{name} is {value}; it must be {bound} or more, and finite")
    if config.ensemble < 0 or config.ensemble == 1:
        raise InputError(f"ensemble is {config.ensemble}; it must be 0, or 2 and more")
    if (config.auto_order or config.auto_link) and not config.validation > 0:
        raise InputError("order auto compares models on validation samples, but their share is 0; give some")
    if not config.budget > 0:
        raise InputError(f"budget is {config.budget}; it must be more than 0 seconds")
    if not 0 <= training.seed < 2**32:
        raise InputError(f"seed is {training.seed}; it must be from 0 to {2**32 - 1}")


def _check_device(training: TrainConfig) -> None:
    """Refuse a device that is not there, or too many, or one that lacks the precision."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    device, precision = training.device, training.precision
    if device == "auto":
        device = next(name for name in ("mps", "cuda", "cpu") if available[name])
    if not available[device]:
        raise InputError(f"device {device!r} is not available here; use cpu or auto")
    if (device, precision) in (("cpu", "16-mixed"), ("mps", 64)):
        others = ", ".join(
            str(p) for p in PRECISIONS if p != precision and (device, p) != ("cpu", "16-mixed")
        )
        raise InputError(f"precision {precision} is not available on {device}; use one of {others}")
    there = {"cuda": torch.cuda.device_count, "mps": lambda: 1, "cpu": lambda: os.cpu_count() or 1}[device]()
    if training.devices > 1 and (hasattr(sys, "ps1") or sys.flags.interactive):
        raise InputError(
            f"devices is {training.devices}, each of which runs the script from its beginning, "
            "and a notebook or a prompt has none; use a script or the command"
        )
    if not 1 <= training.devices <= there:
        raise InputError(
            f"devices is {training.devices}, but of {device} there are {there}; give 1 to {there}"
        )


def with_ladder(config: FitConfig, is_sequence: bool) -> FitConfig:
    """Whether a ladder is climbed, where the settings leave that open."""
    training = config.training
    plain = training.estimator == "auto" and training.attention == "hyper" and training.rank is None
    auto_order = config.auto_order
    if auto_order is None:
        auto_order = is_sequence and plain and config.validation > 0
    auto_link = auto_order if config.auto_link is None else config.auto_link
    return replace(config, auto_order=auto_order, auto_link=auto_link)


def settings_record(config: FitConfig) -> dict[str, Any]:
    settings = asdict(config)
    return {**settings.pop("training"), **settings}
