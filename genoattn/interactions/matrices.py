"""Interactions as a symmetric matrix, and as a network for networkx and what reads GraphML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from genoattn.errors import InputError

if TYPE_CHECKING:
    import networkx as nx

    from genoattn.interactions.schema import Manifest

MOST_LABELS = 10_000  # a matrix of them takes 0.8 GB
By = Literal["site", "token"]
EDGE_VALUES = ("coefficient", "effect", "se", "p_value", "q_value", "variance_explained", "r2_ld")


def token_names(rows: pd.DataFrame, k: int, by: By = "token") -> list[str]:
    """Names of the k-th site of rows, ``GA1``, or of its token, ``GA1[C]``."""
    site = rows[f"site_{k}"].astype(str)
    if by == "site":
        return site.tolist()
    return [f"{s}[{a}]" for s, a in zip(site, rows[f"state_{k}"], strict=True)]


def value_of(rows: pd.DataFrame, value: str) -> np.ndarray:
    """A column of numbers; where an effect was not tested, the coefficient, which it is an estimate of."""
    if value not in rows or not pd.api.types.is_numeric_dtype(rows[value]):
        numbers = [str(c) for c in rows if pd.api.types.is_numeric_dtype(rows[c])]
        raise InputError(f"no column of numbers {value!r} in the table; choose one of {', '.join(numbers)}")
    column = rows[value]
    if value == "effect":
        column = column.fillna(rows["coefficient"])
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def rows_of_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of order 2 of a table."""
    rows = frame[frame["order"] == 2]
    if not len(rows):
        raise InputError("the table has no pairs; give one of order 2 or above")
    return rows


def pair_matrix(frame: pd.DataFrame, manifest: Manifest, value: str, by: By) -> pd.DataFrame:
    """Symmetric matrix of the pairs of a table, NaN where it lists none, sites in the model's order.

    Of several pairs of states of two sites, by ``site``, that with the value farthest from 0 is taken.
    """
    if by not in ("site", "token"):
        raise InputError(f"by is {by!r}; choose site or token")
    rows = rows_of_pairs(frame)
    names = [token_names(rows, k, by) for k in (1, 2)]
    number = {site: k for k, site in enumerate(manifest.sites.ids)}
    at: dict[str, tuple] = {}
    for k in (1, 2):
        for name, site, state in zip(names[k - 1], rows[f"site_{k}"], rows[f"state_{k}"], strict=True):
            at[name] = (number[site], "" if by == "site" else state)
    if len(at) > MOST_LABELS:
        raise InputError(
            f"the pairs have {len(at):,} {by}s, more than the {MOST_LABELS:,} of a matrix; "
            "take table.head(n), or to_network()"
        )
    labels = sorted(at, key=lambda name: at[name])
    index = {name: k for k, name in enumerate(labels)}
    values, out = value_of(rows, value), np.full((len(labels), len(labels)), np.nan)
    # The farthest from 0 comes last, and stays.
    for k in np.argsort(np.abs(np.nan_to_num(values)), kind="stable"):
        i, j = index[names[0][k]], index[names[1][k]]
        if np.isfinite(values[k]):
            out[i, j] = out[j, i] = values[k]
    return pd.DataFrame(out, index=labels, columns=labels)


def interaction_network(frame: pd.DataFrame, manifest: Manifest, by: By) -> nx.Graph:
    """Network of the interactions of a table; see :meth:`InteractionTable.to_network`."""
    import networkx as nx

    if by not in ("site", "token"):
        raise InputError(f"by is {by!r}; choose site or token")
    graph = nx.Graph(trait=manifest.trait, units=manifest.units, gauge=manifest.gauge, by=by)
    for order in range(2, manifest.order + 1):
        rows = frame[frame["order"] == order]
        if not len(rows):
            continue
        names = [token_names(rows, k, by) for k in range(1, order + 1)]
        for number, row in enumerate(rows.to_dict("records")):
            ends = [names[k][number] for k in range(order)]
            for k, name in enumerate(ends, 1):
                if name not in graph:
                    graph.add_node(name, **_site(row, k, by))
            states = {f"state_{k}": str(row[f"state_{k}"]) for k in range(1, order + 1)}
            _connect(graph, ends, _values(row) | states)
    return graph


def _site(row: dict[Any, Any], k: int, by: By) -> dict[str, Any]:
    pos = row[f"pos_{k}"]
    out = {"kind": "site", "site": str(row[f"site_{k}"]), "chrom": str(row[f"chrom_{k}"])}
    out |= {} if by == "site" else {"state": str(row[f"state_{k}"])}
    return out if pd.isna(pos) else out | {"pos": int(pos)}


def _values(row: dict[Any, Any]) -> dict[str, Any]:
    """Values of a row that are known: GraphML has no empty ones."""
    values = {name: float(row[name]) for name in EDGE_VALUES if np.isfinite(row[name])}
    return values | {"order": int(row["order"]), "flag": str(row["flag"])}


def _connect(graph: nx.Graph, ends: list[str], values: dict[str, Any]) -> None:
    """An edge of a pair; of higher terms, a node with an edge to each of their sites."""
    if len(ends) == 2:
        first, second = ends
        known = graph.get_edge_data(first, second)
        # Rows are sorted by evidence: of several states of two sites the first row is the edge.
        if known is None:
            states = {"site_1": first, "site_2": second}
            graph.add_edge(first, second, **values, **states, n_terms=1)
        else:
            known["n_terms"] += 1
        return
    term = " x ".join(f"{name}({values[f'state_{k}']})" for k, name in enumerate(ends, 1))
    graph.add_node(term, kind="term", **values)
    for name in ends:
        graph.add_edge(term, name, order=values["order"])
