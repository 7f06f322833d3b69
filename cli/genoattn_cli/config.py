"""Options in a TOML file: read for ``--config``, and written as ``run.toml`` into the folder of a run."""

from __future__ import annotations

import inspect
import logging
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from genoattn.errors import InputError

RUN_FILE = "run.toml"
# What a file of options may say besides options: the command it is for, and the version that wrote it.
_HEAD = ("command", "version")
_NOT_IN_A_FILE = ("config",)
# Options of the moment, which do not change what a run finds; a repeated run gets its own.
_NOT_KEPT = ("config", "output", "force", "resume", "verbose", "quiet", "as_json")
# Options of text that may name a file (a set of sites by commas, a record of a FASTA).
_MAYBE_FILES = ("reference", "sites", "with_sites")


@dataclass(frozen=True)
class Setting:
    """An option or argument of a command, as its signature declares it.

    Parameters
    ----------
    name
        Parameter of the function.
    key
        In a file: the long name of the option without dashes, or the name of the argument.
    kind
        ``Path``, ``str``, ``int``, ``float``, ``bool``, or an enumeration of words.
    several
        Whether the option may be repeated.
    lowest, highest
        Of a number; None for no bound.
    check
        The option's own callback; None where it has none.
    """

    name: str
    key: str
    kind: type
    several: bool
    lowest: float | None
    highest: float | None
    check: Callable[..., Any] | None


def settings_of(function: Callable[..., Any]) -> dict[str, Setting]:
    """The options and arguments of a command by their keys in a file."""
    found = {}
    for name, hint in typing.get_type_hints(function, include_extras=True).items():
        if name in _NOT_IN_A_FILE or not hasattr(hint, "__metadata__"):
            continue
        info = hint.__metadata__[0]
        # In an annotation typer takes the first name of an option for its default.
        names = (info.default, *(info.param_decls or ()))
        declared = [d for d in names if isinstance(d, str) and d.startswith("--")]
        key = declared[0].removeprefix("--") if declared else name.replace("_", "-")
        kind, several = _kind(hint.__origin__)
        found[key] = Setting(name, key, kind, several, info.min, info.max, info.callback)
    return found


def _kind(hint: Any) -> tuple[type, bool]:
    """The type of a value, and whether there may be several, of a hint such as ``list[str] | None``."""
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    if typing.get_origin(hint) is list:
        return parts[0], True
    return _kind(parts[0]) if parts else (hint, False)


