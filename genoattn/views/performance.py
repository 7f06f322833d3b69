"""How well samples that the model had not seen are predicted: by order, in intervals, point by point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genoattn.errors import InputError
from genoattn.fitting.metrics import auc, d2, r2

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_SCORES = {"r2": r2, "auc": auc, "d2": d2}
_NEEDED = ("IID", "part", "observed", "predicted")


@dataclass(frozen=True, eq=False)
class Performance:
    """Prediction of held-out samples by the model cut at each order.

    Parameters
    ----------
    frame
        One row an order: ``order`` (``0``, covariates alone if any, ``1``, ``2``, ..; the last row is the
        complete model), ``value`` of the metric with ``lower`` and ``upper`` (95 %, over resampled samples),
        and ``gain`` over the row before with ``gain_lower`` and ``gain_upper``, resampled together; empty in
        the first row.
    metric
        ``r2``, ``auc`` or ``d2``.
    n_samples
        Held-out samples.
    part
        What they are: ``test``, ``validation`` (where there is no test part), or ``cross-fitted``.
    """

    frame: pd.DataFrame
    metric: str
    n_samples: int
    part: str


def read_predictions(folder: str | Path) -> pd.DataFrame:
    """``predictions.tsv`` of the output folder of a fit.

    Raises
    ------
    InputError
        Where the folder has none, as those of older versions, or it is not one.
    """
    path = Path(folder) / "predictions.tsv"
    if not path.is_file():
        raise InputError(f"{path}: no such file; older versions wrote none: fit again")
    text = {"IID": str, "FID": str, "part": str}
    # An ID may well be called NA.
    numbers = {str(c): [""] for c in pd.read_csv(path, sep="\t", nrows=0) if c not in text}
    frame = pd.read_csv(path, sep="\t", dtype=text, keep_default_na=False, na_values=numbers)
    absent = [name for name in _NEEDED if name not in frame]
    if absent:
        raise InputError(f"{path}: no column {absent[0]}; fit again, and leave the file as it was written")
    return frame


def held_out(predictions: pd.DataFrame) -> pd.DataFrame:
    """Rows of samples that their model had not seen: folds, else the test part, else validation.

    Validation samples stopped the training, so that they count only where there is nothing better.
    """
    part = predictions["part"].astype(str)
    for chosen in (part.str.startswith("fold"), part == "test", part == "validation"):
        if chosen.any():
            return predictions[chosen]
    return predictions.iloc[:0]


def performance_by_order(
    predictions: pd.DataFrame,
    metric: str = "r2",
    last: str | None = None,
    n_resamples: int = 500,
    seed: int = 0,
) -> Performance:
    """Metric of the model cut at each order on held-out samples, with 95 % intervals.

    Parameters
    ----------
    predictions
        As of :func:`read_predictions`.
    metric
        ``r2`` (1 - RSS / TSS), ``auc`` of a binary trait, ``d2`` of counts.
    last
        Name of the complete model's row; the order after the last cut one by default.
    n_resamples, seed
        Bootstrap over samples.

    Raises
    ------
    InputError
        Where no sample is held out.
    """
    frame = held_out(predictions)
    if not len(frame):
        raise InputError("no sample of predictions.tsv is held out; fit with a test part")
    cut = sorted((c for c in frame if str(c).startswith("order_")), key=lambda c: int(str(c)[6:]))
    if "order_0" in cut and (frame.groupby("part")["order_0"].nunique() <= 1).all():
        cut = cut[1:]  # a constant: there are no covariates
    names = [str(c)[6:] for c in cut]
    names.append(last or str(int(names[-1]) + 1 if names else 1))
    observed = frame["observed"].to_numpy(dtype=np.float64)
    predicted = frame[[*cut, "predicted"]].to_numpy(dtype=np.float64)
    score, rng = _SCORES[metric], np.random.default_rng(seed)
    value = np.array([score(observed, p) for p in predicted.T])
    drawn = np.empty((n_resamples, len(names)))
    for k in range(n_resamples):
        chosen = rng.integers(0, len(observed), len(observed))
        drawn[k] = [score(observed[chosen], p) for p in predicted[chosen].T]
    out = pd.DataFrame({"order": names, "value": value})
    out["lower"], out["upper"] = _middle(drawn)
    out["gain"] = np.concatenate([[np.nan], np.diff(value)])
    gain = _middle(np.diff(drawn, axis=1))
    for name, bound in zip(("gain_lower", "gain_upper"), gain, strict=True):
        out[name] = np.concatenate([[np.nan], bound])
    return Performance(out, metric, len(frame), _part(frame))


def _middle(drawn: np.ndarray) -> np.ndarray:
    """Limits of the middle 95 % of resampled values, (2, n_columns); NaN of none."""
    if not drawn.shape[1]:
        return np.zeros((2, 0))
    with np.errstate(invalid="ignore"):
        return np.nanquantile(drawn, [0.025, 0.975], axis=0)


def _part(frame: pd.DataFrame) -> str:
    part = str(frame["part"].iloc[0])
    return "cross-fitted" if part.startswith("fold") else part


def interval_calibration(predictions: pd.DataFrame, levels: tuple[float, ...] = LEVELS) -> pd.DataFrame:
    """Share of held-out samples inside the expected interval, predicted +- z sd, by its nominal level.

    Returns
    -------
    One row a level: ``nominal``, ``share``, ``lower`` and ``upper`` (95 %, Wilson's), ``n``.

    Raises
    ------
    InputError
        Where predictions have no standard deviation, as those of binary traits and counts.
    """
    from scipy import stats

    frame = held_out(predictions)
    sd = frame["sd"].to_numpy(dtype=np.float64) if "sd" in frame else np.full(len(frame), np.nan)
    known = np.isfinite(sd) & (sd > 0)
    if not known.any():
        raise InputError("no held-out prediction has a standard deviation; intervals cannot be checked")
    away = (frame["observed"] - frame["predicted"]).abs().to_numpy(dtype=np.float64)[known] / sd[known]
    inside = [int((away <= stats.norm.ppf(0.5 + level / 2)).sum()) for level in levels]
    return pd.DataFrame([{"nominal": a, **_share(k, len(away))} for a, k in zip(levels, inside, strict=True)])


def reliability(predictions: pd.DataFrame, n_bins: int = 10) -> pd.DataFrame:
    """Share of cases by predicted probability, held-out samples in bins of even size.

    Returns
    -------
    One row a bin: ``predicted`` (mean), ``share`` of cases, ``lower`` and ``upper`` (95 %, Wilson's), ``n``.
    """
    frame = held_out(predictions).sort_values("predicted", kind="stable")
    parts = np.array_split(np.arange(len(frame)), min(n_bins, max(len(frame), 1)))
    rows = []
    for part in parts:
        if len(part):
            some = frame.iloc[part]
            share = _share(int(some["observed"].sum()), len(some))
            rows.append({"predicted": float(some["predicted"].mean()), **share})
    return pd.DataFrame(rows, columns=["predicted", "share", "lower", "upper", "n"])


def _share(k: int, n: int) -> dict[str, float]:
    from scipy import stats

    interval = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    return {"share": k / n, "lower": float(interval.low), "upper": float(interval.high), "n": n}


def observed_predicted(predictions: pd.DataFrame, max_points: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Columns ``IID``, ``observed``, ``predicted`` of held-out samples, ``max_points`` at random at most."""
    frame = held_out(predictions)[["IID", "observed", "predicted"]]
    rng = np.random.default_rng(seed)
    return frame.iloc[np.sort(rng.permutation(len(frame))[:max_points])].reset_index(drop=True)
