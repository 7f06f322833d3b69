"""Aligned sequences, wherever they were read from: every column is a site, its residues are the states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from genoattn.cohort import MISSING, Cohort, Sites
from genoattn.errors import InputError

Alphabet = Literal["auto", "dna", "protein"]
Letters = Literal["dna", "protein"]

GAP = "-"
# RNA is read as nucleotides too: T and U are both letters of "dna".
_LETTERS = {"dna": "ACGTUN-.", "protein": "ACDEFGHIKLMNPQRSTVWYOUX*-."}
UNKNOWN = {"dna": "N", "protein": "X"}


@dataclass(frozen=True, eq=False)
class Alignment:
    """Sequences of one length under names."""

    path: Path
    unit: str  # what a sequence is called there: ``record`` of a FASTA, ``row`` of a table
    names: Sequence[str]
    letters: np.ndarray  # (n_sequences, n_columns), uint8: upper-case ASCII of each residue
    alphabet: Letters


def align_texts(
    path: Path, unit: str, names: Sequence[str], texts: Sequence[str], alphabet: Alphabet
) -> Alignment:
    """Upper-case sequences as an alignment; ``-`` and ``.`` are one letter, the gap."""
    check_lengths(path, unit, names, texts)
    letters = letter_codes(texts)
    kind = detect_alphabet(letters) if alphabet == "auto" else alphabet
    wrong = ~allowed_letters(kind)[letters]
    if wrong.any():
        i, column = np.argwhere(wrong)[0]
        raise InputError(
            f"{path}: {unit} {i + 1} ({names[i]}), column {column + 1}: '{texts[i][column]}' is not a "
            f"letter of the {kind} alphabet; write {UNKNOWN[kind]} if unknown, "
            "or choose another alphabet"
        )
    letters[letters == ord(".")] = ord(GAP)
    return Alignment(path, unit, names, letters, kind)


def alignment_cohort(alignment: Alignment, wild_type: np.ndarray, wild_name: str) -> Cohort:
    """The cohort of an alignment, before any matching or filtering.

    The states of a column are the residues seen there, that of ``wild_type`` (n_columns,), uint8, first, seen
    or not, and the rest sorted; where it is missing, the commonest residue (the first of the sorted on a tie)
    takes its place.
    """
    unknown = UNKNOWN[alignment.alphabet]
    columns = zip(alignment.letters.T, wild_type.tolist(), strict=True)
    encoded = [_encode(column, first, unknown) for column, first in columns]
    states = tuple(residues for residues, _ in encoded)
    calls = np.column_stack([index for _, index in encoded])
    ref = np.array([residues[0] for residues in states], dtype=object)
    ids = np.array([f"{residue}{i}" for i, residue in enumerate(ref, start=1)], dtype=object)
    empty = np.full(len(ref), "", dtype=object)
    sites = Sites(ids, empty, np.arange(1, len(ref) + 1), ref, empty, states)
    log = (f"{alignment.alphabet} alignment, reference {wild_name}",)
    return Cohort(np.array(alignment.names, dtype=object), sites, calls, kind="sequence", log=log)


def row_of(alignment: Alignment, name: str | None, role: str) -> int:
    """Where the sequence called ``name`` is; the first for None. ``role`` says what it is wanted for."""
    if name is None:
        return 0
    names = list(alignment.names)
    if name not in names:
        some = ", ".join(names[:3])
        raise InputError(
            f"{alignment.path}: no {alignment.unit} named {name} for the {role}; the first are {some}"
        )
    return names.index(name)


def detect_alphabet(letters: np.ndarray) -> Letters:
    """``dna`` where no other letter than those of nucleotides occurs, else ``protein``."""
    return "dna" if allowed_letters("dna")[letters].all() else "protein"


def allowed_letters(alphabet: Letters) -> np.ndarray:
    """Whether each ASCII code is a letter of the alphabet: shape (256,), bool."""
    allowed = np.zeros(256, dtype=bool)
    allowed[[ord(letter) for letter in _LETTERS[alphabet]]] = True
    return allowed


def check_lengths(path: Path, unit: str, names: Sequence[str], texts: Sequence[str]) -> None:
    """Raise InputError where sequences differ in length, or have none."""
    n = len(texts[0])
    if n == 0:
        raise InputError(f"{path}: {unit} 1 ({names[0]}) has no sequence; add it or remove the {unit}")
    for i, text in enumerate(texts, start=1):
        if len(text) != n:
            raise InputError(
                f"{path}: {unit} {i} ({names[i - 1]}) has {len(text)} residues, {unit} 1 ({names[0]}) "
                f"has {n}; align the sequences to one length"
            )


def letter_codes(texts: Sequence[str]) -> np.ndarray:
    """Shape (n_records, n_columns), uint8: the ASCII code of each residue, 63 (?) for what is not ASCII."""
    flat = "".join(texts).encode("ascii", errors="replace")
    return np.frombuffer(flat, dtype=np.uint8).reshape(len(texts), -1).copy()


def _encode(column: np.ndarray, first: int, unknown: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The states of one column, and each sample's index into them, shape (n_samples,), int8."""
    counts = np.bincount(column, minlength=128)
    counts[ord(unknown)] = 0
    if chr(first) == unknown:
        if not counts.any():
            # Nothing is known here; one state keeps the column usable in prediction.
            return (unknown,), np.full(len(column), MISSING, dtype=np.int8)
        first = int(np.argmax(counts))
    order = [first, *(code for code in np.flatnonzero(counts).tolist() if code != first)]
    index = np.full(128, MISSING, dtype=np.int8)
    index[order] = np.arange(len(order))
    return tuple(chr(code) for code in order), index[column]
