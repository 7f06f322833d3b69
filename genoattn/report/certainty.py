"""The first screen of a report: how sure its findings are, in sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd

from genoattn.inference.variance_text import sentence
from genoattn.report.claims import claimed_rows, interactions, level, n_samples, untested_signals
from genoattn.report.run_folder import RunFolder
from genoattn.report.wording import percent, plural, unit_note
from genoattn.views.performance import Performance
from genoattn.views.signals_near import credible_pairs
from genoattn.views.variance import cohort_rows, model_rows

_METRIC = {"r2": "R²", "auc": "area under the ROC curve", "d2": "share of the deviance explained"}
_POWER = 0.8


def sure(run: RunFolder, performance: Performance | None = None) -> list[str]:
    """How sure the findings are, in sentences; ``performance`` is that on unseen samples by order."""
    if run.kind == "scan":
        return _of_scan(run)
    said = [_of_claims(run), _of_credible(run), _of_predictions(run, performance)]
    said += [_of_pairs(run), _caution(run)]
    return [text for text in (*said, unit_note(run.manifest)) if text]


def _of_claims(run: RunFolder) -> str:
    """What a claim promises, and what listed rows are that are no claims."""
    listed, claimed = interactions(run), claimed_rows(run)
    # Rows that the model leaves at zero are listed for orientation.
    rest, said = int((listed["coefficient"] != 0).sum() - (claimed["coefficient"] != 0).sum()), []
    if len(claimed):
        guard = "" if run.get("signals") is None else ", additive effects of all sites allowed for"
        said.append(f"At most about {percent(level(run))} of such claims are expected to be false{guard}.")
        if not run.is_landscape:
            said.append("Sizes are adjusted for all sites of the model: raw groups can differ.")
    if rest > 0 and not untested_signals(run):
        said.append(f"{plural(rest, 'other interaction')} in the model, without a claim.")
    return " ".join(said)


def _of_credible(run: RunFolder) -> str:
    """How finely the first claimed signal is mapped, and whether it survives its neighbours."""
    signals = run.get("signals")
    if signals is None or run.is_landscape:
        return ""
    own = signals[(signals["q_value"] <= level(run)) & (signals["flag"].fillna("") != "phantom")]
    if not len(own):
        return ""
    row = own.iloc[0].to_dict()
    n = int(row["n_credible"])
    first = credible_pairs(own.iloc[:1])["probability"].iloc[0] if n else float("nan")
    text = f"The likeliest markers are {row['site_1']} x {row['site_2']} (probability {first:.2f}"
    text += f"; {n:,} pairs of linked markers hold 95 % of it" if n > 1 else ""
    text, survival = f"{text})", row.get("survival")
    if survival is not None and np.isfinite(survival):
        text += f"; {percent(survival)} of the signal remains when adjusted for all markers within 1 Mb"
    return f"{text}."


def metric_name(run: RunFolder) -> str:
    """``R²`` and so on."""
    return _METRIC.get(str(run.metrics.get("metric")), str(run.metrics.get("metric", "")))


def unseen(run: RunFolder) -> tuple[str, dict[str, float]] | None:
    """The part of samples that the model had not seen, and the metric by order there."""
    for part in ("test", "validation"):
        record = run.metrics.get(part)
        if isinstance(record, dict) and record.get("by_order"):
            values = {k: v for k, v in record["by_order"].items() if v is not None}
            return (part, values) if values else None
    return None


def _of_predictions(run: RunFolder, performance: Performance | None) -> str:
    """How well unseen samples are predicted, with and without interactions."""
    measured = unseen(run)
    if measured is None:
        return ""
    part, values = measured
    last, who = list(values)[-1], "variants" if run.is_landscape else "samples"
    n, value = run.metrics[part]["n_samples"], f"{metric_name(run)} {values[last]:.3f}"
    alone = values.get("1")
    text = f"{value} in {n:,} {who} that the model had not seen"
    if alone is None or last == "1":
        return f"Prediction: {text}."
    if values[last] <= alone:
        return f"Prediction: {text}, and {alone:.3f} without interactions, which do not help to predict."
    text = f"Prediction: {text}, {alone:.3f} without interactions"
    if performance is not None and len(performance.frame) == 2:
        low, high = (float(performance.frame[name].iloc[-1]) for name in ("gain_lower", "gain_upper"))
        text += f" (gain {values[last] - alone:.3f}, 95 % interval {low:.3f} to {high:.3f}"
        text += ": perhaps none)" if low <= 0 else ")"
    return f"{text}. {_share(run)}".rstrip()


def _share(run: RunFolder) -> str:
    """Share of interactions in the variance of the model, a sentence."""
    frame = run.get("variance_components")
    if frame is None or len(frame := model_rows(frame)) < 2:
        return ""
    order = pd.to_numeric(frame["order"], errors="coerce")
    share = frame["share_of_model"].to_numpy(dtype=np.float64)
    above = float(share[(order != 1).to_numpy()].sum())
    if not np.isfinite(above) or not share.sum():
        return ""
    return f"Interactions are {percent(above / share.sum())} of the variance that the model explains."


def _of_pairs(run: RunFolder) -> str:
    """Variance of all pairs of sites of the cohort together, empty where it was not estimated."""
    frame = run.get("variance_components")
    if frame is None:
        return ""
    rows = cohort_rows(frame)
    rows = rows[rows["component"] == "additive x additive"] if len(rows) else rows
    if not len(rows):
        return ""
    return f"All pairs of sites together, {sentence(rows.iloc[0].to_dict())}."


def _caution(run: RunFolder) -> str:
    if run.is_landscape:
        return (
            "Interaction in statistics is not contact or mechanism: a measurement that saturates mimics it, "
            "unless a link takes that up."
        )
    return (
        "Interaction in statistics is not mechanism: markers stand for their regions, and a curved scale of "
        "the trait mimics it."
    )


def _of_scan(run: RunFolder) -> list[str]:
    """What a scan's rows are guarded against, and what could have been found."""
    m, n = run.manifest, n_samples(run)
    what, lower = ("pair", "two main effects") if m.order == 2 else ("triple", "pairs and main effects")
    guarded = "" if m.order > 2 or run.is_landscape else "; genoattn fit tests its claims against these"
    background = m.model["scan"].get("background")
    said = [
        f"A scan tests each {what} with its {lower} and the covariates alone: population structure, an "
        f"untyped variant between two markers or a curved scale of the trait can make its rows{guarded}."
    ]
    if background:
        said = [
            "The pairs were tested with their main effects and the covariates against the additive effects "
            "of the genome, which relatives and populations share; an untyped variant between two markers or "
            f"a curved scale of the trait can still make rows{guarded}."
        ]
    if m.model["scan"].get("permutations"):
        said.append(
            f"{plural(m.model['scan']['permutations'], 'permutation')} of the trait set a 5 % threshold of "
            f"p = {run.scan.get('permutation_p', float('nan')):.2g}."
        )
    least = smallest_found(n, m.n_tests.get(m.order, 0))
    plain = m.order == 2 and m.model["scan"].get("test") == "additive" and not background
    if least is not None and not m.binary and plain:
        said.append(
            f"With {plural(n, 'sample')} an interaction that explains {percent(least)} of the variance not "
            "explained by its main effects passes Bonferroni's threshold with 80 % power; smaller ones are "
            "mostly missed."
        )
    return [text for text in (*said, unit_note(m)) if text]


def smallest_found(n_samples: int, n_tests: int, alpha: float = 0.05) -> float | None:
    """Partial R² of a product that t passes Bonferroni's threshold for with a power of 0.8.

    The t statistic of one column among four (intercept, two sites, their product) has noncentrality
    ``sqrt(n r2 / (1 - r2))`` (Cohen 1988). None for fewer than 10 samples or no test.
    """
    from scipy import optimize, stats

    if n_samples < 10 or n_tests < 1:
        return None
    df = n_samples - 4
    bound = stats.t.isf(alpha / n_tests / 2, df)

    def lack(shift: float) -> float:
        return float(stats.nct.sf(bound, df, shift)) - _POWER

    highest = bound + 5.0
    while lack(highest) < 0:  # with few degrees of freedom t is far from normal
        highest *= 2
    shift = optimize.brentq(lack, 0.0, highest)
    return shift**2 / (shift**2 + n_samples)
