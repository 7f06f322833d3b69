"""The rows of a run that can be claimed, and what each says in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import ENVIRONMENT
from genoattn.interactions.schema import multiplied
from genoattn.interactions.table import has_flag
from genoattn.report.run_folder import RunFolder
from genoattn.report.wording import (
    copies,
    ends,
    fold,
    is_inbred,
    number,
    p_text,
    place,
    scale,
    tokens_of,
    unit_words,
)

_GROUPS = {1: "site", 2: "pair", 3: "triple"}


def group(order: int, many: bool = False) -> str:
    """``pair``, ``triples``, ``terms of order 4``."""
    name = _GROUPS.get(order)
    return f"{'terms' if many else 'term'} of order {order}" if name is None else name + "s" * many


def level(run: RunFolder) -> float:
    """False discovery rate at which the run claims."""
    return float(run.manifest.model.get("alpha", 0.05))


def n_samples(run: RunFolder) -> int:
    """Samples of the run: of its record, or the most that a row has."""
    if "n_samples" in run.scan:
        return int(run.scan["n_samples"])
    parts = [v["n_samples"] for v in run.metrics.values() if isinstance(v, dict) and "n_samples" in v]
    if parts:
        return int(max(parts) if "test_folds" in run.metrics else sum(parts))
    counts = run.table.frame["n_samples"].dropna()
    return int(counts.max()) if len(counts) else 0


def interactions(run: RunFolder) -> pd.DataFrame:
    """Rows of order 2 and above, a contrast once: no repeats, no proxies."""
    rows = run.table.frame[run.table.frame["order"] >= 2]
    return rows[~has_flag(rows["flag"], "repeat") & ~has_flag(rows["flag"], "proxy")]


def untested_signals(run: RunFolder) -> str:
    """Why pairs have no q-value; empty where they have one."""
    return str(run.manifest.tests.get("signals", ""))


def claimed_rows(run: RunFolder) -> pd.DataFrame:
    """Rows that are claimed at the run's false discovery rate, by evidence."""
    rows = interactions(run)
    claimed = rows[(rows["q_value"] <= level(run)) & ~has_flag(rows["flag"], "phantom")]
    signals = run.get("signals")
    if signals is None:
        return claimed
    # Pairs that share a signal share its q-value; the lead stands for them.
    own = signals[(signals["q_value"] <= level(run)) & (signals["flag"].fillna("") != "phantom")]
    leads = {frozenset(pair) for pair in zip(own["site_1"], own["site_2"], strict=True)}
    pairs = [frozenset(p) in leads for p in zip(claimed["site_1"], claimed["site_2"], strict=True)]
    return claimed[np.array(pairs, dtype=bool) | (claimed["order"] > 2).to_numpy()]


def claim_sentence(run: RunFolder, row: Mapping[Any, Any]) -> str:
    """What a row says, as one biologist says it to another."""
    order = int(row["order"])
    tokens = tokens_of(row, order, run.is_landscape)
    where = [place(row, k) for k in range(1, order + 1)]
    head = " x ".join(f"{t} ({w})" if w else t for t, w in zip(tokens, where, strict=True))
    effect, se = float(row["effect"]), float(row["se"])
    if not np.isfinite(effect) and np.isfinite(row["statistic"]):
        return f"{head}: the genotypes together depart from additivity (one test of all their products)."
    if not np.isfinite(effect):
        value = number(float(row["coefficient"]), sign=True)
        return f"{head}: {value} {unit_words(run.manifest)}, the model's weight, which is not tested."
    chroms = [str(row[f"chrom_{k}"]) for k in range(1, order + 1)]
    if run.manifest.vocabulary.is_dosage and ENVIRONMENT in chroms:
        return f"{head}: {_with_environment(run, row, tokens)}."
    return f"{head}: {_size(run, order, effect, se)}."


def _with_environment(run: RunFolder, row: Mapping[Any, Any], tokens: Sequence[str]) -> str:
    """Size of an effect that depends on an environment."""
    order, effect, se = int(row["order"]), float(row["effect"]), float(row["se"])
    of_genome = [str(row[f"chrom_{k}"]) != ENVIRONMENT for k in range(1, order + 1)]
    if not is_inbred(run.manifest) or not any(of_genome):
        who = " with ".join(multiplied(row, k, token) for k, token in enumerate(tokens, 1))
        return _more(who, "gives", effect, se, order, run)
    most = copies(run.manifest) ** sum(of_genome)
    carried = " and ".join(t for t, own in zip(tokens, of_genome, strict=True) if own)
    others = [multiplied(row, k, t) for k, t in enumerate(tokens, 1) if not of_genome[k - 1]]
    who = f"lines that carry {carried}, with {' and '.join(others)},"
    return _more(who, "have", most * effect, most * se, order, run)


def _size(run: RunFolder, order: int, effect: float, se: float) -> str:
    """Size of an effect with its interval, for whom it is, and beyond what."""
    manifest, n_copies = run.manifest, copies(run.manifest)
    every = "both" if order == 2 else "all"
    if not manifest.vocabulary.is_dosage or n_copies == 1:
        return _more(f"carriers of {every}", "have", effect, se, order, run)
    most = n_copies**order
    if is_inbred(manifest):
        return _more(f"lines that carry {every}", "have", most * effect, most * se, order, run)
    who = "each copy of one with each copy of the other" if order == 2 else "a copy of each together"
    text = _more(who, "gives", effect, se, order, run)
    if scale(manifest) == "log-odds":
        return text
    word = "more" if effect > 0 else "less"
    return f"{text}; homozygotes for {every} have {number(most * abs(effect))} {word}"


def _more(who: str, verb: str, effect: float, se: float, order: int, run: RunFolder) -> str:
    """``carriers of both have 2.1 log units more than the two alone add up to (95 % interval ..)``."""
    alone = {2: "the two alone", 3: "the single alleles and pairs"}.get(order, "smaller sets of them")
    alone = alone.replace("alleles", "mutations") if run.is_landscape else alone
    if scale(run.manifest) == "log-odds":
        has = "have" if verb == "have" else "multiplies"
        times = fold(effect, se, run.manifest)
        if has == "have":
            return f"{who} have odds of being a case {times} times what {alone} give"
        return f"{who} multiplies the odds of being a case by {times}, on top of what {alone} give"
    low, high = abs(effect) - 1.96 * se, abs(effect) + 1.96 * se
    times = fold(effect, se, run.manifest).split(" (")[0]
    inside = f"95 % interval {ends(low, high, effect)}" + (f"; a factor of {times}" if times else "")
    word = "more" if effect > 0 else "less"
    size = f"{number(abs(effect))} {unit_words(run.manifest)} {word}"
    return f"{who} {verb} {size} than {alone} add up to ({inside})"


def evidence(row: Mapping[Any, Any]) -> str:
    """``q = 0.041``, or the p-value where there is no q-value."""
    q, p = float(row["q_value"]), float(row["p_value"])
    return f"q = {p_text(q)}" if np.isfinite(q) else f"p = {p_text(p)}" if np.isfinite(p) else "not tested"
