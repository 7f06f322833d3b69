"""A fitted readout to factors, and factors to the rows of an interaction table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from genoattn.cohort import Sites
from genoattn.interactions.cells import cell_statistics, fits_in_cells
from genoattn.interactions.expansion import Expansion, Factors
from genoattn.interactions.multiplicity import q_values
from genoattn.interactions.regression import TermStatistics, term_statistics
from genoattn.interactions.schema import SITE_COLUMNS, VALUE_COLUMNS, table_columns
from genoattn.interactions.terms import count_terms
from genoattn.model.readout import Readout
from genoattn.tokens import Vocabulary

LINKED_R2 = 0.1


def readout_factors(readout: Readout, vocabulary: Vocabulary) -> Factors:
    """The parameters of a readout in float64, per unit of dosage or per state."""

    def array(tensor: object) -> np.ndarray:
        return tensor.detach().cpu().double().numpy()  # type: ignore[attr-defined]

    scale = array(readout.scale)
    return Factors(
        vocabulary,
        float(readout.bias.detach()),
        array(readout.additive_values()) / scale,
        {order: array(readout.factor_values(order)) / scale for order in readout.orders},
        {order: array(readout.weights[str(order)]) for order in readout.orders},
        known=np.isfinite(scale),
    )


@dataclass(frozen=True, eq=False)
class Claims:
    """What inference says of the terms of an order, in place of their own p-values.

    Parameters
    ----------
    q_value
        Shape (n_terms,), of the signal that a term belongs to; 1 where it belongs to none.
    phantom
        Shape (n_terms,), whether that signal vanishes beside the additive variation around its sites.
    """

    q_value: np.ndarray
    phantom: np.ndarray


@dataclass(frozen=True, eq=False)
class TestedTerms:
    """Terms of a model with their statistics, which no gauge changes.

    Parameters
    ----------
    terms
        For each order shape (n_terms, order), column indices.
    statistics
        For each order.
    claims
        For the orders that inference has looked at.
    """

    terms: Mapping[int, np.ndarray]
    statistics: Mapping[int, TermStatistics]
    claims: Mapping[int, Claims] = field(default_factory=dict)

    def family_sizes(self, expansion: Expansion) -> dict[int, int]:
        """For each order the number of terms that could have been reported in the gauge."""
        return {order: count_terms(expansion.vocabulary, order, expansion.gauge) for order in self.terms}


def run_tests(
    vocabulary: Vocabulary,
    calls: np.ndarray,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    terms: Mapping[int, np.ndarray],
    binary: bool,
    progress: Callable[[int], object] | None = None,
    weights: np.ndarray | None = None,
) -> TestedTerms:
    """Regress every term; see :func:`genoattn.interactions.regression.term_statistics`."""

    def statistics_of(columns: np.ndarray) -> TermStatistics:
        if not binary and fits_in_cells(vocabulary, calls, covariates, columns):
            return cell_statistics(vocabulary, calls, phenotype, columns, weights)
        return term_statistics(vocabulary, calls, phenotype, covariates, columns, binary, progress, weights)

    statistics = {order: statistics_of(columns) for order, columns in terms.items()}
    return TestedTerms(terms, statistics)


def table_rows(expansion: Expansion, sites: Sites, tested: TestedTerms, max_order: int) -> pd.DataFrame:
    """Rows of the interaction table in one gauge, sorted by p-value, then |coefficient|.

    q-values are Benjamini-Hochberg over all terms of the order that could have been reported; those that
    are not in the table count as p = 1. Where inference has made claims, they are those of its signals.
    In the reference gauge rows of the reference state are left out:
    their coefficient is zero by definition.
    """
    parts = [
        _order_rows(expansion, sites, *_listed(expansion, tested, order), tested.claims.get(order))
        for order in sorted(tested.terms)
        if order <= max_order
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["size"] = frame["coefficient"].abs()
    frame = frame.sort_values(["p_value", "size"], ascending=[True, False], kind="stable", na_position="last")
    for name in table_columns(max_order):
        if name not in frame:
            frame[name] = pd.NA if name.startswith("pos_") else ""
    for k in range(1, max_order + 1):
        for name in SITE_COLUMNS:
            column = f"{name}_{k}"
            frame[column] = (
                frame[column].astype("Int64") if name == "pos" else frame[column].fillna("").astype(str)
            )
    frame["n_samples"] = frame["n_samples"].astype("Int64")
    return frame[table_columns(max_order)].reset_index(drop=True)


def _order_rows(
    expansion: Expansion,
    sites: Sites,
    columns: np.ndarray,
    statistics: TermStatistics,
    claims: Claims | None,
) -> pd.DataFrame:
    v = expansion.vocabulary
    order = columns.shape[1]
    rows: dict[str, object] = {"order": np.full(len(columns), order)}
    for k in range(order):
        site, state = v.site[columns[:, k]], v.state[columns[:, k]]
        rows[f"site_{k + 1}"], rows[f"chrom_{k + 1}"] = sites.ids[site], sites.chrom[site]
        rows[f"pos_{k + 1}"], rows[f"ref_{k + 1}"] = sites.pos[site], sites.ref[site]
        labels = [
            sites.alt[s] if v.is_dosage else sites.states[s][a] for s, a in zip(site, state, strict=True)
        ]
        rows[f"state_{k + 1}"] = np.array(labels, dtype=object)
    values = (
        expansion.coefficients(columns),
        statistics.se,
        statistics.statistic,
        statistics.p_value,
        q_values(statistics.p_value, count_terms(v, order, expansion.gauge))
        if claims is None
        else claims.q_value,
        statistics.n_samples,
        statistics.frequency,
        statistics.variance_explained,
        statistics.r2_ld,
        _flags(v, sites, columns, statistics, claims),
    )
    return pd.DataFrame({**rows, **dict(zip(VALUE_COLUMNS, values, strict=True))})


def _listed(expansion: Expansion, tested: TestedTerms, order: int) -> tuple[np.ndarray, TermStatistics]:
    """The terms of an order that the gauge lists, with their statistics."""
    v, columns, statistics = expansion.vocabulary, tested.terms[order], tested.statistics[order]
    if expansion.gauge != "reference" or v.is_dosage:
        return columns, statistics
    kept = ~(v.state[columns] == v.reference[v.site[columns]]).any(axis=1)
    return columns[kept], statistics.select(kept)


def _flags(
    vocabulary: Vocabulary,
    sites: Sites,
    columns: np.ndarray,
    statistics: TermStatistics,
    claims: Claims | None,
) -> np.ndarray:
    """``linked`` (r2 of two sites at least 0.1, or one record's alleles), ``phantom``, ``rare``, or empty."""
    site = vocabulary.site[columns]
    linked = np.nan_to_num(statistics.r2_ld) >= LINKED_R2
    if any(sites.alt):  # alleles of one record exclude each other; columns of an alignment have no chromosome
        for a in range(columns.shape[1]):
            for b in range(a):
                linked |= (sites.chrom[site[:, a]] == sites.chrom[site[:, b]]) & (
                    sites.pos[site[:, a]] == sites.pos[site[:, b]]
                )
    flags = np.where(statistics.rare, "rare", "").astype(object)
    if claims is not None:
        flags[claims.phantom] = "phantom"
    flags[linked] = "linked"
    return flags
