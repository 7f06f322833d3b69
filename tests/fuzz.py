"""Random damage to text and bytes, and what a reader may do with it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from vcf_files import read_genotypes

from genoattn.cohort import Cohort
from genoattn.errors import InputError

_LETTERS = "\t\n\r .:;,/|0129#ACGN<*-=\u00e9"


def damage_text(text: str, rng: random.Random) -> str:
    """Drop, repeat, exchange or alter a character, a field, a line or its end."""
    lines = text.split("\n")
    k = rng.randrange(len(lines))
    fields = lines[k].split("\t")
    f = rng.randrange(len(fields))
    i = rng.randrange(len(text))
    letter = rng.choice(_LETTERS)

    def with_line(*own: str) -> str:
        return "\n".join([*lines[:k], *own, *lines[k + 1 :]])

    choices: list[Callable[[], str]] = [
        lambda: text[:i] + text[i + 1 :],
        lambda: text[:i] + letter + text[i:],
        lambda: text[:i] + letter + text[i + 1 :],
        lambda: text[: i + 1],
        lambda: with_line(),
        lambda: with_line(lines[k], lines[k]),
        lambda: with_line("", lines[k]),
        lambda: with_line(lines[k] + "\r"),
        lambda: with_line("\t".join(fields[:f] + fields[f + 1 :])),
        lambda: with_line("\t".join([*fields[: f + 1], *fields[f:]])),
        lambda: with_line("\t".join([*fields[:f], rng.choice(fields), *fields[f + 1 :]])),
        lambda: with_line("\t".join([*fields[:f], "", *fields[f + 1 :]])),
        lambda: with_line(lines[k].replace("\t", " ", 1)),
        lambda: with_line(rng.choice(lines)),
    ]
    return rng.choice(choices)()


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Drop, insert, repeat or alter a few bytes, or cut the end off."""
    i, n = rng.randrange(len(data) + 1), rng.choice([1, 1, 1, 2, 4, 30])
    some = bytes(rng.choice([0, 1, 2, 127, 128, 255, rng.randrange(256)]) for _ in range(n))
    j = rng.randrange(len(data) + 1)
    return rng.choice(
        [
            data[:i] + some + data[i + n :],
            data[:i] + some + data[i + n :],
            data[:i] + data[i + n :],
            data[:i] + some + data[i:],
            data[:i] + data[j : j + n] + data[i + n :],
            data[:i],
        ]
    )


def read_or_refuse(path: Path, **options: object) -> Cohort | None:
    """The cohort of a file, None where it is refused in one line; anything else is raised."""
    try:
        return read_genotypes(path, **options)[0]
    except InputError as error:
        text = str(error)
        assert text and "\n" not in text, repr(text)  # noqa: PT018
        return None
