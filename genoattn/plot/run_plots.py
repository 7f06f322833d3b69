"""How a fitted model predicts: variance by order, link, observed against predicted, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from genoattn.errors import InputError
from genoattn.fitting.metrics import auc, r2
from genoattn.interactions.schema import Manifest, manifest_from_json
from genoattn.plot.figure_style import BLUE, GREY, PALE, VERMILLION, drawing, remark, shorten
from genoattn.views.performance import (
    held_out,
    interval_calibration,
    observed_predicted,
    performance_by_order,
    read_predictions,
    reliability,
)
from genoattn.views.variance import variance_by_order

if TYPE_CHECKING:
    from genoattn.fitting.fit_result import FitResult

_SCORE = {"r2": "R²", "auc": "AUC", "d2": "D²"}


@dataclass(frozen=True)
class Run:
    """A fit, in memory or in its folder."""

    source: FitResult | Path

    @classmethod
    def of(cls, source: FitResult | str | Path) -> Run:
        if not isinstance(source, str | Path):
            if not hasattr(source, "predictions"):
                raise InputError(
                    f"{type(source).__name__} has no fit to draw; give a FitResult or its folder"
                )
            return cls(source)
        if not (Path(source) / "manifest.json").is_file():
            raise InputError(f"{source}: no manifest.json there; give the output folder of genoattn fit")
        return cls(Path(source))

    @property
    def manifest(self) -> Manifest:
        if not isinstance(self.source, Path):
            return self.source.manifest
        return manifest_from_json((self.source / "manifest.json").read_text(encoding="utf-8"))

    @property
    def predictions(self) -> pd.DataFrame:
        if isinstance(self.source, Path):
            return read_predictions(self.source)
        return self.source.predictions

    def frame(self, name: str, why: str) -> pd.DataFrame:
        """A table of the folder."""
        assert isinstance(self.source, Path)
        if not (self.source / name).is_file():
            raise InputError(f"{self.source}: no {name} there; {why}")
        return pd.read_csv(self.source / name, sep="\t")

    @property
    def metric(self) -> str:
        if self.manifest.binary:
            return "auc"
        counts = ("poisson", "negative-binomial")
        return "d2" if self.manifest.model.get("likelihood") in counts else "r2"


@drawing(height=50)
def variance(source: FitResult | str | Path, ax: Axes) -> Axes:
    """Share of the phenotype's variance by order, and what each order adds on held-out samples.

    Parameters
    ----------
    source
        A fit, or its folder. Without ``predictions.tsv`` the bars stand alone.
    ax
        Where to draw; a figure of one column by default.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=200, n_sites=6, n_terms=1, linkage="none", seed=1).cohort
    >>> ax = genoattn.plot.variance(genoattn.fit(cohort, order=2))
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['order 1', 'order 2']
    """
    run = Run.of(source)
    if isinstance(run.source, Path):
        components = run.frame("variance_components.tsv", "give the output folder of genoattn fit")
    else:
        components = run.source.variance
    try:
        performance = performance_by_order(run.predictions, run.metric)
    except InputError:  # of an older version, or without a test part
        performance = None
    frame = variance_by_order(components, performance)
    place = np.arange(len(frame))
    aside = 0.0 if performance is None else 0.2
    ax.bar(place - aside, frame["share_of_phenotype"], 0.36, color=BLUE, label="variance of the model")
    if performance is not None:
        gain = frame["gain"].to_numpy(dtype=np.float64)
        reach = np.abs(frame[["gain_lower", "gain_upper"]].to_numpy(dtype=np.float64).T - gain)
        label = f"gain in {_SCORE[run.metric]}, held out"
        ax.bar(place + 0.2, gain, 0.36, color=PALE, label=label)
        ax.errorbar(place + 0.2, gain, reach, fmt="none", color="black", capsize=2)
        remark(ax, f"{performance.n_samples:,} samples, {performance.part}")
    else:
        remark(ax, "no held-out predictions")
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xticks(place, [f"order {k}" for k in frame["order"]])
    ax.set(
        ylabel=f"share of the variance of\n{shorten(run.manifest.trait, 30)}", xlim=(-0.6, len(frame) - 0.4)
    )
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.35 * (high - low))  # room for the legend
    ax.legend(loc="upper right")
    return ax


@drawing()
def link(source: FitResult | str | Path, ax: Axes) -> Axes:
    """The curve from the latent to the predicted phenotype, with the straight line of no link.

    Parameters
    ----------
    source
        A fit with a link, or its folder.
    ax
        Where to draw; a figure of one column by default.

    Raises
    ------
    InputError
        Where the model has no link.

    Examples
    --------
    >>> from genoattn import plot
    >>> import pandas as pd
    >>> from itertools import product
    >>> import genoattn
    >>> rows = [("".join(s), 2.0 ** s.count("C")) for s in product("AC", repeat=6)]
    >>> pd.DataFrame(rows, columns=["variant", "fitness"]).to_csv("landscape.csv", index=False)
    >>> cohort = genoattn.read("landscape.csv", trait="fitness", sequence_column="variant")
    >>> plot.link(genoattn.fit(cohort, order=1, link="monotone")).get_xlabel()
    'latent phenotype'
    """
    run = Run.of(source)
    if isinstance(run.source, Path):
        curve = run.frame("link.tsv", "the model has no link: fit with link")
        latent, predicted = curve["latent"].to_numpy(), curve["predicted"].to_numpy()
    else:
        if run.source.readout.link is None:
            raise InputError("the model has no link; fit with link='monotone'")
        latent, predicted, _ = run.source.readout.link.curve()
    ax.plot(latent, latent, color=GREY, linewidth=0.6, linestyle="--", label="no link")
    ax.plot(latent, predicted, color=BLUE, linewidth=1.5, label="link")
    ax.set(xlabel="latent phenotype", ylabel=f"predicted {shorten(run.manifest.trait, 30)}")
    ax.legend(loc="upper left")
    return ax


def _predictions(source: FitResult | pd.DataFrame | str | Path) -> tuple[pd.DataFrame, bool, str]:
    """Held-out predictions, whether of a binary trait, and its name."""
    if isinstance(source, pd.DataFrame):
        frame, name = source, "trait"
        binary = bool(frame["observed"].isin([0, 1]).all())
    else:
        run = Run.of(source)
        frame, binary, name = run.predictions, run.manifest.binary, run.manifest.trait
    if not len(held_out(frame)):
        raise InputError("no sample was held out; fit with a test part")
    return frame, binary, shorten(name, 30)


@drawing()
def fit(source: FitResult | pd.DataFrame | str | Path, ax: Axes, seed: int = 0) -> Axes:
    """Observed against predicted phenotype of held-out samples; of a binary trait, predictions by status.

    Parameters
    ----------
    source
        A fit, its folder, or the frame of ``predictions.tsv``.
    ax
        Where to draw; a figure of one column by default.
    seed
        Which samples are shown, where they are more than 2,000.

    Raises
    ------
    InputError
        Where no sample was held out, or the folder has no ``predictions.tsv``.

    Examples
    --------
    >>> import pandas as pd
    >>> from genoattn import plot
    >>> columns = {"IID": ["a", "b"], "part": "test", "observed": [1.0, 2.5], "predicted": [1.2, 2.1]}
    >>> plot.fit(pd.DataFrame(columns)).get_ylabel()
    'observed trait'
    """
    frame, binary, name = _predictions(source)
    part = held_out(frame)
    observed, predicted = part["observed"].to_numpy(dtype=float), part["predicted"].to_numpy(dtype=float)
    if binary:
        bins = np.linspace(0, 1, 26).tolist()
        for status, colour, label in ((0, GREY, "controls"), (1, VERMILLION, "cases")):
            ax.hist(predicted[observed == status], bins, histtype="stepfilled", alpha=0.6, color=colour,
                    label=label)  # fmt: skip
        ax.set(xlabel=f"predicted probability of {name}", ylabel="held-out samples")
        ax.legend()
        remark(ax, f"{len(part):,} held-out samples, AUC {auc(observed, predicted):.3f}")
        return ax
    points = observed_predicted(frame, seed=seed)
    ax.scatter(points["predicted"], points["observed"], s=4, color=BLUE, alpha=0.4, linewidths=0)
    ends = [min(observed.min(), predicted.min()), max(observed.max(), predicted.max())]
    ax.plot(ends, ends, color=GREY, linewidth=0.6, linestyle="--")
    ax.set(xlabel=f"predicted {name}", ylabel=f"observed {name}")
    some = f", {len(points):,} shown" if len(points) < len(part) else ""
    remark(ax, f"{len(part):,} held-out samples{some}, R² {r2(observed, predicted):.3f}")
    return ax


@drawing()
def calibration(source: FitResult | pd.DataFrame | str | Path, ax: Axes) -> Axes:
    """Whether intervals hold what they promise: share of held-out samples inside by nominal level.

    Of a binary trait: share of cases by predicted probability, in ten bins. Bars are 95 % intervals.

    Parameters
    ----------
    source
        A fit, its folder, or the frame of ``predictions.tsv``.
    ax
        Where to draw; a figure of one column by default.

    Raises
    ------
    InputError
        Where no sample was held out, or predictions have no standard deviation.

    Examples
    --------
    >>> import pandas as pd
    >>> from genoattn import plot
    >>> columns = {"IID": ["a", "b"], "part": "test", "observed": [1.0, 2.5], "predicted": [1.2, 2.1]}
    >>> plot.calibration(pd.DataFrame(columns | {"sd": 0.3})).get_xlabel()
    'nominal level of the interval'
    """
    frame, binary, name = _predictions(source)
    rows = reliability(frame) if binary else interval_calibration(frame)
    x = rows["predicted" if binary else "nominal"].to_numpy()
    share = rows["share"].to_numpy()
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle="--")
    ax.errorbar(
        x, share, np.abs(rows[["lower", "upper"]].to_numpy().T - share), fmt="o-", color=BLUE, capsize=2
    )
    if binary:
        ax.set(xlabel=f"predicted probability of {name}", ylabel="share of cases")
    else:
        ax.set(xlabel="nominal level of the interval", ylabel="share of samples inside")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    remark(ax, f"{len(held_out(frame)):,} held-out samples")
    return ax
