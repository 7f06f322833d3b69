"""Sections of a report on the model: prediction by order, in points and intervals, and variance by order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from genoattn.errors import InputError
from genoattn.inference.variance_text import sentence
from genoattn.report.certainty import metric_name, unseen
from genoattn.report.document import Column, DataTable, Figure, Section
from genoattn.report.run_folder import RunFolder
from genoattn.report.traces import BLUE, GREY, ORANGE, axis, line, markers, plain, reach
from genoattn.report.wording import percent, plural
from genoattn.views.performance import (
    Performance,
    interval_calibration,
    observed_predicted,
    performance_by_order,
    reliability,
)
from genoattn.views.variance import cohort_rows, variance_by_order

_PARTS = {
    "cross-fitted": "samples, each predicted by a model that had not seen it",
    "test": "samples of the test part, which the model had not seen",
    "validation": "samples of the validation part, which stopped the training",
}


def order_name(order: str) -> str:
    """``main effects``, ``up to pairs`` of a model cut at an order."""
    names = {"0": "covariates", "1": "main effects alone", "2": "up to pairs", "3": "up to triples"}
    return names.get(order, "all orders" if order == "all" else f"up to order {order}")


def performance_section(run: RunFolder, performance: Performance | None, seed: int = 0) -> Section | None:
    """Prediction of unseen samples by the model cut at each order."""
    predictions = run.get("predictions")
    figures = [_order_figure(run, performance)] if performance is not None or unseen(run) else []
    if predictions is not None and performance is not None:
        figures += _points(run, predictions, seed)
    tables = [table] if (table := _orders_table(run)) is not None else []
    if not figures and not tables:
        return None
    said = [_said(run, performance)] if figures else []
    return Section("performance", "How well the model predicts", said, figures, tables)


def prediction_by_order(run: RunFolder, seed: int = 0) -> Performance | None:
    """Metric of the model cut at each order with intervals; None where no sample is held out."""
    predictions = run.get("predictions")
    if predictions is None or run.metrics.get("metric") not in ("r2", "auc", "d2"):
        return None
    names = list(unseen(run)[1]) if unseen(run) is not None else []  # type: ignore[index]
    last = names[-1] if names else None
    try:
        found = performance_by_order(predictions, run.metrics["metric"], last, n_resamples=200, seed=seed)
    except InputError:  # no sample is held out
        return None
    return replace(found, frame=found.frame[found.frame["order"] != "0"].reset_index(drop=True))


def _values(run: RunFolder, performance: Performance | None) -> pd.DataFrame:
    """``order``, ``value``, ``lower``, ``upper``; without intervals where predictions are missing."""
    if performance is not None:
        return performance.frame
    measured = unseen(run)
    assert measured is not None
    values = {k: v for k, v in measured[1].items() if k != "0"}
    frame = pd.DataFrame({"order": list(values), "value": list(values.values())})
    return frame.assign(lower=np.nan, upper=np.nan, gain=frame["value"].diff(), gain_lower=np.nan)


def _said(run: RunFolder, performance: Performance | None) -> str:
    frame = _values(run, performance)
    value = f"{metric_name(run)} {frame['value'].iloc[-1]:.3f}"
    if len(frame) == 1:
        return f"The model gives {value} in samples that it had not seen."
    gain, first = frame.iloc[-1], frame.iloc[0]
    if abs(gain["value"] - first["value"]) < 1e-9:
        return f"The model gives {value}; its interactions, if any, change no prediction."
    text = f"The complete model gives {value}, {order_name(first['order'])} {first['value']:.3f}"
    difference = f"{gain['value'] - first['value']:+.3f}"
    if len(frame) == 2 and np.isfinite(gain["gain_lower"]):
        helps = "" if gain["gain_lower"] > 0 else ", which does not exclude that interactions add nothing"
        return f"{text}: {difference} ({gain['gain_lower']:+.3f} to {gain['gain_upper']:+.3f}, 95 %){helps}."
    return f"{text}: {difference}."


def _order_figure(run: RunFolder, performance: Performance | None) -> Figure:
    frame = _values(run, performance)
    names = [order_name(str(k)) for k in frame["order"]]
    bar: dict[str, Any] = {"type": "bar", "x": names, "y": plain(frame["value"]), "marker": {"color": BLUE},
                           "text": [f"{v:.3f}" for v in frame["value"]], "textposition": "none",
                           "name": metric_name(run)}  # fmt: skip
    if frame["lower"].notna().any():
        bar["error_y"] = reach(frame["value"], frame["lower"], frame["upper"])
    said = "; ".join(
        f"{name} {v:.3f}" + (f" ({a:.3f} to {b:.3f})" if np.isfinite(a) else "")
        for name, v, a, b in zip(names, frame["value"], frame["lower"], frame["upper"], strict=True)
    )
    if performance is not None:
        who = f"{performance.n_samples:,} {_PARTS.get(performance.part, performance.part)}"
    else:
        part, _ = unseen(run)  # type: ignore[misc]
        count = run.metrics[part]["n_samples"]
        who = f"{count:,} {_PARTS['cross-fitted' if 'test_folds' in run.metrics else part]}"
    ceiling = run.metrics.get("noise_ceiling")
    text = f"{metric_name(run)} of {who}: {said}."
    traces = [bar]
    if ceiling is not None:
        text += f" Measurement noise allows {ceiling:.3f} at most."
        traces.append({"type": "scatter", "mode": "lines", "x": names, "y": [ceiling] * len(names),
                       "name": "noise ceiling", "line": {"color": GREY, "dash": "dash"}})  # fmt: skip
    note = "Bars are 95 % intervals over resampled samples." if "error_y" in bar else ""
    layout = {"yaxis": axis(metric_name(run), rangemode="tozero"), "showlegend": ceiling is not None}
    return Figure("orders", "Prediction by order of interaction", text, traces, layout, note)


def _points(run: RunFolder, predictions: pd.DataFrame, seed: int) -> list[Figure]:
    """Observed against predicted, and whether intervals or probabilities hold what they promise."""
    if run.manifest.binary:
        return [_reliability(predictions)]
    trait = run.manifest.trait
    frame = observed_predicted(predictions, max_points=1500, seed=seed)
    ends = [float(min(frame["observed"].min(), frame["predicted"].min()))]
    ends.append(float(max(frame["observed"].max(), frame["predicted"].max())))
    correlation = float(np.corrcoef(frame["observed"], frame["predicted"])[0, 1])
    points = markers(frame["predicted"], frame["observed"], "samples", BLUE, 5, text=frame["IID"].tolist())
    figure = Figure(
        "observed", "Observed against predicted",
        f"{plural(len(frame), 'sample')} that the model had not seen; correlation {correlation:.3f}.",
        [points, line(ends, ends, "equal", GREY, "dash")],
        {"xaxis": axis(f"predicted {trait}"), "yaxis": axis(f"observed {trait}")},
        "Points on the dashed line are predicted exactly; a bend is a scale that the model lacks.",
    )  # fmt: skip
    try:
        return [figure, _calibration(interval_calibration(predictions))]
    except InputError:  # no standard deviations, as of counts
        return [figure]


def _calibration(frame: pd.DataFrame) -> Figure:
    at = frame[frame["nominal"] == 0.9].iloc[0]
    return Figure(
        "calibration", "Do intervals hold what they promise?",
        f"Of {plural(int(at['n']), 'unseen sample')} {percent(at['share'])} lie within their 90 % interval "
        f"(95 % interval of that share: {percent(at['lower'])} to {percent(at['upper'])}).",
        [
            markers(frame["nominal"], frame["share"], "found", BLUE, 7,
                    error_y=reach(frame["share"], frame["lower"], frame["upper"])),
            line([0, 1], [0, 1], "as promised", GREY, "dash"),
        ],
        {"xaxis": axis("level of the interval", tickformat=".0%"),
         "yaxis": axis("share of samples inside", tickformat=".0%")},
        "Points below the line: intervals are too narrow; above it: too wide.",
    )  # fmt: skip


def _reliability(predictions: pd.DataFrame) -> Figure:
    frame = reliability(predictions)
    low, high = frame.iloc[0], frame.iloc[-1]
    return Figure(
        "reliability", "Predicted probability against share of cases",
        f"Of unseen samples with the lowest predictions (mean {percent(low['predicted'])}) "
        f"{percent(low['share'])} are cases, of those with the highest ({percent(high['predicted'])}) "
        f"{percent(high['share'])}.",
        [
            markers(frame["predicted"], frame["share"], "tenths of the samples", BLUE, 7,
                    error_y=reach(frame["share"], frame["lower"], frame["upper"])),
            line([0, 1], [0, 1], "equal", GREY, "dash"),
        ],
        {"xaxis": axis("predicted probability", tickformat=".0%"),
         "yaxis": axis("share of cases", tickformat=".0%")},
        "On the dashed line probabilities are right.",
    )  # fmt: skip


def _orders_table(run: RunFolder) -> DataTable | None:
    """Models that were compared by their prediction of held-out samples."""
    frame = run.get("orders")
    if frame is None or not len(frame):
        return None
    columns = [
        Column("order", "Order"),
        Column("link", "Link", help="Curve between the sum of effects and the measurement."),
        Column("score", "Score", "number", "1 - loss / loss of the mean, on held-out samples."),
        Column("lower", "90 % from", "number"),
        Column("upper", "to", "number"),
        Column("chosen", "Chosen"),
    ]
    rows = [
        [str(r["order"]), str(r["link"]), *plain([r["score"], r["lower"], r["upper"]], 4),
         "yes" if str(r["chosen"]) == "True" else ""]
        for r in frame.to_dict("records")
    ]  # fmt: skip
    return DataTable("tried", "Models compared", columns, rows, "orders.tsv")


def variance_section(run: RunFolder, performance: Performance | None) -> Section | None:
    """Variance by order, with what each order adds to prediction."""
    components = run.get("variance_components")
    if components is None or not len(components):
        return None
    frame = variance_by_order(components, performance)
    names = [_variance_name(str(k)) for k in frame["order"]]
    whole = "share_of_phenotype" if "share_of_phenotype" in frame else "share_of_model"
    share = frame[whole]
    of = "the phenotype's variance" if whole == "share_of_phenotype" else "the variance of the model"
    bars: list[dict[str, Any]] = [
        {"type": "bar", "x": names, "y": plain(share), "name": "variance of the model's terms",
         "marker": {"color": BLUE}}
    ]  # fmt: skip
    texts = [f"{n} {percent(s)}" for n, s in zip(names, share, strict=True) if np.isfinite(s)]
    said = f"Share of {of}: {', '.join(texts)}." if texts else ""
    note = "Variance that the terms of an order have when sites are independent, at the training frequencies."
    if frame["gain"].notna().any() and run.metrics.get("metric") == "r2" and whole == "share_of_phenotype":
        bars.append(
            {"type": "bar", "x": names, "y": plain(frame["gain"]), "name": "gain in R² of unseen samples",
             "marker": {"color": ORANGE},
             "error_y": reach(frame["gain"], frame["gain_lower"], frame["gain_upper"])}
        )  # fmt: skip
        said += " Orange bars are what each order adds to R² of samples that the model had not seen, with "
        said += "95 % intervals: the part that is certain to be there."
    else:
        said += " These are the model's own figures; they have no interval in this folder."
    layout = {"yaxis": axis("share of the variance", tickformat=".0%"), "barmode": "group"}
    figure = Figure("variance", "Variance by order", said.strip(), bars, layout, note)
    return Section("variance", "Variance by order of interaction", _of_cohort(components), [figure])


def _of_cohort(components: pd.DataFrame) -> list[str]:
    """Variance components of the cohort in sentences."""
    rows = cohort_rows(components).to_dict("records")
    if not rows:
        return []
    head = (
        "Variance of the trait after covariates that all sites of the cohort have together, whether or not "
        "the model found it (method of moments on pairs of samples):"
    )
    return [f"{head} {'. '.join(sentence(row) for row in rows)}."]


def _variance_name(order: str) -> str:
    names = {"1": "main effects", "2": "pairs", "3": "triples"}
    return names.get(order, f"order {order}" if order.isdecimal() else f"orders {order}")
