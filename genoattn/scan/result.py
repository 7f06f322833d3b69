"""Result of a scan: the interaction table, its summary, and the output folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from math import comb
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.html_text import Html, facts, panel, say, text
from genoattn.interactions.columns import TermColumns, format_terms
from genoattn.interactions.schema import Manifest, estimand
from genoattn.interactions.table_html import term_table, trait_name
from genoattn.io.environments import environment_records
from genoattn.provenance import input_records, package_versions
from genoattn.scan.exact import PairTests
from genoattn.scan.settings import ScanConfig
from genoattn.scan.tails import normal_p_value
from genoattn.tokens import Vocabulary
from genoattn.writing import atomic_directory

if TYPE_CHECKING:
    import pandas as pd

    from genoattn.interactions.table import InteractionTable

_SHOWN = 10  # rows in a notebook


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Pairs (or triples) that pass the threshold of a scan, and how many were tested.

    Parameters
    ----------
    rows
        One row a pair, the columns of an interaction table, sorted by p-value then |coefficient|.
    manifest
        What describes the table.
    counts
        ``n_samples``; ``n_tests`` made; ``n_untestable`` for want of variance or for perfect linkage;
        ``n_linked`` left out by ``max_r2``; ``n_reported``; seconds.
    tests
        The tests behind the rows, in their order.
    threshold
        Largest p-value reported.
    """

    rows: TermColumns
    manifest: Manifest
    counts: dict[str, Any]
    tests: PairTests
    threshold: float

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows in pandas."""
        return self.rows.to_frame()

    @property
    def table(self) -> InteractionTable:
        """The rows as an interaction table."""
        from genoattn.interactions.table import InteractionTable

        return InteractionTable(self.frame, self.manifest)

    @property
    def genotypic(self) -> bool:
        """Whether the statistic is F (binary: chi-squared), of all products of a pair, on ``tests.df`` df."""
        return self.manifest.model["scan"]["test"] == "genotypic"

    @property
    def bonferroni(self) -> float:
        """The p-value that is 0.05 after Bonferroni's correction for the tests made."""
        return 0.05 / max(self.counts["n_tests"], 1)

    def summary(self, n: int = 10) -> str:
        """A readable summary: tests made, what passes, and the first rows."""
        c, order = self.counts, self.manifest.order
        what = {2: "pairs", 3: "triples"}[order]
        p_value = self.rows["p_value"]
        significant, discoveries = (p_value <= self.bonferroni).sum(), (self.rows["q_value"] < 0.05).sum()
        speed = c["n_tests"] / max(c["seconds_scanning"], 1e-3) / 1e6
        lines = [
            f"Scan of {self.manifest.trait}: {c['n_tests']:,} {what} tested in {c['seconds_scanning']:.2f} s "
            f"({speed:.1f} M/s), {c['n_untestable']:,} untestable, {c['n_linked']:,} left out as linked",
            f"  {len(self):,} with p <= {self.threshold:g}; {significant:,} pass Bonferroni "
            f"(p <= {self.bonferroni:.3g}); {discoveries:,} with q < 0.05",
        ]
        if self.threshold < self.bonferroni:
            lines.append(f"  of those listed: the threshold {self.threshold:g} may hide others that pass")
        if c.get("candidates"):
            lines.append(f"  not exhaustive: only triples that hold {c['candidates']}")
        if "mixed_model" in c:
            lines += _background_lines(c["mixed_model"], self.manifest.model["scan"]["background"])
        if c.get("screen") == "score":
            lines.append("  screened by score: a triple among linked sites may be missed")
        if "permutation_p" in c:
            passing = (p_value <= c["permutation_p"]).sum()
            lines.append(
                f"  {passing:,} pass the 5 % threshold of {c['permutations']:,} "
                f"permutations (|t| >= {c['permutation_t']:.3f}, p <= {c['permutation_p']:.3g})"
            )
        if len(self) and n:
            lines += ["", format_terms(self.rows.select(slice(n)), order)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        c, m = self.counts, self.manifest
        _, *lines = self.summary(0).splitlines()
        kind = "pairs" if m.order == 2 else "triples"
        tested = (
            f"{c['n_tests']:,} {kind}, {c['n_untestable']:,} untestable, {c['n_linked']:,} left out as linked"
        )
        rows = [
            ("samples", f"{c['n_samples']:,}"),
            ("tested", f"{tested}, in {c['seconds_scanning']:.2f} s"),
            ("test", "all products of the sites' states" if self.genotypic else "the product of copies"),
            ("found", Html("<br>".join(text(line.strip(), 160) for line in lines))),
        ]
        found = [term_table(self.rows.select(slice(_SHOWN)), m.order)] if len(self) else []
        return panel(say("Scan of {}", trait_name(m)), facts(rows), *found)

    def plink_frame(self) -> pd.DataFrame:
        """The rows in the columns of PLINK 1.9's ``.epi.qt`` or ``.epi.cc``.

        ``STAT`` is the squared t, or Wald z, and ``P`` its chi-squared p-value with one degree of freedom, as
        PLINK has it. Pairs only.
        """
        return self._plink_columns().to_frame()

    def _plink_columns(self) -> TermColumns:
        rows, binary = self.rows, self.manifest.binary
        wald = self.tests.coefficient / self.tests.se
        effect = np.exp(rows["coefficient"]) if binary else rows["coefficient"]
        columns = {
            "CHR1": rows["chrom_1"],
            "SNP1": rows["site_1"],
            "CHR2": rows["chrom_2"],
            "SNP2": rows["site_2"],
            "OR_INT" if binary else "BETA_INT": effect,
            "STAT": wald**2,
            "P": normal_p_value(wald),
        }
        return TermColumns(columns)

    def save(
        self,
        directory: str | Path,
        force: bool = False,
        plink: bool = False,
        extra_files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write the output folder of ``genoattn scan``, complete or not at all.

        Parameters
        ----------
        directory
            The folder.
        force
            Replace one that exists.
        plink
            Write ``interactions.epi.qt`` (or ``.epi.cc``) too.
        extra_files
            Contents of further files of the folder by their names.

        Raises
        ------
        InputError
            Where PLINK's columns are asked for the genotypic test, which it has not.
        """
        if plink and self.genotypic:
            raise InputError("PLINK's columns are for the additive test; leave the format or the test out")
        manifest = self.manifest.to_json()
        files = {
            **(extra_files or {}),
            "interactions.tsv": self.rows.to_tsv(),
            "interactions.parquet": self.rows.to_parquet(manifest),
            "manifest.json": manifest.encode(),
            "scan.json": (json.dumps(self._record(), indent=1) + "\n").encode(),
        }
        if self.genotypic:
            names = ("site_1", "site_2", "statistic", "p_value")
            columns = {name: self.rows[name] for name in names} | {"df": self.tests.df}
            files["genotypic.tsv"] = TermColumns(columns).to_tsv()
        if plink:
            name = f"interactions.epi.{'cc' if self.manifest.binary else 'qt'}"
            files[name] = self._plink_columns().to_tsv("%.6g")
        with atomic_directory(directory, force) as work:
            for name, content in files.items():
                (work / name).write_bytes(content)

    def _record(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "bonferroni": self.bonferroni, **self.counts}


def _background_lines(record: dict[str, Any], background: str) -> list[str]:
    """What pairs were tested against, and how many came within the margin of the screen."""
    rows = record["variance_components"]
    shares = [1 - v["residual"] / (v["others"] + v["own"] + v["residual"]) for v in rows]
    between = f" ({min(shares):.3f} to {max(shares):.3f})" if len(shares) > 1 else ""
    lines = [
        f"  background {background}: additive effects are {np.median(shares or [0]):.3f} of the variance"
        f"{between}; missing calls at the mean; {record['tested_exactly']:,} pairs tested exactly"
    ]
    return lines + ([f"  {record['instead']}"] if "instead" in record else [])


def scan_manifest(
    cohort: Cohort,
    vocabulary: Vocabulary,
    terms: np.ndarray,
    config: ScanConfig,
    counts: dict[str, Any],
    binary: bool,
) -> Manifest:
    """The manifest of a scan's table: the sites that occur in it, the counts, the provenance."""
    phenotype = cohort.phenotype
    assert phenotype is not None
    order = terms.shape[1]
    used = np.unique(vocabulary.site[terms])
    columns = np.flatnonzero(np.isin(vocabulary.site, used))
    part = Vocabulary(
        vocabulary.encoding,
        np.searchsorted(used, vocabulary.site[columns]),
        vocabulary.state[columns],
        vocabulary.n_states[used],
        vocabulary.mean[columns],
        vocabulary.variance[columns],
        vocabulary.reference[used],
    )
    transform = {"none": "", "log": ", natural log", "rank": ", rank-normalised"}[phenotype.transform]
    units = "log-odds" if binary else f"units of {phenotype.name}{transform}"
    return Manifest(
        trait=phenotype.name,
        units=units,
        binary=binary,
        transform=phenotype.transform,
        gauge="frequency",
        order=order,
        sites=cohort.sites.select(used),
        vocabulary=part,
        centre=part.mean,
        covariate_names=(),
        n_tests={order: counts["n_tests"]},
        estimand=estimand(vocabulary.encoding, "frequency", units, "scan"),
        # A scan is no model: what it tested and did not report is left out of any sum of its rows.
        left_out={order: max(comb(len(vocabulary.site), order) - len(terms), 1)},
        versions=package_versions(),
        inputs=input_records(cohort.source),
        model={"scan": {**asdict(config), **counts}, **environment_records(cohort.sites)},
        flow=cohort.flow,
    )
