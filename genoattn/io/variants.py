"""Tables of variants: a column of sequences, or of mutation strings against a reference."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io.alignment import (
    GAP,
    Alignment,
    Alphabet,
    Letters,
    align_texts,
    alignment_cohort,
    allowed_letters,
    detect_alphabet,
    letter_codes,
    row_of,
)
from genoattn.io.alignment_files import read_reference
from genoattn.io.mutations import MutationError, Substitution, check_variant, mutated, parse_variant
from genoattn.io.tables import MISSING_TEXT, SampleTable, check_ids, list_names, read_columns


@dataclass(frozen=True)
class VariantColumns:
    """Columns of a table that hold its variants: of aligned sequences, or of mutation strings."""

    sequence: str | None
    mutation: str | None
    reference: Path | None  # FASTA of the wild type; needed for mutation strings
    wild_type: str | None  # ID of the row that is the reference; else that of ``reference``, or the first row
    alphabet: Alphabet


def read_variants(path: Path, columns: VariantColumns) -> tuple[Cohort, str, SampleTable]:
    """The cohort of a table of variants, what was read in words, and the table's other columns.

    IDs are its ``IID`` or ``sample`` column; where it has neither, the text of the variant, with ``/2``,
    ``/3``, .. behind it where it is repeated.
    """
    name = columns.sequence or columns.mutation
    assert name is not None

    def has_column(path: Path, header: list[str]) -> None:
        if name not in header:
            raise InputError(f"{path}: no column '{name}'; there are: {list_names(header)}")

    cells = read_columns(path, has_column, "variant")
    texts = cells[name]
    ids = _ids(path, cells, texts)
    others = {k: v for k, v in cells.items() if k not in (name, "IID", "sample", "FID")}
    # Of residues, not of a number: NA is asparagine and alanine.
    missing = MISSING_TEXT if columns.mutation else frozenset({""})
    for row, text in enumerate(texts, start=1):
        if text in missing:
            what = "mutation; write WT for the wild type" if columns.mutation else "sequence; remove the row"
            raise InputError(f"{path}: row {row} ({ids[row - 1]}) has no {what}")
    read = _read_sequences if columns.sequence else _read_mutations
    cohort = read(path, ids, texts, columns)
    return cohort, f"{len(ids)} variants ({cohort.n_sites} sites)", SampleTable(path, ids, others)


def _ids(path: Path, cells: dict[str, tuple[str, ...]], texts: Sequence[str]) -> tuple[str, ...]:
    for column in ("IID", "sample"):
        if column in cells:
            check_ids(path, cells[column])
            return cells[column]
    seen: Counter[str] = Counter()
    out = []
    for text in texts:
        seen[text] += 1
        out.append(text if seen[text] == 1 else f"{text}/{seen[text]}")
    return tuple(out)


def _read_sequences(path: Path, ids: Sequence[str], texts: Sequence[str], columns: VariantColumns) -> Cohort:
    alignment = align_texts(path, "row", ids, [text.upper() for text in texts], columns.alphabet)
    if columns.wild_type is not None or columns.reference is None:
        row = row_of(alignment, columns.wild_type, "wild type")
        return alignment_cohort(alignment, alignment.letters[row], ids[row])
    name, sequence = read_reference(columns.reference)
    n = alignment.letters.shape[1]
    if len(sequence) != n:
        raise InputError(
            f"{columns.reference}: the reference {name} has {len(sequence)} residues, "
            f"the sequences of {path} have {n}; align them to one length"
        )
    wild = align_texts(columns.reference, "record", [name], [sequence], alignment.alphabet)
    return alignment_cohort(alignment, wild.letters[0], name)


def _read_mutations(path: Path, ids: Sequence[str], texts: Sequence[str], columns: VariantColumns) -> Cohort:
    assert columns.reference is not None
    name, sequence = read_reference(columns.reference)
    sequence = sequence.replace(".", GAP)
    variants: list[tuple[Substitution, ...]] = []
    for row, text in enumerate(texts, start=1):
        try:
            variants.append(parse_variant(text))
        except MutationError as error:
            raise InputError(f"{path}: row {row} ({ids[row - 1]}): {error}") from None
    kind = columns.alphabet if columns.alphabet != "auto" else _alphabet(sequence, variants)
    wild = align_texts(columns.reference, "record", [name], [sequence], kind).letters[0]
    allowed = allowed_letters(kind)
    for row, variant in enumerate(variants, start=1):
        try:
            check_variant(variant, sequence, allowed, kind)
        except MutationError as error:
            raise InputError(f"{path}: row {row} ({ids[row - 1]}): {error}") from None
    alignment = Alignment(path, "row", ids, mutated(wild, variants), kind)
    if columns.wild_type is None:
        return alignment_cohort(alignment, wild, name)
    row = row_of(alignment, columns.wild_type, "wild type")
    return alignment_cohort(alignment, alignment.letters[row], ids[row])


def _alphabet(sequence: str, variants: Sequence[Sequence[Substitution]]) -> Letters:
    """``dna`` where reference and mutants have the letters of nucleotides only."""
    mutants = {one.mutant for variant in variants for one in variant}
    return detect_alphabet(letter_codes([sequence + "".join(mutants)]))
