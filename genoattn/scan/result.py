"""What a scan found: the interaction table, its summary, and the output folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import combinations
from math import comb
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from genoattn.cohort import MISSING, Cohort
from genoattn.interactions.multiplicity import q_values
from genoattn.interactions.schema import Manifest, table_columns
from genoattn.interactions.table import InteractionTable
from genoattn.provenance import input_records, package_versions
from genoattn.scan.design import Design
from genoattn.scan.exact import PairTests
from genoattn.tokens import Vocabulary
from genoattn.writing import whole_directory

if TYPE_CHECKING:
    from genoattn.scan.api import ScanConfig

_LINKED_R2 = 0.1
_RARE_SAMPLES = 10


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Pairs (or triples) that pass the threshold of a scan, and how many were tested.

    Parameters
    ----------
    frame
        One row a pair, the columns of an interaction table, sorted by p-value then |coefficient|.
    manifest
        What describes the table.
    counts
        ``n_tests`` made; ``n_untestable`` for want of variance or for perfect linkage; ``n_linked`` left
        out by ``max_r2``; ``n_reported``; seconds.
    tests
        The tests behind the rows, in their order.
    threshold
        Largest p-value reported.
    """

    frame: pd.DataFrame
    manifest: Manifest
    counts: dict[str, Any]
    tests: PairTests
    threshold: float

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def table(self) -> InteractionTable:
        """The rows as an interaction table."""
        return InteractionTable(self.frame, self.manifest)

    @property
    def bonferroni(self) -> float:
        """The p-value that is 0.05 after Bonferroni's correction for the tests made."""
        return 0.05 / max(self.counts["n_tests"], 1)

    def summary(self, n: int = 10) -> str:
        """A readable account: tests made, what passes, and the first rows."""
        c, order = self.counts, self.manifest.order
        what = {2: "pairs", 3: "triples"}[order]
        significant = int((self.frame["p_value"] <= self.bonferroni).sum())
        discoveries = int((self.frame["q_value"] < 0.05).sum())
        speed = c["n_tests"] / max(c["seconds_scanning"], 1e-3) / 1e6
        lines = [
            f"Scan of {self.manifest.trait}: {c['n_tests']:,} {what} tested in {c['seconds_scanning']:.1f} s "
            f"({speed:.1f} M/s), {c['n_untestable']:,} untestable, {c['n_linked']:,} left out as linked",
            f"  {len(self.frame):,} with p <= {self.threshold:g}; {significant:,} pass Bonferroni "
            f"(p <= {self.bonferroni:.3g}); {discoveries:,} with q < 0.05",
        ]
        if "permutation_p" in c:
            passing = int((self.frame["p_value"] <= c["permutation_p"]).sum())
            lines.append(
                f"  {passing:,} pass the 5 % threshold of {c['permutations']:,} permutations "
                f"(|t| >= {c['permutation_t']:.3f}, p <= {c['permutation_p']:.3g})"
            )
        if len(self.frame) and n:
            from genoattn.interactions.table import _format_rows

            lines += ["", _format_rows(self.frame.head(n), order)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.summary()

    def plink_frame(self) -> pd.DataFrame:
        """The rows in the columns of PLINK 1.9's ``.epi.qt`` or ``.epi.cc``.

        ``STAT`` is the squared t, or Wald z, and ``P`` its chi-squared p-value with one degree of freedom, as
        PLINK has it. Pairs only.
        """
        from scipy.special import ndtr

        f = self.frame
        wald = (f["coefficient"] / f["se"]).to_numpy(dtype=np.float64)
        binary = self.manifest.binary
        columns = {
            "CHR1": f["chrom_1"],
            "SNP1": f["site_1"],
            "CHR2": f["chrom_2"],
            "SNP2": f["site_2"],
            "OR_INT" if binary else "BETA_INT": np.exp(f["coefficient"]) if binary else f["coefficient"],
            "STAT": wald**2,
            "P": 2 * ndtr(-np.abs(wald)),
        }
        return pd.DataFrame(columns)

    def save(self, directory: str | Path, force: bool = False, plink: bool = False) -> None:
        """Write the output folder of ``genoattn scan``, whole or not at all.

        Parameters
        ----------
        directory
            The folder.
        force
            Replace one that exists.
        plink
            Write ``interactions.epi.qt`` (or ``.epi.cc``) too.
        """
        files = {
            "interactions.tsv": self.table.to_tsv(),
            "interactions.parquet": self.table.to_parquet(),
            "manifest.json": self.manifest.to_json().encode(),
            "scan.json": (json.dumps(self._record(), indent=1) + "\n").encode(),
        }
        if plink:
            name = f"interactions.epi.{'cc' if self.manifest.binary else 'qt'}"
            table = self.plink_frame().to_csv(sep="\t", index=False, float_format="%.6g")
            files[name] = table.encode()
        with whole_directory(directory, force) as work:
            for name, content in files.items():
                (work / name).write_bytes(content)

    def _record(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "bonferroni": self.bonferroni, **self.counts}


def pair_rows(
    cohort: Cohort,
    vocabulary: Vocabulary,
    design: Design,
    terms: np.ndarray,
    tests: PairTests,
    n_tests: int,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of the interaction table, and which test each row is.

    Parameters
    ----------
    cohort, vocabulary, design
        What was scanned.
    terms
        Shape (n_terms, order), indices of columns.
    tests
        Their tests.
    n_tests
        The family of the q-values.
    """
    sites, order = cohort.sites, terms.shape[1]
    rows: dict[str, Any] = {"order": np.full(len(terms), order, dtype=np.int64)}
    for k in range(order):
        site, state = vocabulary.site[terms[:, k]], vocabulary.state[terms[:, k]]
        rows[f"site_{k + 1}"], rows[f"chrom_{k + 1}"] = sites.ids[site], sites.chrom[site]
        rows[f"pos_{k + 1}"], rows[f"ref_{k + 1}"] = sites.pos[site], sites.ref[site]
        rows[f"state_{k + 1}"] = np.array(
            [
                sites.alt[s] if vocabulary.is_dosage else sites.states[s][c]
                for s, c in zip(site, state, strict=True)
            ],
            dtype=object,
        )
    frequency, carriers = joint_frequency(vocabulary, design.codes, terms)
    linked = (tests.r2 >= _LINKED_R2) | _same_record(cohort, vocabulary.site[terms])
    rows |= {
        "coefficient": tests.coefficient,
        "se": tests.se,
        "statistic": tests.statistic,
        "p_value": tests.p_value,
        "q_value": q_values(tests.p_value, n_tests),
        "n_samples": tests.n_samples.astype(np.int64),
        "frequency": frequency,
        "variance_explained": tests.explained,
        "r2_ld": tests.r2,
        "flag": np.where(linked, "linked", np.where(carriers < _RARE_SAMPLES, "rare", "")).astype(object),
    }
    frame = pd.DataFrame(rows)[table_columns(order)]
    for name in frame.columns:
        if name.startswith("pos_") or name == "n_samples":
            frame[name] = frame[name].astype("Int64")
    by_p = np.lexsort((-np.abs(tests.coefficient), tests.p_value))
    return frame.iloc[by_p].reset_index(drop=True), by_p


def _same_record(cohort: Cohort, site: np.ndarray) -> np.ndarray:
    """Whether two sites of each term (n_terms, order) are alleles of one record."""
    out = np.zeros(len(site), dtype=bool)
    if any(cohort.sites.alt):  # columns of an alignment have no chromosome
        for a, b in combinations(range(site.shape[1]), 2):
            same = cohort.sites.chrom[site[:, a]] == cohort.sites.chrom[site[:, b]]
            out |= same & (cohort.sites.pos[site[:, a]] == cohort.sites.pos[site[:, b]])
    return out


def joint_frequency(
    vocabulary: Vocabulary, codes: np.ndarray, terms: np.ndarray, block: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Frequency of the joint state of each term, and the number of samples that carry it.

    For dosages the mean product of dosage over ploidy, and the samples with the minor allele at every site;
    both over the samples called at all sites.
    """
    frequency, carriers = np.zeros(len(terms)), np.zeros(len(terms), dtype=np.int64)
    ploidy = (vocabulary.n_states - 1)[vocabulary.site] if vocabulary.is_dosage else np.ones(len(codes))
    for start in range(0, len(terms), block):
        chosen = terms[start : start + block]
        state = codes[chosen]  # (term, site, sample)
        called = (state != MISSING).all(axis=1)
        most = ploidy[chosen][:, :, None]
        n = np.maximum(called.sum(axis=1), 1)
        frequency[start : start + block] = ((state / most).prod(axis=1) * called).sum(axis=1) / n
        minor = np.where(vocabulary.mean[chosen][:, :, None] > most / 2, most - state, state)
        if not vocabulary.is_dosage:
            minor = state
        carriers[start : start + block] = ((minor > 0).all(axis=1) & called).sum(axis=1)
    return frequency, carriers


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
    return Manifest(
        trait=phenotype.name,
        units="log-odds" if binary else f"units of {phenotype.name}{transform}",
        binary=binary,
        transform=phenotype.transform,
        gauge="frequency",
        order=order,
        sites=cohort.sites.select(used),
        vocabulary=part,
        centre=part.mean,
        covariate_names=(),
        n_tests={order: counts["n_tests"]},
        # A scan is no model: what it tested and did not report is left out of any sum of its rows.
        left_out={order: max(comb(len(vocabulary.site), order) - len(terms), 1)},
        versions=package_versions(),
        inputs=input_records(cohort.source),
        model={"scan": {**asdict(config), **counts}},
    )
