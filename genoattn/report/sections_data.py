"""Sections of a report on its data: how samples and sites came in, the trait, and facts of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genoattn.cohort import Cohort
from genoattn.io.environments import environment_line, environments_of
from genoattn.report.document import Figure, Section
from genoattn.report.run_folder import RunFolder
from genoattn.report.traces import BLUE, COLOURS, axis, plain
from genoattn.report.wording import number, plural, unit_words

_BINS = 30
# Settings that say most of a run, and their names for a reader.
_SETTINGS = {
    "attention": "Attention", "estimator": "Estimator", "form": "Form of the model",
    "reason": "Why this form", "link": "Link", "likelihood": "Likelihood", "penalty": "Penalty",
    "alpha": "False discovery rate", "chosen_because": "Why this order",
}  # fmt: skip
_SCAN_SETTINGS = {
    "test": "Test", "background": "Background", "threshold": "Largest p-value listed",
    "min_distance": "Smallest distance (bp)",
    "max_r2": "Largest r² between sites", "missing": "Missing calls", "permutations": "Permutations",
    "n_untestable": "Pairs that could not be tested", "n_linked": "Pairs left out as linked",
}  # fmt: skip


def data_section(run: RunFolder, cohort: Cohort | None) -> Section:
    """Samples and sites, from files to the run, and the distribution of the trait."""
    steps: Sequence[Any] = getattr(run.manifest, "flow", ())
    said = [_step(step) for step in steps]
    if not said:
        said = ["How many samples and sites were read and left out is not recorded in this folder."]
        said[0] += " Its log, or genoattn info, says so."
    if run.manifest.covariate_names:
        said.append(f"Adjusted for covariates: {', '.join(run.manifest.covariate_names)}.")
    said += [
        f"{line[0].upper()}{line[1:]}." for line in map(environment_line, environments_of(run.manifest.sites))
    ]
    figures = [_flow_figure(steps)] if any(step.left_out for step in steps) else []
    if cohort is not None and cohort.phenotype is not None:
        figures.append(_trait_figure(cohort, run))
    return Section("data", "Samples and sites", said, figures)


def _step(step: Any) -> str:
    """``samples: 162 read, 158 kept; left out: 4 without a phenotype.``"""
    text = f"{step.unit.capitalize()}: {step.read:,} read, {step.kept:,} kept"
    left = ", ".join(f"{n:,} {reason}" for reason, n in step.left_out.items() if n)
    return f"{text}; left out: {left}." if left else f"{text}."


def _flow_figure(steps: Sequence[Any]) -> Figure:
    units = [step.unit for step in steps]

    def bar(name: str, counts: list[int], colour: str) -> dict[str, Any]:
        share = [n / max(step.read, 1) for n, step in zip(counts, steps, strict=True)]
        text = [f"{n:,}" if n else "" for n in counts]
        return {"type": "bar", "orientation": "h", "y": units, "x": plain(share), "name": name, "text": text,
                "marker": {"color": colour}}  # fmt: skip

    traces = [bar("kept", [step.kept for step in steps], BLUE)]
    reasons = list(dict.fromkeys(reason for step in steps for reason in step.left_out))
    for k, reason in enumerate(reasons):
        colour = COLOURS[1 + k % (len(COLOURS) - 1)]
        traces.append(bar(reason, [step.left_out.get(reason, 0) for step in steps], colour))
    layout = {"barmode": "stack", "xaxis": axis("share of those read", tickformat=".0%"), "height": 260}
    return Figure("flow", "From the files to the run", " ".join(map(_step, steps)), traces, layout)


def _trait_figure(cohort: Cohort, run: RunFolder) -> Figure:
    assert cohort.phenotype is not None
    y, name = cohort.phenotype.values, run.manifest.trait
    if run.manifest.binary:
        n = int((y == 1).sum())
        text = f"{plural(n, 'case')} and {plural(len(y) - n, 'control')}."
        bar = {"type": "bar", "x": ["controls", "cases"], "y": [len(y) - n, n], "marker": {"color": BLUE}}
        return Figure("trait", f"{name}: cases and controls", text, [bar], {"yaxis": axis("samples")})
    count, edge = np.histogram(y, bins=_BINS)
    middle, width = (edge[1:] + edge[:-1]) / 2, float(edge[1] - edge[0])
    low, half, high = np.quantile(y, [0.05, 0.5, 0.95])
    text = (
        f"{plural(len(y), 'sample')} from {number(float(y.min()), 3)} to {number(float(y.max()), 3)}, median "
        f"{number(half, 3)}; nine tenths lie between {number(low, 3)} and {number(high, 3)}."
    )
    bars: dict[str, Any] = {
        "type": "bar",
        "x": plain(middle),
        "y": count.tolist(),
        "width": width,
        "marker": {"color": BLUE},
    }
    unit = f"units of {name}" if run.manifest.transform == "none" else unit_words(run.manifest)
    layout = {"xaxis": axis(f"{name} ({unit})"), "yaxis": axis("samples"), "bargap": 0.05}
    note = "As the model has it, after the transform." if run.manifest.transform != "none" else ""
    return Figure("trait", f"Distribution of {name}", text, [bars], layout, note)


def run_facts(run: RunFolder) -> list[tuple[str, str]]:
    """Labelled facts: version, seed, settings, inputs with checksums, what a row is."""
    m = run.manifest
    facts = [
        ("Folder", run.folder.resolve().name),
        ("Command", f"genoattn {run.kind}"),
        ("Version", f"genoattn {m.versions.get('genoattn', 'unknown')}"),
        ("Seed", str(m.seed)),
        ("Trait", m.trait),
        ("Transform", m.transform),
        ("Order", str(m.order)),
        ("Gauge", m.gauge),
        ("Encoding", m.vocabulary.encoding),
        ("Sites in its rows" if run.kind == "scan" else "Sites", f"{len(m.sites):,}"),
        ("What a row is", m.estimand),
    ]
    tests = {"method": "Effects estimated by", "reason": "Why so", "untested": "Rows without a test"}
    facts += [(label, str(m.tests[name])) for name, label in tests.items() if m.tests.get(name)]
    settings, names = (run.scan, _SCAN_SETTINGS) if run.kind == "scan" else (m.model, _SETTINGS)
    settings = {**m.model.get("scan", {}), **settings}
    facts += [(label, str(settings[k])) for k, label in names.items() if settings.get(k) not in (None, "")]
    for role, record in m.inputs.items():
        checksum = record.get("sha256") or "no checksum"
        facts.append((f"Input: {role}", f"{record.get('file', '')}, SHA-256 {checksum}"))
    packages = ", ".join(f"{k} {v}" for k, v in m.versions.items() if k != "genoattn")
    return [*facts, ("Packages", packages)] if packages else facts
