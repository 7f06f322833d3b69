"""Mutation strings (``A24G:T30S``, ``p.Ala24Gly``, ``24A>G``) to the sequences they stand for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genoattn.io.alignment import GAP

# "_wt" and "_sy" (synonymous) are MaveDB's; on the level of the sequence both are the wild type.
_WILD_TYPE = frozenset({"wt", "_wt", "_sy", "=", "wildtype", "wild-type", "wild_type"})
# An accession in front of an HGVS description: NP_009225.1:p.Ala24Gly.
_ACCESSION = re.compile(r"^[A-Za-z][\w.\-]*:(?=[pcgnmr]\.)")
_LEVEL = re.compile(r"^[pcgnmr]\.")
_SEPARATOR = re.compile(r"[:;,+/\s]+")
_RESIDUES = re.compile(r"([A-Za-z*\-])(\d+)([A-Za-z*\-=]|del)")
_THREE = re.compile(r"([A-Za-z]{3})(\d+)([A-Za-z]{3}|[*=])")
_NUCLEOTIDES = re.compile(r"(\d+)([A-Za-z])>([A-Za-z])")
# fmt: off
_ONE_LETTER = {
    "ala": "A", "arg": "R", "asn": "N", "asp": "D", "cys": "C", "gln": "Q", "glu": "E", "gly": "G",
    "his": "H", "ile": "I", "leu": "L", "lys": "K", "met": "M", "phe": "F", "pro": "P", "pyl": "O",
    "sec": "U", "ser": "S", "thr": "T", "trp": "W", "tyr": "Y", "val": "V", "xaa": "X", "ter": "*",
    "del": GAP,
}
# fmt: on


class MutationError(ValueError):
    """A string that is no mutation of the reference; the message says why and what to do."""


@dataclass(frozen=True)
class Substitution:
    """One residue in place of another."""

    text: str  # as it was written
    wild: str  # one letter, upper case
    position: int  # in the reference, from 1
    mutant: str  # one letter, upper case; the gap for a deleted one


def parse_variant(text: str) -> tuple[Substitution, ...]:
    """The substitutions of a variant, none for the wild type.

    ``A24G``, ``p.Ala24Gly`` or ``24A>G``, several separated by ``:``, ``;``, ``,``, ``+``, ``/`` or a
    space, in brackets or not; ``*`` or ``Ter`` is a stop, ``-`` or ``del`` a residue deleted from the
    alignment, ``=`` no change. ``WT``, ``_wt`` and ``=`` are the wild type.
    """
    body = _LEVEL.sub("", _ACCESSION.sub("", text))
    for mark in "[]()":
        body = body.replace(mark, "")
    if body.lower() in _WILD_TYPE:
        return ()
    found = tuple(_parse(_LEVEL.sub("", part)) for part in _SEPARATOR.split(body) if part)
    if not found:
        raise MutationError(f"'{text}' names no mutation; write WT for the wild type")
    seen: dict[int, str] = {}
    for one in found:
        if seen.setdefault(one.position, one.text) != one.text:
            raise MutationError(
                f"{seen[one.position]} and {one.text} are at one position; write one mutation for each"
            )
    return tuple(dict.fromkeys(found))


def _parse(text: str) -> Substitution:
    match = _RESIDUES.fullmatch(text) or _THREE.fullmatch(text)
    if nucleotides := _NUCLEOTIDES.fullmatch(text):
        position, wild, mutant = nucleotides.groups()
    elif match and (len(match[1]) == 1 or match[1].lower() in _ONE_LETTER):
        wild, position, mutant = match.groups()
    else:
        raise MutationError(
            f"'{text}' is not a substitution; write A24G, p.Ala24Gly or 24A>G, and WT for the wild type"
        )
    if len(mutant) == 3 and mutant.lower() not in _ONE_LETTER:
        raise MutationError(f"'{text}': {mutant} is no amino acid; write its three-letter code")
    wild = _ONE_LETTER.get(wild.lower(), wild.upper())
    mutant = wild if mutant == "=" else _ONE_LETTER.get(mutant.lower(), mutant.upper())
    return Substitution(text, wild, int(position), mutant)


def check_variant(
    variant: Sequence[Substitution], reference: str, allowed: np.ndarray, alphabet: str
) -> None:
    """Raise MutationError where a variant contradicts its upper-case reference or the ``allowed`` letters.

    Those are (256,), bool, by ASCII code, of the alphabet of that name.
    """
    for one in variant:
        if not 1 <= one.position <= len(reference):
            raise MutationError(
                f"{one.text} is outside the reference of {len(reference)} residues; "
                "number positions from the first residue of the reference"
            )
        here = reference[one.position - 1]
        if one.wild != here:
            raise MutationError(
                f"{one.text}, but the reference has {here} at position {one.position}; "
                "check the reference and where its numbering begins"
            )
        if not (one.mutant.isascii() and allowed[ord(one.mutant)]):
            raise MutationError(f"{one.text}: '{one.mutant}' is not a letter of the {alphabet} alphabet")


def mutated(reference: np.ndarray, variants: Sequence[Sequence[Substitution]]) -> np.ndarray:
    """The sequences (n_variants, n_columns) of variants of a reference (n_columns,), ASCII as uint8."""
    letters = np.tile(reference, (len(variants), 1))
    row = np.repeat(np.arange(len(variants)), [len(v) for v in variants])
    places = [(one.position - 1, ord(one.mutant)) for variant in variants for one in variant]
    column, letter = np.array(places, dtype=np.intp).reshape(-1, 2).T
    letters[row, column] = letter
    return letters
