"""The interaction table: its columns, their meaning in words, and the manifest (schema version 2)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from genoattn.cohort import ENVIRONMENT, AlignmentFrame, FlowStep, Haploid, Sites
from genoattn.errors import InputError
from genoattn.tokens import Vocabulary
from genoattn.tokens.site_records import column_values, from_site_records, site_records

SCHEMA_VERSION = 2
SITE_COLUMNS = ("site", "chrom", "pos", "ref", "state")
ESTIMATED = ("coefficient_sd", "effect", "se", "statistic", "p_value", "q_value")
_DESCRIBED = ("n_samples", "frequency", "variance_explained", "r2_ld", "flag")
VALUE_COLUMNS = ("coefficient", *ESTIMATED, *_DESCRIBED)
# Entries of the manifest that are stored as they are.
_PHENOTYPE = ("trait", "units", "binary", "transform", "gauge", "order")
_PROVENANCE = ("seed", "versions", "inputs", "model")
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


def table_columns(max_order: int) -> list[str]:
    """Names of the columns of a table whose largest order is ``max_order``."""
    sites = [f"{name}_{k}" for k in range(1, max_order + 1) for name in SITE_COLUMNS]
    return ["order", *sites, *VALUE_COLUMNS]


@dataclass(frozen=True, eq=False)
class Manifest:
    """Description of a table: ``manifest.json`` and the metadata of the Parquet file.

    ``centre`` (n_columns,) is that of each column in the gauge: what a dosage has subtracted, or the
    probability of a state. ``n_tests`` is for each order the number of terms that could have been reported,
    over which q-values are taken; ``left_out`` that of non-zero terms below the reporting limit, empty where
    the table is the model. ``estimand`` says what ``coefficient`` and ``effect`` of a row are, ``tests`` how
    effects were estimated: ``method``, ``reason``, and ``untested``, why rows have no test; ``signals`` why
    pairs have no q-value. ``haploid`` is what haploid calls count, as of a cohort of genotypes;
    ``dosages`` the entry of the file whose dosages were fitted, None for hard calls. ``flow`` counts what
    reading kept, step by step.
    """

    trait: str
    units: str  # of a coefficient: ``trait`` units, or log-odds
    binary: bool
    transform: str
    gauge: str
    order: int  # the largest of the model
    sites: Sites
    vocabulary: Vocabulary
    centre: np.ndarray
    covariate_names: tuple[str, ...] = ()
    covariate_levels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    covariate_coefficients: np.ndarray = field(default_factory=lambda: np.zeros(0))
    n_tests: dict[int, int] = field(default_factory=dict)
    left_out: dict[int, int] = field(default_factory=dict)
    estimand: str = ""
    tests: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)  # of packages
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)  # name and SHA-256 of each
    model: dict[str, Any] = field(default_factory=dict)  # settings of the fit
    haploid: Haploid | None = None
    dosages: str | None = None
    flow: tuple[FlowStep, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether predictions from the table equal the model's."""
        return not self.left_out

    def to_json(self) -> str:
        """Readable JSON; :func:`manifest_from_json` is its inverse."""
        v, frame = self.vocabulary, self.sites.frame
        covariates = zip(self.covariate_names, self.covariate_coefficients, strict=True)
        record = {
            "schema_version": SCHEMA_VERSION,
            **{k: getattr(self, k) for k in _PHENOTYPE},
            "encoding": v.encoding,
            **({} if frame is None else {"alignment": asdict(frame)}),
            "haploid": self.haploid,
            "dosages": self.dosages,
            "complete": self.complete,
            "estimand": self.estimand,
            "tests": self.tests,
            "left_out": {str(k): n for k, n in self.left_out.items()},
            "n_tests": {str(k): n for k, n in self.n_tests.items()},
            "covariates": [{"name": n, "coefficient": float(c)} for n, c in covariates],
            "covariate_levels": {k: list(levels) for k, levels in self.covariate_levels.items()},
            **{k: getattr(self, k) for k in _PROVENANCE},
            "flow": [asdict(step) for step in self.flow],
        }
        # A site on one line: readable still, and written by json's C code, ten times as fast as indented.
        head = json.dumps(record, indent=1, ensure_ascii=False).removesuffix("\n}")
        lines = ",\n  ".join(json.dumps(site, ensure_ascii=False) for site in self._site_records())
        return f'{head},\n "sites": [\n  {lines}\n ]\n}}'

    def _site_records(self) -> list[dict[str, Any]]:
        """Record of each site, with its centre in the gauge."""
        start = np.searchsorted(self.vocabulary.site, np.arange(len(self.sites) + 1)).tolist()
        centre, records = self.centre.tolist(), site_records(self.sites, self.vocabulary)
        return [r | {"centre": centre[start[k] : start[k + 1]]} for k, r in enumerate(records)]

    def describe(self) -> str:
        """One line for a person."""
        transform = "" if self.transform == "none" else f"{self.transform} of "
        return (
            f"{transform}{self.trait}, {self.gauge} gauge, {self.vocabulary.encoding} encoding, "
            f"order {self.order}, {len(self.sites)} sites, coefficients in {self.units}"
        )


