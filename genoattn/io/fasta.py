"""FASTA files: sequences under names, or one reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from genoattn.errors import InputError
from genoattn.io.text import read_lines


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
    return names[0], texts[0].upper()


def read_records(path: Path) -> tuple[list[str], list[str]]:
    """The first word of each header, each once, and each sequence on one line, in the case it is written in.

    Raises
    ------
    InputError
        Text before the first header, a header without a name, a name that occurs twice, or no record.
    """
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
