"""The first screen of a report: what was asked and what was found, in sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd

from genoattn.report.claims import (
    claim_sentence,
    claimed_rows,
    evidence,
    group,
    interactions,
    level,
    n_samples,
    untested_signals,
)
from genoattn.report.run_folder import RunFolder
from genoattn.report.wording import p_text, percent, plural
from genoattn.views.genome import natural_key

SHOWN = 3  # findings in sentences; the others are in the table
_TRANSFORM = {"log": " (natural logarithm)", "rank": " (normal scores)"}


def title(run: RunFolder) -> str:
    """Trait and kind of run in a line."""
    kind = {"fit": "model of epistasis", "scan": "scan of interactions", "export": "table of interactions"}
    return f"{run.manifest.trait}: {kind[run.kind]}"


def asked(run: RunFolder) -> list[str]:
    """What was asked, of how many samples and sites."""
    m = run.manifest
    trait = m.trait + _TRANSFORM.get(m.transform, "")
    n, n_sites = n_samples(run), len(m.sites)
    if run.kind == "scan":
        what = group(m.order, many=True)
        tests = plural(m.n_tests.get(m.order, 0), "test")
        return [
            f"Which {what} of sites act together on {trait}?",
            f"Every {group(m.order)} that could be tested was: {tests} in {plural(n, 'sample')}.",
        ]
    if run.is_landscape:
        who, question = plural(n, "variant"), f"Which mutations act together on {trait}?"
    else:
        who, question = plural(n, "sample"), f"Which alleles act together on {trait}?"
    size = f"{who}, {plural(n_sites, 'site')}"
    possible = {k: c for k, c in m.n_tests.items() if k >= 2 and c}
    counts = " and ".join(f"{c:,} possible {group(k, many=True)}" for k, c in sorted(possible.items()))
    return [question, f"{size}{'; ' + counts if counts else ''}."]


def found(run: RunFolder) -> list[str]:
    """What was found, a sentence a finding, the strongest first."""
    if run.kind == "scan":
        return _found_by_scan(run)
    if run.manifest.order < 2:
        return ["The model has main effects alone: interactions were not asked for."]
    rows = claimed_rows(run)
    if len(rows):
        first, *others = (claim_sentence(run, row) for row in rows.head(SHOWN).to_dict("records"))
        return [f"{first} {_among(run, rows)}", *others, *_phantoms(run)]
    return [*_nothing(run), *_phantoms(run)]


def _among(run: RunFolder, rows: pd.DataFrame) -> str:
    """``One claim in 6,786 possible pairs, at a false discovery rate of 5 % (q = 0.041).``"""
    possible = {k: n for k, n in sorted(run.manifest.n_tests.items()) if k >= 2 and n}
    among = " and ".join(f"{n:,} possible {group(k, many=True)}" for k, n in possible.items())
    rate = f"at a false discovery rate of {percent(level(run))}"
    if len(rows) == 1:
        return f"One claim in {among}, {rate} ({evidence(rows.iloc[0].to_dict())})."
    return f"This is the strongest of {len(rows):,} claims in {among}, {rate}; the table of terms has all."


def _nothing(run: RunFolder) -> list[str]:
    """That nothing is claimed, and what comes nearest."""
    rows, why = interactions(run), untested_signals(run)
    rate = percent(level(run))
    if why:
        said = [f"No claim can be made about pairs: {why}."]
    elif not len(rows):
        return ["No interaction was found: the model lists none."]
    else:
        said = [f"No interaction passes a false discovery rate of {rate}."]
    tested = rows[rows["p_value"].notna()]
    if len(tested):
        row = tested.iloc[0].to_dict()
        said.append(f"The strongest row is no claim. {claim_sentence(run, row)[:-1]}; {evidence(row)}.")
    return said


def _phantoms(run: RunFolder) -> list[str]:
    signals = run.get("signals")
    if signals is None:
        return []
    lost = signals[(signals["q_value"] <= level(run)) & (signals["flag"].fillna("") == "phantom")]
    return [
        f"{row['site_1']} x {row['site_2']} (q = {p_text(row['q_value'])}) is not claimed: a single untyped "
        "variant near these sites could explain it (phantom)."
        for row in lost.head(SHOWN).to_dict("records")
    ]


def _found_by_scan(run: RunFolder) -> list[str]:
    rows, order = run.table.frame, run.manifest.order
    what = group(order, many=True)
    tests = max(run.manifest.n_tests.get(order, 0), 1)
    bound = float(run.scan.get("bonferroni", 0.05 / tests))
    passing, q = rows[rows["p_value"] <= bound], rows[rows["q_value"] <= 0.05]
    threshold = run.scan.get("threshold", 1.0)
    if not len(rows) and threshold < bound:
        return [
            f"No {group(order)} of {tests:,} has a p-value of {threshold:g} or less. That is below "
            f"Bonferroni's threshold ({p_text(bound)}): a scan with a larger one may find some that pass it."
        ]
    if not len(q):
        said = [f"No {group(order)} of {tests:,} passes a false discovery rate of 5 %."]
        if len(rows):
            row = rows.iloc[0].to_dict()
            return [*said, f"The strongest is no claim. {claim_sentence(run, row)[:-1]}; {evidence(row)}."]
        return [*said, f"None has a p-value of {threshold:g} or less, so that none is listed."]
    passes = "passes" if len(q) == 1 else "pass"
    said = [
        f"{len(q):,} of {tests:,} {what} {passes} a false discovery rate of 5 %, and {len(passing):,} "
        f"{'passes' if len(passing) == 1 else 'pass'} Bonferroni's threshold (p of {p_text(bound)} or less)."
        f"{_regions(q, order)}"
    ]
    if threshold < bound:
        said.append(f"The scan lists only p-values of {threshold:g} or less: others may pass too.")
    first, *others = (claim_sentence(run, row) for row in _regional_leads(q, order))
    return [f"{first} {' '.join(said)}", *others]


def _regional_leads(rows: pd.DataFrame, order: int) -> list[dict[Any, Any]]:
    """The strongest row of each set of chromosomes, the first few; without chromosomes the first rows."""
    if rows["chrom_1"].any():
        sets = [frozenset(chroms) for chroms in zip(*_chroms(rows, order), strict=True)]
        rows = rows[~pd.Series(sets, index=rows.index).duplicated()]
    return rows.head(SHOWN).to_dict("records")


def _chroms(rows: pd.DataFrame, order: int) -> list[pd.Series]:
    return [rows[f"chrom_{k}"] for k in range(1, order + 1)]


def _regions(rows: pd.DataFrame, order: int) -> str:
    """On how many sets of chromosomes the rows lie: linked sites show one interaction many times."""
    if len(rows) < 2 or not rows["chrom_1"].any():
        return ""
    chroms = zip(*_chroms(rows, order), strict=True)
    sets = pd.Series([tuple(sorted(set(names), key=natural_key)) for names in chroms]).value_counts()
    named = [" and ".join(names) for names in sets.index[:SHOWN]]
    where = f"all on chromosomes {named[0]}" if len(sets) == 1 else f"on {len(sets)} sets of chromosomes"
    if len(sets) > 1:
        where += f" ({'; '.join(named)}{'; and others' if len(sets) > SHOWN else ''})"
    return f" They lie {where}; linked sites show one interaction many times, so count regions, not rows."
