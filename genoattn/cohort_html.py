"""A cohort in a notebook: samples, sites, trait, covariates, and what was left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from genoattn.cohort import Cohort, Phenotype
from genoattn.html_text import Html, facts, listed, panel, say, text

_BARS = "▁▂▃▄▅▆▇█"
_N_BARS = 16
_MOST_CALLS = 10**8  # counted for their missing ones; more would take seconds
_MOST_LINES = 8


def cohort_html(cohort: Cohort) -> Html:
    """See :class:`genoattn.Cohort`."""
    kind = "genotypes" if cohort.kind == "genotype" else "aligned sequences"
    title = say("Cohort: {} samples, {} sites, {}", f"{cohort.n_samples:,}", f"{cohort.n_sites:,}", kind)
    more = len(cohort.log) - _MOST_LINES
    log = [text(line, 160) for line in cohort.log[:_MOST_LINES]]
    log += [Html(f"and {more} lines more in <code>log</code>")] if more > 0 else []
    rows: list[tuple[str, object]] = [
        ("samples", _samples(cohort)),
        ("sites", _sites(cohort)),
        ("calls", _calls(cohort)),
        ("trait", "none" if cohort.phenotype is None else _trait(cohort.phenotype)),
        ("covariates", "none" if cohort.covariates is None else listed(cohort.covariates.names)),
        ("files", listed([Path(name).name for name in cohort.source.values()])),
        ("read, kept", Html("<br>".join(log))),
    ]
    return panel(title, facts(rows))


def _samples(cohort: Cohort) -> Html:
    families = "" if cohort.families is None else f" in {len(set(cohort.families)):,} families"
    return Html(listed(cohort.samples.tolist(), 4) + families)


def _sites(cohort: Cohort) -> Html:
    sites = cohort.sites
    if cohort.kind == "sequence":
        least, most = min(sites.n_states, default=0), max(sites.n_states, default=0)
        number = f"{least} states each" if least == most else f"{least} to {most} states each"
        if sites.frame is None:
            return say("{}; {}", listed(sites.ids.tolist()), number)
        of = f"of {sites.frame.n_columns:,} columns, {sites.frame.alphabet}"
        return say("{} {}; {}", listed(sites.ids.tolist()), of, number)
    counts = Counter(sites.chrom.tolist())
    if len(counts) == len(sites):  # nothing to be said of chromosomes of one site each
        return listed(sites.ids.tolist())
    named = listed([say("{} ({})", chrom, f"{n:,}") for chrom, n in counts.items()])
    return say("{}: {}", f"{len(counts)} chromosome{'s'[: len(counts) > 1]}", named)


def _calls(cohort: Cohort) -> Html:
    # Calls that are numbers may be those of an environment alone.
    expected = cohort.has_dosages and (cohort.dosages is not None or not cohort.sites.is_environment.any())
    what = f"dosages ({cohort.dosages or 'expected copies'})" if expected else "hard calls"
    parts = [] if cohort.kind == "sequence" else [what]
    if 0 < cohort.calls.size <= _MOST_CALLS:
        missing = np.count_nonzero(cohort.calls < 0)
        share = f" ({missing / cohort.calls.size:.2g} of all)" if missing else ""
        parts.append(f"{missing:,} missing{share}")
    if cohort.is_haploid is not None:
        parts.append("haploid calls count 0 or 1")
    return text(", ".join(parts))


def _trait(phenotype: Phenotype) -> Html:
    """Name and distribution of a trait; a picture of it in sixteen bars."""
    y = phenotype.values
    if not len(y):
        return text(phenotype.name)
    if phenotype.binary:
        return say(
            "{}: {} cases, {} controls", phenotype.name, f"{int(y.sum()):,}", f"{int((1 - y).sum()):,}"
        )
    transform = {"none": "", "log": ", natural log", "rank": ", normal scores"}[phenotype.transform]
    count = np.histogram(y, _N_BARS)[0] if y.max() > y.min() else np.array([1])
    bars = "".join(_BARS[round(7 * n / count.max())] for n in count.tolist())
    numbers = f"mean {y.mean():.4g}, standard deviation {y.std():.4g}, {y.min():.4g} to {y.max():.4g}"
    return say(
        "{}{}: {} {}", phenotype.name, transform, numbers, Html(f'<span aria-hidden="true">{bars}</span>')
    )
