"""p-values of a scan against those expected without interactions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from genoattn.errors import InputError
from genoattn.interactions.table import InteractionTable, load_interactions
from genoattn.plot.figure_style import BLUE, GREY, PALE, drawing
from genoattn.views.quantiles import quantile_plot

if TYPE_CHECKING:
    from genoattn.scan.result import ScanResult


@drawing()
def qq(
    source: ScanResult | InteractionTable | pd.DataFrame | str | Path,
    n_tests: int | None = None,
    threshold: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Observed against expected -log10 p-values of a scan, with the band of the null hypothesis.

    The band (95 %) is that of independent tests; pairs that share sites are not, and it is too narrow.

    Parameters
    ----------
    source
        A scan, its table, or its folder; or a frame with a column ``p_value``.
    n_tests
        Tests made, of a frame that does not hold all their p-values.
    threshold
        Largest p-value that a frame holds.
    ax
        Where to draw; a figure of one column by default.

    Raises
    ------
    InputError
        For a fitted table, whose rows were chosen by their evidence.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=400, n_sites=20, architecture="pairs", seed=1).cohort
    >>> ax = genoattn.plot.qq(genoattn.scan_pairs(cohort, threshold=1))
    >>> ax.get_title(loc="right")
    '190 tests'
    """
    assert ax is not None
    p_values, n_tests, threshold = _p_values(source, n_tests, threshold)
    plot = quantile_plot(p_values, n_tests, threshold)
    frame = plot.frame
    if not len(frame):
        raise InputError("no p-value was kept; scan with a larger threshold")
    ax.fill_between(frame["expected"], frame["lower"], frame["upper"], color=PALE, alpha=0.5, linewidth=0,
                    label="95 %, no interaction")  # fmt: skip
    end = float(frame["expected"].max())
    ax.plot([0, end], [0, end], color=GREY, linewidth=0.6)
    ax.plot(frame["expected"], frame["observed"], ".", color=BLUE, markersize=3, markeredgewidth=0)
    ax.set(xlabel="expected −log₁₀ p", ylabel="observed −log₁₀ p", xlim=(0, None), ylim=(0, None))
    where = "at the median" if plot.n_kept == plot.n_tests else f"at p = {plot.inflation_p:.2g}"
    kept = "" if plot.n_kept == plot.n_tests else f", {plot.n_kept:,} p-values kept"
    ax.set_title(f"{plot.n_tests:,} tests{kept}", loc="right", fontsize="small", color=GREY)
    ax.legend(title=f"λ = {plot.inflation:.2f} {where}", loc="upper left", alignment="left")
    return ax


def _p_values(
    source: ScanResult | InteractionTable | pd.DataFrame | str | Path,
    n_tests: int | None,
    threshold: float | None,
) -> tuple[np.ndarray, int | None, float | None]:
    """p-values, how many tests were made, and the largest p-value that was kept."""
    if isinstance(source, str | Path):
        if not (Path(source) / "scan.json").is_file():
            raise InputError(f"{source}: no scan.json there; give the output folder of genoattn scan")
        record = json.loads((Path(source) / "scan.json").read_text(encoding="utf-8"))
        rows = load_interactions(source).frame
        return rows["p_value"].to_numpy(dtype=np.float64), record["n_tests"], record["threshold"]
    if isinstance(source, pd.DataFrame):
        if "p_value" not in source:
            raise InputError("the frame has no column p_value; give one, or a scan")
        return source["p_value"].to_numpy(dtype=np.float64), n_tests, threshold
    scan = source.manifest.model.get("scan")
    if scan is None:
        raise InputError(
            "rows of a fitted table were chosen by their evidence, so that their p-values are small "
            "without any interaction; give a scan"
        )
    return source.frame["p_value"].to_numpy(dtype=np.float64), scan["n_tests"], scan["threshold"]