def manifest_from_json(text: str) -> Manifest:
    """Read what :meth:`Manifest.to_json` wrote; of schema 1 the ``estimand`` says what its columns meant."""
    record = json.loads(text)
    version = record.get("schema_version")
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"schema version {version!r}")
    if version > SCHEMA_VERSION:
        writer = record.get("versions", {}).get("genoattn", "a later version")
        raise InputError(
            f"a table of schema version {version}, and this genoattn reads up to {SCHEMA_VERSION}; "
            f"install genoattn {writer} or newer, which wrote it"
        )
    if version == 1:
        record |= {"estimand": SCHEMA_1, "tests": {"schema_version": 1}}
    rows = record["sites"]
    sites, vocabulary = from_site_records(record["encoding"], rows)
    if "alignment" in record:
        sites = replace(sites, frame=AlignmentFrame(**record["alignment"]))
    return Manifest(
        **{k: record[k] for k in (*_PHENOTYPE, "estimand", "tests", *_PROVENANCE)},
        sites=sites,
        vocabulary=vocabulary,
        centre=column_values(rows, "centre"),
        covariate_names=tuple(c["name"] for c in record["covariates"]),
        covariate_levels={k: tuple(levels) for k, levels in record["covariate_levels"].items()},
        covariate_coefficients=np.array([c["coefficient"] for c in record["covariates"]], dtype=np.float64),
        n_tests={int(k): n for k, n in record["n_tests"].items()},
        left_out={int(k): n for k, n in record["left_out"].items()},
        haploid=record.get("haploid"),
        dosages=record.get("dosages"),
        flow=tuple(FlowStep(**step) for step in record.get("flow", ())),
    )


def estimand(encoding: str, gauge: str, units: str, method: str) -> str:
    """Meaning of ``coefficient`` and ``effect`` of a table whose effects are by a method, or by a scan."""
    row = "change per copy of the effect allele (order 2: per product, beyond both alone; and so on)"
    if encoding != "dosage":
        row = f"deviation of carriers of the states from {_OWN[gauge]}"
        row += " (order 2: beyond that of both alone; and so on)"
    return (
        f"coefficient: {row}, {_BACKGROUND[gauge]}, in {units}, as the model has it. "
        f"effect: the same, estimated without shrinkage by {_ESTIMATED[method]}. statistic = effect / se"
    )


def multiplied(row: Mapping[Any, Any], k: int, token: str) -> str:
    """What the coefficient of a row of dosages is for, at its k-th site."""
    if row.get(f"chrom_{k}") != ENVIRONMENT:
        return f"each copy of {token}"
    site, state, ref = (row[f"{name}_{k}"] for name in ("site", "state", "ref"))
    if is_amount(state):
        return f"each {state} of {site}"
    return f"{state} in place of {ref} ({site})"


def is_amount(state: str) -> bool:
    """Whether the state of an environment is the unit of a number, such as +2.5."""
    try:
        return state.startswith("+") and float(state) > 0
    except ValueError:
        return False


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
        who = " with ".join(multiplied(row, k, token) for k, token in enumerate(tokens, 1))
    else:
        who = f"carriers of {' and '.join(tokens)}"
    if order == 1:
        than = "" if encoding == "dosage" else f" against {_OWN[gauge]}"
    else:
        than = f" beyond what {'the two alone give' if order == 2 else 'all fewer of them give'}"
    return f"{who}: {value}{than}, {_BACKGROUND[gauge]}"
