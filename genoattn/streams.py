"""Input that can be read only once (pipes, process substitution, ``/dev/stdin``), copied to a file."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from genoattn.errors import InputError

# What came through a pipe exists nowhere else: its copy stays until the process ends. By device and inode,
# so that two names of one pipe share it.
_copies: dict[tuple[int, int], Path] = {}


def local_copy(path: Path) -> Path:
    """A file that can be opened again and again: the path itself, or a copy of what comes through it.

    Also the path itself where there is nothing, or a folder. Messages keep the name that was given.
    """
    if not is_stream(path):
        return path
    try:
        status = path.stat()
        key = (status.st_dev, status.st_ino)
        if key not in _copies:
            with (
                path.open("rb") as source,
                tempfile.NamedTemporaryFile(prefix="genoattn-", delete=False) as target,
            ):
                _copies[key] = Path(target.name)
                shutil.copyfileobj(source, target)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}; write it to a file first"
        ) from error
    return _copies[key]


def is_stream(path: Path) -> bool:
    """Whether the path is a pipe or a device, which may be read only once."""
    # A file that stdin was redirected from counts too: on some systems it cannot be opened from its start.
    there = os.path.exists(path) and not os.path.isdir(path)  # False, too, for a name that no file can have
    return there and (_is_open_already(path) or not os.path.isfile(path))


def _is_open_already(path: Path) -> bool:
    return str(path).startswith(("/dev/fd/", "/dev/stdin", "/proc/self/fd/"))


def forget_copies(*paths: Path) -> None:
    """Remove the copies of named pipes, which wait for someone to write into them again."""
    for path in paths:
        if is_stream(path) and not _is_open_already(path):
            status = path.stat()
            copy = _copies.pop((status.st_dev, status.st_ino), None)
            if copy is not None:
                copy.unlink(missing_ok=True)


def remove_copies() -> None:
    """Remove all copies."""
    while _copies:
        _copies.popitem()[1].unlink(missing_ok=True)


atexit.register(remove_copies)
