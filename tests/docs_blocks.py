"""Fenced blocks of the README and the documentation, and how their commands are run."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genoattn_cli import main

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
# What a reader opens or reads after a command: the test looks whether it is there.
OPENED = {"open", "less", "cat", "head"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and why it is not run, where it is not."""

    page: Path
    line: int
    language: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Fenced blocks of a page, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    k = 0
    while k < len(lines):
        opened = re.match(r"( *)```(\S*)$", lines[k])
        if opened is None:
            k += 1
            continue
        end = next(j for j in range(k + 1, len(lines)) if lines[j].strip() == "```")
        reason = NOT_RUN.search(lines[k - 1]) if k else None
        text = "\n".join(line.removeprefix(opened[1]) for line in lines[k + 1 : end])
        yield Block(page, k + 1, opened[2], text, reason[1] if reason else "")
        k = end + 1


def run_page(page: Path) -> str:
    """Run the blocks of a page in the working directory, in order; returns what they printed."""
    names: dict[str, Any] = {"__name__": "__docs__"}
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    for block in blocks(page):
        if block.reason or block.language not in ("sh", "python"):
            continue
        with contextlib.redirect_stdout(printed):
            if block.language == "sh":
                _run_shell(block)
            else:
                exec(compile(block.text, str(block), "exec"), names)
    return printed.buffer.getvalue().decode()  # type: ignore[attr-defined]


def _run_shell(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] in OPENED:
            assert Path(words[-1]).exists(), f"{block}: {line}"
            continue
        assert words[0] == "genoattn", f"{block}: {line}: run it here, or say why not"
        target = words[words.index(">") + 1] if ">" in words else ""
        arguments = words[1 : words.index(">")] if target else words[1:]
        assert _genoattn(_brief(arguments), target) == 0, f"{block}: {line}"


def _brief(arguments: list[str]) -> list[str]:
    """The same command; a fit that names no order is of pairs, as comparing all orders takes minutes."""
    named = {"--order", "--config", "--link"} & set(arguments)
    return arguments if arguments[0] != "fit" or named else [*arguments, "--order", "2"]


def _genoattn(arguments: list[str], target: str) -> int:
    """Exit status of the command line in this process; its output goes to the file ``target``, if any."""
    logger = logging.getLogger("genoattn")
    before = (list(logger.handlers), logger.level, logger.propagate)
    place = open(target, "w") if target else contextlib.nullcontext()  # noqa: SIM115
    try:
        with place as out, contextlib.redirect_stdout(out) if out else contextlib.nullcontext():
            return main.run(arguments)
    finally:
        logger.handlers[:], logger.propagate = before[0], before[2]
        logger.setLevel(before[1])
        os.environ.pop("LOCAL_RANK", None)
