"""Fits and models in a notebook: what was fitted, how well it predicts, the first rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genoattn.html_text import Html, columns_table, facts, listed, panel, say
from genoattn.interactions.table_html import described, first_rows, trait_name

if TYPE_CHECKING:
    from genoattn.fitting.epistasis_module import EpistasisModule
    from genoattn.fitting.fit_result import FitResult
    from genoattn.fitting.fitted_model import FittedModel
    from genoattn.fitting.metrics import Metrics

_ROWS = 6
_ORDERS = 6  # columns of the quality table


def fit_html(result: FitResult) -> Html:
    """See :class:`genoattn.FitResult`."""
    shares = zip(result.variance["order"], result.variance["share_of_model"], strict=True)
    rows: list[tuple[str, object]] = [
        *described(result.manifest),
        ("variance", listed([f"order {k}: {share:.1%} of the model's" for k, share in shares], _ORDERS)),
    ]
    if result.ladder is not None:
        rows.append(("order", say("chosen: {}, link {}, {}", *_chosen(result))))
    if result.discovery is not None:
        rows.append(("claims", result.discovery.headline()))
    quality = _quality(result.metrics)
    return panel(
        say("Fit of {}", trait_name(result.manifest)), facts(rows), quality, *first_rows(result.table, _ROWS)
    )


def _chosen(result: FitResult) -> tuple[object, ...]:
    assert result.ladder is not None
    return result.ladder.order, result.ladder.link, result.ladder.reason


def _quality(metrics: Metrics) -> Html:
    """A row for each part of the samples, a column for the model cut at each order."""
    label = {"r2": "R²", "auc": "AUC", "d2": "D²"}[metrics.name]
    columns: dict[str, list[object]] = {
        f"{label} of": list(metrics.by_order),
        "samples": [f"{metrics.n_samples[part]:,}" for part in metrics.by_order],
    }
    highest = max(map(len, metrics.by_order.values()))
    names = metrics.orders or range(highest)
    for k in list(range(1, highest))[-_ORDERS:]:
        columns[f"order {names[k]}"] = [f"{values[k]:.3f}" for values in metrics.by_order.values()]
    notes = [f"test: every sample by a model of the others, in {metrics.n_folds} folds"] * bool(
        metrics.n_folds
    )
    if metrics.ceiling is not None:
        notes.append(f"noise ceiling of the test samples: {metrics.ceiling:.3f}")
    return Html(
        columns_table(columns, (f"{label} of",)) + say("<div>{}</div>", "; ".join(notes)) * bool(notes)
    )


def model_html(model: FittedModel) -> Html:
    """See :class:`genoattn.fitting.fitted_model.FittedModel`."""
    m = model.manifest
    terms = [f"{len(terms):,} of order {k}" for k, terms in model.tested.terms.items() if k]
    interval = "none" if model.posterior is None else "of the value without noise, 90 %"
    rows = [
        *described(m),
        ("chosen", m.model.get("chosen_because") or m.model.get("reason")),
        ("terms", listed(terms)),
        ("effects", m.tests.get("method")),
        ("intervals of predictions", interval),
        ("files", listed([record["file"] for record in m.inputs.values()])),
        ("made by", f"genoattn {m.versions.get('genoattn', 'unknown')}, seed {m.seed}"),
    ]
    return panel(say("Fitted model of {}", trait_name(m)), facts(rows))


def module_html(module: EpistasisModule) -> Html:
    """See :class:`genoattn.EpistasisModule`."""
    readout, d, settings = module.readout, module.described, module.training_settings
    ranks = [f"{rank} of order {order}" for order, rank in readout.ranks.items()]
    trait = d.trait if d.transform == "none" else say("{} of {}", d.transform, d.trait)
    n_parameters = sum(p.numel() for p in module.parameters() if p.requires_grad)
    rate = (
        f"{settings.optimizer if isinstance(settings.optimizer, str) else 'a function'}, rate {settings.lr:g}"
    )
    rows = [
        ("sites", f"{len(module.sites):,}, {module.vocabulary.encoding} encoding"),
        ("factors", listed(ranks)),
        ("link", readout.link_kind),
        ("likelihood", module.likelihood.kind),
        ("covariates", listed(d.covariate_names)),
        (
            "parameters",
            f"{n_parameters:,}, {str(readout.bias.dtype).removeprefix('torch.')}, on {module.device}",
        ),
        ("optimiser", rate),
        ("table", Html("<code>interaction_table(gauge, cohort)</code>, once it is trained")),
    ]
    return panel(say("Epistasis module for {}", trait), facts(rows))
