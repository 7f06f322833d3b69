"""A description of a file as aligned text, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from genoattn.describe.summaries import (
    AlignmentSummary,
    ChromosomeSummary,
    FileDescription,
    GenotypeSummary,
    KeptSummary,
    RunSummary,
    TableColumn,
    TableSummary,
)

SCHEMA_VERSION = 1
_LABEL = 14  # characters
_MOST_CHROMOSOMES = 30
_MOST_COLUMNS = 60
_PLOIDIES = {"0": "uncalled", "1": "haploid", "2": "diploid"}
_PHASED = {"all": "phased", "some": "partly phased", "none": "unphased"}

Row = tuple[str, str]  # label and text; an empty label goes on with the one before


def to_json(description: FileDescription) -> str:
    """One JSON object, whose keys are the fields of the parts of a description."""
    record = {"schema_version": SCHEMA_VERSION, **asdict(description)}
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def to_text(description: FileDescription) -> str:
    """Lines of a label and what there is."""
    rows = [("", description.path), *_rows(description)]
    lines = [rows[0][1], *(f"  {label:<{_LABEL}}{text}".rstrip() for label, text in rows[1:])]
    # What a name holds must not steer the terminal.
    return "".join(f"{''.join(c if c.isprintable() else '?' for c in line)}\n" for line in lines)


def _rows(d: FileDescription) -> Iterator[Row]:
    compressed = "" if d.compression == "none" else f", compressed by {d.compression}"
    index = f", index {d.index}" if d.index else ""
    if d.format in ("VCF", "BCF") and not d.index:
        index = ", no index (--region needs one)"
    if d.run is None:
        form = "text" if d.format == "text" else d.format
        yield "format", f"{'table, ' if d.kind in ('table', 'variants') else ''}{form}{compressed}{index}"
    if d.mismatch:
        yield "NAME", d.mismatch
    if d.samples is not None:
        first = ", ".join(d.samples.first) + (", .." if d.samples.n > len(d.samples.first) else "")
        families = f"; {_n(d.samples.n_families, 'family', 'families')}" if d.samples.n_families else ""
        yield "samples", f"{d.samples.n:,} ({first}){families}"
    if d.genotypes is not None:
        yield from _genotypes(d.genotypes)
    if d.alignment is not None:
        yield from _alignment(d.alignment)
    if d.table is not None:
        yield from _table(d.table)
    if d.run is not None:
        yield from _run(d.run)
    yield from _labelled("notes", d.notes)
    if d.kept is not None:
        yield from _kept(d.kept, d.kind == "genotypes", d.genotypes is None or d.genotypes.complete)


def _genotypes(g: GenotypeSummary) -> Iterator[Row]:
    first = "" if g.complete else "the first "
    kinds = [
        (g.n_biallelic, "biallelic"),
        (g.n_multiallelic, "multi-allelic"),
        (g.n_without_alternate, "without an alternate allele"),
        (g.n_symbolic, "symbolic"),
    ]
    kinds.append((g.n_records - sum(n for n, _ in kinds), "left out, see notes"))
    yield "records", f"{first}{g.n_records:,}: {_counts(kinds)}"
    if not g.complete:
        yield "", "the file is large; --all looks at everything"
    sites = f"{g.n_sites:,}, one for each alternate allele"
    yield (
        "sites",
        f"{sites}; {g.n_repeated:,} with the place and alleles of an earlier one" if g.n_repeated else sites,
    )
    if g.n_shared_ids:
        yield "", f"{_n(g.n_shared_ids, 'record')} with an ID that another has"
    if g.n_unplaced:
        yield "", f"{_n(g.n_unplaced, 'record')} without a chromosome or position"
    if g.chromosomes:
        yield from _chromosomes(g.chromosomes)
    yield from _calls(g)


def _chromosomes(chromosomes: Sequence[ChromosomeSummary]) -> Iterator[Row]:
    shown = chromosomes[:_MOST_CHROMOSOMES]
    cells = [("chromosome", "records", "first", "last")]
    cells += [(c.name, f"{c.n_records:,}", f"{c.first:,}", f"{c.last:,}") for c in shown]
    yield from _labelled("chromosomes", _aligned(cells))
    if len(chromosomes) > len(shown):
        yield "", f".. and {len(chromosomes) - len(shown):,} more"


def _calls(g: GenotypeSummary) -> Iterator[Row]:
    ploidy = [(n, _PLOIDIES.get(name, f"of ploidy {name}")) for name, n in g.ploidy.items()]
    parts = [ploidy[0][1] if len(ploidy) == 1 else f"sites: {_counts(ploidy)}"] if ploidy else []
    if g.dosages:
        parts.append("imputed dosages")
    if g.layout.phased is not None and not g.dosages:
        parts.append(_PHASED[g.layout.phased])
    if g.layout.format_keys:
        parts.append(f"FORMAT {':'.join(g.layout.format_keys)}")
    looked = f" (first {_n(g.layout.n_records, 'record')})" if g.layout.n_records else ""
    yield "calls", ", ".join(parts) + looked
    missing = f"{g.n_missing:,} of {g.n_sites * g.n_samples:,} calls ({_percent(g.missing_fraction)})"
    yield "missing", f"{missing if g.n_missing else 'none'}, in {_n(g.n_samples, 'sample')}"
    if g.worst_sample is not None:
        over = f"; {_n(g.n_samples_over, 'sample')} over 10 %" if g.n_samples_over else ""
        yield "", f"most in {g.worst_sample}, {_percent(g.worst_fraction)} of its sites{over}"
    classes = [("minor allele frequency", "sites")]
    for c in g.frequencies:
        classes.append(("0, monomorphic" if c.high == 0 else f"{c.low:g} to {c.high:g}", f"{c.n_sites:,}"))
    if g.n_uncalled:
        classes.append(("no call at all", f"{g.n_uncalled:,}"))
    yield from _labelled("frequencies", _aligned(classes))


def _alignment(a: AlignmentSummary) -> Iterator[Row]:
    repeated = f"; {a.n_repeated:,} repeat an earlier one" if a.n_repeated else ""
    yield "sequences", f"{a.n_sequences:,} of {a.n_columns:,} columns{repeated}"
    yield "alphabet", f"{a.alphabet}, {a.alphabet_reason}"
    yield "reference", a.reference
    yield "columns", f"{a.n_variable:,} variable, {a.n_columns - a.n_variable:,} constant"
    over = f"; {_n(a.n_columns_over, 'column')} with more than 10 % missing" if a.n_columns_over else ""
    yield "letters", f"{_percent(a.gap_fraction)} gaps, {_percent(a.missing_fraction)} missing{over}"


def _table(t: TableSummary) -> Iterator[Row]:
    yield "rows", f"{t.n_rows:,}"
    if t.problem is not None:
        yield "NO TABLE", f"of samples: {t.problem}"
    cells = [("column", "kind", "missing", "distinct", "values")]
    for column in t.columns[:_MOST_COLUMNS]:
        kind = column.kind if column.role == "value" else f"{column.role}s"
        numbers = f"{column.n_missing:,}", f"{column.n_distinct:,}"
        cells.append((column.name, kind, *numbers, _values(column)))
    yield from _labelled("columns", _aligned(cells, right=(2, 3)))
    if len(t.columns) > _MOST_COLUMNS:
        yield "", f".. and {len(t.columns) - _MOST_COLUMNS:,} more"


def _values(c: TableColumn) -> str:
    more = ", .." if c.n_distinct > len(c.examples) else ""
    text = ", ".join(one[:30] for one in c.examples) + more
    if c.kind == "mixed":
        text = f"numbers, but also {', '.join(c.examples)}"
    elif c.kind == "number" and c.mean is not None:
        text = f"{c.lowest:.6g} to {c.highest:.6g}, mean {c.mean:.4g}"
    if c.codes:
        codes = ", ".join(f"{n:,} of {code}" for code, n in c.codes.items())
        text += f"; {codes}: a code for missing? write NA"
    return text


def _run(r: RunSummary) -> Iterator[Row]:
    version = "" if r.version == "unknown" else f" {r.version}, seed {r.seed}"
    yield "output of", f"{r.command}{version}"
    yield "what", r.title
    if r.covariates:
        yield "covariates", ", ".join(r.covariates)
    settings = [f"{k}: {v}" for k, v in r.settings.items() if not isinstance(v, dict | list)]
    yield from _labelled("settings", settings)
    yield from _labelled("results", list(_results(r.results)))
    said = {
        "unchanged": "unchanged, {}",
        "changed": "CHANGED since: {}",
        "not found": "not found beside the folder or here, so not compared",
        "no checksum": "without a checksum",
    }
    cells = [(i.role, i.file, said[i.state].format(i.found)) for i in r.inputs]
    yield from _labelled("inputs", _aligned(cells, right=()))
    yield from _labelled("files", _aligned([(name, f"{size:,} bytes") for name, size in r.files.items()]))


def _results(results: dict[str, object]) -> Iterator[str]:
    """Numbers of a scan; of a fit the metric of each part of the samples."""
    for name, value in results.items():
        if isinstance(value, dict):
            flat = [f"{k} {_number(v)}" for k, v in value.items() if not isinstance(v, dict | list)]
            yield f"{name}: {', '.join(flat)}"
        else:
            yield f"{name}: {_number(value)}"


def _kept(k: KeptSummary, genotypes: bool, complete: bool) -> Iterator[Row]:
    yield "would be kept", f"{k.n_samples:,} of {_n(k.n_samples_in_file, 'sample')}"
    for line in k.samples:
        yield "", f"  {line}"
    of = _n(k.n_sites_in_file, "site" if genotypes else "column")
    refused = "" if k.n_sites or not complete else ": fit and scan would refuse it"
    yield "", f"{k.n_sites:,} of {of if complete else f'the first {of}'}{refused}"
    reasons = (
        (k.n_monomorphic, "monomorphic"),
        (k.n_over_missing, f"missing in more than {_percent(k.max_missing)} (--max-missing)"),
        (k.n_rare, f"under the minor allele frequency {k.maf:g} (--maf)"),
        (k.n_repeated, "with the calls of an earlier record of the site"),
    )
    for n, reason in reasons:
        if n:
            yield "", f"  {n:,} dropped, {reason}"


def _labelled(label: str, lines: Sequence[str]) -> Iterator[Row]:
    for i, line in enumerate(lines):
        yield ("" if i else label), line


def _aligned(rows: Sequence[tuple[str, ...]], right: tuple[int, ...] | None = None) -> list[str]:
    """Rows of cells as lines; columns ``right`` (None: all but the first) end at one place."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = tuple(range(1, len(widths))) if right is None else right
    sides = [">" if i in right else "<" for i in range(len(widths))]
    return [
        "  ".join(f"{cell:{side}{w}}" for cell, side, w in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


def _counts(counts: Sequence[tuple[int, str]]) -> str:
    return ", ".join(f"{n:,} {what}" for n, what in counts if n) or "none"


def _n(n: int, one: str, several: str = "") -> str:
    return f"{n:,} {one if n == 1 else several or f'{one}s'}"


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g} %"
