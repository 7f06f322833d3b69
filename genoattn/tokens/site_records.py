"""Sites and their columns as plain records, for manifests and checkpoints."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from genoattn.cohort import Sites
from genoattn.tokens.vocabulary import Encoding, Vocabulary

_NAMES = ("site", "chrom", "pos", "ref", "alt")


def site_records(sites: Sites, vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """A record of each site: plain numbers, strings, lists and tuples."""
    v, s = vocabulary, sites
    start = np.searchsorted(v.site, np.arange(len(s) + 1)).tolist()
    # Plain lists: an array costs a microsecond an element to index, and tables have thousands of sites.
    pos, reference = s.pos.tolist(), v.reference.tolist()
    mean, variance = v.mean.tolist(), v.variance.tolist()
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
            "mean": mean[start[k] : start[k + 1]],
            "variance": variance[start[k] : start[k + 1]],
        }
        for k in range(len(s))
    ]


def from_site_records(encoding: Encoding, records: Sequence[dict[str, Any]]) -> tuple[Sites, Vocabulary]:
    """The sites and the vocabulary of :func:`site_records`."""
    ids, chrom, pos, ref, alt = (np.array([r[name] for r in records], dtype=object) for name in _NAMES)
    features = {
        name: np.array([r["features"][name] for r in records], dtype=object)
        for name in (records[0]["features"] if records else ())
    }
    sites = Sites(ids, chrom, pos, ref, alt, tuple(tuple(r["states"]) for r in records), features)
    number = np.array([len(r["mean"]) for r in records], dtype=np.int64)
    state = [np.full(1, -1) if encoding == "dosage" else np.arange(n) for n in number]
    vocabulary = Vocabulary(
        encoding,
        np.repeat(np.arange(len(records)), number),
        np.concatenate([np.zeros(0, dtype=np.int64), *state]),  # a table may have no site
        sites.n_states,
        column_values(records, "mean"),
        column_values(records, "variance"),
        np.array([r["reference_state"] for r in records], dtype=np.int64),
    )
    return sites, vocabulary


def column_values(records: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    """Values of the columns of every site, (n_columns,)."""
    return np.concatenate([np.zeros(0), *(np.asarray(r[name], dtype=np.float64) for r in records)])
