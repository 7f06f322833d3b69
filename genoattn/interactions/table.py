"""InteractionTable: what a model knows, as rows a geneticist can use, and as a model in its own right."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from genoattn.cohort import MISSING, Cohort
from genoattn.errors import InputError
from genoattn.interactions.columns import METADATA, format_terms, parquet_bytes
from genoattn.interactions.matrices import By, interaction_network, pair_matrix
from genoattn.interactions.schema import (
    VALUE_COLUMNS,
    Manifest,
    describe_row,
    manifest_from_json,
    table_columns,
)

if TYPE_CHECKING:
    from genoattn.tokens.site_places import MatchBy

if TYPE_CHECKING:
    import networkx as nx

_log = logging.getLogger(__name__)
LEVEL = 0.9
_CLAIMED = 0.05  # false discovery rate of the rows that a summary shows whatever the model says
_TEXT = ("site", "chrom", "ref", "state", "flag")


@dataclass(frozen=True, eq=False)
class InteractionTable:
    """Coefficients of terms of every order, by evidence: sorted by p-value, then |coefficient|.

    Parameters
    ----------
    frame
        One row a term, columns as in :func:`genoattn.interactions.schema.table_columns`. ``coefficient``
        is the model's, ``effect`` the unshrunken estimate of the same quantity, with its ``se`` and test;
        ``manifest.estimand`` says in words what they are, :meth:`describe` of one row.
    manifest
        Description of the table.

    Examples
    --------
    >>> import genoattn
    >>> import pandas as pd
    >>> from itertools import product
    >>> rows = [("".join(s), s.count("C") + 2 * (s[:2] == ("C", "C"))) for s in product("AC", repeat=6)]
    >>> pd.DataFrame(rows, columns=["variant", "fitness"]).to_csv("landscape.csv", index=False)
    >>> cohort = genoattn.read("landscape.csv", trait="fitness", sequence_column="variant")
    >>> table = genoattn.fit(cohort, order=2, gauge="reference").table
    >>> table.top(1)[["site_1", "state_1", "site_2", "state_2"]].to_numpy().tolist()
    [['A1', 'C', 'A2', 'C']]
    >>> round(table.top(1)["effect"].item(), 3)
    2.0
    """

    frame: pd.DataFrame
    manifest: Manifest

    def __len__(self) -> int:
        return len(self.frame)

    def top(self, n: int = 10, order: int | None = None, unlinked: bool = False) -> pd.DataFrame:
        """The first rows of an order (default: 2 and above), or of its unlinked terms only."""
        rows = self.frame
        rows = rows[rows["order"] >= 2] if order is None else rows[rows["order"] == order]
        if unlinked:
            rows = rows[~has_flag(rows["flag"], "linked")]
        return rows.head(n)

    def head(self, n: int | None) -> InteractionTable:
        """The first n rows as a table that says how much it leaves out; all of them for None."""
        if n is None or n >= len(self.frame):
            return self
        left_out = dict(self.manifest.left_out)
        for order in range(self.manifest.order + 1):
            number = int((self.frame["order"].iloc[n:] == order).sum())
            if number:
                left_out[order] = left_out.get(order, 0) + number
        return InteractionTable(self.frame.head(n), replace(self.manifest, left_out=left_out))

    def matrix(self, order: int = 2, value: str = "effect", by: By = "site") -> pd.DataFrame:
        """Symmetric matrix of pairs, NaN where the table lists none, in the model's order of sites.

        Parameters
        ----------
        order
            2: terms of other orders are no matrix.
        value
            A column of numbers; ``effect`` is the coefficient where a row is not tested.
        by
            ``token``: a row and column a site and state, ``GA1[C]``; or ``site``: of several states of two
            sites the value farthest from 0.

        Raises
        ------
        InputError
            For another order, or a column that is not of numbers.

        Examples
        --------
        >>> import genoattn
        >>> from genoattn.simulate import simulate_cohort
        >>> cohort = simulate_cohort(n_samples=400, n_sites=20, architecture="pairs", seed=1).cohort
        >>> matrix = genoattn.scan_pairs(cohort, threshold=1e-3).table.matrix(value="statistic")
        >>> matrix.equals(matrix.T)
        True
        """
        if order != 2:
            raise InputError(f"order is {order}, and a matrix is of pairs; use order 2, or to_network()")
        return pair_matrix(self.frame, self.manifest, value, by)

    def to_network(self, by: By = "site") -> nx.Graph:
        """The interactions as a network of sites, or of tokens (``GA1[C]``).

        Sites are nodes with ``site``, ``chrom``, ``pos``. A pair is an edge with ``coefficient``, ``effect``,
        ``se``, ``p_value``, ``q_value``, ``variance_explained``, ``r2_ld``, ``flag``, ``state_1`` and
        ``state_2`` (of ``site_1`` and ``site_2``); of several states of two sites it is that of the first
        row, and ``n_terms`` counts them. A term of order 3 or higher is a node of its own (``kind`` term)
        with an edge to each of its sites. Values that are empty in the table are absent, so that
        ``networkx.write_graphml`` writes it as it is, for Cytoscape and Gephi.

        Examples
        --------
        >>> import genoattn
        >>> from genoattn.simulate import simulate_cohort
        >>> cohort = simulate_cohort(n_samples=400, n_sites=20, architecture="pairs", seed=1).cohort
        >>> scan = genoattn.scan_pairs(cohort, threshold=1e-3)
        >>> scan.table.to_network().number_of_edges() == len(scan)
        True
        """
        return interaction_network(self.frame, self.manifest, by)

    def describe(self, row: int | Mapping[str, Any]) -> str:
        """A row, or that at a number in ``frame``, from 0, as a sentence."""
        m = self.manifest
        chosen = self.frame.iloc[row].to_dict() if isinstance(row, int) else row
        return describe_row(chosen, m.vocabulary.encoding, m.gauge, m.units)

    def summary(self, n: int = 10) -> str:
        """Description of the table, numbers of contrasts by order, and the first interactions.

        Two states of one site carry the same contrast with opposite signs: it counts, and is listed, once.
        Proxies do not count.
        """
        lines = [f"Interaction table: {self.manifest.describe()}"]
        lines += [f"  order {order}: {said}" for order, said in self.by_order().items()]
        for order in range(min(2, self.manifest.order), self.manifest.order + 1):
            rows = self.different(order).head(n)
            if len(rows):
                lines += ["", f"Top terms of order {order}:", format_terms(rows, order)]
        if "signals" in self.manifest.tests:
            lines += ["", f"Signals are not tested: {self.manifest.tests['signals']}."]
        return "\n".join(lines)

    def by_order(self) -> dict[int, str]:
        """For each order with rows its numbers of contrasts, of these with q < 0.05, and of rows, as text."""
        out = {}
        for order in range(1, self.manifest.order + 1):
            rows = self.frame[self.frame["order"] == order]
            if len(rows):
                different = rows[~has_flag(rows["flag"], "repeat") & ~has_flag(rows["flag"], "proxy")]
                below = int((different["q_value"] < 0.05).sum())
                tests = self.manifest.n_tests.get(order, len(rows))
                unclaimed = order == 2 and "signals" in self.manifest.tests
                claimed = "without q-values" if unclaimed else f"{below:,} with q < 0.05"
                text = f"{len(different):,} contrasts, {claimed}"
                out[order] = f"{text} ({len(rows):,} rows of {tests:,} possible)"
        return out

    def different(self, order: int) -> pd.DataFrame:
        """Rows of an order that say something, and not what an earlier one has said."""
        rows = self.frame[self.frame["order"] == order]
        # Of rows that the model leaves at zero those that are claimed, or are not looked at for claims.
        worth = (rows["coefficient"] != 0) | (rows["effect"].notna() & ~(rows["q_value"] > _CLAIMED))
        return rows[worth & ~has_flag(rows["flag"], "repeat")]

    def __repr__(self) -> str:
        return self.summary(5)

    def _repr_html_(self) -> str:
        from genoattn.interactions.table_html import table_html

        return table_html(self)

    def predict(self, cohort: Cohort, match_by: MatchBy = "position") -> np.ndarray:
        """Phenotype predicted from the rows alone: sum of coefficient times term, plus covariates.

        A missing call counts as the site's training mean (dosage) or training frequencies (states), as in
        the model. Sites match by position, or ``match_by`` ID, and by alleles.

        Returns
        -------
        Shape (n_samples,), in the units of the coefficients (``manifest.units``): of a model with a link the
        latent phenotype, before the curve of ``link.tsv``.
        """
        # Imported here: the readers of all formats come with it, and reading a table needs none of them.
        from genoattn.tokens.align import align_calls, align_covariates

        m, v = self.manifest, self.manifest.vocabulary
        if not m.complete:
            listed = {k: n for k, n in m.left_out.items() if k <= m.order and n}
            counts = [f"{n:,} terms of order {k}" for k, n in listed.items()]
            counts += [f"all orders above {m.order}"] if max(m.left_out) > m.order else []
            _log.warning(
                "the table leaves out %s: its predictions are not the model's; predict with the model, "
                "or fit with a larger max_terms",
                ", ".join(counts),
            )
        calls = align_calls(cohort, m.sites, m.haploid, match_by)[:, v.site]
        value = calls.astype(np.float64) if v.is_dosage else (calls == v.state).astype(np.float64)
        value = np.where(calls == MISSING, v.mean, value)
        if v.is_dosage:
            value = value - m.centre
        covariates = align_covariates(cohort, m.covariate_names, m.covariate_levels)
        out = covariates @ m.covariate_coefficients
        for order in range(m.order + 1):
            rows = self.frame[self.frame["order"] == order]
            columns = self._columns(rows, order)
            coefficient = rows["coefficient"].to_numpy(dtype=np.float64)
            for start in range(0, len(rows), 512):
                chosen = columns[start : start + 512]
                out = out + value[:, chosen].prod(axis=2) @ coefficient[start : start + 512]
        return out

    def _columns(self, rows: pd.DataFrame, order: int) -> np.ndarray:
        """Column index of each token of each row: (n_rows, order)."""
        m, v = self.manifest, self.manifest.vocabulary
        if v.is_dosage:
            index = {site: k for k, site in enumerate(m.sites.ids)}
            parts = [[index[site] for site in rows[f"site_{k}"]] for k in range(1, order + 1)]
        else:
            labels = [(m.sites.ids[s], m.sites.states[s][a]) for s, a in zip(v.site, v.state, strict=True)]
            index = {label: k for k, label in enumerate(labels)}
            tokens = (zip(rows[f"site_{k}"], rows[f"state_{k}"], strict=True) for k in range(1, order + 1))
            parts = [[index[token] for token in column] for column in tokens]
        return np.array(parts, dtype=np.int64).reshape(order, len(rows)).T

    def to_tsv(self) -> bytes:
        """Tab-separated text; unused and untestable cells are empty."""
        return self.frame.to_csv(sep="\t", index=False, float_format="%.12g").encode()

    def to_parquet(self) -> bytes:
        """Apache Parquet, with the manifest in its schema metadata under ``genoattn``."""
        import pyarrow as pa

        table = pa.Table.from_pandas(self.frame, preserve_index=False)
        return parquet_bytes(table, self.manifest.to_json())


def load_interactions(path: str | Path) -> InteractionTable:
    """Read a table that ``fit`` or ``export`` wrote, of this or an earlier schema.

    Schema 1 had no ``effect``: there it is ``statistic * se``, which was an estimate of another quantity
    than the coefficient; ``manifest.estimand`` and a warning say so.

    Parameters
    ----------
    path
        The output folder of a fit, or a ``.parquet`` or ``.tsv`` table, the
        latter with its manifest in the same folder, as ``fit`` and ``export`` leave it.

    Raises
    ------
    InputError
        Where there is no table at the path, or it is not one.

    Examples
    --------
    >>> import genoattn
    >>> import pandas as pd
    >>> from itertools import product
    >>> rows = [("".join(s), s.count("C") + 2 * (s[:2] == ("C", "C"))) for s in product("AC", repeat=6)]
    >>> pd.DataFrame(rows, columns=["variant", "fitness"]).to_csv("landscape.csv", index=False)
    >>> cohort = genoattn.read("landscape.csv", trait="fitness", sequence_column="variant")
    >>> genoattn.fit(cohort, order=2).save("fit", force=True)
    >>> genoattn.load_interactions("fit").manifest.order
    2
    """
    path = Path(path)
    if path.is_dir():
        path = path / "interactions.parquet"
    if not path.exists():
        raise InputError(f"{path}: no such file; give the output folder of genoattn fit, or a table in it")
    try:
        return _load_tsv(path) if path.suffix == ".tsv" else _load_parquet(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        raise InputError(
            f"{path}: not an interaction table of genoattn ({reason}); "
            "write it again with genoattn fit or export"
        ) from None


def _load_parquet(path: Path) -> InteractionTable:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:  # read_table would load the code for folders of many files
        table = file.read()
    metadata = table.schema.metadata or {}
    if METADATA not in metadata:
        raise ValueError("no genoattn metadata")
    manifest = manifest_from_json(metadata[METADATA].decode())
    return _table(table.to_pandas(), manifest, path)


def _load_tsv(path: Path) -> InteractionTable:
    described = path.with_suffix(".manifest.json")
    if not described.exists():
        described = path.parent / "manifest.json"
        if path.name != "interactions.tsv" or not described.exists():
            raise ValueError(f"no {path.stem}.manifest.json next to it")
    manifest = manifest_from_json(described.read_text(encoding="utf-8"))
    text = {"flag", *(f"{name}_{k}" for name in _TEXT for k in range(1, manifest.order + 1))}
    # Empty cells are missing in numeric columns only: a residue or an ID may well be called NA.
    missing = {name: [""] for name in table_columns(manifest.order) if name not in text}
    types = dict.fromkeys(text, str)
    frame = pd.read_csv(path, sep="\t", dtype=types, keep_default_na=False, na_values=missing)
    return _table(frame, manifest, path)


def _table(frame: pd.DataFrame, manifest: Manifest, path: Path) -> InteractionTable:
    """Rows read from ``path``, in the columns of this schema."""
    if manifest.tests.get("schema_version") == 1:
        _log.warning("%s was %s", path, manifest.estimand)
        frame = frame.assign(coefficient_sd=np.nan, effect=frame["statistic"] * frame["se"])
    columns = table_columns(manifest.order)
    absent = sorted(set(columns) - set(frame.columns))
    if absent:
        raise ValueError(f"no column {absent[0]}")
    types = {f"pos_{k}": "Int64" for k in range(1, manifest.order + 1)}
    types |= {name: "float64" for name in VALUE_COLUMNS if name != "flag"}
    types |= {"order": "int64", "n_samples": "Int64"}
    return InteractionTable(frame[columns].astype(types), manifest)  # type: ignore[arg-type]


def has_flag(flags: pd.Series, name: str) -> pd.Series:
    """Rows that bear a flag, which may be one of several separated by semicolons: bool."""
    return (";" + flags.astype(str) + ";").str.contains(f";{name};", regex=False)


def coefficient_intervals(frame: pd.DataFrame, n_members: int = 0, level: float = LEVEL) -> pd.DataFrame:
    """An interval for every row of order 1 and above.

    They hold the scatter of the fit, not what a model of too low an order or rank leaves out, and the
    coefficient with probability ``level``: by Student's quantile with a degree of freedom less than the
    ensemble of ``n_members`` that ``coefficient_sd`` comes from, or the normal one of a posterior (0).
    Columns: ``order``, ``site_k`` and ``state_k``, ``coefficient``, ``sd``, ``lower``, ``upper``, in the
    units, gauge and order of the table.
    """
    from scipy import stats

    tail = 0.5 + level / 2
    quantile = float(stats.t.ppf(tail, n_members - 1) if n_members else stats.norm.ppf(tail))
    rows = frame[frame["order"] >= 1]
    out = rows[["order", *(c for c in frame if str(c).startswith(("site_", "state_"))), "coefficient"]].copy()
    out["sd"] = rows["coefficient_sd"]
    reach = quantile * out["sd"]
    out["lower"], out["upper"] = out["coefficient"] - reach, out["coefficient"] + reach
    return out.reset_index(drop=True)
