"""Mutation strings (``A24G:T30S``, ``p.Ala24Gly``, ``24A>G``, ``0121``) to the sequences they stand for."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from genoattn.cohort import Letters
from genoattn.io.alphabets import GAP, allowed_letters, no_letter

# "_wt" and "_sy" (synonymous) are MaveDB's; on the level of the protein both are the wild type.
_WILD_TYPE = frozenset({"wt", "_wt", "=", "wildtype", "wild-type", "wild_type"})
_SEPARATOR = re.compile(r"[:;,+/\s]+")
_HGVS_SEPARATOR = re.compile(r"[:;,\s]+")
_SYMBOLS = re.compile(r"(\S)(\d{1,9})(\S)")
_TARGET = re.compile(r"([^\s:]+):(?=[pcgnmr]\.|_wt$|_sy$)")
_LEVEL = re.compile(r"([pcgnmr])\.")
# A mutation in front of another, separated by a colon, is no name of a sequence.
_MUTATION = re.compile(
    r"[pcgnmr]\..*|[A-Za-z*-]\d+[A-Za-z*=-]|[A-Za-z]{3}\d+[A-Za-z*=]+|\d+[A-Za-z]>[A-Za-z]"
)
_R, _P = r"([A-Za-z]{3}|[A-Za-z*-])", r"(\d{1,9})"
_RESIDUES = re.compile(rf"{_R}{_P}(?:_{_R}{_P})?(?:(del|=)|{_R}|delins((?:[A-Z][a-z]{{2}})+|[A-Z*]+))")
_BASES = re.compile(
    rf"{_P}(?:_{_P})?(?:([A-Za-z])>([A-Za-z])|([A-Za-z]*)=|del[ACGTUNacgtun]*(?:ins([A-Za-z]+))?)"
)
_LONGEST = 1_000_000  # positions of one deletion
_UNCERTAIN = re.compile(r"\(;\)|\(\d+_\d+\)")
# fmt: off
_ONE_LETTER = {
    "ala": "A", "arg": "R", "asn": "N", "asp": "D", "cys": "C", "gln": "Q", "glu": "E", "gly": "G",
    "his": "H", "ile": "I", "leu": "L", "lys": "K", "met": "M", "phe": "F", "pro": "P", "pyl": "O",
    "sec": "U", "ser": "S", "thr": "T", "trp": "W", "tyr": "Y", "val": "V", "xaa": "X", "ter": "*",
}
# What HGVS can say and a sequence of the reference's length cannot, in the order in which they are told.
_NOT_ALIGNED = (
    (re.compile(r"fs"), "a frameshift"),
    (re.compile(r"ext"), "an extension"),
    (re.compile(r"\?|^0$|\^"), "uncertain"),
    (re.compile(r"dup"), "a duplication"),
    (re.compile(r"^(?!.*del).*ins"), "an insertion"),
    (re.compile(r"inv"), "an inversion"),
)
_NOT_CODING = (
    (re.compile(r"\d[+-]\d|spl"), "outside the coding sequence (intron)"),
    (re.compile(r"(?:^|_)[-*]\d"), "outside the coding sequence (untranslated)"),
)
# fmt: on


class MutationError(ValueError):
    """A string that gives no sequence of the reference's length: why, and what to do.

    ``reason`` is what such rows are counted under. Many ``doubtful`` ones mean that the reference, its
    numbering or the column is wrong, not the variants.
    """

    def __init__(self, message: str, reason: str, doubtful: bool = True) -> None:
        super().__init__(message)
        self.reason, self.doubtful = reason, doubtful


@dataclass(frozen=True)
class Substitution:
    """One residue in place of another."""

    text: str  # as it was written
    wild: str  # one letter, upper case; empty where it is not told
    position: int  # in the reference, from 1
    mutant: str  # one letter, upper case; the gap for a deleted one; empty where it stays as it is
    level: str = ""  # p, c, g, n, m or r of HGVS, where the spelling tells


@dataclass(frozen=True)
class Variant:
    """Substitutions of a sequence, none for the wild type."""

    changes: tuple[Substitution, ...]
    target: str = ""  # the name in front of an HGVS description
    level: str = ""  # of HGVS


def parse_variant(text: str) -> Variant:
    """The substitutions of a variant.

    ``A24G``, ``Ala24Gly`` or ``24A>G``, several separated by ``:``, ``;``, ``,``, ``+``, ``/`` or a space;
    or HGVS: ``p.Ala24Gly``, ``p.[Ala24Gly;Thr30Ser]``, ``p.(Ala24Gly)``, ``c.[76A>C;83G>C]``, with the name
    of the sequence in front or without. ``*`` or ``Ter`` is a stop, ``-`` or ``del`` a residue deleted from
    the alignment, ``=`` no change; ``delins`` of as many residues as before is as many substitutions.
    ``WT``, ``_wt``, ``=`` and, for proteins, ``_sy`` are the wild type.
    """
    named = _TARGET.match(text)
    target = named[1] if named and not _MUTATION.fullmatch(named[1]) else ""
    body = text[len(target) + 1 :] if target else text
    if body.lower() == "_sy":
        return Variant((), target, "p")
    levelled = _LEVEL.match(body)
    level = levelled[1] if levelled else ""
    if "];[" in body:
        raise _not_aligned(text, "of two chromosomes")
    if _UNCERTAIN.search(body):
        raise _not_aligned(text, "uncertain")
    body = re.sub(r"[\[\]()]", "", _LEVEL.sub("", body, count=1) if level else body)
    if body.lower() in _WILD_TYPE:
        return Variant((), target, level)
    parts = [part for part in (_HGVS_SEPARATOR if level else _SEPARATOR).split(body) if part]
    return Variant(_collect(text, parts, lambda part: _parse(part, level)), target, level)


def parse_symbols(text: str) -> Variant:
    """The substitutions of a variant of symbols: ``0121`` is 1 in place of 0 at position 12."""
    if text.lower() in _WILD_TYPE:
        return Variant(())
    parts = [part for part in _SEPARATOR.split(text) if part]
    return Variant(_collect(text, parts, _parse_symbol))


def _collect(
    text: str, parts: Sequence[str], parse: Callable[[str], tuple[Substitution, ...]]
) -> tuple[Substitution, ...]:
    """The substitutions of all parts, one for each position."""
    if not parts:
        raise MutationError(f"'{text}' names no mutation; write WT for the wild type", "not a mutation")
    found = tuple(dict.fromkeys(one for part in parts for one in parse(part)))
    seen: dict[int, str] = {}
    for one in found:
        if seen.setdefault(one.position, one.text) != one.text:
            raise MutationError(
                f"{seen[one.position]} and {one.text} are at one position; write one mutation for each",
                "two mutations at one position",
            )
    return found


def _parse_symbol(text: str) -> tuple[Substitution, ...]:
    match = _SYMBOLS.fullmatch(text)
    if match is None:
        raise MutationError(
            f"'{text}' is not a substitution; write 0121 for 1 in place of 0 at position 12, "
            "and WT for the wild type",
            "not a mutation",
        )
    return (Substitution(text, match[1], int(match[2]), match[3]),)


def _parse(part: str, level: str) -> tuple[Substitution, ...]:
    """The substitutions of one part of a description, of one or several positions."""
    own = _LEVEL.match(part)
    level, text = (own[1], part[2:]) if own else (level, part)
    for pattern, what in (*_NOT_ALIGNED, *(_NOT_CODING if level not in ("", "p") else ())):
        if pattern.search(text):
            raise _not_aligned(text, what)
    bases = None if level == "p" else _BASES.fullmatch(text)
    if bases and (level or bases[3]):
        return _of_bases(text, bases, level or "n")
    residues = _RESIDUES.fullmatch(text) if level in ("", "p") else None
    if residues and _is_residue(residues[1]):
        return _of_residues(text, residues, level)
    raise MutationError(
        f"'{text}' is not a substitution; write A24G, p.Ala24Gly or 24A>G, and WT for the wild type",
        "not a mutation",
    )


def _of_bases(text: str, match: re.Match[str], level: str) -> tuple[Substitution, ...]:
    first, last, wild, mutant, same, inserted = match.groups()
    changes = _spread(text, first, last, mutant or inserted or "", level, "del" in text)
    wilds = (wild or same or "").upper()
    if len(wilds) != len(changes):
        return changes
    return tuple(replace(one, wild=letter) for one, letter in zip(changes, wilds, strict=True))


def _of_residues(text: str, match: re.Match[str], level: str) -> tuple[Substitution, ...]:
    first, start, last, end, _, mutant, inserted = match.groups()
    if mutant and last:
        raise MutationError(f"'{text}' names two positions and one residue; write each", "not a mutation")
    mutants = "".join(_one_letter(text, one) for one in re.findall(r"[A-Z][a-z]{2}|[A-Z*]", inserted or ""))
    mutants = _one_letter(text, mutant) if mutant else mutants
    if level == "" and any(one and len(one) == 3 for one in (first, mutant)):
        level = "p"
    changes = [*_spread(text, start, end, mutants, level, "del" in text)]
    changes[0] = replace(changes[0], wild=_one_letter(text, first))
    if last:
        changes[-1] = replace(changes[-1], wild=_one_letter(text, last))
    return tuple(changes)


def _spread(
    text: str, first: str, last: str | None, mutants: str, level: str, deleted: bool
) -> tuple[Substitution, ...]:
    """A substitution for each position from ``first`` to ``last``, of which ``mutants`` are given or none."""
    positions = range(int(first), int(last or first) + 1)
    if not 0 < len(positions) <= _LONGEST:
        raise MutationError(f"'{text}': from {first} to {last}; write the smaller first", "not a mutation")
    if mutants and len(mutants) != len(positions):
        raise _not_aligned(text, "an insertion")
    letters = (mutants or GAP * (deleted * len(positions))).upper().ljust(len(positions))
    return tuple(
        Substitution(text, "", position, letter.strip(), level)
        for position, letter in zip(positions, letters, strict=True)
    )


def _is_residue(text: str) -> bool:
    return len(text) == 1 or text.lower() in _ONE_LETTER


def _one_letter(text: str, residue: str) -> str:
    if not _is_residue(residue):
        raise MutationError(
            f"'{text}': {residue} is no amino acid; write its three-letter code", "not a mutation"
        )
    return _ONE_LETTER.get(residue.lower(), residue.upper())


def _not_aligned(text: str, what: str) -> MutationError:
    return MutationError(
        f"'{text}' is {what}, which is no sequence of the reference's length; leave it out", what, False
    )


def check_variant(variant: Variant, reference: str, alphabet: Letters) -> None:
    """Raise MutationError where a variant contradicts its reference or the alphabet."""
    allowed = allowed_letters(alphabet)
    for one in variant.changes:
        if not 1 <= one.position <= len(reference):
            raise MutationError(
                f"{one.text} is outside the reference of {len(reference)} residues; "
                "number positions from the first residue of the reference",
                "outside the reference",
            )
        here = reference[one.position - 1]
        if one.wild and one.wild != here:
            raise MutationError(
                f"{one.text}, but the reference has {here} at position {one.position}; "
                "check the reference and where its numbering begins",
                "of another residue than the reference's",
            )
        if one.mutant and not (one.mutant.isascii() and allowed[ord(one.mutant)]):
            raise MutationError(f"{one.text}: {no_letter(one.mutant, alphabet)}", "outside the alphabet")


def as_dna(variant: Variant, reference: str) -> Variant:
    """A variant of an RNA (``r.76a>u``) in the letters of its reference, which has T or U."""
    spelling = str.maketrans("T", "U") if "U" in reference else str.maketrans("U", "T")
    changes = (
        replace(one, wild=one.wild.translate(spelling), mutant=one.mutant.translate(spelling))
        for one in variant.changes
    )
    return replace(variant, changes=tuple(changes))


def mutated(reference: np.ndarray, variants: Sequence[Variant]) -> np.ndarray:
    """The sequences (n_variants, n_columns) of variants of a reference (n_columns,), ASCII as uint8."""
    letters = np.tile(reference, (len(variants), 1))
    places = [
        (row, one.position - 1, ord(one.mutant))
        for row, variant in enumerate(variants)
        for one in variant.changes
        if one.mutant
    ]
    row, column, letter = np.array(places, dtype=np.intp).reshape(-1, 3).T
    letters[row, column] = letter
    return letters
