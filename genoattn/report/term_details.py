"""Why the p-value of a term is what it is: coding, main effects, linkage, carriers, tests."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import ENVIRONMENT, Cohort
from genoattn.errors import InputError
from genoattn.interactions.schema import is_amount
from genoattn.interactions.table import has_flag
from genoattn.report.claims import group
from genoattn.report.document import Detail
from genoattn.report.joint_figure import describe_joint, joint_figure
from genoattn.report.plain_regression import PlainTest, plain_regression
from genoattn.report.run_folder import RunFolder
from genoattn.report.wording import (
    flag_words,
    interval,
    number,
    p_text,
    percent,
    plural,
    scale,
    term_name,
    tokens_of,
    unit_words,
)
from genoattn.views.joint_states import joint_states

METHODS = {
    "least squares": "ordinary regression of all terms of the model together",
    "posterior": "generalised least squares with all other terms as random effects",
    "cell means": "the model's weight, corrected by the mean residuals of the joint states",
    "mixed model": "generalised least squares with the additive effects of all sites as random effects",
    "none": "none",
}
_SCAN_TESTS = {
    "additive": "regression of the trait on both sites, their product and the covariates",
    "background": "generalised least squares of the trait on both sites, their product and the covariates, "
    "in a linear mixed model with the additive effects of the genome",
    "genotypic": "F or chi-squared test of all products of genotypes of the sites, with the covariates",
}


def term_detail(
    run: RunFolder, key: str, row: Mapping[Any, Any], cohort: Cohort | None, seed: int = 0
) -> Detail:
    """What opens from a row of the table of terms.

    Parameters
    ----------
    key
        Anchor of its figure.
    cohort
        The data of the run; without it what needs single samples is left out.
    """
    name = term_name(row, run.is_landscape)
    facts = [*_coding(run, row), *_main_effects(run, row), *_linkage(run, row)]
    figure = None
    if cohort is not None:
        joint = joint_states(cohort, row, run.manifest, seed=seed, max_points=300)
        figure = joint_figure(key, name, joint, run)
        facts.append(("Joint states", describe_joint(joint, run)))
    facts += [*_carriers(row), *_test(run, row), *_claim(run, row)]
    facts += _plain_tests(run, row, cohort) if cohort is not None else []
    flags = flag_words(str(row["flag"]))
    facts += [("Flag", f"{row['flag']}: {flags}.")] if flags else []
    said = run.table.describe(row)
    return Detail(f"{said[0].upper()}{said[1:]}.", facts, figure)


def _coding(run: RunFolder, row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """What each site counts, and what is subtracted."""
    m, order = run.manifest, int(row["order"])
    v, ids = m.vocabulary, {site: k for k, site in enumerate(m.sites.ids)}
    said = []
    for k in range(1, order + 1):
        site, state = str(row[f"site_{k}"]), str(row[f"state_{k}"])
        at = ids.get(site)
        if at is None:
            continue
        if str(row[f"chrom_{k}"]) == ENVIRONMENT and v.is_dosage:
            ref, less = row[f"ref_{k}"], number(float(m.centre[int(v.first[at])]), 3)
            counted = f"steps of {state} above {ref}" if is_amount(state) else f"1 in {state}, 0 outside"
            said.append(f"{site}: {counted} (reference {ref}), less {less}")
        elif v.is_dosage:
            centre = float(m.centre[int(v.first[at])])
            most = int(v.n_states[at]) - 1
            said.append(f"{site}: copies of {state} (0 to {most}), less {number(centre, 3)}")
        else:
            reference = m.sites.states[at][int(v.reference[at])]
            against = f"{state} against {reference}" if m.gauge == "reference" else f"with {state} or without"
            said.append(f"{site}: {against}")
    return [("Coding", f"{'; '.join(said)} ({m.gauge} gauge)")] if said else []


def _main_effects(run: RunFolder, row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Rows of order 1 of the term's alleles."""
    order = int(row["order"])
    singles = run.table.frame[run.table.frame["order"] == 1]
    said = []
    tokens = tokens_of(row, order, run.is_landscape)
    for k, name in enumerate(tokens, 1):
        own = singles[(singles["site_1"] == row[f"site_{k}"]) & (singles["state_1"] == row[f"state_{k}"])]
        if not len(own):
            continue
        one = own.iloc[0]
        if np.isfinite(one["effect"]):
            text = f"{interval(float(one['effect']), float(one['se']))}, p = {p_text(float(one['p_value']))}"
        else:
            text = f"{number(float(one['coefficient']))} (the model's weight, not tested)"
        said.append(f"{name}: {text}")
    return [("Main effects", f"{'; '.join(said)} ({unit_words(run.manifest)})")] if said else []


