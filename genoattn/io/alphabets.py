"""Meaning of the letters of sequences: which are states, which are missing, and how that was decided."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_letters, digits
from typing import Literal

import numpy as np

from genoattn.cohort import Letters

Alphabet = Literal["auto", "dna", "diploid", "protein", "symbols"]

GAP = "-"
_TWO_BASES, _MORE_BASES = "RYSWKM", "BDHV"  # IUPAC codes of nucleotides (NC-IUB 1985)
_PLAIN = "ACGTUN"
# Share of other IUPAC codes among the nucleotides of an alignment, above which its letters are amino acids.
_MOST_CODES = 0.1
_BLOCK = 1 << 24  # letters counted at once: numpy counts in eight bytes each
_SUFFIXES: dict[str, Letters] = {".faa": "protein", ".fna": "dna", ".ffn": "dna"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LetterMeanings:
    """Letters of an alphabet."""

    states: str
    missing: str  # the first is what to write for an unknown state
    dot: str  # what "." means: a gap, or missing
    has_case: bool = False


ALPHABETS: dict[Letters, LetterMeanings] = {
    # RNA is read as nucleotides too: T and U are both letters.
    "dna": LetterMeanings("ACGTU-", f"N{_TWO_BASES}{_MORE_BASES}?", GAP),
    "diploid": LetterMeanings(f"ACGTU{_TWO_BASES}-", f"N{_MORE_BASES}?", GAP),
    "protein": LetterMeanings("ACDEFGHIKLMNPQRSTVWYOU*-", "X?", GAP),
    "symbols": LetterMeanings(f"{ascii_letters}{digits}-", "?", "?", has_case=True),
}
NUCLEOTIDES: tuple[Letters, ...] = ("dna", "diploid")


@dataclass(frozen=True)
class AlphabetChoice:
    """An alphabet, and whether it was guessed from the letters."""

    alphabet: Letters
    guessed: bool = False


def unknown_letter(alphabet: Letters) -> str:
    """The letter to write for an unknown state."""
    return ALPHABETS[alphabet].missing[0]


def is_state(alphabet: Letters) -> np.ndarray:
    """Whether each ASCII code is a state of the alphabet: shape (256,), bool."""
    return _mask(ALPHABETS[alphabet].states)


def allowed_letters(alphabet: Letters) -> np.ndarray:
    """Whether each ASCII code is a letter of the alphabet, known or missing: shape (256,), bool."""
    return is_state(alphabet) | _mask(ALPHABETS[alphabet].missing)


def alphabet_of_name(*paths: Path | None) -> Letters | None:
    """What the suffix of the first file that has one of ``.faa``, ``.fna`` and ``.ffn`` says."""
    for path in paths:
        suffix = "" if path is None else Path(path.name.lower().removesuffix(".gz")).suffix
        if suffix in _SUFFIXES:
            return _SUFFIXES[suffix]
    return None


def choose_alphabet(asked: Alphabet, counts: np.ndarray, *paths: Path | None) -> AlphabetChoice:
    """The alphabet asked for, else that of the suffix of a file, else a guess.

    ``counts`` (256,) is the number of each upper-case ASCII code.
    """
    if asked != "auto":
        return AlphabetChoice(asked)
    named = alphabet_of_name(*paths)
    return AlphabetChoice(guess_alphabet(counts), guessed=True) if named is None else AlphabetChoice(named)


def guess_alphabet(counts: np.ndarray) -> Letters:
    """``dna`` where all letters are IUPAC codes of nucleotides, nine in ten of them A C G T U N."""
    if counts[~(allowed_letters("dna") | _mask("."))].any():
        return "protein"
    codes, plain = _number(counts, _TWO_BASES + _MORE_BASES), _number(counts, _PLAIN)
    return "dna" if codes <= _MOST_CODES * (codes + plain) else "protein"


def describe_letters(path: Path, choice: AlphabetChoice, counts: np.ndarray) -> tuple[str, ...]:
    """Lines for the log on letters that are missing or guessed; a guess that matters is a warning, too.

    ``counts`` (256,) is the number of each ASCII code, upper case where case means nothing.
    """
    alphabet = choice.alphabet
    lines = []
    if alphabet == "symbols":
        states = "".join(chr(code) for code in np.flatnonzero(counts * is_state(alphabet)))
        lines.append(f"symbols: {', '.join(states)}; ? and . are missing")
    codes = (_TWO_BASES if alphabet == "dna" else "") + _MORE_BASES
    if alphabet in NUCLEOTIDES and (n_codes := _number(counts, codes)):
        more = "" if alphabet == "diploid" else "; with alphabet diploid those of two bases are states"
        lines.append(f"{n_codes} IUPAC codes ({_seen(counts, codes)}) are missing{more}")
    if alphabet in NUCLEOTIDES and (bases := _seen(counts, "TU")).count(",") == 1:
        _log.warning("%s: T and U are two states here (%s); write one of them", path, bases)
        lines.append(f"T and U are two states ({bases})")
    doubt = _doubt(alphabet, counts) if choice.guessed else ""
    if doubt:
        _log.warning("%s: read as %s: %s", path, alphabet, doubt)
        lines.append(f"alphabet guessed: {doubt}")
    return tuple(lines)


def _doubt(alphabet: Letters, counts: np.ndarray) -> str:
    """Why a guessed alphabet may be another, and how to say so; empty where there is little doubt."""
    plain, every = _number(counts, _PLAIN), int(counts.sum()) - _number(counts, "-.?")
    if alphabet == "dna":
        unclear = _seen(counts, "N" + _TWO_BASES + _MORE_BASES)
        return unclear and (
            f"all letters are codes of nucleotides, and {unclear} count as missing; "
            "if this is a protein (N is asparagine) give --alphabet protein"
        )
    if _number(counts, _PLAIN + _TWO_BASES) == every and plain > every / 2:
        codes = _seen(counts, _TWO_BASES)
        return f"many letters are none of A, C, G, T and N ({codes}); if this is DNA give --alphabet dna"
    if plain >= (1 - _MOST_CODES) * every:
        letters = "".join(chr(code) for code in range(33, 127) if chr(code) not in _PLAIN + "-.?")
        return (
            f"nearly all letters are codes of nucleotides, but {_seen(counts, letters)} are not, "
            "so that N is asparagine; if this is DNA, give --alphabet dna"
        )
    return ""


def count_letters(letters: np.ndarray) -> np.ndarray:
    """Number of each ASCII code, shape (256,)."""
    flat, counts = letters.ravel(), np.zeros(256, dtype=np.int64)
    for start in range(0, len(flat), _BLOCK):
        counts += np.bincount(flat[start : start + _BLOCK], minlength=256)
    return counts


def letter_codes(texts: Sequence[str]) -> np.ndarray:
    """Shape (n_records, n_columns), uint8: the ASCII code of each letter, 0 for what is not ASCII."""
    flat = "".join(texts)
    if not flat.isascii():
        flat = "".join(letter if letter.isascii() else "\0" for letter in flat)
    return np.frombuffer(flat.encode(), dtype=np.uint8).reshape(len(texts), -1).copy()


def upper_case(letters: np.ndarray) -> np.ndarray:
    """ASCII codes in upper case."""
    is_lower = (letters >= ord("a")) & (letters <= ord("z"))
    return np.where(is_lower, letters - 32, letters).astype(np.uint8)


def no_letter(letter: str, alphabet: Letters) -> str:
    """What to say of a letter that the alphabet does not have."""
    cure = "choose another alphabet"
    if letter in digits and alphabet != "symbols":
        cure = "for states such as 0 and 1 choose --alphabet symbols"
    return (
        f"'{letter}' is not a letter of the {alphabet} alphabet; "
        f"write {unknown_letter(alphabet)} if unknown, or {cure}"
    )


def _mask(letters: str) -> np.ndarray:
    mask = np.zeros(256, dtype=bool)
    mask[[ord(letter) for letter in letters]] = True
    return mask


def _number(counts: np.ndarray, letters: str) -> int:
    return int(counts[_mask(letters)].sum())


def _seen(counts: np.ndarray, letters: str) -> str:
    """``120 N, 3 R``: those of some letters that occur, the commonest first."""
    found = sorted((-int(counts[ord(one)]), one) for one in letters if counts[ord(one)])
    return ", ".join(f"{-n} {one}" for n, one in found)
