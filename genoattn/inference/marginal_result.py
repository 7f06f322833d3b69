"""Result of a test of marginal epistasis: its table, its summary, and the output folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genoattn.html_text import Html, columns_table, facts, panel, say, text
from genoattn.interactions.columns import TermColumns
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table_html import trait_name
from genoattn.writing import atomic_directory

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 10  # rows in a notebook
COLUMNS = (
    "site", "chrom", "pos", "ref", "state", "statistic", "p_value", "q_value", "variance_explained", "se",
    "n_samples", "n_partners",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class MarginalResult:
    """Each site's test of whether it interacts with any other.

    Parameters
    ----------
    rows
        One row a site, by p-value; sites that could not be tested last, without numbers. ``site``,
        ``chrom``, ``pos``, ``ref`` and ``state`` (the effect allele); ``statistic``, the sum of squared
        scores of its products in standard deviations of its distribution without interactions; ``p_value``
        and ``q_value`` (Benjamini-Hochberg over the sites tested); ``variance_explained`` by all its
        interactions together, a share of the trait's variance after covariates, and its standard error
        ``se`` without interactions; it is negative where the scores are smaller than noise makes them.
        ``n_samples`` called at the site and ``n_partners`` with which its products were made.
    manifest
        What describes the run.
    counts
        ``n_samples``; ``n_sites``; ``n_tests`` made; ``n_untestable`` for want of variance or of partners;
        ``inflation``, the median statistic over that of the null distribution; ``relatives``, the mean of
        the statistic that relatives among the samples cause, which was subtracted; seconds.
    """

    rows: TermColumns
    manifest: Manifest
    counts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows in pandas."""
        frame = self.rows.to_frame()
        return frame.astype({"pos": "Int64", "n_partners": "Int64"})

    @property
    def bonferroni(self) -> float:
        """The p-value that is 0.05 after Bonferroni's correction for the tests made."""
        return 0.05 / max(self.counts["n_tests"], 1)

    def summary(self, n: int = 10) -> str:
        """A readable summary: tests made, what passes, and the first rows."""
        lines = [self._head(), *(f"  {line}" for line in self._found())]
        some = self._some(n)
        if len(some):
            cells = [[name, *column] for name, column in some_cells(some).items()]
            widths = [max(map(len, column)) for column in cells]
            pairs = [list(zip(row, widths, strict=True)) for row in zip(*cells, strict=True)]
            lines += ["", *("  ".join(cell.rjust(w) for cell, w in row) for row in pairs)]
        return "\n".join(lines)

    def _head(self) -> str:
        c = self.counts
        seconds = c["seconds_preparing"] + c["seconds_scanning"]
        return (
            f"Marginal epistasis of {self.manifest.trait}: {c['n_tests']:,} of {c['n_sites']:,} sites tested "
            f"on {c['n_samples']:,} samples in {seconds:.2f} s, {c['n_untestable']:,} untestable"
        )

    def _found(self) -> list[str]:
        c, p = self.counts, self.rows["p_value"]
        lines = [
            f"{(p <= self.bonferroni).sum():,} pass Bonferroni (p <= {self.bonferroni:.3g}); "
            f"{(self.rows['q_value'] < 0.05).sum():,} with q < 0.05; inflation {c['inflation']:.3f}"
        ]
        if abs(c["relatives"]) >= 0.1:
            lines.append(
                f"samples are related: the mean without interactions is {c['relatives']:+.2f} standard "
                "deviations and was subtracted"
            )
        return lines

    def _some(self, n: int) -> TermColumns:
        tested = int(np.isfinite(self.rows["p_value"]).sum())
        return self.rows.select(slice(min(n, tested)))

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        c = self.counts
        rows = [
            ("samples", f"{c['n_samples']:,}"),
            ("tested", f"{c['n_tests']:,} of {c['n_sites']:,} sites, {c['n_untestable']:,} untestable"),
            ("test", "does the site interact with any other"),
            ("found", Html("<br>".join(text(line, 160) for line in self._found()))),
        ]
        some = self._some(_SHOWN)
        table = [columns_table(some_cells(some), ("site",))] if len(some) else []
        return panel(say("Marginal epistasis of {}", trait_name(self.manifest)), facts(rows), *table)

    def save(
        self, directory: str | Path, force: bool = False, extra_files: Mapping[str, bytes] | None = None
    ) -> None:
        """Write the output folder of ``genoattn scan --marginal``, complete or not at all.

        Parameters
        ----------
        directory
            The folder.
        force
            Replace one that exists.
        extra_files
            Contents of further files of the folder by their names.
        """
        files = {
            **(extra_files or {}),
            "marginal.tsv": self.rows.to_tsv(),
            "manifest.json": self.manifest.to_json().encode(),
            "marginal.json": (json.dumps(self.record(), indent=1) + "\n").encode(),
        }
        with atomic_directory(directory, force) as work:
            for name, content in files.items():
                (work / name).write_bytes(content)

    def record(self) -> dict[str, Any]:
        """The counts, with the level of Bonferroni's correction."""
        return {"bonferroni": self.bonferroni, **self.counts}


def some_cells(rows: TermColumns) -> dict[str, list[str]]:
    """Cells of rows by column, as text."""
    share = zip(rows["variance_explained"], rows["se"], strict=True)
    return {
        "site": [f"{site}[{state}]" for site, state in zip(rows["site"], rows["state"], strict=True)],
        "statistic": [f"{z:+.2f}" for z in rows["statistic"]],
        "p_value": [f"{p:.2g}" for p in rows["p_value"]],
        "q_value": [f"{q:.2g}" for q in rows["q_value"]],
        "variance (se)": [f"{100 * v:.2f} % ({100 * s:.2f})" for v, s in share],
        "partners": [f"{n:,}" for n in rows["n_partners"].tolist()],
    }
