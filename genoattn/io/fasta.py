"""Aligned sequences (FASTA): every column is a site, its residues are the states."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from genoattn.cohort import MISSING, Cohort, Sites
from genoattn.errors import InputError
from genoattn.io.text import read_lines

Alphabet = Literal["auto", "dna", "protein"]
_Known = Literal["dna", "protein"]

_GAP = "-"
# RNA is read as nucleotides too: T and U are both letters of "dna".
_LETTERS = {"dna": "ACGTUN-.", "protein": "ACDEFGHIKLMNPQRSTVWYOUX*-."}
_UNKNOWN = {"dna": "N", "protein": "X"}


def read_fasta(path: Path, reference: str | None = None, alphabet: Alphabet = "auto") -> tuple[Cohort, str]:
    """Read an alignment, plain or compressed.

    Parameters
    ----------
    path
        FASTA of sequences of one length. The first word of a header is the sample ID; case is ignored.
    reference
        The record whose residues are the reference; the first one if None.
    alphabet
        ``dna`` (A C G T U), ``protein`` (20 amino acids, O, U and ``*``), or ``auto``: nucleotides if no
        other letter occurs in the file. ``-`` and ``.`` are one state, the gap. N in nucleotides and X in
        proteins are missing.

    Returns
    -------
    The cohort before any matching or filtering, and what was read in words. The states of a column are the
    residues seen there, the reference residue first and the rest sorted; where the reference is missing, the
    commonest residue (the first of the sorted on a tie) takes its place.
    """
    names, texts = _records(path)
    _check_names(path, names)
    _check_lengths(path, names, texts)
    letters = _matrix(texts)  # (sample, column), upper-case ASCII
    kind = _alphabet(letters) if alphabet == "auto" else alphabet
    _check_letters(path, names, texts, letters, kind)
    letters[letters == ord(".")] = ord(_GAP)
    row = _reference_row(path, names, reference)
    calls = np.empty(letters.shape, dtype=np.int8)
    states = []
    for column in range(letters.shape[1]):
        residues, calls[:, column] = _encode(letters[:, column], row, _UNKNOWN[kind])
        states.append(residues)
    n_sites = letters.shape[1]
    ref = np.array([residues[0] for residues in states], dtype=object)
    sites = Sites(
        ids=np.array([f"{residue}{i}" for i, residue in enumerate(ref, start=1)], dtype=object),
        chrom=np.array([""] * n_sites, dtype=object),
        pos=np.arange(1, n_sites + 1),
        ref=ref,
        alt=np.array([""] * n_sites, dtype=object),
        states=tuple(states),
    )
    log = (f"{kind} alignment, reference {names[row]}",)
    cohort = Cohort(np.array(names, dtype=object), sites, calls, kind="sequence", log=log)
    return cohort, f"{len(names)} sequences ({n_sites} sites)"


def _records(path: Path) -> tuple[list[str], list[str]]:
    """The first word of each header, and each sequence on one line, in upper case."""
    names: list[str] = []
    texts: list[str] = []
    pieces: list[str] = []
    for number, line in enumerate(read_lines(path), start=1):
        if line.startswith(">"):
            if names:
                texts.append("".join(pieces))
            words = line[1:].split(maxsplit=1)
            if not words:
                raise InputError(f"{path}, line {number}: a record without a name; write one after '>'")
            names.append(words[0])
            pieces = []
        elif names:
            pieces.append(line.strip().upper())
        elif line.strip():
            raise InputError(f"{path}, line {number}: not a FASTA: '{line[:40]}' comes before any '>' header")
    if not names:
        raise InputError(f"{path}: not a FASTA: no line begins with '>'")
    texts.append("".join(pieces))
    return names, texts


def _check_names(path: Path, names: list[str]) -> None:
    first: dict[str, int] = {}
    for i, name in enumerate(names, start=1):
        if first.setdefault(name, i) != i:
            raise InputError(
                f"{path}: records {first[name]} and {i} are both named {name}; rename one "
                "(a name ends at a space)"
            )


def _check_lengths(path: Path, names: list[str], texts: list[str]) -> None:
    n = len(texts[0])
    if n == 0:
        raise InputError(f"{path}: record 1 ({names[0]}) has no sequence; add it or remove the record")
    for i, text in enumerate(texts, start=1):
        if len(text) != n:
            raise InputError(
                f"{path}: record {i} ({names[i - 1]}) has {len(text)} residues, record 1 ({names[0]}) "
                f"has {n}; align the sequences to one length"
            )


def _matrix(texts: list[str]) -> np.ndarray:
    """Shape (n_records, n_columns), uint8: the ASCII code of each residue, 63 (?) for what is not ASCII."""
    flat = "".join(texts).encode("ascii", errors="replace")
    return np.frombuffer(flat, dtype=np.uint8).reshape(len(texts), -1).copy()


def _alphabet(letters: np.ndarray) -> _Known:
    nucleotides = np.frombuffer(_LETTERS["dna"].encode(), dtype=np.uint8)
    return "dna" if np.isin(letters, nucleotides).all() else "protein"


def _check_letters(path: Path, names: list[str], texts: list[str], letters: np.ndarray, kind: _Known) -> None:
    allowed = np.zeros(256, dtype=bool)
    allowed[[ord(letter) for letter in _LETTERS[kind]]] = True
    wrong = ~allowed[letters]
    if wrong.any():
        i, column = np.argwhere(wrong)[0]
        raise InputError(
            f"{path}: record {i + 1} ({names[i]}), column {column + 1}: '{texts[i][column]}' is not a "
            f"letter of the {kind} alphabet; write {_UNKNOWN[kind]} if unknown, "
            "or choose another alphabet"
        )


def _reference_row(path: Path, names: list[str], reference: str | None) -> int:
    if reference is None:
        return 0
    if reference not in names:
        some = ", ".join(names[:3])
        raise InputError(f"{path}: no record named {reference} for the reference; the first are {some}")
    return names.index(reference)


def _encode(column: np.ndarray, row: int, unknown: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The states of one column, and each sample's index into them, shape (n_samples,), int8."""
    counts = np.bincount(column, minlength=128)
    counts[ord(unknown)] = 0
    seen = [int(code) for code in np.flatnonzero(counts)]
    if not seen:
        # Nothing is known here; one state keeps the column usable in prediction.
        return (unknown,), np.full(len(column), MISSING, dtype=np.int8)
    first = int(column[row])
    if chr(first) == unknown:
        first = int(np.argmax(counts))
    order = [first, *(code for code in seen if code != first)]
    index = np.full(128, MISSING, dtype=np.int8)
    index[order] = np.arange(len(order))
    return tuple(chr(code) for code in order), index[column]
