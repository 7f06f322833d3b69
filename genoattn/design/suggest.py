"""suggest(model) -> the best combinations of mutations under a fitted model."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from genoattn.cohort import MISSING, Cohort, Sites
from genoattn.design.search import Landscape, search
from genoattn.errors import InputError
from genoattn.fitting.fitted_model import FittedModel
from genoattn.model.prediction import respond
from genoattn.tokens.align import align_calls

if TYPE_CHECKING:
    from genoattn.fitting.fit_result import FitResult

LIMIT = 2_000_000
WIDTH = 1_000


@dataclass(frozen=True, eq=False)
class Suggestions:
    """Combinations of mutations, the best first.

    Parameters
    ----------
    frame
        One row a combination: ``rank``; ``mutations`` (``A24G:T30S``, by alignment column); ``n_mutations``;
        ``prediction``, as ``FittedModel.predict`` has it with covariates at 0, and ``gain`` over the starting
        sequence; ``latent`` where the model has a link; ``order_1``, ``order_2``, ..: what its single
        mutations, pairs, .. add to the (latent) phenotype of the starting sequence, in the reference gauge
        of that sequence; ``measured``: yes or no, empty where no measured variants were given; ``search``.
    start
        Name of the starting sequence.
    method
        ``enumeration``, ``branch and bound`` or ``beam of WIDTH``.
    exact
        Whether no combination is better than these under the model.
    n_combinations
        How many there are to choose from.
    """

    frame: pd.DataFrame
    start: str
    start_prediction: float
    method: str
    exact: bool
    n_combinations: int

    def summary(self) -> str:
        """One line: from what, among how many, found how."""
        exact = "exact" if self.exact else "not exact: better ones may exist"
        return (
            f"{len(self.frame)} of {self.n_combinations:,} combinations of mutations of {self.start} "
            f"(predicted {self.start_prediction:.6g}), by {self.method} ({exact})"
        )

    def to_tsv(self) -> bytes:
        """Tab-separated, with a header."""
        return self.frame.to_csv(sep="\t", index=False, float_format="%.8g").encode()


def suggest(
    model: FittedModel | FitResult,
    mutations: int = 2,
    top: int = 20,
    *,
    start: str | None = None,
    measured: Cohort | None = None,
    minimise: bool = False,
    limit: int = LIMIT,
    width: int = WIDTH,
) -> Suggestions:
    """The best combinations of up to ``mutations`` mutations under a model of sequences.

    Parameters
    ----------
    model
        Fitted to aligned sequences; only states that its training samples had are used.
    mutations
        Most mutations of a combination.
    top
        How many combinations to list.
    start
        Name of a sequence of ``measured`` to mutate; the wild type (the reference residue of every site, the
        commonest where no training sample has it) if None.
    measured
        Variants that were measured, from :func:`genoattn.read`.
    minimise
        Look for the smallest phenotype instead of the largest.
    limit
        Most combinations to enumerate. Beyond, a model of order 1 or 2 is searched by branch and bound (also
        exact), a larger one, or one that takes too long, by a beam.
    width
        Of the beam.

    Raises
    ------
    InputError
        A model of genotypes, more mutations than sites, a start that is not there or not known in full.

    Examples
    --------
    >>> import genoattn
    >>> import pandas as pd
    >>> from itertools import product
    >>> rows = [("".join(s), s.count("C") + 2 * (s[:2] == ("C", "C"))) for s in product("AC", repeat=6)]
    >>> pd.DataFrame(rows, columns=["variant", "fitness"]).to_csv("landscape.csv", index=False)
    >>> cohort = genoattn.read("landscape.csv", trait="fitness", sequence_column="variant")
    >>> found = genoattn.suggest(genoattn.fit(cohort, order=2), mutations=2, top=1)
    >>> found.frame["mutations"].tolist(), found.method, found.exact
    (['A1C:A2C'], 'enumeration', True)
    """
    fitted = model if isinstance(model, FittedModel) else model.model
    sites, vocabulary = fitted.manifest.sites, fitted.manifest.vocabulary
    if vocabulary.encoding != "sequence":
        raise InputError(
            f"a model of {vocabulary.encoding} data: mutations are suggested for aligned sequences only"
        )
    if not 1 <= mutations <= len(sites):
        raise InputError(
            f"{mutations} mutations, but the model has {len(sites)} sites; ask for 1 to {len(sites)}"
        )
    for name, value in (("top", top), ("limit", limit), ("width", width)):
        if not value >= 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")
    known = None if measured is None else align_calls(measured, sites)
    base = _base(fitted, start, measured, known)
    sign = -1.0 if minimise else 1.0
    landscape = Landscape(deepcopy(fitted.readout).double(), vocabulary, base, sign)
    found = search(landscape, mutations, top, limit, width)
    frame = _frame(landscape, found.sets, fitted, known)
    frame["search"] = f"{found.method}, {'exact' if found.exact else 'not exact'}"
    at_start = float(respond(landscape.readout, landscape.latent(np.zeros((1, 0), dtype=np.int64)))[0])
    name, n = "the wild type" if start is None else start, sum(landscape.count(mutations)) - 1
    return Suggestions(frame, name, at_start, found.method, found.exact, n)


def _base(
    fitted: FittedModel, start: str | None, measured: Cohort | None, known: np.ndarray | None
) -> np.ndarray:
    """States of the starting sequence, shape (n_sites,), int8."""
    sites, v = fitted.manifest.sites, fitted.manifest.vocabulary
    if start is None:
        base = v.reference.copy()
        for site in np.flatnonzero(v.variance[v.first + base] <= 0):
            of_site = slice(v.first[site], v.first[site] + v.n_states[site])
            base[site] = int(np.argmax(v.mean[of_site]))
        return base.astype(np.int8)
    if measured is None or known is None:
        raise InputError(f"start {start}: give the measured variants that it is one of")
    rows = np.flatnonzero(measured.samples == start)
    if not len(rows):
        some = ", ".join(str(name) for name in measured.samples[:3])
        source = measured.source.get("genotypes", "measured variants")
        raise InputError(f"{source}: no variant named {start} to start from; the first are {some}")
    base = known[rows[0]]
    if (base == MISSING).any():
        raise InputError(
            f"start {start}: its residue at {sites.ids[base == MISSING][0]} is missing; start from another"
        )
    return base


def _frame(
    landscape: Landscape, sets: list[tuple[int, ...]], fitted: FittedModel, known: np.ndarray | None
) -> pd.DataFrame:
    """The table of suggestions, less how they were found."""
    order = fitted.manifest.order
    n = len(sets)
    latent, parts = np.zeros(n), np.zeros((n, order))
    calls = np.zeros((n, len(landscape.base)), dtype=np.int8)
    sizes = np.array([len(one) for one in sets], dtype=np.int64)
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        chosen = np.array([sets[r] for r in rows], dtype=np.int64)
        calls[rows], latent[rows] = landscape.calls(chosen), landscape.latent(chosen)
        parts[rows] = landscape.parts(chosen, order)
    ranked = np.argsort(-landscape.sign * latent, kind="stable")
    readout = landscape.readout
    prediction = respond(readout, latent)
    at_start = respond(readout, landscape.latent(np.zeros((1, 0), dtype=np.int64)))[0]
    columns: dict[str, object] = {
        "rank": np.arange(1, n + 1),
        "mutations": [mutation_string(landscape, fitted.manifest.sites, sets[r]) for r in ranked],
        "n_mutations": sizes[ranked],
        "prediction": prediction[ranked],
        "gain": prediction[ranked] - at_start,
    }
    if readout.link is not None:
        columns["latent"] = latent[ranked]
    columns |= {f"order_{k + 1}": parts[ranked, k] for k in range(order)}
    columns["measured"] = ""
    if known is not None:
        seen = {row.tobytes() for row in np.ascontiguousarray(known, dtype=np.int8)}
        columns["measured"] = ["yes" if row.tobytes() in seen else "no" for row in calls[ranked]]
    return pd.DataFrame(columns)


def mutation_string(landscape: Landscape, sites: Sites, tokens: tuple[int, ...]) -> str:
    """``A24G:T30S``: residue of the starting sequence, alignment column, new residue."""
    out = []
    for token in tokens:
        column = landscape.tokens[token]
        site, state = landscape.vocabulary.site[column], landscape.vocabulary.state[column]
        states = sites.states[site]
        out.append(f"{states[landscape.base[site]]}{sites.pos[site]}{states[state]}")
    return ":".join(out)
