"""Files and folders written completely or not at all."""

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genoattn.errors import InputError, OutputError

# A folder with one of these was written by fit or by simulate.
_MARKS = ("manifest.json", "truth.tsv")
_CURES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space or choose another place"),
    **dict.fromkeys((errno.EACCES, errno.EROFS), "choose a folder you may write to"),
    errno.EFBIG: "raise the file size limit or choose another place",
}


def check_output(
    path: str | Path, force: bool, folder: bool = False, inputs: Sequence[str | Path | None] = ()
) -> None:
    """Refuse early what could not be written in the end, or must not be."""
    path = Path(path)
    if path.exists() and not _is_stream(path) and not force:
        raise InputError(f"{path}: already exists; give another output, or --force to replace it")
    if folder and path.exists():  # --force replaces an output of genoattn or an empty folder, nothing else
        if not path.is_dir():
            raise InputError(f"{path}: is a file, which a folder cannot replace; give another output")
        if any(path.iterdir()) and not any((path / name).is_file() for name in _MARKS):
            raise InputError(
                f"{path}: holds no output of genoattn, so --force leaves it alone; choose another folder"
            )
    for source in inputs:
        if source is not None and path.exists() and Path(source).exists() and path.samefile(source):
            raise InputError(f"{path}: is an input of this command; give another output")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path.absolute().parent}: no such folder to write {path.name} in; make it first")


@contextmanager
def atomic_directory(path: str | Path, force: bool = False) -> Iterator[Path]:
    """A temporary folder that takes the place of ``path`` when the block succeeds, and vanishes when not."""
    path = Path(path).absolute()
    check_output(path, force, folder=True)
    with _errors_of_writing(path):
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield work
            work.chmod(0o777 & ~_umask())
            _replace(work, path)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _is_stream(path: Path) -> bool:
    """A device or a pipe: written to as it is."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def atomic_file(path: str | Path, force: bool = True) -> Iterator[Path]:
    """Like :func:`atomic_directory`, for one file."""
    # A link stays a link: its target is what is replaced.
    path = Path(path).resolve()
    check_output(path, force)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, which a file cannot replace; name a file")
    with _errors_of_writing(path):
        if _is_stream(path):
            yield path
            return
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        work = Path(name)
        try:
            yield work
            work.chmod(0o666 & ~_umask())
            os.replace(work, path)
        finally:
            work.unlink(missing_ok=True)


def _replace(work: Path, path: Path) -> None:
    """Move a finished folder into place; an old one is removed only once the new one stands there."""
    if not path.exists():
        os.replace(work, path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)) / "old"
    os.replace(path, old)
    try:
        os.replace(work, path)
    except OSError:
        os.replace(old, path)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _errors_of_writing(path: str | Path, state: str = "nothing was written") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None:  # htslib does not say why
            raise OutputError(
                f"{path}: could not be written ({error}); check the space left there; nothing was written"
            ) from error
        if error.errno not in _CURES:
            raise
        why, cure = os.strerror(error.errno), _CURES[error.errno]
        raise OutputError(f"{path}: {why} while writing; {cure}; {state}") from error


def write_output(content: bytes, path: str | Path | None, force: bool = True) -> None:
    """Write a file completely or not at all, or to stdout where ``path`` is None."""
    if path is None:
        with _errors_of_writing("standard output", "the output is incomplete"):
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        return
    with atomic_file(path, force) as work:
        work.write_bytes(content)
