"""The interaction table: its columns, and the manifest that describes it (schema version 2)."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genoattn.cohort import Sites
from genoattn.errors import InputError
from genoattn.interactions.estimand import SCHEMA_1
from genoattn.tokens import Encoding, Vocabulary

SCHEMA_VERSION = 2
SITE_COLUMNS = ("site", "chrom", "pos", "ref", "state")
VALUE_COLUMNS = (
    "coefficient",
    "coefficient_sd",
    "effect",
    "se",
    "statistic",
    "p_value",
    "q_value",
    "n_samples",
    "frequency",
    "variance_explained",
    "r2_ld",
    "flag",
)


def table_columns(max_order: int) -> list[str]:
    """Names of the columns of a table whose largest order is ``max_order``."""
    sites = [f"{name}_{k}" for k in range(1, max_order + 1) for name in SITE_COLUMNS]
    return ["order", *sites, *VALUE_COLUMNS]


@dataclass(frozen=True, eq=False)
class Manifest:
    """Description of a table: ``manifest.json`` and the metadata of the Parquet file.

    Parameters
    ----------
    trait, units
        Name of the phenotype, and the unit of a coefficient (``trait`` units, or log-odds).
    binary, transform
        How the phenotype was treated.
    order
        Largest order of the model.
    sites, vocabulary
        The sites of the model in its order, and their columns with training means.
    centre
        Shape (n_columns,), centre of each column in the gauge: what a dosage has subtracted, or the
        probability of a state.
    covariate_names, covariate_levels, covariate_coefficients
        Fixed effects, which predictions need with the table.
    n_tests
        For each order the number of terms that could have been reported, over which q-values are taken.
    left_out
        For each order the number of non-zero terms below the reporting limit; empty where the table is the
        model.
    estimand
        What ``coefficient`` and ``effect`` of a row are, in words.
    tests
        How the effects were estimated: ``method``, ``reason``, and ``untested``, why rows have no test.
    seed, versions, inputs, model
        Provenance: random seed, package versions, path and SHA-256 of each input, settings of the fit.
    """

    trait: str
    units: str
    binary: bool
    transform: str
    gauge: str
    order: int
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
    versions: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether predictions from the table equal the model's."""
        return not self.left_out

    def to_json(self) -> str:
        """Readable JSON; :func:`manifest_from_json` is its inverse."""
        v = self.vocabulary
        sites = self._site_records()
        names = self.covariate_names
        record = {
            "schema_version": SCHEMA_VERSION,
            **{k: getattr(self, k) for k in ("trait", "units", "binary", "transform", "gauge", "order")},
            "encoding": v.encoding,
            "complete": self.complete,
            "estimand": self.estimand,
            "tests": self.tests,
            "left_out": {str(k): n for k, n in self.left_out.items()},
            "n_tests": {str(k): n for k, n in self.n_tests.items()},
            "covariates": [
                {"name": n, "coefficient": float(c)}
                for n, c in zip(names, self.covariate_coefficients, strict=True)
            ],
            "covariate_levels": {k: list(levels) for k, levels in self.covariate_levels.items()},
            **{k: getattr(self, k) for k in ("seed", "versions", "inputs", "model")},
        }
        # A site on one line: readable still, and written by json's C code, ten times as fast as indented.
        head = json.dumps(record, indent=1, ensure_ascii=False).removesuffix("\n}")
        lines = ",\n  ".join(json.dumps(site, ensure_ascii=False) for site in sites)
        return f'{head},\n "sites": [\n  {lines}\n ]\n}}'

    def _site_records(self) -> list[dict[str, Any]]:
        """Record of each site."""
        v, s = self.vocabulary, self.sites
        start = np.searchsorted(v.site, np.arange(len(s) + 1)).tolist()
        # Plain lists: an array costs a microsecond an element to index, and tables have thousands of sites.
        pos, reference = s.pos.tolist(), v.reference.tolist()
        centre, mean, variance = self.centre.tolist(), v.mean.tolist(), v.variance.tolist()
        return [
            {
                "site": s.ids[k],
                "chrom": s.chrom[k],
                "pos": pos[k],
                "ref": s.ref[k],
                "alt": s.alt[k],
                "states": s.states[k],
                "features": {name: labels[k] for name, labels in s.features.items()},
                "reference_state": reference[k],
                "centre": centre[start[k] : start[k + 1]],
                "mean": mean[start[k] : start[k + 1]],
                "variance": variance[start[k] : start[k + 1]],
            }
            for k in range(len(s))
        ]

    def describe(self) -> str:
        """One line for a person."""
        transform = "" if self.transform == "none" else f"{self.transform} of "
        return (
            f"{transform}{self.trait}, {self.gauge} gauge, {self.vocabulary.encoding} encoding, "
            f"order {self.order}, {len(self.sites)} sites, coefficients in {self.units}"
        )


def manifest_from_json(text: str) -> Manifest:
    """Read what :meth:`Manifest.to_json` wrote.

    Of schema 1 the ``estimand`` says what its columns meant.
    """
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
    names = ("site", "chrom", "pos", "ref", "alt")
    ids, chrom, pos, ref, alt = (np.array([r[name] for r in rows], dtype=object) for name in names)
    features = {
        name: np.array([r["features"][name] for r in rows], dtype=object)
        for name in (rows[0]["features"] if rows else ())
    }
    sites = Sites(ids, chrom, pos, ref, alt, tuple(tuple(r["states"]) for r in rows), features)
    return Manifest(
        **{
            k: record[k]
            for k in (
                "trait",
                "units",
                "binary",
                "transform",
                "gauge",
                "order",
                "estimand",
                "tests",
                "seed",
                "versions",
                "inputs",
                "model",
            )
        },
        sites=sites,
        vocabulary=_vocabulary(record["encoding"], rows, sites),
        centre=np.concatenate([np.asarray(r["centre"], dtype=np.float64) for r in rows]),
        covariate_names=tuple(c["name"] for c in record["covariates"]),
        covariate_levels={k: tuple(levels) for k, levels in record["covariate_levels"].items()},
        covariate_coefficients=np.array([c["coefficient"] for c in record["covariates"]], dtype=np.float64),
        n_tests={int(k): n for k, n in record["n_tests"].items()},
        left_out={int(k): n for k, n in record["left_out"].items()},
    )


def _vocabulary(encoding: Encoding, rows: list[dict[str, Any]], sites: Sites) -> Vocabulary:
    number = np.array([len(r["mean"]) for r in rows])
    state = [np.full(1, -1) if encoding == "dosage" else np.arange(n) for n in number]
    return Vocabulary(
        encoding,
        np.repeat(np.arange(len(rows)), number),
        np.concatenate(state),
        sites.n_states,
        np.concatenate([np.asarray(r["mean"], dtype=np.float64) for r in rows]),
        np.concatenate([np.asarray(r["variance"], dtype=np.float64) for r in rows]),
        np.array([r["reference_state"] for r in rows], dtype=np.int64),
    )
