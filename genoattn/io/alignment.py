"""Aligned sequences, wherever they were read from: every column is a site, its residues are the states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genoattn.cohort import MISSING, AlignmentFrame, Cohort, Letters, Sites
from genoattn.errors import InputError
from genoattn.io.alphabets import (
    ALPHABETS,
    Alphabet,
    AlphabetChoice,
    allowed_letters,
    choose_alphabet,
    count_letters,
    describe_letters,
    is_state,
    letter_codes,
    no_letter,
    unknown_letter,
    upper_case,
)


@dataclass(frozen=True, eq=False)
class Alignment:
    """Sequences of one length under names."""

    path: Path
    unit: str  # what a sequence is called there: ``record`` of a FASTA, ``row`` of a table
    names: Sequence[str]
    letters: np.ndarray  # (n_sequences, n_columns), uint8: ASCII of each state, upper case but for symbols
    alphabet: Letters
    log: tuple[str, ...] = ()


def align_texts(
    path: Path,
    unit: str,
    names: Sequence[str],
    texts: Sequence[str],
    alphabet: Alphabet | AlphabetChoice,
    other: Path | None = None,
) -> Alignment:
    """Sequences as an alignment, in the alphabet given, that of a file's suffix, or a guess.

    ``other`` is a second file whose suffix may say what the letters are.
    """
    check_lengths(path, unit, names, texts)
    letters = letter_codes(texts)
    if not isinstance(alphabet, AlphabetChoice):
        alphabet = choose_alphabet(alphabet, count_letters(upper_case(letters)), path, other)
    kind = alphabet.alphabet
    letters = spell(letters, kind)
    wrong = ~allowed_letters(kind)[letters]
    if wrong.any():
        i, column = np.argwhere(wrong)[0]
        place = f"{path}: {unit} {i + 1} ({names[i]}), column {column + 1}"
        raise InputError(f"{place}: {no_letter(texts[i][column], kind)}")
    log = describe_letters(path, alphabet, count_letters(letters))
    return Alignment(path, unit, names, letters, kind, log)


def spell(letters: np.ndarray, alphabet: Letters) -> np.ndarray:
    """ASCII codes with each state spelled in one way: upper case but for symbols, and no dots."""
    meaning = ALPHABETS[alphabet]
    letters = letters if meaning.has_case else upper_case(letters)
    return np.where(letters == ord("."), np.uint8(ord(meaning.dot)), letters)


def alignment_cohort(alignment: Alignment, wild_type: np.ndarray, wild_name: str) -> Cohort:
    """The cohort of an alignment, before any matching or filtering.

    The states of a column are the residues seen there, that of ``wild_type`` (n_columns,), uint8, first, seen
    or not, and the rest sorted; where it is missing, the commonest residue (the first of the sorted on a tie)
    takes its place.
    """
    alphabet = alignment.alphabet
    known, unknown = is_state(alphabet), unknown_letter(alphabet)
    columns = zip(alignment.letters.T, wild_type.tolist(), strict=True)
    encoded = [_encode(column, first, known, unknown) for column, first in columns]
    states = tuple(residues for residues, _, _ in encoded)
    calls = np.column_stack([index for _, index, _ in encoded])
    ref = np.array([residues[0] for residues in states], dtype=object)
    # A digit in front of a number could not be told from it.
    form = "column{1}" if alphabet == "symbols" else "{0}{1}"
    ids = np.array([form.format(residue, i) for i, residue in enumerate(ref, start=1)], dtype=object)
    empty = np.full(len(ref), "", dtype=object)
    frame = AlignmentFrame(alphabet, "".join(commonest for _, _, commonest in encoded))
    sites = Sites(ids, empty, np.arange(1, len(ref) + 1), ref, empty, states, frame=frame)
    log = (f"{alphabet} alignment, reference {wild_name}", *alignment.log)
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


def check_lengths(
    path: Path, unit: str, names: Sequence[str], texts: Sequence[str], numbers: Sequence[int] | None = None
) -> None:
    """Raise InputError where sequences differ in length, or have none; ``numbers`` are 1, 2, .. if None."""
    numbers = range(1, len(texts) + 1) if numbers is None else numbers
    n, first = len(texts[0]), f"{unit} {numbers[0]} ({names[0]})"
    if n == 0:
        raise InputError(f"{path}: {first} has no sequence; add it or remove the {unit}")
    for number, name, text in zip(numbers, names, texts, strict=True):
        if len(text) != n:
            raise InputError(
                f"{path}: {unit} {number} ({name}) has {len(text)} residues, {first} has {n}; "
                "align the sequences to one length"
            )


def _encode(
    column: np.ndarray, first: int, known: np.ndarray, unknown: str
) -> tuple[tuple[str, ...], np.ndarray, str]:
    """States of one column, each sample's index into them, (n_samples,), int8, and the commonest state."""
    counts = np.where(known, np.bincount(column, minlength=256), 0)
    commonest = int(np.argmax(counts)) if counts.any() else ord(unknown)
    # Where nothing is known, one state keeps the column usable in prediction.
    first = first if known[first] else commonest
    order = [first, *(code for code in np.flatnonzero(counts).tolist() if code != first)]
    index = np.full(256, MISSING, dtype=np.int8)
    index[order] = np.arange(len(order))
    index[~known] = MISSING
    return tuple(chr(code) for code in order), index[column], chr(commonest)
