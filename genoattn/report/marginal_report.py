"""Report of a test of marginal epistasis: what was found, the sites along the genome, the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from genoattn.errors import InputError
from genoattn.interactions.schema import Manifest, manifest_from_json
from genoattn.report.document import Column, DataTable, Figure, Report, Section
from genoattn.report.sections_genome import quantiles_figure, site_points
from genoattn.report.wording import p_text, percent, plural
from genoattn.views.genome import genome_layout

_TABLE, _RECORD, _MANIFEST = "marginal.tsv", "marginal.json", "manifest.json"
_SHOWN = 5  # findings in sentences
_ROWS = 1000  # of the table
_COLUMNS = (
    Column("site", "Site"),
    Column("chrom", "Chromosome"),
    Column("pos", "Position", "number"),
    Column("state", "Effect allele"),
    Column("statistic", "Statistic", "number", "In standard deviations, without interactions."),
    Column("p_value", "p", "p", "Of no interaction of the site with any partner."),
    Column("q_value", "q", "p", "False discovery rate over the sites (Benjamini-Hochberg)."),
    Column(
        "variance_explained", "Variance explained", "number",
        "Share of the trait's variance that all its interactions explain; negative: less than noise makes.",
    ),
    Column("se", "Standard error", "number", "Of the share, where the site has no interaction."),
    Column("n_partners", "Partners", "number", "Sites with which its products were made."),
)  # fmt: skip
# What a file edited by hand or cut off raises.
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, OSError)


def is_marginal(folder: Path) -> bool:
    """Whether a folder was written by ``genoattn scan --marginal``."""
    return (folder / _TABLE).is_file()


def marginal_report(folder: Path, seed: int = 0) -> Report:
    """Contents of the report of a test of marginal epistasis.

    Parameters
    ----------
    folder
        Of ``genoattn scan --marginal``.
    seed
        Of which points are drawn where they are many.

    Raises
    ------
    InputError
        Where a file of the folder is missing or cannot be read.
    """
    try:
        text = {"site": str, "chrom": str, "ref": str, "state": str}
        frame = pd.read_csv(folder / _TABLE, sep="\t", dtype=text, keep_default_na=False, na_values=[""])
        frame[["site", "chrom", "ref", "state"]] = frame[["site", "chrom", "ref", "state"]].fillna("")
        manifest = manifest_from_json((folder / _MANIFEST).read_text(encoding="utf-8"))
        counts = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        return _contents(folder, frame, manifest, counts, seed)
    except _DAMAGED as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        raise InputError(f"{folder}: its marginal test cannot be read ({reason}); run it again") from None


def _contents(
    folder: Path, frame: pd.DataFrame, manifest: Manifest, counts: dict[str, Any], seed: int
) -> Report:
    tested = frame[frame["p_value"].notna()]
    question = [
        f"Which sites interact with any other, in {manifest.trait}?",
        f"{plural(counts['n_tests'], 'site')} of {counts['n_sites']:,} tested in "
        f"{plural(counts['n_samples'], 'sample')}, each with all its partners together.",
    ]
    figures = [quantiles_figure(tested["p_value"], counts["n_tests"], None)] if len(tested) else []
    if len(tested) and all(tested["chrom"]):
        figures.insert(0, _along_the_genome(tested, counts, seed))
    note = "Partners are not named: a scan of the pairs of a site (genoattn scan --sites) looks for them."
    if len(frame) > _ROWS:
        note += f" The first {_ROWS:,} of {len(frame):,} rows; {_TABLE} has all."
    table = DataTable("sites", "Sites by evidence", _COLUMNS, _rows(frame.head(_ROWS)), _TABLE, note=note)
    return Report(
        f"{manifest.trait}: marginal epistasis", question, _found(tested, counts), _certain(counts), [],
        [Section("marginal", "Marginal epistasis", (), figures, [table])], _facts(folder, manifest, counts),
    )  # fmt: skip


def _rows(frame: pd.DataFrame) -> list[list[Any]]:
    some = frame[[column.name for column in _COLUMNS]].astype(object)
    return [list(row) for row in some.where(some.notna(), None).itertuples(index=False)]


def _along_the_genome(tested: pd.DataFrame, counts: dict[str, Any], seed: int) -> Figure:
    layout = genome_layout(tested["chrom"].tolist(), tested["pos"].tolist())
    traces, view, n_drawn = site_points(tested, layout, counts["bonferroni"], seed)
    best = tested.iloc[0]
    text = (
        f"{plural(len(tested), 'site')} by the evidence for any interaction; the strongest is {best['site']} "
        f"({best['chrom']}:{int(best['pos']):,}, p = {p_text(best['p_value'])})."
    )
    note = (
        f"{n_drawn:,} points are drawn: the strongest, and others at random." if n_drawn < len(tested) else ""
    )
    return Figure("marginal-genome", "Marginal epistasis along the genome", text, traces, view, note)


def _found(tested: pd.DataFrame, counts: dict[str, Any]) -> list[str]:
    """The sites of q below 0.05, the strongest first."""
    rows = tested[tested["q_value"] < 0.05]
    if not len(rows):
        return ["No site stands out at a false discovery rate of 5 %."]
    said = [
        f"{row['site']} interacts with others: about {percent(row['variance_explained'])} of the variance "
        f"(p = {p_text(row['p_value'])}, q = {p_text(row['q_value'])})."
        for row in rows.head(_SHOWN).to_dict("records")
    ]
    more = len(rows) - len(said)
    return [*said, f"{plural(more, 'other site')} with q below 0.05: see the table."] if more else said


def _certain(counts: dict[str, Any]) -> list[str]:
    said = [
        f"Genomic inflation is {counts['inflation']:.2f}; 1 is that of chance. Linked sites share their "
        "evidence. A curved scale of the trait, or an untyped variant between a site and its partners, "
        "mimics interaction."
    ]
    if abs(counts["relatives"]) >= 0.1:
        said.append(
            f"Samples are related: without interactions the statistic would be {counts['relatives']:+.2f} "
            "standard deviations on average, which was subtracted."
        )
    return said


def _facts(folder: Path, manifest: Manifest, counts: dict[str, Any]) -> list[tuple[str, str]]:
    settings = manifest.model["marginal"]
    facts = [
        ("Folder", folder.resolve().name),
        ("Command", "genoattn scan --marginal"),
        ("Version", f"genoattn {manifest.versions.get('genoattn', 'unknown')}"),
        ("Seed", str(manifest.seed)),
        ("Trait", manifest.trait),
        ("Transform", manifest.transform),
        ("No partners within", f"{settings['mask_distance']:,} bases"),
        ("Untestable", plural(counts["n_untestable"], "site")),
        ("What a row is", manifest.estimand),
    ]
    for role, record in manifest.inputs.items():
        checksum = record.get("sha256") or "no checksum"
        facts.append((f"Input: {role}", f"{record.get('file', '')}, SHA-256 {checksum}"))
    return facts