def _linkage(run: RunFolder, row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    facts = [("Linkage", f"largest r² between two sites {number(float(row['r2_ld']))}")]
    facts = facts if np.isfinite(row["r2_ld"]) else []
    order = int(row["order"])
    places = [(str(row[f"chrom_{k}"]), row[f"pos_{k}"]) for k in range(1, order + 1)]
    if any(pd.isna(pos) for _, pos in places):
        return facts
    places = [(chrom, pos) for chrom, pos in places if chrom != ENVIRONMENT]
    if len(places) < 2 <= order:  # with an environment alone
        return facts
    chroms = list(dict.fromkeys(chrom for chrom, _ in places))
    if len(chroms) == len(places) and len(places) > 1:
        return [*facts, ("Distance", f"different chromosomes ({' and '.join(chroms)})")]
    near = min(abs(int(a[1]) - int(b[1])) for a, b in combinations(places, 2) if a[0] == b[0])
    unit = "residues" if run.is_landscape else "bp"
    where = f" on chromosome {chroms[0]}" if chroms[0] and len(chroms) == 1 else ""
    return [*facts, ("Distance", f"{near:,} {unit}{where}")]


def _carriers(row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    if pd.isna(row["n_samples"]):
        return []
    n, share = int(row["n_samples"]), float(row["frequency"])
    return [("Samples", f"{n:,} called at every site; joint frequency {percent(share)}")]


def _test(run: RunFolder, row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """The test of the row: method, statistic, and the model's weight next to it."""
    m, effect = run.manifest, float(row["effect"])
    if run.kind == "scan":
        scan = m.model["scan"]
        method = _SCAN_TESTS.get("background" if scan.get("background") else str(scan.get("test")), "")
    else:
        method = METHODS.get(str(m.tests.get("method")), str(m.tests.get("method", "")))
    facts = [("Method", method)] if method else []
    if np.isfinite(effect):
        ratio = f"{effect:+.3g} / {row['se']:.3g} = {row['statistic']:.3g}"
        facts.append(("Effect / standard error", f"{ratio}, so that p = {p_text(float(row['p_value']))}"))
    elif np.isfinite(row["p_value"]):
        facts.append(("Statistic", f"{row['statistic']:.4g}, p = {p_text(float(row['p_value']))}"))
    else:
        facts.append(("p-value", f"none: {m.tests.get('untested', 'the row has no test')}"))
    if run.kind != "scan" and np.isfinite(row["coefficient"]):
        weight = f"{row['coefficient']:+.3g}, pulled towards zero, which predicts best"
        facts.append(("The model's weight", weight))
    return facts


def _claim(run: RunFolder, row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """From the p-value to the q-value."""
    order, p, q = int(row["order"]), float(row["p_value"]), float(row["q_value"])
    tests = run.manifest.n_tests.get(order, 0)
    facts = []
    if np.isfinite(p) and tests:
        facts.append(
            ("Number of tests", f"{tests:,} possible {group(order, many=True)}; p times that number is "
             f"{p_text(min(p * tests, 1.0))} (Bonferroni)")
        )  # fmt: skip
    if not np.isfinite(q):
        return facts
    text = p_text(q)
    signal = _signal_of(run, row)
    if signal is not None:
        tested = f"{signal.get('tested_1', row['site_1'])} x {signal.get('tested_2', row['site_2'])}"
        cluster = plural(int(signal["n_pairs"]), "linked pair")
        text += (
            f", that of its signal, a cluster of {cluster}. It does not come from the p-value of this row, "
            f"listed because it stands out, but from the pair {tested} and the most cautious of its tests "
            f"(p = {p_text(float(signal['p_value']))})"
        )
    elif order == 2 and run.get("signals") is not None and has_flag(pd.Series([row["flag"]]), "proxy").item():
        text += ", that of the lead of its signal, to which it is linked: it is no claim of its own"
    elif order == 2 and run.get("signals") is not None:
        text += ": the pair belongs to no signal"
    else:
        text += " (Benjamini-Hochberg over these tests)"
    return [*facts, ("q-value", text)]


def _signal_of(run: RunFolder, row: Mapping[Any, Any]) -> dict[Any, Any] | None:
    """The signal whose q-value the row has: that of its lead, or of the credible set it is in."""
    signals = run.get("signals")
    if signals is None or int(row["order"]) != 2:
        return None
    a, b = str(row["site_1"]), str(row["site_2"])
    for record in signals.to_dict("records"):
        members = f"; {record['credible']}"
        lead = {a, b} == {record["site_1"], record["site_2"]}
        if lead or f"; {a} x {b} (" in members or f"; {b} x {a} (" in members:
            return record
    return None


def _plain_tests(run: RunFolder, row: Mapping[Any, Any], cohort: Cohort) -> list[tuple[str, str]]:
    """The product of the term's sites in regressions of its own, next to the row's test."""
    if cohort.phenotype is None or int(row["order"]) > 3:
        return []
    sites = "both sites" if int(row["order"]) == 2 else "its sites"
    facts = [
        (f"Regression on {sites} and their product alone", _said(plain_regression(cohort, row, run.manifest)))
    ]
    if cohort.fixed_effects.names:
        adjusted = plain_regression(cohort, row, run.manifest, with_covariates=True)
        facts.append(("The same with the covariates", _said(adjusted)))
    label, text = facts[0]
    if scale(run.manifest) == "latent":
        facts[0] = (label, f"{text}; on the measured scale, which the link bends")
    if scale(run.manifest) == "counts":
        facts[0] = (label, f"{text}; least squares of the counts themselves, not of their logarithm")
    return facts


def _said(test: PlainTest | None) -> str:
    if test is None:
        return "not determined by these samples"
    return (
        f"{test.effect:+.3g}, standard error {test.se:.3g}, p = {p_text(test.p_value)} "
        f"({plural(test.n, 'sample')})"
    )


def data_problem(run: RunFolder, cohort: Cohort) -> str:
    """Why the data do not fit the run; empty where they do."""
    if cohort.phenotype is None:
        return "they have no trait"
    if cohort.phenotype.name != run.manifest.trait:
        return f"their trait is {cohort.phenotype.name} and that of the run {run.manifest.trait}"
    if cohort.phenotype.transform != run.manifest.transform:
        return f"their transform is {cohort.phenotype.transform} and that of the run {run.manifest.transform}"
    rows = run.table.frame[run.table.frame["order"] >= 1]
    try:
        for row in rows.head(1).to_dict("records"):
            joint_states(cohort, row, run.manifest, max_points=1)
    except InputError as error:
        source, text = cohort.source.get("genotypes", ""), str(error).split(";")[0]
        return text.replace(source, Path(source).name) if source else text
    return ""
