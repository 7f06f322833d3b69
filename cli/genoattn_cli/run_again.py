"""The cohort of a run, read again by the options in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoattn.errors import InputError
from genoattn_cli import fit, scan
from genoattn_cli.config import RUN_FILE, values_of

if TYPE_CHECKING:
    from genoattn.cohort import Cohort

_COMMANDS: dict[str, Callable[..., Any]] = {"fit": fit.command, "scan": scan.command}
# Option that names each input of a manifest.
_OPTIONS = {
    "genotypes": "cohort",
    "phenotypes": "pheno",
    "covariates": "covar",
    "features": "features",
    "reference": "reference",
}


def cohort_of_run(folder: Path) -> tuple[Cohort | None, str]:
    """The cohort that a folder of fit or scan was made from, or why it cannot be had.

    Inputs are looked for where they were, beside the folder, in it, and in the current folder. One that has
    changed since is not read.

    Parameters
    ----------
    folder
        Of a fit, a scan, or one trait of a scan of several.

    Returns
    -------
    The cohort and an empty reason, or None and the reason in a sentence without its full stop.
    """
    of_traits = not (folder / RUN_FILE).is_file() and (folder.resolve().parent / "traits.tsv").is_file()
    record = (folder.resolve().parent if of_traits else folder) / RUN_FILE
    if not record.is_file():
        return None, f"{folder} has no {RUN_FILE}: it was written from Python or by an older version"
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        name = _command(record)
        given = values_of(name, _COMMANDS[name], record)
        given |= _located(folder, given, manifest["inputs"])
        trait = manifest["trait"] if of_traits else None
        return (fit.read(given) if name == "fit" else scan.read(given, trait)), ""
    except InputError as error:
        return None, str(error)
    except (OSError, ValueError, LookupError, TypeError) as error:
        return None, f"{folder}: its inputs cannot be told ({type(error).__name__}: {error})"


def _command(record: Path) -> str:
    import tomllib

    try:
        name = tomllib.loads(record.read_text(encoding="utf-8-sig", errors="surrogateescape")).get("command")
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{record}: is no TOML ({error})") from None
    if name not in _COMMANDS:
        raise InputError(f"{record}: names no command that reads a cohort ({name!r})")
    return name


def _located(
    folder: Path, given: Mapping[str, Any], inputs: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, Any]]:
    """Options that name the inputs of a run, with the places where unchanged files are."""
    from genoattn.describe.run_summary import check_input

    for role, option in _OPTIONS.items():
        if role not in inputs or given.get(option) is None:
            continue
        path, file = Path(given[option]), inputs[role]["file"]
        if str(path) == "-" or str(path).startswith(("/dev/", "/proc/")):
            raise InputError(f"the {role} came through {path}, which cannot be read again")
        check = check_input(folder, role, file, inputs[role]["sha256"], path.parent)
        if check.state == "not found":
            raise InputError(f"the {role} are not at {path.parent / file}, nor beside the folder")
        if check.state == "changed":
            raise InputError(f"the {role} in {check.found} have changed since: their SHA-256 differs")
        if check.found is not None:
            # A PLINK prefix stands for its .bed.
            place = Path(check.found)
            yield option, type(given[option])(place if file == path.name else place.with_name(path.name))
