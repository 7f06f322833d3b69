"""From the features of scikit-learn, numbers or letters, to the calls of a cohort and of a model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from genoattn.cohort import MISSING, Cohort, Letters, Sites
from genoattn.errors import InputError
from genoattn.interactions.table import InteractionTable
from genoattn.io.alignment import align_texts, alignment_cohort
from genoattn.io.alphabets import Alphabet, is_state

XEncoding = Literal["auto", "dosage", "genotype", "numeric", "sequence"]
X_ENCODINGS: tuple[XEncoding, ...] = ("auto", "dosage", "genotype", "numeric", "sequence")
_MOST_STATES = 127
_X = Path("X")  # stands for the file in messages of the readers


def is_text(X: Any) -> bool:
    """Whether features are letters or categories: any value is a string."""
    if sparse.issparse(X):
        return False
    values = np.asarray(X)
    if values.dtype.kind in "UST":
        return True
    return values.dtype == object and any(isinstance(value, str) for value in values.ravel().tolist())


@dataclass(frozen=True)
class NumberColumns:
    """Numbers as copies of an effect allele, ``(x - offset) / scale``, from 0 to the ploidy in training.

    Copies are left as they are (offset 0, scale 1), and others than 0 to the ploidy are refused. Any other
    numbers are mapped by the range of each column in training; those of new samples may lie outside.
    """

    encoding: XEncoding  # ``dosage``, ``genotype`` or ``numeric``
    ploidy: int
    offset: np.ndarray  # (n_features,)
    scale: np.ndarray  # (n_features,)

    @staticmethod
    def of(X: np.ndarray, encoding: XEncoding, ploidy: int) -> NumberColumns:
        """Columns of training samples X (n_samples, n_features), NaN where missing."""
        if encoding == "auto":
            encoding = "numeric" if _outside(X, ploidy).any() else "dosage"
            if encoding == "numeric" and (np.isnan(X) | (np.rint(X) == X)).all():
                row, column = np.argwhere(_outside(X, ploidy))[0]
                warnings.warn(
                    f"X has {X[row, column]:g} in column {column}, and its integers are taken for numbers, "
                    f"not for 0 to {ploidy} copies of an allele; write NaN where a call is missing, give "
                    "ploidy, or encoding='numeric' if they are numbers",
                    stacklevel=5,
                )
        offset, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        if encoding == "numeric":
            least, most = np.fmin.reduce(X), np.fmax.reduce(X)  # NaN where none is known
            offset = np.nan_to_num(least)
            scale = np.where(most > least, (most - offset) / ploidy, 1.0)
        return NumberColumns(encoding, ploidy, offset, scale)

    def copies(self, X: np.ndarray) -> np.ndarray:
        """Copies (n_samples, n_features), float64, NaN where missing; InputError for what is none."""
        outside = _outside(X, self.ploidy)
        if self.encoding != "numeric" and outside.any():
            row, column = np.argwhere(outside)[0]
            raise InputError(
                f"X has {X[row, column]:g} in row {row}, column {column}, needed are 0 to {self.ploidy} "
                "copies; write NaN where a call is missing, or fit with encoding='numeric' if X has numbers"
            )
        if self.encoding == "genotype" and not (np.isnan(X) | (np.rint(X) == X)).all():
            raise InputError(
                "X has dosages between two numbers of copies, and encoding 'genotype' needs hard calls; "
                "round them, or use encoding='dosage'"
            )
        return (X - self.offset) / self.scale

    def calls(self, X: np.ndarray) -> np.ndarray:
        """Calls of a model, (n_samples, n_features): float32, or int8 of genotypes; -1 where missing."""
        copies = self.copies(X).astype(np.float32)
        # A number of new samples that is mapped to -1 itself is not missing.
        copies[copies == MISSING] = np.nextafter(np.float32(MISSING), np.float32(0))
        copies[np.isnan(copies)] = MISSING
        return copies.astype(np.int8) if self.encoding == "genotype" else copies

    def cohort(self, X: np.ndarray, names: Sequence[str] | None, sites: pd.DataFrame | None) -> Cohort:
        """The cohort of training samples, without a phenotype."""
        if sites is None and self.encoding == "numeric":
            ids = [f"x{k}" for k in range(X.shape[1])] if names is None else list(names)
            sites = pd.DataFrame({"id": ids, "ref": "0", "alt": "+1"})
        described = names if sites is None else sites
        return Cohort.from_arrays(self.copies(X), described, ploidy=self.ploidy)

    def in_units_of_features(self, table: InteractionTable) -> InteractionTable:
        """The table of a model of scaled copies with its coefficients per unit of the features."""
        if self.encoding != "numeric":
            return table
        m, frame = table.manifest, table.frame.copy()
        scale = dict(zip(m.sites.ids.tolist(), self.scale.tolist(), strict=True)) | {"": 1.0}
        per_unit = np.ones(len(frame))
        for k in range(1, m.order + 1):
            per_unit /= frame[f"site_{k}"].map(scale).to_numpy(np.float64)
        for name in ("coefficient", "coefficient_sd", "effect", "se"):
            frame[name] *= per_unit
        # Alleles alone are frequent or rare.
        frame["frequency"] = np.nan
        flags = frame["flag"].str.split(";")
        frame["flag"] = [";".join(flag for flag in row if flag != "rare") for row in flags]
        v = m.vocabulary
        v = replace(v, mean=self.offset + self.scale * v.mean, variance=self.scale**2 * v.variance)
        words = m.estimand.replace("copy of the effect allele", "unit of the feature")
        centre = self.offset + self.scale * m.centre
        return InteractionTable(frame, replace(m, vocabulary=v, centre=centre, estimand=words))


@dataclass(frozen=True)
class StateColumns:
    """Letters or categories as the states of sites; ``alphabet`` is that of sequences, None of categories."""

    states: tuple[tuple[str, ...], ...]
    unknown_is_missing: bool
    encoding: XEncoding = "sequence"

    def calls(self, X: np.ndarray) -> np.ndarray:
        """Calls (n_samples, n_features), int8, of values that are None or NaN where missing: then -1."""
        out = np.empty(X.shape, dtype=np.int8)
        for k, states in enumerate(self.states):
            out[:, k] = pd.Index(list(states), dtype=object).get_indexer(pd.Index(X[:, k], dtype=object))
        unseen = (out == MISSING) & ~pd.isna(X)
        if unseen.any() and not self.unknown_is_missing:
            row, k = np.argwhere(unseen)[0]
            raise InputError(
                f"X has {X[row, k]!r} in row {row}, column {k}, which no training sample had "
                f"({', '.join(self.states[k])}); leave such samples out, or fit with "
                "handle_unknown='ignore', which counts it as missing"
            )
        return out

    def in_units_of_features(self, table: InteractionTable) -> InteractionTable:
        """The table itself: indicators have no units."""
        return table


def sequence_letters(X: Any, alphabet: Alphabet) -> tuple[np.ndarray, Letters]:
    """Letters (n_samples, n_columns) of aligned sequences, None where missing; and their alphabet."""
    texts = [str(text) for text in X]
    names = [f"sample{i}" for i in range(1, len(texts) + 1)]
    alignment = align_texts(_X, "row", names, texts, alphabet)
    letters = alignment.letters.view("S1").astype("U1").astype(object)
    letters[~is_state(alignment.alphabet)[alignment.letters]] = None
    return letters, alignment.alphabet


def sequence_cohort(X: Any, alphabet: Letters, reference: str | None) -> Cohort:
    """The cohort of aligned sequences, as :func:`genoattn.read` has it, without filters and a phenotype."""
    texts = [str(text) for text in X]
    names = [f"sample{i}" for i in range(1, len(texts) + 1)]
    given = [] if reference is None else [reference]
    every = align_texts(_X, "row", [*names, *["reference"] * len(given)], [*texts, *given], alphabet)
    alignment = replace(every, names=names, letters=every.letters[: len(names)])
    return alignment_cohort(alignment, every.letters[-1 if given else 0], "reference" if given else names[0])


def category_cohort(X: np.ndarray, names: Sequence[str] | None, reference: Sequence[str] | None) -> Cohort:
    """The cohort of categories (n_samples, n_features), None or NaN where missing; states are its values.

    The state of ``reference`` comes first, or else that of the first sample, and the rest sorted.
    """
    n_samples, n_features = X.shape
    if reference is not None and len(reference) != n_features:
        raise InputError(f"reference has {len(reference)} states for {n_features} features; give one each")
    states = []
    for k, column in enumerate(X.T):
        known = column[~pd.isna(column)]
        first = list(known[:1]) if reference is None else [reference[k]]
        seen = sorted(set(known.tolist()) - set(first))
        states.append(tuple([*first, *seen] or ["?"]))
        if len(states[k]) > _MOST_STATES:
            raise InputError(
                f"X has {len(states[k])} categories in column {k}, at most {_MOST_STATES} can be modelled; "
                "give aligned sequences as an array of one dimension, or numbers as numbers"
            )
    ids = [f"site{k}" for k in range(1, n_features + 1)] if names is None else list(names)
    empty = np.full(n_features, "", dtype=object)
    ref = np.array([own[0] for own in states], dtype=object)
    positions = np.arange(1, n_features + 1)
    sites = Sites(np.array(ids, dtype=object), empty, positions, ref, empty, tuple(states))
    samples = np.array([f"sample{i}" for i in range(1, n_samples + 1)], dtype=object)
    return Cohort(samples, sites, StateColumns(tuple(states), False).calls(X), kind="sequence")


def _outside(X: np.ndarray, ploidy: int) -> np.ndarray:
    """Numbers that are no copies of an allele: bool; NaN is missing."""
    return (X < 0) | (ploidy < X)
