"""Tables of variants: a column of sequences, or of mutation strings against a reference."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io.alignment import Alignment, align_texts, alignment_cohort, check_lengths, row_of, spell
from genoattn.io.alignment_files import read_reference
from genoattn.io.alphabets import (
    NUCLEOTIDES,
    Alphabet,
    AlphabetChoice,
    allowed_letters,
    choose_alphabet,
    count_letters,
    describe_letters,
    letter_codes,
    no_letter,
    upper_case,
)
from genoattn.io.filters import with_log
from genoattn.io.left_out import LeftOutRows
from genoattn.io.mutations import (
    MutationError,
    Variant,
    as_dna,
    check_variant,
    mutated,
    parse_symbols,
    parse_variant,
)
from genoattn.io.tables import MISSING_TEXT, SampleTable, check_ids, list_names, read_columns


@dataclass(frozen=True)
class VariantColumns:
    """Columns of a table that hold its variants: of aligned sequences, or of mutation strings."""

    sequence: str | None
    mutation: str | None
    reference: Path | None  # FASTA of the wild type; needed for mutation strings
    wild_type: str | None  # ID of the row that is the reference; else that of ``reference``, or the first row
    alphabet: Alphabet
    strict: bool = False  # whether a variant that cannot be used is refused, instead of left out


@dataclass(frozen=True)
class VariantRows:
    """Rows of a table of variants."""

    path: Path
    numbers: tuple[int, ...]  # from 1
    ids: tuple[str, ...]
    texts: tuple[str, ...]

    def select(self, index: Sequence[int]) -> "VariantRows":
        """The rows at ``index``, in that order."""
        numbers = tuple(self.numbers[i] for i in index)
        ids, texts = (tuple(column[i] for i in index) for column in (self.ids, self.texts))
        return VariantRows(self.path, numbers, ids, texts)


def read_variants(path: Path, columns: VariantColumns) -> tuple[Cohort, str, SampleTable]:
    """The cohort of a table of variants, what was read in words, and the table's other columns.

    IDs are its ``IID`` or ``sample`` column; where it has neither, the text of the variant, with ``/2``,
    ``/3``, .. behind it where it is repeated. Rows without a variant, or whose variant is no sequence of the
    reference's length, are left out and counted.
    """
    name = columns.sequence or columns.mutation
    assert name is not None

    def has_column(path: Path, header: list[str]) -> None:
        if name not in header:
            raise InputError(f"{path}: no column '{name}'; there are: {list_names(header)}")

    cells = read_columns(path, has_column, "variant")
    texts = cells[name]
    ids = _ids(path, cells, texts)
    rows = VariantRows(path, tuple(range(1, len(ids) + 1)), ids, texts)
    left_out = LeftOutRows(path, len(ids), columns.strict)
    given = rows.select(_given(rows, bool(columns.mutation), left_out))
    left_out.check()
    read = _read_sequences if columns.sequence else _read_mutations
    cohort, kept = read(given, columns, left_out)
    cohort = with_log(cohort, *left_out.report(), flow=left_out.flow())
    others = {k: v for k, v in cells.items() if k not in (name, "IID", "sample", "FID")}
    own = {k: tuple(v[number - 1] for number in kept.numbers) for k, v in others.items()}
    return cohort, f"{len(kept.ids)} variants ({cohort.n_sites} sites)", SampleTable(path, kept.ids, own)


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


def _given(rows: VariantRows, is_mutation: bool, left_out: LeftOutRows) -> list[int]:
    """Rows that have a variant."""
    # Of residues, not of a number: NA is asparagine and alanine.
    missing = MISSING_TEXT if is_mutation else frozenset({""})
    what = "no mutation; write WT for the wild type" if is_mutation else "no sequence; remove the row"
    reason = "without a mutation" if is_mutation else "without a sequence"
    given = []
    for i, text in enumerate(rows.texts):
        if text not in missing:
            given.append(i)
        else:
            left_out.add(rows.numbers[i], rows.ids[i], MutationError(what, reason, doubtful=False))
    return given


def _read_sequences(
    rows: VariantRows, columns: VariantColumns, left_out: LeftOutRows
) -> tuple[Cohort, VariantRows]:
    check_lengths(rows.path, "row", rows.ids, rows.texts, rows.numbers)
    letters = letter_codes(rows.texts)
    counts = count_letters(upper_case(letters))
    choice = choose_alphabet(columns.alphabet, counts, rows.path, columns.reference)
    wrong = ~allowed_letters(choice.alphabet)[spell(letters, choice.alphabet)]
    for i in np.flatnonzero(wrong.any(axis=1)).tolist():
        column = int(wrong[i].argmax())
        text = f"column {column + 1}: {no_letter(rows.texts[i][column], choice.alphabet)}"
        left_out.add(rows.numbers[i], rows.ids[i], MutationError(text, "outside the alphabet"))
    left_out.check()
    rows = rows.select(np.flatnonzero(~wrong.any(axis=1)).tolist())
    alignment = align_texts(rows.path, "row", rows.ids, rows.texts, choice)
    if columns.wild_type is not None or columns.reference is None:
        row = row_of(alignment, columns.wild_type, "wild type")
        return alignment_cohort(alignment, alignment.letters[row], rows.ids[row]), rows
    name, sequence = read_reference(columns.reference)
    n = alignment.letters.shape[1]
    if len(sequence) != n:
        raise InputError(
            f"{columns.reference}: the reference {name} has {len(sequence)} residues, "
            f"the sequences of {rows.path} have {n}; align them to one length"
        )
    wild = align_texts(columns.reference, "record", [name], [sequence], choice.alphabet)
    return alignment_cohort(alignment, wild.letters[0], name), rows


def _read_mutations(
    rows: VariantRows, columns: VariantColumns, left_out: LeftOutRows
) -> tuple[Cohort, VariantRows]:
    assert columns.reference is not None
    name, sequence = read_reference(columns.reference)
    parse = parse_symbols if columns.alphabet == "symbols" else parse_variant
    parsed: list[tuple[int, Variant]] = []
    for i, text in enumerate(rows.texts):
        try:
            parsed.append((i, parse(text)))
        except MutationError as error:
            left_out.add(rows.numbers[i], rows.ids[i], error)
    parsed = _of_one_target(rows, parsed, name, left_out)
    choice = _choose(columns, sequence, [variant for _, variant in parsed])
    reference = align_texts(columns.reference, "record", [name], [sequence], choice.alphabet).letters[0]
    wild = reference.tobytes().decode()
    _check_level(rows, parsed, columns.reference, name, choice)
    kept, variants = [], []
    for i, variant in parsed:
        try:
            as_read = as_dna(variant, wild) if variant.level == "r" else variant
            check_variant(as_read, wild, choice.alphabet)
        except MutationError as error:
            left_out.add(rows.numbers[i], rows.ids[i], error)
        else:
            kept.append(i)
            variants.append(as_read)
    left_out.check()
    rows = rows.select(kept)
    letters = mutated(reference, variants)
    log = describe_letters(rows.path, choice, count_letters(letters))
    alignment = Alignment(rows.path, "row", rows.ids, letters, choice.alphabet, log)
    if columns.wild_type is None:
        return alignment_cohort(alignment, reference, name), rows
    row = row_of(alignment, columns.wild_type, "wild type")
    return alignment_cohort(alignment, alignment.letters[row], rows.ids[row]), rows


def _of_one_target(
    rows: VariantRows, parsed: list[tuple[int, Variant]], name: str, left_out: LeftOutRows
) -> list[tuple[int, Variant]]:
    """Variants of the reference alone, where names in front of HGVS descriptions are of several sequences."""
    targets = sorted({variant.target for _, variant in parsed if variant.target})
    if len(targets) < 2:
        return parsed
    if name not in targets:
        raise InputError(
            f"{rows.path}: variants of {list_names(targets, 3)}, none of which is the reference {name}; "
            "give the FASTA of one of them, under its name"
        )
    out = []
    for i, variant in parsed:
        if variant.target in ("", name):
            out.append((i, variant))
        else:
            message = f"a variant of {variant.target}, where the reference is {name}; leave it out"
            error = MutationError(message, "of another sequence than the reference", doubtful=False)
            left_out.add(rows.numbers[i], rows.ids[i], error)
    return out


def _choose(columns: VariantColumns, sequence: str, variants: Sequence[Variant]) -> AlphabetChoice:
    """The alphabet of a reference and its variants.

    Where it is guessed, mutants that HGVS does not say the level of count: no nucleotide mutates to R or W.
    """
    counts = count_letters(upper_case(letter_codes([sequence])))
    choice = choose_alphabet(columns.alphabet, counts, columns.reference)
    mutants = {one.mutant for variant in variants for one in variant.changes if not one.level}
    if choice.guessed and not mutants <= set("ACGTUN-?"):
        return replace(choice, alphabet="protein")
    return choice


def _check_level(
    rows: VariantRows, parsed: list[tuple[int, Variant]], path: Path, name: str, choice: AlphabetChoice
) -> None:
    """Raise InputError where HGVS counts amino acids and the reference has nucleotides, or the other way."""
    is_protein = choice.alphabet not in NUCLEOTIDES
    for i, variant in parsed:
        for level in (variant.level, *(one.level for one in variant.changes)):
            if not level or (level == "p") == is_protein:
                continue
            place = f"{rows.path}: row {rows.numbers[i]} ({rows.ids[i]}): {level}. counts "
            if is_protein:
                raise InputError(
                    f"{place}nucleotides, but the reference {name} of {path} is a protein; "
                    "give the column of p. descriptions, or the nucleotide sequence as reference"
                )
            raise InputError(
                f"{place}amino acids, but the reference {name} of {path} is {choice.alphabet}; "
                "give the column of c. descriptions, or the protein as reference "
                "(--alphabet protein if that is what it is)"
            )
