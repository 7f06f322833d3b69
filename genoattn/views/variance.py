"""Variance by order of interaction, with what each order adds to prediction of held-out samples."""

from __future__ import annotations

import pandas as pd

from genoattn.views.performance import Performance

_OF_MODEL = ("order", "variance", "share_of_model", "share_of_phenotype")
_GAIN = ("gain", "gain_lower", "gain_upper")


def variance_by_order(components: pd.DataFrame, performance: Performance | None = None) -> pd.DataFrame:
    """Variance components by order, joined with the gain of each order on held-out samples.

    Parameters
    ----------
    components
        ``variance_components.tsv``, or ``FitResult.variance``.
    performance
        Held-out prediction by order; its columns are empty where it is not known.

    Returns
    -------
    One row an order: ``order`` (text), ``variance``, ``share_of_model``, ``share_of_phenotype``, ``gain``,
    ``gain_lower``, ``gain_upper``. The gain of order 1 is over the mean: its R2 itself, or AUC less 0.5.
    """
    rows = model_rows(components)
    out = rows.assign(order=rows["order"].astype(str))
    if performance is None:
        return out.assign(**dict.fromkeys(_GAIN, float("nan")))
    chance = 0.5 if performance.metric == "auc" else 0.0
    gains = performance.frame.copy()
    first = gains["gain"].isna()
    for name, source in zip(_GAIN, ("value", "lower", "upper"), strict=True):
        gains.loc[first, name] = gains.loc[first, source] - chance
    return out.merge(gains[["order", *_GAIN]], on="order", how="left")


def model_rows(components: pd.DataFrame) -> pd.DataFrame:
    """Rows of the model: all of them in folders of versions before the cohort had any."""
    if "source" not in components:
        return components
    rows = components[components["source"] == "model"]
    return rows[[name for name in _OF_MODEL if name in rows]].reset_index(drop=True)


def cohort_rows(components: pd.DataFrame) -> pd.DataFrame:
    """Rows of the cohort, see :class:`genoattn.VarianceComponents`; none in folders of earlier versions."""
    if "source" not in components:
        return components.iloc[:0]
    return components[components["source"] == "cohort"].reset_index(drop=True)
