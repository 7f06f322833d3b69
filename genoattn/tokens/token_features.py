"""Features of tokens: what HyperFeatureAttention knows a token by."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from genoattn.cohort import Sites
from genoattn.tokens import Vocabulary

# Residues by chemistry: aliphatic, aromatic, polar, positive, negative, and those that bend the backbone.
_CLASSES = {"AVLIM": "aliphatic", "FWYH": "aromatic", "STNQC": "polar", "KR": "positive", "DE": "negative"}
RESIDUE_CLASS = {residue: name for residues, name in _CLASSES.items() for residue in residues}
RESIDUE_CLASS |= {"G": "glycine", "P": "proline", "-": "gap"}


@dataclass(frozen=True, eq=False)
class TokenFeatures:
    """Labels of each column of a vocabulary, by feature."""

    levels: Mapping[str, tuple[str, ...]]  # of each feature, in the order of their embeddings
    index: np.ndarray  # (n_features, n_columns), of a column's label; -1 where no training token had it

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of labels of each feature; an embedding is as wide as their sum, not their product."""
        return tuple(len(labels) for labels in self.levels.values())


def token_features(
    sites: Sites, vocabulary: Vocabulary, levels: Mapping[str, tuple[str, ...]] | None = None
) -> TokenFeatures:
    """Features of the columns: the site, its state, the class of a residue, and the features of the site.

    Without states (``dosage``) a column is known by its site and the site's features. ``levels`` are the
    labels of a fitted model, to index new tokens by; those found here by default.
    """
    labels: dict[str, list[str]] = {"site": [str(sites.ids[s]) for s in vocabulary.site]}
    if vocabulary.encoding == "genotype":
        labels["state"] = [f"{copies} copies" for copies in vocabulary.state]
    elif vocabulary.encoding == "sequence":
        residues = [sites.states[s][a] for s, a in zip(vocabulary.site, vocabulary.state, strict=True)]
        labels["state"] = residues
        if set(residues) - set("ACGTU-"):  # residue classes say nothing of nucleotides
            labels["class"] = [RESIDUE_CLASS.get(r, "other") for r in residues]
    labels |= {name: [str(values[s]) for s in vocabulary.site] for name, values in sites.features.items()}
    if levels is None:
        levels = {name: tuple(dict.fromkeys(values)) for name, values in labels.items()}
    place = {name: {label: k for k, label in enumerate(known)} for name, known in levels.items()}
    rows = [[place[name].get(label, -1) for label in labels[name]] for name in levels]
    return TokenFeatures(levels, np.array(rows, dtype=np.int64).reshape(len(rows), vocabulary.n_columns))
