"""Pages of the command line, written from the commands themselves whenever the site is built.

python docs/cli_pages.py fit   # prints the page of one command
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from genoattn_cli.main import app

DEFAULT_PANEL = "Options"
VALUES = {int: "N", float: "X", str: "TEXT", Path: "PATH"}


def commands() -> dict[str, Any]:
    """Commands of ``genoattn`` by name, in the order of its help."""
    command: Any = typer.main.get_command(app)
    return {name: command for name, command in command.commands.items() if not command.hidden}


def command_page(name: str) -> str:
    """Markdown page of one command: usage, what it does, arguments, and options in their panels."""
    command = commands()[name]
    parameters = [_Parameter(p, _types(name)) for p in command.params if not getattr(p, "hidden", False)]
    arguments = [p for p in parameters if p.is_argument]
    panels: dict[str, list[_Parameter]] = {}
    for parameter in parameters:
        if not parameter.is_argument:
            panels.setdefault(parameter.panel, []).append(parameter)
    needed = [p.required for p in parameters if p.required]
    usage = " ".join(["genoattn", name, *(a.value for a in arguments), *needed, "[OPTIONS]"])
    parts = [f"# genoattn {name}", f"```text\n{usage}\n```", prose(command.help or "")]
    if arguments:
        rows = ([f"`{a.value}`", a.help] for a in arguments)
        parts += ["## Arguments", table(["argument", "what it is"], rows)]
    for panel, options in panels.items():
        option_rows = ([option.names, option.help, option.default] for option in options)
        parts += [f"## {panel}", table(["option", "what it does", "default"], option_rows)]
    return "\n\n".join(parts) + "\n"


def index_table() -> str:
    """All commands with the first sentence of their help, linked to their pages."""
    rows = (
        [f"[`genoattn {name}`]({name}.md)", re.split(r"(?<=\.)\s", prose(command.help or ""), maxsplit=1)[0]]
        for name, command in commands().items()
    )
    return table(["command", "what it does"], rows)


class _Parameter:
    """What a page says of an argument or an option."""

    def __init__(self, parameter: Any, types: dict[str, Any]) -> None:
        self.is_argument = parameter.param_type_name == "argument"
        self.panel = getattr(parameter, "rich_help_panel", None) or DEFAULT_PANEL
        self.help = prose(parameter.help or "")
        flag = not self.is_argument and parameter.is_flag
        self.value = "" if flag else _value(types.get(parameter.name), parameter.metavar)
        spellings = [*sorted(parameter.opts, key=len), *parameter.secondary_opts]
        longest = f"{spellings[-1]} {self.value}".strip()
        self.names = ", ".join(f"`{name}`" for name in [*spellings[:-1], longest])
        self.required = f"{spellings[0]} {self.value}" if parameter.required and not self.is_argument else ""
        shown = parameter.default not in (None, (), []) and not flag and parameter.show_default is not False
        default = f"`{getattr(parameter.default, 'value', parameter.default)}`" if shown else ""
        self.default = "required" if self.required else default


def _types(name: str) -> dict[str, Any]:
    """Types of the parameters of a command; typer itself names them differently from version to version."""
    (info,) = [info for info in app.registered_commands if info.name == name]
    assert info.callback is not None
    return typing.get_type_hints(info.callback)


def _value(kind: Any, metavar: str | None) -> str:
    """Placeholder of a value: the words it may be, what the command calls it, or N, X, TEXT or PATH."""
    inner = [part for part in typing.get_args(kind) if part is not type(None)] or [kind]
    if isinstance(inner[0], type) and issubclass(inner[0], Enum):
        return f"{{{','.join(member.value for member in inner[0])}}}"
    return metavar.strip("{}") if metavar else VALUES.get(inner[0], "VALUE")


def prose(text: str) -> str:
    """Help text as Markdown: the lines of a paragraph joined, options as code."""
    text = re.sub(r"(?<![`\w-])(--[a-z][\w-]*)", r"`\1`", text)
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text))
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def table(header: list[str], rows: Iterable[list[str]]) -> str:
    """A table of Markdown; bars in cells and what looks like HTML are kept as text."""
    cells = [[_cell(text) for text in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *cells])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n\n", " ")


if __name__ == "__main__":
    print(command_page(sys.argv[1]))
