"""Meaning of a row of an interaction table, in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_BACKGROUND = {
    "frequency": "at the training frequencies of all other sites",
    "zero-sum": "averaged evenly over the states of all other sites",
    "reference": "with all other sites in their reference state",
}
_OWN = {
    "frequency": "the average of the site's states at their training frequencies",
    "zero-sum": "the even average of the site's states",
    "reference": "the site's reference state",
}
_ESTIMATED = {
    "least squares": (
        "unpenalised least squares of all terms of the model together; se is the ordinary standard error"
    ),
    "posterior": (
        "the model's coefficient divided by its reliability: generalised least squares with all other terms "
        "as random effects"
    ),
    "cell means": (
        "the model's coefficient with a one-step correction: the term's own contrast of the mean residuals "
        "of the joint states of its sites"
    ),
    "mixed model": (
        "generalised least squares of the term with its lower-order terms, adjusted for the model's other "
        "interactions, with all additive effects as random effects; of linked terms that share one "
        "interaction the lead alone is estimated, as if its proxies had none of it"
    ),
    "none": "no method: see tests in the manifest",
    "scan": (
        "least squares (binary traits: logistic regression) of the product with its lower-order terms and "
        "the covariates, which is the coefficient itself; for a binary trait se is the effect over the "
        "signed root of the likelihood-ratio statistic"
    ),
}
SCHEMA_1 = (
    "written by schema 1: effect (statistic * se) is the estimate of a regression of the one indicator or "
    "product with its lower-order terms, averaged over all other sites: not an estimate of coefficient"
)


def estimand(encoding: str, gauge: str, units: str, method: str) -> str:
    """Meaning of ``coefficient`` and ``effect`` of a table.

    Parameters
    ----------
    method
        A key of :data:`genoattn.interactions.testing.Method`, or ``scan``.
    """
    if encoding == "dosage":
        row = "change per copy of the effect allele (order 2: per product, beyond both alone; and so on)"
    else:
        row = (
            f"deviation of carriers of the states from {_OWN[gauge]} "
            "(order 2: beyond that of both alone; and so on)"
        )
    return (
        f"coefficient: {row}, {_BACKGROUND[gauge]}, in {units}, as the model has it. "
        f"effect: the same, estimated without shrinkage by {_ESTIMATED[method]}. statistic = effect / se"
    )


def describe_row(row: Mapping[Any, Any], encoding: str, gauge: str, units: str) -> str:
    """One row as a sentence."""
    if units.startswith("latent units"):
        units = "units of the latent phenotype"
    order = int(row["order"])
    tokens = [f"{row[f'site_{k}']}[{row[f'state_{k}']}]" for k in range(1, order + 1)]
    size, tested = row["effect"], np.isfinite(row["effect"])
    if tested:
        reach = 1.96 * row["se"]
        value = f"{size:+.3g} ({size - reach:+.3g} to {size + reach:+.3g}) {units}"
    else:
        why = "no sample carries them" if "unseen" in str(row.get("flag", "")) else "not tested"
        value = f"{row['coefficient']:+.3g} {units} (the model's; {why})"
    if order == 0:
        return f"expected value at covariates of 0, {_BACKGROUND[gauge].replace('other ', '')}: {value}"
    if encoding == "dosage":
        who = " with ".join(f"each copy of {token}" for token in tokens)
    else:
        who = f"carriers of {' and '.join(tokens)}"
    if order == 1:
        than = "" if encoding == "dosage" else f" against {_OWN[gauge]}"
    else:
        than = f" beyond what {'the two alone give' if order == 2 else 'all fewer of them give'}"
    return f"{who}: {value}{than}, {_BACKGROUND[gauge]}"
