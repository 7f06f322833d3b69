"""Files of aligned sequences: FASTA, A2M, Clustal and Stockholm, each compressed or not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import ascii_lowercase
from typing import Literal

import numpy as np

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io.alignment import align_texts, alignment_cohort, check_lengths, row_of
from genoattn.io.alphabets import Alphabet, letter_codes
from genoattn.io.text import read_lines

AlignmentFormat = Literal["fasta", "a2m", "clustal", "stockholm"]
_INSERTED = f"{ascii_lowercase}."
_NO_INSERTIONS = str.maketrans("", "", _INSERTED)


def read_alignment(
    path: Path,
    file_format: AlignmentFormat = "fasta",
    reference: str | None = None,
    alphabet: Alphabet = "auto",
    role: str = "reference",
) -> tuple[Cohort, str]:
    """Read an alignment, plain or compressed.

    Parameters
    ----------
    path
        Sequences of one length. The first word of a FASTA or A2M header is the sample ID. Case is ignored,
        but of symbols and in A2M, where lower-case letters and ``.`` are insertions relative to the model
        that the sequences were aligned to: these columns are dropped and counted.
    file_format
        What the file is; :func:`alignment_format` tells.
    reference
        The record whose residues are the reference; the first one if None.
    alphabet
        ``dna`` (A C G T U; N and the other IUPAC codes are missing), ``diploid`` (the same, with R Y S W K M
        as states), ``protein`` (20 amino acids, O, U and ``*``; X is missing), ``symbols`` (letters and
        digits, case kept), or ``auto``: what the suffix says (``.faa``, ``.fna``, ``.ffn``), else a guess
        from the letters. ``?`` is missing; ``-`` and ``.`` are one state, the gap, but of symbols, where
        ``.`` is missing.
    role
        What the reference is called in messages.

    Returns
    -------
    The cohort before any matching or filtering, and what was read in words; see
    :func:`genoattn.io.alignment.alignment_cohort`.
    """
    dropped: tuple[str, ...] = ()
    if file_format in ("clustal", "stockholm"):
        names, texts = _read_blocks(path, file_format)
    else:
        names, texts = read_records(path)
        if file_format == "a2m":
            texts, dropped = _without_insertions(path, names, texts)
    alignment = align_texts(path, "record", names, texts, alphabet)
    row = row_of(alignment, reference, role)
    cohort = alignment_cohort(alignment, alignment.letters[row], names[row])
    return replace(cohort, log=(*cohort.log, *dropped)), f"{len(names)} sequences ({cohort.n_sites} sites)"


def _read_blocks(path: Path, file_format: str) -> tuple[list[str], list[str]]:
    """Names and sequences of a Clustal or Stockholm file, whose sequences may go on in later blocks."""
    from Bio import AlignIO

    lines = read_lines(path)
    if file_format == "clustal":
        # Lines of conservation (* : .) are not used, and biopython refuses files that lack some of them.
        lines = ("" if line.startswith(" ") else line for line in lines)
    file = io.StringIO("\n".join(lines).lstrip("\n") + "\n")
    title = file_format.capitalize()
    try:
        alignments = list(AlignIO.parse(file, file_format))
    except (ValueError, AssertionError, IndexError) as error:
        found = " ".join(str(error).split()) or "lines of one block differ in length or order"
        raise InputError(
            f"{path}: not a {title} alignment: {found}; write it again with the program that aligned it"
        ) from error
    if len(alignments) != 1:
        raise InputError(f"{path}: {len(alignments)} {title} alignments with sequences; keep one in the file")
    names = [record.id for record in alignments[0]]
    check_names(path, names)
    return names, [str(record.seq) for record in alignments[0]]


def _without_insertions(path: Path, names: list[str], texts: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """The match columns of an A2M, and what was dropped in words.

    With dots every sequence has every column; without dots (the A3M of HH-suite) an insertion is written only
    in the sequence that has it.
    """
    matched = [text.translate(_NO_INSERTIONS) for text in texts]
    n_residues = sum(len(text) - len(m) - text.count(".") for text, m in zip(texts, matched, strict=True))
    if not any("." in text for text in texts):
        line = f"dropped insertions (lower-case letters): {n_residues} residues"
        return matched, (line,) if n_residues else ()
    check_lengths(path, "record", names, texts)
    inserted = np.isin(letter_codes(texts), letter_codes([_INSERTED]))  # (sequence, column)
    other = inserted != inserted[0]
    if other.any():
        i, column = np.argwhere(other)[0]
        raise InputError(
            f"{path}: record {i + 1} ({names[i]}), column {column + 1}: '{texts[i][column]}' where record 1 "
            f"({names[0]}) has '{texts[0][column]}'; an A2M column is an insertion (lower case, dots) in "
            "every sequence or in none: align again, or name the file .fasta if case means nothing"
        )
    n_columns = int(inserted[0].sum())
    line = f"dropped {n_columns} columns of insertions (lower-case letters and dots): {n_residues} residues"
    return matched, (line,)


def read_reference(path: Path) -> tuple[str, str]:
    """Name and sequence of a FASTA of one record."""
    names, texts = read_records(path)
    if len(names) != 1:
        raise InputError(
            f"{path}: {len(names)} records, a reference is one; give a FASTA of the wild type alone"
        )
    if not texts[0]:
        raise InputError(f"{path}: record 1 ({names[0]}) has no sequence; add it")
    return names[0], texts[0]


def read_records(path: Path) -> tuple[list[str], list[str]]:
    """The first word of each header, each once, and each sequence on one line, in the case as written."""
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    names: list[str] = []
    texts: list[str] = []
    for title, sequence in SimpleFastaParser(_checked_lines(path)):
        names.append(title.split(maxsplit=1)[0])
        texts.append(sequence)
    if not names:
        raise InputError(f"{path}: not a FASTA: no line begins with '>'")
    check_names(path, names)
    return names, texts


def check_names(path: Path, names: list[str]) -> None:
    """Raise InputError where two records have one name."""
    first: dict[str, int] = {}
    for i, name in enumerate(names, start=1):
        if first.setdefault(name, i) != i:
            raise InputError(
                f"{path}: records {first[name]} and {i} are both named {name}; rename one "
                "(a name ends at a space)"
            )


def _checked_lines(path: Path) -> Iterator[str]:
    """The lines of a FASTA with what biopython passes over in silence refused."""
    begun = False
    for number, line in enumerate(read_lines(path), start=1):
        if line.startswith(">"):
            begun = True
            if not line[1:].strip():
                raise InputError(f"{path}, line {number}: a record without a name; write one after '>'")
        elif not begun and line.strip():
            raise InputError(f"{path}, line {number}: not a FASTA: '{line[:40]}' comes before any '>' header")
        yield f"{line}\n"