def read_config(path: Path, command: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Values of a file of options, by the parameters of the command's function.

    Relative paths in it start at the folder of the file.

    Raises
    ------
    InputError
        Where the file cannot be read, is no TOML, is for another command, or has a key or a value that
        the command has not.
    """
    import difflib

    settings, values = settings_of(function), {}
    content = _load(path)
    _check_command(path, content, command)
    for key, value in content.items():
        if key in _HEAD:
            continue
        if key not in settings:
            near = difflib.get_close_matches(key.replace("_", "-"), settings, 1)
            cure = f"did you mean {near[0]}?" if near else f"see genoattn {command} --help for its options"
            raise InputError(f"{path}: '{key}' is no option of genoattn {command}; {cure}")
        setting = settings[key]
        values[setting.name] = _placed(_checked(path, setting, value), setting, path)
    return values


def _load(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        # Names of files need not be UTF-8; an editor may have put a byte-order mark first.
        return tomllib.loads(path.read_bytes().decode("utf-8-sig", "surrogateescape"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"{path}: is no TOML ({error}); write an option a line, like max-missing = 0.1, words in quotes"
        ) from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file of options; check the path of --config") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give --config a TOML file") from None


def _check_command(path: Path, content: Mapping[str, Any], command: str) -> None:
    for key in _HEAD:
        if not isinstance(content.get(key, ""), str):
            raise InputError(f"{path}: {key} = {content[key]!r} is no text; put it in quotes or leave it out")
    meant = content.get("command", command)
    if meant != command:
        raise InputError(f"{path}: holds options of genoattn {meant}; use it with that command")


def _checked(path: Path, setting: Setting, value: Any) -> Any:
    """The value, or an error that says what the option takes."""
    several = setting.several and isinstance(value, list)
    for one in value if several else [value]:
        problem = _problem(setting, one)
        if problem:
            raise InputError(f"{path}: {setting.key} = {_shown(one)} {problem}")
    if setting.check is not None:
        try:
            setting.check(value if value is None else str(value))
        except typer.BadParameter as error:
            raise InputError(f"{path}: {setting.key}: {error.message}") from None
    if setting.kind not in (int, float, bool):
        value = [str(one) for one in value] if several else str(value)
    return [value] if setting.several and not several else value


def _problem(setting: Setting, value: Any) -> str:
    """Why a value does not suit an option, and what does; empty where it does."""
    kind = setting.kind
    if issubclass(kind, StrEnum):
        import difflib

        words = [str(word) for word in kind]
        if str(value) in words:  # 32 as well as "32"
            return ""
        near = difflib.get_close_matches(str(value), words, 1, 0.5)
        meant = f" (did you mean {near[0]}?)" if near else ""
        return f"is none of its words; give {', '.join(words)}{meant}"
    taken: tuple[type, ...] = {float: (int, float), str: (str, int, float), Path: (str,)}.get(kind, (kind,))
    if not isinstance(value, taken) or (isinstance(value, bool) and kind is not bool):
        what = {float: "a number", int: "an integer", bool: "true or false", Path: "a path in quotes"}
        return f"is of the wrong type; give {what.get(kind, 'text in quotes')}"
    return _out_of_range(value, setting.lowest, setting.highest) if kind in (int, float) else ""


def _out_of_range(number: Any, low: float | None, high: float | None) -> str:
    at_least, at_most = float("-inf") if low is None else low, float("inf") if high is None else high
    if at_least <= number <= at_most and abs(number) < float("inf"):
        return ""
    if low is None:
        return "is no number to use"
    return f"is out of range; give a number from {low:g} {'up' if high is None else f'to {high:g}'}"


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _placed(value: Any, setting: Setting, path: Path) -> Any:
    """The value with its relative paths joined to the folder of the file."""
    base = Path(os.path.realpath(path.parent))
    if setting.kind is Path:
        return os.path.normpath(base / value)
    if setting.name in _MAYBE_FILES and isinstance(value, str):
        parts = (os.path.normpath(base / p) if p and (base / p).is_file() else p for p in value.split(","))
        return ",".join(parts)
    return value


def use_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Callback of ``--config``: its values become the defaults of the command's options."""
    if path is not None and not ctx.resilient_parsing:
        name = ctx.info_name or ""
        assert ctx.command.callback is not None
        values = read_config(path, name, inspect.unwrap(ctx.command.callback))
        ctx.default_map = {**(ctx.default_map or {}), **values}
    return path


def warn_of_version(path: Path | None) -> None:
    """Log where a file of options was written by another version, which may find something else."""
    from genoattn import __version__

    wrote = None if path is None else _load(path).get("version")
    if wrote not in (None, __version__):
        logging.getLogger("genoattn").warning(
            "%s: written by genoattn %s, and this is %s: results may differ", path, wrote, __version__
        )


def run_file(command: str, function: Callable[..., Any], given: Mapping[str, Any], folder: Path) -> bytes:
    """Content of ``run.toml``: the options that a run in ``folder`` used, by which it can be repeated.

    Parameters
    ----------
    command, function
        Its name and its function.
    given
        Values by the parameters of the function.
    folder
        Where the file will be; paths in it start there.
    """
    import tomli_w

    from genoattn import __version__

    values: dict[str, Any] = {"command": command, "version": __version__}
    unset = []
    for key, setting in settings_of(function).items():
        value = given[setting.name]
        if setting.name in _NOT_KEPT:
            continue
        if value is None or value == []:
            unset.append(key)
        else:
            values[key] = _kept(value, setting, folder)
    lines = [
        f"# Options of this run. To repeat it: genoattn {command} --config {RUN_FILE} -o OTHER",
        "# Paths start at the folder of this file.",
        f"# Not given: {', '.join(unset)}." if unset else "# All options were given.",
    ]
    return ("\n".join(lines) + "\n" + tomli_w.dumps(values)).encode("utf-8", "surrogateescape")


def _kept(value: Any, setting: Setting, folder: Path) -> Any:
    """A value as TOML has it, with paths from the folder."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Path):
        return relative_to(value, folder)
    if setting.name in _MAYBE_FILES and isinstance(value, str):
        parts = value.split(",")
        return ",".join(relative_to(Path(p), folder) if Path(p).is_file() else p for p in parts)
    return value


def relative_to(path: Path, folder: Path) -> str:
    """The way from a folder to a file; that of a stream is the one given."""
    from genoattn.streams import is_stream

    if str(path) == "-" or is_stream(path):
        return str(path)
    # Links among the folders are followed, so that ``..`` means what it says; the file keeps its own name.
    start, place = (os.path.realpath(p.absolute().parent) for p in (folder, path))
    return os.path.relpath(Path(place) / path.name, Path(start) / folder.name)


def values_of(command: str, function: Callable[..., Any], path: Path) -> dict[str, Any]:
    """All options of a run by the parameters of its command's function, from its ``run.toml``."""
    parameters = inspect.signature(function).parameters
    values = {n: p.default for n, p in parameters.items() if p.default is not inspect.Parameter.empty}
    return values | {name: value for name, value in _typed(read_config(path, command, function), function)}


def _typed(values: Mapping[str, Any], function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    kinds = {setting.name: setting.kind for setting in settings_of(function).values()}
    for name, value in values.items():
        kind = kinds[name]
        yield name, kind(value) if kind is Path or issubclass(kind, StrEnum) else value
