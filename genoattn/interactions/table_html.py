"""An interaction table in a notebook: what its rows are, and the first of each order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from genoattn.html_text import Html, columns_table, facts, listed, panel, say, text
from genoattn.interactions.columns import term_cells
from genoattn.interactions.schema import Manifest

if TYPE_CHECKING:
    from genoattn.interactions.table import InteractionTable

_ROWS = 10  # of all orders together
_ORDERS = 3  # of which rows are shown
_SITES = 4  # of a term that are named
_NAME = 30  # characters of a site or state


def table_html(table: InteractionTable) -> Html:
    """See :class:`genoattn.InteractionTable`."""
    m = table.manifest
    title = say("Interaction table of {}", trait_name(m))
    rows = [(f"order {order}", said) for order, said in table.by_order().items()]
    hidden = len(rows) - _ORDERS - 1
    rows = rows[: _ORDERS + 1] + ([("", f"and {hidden} orders more")] if hidden > 0 else [])
    if not m.complete:
        left = {k: n for k, n in m.left_out.items() if n}
        rows.append(("left out", listed([f"{n:,} terms of order {k}" for k, n in left.items()], _ORDERS)))
    rows += [("no signals", m.tests["signals"])] if "signals" in m.tests else []
    return panel(title, facts([*described(m), *rows]), *first_rows(table, _ROWS))


def described(m: Manifest) -> list[tuple[str, object]]:
    """What a model or a table is of: sites, units, covariates."""
    model = m.model
    link = model.get("link", "none")
    kind = [model.get("form") or model.get("estimator"), "" if link == "none" else f"{link} link"]
    return [
        ("model", ", ".join(str(said) for said in kind if said)),
        ("sites", f"{len(m.sites):,}, {m.vocabulary.encoding} encoding"),
        ("coefficients", say("{} gauge, orders up to {}, in {}", m.gauge, m.order, m.units)),
        ("covariates", listed(m.covariate_names)),
    ]


def trait_name(m: Manifest) -> Html:
    """``log of height``."""
    return text(m.trait) if m.transform == "none" else say("{} of {}", m.transform, m.trait)


def first_rows(table: InteractionTable, n: int) -> list[Html]:
    """Tables of the first interactions: n rows, over the lowest orders with any."""
    lowest = min(2, table.manifest.order)
    orders = {k: table.different(k) for k in range(lowest, table.manifest.order + 1)}
    orders = dict([(k, rows) for k, rows in orders.items() if len(rows)][:_ORDERS])
    parts = []
    for order, rows in orders.items():
        parts.append(
            say('<div style="margin-top:4px">The first of order {}, of {}:</div>', order, f"{len(rows):,}")
        )
        parts.append(term_table(rows.head(max(3, n // len(orders))), order))
    return parts


def term_table(rows: Any, order: int) -> Html:
    """Rows of one order with their names, intervals and q-values; of long terms the first sites are named."""
    cells: dict[str, list[Any]] = dict(term_cells(rows, min(order, _SITES), partial(text, longest=_NAME)))
    more = f" x {order - _SITES} more" if order > _SITES else ""
    cells["term"] = [Html(name + more) for name in cells["term"]]
    if not any(cells["flag"]):
        del cells["flag"]
    return columns_table(cells, ("term", "flag"))
