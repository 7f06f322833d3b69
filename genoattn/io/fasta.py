"""FASTA files: aligned sequences, or one reference."""

from __future__ import annotations

from pathlib import Path

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io.alignment import Alphabet, align_texts, alignment_cohort, row_of
from genoattn.io.text import read_lines


def read_fasta(
    path: Path, reference: str | None = None, alphabet: Alphabet = "auto", role: str = "reference"
) -> tuple[Cohort, str]:
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
    role
        What the reference is called in messages.

    Returns
    -------
    The cohort before any matching or filtering, and what was read in words; see
    :func:`genoattn.io.alignment.alignment_cohort`.
    """
    names, texts = read_records(path)
    alignment = align_texts(path, "record", names, texts, alphabet)
    row = row_of(alignment, reference, role)
    cohort = alignment_cohort(alignment, alignment.letters[row], names[row])
    return cohort, f"{len(names)} sequences ({cohort.n_sites} sites)"


def read_reference(path: Path) -> tuple[str, str]:
    """Name and sequence, in upper case, of a FASTA of one record.

    Raises
    ------
    InputError
        Another number of records, or a sequence without residues.
    """
    names, texts = read_records(path)
    if len(names) != 1:
        raise InputError(
            f"{path}: {len(names)} records, a reference is one; give a FASTA of the wild type alone"
        )
    if not texts[0]:
        raise InputError(f"{path}: record 1 ({names[0]}) has no sequence; add it")
    return names[0], texts[0]


def read_records(path: Path) -> tuple[list[str], list[str]]:
    """The first word of each header, each once, and each sequence on one line, in upper case."""
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
    _check_names(path, names)
    return names, texts


def _check_names(path: Path, names: list[str]) -> None:
    first: dict[str, int] = {}
    for i, name in enumerate(names, start=1):
        if first.setdefault(name, i) != i:
            raise InputError(
                f"{path}: records {first[name]} and {i} are both named {name}; rename one "
                "(a name ends at a space)"
            )
